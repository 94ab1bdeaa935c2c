"""boto3: each error is an exception listed in the operation's model, and pages of listings are complete."""

from typing import Any

import boto3
import pytest
from botocore import xform_name
from botocore.config import Config

from clouds import Cloud

ARN = "arn:aws:iot:us-east-1:000000000000"
THING, OPEN, OVER = "refused", "refused-open", "refused-over"  # a thing; a running job, one that has ended
ON_OPEN: dict[str, Any] = {"thingName": THING, "jobId": OPEN}
ON_OVER: dict[str, Any] = {"thingName": THING, "jobId": OVER}

CONTROL: list[tuple[str, str, dict[str, Any]]] = [
    ("CreateThing", "ResourceAlreadyExists", {"thingName": THING, "attributePayload": {"attributes": {"a": "b"}}}),
    ("DescribeThing", "ResourceNotFound", {"thingName": "none"}),
    ("UpdateThing", "VersionConflict", {"thingName": THING, "expectedVersion": 9}),
    ("DeleteThing", "VersionConflict", {"thingName": THING, "expectedVersion": 9}),
    ("DeleteThing", "InvalidRequest", {"thingName": THING}),
    ("ListThings", "InvalidRequest", {"nextToken": "?"}),
    ("ListThingPrincipals", "ResourceNotFound", {"thingName": "none"}),
    ("AttachThingPrincipal", "ResourceNotFound", {"thingName": "none", "principal": f"{ARN}:cert/{'0' * 64}"}),
    ("DescribeCertificate", "ResourceNotFound", {"certificateId": "0" * 64}),
    ("CreatePolicy", "MalformedPolicy", {"policyName": "new", "policyDocument": "{"}),
    ("CreatePolicyVersion", "ResourceNotFound", {"policyName": "none", "policyDocument": "{}"}),
    ("DeletePolicyVersion", "DeleteConflict", {"policyName": THING, "policyVersionId": "1"}),
    ("SetDefaultPolicyVersion", "ResourceNotFound", {"policyName": THING, "policyVersionId": "9"}),
    ("ListTargetsForPolicy", "ResourceNotFound", {"policyName": "none"}),
    ("ListPrincipalThings", "ResourceNotFound", {"principal": f"{ARN}:cert/{'0' * 64}"}),
    ("CreatePolicy", "ResourceAlreadyExists", {"policyName": THING, "policyDocument": "{}"}),
    ("DeletePolicy", "DeleteConflict", {"policyName": THING}),
    ("GetPolicy", "ResourceNotFound", {"policyName": "none"}),
    ("AttachPolicy", "ResourceNotFound", {"policyName": "none", "target": f"{ARN}:cert/{'0' * 64}"}),
    ("AddThingToThingGroup", "ResourceNotFound", {"thingGroupName": "none", "thingName": THING}),
    ("DeleteThingGroup", "VersionConflict", {"thingGroupName": THING, "expectedVersion": 9}),
    ("DescribeEndpoint", "InvalidRequest", {"endpointType": "iot:Jobs"}),
    ("CreateJob", "ResourceAlreadyExists", {"jobId": OPEN, "targets": [f"{ARN}:thing/{THING}"], "document": "{}"}),
    ("CreateJob", "ResourceNotFound", {"jobId": "new", "targets": [f"{ARN}:thing/none"], "document": "{}"}),
    ("CreateJob", "InvalidRequest", {"jobId": "new", "targets": [f"{ARN}:thing/{THING}"], "document": "{"}),
    ("DescribeJob", "ResourceNotFound", {"jobId": "none"}),
    ("GetJobDocument", "ResourceNotFound", {"jobId": "none"}),
    ("ListJobs", "InvalidRequest", {"status": "DONE"}),
    ("UpdateJob", "InvalidRequest", {"jobId": OVER, "description": "text"}),
    ("CreateJobTemplate", "Conflict", {"jobTemplateId": THING, "description": "text", "document": "{}"}),
    ("DescribeJobTemplate", "ResourceNotFound", {"jobTemplateId": "none"}),
    ("CancelJob", "InvalidRequest", {"jobId": OVER}),
    ("DeleteJob", "InvalidStateTransition", {"jobId": OPEN}),
    ("AssociateTargetsWithJob", "InvalidRequest", {"jobId": OVER, "targets": [f"{ARN}:thing/{THING}"]}),
    ("AssociateTargetsWithJob", "LimitExceeded", {
        "jobId": OPEN, "targets": [f"{ARN}:thing/{number}" for number in range(100)]}),
    ("ListJobExecutionsForJob", "ResourceNotFound", {"jobId": "none"}),
    ("ListJobExecutionsForThing", "ResourceNotFound", {"thingName": "none"}),
    ("DescribeJobExecution", "ResourceNotFound", {**ON_OPEN, "executionNumber": 9}),
    ("CancelJobExecution", "InvalidStateTransition", ON_OPEN),
    ("CancelJobExecution", "VersionConflict", {**ON_OPEN, "expectedVersion": 9}),
    ("DeleteJobExecution", "InvalidStateTransition", {**ON_OPEN, "executionNumber": 1}),
]
DATA: list[tuple[str, str, dict[str, Any]]] = [
    ("StartNextPendingJobExecution", "InvalidRequest", {"thingName": THING, "stepTimeoutInMinutes": -1}),
    ("DescribeJobExecution", "ResourceNotFound", {"thingName": THING, "jobId": "none"}),
    ("DescribeJobExecution", "TerminalState", ON_OVER),
    ("UpdateJobExecution", "InvalidRequest", {**ON_OPEN, "status": "FAILED", "expectedVersion": 9}),
    ("UpdateJobExecution", "InvalidStateTransition", {**ON_OVER, "status": "FAILED"}),
]
CASES = [("iot", *case) for case in CONTROL] + [("iot-jobs-data", *case) for case in DATA]


