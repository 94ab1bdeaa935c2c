"""The step timer and the in-progress timer, TIMED_OUT, and retries."""

from typing import Any

import pytest
from engine_service import MINUTE, START, Service

from ujobs_tools.service.errors import ApiError


@pytest.fixture
def service() -> Service:
    return Service()


def left(service: Service) -> int | None:
    return service.engine.describe("kiln", "a", {})["execution"].get("approximateSecondsBeforeTimedOut")


def expire_after(service: Service, seconds: float) -> None:
    service.clock.forward(seconds)
    service.engine.expire()


def retry(**kinds: int) -> dict[str, Any]:
    return {"criteriaList": [{"failureType": kind, "numberOfRetries": number} for kind, number in kinds.items()]}


def test_no_timer_runs_unless_requested(service: Service) -> None:
    service.job("a")
    service.engine.start_next("kiln", {})
    assert left(service) is None
    assert service.engine.next_deadline() is None
    expire_after(service, 10 * 24 * 3600)
    assert service.status("a") == "IN_PROGRESS"


def test_step_timer_of_start_next(service: Service) -> None:
    service.job("a")
    reply = service.engine.start_next("kiln", {"stepTimeoutInMinutes": 3})
    assert reply["execution"]["approximateSecondsBeforeTimedOut"] == 3 * MINUTE
    assert service.engine.next_deadline() == START + 3 * MINUTE
    expire_after(service, 3 * MINUTE - 1)
    assert service.status("a") == "IN_PROGRESS"
    assert left(service) == 1
    expire_after(service, 1)
    assert service.status("a") == "TIMED_OUT"
    assert service.execution("a")["versionNumber"] == 3
    assert "approximateSecondsBeforeTimedOut" not in service.execution("a")
    assert service.engine.next_deadline() is None


def test_a_new_value_replaces_the_step_timer_and_none_leaves_it(service: Service) -> None:
    service.job("a")
    service.progress("a", stepTimeoutInMinutes=2)
    service.clock.forward(MINUTE)
    service.progress("a")
    assert service.engine.next_deadline() == START + 2 * MINUTE
    service.progress("a", stepTimeoutInMinutes=2)
    assert service.engine.next_deadline() == START + 3 * MINUTE
    service.progress("a", stepTimeoutInMinutes=1)
    assert service.engine.next_deadline() == START + 2 * MINUTE


def test_minus_one_discards_the_step_timer_only(service: Service) -> None:
    service.job("a", timeoutConfig={"inProgressTimeoutInMinutes": 20})
    service.progress("a", stepTimeoutInMinutes=2)
    service.progress("a", stepTimeoutInMinutes=-1)
    assert service.engine.next_deadline() == START + 20 * MINUTE
    with pytest.raises(ApiError, match="InvalidRequest: stepTimeoutInMinutes"):
        service.engine.start_next("kiln", {"stepTimeoutInMinutes": -1})


@pytest.mark.parametrize("minutes", [0, -2, 10081])
def test_step_timeout_out_of_range(service: Service, minutes: int) -> None:
    service.job("a")
    for attempt in (
        lambda: service.engine.start_next("kiln", {"stepTimeoutInMinutes": minutes}),
        lambda: service.progress("a", stepTimeoutInMinutes=minutes),
    ):
        with pytest.raises(ApiError, match="InvalidRequest: stepTimeoutInMinutes must be 1 to 10080"):
            attempt()


def test_in_progress_timer_starts_with_the_execution_not_with_the_job(service: Service) -> None:
    service.job("a", timeoutConfig={"inProgressTimeoutInMinutes": 1})
    expire_after(service, 10 * MINUTE)
    assert service.status("a") == "QUEUED"
    assert left(service) is None
    service.progress("a")
    service.clock.forward(30)
    service.progress("a")
    assert left(service) == 30
    expire_after(service, 30)
    assert service.status("a") == "TIMED_OUT"


def test_the_timer_that_expires_first_applies_as_in_awss_example(service: Service) -> None:
    # In-progress timer: 20 minutes from 12:00. Step timers: 7 minutes at :05, 5 at :10, 9 at :13.
    service.job("a", timeoutConfig={"inProgressTimeoutInMinutes": 20})
    service.progress("a")
    deadlines = []
    for at, step in ((5, 7), (10, 5), (13, 9)):
        service.clock.now = START + at * MINUTE
        service.progress("a", stepTimeoutInMinutes=step)
        deadlines.append((service.engine.next_deadline() or 0) - START)
    assert deadlines == [12 * MINUTE, 15 * MINUTE, 20 * MINUTE]
    service.clock.now = START + 20 * MINUTE
    service.engine.expire()
    assert service.status("a") == "TIMED_OUT"


def test_the_end_of_an_execution_ends_its_timers(service: Service) -> None:
    service.job("a", timeoutConfig={"inProgressTimeoutInMinutes": 1})
    service.progress("a", stepTimeoutInMinutes=1)
    service.report("a", "SUCCEEDED", stepTimeoutInMinutes=5)
    assert service.engine.next_deadline() is None
    expire_after(service, 10 * MINUTE)
    assert service.status("a") == "SUCCEEDED"


