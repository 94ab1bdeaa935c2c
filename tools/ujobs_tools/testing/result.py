"""What came of a job that `run_job` ran."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ujobs_tools.testing.machine import Machine


class Version(NamedTuple):
    """One version of the execution, as the service had it."""

    status: str
    number: int
    details: dict[str, str]


class Progress(NamedTuple):
    """One call of progress(), tick() or note()."""

    done: float | None
    total: float | None
    message: str | None


@dataclass
class Result:
    """status: SUCCEEDED, FAILED, REJECTED or CANCELED. details: the status details that it ended with. progress: every
    call of job.progress(), tick() and note(). checkpoints: every value given to job.save(). attempts: how often the
    handler was started. console: what the board printed. versions: every version of the execution. files: on flash at
    the end, path to content. machine: the pins. seconds: how long it took by the board's clock."""

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
        """Add what one_boot reports of one boot."""
        execution = report["execution"]
        self.status = execution["status"]
        self.details = dict(execution["statusDetails"])
        self.progress += [Progress(*call) for call in report["progress"]]
        # As the next boot would find them: JSON has no tuples.
        self.checkpoints += json.loads(json.dumps(report["checkpoints"]))
        self.versions += [Version(*version) for version in report["history"]]
        self.machine.take(report["machine"])
        self.seconds += report["seconds"]
        self.attempts += 1
