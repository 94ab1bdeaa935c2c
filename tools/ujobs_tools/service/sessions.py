"""The broker's sessions and their subscriptions: which begin, which resume, which end, and when their wills are due."""

import logging
import random
from collections.abc import Callable
from dataclasses import replace

from ujobs_tools.service import topics
from ujobs_tools.service.mqtt5 import TAKEN_OVER
from ujobs_tools.service.packets import Connect, Message
from ujobs_tools.service.session import Session
from ujobs_tools.service.session_store import SessionStore

MAX_SESSIONS = 6000  # of connected clients, and persistent ones of disconnected clients
SESSION_LIFE = 3600.0  # seconds of the given clock that a persistent session outlives its connection at most

_log = logging.getLogger(__name__)


class _Share:
    """A shared subscription: its subscribers with their options; each message goes to one of them."""

    def __init__(self) -> None:
        self.subscribers: dict[Session, int] = {}

    def choose(self) -> tuple[Session, int]:
        """Any of the subscribers, a connected one if there is one."""
        connected = [session for session in self.subscribers if session.connection is not None]
        session = random.choice(connected or list(self.subscribers))
        return session, self.subscribers[session]


class Sessions:
    """store: has the sessions of an earlier service. clock: returns epoch seconds. publish: sends a will.
    on_late_will(): called when a will must be sent later; see `next_will`."""

    def __init__(
        self, store: SessionStore, clock: Callable[[], float], publish: Callable[[Message], None],
        on_late_will: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._publish = publish
        self._on_late_will = on_late_will
        self._sessions: dict[str, Session] = {}
        self._away: set[Session] = set()  # persistent sessions without a connection
        self._late_wills: dict[Session, tuple[float, Message]] = {}  # when each is due, in epoch seconds
        self._shares: dict[str, _Share] = {}
        self._tree = topics.FilterTree()
        self._restore()

    def _restore(self) -> None:
        latest_end = self._clock() + SESSION_LIFE
        for client_id, expires_at in self._store.sessions():
            session = self._sessions[client_id] = Session(client_id, None, self._store, self._clock)
            session.life = SESSION_LIFE
            session.restore(self._store.messages(client_id))
            for name, options in self._store.subscriptions(client_id).items():
                self._add(session, name, options)
            if expires_at is None:  # the client was connected when the service was killed
                self.disconnected(session)
            else:
                # The earlier service's clock may have run faster and so be far ahead of this one.
                session.expires_at = min(expires_at, latest_end)
                self._away.add(session)

    def close(self) -> None:
        """Forget wills that are not due yet."""
        self._late_wills.clear()

    def next_will(self) -> float | None:
        """When the next will is due, in epoch seconds; None if none waits."""
        return min((due for due, _ in self._late_wills.values()), default=None)

    def send_due_wills(self) -> None:
        """Send the wills that are due."""
        now = self._clock()
        for session in [session for session, (due, _) in self._late_wills.items() if due <= now]:
            self._end_delay(session)

    def is_full(self, client_id: str) -> bool:
        """Whether there are too many sessions for a new one of this client."""
        now = self._clock()
        for session in [session for session in self._away if session.expires_at <= now]:
            self._forget(session)
        return client_id not in self._sessions and len(self._sessions) >= MAX_SESSIONS

    def open(self, newcomer: Session, connect: Connect) -> Session:
        """The client's session if the client wants to resume it, otherwise the new one."""
        old = self._sessions.get(newcomer.client_id)
        if old is not None and old.connection is not None:
            # The old connection ends like a lost one: its will is published.
            _log.warning(
                "%s connected again, and its earlier connection was closed: either its link broke, or two boards use "
                "the same client id", newcomer.client_id,
            )
            old.connection.close("another client connected with the same client id", TAKEN_OVER)
        session = newcomer
        kept = self._sessions.get(newcomer.client_id)
        if kept is not None and not connect.clean_start:
            session = kept
            session.client = newcomer.client
            self._end_delay(session, wanted=False)
        elif kept is not None:
            self._forget(kept)
        self._sessions[session.client_id] = session
        self._away.discard(session)
        if not session.clean:
            self._store.save_session(session.client_id, None)
        self.set_life(session, connect.session_expiry)
        session.will, session.will_delay, session.will_expiry = connect.will, connect.will_delay, connect.will_expiry
        session.receive_maximum, session.maximum_packet = connect.receive_maximum, connect.maximum_packet
        return session

    def set_life(self, session: Session, expiry: int | None) -> None:
        """Let the session outlive its connection by this many seconds; None: as long as possible."""
        session.life = SESSION_LIFE if expiry is None else min(float(expiry), SESSION_LIFE)

    def disconnected(self, session: Session) -> None:
        """The session's connection has ended."""
        session.detach()
        session.expires_at = self._clock() + session.life
        will, session.will = session.will, None
        delay = min(session.will_delay, session.life)
        if session.clean or not session.life:
            self._forget(session)
        else:
            self._away.add(session)
            self._store.save_session(session.client_id, session.expires_at)
        if will is not None and delay and not session.clean:
            self._late_wills[session] = self._clock() + delay, will
            self._on_late_will()
        elif will is not None:
            self._publish_will(session, will)

    def _publish_will(self, session: Session, will: Message) -> None:
        """Publish a will; only now its expiry begins (MQTT 5, section 3.1.3.2.4)."""
        if session.will_expiry is not None:
            will = replace(will, expires_at=self._clock() + session.will_expiry)
        self._publish(will)

    def _end_delay(self, session: Session, wanted: bool = True) -> None:
        """Send the session's will if it is still to come, or drop it."""
        _, will = self._late_wills.pop(session, (0.0, None))
        if will is not None and wanted:
            self._publish_will(session, will)

    def _forget(self, session: Session) -> None:
        for name in list(session.filters):
            self._remove(session, name)
        if not session.clean:
            self._store.delete_session(session.client_id)
        self._away.discard(session)
        del self._sessions[session.client_id]
        self._end_delay(session)

    def subscribers(self, topic: str) -> list[tuple[Session, int]]:
        """The sessions that a message on this topic goes to, with the options of their subscriptions; one session may
        get it twice, by its own subscription and a shared one."""
        return [
            found.choose() if isinstance(found, _Share) else (found, options)
            for found, options in self._tree.find(topic).items()
        ]

    def granted_qos(self, session: Session, topic: str) -> int:
        """The QoS of the session's own subscription for this topic; 0 if it has none."""
        return self._tree.find(topic).get(session, 0) & 3

    def subscribe(self, session: Session, name: str, options: int) -> None:
        """Add a subscription, or change its options: QoS and topics.RETAIN_AS_PUBLISHED."""
        if not session.clean and session.filters.get(name) != options:
            self._store.save_subscription(session.client_id, name, options)
        self._add(session, name, options)

    def _add(self, session: Session, name: str, options: int) -> None:
        session.filters[name] = options
        own = topics.shared(name)
        if own is None:
            self._tree.add(name, session, options)
        else:
            share = self._shares.setdefault(name, _Share())
            share.subscribers[session] = options
            self._tree.add(own, share, 0)

    def _remove(self, session: Session, name: str) -> None:
        del session.filters[name]
        own = topics.shared(name)
        if own is None:
            self._tree.remove(name, session)
            return
        share = self._shares[name]
        del share.subscribers[session]
        if not share.subscribers:
            self._tree.remove(own, share)
            del self._shares[name]

    def unsubscribe(self, session: Session, name: str) -> bool:
        """Remove a subscription; whether there was one."""
        if name not in session.filters:
            return False
        self._remove(session, name)
        if not session.clean:
            self._store.delete_subscription(session.client_id, name)
        return True
