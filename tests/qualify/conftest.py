"""One virtual board and one service for all tests of the programme."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from qualify_run import QualifyRun

from ujobs_tools.qualify.virtual import Virtual, virtual


@pytest.fixture(scope="session")
def parts() -> Iterator[Virtual]:
    """The virtual board, its reset command, and the service."""
    with virtual() as made:
        yield made


@pytest.fixture
def qualify(parts: Virtual, tmp_path: Path) -> QualifyRun:
    """Runs `ujobs qualify` on them."""
    return QualifyRun(parts, tmp_path / "report")
