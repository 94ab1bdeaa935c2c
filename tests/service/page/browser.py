"""The live page in headless Chromium, with a user's actions."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ujobs_lab.external import chromium
from ujobs_tools.host.processes import NotReady, wait_until

AXE = Path(__file__).parents[3] / "build" / "browser" / "node_modules" / "axe-core" / "axe.min.js"
PATIENCE = 120.0  # seconds


def available() -> bool:
    """Whether Chromium, its driver, Selenium and axe-core are all installed."""
    found = [chromium.find("chromium"), chromium.find("chromedriver"), importlib.util.find_spec("selenium")]
    return all(found) and AXE.exists()


class Page:
    """A browser's only tab. driver: of Selenium."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def open(self, url: str, route: str = "jobs") -> None:
        """Load a view of the page and wait until it is connected."""
        self.driver.get("about:blank")
        self.driver.get_log("browser")
        self.driver.get(f"{url}/#/{route}")
        self.until(lambda: self.script("return document.getElementById('link').className === 'live'"), "a live page")
        self.until(lambda: self.script("return document.querySelector('h1') !== null"), "a heading")

    def script(self, text: str, *arguments: Any) -> Any:
        return self.driver.execute_script(text, *arguments)

    def until(self, condition: Callable[[], Any], what: str) -> None:
        try:
            wait_until(lambda: bool(condition()), what, PATIENCE)
        except NotReady as error:
            raise AssertionError(f"{error}; the page shows:\n{self.text()}") from None

    def text(self) -> str:
        """The text of the main part."""
        return self.script("return document.getElementById('main').innerText")

    def sees(self, *texts: str) -> None:
        """Wait until the main part contains all of these texts."""
        self.until(lambda: all(text in self.text() for text in texts), f"{texts}")

    def rows(self) -> list[str]:
        """The text of each row of the first table."""
        return self.script(
            "return [...(document.querySelector('main table')?.tBodies[0].rows || [])].map(row => row.innerText)"
        )

    def element(self, selector: str) -> Any:
        self.until(lambda: self.driver.find_elements("css selector", selector), selector)
        return self.driver.find_element("css selector", selector)

    def press(self, text: str) -> None:
        """Click the button or link with this text, in the dialog if one is open."""
        where = "dialog[@open]" if self.script("return document.getElementById('dialog').open") else "body"
        xpath = f"//{where}//*[self::button or self::a][normalize-space()='{text}']"
        self.until(lambda: self.driver.find_elements("xpath", xpath), f"button {text!r}")
        self.driver.find_element("xpath", xpath).click()

    def fill(self, selector: str, text: str) -> None:
        field = self.element(selector)
        field.clear()
        field.send_keys(text)

    def choose(self, selector: str, value: str) -> None:
        self.script(
            "const [field, value] = arguments; field.value = value; "
            "field.dispatchEvent(new Event('input', {bubbles: true}))",
            self.element(selector), value,
        )

    def complaints(self) -> list[str]:
        """The warnings and errors that the browser has logged since the page was opened."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def violations(self) -> list[str]:
        """Accessibility errors found by axe-core: labels, contrast, roles, structure."""
        self.script(AXE.read_text())
        found = self.driver.execute_async_script("axe.run().then(arguments[arguments.length - 1])")
        return [
            f"{rule['id']}: {rule['help']}: {node['html'][:200]} {node.get('failureSummary', '')}"
            for rule in found["violations"] for node in rule["nodes"]
        ]

    def prefer(self, scheme: str, width: int = 1280) -> None:
        """Set the colour scheme, "dark" or "light", and the width of the window."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
