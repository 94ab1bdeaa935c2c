"""A board's jobs with `ujobs serve`: what MiniStack does not support, and what only an execution's history shows."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import clouds
from board_at_work import BoardAtWork, board_at_work

CLOCK_SPEED = 20  # a step timeout of one minute expires after three seconds


def check_history(board: BoardAtWork, job_id: str, last: str) -> None:
    """Check that versions increase by one and nothing follows a terminal status."""
    history = board.history(job_id)
    assert [entry["versionNumber"] for entry in history] == list(range(1, len(history) + 1))
    statuses = [entry["status"] for entry in history]
    assert statuses == ["QUEUED"] + ["IN_PROGRESS"] * (len(history) - 2) + [last]


def test_reboot(board: BoardAtWork) -> None:
    job_id = board.give("reboot")
    execution = board.wait_for(job_id)
    assert execution["status"] == "SUCCEEDED"
    assert execution["details"]["reset_cause"] == "HARD_RESET"
    assert "board: start, HARD_RESET" in board.said()
    check_history(board, job_id, "SUCCEEDED")


def test_cancelled_while_it_runs(board: BoardAtWork) -> None:
    job_id = board.give("long", seconds=600)
    board.wait_for_progress(job_id, 1)
    board.iot.cancel_job(jobId=job_id, force=True)
    # If the handler had not been stopped, this job would wait for ten minutes.
    assert board.wait_for(board.give("quick", say="next"))["status"] == "SUCCEEDED"
    execution = board.execution(job_id)
    assert execution["status"] == "CANCELED"
    assert f"job {job_id} was ended by the service: CANCELED" in board.said()
    check_history(board, job_id, "CANCELED")


def test_power_cut_in_the_middle_of_a_job(board: BoardAtWork) -> None:
    job_id = board.give("count", to=30)
    board.wait_for_progress(job_id, 8)
    board.cut_power()
    version = board.execution(job_id)["versionNumber"]
    board.start()
    execution = board.wait_for(job_id)
    assert execution["status"] == "SUCCEEDED"
    assert execution["details"]["attempt"] == "2"
    assert 8 <= int(execution["details"]["resumed_after"]) < 30
    assert execution["versionNumber"] > version
    check_history(board, job_id, "SUCCEEDED")


def test_power_cut_while_nothing_runs(board: BoardAtWork) -> None:
    finished = board.give("quick", say="before")
    board.wait_for(finished)
    version = board.execution(finished)["versionNumber"]
    board.cut_power()
    job_id = board.give("quick", say="meanwhile")
    board.start()
    execution = board.wait_for(job_id)
    assert (execution["status"], execution["details"]["turn"]) == ("SUCCEEDED", "1")
    assert board.execution(finished)["versionNumber"] == version


@pytest.fixture(scope="module")
def hurried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardAtWork]:
    """A board connected to a service with a fast clock."""
    with (
        clouds.ujobs_serve(tmp_path_factory.mktemp("fast"), "--clock-speed", str(CLOCK_SPEED)) as cloud,
        board_at_work(cloud, "hurried", tmp_path_factory.mktemp("board"), handlers=[]) as board,
    ):
        yield board


@pytest.mark.parametrize("operation", ["long", "tick"])
def test_a_job_outlives_its_step_timeout(hurried: BoardAtWork, operation: str) -> None:
    job_id = hurried.give(operation, seconds=4.5)
    execution = hurried.wait_for(job_id)
    assert execution["status"] == "SUCCEEDED"
    history = hurried.history(job_id)
    started = next(entry["at"] for entry in history if entry["status"] == "IN_PROGRESS")
    assert history[-1]["at"] - started > 75  # seconds of the service's clock; the step timeout is 60
    check_history(hurried, job_id, "SUCCEEDED")


def test_a_job_that_blocks_the_event_loop_times_out(hurried: BoardAtWork) -> None:
    job_id = hurried.give("deaf", seconds=5)
    assert hurried.wait_for(job_id)["status"] == "TIMED_OUT"
    # The board learns of it when the handler has ended, and continues.
    assert hurried.wait_for(hurried.give("quick", say="next"))["status"] == "SUCCEEDED"
    assert hurried.execution(job_id)["status"] == "TIMED_OUT"
    check_history(hurried, job_id, "TIMED_OUT")


def test_the_service_is_killed_and_restarted_while_a_job_runs(tmp_path: Path) -> None:
    with clouds.ujobs_serve(tmp_path) as first, board_at_work(first, "patient", tmp_path) as board:
        job_id = board.give("long", seconds=3)
        board.wait_for_progress(job_id, 1)
        first.die()
        with clouds.ujobs_serve(tmp_path, *first.ports()):
            assert board.wait_for(job_id)["status"] == "SUCCEEDED"
            check_history(board, job_id, "SUCCEEDED")
            assert board.said().count(f"job {job_id} (1) starts") == 1