def test_next_deadline_is_the_earliest_of_all(service: Service) -> None:
    service.job("a", "kiln", "oven", "press")
    service.progress("a", thing="oven", stepTimeoutInMinutes=7)
    service.progress("a", thing="kiln", stepTimeoutInMinutes=3)
    service.progress("a", thing="press", stepTimeoutInMinutes=5)
    ended = []
    while (deadline := service.engine.next_deadline()) is not None:
        service.clock.now = deadline
        service.engine.expire()
        ended.append((deadline - START) / MINUTE)
    assert ended == [3, 5, 7]


def test_expire_with_nothing_due_changes_nothing(service: Service) -> None:
    service.job("a")
    service.progress("a", stepTimeoutInMinutes=3)
    changes = service.changes
    service.engine.expire()
    assert service.changes == changes


def test_timers_continue_after_a_restart(tmp_path: Any) -> None:
    service = Service(str(tmp_path / "jobs.db"))
    service.job("a")
    service.progress("a", stepTimeoutInMinutes=3)
    service.reopen()
    assert service.engine.next_deadline() == START + 3 * MINUTE
    expire_after(service, 3 * MINUTE)
    assert service.status("a") == "TIMED_OUT"


def test_an_execution_timed_out_refuses_its_late_result(service: Service) -> None:
    service.job("a")
    service.progress("a", stepTimeoutInMinutes=1)
    expire_after(service, MINUTE)
    with pytest.raises(ApiError) as caught:
        service.report("a", "SUCCEEDED")
    assert caught.value.code == "InvalidStateTransition"
    assert caught.value.execution_state == {"status": "TIMED_OUT", "versionNumber": 3}


def test_a_failed_execution_is_retried_under_new_numbers_as_often_as_allowed(service: Service) -> None:
    service.job("a", jobExecutionsRetryConfig=retry(FAILED=2))
    for number in (1, 2, 3):
        execution = service.execution("a")
        assert (execution["executionNumber"], execution["versionNumber"]) == (number, 1)
        assert service.job_status("a") == "IN_PROGRESS"
        service.report("a", "FAILED")
    assert service.execution("a")["executionNumber"] == 3
    assert service.job_status("a") == "COMPLETED"
    summaries = service.engine.list_job_executions_for_thing("kiln")["executionSummaries"]
    assert [item["jobExecutionSummary"]["retryAttempt"] for item in summaries] == [2, 1, 0]


def test_retries_by_kind_of_failure(service: Service) -> None:
    service.job("a", jobExecutionsRetryConfig=retry(TIMED_OUT=1))
    service.progress("a", stepTimeoutInMinutes=1)
    expire_after(service, MINUTE)
    assert service.execution("a")["executionNumber"] == 2
    service.report("a", "FAILED")
    assert service.execution("a")["executionNumber"] == 2
    assert service.job_status("a") == "COMPLETED"


def test_all_counts_both_kinds_together(service: Service) -> None:
    service.job("a", jobExecutionsRetryConfig=retry(ALL=2))
    service.report("a", "FAILED")
    service.progress("a", stepTimeoutInMinutes=1)
    expire_after(service, MINUTE)
    service.report("a", "FAILED")
    assert service.execution("a")["executionNumber"] == 3
    assert service.job_status("a") == "COMPLETED"


@pytest.mark.parametrize("status", ["REJECTED", "SUCCEEDED", "CANCELED"])
def test_other_ends_are_never_retried(service: Service, status: str) -> None:
    service.job("a", jobExecutionsRetryConfig=retry(ALL=5))
    if status == "CANCELED":
        service.engine.cancel_job_execution("a", "kiln")
    else:
        service.report("a", status)
    assert service.execution("a")["executionNumber"] == 1
    assert service.job_status("a") == "COMPLETED"


def test_a_canceled_job_retries_nothing(service: Service) -> None:
    service.job("a", jobExecutionsRetryConfig=retry(ALL=5))
    service.progress("a")
    service.engine.cancel_job("a")
    service.report("a", "FAILED")
    assert service.execution("a")["executionNumber"] == 1


def test_a_retry_queues_behind_the_others(service: Service) -> None:
    service.job("a", jobExecutionsRetryConfig=retry(FAILED=1))
    service.job("b")
    service.report("a", "FAILED")
    assert service.engine.start_next("kiln", {})["execution"]["jobId"] == "b"


@pytest.mark.parametrize(
    "config",
    [
        retry(FAILED=11), retry(FAILED=6, TIMED_OUT=5), retry(FAILED=-1), retry(REJECTED=1),
        {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}] * 2},
    ],
)
def test_retry_configurations_that_are_refused(service: Service, config: dict[str, Any]) -> None:
    with pytest.raises(ApiError, match="InvalidRequest: jobExecutionsRetryConfig"):
        service.job("a", jobExecutionsRetryConfig=config)


@pytest.mark.parametrize("minutes", [0, -1, 10081])
def test_in_progress_timeout_out_of_range(service: Service, minutes: int) -> None:
    with pytest.raises(ApiError, match="inProgressTimeoutInMinutes must be 1 to 10080"):
        service.job("a", timeoutConfig={"inProgressTimeoutInMinutes": minutes})
