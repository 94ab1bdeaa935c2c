"""Fixtures of the live page's tests."""

import os
from collections.abc import Iterator
from pathlib import Path

import browser
import pytest
from page_service import PageService

from ujobs_lab.external import chromium


@pytest.fixture
def served(tmp_path: Path) -> Iterator[PageService]:
    """The service with an empty store."""
    found = PageService(tmp_path / "data")
    yield found
    found.stop()


@pytest.fixture(scope="session")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[browser.Page]:
    """A browser. Without one the test is skipped, or fails if UJOBS_ALL_CLIENTS is set, as in CI."""
    if not browser.available():
        text = "Chromium, its driver, selenium or axe-core is missing: make clients"
        if os.environ.get("UJOBS_ALL_CLIENTS"):
            pytest.fail(text)
        pytest.skip(text)
    with chromium.browsing(tmp_path_factory.mktemp("profile")) as driver:
        driver.set_script_timeout(browser.PATIENCE)
        yield browser.Page(driver)
