"""The events about jobs and their executions on `$aws/events/`: Developer Guide "Jobs events"."""

import uuid
from collections.abc import Mapping
from typing import Any

from ujobs_tools.service import model
from ujobs_tools.service.model import Execution, Job

JOB, EXECUTION = "JOB", "JOB_EXECUTION"  # the types that this service has, by their names in UpdateEventConfigurations

Event = tuple[str, dict[str, Any]]  # topic, payload

_COUNTED = (
    (model.CANCELED, "Canceled"), (model.REJECTED, "Rejected"), (model.FAILED, "Failed"), (model.REMOVED, "Removed"),
    (model.SUCCEEDED, "Succeeded"), (model.TIMED_OUT, "TimedOut"),
)


def of_job(job: Job, operation: str, now: float, counts: Mapping[str, int] | None = None) -> Event:
    """An event of a job. operation: completed, canceled, deleted, cancellation_in_progress or deletion_in_progress.
    counts: executions by status, for the first two."""
    payload = _event(JOB, operation, job.job_id, now) | {
        "status": operation.upper(), "targetSelection": job.target_selection, "targets": job.targets,
        "description": job.description, "createdAt": _milliseconds(job.created_at),
        "lastUpdatedAt": _milliseconds(job.last_updated_at),
    }
    if operation == "completed":
        payload["completedAt"] = _milliseconds(job.completed_at or now)
    else:
        payload |= {"comment": job.comment, "reasonCode": job.reason_code}
    if operation in ("canceled", "cancellation_in_progress"):
        payload["forceCanceled"] = job.force_canceled
    if counts is not None:
        payload["jobProcessDetails"] = {f"numberOf{name}Things": counts.get(status, 0) for status, name in _COUNTED}
    return f"$aws/events/job/{job.job_id}/{operation}", _present(payload)


def of_execution(execution: Execution, thing_arn: str, now: float, deleted: bool = False) -> Event:
    """An event of an execution that has ended or was deleted."""
    status = "DELETED" if deleted else execution.status
    payload = _event(EXECUTION, status.lower(), execution.job_id, now) | {
        "thingArn": thing_arn, "status": status, "executionNumber": execution.number,
        "statusDetails": execution.details,
        "forceCanceled": execution.force_canceled if status == model.CANCELED else None,
    }
    return f"$aws/events/jobExecution/{execution.job_id}/{status.lower()}", _present(payload)


def _event(kind: str, operation: str, job_id: str, now: float) -> dict[str, Any]:
    return {
        "eventType": kind, "eventId": str(uuid.uuid4()), "timestamp": int(now), "operation": operation, "jobId": job_id,
    }


def _milliseconds(moment: float) -> int:
    return int(moment * 1000)


def _present(payload: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in payload.items() if value is not None}
