"""Requests that the broker refuses: AWS IoT's own rules, limits, and invalid data. The broker continues."""

import logging
import random
import time
from collections.abc import Callable

import pytest
from broker_service import BrokerService
from mqtt_wire import WireClient, connect_packet, field, packet, publish_packet, subscribe_packet

from ujobs_tools.service import broker as broker_module
from ujobs_tools.service import connection as connection_module
from ujobs_tools.service import retained as retained_module
from ujobs_tools.service import session as session_module
from ujobs_tools.service import sessions as sessions_module
from ujobs_tools.service.broker import Broker

KILOBYTE = 1024


@pytest.mark.parametrize(
    ("why", "sent"),
    [
        ("QoS 2", publish_packet("a", b"", 2)),
        ("SUBSCRIBE with QoS 2", subscribe_packet("a", qos=2)),
        ("payload of 131073 bytes", publish_packet("a", bytes(128 * KILOBYTE + 1))),
        ("9 filters", subscribe_packet(*"abcdefghi")),
        ("publish to forbidden/a", publish_packet("forbidden/a", b"", 1)),
        ("subscribe to forbidden/#", subscribe_packet("a", "forbidden/#")),
        ("publish to a/+", publish_packet("a/+")),
        ("publish to ", publish_packet("")),
        ("publish to ////////", publish_packet("/" * 8)),
        ("publish to x", publish_packet("x" * 257)),
        ("subscribe to a/#/b", subscribe_packet("a/#/b")),
        ("subscribe to a+", subscribe_packet("a+")),
        ("retained message on ", publish_packet("$aws/things/kiln/jobs/get", b"", 1, retain=True)),
        ("a second CONNECT", connect_packet("kiln")),
        ("first byte 0x62", packet(0x62, b"\x00\x01")),
        ("first byte 0x80", packet(0x80, b"\x00\x01" + field("a") + b"\x00")),
        ("text is not UTF-8", packet(0x30, field(b"\xff"))),
        ("packet is too short", packet(0x30, b"\x00\x05a")),
        ("SUBSCRIBE QoS", packet(0x82, b"\x00\x01" + field("a") + b"\x03")),
        ("packet length", b"\x30\xff\xff\xff\xff\x01"),
        ("packet of 268435455 bytes", b"\x30\xff\xff\xff\x7f"),
    ],
)
def test_packets_that_close_the_connection(
    service: BrokerService, caplog: pytest.LogCaptureFixture, why: str, sent: bytes
) -> None:
    with service.client("watcher") as watcher, service.client("kiln") as client:
        watcher.subscribe("#")
        client.send(sent)
        assert client.is_closed()
        watcher.ping()
    assert service.published == []
    assert f"kiln closed: {why}" in caplog.text


def test_values_at_the_limits(service: BrokerService) -> None:
    with service.client("kiln") as client:
        assert client.subscribe(*"abcdefgh") == [1] * 8
        for first in range(0, 40, 8):
            client.subscribe(*(f"more/{number}" for number in range(first, first + 8)))
        assert client.subscribe("more/40", "more/41", "a", qos=0) == [0, 0, 0], "50 subscriptions; one is replaced"
        client.send(publish_packet("$aws/things/kiln/jobs/get", bytes(128 * KILOBYTE)))
        assert len(client.message().payload) == 128 * KILOBYTE
        client.send(subscribe_packet("more/42"))
        assert client.is_closed(), "51 subscriptions"


@pytest.mark.parametrize(
    ("client_id", "options", "code"),
    [
        ("kiln", {"level": 6}, 1),
        ("kiln", {"level": 3}, 1),
        ("", {"clean": False}, 2),
        ("x" * 129, {}, 2),
        ("$kiln", {}, 2),
        ("kiln", {"will": ("a", b"", 2, False)}, 7),
    ],
)
def test_connect_is_refused_with_a_code(
    service: BrokerService, client_id: str, options: dict[str, object], code: int
) -> None:
    with WireClient(service.port) as client:
        assert client.connect(client_id, **options) == (0, code)
        assert client.is_closed()


def test_clients_without_an_id_get_different_sessions(service: BrokerService) -> None:
    with service.client("") as one, service.client("") as two:
        one.subscribe("a")
        two.publish("a", b"x", qos=1)
        assert one.message().payload == b"x"


