"""Files in flash: folders and free room, and how a file is installed whole or not at all."""

import asyncio
import hashlib
import os

# Not in a .mpy at -O2, whose compiler knows const.
if __debug__:
    from micropython import const

_PIECE = const(1024)  # bytes read at a time
_TURN = const(32768)  # bytes hashed before it yields to other tasks
_SPARE = const(8192)  # bytes of flash kept free for the journal and for littlefs itself


def make_folders(path: str) -> None:
    """Make the folders that a file at this path needs. Raises OSError."""
    folder = ""
    for name in path.split("/")[1:-1]:
        folder += "/" + name
        try:
            os.mkdir(folder)
        except OSError:
            pass  # it is there, or opening the file says why not


def remove(path: str) -> bool:
    """Remove a file; return whether there was one."""
    try:
        os.remove(path)
        return True
    except OSError:
        return False


def free(path: str) -> int:
    """Return how many bytes the file system of an absolute path has free."""
    try:
        state = os.statvfs("/" + path.split("/")[1])
    except OSError:
        state = os.statvfs("/")
    # A nearly full littlefs may report a negative number, which looks like a very large one.
    return state[0] * state[3] if state[3] <= state[2] else 0


def room(path: str, size: int) -> None:
    """Raise OSError when the file system of an absolute path has not that many bytes free, and some to spare."""
    size += _SPARE
    left = free(path)
    if size > left:
        raise OSError("no room: %d bytes needed, %d free" % (size, left))


async def sha256(path: str) -> bytes:
    """Return the SHA-256 of a file; yields to other tasks meanwhile. Raises OSError."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(_PIECE))
    with open(path, "rb") as file:
        while True:
            count = file.readinto(buffer)
            if not count:
                return digest.digest()
            digest.update(buffer[:count])
            # Not after each piece: yielding costs more than hashing one.
            if file.tell() % _TURN == 0:
                await asyncio.sleep(0)


class Part:
    """A file that is still arriving, next to its place: `path` with ".part" behind it.

    path: absolute. resume: continue the part that an earlier attempt left, if any. Raises OSError.
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

    def room(self, size: int) -> None:
        """Raise OSError when the file system has not that many bytes free, and some to spare."""
        room(self.path, size)

    def clear(self) -> None:
        """Discard the content so far. Raises OSError."""
        self._file.close()
        self._file = open(self.name, "w+b")
        self.size = 0

    def write(self, offset: int, data: "bytes | memoryview") -> None:
        """Write at an offset. Raises OSError."""
        self._file.seek(offset)
        self._file.write(data)
        self.size = max(self.size, offset + len(data))

    def flush(self) -> None:
        """Make the content so far survive a reset. Raises OSError."""
        self._file.flush()

    async def sha256(self) -> bytes:
        """Return the SHA-256 of what is in flash."""
        self._file.flush()
        return await sha256(self.name)

    def install(self) -> None:
        """Move the file to its place, in one step. Raises OSError."""
        self._file.close()
        os.rename(self.name, self.path)

    def close(self) -> None:
        """Stop writing, and keep the part for a later attempt."""
        self._file.close()

    def remove(self) -> None:
        """Remove it."""
        self._file.close()
        remove(self.name)
