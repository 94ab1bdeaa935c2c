"""Make, fill and read a littlefs image; the host's side is `ujobs_tools.board.image`.

Runs on MicroPython only: `micropython image_tool.py format|write|read|fill IMAGE BLOCKS`. Files pass through stdin
(write) or stdout (read), each as a line `length path` and that many bytes. The exit code is 0 or the error's
errno.
"""

import sys

import vfs
from blockdevice import BlockDevice


def _make_folders(fs, path: str) -> None:
    parts = path.split("/")[1:-1]
    for count in range(len(parts)):
        folder = "/" + "/".join(parts[: count + 1])
        try:
            fs.mkdir(folder)
        except OSError as error:
            if error.errno != 17:  # EEXIST
                raise


def _write(fs) -> None:
    source = sys.stdin.buffer
    while True:
        header = source.readline()
        if not header:
            return
        length, path = header.decode().rstrip("\n").split(" ", 1)
        data = source.read(int(length))
        _make_folders(fs, path)
        # A name of its own, then the rename: a full flash or a kill leaves the old file, never half a file.
        try:
            with fs.open(path + ".new", "wb") as file:
                file.write(data)
        except OSError:
            fs.remove(path + ".new")
            raise
        fs.rename(path + ".new", path)


def _fill(fs) -> None:
    _make_folders(fs, "/fill/")
    for size in (65536, 4096):
        content = bytes(size)
        number = 0
        while True:
            path = "/fill/%d-%d" % (size, number)
            try:
                with fs.open(path, "wb") as file:
                    file.write(content)
            except OSError as error:
                if error.errno != 28:  # ENOSPC
                    raise
                fs.remove(path)
                break
            number += 1


def _read(fs, folder: str = "") -> None:
    for entry in fs.ilistdir(folder or "/"):
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            _read(fs, path)
            continue
        with fs.open(path, "rb") as file:
            data = file.read()
        sys.stdout.buffer.write(b"%d %s\n" % (len(data), path.encode()))
        sys.stdout.buffer.write(data)


def main() -> None:
    """Do what the arguments say."""
    action, path, blocks = sys.argv[1:]
    device = BlockDevice(open(path, "rb" if action == "read" else "r+b"), int(blocks))  # noqa: SIM115
    if action == "format":
        vfs.VfsLfs2.mkfs(device)
        return
    fs = vfs.VfsLfs2(device)
    if action == "write":
        _write(fs)
    elif action == "fill":
        _fill(fs)
    else:
        _read(fs)
    fs.umount()


try:
    main()
except OSError as error:
    sys.exit(error.errno)
