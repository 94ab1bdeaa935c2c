"""Job templates: created from a document or a job, and jobs created from them."""

from typing import Any

import pytest
from engine_service import Service

from ujobs_tools.service.errors import ApiError

WINDOWS = [{"startTime": "cron(0 2 ? * MON *)", "durationInMinutes": 60}]
CONFIGURATIONS: dict[str, Any] = {
    "timeoutConfig": {"inProgressTimeoutInMinutes": 7},
    "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}]},
    "jobExecutionsRolloutConfig": {"maximumPerMinute": 5},
    "abortConfig": {"criteriaList": [
        {"failureType": "ALL", "action": "CANCEL", "thresholdPercentage": 20, "minNumberOfExecutedThings": 3},
    ]},
}


@pytest.fixture
def service() -> Service:
    found = Service()
    found.engine.create_thing("kiln")
    return found


def make(service: Service, template: str = "weekly", **members: Any) -> str:
    members = {"description": "Every week", "document": '{"operation": "x"}'} | members
    arn: str = service.engine.create_job_template(template, **members)["jobTemplateArn"]
    return arn


def job_of(service: Service, arn: str, job_id: str = "j", **members: Any) -> dict[str, Any]:
    """Create a job from a template; returns its description."""
    service.engine.create_job(job_id, [service.engine.arn("thing", "kiln")], jobTemplateArn=arn, **members)
    return service.engine.describe_job(job_id)["job"]


def test_a_job_has_the_templates_document_and_configurations(service: Service) -> None:
    arn = make(service, **CONFIGURATIONS)
    job = job_of(service, arn)
    assert {name: job[name] for name in CONFIGURATIONS} == CONFIGURATIONS
    assert job["jobTemplateArn"] == arn
    assert service.engine.get_job_document("j", beforeSubstitution=True) == {"document": '{"operation": "x"}'}
    service.engine.delete_job_template("weekly")
    assert service.engine.start_next("kiln", {})["execution"]["jobDocument"] == {"operation": "x"}


def test_the_jobs_own_parameters_take_precedence(service: Service) -> None:
    arn = make(service, **CONFIGURATIONS)
    job = job_of(service, arn, document='{"operation": "y"}', jobExecutionsRolloutConfig={"maximumPerMinute": 9})
    assert job["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 9}
    assert job["timeoutConfig"] == CONFIGURATIONS["timeoutConfig"]
    assert service.engine.get_job_document("j")["document"] == '{"operation": "y"}'


def test_a_template_of_a_job(service: Service) -> None:
    service.engine.create_job("old", [service.engine.arn("thing", "kiln")], '{"operation": "z"}', **CONFIGURATIONS)
    minutes = {"inProgressTimeoutInMinutes": 9}
    make(service, jobArn=service.engine.arn("job", "old"), document=None, timeoutConfig=minutes)
    described = service.engine.describe_job_template("weekly")
    assert described["document"] == '{"operation": "z"}'
    assert described["abortConfig"] == CONFIGURATIONS["abortConfig"]
    assert described["timeoutConfig"] == minutes


def test_maintenance_windows_are_for_continuous_jobs(service: Service) -> None:
    arn = make(service, maintenanceWindows=WINDOWS)
    with pytest.raises(ApiError, match=r"^InvalidRequest: .*cannot be used with SNAPSHOT job"):
        job_of(service, arn)
    with pytest.raises(ApiError, match=r"^InvalidRequest: MaintenanceWindow cannot be used without StartTime"):
        job_of(service, arn, targetSelection="CONTINUOUS")
    start = {"startTime": "2026-09-22T00:00"}
    job = job_of(service, arn, targetSelection="CONTINUOUS", schedulingConfig=start)
    assert job["schedulingConfig"] == {**start, "maintenanceWindows": WINDOWS}


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"document": None}, "InvalidRequest"), ({"document": "{"}, "InvalidRequest"),
        ({"jobExecutionsRolloutConfig": {"maximumPerMinute": 0}}, "InvalidRequest"),
        ({"timeoutConfig": {"inProgressTimeoutInMinutes": 0}}, "InvalidRequest"),
        ({"maintenanceWindows": [{"startTime": "monday", "durationInMinutes": 60}]}, "InvalidRequest"),
        ({"jobArn": "arn:aws:iot:us-east-1:000000000000:thing/kiln"}, "InvalidRequest"),
        ({"jobArn": "arn:aws:iot:us-east-1:000000000000:job/none"}, "ResourceNotFound"),
        ({"template": "a b"}, "InvalidRequest"), ({"template": "there"}, "Conflict"),
    ],
)
def test_templates_that_are_refused(service: Service, members: dict[str, Any], code: str) -> None:
    make(service, "there")
    with pytest.raises(ApiError, match=f"^{code}: "):
        make(service, **members)
    assert [found["jobTemplateId"] for found in service.engine.list_job_templates()["jobTemplates"]] == ["there"]


def test_templates_are_listed_newest_first(service: Service) -> None:
    for name in ("b", "c", "a"):
        service.clock.forward(1)
        make(service, name)
    make(service, "d")  # at the same time as a
    found, token = [], None
    for _ in range(4):
        page = service.engine.list_job_templates(maxResults=1, nextToken=token)
        found += [template["jobTemplateId"] for template in page["jobTemplates"]]
        token = page.get("nextToken")
    assert (found, token) == (["d", "a", "c", "b"], None)


def test_a_template_has_no_parameters(service: Service) -> None:
    with pytest.raises(ApiError, match=r"^InvalidRequest: documentParameters"):
        job_of(service, make(service), documentParameters={"a": "b"})
