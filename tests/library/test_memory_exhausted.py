"""A handler that takes all the memory of a board ends neither the agent nor its link, and is not started twice."""

import subprocess
from pathlib import Path

import pytest

from ujobs_lab import ON_BOARD, REPOSITORY
from ujobs_tools.board import umqtt
from ujobs_tools.board.interpreter import environment, find_micropython
from ujobs_tools.testing.on_micropython import DEVICE

_PROGRAM = Path(__file__).with_name("hoarding_job.py")


@pytest.mark.parametrize("step", [0, 50, 100, 150, 300])
def test_the_agent_survives_a_handler_that_hoards_memory(step: int) -> None:
    places = (umqtt.find()[0], REPOSITORY / "lib", ON_BOARD, DEVICE)
    command = [find_micropython(), "-X", "heapsize=600k", _PROGRAM, str(step)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(*places))
    assert result.stdout.splitlines()[-1:] == ["['SUCCEEDED', 'SUCCEEDED'] {'attempt': '1'}"], result.stdout
