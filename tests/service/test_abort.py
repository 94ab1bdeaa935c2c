"""Jobs that are cancelled when too many of their executions fail."""

from typing import Any

import pytest
from engine_service import MINUTE, Service

from ujobs_tools.service import abort
from ujobs_tools.service.errors import ApiError

THINGS = [f"kiln-{number}" for number in range(10)]


def criterion(kind: str = "FAILED", threshold: float = 20, least: int = 5, **members: Any) -> dict[str, Any]:
    return {
        "failureType": kind, "action": "CANCEL", "thresholdPercentage": threshold, "minNumberOfExecutedThings": least,
    } | members


def config(*criteria: dict[str, Any]) -> dict[str, Any]:
    return {"criteriaList": list(criteria)}


@pytest.fixture
def service() -> Service:
    return Service()


def report(service: Service, status: str, *numbers: int) -> None:
    for number in numbers:
        service.report("j", status, THINGS[number])


def test_a_job_is_cancelled_at_20_percent_failures(service: Service) -> None:
    service.job("j", *THINGS, abortConfig=config(criterion()))
    service.progress("j", THINGS[9])
    report(service, "FAILED", 0)
    report(service, "SUCCEEDED", 1, 2, 3)
    assert service.job_status("j") == "IN_PROGRESS"
    service.heard()
    report(service, "SUCCEEDED", 4)
    job = service.engine.describe_job("j")["job"]
    assert (job["status"], job["reasonCode"]) == ("CANCELED", "ABORT_CANCEL")
    assert job["comment"] == (
        "Abort criteria for failure type FAILED with threshold 20.00% met. "
        "Total completed executions: 5, total FAILED executions: 1"
    )
    assert "forceCanceled" not in job
    # Running executions continue; queued ones are cancelled, and their things are notified.
    assert [service.status("j", THINGS[number]) for number in (5, 8, 9)] == ["CANCELED", "CANCELED", "IN_PROGRESS"]
    assert service.heard() == [
        (THINGS[number], suffix) for number in (4, 5, 6, 7, 8) for suffix in ("notify", "notify-next")
    ]
    service.report("j", "SUCCEEDED", THINGS[9])


def test_under_the_threshold_the_job_continues(service: Service) -> None:
    service.job("j", *THINGS, abortConfig=config(criterion(threshold=20.01, least=1)))
    report(service, "SUCCEEDED", 0, 1, 2, 3)
    report(service, "FAILED", 4)
    assert service.job_status("j") == "IN_PROGRESS"
    report(service, "FAILED", 5)
    assert service.job_status("j") == "CANCELED"


@pytest.mark.parametrize(
    ("kind", "status", "aborted"),
    [
        ("FAILED", "FAILED", True), ("FAILED", "REJECTED", False), ("REJECTED", "REJECTED", True),
        ("REJECTED", "FAILED", False), ("ALL", "FAILED", True), ("ALL", "REJECTED", True), ("ALL", "SUCCEEDED", False),
        ("TIMED_OUT", "FAILED", False),
    ],
)
def test_each_failure_type_counts_its_own(service: Service, kind: str, status: str, aborted: bool) -> None:
    service.job("j", *THINGS, abortConfig=config(criterion(kind, least=1)))
    report(service, status, 0)
    assert (service.job_status("j") == "CANCELED") is aborted


@pytest.mark.parametrize("kind", ["TIMED_OUT", "ALL"])
def test_timeouts_count(service: Service, kind: str) -> None:
    service.job("j", *THINGS, abortConfig=config(criterion(kind, least=2)))
    for thing in THINGS[:2]:
        service.progress("j", thing, stepTimeoutInMinutes=1)
    service.clock.forward(MINUTE)
    service.engine.expire()
    assert service.job_status("j") == "CANCELED"
    assert service.status("j", THINGS[2]) == "CANCELED"


def test_things_that_wait_for_a_rollout_never_get_it(service: Service) -> None:
    service.job(
        "j", *THINGS, abortConfig=config(criterion(least=1)), jobExecutionsRolloutConfig={"maximumPerMinute": 1}
    )
    report(service, "FAILED", 0)
    assert (service.engine.store.waiting("j"), service.engine.next_deadline()) == ([], None)


def test_a_retry_that_is_queued_is_cancelled_as_well(service: Service) -> None:
    retries = {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 3}]}
    service.job("j", "kiln-0", abortConfig=config(criterion(least=2)), jobExecutionsRetryConfig=retries)
    report(service, "FAILED", 0)
    assert service.status("j", "kiln-0") == "QUEUED"
    report(service, "FAILED", 0)
    assert [service.status("j", "kiln-0", number) for number in (2, 3)] == ["FAILED", "CANCELED"]


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        ([criterion(), criterion()], "same failure type"), ([criterion(threshold=0)], "over 0"),
        ([criterion(threshold=100.5)], "at most 100"), ([criterion(threshold=10.999)], "two decimals"),
        ([criterion(least=0)], "at least 1"), ([criterion("SUCCEEDED")], "failureType"),
        ([criterion(action="STOP")], "action"),
    ],
)
def test_criteria_out_of_bounds_are_refused(criteria: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ApiError, match=f"^InvalidRequest: .*{message}"):
        abort.check({"criteriaList": criteria})


def test_criteria_can_be_changed(service: Service) -> None:
    service.job("j", *THINGS)
    service.engine.update_job("j", abortConfig=config(criterion(least=1)))
    report(service, "FAILED", 0)
    assert service.job_status("j") == "CANCELED"
