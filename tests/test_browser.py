"""The pages in a browser (docs/spec/wire.md §8): read, filled in, and used without a mouse."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from selenium.webdriver.common.keys import Keys

from tests.conftest import PREPARE_STATEMENTS
from tests.support.browser import PHONE, WANTED, Browser, browser
from tests.support.server import serve
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.db import Database
    from tests.support.server import RunningServer
    from tests.support.soap import Soap

__test__ = WANTED

SERVICES = "/sipxconfig/services"
FAILED = """
    UPDATE jobs SET state = 'failed', attempts = 5, finished = now(),
    reason = 'the folder of the profiles cannot be written'
"""
LONG = "x" * 250


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """Users, a phone, and a job of it that failed."""
    system = System(soap, database)
    system.add_users("201", firstName="Albert", lastName="Einstein", groups=["Managers"])
    system.add_users("202", firstName="Marie", lastName="Curie")
    system.add_phone(MAC, lines=[{"userId": "201"}], description="Reception")
    system.manage_phone(MAC, generateProfiles=True)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(FAILED)
    return system


@pytest.fixture(scope="module")
def server(
    restore: str,  # noqa: ARG001 - has the database as a new system has it
    server_url: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunningServer]:
    """A server of two processes without a worker, so that jobs stay as they are."""
    environment = {
        "SIPXCONFIG_DATABASE_URL": server_url,
        "SIPXCONFIG_PREPARE_STATEMENTS": str(PREPARE_STATEMENTS).lower(),
    }
    with serve(tmp_path_factory.mktemp("server"), environment, "--no-worker") as running:
        yield running


@pytest.fixture(scope="module")
def opened(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(server.url, tmp_path_factory.mktemp("desk")) as window:
        yield window


@pytest.fixture
def window(opened: Browser, system: System) -> Browser:
    """A window at a desk, of a browser that other tests have used too."""
    assert system
    # What it says of pages of the tests before.
    opened.complaints()
    return opened


def test_finding_a_user(window: Browser) -> None:
    window.open(f"{SERVICES}/UserService")
    window.find("#findUser details.try summary").click()
    window.field("findUser", "search.byUserName").send_keys("201")
    window.press(window.find("form[aria-label=findUser] button"))
    assert window.text("#answered") == "Answered"
    answer = window.text("pre.reply")
    assert "<firstName>Albert</firstName>" in answer
    assert "Marie" not in answer
    assert "<byUserName>201</byUserName>" in window.find("pre.request").get_attribute("textContent")
    # What was filled in is still there, to be changed.
    assert window.field("findUser", "search.byUserName").get_attribute("value") == "201"
    assert window.complaints() == []


def test_a_user_that_is_refused(window: Browser, system: System) -> None:
    window.open(f"{SERVICES}/UserService/addUser")
    window.field("addUser", "userName").send_keys("201")
    window.field("addUser", "emailAddress").send_keys("nobody")
    window.field("addUser", "permissions").send_keys("LocalDialing\nFlying")
    window.field("addUser", "pin").send_keys("4711")
    window.press(window.find("form[aria-label=addUser] button"))
    assert window.text("#answered") == "Refused"
    for name, words in (("userName", "already in use"), ("permissions", "'Flying' is not")):
        field = window.field("addUser", name)
        assert field.get_attribute("aria-invalid") == "true"
        beside = window.driver.find_element("id", field.get_attribute("aria-describedby"))
        assert words in beside.text
    assert window.field("addUser", "lastName").get_attribute("aria-invalid") is None
    # The PIN is not in the page, which says so.
    assert "4711" not in window.driver.page_source
    assert "fill it in again" in window.text("[id='addUser.pin.hint']")
    window.field("addUser", "userName").clear()
    window.field("addUser", "userName").send_keys("203")
    window.field("addUser", "emailAddress").clear()
    window.field("addUser", "permissions").clear()
    window.field("addUser", "pin").send_keys("4711")
    window.press(window.find("form[aria-label=addUser] button"))
    assert window.text("#answered") == "Done"
    assert "203" in system.user_names()


def test_a_job_is_tried_again(window: Browser, system: System) -> None:
    window.open("/sipxconfig/jobs?state=failed")
    assert "the folder of the profiles cannot be written" in window.text("tbody tr")
    window.press(window.find("tbody button"))
    assert window.text(".note") == "One job waits again."
    assert system.jobs() == [("profiles", MAC)]


def test_by_keyboard_alone(window: Browser, system: System) -> None:
    window.open(f"{SERVICES}/UserService/manageUser")
    window.walk("search.byUserName")
    window.type("201")
    window.walk("edit[0].property")
    window.type("lastName")
    window.walk("edit[0].value")
    window.type("Bohr")
    window.walk("_more")
    window.submit(Keys.ENTER)
    # Writing goes on in the new row.
    assert window.focus == "edit[1].property"
    window.type("firstName", Keys.TAB, "Niels")
    window.submit(Keys.ENTER)
    assert window.focus == "answer"
    assert window.text("#answered") == "Done"
    user = system.user("201")
    assert (user["firstName"], user["lastName"]) == ("Niels", "Bohr")


PAGES = [
    f"{SERVICES}/",
    *(f"{SERVICES}/{name}" for name in ("UserService", "PhoneService", "CallGroupService")),
    f"{SERVICES}/PhoneService/managePhone",
    "/sipxconfig/jobs",
    "/sipxconfig/changes",
    f"/sipxconfig/phones/{MAC}",
    "/sipxconfig/phones/unknown",
    f"/sipxconfig/phones/{LONG}",
]


def test_nothing_is_wider_than_a_phone(
    server: RunningServer, system: System, tmp_path: Path
) -> None:
    system.add_users(LONG, lastName=LONG)
    system.manage_phone(MAC, addLine={"userId": LONG}, addGroup=LONG)
    with browser(server.url, tmp_path, PHONE) as window:
        for path in PAGES:
            window.open(path)
            window.unfold()
            assert window.overflow() <= 0, path
            assert window.complaints() == [], path
        window.open(f"{SERVICES}/UserService/findUser")
        window.press(window.find("form[aria-label=findUser] button"))
        window.unfold()
        assert LONG in window.text("pre.reply")
        assert window.overflow() <= 0
        window.open(f"{SERVICES}/UserService/addUser")
        window.field("addUser", "userName").send_keys(LONG)
        window.press(window.find("form[aria-label=addUser] button"))
        assert window.text("#answered") == "Refused"
        assert window.overflow() <= 0


SCREENSHOT_BYTES = 150_000


def test_the_screenshot_of_the_readme(window: Browser, tmp_path: Path) -> None:
    """Takes the picture that the README shows, and keeps it where SCREENSHOT says."""
    window.open(f"{SERVICES}/UserService/addUser")
    window.field("addUser", "userName").send_keys("201")
    window.field("addUser", "firstName").send_keys("Niels")
    window.field("addUser", "lastName").send_keys("Bohr")
    window.press(window.find("form[aria-label=addUser] button"))
    target = os.environ.get("SCREENSHOT", str(tmp_path / "screenshot.png"))
    assert window.driver.save_screenshot(target)
    taken = Path(target).read_bytes()
    kept = (Path(__file__).parents[1] / "docs" / "screenshot.png").read_bytes()
    for picture in (taken, kept):
        assert picture.startswith(b"\x89PNG")
        assert len(picture) < SCREENSHOT_BYTES
