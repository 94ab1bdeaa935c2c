"""A virtual board and a local service of its own, for a run without hardware."""

import contextlib
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ujobs_tools.board.fakes.partitions import image_header
from ujobs_tools.host.processes import read_ready_file, running, ujobs, wait_until

CLOCK_SPEED = 20.0
WIFI_SSID, WIFI_PASSWORD = "qualify", "virtual-board"
WATCHDOG = 3  # seconds
_FIRMWARE = 20000  # bytes
_PATIENCE = 20.0  # seconds


@dataclass(frozen=True)
class Virtual:
    """port: of the board. reset_command: its reset line. url: of the service. image: the board's flash. firmware: an
    application image for it, of which nothing but its header is looked at."""

    port: str
    reset_command: str
    url: str
    image: Path
    firmware: Path


@contextlib.contextmanager
def virtual(clock_speed: float = CLOCK_SPEED) -> Iterator[Virtual]:
    """Both, in a temporary folder. clock_speed: of the service. Raises NotReady when one does not start."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ujobs-qualify-")))
        ready_file, port, image = folder / "ready.json", folder / "port", folder / "flash.img"
        log = stack.enter_context((folder / "output.txt").open("ab"))
        options = "--ready-file", ready_file, "--clock-speed", str(clock_speed)
        service = stack.enter_context(running(ujobs("serve", "--data", folder / "cloud", *options), log))
        found = read_ready_file(ready_file, service)
        board = stack.enter_context(running(
            ujobs("board", image, "--bare", "--serial", port, "--stay",
                  "--wifi-ssid", WIFI_SSID, "--wifi-password", WIFI_PASSWORD), log,
        ))
        wait_until(port.exists, "the virtual board's serial port", _PATIENCE)
        firmware = folder / "firmware.bin"
        firmware.write_bytes(image_header() + bytes(_FIRMWARE))
        # By the terminal's own name: with any other mpremote sleeps between bytes, as real ports want it to.
        reset = shlex.join(["kill", "-QUIT", str(board.pid)])
        yield Virtual(str(port.readlink()), reset, found["http"], image, firmware)
