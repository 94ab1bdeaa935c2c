"""The common interface of the tests to the Jobs clients of AWS's device SDKs.

Requests and replies are dicts with the names used in the MQTT payloads; times are epoch seconds."""

import queue
from typing import Any, Protocol

PATIENCE = 60.0  # seconds


class Rejected(Exception):
    """The service rejected a request. error: the payload without client token and timestamp."""

    def __init__(self, reply: dict[str, Any]) -> None:
        self.error = {name: value for name, value in reply.items() if name not in ("clientToken", "timestamp")}
        super().__init__(f"{self.error}")


class JobsClient(Protocol):
    """A connected client of one thing, subscribed to its notifications."""

    def ask(self, operation: str, **members: Any) -> dict[str, Any]:
        """The accepted reply to a request; operation: as in the API reference, like "StartNextPendingJobExecution".

        Raises Rejected.
        """
        ...

    def notifications(self, name: str, count: int) -> list[dict[str, Any]]:
        """All payloads of "notify" or "notify-next" so far; waits for this many."""
        ...


class Heard:
    """The payloads received on each of the two notification topics."""

    def __init__(self) -> None:
        self._incoming: dict[str, queue.Queue[dict[str, Any]]] = {
            "notify": queue.Queue(), "notify-next": queue.Queue()
        }
        self._taken: dict[str, list[dict[str, Any]]] = {"notify": [], "notify-next": []}

    def put(self, name: str, payload: dict[str, Any]) -> None:
        """Add a received notification. Can be called from any thread."""
        self._incoming[name].put(payload)

    def notifications(self, name: str, count: int) -> list[dict[str, Any]]:
        """See JobsClient. Raises queue.Empty if they do not arrive."""
        incoming, taken = self._incoming[name], self._taken[name]
        while len(taken) < count or not incoming.empty():
            taken.append(incoming.get(timeout=PATIENCE))
        return taken
