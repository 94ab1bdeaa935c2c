"""Files of streams: objects of an external S3, or of the service's own folder, where PutObject stores them."""

import hashlib
from pathlib import Path
from typing import Any

from aiohttp import web
from botocore.exceptions import BotoCoreError, ClientError

from ujobs_tools.aws import cloud
from ujobs_tools.host.files import write_whole
from ujobs_tools.service.errors import ApiError, invalid
from ujobs_tools.service.streams import MAX_FILE, Files


class Objects:
    """The files of streams.

    folder: for the service's own objects; created with the first one. url: of an external S3, which is used instead.
    """

    def __init__(self, folder: Path, url: str | None) -> None:
        self._folder = folder
        self._url = url

    def contents(self, files: Files) -> dict[int, bytes]:
        """The contents of a stream's files, by file id. Raises ApiError InvalidRequest if one cannot be read."""
        if self._url is None:
            return {file.get("fileId", 0): self._own(file.get("s3Location", {})) for file in files}
        try:
            s3 = cloud.client("s3", self._url)
        except cloud.CloudError as error:
            raise invalid(f"files: {error}") from None
        return {file.get("fileId", 0): _content(s3, file.get("s3Location", {})) for file in files}

    async def put(self, request: web.Request, path: str) -> web.Response:
        """PutObject, path-style: path is BUCKET/KEY. Raises ApiError."""
        bucket, _, key = path.partition("/")
        if request.method != "PUT" or not bucket or not key or request.query or self._url is not None:
            raise ApiError("NotImplemented", "Of S3, only PutObject is implemented, and only without --s3-url.")
        if request.headers.get("x-amz-content-sha256", "").startswith("STREAMING-"):
            raise ApiError("NotImplemented", "PutObject in signed chunks is not supported: send the body as it is.")
        body = bytearray()
        async for piece in request.content.iter_chunked(1 << 16):
            body += piece
            if len(body) > MAX_FILE:
                raise invalid(f"{key} has more than {MAX_FILE} bytes, the limit for a stream's file")
        self._folder.mkdir(parents=True, exist_ok=True)
        target = self._place(bucket, key)
        write_whole(target, bytes(body), 0o600)
        return web.Response(headers={"ETag": f'"{hashlib.md5(body).hexdigest()}"'})

    def _place(self, bucket: str, key: str) -> Path:
        # A key may be longer than a file name and contain any character.
        return self._folder / hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()

    def _own(self, location: dict[str, str]) -> bytes:
        bucket, key = _where(location)
        try:
            return self._place(bucket, key).read_bytes()
        except FileNotFoundError:
            advice = "put it into this service first, or start ujobs serve with --s3-url"
            raise invalid(f"files: {bucket}/{key} does not exist: {advice}") from None


def _where(location: dict[str, str]) -> tuple[str, str]:
    try:
        return location["bucket"], location["key"]
    except KeyError as missing:
        raise invalid(f"files: s3Location has no {missing}") from None


def _content(s3: Any, location: dict[str, str]) -> bytes:
    bucket, key = _where(location)
    try:
        version = {"VersionId": location["version"]} if "version" in location else {}
        found = s3.get_object(Bucket=bucket, Key=key, **version)
        if found["ContentLength"] > MAX_FILE:
            found["Body"].close()
            raise invalid(f"files: {key} has {found['ContentLength']} bytes; the limit is {MAX_FILE}")
        return found["Body"].read()
    except (BotoCoreError, ClientError) as error:
        raise invalid(f"files: {bucket}/{key} cannot be read from S3: {error}") from None
