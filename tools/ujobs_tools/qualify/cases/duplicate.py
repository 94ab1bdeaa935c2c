"""Every message from the cloud arrives twice, as QoS 1 allows."""

from ujobs_tools.aws.executions import details_of
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_JOBS = 3


def _duplicate(bench: Bench) -> str:
    # The application on the board duplicates the messages, because no cloud sends duplicates on request.
    account = bench.account
    bench.job({"operation": "duplicate", "on": True})
    jobs = [account.create({"operation": "tally", "to": 3}) for _ in range(_JOBS)]
    for job in jobs:
        found = details_of(account.expect(job, "SUCCEEDED", counted="3"))
        if (found["starts"], found["attempt"]) != ("1", "1"):
            raise Unexpected(f"{job} started {found['starts']} times in {found['attempt']} attempts")
    bench.job({"operation": "duplicate", "on": False})
    marks = bench.marks()
    wrong = {job: marks.get(job) for job in jobs if marks.get(job) != "s+++e"}
    if wrong:
        raise Unexpected(f"marks in flash: {wrong}")
    return f"{_JOBS} jobs started once, counted once, SUCCEEDED"


CASES = (
    Case("jobs.duplicate", "every message arrives twice: each job is started once", _duplicate,
         executions=lambda resets: _JOBS + 2),
)
