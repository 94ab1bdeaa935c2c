"""Many things that do their jobs as a board does: on `notify-next` they send start-next, one IN_PROGRESS update, and
SUCCEEDED. They reconnect, and report when the service has lost something that it acknowledged."""

import json
import selectors
import ssl
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ujobs_lab.bench.mqtt_client import MqttClient, Traffic, poll
from ujobs_tools.host.processes import NotReady

FINAL_VERSION = 4  # queued, start-next, IN_PROGRESS, SUCCEEDED
_PAUSE = 1.0  # seconds before things reconnect


@dataclass
class Tally:
    """What all things together have seen.

    done: (thing, job id) -> time.monotonic() of the acknowledged SUCCEEDED. answered: things that have received the
    reply to their first request since they connected. busy: things whose latest notify-next named a job. losses: reason
    -> number of connections lost or refused. cut_off: things that have lost a connection. updates: number of
    acknowledged updates. wrong: contradictions in what the service sent, in words.
    """

    done: dict[tuple[str, str], float] = field(default_factory=dict)
    answered: set[str] = field(default_factory=set)
    busy: set[str] = field(default_factory=set)
    notifications: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    cut_off: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)
    updates: int = 0


class Thing(MqttClient):
    """One thing. lost_ones: the thing adds itself to this list when it has lost its connection."""

    def __init__(
        self, name: str, selector: selectors.BaseSelector, traffic: Traffic, tally: Tally, lost_ones: list["Thing"]
    ) -> None:
        self._prefix = f"$aws/things/{name}/jobs/"
        # The filters of AWS's SDKs. With `jobs/#`, brokers other than AWS's would also send the requests back.
        filters = tuple(self._prefix + suffix for suffix in ("notify", "notify-next", "start-next/+", "+/update/+"))
        super().__init__(name, filters, selector, traffic)
        self._tally = tally
        self._lost_ones = lost_ones
        self._job_id: str | None = None
        self._version = 0  # the latest acknowledged one
        self._finishing = False  # SUCCEEDED has been sent but not acknowledged
        self._asking = False  # start-next has been sent but not answered
        self._serial = 0

    def subscribed(self) -> None:
        self._ask()

    def lost(self, reason: str) -> None:
        self._tally.losses[reason] += 1
        self._tally.cut_off.add(self.client_id)
        self._tally.answered.discard(self.client_id)
        self._lost_ones.append(self)

    def received(self, topic: str, payload: bytes) -> None:
        suffix = topic.removeprefix(self._prefix)
        message = json.loads(payload)
        match suffix.split("/"):
            case ["start-next", "accepted"]:
                self._tally.answered.add(self.client_id)
                self._started(message.get("execution"))
            case [job_id, "update", "accepted"] if job_id == self._job_id:
                self._tally.updates += 1
                self._version += 1
                if self._finishing:
                    self._finished()
                else:
                    self._update("SUCCEEDED")
            case ["notify-next"]:
                self._tally.notifications[suffix] += 1
                if "execution" not in message:
                    self._tally.busy.discard(self.client_id)
                    return
                self._tally.busy.add(self.client_id)
                if self._job_id is None and not self._asking:
                    self._ask()
            case ["notify"]:
                self._tally.notifications[suffix] += 1
            case _:
                self._tally.wrong.append(f"{topic}: {payload.decode()}")

    def _ask(self) -> None:
        self._asking = True
        self._request("start-next", {"stepTimeoutInMinutes": 10})

    def _started(self, execution: dict[str, Any] | None) -> None:
        self._asking = False
        found = (None, 0) if execution is None else (execution["jobId"], execution["versionNumber"])
        if self._job_id is not None and found[0] != self._job_id:
            if self._finishing:
                self._finished()  # The update had arrived; only its reply was lost.
            else:
                self._tally.wrong.append(f"{self.client_id}: {self._job_id} has gone at version {self._version}")
        elif self._job_id is not None and found[1] < self._version:
            self._tally.wrong.append(f"{self.client_id}: {self._job_id} at {found[1]}, was at {self._version}")
        self._job_id, self._version = found
        self._finishing = False
        if execution is not None:
            self._update("IN_PROGRESS" if self._version < FINAL_VERSION - 1 else "SUCCEEDED")

    def _update(self, status: str) -> None:
        self._finishing = status == "SUCCEEDED"
        details = {"progress": "1/2"} if status == "IN_PROGRESS" else {"result": "done"}
        self._request(
            f"{self._job_id}/update",
            {"status": status, "expectedVersion": self._version, "executionNumber": 1, "statusDetails": details},
        )

    def _finished(self) -> None:
        assert self._job_id is not None
        key = self.client_id, self._job_id
        if key in self._tally.done:
            self._tally.wrong.append(f"{self.client_id}: {self._job_id} SUCCEEDED twice")
        self._tally.done[key] = time.monotonic()
        self._job_id, self._finishing = None, False

    def _request(self, suffix: str, members: dict[str, Any]) -> None:
        self._serial += 1
        body = json.dumps({"clientToken": f"{self._serial:x}"} | members, separators=(",", ":"))
        self.publish(self._prefix + suffix, body.encode())


class Things:
    """All things, in one thread. contexts: name -> TLS context, or None for MQTT without TLS."""

    def __init__(self, contexts: Mapping[str, ssl.SSLContext | None], port: int) -> None:
        self.selector = selectors.DefaultSelector()
        self.traffic = Traffic()
        self.tally = Tally()
        self._contexts = contexts
        self._port = port
        self._lost: list[Thing] = []
        self._retry_at = 0.0
        self._all = [Thing(name, self.selector, self.traffic, self.tally, self._lost) for name in contexts]

    def __enter__(self) -> "Things":
        return self

    def __exit__(self, *_: object) -> None:
        for thing in self._all:
            thing.close()
        self.selector.close()

    def connect(self) -> None:
        """Begin to connect all things at once."""
        for thing in self._all:
            thing.open(self._port, self._contexts[thing.client_id])

    @property
    def all_answered(self) -> bool:
        """Whether every thing is connected, subscribed, and has received the reply to its first request."""
        return len(self.tally.answered) == len(self._all)

    def run_until(self, condition: Callable[[], bool], what: str, seconds: float) -> None:
        """Let things work until the condition holds. Raises NotReady if it does not hold in time."""
        deadline = time.monotonic() + seconds
        while not condition():
            poll(self.selector, 0.05)
            now = time.monotonic()
            if now > deadline:
                raise NotReady(f"{what}: not within {seconds:g} s; {dict(self.tally.losses)}")
            if self._lost and now >= self._retry_at:
                self._retry_at = now + _PAUSE
                again, self._lost[:] = self._lost[:], []
                for thing in again:
                    thing.open(self._port, self._contexts[thing.client_id])
