"""Phones and lines of an old sipXconfig (docs/spec/migration.md §5, §6)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.jobs import snapshots
from sipxconfig_soap.legacy.external_lines import PATHS
from sipxconfig_soap.legacy.phones import model_of
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import ExternalLine, InternalLine
from tests.support.legacy import GENERATIONS
from tests.support.system import LONGEST, MAC, System

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.imports import Importer
    from tests.support.legacy import Legacy

    Make = Callable[..., Legacy]


@GENERATIONS
def test_phones_come_with_versions_groups_and_lines(
    system: System, importer: Importer, make_legacy: Make, version: int
) -> None:
    old = make_legacy(version)
    lobby, floor = old.group("lobby", "phone", weight=5), old.group("floor", "phone", weight=2)
    ann, bob = old.user("200", first_name="Ann"), old.user("201")
    more = {"device_version_id": "polycom3.2.X", "description": "Überall"}
    phone = old.phone(MAC.upper(), "polycom550", groups=[lobby, floor], **more)
    # In the order of positions, which may have gaps, whatever was made first.
    old.line(phone, bob, 7)
    old.line(phone, ann, 2)
    old.line(
        phone,
        position=4,
        settings={
            "reg/address": "300",
            "reg/displayName": 'Ex "t"',
            "reg/auth.password": "geheim",
            "reg/server/1/address": "sip.example.net",
            "reg/server/1/port": "5070",
            "msg.mwi/callBack": "*97",
        },
    )
    outcome = importer.run(old)
    assert outcome.counts("phones") == (1, 1, 0, 0)
    assert outcome.counts("lines") == (3, 3, 0, 0)
    assert outcome.counts("memberships") == (2, 2, 0, 0)
    assert system.phone() == {
        "serialNumber": MAC,
        "modelId": "polycom550",
        "description": "Überall",
        "groups": ["floor", "lobby"],
        "deviceVersion": "polycom3.2.X",
        "lines": [
            {"userId": "200", "uri": '"Ann"<sip:200@example.org>'},
            {"userId": "300", "uri": '"Ex \\"t\\""<sip:300@sip.example.net:5070>'},
            {"userId": "201", "uri": "sip:201@example.org"},
        ],
    }
    with system.database.engine.connect() as connection:
        found = snapshots.by_serial(connection, MAC)
    assert found is not None
    assert found.lines == (
        InternalLine(user_name="200", sip_password="secret200", first_name="Ann"),
        ExternalLine(
            user_id="300",
            registration_server="sip.example.net:5070",
            display_name='Ex "t"',
            password="geheim",
            voice_mail="*97",
        ),
        InternalLine(user_name="201", sip_password="secret201"),
    )
    assert system.jobs() == [("profiles", MAC)]


@pytest.mark.parametrize("family", sorted(PATHS))
def test_every_plugin_keeps_external_lines_somewhere(
    system: System, importer: Importer, make_legacy: Make, family: str
) -> None:
    old = make_legacy()
    paths = PATHS[family]
    of_line, of_phone = {}, {}
    for name, value in {
        "user_id": "300",
        "server": "sip.example.net",
        "port": "5070",
        "display_name": "Ext",
        "password": "geheim",
        "voice_mail": "*97@sip.example.net" if family == "nortel12x0" else "*97",
    }.items():
        if found := getattr(paths, name):
            on_phone = name == "server" and family in ("hitachi", "clearone")
            (of_phone if on_phone else of_line)[found[0]] = value
    of_line["something/else"] = "1"
    model = next(each for each in MODELS.values() if each.family == family)
    serial = next(
        each
        for each in (MAC, "1234567", "softphone1", "0123456789", "100001")
        if model.clean_serial(each)
    )
    phone = old.phone(serial, model.model_id, settings=of_phone)
    old.line(phone, settings=of_line)
    outcome = importer.run(old)
    if not paths.server:
        assert outcome.found("lines") == [(serial, "required", "registrationServer")]
        return
    assert outcome.counts("lines") == (1, 1, 0, 0)
    with system.database.engine.connect() as connection:
        snapshot = snapshots.by_serial(connection, serial)
    assert snapshot is not None
    assert snapshot.lines == (
        ExternalLine(
            user_id="300",
            registration_server="sip.example.net:5070" if paths.port else "sip.example.net",
            display_name="Ext" if paths.display_name else None,
            password="geheim" if paths.password else None,
            voice_mail="*97" if paths.voice_mail else None,
        ),
    )


def test_the_specification_has_the_paths_of_the_code() -> None:
    page = Path(__file__).parents[1] / "docs" / "spec" / "migration.md"
    text = page.read_text(encoding="utf-8")
    table = text[text.index("## 6.") : text.index("## 7.")]
    rows = {row.split("|")[1].strip(): row for row in table.splitlines() if row[:2] == "| "}
    for family, paths in PATHS.items():
        told = re.findall("`([^`]{2,})`", rows.pop(family))
        columns = (paths.user_id, paths.display_name, paths.password, paths.server, paths.port)
        assert told == [path for column in (*columns, paths.voice_mail) for path in column]
    assert set(rows) == {"family", "---"}


SERVERS = {
    ("sip.example.net", None): "sip.example.net",
    ("sip.example.net", "0"): "sip.example.net",
    ("sip.example.net", ""): "sip.example.net",
    (" sip.example.net ", " 5060 "): "sip.example.net:5060",
    ("sip.example.net:5080", "5070"): "sip.example.net:5080",
    ("2001:db8::1", "5070"): "[2001:db8::1]:5070",
    ("192.0.2.1", "x"): "192.0.2.1",
}


def test_the_port_stands_behind_the_server(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    phone = old.phone(MAC, "polycom650")
    for place, (host, port) in enumerate(SERVERS):
        settings = {"reg/address": "300", "reg/server/1/address": host}
        if port is not None:
            settings["reg/server/1/port"] = port
        old.line(phone, position=place, settings=settings)
    importer.run(old)
    uris = [line["uri"] for line in system.phone()["lines"]]
    assert uris == [f"sip:300@{server}" for server in SERVERS.values()]


def test_lines_that_cannot_be_are_refused(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    user, refused = old.user("200"), old.user("two words")
    phone = old.phone(MAC)
    old.line(phone, refused, 0)
    old.line(phone, position=1)
    old.line(phone, position=2, settings={"reg/address": "300", "reg/server/1/address": "no host"})
    # What an optional part cannot be is left out; it is over-long here.
    old.line(
        phone,
        position=None,
        settings={
            "reg/address": "301",
            "reg/server/1/address": "h",
            "reg/displayName": "x" * (LONGEST + 1),
            "reg/auth.password": "a\x01b",
        },
    )
    old.line(phone, user, 3)
    old.line(phone, user, 4)
    mitel = next(each for each in MODELS.values() if each.family == "mitel")
    old.line(old.phone("0004f2000009", mitel.model_id), settings={"reg/address": "300"})
    outcome = importer.run(old)
    assert outcome.found("lines") == [
        (MAC, "required", "userId"),
        (MAC, "required", "registrationServer"),
        (MAC, "invalidValue", "registrationServer"),
        ("0004f2000009", "required", "userId"),
        ("0004f2000009", "required", "registrationServer"),
        (MAC, "unknownUser", "userName"),
        (MAC, "tooManyLines", "lines"),
    ]
    assert outcome.counts("lines") == (7, 2, 0, 5)
    assert system.line_users() == ["200", "200"]


def test_phones_that_cannot_be_are_refused(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    old = make_legacy()
    group = old.group("g", "phone")
    user = old.user("200")
    old.phone(MAC)
    again = old.phone("00:04:F2:AA:BB:CC", groups=[group])
    old.line(again, user)
    old.phone("no mac")
    old.phone("0004f2000002", "myOwnPhone", groups=[group])
    old.phone("0004f2000003", "polycom331", device_version_id="polycom99")
    old.line(old.phone("0004f2000004", "300"), settings={"reg/address": "300"})
    outcome = importer.run(old)
    assert outcome.found("phones", "refused") == [
        ("no mac", "invalidSerialNumber", "serialNumber"),
        ("0004f2000002", "unknownModel", "modelId"),
        ("0004f2000004", "unknownModel", "modelId"),
        (MAC, "duplicateSerialNumber", "serialNumber"),
    ]
    assert outcome.counts("phones") == (6, 2, 2, 4)
    assert outcome.counts("lines") == (2, 0, 0, 2)
    assert outcome.counts("memberships") == (2, 0, 0, 2)
    assert system.serials() == [MAC, "0004f2000003"]
    assert system.phone("0004f2000003")["deviceVersion"] == "polycom4.0.X"
    assert system.phone(MAC)["deviceVersion"] == "polycom2.0"


def test_of_two_phones_with_one_profile_file_the_other_is_named(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    system.add_phone("0004f2abcdef", "hitachi5000")
    old = make_legacy()
    for serial in ("000001abcdef", "000002fedcba", "000003fedcba"):
        old.phone(serial, "hitachi5000")
    outcome = importer.run(old, merge=True)
    shared = "would share its profile file with the phone"
    assert sorted(outcome.sentences("phones")) == [
        f"serialNumber '000001abcdef' {shared} 0004f2abcdef.",
        f"serialNumber '000003fedcba' {shared} 000002fedcba.",
    ]
    assert system.serials() == ["0004f2abcdef", "000002fedcba"]


@pytest.mark.parametrize(
    ("old", "bean", "new"),
    [
        ("polycom331", None, "polycom331"),
        ("7960", "ciscoIp", "cisco7960"),
        ("ciscoIp7960", "ciscoIp", "cisco7960"),
        ("gsPhoneBt", "grandstream", "gsPhoneBt100"),
        ("gsPhoneGxp", "grandstream", "gsPhoneGxp1200"),
        ("nortel12x0PhoneStandard", "nortel12x0", "avaya-1230"),
        ("nortel-1210", "nortel12x0", "avaya-1210"),
        ("yealinkPhoneVP49G", "yealinkPhone", "yealinkPhoneSIPT49G"),
        ("unmanagedPhone", "unmanagedPhone", "acmePhoneStandard"),
        ("300", "polycom", "polycom300"),
        ("300", "snom", "snom300"),
        ("300", None, "300"),
        ("myOwnPhone", "polycom", "myOwnPhone"),
    ],
)
def test_models_of_old_releases_are_renamed(old: str, bean: str | None, new: str) -> None:
    assert model_of(old, bean) == new


def test_a_renamed_model_is_told_of(system: System, importer: Importer, make_legacy: Make) -> None:
    old = make_legacy()
    old.phone(MAC, "300", bean_id="snom")
    outcome = importer.run(old)
    assert outcome.found("phones") == [(MAC, "renamedModel", "modelId")]
    assert system.phone()["modelId"] == "snom300"


def test_profiles_are_queued_for_the_new_phones_only(
    system: System, importer: Importer, make_legacy: Make
) -> None:
    system.add_phone("0004f2000001")
    old = make_legacy()
    old.phone(MAC)
    importer.run(old, merge=True)
    assert system.jobs() == [("profiles", MAC)]


def test_profiles_need_not_be_queued(system: System, importer: Importer, make_legacy: Make) -> None:
    old = make_legacy()
    old.phone(MAC)
    importer.run(old, queue_profiles=False)
    assert system.serials() == [MAC]
    assert system.jobs() == []
