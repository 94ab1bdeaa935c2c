"""`download()` from an HTTP server in memory: whole files, ranges, chunks, connections that end or stall."""

import asyncio
from errno import ECONNRESET, ETIMEDOUT

import fast_time
import ujobs.download
from downloads import CONTENT, URL, Target, attempt, fetch, received, refusal, replying
from replaced import Replaced
from ujobs.download import download
from web import File, Web, head


def test_a_whole_file_arrives_with_its_size():
    target, web, error = fetch(File(CONTENT))
    assert error is None
    assert bytes(target.data) == CONTENT
    assert target.total == len(CONTENT)
    assert web.connections[0].target == ("files.example.com", 443, "TLS")
    assert web.connections[0].request.startswith(b"GET /a/b?signature=1 HTTP/1.1\r\nHost: files.example.com\r\n")


def test_a_fragmented_heap_is_enough():
    def bytearray_of_little_memory(size):
        if size > 1024:
            raise MemoryError
        return bytearray(size)

    with Replaced(ujobs.download, bytearray=bytearray_of_little_memory):
        target, _, error = fetch(File(CONTENT))
    assert error is None
    assert bytes(target.data) == CONTENT
    assert target.calls >= len(CONTENT) // 1024


def test_replies_cut_anywhere_are_joined():
    for piece in (1, 2, 3, 7, 100, 4095, 4097):
        assert received(File(CONTENT[:3000]), piece=piece)[0] == CONTENT[:3000]


def test_other_tasks_run_after_every_fourth_read():
    turns = [0]

    class Beside(Target):
        def begin(self, offset, total, etag):
            super().begin(offset, total, etag)
            asyncio.create_task(self.beside())  # noqa: RUF006

        async def beside(self):
            while len(self.data) < len(CONTENT):
                turns[0] += 1
                await asyncio.sleep(0)

    assert attempt(Web(File(CONTENT), 128), Beside()) is None
    assert len(CONTENT) == 100 * 128
    assert 23 <= turns[0] <= 27, turns


def test_a_download_resumes_with_a_range_request():
    target, web, error = fetch(File(CONTENT), start=5000, data=CONTENT[:5000])
    assert error is None
    assert bytes(target.data) == CONTENT
    assert target.total == len(CONTENT)
    assert web.connections[0].header("Range") == "bytes=5000-"


def test_a_server_without_ranges_starts_again_at_0():
    assert received(File(CONTENT, ranges=False), start=5000, data=b"other" * 1000)[0] == CONTENT


def test_a_connection_that_ends_early_is_an_oserror_and_keeps_the_received_bytes():
    server = File(CONTENT)
    server.breaks_at = [6000]
    target, _, error = fetch(server)
    assert isinstance(error, OSError)
    assert bytes(target.data) == CONTENT[:6000]


def test_a_connection_closed_within_the_headers_is_noticed_at_once():
    for answer in (b"", b"HTTP/1.1 200 OK\r\nContent-", head(200, {"Transfer-Encoding": "chunked"}) + b"5"):
        assert refusal(answer, OSError).args[0] == ECONNRESET, answer


def test_a_stalled_server_times_out():
    stalls = [b"", b"HTTP/1.1 200 OK\r\n", head(200, {"Content-Length": 10}) + b"12345"]
    for answer in stalls:
        _, _, error = fetch(lambda connection, answer=answer: (answer, False))
        assert isinstance(error, OSError), answer


def test_a_connection_may_take_three_times_the_timeout():
    async def open_connection(*arguments, **named):
        await asyncio.sleep(1000)

    async def main(clock):
        target = Target()
        with Replaced(asyncio, open_connection=open_connection):
            try:
                await download(URL, target.begin, target.write, context="TLS", timeout=5)
            except OSError as error:
                return clock.seconds(), error.args[0]

    assert fast_time.run(main) == (15, ETIMEDOUT)


def test_a_server_that_stalls_is_given_up_within_twice_the_timeout():
    for answer in (b"HTTP/1.1 200 OK\r\n", head(200, {"Content-Length": 10}) + b"12345"):

        async def main(clock, answer=answer):
            web = Web(lambda connection: (answer, False))
            target = Target()
            with Replaced(asyncio, open_connection=web.open_connection):
                try:
                    await download(URL, target.begin, target.write, context="TLS")
                except OSError:
                    return clock.seconds()

        assert 10 <= fast_time.run(main) <= 20.5


def test_a_cancelled_download_is_never_taken_for_a_timeout():
    for tenths in range(1, 5):
        web = Web(lambda connection: (head(200, {"Content-Length": 10}) + b"12345", False))

        async def main(clock, web=web, tenths=tenths):
            target = Target()
            with Replaced(asyncio, open_connection=web.open_connection):
                task = asyncio.create_task(download(URL, target.begin, target.write, context="TLS", timeout=0.25))
                await asyncio.sleep(tenths / 10)
                task.cancel()
                try:
                    await task
                except asyncio.CancelledError:
                    # Without `start` it begins with the first byte.
                    return web.connections[0].header("Range")
            raise AssertionError("not cancelled")

        assert fast_time.run(main) is None


def chunked(pieces, trailer=b""):
    body = b"".join([b"%x;name=value\r\n" % len(piece) + piece + b"\r\n" for piece in pieces])
    return head(200, {"Transfer-Encoding": "chunked"}) + body + b"0\r\n" + trailer + b"\r\n"


def test_chunks_are_joined():
    pieces = [CONTENT[:1], CONTENT[1:5000], CONTENT[5000:]]
    for size in (1 << 20, 1, 5):
        assert received(replying(chunked(pieces)), piece=size)[0] == CONTENT
    _, _, error = fetch(replying(chunked([CONTENT])[:-20]))
    assert isinstance(error, OSError)
    # The names of transfer codings are case-insensitive.
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n4\r\nfour\r\n0\r\n\r\n"
    assert received(replying(answer))[0] == b"four"


def test_a_reply_without_length_ends_with_the_connection():
    target, _, error = fetch(replying(head(200, {}) + CONTENT))
    assert error is None
    assert bytes(target.data) == CONTENT
    assert target.total is None


def test_a_reply_without_length_is_refused_where_a_cut_would_not_be_noticed():
    target, _, error = fetch(lambda connection: head(200, {}) + CONTENT, strict=True)
    assert isinstance(error, ValueError)
    assert not target.data
    for answer in (head(200, {"Content-Length": len(CONTENT)}) + CONTENT, chunked([CONTENT])):
        target, _, error = fetch(lambda connection, answer=answer: answer, strict=True)
        assert error is None
        assert bytes(target.data) == CONTENT


def test_a_connection_reset_does_not_end_a_reply_without_length():
    class Reset(Web):
        async def open_connection(self, *arguments, **named):
            stream, _ = await super().open_connection(*arguments, **named)
            take = stream.take

            def cut(view):
                if not stream.answer:
                    raise OSError(ECONNRESET)
                return take(view)

            stream.take = cut
            return stream, stream

    web = Reset(lambda connection: b"HTTP/1.1 200 OK\r\n\r\nhalf")
    assert isinstance(attempt(web, Target()), OSError)
