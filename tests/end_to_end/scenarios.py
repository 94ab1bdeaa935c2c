"""The scenarios that the board runs with each of the two clouds; each function is one scenario with its own jobs.

Scenarios do not depend on timing: every step waits for the effect of the previous one."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scenario_record import Recorder

from board_at_work import PATIENCE, BoardAtWork
from ujobs_tools.aws import cloud
from ujobs_tools.host.processes import wait_until

APP = Path(__file__).with_name("compared_app.py")
FOR_EVER = 99  # more pending jobs than a scenario has


class Site:
    """An idle board behind a WireTap in one of the clouds, ready for one scenario.

    tap, iot, thing: of the board. recorder: records what is compared.
    """

    def __init__(self, board: BoardAtWork, scenario: str) -> None:
        self._board = board
        self._prefix = scenario.replace("_", "-")
        self.tap = board.tap
        self.iot = board.iot
        self.thing = board.thing.name
        self.recorder = Recorder(board)

    def job(self, name: str) -> str:
        """The id of the job with this name in this scenario."""
        return f"{self._prefix}-{name}"

    def create(self, name: str, operation: str, **arguments: Any) -> None:
        """CreateJob for the board."""
        document = json.dumps({"operation": operation, **arguments})
        self.iot.create_job(jobId=self.job(name), targets=[self._board.thing.arn], document=document)
        self.recorder.jobs.append(self.job(name))

    def holds(self, name: str, until: int = FOR_EVER) -> None:
        """Create a job that keeps the board busy until this many jobs are pending; wait until it runs."""
        self.create(name, "hold", until=until)
        self.until_said("app: holds")

    def ends(self, name: str, status: str, **details: str) -> None:
        """Wait until the execution has ended with this status and these details, and the board knows it."""
        assert self.ended(name, status) == details

    def ended(self, name: str, status: str) -> dict[str, str]:
        """Wait until the execution has ended with this status, and the board knows it; return the status details."""
        execution = self._board.wait_for(self.job(name))
        assert execution["status"] == status, execution["details"]
        self.lets_go_of(name)
        return execution["details"]

    def lets_go_of(self, name: str) -> None:
        """Wait until the job is no longer in the board's journal."""
        self.until_said(f"app: the journal is clear of {self.job(name)}\n")

    def until_said(self, text: str) -> None:
        """Wait until the board has printed this."""
        wait_until(lambda: text in self.recorder.said(), f"{text!r} in {self.recorder.said()}", PATIENCE)

    def asks_in_vain(self) -> None:
        """Wait until the board has asked for a job and the reply was that none is pending."""

        def told() -> bool:
            return any(
                message.topic == "start-next/accepted" and "execution" not in message.payload
                for message in self.recorder.messages()
            )

        self.tap.wait_for(told, "start-next without a job")

    def cut_power(self) -> None:
        """Cut the board's power."""
        self._board.cut_power()
        self.tap.wait_for_end()

    def start(self) -> None:
        """Restore the board's power."""
        self._board.start()

    def update_as_somebody_else(self, name: str, **details: str) -> None:
        """UpdateJobExecution over HTTP, not by the board."""
        device = cloud.client("iot-jobs-data", self._board.cloud.endpoint_url)
        device.update_job_execution(
            jobId=self.job(name), thingName=self.thing, status="IN_PROGRESS", statusDetails=details
        )


def quick(site: Site) -> None:
    """A job that ends at once."""
    site.create("job", "quick", say="hello")
    site.ends("job", "SUCCEEDED", said="hello")


def long(site: Site) -> None:
    """A job that reports its progress three times."""
    site.create("job", "long", steps=3)
    site.ends("job", "SUCCEEDED", steps="3", progress="3/3", message="step 3")


def failing(site: Site) -> None:
    """A handler raises an exception."""
    site.create("job", "broken")
    site.ends("job", "FAILED", reason="OSError: no sensor answers on the bus")


def rejected(site: Site) -> None:
    """A handler rejects its job; the next job has no handler."""
    site.create("job", "refuse")
    site.ends("job", "REJECTED", reason="not on a Sunday")
    site.create("unknown", "dance")
    reason = site.ended("unknown", "REJECTED")["reason"]
    assert reason.startswith("operation 'dance' not in handlers: [")
    assert "'quick'" in reason


