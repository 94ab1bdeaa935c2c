"""The latest MQTT messages of all things; requests are joined to their replies when they are read.

Recording is cheap, because messages are parsed only when they are read."""

import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

MAX_MESSAGES = 20_000
MAX_BYTES = 8 << 20
MAX_PAYLOAD = 16 << 10  # bytes kept of one payload
_OUTCOMES = ("accepted", "rejected")


@dataclass(slots=True)
class Message:
    """A recorded message. serial: its number. at: epoch seconds. thing: of the client that sent or received it.
    from_thing: whether the client sent it. size: bytes of the payload, of which at most MAX_PAYLOAD are kept."""

    serial: int
    at: float
    thing: str
    from_thing: bool
    topic: str
    payload: bytes
    size: int

    @property
    def text(self) -> str:
        """The payload as readable text; the size of a payload that is CBOR or was cut."""
        cut = f" … ({self.size} bytes)" if self.size > len(self.payload) else ""
        try:
            return self.payload.decode() + cut
        except UnicodeDecodeError:
            return self.payload.decode(errors="replace") + cut if cut else f"({self.size} bytes, not text)"

    @property
    def members(self) -> dict[str, object]:
        """The members of a payload that is a JSON object, otherwise {}."""
        try:
            members = json.loads(self.payload)
        except (ValueError, RecursionError):
            return {}
        return members if isinstance(members, dict) else {}


@dataclass(slots=True)
class Joined:
    """A message with its outcome: the request's reply, and "refused", "repeated", "no reply" or ""."""

    message: Message
    reply: Message | None = None
    mark: str = ""


class WireRecord:
    """clock: returns epoch seconds. on_change: called after each message."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.on_change: Callable[[], None] = lambda: None
        self._messages: deque[Message] = deque()
        self._bytes = 0
        self._serial = 0

    def add(self, thing: str, from_thing: bool, topic: str, payload: bytes) -> None:
        """Record a message."""
        self._serial += 1
        kept = payload[:MAX_PAYLOAD]
        self._messages.append(Message(self._serial, self._clock(), thing, from_thing, topic, kept, len(payload)))
        self._bytes += len(kept)
        while self._bytes > MAX_BYTES or len(self._messages) > MAX_MESSAGES:
            self._bytes -= len(self._messages.popleft().payload)
        self.on_change()

    def of(self, thing: str) -> list[Joined]:
        """The thing's messages, oldest first."""
        return joined([message for message in self._messages if message.thing == thing])


def joined(messages: Iterable[Message]) -> list[Joined]:
    """Join requests to replies: by topic and client token, or in order where there is no token."""
    found: list[Joined] = []
    waiting: dict[tuple[str, object], list[Joined]] = {}
    asked: set[tuple[str, object]] = set()
    for message in messages:
        entry = Joined(message)
        found.append(entry)
        token = message.members.get("clientToken")
        token = token if isinstance(token, str) else None
        if message.from_thing:
            if not message.topic.startswith("$aws/things/") or "/jobs/" not in message.topic:
                continue
            key = message.topic, token
            if token is not None and key in asked:
                entry.mark = "repeated"
            asked.add(key)
            waiting.setdefault(key, []).append(entry)
            continue
        topic, _, outcome = message.topic.rpartition("/")
        if outcome in _OUTCOMES:
            requests = waiting.get((topic, token))
            if requests:
                requests.pop(0).reply = message
            if outcome == "rejected":
                entry.mark = "refused"
    for requests in waiting.values():
        for entry in requests:
            entry.mark = entry.mark or "no reply"
    return found
