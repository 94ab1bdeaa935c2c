"""Fixtures of the service's tests."""

from collections.abc import Iterator

import pytest
from broker_service import BrokerService


@pytest.fixture
def service() -> Iterator[BrokerService]:
    """A broker on a free port."""
    found = BrokerService()
    yield found
    found.close()
