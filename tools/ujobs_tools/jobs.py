"""Jobs by boto3: made, followed and cancelled the same way on AWS, on `ujobs serve` and on MiniStack."""

import json
from collections.abc import Sequence
from typing import Any

from ujobs_tools.executions import Execution

_LARGEST_DOCUMENT = 32768  # characters (CreateJob, document)


def create_job(
    client: Any,
    job_id: str,
    document: str,
    things: Sequence[str] = (),
    groups: Sequence[str] = (),
    continuous: bool = False,
    timeout: int | None = None,
    retries: int | None = None,
) -> str:
    """Make a job; returns its ARN.

    client: boto3's `iot`. document: a JSON object as text, at most 32768 characters. things, groups: names of the
    targets, at least one in all. continuous: also for things that join a group later. timeout: minutes an execution
    may be in progress, 1 to 10080. retries: how often a failed or timed-out execution is queued again, 1 to 10.
    Raises ValueError for a wrong document or no target; boto3's errors.
    """
    options: dict[str, Any] = {}
    if timeout is not None:
        options["timeoutConfig"] = {"inProgressTimeoutInMinutes": timeout}
    if retries is not None:
        options["jobExecutionsRetryConfig"] = {"criteriaList": [{"failureType": "ALL", "numberOfRetries": retries}]}
    check_document(document)
    return create(client, job_id, document, targets(client, things, groups), continuous, **options)


def targets(client: Any, things: Sequence[str], groups: Sequence[str]) -> list[str]:
    """The ARNs of things and thing groups. Raises ValueError when there are none; boto3's errors."""
    if not things and not groups:
        raise ValueError("a job needs a thing or a thing group to go to")
    arns = [client.describe_thing(thingName=name)["thingArn"] for name in things]
    return arns + [client.describe_thing_group(thingGroupName=name)["thingGroupArn"] for name in groups]


def create(
    client: Any, job_id: str, document: str, arns: Sequence[str], continuous: bool = False, **options: Any
) -> str:
    """CreateJob with a document that is known to be one; returns the job's ARN. options: as boto3 has them."""
    selection = "CONTINUOUS" if continuous else "SNAPSHOT"
    made = client.create_job(
        jobId=job_id, targets=list(arns), document=document, targetSelection=selection, **options
    )
    arn: str = made["jobArn"]
    return arn


def check_document(document: str) -> None:
    """Raises ValueError unless the text is a job document that a board running ujobs can take."""
    if len(document) > _LARGEST_DOCUMENT:
        raise ValueError(f"document has {len(document)} characters, at most {_LARGEST_DOCUMENT} are taken")
    try:
        parsed = json.loads(document)
    except ValueError as error:
        raise ValueError(f"document is not JSON: {error}") from error
    known = parsed if isinstance(parsed, dict) else {}
    if not isinstance(known.get("operation"), str) and not {"steps", "afr_ota"} & set(known):
        raise ValueError('document must be a JSON object with an "operation", the name of the handler to run')


def executions_of(client: Any, job_id: str) -> dict[str, Execution]:
    """The job's executions by thing name, the latest of each thing, in the service's order."""
    pages = client.get_paginator("list_job_executions_for_job").paginate(jobId=job_id)
    things = [
        summary["thingArn"].rpartition("thing/")[2] for page in pages for summary in page["executionSummaries"]
    ]
    return {
        thing: client.describe_job_execution(jobId=job_id, thingName=thing)["execution"]
        for thing in dict.fromkeys(things)
    }
