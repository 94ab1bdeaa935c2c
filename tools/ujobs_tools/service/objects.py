"""Objects in S3, as far as streams need them. The service has no S3 of its own: MiniStack, another stand-in or AWS."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from ujobs_tools import cloud
from ujobs_tools.service.errors import invalid
from ujobs_tools.service.streams import MAX_FILE, Files


def contents(url: str | None, files: Files) -> dict[int, bytes]:
    """What the S3 objects of a stream's files hold, by file id.

    url: of S3, None when the service was started without. Raises ApiError InvalidRequest for what cannot be read.
    """
    if url is None:
        raise invalid("files: this service was started without S3; give `ujobs serve` its address with --s3-url")
    try:
        s3 = cloud.client("s3", url)
    except cloud.CloudError as error:
        raise invalid(f"files: {error}") from None
    return {file.get("fileId", 0): _content(s3, file.get("s3Location", {})) for file in files}


def _content(s3: Any, location: dict[str, str]) -> bytes:
    try:
        version = {"VersionId": location["version"]} if "version" in location else {}
        found = s3.get_object(Bucket=location["bucket"], Key=location["key"], **version)
        if found["ContentLength"] > MAX_FILE:
            found["Body"].close()
            raise invalid(f"files: {location['key']} has {found['ContentLength']} bytes; the limit is {MAX_FILE}")
        return found["Body"].read()
    except KeyError as missing:
        raise invalid(f"files: s3Location has no {missing}") from None
    except (BotoCoreError, ClientError) as error:
        raise invalid(f"files: {location['bucket']}/{location['key']} cannot be read from S3: {error}") from None
