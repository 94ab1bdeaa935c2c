"""Streams and the content of their files in the database; no rules."""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ujobs_tools.service.database import Database, decode


@dataclass(slots=True)
class Stream:
    """A stream. files: as given to CreateStream. version: starts at 1 and counts updates."""

    id: str
    files: list[dict[str, Any]]
    role_arn: str
    description: str | None
    created_at: float
    last_updated_at: float
    version: int = 1


def _stream(row: sqlite3.Row) -> Stream:
    return Stream(**{**row, "files": decode(row["files"])})


class StreamStore(Database):
    """The tables of streams."""

    def add_stream(self, stream: Stream) -> None:
        self._insert("streams", **asdict(stream))

    def save_stream(self, stream: Stream) -> None:
        self._update("streams", "id", **asdict(stream))

    def stream(self, stream_id: str) -> Stream | None:
        row = self._one("SELECT * FROM streams WHERE id = ?", stream_id)
        return None if row is None else _stream(row)

    def streams(self) -> Sequence[Stream]:
        """All streams, sorted by id."""
        return [_stream(row) for row in self._all("SELECT * FROM streams ORDER BY id")]

    def delete_stream(self, stream_id: str) -> None:
        self._execute("DELETE FROM streams WHERE id = ?", stream_id)

    def save_contents(self, stream_id: str, contents: dict[int, bytes]) -> None:
        """Replace the contents of the stream's files. contents: by file id."""
        self._execute("DELETE FROM stream_files WHERE stream = ?", stream_id)
        for file_id, content in contents.items():
            self._insert("stream_files", stream=stream_id, file_id=file_id, content=content)

    def file_sizes(self, stream_id: str) -> dict[int, int]:
        """The size of each of the stream's files in bytes, by file id."""
        statement = "SELECT file_id, length(content) FROM stream_files WHERE stream = ? ORDER BY file_id"
        return {row[0]: row[1] for row in self._all(statement, stream_id)}

    def pieces(self, stream_id: str, file_id: int, offsets: Iterable[int], size: int) -> Iterator[bytes]:
        """The blocks of a file at these offsets: `size` bytes each, fewer at its end."""
        row = self._value("SELECT rowid FROM stream_files WHERE stream = ? AND file_id = ?", stream_id, file_id)
        with self._connection.blobopen("stream_files", "content", row, readonly=True) as blob:
            for offset in offsets:
                blob.seek(offset)
                yield blob.read(size)
