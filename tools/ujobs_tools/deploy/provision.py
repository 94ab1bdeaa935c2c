"""Make a thing of a board: key and certificate from the cloud, onto the board, and the proof that it connects."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ujobs_tools import cloud, fleet
from ujobs_tools.board.files import make_own_files

from .ports import BoardError

_CONNECTED = "ujobs: connected to "  # of ujobs.link
_NOT_STARTED = "not started: "  # of main.py


def credentials(
    thing: str, folder: Path, endpoint_url: str | None, region: str | None, profile: str | None, ca: Path | None
) -> tuple[str, int | None]:
    """See to it that there is a thing, and that a folder holds its key and certificates; host and port for MQTT.

    folder: made, with a thing, if it holds no key yet; else it is taken as it is, for a board that is new or was wiped.
    The rest, and what is raised: as for fleet.create_thing.
    """
    if not (folder / "key.der").exists():
        made = fleet.create_thing(thing, folder, endpoint_url, region, profile, ca)
        return made.host, made.port
    with cloud.one_line_errors():
        iot = cloud.client("iot", endpoint_url, region, profile)
        iot.describe_thing(thingName=thing)
        return fleet.mqtt_endpoint(iot, endpoint_url)


def board_files(settings: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """Path on the board -> content: its settings, and key and certificates where they say. Raises OSError."""
    return {f"/{name}": content for name, content in make_own_files(settings, folder, None).items()}


def prove(lines: Iterable[str], say: Callable[[str], None]) -> None:
    """Follow what the board prints until it has connected. say: gets every line.

    Raises BoardError when it says that it will not, or the lines end before.
    """
    for line in lines:
        say(line)
        if line.startswith(_CONNECTED):
            return
        if line.startswith(_NOT_STARTED):
            raise BoardError("the board has everything, but does not start: its last line says why")
    raise BoardError("the board has everything, but did not connect in time: see what it said")
