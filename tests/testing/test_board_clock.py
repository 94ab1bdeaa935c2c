"""Jumps of a virtual board's clock: asyncio, blocking sleeps, ticks, the real-time clock and deep sleep follow."""

from pathlib import Path

import pytest

from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.virtual_board import VirtualBoard

APP = """
import asyncio
import time

import machine


def setup(agent):
    agent.on("wait")(wait)
    agent.on("block")(block)
    agent.on("sleep", on_restart="rerun")(sleep)
    agent.on("limited", time_limit=60)(wait)


def since(before, ticks):
    return {"clock": time.time() - before, "ticks": time.ticks_diff(time.ticks_ms(), ticks) // 1000}


async def wait(job):
    before, ticks = time.time(), time.ticks_ms()
    print("waits")
    await asyncio.sleep(5 * 3600)
    return since(before, ticks)


def block(job):
    before, ticks = time.time(), time.ticks_ms()
    print("blocks")
    time.sleep(3600)
    return since(before, ticks)


def sleep(job):
    if machine.reset_cause() != machine.DEEPSLEEP_RESET:
        machine.deepsleep(3600000)
    return {"woken": "yes"}
"""


@pytest.fixture(scope="session")
def ujobs_app(tmp_path_factory: pytest.TempPathFactory) -> Path:
    app = tmp_path_factory.mktemp("patient") / "app.py"
    app.write_text(APP)
    return app


def test_hours_pass_at_once(service: JobsService, board: VirtualBoard) -> None:
    for operation, said, hours in (("wait", "waits", 5), ("block", "blocks", 1)):
        job = service.job(operation)
        board.expect(said)
        board.advance(hours=hours)
        execution = job.wait()
        assert execution.status == "SUCCEEDED"
        for clock in ("clock", "ticks"):
            assert 3600 * hours <= int(execution.details[clock]) < 3600 * hours + 60
    job = service.job("limited")
    board.expect("waits")
    board.advance(hours=1)
    assert "time limit of 60 minutes" in job.wait().details["reason"]
    # The service's clock has not changed.
    assert service.job("block").look().status in ("QUEUED", "IN_PROGRESS")
    board.expect("blocks")
    board.advance(hours=1)
    job = service.job("sleep")
    board.expect("board: deep sleep, 3600000 ms")
    board.advance(hours=1)
    assert job.wait().details["woken"] == "yes"


def test_jumps_that_are_too_large(board: VirtualBoard) -> None:
    for hours in (0, -1, 145):
        with pytest.raises(ValueError, match="up to 6 days"):
            board.advance(hours=hours)
