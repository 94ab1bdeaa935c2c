"""The device's four operations, rule by rule: order, versions, states, limits, content of replies."""

from typing import Any

import pytest
from engine_service import MINUTE, START, Service

from ujobs_tools.service.errors import ApiError

TERMINAL = ["SUCCEEDED", "FAILED", "REJECTED", "TIMED_OUT", "CANCELED"]


@pytest.fixture
def service() -> Service:
    return Service()


def refused(code: str) -> Any:
    return pytest.raises(ApiError, match=f"^{code}: ")


def end(service: Service, job_id: str, status: str) -> None:
    """Bring a QUEUED execution of kiln to a terminal status."""
    if status == "CANCELED":
        service.engine.cancel_job_execution(job_id, "kiln")
    elif status == "TIMED_OUT":
        service.progress(job_id, stepTimeoutInMinutes=1)
        service.clock.forward(MINUTE)
        service.engine.expire()
    else:
        service.report(job_id, status)


def test_an_idle_thing_gets_an_empty_reply(service: Service) -> None:
    engine = service.engine
    assert engine.get_pending("kiln") == {"inProgressJobs": [], "queuedJobs": []}
    assert engine.start_next("kiln", {}) == {}
    assert engine.describe("kiln", "$next", {}) == {}


def test_pending_lists_in_progress_and_queued_apart_with_summaries(service: Service) -> None:
    service.job("first")
    service.clock.forward(10.9)
    service.job("second")
    service.engine.start_next("kiln", {})
    at = int(START)
    assert service.engine.get_pending("kiln") == {
        "inProgressJobs": [
            {
                "jobId": "first", "queuedAt": at, "startedAt": at + 10, "lastUpdatedAt": at + 10,
                "executionNumber": 1, "versionNumber": 2,
            }
        ],
        "queuedJobs": [
            {
                "jobId": "second", "queuedAt": at + 10, "lastUpdatedAt": at + 10,
                "executionNumber": 1, "versionNumber": 1,
            }
        ],
    }


def test_pending_lists_ten_executions_at_most(service: Service) -> None:
    for index in range(12):
        service.job(f"job-{index}")
    service.progress("job-11")
    pending = service.engine.get_pending("kiln")
    assert [summary["jobId"] for summary in pending["inProgressJobs"]] == ["job-11"]
    assert [summary["jobId"] for summary in pending["queuedJobs"]] == [f"job-{index}" for index in range(9)]


def test_start_next_starts_the_oldest_with_version_2_and_its_document(service: Service) -> None:
    service.job("a", document={"operation": "blink", "times": 3})
    service.job("b")
    service.clock.forward(5)
    reply = service.engine.start_next("kiln", {"statusDetails": {"step": "1"}})
    assert reply == {
        "execution": {
            "jobId": "a", "status": "IN_PROGRESS", "statusDetails": {"step": "1"}, "queuedAt": int(START),
            "startedAt": int(START) + 5, "lastUpdatedAt": int(START) + 5, "versionNumber": 2, "executionNumber": 1,
            "jobDocument": {"operation": "blink", "times": 3},
        }
    }


def test_status_details_are_absent_until_set(service: Service) -> None:
    service.job("a")
    assert "statusDetails" not in service.engine.start_next("kiln", {})["execution"]
    assert "statusDetails" not in service.progress("a", includeJobExecutionState=True)["executionState"]


def test_start_next_returns_the_one_in_progress_unchanged(service: Service) -> None:
    service.job("a")
    first = service.engine.start_next("kiln", {"statusDetails": {"step": "1"}, "stepTimeoutInMinutes": 5})
    service.clock.forward(MINUTE)
    again = service.engine.start_next("kiln", {"statusDetails": {"step": "2"}, "stepTimeoutInMinutes": 9})
    first["execution"]["approximateSecondsBeforeTimedOut"] -= MINUTE
    assert again == first


def test_in_progress_comes_before_queued_for_start_next_and_describe_next(service: Service) -> None:
    service.job("a")
    service.job("b")
    service.job("c")
    service.progress("c")
    service.progress("b")
    assert service.engine.describe("kiln", "$next", {})["execution"]["jobId"] == "b"
    assert service.engine.start_next("kiln", {})["execution"]["jobId"] == "b"


