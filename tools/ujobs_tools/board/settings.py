"""Makes a board's settings.json from a file, options and KEY=VALUE assignments."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ujobs_tools.board.device_files import SETTINGS_EXAMPLE

from .settings_check import check_settings

# These settings are strings, even if the value consists of digits.
_TEXTS = {
    "thing", "host", "ca", "cert", "key", "ntp", "app", "signing_key", "wifi.ssid", "wifi.password", "claim.template",
    "claim.cert", "claim.key",
}  # fmt: skip
_PARAMETERS = "claim.parameters."


class UsageError(ValueError):
    """Options are missing or contradict each other; the message says what to do."""


def make_settings(
    path: Path | None, overrides: Mapping[str, Any], assignments: Sequence[str], password: str | None = None
) -> dict[str, Any]:
    """Return the settings for a new board.

    path: file to start from; None for the example. overrides, assignments: see change_settings. password: for the
    Wi-Fi network, if it has none in the file: a project's settings are without secrets. Raises UsageError if
    the file is not a JSON object, an assignment is invalid, the host is missing, or both thing and claim are missing;
    ValueError for a setting that the board would refuse or ignore; OSError if the file cannot be read.
    """
    source = path or SETTINGS_EXAMPLE
    settings = parse_settings(source.read_bytes(), str(source))
    if path is None:
        del settings["thing"], settings["host"]
    _change(settings, overrides, assignments)
    for name in ("thing", "host"):
        if not settings.get(name) and not (name == "thing" and settings.get("claim")):
            other = "--set claim.template=NAME, " if name == "thing" else ""
            raise UsageError(f"a new image needs the {name}: give --{name}, {other}or --settings with it")
    wifi = settings.get("wifi")
    if password and isinstance(wifi, dict) and not wifi.get("password"):
        settings["wifi"] = wifi | {"password": password}
    try:
        check_settings(settings)
    except ValueError as error:
        # Without assignments and password, the fault is in the file.
        raise ValueError(str(error) if assignments or password or path is None else f"{path}: {error}") from error
    return settings


def parse_settings(content: bytes, name: str) -> dict[str, Any]:
    """Parse settings.json. name: file name for error messages. Raises UsageError."""
    try:
        settings = json.loads(content.decode("utf-8-sig"))  # Windows' editors write a byte order mark
    except UnicodeDecodeError as error:
        raise UsageError(f"{name} is not a text file in UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{name} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{name} must be a JSON object: {{…}}")
    return settings


def wifi_network(ssid: str | None, password: str | None) -> dict[str, str]:
    """Return the setting `wifi` for one network; empty if ssid is None."""
    return {"ssid": ssid, "password": password or ""} if ssid else {}


def change_settings(settings: dict[str, Any], overrides: Mapping[str, Any], assignments: Sequence[str]) -> None:
    """Change settings in place.

    overrides: values by name; None is ignored, {} becomes null. assignments: KEY=VALUE; VALUE is JSON or a string, for
    names and passwords always a string. Dots in KEY separate member names and list positions: wifi.0.ssid. Raises
    UsageError if an assignment is invalid, ValueError for a setting that the board would refuse or ignore.
    """
    _change(settings, overrides, assignments)
    check_settings(settings)


def _change(settings: dict[str, Any], overrides: Mapping[str, Any], assignments: Sequence[str]) -> None:
    settings |= {name: None if value == {} else value for name, value in overrides.items() if value is not None}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not key or not equals:
            raise UsageError(f"--set {key} must be KEY=VALUE")
        value = _parse(text)
        keys = key.split(".")
        name = ".".join(part for part in keys if not part.isdigit())
        hosts = key == "host" and isinstance(value, list)
        if (name in _TEXTS or key.startswith(_PARAMETERS)) and not isinstance(value, str | None) and not hosts:
            value = text
        try:
            _assign(settings, keys, value)
        except (IndexError, ValueError):
            raise UsageError(f"--set {key}: the list does not have this position") from None


def _assign(settings: Any, keys: list[str], value: Any) -> None:
    """Set a value.

    keys: path to it, of member names and list positions. The position after the last one extends the list. If a list
    position is given for a value that is not a list, the value becomes the first element of a list.
    """
    for at, key in enumerate(keys):
        place: Any = int(key) if isinstance(settings, list) else key
        if isinstance(settings, list) and place == len(settings):
            settings.append(None)
        if at == len(keys) - 1:
            settings[place] = value
            return
        there = settings[place] if isinstance(settings, list) else settings.get(place)
        if keys[at + 1].isdigit():
            if not isinstance(there, list):
                there = [] if there is None else [there]
        elif not isinstance(there, dict):
            there = {}
        settings[place] = there
        settings = there


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
