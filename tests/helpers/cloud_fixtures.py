"""Fixtures that start a cloud once per session, for the folders whose conftest.py imports them."""

from collections.abc import Iterator

import pytest

import clouds


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[clouds.Cloud]:
    """`ujobs serve`."""
    with clouds.ujobs_serve(tmp_path_factory.mktemp("serve")) as found:
        yield found


@pytest.fixture(scope="session")
def ministack() -> Iterator[clouds.Cloud]:
    """MiniStack."""
    with clouds.ministack_cloud() as found:
        yield found
