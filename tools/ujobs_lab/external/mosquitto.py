"""The mosquitto broker and its command-line clients, as an independent yardstick."""

from pathlib import Path

from ujobs_lab.external import debian

_PROGRAMS = debian.Programs(
    "mosquitto", ("mosquitto", "mosquitto-clients"), ("usr/bin/mosquitto_*", "usr/sbin/mosquitto")
)
find = _PROGRAMS.find


def library() -> Path | None:
    """mosquitto's client library for programs in C: the one unpacked, else the one installed."""
    for folder in (_PROGRAMS.folder / "root", Path("/")):
        for found in sorted(folder.glob("usr/lib/*/libmosquitto.so.1")):
            return found
    return None


if __name__ == "__main__":
    _PROGRAMS.provide("mosquitto", "mosquitto_pub", otherwise="what compares with it is left out")
