"""The parts of `ujobs qualify` that need no board: lost and doubled work, cost, the list of cases."""

from pathlib import Path
from typing import Any, cast

import pytest
import serial
import typer
from typer.testing import CliRunner

from ujobs_tools.board.device_files import ROOT
from ujobs_tools.commands.qualify import qualify
from ujobs_tools.keys.pki import Authority
from ujobs_tools.qualify import cleanup, cost, report
from ujobs_tools.qualify.board import pulse
from ujobs_tools.qualify.case import FAILED, LEAST_HEAP, NEEDS, PASSED, RECEIVED, SENT, STREAM, Outcome
from ujobs_tools.qualify.cases import CASES
from ujobs_tools.qualify.programme import choose
from ujobs_tools.qualify.state import State
from ujobs_tools.qualify.tally import CHECKPOINTED, ONCE, PLAIN, Counted, disagreement

app = typer.Typer()
app.command()(qualify)
_RESET = "the board was reset during attempt 1: HARD_RESET"


def execution(status: str, number: int = 1, **details: str) -> dict[str, Any]:
    return {"status": status, "executionNumber": number, "statusDetails": {"detailsMap": details}}


@pytest.mark.parametrize(
    ("kind", "found", "marks"),
    [
        (CHECKPOINTED, execution("SUCCEEDED", attempt="1", starts="1"), "s++e"),
        (CHECKPOINTED, execution("SUCCEEDED", attempt="2", starts="2"), "s+s+e"),
        (CHECKPOINTED, execution("SUCCEEDED", attempt="3", starts="2"), "s+s+e"),
        (CHECKPOINTED, execution("SUCCEEDED", attempt="2", starts="2"), "s++ese"),
        (PLAIN, execution("SUCCEEDED", attempt="2", starts="2"), "sse"),
        (ONCE, execution("SUCCEEDED", attempt="1", starts="1"), "se"),
        (ONCE, execution("FAILED", reason=_RESET), "s"),
        (ONCE, execution("FAILED", reason=_RESET), ""),
    ],
)
def test_agreement(kind: str, found: dict[str, Any], marks: str) -> None:
    history = [{"status": "QUEUED"}, {"status": "IN_PROGRESS"}, {"status": found["status"]}]
    assert disagreement(Counted("j", kind, 2), found, history, marks) == ""


@pytest.mark.parametrize(
    ("kind", "found", "marks", "what"),
    [
        (CHECKPOINTED, execution("SUCCEEDED", attempt="1", starts="1"), "s+e", "lost"),
        (CHECKPOINTED, execution("SUCCEEDED", attempt="1", starts="1"), "s++", "lost"),
        (CHECKPOINTED, execution("SUCCEEDED", attempt="1", starts="1"), "", "lost"),
        (CHECKPOINTED, execution("TIMED_OUT"), "s+", "lost"),
        (CHECKPOINTED, execution("SUCCEEDED", attempt="2", starts="2"), "s++s+e", "doubled"),
        (CHECKPOINTED, execution("SUCCEEDED", attempt="1", starts="1"), "s++es", "doubled"),
        (CHECKPOINTED, execution("SUCCEEDED", 2, attempt="1", starts="1"), "s++e", "doubled"),
        (PLAIN, execution("SUCCEEDED", attempt="2", starts="1"), "sese", "doubled"),
        (ONCE, execution("FAILED", reason=_RESET), "ss", "doubled"),
        (ONCE, execution("FAILED", reason="OSError: no"), "s", "lost"),
    ],
)
def test_disagreement(kind: str, found: dict[str, Any], marks: str, what: str) -> None:
    assert disagreement(Counted("j", kind, 2), found, [], marks).startswith(what)


def test_two_results_in_the_cloud_are_one_too_many() -> None:
    history = [{"status": "QUEUED"}, {"status": "SUCCEEDED"}, {"status": "FAILED"}]
    found = execution("FAILED", reason=_RESET)
    assert disagreement(Counted("j", ONCE, 2), found, history, "s").startswith("doubled")


def test_every_case_has_a_name_of_its_own_and_known_needs() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {need for case in CASES for need in case.needs} <= set(NEEDS)


