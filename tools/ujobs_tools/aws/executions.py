"""Job executions as boto3 describes them, and their display on a terminal."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ujobs_tools.host.terminal import plain

Execution = dict[str, Any]

TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT", "REMOVED")
_STYLES = {
    "QUEUED": "dim", "IN_PROGRESS": "yellow", "SUCCEEDED": "green", "FAILED": "red", "REJECTED": "magenta",
    "CANCELED": "cyan", "TIMED_OUT": "red", "REMOVED": "cyan",
}
_BAR_WIDTH = 20
MOST_SHOWN = 20
_URGENT = ("IN_PROGRESS", "FAILED", "TIMED_OUT", "REJECTED")
_ORDER = (*_URGENT, "CANCELED", "REMOVED", "QUEUED", "SUCCEEDED")


def details_of(execution: Execution) -> dict[str, str]:
    """Return the status details of an execution."""
    found: dict[str, str] = execution.get("statusDetails", {}).get("detailsMap", {})
    return found


def progress_of(execution: Execution) -> tuple[int, int] | None:
    """Return (done, total) from the status detail `progress`, "done/total"; None if there is no such detail."""
    done, _, total = details_of(execution).get("progress", "").partition("/")
    return (int(done), int(total)) if done.isdigit() and total.isdigit() and int(total) else None


def styled_status(status: str) -> Text:
    """Return a status in its colour."""
    return Text(plain(status), style=_STYLES.get(status, ""))


def in_words(details: Mapping[str, str]) -> Text:
    """Return status details on one line, without markup or escape sequences."""
    return Text("  ".join(plain(f"{name}: {value}") for name, value in details.items()))


def table(heading: str, rows: Iterable[tuple[str, Execution | None]]) -> Table:
    """Return a table of executions: status, version, time until timeout, progress bar, status details. rows: name and
    execution; None while the execution is not known."""
    made = Table(heading, "status", "version", "times out in", "progress", "status details", expand=True)
    for name, execution in rows:
        if execution is None:
            made.add_row(Text(plain(name)))
            continue
        left = execution.get("approximateSecondsBeforeTimedOut")
        progress = progress_of(execution)
        bar = ProgressBar(total=progress[1], completed=progress[0], width=_BAR_WIDTH) if progress else ""
        made.add_row(
            Text(plain(name)), styled_status(execution["status"]), str(execution["versionNumber"]),
            "" if left is None else f"{left} s", bar, in_words(details_of(execution)),
        )
    return made


def overview(statuses: Mapping[str, str], shown: Mapping[str, Execution], about: Sequence[str] = ()) -> Group:
    """Show a job: the counts by status, lines about the job, then a table of executions.

    statuses: status of every execution, by thing name. shown: executions for the table, by thing name. about: lines
    about the job.
    """
    counts = Counter(statuses.values())
    line = Text(f"{len(statuses)} execution{'s' * (len(statuses) != 1)}")
    for status in sorted(counts, key=_by_urgency):
        line.append(f"  {counts[status]} ").append_text(styled_status(status))
    parts: list[Text | Table] = [line, *(Text(plain(text)) for text in about)]
    if shown:
        parts.append(table("thing", shown.items()))
    if hidden := len(statuses) - len(shown):
        parts.append(Text(f"{hidden} more not shown", "dim"))
    return Group(*parts)


def most_urgent(statuses: Mapping[str, str]) -> list[str]:
    """Return the things to show in full, at most MOST_SHOWN. If there are more, executions in progress come first,
    then failed ones; queued and succeeded ones are left out."""
    if len(statuses) <= MOST_SHOWN:
        return list(statuses)
    wanted = [thing for thing, status in statuses.items() if status in _URGENT]
    return sorted(wanted, key=lambda thing: _by_urgency(statuses[thing]))[:MOST_SHOWN]


def _by_urgency(status: str) -> int:
    return _ORDER.index(status) if status in _ORDER else len(_ORDER)
