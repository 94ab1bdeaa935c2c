"""The broker's limits and times for each client: take-over during a stream of messages, waiting messages, keep-alive.

`test_broker` tests the same behaviour without the exact numbers."""

import time

import pytest
from broker_service import BrokerService, send_in_one_go
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mqtt_wire import TIMEOUT, WireClient, connect_packet, packet, publish_packet, subscribe_packet

from ujobs_tools.service import broker as broker_module
from ujobs_tools.service import retained as retained_module
from ujobs_tools.service import session as session_module

PINGREQ = b"\xc0\x00"


def wait_for_connections(service: BrokerService, count: int) -> None:
    """Wait until the broker has this many connections."""
    deadline = time.monotonic() + TIMEOUT
    while service.run(lambda broker: len(broker._connections)) != count:
        assert time.monotonic() < deadline


@pytest.mark.parametrize("clean", [True, False])
@pytest.mark.parametrize(
    "last",
    [PINGREQ, subscribe_packet("late"), publish_packet("late", b"", 1), publish_packet("$aws/late"), b"\xe0\x00"],
    ids=["ping", "subscribe", "publish", "request", "disconnect"],
)
def test_packets_of_a_superseded_connection_are_discarded(
    service: BrokerService, clean: bool, last: bytes
) -> None:
    with service.client("watcher") as watcher, service.client("kiln", clean=clean) as first:
        watcher.subscribe("late", "will")
        with WireClient(service.port) as second:
            wait_for_connections(service, 3)
            connect = connect_packet("kiln", clean, will=("will", b"gone", 1, False))
            send_in_one_go(service, (second, connect), (first, last))
            assert second.packet() == (0x20, bytes([not clean, 0]))
            assert first.is_closed()
            # The old connection's task ends a little after the connection is closed.
            wait_for_connections(service, 2)
            service.run(lambda broker: broker.publish("late", b"in time", 1))
            second.subscribe("other")  # Any earlier message to the new connection would arrive first.
            assert service.published == []
        assert watcher.message().payload == b"in time", "nothing was published before"
        assert watcher.message().payload == b"gone", "the will is still the newcomer's"
        assert service.run(lambda broker: [one for one, _ in broker._sessions.subscribers("late")]) == service.run(
            lambda broker: [broker._sessions._sessions["watcher"]]
        )


def test_a_session_uses_the_will_of_its_new_connection(service: BrokerService) -> None:
    with service.client("watcher") as watcher:
        watcher.subscribe("will")
        first = service.client("kiln", clean=False, will=("will", b"first", 1, False))
        first.drop()
        assert watcher.message().payload == b"first"
        service.client("kiln", clean=False, will=("will", b"second", 1, False)).drop()
        assert watcher.message().payload == b"second"
        service.client("kiln", clean=False).drop()
        watcher.ping()


def test_a_retained_message_is_replaced_when_there_is_room_for_no_more(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retained_module, "MAX_RETAINED", 1)
    with service.client("kiln") as kiln:
        kiln.publish("a", b"old", retain=True)
        kiln.publish("a", b"new", retain=True)
        kiln.subscribe("a")
        assert kiln.message().payload == b"new"


def test_a_client_id_may_have_128_bytes(service: BrokerService) -> None:
    for client_id in ("x" * 128, "ä" * 64):
        service.client(client_id).drop()
    with WireClient(service.port) as client:
        assert client.connect("ä" * 64 + "x") == (0, 2)


def test_packet_identifiers_in_use_are_skipped(service: BrokerService) -> None:
    with service.client("kiln") as kiln:
        kiln.subscribe("a")
        for _ in range(2):
            service.run(lambda broker: broker.publish("a", b"x", 1))
        assert [kiln.message(acknowledge=False).packet_id for _ in range(2)] == [1, 2]
        service.run(lambda broker: setattr(broker._sessions._sessions["kiln"], "_packet_id", 65534))
        for _ in range(2):
            service.run(lambda broker: broker.publish("a", b"x", 1))
        assert [kiln.message(acknowledge=False).packet_id for _ in range(2)] == [65535, 3]


