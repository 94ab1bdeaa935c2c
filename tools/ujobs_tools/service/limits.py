"""The limits of request fields: each function returns the checked value, or raises ApiError naming the field and its
limit. A member that is null is treated as absent. The limits are those of AWS IoT's service models
(UpdateJobExecution, CreateJob, TimeoutConfig, JobExecutionsRetryConfig) and quota tables."""

import json
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from ujobs_tools.service.errors import ApiError, invalid

MAX_DETAILS = 10
MAX_DETAIL_VALUE = 1024
MAX_TIMEOUT_MINUTES = 10080
MAX_DOCUMENT = 32768
MAX_DEPTH = 300  # of a job document; AWS accepts 1000 levels, but Python's stack has no room for so many
MAX_TEXT = 2028
MAX_TARGETS = 100
MAX_PARAMETER = 30720
MAX_RETRIES = 10
DISCARD_STEP_TIMER = -1

Request = Mapping[str, Any]

_THING = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_JOB = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TARGET = re.compile(r"arn:aws[a-z-]*:iot:[^:/]*:[^:/]*:(thing|thinggroup)/(.+)")
_ATTRIBUTE_NAME = re.compile(r"[a-zA-Z0-9_.,@/:#-]{1,128}")
_ATTRIBUTE_VALUE = re.compile(r"[a-zA-Z0-9_.,@/:#=\[\]-]{0,800}")
_DETAILS_KEY = re.compile(r"[a-zA-Z0-9:_-]{1,128}")
_REASON_CODE = re.compile(r"[A-Z0-9_]{1,128}")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


def thing_name(value: object, field: str = "thingName") -> str:
    """A name of a thing or a thing group: 1 to 128 characters of letters, digits, `:`, `_`, `-`."""
    if not isinstance(value, str) or not _THING.fullmatch(value):
        raise invalid(f"{field} {value!r} must be 1 to 128 characters of a-z A-Z 0-9 : _ -")
    return value


def job_id(value: object, field: str = "jobId") -> str:
    """An id of a job or a job template: 1 to 64 characters of letters, digits, `_`, `-`."""
    if not isinstance(value, str) or not _JOB.fullmatch(value):
        raise invalid(f"{field} {value!r} must be 1 to 64 characters of a-z A-Z 0-9 _ -")
    return value


def client_token(request: Request) -> str | None:
    """The clientToken to echo; the service sets no limit on its length."""
    token = request.get("clientToken")
    if token is not None and not isinstance(token, str):
        raise invalid("clientToken must be a string")
    return token


def flag(request: Request, name: str, default: bool) -> bool:
    """The boolean member `name`, or the default. The strings "true" and "false" are accepted: the AWS IoT Device SDK
    for C++ v1 sends them."""
    value = request.get(name)
    if value is None:
        return default
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise invalid(f"{name} must be true or false")
    return value


def integer(request: Request, name: str) -> int | None:
    """The integer member `name`, or None. The string "3" is accepted: the AWS IoT Device SDKs v1 send numbers so."""
    value = request.get(name)
    if isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not -(2**63) <= value < 2**63:
        raise invalid(f"{name} must be a whole number of 64 bits")
    return value


def step_timeout(request: Request, may_discard: bool) -> int | None:
    """stepTimeoutInMinutes: 1 to 10080, or, with may_discard (UpdateJobExecution only), -1."""
    value = integer(request, "stepTimeoutInMinutes")
    if value is None or 1 <= value <= MAX_TIMEOUT_MINUTES or (may_discard and value == DISCARD_STEP_TIMER):
        return value
    discard = ", or -1 to discard the timer" if may_discard else ""
    raise invalid(f"stepTimeoutInMinutes must be 1 to {MAX_TIMEOUT_MINUTES}{discard}")


