"""Job templates: documents and configurations from which jobs are created.

Method and parameter names are boto3's for the `iot` client; API reference: CreateJobTemplate etc. A template
is copied into a job when the job is created, so deleting it changes no job."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ujobs_tools.service import abort, limits, model, paging, presigned, rollout, schedule
from ujobs_tools.service.core import Core
from ujobs_tools.service.errors import ApiError, existing, invalid
from ujobs_tools.service.model import Job
from ujobs_tools.service.tags import TagList, checked_tags
from ujobs_tools.service.template_store import JobTemplate

Config = Mapping[str, Any]

_ARN = re.compile(r"arn:aws[a-z-]*:iot:[^:/]*:[^:/]*:([a-z]+)/(.+)")


class JobTemplates(Core):
    """CreateJobTemplate, DescribeJobTemplate, ListJobTemplates, DeleteJobTemplate; all raise ApiError."""

    def create_job_template(
        self, jobTemplateId: str, description: str, document: str | None = None, jobArn: str | None = None,
        timeoutConfig: Config | None = None, jobExecutionsRetryConfig: Config | None = None,
        jobExecutionsRolloutConfig: Config | None = None, abortConfig: Config | None = None,
        maintenanceWindows: Sequence[Config] | None = None, documentSource: str | None = None,
        presignedUrlConfig: Config | None = None, tags: TagList | None = None, *,
        sourceContent: str | None = None,
    ) -> dict[str, Any]:
        """Create a template from a document, an object in S3 or a job; the job's configurations apply where none is
        given. sourceContent: the document at documentSource. Raises InvalidRequest, Conflict if the template exists,
        ResourceNotFound for an unknown job."""
        template_id = limits.job_id(jobTemplateId, "jobTemplateId")
        members = {} if jobArn is None else _members_of(self._job_by_arn(jobArn))
        limits.in_progress_timeout(timeoutConfig)
        limits.retry_criteria(jobExecutionsRetryConfig)
        schedule.check_windows(maintenanceWindows or ())
        own_document = self.given_document(document, documentSource, sourceContent)
        if own_document:
            members.pop("documentSource", None)
            limits.document(own_document["document"])
        given = {
            **own_document, "presignedUrlConfig": presigned.check_config(presignedUrlConfig),
            "timeoutConfig": timeoutConfig, "jobExecutionsRetryConfig": jobExecutionsRetryConfig,
            "jobExecutionsRolloutConfig": rollout.check(jobExecutionsRolloutConfig),
            "abortConfig": abort.check(abortConfig), "maintenanceWindows": list(maintenanceWindows or ()),
            "description": limits.free_text("description", description),
        }
        members |= {name: value for name, value in given.items() if value}
        if "document" not in members:
            raise invalid("Neither job document nor job document source is specified.")
        presigned.check(members["document"], members.get("presignedUrlConfig"), template_id, self.presign)
        if self.store.job_template(template_id) is not None:
            raise ApiError("Conflict", f"Job Template {template_id} already exists.", resourceId=template_id)
        labels, arn = checked_tags(tags), self.arn("jobtemplate", template_id)
        with self.store.transaction():
            self.store.add_job_template(JobTemplate(template_id, self.clock(), members))
            self.store.save_tags(arn, labels)
        return {"jobTemplateArn": arn, "jobTemplateId": template_id}

    def given_document(self, document: str | None, source: str | None, content: str | None) -> dict[str, str]:
        """The members document and documentSource of a request; empty if it has none. content: the document at the
        source. Raises InvalidRequest."""
        if document and source:
            raise invalid("Job document and job document source cannot be specified at the same time.")
        if source and content is not None:
            return {"document": content, "documentSource": source}
        return {} if document is None else {"document": document}

    def describe_job_template(self, jobTemplateId: str) -> dict[str, Any]:
        """The template; presignedUrlConfig, jobExecutionsRolloutConfig and timeoutConfig are present even if unset."""
        template = self._template(jobTemplateId)
        unset: dict[str, Any] = {"presignedUrlConfig": {}, "jobExecutionsRolloutConfig": {}, "timeoutConfig": {}}
        return unset | template.members | self._summary_of(template)

    def list_job_templates(self, maxResults: int | None = None, nextToken: str | None = None) -> dict[str, Any]:
        """Summaries of all templates, newest first."""
        limit, before = paging.size(maxResults), paging.position("jobTemplates", nextToken)
        found = [one for one in self.store.job_templates() if before is None or _place(one) < before]
        return paging.page("jobTemplates", found, limit, self._summary_of, _place)

    def delete_job_template(self, jobTemplateId: str) -> dict[str, Any]:
        """Delete a template; jobs created from it continue."""
        self.store.delete_job_template(self._template(jobTemplateId).id)
        self.store.delete_tags(self.arn("jobtemplate", jobTemplateId))
        return {}

    def template_members(self, arn: str) -> dict[str, Any]:
        """The template's parameters for a job, by their names in CreateJobTemplate. Raises ResourceNotFound."""
        name = _name(arn, "jobtemplate")
        missing = f"Job Template {name} cannot be found."
        self._check_here(arn, "jobtemplate", name, missing)
        return existing(self.store.job_template(name), missing).members

    def _job_by_arn(self, arn: str) -> Job:
        name = _name(arn, "job")
        self._check_here(arn, "job", name, f"Job {name} cannot be found.")
        return self._known_job(name)

    def _template(self, template_id: str) -> JobTemplate:
        found = self.store.job_template(limits.job_id(template_id, "jobTemplateId"))
        return existing(found, f"Job Template {template_id} cannot be found.")

    def _summary_of(self, template: JobTemplate) -> dict[str, Any]:
        return {
            "jobTemplateArn": self.arn("jobtemplate", template.id), "jobTemplateId": template.id,
            "description": template.members["description"], "createdAt": template.created_at,
        }


def _place(template: JobTemplate) -> str:
    """The template's place in the listing: a later one has a greater place."""
    return f"{template.created_at:020.6f}/{template.id}"


def _members_of(job: Job) -> dict[str, Any]:
    members = {
        "document": job.document, "jobExecutionsRolloutConfig": job.rollout, "abortConfig": job.abort,
        "documentSource": job.document_source, "presignedUrlConfig": job.presigned,
        "timeoutConfig": model.timeout_config(job), "jobExecutionsRetryConfig": model.retry_config(job),
    }
    return {name: value for name, value in members.items() if value}


def _name(arn: str, kind: str) -> str:
    match = _ARN.fullmatch(arn)
    if match is None:
        raise invalid(f"{arn!r} must be the ARN of a {kind}")
    if match[1] != kind:
        raise invalid(f"Resource type should be {kind} but found invalid resource type {match[1]}")
    return match[2]
