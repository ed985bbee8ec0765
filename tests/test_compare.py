"""Comparing an old server with this one (docs/migration.md)."""

from __future__ import annotations

import base64
import io
import json
import os
import pty
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from sipxconfig_soap.comparing.client import CannotAsk, _entities, base_url, is_exposed
from sipxconfig_soap.settings import Settings
from sipxconfig_soap.web.app import create_app
from tests.support.cli import Cli
from tests.support.client import PIN
from tests.support.system import MAC, System
from tests.support.twin import Canned, canned, listing, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

NIL = 'xsi:nil="true"'


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    cli = Cli(tmp_path)
    cli.environ |= {"COMPARE_OLD_PIN": PIN, "COMPARE_NEW_PIN": PIN}
    return cli


def differences(cli: Cli, old: str, new: str, *options: str) -> list[dict[str, Any]]:
    code, output, errors = cli.run("compare", "--json", old, new, *options)
    found = [json.loads(line) for line in output.splitlines()]
    assert errors.splitlines()[-1] == f"Differences: {len(found)}."
    assert code == (1 if found else 0)
    return found


def cannot(cli: Cli, old: str, new: str, *options: str) -> str:
    """The sentence of a comparison that is none."""
    code, output, errors = cli.run("compare", old, new, *options)
    assert (code, output) == (2, "")
    return errors.splitlines()[-1].removeprefix("Error: ")


def difference(kind: str, name: str, field: str | None, old: Any, new: Any) -> dict[str, Any]:
    return {"kind": kind, "name": name, "field": field, "old": old, "new": new}


# -- ours with ours ------------------------------------------------------------------------------


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """Something of every kind."""
    system = System(soap, database)
    system.do("addUser", user={"userName": "201", "firstName": "Zoë", "aliases": ["9"]}, pin="1")
    system.add_users("202", groups=["sales"], emailAddress="b@example.org")
    system.add_permission("Fax", defaultValue=True)
    ring = {"userName": "202", "type": "immediate", "expiration": 5, "position": 3}
    system.do("addCallGroup", callGroup={"name": "hunt", "extension": "700", "rings": [ring] * 2})
    system.do("addParkOrbit", parkOrbit={"name": "orbit", "music": "a.wav", "enabled": True})
    system.add_phone(lines=[{"userId": "201"}, {"userId": "202"}], groups=["lobby"])
    return system


def app(database: Database, tmp_path: Path, **settings: str) -> Any:
    return create_app(Settings.load({}, data_dir=str(tmp_path), **settings), database)


def test_names_of_lists_do_not_matter(
    cli: Cli, system: System, database: Database, tmp_path: Path
) -> None:
    assert system.user_names() == ["201", "202", "superadmin"]
    legacy = app(database, tmp_path, wire_array_names="legacy")
    with served(legacy) as old, served(app(database, tmp_path)) as new:
        code, output, errors = cli.run("compare", old, f"{new}/sipxconfig/services/")
    assert (code, output) == (0, "")
    assert errors.splitlines() == [
        "permissions: 19 old, 19 new",
        "users: 3 old, 3 new",
        "call groups: 1 old, 1 new",
        "park orbits: 1 old, 1 new",
        "phones: 1 old, 1 new",
        "Differences: 0.",
    ]


def test_another_domain_is_one_difference(
    cli: Cli, system: System, database: Database, tmp_path: Path
) -> None:
    line = {"userId": "ext", "registrationServer": "sip.org"}
    system.add_phone("0004f2000009", "polycom650")
    for _ in range(3):
        system.manage_phone("0004f2000009", addExternalLine=line)
    other = app(database, tmp_path, domain="other.example.org", realm="example.org")
    with served(app(database, tmp_path)) as old, served(other) as new:
        assert differences(cli, old, new) == [
            difference("domain", "example.org", "name", "example.org", "other.example.org")
        ]


# -- the original with ours ------------------------------------------------------------------------


