"""Everything that the broker has acknowledged at QoS 1 survives a restart: sessions, their messages, retained messages.

`ujobs serve` is killed with SIGKILL. Tests of limits and times open another broker on the same file instead."""

import contextlib
import queue
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from broker_service import BrokerService
from engine_service import Clock
from mqtt_wire import WireClient, publish_packet
from paho.mqtt.enums import CallbackAPIVersion
from service_process import Device, ServiceProcess, policy, serving

from ujobs_tools.host.processes import wait_until
from ujobs_tools.service import session as session_module
from ujobs_tools.service.broker import SESSION_LIFE

PATIENCE = 20.0  # seconds


class Client:
    """A connected paho-mqtt client without TLS, which acknowledges nothing by itself."""

    def __init__(self, service: ServiceProcess, client_id: str, clean: bool = False) -> None:
        self._connected: queue.Queue[bool] = queue.Queue()
        self._done: queue.Queue[int] = queue.Queue()
        self._messages: queue.Queue[paho.MQTTMessage] = queue.Queue()
        self.mqtt = paho.Client(
            CallbackAPIVersion.VERSION2, client_id, clean_session=clean, reconnect_on_failure=False, manual_ack=True
        )
        self.mqtt.on_connect = lambda _, __, flags, *___: self._connected.put(flags.session_present)
        self.mqtt.on_subscribe = lambda _, __, mid, *___: self._done.put(mid)
        self.mqtt.on_unsubscribe = lambda _, __, mid, *___: self._done.put(mid)
        self.mqtt.on_message = lambda _, __, message: self._messages.put(message)
        self.mqtt.connect("127.0.0.1", service.found["mqtt"])
        self.mqtt.loop_start()
        self.session_present = self._connected.get(timeout=PATIENCE)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.mqtt.disconnect()
        self.mqtt.loop_stop()

    def subscribe(self, *filters: str) -> None:
        self.mqtt.subscribe([(name, 1) for name in filters])
        self._done.get(timeout=PATIENCE)

    def unsubscribe(self, name: str) -> None:
        self.mqtt.unsubscribe(name)
        self._done.get(timeout=PATIENCE)

    def publish(self, topic: str, payload: str, qos: int = 1, retain: bool = False) -> None:
        """Publish; at QoS 1 wait for the acknowledgement."""
        sent = self.mqtt.publish(topic, payload, qos, retain)
        sent.wait_for_publish(PATIENCE)
        assert sent.is_published()

    def message(self, acknowledge: bool = True) -> paho.MQTTMessage:
        message = self._messages.get(timeout=PATIENCE)
        if acknowledge:
            self.mqtt.ack(message.mid, message.qos)
        return message

    def payloads(self, count: int) -> list[bytes]:
        """The payloads of the next messages, none of which is a duplicate."""
        messages = [self.message() for _ in range(count)]
        assert not any(message.dup for message in messages)
        return [message.payload for message in messages]

    def heard_nothing_else(self) -> bool:
        """Whether no other message arrives before one that the client sends to itself."""
        self.subscribe("echo")
        self.publish("echo", "")
        heard = self.message().topic
        self.unsubscribe("echo")
        return heard == "echo"


Start = Callable[..., AbstractContextManager[ServiceProcess]]


@pytest.fixture
def killed(tmp_path: Path) -> Start:
    """Starts the service on the data of the previous one, and kills it with SIGKILL at the end of the block."""

    @contextmanager
    def start(*options: str) -> Iterator[ServiceProcess]:
        with serving(tmp_path, "--data", tmp_path / "data", *options) as service:
            yield service
            service.process.kill()
            service.process.wait()

    return start


def test_retained_messages_of_qos_1_are_kept(killed: Start) -> None:
    with killed() as service, Client(service, "sender", clean=True) as sender:
        for topic in ("replaced", "cleared", "superseded"):
            sender.publish(topic, "old", retain=True)
        sender.publish("replaced", "new", retain=True)
        sender.publish("cleared", "", qos=0, retain=True)
        sender.publish("superseded", "not kept", qos=0, retain=True)
        sender.publish("kept", "yes", retain=True)
    with killed() as service, Client(service, "late", clean=True) as late:
        late.subscribe("#")
        greeting = {message.topic: message for message in (late.message(), late.message())}
        assert {topic: message.payload for topic, message in greeting.items()} == {"replaced": b"new", "kept": b"yes"}
        assert all(message.retain and message.qos == 1 for message in greeting.values())
        assert late.heard_nothing_else()


