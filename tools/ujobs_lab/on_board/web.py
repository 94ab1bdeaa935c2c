"""An HTTP server in memory for device tests, on both interpreters: it takes the place of asyncio.open_connection.

A test says what each request is answered with, cut into which pieces, and whether the connection then ends or stalls.
"""

import asyncio


class _Socket:
    def __init__(self, connection):
        self._connection = connection

    def readinto(self, view):
        return self._connection.take(view)

    def close(self):
        self._connection.closed = True


class Connection:
    """One connection as the board sees it: an asyncio stream whose other end is the server."""

    def __init__(self, web, host, port, secure, name):
        self.web = web
        self.s = _Socket(self)
        self.target = (host, port, secure)
        self.name = name  # that the server's certificate has to have
        self.out_buf = b""
        self.closed = False
        self.request = b""
        self.answer = b""
        self.ends = True

    def write(self, data):
        self.request += data
        if self.request.endswith(b"\r\n\r\n"):
            self.answer, self.ends = self.web.answer(self)

    async def drain(self):
        await asyncio.sleep(0)

    async def readinto(self, view):
        await asyncio.sleep(0)
        while not self.answer and not self.ends:
            await asyncio.sleep(0.01)
        return self.take(view)

    def take(self, view):
        """What a socket that does not block gives: None when nothing is there."""
        if not self.answer and not self.ends:
            return None
        count = min(len(view), len(self.answer), self.web.piece)
        view[:count] = self.answer[:count]
        self.answer = self.answer[count:]
        return count

    def header(self, name):
        """The value of a request header, None when there is none."""
        for line in self.request.split(b"\r\n")[1:]:
            if line.lower().startswith(name.lower().encode() + b": "):
                return line.split(b": ", 1)[1].decode()
        return None


class Web:
    """answer(connection) returns the bytes of the answer and whether the connection ends after them; piece: the most
    bytes that arrive at once. connections: all there were."""

    def __init__(self, answer, piece=1 << 20):
        self._answer = answer
        self.piece = piece
        self.connections = []

    def answer(self, connection):
        answer = self._answer(connection)
        return answer if isinstance(answer, tuple) else (answer, True)

    async def open_connection(self, host, port, ssl=None, server_hostname=None):
        await asyncio.sleep(0)
        connection = Connection(self, host, port, ssl, server_hostname)
        self.connections.append(connection)
        return connection, connection


class File:
    """Answers requests for one file, with ranges: content, how many bytes it gives before it hangs up, and how often
    that has happened so far."""

    def __init__(self, content, ranges=True):
        self.content = content
        self.ranges = ranges
        self.breaks_at = []

    def __call__(self, connection):
        wanted = connection.header("Range")
        start = int(wanted[6:-1]) if wanted and self.ranges else 0
        if start >= len(self.content) and start:
            return head(416, {"Content-Range": "bytes */%d" % len(self.content)})
        body = self.content[start:]
        headers = {"Content-Length": len(body)}
        if start:
            headers["Content-Range"] = "bytes %d-%d/%d" % (start, len(self.content) - 1, len(self.content))
        if self.breaks_at:
            body = body[: self.breaks_at.pop(0) - start]
        return head(206 if start else 200, headers) + body


def head(status, headers):
    """The head of an answer."""
    lines = ["HTTP/1.1 %d Some words" % status] + ["%s: %s" % pair for pair in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()