def test_bytes_that_have_been_sent_no_longer_count_as_waiting(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_QUEUED_BYTES", 2500)
    with service.client("kiln") as kiln:
        kiln.subscribe("a")
        for number in range(8):
            service.run(lambda broker, number=number: broker.publish("a", b"%d" % number * 1000, 1))
            assert kiln.message().payload[:1] == b"%d" % number


def test_bytes_in_flight_are_limited_until_acknowledged(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_IN_FLIGHT_BYTES", 2500)
    with service.client("kiln") as kiln:
        kiln.subscribe("a")
        for number in range(6):
            service.run(lambda broker, number=number: broker.publish("a", b"%d" % number * 1000, 1))
        waiting = [kiln.message(acknowledge=False) for _ in range(2)]
        kiln.ping()
        for number in range(2, 6):
            kiln.acknowledge(waiting.pop(0).packet_id)
            waiting.append(kiln.message(acknowledge=False))
            assert waiting[-1].payload[:1] == b"%d" % number
            kiln.ping()


@pytest.mark.parametrize("names", [("a/b", "a/+"), ("a/+", "a/b")])
@pytest.mark.parametrize("qos", [(0, 1), (1, 0)])
def test_the_highest_qos_applies_in_any_order(
    service: BrokerService, names: tuple[str, str], qos: tuple[int, int]
) -> None:
    with service.client("kiln") as kiln:
        for name, granted in zip(names, qos, strict=True):
            kiln.subscribe(name, qos=granted)
        service.run(lambda broker: broker.publish("a/b", b"x", 1))
        assert kiln.message().qos == 1
        kiln.ping()


@pytest.mark.parametrize(
    ("keep_alive", "shortest", "longest", "closed_after"),
    [(1, 0.1, 10, 1.5), (1, 1.2, 10, 1.8), (60, 0.1, 0.3, 0.45), (0, 0.1, 0.3, 0.45)],
    ids=["as asked", "not below the shortest", "not above the longest", "none asked"],
)
def test_keep_alive_ends_at_one_and_a_half_times(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch,
    keep_alive: int, shortest: float, longest: float, closed_after: float,
) -> None:
    monkeypatch.setattr(broker_module, "SHORTEST_KEEP_ALIVE", shortest)
    monkeypatch.setattr(broker_module, "LONGEST_KEEP_ALIVE", longest)
    with service.client("watcher", keep_alive=keep_alive) as client:
        began = time.monotonic()
        client.ping()
        assert client.is_closed()
        assert closed_after <= time.monotonic() - began < closed_after + 30


@pytest.mark.parametrize(
    "sent",
    [
        packet(0xC0, b"\x00"), packet(0xE0, b"\x00"), packet(0x40, b"\x00\x01\x00"), packet(0x40, b"\x00"),
        packet(0xA2, b"\x00\x00\x00\x01a"), packet(0xA2, b"\x00\x01"), packet(0x82, b"\x00\x01"),
    ],
    ids=["PINGREQ+", "DISCONNECT+", "PUBACK+", "PUBACK-", "UNSUBSCRIBE 0", "UNSUBSCRIBE none", "SUBSCRIBE none"],
)
def test_packets_of_a_wrong_length_close_the_connection_and_send_the_will(service: BrokerService, sent: bytes) -> None:
    with service.client("watcher") as watcher:
        watcher.subscribe("will")
        with service.client("kiln", will=("will", b"gone", 1, False)) as client:
            client.send(sent)
            assert client.is_closed()
        assert watcher.message().payload == b"gone"


# One broker must survive all examples.
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=st.integers(0, 255), body=st.binary(max_size=60), rest=st.binary(max_size=60))
def test_any_packet_after_connect_leaves_the_others_alone(
    service: BrokerService, first: int, body: bytes, rest: bytes
) -> None:
    with service.client("healthy") as healthy, service.client("garbage") as garbage:
        healthy.subscribe("healthy")
        garbage.send(packet(first, body) + rest)
        garbage.shut()
        assert garbage.is_closed()
        service.run(lambda broker: broker.publish("healthy", b"x", 1))
        assert healthy.message().payload == b"x"
        healthy.ping()
