"""S3's operations for the service's own objects, path style: PutObject, GetObject, HeadObject, DeleteObject, and
CreateBucket and HeadBucket, which do nothing because every bucket exists."""

import hashlib
from urllib.parse import unquote
from xml.sax.saxutils import escape

from aiohttp import web

from ujobs_tools.service import signatures
from ujobs_tools.service.objects import Objects
from ujobs_tools.service.streams import MAX_FILE

_QUERY = ("versionId", "x-id")  # parameters of requests that this service knows; presigned ones begin with X-Amz-


class _Refused(Exception):
    """A refused request: HTTP status, code and message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


async def handle(objects: Objects, request: web.Request) -> web.Response:
    """Carry out a request to S3; errors have S3's form."""
    path = unquote(request.raw_path.partition("?")[0])
    bucket, _, key = path.lstrip("/").partition("/")
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
    elif any(name not in _QUERY for name in request.query):
        raise _not_implemented(request)
    if objects.external or not bucket:
        raise _not_implemented(request)
    if not key:
        if request.method not in ("PUT", "HEAD"):
            raise _not_implemented(request)
        return web.Response(headers={"Location": f"/{bucket}"})
    match request.method:
        case "PUT":
            return await _put(objects, request, bucket, key)
        case "GET" | "HEAD":
            return _get(objects, request, bucket, key)
        case "DELETE":
            objects.place(bucket, key).unlink(missing_ok=True)
            return web.Response(status=204)
    raise _not_implemented(request)


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
    return web.Response(headers={"ETag": _etag(body)})


def _get(objects: Objects, request: web.Request, bucket: str, key: str) -> web.Response:
    if "versionId" in request.query:
        raise _Refused(404, "NoSuchVersion", "The specified version does not exist.")
    try:
        content = objects.place(bucket, key).read_bytes()
    except FileNotFoundError:
        raise _Refused(404, "NoSuchKey", "The specified key does not exist.") from None
    etag, status, start, end = _etag(content), 200, 0, len(content)
    headers = {"ETag": etag, "Accept-Ranges": "bytes"}
    wanted = _range(request, etag, len(content))
    if wanted is not None:
        start, end = wanted
        status = 206
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
    if request.method == "HEAD":
        headers["Content-Length"] = str(end - start)
    body = None if request.method == "HEAD" else content[start:end]
    return web.Response(status=status, body=body, headers=headers, content_type="binary/octet-stream")


def _range(request: web.Request, etag: str, size: int) -> tuple[int, int] | None:
    """The first byte that is asked for and the one after the last; None for all."""
    if request.headers.get("If-Range", etag) != etag:
        return None
    try:
        wanted = request.http_range
    except ValueError:
        return None
    if wanted.start is None and wanted.stop is None:
        return None
    start, end, _ = wanted.indices(size)
    if start >= end:
        raise _Refused(416, "InvalidRange", "The requested range is not satisfiable")
    return start, end


def _etag(content: bytes | bytearray) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


def _not_implemented(request: web.Request) -> _Refused:
    return _Refused(
        501, "NotImplemented",
        f"{request.method} {request.path} is not implemented: of S3 this service has PutObject, GetObject, HeadObject "
        "and DeleteObject, and only without --s3-url.",
    )
