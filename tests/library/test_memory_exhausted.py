"""When there is no memory, whoever has it, neither the agent nor its link ends, and no handler is started twice."""

import subprocess
from pathlib import Path

import pytest

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

_FOLDER = Path(__file__).parent


def last_line(program: str, *arguments: str) -> str:
    """What the program prints last, on MicroPython with a small heap."""
    places = (umqtt.find()[0], REPOSITORY / "lib", ON_BOARD, DEVICE)
    command = [find_micropython(), "-X", "heapsize=600k", _FOLDER / program, *arguments]
    result = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment(*places))
    assert result.stdout, result.stderr
    return result.stdout.splitlines()[-1]


@pytest.mark.parametrize("step", ["0", "50", "100", "150", "300"])
def test_the_agent_survives_a_handler_that_hoards_memory(step: str) -> None:
    assert last_line("hoarding_job.py", step) == "['SUCCEEDED', 'SUCCEEDED'] {'attempt': '1'}"


@pytest.mark.parametrize(("step", "lasts"), [("31", "1"), ("37", "400"), ("41", "3000"), ("67", "40000")])
def test_a_moment_without_memory_stops_nothing(step: str, lasts: str) -> None:
    said = last_line("without_memory.py", step, lasts)
    assert " runs, 0 wrong" in said, said
