"""A download from an HTTP server in memory, with a TLS library that only records its host."""

import asyncio

import fast_time
from replaced import Replaced
from ujobs.download import download
from web import Web

CONTENT = bytes(range(256)) * 50
URL = "https://files.example.com/a/b?signature=1"


class Target:
    def __init__(self):
        self.data = bytearray()
        self.begun = []
        self.calls = 0
        self.total = self.etag = None

    def begin(self, offset, total, etag):
        self.begun.append(offset)
        self.total = total
        self.etag = etag

    def write(self, offset, piece):
        self.data[offset:] = bytes(piece)
        self.calls += 1


def attempt(web, target, start=0, url=URL, context="TLS", **options):
    """Download once from `web`, in fast time; return the exception, if any."""

    async def main(clock):
        downloading = download(url, target.begin, target.write, start, context=context, timeout=0.2, **options)
        with Replaced(asyncio, open_connection=web.open_connection):
            try:
                # Longer than any timeout of download().
                await asyncio.wait_for(downloading, 100)
            except Exception as error:
                return error

    return fast_time.run(main)


def fetch(answer, start=0, piece=1 << 20, data=b"", **options):
    """Download once; return the target, the server and the exception, if any."""
    web = Web(answer, piece)
    target = Target()
    target.data[:] = data
    error = attempt(web, target, start, **options)
    assert all(connection.closed for connection in web.connections)
    return target, web, error


def received(answer, **options):
    """Download without an error; return the content and the server."""
    target, web, error = fetch(answer, **options)
    assert error is None, error
    return bytes(target.data), web


def replying(answer):
    """A server that sends the same bytes to every request."""
    return lambda connection: answer


def refusal(answer, kind=ValueError, **options):
    """Download from a server that always sends this, and return the exception, which must be of that type; nothing is
    written."""
    target, web, error = fetch(replying(answer), **options)
    assert isinstance(error, kind), (answer, error)
    assert not target.calls, answer
    return error
