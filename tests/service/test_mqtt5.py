"""The broker and MQTT 5: reason codes, properties, sessions and limits as AWS IoT Core has them.

The packets are written from the standard, without `ujobs_tools.service.mqtt5`."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from broker_service import BrokerService
from hypothesis import given
from hypothesis import strategies as st
from mqtt_wire import WireClient, field, packet

from ujobs_tools.host.processes import wait_until
from ujobs_tools.service import packets
from ujobs_tools.service import session as session_module
from ujobs_tools.service.in_thread import LocalService
from ujobs_tools.service.mqtt5 import Mqtt5
from ujobs_tools.service.reader import PacketError
from ujobs_tools.service.sessions import SESSION_LIFE

SESSION_EXPIRY, RECEIVE_MAXIMUM, MAXIMUM_PACKET, TOPIC_ALIAS, MESSAGE_EXPIRY, WILL_DELAY = 17, 33, 39, 35, 2, 24
AUTHENTICATION_METHOD, SUBSCRIPTION_IDENTIFIER = b"\x15" + field("x"), b"\x0b\x01"
NOT_AUTHORIZED, DISCONNECTED = 0x87, 0xE0
RETAIN_AS_PUBLISHED = 8
PASSED_ON = b"\x01\x01" + b"\x03" + field("text/plain") + b"\x08" + field("re/ply") + b"\x09" + field(b"\x00\xff")
PASSED_ON += (b"\x26" + field("user") + field("one")) + (b"\x26" + field("user") + field("two"))


def number(kind: int, value: int, size: int = 4) -> bytes:
    """A property that is an integer."""
    return bytes([kind]) + value.to_bytes(size, "big")


def listed(data: bytes = b"") -> bytes:
    """Properties with their length."""
    return bytes([len(data)]) + data


class Client(WireClient):
    """A client of MQTT 5. connack: (session present, reason code, properties)."""

    def __init__(
        self, port: int, client_id: str = "kiln", clean: bool = True, asked: bytes = b"", keep_alive: int = 60,
        will: bytes = b"", user: str = "",
    ) -> None:
        super().__init__(port)
        flags = 2 * clean | (4 if will else 0) | (128 if user else 0)
        head = field("MQTT") + bytes([5, flags]) + keep_alive.to_bytes(2, "big") + listed(asked)
        self.send(packet(0x10, head + field(client_id) + will + (field(user) if user else b"")))
        first, body = self.packet()
        assert first == 0x20
        self.connack = body[0], body[1], body[3:]
        assert body[2] == len(body[3:])

    def subscribe_to(self, *filters: str, options: int = 1, asked: bytes = b"") -> list[int]:
        """The codes of SUBACK."""
        entries = b"".join(field(name) + bytes([options]) for name in filters)
        self.send(packet(0x82, b"\x00\x07" + listed(asked) + entries))
        first, body = self.packet()
        assert (first, body[:3]) == (0x90, b"\x00\x07\x00")
        return list(body[3:])

    def put(self, topic: str, payload: bytes = b"", asked: bytes = b"", qos: int = 1, retain: bool = False) -> None:
        """PUBLISH."""
        identifier = b"\x00\x09" if qos else b""
        self.send(packet(0x30 | qos << 1 | retain, field(topic) + identifier + listed(asked) + payload))

    def got(self, acknowledge: bool = True) -> tuple[str, bytes, bytes]:
        """Topic, properties and payload of the next packet, which must be a PUBLISH."""
        first, body = self.packet()
        assert first >> 4 == 3
        at = 2 + int.from_bytes(body[:2], "big")
        topic = body[2:at].decode()
        if first & 6:
            if acknowledge:
                self.send(packet(0x40, body[at : at + 2] + b"\x00\x00"))
            at += 2
        end = at + 1 + body[at]
        return topic, body[at + 1 : end], body[end:]

    def leave(self, code: int = 0, asked: bytes = b"") -> None:
        """DISCONNECT, and wait until the broker has closed the connection."""
        self.send(packet(DISCONNECTED, bytes([code]) + listed(asked)))
        assert self.is_closed()


@pytest.fixture(scope="module")
def broker() -> Iterator[BrokerService]:
    service = BrokerService()
    yield service
    service.close()


def acknowledged(client: Client) -> bytes:
    """What follows the packet identifier in PUBACK."""
    first, body = client.packet()
    assert (first, body[:2]) == (0x40, b"\x00\x09")
    return body[2:]


def test_connack_has_the_limits_of_aws(broker: BrokerService) -> None:
    with Client(broker.port) as client:
        present, code, found = client.connack
    assert (present, code) == (0, 0)
    limits = {
        number(RECEIVE_MAXIMUM, 100, 2), number(MAXIMUM_PACKET, 149504), number(34, 8, 2), number(36, 1, 1),
        number(37, 1, 1), number(40, 1, 1), number(41, 0, 1), number(42, 1, 1),
    }
    assert sum(map(len, limits)) == len(found)
    assert all(limit in found for limit in limits)


@pytest.mark.parametrize(("asked", "kept"), [(0, 1200), (10, 30), (1300, 1200)])
def test_connack_says_which_keep_alive_applies(broker: BrokerService, asked: int, kept: int) -> None:
    with Client(broker.port, keep_alive=asked) as client:
        assert number(19, kept, 2) in client.connack[2]


def test_a_client_without_an_id_is_told_its_id(broker: BrokerService) -> None:
    with Client(broker.port, "", clean=False) as client:
        assert client.connack[:2] == (0, 0)
        assert b"\x12\x00\x29auto-" in client.connack[2]


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"client_id": "$kiln"}, 0x85), ({"will": listed() + field("forbidden") + field("")}, NOT_AUTHORIZED),
        ({"asked": AUTHENTICATION_METHOD}, 0x8C),
    ],
)
def test_connect_is_refused_with_a_reason_code(broker: BrokerService, options: dict[str, object], code: int) -> None:
    with Client(broker.port, **options) as client:  # type: ignore[arg-type]
        assert client.connack == (0, code, b"")
        with pytest.raises(EOFError):
            client.packet()


def test_properties_reach_the_subscribers(broker: BrokerService) -> None:
    with Client(broker.port, "sender") as sender, Client(broker.port) as kiln, broker.client("old") as old:
        kiln.subscribe_to("a")
        old.subscribe("a")
        sender.put("a", b"x", PASSED_ON + number(TOPIC_ALIAS, 3, 2))
        assert acknowledged(sender) == b""
        sender.put("", b"y", number(TOPIC_ALIAS, 3, 2))
        acknowledged(sender)
        assert kiln.got() == ("a", PASSED_ON, b"x")
        assert kiln.got() == ("a", b"", b"y")
        assert [old.message().payload for _ in range(2)] == [b"x", b"y"], "an MQTT 3.1.1 client gets the payload"
        with broker.client("other") as other:
            other.publish("a", b"from 3.1.1", qos=1)
        assert kiln.got() == ("a", b"", b"from 3.1.1")


def test_refusals_leave_the_connection_open(broker: BrokerService) -> None:
    with Client(broker.port) as client:
        assert client.subscribe_to("a", "forbidden/x", "b/#/c") == [1, NOT_AUTHORIZED, 0x8F]
        assert client.subscribe_to("c", options=2) == [1], "the highest QoS is 1"
        client.put("forbidden")
        assert acknowledged(client) == bytes([NOT_AUTHORIZED])
        client.send(packet(0xA2, b"\x00\x07" + listed() + field("a") + field("forbidden/x")))
        assert client.packet() == (0xB0, b"\x00\x07\x00\x00\x11")
        client.ping()


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (packet(0x30, field("forbidden") + listed()), NOT_AUTHORIZED),
        (packet(0x34, field("a") + b"\x00\x01" + listed()), 0x9B),
        (packet(0x30, field("a/+") + listed()), 0x90),
        (packet(0x30, field("a") + listed() + bytes(128 * 1024 + 1)), 0x95),
        (packet(0x30, field("") + listed(number(TOPIC_ALIAS, 5, 2))), 0x82),
        (packet(0x30, field("a") + listed(number(TOPIC_ALIAS, 9, 2))), 0x94),
        (packet(0x30, field("a") + listed(number(TOPIC_ALIAS, 0, 2))), 0x94),
        (packet(0x30, field("a") + listed(number(SESSION_EXPIRY, 1))), 0x81),
        (packet(0x30, field("a") + listed(number(MESSAGE_EXPIRY, 1) * 2)), 0x81),
        (packet(0x30, field("a") + b"\x05\x02"), 0x81),
        (packet(0x82, b"\x00\x01" + listed(SUBSCRIPTION_IDENTIFIER) + field("a") + b"\x01"), 0xA1),
        (packet(0x82, b"\x00\x01" + listed() + b"".join(field(name) + b"\x01" for name in "abcdefghi")), 0x97),
        (packet(0x82, b"\x00\x01" + listed() + field("a") + b"\x03"), 0x81),
        (packet(DISCONNECTED, b"\x00" + listed(number(SESSION_EXPIRY, 5))), 0x82),
        (b"\xf0\x00", 0x81),
    ],
)
def test_disconnect_says_why(broker: BrokerService, sent: bytes, code: int) -> None:
    with Client(broker.port) as client:
        client.send(sent)
        assert client.packet() == (DISCONNECTED, bytes([code]))
        assert client.is_closed()


def test_a_second_client_with_the_same_id_takes_the_session_over(broker: BrokerService) -> None:
    with Client(broker.port) as first, Client(broker.port):
        assert first.packet() == (DISCONNECTED, b"\x8e")


def test_a_session_lives_as_long_as_it_asked_for(broker: BrokerService) -> None:
    with Client(broker.port, "long", asked=number(SESSION_EXPIRY, 9000)) as client:
        assert number(SESSION_EXPIRY, int(SESSION_LIFE)) in client.connack[2], "AWS's default limit"
        client.subscribe_to("a")
        client.leave()
    broker.run(lambda found: found.publish("a", b"kept", 1))
    with Client(broker.port, "long", clean=False) as client:
        assert client.connack[0] == 1
        assert client.got() == ("a", b"", b"kept")
        client.leave()
    with Client(broker.port, "long", clean=False) as client:
        assert client.connack[0] == 0, "the second CONNECT asked for no expiry"


def test_disconnect_can_end_the_session(broker: BrokerService) -> None:
    with Client(broker.port, "ends", asked=number(SESSION_EXPIRY, 60)) as client:
        client.leave(asked=number(SESSION_EXPIRY, 0))
    with Client(broker.port, "ends", clean=False) as client:
        assert client.connack[0] == 0


def test_expired_messages_are_not_delivered(tmp_path: Path) -> None:
    now = [1000.0]
    service = BrokerService(tmp_path / "jobs.sqlite", lambda: now[0])
    try:
        with Client(service.port, asked=number(SESSION_EXPIRY, 600)) as kiln:
            kiln.subscribe_to("a")
            kiln.leave()
        with Client(service.port, "sender") as sender:
            for expiry, retain in ((10, False), (100, True)):
                sender.put("a", b"%d" % expiry, PASSED_ON + number(MESSAGE_EXPIRY, expiry), retain=retain)
                acknowledged(sender)
            service.close()
            service = BrokerService(tmp_path / "jobs.sqlite", lambda: now[0])
        now[0] += 20
        with Client(service.port, clean=False, asked=number(SESSION_EXPIRY, 600)) as kiln:
            topic, found, payload = kiln.got()
            assert (topic, payload) == ("a", b"100")
            assert found in (PASSED_ON + number(MESSAGE_EXPIRY, 80), number(MESSAGE_EXPIRY, 80) + PASSED_ON)
        with Client(service.port, "late") as late:
            late.subscribe_to("a")
            assert late.got()[2] == b"100"
            now[0] += 100
            assert late.subscribe_to("a") == [1]
            late.ping()
    finally:
        service.close()


def test_retained_messages_come_as_the_subscription_says(broker: BrokerService) -> None:
    with Client(broker.port) as client:
        client.put("state", b"on", retain=True)
        acknowledged(client)
        assert client.subscribe_to("state", options=1 | 2 << 4) == [1]
        client.ping()
        assert client.subscribe_to("state", options=1 | 1 << 4) == [1], "not new"
        client.ping()
        assert client.subscribe_to("state") == [1]
        assert client.got()[2] == b"on"


def test_a_message_is_retained_as_published_for_those_who_want_it(broker: BrokerService) -> None:
    with Client(broker.port, "plain") as plain, Client(broker.port) as kiln, broker.client("sender") as sender:
        plain.subscribe_to("state/a")
        kiln.subscribe_to("state/a")
        kiln.subscribe_to("state/+", options=1 | RETAIN_AS_PUBLISHED)
        sender.publish("state/a", b"on", retain=True)
        assert (kiln.packet()[0], plain.packet()[0]) == (0x31, 0x30)
        sender.publish("state/a", b"off")
        assert (kiln.packet()[0], plain.packet()[0]) == (0x30, 0x30)


def test_a_session_keeps_the_options_of_its_subscriptions(tmp_path: Path) -> None:
    service = BrokerService(tmp_path / "jobs.sqlite")
    try:
        with Client(service.port, asked=number(SESSION_EXPIRY, 600)) as kiln:
            kiln.subscribe_to("state", "$share/hall/a", options=1 | RETAIN_AS_PUBLISHED)
            kiln.leave()
        service.close()
        service = BrokerService(tmp_path / "jobs.sqlite")
        with service.client("other") as other, Client(service.port, clean=False) as kiln:
            other.publish("state", b"on", retain=True)
            assert kiln.packet()[0] == 0x31
            other.publish("a", b"shared")
            assert kiln.got()[::2] == ("a", b"shared")
    finally:
        service.close()


def test_a_shared_subscription_gives_each_message_to_one_client(broker: BrokerService) -> None:
    with contextlib.ExitStack() as stack:
        members = [stack.enter_context(Client(broker.port, f"member-{number}")) for number in range(3)]
        for member in members:
            assert member.subscribe_to("$share/hall/kilns/+") == [1]
        other = stack.enter_context(Client(broker.port, "other"))
        assert other.subscribe_to("$share/yard/kilns/#", "kilns/1") == [1, 1]
        old = stack.enter_context(broker.client("old"))
        for count in range(60):
            old.publish("kilns/1", bytes([count]))
        old.ping()
        shared: list[int] = []
        for member in members:
            member.send(packet(0xC0))
            received = list(until_ping(member))
            assert 0 < len(received) < 60, "each has its share"
            shared += received
        assert sorted(shared) == list(range(60)), "no message is lost, and none comes twice"
        other.send(packet(0xC0))
        assert sorted(until_ping(other)) == sorted([*range(60), *range(60)]), "its own subscription counts separately"
        for member in members[1:]:
            member.leave()
        members[0].send(packet(0xA2, b"\x00\x08\x00" + field("$share/hall/kilns/+")))
        assert members[0].packet() == (0xB0, b"\x00\x08\x00\x00")
        old.publish("kilns/2", b"x")
        members[0].ping()


def until_ping(client: Client) -> Iterator[int]:
    """The first byte of the payload of each message before PINGRESP."""
    while (received := client.packet())[0] != 0xD0:
        yield received[1][-1]


def test_a_shared_message_waits_for_a_member_only_while_none_is_connected(broker: BrokerService) -> None:
    with Client(broker.port, clean=False, asked=number(SESSION_EXPIRY, 600)) as away:
        away.subscribe_to("$share/hall/a")
    with Client(broker.port, "other") as other:
        other.subscribe_to("$share/hall/a")
        for count in range(10):
            other.put("a", bytes([count]))
            first, second = other.packet()[0], other.packet()[0]
            assert sorted((first, second)) == [0x32, 0x40]
    with Client(broker.port, "third") as third:
        third.put("a", b"waits")
        acknowledged(third)
    with Client(broker.port, clean=False) as away:
        assert away.got()[2] == b"waits"


def test_a_retained_message_is_not_for_shared_subscriptions(broker: BrokerService) -> None:
    with Client(broker.port) as client:
        client.put("state", b"on", retain=True)
        acknowledged(client)
        assert client.subscribe_to("$share/hall/state") == [1]
        client.ping()


@pytest.mark.parametrize("name", ["$share", "$share/a/", "$share//a", "$share/+/a", "$share/a/b#"])
def test_malformed_shared_subscriptions(broker: BrokerService, name: str) -> None:
    with Client(broker.port) as client:
        assert client.subscribe_to(name)[0] >= 0x80
        client.ping()


def test_the_expiry_of_a_will_begins_when_it_is_published() -> None:
    now = [1000.0]
    service = BrokerService(clock=lambda: now[0])
    will = listed(number(MESSAGE_EXPIRY, 30)) + field("will") + field("gone")
    try:
        with Client(service.port, "watcher", asked=number(SESSION_EXPIRY, 600)) as watcher:
            watcher.subscribe_to("will")
            with Client(service.port, will=will):
                now[0] += 60
            assert watcher.got() == ("will", number(MESSAGE_EXPIRY, 30), b"gone")
            watcher.leave()
        with Client(service.port, will=will):
            pass
        with Client(service.port, "other") as other:
            other.ping()
        now[0] += 30
        with Client(service.port, "watcher", clean=False) as watcher:
            watcher.ping()
    finally:
        service.close()


def test_the_client_limits_what_is_in_flight_and_how_large_it_is(broker: BrokerService) -> None:
    with Client(broker.port, asked=number(RECEIVE_MAXIMUM, 1, 2) + number(MAXIMUM_PACKET, 100)) as kiln:
        kiln.subscribe_to("a")
        for payload in (b"one", bytes(200), b"two"):
            broker.run(lambda found, payload=payload: found.publish("a", payload, 1))
        assert kiln.got(acknowledge=False)[2] == b"one"
        kiln.ping()
        kiln.acknowledge(1)
        assert kiln.got()[2] == b"two", "the large one counts as sent"


@pytest.mark.parametrize(
    ("code", "asked", "heard"), [(0, b"", False), (4, b"", True), (0, number(SESSION_EXPIRY, 5), True)],
    ids=["no will", "with will", "refused"],
)
def test_disconnect_may_ask_for_the_will(broker: BrokerService, code: int, asked: bytes, heard: bool) -> None:
    with Client(broker.port, "watcher") as watcher:
        watcher.subscribe_to("will")
        with Client(broker.port, will=listed(PASSED_ON) + field("will") + field("gone")) as kiln:
            kiln.leave(code, asked)
        if heard:
            assert watcher.got() == ("will", PASSED_ON, b"gone")
        watcher.ping()


def test_a_will_waits_for_its_delay_or_the_end_of_the_session(broker: BrokerService) -> None:
    will = listed(number(WILL_DELAY, 600)) + field("will") + field("gone")
    with Client(broker.port, "watcher") as watcher:
        watcher.subscribe_to("will")
        with Client(broker.port, asked=number(SESSION_EXPIRY, 600), will=will):
            pass
        with Client(broker.port, clean=False, asked=number(SESSION_EXPIRY, 600), will=will) as kiln:
            assert kiln.connack[0] == 1
            watcher.ping()  # it came back in time
        with Client(broker.port):
            assert watcher.got()[2] == b"gone", "a new session ends the old one"


def test_a_will_waits_by_the_services_clock(tmp_path: Path) -> None:
    will = listed(number(WILL_DELAY, 600)) + field("will") + field("gone")
    with LocalService(tmp_path) as service:
        port = service.call(lambda running: running.ports["mqtt"])
        with Client(port, "watcher") as watcher:
            watcher.subscribe_to("will")
            with Client(port, asked=number(SESSION_EXPIRY, 900), will=will):
                pass
            wait_until(lambda: service.call(lambda running: running._broker.next_will()) is not None, "the end", 60)
            service.call(lambda running: running.advance(590))
            watcher.ping()  # not yet
            service.call(lambda running: running.advance(10))
            assert watcher.got()[2] == b"gone"


def test_messages_in_flight_are_sent_again_in_the_new_version(
    broker: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "MAX_IN_FLIGHT", 1)
    with broker.client("moves", clean=False) as old:
        old.subscribe("a")
        broker.run(lambda found: [found.publish("a", payload, 1) for payload in (b"x", b"y")])
        assert old.message(acknowledge=False).payload == b"x"
    with Client(broker.port, "moves", clean=False, asked=number(SESSION_EXPIRY, 1)) as new:
        assert [new.got()[2] for _ in range(2)] == [b"x", b"y"]


READERS: list[Callable[[bytes], object]] = [
    lambda body: Mqtt5(lambda: 0.0).read_publish(0x32, body), lambda body: Mqtt5(lambda: 0.0).read_subscribe(body),
    lambda body: Mqtt5(lambda: 0.0).read_unsubscribe(body), lambda body: Mqtt5(lambda: 0.0).read_puback(body),
    lambda body: Mqtt5(lambda: 0.0).read_disconnect(body),
    lambda body: packets.read_connect(field("MQTT") + b"\x05" + body),
]
PIECES = st.one_of(
    st.binary(max_size=6), st.sampled_from(sorted(range(1, 43))).map(lambda kind: bytes([kind])),
    st.text(max_size=4).map(field), st.just(listed(PASSED_ON)), st.just(listed(number(TOPIC_ALIAS, 1, 2))),
)


@given(st.sampled_from(READERS), st.lists(PIECES, max_size=12).map(b"".join))
def test_any_body_is_read_or_refused(read: Callable[[bytes], object], body: bytes) -> None:
    with contextlib.suppress(PacketError):
        read(body)


def test_user_names_are_skipped(broker: BrokerService) -> None:
    with Client(broker.port, user="?SDK=Python&Version=2") as client:
        assert client.connack[:2] == (0, 0)
