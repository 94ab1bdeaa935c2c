"""mosquitto's command-line clients and broker, as an independent implementation of MQTT."""

from pathlib import Path

from ujobs_lab.external import debian

_PROGRAMS = debian.Programs(
    "mosquitto", ("mosquitto", "mosquitto-clients"), ("usr/bin/mosquitto_*", "usr/sbin/mosquitto")
)
find = _PROGRAMS.find


def library() -> Path | None:
    """Return mosquitto's client library for C programs: the unpacked one, else the installed one, else None."""
    for folder in (_PROGRAMS.folder / "root", Path("/")):
        for found in sorted(folder.glob("usr/lib/*/libmosquitto.so.1")):
            return found
    return None


if __name__ == "__main__":
    _PROGRAMS.provide("mosquitto", "mosquitto_pub", otherwise="the tests with its clients are skipped")
