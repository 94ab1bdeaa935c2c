"""Creates, writes, fills and reads a littlefs image, for `ujobs_tools.board.image`.

Runs on MicroPython only: `micropython image_tool.py format|write|read|fill IMAGE BLOCKS`. It reads files from stdin
(write) or prints them to stdout (read): for each file a line `length path`, then the content. The exit code is 0, or
the errno of the error.
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
        # Write a new file, then rename it: if the flash is full or the process is killed, the old file stays intact.
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
    """Carry out the action that the arguments name."""
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
