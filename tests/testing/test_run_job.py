"""`run_job` on both interpreters."""

import sys
from pathlib import Path

import pytest
from lone import lone

from ujobs_tools.testing import Machine, RunJob
from ujobs_tools.testing.order import BootFailed


@pytest.fixture(scope="session")
def ujobs_app() -> Path:
    return Path(__file__).with_name("kiln.py")


def test_success(run_job: RunJob) -> None:
    result = run_job("heat", {"to": 2})
    assert result.status == "SUCCEEDED"
    assert result.details == {"degrees": "2", "attempt": "1", "progress": "2/2"}
    assert [step.done for step in result.progress][:2] == [1, 2]
    assert result.checkpoints == [{"done": 1}, {"done": 2}]
    assert result.attempts == 1
    assert "hot\n" in result.console
    assert 120 <= result.seconds < 200
    # A progress update is sent every 20 seconds, a third of the step timeout.
    versions = [version.number for version in result.versions]
    assert versions == list(range(2, len(versions) + 2))
    assert len(versions) >= 6


def test_hours_take_no_time(run_job: RunJob) -> None:
    result = run_job("heat", {"to": 60})
    assert (result.status, result.attempts) == ("SUCCEEDED", 1)
    assert result.seconds >= 3600


def test_refused(run_job: RunJob) -> None:
    result = run_job("heat", {"to": 2000})
    assert (result.status, result.details) == ("REJECTED", {"reason": "at most 1000 degrees"})


def test_an_application_whose_path_is_over_255_bytes(
    run_job: RunJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ("a" * 150) / ("b" * 150)
    folder.mkdir(parents=True)
    monkeypatch.delitem(sys.modules, "kiln", raising=False)
    monkeypatch.syspath_prepend(folder)
    app = folder / "kiln.py"
    app.write_bytes(Path(__file__).with_name("kiln.py").read_bytes())
    assert run_job("heat", {"to": 2}, app=app).status == "SUCCEEDED"


def test_unknown_operation(run_job: RunJob) -> None:
    assert run_job("cool").status == "REJECTED"


def test_failure_has_a_traceback(run_job: RunJob) -> None:
    result = run_job("read")
    assert (result.status, result.details["reason"]) == ("FAILED", "OSError: no sensor answers on the bus")
    assert "Traceback" in result.console


def test_plain_handler(run_job: RunJob) -> None:
    result = run_job("plain")
    assert result.details == {"took": "300000", "progress": "10/10", "message": "at 9"}


def test_cancelled(run_job: RunJob) -> None:
    result = run_job("heat", {"to": 100}, cancel_after=150)
    assert result.status == "CANCELED"
    assert result.checkpoints == [{"done": 1}, {"done": 2}]
    assert result.machine.levels[5] == 0


def test_plain_handler_cancelled(run_job: RunJob) -> None:
    assert run_job("forever-plain", cancel_after=300).status == "CANCELED"


def test_time_limit(run_job: RunJob) -> None:
    result = run_job("wait")
    assert result.status == "FAILED"
    assert "time limit of 60 minutes" in result.details["reason"]


def test_power_cut_in_seconds(run_job: RunJob) -> None:
    result = run_job("heat", {"to": 3}, reset_after=90)
    assert (result.status, result.attempts) == ("SUCCEEDED", 2)
    assert result.details["attempt"] == "2"
    assert result.checkpoints == [{"done": 1}, {"done": 2}, {"done": 3}]


def test_power_cut_of_a_handler_that_cannot_resume(run_job: RunJob) -> None:
    result = run_job("once", {"to": 3}, reset_after=90)
    reason = "the board was reset during attempt 1: cause unknown"
    assert (result.status, result.details["reason"]) == ("FAILED", reason)


def test_no_finally_runs_at_a_power_cut(run_job: RunJob) -> None:
    result = run_job("once", {"to": 3}, reset_after=90)
    assert result.machine.levels[5] == 1


def test_power_cut_at_each_checkpoint(run_job: RunJob) -> None:
    results = list(run_job.at_each_checkpoint("heat", {"to": 3}))
    assert len(results) == 3
    for result in results:
        assert (result.status, result.details["degrees"], result.attempts) == ("SUCCEEDED", "3", 2)
        assert result.checkpoints == [{"done": 1}, {"done": 2}, {"done": 3}]


def test_no_checkpoint_to_cut_at(run_job: RunJob) -> None:
    with pytest.raises(ValueError, match="no checkpoint"):
        list(run_job.at_each_checkpoint("plain"))


def test_cancelled_after_a_power_cut(run_job: RunJob) -> None:
    result = run_job("heat", {"to": 100}, reset_after=90, cancel_after=200)
    assert (result.status, result.attempts) == ("CANCELED", 2)


def test_flash_full(run_job: RunJob) -> None:
    # A checkpoint may still fit, because littlefs stores small files in the block of their folder.
    result = run_job("store", files={"/data.txt": bytes(5000)}, flash_full=True)
    assert result.status == "FAILED"
    assert "28" in result.details["reason"]
    assert result.files["/data.txt"] == bytes(5000)


def test_files(run_job: RunJob) -> None:
    result = run_job("store", files={"/data.txt": b"abc"})
    assert result.details == {"files": "data.txt"}
    assert result.files == {"/data.txt": b"abc!"}


def test_pins_and_buses(run_job: RunJob) -> None:
    machine = Machine(levels={4: 1}, analogue={34: 40000}, i2c={0x48: {0: 1, 1: 25}})
    result = run_job("read", machine=machine)
    assert result.details == {"door": "1", "temperature": "25"}
    assert result.machine.pwm == {15: {"freq": 1000, "duty_u16": 40000}}
    assert result.machine.i2c[0x48][2] == 0x60
    assert machine.pwm == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("async def setup(agent):\n    pass\n", "setup must be a plain def, not async def"),
        ("def setup(agent):\n    @agent.on\n    def heat(job):\n        pass\n", "needs the name of the operation"),
    ],
)
def test_setup_that_registers_nothing(run_job: RunJob, tmp_path: Path, text: str, said: str) -> None:
    app = tmp_path / "app.py"
    app.write_text(text)
    with pytest.raises(BootFailed, match=said):
        run_job("heat", app=app)


