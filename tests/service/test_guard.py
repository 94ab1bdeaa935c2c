"""Foreign web pages cannot use the HTTP API: what browsers send for them is refused and changes nothing."""

import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from http_service import Server
from service_process import serving

JSON = {"Content-Type": "application/json"}


def send(
    server: Server | str, method: str, path: str, headers: dict[str, str], body: str | None = None
) -> tuple[int, str]:
    """Send a request; returns status and message. server: or its "host:port". headers: default Host is the server's."""
    netloc = server if isinstance(server, str) else urlsplit(server.url).netloc
    connection = http.client.HTTPConnection(netloc, timeout=10)
    try:
        connection.request(method, path, body, headers)
        reply = connection.getresponse()
        return reply.status, json.loads(reply.read()).get("message", "")
    finally:
        connection.close()


def things(server: Server) -> list[str]:
    return [thing["thingName"] for thing in server.iot.list_things()["things"]]


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        ({"Origin": "https://page.example"}, "Origin 'https://page.example'"),
        ({"Origin": "null"}, "Origin 'null'"),
        ({"Origin": "http://localhost:3000"}, "Origin 'http://localhost:3000'"),
        ({"Origin": "http://127.0.0.1"}, "Origin 'http://127.0.0.1'"),
        ({"Sec-Fetch-Site": "cross-site"}, "Sec-Fetch-Site 'cross-site'"),
        ({"Sec-Fetch-Site": "same-site"}, "Sec-Fetch-Site 'same-site'"),
        ({"Sec-Fetch-Site": "Cross-Site", "Sec-Fetch-Mode": "navigate"}, "Sec-Fetch-Site 'cross-site'"),
        ({"Host": "page.example"}, "Host 'page.example'"),
        ({"Host": "page.example:8080"}, "--name"),
        ({"Host": "localhost.page.example"}, "Host"),
        ({"Host": "user@localhost"}, "Host"),
        ({"Host": "localhost/"}, "Host"),
        ({"Host": "localhost:port"}, "Host"),
        ({"Host": ""}, "Host"),
        ({"Host": "10.1.2.3"}, "Host"),
    ],
)
def test_requests_of_foreign_pages_are_refused(server: Server, headers: dict[str, str], named: str) -> None:
    for method, path in (("POST", "/things/stolen"), ("GET", "/things"), ("OPTIONS", "/things")):
        status, message = send(server, method, path, JSON | headers, "{}" if method == "POST" else None)
        assert status == 403
        assert named in message
    assert "stolen" not in things(server)


@pytest.mark.parametrize("path", ["/ca.pem", "/_ujobs/executions/kiln/a/history"])
def test_the_services_own_paths_are_guarded_as_well(server: Server, path: str) -> None:
    assert send(server, "GET", path, {"Host": "page.example"})[0] == 403


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain; charset=utf-8"],
)
def test_a_form_changes_nothing(server: Server, content_type: str) -> None:
    status, message = send(server, "POST", "/things/stolen", {"Content-Type": content_type}, "{}")
    assert status == 403
    assert "application/json" in message
    assert "stolen" not in things(server)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Host": "LOCALHOST"},
        {"Host": "localhost:1"},
        {"Host": "kiln.localhost:8080"},
        {"Host": "127.0.0.2"},
        {"Host": "0.0.0.0:8080"},
        {"Host": "[::1]:8080"},
        {"Sec-Fetch-Site": "none"},
        {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"},
        {"Host": "[::1]:8080", "Origin": "http://[::1]:8080"},
    ],
)
def test_programs_and_its_own_page_are_served(server: Server, headers: dict[str, str]) -> None:
    assert send(server, "GET", "/things", headers)[0] == 200
    assert send(server, "POST", "/things/kiln", JSON | headers, "{}")[0] == 200


SIGNED = "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


def test_requests_that_no_form_can_send_may_have_any_content_type(server: Server) -> None:
    # PutObject sends the object's content type, and so does a presigned URL.
    plain = {"Content-Type": "text/plain"}
    assert send(server, "POST", "/things/kiln", plain | {"Authorization": SIGNED.format("iot")}, "{}")[0] == 200
    assert send(server, "PATCH", "/things/kiln", plain, "{}")[0] == 200


def test_a_signature_does_not_admit_a_page(server: Server) -> None:
    signed = JSON | {"Authorization": SIGNED.format("iot")}
    for headers in ({"Origin": "https://page.example"}, {"Host": "page.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert send(server, "POST", "/things/stolen", signed | headers, "{}")[0] == 403
    asked_first = {"Origin": "https://page.example", "Access-Control-Request-Headers": "authorization"}
    assert send(server, "OPTIONS", "/things/stolen", asked_first)[0] == 403
    assert "stolen" not in things(server)


def test_a_request_without_a_body_needs_no_content_type(server: Server) -> None:
    assert send(server, "POST", "/things/kiln", {})[0] == 200


def test_a_link_on_another_site_leads_to_the_page_and_to_nothing_else(tmp_path: Path) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    with serving(tmp_path) as service:
        server = urlsplit(service.found["http"]).netloc
        assert page_status(server, link) == 200
        assert page_status(server, link | {"Sec-Fetch-Dest": "iframe"}) == 403
        assert page_status(server, link | {"Host": "page.example"}) == 403
        assert send(server, "GET", "/things", link)[0] == 403


def page_status(server: str, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection(server, timeout=10)
    try:
        connection.request("GET", "/", headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_the_names_given_to_serve_are_its_own(tmp_path: Path) -> None:
    with serving(tmp_path, "--name", "kilns.example", "--host", "127.0.0.2") as service:
        server = urlsplit(service.found["http"]).netloc
        for host, status in (("kilns.example", 200), ("KILNS.example:80", 200), ("page.example", 403)):
            assert send(server, "GET", "/things", {"Host": host})[0] == status


def test_the_data_folder_is_readable_by_its_owner_only(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "jobs.sqlite").touch(0o644)
    with serving(tmp_path, "--data", data):
        files = [path for path in data.rglob("*") if path.is_file() and path.suffix != ".pem"]
        keys = [path for path in data.rglob("*") if path.is_file() and b"PRIVATE KEY" in path.read_bytes()]
        assert {"jobs.sqlite", "jobs.sqlite-wal"} <= {path.name for path in files}
        assert keys
        assert {path.stat().st_mode & 0o777 for path in [*files, *keys]} == {0o600}
