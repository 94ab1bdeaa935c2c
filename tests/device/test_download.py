"""`download()` from an HTTP server in memory: ranges, redirects, chunks, and servers and links that fail."""

import asyncio
from errno import ECONNRESET

import fast_time
import ujobs.download
from replaced import Replaced
from ujobs.download import Refused, download
from web import File, Web, head

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


def test_redirects_are_followed():
    def answer(connection):
        path = connection.request.split()[1]
        if path == b"/a/b?signature=1":
            return head(302, {"Location": "https://other.example.com:8443/c"})
        if path == b"/c":
            return head(307, {"LOCATION": "/d"})
        return File(CONTENT)(connection)

    data, web = received(answer)
    assert data == CONTENT
    assert web.connections[1].target == ("other.example.com", 8443, "TLS")
    assert web.connections[1].header("Host") == "other.example.com:8443"
    assert web.connections[2].request.startswith(b"GET /d ")


def test_the_server_certificate_must_have_the_host_name():
    _, web, _ = fetch(lambda connection: head(302, {"Location": "https://other.example.com/c"}))
    assert [connection.name for connection in web.connections[:2]] == ["files.example.com", "other.example.com"]


def test_redirects_may_be_relative():
    for location, host, path in (
        ("//other.example.com/c?d", b"other.example.com", b"/c?d"), ("/c", b"files.example.com", b"/c"),
        ("c", b"files.example.com", b"/a/c"), ("./c", b"files.example.com", b"/a/c"),
        ("../c", b"files.example.com", b"/c"), ("../../c", b"files.example.com", b"/c"),
        ("?c=1", b"files.example.com", b"/a/b?c=1"), ("c?d=//e", b"files.example.com", b"/a/c?d=//e"),
        ("HTTPS://other.example.com", b"other.example.com", b"/"),
        ("https://other.example.com?c", b"other.example.com", b"/?c"), ("c#part", b"files.example.com", b"/a/c"),
    ):

        def answer(connection, location=location):
            return File(CONTENT)(connection) if connection.web.connections[1:] else head(302, {"Location": location})

        web = received(answer)[1]
        request = web.connections[1].request
        assert request.startswith(b"GET " + path + b" HTTP/1.1\r\nHost: " + host + b"\r\n"), request


def test_a_relative_redirect_keeps_all_folders_but_those_that_it_leaves():
    for location, path in (("f", b"/a/b/c/f"), ("../f", b"/a/b/f"), ("../../f", b"/a/f"), ("/d/e/../f", b"/d/f")):

        def answer(connection, location=location):
            return File(CONTENT)(connection) if connection.web.connections[1:] else head(302, {"Location": location})

        web = received(answer, url="https://files.example.com/a/b/c/d")[1]
        assert web.connections[1].request.startswith(b"GET " + path + b" HTTP/1.1\r\n"), web.connections[1].request


def test_a_location_without_a_redirect_is_no_redirect():
    answer = head(200, {"Location": "https://other.example.com/", "Content-Length": 4}) + b"four"
    data, web = received(replying(answer))
    assert data == b"four"
    assert len(web.connections) == 1


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


def test_reasons_name_the_fault_and_the_host():
    for url, fault in (
        ("", "scheme"), ("files.example.com/a", "scheme"), ("ftp://h/", "scheme"), ("https:///a", "host"),
        ("https://", "host"), ("https://h/a b", "blank"), ("https://h/a\r\nX: y", "blank"), ("https://h:0/", "port"),
        ("https://h:70000/", "port"), ("https://h:65536/", "port"), ("https://h:x/", "port"),
        ("https://u@h/", "user name"), ("http://[::1]:8555/", "IPv6"), ("https://[2001:db8::1]/", "IPv6"),
        ("https://h/\xe4", "ASCII"), ("https://h\xf6st/", "ASCII"),
    ):
        _, web, error = fetch(File(CONTENT), url=url)
        assert isinstance(error, ValueError), url
        assert str(error).startswith("url: ") and fault in str(error), (url, error)
        assert not web.connections
        if ":" in url:
            assert str(refusal(head(302, {"Location": url}))).startswith("redirect: "), url


def test_the_number_of_redirects_is_limited():
    _, web, error = fetch(lambda connection: head(302, {"Location": "/again"}))
    assert isinstance(error, ValueError)
    assert len(web.connections) == 6


def test_a_redirect_away_from_tls_is_refused():
    for location in ("http://files.example.com/a", "ftp://files.example.com/a", "HTTP://files.example.com/a"):
        _, web, error = fetch(lambda connection, location=location: head(302, {"Location": location}))
        assert isinstance(error, ValueError)
        assert len(web.connections) == 1


def test_https_without_a_context_is_refused_also_after_a_redirect():
    for url in (URL, "http://files.example.com/a"):
        _, web, error = fetch(lambda connection: head(302, {"Location": URL}), url=url, context=None)
        assert isinstance(error, ValueError)
        assert "TLS" in str(error)
        assert not [connection for connection in web.connections if connection.target[1] == 443]


def test_an_error_status_is_a_valueerror_with_the_status_if_a_retry_would_not_help():
    for status in (400, 403, 404, 410, 416, 204):
        error = refusal(head(status, {"Content-Length": 0}), Refused)
        assert error.status == status
        assert str(status) in str(error)
    for status in (429, 500, 503):
        refusal(head(status, {}), OSError)


def test_what_is_not_http_is_an_error():
    for answer in (
        b"SSH-2.0 200 OpenSSH\r\n\r\nx", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 abc OK\r\n\r\n", b"\r\n\r\n", b"\x00" * 5000,
        head(200, {"Transfer-Encoding": "chunked"}) + b"1" * 200,
    ):
        refusal(answer, (ValueError, OSError))


def test_schemes_are_case_insensitive_and_plain_http_opens_no_tls():
    for url, target in (
        ("HTTPS://files.example.com/", ("files.example.com", 443, "TLS")),
        ("Http://files.example.com", ("files.example.com", 80, None)),
        ("http://files.example.com:8000/a", ("files.example.com", 8000, None)),
        ("http://files.example.com:1/a", ("files.example.com", 1, None)),
        ("https://files.example.com:65535/a", ("files.example.com", 65535, "TLS")),
    ):
        assert received(File(CONTENT), url=url)[1].connections[0].target == target
