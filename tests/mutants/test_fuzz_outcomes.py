"""`make fuzz` counts the inputs of every test, and tells a failure from its own time limit."""

import pytest

from ujobs_lab.fuzz.__main__ import read

_PROGRESS = b"#2\tINITED cov: 40 ft: 50 corp: 1/1b\n#512\tpulse  cov: 49 ft: 60 corp: 2/9b lim: 4096\n"
_END = b"#900\tDONE   cov: 51 ft: 60 corp: 2/9b\nstat::number_of_executed_units: 901\nstat::slowest_unit_time_sec: 0\n"


@pytest.mark.parametrize(
    ("printed", "code", "inputs", "coverage", "failed", "in_time"),
    [
        (_PROGRESS + _END, 0, 901, 51, False, True),
        (_PROGRESS, None, 512, 49, False, False),
        (b"", None, 0, 0, False, False),
        (_PROGRESS + b"given: text = 'x'\nValueError\n", 77, 512, 49, True, True),
    ],
)
def test_an_outcome_is_read_from_what_the_process_printed(
    printed: bytes, code: int | None, inputs: int, coverage: int, failed: bool, in_time: bool
) -> None:
    outcome = read("module::test", printed, code)
    assert (outcome.inputs, outcome.coverage, outcome.in_time) == (inputs, coverage, in_time)
    assert bool(outcome.failed) == failed
    if failed:
        assert outcome.failed.startswith("given: text")
