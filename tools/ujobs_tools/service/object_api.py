"""S3's operations for the service's own objects: PutObject, GetObject, HeadObject, DeleteObject, ListObjectsV2,
DeleteBucket, and CreateBucket and HeadBucket, which do nothing because every bucket exists.

The bucket is in the path (path style) or before `.localhost` in the host (virtual-hosted style), as a client likes."""

import re
from collections.abc import Collection
from email.utils import formatdate
from urllib.parse import unquote, urlsplit
from xml.sax.saxutils import escape

from aiohttp import web

from ujobs_tools.service import object_listing, signatures
from ujobs_tools.service.objects import Objects, etag
from ujobs_tools.service.streams import MAX_FILE

_LOCAL = ".localhost"
_LAST_0 = re.compile(r"bytes=-0+")
_QUERY = ("versionId", "x-id")  # parameters of requests that this service knows; presigned ones begin with X-Amz-


class _Refused(Exception):
    """A refused request: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


async def handle(objects: Objects, request: web.Request, names: Collection[str] = ()) -> web.Response:
    """Carry out a request to S3; errors have S3's form. names: this server's host names."""
    path = unquote(request.raw_path.partition("?")[0])
    host = (urlsplit(f"//{request.host}").hostname or "").lower()
    bucket, key = host.removesuffix(_LOCAL), path.removeprefix("/")
    if host in names or bucket == host:
        bucket, _, key = key.partition("/")
    try:
        return await _carry_out(objects, request, bucket, key)
    except _Refused as error:
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{error.code}</Code><Message>{escape(error.message)}'
            f"</Message><Resource>{escape(path)}</Resource></Error>"
        )
        body = None if request.method == "HEAD" else text.encode()
        return web.Response(status=error.status, body=body, content_type="application/xml")


async def _carry_out(objects: Objects, request: web.Request, bucket: str, key: str) -> web.Response:
    if signatures.is_presigned(request.query):
        refusal = signatures.refusal(
            request.method, request.raw_path, request.headers.get("Host", ""), objects.clock()
        )
        if refusal is not None:
            raise _Refused(*refusal)
    elif any(name not in (*_QUERY, *(() if key else object_listing.PARAMETERS)) for name in request.query):
        raise _not_implemented(request)
    if objects.external or not bucket:
        raise _not_implemented(request)
    if not key:
        return _of_bucket(objects, request, bucket)
    match request.method:
        case "PUT":
            return await _put(objects, request, bucket, key)
        case "GET" | "HEAD":
            return _get(objects, request, bucket, key)
        case "DELETE":
            objects.delete(bucket, key)
            return web.Response(status=204)
    raise _not_implemented(request)


def _of_bucket(objects: Objects, request: web.Request, bucket: str) -> web.Response:
    if request.method in ("PUT", "HEAD"):
        return web.Response(headers={"Location": f"/{bucket}"})
    if request.method == "DELETE":
        if objects.stored(bucket):
            raise _Refused(409, "BucketNotEmpty", "The bucket you tried to delete is not empty")
        return web.Response(status=204)
    if request.method != "GET" or request.query.get("list-type") != "2":
        raise _not_implemented(request)
    try:
        text = object_listing.render(bucket, objects.stored(bucket), request.query)
    except ValueError as wrong:
        raise _Refused(400, "InvalidArgument", f"The {wrong} provided is incorrect") from None
    return web.Response(body=text.encode(), content_type="application/xml")


async def _put(objects: Objects, request: web.Request, bucket: str, key: str) -> web.Response:
    if "x-amz-copy-source" in request.headers:
        raise _not_implemented(request)
    if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
        raise _Refused(501, "NotImplemented", "PutObject in chunks is not supported: send the body as it is.")
    body = bytearray()
    async for piece in request.content.iter_chunked(1 << 16):
        body += piece
        if len(body) > MAX_FILE:
            raise _Refused(400, "EntityTooLarge", f"{key} has more than {MAX_FILE} bytes, the limit of this service")
    objects.put(bucket, key, bytes(body))
    return web.Response(headers={"ETag": etag(body)})


def _get(objects: Objects, request: web.Request, bucket: str, key: str) -> web.Response:
    if "versionId" in request.query:
        raise _Refused(404, "NoSuchVersion", "The specified version does not exist.")
    place = objects.place(bucket, key)
    try:
        content, modified_at = place.read_bytes(), place.stat().st_mtime
    except FileNotFoundError:
        raise _Refused(404, "NoSuchKey", "The specified key does not exist.") from None
    tag, status, start, end = etag(content), 200, 0, len(content)
    headers = {"ETag": tag, "Accept-Ranges": "bytes", "Last-Modified": formatdate(modified_at, usegmt=True)}
    wanted = _range(request, tag, len(content))
    if wanted is not None:
        start, end = wanted
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    if request.method == "HEAD":
        headers["Content-Length"] = str(end - start)
    body = None if request.method == "HEAD" else content[start:end]
    return web.Response(status=status, body=body, headers=headers, content_type="binary/octet-stream")


def _range(request: web.Request, tag: str, size: int) -> tuple[int, int] | None:
    """The first byte that is asked for and the one after the last; None for all."""
    if request.headers.get("If-Range", tag) != tag:
        return None
    if _LAST_0.fullmatch(request.headers.get("Range", "")):  # aiohttp takes it for all bytes
        raise _out_of_range()
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None and wanted.stop is None:
        return None
    start, end, _ = wanted.indices(size)
    if start >= end:
        raise _out_of_range()
    return start, end


def _out_of_range() -> _Refused:
    return _Refused(416, "InvalidRange", "The requested range is not satisfiable")


def _not_implemented(request: web.Request) -> _Refused:
    return _Refused(
        501, "NotImplemented",
        f"{request.method} {request.path} is not implemented: of S3 this service has PutObject, GetObject, HeadObject, "
        "DeleteObject and ListObjectsV2, and only without --s3-url.",
    )
