"""An MQTT 3.1.1 broker on asyncio with AWS IoT's own rules: QoS 0 and 1, wills, retained messages, persistent sessions.

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

from ujobs_tools.service import packets, topics
from ujobs_tools.service.connection import Connection, Forbidden
from ujobs_tools.service.packets import Connect, Message, PacketError
from ujobs_tools.service.session import Client, Session
from ujobs_tools.service.session_store import SessionStore

MAX_PAYLOAD = 128 * 1024
MAX_FILTERS_IN_SUBSCRIBE = 8
MAX_SUBSCRIPTIONS = 50
MAX_CLIENT_ID = 128  # bytes
MAX_CONNECTIONS = 6000
MAX_SESSIONS = 6000  # of connected clients, and persistent ones of disconnected clients
MAX_RETAINED = 1000
SHORTEST_KEEP_ALIVE, LONGEST_KEEP_ALIVE = 30, 1200  # seconds
SESSION_LIFE = 3600.0  # seconds of the given clock that a persistent session outlives its connection
_BACKLOG = 500  # connections that the system holds until they are accepted, all at once
SPARE_FILES = _BACKLOG + 100  # files that the process needs for everything else

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
    """

    def __init__(
        self, identify: Identify, on_publish: OnPublish, store: SessionStore, clock: Callable[[], float]
    ) -> None:
        self._identify = identify
        self._on_publish = on_publish
        self._store = store
        self._clock = clock
        self._sessions: dict[str, Session] = {}
        self._away: set[Session] = set()  # persistent sessions without a connection
        self._tree = topics.FilterTree()
        self.on_presence: Callable[[Session, str | None], None] = lambda session, why: None
        self.on_message: Callable[[Session, bool, Message], None] = lambda session, from_client, message: None
        self._retained = {message.topic: message for message in self._store.retained()}
        self._servers: list[asyncio.Server] = []
        self._connections: dict[Connection, Session | None] = {}
        self._restore_sessions()

    def _restore_sessions(self) -> None:
        latest_end = self._clock() + SESSION_LIFE
        for client_id, expires_at in self._store.sessions():
            session = self._sessions[client_id] = Session(client_id, None, self._store)
            session.restore(self._store.messages(client_id))
            for name, qos in self._store.subscriptions(client_id).items():
                self._add_filter(session, name, qos)
            if expires_at is None:  # the client was connected when the service was killed
                self._disconnected(session)
            else:
                # The earlier service's clock may have run faster and so be far ahead of this one.
                session.expires_at = min(expires_at, latest_end)
                self._away.add(session)

    async def listen(self, host: str, port: int, context: ssl.SSLContext | None) -> int:
        """Accept connections, over TLS if a context is given; returns the port. Raises OSError if it is in use."""
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(context, self), host, port, backlog=_BACKLOG
        )
        self._servers.append(server)
        return server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and close every connection."""
        for server in self._servers:
            server.close()
        for connection in list(self._connections):
            connection.abort("the service stopped")
        while self._connections:
            await asyncio.sleep(0)  # until the loop has called connection_lost of each

    def publish(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        """Send a message to every subscriber, at the lower of its QoS and the subscriber's."""
        message = Message(topic, payload, qos)
        if retain:
            self._retain(message)
        for session, granted in self._tree.find(topic).items():
            self._send(session, message, min(qos, granted))

    def _retain(self, message: Message) -> None:
        topic = message.topic
        old = self._retained.get(topic)
        if message.payload and old is None and len(self._retained) >= MAX_RETAINED:
            _log.warning("more than %d retained messages; the one on %s is not kept", MAX_RETAINED, topic)
            return
        if message.payload and message.qos:
            self._store.save_retained(message)
        elif old is not None and old.qos:
            self._store.delete_retained(topic)  # A QoS 0 message is not stored, but it replaces the stored one.
        if message.payload:
            self._retained[topic] = replace(message, retain=True)
        else:
            self._retained.pop(topic, None)

    def deliver(self, session: Session, topic: str, payload: bytes) -> None:
        """Send a message once to one client, subscribed or not; at QoS 1 only if its subscription has QoS 1."""
        self._send(session, Message(topic, payload), min(1, self._tree.find(topic).get(session, 0)))

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
                connection.close(reason)

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
            self._disconnected(session)
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
        client = self._identify(connection.certificate, client_id, connection.address)
        newcomer = Session(client_id, client, None if connect.clean_session else self._store)
        code, reason = _refusal(connect), ""
        if not code:
            reason = client.connect(connect.clean_session, connect.will)
            code = NOT_AUTHORIZED if reason else self._denial(newcomer, connect.will)
        if code:
            connection.write(packets.connack(code))
            raise Forbidden(f"CONNECT of {connect.client_id!r} refused with code {code}{reason and ': '}{reason}")
        session = self._open_session(newcomer)
        self._away.discard(session)
        if not session.clean:
            self._store.save_session(session.client_id, None)
        session.will = connect.will
        self._connections[connection] = session
        connection.name = session.client_id
        connection.write(packets.connack(0, session is not newcomer))
        session.attach(connection)
        _log.info("%s connected as %s", session.client_id, client.name)
        self.on_presence(session, None)
        asked = connect.keep_alive or LONGEST_KEEP_ALIVE
        connection.allow_silence(min(max(asked, SHORTEST_KEEP_ALIVE), LONGEST_KEEP_ALIVE) * 1.5)

    def _denial(self, newcomer: Session, will: Message | None) -> int:
        """The CONNACK code to refuse the connection with; 0 to accept it."""
        now = self._clock()
        for session in [session for session in self._away if session.expires_at <= now]:
            self._forget(session)
        old = self._sessions.get(newcomer.client_id)
        if old is None and len(self._sessions) >= MAX_SESSIONS:
            return UNAVAILABLE
        if will is not None and (
            will.qos > 1 or will.topic.startswith("$") or not topics.valid_topic(will.topic)
        ):
            return NOT_AUTHORIZED
        return 0

    def _open_session(self, newcomer: Session) -> Session:
        """The client's persistent session if the client wants to resume it, otherwise the new one."""
        old = self._sessions.get(newcomer.client_id)
        if old is not None and old.connection is not None:
            # The old connection ends like a lost one: its will is published.
            _log.warning(
                "%s connected again, and its earlier connection was closed: either its link broke, or two boards use "
                "the same client id", newcomer.client_id,
            )
            old.connection.abort("another client connected with the same client id")
        kept = self._sessions.get(newcomer.client_id)
        if kept is not None and not newcomer.clean:
            kept.client = newcomer.client
            return kept
        if kept is not None:
            self._forget(kept)
        self._sessions[newcomer.client_id] = newcomer
        return newcomer

    def _disconnected(self, session: Session) -> None:
        session.detach()
        session.expires_at = self._clock() + SESSION_LIFE
        will, session.will = session.will, None
        if session.clean:
            self._forget(session)
        else:
            self._away.add(session)
            self._store.save_session(session.client_id, session.expires_at)
        if will is not None:
            self.publish(will.topic, will.payload, will.qos, will.retain)

    def _forget(self, session: Session) -> None:
        for name in session.filters:
            self._tree.remove(name, session)
        session.filters.clear()
        if not session.clean:
            self._store.delete_session(session.client_id)
        self._away.discard(session)
        del self._sessions[session.client_id]

    def _serve(self, session: Session, connection: Connection, first: int, body: bytes) -> None:
        client = session.client
        assert client is not None, "a session with a connection has a client"
        match first >> 4:
            case packets.PUBLISH:
                self._published(session, client, first, body)
            case packets.PUBACK:
                session.acknowledged(packets.read_puback(body))
            case packets.SUBSCRIBE:
                self._subscribe(session, client, body)
            case packets.UNSUBSCRIBE:
                self._unsubscribe(session, body)
            case packets.PINGREQ:
                packets.read_empty(body)
                session.write(packets.PINGRESP_PACKET)
            case packets.DISCONNECT:
                packets.read_empty(body)
                session.will = None
                _log.info("%s disconnected", session.client_id)
                connection.close("the client disconnected")
            case _:
                raise PacketError("a second CONNECT")

    def _published(self, session: Session, client: Client, first: int, body: bytes) -> None:
        message, packet_id = packets.read_publish(first, body)
        if message.qos > 1:
            raise Forbidden("QoS 2")
        if len(message.payload) > MAX_PAYLOAD:
            raise Forbidden(f"payload of {len(message.payload)} bytes")
        self.on_message(session, True, message)
        if not topics.valid_topic(message.topic):
            raise Forbidden(f"publish to {message.topic}")
        if reason := client.publish(message.topic, message.retain):
            raise Forbidden(f"publish to {message.topic}: {reason}")
        if not message.topic.startswith("$"):
            self.publish(message.topic, message.payload, message.qos, message.retain)
        elif message.retain:
            raise Forbidden(f"retained message on {message.topic}")
        else:
            self._on_publish(session, message.topic, message.payload)
        if packet_id:
            session.write(packets.puback(packet_id))

    def _subscribe(self, session: Session, client: Client, body: bytes) -> None:
        packet_id, filters = packets.read_subscribe(body)
        if len(filters) > MAX_FILTERS_IN_SUBSCRIBE:
            raise Forbidden(f"{len(filters)} filters in one SUBSCRIBE")
        if len({*session.filters, *(name for name, _ in filters)}) > MAX_SUBSCRIPTIONS:
            raise Forbidden(f"more than {MAX_SUBSCRIPTIONS} subscriptions")
        for name, qos in filters:
            if qos > 1:
                raise Forbidden("SUBSCRIBE with QoS 2")
            if not topics.valid_filter(name):
                raise Forbidden(f"subscribe to {name}")
            if reason := client.subscribe(name):
                raise Forbidden(f"subscribe to {name}: {reason}")
        for name, qos in filters:
            if not session.clean and session.filters.get(name) != qos:
                self._store.save_subscription(session.client_id, name, qos)
            self._add_filter(session, name, qos)
        session.write(packets.suback(packet_id, [qos for _, qos in filters]))
        for name, qos in filters:
            for topic, message in self._retained.items():
                if topics.matches(name, topic):
                    self._send(session, message, min(qos, message.qos))

    def _unsubscribe(self, session: Session, body: bytes) -> None:
        packet_id, filters = packets.read_unsubscribe(body)
        for name in filters:
            if session.filters.pop(name, None) is not None:
                self._tree.remove(name, session)
                if not session.clean:
                    self._store.delete_subscription(session.client_id, name)
        session.write(packets.unsuback(packet_id))

    def _add_filter(self, session: Session, name: str, qos: int) -> None:
        session.filters[name] = qos
        self._tree.add(name, session, qos)


def _refusal(connect: Connect) -> int:
    if connect.protocol_level != packets.PROTOCOL_LEVEL:
        return REFUSED_PROTOCOL
    size = len(connect.client_id.encode("utf-8"))
    if size > MAX_CLIENT_ID or connect.client_id.startswith("$") or (not size and not connect.clean_session):
        return REFUSED_CLIENT_ID
    return 0


def _most_connections() -> int:
    """MAX_CONNECTIONS, or the number of files that the process may open if that is less (`ulimit -n`)."""
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if files == resource.RLIM_INFINITY else min(MAX_CONNECTIONS, files - SPARE_FILES)
