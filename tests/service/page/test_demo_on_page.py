"""The demo's seven jobs on a virtual board, watched on the live page and steered from it."""

import contextlib
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Page

import clouds
from ujobs_tools.aws import fleet
from ujobs_tools.demo.jobs import JOBS
from ujobs_tools.host.processes import kill_group, running, ujobs

CLOCK_SPEED = 20


class Board:
    """`ujobs board` with the demo's application, as thing "demo-board"."""

    def __init__(self, cloud: clouds.Cloud, folder: Path, stack: contextlib.ExitStack) -> None:
        self.cloud = cloud
        self._folder = folder
        self._stack = stack
        self.thing = fleet.create_thing("demo-board", folder / "thing", cloud.endpoint_url)
        self._start(
            "--thing", self.thing.name, "--thing-dir", self.thing.directory, "--host", "localhost",
            "--port", str(cloud.mqtts), "--app", Path(__file__).parents[3] / "examples" / "demo" / "app.py",
            "--set", "update_interval=1",
        )

    def _start(self, *options: str | Path) -> None:
        output = self._stack.enter_context((self._folder / "board.log").open("ab"))
        command = ujobs("board", self._folder / "flash.img", *options)
        self._process: subprocess.Popen[bytes] = self._stack.enter_context(running(command, output))

    def lose_power_and_start(self) -> None:
        kill_group(self._process)
        self._start()


@pytest.fixture
def board(page: Page, tmp_path: Path) -> Iterator[Board]:
    with clouds.ujobs_serve(tmp_path, "--clock-speed", str(CLOCK_SPEED)) as cloud, contextlib.ExitStack() as stack:
        yield Board(cloud, tmp_path, stack)


def test_seven_jobs_appear_and_end_on_the_page(board: Board, page: Page) -> None:
    page.open(board.cloud.endpoint_url, "things/demo-board")
    page.sees("connected")
    for job in JOBS:
        board.cloud.iot().create_job(jobId=job.job_id, targets=[board.thing.arn], document=json.dumps(job.document))
    page.sees(*(job.job_id for job in JOBS))
    for job in JOBS:
        page.open(board.cloud.endpoint_url, f"jobs/{job.job_id}/demo-board/1")
        if job.event is not None:
            page.sees("version 5, by the device")  # well under way
        if job.event == "cancel":
            page.press("Cancel with force…")
            page.press("Do it")
        if job.event == "power cut":
            board.lose_power_and_start()
        page.sees(f"{job.status} version")
        for value in job.details.values():
            page.sees(value.rstrip("…"))
    page.open(board.cloud.endpoint_url, "wire/demo-board")
    page.sees("accepted after")
    page.open(board.cloud.endpoint_url, "jobs")
    page.until(lambda: len(page.rows()) == len(JOBS), "the jobs")
    assert "IN PROGRESS" not in page.text()
    assert page.complaints() == []


def test_a_job_made_in_the_form_runs_on_the_board(board: Board, page: Page) -> None:
    page.open(board.cloud.endpoint_url, "new")
    page.fill("#job-id", "from-the-page")
    page.fill("#document", '{"operation": "blink", "times": 3}')
    page.press("Create")
    page.sees("Job from-the-page", "1 SUCCEEDED")
    page.open(board.cloud.endpoint_url, "jobs/from-the-page/demo-board/1")
    page.sees("SUCCEEDED version", "blinks: 3")
