"""`socket` for the virtual board: the host's, except that names cannot be looked up while Wi-Fi is away.

Runs on MicroPython only. Connections already open are not cut: the service's fault points are for that.
"""

import socket as _host
from socket import *  # noqa: F403

import network

_EAI_FAIL = -202  # what lwIP's getaddrinfo gives on the ESP32 without a network


def getaddrinfo(*arguments) -> list:
    """Addresses of a host and port; OSError(-202) while there is no network."""
    if not network.reachable():
        raise OSError(_EAI_FAIL)
    return _host.getaddrinfo(*arguments)
