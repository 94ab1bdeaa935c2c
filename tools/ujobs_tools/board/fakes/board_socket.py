"""`socket` for the virtual board: the host's, with the limits of an ESP32.

Runs on MicroPython only. DNS lookups take time, in which no other task runs, and fail without Wi-Fi. Ten sockets can be
open. UDP reaches only the time server. Open connections stay open when Wi-Fi is lost: the service's fault points break
connections.
"""

import socket as _host
import time as _time
from socket import *  # noqa: F403

import hardware
import network
import time_server

_EAI_FAIL = -202  # error of lwIP's getaddrinfo: no network, or no such host
_LOOKUP_MS = 20
_ENFILE = 23
_MOST = 10  # CONFIG_LWIP_MAX_SOCKETS: ESP-IDF's default, which MicroPython keeps


def _places() -> set:
    # File descriptors of the sockets that can be open: a new one always gets the lowest free one.
    probes = [_host.socket() for _ in range(_MOST)]
    found = {probe.fileno() for probe in probes}
    for probe in probes:
        probe.close()
    return found


_descriptors = _places()


def getaddrinfo(host: str, port: int, *arguments) -> list:
    """Return the addresses of a host and port. Raises OSError(-202) without a network, or if there is no such host."""
    if not network.reachable():
        raise OSError(_EAI_FAIL)
    if host.strip("0123456789."):
        _time.sleep_ms(_LOOKUP_MS)
    if port == time_server.PORT:
        return [(_host.AF_INET, _host.SOCK_DGRAM, 0, "", time_server.ADDRESS)]
    try:
        return _host.getaddrinfo(host, port, *arguments)
    except OSError:
        raise OSError(_EAI_FAIL)


def socket(family: int = _host.AF_INET, kind: int = _host.SOCK_STREAM, protocol: int = 0):
    """Return a socket; a UDP socket reaches only the time server. Raises OSError(23) if ten are open. One that the
    program has forgotten counts until it is closed; an ESP32 closes it when its memory is collected."""
    if kind == _host.SOCK_DGRAM:
        return time_server.Datagrams(hardware.settings["ntp"])
    made = _host.socket(family, kind, protocol)
    if made.fileno() not in _descriptors:
        made.close()
        raise OSError(_ENFILE)
    return made