def test_the_list() -> None:
    result = CliRunner().invoke(app, ["--list", "--only", "power"])
    assert result.exit_code == 0
    assert [line.split()[0] for line in result.output.splitlines()] == [
        case.name for case in CASES if case.name.startswith("power.")
    ]


def test_cases_are_chosen_by_name_group_and_pattern() -> None:
    assert [case.name for case in choose(["jobs.retry", "tls.*"])] == [
        "jobs.retry", "tls.right", "tls.authority", "tls.name", "tls.expired",
    ]
    with pytest.raises(ValueError, match="--only nonsense: no such case"):
        choose(["nonsense"])


def test_aws_is_asked_about_with_the_cost(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    ca = tmp_path / "ca.der"
    ca.write_bytes(Authority(tmp_path / "pki").ca_der)
    options = ["--port", "socket://127.0.0.1:1", "--ca", str(ca), "--resets", "50"]
    result = CliRunner().invoke(app, options, input="n\n")
    assert result.exit_code == 1
    assert "CreateJob" in result.output
    assert f"about {cost.estimate(CASES, 50).cents:.0f} US cents" in result.output


def test_more_resets_cost_more() -> None:
    few, many = cost.estimate(CASES, 1), cost.estimate(CASES, 50)
    assert few.executions < many.executions
    assert few.cents < many.cents < 200


def test_the_row_of_a_report_fits_the_table_of_boards() -> None:
    page = (ROOT / "docs" / "boards.md").read_text()
    assert report.HEADER in page
    outcomes = {
        "cost.wire": Outcome("cost.wire", "", PASSED, "", {SENT: 690, RECEIVED: 1760, LEAST_HEAP: 51200}),
        "updates.stream": Outcome("updates.stream", "", PASSED, "", {STREAM: 123.4, LEAST_HEAP: 40960}),
        "jobs.quick": Outcome("jobs.quick", "", FAILED, ""),
    }
    state = State(ROOT, "id", 1, {"machine": "Board | <b>with</b> ESP32", "version": "1.28.0"}, outcomes)
    row = report.row(state, "AWS IoT")
    assert row.replace("\\|", "").count("|") == report.HEADER.count("|")
    assert row.startswith("| Board \\| &lt;b&gt;with&lt;/b&gt; ESP32 | 1.28.0 | ")
    assert row.endswith(" | AWS IoT | 2 passed, 1 failed, 0 skipped | 40 KB | 2450 | 123 KB/s |")


class _Circuit:
    """A port with the usual reset circuit of ESP32 boards; DTR and RTS are asserted, as after pyserial opens it."""

    name = "port"

    def __init__(self) -> None:
        self._lines = {"dtr": True, "rts": True}
        self.enabled = [True]
        self.boot_loader: list[bool] = []

    def __getattr__(self, name: str) -> bool:
        try:
            return bool(self.__dict__["_lines"][name])
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: object) -> None:
        if name not in ("dtr", "rts"):
            return object.__setattr__(self, name, value)
        self._lines[name] = bool(value)
        dtr, rts = self._lines["dtr"], self._lines["rts"]
        enabled = not (rts and not dtr)
        if enabled and not self.enabled[-1]:
            self.boot_loader.append(dtr and not rts)
        if enabled != self.enabled[-1]:
            self.enabled.append(enabled)
        return None

    def setRTS(self, value: bool) -> None:
        self.rts = value

    def setDTR(self, value: bool) -> None:
        self.dtr = value


def test_the_reset_line_resets_once_and_not_into_the_boot_loader() -> None:
    port = _Circuit()
    pulse(cast(serial.Serial, port))
    assert port.enabled == [True, False, True]
    assert port.boot_loader == [False]
    assert (port.dtr, port.rts) == (True, True)


class _Busy:
    """A client that deletes a job only at the third call."""

    class exceptions:
        class LimitExceededException(Exception):
            """The exception of boto3."""

    def __init__(self) -> None:
        self.calls = 0

    def delete_job(self, jobId: str, force: bool) -> None:
        self.calls += 1
        if self.calls < 3:
            raise self.exceptions.LimitExceededException


def test_jobs_are_deleted_though_aws_deletes_ten_at_a_time() -> None:
    iot = _Busy()
    cleanup.delete_job(iot, "job", pause=0)
    assert iot.calls == 3
