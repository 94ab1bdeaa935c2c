"""A small sample of the power cuts of `make faults`, and its checker detects broken promises."""

from collections import Counter
from pathlib import Path

import pytest

from ujobs_lab import REPOSITORY
from ujobs_lab.faults import power
from ujobs_tools.board.interpreter import compile_module

SEED = 20
SAMPLE = 120


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # A long path, as temporary folders can have: MicroPython dies of arguments over 255 bytes.
    folder = tmp_path_factory.mktemp("library" * 20)
    power.compile_library(folder)
    return folder


def run_some(library: Path, **options: object) -> list[power.Case]:
    usual = {"rounds": 1, "pairs": 20, "sample": None, "seed": SEED, "only": None, "random_only": False}
    return power.run_cases(library, usual | options)


def break_module(library: Path, name: str, sound: str, broken: str) -> None:
    source = (REPOSITORY / "lib" / "ujobs" / name).read_text()
    assert source.count(sound) == 1
    compiled = compile_module(source.replace(sound, broken).encode(), name, 2)
    (library / "ujobs" / name).with_suffix(".mpy").write_bytes(compiled)


def test_a_sample_of_power_cuts_breaks_no_promise(library: Path) -> None:
    cases = run_some(library, sample=SAMPLE)
    assert not [(one.text, one.wrong) for one in cases if one.wrong]
    checks = Counter(one.text.split(" ")[0] for one in cases)
    assert checks == dict.fromkeys(("once", "twice", "late", "damaged", "misbehaving", "cancel"), SAMPLE // 6)


def test_cases_that_are_the_same_for_every_seed_can_be_left_out(library: Path) -> None:
    checks = {one.text.split(" ")[0] for one in run_some(library, sample=8, random_only=True)}
    assert checks == {"twice", "late", "misbehaving", "cancel"}


def test_a_test_case_can_be_repeated_by_its_name(library: Path) -> None:
    [one] = run_some(library, only="twice resume 3 12:half 7:nothing")
    assert one.text == "twice resume 3 12:half 7:nothing"
    assert one.wrong == []
    assert "ujobs: job next-3: SUCCEEDED" in one.log


@pytest.mark.parametrize(
    ("name", "sound", "broken", "text", "noticed"),
    [
        ("journal.py", 'self._write("record", self._record())', "pass", "once quick 0", "runs with the record"),
        ("job.py", "journal.attempt + 1 if known", "1 if known", "misbehaving hang 1000", "starts were not enough"),
        (
            "trial.py", "    await job.check_in()\n    begin(what)\n", "    begin(what)\n    await job.check_in()\n",
            "cancel settings 11 @22", "not finished",
        ),
        ("handlers/reboot.py", "    await job.check_in()\n", "", "cancel reboot 9 @18", "cancelled before"),
        ("handlers/reboot.py", "    job.save(True)\n", "", "once reboot 9", "starts were not enough"),
    ],
)
def test_a_library_that_breaks_a_promise_is_detected(
    tmp_path: Path, name: str, sound: str, broken: str, text: str, noticed: str
) -> None:
    power.compile_library(tmp_path)
    break_module(tmp_path, name, sound, broken)
    [one] = run_some(tmp_path, only=text)
    assert noticed in "; ".join(one.wrong)


def test_a_program_that_crashes_is_detected(library: Path, tmp_path: Path) -> None:
    power.compile_library(tmp_path)
    (tmp_path / "ujobs" / "agent.mpy").write_bytes(b"")
    assert run_some(tmp_path, only="once quick 0")[0].wrong
