"""The Jobs operations over MQTT ("Jobs device MQTT API"): takes a request's topic and payload, returns the reply's."""

import json
import logging
import re
from typing import Any

from ujobs_tools.service import limits
from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError, log_failure

_log = logging.getLogger(__name__)

# AWS escapes characters beyond the basic plane and sends the others as UTF-8; lone surrogates must be escaped.
_ESCAPED = re.compile("[\ud800-\udfff\U00010000-\U0010ffff]")


def encode(payload: dict[str, Any]) -> bytes:
    """A payload as compact JSON in UTF-8."""
    text = json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
    return _ESCAPED.sub(lambda match: json.dumps(match[0])[1:-1], text).encode("utf-8")


def topic(thing: str, suffix: str) -> str:
    """The topic of a thing's Jobs operation or notification."""
    return f"$aws/things/{thing}/jobs/{suffix}"


def notification(thing: str, suffix: str, payload: dict[str, Any]) -> tuple[str, bytes]:
    """Topic and payload of a notification from Engine.on_notification; suffix: "notify" or "notify-next"."""
    return topic(thing, suffix), encode(payload)


def handle(
    engine: Engine, thing: str, suffix: str, payload: bytes, refusal: ApiError | None = None
) -> list[tuple[str, bytes]]:
    """Carry out a request that a thing published to `$aws/things/<thing>/jobs/<suffix>`; an empty payload means {}.

    refusal: reject the request with this error instead. Returns the reply's topic, `<suffix>/accepted` or
    `<suffix>/rejected`, and its payload. Never raises: an invalid request is rejected; a failure of the service is
    logged and rejected as InternalError.
    """
    envelope: dict[str, Any] = {}
    try:
        request = _request(payload)
        token = limits.client_token(request)
        if token is not None:
            envelope["clientToken"] = token
        if refusal is not None:
            raise refusal
        reply = _carry_out(engine, thing, suffix, request)
        outcome = "accepted"
    except ApiError as error:
        reply = _rejection(error)
        outcome = "rejected"
    except Exception:
        log_failure(_log, "%s failed", topic(thing, suffix))
        reply = _rejection(ApiError("InternalError", "The service failed to process the request"))
        outcome = "rejected"
    envelope["timestamp"] = int(engine.clock())
    return [(topic(thing, f"{suffix}/{outcome}"), encode(envelope | reply))]


def _request(payload: bytes) -> dict[str, Any]:
    try:
        request = limits.parse_json(payload.decode("utf-8")) if payload else {}
    except ValueError:
        raise ApiError(
            "InvalidJson", "The contents of the request could not be interpreted as valid UTF-8-encoded JSON."
        ) from None
    if not isinstance(request, dict):
        raise ApiError("InvalidJson", "The request must be a JSON object.")
    return request


def _carry_out(engine: Engine, thing: str, suffix: str, request: dict[str, Any]) -> dict[str, Any]:
    match suffix.split("/"):
        case ["get"]:
            return engine.get_pending(thing)
        case ["start-next"]:
            return engine.start_next(thing, request)
        case [job_id, "get"]:
            return engine.describe(thing, job_id, request)
        case [job_id, "update"]:
            return engine.update(thing, job_id, request)
    raise ApiError("InvalidTopic", f"The topic {topic(thing, suffix)} maps to no operation.")


def _rejection(error: ApiError) -> dict[str, Any]:
    state = {} if error.execution_state is None else {"executionState": error.execution_state}
    return state | {"code": error.code, "message": error.message}
