"""Decodes the MQTT 3.1.1 packets that clients send, and encodes those that a broker sends. No sockets, no state.
CONNECT is read for MQTT 5 as well; `mqtt5` has its other packets.

Source: MQTT Version 3.1.1, OASIS Standard, chapters 2 and 3."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from ujobs_tools.service import properties
from ujobs_tools.service.reader import PacketError, Reader

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14

LEVEL_3_1_1, LEVEL_5 = 4, 5

# The required value of the first byte's four lowest bits; in PUBLISH they are flags.
_FLAGS = {CONNECT: 0, PUBACK: 0, SUBSCRIBE: 2, UNSUBSCRIBE: 2, PINGREQ: 0, DISCONNECT: 0}

PINGRESP_PACKET = b"\xd0\x00"


@dataclass(frozen=True)
class Message:
    """An application message. properties: of MQTT 5, encoded, to pass on. expires_at: epoch seconds; None: never."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: bytes = b""
    expires_at: float | None = None

    @property
    def size(self) -> int:
        """The approximate number of bytes needed to keep it."""
        return len(self.topic) + len(self.payload) + len(self.properties)

    def expired(self, now: float) -> bool:
        """Whether it must no longer be sent. now: epoch seconds."""
        return self.expires_at is not None and self.expires_at <= now


@dataclass(frozen=True)
class Connect:
    """A CONNECT packet; keep_alive in seconds. clean_start: whether to begin a new session.

    Only of MQTT 5: session_expiry: seconds that the session outlives its connection; None in 3.1.1. will_delay,
    will_expiry: seconds; None: the will does not expire. receive_maximum: messages of QoS 1 that the client takes
    unacknowledged. maximum_packet: bytes of a packet; None: any. authenticates: whether it asks for enhanced
    authentication.
    """

    client_id: str
    clean_start: bool
    keep_alive: int
    will: Message | None
    protocol_level: int
    session_expiry: int | None = None
    will_delay: int = 0
    will_expiry: int | None = None
    receive_maximum: int = 65535
    maximum_packet: int | None = None
    authenticates: bool = False

    @property
    def persistent(self) -> bool:
        """Whether the session outlives its connection."""
        return not self.clean_start if self.session_expiry is None else self.session_expiry > 0


def check_flags(first: int) -> None:
    """Raises PacketError if the first byte has wrong flags or a type that clients must not send."""
    kind = first >> 4
    if kind != PUBLISH and _FLAGS.get(kind) != first & 15:
        raise PacketError(f"first byte {first:#04x}")


def read_connect(body: bytes) -> Connect:
    """Decode CONNECT. User name and password are skipped, because the certificate identifies the client.

    After a different protocol level nothing is read, because the layout may differ.
    """
    reader = Reader(body)
    if reader.blob() != b"MQTT":
        raise PacketError("not MQTT")
    level = reader.take(1)[0]
    if level not in (LEVEL_3_1_1, LEVEL_5):
        return Connect("", True, 0, None, level)
    flags = reader.take(1)[0]
    keep_alive = reader.number()
    only_password = flags & 192 == 64 and level == LEVEL_3_1_1
    if flags & 1 or flags >> 3 & 3 == 3 or (flags & 56 and not flags & 4) or only_password:
        raise PacketError(f"CONNECT flags {flags:#04x}")
    asked = properties.read(reader, properties.OF_CONNECT)[0] if level == LEVEL_5 else {}
    client_id = reader.text()
    will: Message | None = None
    of_will: dict[int, int] = {}
    if flags & 4:
        of_will, passed_on = properties.read(reader, properties.OF_WILL) if level == LEVEL_5 else ({}, b"")
        topic = reader.text()
        will = Message(topic, reader.blob(), flags >> 3 & 3, bool(flags & 32), passed_on)
    for bit in (128, 64):
        if flags & bit:
            reader.blob()
    if reader.more:
        raise PacketError("CONNECT is too long")
    found = Connect(client_id, bool(flags & 2), keep_alive, will, level)
    return found if level == LEVEL_3_1_1 else _with_properties(found, asked, of_will)


