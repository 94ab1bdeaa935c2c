"""Fixtures of the service's tests."""

from collections.abc import Iterator

import pytest
from broker_service import BrokerService
from http_service import Server


@pytest.fixture
def service() -> Iterator[BrokerService]:
    """A broker on a free port."""
    found = BrokerService()
    yield found
    found.close()


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    found = Server(tmp_path_factory.mktemp("authority"))
    yield found
    found.close()


@pytest.fixture
def server(running_server: Server) -> Server:
    """The HTTP API, without jobs and thing groups of earlier tests."""
    running_server.clear()
    return running_server
