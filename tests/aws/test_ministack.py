"""MiniStack as the tools start it: it listens on loopback only, and stops completely."""

import socket
from pathlib import Path

import pytest

from ujobs_lab.external import ministack
from ujobs_tools.host.processes import NotReady

_LISTEN = "0A"
_LOOPBACK = "0100007F"


def listeners(port: int) -> set[str]:
    """Return the IPv4 addresses of listeners on a port, in the format of /proc/net/tcp."""
    found = set()
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        address, _, number = fields[1].partition(":")
        if fields[3] == _LISTEN and int(number, 16) == port:
            found.add(address)
    return found


def test_it_listens_on_loopback_only_and_stops() -> None:
    with ministack.ministack() as running:
        ports = (int(running.endpoint_url.rpartition(":")[2]), running.mqtts)
        assert [listeners(port) for port in ports] == [{_LOOPBACK}, {_LOOPBACK}]
    assert [listeners(port) for port in ports] == [set(), set()]


def test_it_stops_when_the_body_fails() -> None:
    with pytest.raises(RuntimeError), ministack.ministack() as running:
        raise RuntimeError
    assert listeners(running.mqtts) == set()


def test_a_port_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ministack, "_free_ports", lambda _count: [port, port])
        with pytest.raises(NotReady, match="already in use"), ministack.ministack():
            pass
