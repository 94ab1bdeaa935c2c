"""An HTTP server in memory for device tests, on both interpreters: it replaces asyncio.open_connection.

A test decides the reply to each request, its pieces, and whether the connection then ends or stalls.
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
        self.name = name  # that the server's certificate must have
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
        """Read like a non-blocking socket: None if there are no bytes."""
        if not self.answer and not self.ends:
            return None
        count = min(len(view), len(self.answer), self.web.piece)
        view[:count] = self.answer[:count]
        self.answer = self.answer[count:]
        return count

    def header(self, name):
        """The value of a request header, None if it is missing."""
        for line in self.request.split(b"\r\n")[1:]:
            if line.lower().startswith(name.lower().encode() + b": "):
                return line.split(b": ", 1)[1].decode()
        return None


class Web:
    """answer(connection): returns the bytes of the reply, and whether the connection then ends. piece: maximum bytes
    that arrive at once. connections: all connections so far."""

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
    """Answers requests for one file, with ranges. breaks_at: positions at which the next connections end."""

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
    """The headers of a reply."""
    lines = ["HTTP/1.1 %d Some words" % status] + ["%s: %s" % pair for pair in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def beside_broker(mqtt, web):
    """asyncio.open_connection() of a board whose broker is the host "host", reached by mqtt(); all others are `web`."""

    async def open_connection(host, port, ssl=None, server_hostname=None):
        where = mqtt if host == "host" else web.open_connection
        return await where(host, port, ssl=ssl, server_hostname=server_hostname)

    return open_connection
