"""The properties of MQTT 5 packets: MQTT Version 5.0, OASIS Standard, section 2.2.2."""

from collections.abc import Collection, Mapping

from ujobs_tools.service.reader import PacketError, Reader

PAYLOAD_FORMAT, MESSAGE_EXPIRY, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA = 1, 2, 3, 8, 9
SUBSCRIPTION_IDENTIFIER, SESSION_EXPIRY, ASSIGNED_CLIENT_ID, SERVER_KEEP_ALIVE = 11, 17, 18, 19
AUTHENTICATION_METHOD, AUTHENTICATION_DATA, REQUEST_PROBLEM, WILL_DELAY, REQUEST_RESPONSE = 21, 22, 23, 24, 25
REASON, RECEIVE_MAXIMUM, TOPIC_ALIAS_MAXIMUM, TOPIC_ALIAS, MAXIMUM_QOS, RETAIN_AVAILABLE = 31, 33, 34, 35, 36, 37
USER_PROPERTY, MAXIMUM_PACKET, WILDCARDS, SUBSCRIPTION_IDENTIFIERS, SHARED_SUBSCRIPTIONS = 38, 39, 40, 41, 42

# The size of each property that is an integer; 0: a variable byte integer.
_INTEGERS = {
    PAYLOAD_FORMAT: 1, MESSAGE_EXPIRY: 4, SUBSCRIPTION_IDENTIFIER: 0, SESSION_EXPIRY: 4, SERVER_KEEP_ALIVE: 2,
    REQUEST_PROBLEM: 1, WILL_DELAY: 4, REQUEST_RESPONSE: 1, RECEIVE_MAXIMUM: 2, TOPIC_ALIAS_MAXIMUM: 2, TOPIC_ALIAS: 2,
    MAXIMUM_QOS: 1, RETAIN_AVAILABLE: 1, MAXIMUM_PACKET: 4, WILDCARDS: 1, SUBSCRIPTION_IDENTIFIERS: 1,
    SHARED_SUBSCRIPTIONS: 1,
}
_TEXTS = (CONTENT_TYPE, RESPONSE_TOPIC, ASSIGNED_CLIENT_ID, AUTHENTICATION_METHOD, REASON)
_BLOBS = (CORRELATION_DATA, AUTHENTICATION_DATA)
# Those that the broker passes on to subscribers as they are.
_PASSED_ON = (PAYLOAD_FORMAT, CONTENT_TYPE, RESPONSE_TOPIC, CORRELATION_DATA, USER_PROPERTY)

OF_CONNECT = (
    SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_PACKET, TOPIC_ALIAS_MAXIMUM, REQUEST_RESPONSE, REQUEST_PROBLEM,
    USER_PROPERTY, AUTHENTICATION_METHOD, AUTHENTICATION_DATA,
)
OF_WILL = (*_PASSED_ON, MESSAGE_EXPIRY, WILL_DELAY)
OF_PUBLISH = (*_PASSED_ON, MESSAGE_EXPIRY, TOPIC_ALIAS)
OF_SUBSCRIBE = (SUBSCRIPTION_IDENTIFIER, USER_PROPERTY)
OF_UNSUBSCRIBE = (USER_PROPERTY,)
OF_PUBACK = (REASON, USER_PROPERTY)
OF_DISCONNECT = (SESSION_EXPIRY, REASON, USER_PROPERTY)


def read(reader: Reader, allowed: Collection[int]) -> tuple[dict[int, int], bytes]:
    """Read a packet's properties: those that are integers, by identifier, and the encoded ones to pass on. A packet may
    end before them. Raises PacketError for one that is not allowed there, or repeated."""
    numbers: dict[int, int] = {}
    passed_on = b""
    size = reader.variable_number() if reader.more else 0
    part = Reader(reader.take(size))
    seen: set[int] = set()
    while part.more:
        start, kind = part.at, part.variable_number()
        if kind not in allowed or (kind in seen and kind != USER_PROPERTY):
            raise PacketError(f"property {kind:#04x}")
        seen.add(kind)
        if kind in _INTEGERS:
            numbers[kind] = part.number(_INTEGERS[kind]) if _INTEGERS[kind] else part.variable_number()
        elif kind in _TEXTS:
            part.text()
        elif kind in _BLOBS:
            part.blob()
        else:
            part.text()  # name
            part.text()  # value
        if kind in _PASSED_ON:
            passed_on += part.data[start : part.at]
        if kind == AUTHENTICATION_METHOD:
            numbers[kind] = 1
    return numbers, passed_on


def encode(numbers: Mapping[int, int] | None = None, encoded: bytes = b"") -> bytes:
    """Properties with their length before them. encoded: more of them."""
    data = encoded + b"".join(
        bytes((kind,)) + value.to_bytes(_INTEGERS[kind], "big") for kind, value in (numbers or {}).items()
    )
    return variable_number(len(data)) + data


def text(kind: int, value: str) -> bytes:
    """One encoded property that is a string."""
    data = value.encode("utf-8")
    return bytes((kind,)) + len(data).to_bytes(2, "big") + data


def variable_number(value: int) -> bytes:
    """A variable byte integer."""
    data = bytearray()
    while value > 127:
        data.append(value & 127 | 128)
        value >>= 7
    data.append(value)
    return bytes(data)
