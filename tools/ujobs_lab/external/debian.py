"""Debian packages unpacked into a folder: programs for tests and benchmarks, without root and without installing."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ujobs_lab import REPOSITORY

_BUILD = REPOSITORY / "build"


class NoPackage(Exception):
    """A package cannot be fetched; the message says why."""


class Programs:
    """A group of programs: the installed ones, or those of Debian packages unpacked into build/NAME.

    packages: names of the packages. patterns: paths of the programs in the packages.
    """

    def __init__(self, name: str, packages: Sequence[str], patterns: Sequence[str]) -> None:
        self.folder = _BUILD / name
        self._packages, self._patterns = packages, patterns

    def find(self, program: str) -> Path | None:
        """The path of the installed program or the unpacked one; None if there is neither."""
        # Debian installs servers in /usr/sbin, which only root has in PATH.
        found = shutil.which(program, path=os.environ.get("PATH", os.defpath) + os.pathsep + "/usr/sbin")
        fetched = self.folder / "bin" / program
        return Path(found) if found else fetched if fetched.exists() else None

    def provide(self, *programs: str, otherwise: str) -> None:
        """Fetch the programs unless they exist. If that fails, print why and the consequence, `otherwise`."""
        if not all(map(self.find, programs)):
            try:
                _fetch(self.folder, self._packages, self._patterns)
            except NoPackage as error:
                print(f"{self.folder.name}: {error}; {otherwise}", file=sys.stderr)


def _fetch(folder: Path, packages: Sequence[str], programs: Sequence[str]) -> None:
    """Unpack the packages, and the missing packages they depend on, into an empty folder.

    programs: patterns of paths in the packages; each program gets a script in `folder/bin` that runs it with the
    unpacked libraries. Raises NoPackage if apt is missing or cannot download.
    """
    if shutil.which("apt-get") is None:
        raise NoPackage(f"apt-get is missing on this system: install {' and '.join(packages)}")
    missing = _missing(packages)
    if missing is None and os.geteuid() == 0:
        _apt(Path.cwd(), "update", "-qq")  # A fresh container has no package lists yet.
        missing = _missing(packages)
    if missing is None:
        raise NoPackage(f"apt-get does not find {' and '.join(packages)}: run `apt-get update` as root")
    shutil.rmtree(folder, ignore_errors=True)
    root = folder / "root"
    root.mkdir(parents=True)
    _apt(folder, "download", *missing)
    for package in sorted(folder.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, root], check=True)
        package.unlink()
    libraries = sorted({str(library.parent) for library in root.rglob("*.so*")})
    (folder / "bin").mkdir()
    for program in (path for pattern in programs for path in root.glob(pattern)):
        wrapper = folder / "bin" / program.name
        wrapper.write_text(f"#!/bin/sh\nLD_LIBRARY_PATH='{':'.join(libraries)}' exec '{program}' \"$@\"\n")
        wrapper.chmod(0o755)


def _missing(packages: Sequence[str]) -> list[str] | None:
    """All packages that would be installed with these; None if apt does not find them."""
    command = ["apt-get", "--simulate", "--no-install-recommends", "install", *packages]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False)
    if outcome.returncode:
        return None
    return [line.split()[1] for line in outcome.stdout.splitlines() if line.startswith("Inst ")]


def _apt(folder: Path, *arguments: str) -> None:
    outcome = subprocess.run(["apt-get", *arguments], cwd=folder, capture_output=True, text=True, check=False)
    if outcome.returncode:
        raise NoPackage(f"apt-get {arguments[0]} failed: {outcome.stderr.strip()}")
