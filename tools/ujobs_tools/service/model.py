"""Jobs and job executions in memory, and their shapes in each API.

Times are epoch seconds with fractions. The device's API and the data plane return whole seconds, the control plane
fractions (AWS API reference: JobExecution, JobExecutionSummary, JobExecutionState; data types of the IoT Jobs data
plane and of AWS IoT)."""

import math
from dataclasses import dataclass
from typing import Any

QUEUED = "QUEUED"
IN_PROGRESS = "IN_PROGRESS"
SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"
TIMED_OUT = "TIMED_OUT"
REJECTED = "REJECTED"
REMOVED = "REMOVED"
CANCELED = "CANCELED"
COMPLETED = "COMPLETED"
SCHEDULED = "SCHEDULED"

PENDING = (IN_PROGRESS, QUEUED)
TERMINAL = (SUCCEEDED, FAILED, TIMED_OUT, REJECTED, REMOVED, CANCELED)
DEVICE_SETTABLE = (IN_PROGRESS, SUCCEEDED, FAILED, REJECTED)
STATUSES = PENDING + TERMINAL
UNDER_WAY = (IN_PROGRESS, SCHEDULED)  # of a job that has not ended


@dataclass(slots=True)
class Job:
    """A job. document: as sent to things. in_progress_timeout: minutes. retries: failure type (FAILED, TIMED_OUT, ALL)
    -> number of retries. job_template_arn, document_parameters: the origin of the document. rollout, abort, scheduling:
    checked configurations. document_source: the S3 URL that the document was read from. presigned: presignedUrlConfig.
    batch_at: when it was last rolled out to waiting things. due_at: when its next rollout or
    schedule step is due."""

    job_id: str
    document: str
    targets: list[str]
    target_selection: str
    status: str
    created_at: float
    last_updated_at: float
    description: str | None = None
    in_progress_timeout: int | None = None
    retries: dict[str, int] | None = None
    completed_at: float | None = None
    force_canceled: bool = False
    reason_code: str | None = None
    comment: str | None = None
    job_template_arn: str | None = None
    document_parameters: dict[str, str] | None = None
    rollout: dict[str, Any] | None = None
    abort: dict[str, Any] | None = None
    scheduling: dict[str, Any] | None = None
    document_source: str | None = None
    presigned: dict[str, Any] | None = None
    batch_at: float | None = None
    due_at: float | None = None


@dataclass(slots=True)
class Execution:
    """One job execution: one thing's attempt at one job.

    sequence: order of creation over the whole store. The deadlines are epoch seconds, None while no such timer runs.
    """

    sequence: int
    thing: str
    job_id: str
    number: int
    queued_at: float
    last_updated_at: float
    status: str = QUEUED
    version: int = 1
    details: dict[str, str] | None = None
    started_at: float | None = None
    step_deadline: float | None = None
    job_deadline: float | None = None
    retry_attempt: int = 0
    force_canceled: bool = False

    def seconds_left(self, now: float) -> int | None:
        """approximateSecondsBeforeTimedOut: until the earlier of the two timers expires; None if none runs."""
        deadlines = [deadline for deadline in (self.step_deadline, self.job_deadline) if deadline is not None]
        return max(0, math.ceil(min(deadlines) - now)) if deadlines else None


