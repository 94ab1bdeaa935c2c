"""An MQTT 3.1.1 client that sends any bytes, also packets that libraries refuse to build.

It is written from the standard and shares no code with `ujobs_tools.service.packets`, so that each checks the other."""

import contextlib
import socket
import ssl
from dataclasses import dataclass
from typing import Self

TIMEOUT = 10.0  # seconds


@dataclass(frozen=True)
class Received:
    """A received PUBLISH."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    duplicate: bool = False
    packet_id: int = 0


def field(data: bytes | str) -> bytes:
    """A length-prefixed string."""
    data = data.encode() if isinstance(data, str) else data
    return len(data).to_bytes(2, "big") + data


def packet(first: int, body: bytes = b"") -> bytes:
    """A packet: first byte, remaining length, body."""
    length = b""
    size = len(body)
    while True:
        size, digit = divmod(size, 128)
        length += bytes([digit | (128 if size else 0)])
        if not size:
            return bytes([first]) + length + body


def connect_packet(
    client_id: str, clean: bool = True, keep_alive: int = 60, will: tuple[str, bytes, int, bool] | None = None,
    level: int = 4,
) -> bytes:
    """CONNECT; will: topic, payload, QoS, retain."""
    flags, tail = 2 * clean, b""
    if will is not None:
        topic, payload, qos, retain = will
        flags |= 4 | qos << 3 | retain << 5
        tail = field(topic) + field(payload)
    body = field("MQTT") + bytes([level, flags]) + keep_alive.to_bytes(2, "big") + field(client_id) + tail
    return packet(0x10, body)


def publish_packet(topic: str, payload: bytes = b"", qos: int = 0, packet_id: int = 1, retain: bool = False) -> bytes:
    """PUBLISH."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    return packet(0x30 | qos << 1 | retain, field(topic) + number + payload)


def subscribe_packet(*filters: str, qos: int = 1, packet_id: int = 1) -> bytes:
    """SUBSCRIBE, all filters with the same QoS."""
    return packet(0x82, packet_id.to_bytes(2, "big") + b"".join(field(name) + bytes([qos]) for name in filters))


class WireClient:
    """One connection, over TLS if a context is given. Every wait fails after 10 seconds."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        if context is not None:
            self._socket = context.wrap_socket(self._socket, server_hostname="localhost")
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.drop()

    def drop(self) -> None:
        """Close the connection without DISCONNECT."""
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def packet(self) -> tuple[int, bytes]:
        """The next packet's first byte and body. Raises EOFError if the broker has closed the connection."""
        first = self._take(1)[0]
        size = shift = 0
        while True:
            digit = self._take(1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return first, self._take(size)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError
            self._buffer += data
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def connect(self, client_id: str, **options: object) -> tuple[int, int]:
        """CONNECT; returns session present and return code of CONNACK."""
        self.send(connect_packet(client_id, **options))  # type: ignore[arg-type]
        first, body = self.packet()
        assert first == 0x20
        return body[0], body[1]

    def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """SUBSCRIBE; returns the codes of SUBACK."""
        self.send(subscribe_packet(*filters, qos=qos, packet_id=77))
        first, body = self.packet()
        assert (first, body[:2]) == (0x90, b"\x00\x4d")
        return list(body[2:])

    def publish(self, topic: str, payload: bytes = b"", qos: int = 0, retain: bool = False) -> None:
        """PUBLISH; returns when the broker has handled it. For clients that receive no other packet meanwhile."""
        self.send(publish_packet(topic, payload, qos, 78, retain))
        if qos:
            assert self.packet() == (0x40, b"\x00\x4e")
        else:
            self.ping()

    def ping(self) -> None:
        """PINGREQ; fails unless PINGRESP is the next packet, which shows that the broker sent nothing else."""
        self.send(b"\xc0\x00")
        assert self.packet() == (0xD0, b"")

    def message(self, acknowledge: bool = True) -> Received:
        """The next packet, which must be a PUBLISH."""
        first, body = self.packet()
        assert first >> 4 == 3, f"packet {first:#04x} {body!r}"
        size = 2 + int.from_bytes(body[:2], "big")
        topic, rest, qos = body[2:size].decode(), body[size:], first >> 1 & 3
        packet_id = 0
        if qos:
            packet_id, rest = int.from_bytes(rest[:2], "big"), rest[2:]
            if acknowledge:
                self.acknowledge(packet_id)
        return Received(topic, rest, qos, bool(first & 1), bool(first & 8), packet_id)

    def acknowledge(self, packet_id: int) -> None:
        self.send(packet(0x40, packet_id.to_bytes(2, "big")))

    def shut(self) -> None:
        """Close the sending side of the connection."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    def wait_closed(self) -> None:
        """Wait until the server closes the connection."""
        with contextlib.suppress(ConnectionError):
            while self._socket.recv(65536):
                pass

    def is_closed(self) -> bool:
        """Wait until the broker closes the connection, ignoring other packets; True then."""
        with contextlib.suppress(EOFError, ConnectionError, ssl.SSLError):
            while True:
                self.packet()
        return True
