"""Streams over MQTT in both forms, JSON and CBOR, without a connection: topics and payloads."""

import base64
import json
from typing import Any

import cbor2
import pytest
from test_streams_engine import CONTENT, engine_with_stream

from ujobs_tools.service import streams_api

FORMS = pytest.mark.parametrize("form", ["json", "cbor"])


def ask(form: str, operation: str, request: Any) -> list[tuple[str, Any]]:
    """(kind, decoded payload) of the messages that answer a request; bytes are sent unchanged."""
    if not isinstance(request, bytes):
        request = cbor2.dumps(request) if form == "cbor" else json.dumps(request).encode()
    found = []
    for topic, payload in streams_api.handle(engine_with_stream(), "kiln", f"app-2/{operation}/{form}", request):
        prefix, kind, form_of_reply = topic.rsplit("/", 2)
        assert (prefix, form_of_reply) == ("$aws/things/kiln/streams/app-2", form)
        members = cbor2.loads(payload) if form == "cbor" else json.loads(payload)
        if form == "json" and "p" in members:
            members["p"] = base64.b64decode(members["p"], validate=True)
        found.append((kind, members))
    return found


@FORMS
def test_a_stream_is_described(form: str) -> None:
    described = {"c": "token", "s": 1, "d": "text", "r": [{"f": 0, "z": 0}, {"f": 3, "z": len(CONTENT)}]}
    assert ask(form, "describe", {"c": "token"}) == [("description", described)]


@FORMS
def test_a_bitmap_chooses_blocks(form: str) -> None:
    request = {"c": "t", "f": 3, "l": 256, "o": 2, "n": 8, "b": "0x05" if form == "json" else b"\x05"}
    assert ask(form, "get", request) == [
        ("data", {"c": "t", "f": 3, "l": 256, "i": index, "p": CONTENT[index * 256 : (index + 1) * 256]})
        for index in (2, 4)
    ]


@pytest.mark.parametrize(
    ("form", "request_members", "code"),
    [
        ("json", b"\xff\xfe", "InvalidJson"), ("json", b"[1]", "InvalidRequest"),
        ("json", {"f": 3, "l": 256, "b": "xyz"}, "InvalidRequest"),
        ("json", {"f": 3, "l": 256, "b": 5}, "InvalidRequest"),
        ("cbor", b"\xff\xfe", "InvalidCbor"), ("cbor", {"f": 3, "l": 256, "b": "05"}, "InvalidRequest"),
        ("json", {"c": "x" * 65, "f": 3, "l": 256}, "InvalidRequest"),
        ("cbor", {"f": 3, "l": 100}, "BlockSizeOutOfBounds"),
    ],
)
def test_refusals_say_why(form: str, request_members: Any, code: str) -> None:
    ((kind, found),) = ask(form, "get", request_members)
    assert (kind, found["o"]) == ("rejected", code)
    assert found["m"]
