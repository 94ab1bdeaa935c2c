"""The broker, MQTT 3.1.1 to the letter: delivery, sessions, wills, retained messages, keep-alive, take-over.

That nothing was sent is shown by a PINGREQ whose answer comes next: the broker deals with a publish before it
acknowledges it, and writes to each client in order."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest
from broker_service import BrokerService
from mqtt_wire import Received, WireClient, connect_packet, field, packet, publish_packet
from paho.mqtt.enums import CallbackAPIVersion

from ujobs_tools.service import broker as broker_module

NOTIFY = "$aws/things/kiln/jobs/notify"


class Paho:
    """A paho-mqtt client with its own thread; `messages` fills up with (topic, payload, QoS)."""

    def __init__(self, port: int, client_id: str) -> None:
        self.messages: list[tuple[str, bytes, int]] = []
        self._changed = threading.Condition()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id)
        self._connected = threading.Event()
        self._subscribed = threading.Event()
        self.client.on_connect = lambda *_: self._connected.set()
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        assert self._connected.wait(10)

    def _on_message(self, client: Any, userdata: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages.append((message.topic, bytes(message.payload), message.qos))
            self._changed.notify_all()

    def subscribe(self, name: str, qos: int) -> None:
        self._subscribed.clear()
        self.client.subscribe(name, qos)
        assert self._subscribed.wait(10)

    def wait_for(self, count: int) -> list[tuple[str, bytes, int]]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.messages) >= count, 10)
            return self.messages

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def paho_client(service: BrokerService) -> Iterator[Callable[[str], Paho]]:
    started: list[Paho] = []

    def start(client_id: str) -> Paho:
        started.append(Paho(service.port, client_id))
        return started[-1]

    yield start
    for client in started:
        client.close()


def test_paho_clients_exchange_messages_at_the_lower_of_both_qos(paho_client: Callable[[str], Paho]) -> None:
    one, two, sender = paho_client("one"), paho_client("two"), paho_client("sender")
    one.subscribe("kiln/#", 1)
    two.subscribe("kiln/+", 0)
    for number, qos in enumerate((1, 0, 1)):
        sender.client.publish("kiln/heat", f"{number}", qos).wait_for_publish(10)
    assert one.wait_for(3) == [("kiln/heat", b"0", 1), ("kiln/heat", b"1", 0), ("kiln/heat", b"2", 1)]
    assert two.wait_for(3) == [("kiln/heat", b"0", 0), ("kiln/heat", b"1", 0), ("kiln/heat", b"2", 0)]


def test_many_messages_at_qos_1_arrive_once_and_in_order(paho_client: Callable[[str], Paho]) -> None:
    receiver, sender = paho_client("receiver"), paho_client("sender")
    receiver.subscribe("t", 1)
    for number in range(300):
        sender.client.publish("t", str(number), 1)
    assert [int(payload) for _, payload, _ in receiver.wait_for(300)] == list(range(300))


def test_overlapping_subscriptions_get_one_copy_at_the_highest_qos(service: BrokerService) -> None:
    with service.client("one") as one, service.client("two") as two:
        one.subscribe("a/b", qos=0)
        one.subscribe("a/+", qos=1)
        two.publish("a/b", b"x", qos=1)
        message = one.message()
        assert (message.payload, message.qos) == (b"x", 1)
        one.ping()


def test_after_unsubscribe_nothing_comes(service: BrokerService) -> None:
    with service.client("one") as one, service.client("two") as two:
        one.subscribe("a", "b")
        one.send(packet(0xA2, b"\x00\x05" + field("a") + field("never-subscribed")))
        assert one.packet() == (0xB0, b"\x00\x05")
        two.publish("a", b"x")
        two.publish("b", b"y")
        assert one.message().topic == "b"


def test_wildcards_do_not_reach_topics_that_begin_with_a_dollar(service: BrokerService) -> None:
    with service.client("watcher") as watcher, service.client("kiln") as kiln:
        watcher.subscribe("#", "+/things/kiln/jobs/notify", "+/#")
        kiln.subscribe("$aws/things/kiln/jobs/#")
        service.run(lambda broker: broker.publish(NOTIFY, b"{}", 1))
        assert kiln.message().topic == NOTIFY
        watcher.ping()


@pytest.mark.parametrize("clean", [True, False])
def test_a_persistent_session_keeps_subscriptions_and_qos_1_messages(service: BrokerService, clean: bool) -> None:
    first = service.client("kiln", clean=clean)
    first.subscribe("a", qos=1)
    first.drop()
    with service.client("sender") as sender:
        for number in range(3):
            sender.publish("a", b"%d" % number, qos=1)
        sender.publish("a", b"lost", qos=0)
        with WireClient(service.port) as again:
            assert again.connect("kiln", clean=clean) == (not clean, 0)
            if not clean:
                assert [again.message().payload for _ in range(3)] == [b"0", b"1", b"2"]
                sender.publish("a", b"3", qos=1)
                assert again.message().payload == b"3"
            again.ping()


def test_a_clean_session_ends_the_persistent_one(service: BrokerService) -> None:
    first = service.client("kiln", clean=False)
    first.subscribe("a")
    first.drop()
    with WireClient(service.port) as client, service.client("sender") as sender:
        assert client.connect("kiln") == (0, 0)
        sender.publish("a", b"x", qos=1)
        client.ping()
        assert not service.run(lambda broker: broker._tree.find("a")), "nothing waits for it any more"
    with WireClient(service.port) as client:
        assert client.connect("kiln", clean=False) == (0, 0)


def test_who_comes_back_gets_only_what_it_may_receive_now(service: BrokerService) -> None:
    with service.client("sender") as sender:
        first = service.client("kiln", clean=False)
        first.subscribe("a", "b")
        sender.publish("a", b"sent", qos=1)
        first.message(acknowledge=False)
        first.drop()
        for topic, payload in (("b", b"1"), ("a", b"2"), ("b", b"3")):
            sender.publish(topic, payload, qos=1)
        service.unheard.add("a")
        with WireClient(service.port) as second:
            assert second.connect("kiln", clean=False) == (1, 0)
            assert [second.message(acknowledge=True).payload for _ in range(2)] == [b"1", b"3"]
            sender.publish("a", b"4")
            second.ping()
    assert service.run(lambda broker: service.store.messages("kiln")) == []


def test_a_client_that_may_not_be_connected_any_more_is_cut_off(
    service: BrokerService, caplog: pytest.LogCaptureFixture
) -> None:
    with service.client("kiln") as kiln, service.client("lathe") as lathe:
        service.unwelcome.add("kiln")
        service.run(lambda broker: broker.review())
        kiln.wait_closed()
        lathe.ping()
    assert "kiln closed: unwelcome" in caplog.text
    with WireClient(service.port) as again:
        assert again.connect("kiln") == (0, 7)


def test_a_persistent_session_is_forgotten_in_time(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "SESSION_LIFE", 0.0)
    first = service.client("kiln", clean=False)
    first.subscribe("a")
    first.send(b"\xe0\x00")
    assert first.is_closed()
    with service.client("other") as other:
        # The session of a client that never comes back has gone, too.
        assert service.run(lambda broker: list(broker._sessions)) == ["other"]
        other.publish("a", b"x", qos=1)
        with WireClient(service.port) as again:
            assert again.connect("kiln", clean=False) == (0, 0)
            again.ping()


def test_what_was_not_acknowledged_comes_again_with_dup_and_the_same_identifier(service: BrokerService) -> None:
    first = service.client("kiln", clean=False)
    first.subscribe("a")
    with service.client("sender") as sender:
        sender.publish("a", b"x", qos=1)
        sender.publish("a", b"y", qos=1)
    received = first.message(acknowledge=True)
    lost = first.message(acknowledge=False)
    assert not received.duplicate
    assert not lost.duplicate
    first.ping()
    first.drop()
    with WireClient(service.port) as second:
        assert second.connect("kiln", clean=False) == (1, 0)
        assert second.message() == Received("a", b"y", 1, duplicate=True, packet_id=lost.packet_id)
        second.ping()
    with WireClient(service.port) as third:
        assert third.connect("kiln", clean=False) == (1, 0)
        third.ping()


def test_the_newcomer_takes_over_a_client_id(service: BrokerService) -> None:
    with service.client("watcher") as watcher:
        watcher.subscribe("will")
        first = service.client("kiln", clean=False, will=("will", b"gone", 1, False))
        first.subscribe("a")
        with WireClient(service.port) as second:
            assert second.connect("kiln", clean=False) == (1, 0)
            assert first.is_closed()
            assert watcher.message().payload == b"gone"
            watcher.publish("a", b"x", qos=1)
            assert second.message().payload == b"x"
            second.ping()


def test_a_will_is_sent_when_the_connection_is_lost_and_not_after_disconnect(service: BrokerService) -> None:
    with service.client("watcher") as watcher:
        watcher.subscribe("status/+")
        service.client("lost", will=("status/lost", b"gone", 1, True)).drop()
        message = watcher.message()
        assert (message.topic, message.payload, message.qos, message.retain) == ("status/lost", b"gone", 1, False)
        polite = service.client("polite", will=("status/polite", b"gone", 1, False))
        polite.send(b"\xe0\x00")
        assert polite.is_closed()
        watcher.ping()
        rude = service.client("rude", will=("status/rude", b"gone", 0, False))
        rude.send(publish_packet("forbidden"))
        assert watcher.message().topic == "status/rude"
    with service.client("late") as late:
        late.subscribe("status/lost")
        assert late.message().retain, "a will may be retained"


@pytest.mark.parametrize("topic", ["$aws/things/kiln/jobs/start-next", "forbidden", "a/#"])
def test_a_will_that_could_not_be_published_is_refused(service: BrokerService, topic: str) -> None:
    with WireClient(service.port) as client:
        assert client.connect("kiln", will=(topic, b"", 0, False)) == (0, 7)


def test_retained_messages_greet_each_new_subscription(service: BrokerService) -> None:
    with service.client("sender") as sender, service.client("early") as early, service.client("late") as late:
        early.subscribe("state/a")
        sender.publish("state/a", b"old", qos=1, retain=True)
        sender.publish("state/a", b"new", qos=1, retain=True)
        sender.publish("state/b", b"b", qos=0, retain=True)
        assert [early.message().retain for _ in range(2)] == [False, False]
        late.subscribe("state/+", qos=1)
        greeting = sorted((late.message() for _ in range(2)), key=lambda message: message.topic)
        assert [(message.payload, message.qos, message.retain) for message in greeting] == [
            (b"new", 1, True), (b"b", 0, True),
        ]
        sender.publish("state/a", b"", retain=True)
        assert late.message().payload == b""
        late.subscribe("state/a")
        late.ping()


def test_a_silent_client_is_closed_and_a_pinging_one_is_not(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker_module, "LONGEST_KEEP_ALIVE", 0.3)
    closed = threading.Event()
    silent, halfway, alive = (service.client(name) for name in ("silent", "halfway", "alive"))
    halfway.send(publish_packet("a", bytes(100))[:50])

    def watch() -> None:
        if silent.is_closed() and halfway.is_closed():
            closed.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    while not closed.is_set() and watcher.is_alive():
        alive.ping()
    watcher.join()
    assert closed.is_set()
    alive.ping()
    alive.drop()


def test_packets_may_come_in_any_pieces(service: BrokerService) -> None:
    stream = connect_packet("kiln") + publish_packet("$aws/things/kiln/jobs/get", b"x", 1, 5) + b"\xc0\x00"
    with WireClient(service.port) as client:
        for byte in stream:
            client.send(bytes([byte]))
        assert client.packet() == (0x20, b"\x00\x00")
        assert client.message() == Received("$aws/things/kiln/jobs/get/accepted", b"x")
        assert client.packet() == (0x40, b"\x00\x05")
        assert client.packet() == (0xD0, b"")


@pytest.mark.parametrize(("filters", "qos"), [((), 0), (("$aws/things/kiln/jobs/+/accepted",), 0),
                                              (("$aws/things/kiln/jobs/#", "$aws/things/kiln/jobs/get/+"), 1)])
def test_who_asks_gets_one_reply_subscribed_or_not(
    service: BrokerService, filters: tuple[str, ...], qos: int
) -> None:
    with service.client("kiln") as client, service.client("other") as other:
        if filters:
            client.subscribe(*filters, qos=qos)
        other.subscribe("$aws/things/kiln/jobs/#")
        client.send(publish_packet("$aws/things/kiln/jobs/get", b"x"))
        message = client.message()
        assert (message.topic, message.payload, message.qos) == ("$aws/things/kiln/jobs/get/accepted", b"x", qos)
        client.ping()
        other.ping()
    assert service.published == [("kiln", "$aws/things/kiln/jobs/get", b"x")]


def test_close_ends_every_connection() -> None:
    service = BrokerService()
    with WireClient(service.port) as half_open, service.client("kiln") as client:
        half_open.send(connect_packet("lathe")[:5])
        service.close()
        assert client.is_closed()
        assert half_open.is_closed()


def test_whoever_shows_it_learns_who_is_connected_and_why_a_connection_ended(service: BrokerService) -> None:
    told: list[tuple[str, str | None]] = []
    service.broker.on_presence = lambda session, why: told.append((session.client_id, why))
    leaving = service.client("leaving")
    leaving.send(packet(0xE0, b""))
    leaving.wait_closed()
    forbidden = service.client("curious")
    forbidden.send(publish_packet("forbidden", b""))
    forbidden.wait_closed()
    first = service.client("twin")
    second = service.client("twin")
    first.wait_closed()
    second.drop()
    assert told[:6] == [
        ("leaving", None), ("leaving", "the client disconnected"),
        ("curious", None), ("curious", "publish to forbidden: it is not allowed"),
        ("twin", None), ("twin", "another client connected with the same client id"),
    ]
