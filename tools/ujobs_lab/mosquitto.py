"""The mosquitto broker and its command-line clients, as an independent yardstick: the ones installed, else Debian's
packages unpacked into build/mosquitto (which takes no root, and installs nothing)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PACKAGES = ("mosquitto", "mosquitto-clients")

_FOLDER = Path(__file__).parents[2] / "build" / "mosquitto"


class NoMosquitto(Exception):
    """mosquitto is not installed and cannot be fetched; the text says why."""


def find(program: str) -> Path | None:
    """`mosquitto`, `mosquitto_pub` or `mosquitto_sub`: the one installed, else the one that `fetch` unpacked."""
    # Debian keeps the broker where only root's PATH looks.
    installed = shutil.which(program, path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
    if installed is not None:
        return Path(installed)
    fetched = _FOLDER / "bin" / program
    return fetched if fetched.exists() else None


def library() -> Path | None:
    """mosquitto's client library for programs in C: the one that `fetch` unpacked, else the one installed."""
    for folder in (_FOLDER / "root", Path("/")):
        for found in sorted(folder.glob("usr/lib/*/libmosquitto.so.1")):
            return found
    return None


def fetch() -> None:
    """Unpack Debian's packages, and those they need that are not installed, into build/mosquitto.

    Raises NoMosquitto on a system without apt, or when apt cannot download.
    """
    if shutil.which("apt-get") is None:
        raise NoMosquitto("install mosquitto and its clients: this system has no apt-get to fetch them with")
    missing = _missing()
    if missing is None and os.geteuid() == 0:
        _apt("update", "-qq")  # A fresh container has no package lists yet.
        missing = _missing()
    if missing is None:
        raise NoMosquitto("apt-get knows no mosquitto; as root, `apt-get update` may help")
    shutil.rmtree(_FOLDER, ignore_errors=True)
    root = _FOLDER / "root"
    root.mkdir(parents=True)
    _apt("download", *missing)
    for package in sorted(_FOLDER.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, root], check=True)
        package.unlink()
    libraries = sorted({str(library.parent) for library in root.rglob("*.so*")})
    programs = [*root.glob("usr/bin/mosquitto_*"), *root.glob("usr/sbin/mosquitto")]
    (_FOLDER / "bin").mkdir()
    for program in programs:
        wrapper = _FOLDER / "bin" / program.name
        wrapper.write_text(f"#!/bin/sh\nLD_LIBRARY_PATH='{':'.join(libraries)}' exec '{program}' \"$@\"\n")
        wrapper.chmod(0o755)


def _missing() -> list[str] | None:
    """The packages that installing PACKAGES would bring; None when apt does not know them."""
    command = ["apt-get", "--simulate", "--no-install-recommends", "install", *PACKAGES]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        return None
    return [line.split()[1] for line in outcome.stdout.splitlines() if line.startswith("Inst ")]


def _apt(*arguments: str) -> None:
    _FOLDER.mkdir(parents=True, exist_ok=True)
    outcome = subprocess.run(["apt-get", *arguments], cwd=_FOLDER, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise NoMosquitto(f"apt-get {arguments[0]} failed: {outcome.stderr.strip()}")


def main() -> None:
    """Make sure of mosquitto; without it, say what that leaves out and carry on."""
    if find("mosquitto") is None or find("mosquitto_pub") is None:
        try:
            fetch()
        except NoMosquitto as error:
            print(f"mosquitto: {error}; what compares with it is left out", file=sys.stderr)


if __name__ == "__main__":
    main()