@pytest.fixture
def original(system: System) -> Canned:
    """What an old server answers that has the same, in its own way."""
    secret = system.user("201")["sipPassword"]
    builtin = "<type>CALL</type><builtIn>true</builtIn>"
    uri = "&quot;{}&quot;&lt;sip:{}@example.org&gt;"
    return Canned(
        {
            "PermissionService": f"<permission><name>Voicemail</name><label {NIL}/>"
            f"<defaultValue>true</defaultValue>{builtin}</permission>"
            f"<permission><name>OldOne</name><defaultValue>true</defaultValue>{builtin}"
            "</permission><permission><name>perm_1</name><label>Fax</label><description/>"
            "<defaultValue>1</defaultValue><type>CALL</type><builtIn>false</builtIn></permission>",
            "UserService": "<user><userName>202</userName><pintoken></pintoken>"
            f"<lastName></lastName><firstName {NIL}/>"
            f"<sipPassword>{system.user('202')['sipPassword']}</sipPassword>"
            "<emailAddress>b@example.org</emailAddress><groups>sales</groups>"
            "<permissions>OldOne</permissions><permissions>perm_1</permissions></user>"
            "<user><userName>201</userName><pintoken>0123456789abcdef0123456789abcdef</pintoken>"
            f"<firstName> Zoë</firstName><sipPassword>{secret}</sipPassword>"
            "<aliases>9</aliases><permissions>perm_1</permissions></user>",
            "CallGroupService": "<callGroup><name>hunt</name><extension>700</extension>"
            + "<rings><expiration>5</expiration><type>immediate</type><position>0</position>"
            "<userName>202</userName></rings>" * 2 + "</callGroup>",
            "ParkOrbitService": "<parkOrbit><name>orbit</name><enabled>true</enabled>"
            "<music>a.wav</music></parkOrbit>",
            "PhoneService": "<user><serialNumber>0004F2AABBCC</serialNumber>"
            "<modelId>331</modelId><groups>lobby</groups>"
            f"<lines><userId>201</userId><uri>{uri.format('Zo&#235;', '201')}</uri></lines>"
            "<lines><userId>202</userId><uri>sip:202@example.org</uri></lines></user>",
        }
    )


@pytest.fixture
def new(database: Database, tmp_path: Path) -> Iterator[str]:
    with served(app(database, tmp_path)) as url:
        yield url


def of_permissions(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for each in found if each["field"] == "permissions"]


def test_what_does_not_matter(cli: Cli, system: System, original: Canned, new: str) -> None:
    assert system.phone()["modelId"] == "polycom331"
    with canned(original) as old:
        found = differences(cli, old, new)
    # All but Voicemail and the custom one are built in here alone, so nobody lacks them.
    assert [each for each in found if each not in of_permissions(found)] == [
        difference("user", "superadmin", None, old=False, new=True)
    ]
    assert of_permissions(found) == [
        difference("user", name, "permissions", ["perm_1"], ["Voicemail", "perm_1"])
        for name in ("201", "202")
    ]
    login = "Basic " + base64.b64encode(f"superadmin:{PIN}".encode()).decode()
    assert {sent for _, sent, _ in original.requests} == {login}
    assert [path.rpartition("/")[2] for path, _, _ in original.requests] == [*original.answers]


