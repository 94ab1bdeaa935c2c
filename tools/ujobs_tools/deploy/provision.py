"""Provisions a board: creates its thing and key, and waits until the board connects with them."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.board.files import make_own_files
from ujobs_tools.board.settings import UsageError

from .ports import BoardError

CONNECTED = "ujobs: connected to "
"""Start of the line that a board prints when it has connected (lib/ujobs/link.py)."""
_NOT_STARTED = "not started: "  # of main.py


def credentials(
    thing: str, folder: Path, endpoint_url: str | None, region: str | None, profile: str | None, ca: Path | None,
    mqtt_port: int | None,
) -> tuple[str, int]:
    """Create a thing, with its key and certificates in a folder, unless they exist. Returns host and port for MQTT.

    folder: if it already holds a key, that key is used, for example for a board that was wiped. mqtt_port: overrides
    the port that the service reports; UsageError is raised if there is neither. Other arguments and errors: see
    fleet.create_thing.
    """
    port: int | None
    if not (folder / "key.der").exists():
        made = fleet.create_thing(thing, folder, endpoint_url, region, profile, ca)
        host, port = made.host, made.port
    else:
        with cloud.one_line_errors():
            iot = cloud.client("iot", endpoint_url, region, profile)
            try:
                iot.describe_thing(thingName=thing)
            except iot.exceptions.ResourceNotFoundException:
                raise cloud.CloudError(
                    f"{folder} has a key, but the thing {thing} does not exist: give another folder with --out"
                ) from None
            host, port = fleet.mqtt_endpoint(iot, endpoint_url)
    port = mqtt_port or port
    if port is None:
        raise UsageError("the service does not report its MQTT port: give --mqtt-port")
    return host, port


def board_files(settings: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """Return the board's settings, and its key and certificates at the paths in the settings. Raises OSError."""
    return {f"/{name}": content for name, content in make_own_files(settings, folder, None).items()}


def prove(lines: Iterable[str], say: Callable[[str], None]) -> None:
    """Read the board's output until it has connected. say: called with every line.

    Raises BoardError if it reports that it cannot start, or if the lines end first.
    """
    for line in lines:
        say(line)
        if line.startswith(CONNECTED):
            return
        if line.startswith(_NOT_STARTED):
            raise BoardError("the board has all its files, but does not start: its last line says why")
    raise BoardError("the board has all its files, but did not connect in time: see its output above")
