"""Cancels a job in each phase: queued, just started, running (async and blocking), about to end."""

import contextlib
import time
from collections.abc import Callable

from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_PATIENCE = 60.0  # seconds


def _queued(bench: Bench) -> str:
    account = bench.account
    before = account.create({"operation": "work", "seconds": 3})
    job = account.create({"operation": "work", "seconds": 30})
    account.iot.cancel_job(jobId=job)
    account.expect(job, "CANCELED")
    account.expect(before, "SUCCEEDED")
    if any(f"job {job}" in line for line in bench.board.lines):
        raise Unexpected("the board started it")
    return "CANCELED, not started; the one before it SUCCEEDED"


def _running(operation: str, pause: float) -> Callable[[Bench], str]:
    def run(bench: Bench) -> str:
        account, board = bench.account, bench.board
        since = len(board.lines)
        job = account.create({"operation": operation, "seconds": 120})
        account.wait(job, _PATIENCE, lambda found: found["status"] == "IN_PROGRESS")
        time.sleep(pause)
        start = time.monotonic()
        account.cancel(job)
        board.wait_for("was ended by the service", _PATIENCE, since)
        bench.figure(f"seconds until {operation} stopped", time.monotonic() - start)
        account.expect(job, "CANCELED")
        bench.job({"operation": "blink", "times": 1})  # the board continues
        return "CANCELED, the handler stopped, the next job SUCCEEDED"

    return run


def _ending(bench: Bench) -> str:
    # The job ends with either status; the board must continue in both cases.
    account = bench.account
    seen = []
    for after in (0.0, 0.1, 0.2, 0.3):
        job = account.create({"operation": "blink", "times": 4})
        account.wait(job, _PATIENCE, lambda found: found["status"] != "QUEUED")
        time.sleep(after)
        with contextlib.suppress(account.iot.exceptions.InvalidRequestException):  # it has ended
            account.cancel(job)
        found = account.wait(job, _PATIENCE)
        if found["status"] not in ("CANCELED", "SUCCEEDED"):
            raise Unexpected(f"{job} is {found['status']}")
        seen.append(str(found["status"]))
    bench.job({"operation": "blink", "times": 1})
    return ", ".join(seen) + "; the next job SUCCEEDED"


CASES = (
    Case("jobs.cancel-queued", "cancelled while queued: never started", _queued, executions=lambda resets: 2),
    Case("jobs.cancel-started", "cancelled as it starts: the handler stops", _running("work", 0),
         executions=lambda resets: 2),
    Case("jobs.cancel-working", "cancelled while running: the handler stops", _running("work", 2),
         executions=lambda resets: 2),
    Case("jobs.cancel-blocking", "cancelled in a blocking handler: it stops at its next job.tick()",
         _running("steady", 1), executions=lambda resets: 2),
    Case("jobs.cancel-ending", "cancelled near its end: CANCELED or SUCCEEDED, and the board continues", _ending,
         executions=lambda resets: 5),
)
