"""Twenty jobs that wait at once, as for a board that was off."""

import time

from ujobs_tools.aws.executions import details_of
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_JOBS = 20
_PATIENCE = 180.0  # seconds


def _queued(bench: Bench) -> str:
    account = bench.account
    with bench.board.stopped():
        jobs = [account.create({"operation": "blink", "times": 1}) for _ in range(_JOBS)]
    bench.board.wait_for("job " + jobs[0], _PATIENCE)
    start = time.monotonic()
    found = [account.expect(job, "SUCCEEDED", _PATIENCE) for job in jobs]
    bench.figure("jobs per minute", 60 * _JOBS / (time.monotonic() - start))
    started = [execution["startedAt"] for execution in found]
    if started != sorted(started):
        raise Unexpected("not in the order in which they were created")
    return f"{sum(details_of(execution).get('blinks') == '1' for execution in found)} of {_JOBS} SUCCEEDED, in order"


CASES = (
    Case("jobs.queued", f"{_JOBS} jobs that wait for the board all succeed, in order", _queued,
         executions=lambda resets: _JOBS),
)
