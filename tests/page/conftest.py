"""Fixtures of the live page's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from page_service import PageService


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PageService]:
    """The service with an empty store."""
    found = PageService(tmp_path / "data")
    yield found
    found.stop()
