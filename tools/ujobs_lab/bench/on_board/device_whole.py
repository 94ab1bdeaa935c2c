"""by_hand.py with whole packets and TCP_NODELAY, which avoids the delays of Nagle's algorithm. Runs on MicroPython
only.

Options: those of device_by_hand.py.
"""

import socket

import device_by_hand
from by_hand import Jobs

import umqtt.simple

_TCP_NODELAY = 1


class _Sockets:
    # Replaces the module `socket` in umqtt.simple, which has no way to set an option before TLS starts.
    def __getattr__(self, name):
        return getattr(socket, name)

    def socket(self, *args):
        found = socket.socket(*args)
        found.setsockopt(6, _TCP_NODELAY, 1)
        return found


class _Whole:
    # Replaces the socket of umqtt.simple: collects the pieces of a packet, and sends them before a read or on flush().
    def __init__(self, sock):
        self._sock = sock
        self._pending = bytearray()

    def write(self, data, length=None):
        self._pending.extend(data if length is None else data[:length])

    def flush(self):
        if self._pending:
            self._sock.write(self._pending)
            self._pending = bytearray()

    def read(self, count):
        self.flush()
        return self._sock.read(count)

    def setblocking(self, value):
        self._sock.setblocking(value)

    def close(self):
        self.flush()
        self._sock.close()


class WholeJobs(Jobs):
    """Jobs with whole packets. Arguments as for Jobs."""

    def connect(self) -> None:
        umqtt.simple.socket = _Sockets()
        connect = self.client.connect

        def connect_and_wrap():
            connect()
            self.client.sock = _Whole(self.client.sock)

        self.client.connect = connect_and_wrap
        super().connect()
        self.client.sock.flush()

    def received(self, topic: bytes, payload: bytes) -> None:
        super().received(topic, payload)
        self.client.sock.flush()


def main() -> None:
    """Do jobs, and print the time."""
    device_by_hand.main(WholeJobs)
