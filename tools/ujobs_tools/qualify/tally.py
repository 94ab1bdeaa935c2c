"""Compares the cloud's history with the marks in the board's flash, to find work that was lost or done twice."""

from dataclasses import dataclass
from typing import Any

from ujobs_tools.aws.executions import TERMINAL, Execution, details_of

CHECKPOINTED, PLAIN, ONCE = "tally", "plain", "once"
"""Operations of device/app.py: after a reset they resume at their checkpoint, run again, or fail."""
_RESET = "the board was reset during attempt 1: "


@dataclass(frozen=True)
class Counted:
    """A counting job. kind: its operation. to: units of work."""

    job_id: str
    kind: str
    to: int


def disagreement(job: Counted, execution: Execution, history: list[dict[str, Any]], marks: str) -> str:
    """Return what is wrong, "" if nothing. execution: final state in the cloud. history: its versions, [] if the cloud
    does not keep them. marks: the job's marks in flash."""
    status, details = execution["status"], details_of(execution)
    starts, units, ends = (marks.count(mark) for mark in "s+e")
    if execution["executionNumber"] != 1:
        return f"doubled: execution {execution['executionNumber']}"
    if sum(entry["status"] in TERMINAL for entry in history) > 1:
        return f"doubled: the cloud has several results: {[entry['status'] for entry in history]}"
    if job.kind == ONCE and status == "FAILED" and details.get("reason", "").startswith(_RESET):
        return "doubled: started again although it should fail" if starts > 1 else ""
    if status != "SUCCEEDED":
        return f"lost: {status} {details}, marks {marks}"
    if not ends:
        return f"lost: SUCCEEDED, but according to flash it has not ended: {marks}"
    if job.kind == CHECKPOINTED and units != job.to:
        return f"{'lost' if units < job.to else 'doubled'}: {units} units of {job.to} in flash"
    # An attempt is recorded before the handler starts, so a reset can leave an attempt without a mark, but never a mark
    # without an attempt.
    if starts > int(details.get("attempt", 0)):
        return f"doubled: {starts} starts in flash, {details.get('attempt')} attempts in the cloud"
    if job.kind != ONCE and starts != int(details.get("starts", 0)):
        return f"doubled: {starts} starts in flash, {details.get('starts')} when the result was reported"
    return ""
