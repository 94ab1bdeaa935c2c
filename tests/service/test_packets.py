"""MQTT packets, compared with bytes from the standard, and decoded from random bytes."""

import contextlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt_wire import connect_packet, field

from ujobs_tools.service import packets
from ujobs_tools.service.packets import Connect, Message, PacketError


def body_of(packet: bytes) -> bytes:
    """A short packet without its fixed header."""
    return packet[2:]


def test_connect_is_read_with_its_will() -> None:
    body = bytes.fromhex("00044d515454 04 2e 003c 0002 4131 0003 612f62 0002 ffff".replace(" ", ""))
    expected = Message("a/b", b"\xff\xff", qos=1, retain=True)
    assert packets.read_connect(body) == Connect("A1", True, 60, expected, 4)


def test_user_name_and_password_are_skipped() -> None:
    body = field("MQTT") + b"\x04\xc2\x00\x00" + field("A1") + field("user") + field(b"\x00secret")
    assert packets.read_connect(body) == Connect("A1", True, 0, None, 4)


def test_after_another_protocol_level_nothing_is_read() -> None:
    assert packets.read_connect(field("MQTT") + b"\x06\x02\x00\x3c\x00").protocol_level == 6


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (field("MQIsdp") + b"\x03\x02\x00\x3c" + field("A1"), "not MQTT"),
        (field("MQTT") + b"\x04\x03\x00\x3c" + field("A1"), "flags"),
        (field("MQTT") + b"\x04\x1e\x00\x3c" + field("A1") + field("w") + field("w"), "flags"),
        (field("MQTT") + b"\x04\x22\x00\x3c" + field("A1"), "flags"),
        (field("MQTT") + b"\x04\x42\x00\x3c" + field("A1") + field("password"), "flags"),
        (field("MQTT") + b"\x04\x02\x00\x3c" + field(b"\xff"), "UTF-8"),
        (field("MQTT") + b"\x04\x02\x00\x3c" + field(b"\xed\xa0\x80"), "UTF-8"),
        (field("MQTT") + b"\x04\x02\x00\x3c" + field("a\0"), r"U\+0000"),
        (field("MQTT") + b"\x04\x02\x00\x3c" + b"\x00\x05A1", "too short"),
        (field("MQTT") + b"\x04\x02\x00\x3c" + field("A1") + b"more", "too long"),
        (b"", "too short"),
    ],
)
def test_malformed_connect_is_refused_with_a_reason(body: bytes, why: str) -> None:
    with pytest.raises(PacketError, match=why):
        packets.read_connect(body)


def test_publish_is_read_at_both_qos() -> None:
    assert packets.read_publish(0x30, field("a/b") + b"xy") == (Message("a/b", b"xy"), 0)
    assert packets.read_publish(0x3B, field("a/b") + b"\x12\x34xy") == (Message("a/b", b"xy", 1, True), 0x1234)


@pytest.mark.parametrize("first", [0x32, 0x36])
def test_publish_needs_a_packet_identifier_and_a_qos_that_exists(first: int) -> None:
    with pytest.raises(PacketError, match="PUBLISH"):
        packets.read_publish(first, field("a") + b"\x00\x00")


def test_subscribe_and_unsubscribe_are_read() -> None:
    body = b"\x00\x0a" + field("a/b") + b"\x01" + field("c/d") + b"\x02"
    assert packets.read_subscribe(body) == (10, [("a/b", 1), ("c/d", 2)])
    assert packets.read_unsubscribe(b"\x00\x0a" + field("a/b") + field("c")) == (10, ["a/b", "c"])


@pytest.mark.parametrize("body", [b"\x00\x0a", b"\x00\x00" + field("a") + b"\x01", b"\x00\x0a" + field("a") + b"\x03"])
def test_subscribe_needs_identifier_filter_and_qos(body: bytes) -> None:
    with pytest.raises(PacketError, match="SUBSCRIBE"):
        packets.read_subscribe(body)


def test_answers_are_the_bytes_of_the_standard() -> None:
    assert packets.connack(0, session_present=True) == b"\x20\x02\x01\x00"
    assert packets.connack(7) == b"\x20\x02\x00\x07"
    assert packets.puback(0x1234) == b"\x40\x02\x12\x34"
    assert packets.suback(10, [0, 1]) == b"\x90\x04\x00\x0a\x00\x01"
    assert packets.unsuback(10) == b"\xb0\x02\x00\x0a"
    assert packets.publish(Message("a/b", b"x"), 0) == b"\x30\x06\x00\x03a/bx"
    assert packets.publish(Message("a/b", b"x", 1, True), 258, duplicate=True) == b"\x3b\x08\x00\x03a/b\x01\x02x"


@pytest.mark.parametrize(
    ("size", "length"),
    [(127, b"\x7f"), (128, b"\x80\x01"), (16383, b"\xff\x7f"), (16384, b"\x80\x80\x01"), (131072, b"\x80\x80\x08")],
)
def test_remaining_length(size: int, length: bytes) -> None:
    packet = packets.publish(Message("t", bytes(size - 3)), 0)
    assert packet[: 1 + len(length)] == b"\x30" + length
    assert len(packet) == 1 + len(length) + size


@pytest.mark.parametrize("first", [0x00, 0x11, 0x20, 0x50, 0x62, 0x80, 0x90, 0xA0, 0xC1, 0xD0, 0xE1, 0xF0])
def test_first_bytes_that_no_client_may_send(first: int) -> None:
    with pytest.raises(PacketError, match="first byte"):
        packets.check_flags(first)


@given(st.sampled_from([packets.read_connect, packets.read_subscribe, packets.read_unsubscribe, packets.read_puback]),
       st.binary(max_size=40))
def test_any_body_is_read_or_refused(read: Callable[[bytes], object], body: bytes) -> None:
    with contextlib.suppress(PacketError):
        read(body)


@given(st.integers(0, 15), st.binary(max_size=40))
def test_any_publish_is_read_or_refused(flags: int, body: bytes) -> None:
    try:
        message, packet_id = packets.read_publish(0x30 | flags, body)
    except PacketError:
        return
    assert bool(packet_id) == bool(message.qos)


@given(st.text(max_size=30).filter(lambda text: "\0" not in text), st.binary(max_size=300), st.integers(0, 1))
def test_a_publish_written_reads_the_same(topic: str, payload: bytes, qos: int) -> None:
    packet = packets.publish(Message(topic, payload, qos), 9)
    header = 2 if packet[1] < 128 else 3
    assert packets.read_publish(packet[0], packet[header:]) == (Message(topic, payload, qos), 9 * qos)


@given(st.text(max_size=20).filter(lambda text: "\0" not in text), st.booleans(), st.integers(0, 65535))
def test_a_connect_written_by_a_client_is_read(client_id: str, clean: bool, keep_alive: int) -> None:
    body = body_of(connect_packet(client_id, clean, keep_alive))
    assert packets.read_connect(body) == Connect(client_id, clean, keep_alive, None, 4)
