"""`ujobs job watch`: its calls, and its output for a large job."""

import io
from typing import Any

from rich.console import Console

from ujobs_tools.aws.executions import MOST_SHOWN, overview
from ujobs_tools.aws.jobs import Watch


class Paginator:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud

    def paginate(self, jobId: str, PaginationConfig: dict[str, int]) -> Any:
        size, statuses = PaginationConfig["PageSize"], list(self._cloud.statuses.items())
        for start in range(0, max(1, len(statuses)), size):
            self._cloud.calls += 1
            yield {
                "executionSummaries": [
                    {
                        "thingArn": f"arn:aws:iot:us-east-1:0:thing/{thing}",
                        "jobExecutionSummary": {"status": status, "executionNumber": 1},
                    }
                    for thing, status in statuses[start : start + size]
                ]
            }


class Cloud:
    """Counts the calls. statuses: statuses of the job's executions, by thing."""

    def __init__(self) -> None:
        self.calls = 0
        self.job = "IN_PROGRESS"
        self.members: dict[str, Any] = {}
        self.statuses = {f"thing-{number}": "QUEUED" for number in range(1000)}

    def get_paginator(self, name: str) -> Paginator:
        assert name == "list_job_executions_for_job"
        return Paginator(self)

    def describe_job(self, jobId: str) -> dict[str, Any]:
        self.calls += 1
        return {"job": {"status": self.job} | self.members}

    def describe_job_execution(self, jobId: str, thingName: str) -> dict[str, Any]:
        self.calls += 1
        details = {"reason": f"{thingName} is broken"}
        return {
            "execution": {
                "status": self.statuses[thingName], "versionNumber": 2, "executionNumber": 1,
                "statusDetails": {"detailsMap": details},
            }
        }


def calls_of(cloud: Cloud, watched: Watch) -> int:
    before = cloud.calls
    watched.look()
    return cloud.calls - before


def test_a_thousand_executions_take_four_calls_and_one_for_each_that_is_shown() -> None:
    cloud = Cloud()
    watched = Watch(cloud, "a")
    assert calls_of(cloud, watched) == 4 + 1, "at first the job itself"
    assert calls_of(cloud, watched) == 4
    cloud.statuses |= {f"thing-{number}": "FAILED" for number in range(5)}
    cloud.statuses["thing-900"] = "IN_PROGRESS"
    assert calls_of(cloud, watched) == 4 + 6
    assert calls_of(cloud, watched) == 4 + 1, "what has ended is not asked for again"
    cloud.statuses |= {f"thing-{number}": "FAILED" for number in range(500)}
    watched.look()
    assert len(watched.shown) == MOST_SHOWN


def test_counts_come_first_then_executions_in_progress_then_failed_ones() -> None:
    cloud = Cloud()
    cloud.statuses |= {"thing-7": "FAILED", "thing-8": "IN_PROGRESS", "thing-9": "SUCCEEDED"}
    watched = Watch(cloud, "a")
    assert not watched.look()
    output = io.StringIO()
    Console(file=output, width=200).print(overview(watched.statuses, watched.shown))
    shown = output.getvalue()
    assert shown.splitlines()[0].split() == (
        ["1000", "executions", "1", "IN_PROGRESS", "1", "FAILED", "997", "QUEUED", "1", "SUCCEEDED"]
    )
    assert 0 < shown.index("thing-8") < shown.index("thing-7 ")
    assert "thing-7 is broken" in shown
    assert "998 more" in shown


def test_it_ends_when_all_executions_have_or_the_job_has_without_any() -> None:
    cloud = Cloud()
    cloud.statuses = {"kiln": "SUCCEEDED"}
    assert Watch(cloud, "a").look()
    cloud.statuses = {}
    assert not Watch(cloud, "a").look()
    cloud.job = "COMPLETED"
    assert Watch(cloud, "a").look()


def test_it_continues_while_things_wait_for_the_job() -> None:
    cloud = Cloud()
    cloud.statuses = {"kiln": "SUCCEEDED"}
    cloud.members = {"isConcurrent": True, "jobExecutionsRolloutConfig": {"maximumPerMinute": 1}}
    watched = Watch(cloud, "a")
    assert not watched.look()
    assert watched.about == ["rate: 1 things a minute, more things wait"]
    cloud.members = {"schedulingConfig": {"endTime": "2027-01-01T00:00"}}
    cloud.job = "SCHEDULED"
    assert not watched.look()
    cloud.job = "COMPLETED"
    assert watched.look()
    assert watched.about == ["ends: 2027-01-01T00:00 UTC, STOP_ROLLOUT"]
