"""Jobs that are rolled out at a constant or growing number of things per minute, and the rates themselves."""

from typing import Any

import pytest
from engine_service import MINUTE, Service

from ujobs_tools.service import rollout
from ujobs_tools.service.errors import ApiError

GROWING = {"baseRatePerMinute": 50, "incrementFactor": 2.0, "rateIncreaseCriteria": {"numberOfNotifiedThings": 1000}}
THINGS = [f"kiln-{number}" for number in range(7)]


def growing(criterion: str = "numberOfNotifiedThings", step: int = 2, base: int = 1, most: int = 100) -> dict[str, Any]:
    rate = {"baseRatePerMinute": base, "incrementFactor": 2.0, "rateIncreaseCriteria": {criterion: step}}
    return {"maximumPerMinute": most, "exponentialRate": rate}


class Fleet(Service):
    """A service with a job for seven things and a rate."""

    def roll_out(self, config: dict[str, Any], **options: Any) -> None:
        self.job("j", *THINGS, jobExecutionsRolloutConfig=config, **options)

    def notified(self) -> int:
        """How many things the job has been rolled out to."""
        return sum(self.engine.store.counts("j").values())

    def minute(self) -> int:
        """Advance the clock by a minute; returns how many things the job was then rolled out to."""
        before = self.notified()
        self.clock.forward(MINUTE)
        self.engine.expire()
        return self.notified() - before

    def described(self) -> dict[str, Any]:
        return self.engine.describe_job("j")["job"]


@pytest.mark.parametrize("notified", [0, 999, 1000, 1999, 2000, 3000, 10_000])
def test_the_developer_guides_example(notified: int) -> None:
    config = rollout.check({"maximumPerMinute": 1000, "exponentialRate": GROWING})
    assert rollout.per_minute(config, notified, 0) == min(1000, 50 * 2 ** (notified // 1000))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"maximumPerMinute": 0}, "maximumPerMinute must be 1 to 1000"),
        ({"maximumPerMinute": 1001}, "maximumPerMinute must be 1 to 1000"),
        ({"exponentialRate": GROWING}, "Provide MaximumPerMinute value when ExponentialRate is defined"),
        (growing(base=0), "baseRatePerMinute must be 1 to 1000"),
        (growing(base=101), "baseRatePerMinute should be less than maximumPerMinute"),
        (growing(step=0), "numberOfNotifiedThings must be at least 1"),
        ({"maximumPerMinute": 100, "exponentialRate": GROWING | {"incrementFactor": 1.0}}, "must be 1.1 to 5"),
        ({"maximumPerMinute": 100, "exponentialRate": GROWING | {"incrementFactor": 1.55}}, "one decimal"),
        ({"maximumPerMinute": 100, "exponentialRate": GROWING | {"rateIncreaseCriteria": {}}}, "Provide either"),
        (
            {
                "maximumPerMinute": 100, "exponentialRate": GROWING | {
                    "rateIncreaseCriteria": {"numberOfNotifiedThings": 1, "numberOfSucceededThings": 1}
                },
            },
            "Provide only one of",
        ),
    ],
)
def test_rates_out_of_bounds_are_refused(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ApiError, match=f"^InvalidRequest: .*{message}"):
        rollout.check(config)


def test_a_constant_rate() -> None:
    fleet = Fleet()
    fleet.roll_out({"maximumPerMinute": 3})
    assert fleet.heard() == [(thing, suffix) for thing in THINGS[:3] for suffix in ("notify", "notify-next")]
    assert (fleet.notified(), fleet.described()["isConcurrent"]) == (3, True)
    fleet.clock.forward(MINUTE - 1)
    fleet.engine.expire()
    assert fleet.notified() == 3
    fleet.clock.forward(1)
    assert fleet.engine.next_deadline() == fleet.clock.now
    fleet.engine.expire()
    assert fleet.heard() == [(thing, suffix) for thing in THINGS[3:6] for suffix in ("notify", "notify-next")]
    assert (fleet.minute(), fleet.engine.next_deadline(), fleet.described()["isConcurrent"]) == (1, None, False)
    assert fleet.engine.list_jobs()["jobs"][0]["isConcurrent"] is False


