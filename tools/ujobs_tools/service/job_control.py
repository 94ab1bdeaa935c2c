"""The control plane's operations on jobs and their executions.

Method and parameter names are boto3's for the `iot` client, and so are the shapes of the replies; the AWS IoT API
reference documents them. A parameter of AWS that a method here lacks is one that this service does not implement."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ujobs_tools.service import limits, model, paging
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError, invalid, not_found
from ujobs_tools.service.model import Execution, Job

# Whatever region and account: scripts that build ARNs from their session's own values work here too.
_TARGET = re.compile(r"arn:aws[a-z-]*:iot:[^:/]*:[^:/]*:(thing|thinggroup)/(.+)")


class JobControl(Core):
    """CreateJob, DescribeJob, ListJobs, CancelJob, DeleteJob and their like; all raise ApiError."""

    def create_job(
        self,
        jobId: str,
        targets: Sequence[str],
        document: str | None = None,
        description: str | None = None,
        targetSelection: str = "SNAPSHOT",
        timeoutConfig: Mapping[str, Any] | None = None,
        jobExecutionsRetryConfig: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Queue an execution for each target thing. Raises InvalidRequest, ResourceNotFound for an unknown target,
        ResourceAlreadyExists."""
        job_id = limits.job_id(jobId)
        if document is None:
            raise invalid("document is required")
        if targetSelection not in ("SNAPSHOT", "CONTINUOUS"):
            raise invalid("targetSelection must be SNAPSHOT or CONTINUOUS")
        now = self.clock()
        job = Job(
            job_id, limits.document(document), limits.targets(targets), targetSelection, model.IN_PROGRESS, now, now,
            limits.free_text("description", description), limits.in_progress_timeout(timeoutConfig),
            limits.retry_criteria(jobExecutionsRetryConfig) or None,
        )
        if self.store.job(job_id) is not None:
            raise ApiError(
                "ResourceAlreadyExists", f"Job {job_id} already exists.",
                resourceId=job_id, resourceArn=self.arn("job", job_id),
            )
        things = [self._target(arn) for arn in job.targets]
        with self._change(things) as now:
            self.store.add_job(job)
            for thing in dict.fromkeys(things):
                self.store.add_execution(thing, job_id, 1, now)
        return self._job_identity(job)

    def _target(self, arn: str) -> str:
        match = _TARGET.fullmatch(arn)
        if match is None:
            raise invalid(f"target {arn!r} must be the ARN of a thing or a thing group")
        kind, name = match.groups()
        if kind == "thinggroup":
            raise not_found(f"Thing Group {name} cannot be found.")
        if self.store.thing(name) is None:
            raise not_found(f"Thing {name} cannot be found.")
        return name

    def _job_identity(self, job: Job) -> dict[str, Any]:
        identity = {"jobArn": self.arn("job", job.job_id), "jobId": job.job_id}
        return identity | ({} if job.description is None else {"description": job.description})

    def _known_job(self, job_id: str) -> Job:
        job = self.store.job(limits.job_id(job_id))
        if job is None:
            raise not_found(f"Job {job_id} cannot be found.")
        return job

    def describe_job(self, jobId: str) -> dict[str, Any]:
        """The job with the numbers of its executions by status."""
        job = self._known_job(jobId)
        return {"job": model.job_view(job, self.arn("job", jobId), self.store.counts(jobId))}

    def get_job_document(self, jobId: str) -> dict[str, Any]:
        """The job document, as it was given."""
        return {"document": self._known_job(jobId).document}

    def list_jobs(
        self,
        status: str | None = None,
        targetSelection: str | None = None,
        maxResults: int | None = None,
        nextToken: str | None = None,
    ) -> dict[str, Any]:
        """Summaries of jobs, newest first."""
        limit = paging.size(maxResults)
        found = self.store.jobs(status, targetSelection, paging.sequence(nextToken), limit + 1)
        return paging.page(
            "jobs", found, limit,
            lambda item: model.job_summary(item[1], self.arn("job", item[1].job_id)), lambda item: item[0],
        )

    def cancel_job(
        self, jobId: str, reasonCode: str | None = None, comment: str | None = None, force: bool = False
    ) -> dict[str, Any]:
        """Cancel a job that is IN_PROGRESS and its QUEUED executions; with force those IN_PROGRESS as well."""
        job = self._known_job(jobId)
        if job.status != model.IN_PROGRESS:
            raise invalid(f"Job {jobId} cannot be canceled: its status is {job.status}, not IN_PROGRESS.")
        job.reason_code = limits.reason_code(reasonCode)
        job.comment = limits.free_text("comment", comment)
        job.force_canceled = force
        job.status = model.CANCELED
        pending = self.store.pending_of_job(jobId)
        with self._change(execution.thing for execution in pending) as now:
            job.completed_at = job.last_updated_at = now
            self.store.save_job(job)
            for execution in pending:
                if execution.status == model.QUEUED or force:
                    execution.force_canceled = force
                    self._end(execution, model.CANCELED, now)
        return self._job_identity(job)

    def delete_job(self, jobId: str, force: bool = False) -> dict[str, Any]:
        """Delete a job and its executions, at once; one that is IN_PROGRESS only with force."""
        job = self._known_job(jobId)
        if job.status not in (model.COMPLETED, model.CANCELED) and not force:
            raise ApiError(
                "InvalidStateTransition",
                f"Job {jobId} cannot be deleted without force: its status is {job.status}, not COMPLETED or CANCELED.",
            )
        with self._change(execution.thing for execution in self.store.pending_of_job(jobId)):
            self.store.delete_job(jobId)
        return {}

    def describe_job_execution(
        self, jobId: str, thingName: str, executionNumber: int | None = None
    ) -> dict[str, Any]:
        """One execution, whatever its status; the latest when no number is given."""
        execution = self._known_execution(thingName, jobId, executionNumber)
        return {"execution": model.control_view(execution, self.arn("thing", thingName), self.clock())}

    def _known_execution(self, thing: str, job_id: str, number: int | None) -> Execution:
        execution = self.store.execution(limits.thing_name(thing), limits.job_id(job_id), number)
        if execution is None:
            raise not_found(f"Job execution for thing {thing} cannot be found within job {job_id}.")
        return execution

    def list_job_executions_for_job(
        self, jobId: str, status: str | None = None, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """Summaries of the job's executions, newest first."""
        self._known_job(jobId)
        limit = paging.size(maxResults)
        found = self.store.executions_of_job(jobId, status, paging.sequence(nextToken), limit + 1)
        return paging.page(
            "executionSummaries", found, limit,
            lambda execution: {
                "thingArn": self.arn("thing", execution.thing),
                "jobExecutionSummary": model.control_summary(execution),
            },
            lambda execution: execution.sequence,
        )

    def list_job_executions_for_thing(
        self,
        thingName: str,
        status: str | None = None,
        jobId: str | None = None,
        maxResults: int | None = None,
        nextToken: str | None = None,
    ) -> dict[str, Any]:
        """Summaries of the thing's executions, newest first; also of a thing deleted since."""
        limit = paging.size(maxResults)
        found = self.store.executions_of_thing(
            limits.thing_name(thingName), status, jobId, paging.sequence(nextToken), limit + 1
        )
        if not found and self.store.thing(thingName) is None:
            raise not_found(f"Thing {thingName} cannot be found.")
        return paging.page(
            "executionSummaries", found, limit,
            lambda execution: {
                "jobId": execution.job_id,
                "jobExecutionSummary": model.control_summary(execution),
            },
            lambda execution: execution.sequence,
        )

    def cancel_job_execution(
        self,
        jobId: str,
        thingName: str,
        force: bool = False,
        expectedVersion: int | None = None,
        statusDetails: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Cancel the latest execution if it is QUEUED; with force also if it is IN_PROGRESS.

        Raises VersionConflict when expectedVersion is not its version, InvalidStateTransition.
        """
        details = limits.status_details(statusDetails)
        execution = self._known_execution(thingName, jobId, None)
        if expectedVersion is not None and expectedVersion != execution.version:
            raise ApiError(
                "VersionConflict", f"Expected version {expectedVersion} but found version {execution.version}"
            )
        if execution.status in model.TERMINAL or (execution.status == model.IN_PROGRESS and not force):
            hint = "" if execution.status in model.TERMINAL else " without force"
            raise ApiError(
                "InvalidStateTransition",
                f"Job execution in status {execution.status} cannot be canceled{hint}.",
            )
        with self._change([thingName]) as now:
            execution.force_canceled = force
            if details is not None:
                execution.details = details
            self._end(execution, model.CANCELED, now)
        return {}

    def delete_job_execution(
        self, jobId: str, thingName: str, executionNumber: int, force: bool = False
    ) -> dict[str, Any]:
        """Delete an execution; one that is IN_PROGRESS only with force."""
        execution = self._known_execution(thingName, jobId, executionNumber)
        if execution.status == model.IN_PROGRESS and not force:
            raise ApiError(
                "InvalidStateTransition", "Job execution in status IN_PROGRESS cannot be deleted without force."
            )
        with self._change([thingName]) as now:
            self.store.delete_execution(execution)
            self._settle(self._known_job(jobId), now)
        return {}
