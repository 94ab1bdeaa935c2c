"""A job that the service queues again after it has failed."""

from ujobs_tools.qualify.bench import Bench
from ujobs_tools.qualify.case import Case, Unexpected


def _retry(bench: Bench) -> str:
    account = bench.account
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 2}]}
    job = account.create({"operation": "flaky", "fails": 1}, jobExecutionsRetryConfig=retries)
    found = account.wait(job, 90, lambda found: found["status"] == "SUCCEEDED", retried=True)
    if found["executionNumber"] != 2:
        raise Unexpected(f"execution {found['executionNumber']} SUCCEEDED")
    return "execution 1 FAILED, execution 2 SUCCEEDED"


CASES = (
    Case("jobs.retry", "a job with retries fails once and succeeds as execution 2", _retry,
         executions=lambda resets: 2),
)
