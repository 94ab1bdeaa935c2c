"""CreateJob, AssociateTargetsWithJob and UpdateJob; parameters and replies as in `job_control`."""

from collections.abc import Mapping, Sequence
from typing import Any

from ujobs_tools.service import abort, limits, managed_templates, model, presigned, rollout, schedule
from ujobs_tools.service.errors import ApiError, already_exists, existing, invalid
from ujobs_tools.service.job_course import JobCourse
from ujobs_tools.service.job_templates import JobTemplates
from ujobs_tools.service.model import Job
from ujobs_tools.service.tags import TagList, checked_tags

Config = Mapping[str, Any]


class JobCreation(JobCourse, JobTemplates):
    """Operations that create and change jobs; all raise ApiError."""

    def create_job(
        self, jobId: str, targets: Sequence[str], document: str | None = None, description: str | None = None,
        targetSelection: str = "SNAPSHOT", timeoutConfig: Config | None = None,
        jobExecutionsRetryConfig: Config | None = None, jobTemplateArn: str | None = None,
        documentParameters: Mapping[str, str] | None = None, jobExecutionsRolloutConfig: Config | None = None,
        abortConfig: Config | None = None, schedulingConfig: Config | None = None, documentSource: str | None = None,
        presignedUrlConfig: Config | None = None, tags: TagList | None = None, *, sourceContent: str | None = None,
    ) -> dict[str, Any]:
        """Create a job for each thing that is a target or in a target group. The document is given, comes from S3 or
        from a template; the template's configurations apply where none is given. sourceContent: the document at
        documentSource. Raises InvalidRequest, ResourceNotFound for an unknown target or template,
        ResourceAlreadyExists."""
        job_id = limits.job_id(jobId)
        parameters = dict(documentParameters or {})
        template: dict[str, Any] = {}
        given = self.given_document(document, documentSource, sourceContent)
        if jobTemplateArn is not None and managed_templates.is_managed(jobTemplateArn):
            if given:
                raise invalid("a document and the jobTemplateArn of a managed template exclude each other")
            managed = managed_templates.by_arn(jobTemplateArn, self.region)
            template = {"document": managed.fill(parameters)}
            description = managed.description if description is None else description
        elif parameters:
            raise invalid("documentParameters can only be used with the jobTemplateArn of a managed template")
        elif jobTemplateArn is not None:
            template = self.template_members(jobTemplateArn)
        source = given or template
        if "document" not in source:
            raise invalid("document is required if you do not specify a value for documentSource")
        if targetSelection not in ("SNAPSHOT", "CONTINUOUS"):
            raise invalid("targetSelection must be SNAPSHOT or CONTINUOUS")
        windows = {"maintenanceWindows": template.get("maintenanceWindows", [])}
        now = self.clock()
        job = Job(
            job_id, limits.document(source["document"]), limits.targets(targets), targetSelection, model.IN_PROGRESS,
            now, now, limits.free_text("description", description),
            limits.in_progress_timeout(timeoutConfig or template.get("timeoutConfig")),
            limits.retry_criteria(jobExecutionsRetryConfig or template.get("jobExecutionsRetryConfig")) or None,
            job_template_arn=jobTemplateArn, document_parameters=parameters or None,
            rollout=rollout.check(jobExecutionsRolloutConfig or template.get("jobExecutionsRolloutConfig")),
            abort=abort.check(abortConfig or template.get("abortConfig")),
            scheduling=schedule.check(windows | dict(schedulingConfig or {}), targetSelection == "CONTINUOUS", now),
            document_source=source.get("documentSource"),
            presigned=presigned.check_config(presignedUrlConfig or template.get("presignedUrlConfig")),
        )
        presigned.check(job.document, job.presigned, job_id, self.presign)
        if self.store.job(job_id) is not None:
            raise already_exists(f"Job {job_id} already exists.", job_id, self.arn("job", job_id))
        things = self._things(job.targets)
        labels = checked_tags(tags)
        with self._change(()) as now:
            self._begin(job, things, now)
            self.store.save_tags(self.arn("job", job_id), labels)
        return self._job_identity(job)

    def _things(self, targets: Sequence[str]) -> list[str]:
        """The names of the things that are now targets or in target groups, without repetitions."""
        things: list[str] = []
        for arn in targets:
            kind, name = limits.target(arn)
            missing = f"{'Thing' if kind == 'thing' else 'Thing Group'} {name} cannot be found."
            self._check_here(arn, kind, name, missing)
            if kind == "thing":
                things.append(existing(self.store.thing(name), missing).name)
            else:
                things += self.store.members(existing(self.store.group(name), missing), recursive=True)
        return list(dict.fromkeys(things))

    def associate_targets_with_job(
        self, jobId: str, targets: Sequence[str], comment: str | None = None
    ) -> dict[str, Any]:
        """Add targets to a CONTINUOUS job that has not ended, up to 100; their things get executions of it."""
        job = self._known_job(jobId)
        if job.target_selection != "CONTINUOUS" or job.status not in model.UNDER_WAY:
            raise invalid(f"Job {jobId} is {job.target_selection} and {job.status}, not CONTINUOUS and IN_PROGRESS.")
        added = [arn for arn in limits.targets(targets) if arn not in job.targets]
        if len(job.targets) + len(added) > limits.MAX_TARGETS:
            raise ApiError("LimitExceeded", f"A job can have at most {limits.MAX_TARGETS} targets.")
        job.comment = limits.free_text("comment", comment) or job.comment
        things = self._things(added)
        with self._change(()) as now:
            job.targets += added
            job.last_updated_at = now
            self.store.save_job(job)
            self._join(job, things, now)
        return self._job_identity(job)

    def update_job(
        self, jobId: str, description: str | None = None, timeoutConfig: Config | None = None,
        jobExecutionsRetryConfig: Config | None = None, jobExecutionsRolloutConfig: Config | None = None,
        abortConfig: Config | None = None, presignedUrlConfig: Config | None = None,
    ) -> dict[str, Any]:
        """Change a job that has not ended: its rate, abort criteria and presigned URLs at once, the timeout of
        executions that start later, and retries only to 0."""
        job = self._known_job(jobId)
        if job.status not in model.UNDER_WAY:
            raise invalid(f"Job {jobId} in status {job.status} cannot be updated.")
        given = (
            description, timeoutConfig, jobExecutionsRetryConfig, jobExecutionsRolloutConfig, abortConfig,
            presignedUrlConfig,
        )
        if all(member is None for member in given):
            raise invalid(f"Update Job request for job {jobId} cannot be empty.")
        if description is not None:
            job.description = limits.free_text("description", description)
        if timeoutConfig is not None:
            job.in_progress_timeout = limits.in_progress_timeout(timeoutConfig)
            if job.in_progress_timeout is None:  # AWS's wording, as MiniStack's authors saw it; also the other
                raise invalid("Provide valid timeout value, inProgressTimeoutInMinutes cannot be null.")
        if jobExecutionsRolloutConfig is not None and not jobExecutionsRolloutConfig:
            raise invalid("Provide MaximumPerMinute value or provide ExponentialRate and MaximumPerMinute")
        if jobExecutionsRetryConfig is not None:
            retries = limits.retry_criteria(jobExecutionsRetryConfig)
            if any(retries.values()) or set(retries) != set(job.retries or {}):
                raise invalid("jobExecutionsRetryConfig can only set numberOfRetries to 0, of the failure types it has")
            job.retries = retries
        job.rollout = rollout.check(jobExecutionsRolloutConfig) or job.rollout
        job.abort = abort.check(abortConfig) or job.abort
        job.presigned = presigned.check_config(presignedUrlConfig) or job.presigned
        presigned.check(job.document, job.presigned, jobId, self.presign)
        job.last_updated_at = self.clock()
        self.store.save_job(job)
        return {}

    def _job_identity(self, job: Job) -> dict[str, Any]:
        identity = {"jobArn": self.arn("job", job.job_id), "jobId": job.job_id}
        return identity | ({} if job.description is None else {"description": job.description})
