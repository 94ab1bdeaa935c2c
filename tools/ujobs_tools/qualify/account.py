"""The cloud of a run: its thing, its jobs and their results, and the number of calls. All names that it creates begin
with the run's prefix."""

import contextlib
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from ujobs_tools.aws import cloud
from ujobs_tools.aws.executions import TERMINAL, Execution, details_of
from ujobs_tools.qualify.case import Unexpected

PREFIX = "ujobs-qualify-"
_LOOK_LOCAL, _LOOK_AWS = 0.05, 1.0  # seconds between polls of an execution


def _ended(execution: Execution) -> bool:
    return execution["status"] in TERMINAL


@dataclass(frozen=True)
class Endpoint:
    """The cloud, as for cloud.client(). clock_speed: how many times faster than real time its clock runs."""

    url: str | None
    region: str | None = None
    profile: str | None = None
    clock_speed: float = 1.0

    @property
    def local(self) -> bool:
        """Whether the endpoint is on this machine."""
        return self.url is not None and cloud.is_local(self.url)


class Account:
    """The cloud of one run. run_id: part of all names that the run creates."""

    def __init__(self, endpoint: Endpoint, run_id: str) -> None:
        self.endpoint = endpoint
        self.prefix = PREFIX + run_id
        self.thing = f"{self.prefix}-board"
        self.iot: Any = cloud.client("iot", endpoint.url, endpoint.region, endpoint.profile)
        self.calls: Counter[str] = Counter()
        self.iot.meta.events.register("before-call.iot", lambda model, **_: self.calls.update([model.name]))
        self._arn = ""
        self._jobs: list[str] = []

    def create(self, document: dict[str, Any], **options: Any) -> str:
        """Create a job for the board; returns its id. options: parameters of CreateJob."""
        job_id = f"{self.prefix}-{len(self._jobs) + 1}"
        if not self._arn:
            self._arn = self.iot.describe_thing(thingName=self.thing)["thingArn"]
        self.iot.create_job(jobId=job_id, targets=[self._arn], document=json.dumps(document), **options)
        self._jobs.append(job_id)
        return job_id

    def look(self, job_id: str) -> Execution:
        """Return the current state of the execution."""
        found: Execution = self.iot.describe_job_execution(thingName=self.thing, jobId=job_id)["execution"]
        return found

    def wait(
        self, job_id: str, seconds: float, ready: Callable[[Execution], bool] = _ended, retried: bool = False
    ) -> Execution:
        """Wait until `ready` is true, by default until the execution has ended; returns the execution.

        retried: another execution may follow one that has ended. Raises Unexpected after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            found = self.look(job_id)
            if ready(found):
                return found
            if (_ended(found) and not retried) or time.monotonic() > deadline:
                raise Unexpected(f"{job_id} is {found['status']} {details_of(found)} after {seconds:g} s at most")
            time.sleep(_LOOK_LOCAL if self.endpoint.local else _LOOK_AWS)

    def expect(self, job_id: str, status: str, seconds: float = 60, **details: str) -> Execution:
        """Wait until the execution has ended; returns it. Raises Unexpected if its status or status details differ."""
        found = self.wait(job_id, seconds)
        seen = details_of(found)
        wrong = {name: seen.get(name) for name, value in details.items() if seen.get(name) != value}
        if found["status"] != status or wrong:
            wanted = f"{status} {details}" if details else status
            raise Unexpected(f"{found['status']} {seen} instead of {wanted}")
        return found

    def cancel(self, job_id: str) -> None:
        """Cancel a job, even one in progress."""
        self.iot.cancel_job(jobId=job_id, force=True)

    def cancel_all(self) -> None:
        """Cancel every job that has not ended."""
        for job_id in self._jobs:
            with contextlib.suppress(ClientError):  # it has ended
                self.cancel(job_id)

    def history(self, job_id: str) -> list[dict[str, Any]]:
        """Return all versions of the execution, oldest first; empty if the cloud does not keep them. Only `ujobs serve`
        does."""
        if not self.endpoint.local:
            return []
        path = f"/_ujobs/executions/{self.thing}/{job_id}/history"
        try:
            found: list[dict[str, Any]] = json.loads(cloud.get(f"{self.endpoint.url}{path}"))["history"]
        except OSError:
            return []
        return found

    def keeps_files(self) -> bool:
        """Return whether the cloud stores files itself. Only `ujobs serve` does; its CA's path identifies it."""
        if not self.endpoint.local:
            return False
        try:
            return bool(cloud.get(f"{self.endpoint.url}/ca.pem"))
        except OSError:
            return False

    def minutes(self, number: float) -> float:
        """Convert minutes of the cloud's clock to seconds of the wall clock."""
        return number * 60 / self.endpoint.clock_speed
