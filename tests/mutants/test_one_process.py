"""The runner of `make mutants`: a test that fails, ends the program or never ends is noticed, whatever it catches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ujobs_lab import REPOSITORY

_PROGRAM = REPOSITORY / "tools" / "ujobs_lab" / "mutants" / "one_process.py"
_TESTS = """
import sys, time

def test_that_passes():
    print("ok")

def test_that_fails():
    assert False

def test_that_exits():
    sys.exit(0)

def test_that_loops_for_ever():
    while True:
        try:
            pass
        except BaseException:
            pass

def test_that_sleeps_for_ever():
    while True:
        try:
            time.sleep(1)
        except BaseException:
            pass

def test_that_fills_the_memory():
    found = []
    while True:
        found.append(bytes(1 << 24))
"""


def run(folder: Path, order: dict[str, object]) -> tuple[int, str]:
    (folder / "test_faulty.py").write_text(_TESTS)
    path = os.pathsep.join((str(folder), str(REPOSITORY / "tests" / "shims")))
    done = subprocess.run(
        [sys.executable, _PROGRAM], input=json.dumps(order), stdout=subprocess.PIPE, text=True, timeout=60,
        env=os.environ | {"PYTHONPATH": path},
    )  # fmt: skip
    return done.returncode, done.stdout


@pytest.mark.parametrize("name", ["fails", "exits", "loops_for_ever", "sleeps_for_ever", "fills_the_memory"])
def test_a_fault_is_noticed(tmp_path: Path, name: str) -> None:
    tests = ["test_faulty::test_that_passes", f"test_faulty::test_that_{name}", "test_faulty::test_that_passes"]
    limits = [(20.0, 50.0), (0.2 if "loops" in name else 20.0, 1.0 if "sleeps" in name else 50.0), (20.0, 50.0)]
    assert run(tmp_path, {"tests": tests, "limits": limits})[0] != 0


def test_tests_that_pass_are_not_taken_for_a_fault(tmp_path: Path) -> None:
    order = {"tests": ["test_faulty::test_that_passes"] * 3, "limits": [(20.0, 50.0)] * 3}
    assert run(tmp_path, order) == (0, "")


def test_the_lines_that_each_test_runs_are_measured(tmp_path: Path) -> None:
    code, said = run(tmp_path, {"tests": ["test_faulty::test_that_passes"], "measure": [f"{tmp_path}/*"]})
    assert code == 0
    (lines,) = json.loads(said)["lines"].values()
    assert lines["2"] == [-1]
    assert lines["5"] == [0]
    assert "8" not in lines
