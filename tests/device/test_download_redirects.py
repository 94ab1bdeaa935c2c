"""`download()` follows redirects, relative ones too, but never away from TLS; and which URLs it refuses."""

from downloads import CONTENT, URL, fetch, received, refusal, replying
from web import File, head


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


def test_schemes_are_case_insensitive_and_plain_http_opens_no_tls():
    for url, target in (
        ("HTTPS://files.example.com/", ("files.example.com", 443, "TLS")),
        ("Http://files.example.com", ("files.example.com", 80, None)),
        ("http://files.example.com:8000/a", ("files.example.com", 8000, None)),
        ("http://files.example.com:1/a", ("files.example.com", 1, None)),
        ("https://files.example.com:65535/a", ("files.example.com", 65535, "TLS")),
    ):
        assert received(File(CONTENT), url=url)[1].connections[0].target == target
