"""Jobs that run longer than their step timeout of a minute: progress updates renew the step timer."""

from ujobs_tools.aws.executions import details_of
from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected

_STEP_TIMEOUT = 1  # minute, of the handlers "work" and "steady"
BEYOND = 10  # minutes that a job runs longer


def _outlived(operation: str, bench: Bench) -> str:
    account = bench.account
    seconds = account.minutes(_STEP_TIMEOUT + BEYOND)
    job = account.create({"operation": operation, "seconds": round(seconds)})
    found = account.wait(job, seconds + 60)
    took = (found["lastUpdatedAt"] - found["startedAt"]).total_seconds()
    if found["status"] != "SUCCEEDED":
        raise Unexpected(f"{found['status']} {details_of(found)} after {took:.0f} s of the cloud's clock")
    if took < 60 * _STEP_TIMEOUT:
        raise Unexpected(f"took {took:.0f} s of the cloud's clock, not longer than its step timeout")
    bench.figure("progress updates", found["versionNumber"] - 2)
    return f"SUCCEEDED after {took:.0f} s of the cloud's clock"


CASES = tuple(
    Case(f"jobs.outlive-{operation}", f"{how} handler outlives its step timeout of a minute by {BEYOND} minutes",
         lambda bench, operation=operation: _outlived(operation, bench))
    for operation, how in (("work", "an async"), ("steady", "a blocking"))
)