@pytest.mark.parametrize("sent", [b"\xc0\x00", publish_packet("a"), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00"])
def test_only_connect_may_come_first(service: BrokerService, sent: bytes) -> None:
    with WireClient(service.port) as client:
        client.send(sent)
        assert client.is_closed()


def test_a_client_without_connect_is_closed(service: BrokerService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_module, "PATIENCE", 0.1)
    with WireClient(service.port) as mute, WireClient(service.port) as half:
        half.send(connect_packet("kiln")[:9])
        assert mute.is_closed()
        assert half.is_closed()


def test_limits_on_connections_and_sessions(service: BrokerService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions_module, "MAX_SESSIONS", 2)
    service.client("away", clean=False).drop()
    with service.client("kiln") as kiln:
        with WireClient(service.port) as third:
            assert third.connect("third") == (0, 3)
        monkeypatch.setattr(broker_module, "MAX_CONNECTIONS", 1)
        with WireClient(service.port) as fourth:
            assert fourth.is_closed()
        kiln.ping()


def test_limit_on_retained_messages(service: BrokerService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retained_module, "MAX_RETAINED", 1)
    with service.client("kiln") as client:
        client.publish("a", b"kept", retain=True)
        client.publish("b", b"not kept", retain=True)
        client.subscribe("a", "b")
        assert client.message().payload == b"kept"
        client.ping()


def test_qos_1_messages_wait_for_acknowledgements(service: BrokerService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MAX_IN_FLIGHT", 2)
    monkeypatch.setattr(session_module, "MAX_QUEUED", 3)
    with service.client("kiln") as kiln, service.client("sender") as sender:
        kiln.subscribe("a")
        for number in range(9):
            sender.publish("a", b"%d" % number, qos=1)
        first, second = kiln.message(acknowledge=False), kiln.message(acknowledge=False)
        kiln.ping()
        kiln.acknowledge(second.packet_id)
        kiln.acknowledge(first.packet_id)
        kiln.acknowledge(4711)
        waiting = [kiln.message().payload for _ in range(3)]
        assert [first.payload, second.payload, *waiting] == [b"0", b"1", b"2", b"3", b"4"]
        kiln.ping()


def test_messages_that_wait_are_limited_in_bytes(service: BrokerService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MAX_QUEUED_BYTES", 2500)
    kiln = service.client("kiln", clean=False)
    kiln.subscribe("a")
    kiln.send(b"\xe0\x00")
    assert kiln.is_closed()
    with service.client("sender") as sender:
        for number in range(5):
            sender.publish("a", b"%d" % number * 1000, qos=1)
    with service.client("kiln", clean=False) as kiln:
        assert [kiln.message().payload[:1] for _ in range(2)] == [b"0", b"1"]
        kiln.ping()


def test_a_long_backlog_reaches_a_client_that_reads_slowly(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_QUEUED_BYTES", 1 << 23)
    kiln = service.client("kiln", clean=False)
    kiln.subscribe("a")
    kiln.send(b"\xe0\x00")
    assert kiln.is_closed()
    service.run(lambda broker: [broker.publish("a", bytes([number]) * 100_000, 1) for number in range(80)])
    with service.client("kiln", clean=False) as kiln:
        assert [kiln.message().payload[0] for _ in range(80)] == list(range(80))


def test_a_client_that_does_not_read_is_disconnected(service: BrokerService) -> None:
    def flood(broker: Broker) -> None:
        for _ in range(200):
            broker.publish("a", bytes(100_000), 0)

    with service.client("deaf") as deaf, service.client("kiln") as kiln:
        deaf.subscribe("a", qos=0)
        service.run(flood)
        assert deaf.is_closed()
        kiln.ping()


def test_a_client_that_does_not_read_cannot_hold_a_closed_connection(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "PATIENCE", 0.1)
    monkeypatch.setattr(session_module, "MAX_UNSENT", 1 << 26)
    with service.client("deaf") as deaf:
        deaf.subscribe("a", qos=0)
        service.run(lambda broker: [broker.publish("a", bytes(100_000), 0) for _ in range(200)])
        [connection] = service.run(lambda broker: list(broker._connections))
        assert connection.unread
        monkeypatch.setattr(broker_module, "MAX_CONNECTIONS", 1)
        deaf.send(publish_packet("forbidden"))
        deadline = time.monotonic() + 10
        while not _is_served(service):
            assert time.monotonic() < deadline, "the connection is still held"
        assert not connection.unread


def _is_served(service: BrokerService) -> bool:
    try:
        with WireClient(service.port) as client:
            return client.connect("next") == (0, 0)
    except (EOFError, ConnectionError):
        return False


def test_a_failure_of_the_service_costs_one_connection(
    service: BrokerService, caplog: pytest.LogCaptureFixture
) -> None:
    with service.client("kiln") as kiln, service.client("other") as other:
        kiln.send(publish_packet("$aws/things/kiln/jobs/get", b"bug", 1))
        assert kiln.is_closed()
        other.ping()
    assert "as a bug would" in caplog.text


def _mutations(chance: random.Random) -> Callable[[], bytes]:
    valid = [
        connect_packet("garbage", clean=False, will=("a", b"b", 1, True)),
        packet(0x10, field("MQTT") + b"\x05\x02\x00\x3c\x05\x11\x00\x00\x00\x09" + field("garbage")),
        publish_packet("a", b"xyz", 1), subscribe_packet("a", "b/+"),
        packet(0xA2, b"\x00\x01" + field("a")), packet(0x40, b"\x00\x01"), b"\xc0\x00",
    ]

    def make() -> bytes:
        stream = bytearray(b"".join([chance.choice(valid[:2]), *chance.choices(valid, k=4)]))
        for _ in range(chance.randrange(1, 6)):
            stream[chance.randrange(len(stream))] = chance.randrange(256)
        return bytes(stream[: chance.randrange(1, len(stream) + 1)])

    return make


def test_garbage_does_not_affect_other_clients(service: BrokerService, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    chance = random.Random(4)
    mutated = _mutations(chance)
    with service.client("kiln") as kiln, service.client("sender") as sender:
        kiln.subscribe("healthy")
        for number in range(300):
            with WireClient(service.port) as client:
                client.send(mutated() if number % 3 else chance.randbytes(chance.randrange(1, 200)))
                client.shut()
                assert client.is_closed()
        sender.publish("healthy", b"still here", qos=1)
        assert kiln.message().payload == b"still here"
        kiln.ping()
    assert caplog.text == "", "no exception got through"
