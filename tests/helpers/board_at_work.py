"""A board, its thing in a cloud, and its jobs, as one object for the end-to-end tests."""

import contextlib
import itertools
import json
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from clouds import Cloud
from ujobs_tools.aws import fleet
from ujobs_tools.aws.cloud import get
from ujobs_tools.host.processes import NotReady, kill_group, running, ujobs, wait_until
from wire_tap import WireTap

PATIENCE = 120.0  # seconds
TERMINAL = ("SUCCEEDED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT", "REMOVED")
APP = Path(__file__).with_name("board_app.py")
_numbers = itertools.count(1)


class BoardAtWork:
    """`ujobs board` connected to a cloud; created by `board_at_work`. tap: the WireTap, or None."""

    def __init__(self, cloud: Cloud, thing: fleet.Thing, folder: Path, stack: contextlib.ExitStack) -> None:
        self.cloud = cloud
        self.thing = thing
        self.iot: Any = cloud.iot()
        self.log = folder / "board.log"
        self.image = folder / "flash.img"
        self._stack = stack
        self._process: subprocess.Popen[bytes] | None = None
        self.tap: WireTap

    def start(self, *options: str | Path) -> None:
        """Switch the power on. options: options of `ujobs board` that build the image, for the first start."""
        output = self._stack.enter_context(self.log.open("ab"))
        self._process = self._stack.enter_context(running(ujobs("board", self.image, *options), output))

    def cut_power(self) -> None:
        """Cut the power: send SIGKILL to the board and its child processes."""
        assert self._process is not None
        kill_group(self._process)

    def give(self, operation: str, **arguments: Any) -> str:
        """Create a job for the board; return its id."""
        job_id = f"{operation}-{next(_numbers)}"
        document = json.dumps({"operation": operation, **arguments})
        self.iot.create_job(jobId=job_id, targets=[self.thing.arn], document=document)
        return job_id

    def execution(self, job_id: str) -> dict[str, Any]:
        """Call DescribeJobExecution; the status details are a flat dict under "details"."""
        found: dict[str, Any] = self.iot.describe_job_execution(thingName=self.thing.name, jobId=job_id)["execution"]
        return found | {"details": found.get("statusDetails", {}).get("detailsMap", {})}

    def wait_for(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """Wait until the execution has one of the statuses, by default a terminal one; return it."""
        wanted = statuses or TERMINAL
        try:
            wait_until(lambda: self.execution(job_id)["status"] in wanted, f"{job_id} {wanted}", PATIENCE)
        except NotReady as error:
            raise AssertionError(f"{error}; the board said:\n{self.said()}") from None
        return self.execution(job_id)

    def wait_for_progress(self, job_id: str, at_least: int) -> None:
        """Wait until the execution is in progress and its handler has reported this progress."""

        def far_enough() -> bool:
            execution = self.execution(job_id)
            assert execution["status"] not in TERMINAL, execution
            return int(execution["details"].get("progress", "0").split("/")[0]) >= at_least

        wait_until(far_enough, f"{job_id} at {at_least}", PATIENCE)

    def history(self, job_id: str) -> list[dict[str, Any]]:
        """Return all versions of the execution; only `ujobs serve` keeps them."""
        url = f"{self.cloud.endpoint_url}/_ujobs/executions/{self.thing.name}/{job_id}/history"
        found: list[dict[str, Any]] = json.loads(get(url))["history"]
        return found

    def said(self) -> str:
        """Return all output of the board."""
        return self.log.read_text(errors="replace")


@contextlib.contextmanager
def board_at_work(
    cloud: Cloud, thing_name: str, folder: Path, app: Path = APP, tapped: bool = False, topics: Sequence[str] = (),
    **settings: Any,
) -> Iterator[BoardAtWork]:
    """Create a thing, build the board's image with these settings, and switch it on; switch it off at the end.

    app: the application. tapped: connect the board through a WireTap, its `tap`. topics: topics of the
    application.
    """
    thing = fleet.create_thing(thing_name, folder / "thing", cloud.endpoint_url, topics=topics)
    with contextlib.ExitStack() as stack:
        board = BoardAtWork(cloud, thing, folder, stack)
        port, directory = cloud.mqtts, thing.directory
        if tapped:
            board.tap = stack.enter_context(WireTap(thing, cloud.mqtts, folder))
            port, directory = board.tap.port, board.tap.thing_dir
        options: list[str | Path] = ["--thing", thing.name, "--thing-dir", directory]
        options += ["--host", "localhost", "--port", str(port), "--app", app]
        for name, value in ({"update_interval": 1} | settings).items():
            options += ["--set", f"{name}={json.dumps(value)}"]
        board.start(*options)
        yield board
