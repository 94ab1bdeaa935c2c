"""The demo's tables: the jobs while they run, and their results."""

from collections.abc import Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from ujobs_tools.aws.executions import Execution, details_of, in_words, styled_status, table
from ujobs_tools.demo.jobs import DemoJob, History
from ujobs_tools.host.terminal import plain

_LOG_LINES = 6
_FIRST, _LAST = 3, 2


def live(jobs: Sequence[DemoJob], executions: Mapping[str, Execution], log: Sequence[str]) -> Group:
    """The table while jobs run, with the board's last console lines below it."""
    found = table("job", ((job.job_id, executions.get(job.job_id)) for job in jobs))
    return Group(found, Text("\n".join(map(plain, log[-_LOG_LINES:])), style="dim"))


def result(
    jobs: Sequence[DemoJob], executions: Mapping[str, Execution], histories: Mapping[str, History],
    verdicts: Mapping[str, str],
) -> Table:
    """The table of results."""
    made = Table("job", "what it shows", "status", "versions", "status details", "", title="executions", expand=True)
    for job in jobs:
        execution = executions[job.job_id]
        made.add_row(
            job.job_id, job.shows, styled_status(execution["status"]), _versions(histories[job.job_id]),
            in_words(details_of(execution)),
            Text(f"✗ {plain(verdicts[job.job_id])}", "red") if verdicts[job.job_id] else Text("✓", "green"),
        )
        made.add_section()
    return made


def _versions(history: History) -> Text:
    lines = []
    for entry in history:
        progress = entry.get("statusDetails", {}).get("progress", "") if entry["status"] == "IN_PROGRESS" else ""
        lines.append(f"{entry['versionNumber']} {entry['status']} {progress}".rstrip())
    if len(lines) > _FIRST + _LAST + 1:
        lines[_FIRST:-_LAST] = [f"… {len(lines) - _FIRST - _LAST} more"]
    return Text("\n".join(map(plain, lines)))