def test_describe_next_does_not_start(service: Service) -> None:
    service.job("a")
    execution = service.engine.describe("kiln", "$next", {})["execution"]
    assert (execution["status"], execution["versionNumber"]) == ("QUEUED", 1)
    assert "startedAt" not in execution


def test_describe_with_and_without_the_document(service: Service) -> None:
    service.job("a", document={"operation": "x"})
    assert service.engine.describe("kiln", "a", {})["execution"]["jobDocument"] == {"operation": "x"}
    assert "jobDocument" not in service.engine.describe("kiln", "a", {"includeJobDocument": False})["execution"]
    assert "jobDocument" not in service.engine.describe("kiln", "$next", {"includeJobDocument": False})["execution"]


def test_members_that_are_null_do_not_reach_the_device(service: Service) -> None:
    service.job("a", document={"operation": "x", "gone": None, "list": [None, {"gone": None, "kept": 0}]})
    document = service.engine.start_next("kiln", {})["execution"]["jobDocument"]
    assert document == {"operation": "x", "list": [None, {"kept": 0}]}


def test_describe_of_a_missing_execution(service: Service) -> None:
    service.job("a")
    for thing, job_id, request in (
        ("kiln", "b", {}), ("oven", "a", {}), ("kiln", "a", {"executionNumber": 2}),
    ):
        with refused("ResourceNotFound"):
            service.engine.describe(thing, job_id, request)


@pytest.mark.parametrize("status", TERMINAL)
def test_describe_of_an_ended_execution(service: Service, status: str) -> None:
    service.job("a")
    end(service, "a", status)
    with refused("TerminalStateReached"):
        service.engine.describe("kiln", "a", {})


def test_update_replies_nothing_unless_asked(service: Service) -> None:
    service.job("a", document={"operation": "x"})
    assert service.progress("a") == {}
    assert service.progress(
        "a", statusDetails={"progress": "40"}, includeJobExecutionState=True, includeJobDocument=True
    ) == {
        "executionState": {"status": "IN_PROGRESS", "statusDetails": {"progress": "40"}, "versionNumber": 3},
        "jobDocument": {"operation": "x"},
    }


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "REJECTED"])
@pytest.mark.parametrize("started", [False, True])
def test_each_result_can_be_reported_from_queued_and_from_in_progress(
    service: Service, status: str, started: bool
) -> None:
    service.job("a")
    if started:
        service.progress("a")
    service.clock.forward(3)
    service.report("a", status, statusDetails={"reason": "because"})
    execution = service.execution("a")
    assert execution["status"] == status
    assert execution["versionNumber"] == 2 + started
    assert execution["statusDetails"] == {"detailsMap": {"reason": "because"}}
    assert execution["lastUpdatedAt"] == START + 3
    # A result reported from QUEUED also counts as a start, except REJECTED.
    expected = START if started else None if status == "REJECTED" else START + 3
    assert execution.get("startedAt") == expected


@pytest.mark.parametrize("status", TERMINAL)
@pytest.mark.parametrize("wanted", ["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"])
def test_nothing_leaves_a_terminal_status(service: Service, status: str, wanted: str) -> None:
    service.job("a")
    end(service, "a", status)
    before = service.execution("a")
    with refused("InvalidStateTransition") as caught:
        service.report("a", wanted)
    assert caught.value.execution_state == {"status": status, "versionNumber": before["versionNumber"]}
    assert service.execution("a") == before


@pytest.mark.parametrize("status", ["QUEUED", "TIMED_OUT", "REMOVED", "CANCELED"])
def test_a_status_only_the_service_sets_is_refused_without_execution_state(service: Service, status: str) -> None:
    service.job("a")
    with refused("InvalidStateTransition") as caught:
        service.report("a", status)
    assert caught.value.message == f"The status of job execution cannot be changed to be {status}"
    assert caught.value.execution_state is None


