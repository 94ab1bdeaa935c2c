"""The fixture `service`: creates jobs for the test's board, and causes faults of the service."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from ujobs_tools.aws import cloud
from ujobs_tools.aws.executions import TERMINAL, details_of
from ujobs_tools.aws.fleet import Thing
from ujobs_tools.service.in_thread import LocalService
from ujobs_tools.testing.result import Version

_LOOK = 0.03  # seconds between polls of an execution


@dataclass
class Execution:
    """State of an execution at one moment. details: status details. version: version number. attempts: number of
    attempts, according to the board's console."""

    status: str
    details: dict[str, str]
    version: int
    attempts: int


@dataclass
class Job:
    """A job that the test has created."""

    job_id: str
    service: "JobsService" = field(repr=False)

    def look(self) -> Execution:
        """Return the current state of the execution."""
        found = self.service.iot.describe_job_execution(thingName=self.service.thing.name, jobId=self.job_id)
        execution: dict[str, Any] = found["execution"]
        attempts = self.service.attempts(self.job_id)
        return Execution(execution["status"], details_of(execution), execution["versionNumber"], attempts)

    def wait(self, *statuses: str, seconds: float = 60) -> Execution:
        """Wait until the execution has one of the statuses; by default, until it has ended. Fails the test after
        `seconds`."""
        wanted = statuses or TERMINAL
        deadline = time.monotonic() + seconds
        while True:
            found = self.look()
            if found.status in wanted:
                return found
            if found.status in TERMINAL:
                pytest.fail(f"{self.job_id} has ended {found.status}, not {' or '.join(wanted)}: {found.details}")
            if time.monotonic() > deadline:
                pytest.fail(f"{self.job_id} is still {found.status} after {seconds:g} s: {found.details}")
            time.sleep(_LOOK)

    @property
    def history(self) -> list[Version]:
        """All versions of the execution, oldest first; only `ujobs serve` keeps them."""
        path = f"/_ujobs/executions/{self.service.thing.name}/{self.job_id}/history"
        found: list[dict[str, Any]] = json.loads(cloud.get(self.service.url + path))["history"]
        return [Version(entry["status"], entry["versionNumber"], entry.get("statusDetails", {})) for entry in found]


class JobsService:
    """The Jobs service of a test.

    url: endpoint URL for boto3; None for AWS. thing: thing of the test. local: the service if it runs in this process;
    faults need it. attempts: returns the number of attempts of a job.
    """

    def __init__(self, url: str | None, thing: Thing, local: LocalService | None) -> None:
        self.url = url or ""
        self.thing = thing
        self.iot: Any = cloud.client("iot", url)
        self.jobs: list[Job] = []
        self.attempts: Callable[[str], int] = lambda job_id: 0
        self._local = local

    def job(self, operation: str, **arguments: Any) -> Job:
        """Create a job for the board; arguments become members of its document."""
        job = Job(f"{self.thing.name}-{len(self.jobs) + 1}-{operation}"[:64], self)
        document = json.dumps({"operation": operation} | arguments)
        self.iot.create_job(jobId=job.job_id, targets=[self.thing.arn], document=document)
        self.jobs.append(job)
        return job

    def cancel(self, job: Job) -> None:
        """Cancel a job, even one in progress."""
        self.iot.cancel_job(jobId=job.job_id, force=True)

    def refuse(self, operation: str = "", times: int = 1, code: str = "RequestThrottled") -> None:
        """Reject the board's next requests. operation: "start-next", "get" or "update" to reject only those."""
        name = self.thing.name
        self._here("refuse").call(lambda service: service.faults.refuse(name, times, code, operation))

    def lose_replies(self, times: int = 1) -> None:
        """Carry out the board's next requests, but send no reply."""
        name = self.thing.name
        self._here("lose_replies").call(lambda service: service.faults.lose_replies(name, times))

    def hold_replies(self, seconds: float = 12) -> None:
        """Delay all replies by this time; the default is longer than the board waits before it retries."""
        name = self.thing.name
        self._here("hold_replies").call(
            lambda service: service.faults.hold_replies(name, service.engine.clock() + seconds)
        )

    def advance(self, seconds: float = 0, minutes: float = 0, hours: float = 0) -> None:
        """Move the service's clock ahead, so that its timers expire. It stays ahead for later tests of the session."""
        self._here("advance").call(lambda service: service.advance(seconds + 60 * minutes + 3600 * hours))

    def cut(self) -> None:
        """Break the board's connection."""
        name = self.thing.name
        self._here("cut").call(lambda service: service.cut(name))

    def messages(self) -> list[str]:
        """Return the board's messages in order, each request with its reply; empty with --ujobs-endpoint."""
        if self._local is None:
            return []
        name = self.thing.name
        lines = []
        for entry in self._local.call(lambda service: service.record.of(name)):
            message = entry.message
            if not message.from_thing and message.topic.endswith(("/accepted", "/rejected")) and not entry.mark:
                continue
            topic = message.topic.removeprefix(f"$aws/things/{name}/")
            lines.append(f"{'->' if message.from_thing else '<-'} {topic} {message.text} {entry.mark}".rstrip())
            if entry.reply is not None:
                lines.append(f"   <- {entry.reply.topic.rpartition('/')[2]} {entry.reply.text}")
        return lines

    def _here(self, what: str) -> LocalService:
        if self._local is None:
            pytest.skip(f"{what} needs the tests' own service, so it does not work with --ujobs-endpoint")
        return self._local
