"""CONTINUOUS jobs: things that join a target get an execution, things that leave lose a QUEUED one; UpdateJob."""

from typing import Any

import pytest
from engine_service import MINUTE, Service

from ujobs_tools.service.errors import ApiError

ARN = "arn:aws:iot:us-east-1:000000000000"
BOTH = [("kiln", "notify"), ("kiln", "notify-next")]
ONE_RETRY = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
NO_RETRY = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 0}]}


class Plant(Service):
    """A service with the groups plant, plant/hall and spare, and the things kiln and oven without a group."""

    def __init__(self) -> None:
        super().__init__()
        self.engine.create_thing_group("plant")
        self.engine.create_thing_group("hall", "plant")
        self.engine.create_thing_group("spare")
        for thing in ("kiln", "oven"):
            self.engine.create_thing(thing)

    def continuous(self, job_id: str, *targets: str, **options: Any) -> None:
        """Create a CONTINUOUS job for "thing/name" and "thinggroup/name" targets."""
        arns = [f"{ARN}:{target}" for target in targets]
        self.engine.create_job(job_id, arns, "{}", targetSelection="CONTINUOUS", **options)

    def join(self, group: str, thing: str = "kiln") -> None:
        self.engine.add_thing_to_thing_group(group, thingName=thing)

    def leave(self, group: str, thing: str = "kiln") -> None:
        self.engine.remove_thing_from_thing_group(group, thingName=thing)

    def executions(self, job_id: str, thing: str = "kiln") -> list[tuple[int, str, int]]:
        """(number, status, retry attempt) of a thing's executions of a job, oldest first."""
        listed = self.engine.list_job_executions_for_thing(thing, jobId=job_id)["executionSummaries"]
        summaries = [item["jobExecutionSummary"] for item in reversed(listed)]
        return [(item["executionNumber"], item["status"], item["retryAttempt"]) for item in summaries]


@pytest.fixture
def service() -> Plant:
    return Plant()


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


@pytest.mark.parametrize("joined", ["plant", "hall"])
def test_a_thing_that_joins_gets_an_execution_at_once(service: Plant, joined: str) -> None:
    service.join("plant", "oven")
    service.continuous("a", "thinggroup/plant")
    assert service.heard() == [("oven", "notify"), ("oven", "notify-next")]
    service.join(joined)
    assert service.heard() == BOTH
    assert service.engine.start_next("kiln", {})["execution"]["jobId"] == "a"
    service.join(joined)
    assert service.heard() == []
    assert service.executions("a") == [(1, "IN_PROGRESS", 0)]


def test_a_thing_that_joins_gets_jobs_in_the_order_of_creation(service: Plant) -> None:
    for job_id in ("b", "a"):
        service.continuous(job_id, "thinggroup/plant")
    service.continuous("other", "thinggroup/spare")
    service.join("hall")
    assert [item["jobId"] for item in service.engine.get_pending("kiln")["queuedJobs"]] == ["b", "a"]


def test_it_never_completes_by_itself(service: Plant) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant")
    service.report("a", "SUCCEEDED")
    assert service.job_status("a") == "IN_PROGRESS"
    service.engine.cancel_job("a")
    service.join("plant", "oven")
    assert service.executions("a", "oven") == []


def test_a_thing_that_leaves_loses_its_queued_execution(service: Plant) -> None:
    service.join("hall")
    service.continuous("a", "thinggroup/plant")
    service.heard()
    service.clock.forward(5)
    service.leave("hall")
    assert service.heard() == BOTH
    execution = service.execution("a")
    assert (execution["status"], execution["versionNumber"]) == ("REMOVED", 1)
    assert execution["lastUpdatedAt"] == service.clock.now
    assert service.engine.start_next("kiln", {}) == {}
    with refused("InvalidStateTransition"):
        service.progress("a")
    counts = service.engine.describe_job("a")["job"]["jobProcessDetails"]
    assert (counts["numberOfRemovedThings"], counts["numberOfQueuedThings"]) == (1, 0)


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"])
def test_a_thing_that_leaves_keeps_started_and_ended_executions(service: Plant, status: str) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant")
    service.report("a", status)
    service.heard()
    service.leave("plant")
    assert (service.status("a"), service.heard()) == (status, [])


