"""Who may use the pages, and what nobody gets done by them (docs/spec/wire.md §7 and §8)."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.domain import accounts
from sipxconfig_soap.web.fields import FORM_BYTES, MAX_FIELDS
from tests.support.client import PIN, Client
from tests.support.logs import events
from tests.support.pages import FORM, SERVICES, Visitor
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

JOBS, CHANGES, PHONES = "/sipxconfig/jobs", "/sipxconfig/changes", "/sipxconfig/phones"
ADD = f"{SERVICES}/UserService/addUser"
PAGES = (JOBS, CHANGES, PHONES, f"{PHONES}/{MAC}", ADD)
FORMS = (JOBS, ADD)
FAIL = "UPDATE jobs SET state = 'failed', finished = now(), reason = '<b>\"&''</b>'"
MARKUP = "<script>alert(1)</script>\"'&amp;{{1001*999}}"


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """A phone with a job that failed."""
    system = System(soap, database)
    system.add_phone()
    system.manage_phone(generateProfiles=True)
    with database.engine.begin() as connection:
        connection.exec_driver_sql(FAIL)
    return system


@pytest.fixture
def visitor(client: Client) -> Visitor:
    return Visitor(client)


def fields(visitor: Visitor, path: str) -> dict[str, str]:
    """What the form of a page sends to do something."""
    name, done = ("Jobs", {"retry": "1"}) if path == JOBS else ("addUser", {"userName": "203"})
    return dict(visitor.get(path).form(name).form_values()) | done


# -- what -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("name", ["lastname", "edit[0].property", "vmpin ", "_every", "x\ny"])
def test_a_field_that_a_form_does_not_have_is_refused_and_nothing_is_done(
    visitor: Visitor, system: System, path: str, name: str
) -> None:
    refused = visitor.post(path, {**fields(visitor, path), name: "x"}).response
    assert refused.status == 400
    shown = name.replace("\n", "\\n")
    assert refused.text == f"The field '{shown}' is not of this form. Open the page again.\n"
    assert [user["userName"] for user in system.do("findUser")] == ["superadmin"]
    assert system.jobs() == []


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("_every", "foo", "foo"),
        ("_every", "", ""),
        ("_every", "yes\n", "yes\\n"),
        ("_more", "bogus", "bogus"),
        ("_more", "", ""),
        ("_more", "edit[0]", "edit[0]"),
    ],
)
def test_what_no_box_and_no_button_of_a_form_says_is_refused_and_nothing_is_done(
    visitor: Visitor, system: System, name: str, value: str, shown: str
) -> None:
    before = system.dump()
    path = f"{SERVICES}/UserService/manageUser"
    done = {"edit[0].property": "lastName", "edit[0].value": "x", "search.byUserName": "superadmin"}
    sent = dict(visitor.get(path).form("manageUser").form_values()) | done
    refused = visitor.post(path, {**sent, name: value}).response
    assert refused.status == 400
    assert refused.text == f"The field '{name}' cannot be '{shown}'. Open the page again.\n"
    assert system.dump() == before
    assert visitor.post(path, sent).status == 200
    assert system.dump() != before


@pytest.mark.parametrize("path", FORMS)
def test_a_field_that_is_given_twice_is_refused(
    visitor: Visitor, system: System, path: str
) -> None:
    twice = [*fields(visitor, path).items()] * 2
    refused = visitor.post(path, twice).response
    assert refused.status == 400
    assert "is given twice" in refused.text
    assert system.jobs() == []


def test_rows_that_were_added_or_left_out_are_of_the_form(visitor: Visitor) -> None:
    row = {"edit[7].property": "lastName", "edit[7].value": "Curie", "_every": "yes"}
    path = f"{SERVICES}/UserService/manageUser"
    sent = dict(visitor.get(path).form("manageUser").form_values()) | row
    assert visitor.post(path, sent).status == 200


# -- who ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PAGES)
def test_pages_are_for_administrators(client: Client, system: System, path: str) -> None:
    system.do("addUser", user={"userName": "201"}, pin="1")
    for method in ("GET", "HEAD", "POST", "OPTIONS"):
        assert client.request(method, path, auth=None).status == 401
        assert client.request(method, path, auth=("superadmin", "x")).status == 401
        assert client.request(method, path, auth=("201", "1")).status == 403


@pytest.mark.parametrize("path", PAGES)
def test_methods(client: Client, path: str) -> None:
    allowed = "GET, HEAD, OPTIONS, POST" if path in FORMS else "GET, HEAD, OPTIONS"
    options = client.request("OPTIONS", path)
    assert (options.status, options.headers["allow"]) == (204, allowed)
    put = client.request("PUT", path)
    assert (put.status, put.headers["allow"]) == (405, allowed)
    if path not in FORMS:
        assert client.request("POST", path, b"", FORM).status == 405


def test_what_is_no_page_is_not_found(client: Client) -> None:
    for path in (f"{JOBS}/", f"{JOBS}/1", f"{CHANGES}/x", "/sipxconfig/phone", "/sipxconfig/Jobs"):
        assert client.request("GET", path).status == 404
    for name in ("finduser", "findUser/", "findUser/x", "addPhone"):
        assert client.request("GET", f"{SERVICES}/UserService/{name}").status == 404


def test_the_pages_of_the_test_service_go_with_it(make_client: Callable[..., Client]) -> None:
    client = make_client(test_service="false")
    assert client.request("GET", f"{SERVICES}/TestService/resetServices").status == 404


def test_plain_http_is_refused_where_it_must_be(make_client: Callable[..., Client]) -> None:
    client = make_client(require_https="true")
    for path in PAGES:
        refused = client.request("GET", path, environ={"REMOTE_ADDR": "192.0.2.7"})
        assert refused.status == 403


# -- forged requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_ours_is_taken(visitor: Visitor, system: System, path: str) -> None:
    assert system.jobs() == []
    assert visitor.post(path, fields(visitor, path)).status in (200, 303)
    assert system.jobs() or "203" in system.user_names()


@pytest.mark.parametrize("token", ["", "x", "0" * 96, "é" * 96, None])
@pytest.mark.parametrize("path", FORMS)
def test_a_form_without_its_proof_does_nothing(
    visitor: Visitor, system: System, path: str, token: str | None
) -> None:
    before = system.dump()
    sent = fields(visitor, path)
    proof = sent.pop("_token")
    assert len(proof) == 96
    if token is not None:
        sent["_token"] = token
    refused = visitor.post(path, sent)
    assert refused.status == 403
    assert refused.response.text == (
        "This form was not made for this login. Open its page again.\n"
    )
    assert system.dump() == before


@pytest.mark.parametrize("path", FORMS)
def test_a_proof_is_that_of_one_login(
    visitor: Visitor, system: System, database: Database, path: str
) -> None:
    system.do("addUser", user={"userName": "boss", "groups": ["administrators"]}, pin="1")
    boss = Visitor(visitor.client, ("boss", "1"))
    before = system.dump()
    assert visitor.post(path, fields(boss, path)).status == 403
    sent = fields(visitor, path)
    with database.engine.begin() as connection:
        assert accounts.set_pin(connection, "superadmin", PIN)
    # The same PIN, set anew: what was made before it is no longer ours.
    assert visitor.post(path, sent).status == 403
    assert system.dump()["jobs"] == before["jobs"]
    assert visitor.post(path, fields(visitor, path)).status in (200, 303)


def test_a_proof_counts_in_every_process(
    visitor: Visitor, make_client: Callable[..., Client]
) -> None:
    other = Visitor(make_client())
    assert other.post(ADD, fields(visitor, ADD)).status == 200


def test_a_proof_is_another_text_on_every_page(visitor: Visitor) -> None:
    # Else the lengths of packed pages, which repeat what a link says, would tell it in the end.
    proofs = {fields(visitor, ADD)["_token"][n * 32 :] for _ in range(3) for n in (0, 1, 2)}
    assert len(proofs) == 9


@pytest.mark.usefixtures("costly_pins")
def test_a_proof_counts_though_its_page_changed_the_hash(
    client: Client, database: Database
) -> None:
    def stored() -> str:
        with database.engine.connect() as connection:
            account = accounts.find_account(connection, "superadmin")
        assert account is not None
        return str(account.pin_hash)

    before = stored()
    visitor = Visitor(client)
    sent = fields(visitor, ADD)
    assert stored() != before
    assert visitor.post(ADD, sent).status == 200


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}],
)
@pytest.mark.parametrize("path", FORMS)
def test_another_site_is_refused_whatever_it_knows(
    visitor: Visitor, system: System, path: str, headers: dict[str, str]
) -> None:
    before = system.dump()
    assert visitor.post(path, fields(visitor, path), headers).status == 403
    assert system.dump() == before


def test_reading_changes_nothing(client: Client, system: System) -> None:
    before = system.dump()
    client.request("GET", f"{JOBS}?retry=1")
    client.request("GET", f"{ADD}?userName=203")
    client.request("HEAD", f"{ADD}?userName=203")
    assert system.dump() == before


# -- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "text/xml", "application/json", "multipart/form-data; boundary=x"],
)
def test_only_forms_are_read(client: Client, path: str, content_type: str) -> None:
    response = client.request("POST", path, b"x=1", {"Content-Type": content_type})
    assert response.status == 415
    assert response.headers["content-type"] == "text/plain; charset=UTF-8"


def test_forms_have_a_limit(visitor: Visitor, make_client: Callable[..., Client]) -> None:
    large = fields(visitor, ADD) | {"lastName": "x" * FORM_BYTES}
    assert visitor.post(ADD, large).status == 413
    small = Visitor(make_client(max_request_bytes="1024"))
    assert small.post(ADD, large | {"lastName": "x" * 1024}).status == 413
    many = [*fields(visitor, ADD).items(), *[("x", "")] * MAX_FIELDS]
    assert visitor.post(ADD, many).status == 400
    assert visitor.get(f"{CHANGES}?{'x&' * MAX_FIELDS}user=x").status == 400


def test_a_body_that_ends_too_early(client: Client) -> None:
    headers = FORM | {"Content-Length": "100"}
    response = client.request("POST", ADD, b"x=1", headers)
    assert response.headers["content-type"] == "text/plain; charset=UTF-8"
    assert "ends 97 bytes before" in response.text


def test_a_database_that_is_away(
    client: Client, visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = fields(visitor, ADD)

    def away(*_: object, **__: object) -> None:
        raise accounts.sa.exc.OperationalError("", {}, Exception())

    monkeypatch.setattr(accounts, "find_account", away)
    for answer in (client.request("GET", JOBS), visitor.post(ADD, sent).response):
        assert answer.status == 503
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        assert answer.headers["retry-after"] == "5"


# -- what a browser may do ------------------------------------------------------------------------


@pytest.mark.usefixtures("system")
@pytest.mark.parametrize("path", [*PAGES, SERVICES, f"{SERVICES}/PhoneService", f"{PHONES}/none"])
def test_nothing_runs_nothing_is_fetched_and_forms_go_nowhere_else(
    visitor: Visitor, path: str
) -> None:
    page = visitor.get(path)
    policy = page.response.headers["content-security-policy"]
    (style,) = re.findall(r"<style>(.*?)</style>", page.response.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert policy == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'self'; "
        "frame-ancestors 'none'"
    )
    # "no-referrer" would have browsers send our own forms as those of nobody.
    assert page.response.headers["referrer-policy"] == "same-origin"
    assert page.response.headers["cache-control"] == "no-store"
    elements = "//script|//img|//link|//iframe|//object|//embed|//base|//meta[@http-equiv]"
    assert page.document.xpath(elements) == []
    assert page.document.xpath("//@*[starts-with(name(), 'on')]") == []
    assert page.document.xpath("//@style|//@src|//@formaction") == []


# -- what others wrote ----------------------------------------------------------------------------


def test_markup_in_names_and_texts_is_text(visitor: Visitor, system: System) -> None:
    name = MARKUP.replace(" ", "")
    user = {"userName": "boss", "firstName": name, "groups": ["administrators", name]}
    system.do("addUser", user=user, pin="1")
    system.do("addPermission", permission={"label": name, "description": name})
    system.do("managePhone", search={}, addGroup=name, addLine={"userId": "boss"})
    system.manage_phone(
        addGroup=name, addLine={"userId": "boss"}, edit=[{"property": "description", "value": name}]
    )
    pages = [
        visitor.get(JOBS),
        visitor.get(CHANGES),
        visitor.get(f"{PHONES}/{MAC}"),
        visitor.call("UserService", "findUser"),
        visitor.call("UserService", "addUser", userName=name, aliases=name, groups=name),
        visitor.call("UserService", "manageUser", **{"edit[0].property": name}),
        visitor.get(f"{JOBS}?serial=%3Cscript%3E%22&state=%3Cscript%3E%22"),
        visitor.get(f"{CHANGES}?user=%3Cscript%3E%22&since=%3Cscript%3E%22&kind=%3Cscript%3E%22"),
        visitor.get(f"{PHONES}/%3Cscript%3E%22"),
        visitor.get(f"{PHONES}?serial=%3Cscript%3E%22"),
    ]
    for page in pages:
        assert page.document.xpath("//script|//b") == []
        assert page.document.xpath("//@onclick") == []
        assert "999999" not in page.response.text
    assert pages[2].texts("//dd")[-2:] == [name, name]
    assert "<b>\"&'</b>" in pages[0].document.text_content()


def test_line_ends_do_not_get_into_the_log(
    visitor: Visitor, system: System, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    forged = "x\nevent=change administrator=nobody"
    assert system.jobs() == []
    visitor.call("UserService", "addUser", userName=forged, lastName=forged)
    visitor.get(f"{PHONES}/x%0Aevent=change")
    visitor.get(f"{CHANGES}?user=x%0Aevent=change")
    visitor.post(JOBS, fields(visitor, JOBS) | {"serial": forged})
    lines = events(caplog, "request") + events(caplog, "change")
    assert not [line for line in lines if "nobody" in str(line) or "x\n" in str(line)]
    assert {line["route"] for line in events(caplog, "request")} == {
        ADD,
        f"{PHONES}/",
        CHANGES,
        JOBS,
    }


def test_a_line_end_does_not_get_into_the_address_of_the_next_page(visitor: Visitor) -> None:
    forged = {"retry": "1", "serial": "x\r\nSet-Cookie: a=b", "state": "\r\n"}
    page = visitor.post(JOBS, {**_token(visitor), **forged})
    assert page.status == 303
    assert "\n" not in page.response.headers["location"]
    assert "set-cookie" not in page.response.headers


def _token(visitor: Visitor) -> dict[str, str]:
    return {"_token": fields(visitor, ADD)["_token"]}


def test_a_pin_in_another_script(client: Client, system: System) -> None:
    system.do("addUser", user={"userName": "boss", "groups": ["administrators"]}, pin="Łü")
    visitor = Visitor(client, ("boss", "Łü"))
    assert visitor.post(ADD, fields(visitor, ADD)).status == 200