def _without_none(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _seconds(moment: float | None) -> int | None:
    return None if moment is None else int(moment)


def pending_summary(execution: Execution) -> dict[str, Any]:
    """JobExecutionSummary of the data plane, as in GetPendingJobExecutions and `notify`."""
    return _without_none(
        jobId=execution.job_id, queuedAt=_seconds(execution.queued_at), startedAt=_seconds(execution.started_at),
        lastUpdatedAt=_seconds(execution.last_updated_at), executionNumber=execution.number,
        versionNumber=execution.version,
    )


def device_view(execution: Execution, now: float, document: Any = None) -> dict[str, Any]:
    """JobExecution as sent to a device over MQTT: without thingName; with the document if one is given."""
    return _without_none(
        status=execution.status, statusDetails=execution.details, **pending_summary(execution),
        approximateSecondsBeforeTimedOut=execution.seconds_left(now), jobDocument=document,
    )


def execution_state(execution: Execution) -> dict[str, Any]:
    """JobExecutionState, as in the replies to accepted and rejected updates."""
    return _without_none(status=execution.status, statusDetails=execution.details, versionNumber=execution.version)


def control_summary(execution: Execution) -> dict[str, Any]:
    """JobExecutionSummary of the control plane."""
    return _without_none(
        status=execution.status, queuedAt=execution.queued_at, startedAt=execution.started_at,
        lastUpdatedAt=execution.last_updated_at, executionNumber=execution.number,
        retryAttempt=execution.retry_attempt,
    )


def control_view(execution: Execution, thing_arn: str, now: float) -> dict[str, Any]:
    """JobExecution of the control plane: statusDetails are nested in detailsMap, and present even if none were set."""
    return _without_none(
        jobId=execution.job_id, status=execution.status, forceCanceled=execution.force_canceled or None,
        statusDetails={} if execution.details is None else {"detailsMap": execution.details},
        thingArn=thing_arn, queuedAt=execution.queued_at, startedAt=execution.started_at,
        lastUpdatedAt=execution.last_updated_at, executionNumber=execution.number, versionNumber=execution.version,
        approximateSecondsBeforeTimedOut=execution.seconds_left(now),
    )


def retry_config(job: Job) -> dict[str, Any] | None:
    """jobExecutionsRetryConfig of a job; None if it has none."""
    criteria = [{"failureType": kind, "numberOfRetries": number} for kind, number in (job.retries or {}).items()]
    return {"criteriaList": criteria} if criteria else None


def timeout_config(job: Job) -> dict[str, int]:
    """timeoutConfig of a job; empty if it has none."""
    minutes = job.in_progress_timeout
    return {} if minutes is None else {"inProgressTimeoutInMinutes": minutes}


def job_summary(job: Job, job_arn: str, rolling_out: bool) -> dict[str, Any]:
    """JobSummary. rolling_out: whether things wait for the job (isConcurrent)."""
    return _without_none(
        jobArn=job_arn, jobId=job.job_id, targetSelection=job.target_selection, status=job.status,
        createdAt=job.created_at, lastUpdatedAt=job.last_updated_at, completedAt=job.completed_at,
        isConcurrent=rolling_out and job.status == IN_PROGRESS,
    )


def job_view(
    job: Job, job_arn: str, counts: dict[str, int], rolling_out: bool, windows: list[dict[str, str]]
) -> dict[str, Any]:
    """Job as in DescribeJob. counts: executions by status, including retries. windows: the next maintenance windows.

    timeoutConfig, schedulingConfig, presignedUrlConfig and jobExecutionsRolloutConfig are present even if unset.
    """
    return _without_none(
        **job_summary(job, job_arn, rolling_out),
        targets=job.targets, description=job.description, forceCanceled=job.force_canceled or None,
        reasonCode=job.reason_code, comment=job.comment,
        jobTemplateArn=job.job_template_arn, documentParameters=job.document_parameters,
        jobExecutionsRetryConfig=retry_config(job),
        presignedUrlConfig=job.presigned or {}, jobExecutionsRolloutConfig=job.rollout or {}, abortConfig=job.abort,
        schedulingConfig=job.scheduling or {}, scheduledJobRollouts=windows or None,
        timeoutConfig=timeout_config(job),
        jobProcessDetails={
            f"numberOf{name}Things": counts.get(status, 0)
            for status, name in (
                (QUEUED, "Queued"), (IN_PROGRESS, "InProgress"), (SUCCEEDED, "Succeeded"), (FAILED, "Failed"),
                (REJECTED, "Rejected"), (CANCELED, "Canceled"), (REMOVED, "Removed"), (TIMED_OUT, "TimedOut"),
            )
        },
    )
