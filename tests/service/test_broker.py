"""The broker and MQTT 3.1.1: delivery, sessions, wills, retained messages, keep-alive, take-over of a client id.

A PINGREQ whose reply comes next shows that nothing else was sent: the broker handles a publish before it acknowledges
it, and writes to each client in order."""

import threading

import pytest
from broker_service import BrokerService
from mqtt_wire import Received, WireClient, connect_packet, field, packet, publish_packet

from ujobs_tools.service import broker as broker_module
from ujobs_tools.service import sessions as sessions_module

NOTIFY = "$aws/things/kiln/jobs/notify"


def test_a_message_has_the_lower_qos_of_publish_and_subscription(service: BrokerService) -> None:
    with service.client("one") as one, service.client("two") as two, service.client("sender") as sender:
        one.subscribe("a", qos=1)
        two.subscribe("a", qos=0)
        for qos in (1, 0):
            sender.publish("a", b"x", qos)
        assert [one.message().qos for _ in range(2)] == [1, 0]
        assert [two.message().qos for _ in range(2)] == [0, 0]


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
        assert not service.run(lambda broker: broker._sessions.subscribers("a")), "no message waits for it"
    with WireClient(service.port) as client:
        assert client.connect("kiln", clean=False) == (0, 0)


def test_after_a_reconnect_only_permitted_messages_are_delivered(service: BrokerService) -> None:
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


def test_a_client_that_loses_its_permission_is_disconnected(
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


def test_a_persistent_session_expires(
    service: BrokerService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions_module, "SESSION_LIFE", 0.0)
    first = service.client("kiln", clean=False)
    first.subscribe("a")
    first.send(b"\xe0\x00")
    assert first.is_closed()
    with service.client("other") as other:
        # Sessions of clients that do not reconnect are deleted, too.
        assert service.run(lambda broker: list(broker._sessions._sessions)) == ["other"]
        other.publish("a", b"x", qos=1)
        with WireClient(service.port) as again:
            assert again.connect("kiln", clean=False) == (0, 0)
            again.ping()


def test_unacknowledged_messages_are_resent_with_dup_and_the_same_identifier(service: BrokerService) -> None:
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


def test_a_new_connection_takes_over_the_client_id(service: BrokerService) -> None:
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
def test_a_will_with_a_forbidden_topic_is_refused(service: BrokerService, topic: str) -> None:
    with WireClient(service.port) as client:
        assert client.connect("kiln", will=(topic, b"", 0, False)) == (0, 7)


def test_retained_messages_are_sent_to_each_new_subscription(service: BrokerService) -> None:
    with service.client("sender") as sender, service.client("early") as early, service.client("late") as late:
        early.subscribe("state/a")
        sender.publish("state/a", b"old", qos=1, retain=True)
        sender.publish("state/a", b"new", qos=1, retain=True)
        sender.publish("state/b", b"b", qos=0, retain=True)
        assert [early.message().retain for _ in range(2)] == [False, False]
        late.subscribe("state/+", qos=1)
        late.ping()  # as on AWS, none for a filter with wildcards
        late.subscribe("state/a", "state/b", qos=1)
        greeting = [late.message() for _ in range(2)]
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


@pytest.mark.parametrize(("filters", "qos"), [((), 0), (("$aws/things/kiln/jobs/+/accepted",), 0),
                                              (("$aws/things/kiln/jobs/#", "$aws/things/kiln/jobs/get/+"), 1)])
def test_a_client_gets_one_reply_with_and_without_subscription(
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


def test_presence_reports_connections_and_why_they_ended(service: BrokerService) -> None:
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
