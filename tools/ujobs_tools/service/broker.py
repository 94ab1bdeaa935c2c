"""A broker for MQTT 3.1.1 and 5 on asyncio with AWS IoT's own rules: QoS 0 and 1, wills, retained messages, persistent
sessions.

The broker does not know about jobs. Its caller supplies functions that identify clients, check permissions and handle
messages on `$aws/` topics. Where AWS closes the connection (QoS 2, a payload that is too large, a forbidden topic, too
many filters), so does this broker ("AWS IoT Core message broker and protocol limits").

It stores everything before it acknowledges it, except clean sessions and QoS 0 messages, which are in memory only."""

import asyncio
import logging
import resource
import ssl
import uuid
from collections.abc import Callable
from dataclasses import replace

from ujobs_tools.service import mqtt5, packets, properties, topics
from ujobs_tools.service.connection import MAX_PACKET, Connection, Forbidden
from ujobs_tools.service.mqtt5 import Mqtt5
from ujobs_tools.service.packets import Connect, Message
from ujobs_tools.service.reader import PacketError
from ujobs_tools.service.retained import Retained
from ujobs_tools.service.session import MAX_IN_FLIGHT, Client, Session
from ujobs_tools.service.session_store import SessionStore
from ujobs_tools.service.sessions import Sessions

ALPN = "x-amzn-mqtt-ca"  # clients that use AWS's port 443 ask for it
MAX_PAYLOAD = 128 * 1024
MAX_FILTERS_IN_SUBSCRIBE = 8
MAX_SUBSCRIPTIONS = 50
MAX_CLIENT_ID = 128  # bytes
MAX_CONNECTIONS = 6000
SHORTEST_KEEP_ALIVE, LONGEST_KEEP_ALIVE = 30, 1200  # seconds
_BACKLOG = 500  # connections that the system holds until they are accepted, all at once
SPARE_FILES = _BACKLOG + 100  # files that the process needs for everything else

_ALWAYS, _IF_NEW = 0, 1  # what MQTT 5's SUBSCRIBE options say of a retained message
REFUSED_PROTOCOL, REFUSED_CLIENT_ID, UNAVAILABLE, NOT_AUTHORIZED = 1, 2, 3, 7

_log = logging.getLogger(__name__)

OnPublish = Callable[[Session, str, bytes], None]
Identify = Callable[[bytes | None, str, str | None], Client]


