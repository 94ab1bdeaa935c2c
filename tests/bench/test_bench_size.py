"""`make size`: the table adds up, and an exceeded limit is a failure."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from ujobs_lab.bench import budget, flash, on_unix


def size(tmp_path: Path, core: int) -> "subprocess.CompletedProcess[str]":
    limits = tmp_path / "budget.toml"
    limits.write_text(f'[flash]\ncore_bytes = {{ at_most = {core}, what = "the core" }}\n')
    command = [sys.executable, "-m", "ujobs_lab.bench.size", "--budget", limits, "--json", tmp_path / "size.json"]
    return subprocess.run(command, capture_output=True, text=True)


def test_an_exceeded_limit_fails_and_a_kept_one_does_not(tmp_path: Path) -> None:
    roomy = size(tmp_path, 10**6)
    assert roomy.returncode == 0, roomy.stderr
    found = json.loads((tmp_path / "size.json").read_text())["flash"]
    core = found["core"]["O2"]
    of_core = [f"{name}.py" for name in on_unix.CORE if f"{name}.py" in found["modules"]]
    assert core == sum(found["modules"][name]["O2"] for name in of_core)
    assert 0 < core < found["all"]["O2"] == sum(sizes["O2"] for sizes in found["modules"].values())
    assert found["all"]["O3"] < found["all"]["O2"] < found["all"]["source"]
    tight = size(tmp_path, core - 1)
    assert tight.returncode == 1
    assert "NOT KEPT" in tight.stdout
    assert (tmp_path / "size.json").exists(), "the results are written in any case"


def test_a_limit_may_be_reached_but_not_exceeded(tmp_path: Path) -> None:
    limits = tmp_path / "budget.toml"
    limits.write_text('[part]\nsmall = { at_most = 5, what = "" }\nlarge = { at_least = 0.5, what = "" }\n')
    assert [one.kept for one in budget.judge("part", {"small": 5, "large": 0.5}, limits)] == [True, True]
    assert [one.kept for one in budget.judge("part", {"small": 5.1, "large": 0.4}, limits)] == [False, False]
    assert budget.judge("part", {"other": 1}, limits) == []
    assert budget.judge("elsewhere", {"small": 9}, limits) == []


def test_the_flash_limits_belong_to_existing_figures() -> None:
    figures = {"core": {"O2": 1}, "all": {"O2": 1}}
    assert len(budget.judge("flash", flash.budgets(figures))) == 2


def test_a_limit_without_a_value_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "budget.toml").write_text('[flash]\ncore_bytes = { what = "no limit" }\n')
    with pytest.raises(KeyError):
        budget.judge("flash", {"core_bytes": 1}, tmp_path / "budget.toml")