def test_a_session_keeps_its_subscriptions_and_messages(killed: Start) -> None:
    with killed() as service:
        with Client(service, "reader") as reader:
            assert not reader.session_present
            reader.subscribe("a", "b/+", "left")
            reader.unsubscribe("left")
        with Client(service, "sender", clean=True) as sender:
            for number in range(3):
                sender.publish("a", str(number))
            sender.publish("a", "lost", qos=0)
            sender.publish("b/c", "3")
    with killed() as service:
        with Client(service, "sender", clean=True) as sender:
            sender.publish("left", "nobody's")
            sender.publish("a", "4")
        with Client(service, "reader") as reader:
            assert reader.session_present
            assert reader.payloads(5) == [b"0", b"1", b"2", b"3", b"4"]
            assert reader.heard_nothing_else()


def test_unacknowledged_messages_are_resent_with_dup(killed: Start) -> None:
    with killed() as service, Client(service, "reader") as reader:
        reader.subscribe("a")
        with Client(service, "sender", clean=True) as sender:
            sender.publish("a", "acknowledged")
            sender.publish("a", "lost")
        reader.message()
        lost = reader.message(acknowledge=False)
        assert (lost.payload, lost.dup) == (b"lost", False)
        reader.publish("nobody/listens", "")  # acknowledged only after the earlier PUBACK is processed
        service.process.kill()
    with killed() as service, Client(service, "reader") as reader:
        assert reader.session_present
        again = reader.message()
        assert (again.payload, again.dup, again.mid) == (b"lost", True, lost.mid)
        assert reader.heard_nothing_else()
    with killed() as service, Client(service, "reader") as reader:
        assert reader.session_present
        assert reader.heard_nothing_else()


def test_notifications_wait_for_a_disconnected_client_too(killed: Start) -> None:
    with killed() as service:
        context = service.context_of_thing("kiln")
        principal = service.iot.list_thing_principals(thingName="kiln")["principals"][0]
        service.iot.create_policy(policyName="everything", policyDocument=policy("iot:*", "*"))
        service.iot.attach_policy(policyName="everything", target=principal)
        with WireClient(service.found["mqtts"], context) as reader:
            assert reader.connect("kiln-reader", clean=False) == (0, 0)
            reader.subscribe("$aws/things/kiln/jobs/+")
        with service.device("kiln", context) as device:
            service.create_job("one", "kiln")
            device.subscribe(device.topic("notify"), device.topic("notify-next"))
            device.send(publish_packet(device.topic("one/update"), b'{"status": "SUCCEEDED"}', 1))
            # The messages that the update causes are stored before it is acknowledged.
            assert [device.reply()[0] for _ in range(3)] == ["one/update/accepted", "notify", "notify-next"]
            assert device.packet()[0] == 0x40
            service.process.kill()
    with killed() as service, Device(service.found["mqtts"], context) as reader:
        reader.thing = "kiln"
        assert reader.connect("kiln-reader", clean=False) == (1, 0)
        replies = [reader.reply() for _ in range(4)]
        assert [suffix for suffix, _ in replies] == ["notify", "notify-next"] * 2
        assert replies[1][1]["execution"]["jobId"] == "one"
        assert "execution" not in replies[3][1]


def test_nothing_acknowledged_is_lost_wherever_the_kill_comes(killed: Start) -> None:
    acknowledged = 0
    with killed() as service:
        with WireClient(service.found["mqtt"]) as reader:
            reader.connect("reader", clean=False)
            reader.subscribe("a")
        with WireClient(service.found["mqtt"]) as sender:
            sender.connect("sender")
            sender.send(b"".join(publish_packet("a", b"%d" % number, 1, number + 1) for number in range(900)))
            with contextlib.suppress(EOFError, ConnectionError):
                while True:
                    assert sender.packet() == (0x40, (acknowledged + 1).to_bytes(2, "big"))
                    acknowledged += 1
                    if acknowledged == 100:
                        service.process.kill()
                    if acknowledged == 900:
                        break
    with killed() as service, WireClient(service.found["mqtt"]) as reader:
        with WireClient(service.found["mqtt"]) as sender:
            sender.connect("sender")
            sender.publish("a", b"end", 1)
        assert reader.connect("reader", clean=False) == (1, 0)
        found = list(iter(lambda: reader.message().payload, b"end"))
    assert len(found) >= acknowledged >= 100
    assert found == [b"%d" % number for number in range(len(found))]


