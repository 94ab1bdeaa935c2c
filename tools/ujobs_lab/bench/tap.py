"""A proxy on this machine that notes every MQTT packet that passes, for a broker without TLS."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

_KINDS = {1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 8: "SUBSCRIBE", 9: "SUBACK", 10: "UNSUBSCRIBE",
          11: "UNSUBACK", 12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT"}  # fmt: skip


@dataclass(frozen=True)
class Packet:
    """up: from the device. kind: of MQTT. size: bytes, all of it. topic: of a PUBLISH."""

    up: bool
    kind: str
    size: int
    topic: str = ""


class Tap:
    """port: where devices connect to. packets: all there were, in order."""

    def __init__(self, target: int, delay: float) -> None:
        self._target = target
        self._delay = delay
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.packets: list[Packet] = []
        self._ends: list[socket.socket] = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                device = self._listener.accept()[0]
                broker = socket.create_connection(("127.0.0.1", self._target))
                for end in (device, broker):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._ends.append(end)
                for up, source, target in ((True, device, broker), (False, broker, device)):
                    threading.Thread(target=self._pass_on, args=(up, source, target), daemon=True).start()

    def _pass_on(self, up: bool, source: socket.socket, target: socket.socket) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not up:
                    time.sleep(self._delay)
                packets, rest = split(rest + data)
                self.packets += [describe(up, packet) for packet in packets]
                target.sendall(data)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Take whole MQTT packets off the front; they, and what is left."""
    packets = []
    while len(data) >= 2:
        size = at = 0
        while True:
            at += 1
            if at == len(data):
                return packets, data
            size |= (data[at] & 127) << 7 * (at - 1)
            if data[at] < 128:
                break
        end = at + 1 + size
        if len(data) < end:
            break
        packets.append(data[:end])
        data = data[end:]
    return packets, data


def describe(up: bool, packet: bytes) -> Packet:
    """What a packet is."""
    topic = ""
    if packet[0] >> 4 == 3:
        at = next(index for index in range(1, 5) if packet[index] < 128) + 1
        length = int.from_bytes(packet[at : at + 2], "big")
        topic = packet[at + 2 : at + 2 + length].decode()
    return Packet(up, _KINDS.get(packet[0] >> 4, "?"), len(packet), topic)


@contextlib.contextmanager
def tap(target: int, delay: float = 0.0) -> Iterator[Tap]:
    """A proxy to a port of this machine. delay: seconds that what the broker sends takes to arrive."""
    found = Tap(target, delay)
    try:
        yield found
    finally:
        found.close()
