"""Publishes new versions: uploads files to S3, creates a stream, and returns the document of an `app` or `firmware`
job. Works on AWS, on `ujobs serve`, and on MiniStack's S3. See docs/handlers."""

import hashlib
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ujobs_tools.aws.jobs import JOB_ID
from ujobs_tools.host import esp32_images
from ujobs_tools.host.processes import uninterrupted
from ujobs_tools.keys.signing import MAX_VERSION, Signer

MAX_FILES = 50  # of a stream (CreateStream, files)
MAX_URLS = 10  # placeholders of presigned URLs in a job document (AWS IoT quotas)
MAX_FILE = 24 * 1024 * 1024  # bytes per file of a stream
# For the local service, which stores files itself and ignores roles.
LOCAL_BUCKET = "ujobs"
LOCAL_ROLE = "arn:aws:iam::000000000000:role/local"
WINDOW = 11  # bits: 2 KB
_LEAST_SAVED = 200  # bytes

OnProgress = Callable[[str, int], None]


@dataclass(frozen=True)
class Destination:
    """Where files are uploaded to. s3, iot: boto3 clients. bucket: an existing S3 bucket. role_arn: role that lets AWS
    IoT read the bucket. https: boards download from presigned URLs over HTTPS, not from a stream over MQTT. on_stream:
    called with the name of the stream that was created; Ctrl-C waits for it."""

    s3: Any
    iot: Any
    bucket: str
    role_arn: str
    https: bool = False
    on_stream: Callable[[str], None] = lambda name: None


def publish_app(
    to: Destination, files: Mapping[str, Path], version: str, name: str,
    on_progress: OnProgress = lambda path, size: None, signer: Signer | None = None, downgrade: bool = False,
    compress: bool = True,
) -> dict[str, Any]:
    """Upload an application and return the document of the job that installs it on boards.

    files: at most 50, over HTTPS 10, by their path in the application (see board.files.application_files). version: 1
    to 64 characters, shown in the job's status details. name: name of the job, the stream and the folder in the bucket,
    1 to 64 characters of a-z A-Z 0-9 _ -. on_progress: called with path and size of each file after its upload. signer:
    signs the document, for boards with a signing_key. downgrade: boards with a higher version install this one too.
    compress: compress files if that saves bytes; boards need MicroPython's deflate. Raises ValueError if a file,
    version or name is invalid, OSError, and boto3's errors.
    """
    sources = _upload(to, list(files.items()), version, name, on_progress, compress)
    entries = [{"path": path, **source} for path, source in zip(files, sources, strict=True)]
    return _document(to, "app", version, name, downgrade, signer, {"files": entries})


def publish_firmware(
    to: Destination, image: Path, version: str, name: str, on_progress: OnProgress = lambda path, size: None,
    signer: Signer | None = None, downgrade: bool = False,
) -> dict[str, Any]:
    """Upload an ESP32 application image and return the document of the job that installs it.

    image: the file that `idf.py` and MicroPython's build name micropython.bin, and the download page .app-bin. An
    image for the whole flash is refused: it begins with the bootloader. Other arguments and errors: see publish_app.
    """
    content = image.read_bytes()
    if content[:1] != bytes([esp32_images.MAGIC]):
        raise ValueError(f"{image} is not an ESP32 application image")
    take = "take the .app-bin file from MicroPython's download page, or micropython.bin of a build"
    if esp32_images.is_whole_flash(content):
        raise ValueError(f"{image} is for the whole flash: {take}")
    esp32_images.chip(content, image)
    if not esp32_images.is_application(content):
        raise ValueError(f"{image} is no application: {take}")
    if not esp32_images.is_whole(content):
        raise ValueError(f"{image} is damaged, no board would start it: download, copy or build it again")
    (source,) = _upload(to, [(image.name, image)], version, name, on_progress)
    return _document(to, "firmware", version, name, downgrade, signer, source)


def presigning(to: Destination) -> dict[str, Any]:
    """Return the parameters that CreateJob needs for documents with presigned URLs."""
    return {"presignedUrlConfig": {"roleArn": to.role_arn, "expiresInSec": 3600}} if to.https else {}


def _upload(
    to: Destination, files: Sequence[tuple[str, Path]], version: str, name: str, on_progress: OnProgress,
    compress: bool = False,
) -> list[dict[str, Any]]:
    """Upload files; returns the entry of the job document for each."""
    if not 1 <= len(version) <= MAX_VERSION:
        raise ValueError(f"version {version!r} must be 1 to {MAX_VERSION} characters")
    if not JOB_ID.fullmatch(name):  # names of streams may be longer
        raise ValueError(f"name {name!r} must be 1 to 64 characters of a-z A-Z 0-9 _ -")
    if len(files) > MAX_FILES:
        raise ValueError(f"{len(files)} files; the limit is {MAX_FILES}")
    if to.https and len(files) > MAX_URLS:
        raise ValueError(f"{len(files)} files; with --https the limit is {MAX_URLS}: leave it out, a stream takes more")
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
        with uninterrupted():
            to.iot.create_stream(streamId=name, files=locations, roleArn=to.role_arn)
            to.on_stream(name)
    return sources


def pack(content: bytes) -> bytes:
    """Compress the content with a small window, because the board needs that much memory; returns b"" if the saving is
    less than the growth of the job document."""
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
    # AWS replaces it with a new URL each time a device fetches the document.
    region = to.s3.meta.region_name
    return f"${{aws:iot:s3-presigned-url-v2:https://{to.bucket}.s3.{region}.amazonaws.com/{quote(key)}}}"
