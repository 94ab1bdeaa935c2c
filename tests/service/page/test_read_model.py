"""The content of the live page, from the state of the engine and of the connections."""

import json
from typing import Any

import pytest

from ujobs_tools.service.engine import Engine
from ujobs_tools.service.errors import ApiError
from ujobs_tools.service.page.presence import MAX_EVENTS, MAX_LINES, Presence
from ujobs_tools.service.page.read_model import ReadModel
from ujobs_tools.service.store import Store
from ujobs_tools.service.wire_record import WireRecord

NOW = 1_790_000_000.0


class Desk:
    """An engine with a store in memory, and the page's model of it; `now` is the clock."""

    def __init__(self) -> None:
        self.now = NOW
        self.changes = 0
        self.engine = Engine(Store(":memory:"), lambda: self.now)
        self.presence = Presence(lambda: self.now, self._changed)
        self.record = WireRecord(lambda: self.now)
        self.model = ReadModel(self.engine, self.presence, self.record)

    def _changed(self) -> None:
        self.changes += 1

    def view(self, name: str, **asked: str) -> dict[str, Any]:
        found = self.model.view({"view": name, **asked})
        assert json.loads(json.dumps(found)) == found
        return found

    def job(self, job_id: str, *things: str, **options: Any) -> None:
        arns = [self.engine.create_thing(thing)["thingArn"] for thing in things]
        self.engine.create_job(job_id, arns, '{"operation": "x"}', **options)

    def report(self, thing: str, job_id: str, status: str, **details: str) -> None:
        self.engine.start_next(thing, {})
        self.engine.update(thing, job_id, {"status": status, "statusDetails": details})


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_jobs_come_newest_first_with_their_executions_counted(desk: Desk) -> None:
    desk.job("first", "a", "b", "c", description="All of them")
    desk.job("second", "a")
    desk.report("a", "first", "SUCCEEDED")
    desk.report("b", "first", "FAILED", reason="no sensor")
    second, first = desk.view("jobs")["jobs"]
    assert (second["jobId"], second["counts"]) == ("second", {"QUEUED": 1})
    assert (first["jobId"], first["status"], first["description"]) == ("first", "IN_PROGRESS", "All of them")
    assert first["counts"] == {"SUCCEEDED": 1, "FAILED": 1, "QUEUED": 1}
    assert first["targets"] == ["a", "b", "c"]


def test_a_job_in_stages_shows_its_stages(desk: Desk) -> None:
    desk.job("plain", "a")
    desk.job("slow", "a", "b", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    assert desk.view("job", job="plain")["stages"] == []
    assert desk.view("job", job="slow")["stages"] == ["rate: 1 things a minute, more things wait"]


def test_rows_over_the_limit_are_announced(desk: Desk) -> None:
    for number in range(3):
        desk.job(f"job-{number}", "a")
    limited = desk.view("jobs", limit="2")
    assert ([job["jobId"] for job in limited["jobs"]], limited["more"]) == (["job-2", "job-1"], True)
    assert not desk.view("jobs", limit="3")["more"]
    assert [len(desk.view("thing", thing="a", limit=limit)["executions"]) for limit in ("1", "3")] == [1, 3]


def test_reasons_are_grouped_by_text_and_status_the_most_frequent_first(desk: Desk) -> None:
    desk.job("j", *"abcd")
    for thing, status, reason in (
        ("a", "FAILED", "no sensor"), ("b", "REJECTED", "busy"), ("c", "REJECTED", "busy"), ("d", "REJECTED", "")
    ):
        desk.report(thing, "j", status, **({"reason": reason} if reason else {}))
    reasons = desk.view("job", job="j")["reasons"]
    assert [(found["reason"], found["status"], found["count"]) for found in reasons] == [
        ("busy", "REJECTED", 2), ("no sensor", "FAILED", 1), ("", "REJECTED", 1),
    ]
    assert sorted(reasons[0]["things"]) == ["b", "c"]


def test_running_and_failed_executions_come_first_and_can_be_filtered(desk: Desk) -> None:
    desk.job("j", *"abcd")
    desk.report("a", "j", "SUCCEEDED")
    desk.report("b", "j", "FAILED", reason="no sensor", progress="2/5")
    desk.report("c", "j", "IN_PROGRESS", progress="3/0")
    rows = desk.view("job", job="j")["executions"]
    assert [row["thing"] for row in rows] == ["c", "b", "d", "a"]
    assert [row["progress"] for row in rows] == [None, [2, 5], None, None]
    assert [row["thing"] for row in desk.view("job", job="j", status="FAILED")["executions"]] == ["b"]


def test_a_thousand_executions_are_one_page_of_rows_and_right_counts(desk: Desk) -> None:
    things = [f"t{number}" for number in range(1000)]
    arn = desk.engine.create_thing_group("all")["thingGroupArn"]
    for thing in things:
        desk.engine.create_thing(thing)
        desk.engine.add_thing_to_thing_group(thingGroupName="all", thingName=thing)
    desk.engine.create_job("j", [arn], "{}")
    desk.report("t7", "j", "FAILED", reason="no sensor")
    found = desk.view("job", job="j")
    assert found["counts"] == {"QUEUED": 999, "FAILED": 1}
    assert (len(found["executions"]), found["more"], found["executions"][0]["thing"]) == (100, True, "t7")
    assert len(desk.view("job", job="j", limit="5000")["executions"]) == 1000


def test_the_time_line_shows_the_origin_of_each_version(desk: Desk) -> None:
    desk.job("j", "a", timeoutConfig={"inProgressTimeoutInMinutes": 10})
    desk.now += 5
    desk.engine.start_next("a", {"stepTimeoutInMinutes": 1})
    found = desk.view("execution", job="j", thing="a", number="1")
    assert (found["execution"]["stepDeadline"], found["execution"]["jobDeadline"]) == (desk.now + 60, desk.now + 600)
    assert found["jobTimeout"] == 10
    desk.now += 60
    desk.engine.expire()
    found = desk.view("execution", job="j", thing="a")
    assert [(entry["status"], entry["by"], entry["at"] - NOW) for entry in found["history"]] == [
        ("QUEUED", "service", 0), ("IN_PROGRESS", "device", 5), ("TIMED_OUT", "timer", 65),
    ]
    assert found["execution"]["stepDeadline"] is None


def test_a_retry_is_an_execution_of_its_own(desk: Desk) -> None:
    retries = {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 1}]}
    desk.job("j", "a", jobExecutionsRetryConfig=retries)
    desk.report("a", "j", "FAILED")
    found = desk.view("execution", job="j", thing="a", number="2")
    assert (found["numbers"], found["execution"]["retry"], found["execution"]["status"]) == ([1, 2], 1, "QUEUED")


