"""One client's session at the broker: its subscriptions, and the messages that it has not acknowledged.

A persistent session (CleanSession 0) outlives its connection and the service process. A limited number of QoS 1
messages waits here, and is sent again with DUP after a reconnect (MQTT 3.1.1 section 4.4)."""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol

from ujobs_tools.service.connection import Connection
from ujobs_tools.service.packets import Message
from ujobs_tools.service.session_store import SessionStore

MAX_IN_FLIGHT = 100  # unacknowledged QoS 1 messages per client, as on AWS
MAX_IN_FLIGHT_BYTES = 1 << 19
MAX_QUEUED = 1000
MAX_QUEUED_BYTES = 1 << 20
# A client is disconnected when the system has not accepted this many bytes for it. The limit exceeds the messages in
# flight, so that delivering the waiting messages cannot itself reach it.
MAX_UNSENT = 1 << 20

_log = logging.getLogger(__name__)


class Client(Protocol):
    """A client and its permissions. A method that checks one returns "" if it is granted, else the reason in words."""

    @property
    def name(self) -> str:
        """Its name for the log."""
        ...

    def connect(self, clean_session: bool, will: Message | None) -> str:
        """Whether it may connect; called once, first."""
        ...

    def review(self) -> str:
        """Whether it may stay connected."""
        ...

    def publish(self, topic: str, retain: bool) -> str: ...

    def subscribe(self, name: str) -> str: ...

    def receive(self, topic: str) -> str: ...


class Session:
    """client_id: as in CONNECT. client: the connected one, or the last; None for a session of an earlier service.
    store: stores a persistent session's messages; None for one that ends with its connection. clock: returns epoch
    seconds. receive_maximum, maximum_packet: see Connect."""

    def __init__(
        self, client_id: str, client: Client | None, store: SessionStore | None, clock: Callable[[], float]
    ) -> None:
        self.client_id = client_id
        self.client = client
        self.clean = store is None
        self.filters: dict[str, int] = {}  # the options of each subscription
        self.connection: Connection | None = None
        self.will: Message | None = None
        self.will_delay = 0  # seconds
        self.will_expiry: int | None = None  # seconds
        self.life = 0.0  # seconds that it outlives its connection
        self.expires_at = 0.0  # epoch seconds; only applies while there is no connection
        self.receive_maximum = MAX_IN_FLIGHT
        self.maximum_packet: int | None = None
        self._store = store
        self._clock = clock
        self._in_flight: dict[int, Message] = {}
        self._in_flight_bytes = 0
        self._queued: deque[Message] = deque()
        self._queued_bytes = 0
        self._packet_id = 0

    def restore(self, messages: Iterable[tuple[int | None, Message]]) -> None:
        """Load messages from SessionStore.messages."""
        for packet_id, message in messages:
            if packet_id is None:
                self._enqueue(message)
            else:
                self._set_in_flight(packet_id, message)

    def attach(self, connection: Connection) -> None:
        """Continue on a new connection: resend unacknowledged messages, then send those that waited."""
        self.connection = connection
        for packet_id, message in list(self._in_flight.items()):
            if not self._publish(message, packet_id, duplicate=True):
                self._forget(packet_id)
        self._send_queued()

    def detach(self) -> None:
        """The connection was lost."""
        self.connection = None

    def deliver(self, message: Message, qos: int) -> None:
        """Send a message at this QoS. Without a connection QoS 1 waits, QoS 0 is lost."""
        if message.qos != qos:
            message = replace(message, qos=qos)
        if not qos:
            self._publish(message, 0)
        elif len(self._queued) >= MAX_QUEUED or self._queued_bytes + message.size > MAX_QUEUED_BYTES:
            _log.warning("%s: too many messages wait for it: one was dropped", self.client_id)
        else:
            if self._store is not None:
                self._store.add_message(self.client_id, message)
            self._enqueue(message)
            self._send_queued()

    def acknowledged(self, packet_id: int) -> None:
        """Handle a PUBACK."""
        if packet_id in self._in_flight:
            self._forget(packet_id)
            self._send_queued()

    def _forget(self, packet_id: int) -> None:
        self._in_flight_bytes -= self._in_flight.pop(packet_id).size
        if self._store is not None:
            self._store.delete_message(self.client_id, packet_id)

    def write(self, data: bytes) -> None:
        """Send bytes if there is a connection; abort it if the client does not read."""
        if self.connection is None:
            return
        self.connection.write(data)
        if self.connection.unread > MAX_UNSENT:
            _log.warning("%s does not read its messages: disconnected", self.client_id)
            self.connection.abort("the client did not read its messages")

    def _enqueue(self, message: Message) -> None:
        self._queued.append(message)
        self._queued_bytes += message.size

    def _set_in_flight(self, packet_id: int, message: Message) -> None:
        self._in_flight[packet_id] = message
        self._in_flight_bytes += message.size

    def _send_queued(self) -> None:
        while self._queued and self.connection is not None and self._room_for(self._queued[0]):
            packet_id = self._next_packet_id()
            if self._store is not None:
                self._store.save_sent(self.client_id, packet_id)
            message = self._queued.popleft()
            self._queued_bytes -= message.size
            self._set_in_flight(packet_id, message)
            if not self._publish(message, packet_id):
                self._forget(packet_id)

    def _publish(self, message: Message, packet_id: int, duplicate: bool = False) -> bool:
        """Send a message, unless there is no connection; whether its client gets it."""
        if self.connection is None:
            return True
        if not self._receives(message) or message.expired(self._clock()):
            return False
        data = self.connection.version.publish(message, packet_id, duplicate)
        if self.maximum_packet is not None and len(data) > self.maximum_packet:
            return False  # as if it had been sent (MQTT 5, section 3.1.2.11.4)
        self.write(data)
        return True

    def _receives(self, message: Message) -> bool:
        """Whether its client may receive a message; a refusal is logged. AWS checks every delivery (iot:Receive)."""
        if self.client is None:
            return True
        reason = self.client.receive(message.topic)
        if reason:
            _log.warning("%s: a message on %s is not delivered: %s", self.client_id, message.topic, reason)
        return not reason

    def _room_for(self, message: Message) -> bool:
        most = min(MAX_IN_FLIGHT, self.receive_maximum)
        return len(self._in_flight) < most and self._in_flight_bytes + message.size <= MAX_IN_FLIGHT_BYTES

    def _next_packet_id(self) -> int:
        while True:
            self._packet_id = self._packet_id % 65535 + 1
            if self._packet_id not in self._in_flight:
                return self._packet_id