class Broker:
    """A broker.

    identify(certificate as DER, or None without TLS, client id, IP address): returns the client with its permissions.
    on_publish(session, topic, payload): receives messages on `$aws/` topics, which no subscriber gets; must not raise.
    store: may hold the state of an earlier broker. clock: returns epoch seconds.
    on_presence(session, reason): reason is None after CONNECT, else why the connection ended.
    on_message(session, whether the client sent it, message): called for every message; for display.
    on_late_will(): called when a will must be sent later; the caller runs `send_due_wills()` when `next_will()` has
    come.
    """

    def __init__(
        self, identify: Identify, on_publish: OnPublish, store: SessionStore, clock: Callable[[], float]
    ) -> None:
        self._identify = identify
        self._on_publish = on_publish
        self._store = store
        self._clock = clock
        self._sessions = Sessions(
            store, clock, lambda will: self._spread(will, will.retain), lambda: self.on_late_will()
        )
        self.on_late_will: Callable[[], None] = lambda: None
        self.on_presence: Callable[[Session, str | None], None] = lambda session, why: None
        self.on_message: Callable[[Session, bool, Message], None] = lambda session, from_client, message: None
        self._retained = Retained(store, clock)
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, Session | None] = {}

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        """Accept connections, over TLS if a context is given; returns the port. Raises OSError if it is in use."""
        if context is not None:
            context.set_alpn_protocols([ALPN])
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(context, self), host, port, backlog=_BACKLOG
        )
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close every connection."""
        self._sessions.close()
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.abort("the service stopped")
        while self._connections:
            await asyncio.sleep(0)  # until the loop has called connection_lost of each

    def next_will(self) -> float | None:
        """When the next delayed will is due, in epoch seconds; None if none waits."""
        return self._sessions.next_will()

    def send_due_wills(self) -> None:
        """Send the delayed wills that are due."""
        self._sessions.send_due_wills()

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Send a message to every subscriber, at the lower of its QoS and the subscriber's."""
        self._spread(Message(topic, payload, qos), retain)

    def _spread(self, message: Message, retain: bool) -> None:
        message = replace(message, retain=False) if message.retain else message
        if retain:
            self._retained.keep(message)
        for session, options in self._sessions.subscribers(message.topic):
            as_published = retain and options & topics.RETAIN_AS_PUBLISHED
            copy = replace(message, retain=True) if as_published else message
            self._send(session, copy, min(message.qos, options & 3))

    def deliver(self, session: Session, topic: str, payload: bytes) -> None:
        """Send a message once to one client, subscribed or not; at QoS 1 only if its subscription has QoS 1."""
        self._send(session, Message(topic, payload), min(1, self._sessions.granted_qos(session, topic)))

    def _send(self, session: Session, message: Message, qos: int) -> None:
        self.on_message(session, False, message)
        session.deliver(message, qos)

    def cut(self, thing: str) -> None:
        """Abort the connections of the thing's clients."""
        for connection, session in list(self._connections.items()):
            if session is not None and session.client_id == thing:
                connection.abort("cut on request")

    def review(self) -> None:
        """Disconnect clients that are no longer allowed to be connected."""
        for connection, session in list(self._connections.items()):
            reason = session.client.review() if session is not None and session.client is not None else ""
            if reason:
                _log.warning("%s closed: %s", connection.name, reason)
                connection.close(reason, mqtt5.NOT_AUTHORIZED)

    def opened(self, connection: Connection) -> None:
        """Count the connection, even before it sends CONNECT (Owner.opened)."""
        if len(self._connections) >= _most_connections():
            raise Forbidden(f"more than {_most_connections()} connections")
        self._connections[connection] = None

    def ended(self, connection: Connection) -> None:
        """Detach the connection from its session, or end the session (Owner.ended)."""
        session = self._connections.get(connection)
        if session is not None:
            self._connections[connection] = None
            self._sessions.disconnected(session)
            self.on_presence(session, connection.why)

    def gone(self, connection: Connection) -> None:
        """Stop counting the connection (Owner.gone)."""
        self._connections.pop(connection, None)

    def received(self, connection: Connection, first: int, body: bytes) -> None:
        """Handle a packet. CONNECT must be the first packet and must not be repeated (Owner.received)."""
        session = self._connections[connection]
        if session is not None:
            self._serve(session, connection, first, body)
        elif first >> 4 == packets.CONNECT:
            self._connect(connection, packets.read_connect(body))
        else:
            raise PacketError("the first packet is not CONNECT")

    def _connect(self, connection: Connection, connect: Connect) -> None:
        client_id = connect.client_id or f"auto-{uuid.uuid4()}"
        version = Mqtt5(self._clock) if connect.protocol_level == packets.LEVEL_5 else None
        connection.version = version or packets
        client = self._identify(connection.certificate, client_id, connection.address)
        newcomer = Session(client_id, client, self._store if connect.persistent else None, self._clock)
        code, reason = _refusal(connect), ""
        if not code:
            reason = client.connect(not connect.persistent, connect.will)
            code = NOT_AUTHORIZED if reason else self._denial(client_id, connect.will)
        if code:
            connection.write((version or packets).connack(code))
            refused = Forbidden(f"CONNECT of {connect.client_id!r} refused with code {code}{reason and ': '}{reason}")
            connection.version = packets  # CONNACK says it all
            raise refused
        session = self._sessions.open(newcomer, connect)
        self._connections[connection] = session
        connection.name = session.client_id
        silence = min(max(connect.keep_alive or LONGEST_KEEP_ALIVE, SHORTEST_KEEP_ALIVE), LONGEST_KEEP_ALIVE)
        resumed = session is not newcomer
        if version is None:
            connection.write(packets.connack(0, resumed))
        else:
            assigned_id = "" if connect.client_id else client_id
            connection.write(version.accepted(resumed, _terms(connect, session, silence), assigned_id))
        session.attach(connection)
        _log.info("%s connected as %s", session.client_id, client.name)
        self.on_presence(session, None)
        connection.allow_silence(silence * 1.5)

    def _denial(self, client_id: str, will: Message | None) -> int:
        """The CONNACK code to refuse the connection with; 0 to accept it."""
        if self._sessions.is_full(client_id):
            return UNAVAILABLE
        if will is not None and (
            will.qos > 1 or will.topic.startswith("$") or not topics.valid_topic(will.topic)
        ):
            return NOT_AUTHORIZED
        return 0

    def _serve(self, session: Session, connection: Connection, first: int, body: bytes) -> None:
        client = session.client
        assert client is not None, "a session with a connection has a client"
        match first >> 4:
            case packets.PUBLISH:
                self._published(session, client, connection, first, body)
            case packets.PUBACK:
                session.acknowledged(connection.version.read_puback(body))
            case packets.SUBSCRIBE:
                self._subscribe(session, client, connection, body)
            case packets.UNSUBSCRIBE:
                self._unsubscribe(session, connection, body)
            case packets.PINGREQ:
                packets.read_empty(body)
                session.write(packets.PINGRESP_PACKET)
            case packets.DISCONNECT:
                self._take_leave(session, *connection.version.read_disconnect(body))
                _log.info("%s disconnected", session.client_id)
                connection.close("the client disconnected")
            case _:
                raise PacketError("a second CONNECT")

    def _take_leave(self, session: Session, with_will: bool, expiry: int | None) -> None:
        if expiry and session.clean:
            raise PacketError("session expiry in DISCONNECT, but not in CONNECT", mqtt5.PROTOCOL_ERROR)
        if expiry is not None:
            self._sessions.set_life(session, expiry)
        if not with_will:
            session.will = None

    def _published(
        self, session: Session, client: Client, connection: Connection, first: int, body: bytes
    ) -> None:
        message, packet_id = connection.version.read_publish(first, body)
        if message.qos > 1:
            raise Forbidden("QoS 2", mqtt5.QOS_NOT_SUPPORTED)
        if len(message.payload) > MAX_PAYLOAD:
            raise Forbidden(f"payload of {len(message.payload)} bytes", mqtt5.PACKET_TOO_LARGE)
        self.on_message(session, True, message)
        if not topics.valid_topic(message.topic):
            raise Forbidden(f"publish to {message.topic}", mqtt5.TOPIC_INVALID)
        code = 0
        if reason := client.publish(message.topic, message.retain):
            code = mqtt5.NOT_AUTHORIZED
            if not packet_id or connection.version is packets:
                raise Forbidden(f"publish to {message.topic}: {reason}", code)
            _log.warning("%s: publish to %s refused: %s", connection.name, message.topic, reason)
        elif not message.topic.startswith("$"):
            self._spread(message, message.retain)
        elif message.retain:
            raise Forbidden(f"retained message on {message.topic}", mqtt5.RETAIN_NOT_SUPPORTED)
        else:
            self._on_publish(session, message.topic, message.payload)
        if packet_id:
            session.write(connection.version.puback(packet_id, code))

    def _subscribe(self, session: Session, client: Client, connection: Connection, body: bytes) -> None:
        packet_id, filters = connection.version.read_subscribe(body)
        if len(filters) > MAX_FILTERS_IN_SUBSCRIBE:
            raise Forbidden(f"{len(filters)} filters in one SUBSCRIBE", mqtt5.QUOTA_EXCEEDED)
        if len({*session.filters, *(name for name, _ in filters)}) > MAX_SUBSCRIPTIONS:
            raise Forbidden(f"more than {MAX_SUBSCRIPTIONS} subscriptions", mqtt5.QUOTA_EXCEEDED)
        refusals = [_no_subscription(client, connection, name, options) for name, options in filters]
        codes, retained = [], []
        for (name, options), refusal in zip(filters, refusals, strict=True):
            qos, handling = min(options & 3, 1), options >> 4 & 3
            codes.append(refusal or qos)
            if not refusal:
                if handling == _ALWAYS or (handling == _IF_NEW and name not in session.filters):
                    retained.append((self._retained.of(name), qos))
                # AWS ignores No Local.
                self._sessions.subscribe(session, name, qos | options & topics.RETAIN_AS_PUBLISHED)
        session.write(connection.version.suback(packet_id, codes))
        for message, qos in retained:
            if message is not None:
                self._send(session, message, min(qos, message.qos))

    def _unsubscribe(self, session: Session, connection: Connection, body: bytes) -> None:
        packet_id, filters = connection.version.read_unsubscribe(body)
        codes = [0 if self._sessions.unsubscribe(session, name) else mqtt5.NO_SUBSCRIPTION for name in filters]
        session.write(connection.version.unsuback(packet_id, codes))