def test_a_thing_shows_its_connections_and_why_the_last_one_ended(desk: Desk) -> None:
    desk.job("one", "a")
    desk.job("two", "a")
    assert [desk.view("things")["things"][0][name] for name in ("connected", "since", "behind")] == [False, None, 1]
    desk.presence.told("a", "a", None)
    desk.now += 9
    desk.presence.told("a", "a-again", None)
    desk.presence.told("a", "a", "no packet arrived in time")
    thing = desk.view("thing", thing="a")
    assert (thing["connected"], thing["front"]["jobId"]) == (True, "one")
    assert [row["jobId"] for row in thing["queue"]] == ["one", "two"]
    desk.presence.told("a", "a-again", "the client disconnected")
    thing = desk.view("things")["things"][0]
    assert (thing["connected"], thing["since"], thing["why"]) == (False, NOW + 9, "the client disconnected")


def test_the_data_kept_for_a_thing_is_limited(desk: Desk) -> None:
    desk.job("j", "a")
    board = desk.presence.add_board("a")
    for number in range(MAX_LINES + 5):
        board.line(f"line {number}")
        desk.presence.told("a", "a", None)
    thing = desk.view("thing", thing="a")
    assert (len(thing["console"]), len(thing["events"])) == (MAX_LINES, MAX_EVENTS)
    assert thing["console"][-1]["text"] == f"line {MAX_LINES + 4}"


def test_an_execution_shows_the_boards_output_while_it_ran(desk: Desk) -> None:
    desk.job("j", "a")
    assert desk.view("execution", job="j", thing="a")["console"] is None
    board = desk.presence.add_board("a")
    board.line("before")
    desk.now += 10
    desk.engine.start_next("a", {})
    board.line("during")
    desk.report("a", "j", "SUCCEEDED")
    desk.now += 10
    board.line("after")
    assert [line["text"] for line in desk.view("execution", job="j", thing="a")["console"]] == ["during"]
    desk.presence.remove_board("a")
    assert desk.view("execution", job="j", thing="a")["console"] is None


def test_a_new_job_can_have_things_groups_and_managed_templates(desk: Desk) -> None:
    desk.job("j", "a")
    desk.engine.create_thing_group("kilns")
    found = desk.view("new")
    assert (found["things"], found["groups"], found["arn"]) == (["a"], ["kilns"], "arn:aws:iot:us-east-1:000000000000:")
    [download] = [template for template in found["templates"] if template["name"] == "AWS-Download-File"]
    assert {parameter["key"] for parameter in download["parameters"]} >= {"downloadUrl", "filePath"}


@pytest.mark.parametrize(
    ("asked", "error"),
    [
        ({"view": "secrets"}, "InvalidRequest"), ({"view": "job", "job": "none"}, "ResourceNotFound"),
        ({"view": "execution", "job": "none", "thing": "a"}, "ResourceNotFound"),
        ({"view": "thing", "thing": "none"}, "ResourceNotFound"), ({"view": "wire", "thing": "a b"}, "InvalidRequest"),
        ({"view": "jobs", "limit": "many"}, "InvalidRequest"),
    ],
)
def test_a_missing_object_is_an_error(desk: Desk, asked: dict[str, str], error: str) -> None:
    with pytest.raises(ApiError, match=error):
        desk.model.view(asked)


def test_reading_changes_nothing(desk: Desk) -> None:
    desk.job("j", "a")
    desk.engine.on_change = desk._changed
    for view in ("jobs", "things", "new"):
        desk.view(view)
    desk.view("job", job="j")
    desk.view("execution", job="j", thing="a")
    assert desk.changes == 0
