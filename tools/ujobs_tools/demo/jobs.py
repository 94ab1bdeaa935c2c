"""The demo's jobs: what each one shows, its document, what happens to it on the way, and its expected result."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ujobs_tools.aws.executions import Execution, details_of

History = list[dict[str, Any]]


@dataclass(frozen=True)
class DemoJob:
    """One job of the demo.

    shows: one line for the table. status, details: the expected final status, and status details that must be there; a
    trailing "…" stands for any text. event: "cancel" or "power cut", caused once the handler has reported progress.
    check: called with the version history; returns what is wrong with it, or "".
    """

    job_id: str
    shows: str
    document: dict[str, Any]
    status: str
    details: dict[str, str] = field(default_factory=dict)
    event: str | None = None
    check: Callable[[History], str] = lambda history: ""

    def verdict(self, execution: Execution, history: History) -> str:
        """The first difference from the expected result, or ""."""
        if execution["status"] != self.status:
            return f"is {execution['status']}, should be {self.status}"
        details = details_of(execution)
        for name, wanted in self.details.items():
            found = details.get(name, "")
            if found != wanted and not (wanted.endswith("…") and found.startswith(wanted[:-1])):
                return f"{name} is {found!r}, should be {wanted!r}"
        return self.check(history)


def well_under_way(execution: Execution) -> bool:
    """Whether the handler has reported progress."""
    return execution["status"] == "IN_PROGRESS" and int(details_of(execution).get("progress", "0").split("/")[0]) > 2


def _outlived_its_step_timer(history: History) -> str:
    started = next(entry["at"] for entry in history if entry["status"] == "IN_PROGRESS")
    took = history[-1]["at"] - started
    return "" if took > 60 else f"took {took:.0f} s, should run longer than its step timeout of 60 s"


JOBS = (
    DemoJob(
        "1-quick", "a quick job", {"operation": "blink", "times": 3}, "SUCCEEDED", {"blinks": "3", "progress": "3/3"},
    ),
    DemoJob(
        "2-long", "runs longer than its step timeout: progress updates reset the timer",
        {"operation": "calibrate", "points": 30}, "SUCCEEDED", {"points": "30"}, check=_outlived_its_step_timer,
    ),
    DemoJob(
        "3-failing", "the handler raises", {"operation": "measure"}, "FAILED",
        {"reason": "OSError: no sensor answers on the bus"},
    ),
    DemoJob(
        "4-rejected", "the handler refuses the document", {"operation": "blink", "times": 1000}, "REJECTED",
        {"reason": "at most 100 blinks"},
    ),
    DemoJob(
        "5-reboot", "SUCCEEDED only after the board has restarted", {"operation": "reboot"}, "SUCCEEDED",
        {"reset_cause": "HARD_RESET"},
    ),
    DemoJob(
        "6-cancelled", "cancelled with force while it runs", {"operation": "calibrate", "points": 500}, "CANCELED",
        event="cancel",
    ),
    DemoJob(
        "7-power-cut", "power cut while it runs; it resumes from its checkpoint", {"operation": "count", "to": 20},
        "SUCCEEDED", {"counted": "20", "attempt": "2"}, event="power cut",
    ),
)
