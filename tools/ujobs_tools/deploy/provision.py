"""Make a thing of a board: key and certificate from the cloud, onto the board, and the proof that it connects."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.board.files import make_own_files
from ujobs_tools.board.settings import UsageError

from .ports import BoardError

CONNECTED = "ujobs: connected to "
"""What a board prints once it has, see lib/ujobs/link.py."""
_NOT_STARTED = "not started: "  # of main.py


def credentials(
    thing: str, folder: Path, endpoint_url: str | None, region: str | None, profile: str | None, ca: Path | None,
    mqtt_port: int | None,
) -> tuple[str, int]:
    """See to it that there is a thing, and that a folder holds its key and certificates; host and port for MQTT.

    folder: made, with a thing, if it holds no key yet; else it is taken as it is, for a board that is new or was wiped.
    mqtt_port: wins over what the service says; UsageError is raised where neither says one. The rest, and what else is
    raised: as for fleet.create_thing.
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
                    f"{folder} has a key, but the thing {thing} does not exist: name another folder with --out"
                ) from None
            host, port = fleet.mqtt_endpoint(iot, endpoint_url)
    port = mqtt_port or port
    if port is None:
        raise UsageError("the service does not say where MQTT is: give --mqtt-port")
    return host, port


def board_files(settings: dict[str, Any], folder: Path) -> dict[str, bytes]:
    """Path on the board -> content: its settings, and key and certificates where they say. Raises OSError."""
    return {f"/{name}": content for name, content in make_own_files(settings, folder, None).items()}


def prove(lines: Iterable[str], say: Callable[[str], None]) -> None:
    """Follow what the board prints until it has connected. say: gets every line.

    Raises BoardError when it says that it will not, or the lines end before.
    """
    for line in lines:
        say(line)
        if line.startswith(CONNECTED):
            return
        if line.startswith(_NOT_STARTED):
            raise BoardError("the board has everything, but does not start: its last line says why")
    raise BoardError("the board has everything, but did not connect in time: see what it said")
