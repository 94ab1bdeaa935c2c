"""mosquitto's command-line clients and broker, as an independent implementation of MQTT."""

from ujobs_lab.external import debian

_PROGRAMS = debian.Programs(
    "mosquitto", ("mosquitto", "mosquitto-clients"), ("usr/bin/mosquitto_*", "usr/sbin/mosquitto")
)
find = _PROGRAMS.find


if __name__ == "__main__":
    _PROGRAMS.provide("mosquitto", "mosquitto_pub", otherwise="the tests with its clients are skipped")
