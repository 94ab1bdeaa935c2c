"""Chromium and its driver, for the tests and the picture of the live page."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ujobs_lab.external import debian

_PROGRAMS = debian.Programs(
    "chromium", ("chromium", "chromium-driver"), ("usr/lib/chromium/chromium", "usr/bin/chromedriver")
)
find = _PROGRAMS.find
OPTIONS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)


def options(profile: Path) -> list[str]:
    """Options for a browser without windows and background requests. profile: an empty folder."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium does not support its sandbox for root.
    return [*OPTIONS, *sandbox, f"--user-data-dir={profile}"]


@contextlib.contextmanager
def browsing(profile: Path, *more: str) -> Iterator[Any]:
    """Start Chromium; yields Selenium's driver, and ends both. profile: an empty folder. more: further options."""
    from selenium import webdriver  # pyright: ignore[reportMissingImports]

    wanted = webdriver.ChromeOptions()
    wanted.binary_location = str(find("chromium"))
    wanted.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in [*options(profile), *more]:
        wanted.add_argument(option)
    # With both paths given, Selenium does not search for or download a browser.
    service = webdriver.ChromeService(executable_path=str(find("chromedriver")))
    driver = webdriver.Chrome(wanted, service)
    try:
        yield driver
    finally:
        driver.quit()


if __name__ == "__main__":
    _PROGRAMS.provide("chromium", "chromedriver", otherwise="the tests in a browser are skipped")
