"""S3 URLs in requests: documentSource, and the placeholders in job documents that become presigned URLs.

Developer Guide "Managing jobs", API reference CreateJob and PresignedUrlConfig. A device gets new URLs each time that
it gets the document; on the control plane the document keeps its placeholders."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from ujobs_tools.service.errors import ApiError, invalid

MAX_SUBSTITUTIONS = 10  # in a document, "AWS IoT quotas"
SHORTEST, LONGEST = 60, 3600  # seconds that a presigned URL is valid; the longest is the default

_MARK = "${aws:iot:s3-presigned-url"
_PLACEHOLDER = re.compile(r"\$\{aws:iot:s3-presigned-url(-v2)?:([^}]*)\}")
# Path style without a bucket, virtual-hosted style with one ("Methods for accessing a bucket").
_HOST = re.compile(r"(?:(.+)\.)?s3(?:[.-](?:dualstack\.)?[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")
_NOT_ENCODED = re.compile(r'[\s"<>\\^`{|}]')  # the v2 form takes the URL percent-encoded
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")


@dataclass(frozen=True)
class Location:
    """An object in S3. version: None for the latest."""

    bucket: str
    key: str
    version: str | None = None


Sign = Callable[[Location, int], str]  # the URL of an object, valid for so many seconds


def location(url: str, wrong: str) -> Location:
    """The object that an S3 URL names: https:// in path style or virtual-hosted style, or s3://. wrong: the message if
    it names no bucket. Raises ApiError InvalidRequest."""
    bucket, key, version = _parts(url)
    if not bucket:
        raise invalid(wrong)
    if not key:
        raise invalid(f"Provided S3 url is not valid: {url}. Error: Key cannot be null")
    return Location(bucket, key, version)


def _parts(url: str) -> tuple[str, str, str | None]:
    if url.startswith("s3://"):
        bucket, _, key = url.removeprefix("s3://").partition("/")
        return bucket, key, None
    try:
        parts = urlsplit(url)
        host = _HOST.fullmatch(parts.hostname or "")
    except ValueError:
        return "", "", None
    if host is None or parts.scheme not in ("https", "http"):
        return "", "", None
    path = parts.path.removeprefix("/")
    bucket, _, key = (host[1], "", path) if host[1] else path.partition("/")
    return bucket, unquote(key), parse_qs(parts.query).get("versionId", [None])[0]


def check_config(config: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """presignedUrlConfig in its stored form, None if it is empty. Raises ApiError InvalidRequest."""
    given = {name: value for name, value in (config or {}).items() if value is not None and value != ""}
    role, seconds = given.get("roleArn"), given.get("expiresInSec")
    if role is not None and not _ROLE.fullmatch(role):
        raise invalid(f"Given role {role} is invalid.")
    if seconds is not None and not SHORTEST <= seconds <= LONGEST:
        raise invalid(f"presignedUrlConfig.expiresInSec must be {SHORTEST} to {LONGEST}")
    return given or None


def check(document: str, config: Mapping[str, Any] | None, name: str, sign: Sign) -> None:
    """Raises ApiError InvalidRequest if a job document has placeholders that cannot be replaced, LimitExceeded if they
    are too many. config: in its stored form. name: of the job or template."""
    if _MARK not in document:
        return
    found = list(_placeholders(json.loads(document)))
    if len(found) > MAX_SUBSTITUTIONS:
        raise ApiError(
            "LimitExceeded",
            f"The job document has {len(found)} placeholders of presigned URLs; the limit is {MAX_SUBSTITUTIONS}.",
        )
    if found and "roleArn" not in (config or {}):
        raise invalid(
            "presignedUrlConfig role ARN is required to generate an S3 presigned url in job document."
            if all(placeholder[1] for placeholder in found)
            else f"Role must be provided for pre-sign S3 urls in job document of job {name}."
        )
    for placeholder in found:
        sign(_location(placeholder), SHORTEST)


def filled(document: str, config: Mapping[str, Any] | None, sign: Sign) -> Any:
    """The parsed job document with presigned URLs in place of its placeholders."""
    value = json.loads(document)
    if _MARK not in document:
        return value
    seconds = (config or {}).get("expiresInSec", LONGEST)
    return _replaced(value, lambda placeholder: sign(_location(placeholder), seconds))


def _location(placeholder: re.Match[str]) -> Location:
    url, wrong = placeholder[2], f"Given S3 url {placeholder[2]} is invalid."
    if placeholder[1] and _NOT_ENCODED.search(url):
        raise invalid(wrong)
    return location(url, wrong)


def _placeholders(value: Any) -> Iterator[re.Match[str]]:
    if isinstance(value, str):
        yield from _PLACEHOLDER.finditer(value)
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _placeholders(item)


def _replaced(value: Any, url: Callable[[re.Match[str]], str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(url, value)
    if isinstance(value, list):
        return [_replaced(item, url) for item in value]
    if isinstance(value, dict):
        return {name: _replaced(item, url) for name, item in value.items()}
    return value
