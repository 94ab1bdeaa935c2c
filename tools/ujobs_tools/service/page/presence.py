"""Which things are connected, why their last connection ended, and the virtual boards that run in this process."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from ujobs_tools.service.session import Session

MAX_EVENTS = 20  # connections and disconnections kept for each thing
MAX_LINES = 1000  # console lines kept for each board
MAX_LINE = 2000  # characters of a console line
MAX_THINGS = 10_000


@dataclass
class Connection:
    """A thing's connections. clients: ids of its connected clients. events: (epoch seconds, reason), oldest first;
    reason is "" if a connection began, else why it ended."""

    clients: set[str] = field(default_factory=set)
    events: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=MAX_EVENTS))


class VirtualBoard:
    """A board that runs in this process. lines: (epoch seconds, text) of its console, oldest first."""

    def __init__(self, presence: "Presence", cut_power: Callable[[], None] | None) -> None:
        self._presence = presence
        self.cut_power = cut_power
        self.lines: deque[tuple[float, str]] = deque(maxlen=MAX_LINES)

    def line(self, text: str) -> None:
        """Add one line of console output. Call from the event loop's thread."""
        self.lines.append((self._presence.clock(), text[:MAX_LINE]))
        self._presence.on_change()


class Presence:
    """clock: returns the service's epoch seconds. on_change: called after each change."""

    def __init__(self, clock: Callable[[], float], on_change: Callable[[], None]) -> None:
        self.clock = clock
        self.on_change = on_change
        self.boards: dict[str, VirtualBoard] = {}
        self._connections: dict[str, Connection] = {}

    def told(self, thing: str, client_id: str, why: str | None) -> None:
        """A client connected as the thing (why is None), or its connection ended (why is the reason)."""
        if thing not in self._connections and len(self._connections) >= MAX_THINGS:
            self._connections.pop(next(iter(self._connections)))
        connection = self._connections.setdefault(thing, Connection())
        if why is None:
            connection.clients.add(client_id)
        else:
            connection.clients.discard(client_id)
        connection.events.append((self.clock(), why or ""))
        self.on_change()

    def told_of(self, session: Session, why: str | None) -> None:
        """For Broker.on_presence."""
        self.told(session.client_id, session.client_id, why)  # a client's id is its thing's name

    def of(self, thing: str) -> Connection:
        """The thing's connections; empty if it has not connected since the service started."""
        return self._connections.get(thing, Connection())

    def add_board(self, thing: str, cut_power: Callable[[], None] | None = None) -> VirtualBoard:
        """Show a virtual board; call `line` on the result for each line that it prints.

        cut_power: kills the board like a power cut; called by a button on the page. A newer board of the same thing
        replaces this one.
        """
        self.boards[thing] = board = VirtualBoard(self, cut_power)
        self.on_change()
        return board

    def remove_board(self, thing: str) -> None:
        """The thing's board no longer runs in this process."""
        self.boards.pop(thing, None)
        self.on_change()
