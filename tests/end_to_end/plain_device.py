"""A thing's MQTT client built on paho, without ujobs, for direct requests to a cloud."""

import contextlib
import itertools
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from clouds import Cloud
from ujobs_tools.aws.fleet import Thing

PATIENCE = 60.0  # seconds
_tokens = itertools.count(1)

Reply = tuple[str, dict[str, Any]]


class PlainDevice:
    """A connection, created by `plain_device`. messages: (topic after `$aws/things/{thing}/`, payload) of all received
    messages, in order."""

    def __init__(self, thing: Thing, client_id: str) -> None:
        self.mqtt = paho.Client(CallbackAPIVersion.VERSION2, client_id, reconnect_on_failure=False)
        self.messages: list[Reply] = []
        self.connected: bool | None = None  # None: not known yet
        self._prefix = f"$aws/things/{thing.name}/"
        self._changed = threading.Condition()
        self._subscribed = 0
        self.mqtt.on_connect = lambda *_: self._happened("connected", True)
        self.mqtt.on_disconnect = lambda *_: self._happened("connected", False)
        self.mqtt.on_subscribe = lambda *_: self._happened("_subscribed", self._subscribed + 1)
        self.mqtt.on_message = lambda _, __, message: self._happened(
            "messages", [*self.messages, (message.topic.removeprefix(self._prefix), json.loads(message.payload))]
        )

    def _happened(self, name: str, value: Any) -> None:
        with self._changed:
            setattr(self, name, value)
            self._changed.notify_all()

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds. Raises AssertionError after a minute."""
        with self._changed:
            assert self._changed.wait_for(condition, PATIENCE), self.messages[-5:]

    def subscribe(self, *filters: str) -> None:
        """Subscribe to filters of the thing at QoS 1."""
        before = self._subscribed
        self.mqtt.subscribe([(self._prefix + name, 1) for name in filters])
        self.wait_for(lambda: self._subscribed > before)

    def publish(self, topic: str, **members: Any) -> None:
        """Publish JSON to a topic of the thing."""
        self.mqtt.publish(self._prefix + topic, json.dumps(members))

    def ask(self, request: str, **members: Any) -> Reply:
        """Publish a request to jobs/{request}; returns "accepted" or "rejected", and the reply."""
        token = f"token-{next(_tokens)}"
        self.publish(f"jobs/{request}", clientToken=token, **members)
        replies = (f"jobs/{request}/accepted", f"jobs/{request}/rejected")

        def found() -> list[Reply]:
            return [reply for reply in self.messages if reply[0] in replies and reply[1].get("clientToken") == token]

        self.wait_for(lambda: bool(found()))
        topic, reply = found()[0]
        return topic.rpartition("/")[2], reply

    def verdict(self, request: str, **members: Any) -> str:
        """The code that a request is rejected with, or "accepted"."""
        outcome, reply = self.ask(request, **members)
        return reply.get("code", outcome)

    def settle(self) -> None:
        """Wait until everything sent to this client so far has arrived."""
        self.ask("get")

    def answered(self, *tokens: str) -> list[str]:
        """Those of the client tokens that are in the received replies, in order."""
        replies = [reply for topic, reply in self.messages if topic.endswith(("/accepted", "/rejected"))]
        return [reply["clientToken"] for reply in replies if reply.get("clientToken") in tokens]

    def notified(self, since: int = 0) -> list[Reply]:
        """The notifications from this message number on, once everything sent so far has arrived."""
        self.settle()
        return [message for message in self.messages[since:] if message[0] in ("jobs/notify", "jobs/notify-next")]


@contextlib.contextmanager
def plain_device(
    cloud: Cloud, thing: Thing, client_id: str, *filters: str, certificate: bool = True
) -> Iterator[PlainDevice]:
    """Connect, subscribe to these filters, and disconnect at the end. certificate: False: connect without one.

    Raises OSError if the cloud refuses the connection."""
    device = PlainDevice(thing, client_id)
    context = ssl.create_default_context(cafile=thing.directory / "ca.pem")
    if certificate:
        context.load_cert_chain(thing.directory / "cert.pem", thing.directory / "key.pem")
    device.mqtt.tls_set_context(context)
    device.mqtt.connect("localhost", cloud.mqtts)
    device.mqtt.loop_start()
    try:
        device.wait_for(lambda: device.connected is not None)
        if not device.connected:
            raise ConnectionError("refused")
        if filters:
            device.subscribe(*filters)
        yield device
    finally:
        device.mqtt.disconnect()
        device.mqtt.loop_stop()
