"""Streams: the control plane's operations, and the devices' requests for blocks of files.

Method and parameter names are boto3's for the `iot` client; the device's requests and replies are those of "MQTT-based
file delivery". Unlike AWS, this service copies the files from S3 when a stream is created or updated, and serves the
copies."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ujobs_tools.service import limits, paging
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError, already_exists, existing, invalid
from ujobs_tools.service.stream_store import Stream
from ujobs_tools.service.tags import TagList, checked_tags

MAX_FILE = 24 * 1024 * 1024
SMALLEST_BLOCK, LARGEST_BLOCK = 256, 128 * 1024
MAX_REPLY = 128 * 1024  # bytes of all blocks that one request returns
MAX_OFFSET = MAX_BLOCKS = MAX_FILE // SMALLEST_BLOCK
MAX_BITMAP = MAX_BLOCKS // 8
MAX_TOKEN = 64  # bytes

Files = Sequence[Mapping[str, Any]]


class Streams(Core):
    """CreateStream and related operations, and the devices' DescribeStream and GetStream; all raise ApiError.

    contents: of the files, by file id.
    """

    def create_stream(
        self, streamId: str, files: Files, roleArn: str, contents: dict[int, bytes], description: str | None = None,
        tags: TagList | None = None,
    ) -> dict[str, Any]:
        """Create a stream of up to 50 files of up to 24 MB."""
        if self.store.stream(streamId) is not None:
            raise already_exists(f"Stream {streamId} already exists.", streamId, self.arn("stream", streamId))
        now = self.clock()
        stream = Stream(streamId, [dict(file) for file in files], roleArn, description, now, now)
        _check_contents(files, contents)
        labels = checked_tags(tags)
        with self.store.transaction():
            self.store.add_stream(stream)
            self.store.save_tags(self.arn("stream", streamId), labels)
            self.store.save_contents(streamId, contents)
        return self._stream_identity(stream)

    def update_stream(
        self, streamId: str, contents: dict[int, bytes], files: Files | None = None, roleArn: str | None = None,
        description: str | None = None,
    ) -> dict[str, Any]:
        """Change the given members; this increments the stream's version."""
        stream = self.known_stream(streamId)
        stream.role_arn = roleArn or stream.role_arn
        stream.description = stream.description if description is None else description
        stream.version += 1
        stream.last_updated_at = self.clock()
        with self.store.transaction():
            if files is not None:
                _check_contents(files, contents)
                stream.files = [dict(file) for file in files]
                self.store.save_contents(streamId, contents)
            self.store.save_stream(stream)
        return self._stream_identity(stream)

    def known_stream(self, stream_id: str) -> Stream:
        """The stream. Raises ApiError ResourceNotFound."""
        return existing(self.store.stream(stream_id), f"Stream {stream_id} does not exist.")

    def _stream_identity(self, stream: Stream) -> dict[str, Any]:
        identity = {
            "streamId": stream.id, "streamArn": self.arn("stream", stream.id), "streamVersion": stream.version,
        }
        return identity | ({} if stream.description is None else {"description": stream.description})

    def describe_stream(self, streamId: str) -> dict[str, Any]:
        """The stream and the S3 locations of its files."""
        stream = self.known_stream(streamId)
        more = {
            "files": stream.files, "createdAt": stream.created_at, "lastUpdatedAt": stream.last_updated_at,
            "roleArn": stream.role_arn,
        }
        return {"streamInfo": self._stream_identity(stream) | more}

    def list_streams(
        self, maxResults: int | None = None, nextToken: str | None = None, ascendingOrder: bool = True
    ) -> dict[str, Any]:
        """All streams, sorted by id."""
        after = paging.position("streams", nextToken)
        found = [
            stream for stream in (self.store.streams() if ascendingOrder else reversed(self.store.streams()))
            if after is None or (stream.id > after if ascendingOrder else stream.id < after)
        ]
        return paging.page("streams", found, paging.size(maxResults), self._stream_identity, lambda stream: stream.id)

    def delete_stream(self, streamId: str) -> dict[str, Any]:
        """Delete a stream and its contents."""
        self.known_stream(streamId)
        self.store.delete_stream(streamId)
        self.store.delete_tags(self.arn("stream", streamId))
        return {}

    def stream_description(self, stream_id: str, request: limits.Request) -> dict[str, Any]:
        """A device's DescribeStream. Returns version s, description d, and files r, each with id f and size z."""
        stream = self.known_stream(stream_id)
        sizes = self.store.file_sizes(stream_id)
        description = {} if stream.description is None else {"d": stream.description}
        return {"s": stream.version, **description, "r": [{"f": number, "z": size} for number, size in sizes.items()]}

    def stream_blocks(self, stream_id: str, request: limits.Request) -> Iterator[dict[str, Any]]:
        """A device's GetStream. Returns blocks, each with file id f, length l, index i and payload p as bytes.

        request: s, expected version; f, file id; l, bytes of a block; o, first block; n, number of blocks; b, bitmap of
        the requested blocks from o on, as bytes, the lowest bit of the first byte first. Only f and l are required. One
        call returns at most 128 KB. Errors are raised by the call itself, not while the blocks are iterated.
        """
        stream = self.known_stream(stream_id)
        file_id = _number(request, "f", 0, 255, "InvalidRequest")
        size = _number(request, "l", SMALLEST_BLOCK, LARGEST_BLOCK, "BlockSizeOutOfBounds")
        first = _number(request, "o", 0, MAX_OFFSET, "OffsetOutOfBounds", 0)
        count = _number(request, "n", 0, MAX_BLOCKS, "BlockCountLimitExceeded", MAX_REPLY // size)
        expected = _integer(request, "s")
        if expected is not None and expected != stream.version:
            raise ApiError("VersionMismatch", f"Expected version {expected} but found version {stream.version}")
        length = self.store.file_sizes(stream_id).get(file_id)
        if length is None:
            raise ApiError("ResourceNotFound", f"Stream {stream_id} has no file {file_id}.")
        last = max(0, length - 1) // size
        if first > last:
            raise ApiError("OffsetOutOfBounds", f"o is {first}; the last block of file {file_id} is {last}")
        wanted = _wanted(request.get("b"), first, count)
        indexes = [index for index in wanted if index <= last][: min(count, MAX_REPLY // size)]
        pieces = self.store.pieces(stream_id, file_id, [index * size for index in indexes], size)
        return (
            {"f": file_id, "l": len(piece), "i": index, "p": piece}
            for index, piece in zip(indexes, pieces, strict=True)
        )


def _check_contents(files: Files, contents: dict[int, bytes]) -> None:
    if len(contents) != len(files):
        raise invalid("files: each fileId must be unique")
    for file_id, content in contents.items():
        if len(content) > MAX_FILE:
            raise invalid(f"files: the object of fileId {file_id} has {len(content)} bytes; the limit is {MAX_FILE}")


def _integer(request: limits.Request, name: str) -> int | None:
    # Unlike in Jobs requests, "3" is not accepted for 3: no AWS library sends strings here, so AWS may reject them.
    if isinstance(request.get(name), str):
        raise invalid(f"{name} must be a number, not a string")
    return limits.integer(request, name)


def _number(request: limits.Request, name: str, least: int, most: int, code: str, default: int | None = None) -> int:
    value = _integer(request, name)
    if value is None:
        value = default
    if value is None:
        raise invalid(f"{name} is missing")
    if not least <= value <= most:
        raise ApiError(code, f"{name} is {value}; it must be {least} to {most}")
    return value


def _wanted(bitmap: Any, first: int, count: int) -> Sequence[int]:
    if bitmap is None:
        return range(first, first + count)
    if not isinstance(bitmap, bytes):
        raise invalid("b must be a bitmap")
    if len(bitmap) >= MAX_BITMAP:
        raise ApiError("BlockBitmapLimitExceeded", f"b has {len(bitmap)} bytes; the limit is {MAX_BITMAP - 1}")
    return [first + 8 * at + bit for at, byte in enumerate(bitmap) for bit in range(8) if byte >> bit & 1]
