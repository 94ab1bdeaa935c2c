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
_NEWLINE = const(10)
_ENDLESS = const(1 << 53)  # bytes; a length is less
# The fields of a response that matter, in the order in which ask() returns them.
_FIELDS = (b"location", b"content-length", b"content-range", b"content-encoding", b"transfer-encoding", b"etag")
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
    try:
        buffer = bytearray(_BUFFER)
    except MemoryError:
        # The heap of a busy board may have no larger free block.
        buffer = bytearray(_SHORT)
    view = memoryview(buffer)
    at = end = 0  # of what has been read into it and not been used
    stream = None
    reads = 0  # since other tasks had their turn
    rounds = 0  # that the guard still waits before it gives up; -1 once it has
    what = "url"

    async def guard(task):
        """Cancel the task when no data has come for too long: one timer for all reads, which costs them nothing."""
        nonlocal rounds
        while rounds:
            rounds -= 1
            await asyncio.sleep(timeout)
        rounds = -1
        task.cancel()

    async def more():
        """Read into the buffer, which has been used up; return how many bytes, 0 when the server has closed."""
        nonlocal at, end, reads
        at = 0
        reads += 1
        end = stream.s.readinto(view)
        while end is None:
            reads = 0
            end = await stream.readinto(view)
        if reads == _READS:
            reads = 0
            await asyncio.sleep(0)
        return end

    async def line():
        """Return the next line without its end; of a longer one only the first 4096 bytes."""
        nonlocal at
        text = bytearray(0)
        while True:
            if at == end and not await more():
                raise OSError(ECONNRESET)
            byte = view[at]
            at += 1
            if byte == _NEWLINE:
                return bytes(text).strip()
            if len(text) < _BUFFER:
                text.append(byte)

    async def ask():
        """Connect and send the request; return the status of the response, and those of its fields that matter."""
        nonlocal stream, rounds, at, end
        secure, authority, host, port, path = split_url(url)
        if secure and not context:
            raise ValueError("https needs a TLS context")
        if stream:
            stream.s.close()
        rounds = 3
        at = end = 0
        stream, _ = await asyncio.open_connection(
            host, port, ssl=context if secure else None, server_hostname=host
        )
        request = "GET %s HTTP/1.1\r\nHost: %s\r\nAccept-Encoding: identity\r\nConnection: close\r\n" % (
            path, authority
        )
        if start:
            request += "Range: bytes=%d-\r\n" % start
            if etag:
                request += "If-Range: %s\r\n" % etag
        stream.write((request + "\r\n").encode())
        await stream.drain()
        rounds = 1
        while True:
            text = await line()
            if text[:7] != b"HTTP/1.":
                raise ValueError
            status = _number(text[9:12])
            fields = [""] * len(_FIELDS)
            while text:
                text = await line()
                name, _, value = text.partition(b":")
                name = name.lower()
                if name in _FIELDS:
                    if len(text) == _BUFFER:
                        raise ValueError("%s is over 4096 bytes" % name.decode())
                    fields[_FIELDS.index(name)] = value.strip().decode()
            if status >= 200:  # after a 1xx the response itself follows
                return status, fields

    async def body(status, length, span, coding, transfer, tag):
        """Write the body of a response, if it is the file or the part that was asked for."""
        nonlocal rounds, at
        if status >= 500 or status in (408, 429):
            raise OSError("HTTP status %d" % status)
        if status not in (200, 206):
            error = Refused("HTTP status %d" % status)
            error.status = status
            raise error
        if coding.lower() not in ("", "identity"):
            raise ValueError("stored with Content-Encoding " + coding)
        if transfer.lower() not in ("", "chunked"):
            raise ValueError("Transfer-Encoding " + transfer)
        offset = 0
        total = _number(length) if length else None
        if status == 206:
            # "bytes 100-199/200"
            span, _, size = span.split(" ")[-1].partition("/")
            first, _, last = span.partition("-")
            offset = _number(first)
            # Without the file's size the range, which was asked for to the end, says where that is.
            total = _number(last) + 1 if size == "*" else _number(size)
            if not start == offset <= total:
                raise ValueError("not the range requested")
        if strict and total is None and not transfer:
            raise ValueError("without Content-Length the job needs size or sha256")
        begin(offset, total, tag if tag[:1] == '"' else None)
        until = _ENDLESS if total is None else total
        while True:
            if transfer:
                until = offset + _number((await line()).split(b";")[0], 16)
                if until == offset:
                    break
            while offset < until:
                if at == end:
                    rounds = 1
                    if not await more():
                        break
                piece = view[at : min(end, at + until - offset)]
                write(offset, piece)
                offset += len(piece)
                at += len(piece)
            if not transfer:
                break
            await line()
        if total is not None and offset < total:
            raise OSError(ECONNRESET)

    timer = asyncio.create_task(guard(asyncio.current_task()))
    try:
        for _ in range(_MAX_REDIRECTS + 1):
            status, fields = await ask()
            location = fields.pop(0)
            if not location or status // 100 != 3:
                await body(status, *fields)
                return
            what = "redirect"
            location = _absolute(url, location)
            if url[:5].lower() == "https" != location[:5].lower():
                raise ValueError("it leaves https")
            url = location
        raise ValueError("more than %d" % _MAX_REDIRECTS)
    except Refused:
        raise
    except ValueError as error:
        # A server's certificate that does not verify is a ValueError, too.
        raise ValueError("%s: %s" % (what, str(error).strip() or "the response is not HTTP"))
    except asyncio.CancelledError:
        if rounds < 0:
            raise OSError(ETIMEDOUT)
        raise
    finally:
        timer.cancel()
        if stream:
            stream.s.close()


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
    if host[:1] in ("", "[") or "@" in authority:
        raise ValueError("no host, a user name or IPv6")
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
        for name in path.lstrip("/").split("/"):
            if name == "..":
                parts[1:] = parts[1:-1]
            elif name != ".":
                parts.append(name)
    return scheme + "://" + "/".join(parts) + mark + query


def _number(text, base=10):
    # int() accepts a sign, and raises an error with a text of its own.
    try:
        number = int(text, base)
    except ValueError:
        number = -1
    if number >> 53:  # negative, or beyond what JSON's numbers are exact for
        raise ValueError
    return number
