"""Jobs with a start time, an end time or maintenance windows. The clock starts on Monday, 21 September 2026, at
14:13:20."""

from datetime import UTC, datetime
from typing import Any

import pytest
from engine_service import MINUTE, START, Service

from ujobs_tools.service import cron, schedule
from ujobs_tools.service.errors import ApiError

NIGHTS = [{"startTime": "cron(0 22 ? * MON-FRI *)", "durationInMinutes": 60}]
SOON = "2026-09-21T14:44"  # the earliest start
BOTH = [("kiln", "notify"), ("kiln", "notify-next")]


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Plant(Service):
    """A service with the group plant, kiln in it, and a job for the group."""

    def __init__(self, path: str = ":memory:") -> None:
        super().__init__(path)

    def begin(self, selection: str = "CONTINUOUS", **config: Any) -> None:
        self.engine.create_thing_group("plant")
        for thing in ("kiln", "oven"):
            self.engine.create_thing(thing)
        if "maintenanceWindows" in config:
            config = {"startTime": SOON, **config}
        self.engine.add_thing_to_thing_group("plant", thingName="kiln")
        target = self.engine.arn("thinggroup", "plant")
        self.engine.create_job("j", [target], "{}", targetSelection=selection, schedulingConfig=config)

    def until(self, moment: str) -> None:
        """Advance the clock, and carry out everything that becomes due."""
        while (deadline := self.engine.next_deadline()) is not None and deadline <= at(moment):
            self.clock.now = deadline
            self.engine.expire()
        self.clock.now = at(moment)

    def pending(self, thing: str = "kiln") -> int:
        return len(self.engine.get_pending(thing)["queuedJobs"])


@pytest.fixture
def plant() -> Plant:
    return Plant()


@pytest.mark.parametrize(
    ("expression", "moments"),
    [
        ("cron(30 2 * * ? *)", ["2026-09-22T02:30", "2026-09-23T02:30"]),
        ("cron(0 18 ? * MON-FRI *)", ["2026-09-21T18:00", "2026-09-22T18:00"]),
        ("cron(0 12 ? * 1,7 *)", ["2026-09-26T12:00", "2026-09-27T12:00"]),
        ("cron(0/30 14 ? * * *)", ["2026-09-21T14:30", "2026-09-22T14:00"]),
        ("cron(15 10 1 jan ? *)", ["2027-01-01T10:15", "2028-01-01T10:15"]),
        ("cron(0 0 29 FEB ? *)", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("cron(5 1 31 */2 ? 2027)", ["2027-01-31T01:05", "2027-03-31T01:05"]),
    ],
)
def test_cron_expressions(expression: str, moments: list[str]) -> None:
    found = cron.parse(expression, "startTime").after(START)
    assert [next(found), next(found)] == [at(moment) for moment in moments]


@pytest.mark.parametrize(
    "expression",
    [
        "", "0 22 ? * * *", "cron(0 22 ? * *)", "cron(0 22 * * * *)", "cron(60 22 ? * * *)", "cron(0 24 ? * * *)",
        "cron(0 22 ? * DAY *)", "cron(0 22 ? * 0 *)", "cron(? 22 ? * * *)", "cron(0 22 ? 13 * *)",
        "cron(5-1 2 ? * * *)", "cron(*/0 22 ? * * *)", "cron(*/00 22 ? * * *)", "cron(0 22 ? * ? *)",
        "cron(0 22 ? * MON- *)", "cron(0 22 ? * * 1960)",
    ],
)
def test_invalid_expressions(expression: str) -> None:
    with pytest.raises(ApiError, match=r"^InvalidRequest: startTime"):
        cron.parse(expression, "startTime")


@pytest.mark.parametrize("expression", ["cron(0 22 L * ? *)", "cron(0 22 15W * ? *)", "cron(0 22 ? * 6#3 *)"])
def test_unsupported_cron_features_are_named(expression: str) -> None:
    with pytest.raises(ApiError, match=r"^NotImplemented: startTime: [L156W#3]+ as day of"):
        cron.parse(expression, "startTime")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"startTime": "2026-09-21 16:00"}, "must follow the format YYYY-MM-DDThh:mm"),
        ({"startTime": "2026-09-21T16:00:00Z"}, "must follow the format"), ({"endTime": "2026-13-21T16:00"}, "follow"),
        ({"startTime": "2026-09-21T14:43"}, "30 minutes"), ({"startTime": "2027-09-23T00:00"}, "a year"),
        ({"endTime": "2026-09-21T14:43"}, "30 minutes"), ({"endTime": "2028-09-23T00:00"}, "two years"),
        ({"startTime": "2026-09-21T16:00", "endTime": "2026-09-21T16:29"}, "30 minutes after"),
        ({"endTime": "2026-09-21T16:00", "endBehavior": "PAUSE"}, "endBehavior"),
        (
            {"startTime": SOON, "maintenanceWindows": [{"startTime": "cron(0 2 ? * * *)", "durationInMinutes": 1431}]},
            "1 to 1430",
        ),
    ],
)
def test_schedules_out_of_bounds_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=f"^InvalidRequest: .*{message}"):
        schedule.check(config, True, START)


