"""Presigned URLs of the service's own objects: signed with AWS's signature version 4, and checked as S3 checks them
("Authenticating Requests: Using Query Parameters").

A board that changes such a URL, or uses it too late, is refused here as it is by S3. Other signatures are not
checked."""

import calendar
import hashlib
import hmac
import re
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl, quote, unquote

# Not secrets: whoever reaches the service can also use its HTTP API, which does not check signatures.
_ACCESS_KEY = "ASIA0UJOBS0SERVICE00"
_SECRET = "local"
# Of about the length that the session tokens of roles have, because boards must have room for such URLs.
_TOKEN = "IQoJb3JpZ2luX2Vj" + hashlib.shake_256(b"token").hexdigest(424) + "=="
_ALGORITHM = "AWS4-HMAC-SHA256"
_NEEDED = ("X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature")
_DATE = "%Y%m%dT%H%M%SZ"
_MAX_SECONDS = 604800  # a week

Refusal = tuple[int, str, str]


def presigned(base: str, path: str, region: str, now: float, seconds: int) -> str:
    """A URL that lets anyone GET an object for this time. base: scheme, host and port. path: not encoded. now: epoch
    seconds."""
    date = time.strftime(_DATE, time.gmtime(now))
    query = {
        "X-Amz-Algorithm": _ALGORITHM, "X-Amz-Credential": f"{_ACCESS_KEY}/{_scope(date, region)}", "X-Amz-Date": date,
        "X-Amz-Expires": str(seconds), "X-Amz-Security-Token": _TOKEN, "X-Amz-SignedHeaders": "host",
    }
    path = quote(path, safe="/-_.~")
    signature = _signature("GET", path, query, base.partition("://")[2], region)
    return f"{base}{path}?{_canonical(query)}&X-Amz-Signature={signature}"


def is_presigned(query: Mapping[str, str]) -> bool:
    """Whether a request's query has a signature, of version 4 or 2; boto3 and the AWS CLI make both for S3."""
    return "X-Amz-Algorithm" in query or "AWSAccessKeyId" in query


def refusal(method: str, raw_path: str, host: str, now: float) -> Refusal | None:
    """Why a request with a presigned URL is refused, as (HTTP status, code, message); None if it is not. raw_path:
    path and query as they arrived."""
    path, _, raw_query = raw_path.partition("?")
    query = dict(parse_qsl(raw_query, keep_blank_values=True))
    if "AWSAccessKeyId" in query:
        expires = query.get("Expires", "")
        if not re.fullmatch(r"\d{1,12}", expires) or "Signature" not in query:
            return 403, "AccessDenied", "Query-string authentication requires the Signature, Expires and AWSAccessKeyId"
        return (403, "AccessDenied", "Request has expired") if now >= int(expires) else None
    missing = [name for name in _NEEDED if not query.get(name)]
    seconds = query.get("X-Amz-Expires", "")
    if missing or not re.fullmatch(r"\d{1,9}", seconds) or int(seconds) > _MAX_SECONDS:
        return 400, "AuthorizationQueryParametersError", (
            f"Query-string authentication version 4 requires the {', '.join(_NEEDED)} parameters"
        )
    try:
        start = calendar.timegm(time.strptime(query["X-Amz-Date"], _DATE))
    except ValueError:
        return 400, "AuthorizationQueryParametersError", 'X-Amz-Date must be in the ISO8601 format "yyyyMMddTHHmmssZ"'
    if now >= start + int(seconds):
        return 403, "AccessDenied", "Request has expired"
    access_key, _, scope = query["X-Amz-Credential"].partition("/")
    if access_key != _ACCESS_KEY and query.get("X-Amz-Security-Token") != _TOKEN:
        return None  # someone else's
    sent = query.pop("X-Amz-Signature")
    region = scope.split("/")[1] if scope.count("/") > 1 else ""
    expected = _signature(method, quote(unquote(path), safe="/-_.~"), query, host, region)
    if not hmac.compare_digest(sent.encode(), expected.encode()):
        return 403, "SignatureDoesNotMatch", (
            "The request signature we calculated does not match the signature you provided. Check your key and "
            "signing method."
        )
    return None


def _scope(date: str, region: str) -> str:
    return f"{date[:8]}/{region}/s3/aws4_request"


def _canonical(query: Mapping[str, str]) -> str:
    return "&".join(f"{quote(name, safe='-_.~')}={quote(value, safe='-_.~')}" for name, value in sorted(query.items()))


def _signature(method: str, path: str, query: Mapping[str, str], host: str, region: str) -> str:
    request = "\n".join((method, path, _canonical(query), f"host:{host}", "", "host", "UNSIGNED-PAYLOAD"))
    date = query["X-Amz-Date"]
    text = "\n".join((_ALGORITHM, date, _scope(date, region), hashlib.sha256(request.encode()).hexdigest()))
    key = f"AWS4{_SECRET}".encode()
    for part in (*_scope(date, region).split("/"), text):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key.hex()
