"""What the demo shows: the jobs as they run, and at the end what became of each."""

from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ujobs_tools.demo.jobs import DemoJob, Execution, History, details_of

_STYLES = {
    "QUEUED": "dim", "IN_PROGRESS": "yellow", "SUCCEEDED": "green", "FAILED": "red", "REJECTED": "magenta",
    "CANCELED": "cyan", "TIMED_OUT": "red",
}
_LOG_LINES = 6
_FIRST, _LAST = 3, 2


def _status(status: str) -> Text:
    return Text(status, style=_STYLES.get(status, ""))


def _details(details: Mapping[str, str]) -> str:
    return "  ".join(f"{name}: {value}" for name, value in details.items())


def live(jobs: Sequence[DemoJob], executions: Mapping[str, Execution], log: Sequence[str]) -> Group:
    """The table that is drawn again and again, with the board's last lines under it."""
    table = Table("job", "status", "version", "times out in", "status details", expand=True)
    for job in jobs:
        execution = executions.get(job.job_id)
        if execution is None:
            table.add_row(job.job_id)
            continue
        left = execution.get("approximateSecondsBeforeTimedOut")
        table.add_row(
            job.job_id, _status(execution["status"]), str(execution["versionNumber"]),
            "" if left is None else f"{left} s", _details(details_of(execution)),
        )
    return Group(table, Text("\n".join(log[-_LOG_LINES:]), style="dim"))


def result(
    jobs: Sequence[DemoJob], executions: Mapping[str, Execution], histories: Mapping[str, History],
    verdicts: Mapping[str, str],
) -> Table:
    """The table at the end."""
    table = Table("job", "what it shows", "status", "versions", "status details", "", title="executions", expand=True)
    for job in jobs:
        execution = executions[job.job_id]
        table.add_row(
            job.job_id, job.shows, _status(execution["status"]), _versions(histories[job.job_id]),
            _details(details_of(execution)),
            Text(f"✗ {verdicts[job.job_id]}", "red") if verdicts[job.job_id] else Text("✓", "green"),
        )
        table.add_section()
    return table


def _versions(history: History) -> str:
    lines = []
    for entry in history:
        progress = entry.get("statusDetails", {}).get("progress", "") if entry["status"] == "IN_PROGRESS" else ""
        lines.append(f"{entry['versionNumber']} {entry['status']} {progress}".rstrip())
    if len(lines) > _FIRST + _LAST + 1:
        lines[_FIRST:-_LAST] = [f"… {len(lines) - _FIRST - _LAST} more"]
    return "\n".join(lines)
