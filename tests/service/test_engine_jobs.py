"""Jobs on the control plane: creating, listing, cancelling, deleting, and completion."""

import base64
from typing import Any

import pytest
from engine_service import NOTHING, START, Service

from ujobs_tools.service.errors import ApiError


@pytest.fixture
def service() -> Service:
    return Service()


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def thing_arn(name: str) -> str:
    return f"arn:aws:iot:us-east-1:000000000000:thing/{name}"


def counts(service: Service, job_id: str) -> dict[str, int]:
    details = service.engine.describe_job(job_id)["job"]["jobProcessDetails"]
    return {name[len("numberOf") : -len("Things")]: number for name, number in details.items() if number}


def test_create_and_describe(service: Service) -> None:
    service.engine.create_thing("kiln")
    reply = service.engine.create_job(
        "a", [thing_arn("kiln")], '{"operation": "x", "none": null}', description="first firing",
        timeoutConfig={"inProgressTimeoutInMinutes": 30},
        jobExecutionsRetryConfig={"criteriaList": [{"failureType": "ALL", "numberOfRetries": 2}]},
    )
    arn = "arn:aws:iot:us-east-1:000000000000:job/a"
    assert reply == {"jobArn": arn, "jobId": "a", "description": "first firing"}
    assert service.engine.describe_job("a") == {
        "job": {
            "jobArn": arn, "jobId": "a", "targetSelection": "SNAPSHOT", "status": "IN_PROGRESS", "createdAt": START,
            "lastUpdatedAt": START, "isConcurrent": False, "targets": [thing_arn("kiln")],
            "description": "first firing", "presignedUrlConfig": {}, "jobExecutionsRolloutConfig": {},
            "schedulingConfig": {}, "timeoutConfig": {"inProgressTimeoutInMinutes": 30},
            "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 2}]},
            "jobProcessDetails": {
                "numberOfQueuedThings": 1, "numberOfInProgressThings": 0, "numberOfSucceededThings": 0,
                "numberOfFailedThings": 0, "numberOfRejectedThings": 0, "numberOfCanceledThings": 0,
                "numberOfRemovedThings": 0, "numberOfTimedOutThings": 0,
            },
        }
    }
    assert service.engine.get_job_document("a") == {"document": '{"operation": "x", "none": null}'}


@pytest.mark.parametrize(
    "changed",
    [
        {"jobId": "a.b"}, {"jobId": "x" * 65}, {"targets": []}, {"targets": [thing_arn("kiln")] * 101},
        {"targets": ["kiln"]}, {"document": "{"}, {"document": "NaN"}, {"document": '{"x":1e999}'},
        {"document": "[" * 20000}, {"document": "[" * 301 + "1" + "]" * 301},
        {"document": '"' + "x" * 32767 + '"'}, {"document": None},
        {"description": "x" * 2029}, {"description": "a\nb"}, {"targetSelection": "ALL"},
    ],
)
def test_jobs_that_are_refused(service: Service, changed: dict[str, Any]) -> None:
    service.engine.create_thing("kiln")
    with refused("InvalidRequest"):
        service.engine.create_job(**{"jobId": "a", "targets": [thing_arn("kiln")], "document": "{}"} | changed)
    assert service.engine.list_jobs() == {"jobs": []}


def test_a_document_of_32768_characters_is_accepted(service: Service) -> None:
    service.engine.create_thing("kiln")
    service.engine.create_job("a", [thing_arn("kiln")], '{"x":"' + "y" * (32768 - 8) + '"}')
    assert service.job_status("a") == "IN_PROGRESS"


def test_targets_have_to_exist_and_count_once(service: Service) -> None:
    service.engine.create_thing("kiln")
    with pytest.raises(ApiError, match=r"ResourceNotFound: Thing oven cannot be found\."):
        service.engine.create_job("a", [thing_arn("kiln"), thing_arn("oven")], "{}")
    with pytest.raises(ApiError, match=r"ResourceNotFound: Thing Group ovens cannot be found\."):
        service.engine.create_job("a", ["arn:aws:iot:us-east-1:000000000000:thinggroup/ovens"], "{}")
    service.engine.create_job("a", [thing_arn("kiln"), thing_arn("kiln")], "{}")
    assert counts(service, "a") == {"Queued": 1}


