"""The mosquitto broker and its command-line clients, as an independent yardstick: the ones installed, else Debian's
packages unpacked into build/mosquitto (which takes no root, and installs nothing)."""

import sys
from pathlib import Path

from ujobs_lab import debian

_FOLDER = Path(__file__).parents[2] / "build" / "mosquitto"


def find(program: str) -> Path | None:
    """`mosquitto`, `mosquitto_pub` or `mosquitto_sub`: the one installed, else the one that `fetch` unpacked."""
    fetched = _FOLDER / "bin" / program
    return debian.installed(program) or (fetched if fetched.exists() else None)


def library() -> Path | None:
    """mosquitto's client library for programs in C: the one that `fetch` unpacked, else the one installed."""
    for folder in (_FOLDER / "root", Path("/")):
        for found in sorted(folder.glob("usr/lib/*/libmosquitto.so.1")):
            return found
    return None


def fetch() -> None:
    """Unpack Debian's packages into build/mosquitto. Raises debian.NoPackage."""
    debian.fetch(_FOLDER, ("mosquitto", "mosquitto-clients"), ("usr/bin/mosquitto_*", "usr/sbin/mosquitto"))


def main() -> None:
    """Make sure of mosquitto; without it, say what that leaves out and carry on."""
    if find("mosquitto") is None or find("mosquitto_pub") is None:
        try:
            fetch()
        except debian.NoPackage as error:
            print(f"mosquitto: {error}; what compares with it is left out", file=sys.stderr)


if __name__ == "__main__":
    main()