def test_an_execution_can_be_ended_after_leaving(service: Plant) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant")
    service.progress("a")
    service.leave("plant")
    service.report("a", "SUCCEEDED")
    assert service.executions("a") == [(1, "SUCCEEDED", 0)]


@pytest.mark.parametrize("other", ["thing/kiln", "thinggroup/spare"])
def test_a_thing_that_is_a_target_twice_has_one_execution_until_it_is_none(service: Plant, other: str) -> None:
    service.join("plant")
    service.join("spare")
    service.continuous("a", other, "thinggroup/plant")
    assert service.executions("a") == [(1, "QUEUED", 0)]
    service.leave("plant")
    assert service.executions("a") == [(1, "QUEUED", 0)]
    service.leave("spare")
    assert service.status("a") == ("QUEUED" if other == "thing/kiln" else "REMOVED")


@pytest.mark.parametrize("status", ["SUCCEEDED", "REJECTED", "REMOVED"])
def test_a_thing_that_rejoins_after_the_end_gets_the_next_number(service: Plant, status: str) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant")
    if status != "REMOVED":
        service.report("a", status)
    service.leave("plant")
    service.heard()
    service.join("plant")
    assert service.heard() == BOTH
    assert service.executions("a") == [(1, status, 0), (2, "QUEUED", 0)]


def test_a_thing_that_joins_another_target_group_gets_the_next_number(service: Plant) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant", "thinggroup/spare")
    service.report("a", "SUCCEEDED")
    service.join("spare")
    assert service.executions("a") == [(1, "SUCCEEDED", 0), (2, "QUEUED", 0)]


def test_a_thing_that_rejoins_while_it_works_continues(service: Plant) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant")
    service.progress("a")
    service.leave("plant")
    service.join("plant")
    assert service.executions("a") == [(1, "IN_PROGRESS", 0)]


def test_leaving_takes_the_retries_along_and_coming_back_brings_all_of_them(service: Plant) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant", jobExecutionsRetryConfig=ONE_RETRY)
    service.report("a", "FAILED")
    service.leave("plant")
    assert service.executions("a") == [(1, "FAILED", 0), (2, "REMOVED", 1)]
    service.join("plant")
    service.report("a", "FAILED")
    assert service.executions("a")[2:] == [(3, "FAILED", 0), (4, "QUEUED", 1)]
    service.report("a", "FAILED")
    assert service.executions("a")[3:] == [(4, "FAILED", 1)]


def test_a_failure_after_leaving_is_not_retried(service: Plant) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant", jobExecutionsRetryConfig=ONE_RETRY)
    service.progress("a", stepTimeoutInMinutes=1)
    service.leave("plant")
    service.report("a", "FAILED")
    assert service.executions("a") == [(1, "FAILED", 0)]


def test_deleting_a_group_is_leaving_it(service: Plant) -> None:
    service.join("hall")
    service.join("hall", "oven")
    service.continuous("a", "thinggroup/plant", "thing/oven")
    service.heard()
    service.engine.delete_thing_group("hall")
    assert service.heard() == BOTH
    assert (service.status("a"), service.status("a", "oven")) == ("REMOVED", "QUEUED")


def test_deleting_a_thing_keeps_its_executions(service: Plant) -> None:
    service.join("plant")
    service.continuous("a", "thinggroup/plant")
    service.engine.delete_thing("kiln")
    assert service.executions("a") == [(1, "QUEUED", 0)]


