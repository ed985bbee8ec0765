"""Whatever SOAP can store is exported, and imported again unchanged (docs/migration.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sipxconfig_soap.provisioning.models import DEVICE_VERSIONS
from tests.support.sheets import InProcess, counts

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.system import System


ODD = "\t\r\n =+-@'\"\\,;#|\uff1d\ufeff\x7f\x85\u2028\xa0"
EXAMPLES = 25

_any = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff")
texts = st.text(_any | st.sampled_from(ODD), max_size=12) | st.sampled_from(
    ["1E+11", "0042", '="1"', "'=1", "x" * 255, "\u0130" * 255]
)
plain = st.text(_any | st.sampled_from(" =+-@'\"\\,;#|\uff1d"), max_size=12)
"""Without control characters, as what goes into SIP headers."""

names = st.text("ab01-_.!~*'()&=+$,;?/", min_size=1, max_size=5).filter(
    lambda name: not name.startswith("~~")
)
emails = st.sampled_from([None, "a@b", "=x@b.org", "'+x@b.org", "zo\xeb@\xeb"])

users = st.fixed_dictionaries(
    {"names": st.lists(names, min_size=1, max_size=4, unique=True)},
    optional={
        "firstName": texts,
        "lastName": texts,
        "sipPassword": plain,
        "emailAddress": emails,
        "groups": st.lists(texts, max_size=3),
        "branchName": texts,
        "pin": plain,
        "vmpin": plain,
    },
)

external = st.fixed_dictionaries(
    {
        "userId": names,
        "registrationServer": st.sampled_from(["sip.org", "[::1]:5070", "127.0.0.1", "a-b:1"]),
        "displayName": plain,
        "password": plain,
        "voiceMail": plain,
    }
)
phones = st.fixed_dictionaries(
    {"lines": st.lists(st.sampled_from(["201", "202"]) | external, max_size=4)},
    optional={
        "description": texts,
        "groups": st.lists(texts, max_size=3),
        "deviceVersion": st.sampled_from(sorted(DEVICE_VERSIONS)),
    },
)

round_trip = settings(
    deadline=None,
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def sheets(system: System, tmp_path: Path) -> InProcess:
    return InProcess(system.database, tmp_path)


@round_trip
@given(st.lists(users, max_size=4))
@example([{"names": ["=1", "+2", "'-3", "''=4"], "groups": ['"', "''", "a,b", "\n"[:0] + "c d"]}])
@example([{"names": ["1"], "lastName": "\ufeff=", "branchName": "\r=\r\n"}])
def test_users(system: System, sheets: InProcess, many: list[dict[str, Any]]) -> None:
    """As what is there they change nothing; where nothing is they make the same users."""
    system.do("resetServices", user=True)
    taken = {"superadmin"}
    added = 0
    for each in many:
        name, *aliases = each["names"]
        if taken.isdisjoint(each["names"]):
            taken.update(each["names"])
            fields = {key: each[key] for key in each if key not in ("names", "pin", "vmpin")}
            secrets = {key: each[key] for key in ("pin", "vmpin") if key in each}
            system.do("addUser", user={"userName": name, "aliases": aliases, **fields}, **secrets)
            added += 1
    content, before = sheets.export("users"), system.dump()
    assert counts(sheets.imports("users", content)) == (0, 0, added + 1)
    assert system.dump() == before
    shown = system.do("findUser")
    system.do("resetServices", user=True)
    assert counts(sheets.imports("users", content)) == (added, 0, 1)
    assert system.do("findUser") == shown
    assert sheets.export("users") == content


@round_trip
@given(st.lists(phones, max_size=3))
@example([{"lines": [], "description": "\ufeff'=\r\n", "groups": ['"a"', "'=b", "c,d"]}])
def test_phones(system: System, sheets: InProcess, many: list[dict[str, Any]]) -> None:
    """Likewise, with their lines in the same order."""
    system.do("resetServices", user=True, phone=True)
    system.add_users("201", "202")
    for number, each in enumerate(many):
        serial = f"0004f200000{number}"
        fields = {key: each[key] for key in each if key != "lines"}
        system.add_phone(serial, "polycom650", **fields)
        for line in each["lines"]:
            if isinstance(line, str):
                system.manage_phone(serial, addLine={"userId": line})
            else:
                system.manage_phone(serial, addExternalLine=line)
    content, before = sheets.export("phones"), system.dump()
    assert counts(sheets.imports("phones", content)) == (0, 0, len(many))
    assert system.dump() == before
    shown = system.do("findPhone")
    system.do("resetServices", phone=True)
    assert counts(sheets.imports("phones", content)) == (len(many), 0, 0)
    assert system.do("findPhone") == shown
    assert sheets.export("phones") == content
