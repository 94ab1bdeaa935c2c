"""The device's four operations, the same over MQTT and HTTP ("Jobs device MQTT API", "IoT Jobs Data Plane").

Requests are parsed JSON; every member is checked here. AWS does not document whether start-next renews the step timer
of an execution that is already IN_PROGRESS: here it does not, so that a device that relies on it fails visibly."""

from typing import Any

from ujobs_tools.service import limits, model
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError, existing, invalid, wrong_state
from ujobs_tools.service.limits import Request
from ujobs_tools.service.model import Execution

NEXT = "$next"


class DeviceOperations(Core):
    """GetPendingJobExecutions, StartNextPendingJobExecution, DescribeJobExecution, UpdateJobExecution.

    Replies come without clientToken and timestamp; times are whole seconds, jobDocument is parsed JSON.
    """

    def get_pending(self, thing: str) -> dict[str, Any]:
        """The first 10 pending executions, and 5 of jobs whose maintenance window is open, IN_PROGRESS before QUEUED,
        the oldest first: inProgressJobs, queuedJobs."""
        reply: dict[str, list[dict[str, Any]]] = {"inProgressJobs": [], "queuedJobs": []}
        for execution in self._listed(thing):
            name = "queuedJobs" if execution.status == model.QUEUED else "inProgressJobs"
            reply[name].append(model.pending_summary(execution))
        return reply

    def start_next(self, thing: str, request: Request) -> dict[str, Any]:
        """Start the front of the queue, or return it unchanged if it is IN_PROGRESS: {"execution"}, or {} if none.

        request: statusDetails, stepTimeoutInMinutes (1 to 10080). Raises ApiError InvalidRequest.
        """
        details = limits.status_details(request.get("statusDetails"))
        minutes = limits.step_timeout(request, may_discard=False)
        front = self.store.pending(thing, 1)
        if not front:
            return {}
        execution = front[0]
        if execution.status == model.QUEUED:
            with self._change([thing]) as now:
                self._start(execution, now)
                execution.details = details
                _set_step_timer(execution, minutes, now)
                self._save(execution, now)
        return {"execution": self._view(execution, include_document=True)}

    def describe(self, thing: str, job_id: str, request: Request) -> dict[str, Any]:
        """One execution that has not ended; with job_id "$next" the front of the queue, or {} if none.

        request: executionNumber (default: the latest), includeJobDocument (default true). Raises ApiError
        InvalidRequest, ResourceNotFound, TerminalStateReached.
        """
        number = limits.integer(request, "executionNumber")
        include_document = limits.flag(request, "includeJobDocument", True)
        if job_id == NEXT:
            front = self.store.pending(thing, 1)
            return {"execution": self._view(front[0], include_document)} if front else {}
        execution = self._execution(thing, job_id, number)
        if execution.status in model.TERMINAL:
            raise ApiError(
                "TerminalStateReached",
                "Job Execution has reached terminal state. It is neither IN_PROGRESS nor QUEUED",
            )
        return {"execution": self._view(execution, include_document)}

    def update(self, thing: str, job_id: str, request: Request) -> dict[str, Any]:
        """Report a status with progress or a result: {}, or executionState and jobDocument if requested.

        request: status (IN_PROGRESS, SUCCEEDED, FAILED, REJECTED), statusDetails (replaces the whole map; absent:
        unchanged), expectedVersion, executionNumber (default: the latest), stepTimeoutInMinutes (1 to 10080, or -1 to
        discard the timer), includeJobExecutionState, includeJobDocument. Raises ApiError InvalidRequest,
        ResourceNotFound, VersionMismatch, InvalidStateTransition; the last two with the execution's state.
        """
        details = limits.status_details(request.get("statusDetails"))
        expected = limits.integer(request, "expectedVersion")
        number = limits.integer(request, "executionNumber")
        minutes = limits.step_timeout(request, may_discard=True)
        include_state = limits.flag(request, "includeJobExecutionState", False)
        include_document = limits.flag(request, "includeJobDocument", False)
        status = _settable(request.get("status"))
        execution = self._execution(thing, job_id, number)
        if expected is not None and expected != execution.version:
            raise ApiError(
                "VersionMismatch",
                f"Expected version {expected} but found version {execution.version}",
                model.execution_state(execution),
            )
        if execution.status in model.TERMINAL:
            raise wrong_state(
                f"Job {job_id} for {thing} has already finished with status {execution.status}",
                model.execution_state(execution),
            )
        with self._change([thing]) as now:
            if details is not None:
                execution.details = details
            if execution.status == model.QUEUED and status != model.REJECTED:
                self._start(execution, now)
            if status == model.IN_PROGRESS:
                _set_step_timer(execution, minutes, now)
                self._save(execution, now)
            else:
                self._end(execution, status, now)
        reply: dict[str, Any] = {}
        if include_state:
            reply["executionState"] = model.execution_state(execution)
        if include_document:
            reply["jobDocument"] = self._document(job_id)
        return reply

    def _execution(self, thing: str, job_id: str, number: int | None) -> Execution:
        execution = self.store.execution(thing, limits.job_id(job_id), number)
        return existing(execution, f"Job {job_id} not found for {thing}")

    def _view(self, execution: Execution, include_document: bool) -> dict[str, Any]:
        document = self._document(execution.job_id) if include_document else None
        return model.device_view(execution, self.clock(), document)


def _settable(status: object) -> str:
    if not isinstance(status, str) or status not in model.STATUSES:
        settable = ", ".join(model.DEVICE_SETTABLE)
        raise invalid(f"status must be one of {settable}" + (f", not {status!r}" if status is not None else ""))
    if status not in model.DEVICE_SETTABLE:
        raise wrong_state(f"The status of job execution cannot be changed to be {status}")
    return status


def _set_step_timer(execution: Execution, minutes: int | None, now: float) -> None:
    # Without the field, a running timer continues.
    if minutes == limits.DISCARD_STEP_TIMER:
        execution.step_deadline = None
    elif minutes is not None:
        execution.step_deadline = now + minutes * 60
