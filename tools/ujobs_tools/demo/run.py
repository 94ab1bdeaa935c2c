"""Runs the demo: the service and the board are processes connected by mutual TLS, boto3 creates the jobs, and each
job's result is compared with the expected one."""

import contextlib
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live

from ujobs_tools.aws import cloud
from ujobs_tools.aws.executions import TERMINAL, Execution
from ujobs_tools.board.device_files import EXAMPLES
from ujobs_tools.demo import view
from ujobs_tools.demo.jobs import JOBS, DemoJob, History, well_under_way
from ujobs_tools.host.processes import NotReady, kill_group, read_ready_file, running, ujobs
from ujobs_tools.host.terminal import plain

THING = "demo-board"
CLOCK_SPEED = 20
_UPDATE_INTERVAL = 1  # second; the demo's clock turns a step timeout of one minute into three seconds
_DEADLINE = 55.0  # seconds for all jobs together
_POLL = 0.2


def run(console: Console, board_log: bool = True) -> int:
    """Run the demo; returns the exit code: 0 if every job ended as expected, else 1. board_log: print the board's
    console at the end."""
    console.print(
        f"[bold]ujobs demo[/bold]: a virtual board on MicroPython and a local AWS IoT Jobs service.\n"
        f"The service's clock runs [bold]{CLOCK_SPEED} times[/bold] as fast as real time: a step timeout of 1 minute "
        f"expires after {60 // CLOCK_SPEED} s. The board's clock runs at normal speed.\n"
    )
    try:
        with tempfile.TemporaryDirectory(prefix="ujobs-demo-") as folder:
            return _Demo(console, Path(folder), board_log).run()
    except (NotReady, cloud.CloudError) as error:
        console.print(plain(f"demo: {error}"), style="red", markup=False)
        return 1


class _Demo:
    def __init__(self, console: Console, folder: Path, board_log: bool) -> None:
        self.console = console
        self.board_log = board_log
        self.folder = folder
        self.log = folder / "board.log"
        self.executions: dict[str, Execution] = {}
        self.events_done: set[str] = set()
        self.board: subprocess.Popen[bytes] | None = None

    def run(self) -> int:
        ready_file, log = self.folder / "ready.json", self.folder / "serve.log"
        command = ujobs("serve", "--ready-file", ready_file, "--clock-speed", str(CLOCK_SPEED))
        with log.open("wb") as output, running(command, output) as service, contextlib.ExitStack() as self.boards:
            found = read_ready_file(ready_file, service)
            self.console.print(f"service: {found['http']} (boto3), localhost:{found['mqtts']} (MQTT, mutual TLS)")
            self._make_thing(found["http"])
            self.client = cloud.client("iot", found["http"])
            self._start_board("--thing", THING, "--thing-dir", self.folder / "thing", "--host", "localhost",
                              "--port", str(found["mqtts"]), "--app", EXAMPLES / "demo" / "app.py",
                              "--set", f"update_interval={_UPDATE_INTERVAL}")  # fmt: skip
            for job in JOBS:
                self._create(job)
            self._follow()
            return self._conclude(found["http"])

    def _make_thing(self, url: str) -> None:
        command = ujobs("thing", "create", THING, "--endpoint-url", url, "--out", self.folder / "thing")
        made = subprocess.run(command, capture_output=True, text=True)
        if made.returncode:
            raise NotReady(made.stderr.strip())

    def _start_board(self, *options: str | Path) -> None:
        output = self.boards.enter_context(self.log.open("ab"))
        self.board = self.boards.enter_context(running(ujobs("board", self.folder / "flash.img", *options), output))

    def _create(self, job: DemoJob) -> None:
        arn = self.client.describe_thing(thingName=THING)["thingArn"]
        self.client.create_job(jobId=job.job_id, targets=[arn], document=json.dumps(job.document))

    def _follow(self) -> None:
        deadline = time.monotonic() + _DEADLINE
        with Live(console=self.console, refresh_per_second=8, transient=True) as display:
            while time.monotonic() < deadline:
                for job in JOBS:
                    self._look_at(job)
                display.update(view.live(JOBS, self.executions, self._log_lines()))
                if all(execution["status"] in TERMINAL for execution in self.executions.values()):
                    return
                time.sleep(_POLL)

    def _look_at(self, job: DemoJob) -> None:
        known = self.executions.get(job.job_id)
        if known is not None and known["status"] in TERMINAL:
            return
        execution = self.client.describe_job_execution(thingName=THING, jobId=job.job_id)["execution"]
        self.executions[job.job_id] = execution
        if job.event is not None and job.job_id not in self.events_done and well_under_way(execution):
            self.events_done.add(job.job_id)
            if job.event == "cancel":
                self.client.cancel_job(jobId=job.job_id, force=True)
            else:
                assert self.board is not None
                kill_group(self.board)
                self._note("--- power cut: the board was killed; its flash image is kept ---")
                self._start_board()

    def _note(self, line: str) -> None:
        with self.log.open("a") as log:
            log.write(line + "\n")

    def _log_lines(self) -> list[str]:
        return self.log.read_text(errors="replace").splitlines()

    def _conclude(self, url: str) -> int:
        histories = {job.job_id: _history(url, job.job_id) for job in JOBS}
        verdicts = {job.job_id: job.verdict(self.executions[job.job_id], histories[job.job_id]) for job in JOBS}
        if self.board_log:
            self.console.print("the board's console:", style="bold")
            for line in self._log_lines():
                self.console.print("  " + plain(line), style="dim", markup=False, highlight=False, soft_wrap=True)
        self.console.print(view.result(JOBS, self.executions, histories, verdicts))
        wrong = list(_wrong(verdicts))
        for line in wrong:
            self.console.print(plain(line), style="red", markup=False, highlight=False)
        if not wrong:
            self.console.print(f"all {len(JOBS)} jobs ended as expected", style="green")
        return 1 if wrong else 0


def _history(url: str, job_id: str) -> History:
    found: Any = json.loads(cloud.get(f"{url}/_ujobs/executions/{THING}/{job_id}/history"))
    history: History = found["history"]
    return history


def _wrong(verdicts: dict[str, str]) -> Iterator[str]:
    for job_id, verdict in verdicts.items():
        if verdict:
            yield f"{job_id} {verdict}"
