"""`ujobs qualify` on the virtual board, over its serial port: without and with faults in the library."""

import os
import signal
import subprocess
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from qualify_run import NOTHING, QualifyRun

from ujobs_tools.aws import cloud, fleet
from ujobs_tools.board.device_files import LIBRARY
from ujobs_tools.board.interpreter import compile_module
from ujobs_tools.deploy import install
from ujobs_tools.deploy.remote import Remote
from ujobs_tools.host.processes import ujobs
from ujobs_tools.qualify.account import PREFIX
from ujobs_tools.qualify.cases import outlived
from ujobs_tools.qualify.virtual import WIFI_PASSWORD

_SHORT = (
    "facts", "jobs.quick", "jobs.retry", "jobs.power-cut", "jobs.duplicate", "jobs.outlive-work", "power.unsent",
    "power.line", "tls.authority", "updates.signature-ec",
)


@pytest.fixture(autouse=True)
def _sooner(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a job run 0.2 minutes longer than its step timeout."""
    monkeypatch.setattr(outlived, "BEYOND", 0.2)


def only(*names: str) -> list[str]:
    return [word for name in names for word in ("--only", name)]


def break_library(monkeypatch: pytest.MonkeyPatch, right: str, wrong: str) -> None:
    """Replace code of the library that is installed on boards with faulty code."""
    sources = {path.name: path.read_text() for path in LIBRARY.glob("*.py")}
    (module,) = [name for name, source in sources.items() if right in source]
    source, name = sources[module], f"ujobs/{module}"
    assert source.count(right) == 1
    broken = compile_module(source.replace(right, wrong).encode(), name, 2)
    program = install.program
    path = f"/lib/{name.removesuffix('.py')}.mpy"

    def faulty() -> dict[str, bytes]:
        files = program()
        assert path in files
        return files | {path: broken}

    monkeypatch.setattr(install, "program", faulty)


def test_all_is_well(qualify: QualifyRun) -> None:
    options = ("--resets", "3", "--seed", "1", "--reset-command", qualify.parts.reset_command)
    code, said = qualify(*only(*_SHORT), *options)
    assert code == 0, said
    assert "nothing is charged" in said
    assert set(qualify.results().values()) == {"passed"}
    assert qualify.left() == NOTHING
    report = (qualify.folder / "report.md").read_text()
    assert "seed 1: 11 cases passed, 0 failed, 0 skipped" in report
    assert "| power.line | lost | 0 |" in report
    assert "| power.line | resets | 3 |" in report
    assert "least free heap, bytes" in report
    assert WIFI_PASSWORD not in said + report + (qualify.folder / "state.json").read_text()
    suite = ElementTree.parse(qualify.folder / "report.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("11", "0", "0")


def test_a_result_that_is_not_journalled_is_noticed(qualify: QualifyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    break_library(monkeypatch, 'self._try("record", record)', "pass")
    code, said = qualify(*only("power.unsent"))
    assert code == 1
    assert qualify.results() == {"power.unsent": "failed"}
    assert "2' instead of" in said or "instead of SUCCEEDED {'attempt': '1'}" in said
    assert "starts, attempt 2" in (qualify.folder / "report.md").read_text()
    assert qualify.left() == NOTHING


def test_a_step_timer_that_is_not_renewed_is_noticed(qualify: QualifyRun, monkeypatch: pytest.MonkeyPatch) -> None:
    # The first update sets the handler's step timeout, and no later update renews it.
    right = "_IN_PROGRESS, job.noted(), step_timeout"
    break_library(monkeypatch, right, f"{right} if journal.version < 3 else None")
    monkeypatch.setattr(outlived, "BEYOND", 0.5)
    code, said = qualify(*only("jobs.outlive-work"))
    assert code == 1
    assert "TIMED_OUT" in said
    assert qualify.results() == {"jobs.outlive-work": "failed"}


def test_ctrl_c_removes_everything_and_resume_continues(qualify: QualifyRun) -> None:
    cases = only("jobs.quick", "jobs.outlive-steady", "power.line")
    command = ujobs("qualify", *qualify.arguments(*cases))
    environment = os.environ | {"UJOBS_WIFI_PASSWORD": WIFI_PASSWORD, "PYTHONUNBUFFERED": "1"}
    said = ""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment) as run:
        assert run.stdout is not None
        for line in run.stdout:
            said += line
            if "run      jobs.outlive-steady" in line:
                run.send_signal(signal.SIGINT)
    assert run.returncode == 130, said
    assert "--resume" in said
    assert qualify.left() == NOTHING
    assert qualify.results() == {"jobs.quick": "passed"}

    code, said = qualify(*cases, "--resume")
    assert code == 0, said
    assert "passed before  jobs.quick" in said
    # A pseudo-terminal has no RTS line.
    assert qualify.results() == {"jobs.quick": "passed", "jobs.outlive-steady": "passed", "power.line": "skipped"}
    assert "RTS does not reset the board" in (qualify.folder / "report.md").read_text()


def test_a_board_that_is_not_empty_is_asked_about(qualify: QualifyRun) -> None:
    remote = Remote(qualify.parts.port)
    remote.write("/mine.txt", b"mine", lambda size: None)
    remote.commit(["/mine.txt"], [], "")
    remote.reset()
    code, said = qualify(*only("jobs.quick"), answer="n\n")
    assert code == 1
    assert "the board is not empty: it has 1 files, such as /mine.txt" in said
    assert "the board was not changed" in said
    assert qualify.left() == ([], [], [], {"/mine.txt"})
    remote = Remote(qualify.parts.port)
    remote.remove(["/mine.txt"])
    remote.reset()


def test_clean(qualify: QualifyRun, tmp_path: Path) -> None:
    thing = fleet.create_thing(f"{PREFIX}000000-board", tmp_path / "thing", qualify.parts.url)
    other = fleet.create_thing("kiln-7", tmp_path / "other", qualify.parts.url)
    iot = cloud.client("iot", qualify.parts.url)
    iot.create_job(jobId=f"{PREFIX}000000-1", targets=[thing.arn], document='{"operation": "blink"}')
    code, said = qualify("--clean", answer="n\n")
    assert code == 1
    assert f"remove all things, jobs and streams that begin with {PREFIX}" in said
    code, said = qualify("--clean", "--yes")
    assert code == 0, said
    assert f"removed  thing {thing.name}" in said
    assert "removed  1 jobs" in said
    assert qualify.left()[:2] == ([], [other.name])
    from ujobs_tools.aws.removal import delete_thing

    delete_thing(iot, other.name)


def test_a_state_that_is_damaged_or_missing(qualify: QualifyRun) -> None:
    code, said = qualify("--resume")
    assert code == 2
    assert "has no run to resume" in said
    qualify.folder.mkdir()
    (qualify.folder / "state.json").write_text("{")
    code, said = qualify("--resume")
    assert code == 2
    assert "state.json is damaged: remove it" in said
