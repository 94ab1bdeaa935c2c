"""Rolls out a job to its things: at once, at a rate, in maintenance windows, between a start and an end."""

from collections.abc import Sequence

from ujobs_tools.service import model, rollout
from ujobs_tools.service.core import Core
from ujobs_tools.service.model import Job
from ujobs_tools.service.schedule import Schedule


class JobCourse(Core):
    """Things wait for a job until it is rolled out to them. Outside its times a job is SCHEDULED and its QUEUED
    executions are hidden from their things ("Jobs notifications": they appear only during a maintenance window)."""

    def advance_jobs(self) -> None:
        """Carry out what is due now: jobs start, roll out to their next things, pause and end."""
        for job in self.store.due_jobs(self.clock()):
            with self._change(()) as now:
                self._go_on(job, now)

    def _begin(self, job: Job, things: Sequence[str], now: float) -> None:
        """Store a new job and start its rollout."""
        self.store.add_job(job)
        if job.rollout is None and job.scheduling is None:
            self._watch(things)
            self._queue(things, job.job_id, now)
            self._settle(job, now)
        else:
            self.store.wait(job.job_id, things)
            self._go_on(job, now)

    def _join(self, job: Job, things: Sequence[str], now: float) -> None:
        """Queue a CONTINUOUS job for things that have become targets: at once, regardless of its rate, unless the job
        is SCHEDULED."""
        if job.status == model.SCHEDULED:
            self.store.wait(job.job_id, things)
        else:
            self._watch(things)
            self._queue(things, job.job_id, now)

    def _go_on(self, job: Job, now: float) -> None:
        schedule = Schedule(job.scheduling)
        if schedule.end is not None and now >= schedule.end:
            self._end_schedule(job, schedule.end_behavior, now)
            return
        before, is_open = job.status, schedule.is_open(now)
        job.status = model.IN_PROGRESS if is_open else model.SCHEDULED
        if job.status != before:
            job.last_updated_at = now
            self._watch(self.store.queued_things(job.job_id))
            self.store.hold(job.job_id, not is_open)
            self._report("job %s %s", job.job_id, job.status)
        if is_open and (job.batch_at is None or now >= job.batch_at + rollout.PERIOD):
            self._go_to_next_things(job, now)
        due = [schedule.next_change(now)]
        if is_open and job.batch_at is not None and self.store.waiting(job.job_id, 1):
            due.append(job.batch_at + rollout.PERIOD)
        job.due_at = min((moment for moment in due if moment is not None), default=None)
        self.store.save_job(job)
        self._settle(job, now)

    def _go_to_next_things(self, job: Job, now: float) -> None:
        counts = self.store.counts(job.job_id)
        rate = rollout.per_minute(job.rollout, sum(counts.values()), counts.get(model.SUCCEEDED, 0))
        batch = self.store.waiting(job.job_id, -1 if rate is None else rate)
        if not batch:
            return
        self.store.stop_waiting(job.job_id, batch)
        self._watch(batch)
        job.batch_at = now
        self._queue([thing for thing in batch if self._is_still_there(job, thing)], job.job_id, now)

    def _is_still_there(self, job: Job, thing: str) -> bool:
        """Whether a waiting thing still exists and, for a CONTINUOUS job, is still a target."""
        if self.store.thing(thing) is None:
            return False
        return job.target_selection == "SNAPSHOT" or self._is_target(job, thing)

    def _end_schedule(self, job: Job, behavior: str, now: float) -> None:
        if behavior != "STOP_ROLLOUT":
            self._cancel(job, now, None, f"endTime has come: {behavior}", force=behavior == "FORCE_CANCEL")
            return
        between_windows = job.status == model.SCHEDULED
        job.status, job.due_at, job.last_updated_at = model.IN_PROGRESS, None, now
        self.store.stop_waiting(job.job_id)
        self.store.save_job(job)
        if between_windows:
            # There is no further window in which the queued executions could run.
            for execution in self.store.pending_of_job(job.job_id):
                if execution.status == model.QUEUED:
                    self._watch([execution.thing])
                    self._end(execution, model.CANCELED, now)
        self._settle(self._job(job.job_id), now)