@pytest.mark.parametrize("place", ["eu-west-1:000000000000", "us-east-1:123456789012", ":"])
def test_resources_of_another_region_or_account_do_not_exist(service: Service, place: str) -> None:
    engine, elsewhere = service.engine, f"arn:aws:iot:{place}"
    service.job("a")
    engine.create_thing_group("kilns")
    engine.create_policy("shaped", NOTHING)
    engine.register_certificate("ab" * 32, "PEM", active=True)
    engine.create_job_template("a", "text", "{}")
    here = [thing_arn("kiln")]
    for call in (
        lambda: engine.create_job("b", [f"{elsewhere}:thing/kiln"], "{}"),
        lambda: engine.create_job("b", [*here, f"{elsewhere}:thinggroup/kilns"], "{}"),
        lambda: engine.create_job("b", here, jobTemplateArn=f"{elsewhere}:jobtemplate/a"),
        lambda: engine.create_job_template("b", "text", jobArn=f"{elsewhere}:job/a"),
        lambda: engine.attach_thing_principal("kiln", f"{elsewhere}:cert/{'ab' * 32}"),
        lambda: engine.attach_policy("shaped", f"{elsewhere}:cert/{'ab' * 32}"),
        lambda: engine.attach_policy("shaped", f"{elsewhere}:thinggroup/kilns"),
    ):
        with refused("ResourceNotFound"):
            call()
    assert counts(service, "a") == {"Queued": 1}


def test_a_job_id_is_used_once(service: Service) -> None:
    service.job("a")
    with refused("ResourceAlreadyExists") as caught:
        service.job("a")
    assert caught.value.fields == {"resourceId": "a", "resourceArn": "arn:aws:iot:us-east-1:000000000000:job/a"}


def test_a_missing_execution_is_told_from_a_missing_job(service: Service) -> None:
    service.job("a")
    with pytest.raises(ApiError, match=r"Job execution for thing oven cannot be found within job a\."):
        service.engine.describe_job_execution("a", "oven")
    with pytest.raises(ApiError, match=r"Job execution cannot be found as the Job b does not exist\."):
        service.engine.delete_job_execution("b", "kiln", 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.describe_job("a"), lambda engine: engine.get_job_document("a"),
        lambda engine: engine.cancel_job("a"), lambda engine: engine.delete_job("a"),
        lambda engine: engine.list_job_executions_for_job("a"),
        lambda engine: engine.list_job_executions_for_thing("kiln"),
        lambda engine: engine.describe_job_execution("a", "kiln"),
        lambda engine: engine.cancel_job_execution("a", "kiln"),
        lambda engine: engine.delete_job_execution("a", "kiln", 1),
    ],
)
def test_missing_jobs_and_executions(service: Service, call: Any) -> None:
    with refused("ResourceNotFound"):
        call(service.engine)


def test_a_snapshot_job_is_completed_when_its_last_execution_ends(service: Service) -> None:
    service.job("a", "kiln", "oven", "press")
    service.report("a", "SUCCEEDED", thing="kiln")
    service.report("a", "REJECTED", thing="oven")
    service.progress("a", thing="press")
    assert service.job_status("a") == "IN_PROGRESS"
    assert counts(service, "a") == {"Succeeded": 1, "Rejected": 1, "InProgress": 1}
    service.clock.forward(60)
    service.report("a", "FAILED", thing="press")
    job = service.engine.describe_job("a")["job"]
    assert (job["status"], job["completedAt"], job["lastUpdatedAt"]) == ("COMPLETED", START + 60, START + 60)


def test_a_continuous_job_never_completes_by_itself(service: Service) -> None:
    service.job("a", targetSelection="CONTINUOUS")
    service.report("a", "SUCCEEDED")
    assert service.job_status("a") == "IN_PROGRESS"


def test_deleting_the_last_pending_execution_completes_the_job(service: Service) -> None:
    service.job("a", "kiln", "oven")
    service.report("a", "SUCCEEDED", thing="kiln")
    service.engine.delete_job_execution("a", "oven", 1)
    assert service.job_status("a") == "COMPLETED"


def test_cancel_job_does_not_affect_running_executions(service: Service) -> None:
    service.job("a", "kiln", "oven", "press")
    service.progress("a", thing="oven")
    service.report("a", "SUCCEEDED", thing="press")
    assert service.engine.cancel_job("a", reasonCode="WRONG_FILE", comment="not this one")["jobId"] == "a"
    job = service.engine.describe_job("a")["job"]
    assert (job["status"], job["reasonCode"], job["comment"]) == ("CANCELED", "WRONG_FILE", "not this one")
    assert "forceCanceled" not in job
    assert counts(service, "a") == {"Canceled": 1, "InProgress": 1, "Succeeded": 1}
    service.report("a", "SUCCEEDED", thing="oven")
    assert service.status("a", "oven") == "SUCCEEDED"
    assert service.job_status("a") == "CANCELED"


def test_cancel_job_with_force(service: Service) -> None:
    service.job("a")
    service.progress("a")
    service.engine.cancel_job("a", force=True)
    execution = service.execution("a")
    assert (execution["status"], execution["forceCanceled"], execution["versionNumber"]) == ("CANCELED", True, 3)
    assert service.engine.describe_job("a")["job"]["forceCanceled"] is True


def test_only_a_job_in_progress_can_be_canceled(service: Service) -> None:
    service.job("a")
    service.report("a", "SUCCEEDED")
    with refused("InvalidRequest"):
        service.engine.cancel_job("a", force=True)


