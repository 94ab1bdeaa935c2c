"""Downloads over HTTPS, in pieces and from any offset. It knows nothing of jobs or files: a function gets the bytes.

It uses one buffer, whatever the size of the file. The caller checks size and SHA-256 before it trusts the file.
Sources: RFC 9110 (ranges, If-Range, redirects), RFC 9112 (heads, chunks), RFC 3986 section 5.2 (relative redirects).
"""
# MicroPython's streams have more than their stubs say.
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import asyncio
from errno import ECONNRESET, ETIMEDOUT

# Neither is in a .mpy at -O2: its compiler knows const, and types are for type checkers only.
if __debug__:
    from micropython import const
_TYPING = const(0)
if _TYPING:
    from typing import Callable

    from tls import SSLContext

_BUFFER = const(4096)  # bytes; also the longest URL that a redirect may have
_SHORT = const(1024)  # bytes, of the buffer where there is no room for that
_MAX_REDIRECTS = const(5)
_READS = const(4)  # in a row before it yields to other tasks: 16 KB, the most that a TLS record holds


class Refused(ValueError):
    """The server refuses the file, and would refuse the same request again. status: of HTTP."""

    status: int


async def download(
    url: str, begin: "Callable[[int, int | None, str | None], None]", write: "Callable[[int, memoryview], None]",
    start: int = 0, etag: "str | None" = None, context: "SSLContext | None" = None, strict: bool = False,
    timeout: float = 10,
) -> None:
    """Fetch the file at a URL, from byte `start` on, and follow up to five redirects.

    begin: called once, before the first byte, as `begin(offset, total, etag)`: offset is 0 when the server does not
    continue at `start`; total is the size of the whole file, None when the server does not say; etag is its strong
    validator, None without one. write: called as `write(offset, piece)`; piece is a memoryview, valid only during the
    call. Whatever they raise ends the download. etag: what an earlier begin() was given; the server then continues
    only if the file is still the same (If-Range). context: TLS context for https URLs. strict: refuse a response that
    ends with its connection, for want of Content-Length and chunks: a cut goes unnoticed by whoever knows neither size
    nor SHA-256. timeout: seconds that the head of a response, or any part of its body, may take, at most twice that;
    connecting may take three times as long.
    Raises ValueError for a URL, certificate or response that cannot be used, Refused for an HTTP status, and OSError
    when the link or the server fails: the caller may then continue from where it stopped.
    """
    what = "url"
    response = _Response()
    guard = asyncio.create_task(response.guard(asyncio.current_task(), timeout))
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            location = await response.get(url, context, begin, write, start, etag, strict)
            if location is None:
                return
            what = "redirect"
            location = _absolute(url, location)
            if url[:5].lower() == "https" != location[:5].lower():
                raise ValueError("it leaves https")
            url = location
        raise ValueError("more than %d" % _MAX_REDIRECTS)
    except Refused:
        raise
    except (LookupError, ValueError) as error:
        # A server's certificate that does not verify is a ValueError, too.
        text = isinstance(error, ValueError) and str(error).strip()
        raise ValueError("%s: %s" % (what, text or "the response is not HTTP"))
    except asyncio.CancelledError:
        if response.rounds < 0:
            raise OSError(ETIMEDOUT)
        raise
    finally:
        guard.cancel()
        response.close()


def split_url(url: str) -> tuple:
    """Return whether a URL is https, its host with the port as given, its host, its port, and its path with the query.

    Raises ValueError.

    Messages never show the URL: it may be presigned.
    """
    scheme, _, rest = url.partition("://")
    secure = scheme.lower() == "https"
    if not secure and scheme.lower() != "http":
        raise ValueError("scheme must be http or https")
    if min(url.encode()) < 33 or max(url.encode()) > 126:
        raise ValueError("a blank or not ASCII")
    rest = rest.split("#")[0]
    authority = rest.split("/")[0].split("?")[0]
    host, _, port = authority.partition(":")
    if not host or "@" in authority:
        raise ValueError("no host, or a user name")
    number = int(port) if port.isdigit() else 0 if port else 443 if secure else 80
    if not 0 < number < 65536:
        raise ValueError("port must be 1 to 65535")
    path = rest[len(authority) :]
    return secure, authority, host, number, path if path[:1] == "/" else "/" + path


def _absolute(url, location):
    scheme, _, rest = url.partition("://")
    path, mark, query = location.partition("?")
    if "://" in path:
        return location
    if path[:2] == "//":
        return scheme + ":" + location
    parts = rest.split("?")[0].split("/")  # host, folders, name
    if path:
        parts[1:] = parts[1:-1] if path[:1] != "/" else ()
        names = path.split("/")
        while names and names[0] in ("", ".", ".."):
            if names.pop(0) == "..":
                parts[1:] = parts[1:-1]
        parts += names or [""]
    return scheme + "://" + "/".join(parts) + mark + query


def _number(text, base=10):
    try:
        number = int(text, base)
        if not number >> 53:  # neither negative nor beyond what JSON's numbers are exact for
            return number
    except ValueError:
        pass
    raise LookupError


