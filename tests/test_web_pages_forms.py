"""Forms for operations (docs/spec/wire.md §8): what they send, and what they show of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from sipxconfig_soap.domain import user_list, users
from sipxconfig_soap.domain.audit import list_entries
from sipxconfig_soap.errors import Unavailable
from sipxconfig_soap.services import build_endpoints
from sipxconfig_soap.web import pages
from sipxconfig_soap.web.forms import Form
from tests.support.pages import SERVICES, Visitor
from tests.support.soap import NS
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings
    from tests.support.client import Client
    from tests.support.pages import Page
    from tests.support.soap import Soap


@pytest.fixture
def visitor(client: Client) -> Visitor:
    return Visitor(client)


def sent(page: Page) -> str:
    """The input of the operation in the request that a page shows, without the white space."""
    body = etree.fromstring(page.text("//pre[@class='request']"))[0]
    content = etree.tostring(body[0], encoding="unicode")
    inside = "".join(line.strip() for line in content.splitlines())
    return inside.partition(">")[2].rpartition("<")[0]


def test_every_operation_has_a_form_on_the_page_of_its_service_and_one_of_its_own(
    visitor: Visitor, settings: Settings
) -> None:
    for service, endpoint in build_endpoints(settings).items():
        page = visitor.get(f"{SERVICES}/{service}")
        for operation in endpoint.operations:
            own = visitor.get(f"{SERVICES}/{service}/{operation.name}")
            assert own.status == 200
            forms = [each.form(operation.name) for each in (page, own)]
            assert {form.get("action") for form in forms} == {
                f"{SERVICES}/{service}/{operation.name}"
            }
            names = [[name for name, _ in form.form_values()] for form in forms]
            assert names[0] == names[1]


def test_a_form_has_a_control_for_every_field_of_the_type(visitor: Visitor) -> None:
    form = visitor.get(f"{SERVICES}/CallGroupService/addCallGroup").form("addCallGroup")
    controls = [(each.get("name"), each.tag) for each in form.xpath(".//*[@name]")]
    assert controls == [
        ("_token", "input"),
        ("name", "input"),
        ("extension", "input"),
        ("description", "input"),
        ("enabled", "select"),
        ("rings[0].expiration", "input"),
        ("rings[0].type", "input"),
        ("rings[0].position", "input"),
        ("rings[0].userName", "input"),
        ("_more", "button"),
    ]


def test_every_control_has_a_label_and_every_id_is_one(visitor: Visitor) -> None:
    for path in ("UserService", "PhoneService", "CallGroupService/addCallGroup"):
        document = visitor.get(f"{SERVICES}/{path}").document
        ids = document.xpath("//@id")
        assert len(ids) == len(set(ids))
        for control in document.xpath("//input[@type!='hidden']|//select|//textarea"):
            assert document.xpath("//label[@for=$id]", id=control.get("id"))
        for name in document.xpath("//@list|//@aria-labelledby"):
            assert name in ids
        for names in document.xpath("//@aria-describedby"):
            assert set(names.split()) <= set(ids)


def test_a_user_is_found(visitor: Visitor, system: System) -> None:
    system.add_users("201", firstName="Albert")
    page = visitor.call("UserService", "findUser", **{"search.byUserName": "201"})
    assert page.status == 200
    assert sent(page) == "<search><byUserName>201</byUserName></search>"
    assert "<firstName>Albert</firstName>" in page.text("//pre[@class='reply']")
    assert page.form("findUser").fields["search.byUserName"] == "201"


def test_the_request_shown_is_what_a_script_would_send(
    visitor: Visitor, system: System, soap: Soap
) -> None:
    page = visitor.call("UserService", "addUser", userName="203", lastName='B & <C> "D" é')
    assert page.texts("//h2") == ["Done"]
    before = system.user("203")
    system.do("manageUser", search={"byUserName": "203"}, deleteUser=True)
    request = page.text("//pre[@class='request']")
    assert soap.post("UserService", request.encode()).status == 200
    del before["sipPassword"]
    assert system.user("203").items() >= before.items()
    assert before["lastName"] == 'B & <C> "D" é'
    assert request in page.text("//pre[@class='command']")


def test_what_is_not_filled_in_is_not_sent(visitor: Visitor) -> None:
    page = visitor.call("PermissionService", "addPermission", label="Fax")
    # The type wants a name, so it stands there.
    assert sent(page) == "<permission><name/><label>Fax</label></permission>"


def test_lists_of_texts_have_one_on_each_line(visitor: Visitor, system: System) -> None:
    values = {"userName": "203", "aliases": " ab\r\n\r\nc\n", "groups": "x"}
    page = visitor.call("UserService", "addUser", **values)
    assert "<aliases> ab</aliases><aliases>c</aliases>" in sent(page)
    assert sent(page).count("<aliases>") == 2
    assert system.user("203")["groups"] == ["x"]
    assert page.form("addUser").fields["groups"] == "x"


def test_rows_are_added_one_by_one_without_a_call(visitor: Visitor, system: System) -> None:
    system.add_users("1", "2")
    page = visitor.get(f"{SERVICES}/CallGroupService/addCallGroup")
    ring = {"rings[0].expiration": "10", "rings[0].type": "immediate", "rings[0].userName": "1"}
    page = visitor.send(page, "addCallGroup", "_more=rings", name="Sales", **ring)
    assert not page.document.xpath("//*[@id='answer']")
    assert page.form("addCallGroup").fields["rings[0].userName"] == "1"
    (first,) = page.document.xpath("//*[@autofocus]/@name")
    assert first == "rings[1].expiration"
    page = visitor.send(page, "addCallGroup", "_more=rings")
    assert "rings[2].userName" in page.form("addCallGroup").fields
    # The second row stays empty, and the third one is the second that is sent.
    ring = {"rings[2].expiration": "x", "rings[2].type": "immediate", "rings[2].userName": "3"}
    page = visitor.send(page, "addCallGroup", **ring)
    assert sent(page).count("<rings>") == 2
    assert page.problems("rings[1].expiration") == [
        "rings[1].expiration 'x' is not an int of 32 bits."
    ]
    assert page.problems("rings[1].userName") == [
        "rings[1].userName '3' is not the userName of a user."
    ]
    correct = {"rings[1].expiration": "20", "rings[1].userName": "2"}
    page = visitor.send(page, "addCallGroup", **correct)
    (group,) = system.do("getCallGroups")
    assert [ring["userName"] for ring in group["rings"]] == ["1", "2"]


def test_flags_say_yes_no_or_nothing(visitor: Visitor, system: System) -> None:
    for value, expected in (("true", "true"), ("false", "false"), ("", None)):
        name = f"p{value}"
        page = visitor.call("ParkOrbitService", "addParkOrbit", name=name, enabled=value)
        assert ("<enabled>" in sent(page)) == (expected is not None)
    found = {each["name"]: each["enabled"] for each in system.do("getParkOrbits")}
    assert (found["ptrue"], found["pfalse"]) == ("true", "false")


def test_problems_stand_beside_their_fields(visitor: Visitor, system: System) -> None:
    system.add_users("201")
    before = system.dump()
    values = {"userName": "201", "aliases": "x\n201\nsuperadmin", "emailAddress": "no"}
    page = visitor.call("UserService", "addUser", **values)
    assert page.status == 422
    assert page.texts("//h2") == ["Refused"]
    assert page.problems("userName") == [
        "userName '201' is already in use by the userName of the user 201."
    ]
    assert [each.split()[0] for each in page.problems("aliases")] == ["aliases[1]", "aliases[2]"]
    assert page.problems("emailAddress")
    assert page.problems("lastName") == []
    listed = page.document.xpath("//section[@id='answer']/ul/li/a")
    assert len(listed) == 4
    ids = page.document.xpath("//@id")
    assert all(link.get("href")[1:] in ids for link in listed)
    assert system.dump() == before
    # All is there to be mended.
    assert page.form("addUser").fields["aliases"] == "x\n201\nsuperadmin"


def test_a_problem_of_an_edit_stands_beside_its_value(visitor: Visitor, system: System) -> None:
    system.add_users("1", "2")
    page = visitor.get(f"{SERVICES}/UserService/manageUser")
    page = visitor.send(page, "manageUser", "_more=edit")
    values = {
        "search.byUserName": "1",
        "edit[0].property": "lastName",
        "edit[0].value": "x",
        "edit[1].property": "userName",
        "edit[1].value": "2",
    }
    page = visitor.send(page, "manageUser", **values)
    assert page.problems("edit[0].value") == []
    (sentence,) = page.problems("edit[1].value")
    assert "already in use" in sentence
    values = {"edit[1].property": "height", "edit[1].value": "2"}
    page = visitor.send(page, "manageUser", **values)
    assert page.problems("edit[1].property") == [
        "edit[1].property 'height' is not a property of User."
    ]


def test_a_problem_stands_beside_the_last_edit_of_its_property(visitor: Visitor) -> None:
    page = visitor.get(f"{SERVICES}/UserService/manageUser")
    page = visitor.send(page, "manageUser", "_more=edit")
    properties = {f"edit[{row}].property": "emailAddress" for row in (0, 1)}
    values = {"edit[0].value": "bad", "edit[1].value": "bad2"}
    page = visitor.send(page, "manageUser", **properties, **values)
    assert page.problems("edit[0].value") == []
    assert page.problems("edit[1].value") == ["emailAddress 'bad2' is not an email address."]


def test_an_edit_without_a_value_clears_the_property(visitor: Visitor, system: System) -> None:
    system.add_users("1", lastName="x")
    values = {"search.byUserName": "1", "edit[0].property": "lastName"}
    page = visitor.call("UserService", "manageUser", **values)
    assert page.texts("//h2") == ["Done"]
    assert "lastName" not in system.user("1")


def test_a_change_of_every_entity_has_to_be_wanted(visitor: Visitor, system: System) -> None:
    system.add_users("1", "2")
    page = visitor.call("UserService", "manageUser", deleteUser="true")
    assert sent(page) == "<search/><deleteUser>true</deleteUser>"
    assert system.user_names() == ["1", "2", "superadmin"]
    for said in ("no", ""):
        page = visitor.call("UserService", "manageUser", deleteUser="true", _every=said)
        assert page.status == 400
        assert system.user_names() == ["1", "2", "superadmin"]
    page = visitor.call("UserService", "manageUser", deleteUser="true", _every="yes")
    assert sent(page) == "<deleteUser>true</deleteUser>"
    assert system.user_names() == ["superadmin"]


def test_what_is_filled_in_counts_whatever_the_box_says(visitor: Visitor, system: System) -> None:
    system.add_users("1", "2")
    values = {"search.byUserName": "1", "deleteUser": "true", "_every": "yes"}
    visitor.call("UserService", "manageUser", **values)
    assert system.user_names() == ["2", "superadmin"]


def test_a_new_form_asks_for_every_entity_and_another_for_none(
    visitor: Visitor, system: System
) -> None:
    system.add_users("1")
    page = visitor.call("UserService", "findUser")
    assert sent(page) == ""
    assert page.text("//pre[@class='reply']").count("<item>") == 2
    form = dict(page.form("findUser").form_values())
    del form["_every"]
    page = visitor.post(f"{SERVICES}/UserService/findUser", form)
    assert sent(page) == "<search/>"
    assert "<item>" not in page.text("//pre[@class='reply']")


def test_a_call_by_a_form_is_a_call(visitor: Visitor, system: System) -> None:
    visitor.call("UserService", "addUser", userName="1")
    visitor.call("UserService", "addUser", userName="1")
    with system.database.engine.connect() as connection:
        entries = list(list_entries(connection))
    assert [(each.operation, each.entities, each.outcome) for each in entries] == [
        ("addUser", ["1"], "done"),
        ("addUser", [], "refused"),
    ]
    assert {each.administrator for each in entries} == {"superadmin"}
    assert {each.address for each in entries} == {"127.0.0.1"}


SECRETS = ("hush-pin", "hush-voicemail", "hush-sip", "hush-edit", "hush-line")


def test_no_secret_is_in_a_page(visitor: Visitor, system: System) -> None:
    pin, voicemail, sip, edited, line = SECRETS
    texts = []
    values = {"userName": "1", "sipPassword": sip, "pin": pin, "vmpin": voicemail}
    for _ in range(2):
        page = visitor.call("UserService", "addUser", **values)
        texts.append(page.response.text)
    # It says what was not kept.
    assert "Not kept" in page.text("//*[@id='addUser.pin.hint']")
    for name in ("pin", "SIPPASSWORD "):
        values = {"edit[0].property": name, "edit[0].value": edited, "search.byUserName": "1"}
        texts.append(visitor.call("UserService", "manageUser", **values).response.text)
    page = visitor.call("UserService", "findUser", **{"search.byUserName": "1"})
    assert "<sipPassword>•••••</sipPassword>" in page.text("//pre[@class='reply']")
    texts.append(page.response.text)
    system.add_phone()
    own = visitor.get(f"{SERVICES}/PhoneService/managePhone")
    external = {
        "search.bySerialNumber": MAC,
        "addExternalLine.userId": "x",
        "addExternalLine.registrationServer": "h",
        "addExternalLine.password": line,
    }
    texts.append(visitor.send(own, "managePhone", "_more=edit", **external).response.text)
    page = visitor.send(own, "managePhone", **external)
    assert page.texts("//h2") == ["Done"]
    texts.append(page.response.text)
    assert not [secret for secret in SECRETS if any(secret in text for text in texts)]
    assert "•••••" in sent(page)
    assert system.scalar("SELECT password FROM lines") == line


def test_an_answer_without_end_is_cut(
    visitor: Visitor, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SHOWN_BYTES", 3000)
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(
            "WITH new AS (INSERT INTO users (user_name, sip_password) SELECT 'u' || n, 'hush'"
            " FROM generate_series(1, 2000) n RETURNING id, user_name)"
            " INSERT INTO names (value, folded, kind, user_id)"
            " SELECT user_name, user_name, 'userName', id FROM new"
        )
    page = visitor.call("UserService", "findUser")
    assert page.status == 200
    text = page.text("//pre[@class='reply']")
    assert 3 < text.count("<item>") < 30
    assert "hush" not in page.response.text
    assert "The answer goes on" in page.response.text
    # The connection is fit for the next request.
    assert visitor.call("UserService", "addUser", userName="x").texts("//h2") == ["Done"]


def test_a_character_that_xml_does_not_have_is_refused(visitor: Visitor, system: System) -> None:
    before = system.dump()
    page = visitor.call("UserService", "addUser", userName="a\x00b")
    assert page.status == 422
    assert "not well-formed XML" in page.text("//section[@id='answer']/p[1]")
    assert system.dump() == before


@pytest.mark.parametrize("number", ["99999", "-1", "x", "0].x[0"])
def test_rows_that_no_page_has(visitor: Visitor, number: str) -> None:
    page = visitor.get(f"{SERVICES}/UserService/manageUser")
    fields = dict(page.form("manageUser").form_values()) | {f"edit[{number}].property": "x"}
    assert visitor.post(f"{SERVICES}/UserService/manageUser", fields).status == 400


def test_forms_make_what_the_wsdl_allows(soap: Soap, settings: Settings) -> None:
    for name, endpoint in build_endpoints(settings).items():
        for operation in endpoint.operations:
            if operation.input is None:
                continue
            form = Form(operation, filled(operation))
            (message,) = etree.fromstring(form.request())[0]
            assert message.tag == f"{{{NS}}}{operation.element}"
            soap.schema(name).assertValid(etree.fromstring(etree.tostring(message)))


def filled(operation: Any) -> dict[str, str]:
    """Something in every control."""
    controls = [control for part in Form(operation).members for control in part.controls()]
    values = {"flag": "true", "number": "1"}
    return {each.path: values.get(each.kind, "x") for each in controls}


def test_a_failure_is_no_refusal(
    visitor: Visitor, system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = system.dump()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(users, "add", fail)
    page = visitor.call("UserService", "addUser", userName="1")
    assert page.status == 500
    assert page.texts("//h2") == ["Failed"]
    assert "Internal error (reference " in page.text("//section[@id='answer']/p[1]")
    assert "Nothing has been changed" not in page.response.text
    assert system.dump() == before


def test_a_database_that_went_away_asks_to_come_again(
    visitor: Visitor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise Unavailable

    monkeypatch.setattr(user_list, "find", fail)
    page = visitor.call("UserService", "findUser")
    assert (page.status, page.response.headers["retry-after"]) == (503, "5")
    assert page.texts("//h2") == ["Failed"]