@pytest.mark.parametrize("options", [{"reasonCode": "lower"}, {"reasonCode": ""}, {"comment": "x" * 2029}])
def test_cancel_job_with_texts_beyond_the_limits(service: Service, options: dict[str, Any]) -> None:
    service.job("a")
    with refused("InvalidRequest"):
        service.engine.cancel_job("a", **options)
    assert service.job_status("a") == "IN_PROGRESS"


def test_cancel_job_execution(service: Service) -> None:
    service.job("a", "kiln", "oven")
    with refused("VersionConflict"):
        service.engine.cancel_job_execution("a", "kiln", expectedVersion=2)
    service.engine.cancel_job_execution("a", "kiln", expectedVersion=1, statusDetails={"why": "moved"})
    assert service.execution("a")["statusDetails"] == {"detailsMap": {"why": "moved"}}
    assert service.status("a") == "CANCELED"
    service.progress("a", thing="oven")
    with refused("InvalidStateTransition"):
        service.engine.cancel_job_execution("a", "oven")
    service.engine.cancel_job_execution("a", "oven", force=True)
    with refused("InvalidStateTransition"):
        service.engine.cancel_job_execution("a", "oven", force=True)
    assert service.job_status("a") == "COMPLETED"


def test_delete_job_needs_force_while_it_is_in_progress(service: Service) -> None:
    service.job("a")
    service.progress("a")
    with refused("InvalidStateTransition"):
        service.engine.delete_job("a")
    service.engine.delete_job("a", force=True)
    for call in (
        lambda: service.engine.describe_job("a"), lambda: service.progress("a"),
        lambda: service.engine.describe("kiln", "a", {}), lambda: service.engine.history("kiln", "a"),
    ):
        with refused("ResourceNotFound"):
            call()


def test_delete_job_execution(service: Service) -> None:
    service.job("a", "kiln", "oven", "press")
    service.progress("a", thing="oven")
    service.report("a", "SUCCEEDED", thing="press")
    with refused("InvalidRequest"):
        service.engine.delete_job_execution("a", "kiln", 0)
    service.engine.delete_job_execution("a", "kiln", 1)
    with refused("InvalidStateTransition"):
        service.engine.delete_job_execution("a", "oven", 1)
    service.engine.delete_job_execution("a", "oven", 1, force=True)
    service.engine.delete_job_execution("a", "press", 1)
    assert service.engine.list_job_executions_for_job("a") == {"executionSummaries": []}


def test_lists_are_paged_newest_first(service: Service) -> None:
    for index in range(5):
        service.job(f"job-{index}")
    service.report("job-1", "SUCCEEDED")

    def pages(call: Any, name: str, **options: Any) -> list[list[Any]]:
        found, token = [], None
        while True:
            reply = call(maxResults=2, nextToken=token, **options)
            found.append([item["jobId"] for item in reply[name]])
            token = reply.get("nextToken")
            if token is None:
                return found

    assert pages(service.engine.list_jobs, "jobs") == [["job-4", "job-3"], ["job-2", "job-1"], ["job-0"]]
    assert pages(service.engine.list_jobs, "jobs", status="IN_PROGRESS") == [["job-4", "job-3"], ["job-2", "job-0"]]
    executions = service.engine.list_job_executions_for_thing
    assert pages(executions, "executionSummaries", thingName="kiln") == [
        ["job-4", "job-3"], ["job-2", "job-1"], ["job-0"],
    ]
    assert pages(executions, "executionSummaries", thingName="kiln", status="SUCCEEDED") == [["job-1"]]
    assert pages(executions, "executionSummaries", thingName="kiln", jobId="job-3") == [["job-3"]]


def test_executions_of_a_job_by_thing(service: Service) -> None:
    service.job("a", "kiln", "oven", "press")
    service.progress("a", thing="oven")
    first = service.engine.list_job_executions_for_job("a", maxResults=2)
    rest = service.engine.list_job_executions_for_job("a", maxResults=2, nextToken=first["nextToken"])
    listed = first["executionSummaries"] + rest["executionSummaries"]
    assert [item["thingArn"] for item in listed] == [thing_arn("press"), thing_arn("oven"), thing_arn("kiln")]
    assert listed[1]["jobExecutionSummary"] == {
        "status": "IN_PROGRESS", "queuedAt": START, "startedAt": START, "lastUpdatedAt": START,
        "executionNumber": 1, "retryAttempt": 0,
    }
    assert "nextToken" not in rest


def token(text: str) -> dict[str, str]:
    return {"nextToken": base64.urlsafe_b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    "options",
    [
        {"maxResults": 0}, {"maxResults": 251}, {"nextToken": "?"}, token("x"), token("1"), token("jobs/"),
        token("jobs/x"), token("jobs/" + "9" * 19), token("executionSummaries/1"),
    ],
)
def test_paging_that_is_refused(service: Service, options: dict[str, Any]) -> None:
    with refused("InvalidRequest"):
        service.engine.list_jobs(**options)
