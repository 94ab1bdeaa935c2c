"""A job that is created on the live page and runs on a virtual board."""

from pathlib import Path

from browser import Page

import clouds
from ujobs_tools.aws import fleet
from ujobs_tools.host.processes import running, ujobs

APP = Path(__file__).parents[3] / "examples" / "demo" / "app.py"


def test_a_job_made_in_the_form_runs_on_the_board(page: Page, tmp_path: Path) -> None:
    with clouds.ujobs_serve(tmp_path) as cloud, (tmp_path / "board.log").open("ab") as output:
        thing = fleet.create_thing("demo-board", tmp_path / "thing", cloud.endpoint_url)
        command = ujobs(
            "board", tmp_path / "flash.img", "--thing", thing.name, "--thing-dir", thing.directory, "--app", APP,
            "--host", "localhost", "--port", str(cloud.mqtts),
        )
        with running(command, output):
            page.open(cloud.endpoint_url, "new")
            page.fill("#job-id", "from-the-page")
            page.fill("#document", '{"operation": "blink", "times": 3}')
            page.press("Create")
            page.sees("Job from-the-page", "1 SUCCEEDED")
            page.open(cloud.endpoint_url, "jobs/from-the-page/demo-board/1")
            page.sees("SUCCEEDED version", "blinks: 3")