@pytest.mark.parametrize("status", ["SUCCESS", "COMPLETED", "in_progress", "", 3, None])
def test_an_unknown_status_is_an_invalid_request(service: Service, status: object) -> None:
    service.job("a")
    with refused("InvalidRequest"):
        service.engine.update("kiln", "a", {"status": status})
    assert service.execution("a")["versionNumber"] == 1


def test_status_is_required_on_every_update(service: Service) -> None:
    service.job("a")
    with refused("InvalidRequest"):
        service.engine.update("kiln", "a", {"statusDetails": {"progress": "1"}})


@pytest.mark.parametrize("expected", [2, "2"])
def test_expected_version_as_number_or_numeric_string(service: Service, expected: object) -> None:
    service.job("a")
    service.progress("a")
    service.progress("a", expectedVersion=expected)
    with refused("VersionMismatch") as caught:
        service.progress("a", expectedVersion=expected)
    assert caught.value.message == "Expected version 2 but found version 3"
    assert caught.value.execution_state == {"status": "IN_PROGRESS", "versionNumber": 3}
    assert service.execution("a")["versionNumber"] == 3


@pytest.mark.parametrize("expected", ["two", "", 2.0, True, [2]])
def test_invalid_expected_version(service: Service, expected: object) -> None:
    service.job("a")
    with refused("InvalidRequest"):
        service.progress("a", expectedVersion=expected)


def test_a_stale_version_is_reported_before_the_terminal_status(service: Service) -> None:
    service.job("a")
    service.report("a", "SUCCEEDED")
    with refused("VersionMismatch") as caught:
        service.report("a", "SUCCEEDED", expectedVersion=1)
    assert caught.value.execution_state == {"status": "SUCCEEDED", "versionNumber": 2}


