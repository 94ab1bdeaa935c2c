"""A local Jobs service for all examples, and what the end-to-end tests drive a board with."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import clouds

sys.path.append(str(Path(__file__).parents[1] / "end_to_end"))


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clouds.Cloud]:
    """`ujobs serve`."""
    with clouds.ujobs_serve(tmp_path_factory.mktemp("serve")) as found:
        yield found