class _Response:
    def __init__(self):
        try:
            buffer = bytearray(_BUFFER)
        except MemoryError:
            # The heap of a busy board may have no larger free block.
            buffer = bytearray(_SHORT)
        self.view = memoryview(buffer)
        self.begin = self.end = self.reads = self.offset = 0
        self.stream = None
        self.rounds = 0  # of the guard before it gives up; -1 once it has

    async def guard(self, task, timeout):
        """Cancel the task when no data has come for too long: one timer for all reads, which costs them nothing."""
        while self.rounds:
            self.rounds -= 1
            await asyncio.sleep(timeout)
        self.rounds = -1
        task.cancel()

    def close(self):
        if self.stream:
            self.stream.s.close()

    async def get(self, url, context, begin, write, start, etag, strict):
        """Return the location of a redirect, None once the whole body has been written."""
        secure, authority, host, port, path = split_url(url)
        if secure and not context:
            raise ValueError("https needs a TLS context")
        self.close()
        self.rounds = 3
        self.begin = self.end = 0
        self.stream, _ = await asyncio.open_connection(
            host, port, ssl=context if secure else None, server_hostname=host if secure else None
        )
        request = "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: identity\r\nConnection: close\r\n" % (
            path, authority
        )
        if start:
            request += "Range: bytes=%d-\r\n" % start
            if etag:
                request += "If-Range: %s\r\n" % etag
        self.stream.write((request + "\r\n").encode())
        await self.stream.drain()
        self.rounds = 1
        while True:
            line = await self._line()
            if line[:7] != b"HTTP/1.":
                raise LookupError
            status = _number(line.split()[1])
            location = length = etag = None
            span = coding = transfer = b""
            while line:
                line = await self._line()
                name, _, value = line.partition(b":")
                name = name.lower()
                value = value.strip()
                if name == b"location":
                    if len(line) == _BUFFER:
                        raise ValueError("it is over 4096 bytes")
                    location = value.decode()
                elif name == b"content-length":
                    length = _number(value)
                elif name == b"content-range":
                    span = value
                elif name == b"content-encoding":
                    coding = value.lower()
                elif name == b"transfer-encoding":
                    transfer = value.lower()
                elif name == b"etag" and value[:1] == b'"':
                    etag = value.decode()
            if status >= 200:  # after a 1xx the response itself follows
                break
        if location and status // 100 == 3:
            return location
        if status >= 500 or status in (408, 429):
            raise OSError("HTTP status %d" % status)
        if status not in (200, 206):
            error = Refused("HTTP status %d" % status)
            error.status = status
            raise error
        if coding not in (b"", b"identity"):
            raise ValueError("stored with Content-Encoding " + coding.decode())
        if transfer not in (b"", b"chunked"):
            raise ValueError("Transfer-Encoding " + transfer.decode())
        total = length
        self.offset = 0
        if status == 206:
            # "bytes 100-199/200"
            span, _, total = span.split()[-1].partition(b"/")
            first, _, last = span.partition(b"-")
            self.offset = _number(first)
            # Without the file's size the range, which was asked for to the end, says where that is.
            total = _number(last) + 1 if total == b"*" else _number(total)
            if not start == self.offset <= total:
                raise ValueError("not the range requested")
        if strict and total is None and not transfer:
            raise ValueError("without Content-Length the job needs size or sha256")
        begin(self.offset, total, etag)
        while True:
            if transfer:
                length = _number((await self._line()).split(b";")[0], 16)
            await self._pass_on(length, write)
            if not transfer or not length:
                break
            await self._line()
        if total is not None and self.offset < total:
            raise OSError(ECONNRESET)
        return None

    async def _pass_on(self, size, write):
        while size != 0:
            if self.begin == self.end:
                self.rounds = 1
                if not await self._more():
                    if size is None:
                        return
                    raise OSError(ECONNRESET)
            piece = self.view[self.begin : self.end]
            if size is not None:
                piece = piece[:size]
                size -= len(piece)
            write(self.offset, piece)
            self.offset += len(piece)
            self.begin += len(piece)

    async def _line(self):
        """Return the next line without its end; of a longer one only the first 4096 bytes."""
        line = b""
        while True:
            # In small pieces: a copy of the whole buffer for each line is more than a small heap has in one piece.
            text, end, _ = bytes(self.view[self.begin : min(self.end, self.begin + 128)]).partition(b"\n")
            self.begin += len(text) + len(end)
            line = (line + text)[:_BUFFER]
            if end:
                return line.strip()
            if self.begin == self.end and not await self._more():
                raise OSError(ECONNRESET)

    async def _more(self):
        """Read more after the unused bytes; return how many arrived, 0 when the server has closed."""
        view = self.view
        left = self.end - self.begin
        view[:left] = view[self.begin : self.end]
        self.begin = 0
        self.end = left
        self.reads += 1
        count = self.stream.s.readinto(view[left:])
        while count is None:
            self.reads = 0
            count = await self.stream.readinto(view[left:])
        if self.reads == _READS:
            self.reads = 0
            await asyncio.sleep(0)
        self.end += count
        return count
