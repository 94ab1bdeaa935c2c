"""Downloads over HTTPS, in pieces and from any offset. It knows nothing of jobs or files: the bytes go to a function.

One buffer, whatever the size. Each wait has a bound. What a download brings is not to be trusted before its size and
SHA-256 have been checked; that is the caller's.
"""
# MicroPython's streams have more than their stubs say.
# pyright: reportAttributeAccessIssue=false, reportOptionalMemberAccess=false

import asyncio
from errno import ECONNRESET, ETIMEDOUT

from micropython import const

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import Callable

    from tls import SSLContext

_BUFFER = const(4096)  # bytes; also the most that the head of an answer may have
_MAX_REDIRECTS = const(5)
_READS = const(4)  # in a row, between two turns for the other tasks: 16 KB, the most that a TLS record has


class Refused(ValueError):
    """The server will not give what was asked for. status: of HTTP; asking again as it is would not help."""

    def __init__(self, status: int):
        super().__init__("HTTP status %d" % status)
        self.status = status


async def download(
    url: str, write: "Callable[[int, memoryview, int | None], None]", start: int = 0,
    context: "SSLContext | None" = None, timeout: float = 10,
) -> None:
    """Fetch what is at a URL, from byte `start` on, and follow up to five redirects.

    write: called as `write(offset, piece, total)`; offset of the piece in the whole, which is 0 again when the server
    cannot begin at `start`; piece: a memoryview that is valid only during the call; total: bytes in the whole, None
    when the server does not say; what it raises ends the download. context: TLS context for https URLs. timeout:
    seconds for any one answer.
    Raises ValueError for a URL, certificate or answer that will not do, Refused for an HTTP status, OSError when the
    link or the server fails, after which it is worth going on from where it stopped.
    """
    for _ in range(_MAX_REDIRECTS + 1):
        secure, host, port, path = _parts(url)
        if secure and not context:
            raise ValueError("https needs a TLS context")
        response = _Response(timeout)
        try:
            await response.open(host, port, context if secure else None)
            location = await response.get(host if port in (80, 443) else "%s:%d" % (host, port), path, start, write)
        finally:
            response.close()
        if location is None:
            return
        url = _absolute(url, location)
    raise ValueError("more than %d redirects" % _MAX_REDIRECTS)


def _parts(url):
    scheme, _, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    host, colon, port = authority.partition(":")
    if scheme not in ("http", "https") or not host or "@" in authority or not all(32 < c < 127 for c in url.encode()):
        raise ValueError("not an http or https URL")
    try:
        number = int(port) if colon else 443 if scheme == "https" else 80
    except ValueError:
        raise ValueError("not a port number in the URL")
    return scheme == "https", host, number, "/" + path.partition("#")[0]


def _absolute(url, location):
    # RFC 9110, section 10.2.2: relative to what was asked for. Only what servers do in practice.
    scheme, _, rest = url.partition("://")
    if location.startswith("//"):
        location = scheme + ":" + location
    elif location.startswith("/"):
        location = scheme + "://" + rest.partition("/")[0] + location
    if scheme == "https" and not location.startswith("https://"):
        raise ValueError("redirected from https to what is not")
    return location


class _Response:
    def __init__(self, timeout):
        self._timeout = timeout
        self._view = memoryview(bytearray(_BUFFER))
        self._begin = self._end = self._reads = 0
        self._stream = None
        self._over = False  # closed by the server, and not by what went wrong

    async def open(self, host, port, context):
        # The TLS handshake takes seconds on a board.
        self._stream = await self._within(
            3 * self._timeout,
            asyncio.open_connection(host, port, ssl=context, server_hostname=host if context else None),
        )
        self._stream = self._stream[0]

    def close(self):
        if self._stream:
            self._stream.s.close()

    async def get(self, host, path, start, write):
        """Return the location of a redirect, None when all has been written."""
        request = "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: identity\r\nConnection: close\r\n" % (path, host)
        if start:
            request += "Range: bytes=%d-\r\n" % start
        self._stream.write((request + "\r\n").encode())
        await self._within(3 * self._timeout, self._stream.drain())
        try:
            status, headers = await self._head()
            if status in (301, 302, 303, 307, 308) and b"location" in headers:
                return headers[b"location"].decode()
            if status >= 500 or status == 429:
                raise OSError("HTTP status %d" % status)
            if status not in (200, 206):
                raise Refused(status)
            await self._body(status, headers, start, write)
        except (LookupError, UnicodeError):
            raise ValueError("the answer is not HTTP")

    async def _body(self, status, headers, start, write):
        length = headers.get(b"content-length")
        length = total = None if length is None else int(length)
        if length is not None and length < 0:
            raise ValueError("the answer is not HTTP")
        offset = 0
        if status == 206:
            # "bytes 100-199/200"
            begin, _, whole = headers[b"content-range"].split()[-1].partition(b"/")
            offset = int(begin.split(b"-")[0])
            total = None if whole == b"*" else int(whole)
            if offset != start:
                raise ValueError("the server sent another range than it was asked for")
        if b"chunked" in headers.get(b"transfer-encoding", b"").lower():
            while True:
                size = int((await self._line()).split(b";")[0], 16)
                if not size:
                    return
                offset = await self._pass_on(size, offset, None, write)
                await self._line()
        await self._pass_on(length, offset, total, write)

    async def _pass_on(self, size, offset, total, write):
        end = None if size is None else offset + size
        while end is None or offset < end:
            if self._begin == self._end:
                try:
                    await self._more()
                except OSError:
                    if end is None and self._over:
                        return offset
                    raise
            piece = self._view[self._begin : self._end]
            if end is not None:
                piece = piece[: end - offset]
            write(offset, piece, total)
            offset += len(piece)
            self._begin += len(piece)
        return offset

    async def _head(self):
        while True:
            lines = bytes(self._view[: self._end]).split(b"\r\n")
            if b"" in lines[:-1]:
                break
            await self._more()
        lines = lines[: lines.index(b"")]
        self._begin = sum([len(line) + 2 for line in lines]) + 2
        headers = {}
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        if not lines[0].startswith(b"HTTP/1."):
            raise LookupError
        return int(lines[0].split()[1]), headers

    async def _line(self):
        while True:
            text = bytes(self._view[self._begin : min(self._end, self._begin + 128)])
            end = text.find(b"\r\n")
            if end >= 0:
                self._begin += end + 2
                return text[:end]
            if len(text) == 128:
                raise LookupError
            await self._more()

    async def _more(self):
        view = self._view
        left = self._end - self._begin
        if self._begin:
            view[:left] = view[self._begin : self._end]
            self._begin = 0
            self._end = left
        if left == _BUFFER:
            raise ValueError("the head of the answer is over %d bytes" % _BUFFER)
        # What has arrived already is taken without a wait; but the other tasks want a turn now and then.
        self._reads += 1
        if self._reads % _READS == 0:
            await asyncio.sleep(0)
        count = self._stream.s.readinto(view[left:])
        while count is None:
            count = await self._within(self._timeout, self._stream.readinto(view[left:]))
        if not count:
            self._over = True
            raise OSError(ECONNRESET)
        self._end += count

    async def _within(self, seconds, waiting):
        try:
            return await asyncio.wait_for(waiting, seconds)
        except asyncio.TimeoutError:
            raise OSError(ETIMEDOUT)
