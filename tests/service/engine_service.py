"""An engine with a store in memory and a clock set by the test, and its notifications."""

import json
from typing import Any

from ujobs_tools.service.engine import Engine
from ujobs_tools.service.store import Store

MINUTE = 60
START = 1_790_000_000.0
NOTHING = '{"Version": "2012-10-17", "Statement": []}'  # a policy that allows nothing


class Clock:
    """Epoch seconds, changed by the test only."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += seconds


class Service:
    """The engine, its clock, and `sent`: the notifications since the last `heard()`, as (thing, suffix, payload)."""

    def __init__(self, path: str = ":memory:") -> None:
        self.clock = Clock()
        self.path = path
        self.sent: list[tuple[str, str, dict[str, Any]]] = []
        self.changes = 0
        self.open()

    def open(self) -> None:
        self.engine = Engine(Store(self.path), self.clock)
        self.engine.on_notification = lambda *notification: self.sent.append(notification)
        self.engine.on_change = self._changed

    def _changed(self) -> None:
        self.changes += 1

    def reopen(self) -> None:
        """Open the store again, as after a restart of the service."""
        self.engine.store.close()
        self.open()

    def heard(self) -> list[tuple[str, str]]:
        """(thing, suffix) of each notification since the last call."""
        names = [(thing, suffix) for thing, suffix, _ in self.sent]
        self.sent.clear()
        return names

    def job(self, job_id: str, *things: str, document: Any = None, **options: Any) -> None:
        """Create a job for these things, which are created if missing."""
        arns = [self.engine.create_thing(thing)["thingArn"] for thing in things or ("kiln",)]
        self.engine.create_job(job_id, arns, json.dumps(document or {"operation": "x"}), **options)

    def status(self, job_id: str, thing: str = "kiln", number: int | None = None) -> str:
        return self.execution(job_id, thing, number)["status"]

    def execution(self, job_id: str, thing: str = "kiln", number: int | None = None) -> dict[str, Any]:
        """The execution as in DescribeJobExecution of the control plane."""
        return self.engine.describe_job_execution(job_id, thing, number)["execution"]

    def job_status(self, job_id: str) -> str:
        return self.engine.describe_job(job_id)["job"]["status"]

    def progress(self, job_id: str, thing: str = "kiln", **request: Any) -> dict[str, Any]:
        return self.engine.update(thing, job_id, {"status": "IN_PROGRESS", **request})

    def report(self, job_id: str, status: str, thing: str = "kiln", **request: Any) -> dict[str, Any]:
        return self.engine.update(thing, job_id, {"status": status, **request})