def test_updates_go_to_the_latest_execution_unless_a_number_is_given(service: Service) -> None:
    service.job("a", jobExecutionsRetryConfig={"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]})
    service.report("a", "FAILED")
    with refused("InvalidStateTransition"):
        service.progress("a", executionNumber=1)
    with refused("ResourceNotFound"):
        service.progress("a", executionNumber=3)
    service.progress("a", executionNumber=2)
    service.report("a", "SUCCEEDED")
    assert service.status("a", number=1) == "FAILED"
    assert service.status("a", number=2) == "SUCCEEDED"


def test_status_details_replace_the_map_and_stay_when_left_out(service: Service) -> None:
    service.job("a")
    service.progress("a", statusDetails={"progress": "1", "message": "x"})
    service.progress("a", statusDetails={"progress": "2"})
    service.progress("a", statusDetails=None)
    service.report("a", "SUCCEEDED")
    assert service.execution("a")["statusDetails"] == {"detailsMap": {"progress": "2"}}


@pytest.mark.parametrize(
    "details",
    [
        {f"k{index}": "v" for index in range(10)},
        {"k" * 128: "v" * 1024},
        {"aZ09:_-": "é ß 漢 🙂 \u00a0"},
        {},
    ],
)
def test_status_details_within_the_limits(service: Service, details: dict[str, str]) -> None:
    service.job("a")
    state = service.progress("a", statusDetails=details, includeJobExecutionState=True)["executionState"]
    assert state["statusDetails"] == details


def test_numbers_and_booleans_as_text_which_aws_sdks_v1_send(service: Service) -> None:
    service.job("a")
    service.engine.start_next("kiln", {"stepTimeoutInMinutes": "5"})
    described = service.engine.describe("kiln", "a", {"executionNumber": "1", "includeJobDocument": "false"})
    assert described["execution"]["approximateSecondsBeforeTimedOut"] == 5 * MINUTE
    assert "jobDocument" not in described["execution"]
    reply = service.progress(
        "a", expectedVersion="2", executionNumber="1", stepTimeoutInMinutes="-1", includeJobExecutionState="true",
        includeJobDocument="true",
    )
    assert reply == {
        "executionState": {"status": "IN_PROGRESS", "versionNumber": 3}, "jobDocument": {"operation": "x"},
    }
    assert service.progress("a", includeJobExecutionState="false", includeJobDocument="false") == {}


def test_a_number_in_status_details_becomes_text(service: Service) -> None:
    service.job("a")
    details = {"uptime": 1234.56, "tries": 0, "below": -1.5e-7}
    state = service.progress("a", statusDetails=details, includeJobExecutionState=True)["executionState"]
    assert state["statusDetails"] == {"uptime": "1234.56", "tries": "0", "below": "-1.5e-07"}


@pytest.mark.parametrize(
    ("details", "named"),
    [
        ({f"k{index}": "v" for index in range(11)}, "limit is 10"),
        ({"k" * 129: "v"}, "128"),
        ({"": "v"}, "key"),
        ({"a.b": "v"}, "a.b"),
        ({"a b": "v"}, "a b"),
        ({"k": "v" * 1025}, "1024"),
        ({"k": ""}, "1 to 1024"),
        ({"k": "a\nb"}, "control"),
        ({"k": "a\u200bb"}, "control"),
        ({"k": "\ud800"}, "control"),
        ({"k": float("inf")}, "string"),
        ({"k": True}, "string"),
        ({"k": None}, "string"),
        ({"k": {"nested": "v"}}, "string"),
        ("text", "map"),
        (["k"], "map"),
    ],
)
def test_status_details_beyond_the_limits(service: Service, details: object, named: str) -> None:
    service.job("a")
    for attempt in (
        lambda: service.engine.start_next("kiln", {"statusDetails": details}),
        lambda: service.progress("a", statusDetails=details),
    ):
        with pytest.raises(ApiError, match=f"^InvalidRequest: statusDetails .*{named}"):
            attempt()
    assert service.execution("a")["versionNumber"] == 1


@pytest.mark.parametrize(
    "request_",
    [
        {"includeJobExecutionState": "yes"}, {"includeJobDocument": 1}, {"includeJobDocument": "True"},
        {"executionNumber": 1.5}, {"executionNumber": "1.5"}, {"executionNumber": ""}, {"executionNumber": " 1"},
        {"executionNumber": True}, {"stepTimeoutInMinutes": "0"}, {"stepTimeoutInMinutes": "5m"},
    ],
)
def test_members_of_another_type(service: Service, request_: dict[str, Any]) -> None:
    service.job("a")
    with refused("InvalidRequest"):
        service.progress("a", **request_)


def test_null_members_are_treated_as_absent(service: Service) -> None:
    service.job("a")
    service.engine.update(
        "kiln", "a",
        {
            "status": "IN_PROGRESS", "statusDetails": None, "expectedVersion": None, "executionNumber": None,
            "stepTimeoutInMinutes": None, "includeJobDocument": None, "includeJobExecutionState": None, "unknown": 1,
        },
    )
    assert service.execution("a")["versionNumber"] == 2


@pytest.mark.parametrize("job_id", ["$next", "a.b", "", "x" * 65])
def test_update_and_describe_with_an_invalid_job_id(service: Service, job_id: str) -> None:
    with refused("InvalidRequest"):
        service.progress(job_id)


def test_one_thing_does_not_see_anothers_executions(service: Service) -> None:
    service.job("a", "kiln", "oven")
    service.report("a", "SUCCEEDED", thing="oven")
    assert service.status("a", "kiln") == "QUEUED"
    assert service.status("a", "oven") == "SUCCEEDED"
    assert service.engine.start_next("oven", {}) == {}


def test_history_has_every_version_with_its_time(service: Service) -> None:
    service.job("a")
    service.clock.forward(1)
    service.engine.start_next("kiln", {})
    service.clock.forward(1)
    service.progress("a", statusDetails={"progress": "1"})
    service.clock.forward(1)
    service.report("a", "SUCCEEDED", statusDetails={"result": "done"})
    assert service.engine.history("kiln", "a", 1) == [
        {"versionNumber": 1, "status": "QUEUED", "at": START},
        {"versionNumber": 2, "status": "IN_PROGRESS", "at": START + 1},
        {"versionNumber": 3, "status": "IN_PROGRESS", "statusDetails": {"progress": "1"}, "at": START + 2},
        {"versionNumber": 4, "status": "SUCCEEDED", "statusDetails": {"result": "done"}, "at": START + 3},
    ]
    with refused("ResourceNotFound"):
        service.engine.history("kiln", "a", 2)
