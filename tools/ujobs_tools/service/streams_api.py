"""Streams over MQTT ("MQTT-based file delivery"): takes a thing's request, yields the messages of the reply; JSON and
CBOR.

Unlike replies of the Jobs service, these messages go to all subscribers."""

import base64
import json
import logging
from collections.abc import Iterator
from typing import Any

import cbor2

from ujobs_tools.service import limits
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError, log_failure
from ujobs_tools.service.streams import MAX_TOKEN

_log = logging.getLogger(__name__)


def handle(engine: Engine, thing: str, suffix: str, payload: bytes) -> Iterator[tuple[str, bytes]]:
    """Carry out a request that a thing published to `$aws/things/<thing>/streams/<suffix>`; suffix: such as
    "<stream>/get/json", see reserved_topics. Yields topics and payloads; an invalid request is rejected, not raised."""
    stream_id, operation, form = suffix.split("/")
    envelope: dict[str, Any] = {}

    def message(kind: str, members: dict[str, Any]) -> tuple[str, bytes]:
        return f"$aws/things/{thing}/streams/{stream_id}/{kind}/{form}", _encode(form, envelope | members)

    try:
        request = _decode(form, payload)
        token = request.get("c")
        if token is not None:
            if not isinstance(token, str) or len(token.encode()) > MAX_TOKEN:
                raise ApiError("InvalidRequest", f"c must be a string of at most {MAX_TOKEN} bytes")
            envelope["c"] = token
        if operation == "describe":
            yield message("description", engine.stream_description(stream_id, request))
            return
        if form == "json" and request.get("b") is not None:
            request["b"] = _bitmap(request["b"])
        for block in engine.stream_blocks(stream_id, request):
            yield message("data", block)
    except ApiError as error:
        yield message("rejected", {"o": error.code, "m": error.message})
    except Exception:
        log_failure(_log, "stream %s of %s failed", suffix, thing)
        yield message("rejected", {"o": "InternalError", "m": "The service failed to process the request"})


def _decode(form: str, payload: bytes) -> dict[str, Any]:
    code = "InvalidJson" if form == "json" else "InvalidCbor"
    try:
        request = limits.parse_json(payload.decode()) if form == "json" else cbor2.loads(payload)
    except (ValueError, cbor2.CBORError, RecursionError):
        raise ApiError(code, f"The request could not be interpreted as {form.upper()}") from None
    if not isinstance(request, dict):
        raise ApiError("InvalidRequest", "The request must be a map")
    return request


def _encode(form: str, members: dict[str, Any]) -> bytes:
    if form == "cbor":
        return cbor2.dumps(members)
    if "p" in members:
        members["p"] = base64.b64encode(members["p"]).decode()
    return json.dumps(members, separators=(",", ":")).encode()


def _bitmap(text: Any) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except (AttributeError, ValueError):
        raise ApiError("InvalidRequest", "b must be hexadecimal digits, two for each byte") from None
