"""paho-mqtt over mutual TLS: requests, replies and resent messages."""

import json
import queue
import socket
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from ujobs_tools.aws.fleet import Thing

PATIENCE = 60.0  # seconds


class Client:
    """A connected client with its own thread. session_present: from CONNACK. Options: of paho's Client."""

    def __init__(self, thing: Thing, client_id: str, will: str | None = None, **options: Any) -> None:
        self._events: dict[str, queue.Queue[Any]] = {
            name: queue.Queue() for name in ("connected", "subscribed", "message", "disconnected")
        }
        options = {"clean_session": True, "reconnect_on_failure": False} | options
        self._client_id = f"{thing.name}-{client_id}"
        self.mqtt = paho.Client(CallbackAPIVersion.VERSION2, self._client_id, **options)
        folder = thing.directory
        self.mqtt.tls_set(str(folder / "ca.pem"), str(folder / "cert.pem"), str(folder / "key.pem"))
        self.mqtt.on_connect = lambda _, __, flags, *___: self._events["connected"].put(flags)
        self.mqtt.on_subscribe = lambda _, __, ___, codes, ____: self._events["subscribed"].put(codes)
        self.mqtt.on_message = lambda _, __, message: self._events["message"].put(message)
        self.mqtt.on_disconnect = lambda *_: self._events["disconnected"].put(None)
        if will is not None:
            self.mqtt.will_set(will, "gone", qos=1)
        assert thing.port is not None
        self.mqtt.connect(thing.host, thing.port)
        self.mqtt.loop_start()
        self.session_present: bool = self.wait_for("connected").session_present

    def wait_for(self, event: str) -> Any:
        """Wait for "connected", "subscribed", "message" or "disconnected"; returns its data. Raises queue.Empty."""
        return self._events[event].get(timeout=PATIENCE)

    def subscribe(self, *filters: str, qos: int = 1) -> list[int]:
        """Subscribe; returns the QoS granted for each filter."""
        self.mqtt.subscribe([(name, qos) for name in filters])
        return [code.value for code in self.wait_for("subscribed")]

    def publish(self, topic: str, payload: str, qos: int = 1) -> None:
        """Publish and wait until it is acknowledged."""
        self.mqtt.publish(topic, payload, qos).wait_for_publish(PATIENCE)

    def message(self) -> tuple[str, str]:
        """Topic and payload of the next message."""
        message = self.wait_for("message")
        return message.topic, message.payload.decode()

    def reply(self) -> tuple[str, dict[str, Any]]:
        """The next message's topic after .../jobs/, and its payload."""
        topic, payload = self.message()
        return topic.partition("/jobs/")[2], json.loads(payload)

    def heard_nothing_else(self) -> bool:
        """Whether no other message arrives before one that the client sends to itself."""
        topic = f"echo/{self._client_id}"
        self.subscribe(topic)
        self.publish(topic, "")
        return self.message()[0] == topic

    def lose_connection(self) -> None:
        """Break the connection without DISCONNECT."""
        self.mqtt.socket().shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]
        self.wait_for("disconnected")

    def close(self) -> None:
        """Disconnect if still connected, and stop."""
        self.mqtt.disconnect()
        self.mqtt.loop_stop()


MakeClient = Callable[..., Client]


@pytest.fixture
def client(open_thing: Thing) -> Iterator[MakeClient]:
    """Connects clients of one thing; called with the end of the client id."""
    made: list[Client] = []

    def connect(client_id: str, **options: Any) -> Client:
        made.append(Client(open_thing, client_id, **options))
        return made[-1]

    yield connect
    for each in made:
        each.close()


@pytest.mark.parametrize("subscribed", [False, True])
def test_a_reply_arrives_once_with_and_without_subscription(
    client: MakeClient, thing: Thing, iot: Any, subscribed: bool
) -> None:
    jobs, job_id = f"$aws/things/{thing.name}/jobs/", f"{thing.name}-one"
    iot.create_job(jobId=job_id, targets=[thing.arn], document='{"operation": "x"}')
    device, other = client("device"), client("other")
    other.subscribe(f"{jobs}+/accepted", f"{jobs}+/+/accepted")
    if subscribed:
        device.subscribe(f"{jobs}+/accepted", f"{jobs}start-next/+", f"{jobs}+/update/accepted")
    for qos in (0, 1):
        device.publish(f"{jobs}start-next", '{"clientToken": "a"}', qos)
        suffix, payload = device.reply()
        assert (suffix, payload["execution"]["jobId"]) == ("start-next/accepted", job_id)
    device.publish(f"{jobs}{job_id}/update", '{"status": "SUCCEEDED", "expectedVersion": 2}')
    assert device.reply()[0] == f"{job_id}/update/accepted"
    assert device.heard_nothing_else()
    assert other.heard_nothing_else(), "replies only go to the client that asked"


def test_unacknowledged_messages_are_resent_as_duplicates(client: MakeClient) -> None:
    options = {"clean_session": False, "manual_ack": True}
    first = client("reader", **options)
    assert not first.session_present
    first.subscribe("again")
    client("sender").publish("again", "x")
    lost = first.wait_for("message")
    assert (lost.payload, lost.dup) == (b"x", False)
    first.lose_connection()
    second = client("reader", **options)
    assert second.session_present
    repeated = second.wait_for("message")
    assert (repeated.payload, repeated.dup, repeated.mid) == (b"x", True, lost.mid)
    second.mqtt.ack(repeated.mid, repeated.qos)
    second.publish("nobody/listens", "")  # acknowledged only after the other message's PUBACK is processed
    second.lose_connection()
    assert client("reader", clean_session=False).heard_nothing_else()


@pytest.mark.parametrize("options", [{}, {"protocol": paho.MQTTv5, "clean_session": None}], ids=["3.1.1", "5"])
def test_a_shared_subscription_divides_the_messages(client: MakeClient, options: dict[str, Any]) -> None:
    workers = [client(f"worker-{number}", **options) for number in range(2)]
    for worker in workers:
        assert worker.subscribe("$share/workers/line/+/done") == [1]
        worker.subscribe("end")
    sender = client("sender")
    sent = [("line/7/done", str(number)) for number in range(40)]
    for topic, payload in sent:
        sender.publish(topic, payload)
    sender.publish("end", "")
    shares = [list(iter(worker.message, ("end", ""))) for worker in workers]
    assert all(shares)
    assert sorted(shares[0] + shares[1]) == sorted(sent)