def test_application_that_cannot_be_imported(run_job: RunJob, tmp_path: Path) -> None:
    app = tmp_path / "app.py"
    app.write_text("import missing_module\n")
    with pytest.raises(BootFailed, match="missing_module"):
        run_job("heat", app=app)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"cancel_after": -1}, "cancel_after"),
        ({"reset_at_checkpoint": 0}, "reset_at_checkpoint"),
        ({"files": {"data": b""}}, "data"),
        ({"app": Path("/nowhere")}, "nowhere"),
        ({"cancel_afer": 1}, "no argument cancel_afer"),
    ],
)
def test_wrong_arguments(run_job: RunJob, arguments: dict, said: str) -> None:
    with pytest.raises((ValueError, BootFailed), match=said):
        run_job("heat", **arguments)


def test_function_without_setup(run_job: RunJob) -> None:
    result = run_job(lone, {"n": 5})
    assert result.details == {"n": "5", "had": "1"}
    assert result.status == "SUCCEEDED"


def test_options_of_a_function(run_job: RunJob) -> None:
    result = run_job(lone, {"n": 5}, on_restart="resume", reset_at_checkpoint=1)
    assert (result.status, result.attempts) == ("SUCCEEDED", 2)


def test_function_that_micropython_cannot_find(run_job: RunJob) -> None:
    async def inner(job: object) -> None:
        pass

    if run_job.interpreter == "micropython":
        with pytest.raises(ValueError, match="top level"):
            run_job(inner)
    else:
        assert run_job(inner).status == "SUCCEEDED"
