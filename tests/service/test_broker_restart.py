"""Everything that the broker has acknowledged at QoS 1 survives a restart: sessions, their messages, retained messages.

Two tests kill `ujobs serve` with SIGKILL; the others open another broker on the same file or on a copy of it."""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from broker_service import BrokerService
from engine_service import Clock
from mqtt_wire import Received, WireClient, field, packet, publish_packet
from service_process import Device, ServiceProcess, policy, serving

from ujobs_tools.service import session as session_module
from ujobs_tools.service.sessions import SESSION_LIFE

Start = Callable[[], AbstractContextManager[ServiceProcess]]


@pytest.fixture
def killed(tmp_path: Path) -> Start:
    """Starts the service on the data of the previous one, and kills it with SIGKILL at the end of the block."""

    @contextmanager
    def start() -> Iterator[ServiceProcess]:
        with serving(tmp_path, "--data", tmp_path / "data") as service:
            yield service
            service.process.kill()
            service.process.wait()

    return start


@contextmanager
def killed_broker(folder: Path) -> Iterator[BrokerService]:
    """A broker on the data of the previous one in the folder, to which it leaves the files that SIGKILL would leave."""
    files = [folder / name for name in ("jobs.sqlite", "jobs.sqlite-wal")]
    kept = [file.with_suffix(file.suffix + ".kept") for file in files]
    service = BrokerService(files[0])
    try:
        yield service
        service.run(lambda broker: [shutil.copy(file, copy) for file, copy in zip(files, kept, strict=True)])
    finally:
        service.close()
    for file, copy in zip(files, kept, strict=True):
        copy.replace(file)


def test_retained_messages_of_qos_1_are_kept(tmp_path: Path) -> None:
    with killed_broker(tmp_path) as service, service.client("sender") as sender:
        for topic in ("replaced", "cleared", "superseded"):
            sender.publish(topic, b"old", 1, retain=True)
        sender.publish("replaced", b"new", 1, retain=True)
        sender.publish("cleared", b"", retain=True)
        sender.publish("superseded", b"not kept", retain=True)
        sender.publish("kept", b"yes", 1, retain=True)
    with killed_broker(tmp_path) as service, service.client("late") as late:
        late.subscribe("replaced", "cleared", "superseded", "kept")
        greeting = [late.message() for _ in range(2)]
        assert {message.topic: message.payload for message in greeting} == {"replaced": b"new", "kept": b"yes"}
        assert all(message.retain and message.qos == 1 for message in greeting)
        late.ping()


def test_a_session_keeps_its_subscriptions_and_messages(tmp_path: Path) -> None:
    with killed_broker(tmp_path) as service:
        with service.client("reader", clean=False) as reader:
            reader.subscribe("a", "b/+", "left")
            reader.send(packet(0xA2, b"\x00\x05" + field("left")))
            assert reader.packet() == (0xB0, b"\x00\x05")
            reader.send(packet(0xE0))
            assert reader.is_closed()
        with service.client("sender") as sender:
            for number in range(3):
                sender.publish("a", b"%d" % number, 1)
            sender.publish("a", b"lost")
            sender.publish("b/c", b"3", 1)
    with killed_broker(tmp_path) as service:
        with service.client("sender") as sender:
            sender.publish("left", b"nobody's", 1)
            sender.publish("a", b"4", 1)
        with WireClient(service.port) as reader:
            assert reader.connect("reader", clean=False) == (1, 0)
            messages = [reader.message() for _ in range(5)]
            assert [message.payload for message in messages] == [b"0", b"1", b"2", b"3", b"4"]
            assert not any(message.duplicate for message in messages)
            reader.ping()


def test_unacknowledged_messages_are_resent_with_dup(tmp_path: Path) -> None:
    with killed_broker(tmp_path) as service, service.client("reader", clean=False) as reader:
        reader.subscribe("a")
        with service.client("sender") as sender:
            sender.publish("a", b"acknowledged", 1)
            sender.publish("a", b"lost", 1)
        reader.message()
        lost = reader.message(acknowledge=False)
        assert (lost.payload, lost.duplicate) == (b"lost", False)
        reader.ping()
    with killed_broker(tmp_path) as service, WireClient(service.port) as reader:
        assert reader.connect("reader", clean=False) == (1, 0)
        assert reader.message() == Received("a", b"lost", 1, duplicate=True, packet_id=lost.packet_id)
        reader.ping()
    with killed_broker(tmp_path) as service, WireClient(service.port) as reader:
        assert reader.connect("reader", clean=False) == (1, 0)
        reader.ping()


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


def test_a_clean_session_deletes_the_persistent_one(tmp_path: Path) -> None:
    with killed_broker(tmp_path) as service, service.client("reader", clean=False) as reader:
        reader.subscribe("a")
        with service.client("sender") as sender:
            sender.publish("a", b"x", 1)
        reader.message(acknowledge=False)
    with killed_broker(tmp_path) as service, service.client("reader") as reader:
        reader.ping()
    with killed_broker(tmp_path) as service, WireClient(service.port) as reader, service.client("sender") as sender:
        assert reader.connect("reader", clean=False) == (0, 0)
        sender.publish("a", b"x", 1)
        reader.ping()


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
            assert service.run(lambda broker: "kiln" in broker._sessions._sessions)
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


def test_limits_and_order_survive_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
