"""Files of streams: objects that PutObject stores in the service's own folder."""

import hashlib
from pathlib import Path

from aiohttp import web

from ujobs_tools.host.files import make_private
from ujobs_tools.service.errors import ApiError, invalid
from ujobs_tools.service.streams import MAX_FILE, Files


class Objects:
    """The files of streams. folder: for the objects; created with the first one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def contents(self, files: Files) -> dict[int, bytes]:
        """The contents of a stream's files, by file id. Raises ApiError InvalidRequest if one cannot be read."""
        return {file.get("fileId", 0): self._content(file.get("s3Location", {})) for file in files}

    async def put(self, request: web.Request, path: str) -> web.Response:
        """PutObject, path-style: path is BUCKET/KEY. Raises ApiError."""
        bucket, _, key = path.partition("/")
        if request.method != "PUT" or not bucket or not key or request.query:
            raise ApiError("NotImplemented", "Of S3, only PutObject is implemented.")
        if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            raise ApiError("NotImplemented", "PutObject in signed chunks is not supported: send the body as it is.")
        body = bytearray()
        async for piece in request.content.iter_chunked(1 << 16):
            body += piece
            if len(body) > MAX_FILE:
                raise invalid(f"{key} has more than {MAX_FILE} bytes, the limit for a stream's file")
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._place(bucket, key)
        part = target.with_suffix(".part")
        make_private(part)
        part.write_bytes(body)
        part.replace(target)
        return web.Response(headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _place(self, bucket: str, key: str) -> Path:
        # A key may be longer than a file name and contain any character.
        return self._folder / hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()

    def _content(self, location: dict[str, str]) -> bytes:
        try:
            bucket, key = location["bucket"], location["key"]
        except KeyError as missing:
            raise invalid(f"files: s3Location has no {missing}") from None
        try:
            return self._place(bucket, key).read_bytes()
        except FileNotFoundError:
            raise invalid(f"files: {bucket}/{key} does not exist: put it into this service first") from None