def test_a_clean_session_deletes_the_persistent_one(killed: Start) -> None:
    with killed() as service, Client(service, "reader") as reader:
        reader.subscribe("a")
        with Client(service, "sender", clean=True) as sender:
            sender.publish("a", "x")
        reader.message(acknowledge=False)
        service.process.kill()
    with killed() as service, Client(service, "reader", clean=True) as reader:
        assert not reader.session_present
        assert reader.heard_nothing_else()
    with killed() as service, Client(service, "reader") as reader:
        assert not reader.session_present
        with Client(service, "sender", clean=True) as sender:
            sender.publish("a", "x")
        assert reader.heard_nothing_else()


def test_a_session_expires_by_the_services_clock(killed: Start) -> None:
    with killed() as service, Client(service, "reader") as reader:
        reader.subscribe("a")
    with killed("--clock-speed", "10000") as service, Device(service.found["mqtt"]) as device:
        device.thing = "kiln"
        device.connect("kiln")
        began = device.ask("get")["timestamp"]
        wait_until(lambda: device.ask("get")["timestamp"] > began + SESSION_LIFE, "an hour", PATIENCE)
        with Client(service, "reader") as reader:
            assert not reader.session_present


@contextmanager
def broker(path: Path, clock: Callable[[], float]) -> Iterator[BrokerService]:
    """A broker on the data of the previous one."""
    service = BrokerService(path, clock)
    try:
        yield service
    finally:
        service.close()


@pytest.mark.parametrize("connected", [False, True])
def test_a_session_expires_after_an_hour_despite_restarts(tmp_path: Path, connected: bool) -> None:
    path, clock = tmp_path / "jobs.sqlite", Clock()
    with broker(path, clock) as service:
        service.client("kiln", clean=False).drop()
    if connected:  # the state that a killed service leaves
        with sqlite3.connect(path) as database:
            database.execute("UPDATE sessions SET expires_at = NULL")
        database.close()
    for _ in range(4):
        with broker(path, clock) as service:
            service.client("other").drop()  # a connection deletes all expired sessions
            assert service.run(lambda broker: "kiln" in broker._sessions)
        clock.forward(SESSION_LIFE / 4)
    with broker(path, clock) as service, WireClient(service.port) as client:
        assert client.connect("kiln", clean=False) == (0, 0)


def test_a_clock_that_went_ahead_makes_no_session_live_longer(tmp_path: Path) -> None:
    path, clock = tmp_path / "jobs.sqlite", Clock()
    clock.forward(100 * SESSION_LIFE)
    with broker(path, clock) as service:
        service.client("kiln", clean=False).drop()
    clock.forward(-100 * SESSION_LIFE)
    with broker(path, clock) as service:
        clock.forward(SESSION_LIFE)
        with WireClient(service.port) as client:
            assert client.connect("kiln", clean=False) == (0, 0)


def test_limits_and_order_stay_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "MAX_IN_FLIGHT", 1)
    monkeypatch.setattr(session_module, "MAX_QUEUED", 2)
    path, clock = tmp_path / "jobs.sqlite", Clock()
    with broker(path, clock) as service:
        with service.client("kiln", clean=False) as kiln:
            kiln.subscribe("a")
        with service.client("sender") as sender:
            for number in range(2):
                sender.publish("a", b"%d" % number, 1)
        with WireClient(service.port) as kiln:
            assert kiln.connect("kiln", clean=False) == (1, 0)
            sent = kiln.message(acknowledge=False)
    with broker(path, clock) as service:
        for number in range(2, 5):
            service.run(lambda broker, number=number: broker.publish("a", b"%d" % number, 1))
        with WireClient(service.port) as kiln:
            assert kiln.connect("kiln", clean=False) == (1, 0)
            messages = [kiln.message() for _ in range(3)]
            assert [(message.payload, message.duplicate) for message in messages] == [
                (b"0", True), (b"1", False), (b"2", False),
            ], "one in flight, two waiting, and no room for the others"
            assert messages[0].packet_id == sent.packet_id
            kiln.ping()


def test_nothing_is_written_for_clean_sessions_and_qos_0(service: BrokerService) -> None:
    def written() -> Any:
        return service.run(lambda broker: service.store._connection.total_changes)

    with service.client("kept", clean=False) as kept, service.client("clean") as clean:
        kept.subscribe("a")
        before = written()
        kept.subscribe("a")
        clean.subscribe("b")
        clean.publish("a", b"x")
        assert kept.message().qos == 0
        clean.publish("state", b"x", retain=True)
        service.run(lambda broker: broker.publish("b", b"x", 1))
        assert clean.message().qos == 1
        service.client("another").drop()
        clean.ping()
        assert written() == before
        clean.publish("a", b"x", 1)
        assert written() > before
