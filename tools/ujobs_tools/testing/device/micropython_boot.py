"""The process of on_micropython: reads an order, boots once, prints a report; MicroPython only.

The report is one line of JSON after MARK. After a power cut the program prints the report and waits to be killed, so
that no `finally` of the application runs, as on a real board. Flash is littlefs in a file; the host's files are under
/host.
"""

import json
import os
import sys

MARK = "\x02ujobs "


class Platform:
    """The platform of one_boot on MicroPython."""

    def __init__(self):
        self._ends = []

    def set_time(self, board_time):
        """Replace `time` for all modules that are imported from now on."""
        sys.modules["time"] = board_time

    def register(self, agent, order, starts):
        """Import the application and call its setup()."""
        import one_boot

        module = __import__(order["module"])
        function = getattr(module, order["function"]) if order["function"] else None
        finish = one_boot.registering(agent, function, order, starts)
        if hasattr(module, "setup"):
            one_boot.set_up(module, agent)
        finish()

    def fill_flash(self):
        """Fill the flash with files of decreasing sizes, because littlefs stores small files inside folders."""
        os.mkdir("/fill")
        for size in (16384, 4096, 256, 16):
            try:
                for number in range(10000):
                    with open("/fill/%d-%d" % (size, number), "wb") as file:
                        file.write(bytes(size))
            except OSError:
                pass

    def at_end(self, undo):
        """Do nothing: the process ends."""

    def cut_power(self, report):
        """Print the report, and wait to be killed."""
        print_report(report)
        sys.stdin.read()


def print_report(report):
    print(MARK + json.dumps(report))


def main(fakes, image, blocks):
    import gc

    import vfs

    # As in main.py, limit fragmentation: the report of a job with many updates needs one large block.
    gc.threshold(200000)
    sys.path.append("/host" + fakes)
    vfs.umount("/")
    vfs.mount(vfs.VfsPosix("/"), "/host")
    sys.path[:] = ["/host" + folder for folder in (fakes,)] + [".frozen"]
    import blockdevice

    device = blockdevice.BlockDevice(open("/host" + image, "r+b", 0), blocks)  # noqa: SIM115
    try:
        vfs.mount(vfs.VfsLfs2(device), "/")
    except OSError:
        vfs.VfsLfs2.mkfs(device)
        vfs.mount(vfs.VfsLfs2(device), "/")
    order = json.loads(sys.stdin.readline())
    sys.path[:] = [_short(folder, number) for number, folder in enumerate(order["folders"])] + [".frozen"]
    import peripherals

    peripherals.reset = peripherals.soft_reset = lambda: None
    sys.modules["machine"] = peripherals
    for name, content in order["files"]:
        _write(name, content)
    import one_boot

    try:
        report = one_boot.run(order, Platform())
    except Exception as error:
        sys.print_exception(error)
        report = {"outcome": "failed", "reason": repr(error)}
    report["files"] = [] if report["outcome"] == "failed" else list(_files(""))
    print_report(report)


def _short(folder, number):
    # MicroPython imports from no file whose path is over 255 bytes: a long folder gets a short name.
    name = "/host" + folder
    if len(name) > 150:
        import vfs

        name = "/host%d" % number
        vfs.mount(vfs.VfsPosix(folder), name)
    return name


def _write(name, content):
    at = name.find("/", 1)
    while at > 0:
        try:
            os.mkdir(name[:at])
        except OSError:
            pass
        at = name.find("/", at + 1)
    with open(name, "wb") as file:
        file.write(bytes.fromhex(content))


def _files(folder):
    for name, kind, *_ in os.ilistdir(folder or "/"):
        path = folder + "/" + name
        if path.rstrip("0123456789") == "/host" or path in ("/fill", "/ujobs-journal"):
            continue
        if kind == 0x4000:
            yield from _files(path)
        else:
            with open(path, "rb") as file:
                yield path, file.read().hex()


main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
