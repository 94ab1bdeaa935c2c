"""A virtual board and a local service, for a run without hardware."""

import contextlib
import shlex
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ujobs_tools.board.fakes.app_image import image as app_image
from ujobs_tools.host.processes import read_ready_file, running, ujobs, wait_until

CLOCK_SPEED = 20.0
WIFI_SSID, WIFI_PASSWORD = "qualify", "virtual-board"
WATCHDOG = 3  # seconds
_FIRMWARE = 20000  # bytes
_PATIENCE = 60.0  # seconds


@dataclass(frozen=True)
class Virtual:
    """port: serial port of the board. reset_command: command that resets the board. url: URL of the service. image:
    file with the board's flash. firmware: application image for the board."""

    port: str
    reset_command: str
    url: str
    image: Path
    firmware: Path


@contextlib.contextmanager
def virtual(clock_speed: float = CLOCK_SPEED) -> Iterator[Virtual]:
    """Start both in a temporary folder. clock_speed: speed of the service's clock. Raises NotReady if one does not
    start."""
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
        firmware.write_bytes(app_image(bytes(_FIRMWARE)))
        # Use the terminal's own name: with another name, mpremote pauses between bytes, as for real ports.
        reset = shlex.join(["kill", "-QUIT", str(board.pid)])
        yield Virtual(str(port.readlink()), reset, found["http"], image, firmware)
