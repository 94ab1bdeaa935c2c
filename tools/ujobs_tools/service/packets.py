"""Decodes the MQTT 3.1.1 packets that clients send, and encodes those that a broker sends. No sockets, no state.

Source: MQTT Version 3.1.1, OASIS Standard, chapters 2 and 3."""

from dataclasses import dataclass

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14

PROTOCOL_LEVEL = 4

# The required value of the first byte's four lowest bits; in PUBLISH they are flags.
_FLAGS = {CONNECT: 0, PUBACK: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0, DISCONNECT: 0}

PINGRESP_PACKET = b"\xd0\x00"


class PacketError(ValueError):
    """A packet violates MQTT 3.1.1; the text says how."""


@dataclass(frozen=True)
class Message:
    """An application message."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False

    @property
    def size(self) -> int:
        """The approximate number of bytes needed to keep it."""
        return len(self.topic) + len(self.payload)


@dataclass(frozen=True)
class Connect:
    """A CONNECT packet; keep_alive in seconds."""

    client_id: str
    clean_session: bool
    keep_alive: int
    will: Message | None
    protocol_level: int


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int) -> bytes:
        piece = self.data[self.at : self.at + count]
        if len(piece) < count:
            raise PacketError("packet is too short")
        self.at += count
        return piece

    def number(self) -> int:
        return int.from_bytes(self.take(2), "big")

    def blob(self) -> bytes:
        return self.take(self.number())

    def text(self) -> str:
        try:
            text = self.blob().decode("utf-8")
        except UnicodeDecodeError:
            raise PacketError("text is not UTF-8") from None
        if "\0" in text:
            raise PacketError("text holds U+0000")
        return text

    @property
    def more(self) -> bool:
        return self.at < len(self.data)


def check_flags(first: int) -> None:
    """Raises PacketError if the first byte has wrong flags or a type that clients must not send."""
    kind = first >> 4
    if kind != PUBLISH and _FLAGS.get(kind) != first & 15:
        raise PacketError(f"first byte {first:#04x}")


def read_connect(body: bytes) -> Connect:
    """Decode CONNECT. User name and password are skipped, because the certificate identifies the client.

    After a different protocol level nothing is read, because the layout may differ.
    """
    reader = _Reader(body)
    if reader.blob() != b"MQTT":
        raise PacketError("not MQTT")
    level = reader.take(1)[0]
    if level != PROTOCOL_LEVEL:
        return Connect("", True, 0, None, level)
    flags = reader.take(1)[0]
    keep_alive = reader.number()
    if flags & 1 or flags >> 3 & 3 == 3 or (flags & 56 and not flags & 4) or flags & 192 == 64:
        raise PacketError(f"CONNECT flags {flags:#04x}")
    client_id = reader.text()
    will = None
    if flags & 4:
        topic = reader.text()
        will = Message(topic, reader.blob(), flags >> 3 & 3, bool(flags & 32))
    for bit in (128, 64):
        if flags & bit:
            reader.blob()
    if reader.more:
        raise PacketError("CONNECT is too long")
    return Connect(client_id, bool(flags & 2), keep_alive, will, level)


def read_publish(first: int, body: bytes) -> tuple[Message, int]:
    """Decode PUBLISH; the message and its packet identifier, 0 at QoS 0."""
    reader = _Reader(body)
    qos = first >> 1 & 3
    topic = reader.text()
    packet_id = reader.number() if qos else 0
    if qos == 3 or (qos and not packet_id):
        raise PacketError("PUBLISH flags")
    return Message(topic, body[reader.at :], qos, bool(first & 1)), packet_id


def read_puback(body: bytes) -> int:
    """Decode PUBACK; the packet identifier."""
    reader = _Reader(body)
    packet_id = reader.number()
    if reader.more:
        raise PacketError("PUBACK is too long")
    return packet_id


def read_empty(body: bytes) -> None:
    """Check that PINGREQ or DISCONNECT ends after the fixed header."""
    if body:
        raise PacketError("packet is too long")


def read_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Decode SUBSCRIBE; packet identifier and (filter, QoS) pairs."""
    reader = _Reader(body)
    packet_id = reader.number()
    filters = []
    while reader.more:
        name = reader.text()
        qos = reader.take(1)[0]
        if qos > 2:
            raise PacketError("SUBSCRIBE QoS")
        filters.append((name, qos))
    if not packet_id or not filters:
        raise PacketError("SUBSCRIBE without packet identifier or filter")
    return packet_id, filters


def read_unsubscribe(body: bytes) -> tuple[int, list[str]]:
    """Decode UNSUBSCRIBE; packet identifier and filters."""
    reader = _Reader(body)
    packet_id = reader.number()
    filters = []
    while reader.more:
        filters.append(reader.text())
    if not packet_id or not filters:
        raise PacketError("UNSUBSCRIBE without packet identifier or filter")
    return packet_id, filters


def connack(code: int, session_present: bool = False) -> bytes:
    """CONNACK with return code 0 to 7."""
    return bytes((CONNACK << 4, 2, session_present, code))


def publish(message: Message, packet_id: int, duplicate: bool = False) -> bytes:
    """PUBLISH; packet_id is used at QoS 1 only."""
    topic = message.topic.encode("utf-8")
    body = len(topic).to_bytes(2, "big") + topic
    if message.qos:
        body += packet_id.to_bytes(2, "big")
    first = PUBLISH << 4 | duplicate << 3 | message.qos << 1 | message.retain
    return packet(first, body + message.payload)


def puback(packet_id: int) -> bytes:
    """PUBACK."""
    return packet(PUBACK << 4, packet_id.to_bytes(2, "big"))


def suback(packet_id: int, codes: list[int]) -> bytes:
    """SUBACK with the QoS granted for each filter."""
    return packet(SUBACK << 4, packet_id.to_bytes(2, "big") + bytes(codes))


def unsuback(packet_id: int) -> bytes:
    """UNSUBACK."""
    return packet(UNSUBACK << 4, packet_id.to_bytes(2, "big"))


def packet(first: int, body: bytes) -> bytes:
    """A packet of any kind: its first byte, its length, its body."""
    header = bytearray((first,))
    size = len(body)
    while size > 127:
        header.append(size & 127 | 128)
        size >>= 7
    header.append(size)
    return bytes(header) + body