def test_windows_are_for_continuous_jobs(plant: Plant) -> None:
    with pytest.raises(ApiError, match=r"^InvalidRequest: .*cannot be used with SNAPSHOT job"):
        plant.begin("SNAPSHOT", maintenanceWindows=NIGHTS)


def test_windows_need_a_start() -> None:
    with pytest.raises(ApiError, match=r"^InvalidRequest: MaintenanceWindow cannot be used without StartTime"):
        schedule.check({"maintenanceWindows": NIGHTS, "endTime": "2026-10-30T00:00"}, True, START)


@pytest.mark.parametrize("selection", ["SNAPSHOT", "CONTINUOUS"])
def test_a_job_begins_at_its_time(plant: Plant, selection: str) -> None:
    plant.begin(selection, startTime="2026-09-22T06:00")
    assert (plant.job_status("j"), plant.heard(), plant.pending()) == ("SCHEDULED", [], 0)
    plant.until("2026-09-22T05:59")
    assert (plant.job_status("j"), plant.pending()) == ("SCHEDULED", 0)
    plant.until("2026-09-22T06:00")
    assert (plant.job_status("j"), plant.heard()) == ("IN_PROGRESS", BOTH)
    plant.report("j", "SUCCEEDED")
    assert plant.job_status("j") == ("COMPLETED" if selection == "SNAPSHOT" else "IN_PROGRESS")


def test_a_job_is_rolled_out_in_its_windows_only(plant: Plant) -> None:
    plant.begin(maintenanceWindows=NIGHTS)
    assert (plant.job_status("j"), plant.pending()) == ("SCHEDULED", 0)
    plant.until("2026-09-21T22:00")
    assert (plant.job_status("j"), plant.heard()) == ("IN_PROGRESS", BOTH)
    # An execution that has not started when the window closes is hidden until the next window.
    plant.until("2026-09-21T23:00")
    assert (plant.job_status("j"), plant.heard(), plant.pending()) == ("SCHEDULED", BOTH, 0)
    assert (plant.engine.start_next("kiln", {}), plant.status("j")) == ({}, "QUEUED")
    plant.until("2026-09-22T22:30")
    assert (plant.heard(), plant.pending()) == (BOTH, 1)
    plant.progress("j")
    plant.until("2026-09-23T10:00")
    assert plant.status("j") == "IN_PROGRESS"
    plant.report("j", "SUCCEEDED")
    assert plant.job_status("j") == "SCHEDULED"


@pytest.mark.parametrize(("plain", "in_windows", "listed"), [(12, 2, (10, 2)), (0, 7, (0, 5)), (9, 6, (9, 5))])
def test_five_executions_more_are_listed_while_a_window_is_open(
    plant: Plant, plain: int, in_windows: int, listed: tuple[int, int]
) -> None:
    arn = plant.engine.create_thing("kiln")["thingArn"]
    for number in range(plain):
        plant.job(f"plain-{number}")
    windows = {"startTime": SOON, "maintenanceWindows": NIGHTS}
    for number in range(in_windows):
        plant.engine.create_job(f"w-{number}", [arn], "{}", targetSelection="CONTINUOUS", schedulingConfig=windows)
    plant.until("2026-09-21T22:00")
    expected = [f"{kind}-{number}" for kind, most in zip(("plain", "w"), listed, strict=True) for number in range(most)]
    found = plant.engine.get_pending("kiln")["queuedJobs"]
    notified = [payload for _, suffix, payload in plant.sent if suffix == "notify"][-1]["jobs"]["QUEUED"]
    for summaries in (found, notified):
        assert [summary["jobId"] for summary in summaries] == expected


def test_a_thing_that_joins_between_windows_waits(plant: Plant) -> None:
    plant.begin(maintenanceWindows=NIGHTS)
    plant.engine.add_thing_to_thing_group("plant", thingName="oven")
    assert plant.pending("oven") == 0
    plant.until("2026-09-21T22:00")
    assert plant.pending("oven") == 1


