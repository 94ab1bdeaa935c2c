"""The control plane's operations on jobs and their executions.

Method and parameter names are boto3's for the `iot` client, and so are the shapes of the replies; the AWS IoT API
reference documents them. A parameter of AWS that a method here lacks is one that this service does not implement."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ujobs_tools.service import limits, managed_templates, model, paging
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError, already_exists, existing, invalid, not_found, wrong_state
from ujobs_tools.service.model import Execution, Job


class JobControl(Core):
    """CreateJob, DescribeJob, ListJobs, CancelJob, DeleteJob and their like; all raise ApiError."""

    def create_job(
        self, jobId: str, targets: Sequence[str], document: str | None = None, description: str | None = None,
        targetSelection: str = "SNAPSHOT", timeoutConfig: Mapping[str, Any] | None = None,
        jobExecutionsRetryConfig: Mapping[str, Any] | None = None, jobTemplateArn: str | None = None,
        documentParameters: Mapping[str, str] | None = None,
        jobExecutionsRolloutConfig: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Queue an execution for each thing that is a target or in a target group. The document is given, or made from
        a managed template. All are queued at once: a rollout that would take longer is not implemented. Raises
        InvalidRequest, ResourceNotFound for an unknown target or template,
        ResourceAlreadyExists."""
        job_id = limits.job_id(jobId)
        parameters = dict(documentParameters or {})
        if jobTemplateArn is not None:
            if document is not None:
                raise invalid("document and the jobTemplateArn of a managed template exclude each other")
            template = managed_templates.by_arn(jobTemplateArn)
            document = template.fill(parameters)
            description = template.description if description is None else description
        elif parameters:
            raise invalid("documentParameters can only be used with the jobTemplateArn of a managed template")
        if document is None:
            raise invalid("document is required")
        if targetSelection not in ("SNAPSHOT", "CONTINUOUS"):
            raise invalid("targetSelection must be SNAPSHOT or CONTINUOUS")
        now = self.clock()
        job = Job(
            job_id, limits.document(document), limits.targets(targets), targetSelection, model.IN_PROGRESS, now, now,
            limits.free_text("description", description), limits.in_progress_timeout(timeoutConfig),
            limits.retry_criteria(jobExecutionsRetryConfig) or None, job_template_arn=jobTemplateArn,
            document_parameters=parameters or None,
        )
        if self.store.job(job_id) is not None:
            raise already_exists(f"Job {job_id} already exists.", job_id, self.arn("job", job_id))
        things = self._things(job.targets)
        limits.rollout(jobExecutionsRolloutConfig, len(things))
        with self._change(things) as now:
            self.store.add_job(job)
            self._queue(things, job_id, now)
            self._settle(job, now)
        return self._job_identity(job)

    def _things(self, targets: Sequence[str]) -> list[str]:
        """The names of the things that are targets or in target groups now, each once."""
        things: list[str] = []
        for kind, name in map(limits.target, targets):
            if kind == "thing":
                things.append(existing(self.store.thing(name), f"Thing {name} cannot be found.").name)
            else:
                group = existing(self.store.group(name), f"Thing Group {name} cannot be found.")
                things += self.store.members(group, recursive=True)
        return list(dict.fromkeys(things))

    def associate_targets_with_job(
        self, jobId: str, targets: Sequence[str], comment: str | None = None
    ) -> dict[str, Any]:
        """Add targets to a CONTINUOUS job that is IN_PROGRESS, which may have 100; their things join the job."""
        job = self._known_job(jobId)
        if (job.target_selection, job.status) != ("CONTINUOUS", model.IN_PROGRESS):
            raise invalid(f"Job {jobId} is {job.target_selection} and {job.status}, not CONTINUOUS and IN_PROGRESS.")
        added = [arn for arn in limits.targets(targets) if arn not in job.targets]
        if len(job.targets) + len(added) > limits.MAX_TARGETS:
            raise ApiError("LimitExceeded", f"A job can have at most {limits.MAX_TARGETS} targets.")
        job.comment = limits.free_text("comment", comment) or job.comment
        things = self._things(added)
        with self._change(things) as now:
            job.targets += added
            job.last_updated_at = now
            self.store.save_job(job)
            self._queue(things, jobId, now)
        return self._job_identity(job)

    def update_job(
        self, jobId: str, description: str | None = None, timeoutConfig: Mapping[str, Any] | None = None,
        jobExecutionsRetryConfig: Mapping[str, Any] | None = None,
        jobExecutionsRolloutConfig: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Change a job that is IN_PROGRESS: the time-out of executions that start from now on, retries only to 0."""
        job = self._known_job(jobId)
        if job.status != model.IN_PROGRESS:
            raise invalid(f"Job {jobId} in status {job.status} cannot be updated.")
        limits.rollout(jobExecutionsRolloutConfig, 0)  # All were queued when the job was created.
        if description is timeoutConfig is jobExecutionsRetryConfig is jobExecutionsRolloutConfig is None:
            raise invalid(f"Update Job request for job {jobId} cannot be empty.")
        if description is not None:
            job.description = limits.free_text("description", description)
        if timeoutConfig is not None:
            job.in_progress_timeout = limits.in_progress_timeout(timeoutConfig) or job.in_progress_timeout
        if jobExecutionsRetryConfig is not None:
            retries = limits.retry_criteria(jobExecutionsRetryConfig)
            if any(retries.values()) or set(retries) != set(job.retries or {}):
                raise invalid("jobExecutionsRetryConfig can only set numberOfRetries to 0, of the failure types it has")
            job.retries = retries
        job.last_updated_at = self.clock()
        self.store.save_job(job)
        return {}

    def _job_identity(self, job: Job) -> dict[str, Any]:
        identity = {"jobArn": self.arn("job", job.job_id), "jobId": job.job_id}
        return identity | ({} if job.description is None else {"description": job.description})

    def _known_job(self, job_id: str) -> Job:
        return existing(self.store.job(limits.job_id(job_id)), f"Job {job_id} cannot be found.")

    def describe_job(self, jobId: str, beforeSubstitution: bool = False) -> dict[str, Any]:
        """The job with the numbers of its executions by status; nothing in it has anything substituted."""
        job = self._known_job(jobId)
        return {"job": model.job_view(job, self.arn("job", jobId), self.store.counts(jobId))}

    def get_job_document(self, jobId: str, beforeSubstitution: bool = False) -> dict[str, Any]:
        """The job document, as it was given or made from a managed template; that template's before substitution."""
        job = self._known_job(jobId)
        if beforeSubstitution and job.job_template_arn is not None:
            return {"document": managed_templates.by_arn(job.job_template_arn).document}
        return {"document": job.document}

    def list_jobs(
        self, status: str | None = None, targetSelection: str | None = None, thingGroupName: str | None = None,
        thingGroupId: str | None = None, maxResults: int | None = None, nextToken: str | None = None,
    ) -> dict[str, Any]:
        """Summaries of jobs, newest first; with a thing group only those that have it as a target."""
        limit = paging.size(maxResults)
        groups = None
        if thingGroupName is not None or thingGroupId is not None:
            group = self.store.group(thingGroupName, thingGroupId)
            groups = [existing(group, f"Thing Group {thingGroupName or thingGroupId} cannot be found.").name]
        found = self.store.jobs(status, targetSelection, groups, paging.sequence(nextToken), limit + 1)
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
            raise wrong_state(
                f"Job {jobId} cannot be deleted without force: its status is {job.status}, not COMPLETED or CANCELED."
            )
        with self._change(execution.thing for execution in self.store.pending_of_job(jobId)):
            self.store.delete_job(jobId)
        return {}

    def describe_job_execution(self, jobId: str, thingName: str, executionNumber: int | None = None) -> dict[str, Any]:
        """One execution, whatever its status; the latest when no number is given."""
        execution = self._known_execution(thingName, jobId, executionNumber)
        return {"execution": model.control_view(execution, self.arn("thing", thingName), self.clock())}

    def _known_execution(self, thing: str, job_id: str, number: int | None) -> Execution:
        execution = self.store.execution(limits.thing_name(thing), limits.job_id(job_id), number)
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
        limit = paging.size(max_results)
        return paging.page(
            "executionSummaries", self.store.executions(paging.sequence(token), limit + 1, **wanted), limit,
            lambda execution: {**whose(execution), "jobExecutionSummary": model.control_summary(execution)},
            lambda execution: execution.sequence,
        )

    def list_job_executions_for_thing(
        self, thingName: str, status: str | None = None, jobId: str | None = None, maxResults: int | None = None,
        nextToken: str | None = None,
    ) -> dict[str, Any]:
        """Summaries of the thing's executions, newest first; also of a thing deleted since."""
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

        Raises VersionConflict when expectedVersion is not its version, InvalidStateTransition.
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
        """Delete an execution; one that is IN_PROGRESS only with force."""
        execution = self._known_execution(thingName, jobId, executionNumber)
        if execution.status == model.IN_PROGRESS and not force:
            raise wrong_state("Job execution in status IN_PROGRESS cannot be deleted without force.")
        with self._change([thingName]) as now:
            self.store.delete_execution(execution)
            self._settle(self._known_job(jobId), now)
        return {}
