"""A user's project: commands read `ujobs.toml` from the current folder or the nearest one above.

    thing = "kiln-7"
    app = "app"                                # application: folder or file; paths are relative to this file
    settings = "settings.json"                 # settings of the board, without secrets
    keys = "keys/kiln-7"                       # folder with ca, cert and key of the thing
    leave_out = ["*.md", "tests/*"]            # files of the application not to deploy, as in .gitignore
    endpoint_url = "http://127.0.0.1:8080"     # URL of `ujobs serve`; default: AWS
    region = "eu-west-1"
    profile = "workshop"                       # profile of the AWS configuration
    port = "/dev/ttyUSB0"                      # serial port of the board
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

NAME = "ujobs.toml"
_PATHS = ("app", "settings", "keys")


class ProjectError(ValueError):
    """ujobs.toml is missing or invalid; the text names the file and the entry."""


@dataclass(frozen=True)
class Project:
    """The entries of ujobs.toml, None if missing; its paths are relative to `folder`, the folder of ujobs.toml, and
    are returned joined to it."""

    folder: Path
    thing: str | None = None
    app: Path | None = None
    settings: Path | None = None
    keys: Path | None = None
    leave_out: tuple[str, ...] = ()
    endpoint_url: str | None = None
    region: str | None = None
    profile: str | None = None
    port: str | None = None


def find(start: Path) -> Project | None:
    """Return the project that contains a folder; None if there is none. Raises ProjectError."""
    path = locate(start)
    return None if path is None else read(path)


def locate(start: Path) -> Path | None:
    """Return the path of ujobs.toml in a folder or in the nearest one above; None if there is none."""
    paths = (folder / NAME for folder in (start.resolve(), *start.resolve().parents))
    return next((path for path in paths if path.is_file()), None)


def read(path: Path) -> Project:
    """Read one ujobs.toml. Raises ProjectError."""
    try:
        entries: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8-sig"))  # Windows' editors write a mark
    except OSError as error:
        raise ProjectError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ProjectError(f"{path} is not a text file in UTF-8") from error
    except ValueError as error:
        raise ProjectError(f"{path}: {error}") from error
    known = {field.name for field in fields(Project)} - {"folder"}
    for name, value in entries.items():
        if name not in known:
            raise ProjectError(f"{path}: unknown entry {name!r}; choose from {', '.join(sorted(known))}")
        if name == "leave_out":
            if not isinstance(value, list) or not all(isinstance(pattern, str) for pattern in value):
                raise ProjectError(f"{path}: leave_out must be a list of patterns")
            entries[name] = tuple(value)
        elif not isinstance(value, str) or not value:
            raise ProjectError(f"{path}: {name} must be a string, not {value!r}")
        elif name in _PATHS:
            entries[name] = path.parent / value
    return Project(folder=path.parent, **entries)


def things(given: list[str] | None, groups: list[str] | None) -> list[str]:
    """Return the target things of a job: those given; if no thing and no group is given, the thing of ujobs.toml.
    Raises ProjectError."""
    if given or groups:
        return given or []
    found = find(Path.cwd())
    return [found.thing] if found and found.thing else []


def left_out(app: Path) -> tuple[str, ...]:
    """Return `leave_out` of the project that contains the application. Raises ProjectError."""
    found = find(app)
    return () if found is None else found.leave_out
