"""S3's ListObjectsV2 for the service's own objects: API reference of Amazon S3, "ListObjectsV2"."""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import quote
from xml.sax.saxutils import escape

from ujobs_tools.service.objects import Stored

MAX_KEYS = 1000
PARAMETERS = (
    "list-type", "prefix", "delimiter", "max-keys", "start-after", "continuation-token", "encoding-type", "fetch-owner"
)


def render(bucket: str, found: Sequence[Stored], query: Mapping[str, str]) -> str:
    """The reply to a request with these query parameters. found: the bucket's objects in the order of their keys.
    Raises ValueError, which names a parameter that is wrong."""
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = _limit(query)
    entries = list(_entries(found, prefix, delimiter, _after(query)))
    shown = entries[:limit]
    encoded = query.get("encoding-type") == "url"

    def element(tag: str, text: object, is_key: bool = False) -> str:
        value = quote(str(text), safe="/") if is_key and encoded else escape(str(text))
        return f"<{tag}>{value}</{tag}>"

    lines = [element("Name", bucket), element("Prefix", prefix, True)]
    lines += [
        element(name, query[name_in_query], is_key)
        for name, name_in_query, is_key in (
            ("Delimiter", "delimiter", True), ("StartAfter", "start-after", True),
            ("EncodingType", "encoding-type", False), ("ContinuationToken", "continuation-token", False),
        )
        if query.get(name_in_query)
    ]
    lines += [
        element("KeyCount", len(shown)), element("MaxKeys", limit),
        element("IsTruncated", str(len(entries) > limit > 0).lower()),
    ]
    if len(entries) > limit > 0:
        lines.append(element("NextContinuationToken", base64.urlsafe_b64encode(shown[-1][0].encode()).decode()))
    for key, stored in shown:
        if stored is None:
            lines.append(f"<CommonPrefixes>{element('Prefix', key, True)}</CommonPrefixes>")
        else:
            modified = datetime.fromtimestamp(stored.modified_at, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            lines.append(
                f"<Contents>{element('Key', key, True)}{element('LastModified', modified)}"
                f"{element('ETag', stored.etag)}{element('Size', stored.size)}"
                f"{element('StorageClass', 'STANDARD')}</Contents>"
            )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{''.join(lines)}</ListBucketResult>"
    )


def _entries(
    found: Sequence[Stored], prefix: str, delimiter: str, after: str
) -> Iterator[tuple[str, Stored | None]]:
    """The keys with their objects, and each common prefix once, with None."""
    last = None
    for stored in found:
        key = stored.key
        if not key.startswith(prefix):
            continue
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        common = None if end < 0 else key[: end + len(delimiter)]
        name = key if common is None else common
        if name == last or name.encode() <= after.encode():
            continue
        last = name
        yield name, stored if common is None else None


def _limit(query: Mapping[str, str]) -> int:
    text = query.get("max-keys", str(MAX_KEYS))
    if not text.isdecimal() or len(text) > 9:
        raise ValueError("max-keys")
    return min(MAX_KEYS, int(text))


def _after(query: Mapping[str, str]) -> str:
    token = query.get("continuation-token")
    if token is None:
        return query.get("start-after", "")
    try:
        return base64.b64decode(token.encode(), b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        raise ValueError("continuation-token") from None
