"""Cancels a job when too many of its executions fail: abortConfig of CreateJob.

Rules: API reference AbortCriteria; Developer Guide "How job configurations work". The criteria are checked in their
order. The percentage refers to the executions that have ended."""

from collections.abc import Mapping
from typing import Any

from ujobs_tools.service import model
from ujobs_tools.service.errors import invalid

REASON_CODE = "ABORT_CANCEL"  # in DescribeJob, as seen on AWS

Config = Mapping[str, Any]

_FAILURES: dict[str, tuple[str, ...]] = {
    "FAILED": (model.FAILED,), "REJECTED": (model.REJECTED,), "TIMED_OUT": (model.TIMED_OUT,),
    "ALL": (model.FAILED, model.REJECTED, model.TIMED_OUT),
}


def check(config: Config | None) -> dict[str, Any] | None:
    """abortConfig in its stored form, None if there is none: one criterion for each failure type, with a
    thresholdPercentage over 0 to 100 of at most two decimals. Raises ApiError InvalidRequest."""
    criteria = [dict(item) for item in (config or {}).get("criteriaList", [])]
    if not criteria:
        return None
    if len({item["failureType"] for item in criteria}) != len(criteria):
        raise invalid("Multiple AbortCriteria cannot have the same failure type")
    for item in criteria:
        threshold = item["thresholdPercentage"]
        if item["failureType"] not in _FAILURES:
            raise invalid(f"abortConfig failureType must be one of {', '.join(_FAILURES)}")
        if item["action"] != "CANCEL":
            raise invalid("abortConfig action must be CANCEL")
        if not 0 < threshold <= 100 or round(threshold, 2) != threshold:
            raise invalid(f"abortConfig thresholdPercentage {threshold} must be over 0, at most 100, with two decimals")
        if item["minNumberOfExecutedThings"] < 1:
            raise invalid("abortConfig minNumberOfExecutedThings must be at least 1")
    return {"criteriaList": criteria}


def reason(config: Config | None, counts: Mapping[str, int]) -> str | None:
    """Why the job must be cancelled, in AWS's words; None if no criterion is met. counts: executions by status."""
    completed = sum(counts.get(status, 0) for status in model.TERMINAL)
    for item in (config or {}).get("criteriaList", []):
        kind, threshold = item["failureType"], item["thresholdPercentage"]
        failed = sum(counts.get(status, 0) for status in _FAILURES[kind])
        if completed >= item["minNumberOfExecutedThings"] and failed * 100 >= threshold * completed:
            return (
                f"Abort criteria for failure type {kind} with threshold {threshold:.2f}% met. "
                f"Total completed executions: {completed}, total {kind} executions: {failed}"
            )
    return None
