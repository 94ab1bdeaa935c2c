"""`ujobs demo`, as `make demo` runs it: it succeeds, shows every execution, leaves no process, and detects a job that
does not end as expected."""

import os
import subprocess
import uuid
from pathlib import Path

import pytest

from ujobs_tools.demo.jobs import JOBS, DemoJob
from ujobs_tools.host.processes import ujobs


def processes_with(mark: str) -> list[str]:
    """Command lines of the processes that have `mark` in their environment."""
    found = []
    for environment in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in environment.read_bytes():
                found.append(environment.with_name("cmdline").read_text())
        except OSError:
            continue  # the process has ended or belongs to another user
    return found


def test_demo() -> None:
    mark = f"UJOBS_TEST_{uuid.uuid4().hex}"
    result = subprocess.run(
        ujobs("demo"), env=os.environ | {mark: "1", "COLUMNS": "200"}, capture_output=True, text=True, timeout=240
    )
    said = result.stdout + result.stderr
    assert result.returncode == 0, said
    table = said[said.index("executions") :]
    for job in JOBS:
        row = next(line for line in table.splitlines() if job.job_id in line)
        assert job.status in row
        assert "✓" in row
    assert "times as fast" in said.replace("\n", " ")
    assert processes_with(mark) == []


def job(job_id: str) -> DemoJob:
    """The demo's job whose id ends with this."""
    return next(job for job in JOBS if job.job_id.endswith(job_id))


@pytest.mark.parametrize("wanted", JOBS, ids=lambda job: job.job_id)
def test_a_job_that_timed_out_is_detected(wanted: DemoJob) -> None:
    assert "TIMED_OUT" in wanted.verdict({"status": "TIMED_OUT"}, [])


def test_wrong_details_are_detected() -> None:
    execution = {"status": "FAILED", "statusDetails": {"detailsMap": {"reason": "MemoryError"}}}
    assert "MemoryError" in job("failing").verdict(execution, [])


def test_a_long_job_that_was_too_short_is_detected() -> None:
    execution = {"status": "SUCCEEDED", "statusDetails": {"detailsMap": {"points": "30"}}}
    entries = [{"status": "IN_PROGRESS", "at": 0.0}, {"status": "SUCCEEDED", "at": 59.0}]
    assert "should run longer" in job("long").verdict(execution, entries)