def test_what_matters(cli: Cli, system: System, original: Canned, new: str) -> None:
    system.edit_user("201", sipPassword="5ecret", pin=None, aliases="8,9", branchName="Łódź")
    system.edit_user("202", emailAddress=None, groups="ops,sales")
    system.do(
        "managePermission", search={"byLabel": "Fax"}, edit=[{"property": "label", "value": "F"}]
    )
    system.do("removeCallGroup", callGroup="hunt")
    rings = [{"userName": name, "type": "delayed", "expiration": 5} for name in ("201", "202")]
    system.do("addCallGroup", callGroup={"name": "hunt", "enabled": True, "rings": rings})
    system.do("addParkOrbit", parkOrbit={"name": "second"})
    system.manage_phone(MAC, removeLineByUserId="201", edit=[])
    system.add_phone("0004f2000009")
    original.answers["PhoneService"] += (  # type: ignore[operator]
        "<user><serialNumber>0004f2000008</serialNumber><modelId>polycom331</modelId></user>"
    )
    with canned(original) as old:
        found = differences(cli, old, new)
        text = cli.run("compare", old, new)[1]
    assert [each for each in found if each not in of_permissions(found)] == [
        difference("permission", "perm_1", "label", "Fax", "F"),
        difference("user", "201", "pintoken", "set", None),
        difference("user", "201", "sipPassword", "(secret)", "(secret)"),
        difference("user", "201", "branchName", None, "Łódź"),
        difference("user", "201", "aliases", ["9"], ["8", "9"]),
        difference("user", "202", "emailAddress", "b@example.org", None),
        difference("user", "202", "groups", ["sales"], ["ops", "sales"]),
        difference("user", "superadmin", None, old=False, new=True),
        difference("call group", "hunt", "extension", "700", None),
        difference("call group", "hunt", "enabled", old=False, new=True),
        difference(
            "call group",
            "hunt",
            "rings",
            ["202 immediate 5", "202 immediate 5"],
            ["201 delayed 5", "202 delayed 5"],
        ),
        difference("park orbit", "second", None, old=False, new=True),
        difference("phone", "0004f2000008", None, old=True, new=False),
        difference("phone", "0004f2000009", None, old=False, new=True),
        difference("phone", MAC, "lines", ["201", "202"], ["202"]),
    ]
    assert "5ecret" not in text
    lines = text.splitlines()
    assert "phone 0004f2000008: only old" in lines
    assert "user 201: aliases: old [9], new [8, 9]" in lines
    assert "user 202: emailAddress: old b@example.org, new -" in lines
    assert "call group hunt: enabled: old false, new true" in lines


# -- servers that cannot be asked ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((401, b""), " does not know this login: check the user and its PIN."),
        ((403, b""), " lets only administrators in: check the user."),
        ((404, b""), " is not there: check the URL."),
        (
            (302, b""),
            " sends elsewhere (http://elsewhere.example.org/): use the URL that serves.",
        ),
        (
            (500, b"<e><faultstring>No \x1b such\n thing</faultstring></e>"),
            " answers 500 Internal Server Error.",
        ),
        ((500, b"<e><faultstring>No such\n thing</faultstring></e>"), " refuses: No such thing"),
        ((503, b"busy"), " answers 503 Service Unavailable."),
        (
            (200, b"<html><body>Log in</body></html>"),
            " answers without users: it is no sipXconfig.",
        ),
        (
            (200, listing("UserService", "<user><userName>1</userName></user>")[:-60]),
            ": the answer is no XML, or ends too early.",
        ),
        ((200, b""), ": the answer is no XML, or ends too early."),
    ],
)
def test_answers_that_are_none(cli: Cli, answer: tuple[int, bytes], sentence: str) -> None:
    with canned(Canned({"UserService": answer})) as old, canned(Canned()) as new:
        said = cannot(cli, old, new)
        assert said == f"{old}/sipxconfig/services/UserService{sentence}"


def test_entities_in_an_answer_are_not_expanded(cli: Cli) -> None:
    user = listing("UserService", "<user><userName>b&x;</userName></user>").partition(b"?>")[2]
    bomb = b'<!DOCTYPE a [<!ENTITY x "aaaa">]>' + user
    with canned(Canned({"UserService": (200, bomb)})) as old, canned(Canned()) as new:
        assert differences(cli, old, new) == [difference("user", "b", None, old=True, new=False)]


