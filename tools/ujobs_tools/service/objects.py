"""Objects that job documents and streams are made of: in an external S3, or in the service's own folder."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ujobs_tools.aws import cloud
from ujobs_tools.host.files import write_whole
from ujobs_tools.service import limits, presigned, signatures
from ujobs_tools.service.errors import ApiError, invalid
from ujobs_tools.service.presigned import Location
from ujobs_tools.service.streams import MAX_FILE, Files

_NO_BUCKET, _NO_KEY = "NoSuchBucket", "NoSuchKey"
_NAME = ".name"  # ending of the file with an own object's bucket and key
_MISSING = (_NO_KEY, _NO_BUCKET, "NoSuchVersion", "404")


@dataclass(frozen=True)
class Stored:
    """An own object. modified_at: epoch seconds."""

    key: str
    path: Path
    modified_at: float
    size: int

    @property
    def etag(self) -> str:
        """S3's ETag of its content."""
        return etag(self.path.read_bytes())


def etag(content: bytes | bytearray) -> str:
    """S3's ETag of an object with this content."""
    return f'"{hashlib.md5(content).hexdigest()}"'


class Objects:
    """The objects.

    folder: for the service's own objects; created with the first one. url: of an external S3, which is used instead.
    base: returns the URL of this service for boards. clock: returns epoch seconds.
    """

    def __init__(
        self, folder: Path, url: str | None, base: Callable[[], str] = str, clock: Callable[[], float] = float
    ) -> None:
        self._folder = folder
        self._url = url
        self._base = base
        self.clock = clock

    @property
    def external(self) -> bool:
        """Whether the objects are in an external S3."""
        return self._url is not None

    @cached_property
    def _s3(self) -> Any:
        try:
            return cloud.client("s3", self._url)
        except cloud.CloudError as error:
            raise invalid(f"S3: {error}") from None

    def contents(self, files: Files) -> dict[int, bytes]:
        """The contents of a stream's files, by file id. Raises ApiError InvalidRequest if one cannot be read."""
        return {file.get("fileId", 0): self._content(_where(file.get("s3Location", {}))) for file in files}

    def document(self, source: str) -> str:
        """The job document at an S3 URL. Raises ApiError."""
        location = presigned.location(source, f"Job document source {source} is invalid.")
        try:
            content = self._read(location, limits.MAX_DOCUMENT)
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code")
            if code == _NO_BUCKET:
                raise invalid(f"Bucket specified by url: {source} is not found.") from None
            if code in _MISSING:
                raise invalid(f"Job document located at {source} is not found.") from None
            raise invalid(f"Job document located at {source} cannot be read: {error}") from None
        except BotoCoreError as error:
            raise invalid(f"Job document located at {source} cannot be read: {error}") from None
        if content is None:
            raise ApiError(
                "LimitExceeded", f"Job document from {source} exceeds size limit {limits.MAX_DOCUMENT} bytes."
            )
        try:
            limits.parse_json(content)
            return content.decode("utf-8")
        except ValueError:
            raise invalid(f"Job document located at {source} is an invalid JSON document.") from None

    def presign(self, location: Location, seconds: int) -> str:
        """A URL that lets anyone GET an object for this time. Raises ApiError InvalidRequest."""
        if self._url is None:
            path = f"/{location.bucket}/{location.key}"
            return signatures.presigned(self._base(), path, cloud.LOCAL_REGION, self.clock(), seconds)
        try:
            return self._s3.generate_presigned_url("get_object", Params=_parameters(location), ExpiresIn=seconds)
        except BotoCoreError as error:
            raise invalid(f"S3: {error}") from None

    def place(self, bucket: str, key: str) -> Path:
        """The file of an own object, which may not exist."""
        # A key may be longer than a file name and contain any character.
        return self._folder / hashlib.sha256(f"{bucket}/{key}".encode()).hexdigest()

    def put(self, bucket: str, key: str, content: bytes) -> None:
        """Store an own object; the file of its name comes first, so that each object can be listed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        place = self.place(bucket, key)
        write_whole(place.with_suffix(_NAME), f"{bucket}/{key}".encode(), 0o600)
        write_whole(place, content, 0o600)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an own object, which may not exist."""
        place = self.place(bucket, key)
        place.unlink(missing_ok=True)
        place.with_suffix(_NAME).unlink(missing_ok=True)

    def stored(self, bucket: str) -> list[Stored]:
        """The own objects in a bucket, in S3's order of their keys."""
        found = []
        for named in self._folder.glob(f"*{_NAME}"):
            in_bucket, _, key = named.read_bytes().decode().partition("/")
            place = named.with_suffix("")
            if in_bucket == bucket and place.exists():
                about = place.stat()
                found.append(Stored(key, place, about.st_mtime, about.st_size))
        return sorted(found, key=lambda stored: stored.key.encode())

    def _content(self, location: Location) -> bytes:
        name = f"{location.bucket}/{location.key}"
        try:
            content = self._read(location, MAX_FILE)
        except (BotoCoreError, ClientError) as error:
            if self._url is None:
                advice = "put it into this service first, or start ujobs serve with --s3-url"
                raise invalid(f"files: {name} does not exist: {advice}") from None
            raise invalid(f"files: {name} cannot be read from S3: {error}") from None
        if content is None:
            raise invalid(f"files: {name} has more than {MAX_FILE} bytes, the limit for a stream's file")
        return content

    def _read(self, location: Location, most: int) -> bytes | None:
        """An object's content; None if it is longer. Raises ClientError and BotoCoreError."""
        if self._url is None:
            try:
                if location.version is not None:
                    raise FileNotFoundError  # own objects have no versions
                content = self.place(location.bucket, location.key).read_bytes()
            except FileNotFoundError:
                raise ClientError({"Error": {"Code": _NO_KEY}}, "GetObject") from None
            return content if len(content) <= most else None
        found = self._s3.get_object(**_parameters(location))
        with found["Body"] as body:
            return body.read() if found["ContentLength"] <= most else None


def _parameters(location: Location) -> dict[str, str]:
    version = {} if location.version is None else {"VersionId": location.version}
    return {"Bucket": location.bucket, "Key": location.key, **version}


def _where(location: dict[str, str]) -> Location:
    try:
        return Location(location["bucket"], location["key"], location.get("version"))
    except KeyError as missing:
        raise invalid(f"files: s3Location has no {missing}") from None
