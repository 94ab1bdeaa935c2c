"""The mosquitto broker and its command-line clients, as an independent yardstick."""

from ujobs_lab.external import debian

_PROGRAMS = debian.Programs(
    "mosquitto", ("mosquitto", "mosquitto-clients"), ("usr/bin/mosquitto_*", "usr/sbin/mosquitto")
)
find = _PROGRAMS.find


if __name__ == "__main__":
    _PROGRAMS.provide("mosquitto", "mosquitto_pub", otherwise="what compares with it is left out")
