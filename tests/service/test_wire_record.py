"""The record of MQTT messages: requests joined to replies, and its limits."""

import json

from ujobs_tools.service import wire_record
from ujobs_tools.service.wire_record import WireRecord

TOPIC = "$aws/things/kiln/jobs/start-next"


class Wire:
    """A record; `now` is its clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.record = WireRecord(lambda: self.now)

    def asks(self, topic: str = TOPIC, thing: str = "kiln", **members: object) -> None:
        self.record.add(thing, True, topic, json.dumps(members).encode())

    def hears(self, topic: str, **members: object) -> None:
        self.now += 0.25
        self.record.add("kiln", False, topic, json.dumps(members).encode())

    def told(self) -> list[tuple[bool, str, int | None]]:
        """(from the thing, mark, serial of the reply) of each message."""
        return [
            (entry.message.from_thing, entry.mark, entry.reply and entry.reply.serial)
            for entry in self.record.of("kiln")
        ]


def test_a_reply_belongs_to_the_request_with_its_topic_and_token() -> None:
    wire = Wire()
    wire.asks(clientToken="1")
    wire.asks(clientToken="2")
    wire.hears(f"{TOPIC}/accepted", clientToken="2")
    wire.hears("$aws/things/kiln/jobs/j/update/accepted", clientToken="1")
    wire.hears(f"{TOPIC}/rejected", clientToken="1", code="VersionMismatch")
    assert wire.told() == [
        (True, "", 5), (True, "", 3), (False, "", None), (False, "", None), (False, "refused", None),
    ]


def test_without_tokens_replies_are_joined_in_order() -> None:
    wire = Wire()
    wire.asks()
    wire.asks()
    wire.hears(f"{TOPIC}/accepted")
    wire.hears("$aws/things/kiln/jobs/notify-next")
    assert wire.told() == [(True, "", 3), (True, "no reply", None), (False, "", None), (False, "", None)]


def test_a_repeated_request_is_marked() -> None:
    wire = Wire()
    wire.asks(clientToken="1")
    wire.asks(clientToken="1")
    wire.hears(f"{TOPIC}/accepted", clientToken="1")
    wire.hears(f"{TOPIC}/accepted", clientToken="1")
    assert wire.told() == [(True, "", 3), (True, "repeated", 4), (False, "", None), (False, "", None)]


def test_other_things_and_topics_are_not_joined() -> None:
    wire = Wire()
    wire.asks(thing="other")
    wire.asks("kilns/temperature")
    assert wire.told() == [(True, "", None)]


def test_any_payload_is_shown() -> None:
    wire = Wire()
    for payload in (b"", b"\xff\xfe", b"[1]", b'{"clientToken": 7}', b"[" * 20_000, "Wärme".encode()):
        wire.record.add("kiln", True, TOPIC, payload)
    assert [entry.message.text[:30] for entry in wire.record.of("kiln")] == [
        "", "(2 bytes, not text)", "[1]", '{"clientToken": 7}', "[" * 30, "Wärme",
    ]
    assert wire.record.of("kiln")[4].message.text.endswith("(20000 bytes)")


def test_the_record_is_limited_in_messages_and_bytes() -> None:
    wire = Wire()
    for _ in range(wire_record.MAX_MESSAGES + 10):
        wire.record.add("kiln", True, TOPIC, b"{}")
    assert len(wire.record.of("kiln")) == wire_record.MAX_MESSAGES
    for _ in range(600):
        wire.record.add("kiln", True, TOPIC, bytes(wire_record.MAX_PAYLOAD + 1))
    kept = [entry.message.payload for entry in wire.record.of("kiln")]
    assert sum(map(len, kept)) <= wire_record.MAX_BYTES
    assert len(kept[-1]) == wire_record.MAX_PAYLOAD