def several_queued(site: Site) -> None:
    """Three jobs wait while a fourth runs."""
    site.holds("first", until=4)
    for name in ("a", "b", "c"):
        site.recorder.look(f"before {name}")
        site.create(name, "quick", say=name)
    for name in ("a", "b", "c"):
        site.ends(name, "SUCCEEDED", said=name)


def cancelled_while_queued(site: Site) -> None:
    """CancelJob for one of the waiting jobs."""
    site.holds("first", until=3)
    site.create("cancelled", "quick", say="never")
    site.iot.cancel_job(jobId=site.job("cancelled"), reasonCode="CHANGED", comment="not wanted any more")
    site.create("a", "quick", say="a")
    site.create("b", "quick", say="b")
    site.ends("b", "SUCCEEDED", said="b")


def cancelled_while_it_runs(site: Site) -> None:
    """CancelJob with force; the board continues with another job."""
    site.holds("job")
    site.iot.cancel_job(jobId=site.job("job"), force=True)
    site.ends("job", "CANCELED")
    site.asks_in_vain()
    site.create("next", "quick", say="next")
    site.ends("next", "SUCCEEDED", said="next")


def execution_cancelled(site: Site) -> None:
    """CancelJobExecution with force, version and details, while another job waits."""
    site.holds("job")
    site.create("next", "quick", say="next")
    site.iot.cancel_job_execution(
        jobId=site.job("job"), thingName=site.thing, force=True, expectedVersion=2, statusDetails={"by": "operator"}
    )
    site.ends("job", "CANCELED", by="operator")
    site.ends("next", "SUCCEEDED", said="next")


def deleted_while_it_runs(site: Site) -> None:
    """DeleteJob with force."""
    site.holds("job")
    site.iot.delete_job(jobId=site.job("job"), force=True)
    site.lets_go_of("job")
    site.asks_in_vain()


def version_mismatch(site: Site) -> None:
    """Another client updates the execution that the board is running."""
    site.holds("job", until=2)
    site.update_as_somebody_else("job", by="somebody else")
    site.create("next", "quick", say="next")
    site.ends("job", "SUCCEEDED", waited_for="2")
    site.ends("next", "SUCCEEDED", said="next")


def reply_lost(site: Site) -> None:
    """The link breaks while the reply to the result is on its way."""
    site.tap.lose(f"{site.job('job')}/update/accepted")
    site.create("job", "quick", say="hello")
    site.ends("job", "SUCCEEDED", said="hello")
    site.asks_in_vain()


def power_cut_while_it_runs(site: Site) -> None:
    """The board loses power in the middle of a job, and resumes it."""
    site.create("job", "count", to=3, wait_at=2)
    site.until_said("app: counts 2")
    site.cut_power()
    site.start()
    site.ends("job", "SUCCEEDED", resumed_after="2", attempt="2")


def power_cut_while_idle(site: Site) -> None:
    """A job is created while the board has no power."""
    site.create("before", "quick", say="before")
    site.ends("before", "SUCCEEDED", said="before")
    site.tap.settle()
    site.cut_power()
    site.create("meanwhile", "quick", say="meanwhile")
    site.start()
    site.ends("meanwhile", "SUCCEEDED", said="meanwhile")


def cancelled_while_the_power_is_off(site: Site) -> None:
    """The board loses power in the middle of a job, which is cancelled before the power returns."""
    site.holds("job")
    site.cut_power()
    site.iot.cancel_job(jobId=site.job("job"), force=True)
    site.start()
    site.ends("job", "CANCELED")
    site.asks_in_vain()


def reboot(site: Site) -> None:
    """The job resets the board."""
    site.create("job", "reboot")
    site.ends("job", "SUCCEEDED", reset_cause="HARD_RESET")


SCENARIOS: dict[str, Callable[[Site], None]] = {
    scenario.__name__: scenario
    for scenario in (
        quick, long, failing, rejected, several_queued, cancelled_while_queued, cancelled_while_it_runs,
        execution_cancelled, deleted_while_it_runs, version_mismatch, reply_lost, power_cut_while_it_runs,
        power_cut_while_idle, cancelled_while_the_power_is_off, reboot,
    )
}
