"""A proxy on this machine that records every MQTT packet, for a broker without TLS."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from ujobs_lab.bench.far import far

_KINDS = {1: "CONNECT", 2: "CONNACK", 3: "PUBLISH", 4: "PUBACK", 8: "SUBSCRIBE", 9: "SUBACK", 10: "UNSUBSCRIBE",
          11: "UNSUBACK", 12: "PINGREQ", 13: "PINGRESP", 14: "DISCONNECT"}  # fmt: skip


@dataclass(frozen=True)
class Packet:
    """up: sent by the device. kind: MQTT packet type. size: of the whole packet, bytes. topic: of a PUBLISH."""

    up: bool
    kind: str
    size: int
    topic: str = ""


class Tap:
    """packets: all packets so far, in order of their arrival. port: where devices connect to."""

    def __init__(self) -> None:
        self.port = 0
        self.packets: list[Packet] = []
        self._rest = {True: b"", False: b""}

    def watch(self, up: bool, data: bytes) -> None:
        """Take in data as it arrives."""
        packets, self._rest[up] = split(self._rest[up] + data)
        self.packets += [describe(up, packet) for packet in packets]


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Split off whole MQTT packets; returns them and the rest."""
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
    """Describe one whole packet."""
    topic = ""
    if packet[0] >> 4 == 3:
        at = next(index for index in range(1, 5) if packet[index] < 128) + 1
        length = int.from_bytes(packet[at : at + 2], "big")
        topic = packet[at + 2 : at + 2 + length].decode()
    return Packet(up, _KINDS.get(packet[0] >> 4, "?"), len(packet), topic)


@contextlib.contextmanager
def tap(target: int, delay: float) -> Iterator[Tap]:
    """A proxy to a broker's port on this machine. delay: seconds until what the broker sends arrives."""
    found = Tap()
    with far(target, 0, delay, watch=found.watch) as proxy:
        found.port = proxy.port
        yield found
