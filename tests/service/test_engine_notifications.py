"""Which changes trigger notify and notify-next, and the content of both."""

import pytest
from engine_service import MINUTE, START, Service

NOTIFY = ("kiln", "notify")
NEXT = ("kiln", "notify-next")


@pytest.fixture
def service() -> Service:
    """A service with job a queued for kiln; its notifications are already read."""
    service = Service()
    service.job("a")
    service.heard()
    return service


def add(service: Service, *job_ids: str) -> None:
    for job_id in job_ids:
        service.job(job_id)
    service.heard()


def test_first_job_for_an_idle_thing() -> None:
    service = Service()
    service.job("a", document={"operation": "x"})
    at = int(START)
    summary = {"jobId": "a", "queuedAt": at, "lastUpdatedAt": at, "executionNumber": 1, "versionNumber": 1}
    assert service.sent == [
        ("kiln", "notify", {"timestamp": at, "jobs": {"QUEUED": [summary]}}),
        (
            "kiln", "notify-next",
            {"timestamp": at, "execution": {**summary, "status": "QUEUED", "jobDocument": {"operation": "x"}}},
        ),
    ]


def test_another_job_behind_the_front(service: Service) -> None:
    service.job("b")
    assert service.heard() == [NOTIFY]


def test_the_front_starts_by_start_next(service: Service) -> None:
    service.engine.start_next("kiln", {})
    assert service.heard() == []


def test_the_front_starts_by_update_and_reports_progress(service: Service) -> None:
    service.progress("a")
    service.progress("a", statusDetails={"progress": "1"}, stepTimeoutInMinutes=5)
    service.engine.start_next("kiln", {})
    assert service.heard() == []


def test_another_than_the_front_starts_and_so_becomes_the_front(service: Service) -> None:
    add(service, "b")
    service.progress("b")
    assert [payload["execution"]["jobId"] for _, _, payload in service.sent] == ["b"]
    assert service.heard() == [NEXT]


def test_another_starts_while_the_front_is_in_progress(service: Service) -> None:
    add(service, "b")
    service.progress("a")
    service.progress("b")
    assert service.heard() == []


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "REJECTED"])
def test_the_front_ends_with_more_pending(service: Service, status: str) -> None:
    add(service, "b", "c")
    service.progress("a")
    service.progress("c")
    service.report("a", status)
    (_, _, listed), (_, _, following) = service.sent
    assert {state: [item["jobId"] for item in items] for state, items in listed["jobs"].items()} == {
        "IN_PROGRESS": ["c"], "QUEUED": ["b"],
    }
    assert list(listed["jobs"]) == ["IN_PROGRESS", "QUEUED"]
    assert following["execution"]["jobId"] == "c"
    assert service.heard() == [NOTIFY, NEXT]


def test_another_than_the_front_ends(service: Service) -> None:
    add(service, "b")
    service.report("b", "REJECTED")
    assert service.heard() == [NOTIFY]


def test_the_last_one_ends(service: Service) -> None:
    service.clock.forward(1)
    service.report("a", "SUCCEEDED")
    at = int(START) + 1
    assert service.sent == [
        ("kiln", "notify", {"timestamp": at, "jobs": {}}), ("kiln", "notify-next", {"timestamp": at}),
    ]


def test_canceled_and_deleted_like_ended(service: Service) -> None:
    service.engine.cancel_job_execution("a", "kiln")
    assert service.heard() == [NOTIFY, NEXT]
    add(service, "b", "c", "d", "e")
    service.engine.cancel_job("c")
    assert service.heard() == [NOTIFY]
    service.engine.delete_job_execution("b", "kiln", 1)
    assert service.heard() == [NOTIFY, NEXT]
    service.engine.delete_job("d", force=True)
    assert service.heard() == [NOTIFY, NEXT]
    service.progress("e")
    service.engine.cancel_job("e")
    assert service.heard() == []
    service.engine.delete_job_execution("e", "kiln", 1, force=True)
    assert service.heard() == [NOTIFY, NEXT]


def test_deleting_an_ended_execution_notifies_nobody(service: Service) -> None:
    service.report("a", "SUCCEEDED")
    service.heard()
    service.engine.delete_job("a")
    assert service.heard() == []


def test_timed_out_at_the_front_and_behind(service: Service) -> None:
    add(service, "b")
    service.progress("a", stepTimeoutInMinutes=2)
    service.progress("b", stepTimeoutInMinutes=1)
    service.clock.forward(MINUTE)
    service.engine.expire()
    assert service.heard() == [NOTIFY]
    service.clock.forward(MINUTE)
    service.engine.expire()
    assert service.heard() == [NOTIFY, NEXT]


def test_a_retry_is_another_execution_of_the_same_job() -> None:
    service = Service()
    retry = {"criteriaList": [{"failureType": "ALL", "numberOfRetries": 1}]}
    service.job("a", jobExecutionsRetryConfig=retry)
    service.heard()
    service.report("a", "FAILED")
    (_, _, listed), (_, _, following) = service.sent
    assert [item["executionNumber"] for item in listed["jobs"]["QUEUED"]] == [2]
    assert (following["execution"]["jobId"], following["execution"]["executionNumber"]) == ("a", 2)
    assert service.heard() == [NOTIFY, NEXT]


def test_only_the_affected_things_are_notified() -> None:
    service = Service()
    service.job("a", "kiln", "oven")
    assert service.heard() == [NOTIFY, NEXT, ("oven", "notify"), ("oven", "notify-next")]
    service.report("a", "SUCCEEDED", thing="oven")
    assert service.heard() == [("oven", "notify"), ("oven", "notify-next")]


def test_a_list_has_ten_executions_at_most(service: Service) -> None:
    for index in range(12):
        service.job(f"job-{index}")
    _, _, payload = service.sent[-1]
    assert len(payload["jobs"]["QUEUED"]) == 10


def test_refused_requests_notify_nobody(service: Service) -> None:
    changes = service.changes
    for request in ({"status": "SUCCESS"}, {"status": "SUCCEEDED", "expectedVersion": 7}):
        with pytest.raises(Exception, match=r"InvalidRequest|VersionMismatch"):
            service.engine.update("kiln", "a", request)
    assert service.heard() == []
    assert service.changes == changes


def test_notifications_follow_the_stored_change(service: Service) -> None:
    seen: list[str] = []
    service.engine.on_notification = lambda thing, suffix, payload: seen.append(service.status("a"))
    service.engine.on_change = lambda: seen.append("change")
    service.report("a", "SUCCEEDED")
    assert seen == ["SUCCEEDED", "SUCCEEDED", "change"]