def test_a_rate_that_grows_with_things_notified() -> None:
    fleet = Fleet()
    fleet.roll_out(growing())
    assert [fleet.notified(), *(fleet.minute() for _ in range(4))] == [1, 1, 2, 3, 0]


def test_a_rate_that_grows_with_things_succeeded() -> None:
    fleet = Fleet()
    fleet.roll_out(growing("numberOfSucceededThings", step=1))
    assert fleet.minute() == 1
    fleet.report("j", "SUCCEEDED", "kiln-0")
    fleet.report("j", "SUCCEEDED", "kiln-1")
    assert fleet.minute() == 4


def test_missed_minutes_are_not_made_up_for() -> None:
    fleet = Fleet()
    fleet.roll_out({"maximumPerMinute": 2})
    fleet.clock.forward(60 * MINUTE)
    fleet.engine.expire()
    assert fleet.notified() == 4
    assert fleet.engine.next_deadline() == fleet.clock.now + MINUTE


def test_a_rollout_continues_after_a_restart(tmp_path: Any) -> None:
    fleet = Fleet(str(tmp_path / "jobs.sqlite"))
    fleet.roll_out({"maximumPerMinute": 4})
    fleet.reopen()
    assert fleet.minute() == 3
    fleet.engine.store.close()


def test_the_job_is_not_completed_before_all_things_have_it() -> None:
    fleet = Fleet()
    fleet.roll_out({"maximumPerMinute": 6})
    for thing in THINGS[:6]:
        fleet.report("j", "SUCCEEDED", thing)
    assert fleet.job_status("j") == "IN_PROGRESS"
    fleet.minute()
    fleet.report("j", "SUCCEEDED", THINGS[6])
    assert fleet.job_status("j") == "COMPLETED"


def test_deleted_things_are_left_out() -> None:
    fleet = Fleet()
    fleet.roll_out({"maximumPerMinute": 6})
    fleet.engine.delete_thing(THINGS[6])
    assert fleet.minute() == 0
    for thing in THINGS[:6]:
        fleet.report("j", "SUCCEEDED", thing)
    assert fleet.job_status("j") == "COMPLETED"


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_an_ended_job_is_not_rolled_out_further(end: str) -> None:
    fleet = Fleet()
    fleet.roll_out({"maximumPerMinute": 3})
    if end == "cancel":
        fleet.engine.cancel_job("j")
    else:
        fleet.engine.delete_job("j", force=True)
    assert fleet.engine.next_deadline() is None
    assert fleet.engine.store.waiting("j") == []


def test_things_that_join_a_continuous_job_get_it_at_once() -> None:
    fleet = Fleet()
    fleet.engine.create_thing_group("plant")
    for thing in THINGS:
        fleet.engine.create_thing(thing)
    for thing in THINGS[:6]:
        fleet.engine.add_thing_to_thing_group("plant", thingName=thing)
    target = fleet.engine.arn("thinggroup", "plant")
    fleet.engine.create_job(
        "j", [target], "{}", targetSelection="CONTINUOUS", jobExecutionsRolloutConfig={"maximumPerMinute": 2}
    )
    fleet.engine.add_thing_to_thing_group("plant", thingName=THINGS[6])
    assert fleet.notified() == 3
    fleet.engine.remove_thing_from_thing_group("plant", thingName=THINGS[2])
    assert [fleet.minute(), fleet.minute()] == [1, 2]


def test_the_rate_can_be_changed() -> None:
    fleet = Fleet()
    fleet.roll_out({"maximumPerMinute": 1})
    fleet.engine.update_job("j", jobExecutionsRolloutConfig={"maximumPerMinute": 5})
    assert fleet.minute() == 5
    assert fleet.described()["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 5}
