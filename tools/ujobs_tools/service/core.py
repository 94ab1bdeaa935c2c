"""Common base of the engine: transactions with the notifications they cause, and the follow-up when an execution ends
(retries, completion of its job)."""

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from ujobs_tools.service import abort, events, limits, model, presigned
from ujobs_tools.service.errors import ApiError, existing, invalid, not_found
from ujobs_tools.service.model import Execution, Job
from ujobs_tools.service.schedule import Schedule
from ujobs_tools.service.store import Store

_log = logging.getLogger(__name__)

# "Jobs limits": pending executions listed by GetPendingJobExecutions and by notify; the second number is of those whose
# job has maintenance windows.
LISTED, LISTED_IN_WINDOWS = 10, 5


def _cannot_presign(location: presigned.Location, seconds: int) -> str:
    raise invalid(f"presigned URL of {location.bucket}/{location.key}: this service has no S3")


def _without_null_members(value: Any) -> Any:
    # AWS serialises documents again for the device and drops the spaces.
    if isinstance(value, dict):
        return {name: _without_null_members(member) for name, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_without_null_members(item) for item in value]
    return value


class Core:
    """The store, the clock and the hooks.

    clock: returns epoch seconds. region, account: for ARNs. on_notification(thing, "notify" | "notify-next", payload):
    called for each notification, after the change that causes it is stored. on_event(topic, payload): the same for
    events, after the notifications. on_change(): called after each stored change of executions. on_identity_change():
    called when clients may have lost permissions. presign(location, seconds): returns the presigned URL of an S3
    object. rights_version: changes with every change of permissions. All other state is in the store, so a restart
    loses nothing.
    """

    def __init__(
        self, store: Store, clock: Callable[[], float], region: str = "us-east-1", account: str = "000000000000"
    ) -> None:
        self.store = store
        self.clock = clock
        self.region = region
        self.account = account
        self.on_notification: Callable[[str, str, dict[str, Any]], None] = lambda thing, suffix, payload: None
        self.on_event: Callable[[str, dict[str, Any]], None] = lambda topic, payload: None
        self.on_change: Callable[[], None] = lambda: None
        self.on_identity_change: Callable[[], None] = lambda: None
        self.presign: presigned.Sign = _cannot_presign
        self.rights_version = 0
        self._fronts: dict[str, int | None] = {}
        self._log_lines: list[tuple[object, ...]] = []
        self._events: list[events.Event] = []

    def arn(self, kind: str, name: str) -> str:
        """The ARN of a "thing", "thinggroup", "job", "stream", "cert", "policy" or "provisioningtemplate"."""
        return f"arn:aws:iot:{self.region}:{self.account}:{kind}/{name}"

    def _check_here(self, arn: str, kind: str, name: str, missing: str) -> None:
        """Raises ApiError ResourceNotFound, with this text, for the ARN of another region or account: their resources
        do not exist here."""
        if arn != self.arn(kind, name):
            raise not_found(f"{missing} {arn} is not of {self.region} and account {self.account}.")

    @contextmanager
    def _change(self, things: Iterable[str]) -> Iterator[float]:
        """A transaction that may change executions of these things, and of those given to `_watch`; yields the time to
        use in it.

        Once it is stored, each thing whose set of pending executions has changed gets `notify`, and each thing whose
        queue has another execution at its front gets `notify-next`. An execution that starts or reports progress
        causes neither ("Jobs notifications").
        """
        now = self.clock()
        with self.store.transaction():
            self._fronts = {}
            self._log_lines = []
            self._events = []
            self._watch(things)
            self.store.requeued()
            yield now
        for message, *arguments in self._log_lines:
            _log.info(message, *arguments)
        requeued = self.store.requeued()
        notifications = []
        for thing, front in self._fronts.items():
            if thing in requeued:
                notifications.append((thing, "notify", self._list_payload(thing, now)))
            if self.store.front(thing) != front:
                notifications.append((thing, "notify-next", self._next_payload(thing, now)))
        for notification in notifications:
            self.on_notification(*notification)
        for event in self._events:
            self.on_event(*event)
        self.on_change()

    def _report(self, message: str, *arguments: object) -> None:
        """Write to the log once this transaction is stored: a line there promises that a restart does not undo it."""
        self._log_lines.append((message, *arguments))

    def _tell_of_job(self, job: Job, operation: str, now: float) -> None:
        """Publish an event of the job once this transaction is stored, if such events are enabled."""
        if self.store.is_event_type_enabled(events.JOB):
            counts = self.store.counts(job.job_id) if operation in ("completed", "canceled") else None
            self._events.append(events.of_job(job, operation, now, counts))

    def _tell_of_deletion(self, job: Job, now: float) -> None:
        """The same for a job that is deleted with its executions."""
        self._tell_of_job(job, "deletion_in_progress", now)
        if self.store.is_event_type_enabled(events.EXECUTION):
            for execution in self.store.executions(None, -1, job_id=job.job_id):
                self._tell_of_execution(execution, now, deleted=True)
        self._tell_of_job(job, "deleted", now)

    def _tell_of_execution(self, execution: Execution, now: float, deleted: bool = False) -> None:
        """The same for an execution that has ended or is deleted."""
        if self.store.is_event_type_enabled(events.EXECUTION):
            arn = self.arn("thing", execution.thing)
            self._events.append(events.of_execution(execution, arn, now, deleted))

    def _watch(self, things: Iterable[str]) -> None:
        """Also notify these things of changes that this transaction makes from now on."""
        for thing in things:
            if thing not in self._fronts:
                self._fronts[thing] = self.store.front(thing)

    def _list_payload(self, thing: str, now: float) -> dict[str, Any]:
        jobs: dict[str, list[dict[str, Any]]] = {}
        for execution in self._listed(thing):
            jobs.setdefault(execution.status, []).append(model.pending_summary(execution))
        return {"timestamp": int(now), "jobs": jobs}

    def _listed(self, thing: str) -> list[Execution]:
        """The pending executions that a list has, of the first 15; AWS does not document how it chooses."""
        asked = LISTED + LISTED_IN_WINDOWS
        room = {True: LISTED_IN_WINDOWS, False: LISTED}
        listed = []
        for execution, has_windows in zip(
            self.store.pending(thing, asked), self.store.have_windows(thing, asked), strict=True
        ):
            if room[has_windows]:
                room[has_windows] -= 1
                listed.append(execution)
        return listed

    def _next_payload(self, thing: str, now: float) -> dict[str, Any]:
        payload: dict[str, Any] = {"timestamp": int(now)}
        for execution in self.store.pending(thing, 1):
            payload["execution"] = model.device_view(execution, now, self._document(execution.job_id))
        return payload

    def _document(self, job_id: str) -> Any:
        """The job document as sent to a device, with new presigned URLs."""
        document, config = self.store.document(job_id)
        try:
            filled = presigned.filled(document, config, self.presign)
        except ApiError as error:
            _log.error("job %s keeps its placeholders of presigned URLs: %s", job_id, error.message)
            filled = json.loads(document)
        return _without_null_members(filled)

    def _start(self, execution: Execution, now: float) -> None:
        """Enter IN_PROGRESS from QUEUED: the in-progress timer begins (TimeoutConfig)."""
        execution.status = model.IN_PROGRESS
        execution.started_at = now
        job = self._job(execution.job_id)
        if job.in_progress_timeout is not None:
            execution.job_deadline = now + job.in_progress_timeout * 60

    def _save(self, execution: Execution, now: float) -> None:
        """Store the current state of an execution as its next version."""
        if execution.status != model.REMOVED:  # the only status for which AWS does not increment the version
            execution.version += 1
        execution.last_updated_at = now
        self.store.save_execution(execution)
        details = "  ".join(f"{name}: {value}" for name, value in (execution.details or {}).items())
        self._report("%s: job %s %s  %s", execution.thing, execution.job_id, execution.status, details)

    def _end(self, execution: Execution, status: str, now: float) -> None:
        """Store a terminal status; then create the retry that is due, and complete the job if it is done."""
        execution.status = status
        execution.step_deadline = execution.job_deadline = None
        self._save(execution, now)
        self._tell_of_execution(execution, now)
        job = self._job(execution.job_id)
        if job.status in model.UNDER_WAY and self._may_retry(job, execution):
            self.store.add_execution(
                execution.thing, execution.job_id, execution.number + 1, now, execution.retry_attempt + 1,
                held=job.status == model.SCHEDULED,
            )
            self._report("%s: job %s queued again after it %s", execution.thing, execution.job_id, status)
        self._settle(job, now)

    def _may_retry(self, job: Job, execution: Execution) -> bool:
        # Only FAILED and TIMED_OUT are retried, and only while the thing is a target (JobExecutionsRetryConfig).
        failures = (model.FAILED, model.TIMED_OUT)
        if not job.retries or execution.status not in failures:
            return False
        if job.target_selection == "CONTINUOUS" and not self._is_target(job, execution.thing):
            return False
        counted = failures if "ALL" in job.retries else (execution.status,)
        return self.store.ended(execution, counted) <= job.retries.get("ALL", job.retries.get(execution.status, 0))

    def _is_target(self, job: Job, thing: str) -> bool:
        """Whether the job targets this thing, directly or through a thing group."""
        targets = {("thing", thing)} | {("thinggroup", name) for name in self.store.groups_over(thing)}
        return any(limits.target(arn) in targets for arn in job.targets)

    def _queue(self, things: Sequence[str], job_id: str, now: float) -> None:
        """Queue each thing's first execution of a job, or another one if its latest has ended."""
        for thing in things:
            latest = self.store.execution(thing, job_id, None)
            if latest is None or latest.status in model.TERMINAL:
                self.store.add_execution(thing, job_id, latest.number + 1 if latest else 1, now)
        if things:
            self._report("job %s queued for %s", job_id, things[0] if len(things) == 1 else f"{len(things)} things")

    def _settle(self, job: Job, now: float) -> None:
        """Cancel a job that meets one of its abort criteria, or complete it if it is done.

        A SNAPSHOT job is done when all its executions have ended; a CONTINUOUS one also needs its schedule to end.
        """
        if job.status not in model.UNDER_WAY:
            return
        reason = abort.reason(job.abort, self.store.counts(job.job_id)) if job.abort else None
        if reason is not None:
            self._cancel(job, now, abort.REASON_CODE, reason)
        elif self._ends_by_itself(job, now) and not self.store.has_pending(job.job_id):
            job.status = model.COMPLETED
            job.completed_at = job.last_updated_at = now
            job.due_at = None
            self.store.save_job(job)
            self._report("job %s COMPLETED", job.job_id)
            self._tell_of_job(job, "completed", now)

    def _ends_by_itself(self, job: Job, now: float) -> bool:
        if job.target_selection == "SNAPSHOT":
            return job.status == model.IN_PROGRESS and not self.store.waiting(job.job_id, 1)
        end = Schedule(job.scheduling).end
        return end is not None and now >= end

    def _cancel(
        self, job: Job, now: float, reason_code: str | None, comment: str | None, force: bool = False
    ) -> None:
        """Cancel a job and its QUEUED executions; with force also those IN_PROGRESS."""
        job.status = model.CANCELED
        job.reason_code, job.comment, job.force_canceled = reason_code, comment, force
        job.completed_at = job.last_updated_at = now
        job.due_at = None
        self.store.stop_waiting(job.job_id)
        self.store.save_job(job)
        self._report("job %s CANCELED  %s", job.job_id, comment or "")
        self._tell_of_job(job, "cancellation_in_progress", now)
        pending = self.store.pending_of_job(job.job_id)
        self._watch(execution.thing for execution in pending)
        for execution in pending:
            if execution.status == model.QUEUED or force:
                execution.force_canceled = force
                self._end(execution, model.CANCELED, now)
        self._tell_of_job(job, "canceled", now)

    def _known_job(self, job_id: str) -> Job:
        """The job. Raises ApiError ResourceNotFound."""
        return existing(self.store.job(limits.job_id(job_id)), f"Job {job_id} cannot be found.")

    def _job(self, job_id: str) -> Job:
        job = self.store.job(job_id)
        if job is None:
            raise LookupError(f"job {job_id} is not in the store")
        return job
