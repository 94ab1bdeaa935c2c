"""The packets of MQTT 5, as `packets` has those of MQTT 3.1.1.

Source: MQTT Version 5.0, OASIS Standard, chapter 3; AWS's limits as its CONNACK has them (Developer Guide "MQTT")."""

from collections.abc import Callable, Mapping, Sequence

from ujobs_tools.service import packets, properties
from ujobs_tools.service.packets import Message
from ujobs_tools.service.reader import PacketError, Reader

MAX_ALIASES = 8

MALFORMED, PROTOCOL_ERROR, NOT_SUPPORTED, NOT_AUTHORIZED = 0x81, 0x82, 0x83, 0x87
SERVER_UNAVAILABLE, BAD_AUTHENTICATION, KEEP_ALIVE_TIMEOUT, TAKEN_OVER = 0x88, 0x8C, 0x8D, 0x8E
FILTER_INVALID, TOPIC_INVALID, ALIAS_INVALID, PACKET_TOO_LARGE, QUOTA_EXCEEDED = 0x8F, 0x90, 0x94, 0x95, 0x97
RETAIN_NOT_SUPPORTED, QOS_NOT_SUPPORTED, NO_SUBSCRIPTION = 0x9A, 0x9B, 0x11
# The CONNACK codes of MQTT 3.1.1 that the broker uses, in MQTT 5.
_CONNACK = {2: 0x85, 3: SERVER_UNAVAILABLE, 7: NOT_AUTHORIZED}


class Mqtt5:
    """One connection's packets. clock: returns epoch seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._aliases: dict[int, str] = {}

    def read_publish(self, first: int, body: bytes) -> tuple[Message, int]:
        """Decode PUBLISH; the message, its alias replaced by the topic, and its packet identifier, 0 at QoS 0."""
        reader = Reader(body)
        topic, qos, packet_id = packets.start_of_publish(first, reader)
        numbers, passed_on = properties.read(reader, properties.OF_PUBLISH)
        alias, expiry = numbers.get(properties.TOPIC_ALIAS), numbers.get(properties.MESSAGE_EXPIRY)
        if alias is not None:
            topic = self._topic(alias, topic)
        expires_at = None if expiry is None else self._clock() + expiry
        return Message(topic, body[reader.at :], qos, bool(first & 1), passed_on, expires_at), packet_id

    def _topic(self, alias: int, topic: str) -> str:
        if not 1 <= alias <= MAX_ALIASES:
            raise PacketError(f"topic alias {alias}", ALIAS_INVALID)
        if topic:
            self._aliases[alias] = topic
        elif alias not in self._aliases:
            raise PacketError(f"topic alias {alias} has no topic", PROTOCOL_ERROR)
        return self._aliases[alias]

    def read_puback(self, body: bytes) -> int:
        """Decode PUBACK; the packet identifier."""
        reader = Reader(body)
        packet_id = reader.number()
        _read_end(reader, properties.OF_PUBACK)
        return packet_id

    def read_subscribe(self, body: bytes) -> tuple[int, list[tuple[str, int]]]:
        """Decode SUBSCRIBE; packet identifier and (filter, options) pairs: QoS in bits 0 and 1, No Local in bit
        2, Retain As Published in bit 3, what to do with a retained message in bits 4 and 5."""
        reader = Reader(body)
        packet_id = reader.number()
        if properties.SUBSCRIPTION_IDENTIFIER in properties.read(reader, properties.OF_SUBSCRIBE)[0]:
            raise PacketError("subscription identifier", 0xA1)
        filters = []
        while reader.more:
            name, options = reader.text(), reader.number(1)
            if options & 3 == 3 or options >> 4 > 2:
                raise PacketError("SUBSCRIBE options")
            filters.append((name, options))
        if not packet_id or not filters:
            raise PacketError("SUBSCRIBE without packet identifier or filter")
        return packet_id, filters

    def read_unsubscribe(self, body: bytes) -> tuple[int, list[str]]:
        """Decode UNSUBSCRIBE; packet identifier and filters."""
        reader = Reader(body)
        packet_id = reader.number()
        properties.read(reader, properties.OF_UNSUBSCRIBE)
        return packets.end_of_unsubscribe(packet_id, reader)

    def read_disconnect(self, body: bytes) -> tuple[bool, int | None]:
        """Decode DISCONNECT; whether it asks for the will, and its session expiry in seconds, None if it has none."""
        reader = Reader(body)
        code, numbers = _read_end(reader, properties.OF_DISCONNECT)
        return code != 0, numbers.get(properties.SESSION_EXPIRY)

    def publish(self, message: Message, packet_id: int, duplicate: bool = False) -> bytes:
        """PUBLISH; packet_id is used at QoS 1 only."""
        left = {}
        if message.expires_at is not None:
            left[properties.MESSAGE_EXPIRY] = max(0, int(message.expires_at - self._clock()))
        return packets.publish(message, packet_id, duplicate, properties.encode(left, message.properties))

    def connack(self, code: int) -> bytes:
        """CONNACK that refuses; code: of MQTT 3.1.1, or of MQTT 5 from 0x80. See accepted()."""
        return packets.packet(packets.CONNACK << 4, bytes((0, _CONNACK.get(code, code))) + properties.encode())

    def accepted(self, session_present: bool, numbers: Mapping[int, int], assigned_id: str = "") -> bytes:
        """CONNACK of an accepted connection. numbers: further properties. assigned_id: if the client has none."""
        encoded = properties.text(properties.ASSIGNED_CLIENT_ID, assigned_id) if assigned_id else b""
        offered = {
            properties.TOPIC_ALIAS_MAXIMUM: MAX_ALIASES, properties.MAXIMUM_QOS: 1, properties.RETAIN_AVAILABLE: 1,
            properties.WILDCARDS: 1, properties.SUBSCRIPTION_IDENTIFIERS: 0, properties.SHARED_SUBSCRIPTIONS: 1,
        }
        body = bytes((session_present, 0)) + properties.encode({**numbers, **offered}, encoded)
        return packets.packet(packets.CONNACK << 4, body)

    def puback(self, packet_id: int, code: int = 0) -> bytes:
        """PUBACK."""
        return packets.packet(packets.PUBACK << 4, packet_id.to_bytes(2, "big") + (bytes((code,)) if code else b""))

    def suback(self, packet_id: int, codes: Sequence[int]) -> bytes:
        """SUBACK with the QoS granted for each filter, or why it is refused."""
        return packets.packet(packets.SUBACK << 4, packet_id.to_bytes(2, "big") + properties.encode() + bytes(codes))

    def unsuback(self, packet_id: int, codes: Sequence[int] = ()) -> bytes:
        """UNSUBACK with what came of each filter."""
        return packets.packet(packets.UNSUBACK << 4, packet_id.to_bytes(2, "big") + properties.encode() + bytes(codes))

    def disconnect(self, code: int) -> bytes:
        """DISCONNECT from the broker."""
        return packets.packet(packets.DISCONNECT << 4, bytes((code,)))


def _read_end(reader: Reader, allowed: Sequence[int]) -> tuple[int, dict[int, int]]:
    """The reason code and properties at the end of a packet, which may lack both."""
    code = reader.number(1) if reader.more else 0
    numbers = properties.read(reader, allowed)[0]
    if reader.more:
        raise PacketError("packet is too long")
    return code, numbers
