"""Makes the pictures of the documentation: docs/demo.svg, the output at the end of `ujobs demo`, and
docs/live-page.png, the live page with jobs of a small fleet."""

import re
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from ujobs_lab import REPOSITORY
from ujobs_lab.external import chromium
from ujobs_tools.aws import cloud
from ujobs_tools.demo import run
from ujobs_tools.host.processes import read_ready_file, running, ujobs

DOCS = REPOSITORY / "docs"
_WIDTH, _HEIGHT = 1100, 900
_LIVE = 10.0  # seconds for the page to connect and draw


def demo(path: Path) -> int:
    """Run the demo and write its final output as SVG; returns the demo's exit code."""
    with open("/dev/null", "w") as nowhere:
        # Without a terminal, only the final output is recorded, not each refresh of the live table.
        console = Console(record=True, width=120, file=nowhere, force_terminal=False)
        code = run.run(console, board_log=False)
    # Remove rich's web font, which viewers would load from another server.
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(path), title="ujobs demo", code_format=plain)
    return code


def live_page(path: Path) -> None:
    """Write a picture of one job on the live page. Needs Chromium: see external/chromium.py."""
    with tempfile.TemporaryDirectory(prefix="ujobs-pictures-") as name:
        folder = Path(name)
        command = ujobs("serve", "--ready-file", folder / "ready.json")
        with (folder / "serve.log").open("wb") as log, running(command, log) as service:
            url: str = read_ready_file(folder / "ready.json", service)["http"]
            _fill(url)
            with chromium.browsing(folder / "profile", f"--window-size={_WIDTH},{_HEIGHT}") as driver:
                size = {"width": _WIDTH, "height": _HEIGHT, "deviceScaleFactor": 1, "mobile": False}
                driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
                driver.get(f"{url}/#/jobs/calibrate-all")
                deadline = time.monotonic() + _LIVE
                while "kiln-03" not in driver.find_element("id", "main").text:
                    if time.monotonic() > deadline:
                        raise TimeoutError(f"the live page at {url} shows no execution within {_LIVE:g} s")
                    time.sleep(0.1)
                driver.save_screenshot(str(path))


def _fill(url: str) -> None:
    """Create twelve kilns and a job whose executions end differently."""
    iot, data = cloud.client("iot", url), cloud.client("iot-jobs-data", url)
    things = [f"kiln-{number:02}" for number in range(1, 13)]
    arns = [iot.create_thing(thingName=thing)["thingArn"] for thing in things]
    document = '{"operation": "calibrate", "points": 30}'
    iot.create_job(jobId="calibrate-all", targets=arns, document=document, description="All kilns before the season")
    ends: Sequence[tuple[str, dict[str, str]]] = (
        *[("SUCCEEDED", {"progress": "30/30"})] * 5, ("FAILED", {"progress": "4/30", "reason": "no sensor answers"}),
        ("FAILED", {"progress": "9/30", "reason": "no sensor answers"}), ("REJECTED", {"reason": "at most 20 points"}),
        ("IN_PROGRESS", {"progress": "21/30"}), ("IN_PROGRESS", {"progress": "12/30"}),
    )
    # The page shows the latest update first, so start with the last thing.
    for thing, (status, details) in zip(reversed(things), ends, strict=False):
        data.start_next_pending_job_execution(thingName=thing, stepTimeoutInMinutes=10)
        _update(data, thing, status, details)


def _update(data: Any, thing: str, status: str, details: dict[str, str]) -> None:
    data.update_job_execution(jobId="calibrate-all", thingName=thing, status=status, statusDetails=details)


def main() -> int:
    """Make both pictures."""
    code = demo(DOCS / "demo.svg")
    if code:
        print("pictures: the demo failed: see docs/demo.svg", file=sys.stderr)
        return code
    if chromium.find("chromedriver") is None:
        print("pictures: Chromium is missing, docs/live-page.png is unchanged: run `make browser`", file=sys.stderr)
        return 1
    live_page(DOCS / "live-page.png")
    return 0


if __name__ == "__main__":
    sys.exit(main())
