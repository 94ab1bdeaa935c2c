"""Fixtures of the fuzz tests."""

from collections.abc import Iterator

import pytest
from fuzzing import prepared


@pytest.fixture(autouse=True, scope="module")
def _prepared(request: pytest.FixtureRequest) -> Iterator[None]:
    with prepared(request.module):
        yield
