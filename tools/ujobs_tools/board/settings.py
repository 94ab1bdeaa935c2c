"""A board's settings.json from a file, options and KEY=VALUE texts."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ujobs_tools.device_files import SETTINGS_EXAMPLE

# A name, a password or a serial number that consists of digits is still text for the board.
_TEXTS = {
    "thing", "host", "ca", "cert", "key", "ntp", "app", "signing_key", "wifi.ssid", "wifi.password", "claim.template",
    "claim.cert", "claim.key",
}  # fmt: skip
_PARAMETERS = "claim.parameters."


class UsageError(ValueError):
    """Options that do not go together or are missing; the message says what to do."""


def make_settings(path: Path | None, overrides: Mapping[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """The settings for a new board: those of the file `path`, else of the example, with changes.

    overrides, assignments: as for change_settings. Raises UsageError if the file does not hold settings, the host is
    missing, the thing is missing without a claim, or an assignment is malformed; OSError if the file cannot be read.
    """
    source = path or SETTINGS_EXAMPLE
    try:
        settings = parse_settings(source.read_bytes(), str(source))
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not a text file") from error
    if path is None:
        del settings["thing"], settings["host"]
    change_settings(settings, overrides, assignments)
    for name in ("thing", "host"):
        if not settings.get(name) and not (name == "thing" and settings.get("claim")):
            raise UsageError(f"a new image needs the {name}: give --{name}, or --settings with it")
    return settings


def parse_settings(content: bytes, name: str) -> dict[str, Any]:
    """Settings as they are in a file. name: of the file. Raises UsageError, UnicodeDecodeError."""
    try:
        settings = json.loads(content.decode())
    except json.JSONDecodeError as error:
        raise UsageError(f"{name} is not JSON: {error}") from error
    if not isinstance(settings, dict):
        raise UsageError(f"{name} has to be a JSON object: {{…}}")
    return settings


def change_settings(settings: dict[str, Any], overrides: Mapping[str, Any], assignments: Sequence[str]) -> None:
    """Change settings in place.

    overrides: by name; None values are left out. assignments: KEY=VALUE; VALUE is JSON or text, for names
    and passwords always text; a dot in KEY leads into an object. Raises UsageError if an assignment is malformed.
    """
    settings |= {name: value for name, value in overrides.items() if value is not None}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not key or not equals:
            raise UsageError(f"--set {assignment}: write KEY=VALUE")
        value = _parse(text)
        if (key in _TEXTS or key.startswith(_PARAMETERS)) and not isinstance(value, str | None):
            value = text
        _assign(settings, key.split("."), value)


def _assign(settings: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(settings.get(key), dict):
            settings[key] = {}
        settings = settings[key]
    settings[keys[-1]] = value


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
