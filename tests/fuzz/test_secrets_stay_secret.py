"""However a job with a secret ends, the secret is in no console line and in no status detail."""

from collections.abc import Callable
from typing import Any

import pytest
from documents import CONTENT, SECRET, handed_in
from fuzzed_board import folder_for_boards
from fuzzing import printed

from web import File, head

FOUND = File(CONTENT)


def answer(status: int, body: bytes = b"", **headers: Any) -> Callable[[Any], bytes]:
    return lambda connection: head(status, {name.replace("_", "-"): value for name, value in headers.items()}) + body


ANSWERS = {
    "found": FOUND,
    "other content": answer(200, b"other"),
    "403": answer(403),
    "404": answer(404),
    "500": answer(500),
    "redirected for ever": answer(302, Location="/y?" + SECRET),
    "redirected to nowhere": answer(302, Location="nowhere?" + SECRET),
    "not HTTP": lambda connection: SECRET.encode() + b"\r\n\r\n",
    "wrong length": answer(200, b"", Content_Length="x"),
    "wrong range": answer(206, b"", Content_Range="x"),
    "wrong chunk": answer(200, b"x\r\n", Transfer_Encoding="chunked"),
    "nothing": lambda connection: b"",
    "half of it": lambda connection: FOUND(connection)[:2000],
}
URLS = ["http://files/x?", "https://files/x?", "ftp://files/x?", "http://files:port/x?", "http://a b/?", "x?", "http://@/?"]
SETTINGS: list[Any] = [
    {"wifi": {"ssid": "barn", "password": SECRET}}, {"wifi": SECRET}, {"host": [SECRET]}, {"thing": SECRET},
    [SECRET], SECRET,
]


def ends(document: dict[str, Any], answer: Any = FOUND) -> str:
    """Run the job and return its status. Check that nothing that left the board contains the secret."""
    printed.clear()
    with folder_for_boards() as make:
        board = make(answer)
        board.cloud.queue("tried", document | {"signature": SECRET})
        if "fetch" in document:
            document["fetch"][0]["path"] = board.folder + "/data/new"
        board.work()
    assert any("job tried" in line for line in printed)
    told = [str(update.get("statusDetails")) for update in board.cloud.updates()]
    assert not [line for line in (*printed, *told) if SECRET in line or "0f1e2d3c" in line]
    return board.cloud.statuses()[0]


def source(url: str) -> dict[str, Any]:
    return handed_in("") | {"url": url + SECRET}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_url_of_a_file(name: str) -> None:
    status = ends({"operation": "files", "fetch": [source(URLS[0])]}, ANSWERS[name])
    assert status == ("SUCCEEDED" if name in ("found", "half of it") else "FAILED")


@pytest.mark.parametrize("url", URLS[1:])
def test_an_invalid_url(url: str) -> None:
    assert ends({"operation": "files", "fetch": [source(url)]}) in ("FAILED", "REJECTED")


def test_the_url_of_an_application() -> None:
    files = [source(URLS[0]) | {"path": "app.py"}]
    assert ends({"operation": "app", "files": files}) == "SUCCEEDED"
    assert ends({"operation": "app", "files": files}, ANSWERS["404"]) == "FAILED"


def test_the_url_of_a_step() -> None:
    action = {"type": "runHandler", "input": {"handler": "download-file", "args": [URLS[1] + SECRET, "/data/new"]}}
    assert ends({"version": "1.0", "steps": [{"action": action}]}) == "REJECTED"


@pytest.mark.parametrize("changed", SETTINGS)
def test_settings(changed: Any) -> None:
    status = ends({"operation": "settings", "set": changed})
    assert status in ("SUCCEEDED", "REJECTED")


def test_an_invalid_document() -> None:
    assert ends({"operation": "unknown", "url": URLS[0] + SECRET}) == "REJECTED"
    assert ends({"url": URLS[0] + SECRET}) == "REJECTED"
