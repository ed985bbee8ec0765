"""A headless Chromium that is logged in.

It comes with the Debian packages chromium and chromium-driver. Where they are missing, tests that
need them are not there, but on a CI they fail.
"""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import quote

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.client import ADMINISTRATOR
from tests.support.worker import LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

CHROMIUM = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")
WANTED = (CHROMIUM is not None and DRIVER is not None) or "CI" in os.environ
"""Whether tests in a browser are there."""

DESK = (1000, 760)
PHONE = (360, 740)
"""Widths and heights of windows, in pixels."""

_NAME_OF_FOCUS = """
const focus = document.activeElement;
return focus.name || focus.id || focus.textContent.trim().slice(0, 40);
"""
_FETCHED = "return performance.getEntriesByType('resource').map(each => each.name)"


class Browser:
    """A window of a browser, logged in at a server.

    Args:
        driver: of the browser.
        url: of the server, without a slash at its end.
    """

    def __init__(self, driver: webdriver.Chrome, url: str) -> None:
        self.driver = driver
        self._url = url

    def open(self, path: str) -> None:
        """Go to a page."""
        scheme, _, host = self._url.partition("://")
        name, pin = (quote(each) for each in ADMINISTRATOR)
        self.driver.get(f"{scheme}://{name}:{pin}@{host}{path}")

    def find(self, selector: str) -> WebElement:
        """The one element that CSS selects."""
        (found,) = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return found

    def text(self, selector: str) -> str:
        """What can be read in the one element that CSS selects."""
        return self.find(selector).text

    def field(self, form: str, name: str) -> WebElement:
        """What is to be filled in for a field of the form of an operation."""
        return self.find(f'form[aria-label="{form}"] [name="{name}"]')

    def press(self, button: WebElement) -> None:
        """Press a button, and wait for the page that follows."""
        page = self.find("html")
        button.click()
        self.left(page)

    def type(self, *keys: str) -> None:
        """Type on the keyboard, whatever has the focus."""
        webdriver.ActionChains(self.driver).send_keys(*keys).perform()

    def submit(self, *keys: str) -> None:
        """Type what sends a form or follows a link, and wait for the page that follows."""
        page = self.find("html")
        self.type(*keys)
        self.left(page)

    def left(self, page: WebElement) -> None:
        """Wait until this page is gone and another one is there."""

        def gone(driver: webdriver.Chrome) -> bool:
            ready = driver.execute_script("return document.readyState") == "complete"
            return bool(ready and driver.find_elements(By.TAG_NAME, "html") != [page])

        WebDriverWait(self.driver, LIMIT).until(gone)

    @property
    def focus(self) -> str:
        """The name of what has the focus, or its id or text."""
        return str(self.driver.execute_script(_NAME_OF_FOCUS))

    def walk(self, name: str, limit: int = 60) -> None:
        """Press the tabulator until something of this name has the focus."""
        for _ in range(limit):
            if self.focus == name:
                return
            self.type(Keys.TAB)
        raise AssertionError(f"the tabulator does not lead to {name}")

    def unfold(self) -> None:
        """Open all that can be opened."""
        for closed in self.driver.find_elements(By.CSS_SELECTOR, "details:not([open]) > summary"):
            closed.click()

    def overflow(self) -> int:
        """Pixels that the page is wider than the window."""
        script = "return document.documentElement.scrollWidth - window.innerWidth"
        return int(self.driver.execute_script(script))

    def complaints(self) -> list[str]:
        """What the page fetched, and what the browser says of it: that a policy forbids something.

        That a page itself is one of 404, and that there is no icon, is no complaint.
        """
        fetched = self.driver.execute_script(_FETCHED)
        said = self.driver.get_log("browser")
        return fetched + [
            entry["message"]
            for entry in said
            if entry["level"] in ("SEVERE", "WARNING") and entry["source"] != "network"
        ]


@contextmanager
def browser(url: str, directory: Path, size: tuple[int, int] = DESK) -> Iterator[Browser]:
    """A browser with a profile of its own until the context ends."""
    assert CHROMIUM is not None, "the Debian package chromium is missing"
    assert DRIVER is not None, "the Debian package chromium-driver is missing"
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    width, height = size
    for argument in (
        "--headless=new",
        # Root has no sandbox, and containers little shared memory.
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        f"--user-data-dir={directory / 'chromium'}",
        "--window-size=1000,760",
    ):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=DRIVER)
    driver = webdriver.Chrome(options=options, service=service)
    try:
        # A window is never as narrow as a phone; what it shows is.
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": size == PHONE},
        )
        yield Browser(driver, url)
    finally:
        driver.quit()
