"""Files that jobs write: which paths they may use, and how a file comes into its place whole or not at all."""

import asyncio
import hashlib
import os
from binascii import hexlify

from micropython import const

# What only type checkers read; the compiler leaves it out.
_TYPING = const(0)
if _TYPING:
    from typing import IO

_PIECE = const(1024)  # bytes read at a time
_TURN = const(32768)  # bytes hashed between two turns for the other tasks
_MAX_PATH = const(255)
_SPARE = const(8192)  # bytes of flash left for the journal and for what littlefs needs to work


def check_path(path: object, roots: "list[str] | tuple[str, ...]") -> str:
    """Return a path that a job document gives, if a job may write there.

    roots: folders, absolute and without a slash at the end. Raises ValueError when the path is not text of up to 255
    characters, is not plain and absolute ("..", ".", "//", control characters), or leads out of all the roots.
    """
    if not isinstance(path, str) or not 1 < len(path) <= _MAX_PATH:
        raise ValueError("a path must be text of 2 to %d characters" % _MAX_PATH)
    names = path.split("/")
    if names[0] or any(name in ("", ".", "..") for name in names[1:]) or "\\" in path or min(path.encode()) < 32:
        raise ValueError("path " + repr(path) + " is not plain and absolute")
    if not any(path.startswith(root + "/") for root in roots):
        raise ValueError("path " + path + " is outside of the folders that jobs may write")
    return path


def make_folders(path: str) -> None:
    """Make the folders that a file at this path needs. Raises OSError."""
    at = path.find("/", 1)
    while at > 0:
        try:
            os.stat(path[:at])
        except OSError:
            os.mkdir(path[:at])
        at = path.find("/", at + 1)


def remove(path: str) -> bool:
    """Remove a file; return whether there was one."""
    try:
        os.remove(path)
        return True
    except OSError:
        return False


def room(path: str, size: int) -> None:
    """Raise OSError when the file system of an absolute path has not that many bytes free, and some to spare."""
    try:
        state = os.statvfs("/" + path.split("/")[1])
    except OSError:
        state = os.statvfs("/")
    # A littlefs that is nearly full may report fewer than none, which looks like very many.
    free = state[0] * state[3] if state[3] <= state[2] else 0
    if size + _SPARE > free:
        raise OSError("no room: %d bytes are needed, %d are free" % (size + _SPARE, free))


async def sha256(path: str) -> str:
    """Return the SHA-256 of a file in hexadecimal, giving the other tasks their turn. Raises OSError."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return hexlify(digest.digest()).decode()
            digest.update(buffer[:count])
            # Not after each piece: a turn costs more than hashing one does.
            if file.tell() % _TURN == 0:
                await asyncio.sleep(0)


class Part:
    """A file that is still coming in, beside the place it is meant for: `path` with ".part" after it.

    path: absolute. resume: go on with what an earlier attempt left, if it left anything. Raises OSError.
    """

    def __init__(self, path: str, resume: bool = False):
        self.path = path
        self.name = path + ".part"
        self.size = 0
        if not resume:
            remove(self.name)
            make_folders(path)
        try:
            self._file = open(self.name, "r+b")
            self.size = self._file.seek(0, 2)
        except OSError:
            self._file = open(self.name, "w+b")

    def write(self, offset: int, data: "bytes | memoryview") -> None:
        """Write at an offset. Raises OSError."""
        self._file.seek(offset)
        self._file.write(data)
        self.size = max(self.size, offset + len(data))

    def copy(self, file: "IO[bytes]") -> None:
        """Write all of an open file. Raises OSError."""
        data = file.read(_PIECE)
        while data:
            self.write(self._file.tell(), data)
            data = file.read(_PIECE)

    def flush(self) -> None:
        """Make what was written so far outlast a reset. Raises OSError."""
        self._file.flush()

    async def sha256(self) -> str:
        """Return the SHA-256 of what is in flash, in hexadecimal."""
        self._file.flush()
        return await sha256(self.name)

    def install(self) -> None:
        """Put the file into its place, in one step."""
        self._file.close()
        os.rename(self.name, self.path)

    def close(self) -> None:
        """Stop writing, and leave the part for a later attempt."""
        self._file.close()

    def discard(self) -> None:
        """Remove it."""
        self._file.close()
        remove(self.name)
