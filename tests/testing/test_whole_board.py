"""The fixtures `service` and `board`: a virtual board with an application, and the local Jobs service."""

from pathlib import Path

import pytest

from ujobs_tools.board.device_files import EXAMPLES
from ujobs_tools.board.image import ImageError
from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.result import Version
from ujobs_tools.testing.virtual_board import VirtualBoard


@pytest.fixture(scope="session")
def ujobs_app() -> Path:
    return EXAMPLES / "demo" / "app.py"


def test_success(service: JobsService, board: VirtualBoard) -> None:
    job = service.job("blink", times=3)
    execution = job.wait()
    assert (execution.status, execution.details["blinks"], execution.attempts) == ("SUCCEEDED", "3", 1)
    assert [entry.status for entry in job.history] == ["QUEUED", "IN_PROGRESS", "SUCCEEDED"]
    assert job.history[-1] == Version("SUCCEEDED", execution.version, execution.details)
    assert "SUCCEEDED" in board.expect("SUCCEEDED")


def test_power_cut(service: JobsService, board: VirtualBoard) -> None:
    job = service.job("count", to=10)
    board.expect("starts, attempt 1")
    board.cut_power()
    board.start()
    execution = job.wait()
    assert execution.status == "SUCCEEDED"
    assert execution.attempts == 2


def test_cancelled(service: JobsService, board: VirtualBoard) -> None:
    job = service.job("calibrate", points=500)
    job.wait("IN_PROGRESS")
    service.cancel(job)
    assert job.wait().status == "CANCELED"
    board.expect("was ended by the service")


def test_refused_updates(service: JobsService, board: VirtualBoard) -> None:
    service.refuse("update", times=2)
    assert service.job("blink", times=1).wait().status == "SUCCEEDED"
    refused = [line for line in service.messages() if "RequestThrottled" in line]
    assert len([line for line in refused if line.startswith("   <- rejected")]) == 2


def test_lost_link(service: JobsService, board: VirtualBoard) -> None:
    job = service.job("count", to=10)
    job.wait("IN_PROGRESS")
    board.lose_link(1)
    assert job.wait().details["attempt"] == "1"


def test_timed_out_by_the_clock(service: JobsService, board: VirtualBoard) -> None:
    job = service.job("calibrate", points=500)
    job.wait("IN_PROGRESS")
    service.hold_replies()
    service.advance(hours=5)
    assert job.wait().status == "TIMED_OUT"


def test_files(service: JobsService, board: VirtualBoard) -> None:
    assert b"ujobs" in board.files["/boot.py"]
    board.cut_power()
    board.files["/data/x"] = b"1"
    board.fill_flash()
    assert board.files["/data/x"] == b"1"
    with pytest.raises(ImageError, match="do not fit"):
        board.files["/data/y"] = bytes(5000)


def test_expected_traceback(service: JobsService, board: VirtualBoard) -> None:
    assert service.job("measure").wait().status == "FAILED"
    board.expect_traceback("no sensor answers")
