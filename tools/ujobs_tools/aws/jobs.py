"""Creates, follows and cancels jobs with boto3, on AWS, on `ujobs serve` and on MiniStack."""

import json
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from ujobs_tools.aws import stages
from ujobs_tools.aws.executions import TERMINAL, Execution, most_urgent

JOB_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_LARGEST_PAGE = 250  # of ListJobExecutionsForJob
_LARGEST_DOCUMENT = 32768  # characters (CreateJob, document)


def create_job(
    client: Any,
    job_id: str,
    document: str | None,
    things: Sequence[str] = (),
    groups: Sequence[str] = (),
    continuous: bool = False,
    timeout: int | None = None,
    retries: int | None = None,
    **options: Any,
) -> str:
    """Create a job; returns its ARN.

    client: boto3's `iot`. document: JSON text, at most 32768 characters; None for the template's document. things,
    groups: names of the targets, at least one. continuous: the job also runs on things that join a group later.
    timeout: minutes that an execution may be in progress, 1 to 10080. retries: how often a failed or timed-out
    execution is queued again, 1 to 10. options: more parameters of CreateJob, see stages.options. Raises ValueError
    for an invalid document or if there is no target; boto3's errors.
    """
    if timeout is not None:
        options["timeoutConfig"] = {"inProgressTimeoutInMinutes": timeout}
    if retries is not None:
        options["jobExecutionsRetryConfig"] = {"criteriaList": [{"failureType": "ALL", "numberOfRetries": retries}]}
    if document is not None:
        check_document(document)
    return create(client, job_id, document, targets(client, things, groups), continuous, **options)


def targets(client: Any, things: Sequence[str], groups: Sequence[str]) -> list[str]:
    """Return the ARNs of things and thing groups. Raises ValueError if there are no names; boto3's errors."""
    if not things and not groups:
        raise ValueError("the job has no target: give --thing or --group")
    arns = [client.describe_thing(thingName=name)["thingArn"] for name in things]
    return arns + [client.describe_thing_group(thingGroupName=name)["thingGroupArn"] for name in groups]


def _described(client: Any, arn: str) -> dict[str, Any]:
    kind, _, name = arn.rpartition(":")[2].partition("/")
    found: dict[str, Any] = (
        client.describe_thing(thingName=name) if kind == "thing" else client.describe_thing_group(thingGroupName=name)
    )
    return found


def create(
    client: Any, job_id: str, document: str | None, arns: Sequence[str], continuous: bool = False, **options: Any
) -> str:
    """Call CreateJob without checking the document; returns the job's ARN. document: None for the template's document.
    options: parameters of boto3's create_job; a job with maintenance windows gets a start if it has none."""
    selection = "CONTINUOUS" if continuous else "SNAPSHOT"
    if document is not None:
        options["document"] = document
    if "schedulingConfig" in options:
        options = stages.with_start(options, _described(client, arns[0]))
    made = client.create_job(jobId=job_id, targets=list(arns), targetSelection=selection, **options)
    arn: str = made["jobArn"]
    return arn


def check_document(document: str) -> None:
    """Raises ValueError if boards with ujobs would not accept the text as a job document."""
    if len(document) > _LARGEST_DOCUMENT:
        raise ValueError(f"document has {len(document)} characters; the limit is {_LARGEST_DOCUMENT}")
    try:
        parsed = json.loads(document, parse_constant=_no_number)
    except ValueError as error:
        raise ValueError(f"document is not JSON: {error}") from error
    known = parsed if isinstance(parsed, dict) else {}
    operation = known.get("operation")
    if not (isinstance(operation, str) and operation) and not {"steps", "afr_ota"} & set(known):
        raise ValueError(
            'document must be a JSON object with an "operation", the name of the handler to run: without one, every '
            "agent rejects the job. For a program of your own on JobsClient use `aws iot create-job`"
        )
    changes = known.get("set") if operation == "settings" else None
    for name, value in changes.items() if isinstance(changes, dict) else ():
        if value is None:
            raise ValueError(f'set.{name} is null, which AWS removes from the document: use "remove": ["{name}"]')


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a number in JSON")


class Watch:
    """Polls a job's executions with few calls.

    Each `look` makes one call per 250 executions and one per unfinished execution in `shown`. It makes one for the job
    if the job has a rate, abort criteria or a schedule.

    statuses: status of each thing's latest execution, by thing name. shown: executions as boto3 describes them, by
    thing name, at most executions.MOST_SHOWN. about: lines about the job, see stages.in_words.
    """

    def __init__(self, client: Any, job_id: str) -> None:
        self._client = client
        self._job_id = job_id
        self._ended: dict[tuple[str, int], Execution] = {}
        self.statuses: dict[str, str] = {}
        self.shown: dict[str, Execution] = {}
        self._job: dict[str, Any] = {}

    @property
    def about(self) -> list[str]:
        return stages.in_words(self._job)

    def look(self) -> bool:
        """Update statuses and shown; returns whether the job and all its executions have ended. Raises boto3's
        errors."""
        latest: dict[str, Any] = {}
        pages = self._client.get_paginator("list_job_executions_for_job").paginate(
            jobId=self._job_id, PaginationConfig={"PageSize": _LARGEST_PAGE}
        )
        for page in pages:
            for item in page["executionSummaries"]:
                thing, summary = item["thingArn"].rpartition("thing/")[2], item["jobExecutionSummary"]
                known = latest.setdefault(thing, summary)
                if summary["executionNumber"] > known["executionNumber"]:
                    latest[thing] = summary
        self.statuses = {thing: summary["status"] for thing, summary in latest.items()}
        self.shown = {thing: self._describe(thing, latest[thing]) for thing in most_urgent(self.statuses)}
        ended = all(status in TERMINAL for status in self.statuses.values())
        if ended or not self._job or stages.is_staged(self._job):
            self._job = self._client.describe_job(jobId=self._job_id)["job"]
        status = self._job["status"]
        if not latest:
            return status not in ("IN_PROGRESS", "SCHEDULED")
        return ended and status != "SCHEDULED" and not self._job.get("isConcurrent")

    def _describe(self, thing: str, summary: dict[str, Any]) -> Execution:
        key = thing, summary["executionNumber"]
        if key in self._ended:
            return self._ended[key]
        execution: Execution = self._client.describe_job_execution(jobId=self._job_id, thingName=thing)["execution"]
        if execution["status"] in TERMINAL:
            self._ended[thing, execution["executionNumber"]] = execution
        return execution
