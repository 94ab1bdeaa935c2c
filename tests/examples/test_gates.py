"""The recipes of examples/gates, as functions and on a board."""

import importlib.util
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from ujobs_tools.board.device_files import EXAMPLES
from ujobs_tools.testing.jobs_service import JobsService
from ujobs_tools.testing.virtual_board import VirtualBoard

NOON = 1795867200 - 1795867200 % 86400 + 12 * 3600  # of some day


@pytest.fixture(scope="session")
def ujobs_app() -> Path:
    return EXAMPLES / "gates"


@pytest.fixture
def gates() -> ModuleType:
    """The module with a clock that the test sets: gates.time.now, seconds since 1970."""
    spec = importlib.util.spec_from_file_location("gates", EXAMPLES / "gates" / "gates.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    clock: Any = SimpleNamespace(now=NOON)
    clock.time = lambda: clock.now
    clock.gmtime = lambda seconds=None: time.gmtime(clock.now if seconds is None else seconds)
    module.__dict__["time"] = clock
    return module


def job(job_id: str = "job", **document: Any) -> Any:
    return SimpleNamespace(document=document, job_id=job_id, queued_at=NOON, restarting=False)


@pytest.mark.parametrize(
    ("begin", "end", "hours", "seconds"),
    [
        (11, 13, 12, None), (12, 13, 12, None), (11, 12, 12, 23 * 3600), (13, 14, 12, 3600), (22, 4, 23, None),
        (22, 4, 3, None), (22, 4, 4, 18 * 3600), (22, 4, 12, 10 * 3600), (0, 24, 5, 19 * 3600),
    ],
)
def test_a_window_of_hours(gates: ModuleType, begin: int, end: int, hours: int, seconds: int | None) -> None:
    gates.time.now = NOON + (hours - 12) * 3600
    assert gates.window(begin, end)(job()) == seconds


def test_battery_and_temperature(gates: ModuleType) -> None:
    volts = [3.5]
    gate = gates.within(lambda: volts[0], 3.6, 4.3, 60)
    assert gate(job()) == 60
    volts[0] = 3.6
    assert gate(job()) is None


def test_not_while_somebody_uses_it(gates: ModuleType) -> None:
    assert gates.not_in_use(lambda: 1)(job()) == 5
    assert gates.not_in_use(lambda: 0)(job()) is None


def test_boards_spread_over_an_hour(gates: ModuleType) -> None:
    waits = [gates.spread(3600, bytes([number]))(job()) or 0 for number in range(200)]
    assert 0 <= min(waits) < 300
    assert 3300 < max(waits) < 3600
    # After a reset the time is the same.
    wait = gates.spread(3600, b"board")(job())
    gates.time.now += wait - 1
    assert gates.spread(3600, b"board")(job()) == 1
    gates.time.now += 1
    assert gates.spread(3600, b"board")(job()) is None
    assert gates.spread(3600, b"board")(job("other")) != wait


def test_gates_together(gates: ModuleType) -> None:
    gate = gates.all_of(lambda job: 5, lambda job: None, lambda job: 9)
    assert gate(job()) == 9
    assert gates.all_of(lambda job: None)(job()) is None
    assert gates.unless_urgent(gate)(job(urgent=True)) is None
    assert gates.unless_urgent(gate)(job(urgent="yes")) == 9


def test_on_a_board_jobs_wait_and_urgent_ones_do_not(service: JobsService, board: VirtualBoard) -> None:
    board.pin(4).value = 1
    held = service.job("hello")
    urgent = service.job("hello", urgent=True)
    assert urgent.wait().status == "SUCCEEDED"
    assert held.look().status == "QUEUED"
    # Neither a power cut nor another job changes the time.
    board.cut_power()
    board.start()
    assert service.job("hello", urgent=True).wait().status == "SUCCEEDED"
    assert held.look().status == "QUEUED"
    board.pin(4).value = 0
    assert held.wait().details == {"said": "hello"}
