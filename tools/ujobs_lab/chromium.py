"""Chromium and its driver, for the tests of the live page and for its picture: the ones installed, else Debian's
packages unpacked into build/chromium (which takes no root, and installs nothing)."""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ujobs_lab import debian

_FOLDER = Path(__file__).parents[2] / "build" / "chromium"
OPTIONS = (
    "--headless", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)


def find(program: str) -> Path | None:
    """`chromium` or `chromedriver`: the one installed, else the one that `fetch` unpacked."""
    fetched = _FOLDER / "bin" / program
    return debian.installed(program) or (fetched if fetched.exists() else None)


def fetch() -> None:
    """Unpack Debian's packages into build/chromium. Raises debian.NoPackage."""
    programs = ("usr/lib/chromium/chromium", "usr/bin/chromedriver")
    debian.fetch(_FOLDER, ("chromium", "chromium-driver"), programs)


def options(profile: Path) -> list[str]:
    """Options for a browser that shows no window and asks nobody anything. profile: an empty folder for it."""
    sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []  # Chromium has none for root.
    return [*OPTIONS, *sandbox, f"--user-data-dir={profile}"]


@contextlib.contextmanager
def browsing(profile: Path, *more: str) -> Iterator[Any]:
    """Selenium's driver of a Chromium of its own, ended with it. profile: an empty folder. more: further options."""
    from selenium import webdriver  # pyright: ignore[reportMissingImports]

    wanted = webdriver.ChromeOptions()
    wanted.binary_location = str(find("chromium"))
    wanted.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for option in [*options(profile), *more]:
        wanted.add_argument(option)
    # With both paths given Selenium looks for nothing and fetches nothing.
    service = webdriver.ChromeService(executable_path=str(find("chromedriver")))
    driver = webdriver.Chrome(wanted, service)
    try:
        yield driver
    finally:
        driver.quit()


def main() -> None:
    """Make sure of Chromium; without it, say what that leaves out and carry on."""
    if find("chromium") is None or find("chromedriver") is None:
        try:
            fetch()
        except debian.NoPackage as error:
            print(f"chromium: {error}; the tests in a browser are left out", file=sys.stderr)


if __name__ == "__main__":
    main()
