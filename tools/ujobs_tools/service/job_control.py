"""The control plane's operations on jobs and their executions.

Method names, parameter names and the shapes of replies are boto3's for the `iot` client; the AWS IoT API reference
documents them. A parameter of AWS that a method lacks is not implemented."""

from collections.abc import Callable, Mapping
from typing import Any

from ujobs_tools.service import limits, managed_templates, model, paging
from ujobs_tools.service.errors import existing, invalid, not_found, wrong_state
from ujobs_tools.service.job_creation import JobCreation
from ujobs_tools.service.model import Execution, Job
from ujobs_tools.service.schedule import Schedule


class JobControl(JobCreation):
    """DescribeJob, ListJobs, CancelJob, DeleteJob and related operations; all raise ApiError."""

    def describe_job(self, jobId: str, beforeSubstitution: bool = False) -> dict[str, Any]:
        """The job with the number of its executions in each status."""
        job = self._known_job(jobId)
        schedule = Schedule(job.scheduling)
        windows = schedule.next_windows(self.clock()) if job.status in model.UNDER_WAY else []
        rolling_out = bool(self.store.waiting(jobId, 1))
        view = model.job_view(job, self.arn("job", jobId), self.store.counts(jobId), rolling_out, windows)
        source = {} if job.document_source is None else {"documentSource": job.document_source}
        return {"job": view, **source}

    def get_job_document(self, jobId: str, beforeSubstitution: bool = False) -> dict[str, Any]:
        """The job document; with beforeSubstitution and a managed template, the template's document."""
        job = self._known_job(jobId)
        template = job.job_template_arn
        if beforeSubstitution and template is not None and managed_templates.is_managed(template):
            return {"document": managed_templates.by_arn(template, self.region).document}
        return {"document": job.document}

    def list_jobs(
        self, status: str | None = None, targetSelection: str | None = None, thingGroupName: str | None = None,
        thingGroupId: str | None = None, maxResults: int | None = None, nextToken: str | None = None,
    ) -> dict[str, Any]:
        """Summaries of jobs, newest first; with a thing group only of jobs that target it."""
        limit = paging.size(maxResults)
        groups = None
        if thingGroupName is not None or thingGroupId is not None:
            group = self.store.group(thingGroupName, thingGroupId)
            groups = [existing(group, f"Thing Group {thingGroupName or thingGroupId} cannot be found.").name]
        found = self.store.jobs(status, targetSelection, groups, paging.sequence("jobs", nextToken), limit + 1)
        return paging.page(
            "jobs", found, limit,
            lambda item: self._summary(item[1]), lambda item: item[0],
        )

    def _summary(self, job: Job) -> dict[str, Any]:
        return model.job_summary(job, self.arn("job", job.job_id), bool(self.store.waiting(job.job_id, 1)))

    def cancel_job(
        self, jobId: str, reasonCode: str | None = None, comment: str | None = None, force: bool = False
    ) -> dict[str, Any]:
        """Cancel a job that has not ended and its QUEUED executions; with force also those IN_PROGRESS."""
        job = self._known_job(jobId)
        if job.status not in model.UNDER_WAY:
            raise invalid(f"Job {jobId} cannot be canceled: its status is {job.status}, not IN_PROGRESS.")
        reason_code, comment = limits.reason_code(reasonCode), limits.free_text("comment", comment)
        with self._change(()) as now:
            self._cancel(job, now, reason_code, comment, force)
        return self._job_identity(job)

    def delete_job(self, jobId: str, force: bool = False) -> dict[str, Any]:
        """Delete a job and its executions at once; a job that is IN_PROGRESS only with force."""
        job = self._known_job(jobId)
        if job.status not in (model.COMPLETED, model.CANCELED) and not force:
            raise wrong_state(
                f"Job {jobId} cannot be deleted without force: its status is {job.status}, not COMPLETED or CANCELED."
            )
        with self._change(execution.thing for execution in self.store.pending_of_job(jobId)) as now:
            self._tell_of_deletion(job, now)
            self.store.delete_job(jobId)
            self.store.delete_tags(self.arn("job", jobId))
        return {}

    def describe_job_execution(self, jobId: str, thingName: str, executionNumber: int | None = None) -> dict[str, Any]:
        """One execution in any status; the latest if no number is given."""
        execution = self._known_execution(thingName, jobId, executionNumber)
        return {"execution": model.control_view(execution, self.arn("thing", thingName), self.clock())}

    def _known_execution(self, thing: str, job_id: str, number: int | None) -> Execution:
        execution = self.store.execution(limits.thing_name(thing), limits.job_id(job_id), number)
        if execution is None and self.store.job(job_id) is None:
            raise not_found(f"Job execution cannot be found as the Job {job_id} does not exist.")
        return existing(execution, f"Job execution for thing {thing} cannot be found within job {job_id}.")

    def list_job_executions_for_job(
        self, jobId: str, status: str | None = None, maxResults: int | None = None, nextToken: str | None = None
    ) -> dict[str, Any]:
        """Summaries of the job's executions, newest first."""
        self._known_job(jobId)
        return self._page_of_executions(
            maxResults, nextToken, lambda execution: {"thingArn": self.arn("thing", execution.thing)},
            job_id=jobId, status=status,
        )

    def _page_of_executions(
        self, max_results: int | None, token: str | None, whose: Callable[[Execution], dict[str, str]],
        **wanted: str | None,
    ) -> dict[str, Any]:
        limit, name = paging.size(max_results), "executionSummaries"
        return paging.page(
            name, self.store.executions(paging.sequence(name, token), limit + 1, **wanted), limit,
            lambda execution: {**whose(execution), "jobExecutionSummary": model.control_summary(execution)},
            lambda execution: execution.sequence,
        )

    def list_job_executions_for_thing(
        self, thingName: str, status: str | None = None, jobId: str | None = None, maxResults: int | None = None,
        nextToken: str | None = None,
    ) -> dict[str, Any]:
        """Summaries of the thing's executions, newest first; also of a thing that was deleted."""
        found = self._page_of_executions(
            maxResults, nextToken, lambda execution: {"jobId": execution.job_id},
            thing=limits.thing_name(thingName), status=status, job_id=jobId,
        )
        if not found["executionSummaries"] and self.store.thing(thingName) is None:
            raise not_found(f"Thing {thingName} cannot be found.")
        return found

    def cancel_job_execution(
        self, jobId: str, thingName: str, force: bool = False, expectedVersion: int | None = None,
        statusDetails: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Cancel the latest execution if it is QUEUED; with force also if it is IN_PROGRESS.

        Raises VersionConflict if its version is not expectedVersion, InvalidStateTransition.
        """
        details = limits.status_details(statusDetails)
        execution = self._known_execution(thingName, jobId, None)
        limits.expected_version(expectedVersion, execution.version)
        if execution.status in model.TERMINAL or (execution.status == model.IN_PROGRESS and not force):
            hint = "" if execution.status in model.TERMINAL else " without force"
            raise wrong_state(f"Job execution in status {execution.status} cannot be canceled{hint}.")
        with self._change([thingName]) as now:
            execution.force_canceled = force
            if details is not None:
                execution.details = details
            self._end(execution, model.CANCELED, now)
        return {}

    def delete_job_execution(
        self, jobId: str, thingName: str, executionNumber: int, force: bool = False
    ) -> dict[str, Any]:
        """Delete an execution; if it is IN_PROGRESS, only with force."""
        if executionNumber < 1:
            raise invalid("Execution number is invalid.")
        execution = self._known_execution(thingName, jobId, executionNumber)
        if execution.status == model.IN_PROGRESS and not force:
            raise wrong_state("Job execution in status IN_PROGRESS cannot be deleted without force.")
        with self._change([thingName]) as now:
            self.store.delete_execution(execution)
            self._tell_of_execution(execution, now, deleted=True)
            self._settle(self._known_job(jobId), now)
        return {}
