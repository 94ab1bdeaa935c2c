"""What `download()` makes of the head of a response: statuses, lengths, ranges, encodings, validators."""

import asyncio

from downloads import CONTENT, Target, attempt, fetch, received, refusal, replying
from ujobs.download import Refused
from web import File, Web, head


def test_headers_of_any_size_are_accepted():
    # As for release files on GitHub: a long policy, and a redirect to a presigned URL.
    def answer(connection):
        if b"/a/b" not in connection.request:
            return File(CONTENT)(connection)
        fields = {"Content-Security-Policy": "x" * 9000}
        fields.update({"X-%d" % number: "y" * 200 for number in range(50)})
        fields["Location"] = "https://other.example.com/" + "z" * 3000
        return head(302, fields)

    for piece in (1 << 20, 100, 4096, 4097):
        data, web = received(answer, piece=piece)
        assert data == CONTENT
        assert len(web.connections[1].request) > 3000
    assert "4096 bytes" in str(refusal(head(302, {"Location": "/" + "z" * 5000})))


def test_a_server_of_another_protocol_is_refused():
    for protocol in (b"RTSP/1.0", b"HTTP/2.0", b"ICYX/1.1"):
        refusal(protocol + b" 200 OK\r\nContent-Length: 4\r\n\r\nfour")


def test_what_comes_before_the_response_is_skipped():
    early = head(103, {"Link": "</style.css>"}) + head(100, {})
    assert received(lambda connection: early + File(CONTENT)(connection))[0] == CONTENT


def test_the_headers_as_a_whole_have_a_timeout():
    class Trickling(Web):
        async def open_connection(self, *arguments, **named):
            stream, _ = await super().open_connection(*arguments, **named)

            async def readinto(view):
                await asyncio.sleep(0.02)
                stream.answer += b"X: y\r\n"
                return stream.take(view)

            stream.readinto = readinto
            return stream, stream

    web = Trickling(lambda connection: (b"HTTP/1.1 200 OK\r\n", False))
    # The timeout of download(), not that of the test.
    error = attempt(web, Target())
    assert isinstance(error, OSError)
    assert not isinstance(error, asyncio.TimeoutError)
    assert web.connections[0].closed


def test_encoded_bodies_are_refused_by_name():
    for name in ("Content-Encoding", "Transfer-Encoding"):
        assert name + " gzip" in str(refusal(head(200, {name: "gzip", "Content-Length": 4}) + b"four"))
    for coding in ("identity", ""):
        received(replying(head(200, {"Content-Encoding": coding, "Content-Length": 4}) + b"four"))
    # The body of a redirect is ignored, and so is its encoding.
    assert fetch(replying(head(302, {"Location": "/x", "Content-Encoding": "gzip"})))[1].connections[1:]


def test_lengths_and_ranges_are_checked():
    chunk = {"Transfer-Encoding": "chunked"}
    for answer in (
        head(200, {"Content-Length": 2**53}), head(200, {"Content-Length": "9" * 40}),
        head(200, {"Content-Length": -1}), head(200, {"Content-Length": "many"}),
        head(206, {"Content-Range": "bytes 0-3/-4"}) + b"four", head(206, {"Content-Range": "bytes -1-3/4"}) + b"four",
        head(206, {"Content-Length": 1}) + b"x", head(206, {"Content-Length": 1, "Content-Range": ""}) + b"x",
        head(200, chunk) + b"-4\r\nfour\r\n0\r\n\r\n", head(200, chunk) + b"20000000000000\r\nfour",
        head(200, chunk) + b"zz\r\n",
    ):
        refusal(answer)
    # Other ranges than the requested one.
    refusal(head(206, {"Content-Length": 3, "Content-Range": "bytes 7-9/100"}) + b"abc", start=5)
    for span in ("bytes 5-2/*", "bytes 5-*/*", "bytes 5/*", "bytes */*", "bytes 5-7/4"):
        refusal(head(206, {"Content-Range": span}) + b"abc", start=5)


def test_a_partial_range_does_not_end_the_download():
    answer = head(206, {"Content-Length": 3, "Content-Range": "bytes 5-7/100"}) + b"abc"
    target, _, error = fetch(lambda connection: answer, start=5)
    assert isinstance(error, OSError)
    assert bytes(target.data[-3:]) == b"abc"


def test_a_range_of_a_file_of_unknown_size_is_read_to_its_end():
    for fields in ({}, {"Content-Length": 3}):
        fields["Content-Range"] = "bytes 5-7/*"
        for body in (b"abc", b"ab", b""):
            answer = head(206, fields) + body
            target, _, error = fetch(lambda connection, answer=answer: answer, start=5)
            assert error is None if body == b"abc" else isinstance(error, OSError), (fields, body, error)
            assert target.total == 8


def test_only_strong_validators_are_used():
    for etag, found in (('"1"', '"1"'), ('W/"1"', None), (None, None)):
        headers = {"Content-Length": 4}
        if etag:
            headers["ETag"] = etag
        target, _, _ = fetch(lambda connection, headers=headers: head(200, headers) + b"four")
        assert target.etag == found
    _, web, _ = fetch(File(CONTENT), start=5000, data=CONTENT[:5000], etag='"1"')
    assert web.connections[0].header("If-Range") == '"1"'
    _, web, _ = fetch(File(CONTENT), etag='"1"')
    assert web.connections[0].header("If-Range") is None


def test_an_error_status_is_a_valueerror_with_the_status_if_a_retry_would_not_help():
    for status in (400, 403, 404, 410, 416, 204):
        error = refusal(head(status, {"Content-Length": 0}), Refused)
        assert error.status == status
        assert str(status) in str(error)
    for status in (407, 409, 428, 430, 499):
        refusal(head(status, {}), Refused)
    for status in (408, 429, 500, 503):
        refusal(head(status, {}), OSError)


def test_what_is_not_http_is_an_error():
    for answer in (
        b"SSH-2.0 200 OpenSSH\r\n\r\nx", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\r\n\r\n", b"\x00" * 5000,
        head(200, {"Transfer-Encoding": "chunked"}) + b"1" * 200,
    ):
        refusal(answer, (ValueError, OSError))