def test_targets_can_be_added(service: Plant) -> None:
    service.join("plant")
    service.join("spare", "oven")
    service.continuous("a", "thinggroup/plant", description="text")
    service.heard()
    added = [f"{ARN}:thinggroup/spare", f"{ARN}:thinggroup/plant"]
    assert service.engine.associate_targets_with_job("a", added, "more") == {
        "jobArn": f"{ARN}:job/a", "jobId": "a", "description": "text",
    }
    assert service.heard() == [("oven", "notify"), ("oven", "notify-next")]
    job = service.engine.describe_job("a")["job"]
    assert job["targets"] == [f"{ARN}:thinggroup/plant", f"{ARN}:thinggroup/spare"]
    assert job["comment"] == "more"
    service.leave("spare", "oven")
    assert service.status("a", "oven") == "REMOVED"


def test_targets_cannot_be_added_to_other_jobs(service: Plant) -> None:
    target = [f"{ARN}:thinggroup/spare"]
    service.job("snapshot")
    service.continuous("canceled", "thinggroup/plant")
    service.engine.cancel_job("canceled")
    for job_id in ("snapshot", "canceled"):
        with refused("InvalidRequest"):
            service.engine.associate_targets_with_job(job_id, target)
    for index in range(100):
        service.engine.create_thing(f"thing-{index}")
    service.continuous("full", *(f"thing/thing-{index}" for index in range(100)))
    with refused("LimitExceeded"):
        service.engine.associate_targets_with_job("full", target)
    service.continuous("a", "thinggroup/plant")
    for job_id, targets in (("none", target), ("a", [f"{ARN}:thinggroup/none"])):
        with refused("ResourceNotFound"):
            service.engine.associate_targets_with_job(job_id, targets)


def test_a_new_timeout_applies_to_executions_that_start_later(service: Plant) -> None:
    service.job("a", "kiln", "oven", timeoutConfig={"inProgressTimeoutInMinutes": 10})
    service.progress("a")
    service.clock.forward(1)
    service.engine.update_job("a", timeoutConfig={"inProgressTimeoutInMinutes": 20})
    service.progress("a", "oven")
    assert service.execution("a")["approximateSecondsBeforeTimedOut"] == 10 * MINUTE - 1
    assert service.execution("a", "oven")["approximateSecondsBeforeTimedOut"] == 20 * MINUTE
    job = service.engine.describe_job("a")["job"]
    assert job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 20}
    assert job["lastUpdatedAt"] == service.clock.now


def test_retries_can_be_turned_off(service: Plant) -> None:
    service.job("a", "kiln", "oven", jobExecutionsRetryConfig=ONE_RETRY)
    service.report("a", "FAILED")
    service.engine.update_job("a", description="no more", jobExecutionsRetryConfig=NO_RETRY)
    assert service.engine.describe_job("a")["job"]["description"] == "no more"
    assert service.engine.describe_job("a")["job"]["jobExecutionsRetryConfig"] == NO_RETRY
    service.report("a", "FAILED", "oven")
    assert service.executions("a") == [(1, "FAILED", 0), (2, "QUEUED", 1)]
    assert service.executions("a", "oven") == [(1, "FAILED", 0)]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"description": "x" * 2029},
        {"timeoutConfig": {"inProgressTimeoutInMinutes": 0}},
        {"timeoutConfig": {}},
        {"jobExecutionsRolloutConfig": {}},
        {"jobExecutionsRetryConfig": ONE_RETRY},
        {"jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 0}]}},
    ],
)
def test_updates_that_are_refused(service: Plant, change: dict[str, Any]) -> None:
    service.job("a", jobExecutionsRetryConfig=ONE_RETRY)
    before = service.engine.describe_job("a")
    with refused("InvalidRequest"):
        service.engine.update_job("a", **change)
    assert service.engine.describe_job("a") == before


def test_an_ended_job_is_not_updated(service: Plant) -> None:
    service.job("a")
    service.report("a", "SUCCEEDED")
    with refused("InvalidRequest"):
        service.engine.update_job("a", description="text")
    with refused("ResourceNotFound"):
        service.engine.update_job("none", description="text")
