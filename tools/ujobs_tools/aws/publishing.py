"""New versions for boards: files go to S3, and become the stream and the job document of an `app` or `firmware` job.

The same with boto3 against AWS and against `ujobs serve` with MiniStack's S3 beside it. See docs/handlers."""

import hashlib
import re
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ujobs_tools.keys.signing import MAX_VERSION, Signer

MAX_FILES = 50  # of a stream (CreateStream, files)
MAX_FILE = 24 * 1024 * 1024  # bytes of a stream's file
# For the local service, which keeps files itself and has no roles.
LOCAL_BUCKET = "ujobs"
LOCAL_ROLE = "arn:aws:iam::000000000000:role/local"
WINDOW = 11  # bits: 2 KB
_LEAST_SAVED = 200  # bytes
_IMAGE_MAGIC = 0xE9  # first byte of an ESP32 application image
_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")  # of a job; a stream's may have twice that

OnProgress = Callable[[str, int], None]


@dataclass(frozen=True)
class Destination:
    """Where files go. s3, iot: boto3 clients. bucket: of S3, which must be there. role_arn: lets AWS IoT read it.
    https: boards fetch with presigned URLs over HTTPS instead of a stream over MQTT."""

    s3: Any
    iot: Any
    bucket: str
    role_arn: str
    https: bool = False


def publish_app(
    to: Destination, files: Mapping[str, Path], version: str, name: str,
    on_progress: OnProgress = lambda path, size: None, signer: Signer | None = None, downgrade: bool = False,
    compress: bool = True,
) -> dict[str, Any]:
    """Upload an application and return the document of the job that brings it to boards.

    files: at most 50, by their path in the application (board.files.application_files finds them). version: shown in
    the job's status details. name: of the job and its stream, and the folder in the bucket: 1 to 64 of a-z A-Z 0-9 _ -.
    on_progress: called with each file's path and size after its upload. signer: signs the document, for boards with a
    signing_key. downgrade: lets boards that run a higher version install this one. compress: send files compressed
    where that saves bytes; boards need MicroPython's deflate. Raises ValueError if a file, version or name is
    not allowed, OSError, and boto3's errors.
    """
    sources = _upload(to, list(files.items()), version, name, on_progress, compress)
    entries = [{"path": path, **source} for path, source in zip(files, sources, strict=True)]
    return _document(to, "app", version, name, downgrade, signer, {"files": entries})


def publish_firmware(
    to: Destination, image: Path, version: str, name: str, on_progress: OnProgress = lambda path, size: None,
    signer: Signer | None = None, downgrade: bool = False,
) -> dict[str, Any]:
    """Upload an ESP32 application image and return the job's document; for the rest see publish_app.

    image: what `idf.py` or MicroPython's build calls micropython.bin; not the image of a whole flash, which begins with
    the bootloader and is refused by boards.
    """
    with image.open("rb") as file:
        if file.read(1) != bytes([_IMAGE_MAGIC]):
            raise ValueError(f"{image} is no ESP32 application image")
    (source,) = _upload(to, [(image.name, image)], version, name, on_progress)
    return _document(to, "firmware", version, name, downgrade, signer, source)


def presigning(to: Destination) -> dict[str, Any]:
    """What CreateJob needs for presigned URLs, if the documents have any."""
    return {"presignedUrlConfig": {"roleArn": to.role_arn, "expiresInSec": 3600}} if to.https else {}


def _upload(
    to: Destination, files: Sequence[tuple[str, Path]], version: str, name: str, on_progress: OnProgress,
    compress: bool = False,
) -> list[dict[str, Any]]:
    """Returns how a job document describes each file."""
    if not 1 <= len(version) <= MAX_VERSION:
        raise ValueError(f"version {version!r} must be 1 to {MAX_VERSION} characters")
    if not _NAME.fullmatch(name):
        raise ValueError(f"name {name!r} must be 1 to 64 characters of a-z A-Z 0-9 _ -")
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files)} files; at most {MAX_FILES} are taken")
    for path, file in files:
        if file.stat().st_size > MAX_FILE:
            raise ValueError(f"{path} has {file.stat().st_size} bytes; the limit is {MAX_FILE}")
    sources = []
    for number, (path, file) in enumerate(files):
        content = file.read_bytes()
        key = f"{name}/{path}"
        packed = pack(content) if compress else b""
        to.s3.put_object(Bucket=to.bucket, Key=key, Body=packed or content)
        where = {"url": _placeholder(to, key)} if to.https else {"file": number}
        sources.append({**where, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()})
        if packed:
            sources[-1]["deflate"] = {"size": len(packed), "sha256": hashlib.sha256(packed).hexdigest()}
        on_progress(path, len(content))
    if not to.https:
        locations = [
            {"fileId": number, "s3Location": {"bucket": to.bucket, "key": f"{name}/{path}"}}
            for number, (path, _) in enumerate(files)
        ]
        to.iot.create_stream(streamId=name, files=locations, roleArn=to.role_arn)
    return sources


def pack(content: bytes) -> bytes:
    """The content as zlib makes it with a small window, which the board needs as memory; nothing if that saves less
    than the job document grows by."""
    packer = zlib.compressobj(9, zlib.DEFLATED, WINDOW)
    packed = packer.compress(content) + packer.flush()
    return packed if len(content) - len(packed) > _LEAST_SAVED else b""


def _document(
    to: Destination, operation: str, version: str, name: str, downgrade: bool, signer: Signer | None,
    source: dict[str, Any],
) -> dict[str, Any]:
    document = {"operation": operation, "version": version, **({} if to.https else {"stream": name}), **source}
    if downgrade:
        document["downgrade"] = True
    return signer.sign_document(document) if signer else document


def _placeholder(to: Destination, key: str) -> str:
    # AWS puts a fresh URL in its place each time that a device fetches the document.
    region = to.s3.meta.region_name
    return f"${{aws:iot:s3-presigned-url-v2:https://{to.bucket}.s3.{region}.amazonaws.com/{quote(key)}}}"
