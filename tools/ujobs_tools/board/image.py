"""Flash images: files with a littlefs file system, created and read by MicroPython's own littlefs.

Images have blocks of 4096 bytes, like the ESP32's flash. A running board holds a lock on its image (see `lock`).
"""

import contextlib
import errno
import fcntl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from ujobs_tools.host.files import make_private, named

from .fakes_cache import FAKES
from .interpreter import environment, find_micropython

BLOCK_SIZE = 4096
DEFAULT_BLOCKS = 512  # 2 MB, as on a 4 MB ESP32 module


class ImageError(ValueError):
    """An image cannot be created, read or locked; the message names it."""


def build_image(path: Path, files: dict[str, bytes], blocks: int = DEFAULT_BLOCKS) -> None:
    """Create or replace an image. It appears complete or not at all; only its owner can read it, because boards have
    keys and passwords.

    path: of the image; its folder is created. files: content by path on the board. blocks: size in blocks of 4096
    bytes, at least 4. Raises ImageError if the files do not fit, or if a board is running on the image.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with named(path):
        make_private(part)
    try:
        with named(path):
            part.write_bytes(b"\xff" * (BLOCK_SIZE * blocks))
        _run_tool("format", part, shown=path)
        _run_tool("write", part, _pack(files), path)
        with path.open("a+b") as old:
            lock(old.fileno(), path)
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_file(path: Path, name: str, data: bytes) -> None:
    """Write one file to an image; see write_files."""
    write_files(path, {name: data})


def write_files(path: Path, files: dict[str, bytes]) -> None:
    """Write files to an image, each completely or not at all. Raises ImageError, also while a board runs on it."""
    with path.open("r+b") as image:
        lock(image.fileno(), path)
        _run_tool("write", path, _pack(files))


def fill(path: Path) -> None:
    """Use up all free blocks of an image with files in /fill. Raises ImageError, also while a board runs on it."""
    with path.open("r+b") as image:
        lock(image.fileno(), path)
        _run_tool("fill", path)


def read_files(path: Path) -> dict[str, bytes]:
    """Return all files of an image: content by path on the board, with a leading slash.

    The image of a running board can also be read: the files are as after a power cut at that moment. Raises ImageError.
    """
    with tempfile.NamedTemporaryFile() as copy:  # only its owner can read it
        copy.write(_snapshot(path))
        copy.flush()
        packed = _run_tool("read", Path(copy.name), shown=path)
    files: dict[str, bytes] = {}
    position = 0
    while position < len(packed):
        end = packed.index(b"\n", position)
        length, name = packed[position:end].decode().split(" ", 1)
        position = end + 1 + int(length)
        files[name] = packed[end + 1 : position]
    return files


def _snapshot(path: Path) -> bytes:
    # A board may write while the file is being read. Two identical reads in a row show the state of one moment.
    with _image_errors(path):
        last = path.read_bytes()
        while (content := path.read_bytes()) != last:
            last = content
    return content


@contextlib.contextmanager
def _image_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ImageError(f"{path}: {error.strerror}") from error


def lock(descriptor: int, path: Path, timeout: float = 2.0) -> None:
    """Lock an open image for one board or writer; processes that inherit the descriptor keep the lock.

    timeout: seconds to wait, for a board that is being killed. Raises BlockingIOError when they are over.
    """
    deadline = time.monotonic() + timeout
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BlockingIOError(f"{path} is in use by a running board") from None
            time.sleep(0.02)
        else:
            return


def _pack(files: dict[str, bytes]) -> bytes:
    packed = []
    for name, data in files.items():
        if "\n" in name:
            raise ImageError(f"a file name on the board cannot contain a line break: {name!r}")
        packed.append(b"%d /%s\n" % (len(data), name.lstrip("/").encode()))
        packed.append(data)
    return b"".join(packed)


def _run_tool(action: str, path: Path, stdin: bytes = b"", shown: Path | None = None) -> bytes:
    # shown: path of the image for messages.
    with _image_errors(path), path.open("r+b") as image:
        blocks = path.stat().st_size // BLOCK_SIZE
        # MicroPython dies of an argument over 255 bytes, so no path is one.
        program = ["image_tool.py", action, f"/proc/self/fd/{image.fileno()}", str(blocks)]
        result = subprocess.run(
            [find_micropython(), "-X", "heapsize=32m", *program], input=stdin, capture_output=True, env=environment(),
            cwd=FAKES, pass_fds=[image.fileno()],
        )
    if result.returncode == 0:
        return result.stdout
    if result.returncode == errno.ENOSPC:
        raise ImageError(f"{shown or path}: the files do not fit into {blocks * BLOCK_SIZE} bytes of flash")
    if result.returncode in (errno.EILSEQ, errno.EIO, errno.ENODEV, errno.EINVAL):
        raise ImageError(f"{shown or path} does not contain a valid littlefs file system")
    message = result.stderr.decode(errors="replace").strip() or f"error {result.returncode}"
    raise ImageError(f"cannot {action} {shown or path}: {message}")