def _no_subscription(client: Client, connection: Connection, name: str, options: int) -> int:
    """Why the client may not subscribe, as a code for SUBACK; 0 if it may. In MQTT 3.1.1, raises Forbidden instead."""
    code, why = 0, ""
    if options & 3 > 1 and connection.version is packets:
        raise Forbidden("SUBSCRIBE with QoS 2")
    if not topics.valid_filter(name):
        code, why = mqtt5.FILTER_INVALID, f"subscribe to {name}"
    elif reason := client.subscribe(name):
        code, why = mqtt5.NOT_AUTHORIZED, f"subscribe to {name}: {reason}"
    if code and connection.version is packets:
        raise Forbidden(why)
    if code:
        _log.warning("%s: refused: %s", connection.name, why)
    return code


def _terms(connect: Connect, session: Session, silence: int) -> dict[int, int]:
    """The properties of CONNACK in which AWS's limits differ from what the client asked for, or always apply."""
    terms = {properties.RECEIVE_MAXIMUM: MAX_IN_FLIGHT, properties.MAXIMUM_PACKET: MAX_PACKET}
    if silence != connect.keep_alive:
        terms[properties.SERVER_KEEP_ALIVE] = silence
    if session.life != connect.session_expiry:
        terms[properties.SESSION_EXPIRY] = int(session.life)
    return terms


def _refusal(connect: Connect) -> int:
    if connect.protocol_level not in (packets.LEVEL_3_1_1, packets.LEVEL_5):
        return REFUSED_PROTOCOL
    if connect.authenticates:
        return mqtt5.BAD_AUTHENTICATION
    size = len(connect.client_id.encode("utf-8"))
    needs_id = connect.protocol_level == packets.LEVEL_3_1_1 and connect.persistent
    if size > MAX_CLIENT_ID or connect.client_id.startswith("$") or (not size and needs_id):
        return REFUSED_CLIENT_ID
    return 0


def _most_connections() -> int:
    """MAX_CONNECTIONS, or the number of files that the process may open if that is less (`ulimit -n`)."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, files - SPARE_FILES)
