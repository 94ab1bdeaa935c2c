"""All results side by side, as a table and as JSON."""

import json
import os
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass

from rich.console import Console
from rich.table import Table

from ujobs_lab.bench.measure import Kill, Result

_ROWS: tuple[tuple[str, Callable[[Result], str]], ...] = (
    ("connected/s, all at once", lambda found: f"{found.connects_per_second:.0f}"),
    ("  CPU a connection, ms", lambda found: f"{found.connect_cpu_ms:.2f}"),
    ("memory before, MB", lambda found: f"{found.memory_before / 1e6:.1f}"),
    ("  connected, MB", lambda found: f"{found.memory_connected / 1e6:.1f}"),
    ("  a connection, KB", lambda found: f"{found.memory_per_connection / 1e3:.1f}"),
    ("  in the end, MB", lambda found: f"{found.memory_after / 1e6:.1f}"),
    ("jobs/s, all at once", lambda found: f"{found.jobs_per_second:.0f}"),
    ("  until SUCCEEDED, p50, ms", lambda found: f"{found.p50_ms:.0f}"),
    ("  until SUCCEEDED, p99, ms", lambda found: f"{found.p99_ms:.0f}"),
    ("  CPU a job, ms", lambda found: f"{found.cpu_ms_per_job:.2f}"),
    ("  and its responder, ms", lambda found: f"{found.helper_cpu_ms_per_job:.2f}"),
    ("  cores, server", lambda found: f"{found.server_cores:.2f}"),
    ("  cores, load generator", lambda found: f"{found.load_cores:.2f}"),
    ("one at a time, p50, ms", lambda found: f"{found.single_p50_ms:.1f}"),
    ("  p99, ms", lambda found: f"{found.single_p99_ms:.1f}"),
    ("messages a job, in+out", lambda found: f"{found.sent_per_job:.1f}+{found.received_per_job:.1f}"),
    ("  bytes a job", lambda found: f"{found.bytes_per_job:.0f}"),
    ("notify+notify-next", lambda found: f"{found.notify}+{found.notify_next}"),
    ("connections lost", lambda found: f"{found.connections_lost}"),
    ("wrong or lost", lambda found: f"{len(found.problems)}"),
)


@dataclass(frozen=True)
class Report:
    """All results. wrong: problems that boto3 or the log of the service show."""

    results: list[Result]
    kill: Kill
    wrong: list[str]

    @property
    def problems(self) -> list[str]:
        """Everything that was lost or wrong."""
        found = [f"{result.name}: {line}" for result in self.results for line in result.problems]
        return found + [f"kill: {line}" for line in self.kill.problems] + self.wrong


def show(console: Console, report: Report) -> None:
    """Print the table and the problems."""
    first, kill = report.results[0], report.kill
    table = Table(title=f"{first.things} things, {first.jobs} jobs at once")
    table.add_column(no_wrap=True)
    for result in report.results:
        table.add_column(result.name, justify="right")
    for label, cell in _ROWS:
        table.add_row(label, *map(cell, report.results))
    console.print(table)
    console.print(
        f"SIGKILL with {kill.done_before} of {kill.jobs} jobs done and {kill.updates_before} updates acknowledged: "
        f"serving again after {kill.serving_again:.1f} s, all connected after {kill.all_connected:.1f} s, "
        f"all jobs done after {kill.all_done:.1f} s."
    )
    for line in report.problems[:20]:
        console.print(line, style="red", markup=False)
    verdict = "Nothing was lost" if not report.problems else f"{len(report.problems)} PROBLEMS"
    console.print(f"{verdict}: for boto3 every execution is the first, SUCCEEDED, and at version 4.")


def as_json(report: Report) -> str:
    """The same as JSON, with the machine on which it was measured."""
    machine = {"python": platform.python_version(), "cores": os.cpu_count(), "machine": platform.machine()}
    return json.dumps({"machine": machine} | asdict(report), indent=2) + "\n"
