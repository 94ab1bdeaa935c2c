"""The result of a job that `run_job` ran."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ujobs_tools.testing.machine import Machine


class Version(NamedTuple):
    """One version of the execution in the service."""

    status: str
    number: int
    details: dict[str, str]


class Progress(NamedTuple):
    """Arguments of one call of progress(), tick() or note()."""

    done: float | None
    total: float | None
    message: str | None


@dataclass
class Result:
    """The result of a job.

    status: SUCCEEDED, FAILED, REJECTED or CANCELED. details: final status details. progress: calls of job.progress(),
    tick() and note(). checkpoints: values given to job.save(). attempts: number of attempts. console: output of the
    board. versions: all versions of the execution. files: files on flash at the end, content by path. machine: pins and
    peripherals. seconds: duration on the board's clock.
    """

    status: str = ""
    details: dict[str, str] = field(default_factory=dict)
    progress: list[Progress] = field(default_factory=list)
    checkpoints: list[Any] = field(default_factory=list)
    attempts: int = 0
    console: str = ""
    versions: list[Version] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    machine: Machine = field(default_factory=Machine)
    seconds: float = 0.0

    def take(self, report: dict[str, Any]) -> None:
        """Add the report of one_boot for one boot."""
        execution = report["execution"]
        self.status = execution["status"]
        self.details = dict(execution["statusDetails"])
        self.progress += [Progress(*call) for call in report["progress"]]
        # Convert to JSON and back, as the journal does: tuples become lists.
        self.checkpoints += json.loads(json.dumps(report["checkpoints"]))
        self.versions += [Version(*version) for version in report["history"]]
        self.machine.take(report["machine"])
        self.seconds += report["seconds"]
        self.attempts += 1
