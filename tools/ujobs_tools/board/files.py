"""Collects the files for a board's flash.

Paths are those of a real board: `/boot.py`, `/main.py`, `/settings.json`, `/lib/ujobs`, `/lib/firmware`, `/lib/umqtt`
(frozen into ESP32 firmware; here a file), `/app`, and the certificates at the paths in the settings.
"""

import ast
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ujobs_tools.board.device_files import FIRMWARE, LIBRARY, ROOT
from ujobs_tools.project import ujobs_toml

from . import umqtt
from .interpreter import compile_module

_IGNORE = ".ujobsignore"
_LEFT_OUT = {"__pycache__", "tests"}


def make_board_files(
    settings: dict[str, Any], thing_directory: Path | None, app: Path | None
) -> dict[str, bytes]:
    """Return all files of a board, content by path.

    settings: content of /settings.json. thing_directory: folder with ca.der, cert.der and key.der from `ujobs thing
    create`, or from `ujobs claim create` for a board with a claim; None for a board without certificates. app: a file,
    which becomes /app/app.py, or a folder, which becomes /app. Raises FileNotFoundError if a file is
    missing, InterpreterError if a module does not compile.
    """
    return make_program_files() | make_bare_files() | make_own_files(settings, thing_directory, app)


def settings_file(settings: dict[str, Any]) -> bytes:
    """Return the content of /settings.json."""
    # Not escaped: MicroPython makes two broken characters of one that is escaped as a surrogate pair.
    return json.dumps(settings, ensure_ascii=False).encode()


def make_own_files(settings: dict[str, Any], thing_directory: Path | None, app: Path | None) -> dict[str, bytes]:
    """Return the files that differ from board to board: settings, certificates, application. See make_board_files."""
    files = {"settings.json": settings_file(settings)}
    if thing_directory is not None:
        claim = settings.get("claim")
        places = {part: settings.get(part) or f"/cert/{part}.der" for part in ("ca", "cert", "key")}
        if claim:
            places |= {"cert": "/cert/claim.der", "key": "/cert/claim-key.der"}
            places |= {part: claim[part] for part in ("cert", "key") if part in claim}
        for part, path in places.items():
            files[str(path).lstrip("/")] = (thing_directory / f"{part}.der").read_bytes()
    if app is not None:
        files |= {f"app/{name}": path.read_bytes() for name, path in application_files(app).items()}
    return files


def make_program_files() -> dict[str, bytes]:
    """Return the files that are the same on every board: boot.py, main.py, library and firmware, compiled (-O2).

    Raises FileNotFoundError, InterpreterError.
    """
    files = {name: (ROOT / name).read_bytes() for name in ("boot.py", "main.py")}
    for package in (LIBRARY, FIRMWARE):
        for source in sorted(package.rglob("*.py")):
            if source.name != "manifest.py":
                name = f"{package.name}/{source.relative_to(package).as_posix()}"
                files |= _module(source, name, 2)
    return files


def make_bare_files() -> dict[str, bytes]:
    """Return the files of a board with plain MicroPython: umqtt.simple, which ESP32 firmware includes as frozen code.

    Compiled with -O0, because it checks replies with `assert`. Raises FileNotFoundError, InterpreterError.
    """
    folder, _ = umqtt.find()
    return _module(folder / "umqtt" / "simple.py", "umqtt/simple.py", 0)


def _module(source: Path, name: str, optimise: int) -> dict[str, bytes]:
    return {f"lib/{name.removesuffix('.py')}.mpy": compile_module(source.read_bytes(), name, optimise)}


def application_files(app: Path) -> dict[str, Path]:
    """Return the files of an application, by path in the application's folder on the board.

    app: a file, which becomes app.py, or a folder with app.py or app.mpy. Left out of a folder: hidden files, `tests`,
    `__pycache__`, files that match `leave_out` of the project's ujobs.toml or `.ujobsignore`, both like a .gitignore.
    Raises FileNotFoundError if app is neither, ValueError for another file, for a pattern that is invalid or excludes
    app.py, and for a link to a folder or out of the application's folder.
    """
    if app.is_file():
        if app.suffix != ".py":
            raise ValueError(f"{app} is not an application: it must be a .py file, or a folder with an app.py")
        return {"app.py": app}
    if not app.exists():
        raise FileNotFoundError(f"{app}: No such file or folder")
    if not any((app / name).is_file() for name in ("app.py", "app.mpy")):
        raise FileNotFoundError(f"no application in {app}: it needs an app.py with a function setup(agent)")
    found = {path.relative_to(app).as_posix(): path for path in sorted(_belonging(app))}
    if not {"app.py", "app.mpy"} & found.keys():
        raise ValueError(f"leave_out of {ujobs_toml.NAME} or {app / _IGNORE} excludes app.py: the board needs it")
    return found


def check_modules(files: Mapping[str, Path]) -> None:
    """Raise ValueError with file, line and fault if a module is not Python at all. files: see application_files.

    MicroPython accepts less, or other inline assembler: a board notices that, in the trial of the new version.
    """
    for file in files.values():
        if file.suffix == ".py":
            try:
                ast.parse(file.read_bytes())
            except SyntaxError as error:
                raise ValueError(f"{file}, line {error.lineno}: {error.msg}") from error
            except ValueError as error:
                raise ValueError(f"{file}: {error}") from error


def _belonging(app: Path) -> Iterator[Path]:
    ignored = _ignored(app)
    root = app.resolve()
    for parent, folders, names in os.walk(app):
        inside = Path(parent).relative_to(app)
        folders[:] = [name for name in folders if not _left_out(name) and not ignored(f"{(inside / name).as_posix()}/")]
        for name in (*folders, *names):
            path = Path(parent, name)
            if _left_out(name) or ignored((inside / name).as_posix()):
                continue
            if path.is_symlink() and (path.is_dir() or not path.resolve().is_relative_to(root)):
                advice = f"copy the file, or list the link in {_IGNORE}"
                raise ValueError(f"{path} is a link to a folder or out of the application's folder: {advice}")
            if path.is_file():
                yield path


def _left_out(name: str) -> bool:
    return name.startswith(".") or name in _LEFT_OUT


def _ignored(app: Path) -> Callable[[str], bool]:
    """Return a function that says whether leave_out of ujobs.toml or .ujobsignore excludes a path; the last pattern
    that matches decides. Paths are relative to the folder; those of folders end with a slash."""
    patterns = [*ujobs_toml.left_out(app)]
    if (app / _IGNORE).is_file():
        try:
            patterns += (app / _IGNORE).read_text(encoding="utf-8-sig").splitlines()
        except UnicodeDecodeError as error:
            raise ValueError(f"{app / _IGNORE} is not a text file in UTF-8") from error
    if not patterns:
        return lambda path: False
    import pathspec

    try:
        return pathspec.PathSpec.from_lines("gitignore", patterns).match_file
    except ValueError as error:
        raise ValueError(f"{_IGNORE} or leave_out: {error}") from error