def test_a_thing_that_leaves_between_windows_is_left_out(plant: Plant) -> None:
    plant.begin(maintenanceWindows=NIGHTS)
    plant.engine.remove_thing_from_thing_group("plant", thingName="kiln")
    plant.until("2026-09-21T22:00")
    assert plant.engine.list_job_executions_for_job("j")["executionSummaries"] == []


def test_a_retry_between_windows_waits(plant: Plant) -> None:
    plant.begin(maintenanceWindows=NIGHTS)
    job = plant.engine.store.job("j")
    assert job is not None
    job.retries = {"ALL": 1}
    plant.engine.store.save_job(job)
    plant.until("2026-09-21T22:30")
    plant.progress("j")
    plant.until("2026-09-21T23:30")
    plant.report("j", "FAILED")
    assert (plant.pending(), plant.execution("j")["executionNumber"]) == (0, 2)
    plant.until("2026-09-22T22:00")
    assert plant.pending() == 1


def test_windows_begin_after_the_start(plant: Plant) -> None:
    plant.begin(startTime="2026-09-24T00:00", maintenanceWindows=NIGHTS)
    plant.until("2026-09-22T22:30")
    assert plant.job_status("j") == "SCHEDULED"
    plant.until("2026-09-24T22:00")
    assert plant.job_status("j") == "IN_PROGRESS"


def test_the_next_seven_windows_are_described(plant: Plant) -> None:
    plant.begin(maintenanceWindows=NIGHTS, endTime="2026-10-30T00:00")
    described = plant.engine.describe_job("j")["job"]
    assert [found["startTime"] for found in described["scheduledJobRollouts"]] == [
        f"2026-09-{day}T22:00" for day in (21, 22, 23, 24, 25, 28, 29)
    ]
    plant.engine.cancel_job("j")
    assert "scheduledJobRollouts" not in plant.engine.describe_job("j")["job"]


@pytest.mark.parametrize(
    ("behavior", "status", "queued", "in_progress"),
    [
        ("STOP_ROLLOUT", "IN_PROGRESS", "QUEUED", "IN_PROGRESS"), ("CANCEL", "CANCELED", "CANCELED", "IN_PROGRESS"),
        ("FORCE_CANCEL", "CANCELED", "CANCELED", "CANCELED"),
    ],
)
def test_end_behaviors(plant: Plant, behavior: str, status: str, queued: str, in_progress: str) -> None:
    plant.begin(endTime="2026-09-22T00:00", endBehavior=behavior)
    plant.engine.add_thing_to_thing_group("plant", thingName="oven")
    plant.progress("j")
    plant.until("2026-09-22T00:00")
    found = (plant.job_status("j"), plant.status("j", "oven"), plant.status("j"))
    assert found == (status, queued, in_progress)
    assert plant.engine.next_deadline() is None


def test_a_continuous_job_is_completed_when_its_end_has_come_and_all_is_done(plant: Plant) -> None:
    plant.begin(endTime="2026-09-22T00:00")
    plant.until("2026-09-22T00:00")
    plant.report("j", "SUCCEEDED")
    assert plant.job_status("j") == "COMPLETED"


def test_executions_that_wait_for_a_window_at_the_end_are_cancelled(plant: Plant) -> None:
    plant.begin(maintenanceWindows=NIGHTS, endTime="2026-09-22T12:00")
    plant.until("2026-09-22T12:00")
    assert (plant.status("j"), plant.job_status("j")) == ("CANCELED", "COMPLETED")


def test_a_rate_pauses_between_windows(plant: Plant) -> None:
    plant.begin(maintenanceWindows=[{"startTime": "cron(0 22 ? * * *)", "durationInMinutes": 2}])
    plant.engine.update_job("j", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    for number in range(4):
        plant.engine.create_thing(f"saw-{number}")
        plant.engine.add_thing_to_thing_group("plant", thingName=f"saw-{number}")
    counts = []
    for day in (21, 22, 23):
        plant.until(f"2026-09-{day}T23:00")
        counts.append(sum(plant.engine.store.counts("j").values()))
    assert counts == [2, 4, 5]


def test_a_schedule_continues_after_a_restart(tmp_path: Any) -> None:
    plant = Plant(str(tmp_path / "jobs.sqlite"))
    plant.begin(maintenanceWindows=NIGHTS)
    plant.clock.forward(8 * 60 * MINUTE)
    plant.reopen()
    plant.engine.expire()
    assert plant.heard() == BOTH
    plant.engine.store.close()
