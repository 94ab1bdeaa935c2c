"""Fixtures of the end-to-end tests: clouds and boards, each started once per session."""

from collections.abc import Iterator

import pytest
from comparison import Comparison

import clouds
from board_at_work import BoardAtWork, board_at_work
from cloud_fixtures import ministack as ministack
from cloud_fixtures import serve as serve


@pytest.fixture(scope="session")
def comparison(
    serve: clouds.Cloud, ministack: clouds.Cloud, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Comparison]:
    """Both, each with a board."""
    with Comparison(serve, ministack, tmp_path_factory.mktemp("comparison")) as found:
        yield found


@pytest.fixture(scope="session")
def board(serve: clouds.Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BoardAtWork]:
    """A board connected to `ujobs serve`."""
    with board_at_work(serve, "board", tmp_path_factory.mktemp("board")) as found:
        yield found