def status_details(value: object) -> dict[str, str] | None:
    """A statusDetails map: at most 10 pairs; keys of 1 to 128 characters of letters, digits, `:`, `_`, `-`; values are
    strings of 1 to 1024 characters, none of them a control, format, surrogate, private-use or unassigned one.

    Numbers become strings, because jobs-agent.js of the AWS IoT Device SDK for JavaScript v1 sends numbers."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise invalid("statusDetails must be a map of strings to strings")
    if len(value) > MAX_DETAILS:
        raise invalid(f"statusDetails has {len(value)} pairs; the limit is {MAX_DETAILS}")
    details: dict[str, str] = {}
    for key, text in value.items():
        if not _DETAILS_KEY.fullmatch(key):
            raise invalid(f"statusDetails key {key[:130]!r} must be 1 to 128 characters of a-z A-Z 0-9 : _ -")
        if isinstance(text, int | float) and not isinstance(text, bool) and math.isfinite(text):
            text = json.dumps(text)
        if not isinstance(text, str):
            raise invalid(f"statusDetails value of {key!r} must be a string")
        if not 1 <= len(text) <= MAX_DETAIL_VALUE:
            raise invalid(
                f"statusDetails value of {key!r} has {len(text)} characters; the limit is 1 to {MAX_DETAIL_VALUE}"
            )
        if not _printable(text):
            raise invalid(f"statusDetails value of {key!r} must not contain control characters")
        details[key] = text
    return details


def _printable(text: str) -> bool:
    # The models' pattern [^\p{C}]+, which Python's re does not support.
    return not any(unicodedata.category(character).startswith("C") for character in text)


def free_text(name: str, value: str | None, most: int = MAX_TEXT) -> str | None:
    """A description or comment: at most 2028 characters, no control characters."""
    if value is not None and (len(value) > most or not _printable(value)):
        raise invalid(f"{name} must be at most {most} characters, without control characters")
    return value


def reason_code(value: str | None) -> str | None:
    """CancelJob's reasonCode: 1 to 128 upper-case letters, digits and `_`."""
    if value is not None and not _REASON_CODE.fullmatch(value):
        raise invalid("reasonCode must be 1 to 128 characters of A-Z 0-9 _")
    return value


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def parse_json(text: str | bytes) -> Any:
    """Parse standard JSON; Python's parser also accepts NaN and Infinity. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def document(text: str) -> str:
    """A job document: JSON of at most 32768 characters, nested 300 levels deep at most."""
    if len(text) > MAX_DOCUMENT:
        raise invalid(f"document has {len(text)} characters; the limit is {MAX_DOCUMENT}")
    try:
        found = parse_json(text)
    except ValueError:
        raise invalid("Job document located at request input is an invalid JSON document.") from None
    if _is_deeper(found, MAX_DEPTH):
        raise invalid(f"document is nested more than {MAX_DEPTH} levels deep")
    try:
        json.dumps(found, allow_nan=False)
    except ValueError:
        raise invalid("Job document located at request input is an invalid JSON document.") from None
    return text


def _is_deeper(value: Any, levels: int) -> bool:
    found = [value]
    while found and levels >= 0:
        lists = [item.values() if isinstance(item, dict) else item for item in found if isinstance(item, dict | list)]
        found = [item for items in lists for item in items]
        levels -= 1
    return levels < 0 and bool(found)


def expected_version(expected: int | None, found: int) -> None:
    """Raises ApiError VersionConflict if a version is expected and differs from the one found."""
    if expected is not None and expected != found:
        raise ApiError("VersionConflict", f"Expected version {expected} but found version {found}")


def attributes(payload: Request | None, most: int, stored: Mapping[str, str]) -> dict[str, str]:
    """The attributes after an attributePayload, at most `most`: it replaces the stored ones or, with `merge`, adds to
    them; an empty value removes an attribute."""
    payload = payload or {}
    values = payload.get("attributes")
    found = {**(stored if values is None or payload.get("merge") else {}), **(values or {})}
    found = {name: value for name, value in found.items() if value or name not in stored}
    if len(found) > most:
        raise invalid(f"attributePayload makes {len(found)} attributes; the limit is {most}")
    for name, value in found.items():
        if not _ATTRIBUTE_NAME.fullmatch(name) or not _ATTRIBUTE_VALUE.fullmatch(value):
            raise invalid(f"attribute {name!r} has a name or value with characters or a length that is not allowed")
    return found


def target(arn: str) -> tuple[str, str]:
    """The ARN of a thing or a thing group as ("thing" | "thinggroup", name)."""
    match = _TARGET.fullmatch(arn)
    if match is None:
        raise invalid(f"target {arn!r} must be the ARN of a thing or a thing group")
    return match[1], match[2]


def targets(values: Sequence[str]) -> list[str]:
    """The targets of CreateJob: 1 to 100 ARNs; repetitions are removed."""
    if not 1 <= len(values) <= MAX_TARGETS:
        raise invalid(f"targets must be 1 to {MAX_TARGETS} ARNs of things or thing groups")
    return list(dict.fromkeys(values))


def in_progress_timeout(config: Request | None) -> int | None:
    """timeoutConfig.inProgressTimeoutInMinutes: 1 to 10080; None if it is not given."""
    minutes = (config or {}).get("inProgressTimeoutInMinutes")
    if minutes is not None and not 1 <= minutes <= MAX_TIMEOUT_MINUTES:
        raise invalid(f"timeoutConfig.inProgressTimeoutInMinutes must be 1 to {MAX_TIMEOUT_MINUTES}")
    return minutes


def retry_criteria(config: Request | None) -> dict[str, int]:
    """jobExecutionsRetryConfig as {failure type: number of retries}: FAILED, TIMED_OUT, ALL; at most 10 in all."""
    criteria = (config or {}).get("criteriaList", [])
    retries = {item["failureType"]: item["numberOfRetries"] for item in criteria}
    if len(retries) != len(criteria) or not (set(retries) <= {"FAILED", "TIMED_OUT"} or set(retries) == {"ALL"}):
        raise invalid("jobExecutionsRetryConfig.criteriaList takes FAILED and TIMED_OUT, or ALL, each once")
    if any(number < 0 for number in retries.values()) or sum(retries.values()) > MAX_RETRIES:
        raise invalid(f"jobExecutionsRetryConfig.criteriaList numberOfRetries must be 0 to {MAX_RETRIES} in all")
    return retries