def _with_properties(connect: Connect, asked: dict[int, int], of_will: dict[int, int]) -> Connect:
    receive_maximum = asked.get(properties.RECEIVE_MAXIMUM, connect.receive_maximum)
    maximum_packet = asked.get(properties.MAXIMUM_PACKET)
    if not receive_maximum or maximum_packet == 0:
        raise PacketError("CONNECT with a maximum of 0")
    return replace(
        connect, session_expiry=asked.get(properties.SESSION_EXPIRY, 0),
        will_delay=of_will.get(properties.WILL_DELAY, 0), will_expiry=of_will.get(properties.MESSAGE_EXPIRY),
        receive_maximum=receive_maximum, maximum_packet=maximum_packet,
        authenticates=properties.AUTHENTICATION_METHOD in asked,
    )


def read_publish(first: int, body: bytes) -> tuple[Message, int]:
    """Decode PUBLISH; the message and its packet identifier, 0 at QoS 0."""
    reader = Reader(body)
    topic, qos, packet_id = start_of_publish(first, reader)
    return Message(topic, body[reader.at :], qos, bool(first & 1)), packet_id


def start_of_publish(first: int, reader: Reader) -> tuple[str, int, int]:
    """Decode what PUBLISH begins with in every version: topic, QoS and packet identifier, 0 at QoS 0."""
    qos = first >> 1 & 3
    topic = reader.text()
    packet_id = reader.number() if qos else 0
    if qos == 3 or (qos and not packet_id):
        raise PacketError("PUBLISH flags")
    return topic, qos, packet_id


def read_puback(body: bytes) -> int:
    """Decode PUBACK; the packet identifier."""
    reader = Reader(body)
    packet_id = reader.number()
    if reader.more:
        raise PacketError("PUBACK is too long")
    return packet_id


def read_empty(body: bytes) -> None:
    """Check that PINGREQ or DISCONNECT ends after the fixed header."""
    if body:
        raise PacketError("packet is too long")


def read_disconnect(body: bytes) -> tuple[bool, int | None]:
    """Decode DISCONNECT; whether it asks for the will, and its session expiry: (False, None) always."""
    read_empty(body)
    return False, None


def read_subscribe(body: bytes) -> tuple[int, list[tuple[str, int]]]:
    """Decode SUBSCRIBE; packet identifier and (filter, QoS) pairs."""
    reader = Reader(body)
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
    reader = Reader(body)
    return end_of_unsubscribe(reader.number(), reader)


def end_of_unsubscribe(packet_id: int, reader: Reader) -> tuple[int, list[str]]:
    """Decode the filters with which UNSUBSCRIBE ends in every version; returns the packet identifier with them."""
    filters = []
    while reader.more:
        filters.append(reader.text())
    if not packet_id or not filters:
        raise PacketError("UNSUBSCRIBE without packet identifier or filter")
    return packet_id, filters


def connack(code: int, session_present: bool = False) -> bytes:
    """CONNACK with return code 0 to 7."""
    return bytes((CONNACK << 4, 2, session_present, code))


def publish(message: Message, packet_id: int, duplicate: bool = False, encoded: bytes = b"") -> bytes:
    """PUBLISH; packet_id is used at QoS 1 only. encoded: the properties, of MQTT 5 only."""
    topic = message.topic.encode("utf-8")
    body = len(topic).to_bytes(2, "big") + topic
    if message.qos:
        body += packet_id.to_bytes(2, "big")
    first = PUBLISH << 4 | duplicate << 3 | message.qos << 1 | message.retain
    return packet(first, body + encoded + message.payload)


def puback(packet_id: int, code: int = 0) -> bytes:
    """PUBACK. code: of MQTT 5 only."""
    return packet(PUBACK << 4, packet_id.to_bytes(2, "big"))


def suback(packet_id: int, codes: Sequence[int]) -> bytes:
    """SUBACK with the QoS granted for each filter."""
    return packet(SUBACK << 4, packet_id.to_bytes(2, "big") + bytes(codes))


def unsuback(packet_id: int, codes: Sequence[int] = ()) -> bytes:
    """UNSUBACK. codes: of MQTT 5 only."""
    return packet(UNSUBACK << 4, packet_id.to_bytes(2, "big"))


def disconnect(code: int) -> bytes:
    """DISCONNECT from the broker: nothing, because only MQTT 5 has it."""
    return b""


def packet(first: int, body: bytes) -> bytes:
    """A packet of any kind: its first byte, its length, its body."""
    return bytes((first,)) + properties.variable_number(len(body)) + body
