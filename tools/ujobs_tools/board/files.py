"""What belongs on a board's flash: the first code, the library and firmware compiled, settings, certificates,
app.

The places are those of a real board: `/boot.py`, `/main.py`, `/settings.json`, `/lib/ujobs`, `/lib/firmware`,
`/lib/umqtt` (frozen into ESP32 firmware; here a file), the certificates where the settings say, and `/app`.
"""

import json
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from ujobs_tools import project
from ujobs_tools.device_files import FIRMWARE, LIBRARY, ROOT

from . import umqtt
from .interpreter import compile_module


def make_board_files(
    settings: dict[str, Any],
    thing_directory: Path | None,
    app: Path | None,
    compiled: bool = True,
) -> dict[str, bytes]:
    """Gather a board's files: path on the board -> content.

    settings: becomes /settings.json. thing_directory: holds ca.der, cert.der and key.der as `ujobs thing
    create` writes them, or `ujobs claim create` for a board with a claim; None for a board without
    certificates. app: a file, which becomes /app/app.py, or a folder, which becomes /app. compiled: library
    and firmware as .mpy (-O2, umqtt -O0: it checks replies with `assert`), else as .py. Raises
    FileNotFoundError for what is missing, InterpreterError for a module that does not compile.
    """
    programs = make_program_files(compiled) | make_bare_files(compiled)
    return programs | make_own_files(settings, thing_directory, app)


def make_own_files(settings: dict[str, Any], thing_directory: Path | None, app: Path | None) -> dict[str, bytes]:
    """The part of a board's files that is its own: settings, certificates and application, as in make_board_files."""
    files = {"settings.json": json.dumps(settings).encode()}
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


def make_program_files(compiled: bool = True) -> dict[str, bytes]:
    """The part of a board's files that every board has alike: boot.py, main.py, library and firmware.

    compiled: library and firmware as .mpy (-O2), else as .py. Raises FileNotFoundError, InterpreterError.
    """
    files = {name: (ROOT / name).read_bytes() for name in ("boot.py", "main.py")}
    for package in (LIBRARY, FIRMWARE):
        for source in sorted(package.rglob("*.py")):
            if source.name != "manifest.py":
                name = f"{package.name}/{source.relative_to(package).as_posix()}"
                files |= _module(source, name, 2, compiled)
    return files


def make_bare_files(compiled: bool = True) -> dict[str, bytes]:
    """The files of a board on which nothing has been installed: umqtt.simple, which firmware for the ESP32 has frozen.

    compiled: as .mpy (-O0: it checks replies with `assert`), else as .py. Raises FileNotFoundError, InterpreterError.
    """
    folder, _ = umqtt.find()
    return _module(folder / "umqtt" / "simple.py", "umqtt/simple.py", 0, compiled)


def _module(source: Path, name: str, optimise: int, compiled: bool) -> dict[str, bytes]:
    content = source.read_bytes()
    if not compiled:
        return {f"lib/{name}": content}
    return {f"lib/{name.removesuffix('.py')}.mpy": compile_module(content, name, optimise)}


def application_files(app: Path) -> dict[str, Path]:
    """The files of an application, by paths from its folder on the board on.

    app: a file, which becomes app.py, or a folder with app.py or app.mpy, without what `leave_out` in its project's
    ujobs.toml names. Raises FileNotFoundError when it is neither.
    """
    if app.is_file():
        return {"app.py": app}
    found = [path for path in sorted(app.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    files = {path.relative_to(app).as_posix(): path for path in found}
    patterns = project.left_out(app)
    files = {name: path for name, path in files.items() if not any(fnmatch(name, pattern) for pattern in patterns)}
    if not {"app.py", "app.mpy"} & set(files):
        raise FileNotFoundError(f"no application in {app}: there has to be an app.py with a function setup(agent)")
    return files
