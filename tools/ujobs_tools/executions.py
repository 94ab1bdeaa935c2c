"""Job executions as boto3 describes them, and how they look on a terminal while they run."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

Execution = dict[str, Any]

TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT", "REMOVED")
_STYLES = {
    "QUEUED": "dim", "IN_PROGRESS": "yellow", "SUCCEEDED": "green", "FAILED": "red", "REJECTED": "magenta",
    "CANCELED": "cyan", "TIMED_OUT": "red", "REMOVED": "cyan",
}
_BAR_WIDTH = 20


def details_of(execution: Execution) -> dict[str, str]:
    """The status details of an execution as the control plane describes it."""
    found: dict[str, str] = execution.get("statusDetails", {}).get("detailsMap", {})
    return found


def progress_of(execution: Execution) -> tuple[int, int] | None:
    """How far it is, (done, total), from the detail `progress` that ujobs sends as "done/total"; None without."""
    done, _, total = details_of(execution).get("progress", "").partition("/")
    return (int(done), int(total)) if done.isdigit() and total.isdigit() and int(total) else None


def styled_status(status: str) -> Text:
    """A status in its colour."""
    return Text(status, style=_STYLES.get(status, ""))


def in_words(details: Mapping[str, str]) -> str:
    """Status details on one line."""
    return "  ".join(f"{name}: {value}" for name, value in details.items())


def table(heading: str, rows: Iterable[tuple[str, Execution | None]]) -> Table:
    """Executions with version, progress bar and the time until they time out; None is one not known yet."""
    made = Table(heading, "status", "version", "times out in", "progress", "status details", expand=True)
    for name, execution in rows:
        if execution is None:
            made.add_row(name)
            continue
        left = execution.get("approximateSecondsBeforeTimedOut")
        progress = progress_of(execution)
        bar = ProgressBar(total=progress[1], completed=progress[0], width=_BAR_WIDTH) if progress else ""
        made.add_row(
            name, styled_status(execution["status"]), str(execution["versionNumber"]),
            "" if left is None else f"{left} s", bar, in_words(details_of(execution)),
        )
    return made