@pytest.fixture(scope="module")
def services(cloud: Cloud) -> dict[str, Any]:
    """Clients of both planes, with a thing that has a certificate, a policy, a group and jobs."""
    options: dict[str, Any] = {"region_name": "us-east-1", "endpoint_url": cloud.endpoint_url}
    options |= {"aws_access_key_id": "any", "aws_secret_access_key": "any"}
    config = Config(retries={"total_max_attempts": 1})  # otherwise boto3 retries after some errors
    found = {name: boto3.client(name, config=config, **options) for name in ("iot", "iot-jobs-data")}
    iot = found["iot"]
    target = iot.create_thing(thingName=THING)["thingArn"]
    principal = iot.create_keys_and_certificate(setAsActive=True)["certificateArn"]
    iot.create_policy(policyName=THING, policyDocument='{"Version": "2012-10-17", "Statement": []}')
    iot.attach_policy(policyName=THING, target=principal)
    iot.attach_thing_principal(thingName=THING, principal=principal)
    iot.create_thing_group(thingGroupName=THING)
    iot.create_job_template(jobTemplateId=THING, description="text", document="{}")
    for job_id, status in ((OPEN, "IN_PROGRESS"), (OVER, "SUCCEEDED")):
        iot.create_job(jobId=job_id, targets=[target], targetSelection="CONTINUOUS", document="{}")
        found["iot-jobs-data"].update_job_execution(thingName=THING, jobId=job_id, status=status)
    iot.cancel_job(jobId=OVER)
    return found


@pytest.mark.parametrize(
    ("service", "operation", "error", "parameters"), CASES, ids=[" ".join(case[:3]) for case in CASES]
)
def test_refusals_are_exceptions_of_the_operation(
    services: dict[str, Any], service: str, operation: str, error: str, parameters: dict[str, Any]
) -> None:
    client, name = services[service], f"{error}Exception"
    model = client.meta.service_model.operation_model(operation)
    modelled = {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in model.error_shapes}
    with pytest.raises(getattr(client.exceptions, name)) as caught:
        getattr(client, xform_name(operation))(**parameters)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == modelled[name]
    assert caught.value.response["Error"]["Message"]


def test_a_certificate_in_use_is_not_deleted(services: dict[str, Any]) -> None:
    iot = services["iot"]
    [principal] = iot.list_thing_principals(thingName=THING)["principals"]
    number = principal.rpartition("/")[2]
    with pytest.raises(iot.exceptions.CertificateStateException):
        iot.delete_certificate(certificateId=number)
    iot.update_certificate(certificateId=number, newStatus="INACTIVE")
    with pytest.raises(iot.exceptions.DeleteConflictException):
        iot.delete_certificate(certificateId=number)


def test_pages_are_complete(iot: Any) -> None:
    things = [f"paged-{number}" for number in range(3)]
    targets = [iot.create_thing(thingName=thing)["thingArn"] for thing in things]
    jobs = [f"paged-{number}" for number in range(3)]
    for job_id in jobs:
        iot.create_job(jobId=job_id, targets=targets, document="{}")

    def pages(operation: str, key: str, **options: Any) -> list[Any]:
        found = list(iot.get_paginator(operation).paginate(PaginationConfig={"PageSize": 1}, **options))
        assert {len(page[key]) for page in found} == {1}
        return [item for page in found for item in page[key]]

    everything = [item["thingName"] for item in pages("list_things", "things")]
    assert set(things) <= set(everything)
    assert len(set(everything)) == len(everything)
    of_job = pages("list_job_executions_for_job", "executionSummaries", jobId=jobs[0])
    assert sorted(item["thingArn"] for item in of_job) == sorted(targets)
    of_thing = pages("list_job_executions_for_thing", "executionSummaries", thingName=things[1], status="QUEUED")
    assert [item["jobId"] for item in of_thing] == jobs[::-1]
    newest = [item["jobId"] for item in pages("list_jobs", "jobs", status="IN_PROGRESS", targetSelection="SNAPSHOT")]
    assert newest[:3] == jobs[::-1]