def test_nobody_is_there(cli: Cli) -> None:
    with canned(Canned()) as url:
        pass
    assert cannot(cli, url, url) == (
        f"{url}/sipxconfig/services/PermissionService cannot be reached: Connection refused."
    )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("pbx.example.org", "A URL must be like https://pbx.example.org or http://host:8080."),
        ("ftp://pbx", "A URL must be like https://pbx.example.org or http://host:8080."),
        ("http://pbx:x", "A URL must be like https://pbx.example.org or http://host:8080."),
        ("http://pbx/?wsdl", "A URL must be like https://pbx.example.org or http://host:8080."),
        (
            "http://superadmin:1234@pbx",
            "A URL must have no login in it, which others on this machine could read.",
        ),
    ],
)
def test_urls_that_are_none(cli: Cli, url: str, sentence: str) -> None:
    assert cannot(cli, url, "http://127.0.0.1:1") == sentence
    with pytest.raises(CannotAsk):
        base_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://pbx:8443",
        "https://pbx:8443/",
        "https://pbx:8443/sipxconfig",
        "https://pbx:8443/sipxconfig/services/",
    ],
)
def test_where_the_services_are(url: str) -> None:
    assert base_url(url) == "https://pbx:8443/sipxconfig/services"


def test_a_login_in_clear_text_is_a_warning() -> None:
    assert is_exposed("http://pbx.example.org")
    assert not is_exposed("https://pbx.example.org")
    assert not is_exposed("http://localhost:8080")


def test_without_a_terminal_the_pin_must_be_somewhere(cli: Cli) -> None:
    del cli.environ["COMPARE_NEW_PIN"]
    assert cannot(cli, "http://127.0.0.1:1", "http://127.0.0.1:1") == (
        "There is no terminal to ask for the new server's PIN: set COMPARE_NEW_PIN."
    )


def test_on_a_terminal_the_pin_is_asked_for(cli: Cli) -> None:
    del cli.environ["COMPARE_NEW_PIN"]
    answers = Canned()
    main, terminal = pty.openpty()
    with (
        canned(Canned()) as old,
        canned(answers) as new,
        cli.popen(
            *("compare", "--new-user", "boss", old, new), stdin=terminal, stderr=terminal
        ) as process,
    ):
        os.close(terminal)
        shown = b""
        while b"PIN at the new server" not in shown:
            shown += os.read(main, 1024)
        os.write(main, b"4711\n")
        output, _ = process.communicate(timeout=60)
    os.close(main)
    assert (process.returncode, output) == (0, "")
    login = "Basic " + base64.b64encode(b"boss:4711").decode()
    assert {sent for _, sent, _ in answers.requests} == {login}


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes the certificate")
def test_certificates_are_verified(cli: Cli, tmp_path: Path) -> None:
    key, certificate = str(tmp_path / "key.pem"), str(tmp_path / "certificate.pem")
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", key, "-out", certificate]
    new_one = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    subprocess.run([*new_one, *subject, *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with canned(Canned(), context) as url:
        assert "its certificate is not trusted (" in cannot(cli, url, url)
        assert differences(cli, url, url, "--ca", certificate) == []
    missing = str(tmp_path / "missing.pem")
    assert cannot(cli, url, url, "--ca", missing) == (
        f"The certificates in {missing} cannot be read: No such file or directory."
    )


def test_a_long_answer_is_read_in_bounded_memory() -> None:
    user = b"<user><userName>201</userName>" + b"<aliases>300</aliases>" * 100 + b"</user>"
    head, tail = listing("UserService", "|").split(b"|")

    class Long(io.RawIOBase):
        pieces = iter([head, *[user * 10] * 1_500, tail])

        def read(self, _size: int = -1) -> bytes:
            return next(self.pieces, b"")

    process = psutil.Process()
    before = process.memory_info().rss
    assert (
        sum(1 for _ in _entities(Long(), "users")) == 15_000
    )  # 35 MB of text, several times that as a tree
    assert process.memory_info().rss - before < 30_000_000
