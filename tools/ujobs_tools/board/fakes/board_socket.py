"""`socket` for the virtual board: the host's, but DNS lookups fail without Wi-Fi, and UDP reaches only the time server.

Runs on MicroPython only. Open connections stay open when Wi-Fi is lost: the service's fault points break connections.
"""

import socket as _host
from socket import *  # noqa: F403

import hardware
import network
import time_server

_EAI_FAIL = -202  # error of lwIP's getaddrinfo on the ESP32 without a network


def getaddrinfo(host: str, port: int, *arguments) -> list:
    """Return the addresses of a host and port. Raises OSError(-202) while there is no network."""
    if not network.reachable():
        raise OSError(_EAI_FAIL)
    if port == time_server.PORT:
        return [(_host.AF_INET, _host.SOCK_DGRAM, 0, "", time_server.ADDRESS)]
    return _host.getaddrinfo(host, port, *arguments)


def socket(family: int = _host.AF_INET, kind: int = _host.SOCK_STREAM, protocol: int = 0):
    """Return a socket; a UDP socket reaches only the time server."""
    if kind == _host.SOCK_DGRAM:
        return time_server.Datagrams(hardware.settings["ntp"])
    return _host.socket(family, kind, protocol)
