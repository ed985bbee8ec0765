"""What SIP servers read of users, numbers, groups and phones (docs/spec/sip.md §2)."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap.domain.rules import Rules
from sipxconfig_soap.domain.sip import publish_domains
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from sipxconfig_soap.db import Database
    from tests.support.soap import Soap

RULES = Rules("example.org", "pbx", ("example.net",), frozenset())


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """A system whose server has started."""
    database.change(lambda connection: publish_domains(connection, RULES))
    return System(soap, database)


def rows(system: System, query: str) -> list[tuple[Any, ...]]:
    with system.database.engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(query)]


def md5(*parts: str) -> str:
    return hashlib.md5(":".join(parts).encode()).hexdigest()


def rings(system: System, *given: tuple[str, str, int]) -> list[tuple[Any, ...]]:
    """User, stage and its seconds of a group with these rings."""
    fields = [{"userName": user, "type": kind, "expiration": for_} for user, kind, for_ in given]
    system.do("addCallGroup", callGroup={"name": "g", "enabled": True, "rings": fields})
    return rows(system, "SELECT user_name, stage, stage_seconds FROM sip.rings ORDER BY place")


def test_the_domains_are_those_of_the_settings(system: System) -> None:
    domains = "SELECT domain, realm, main FROM sip.domains ORDER BY domain"
    assert rows(system, domains) == [("example.net", "pbx", False), ("example.org", "pbx", True)]
    other = Rules("example.net", "other", (), frozenset())
    system.database.change(lambda connection: publish_domains(connection, other))
    assert rows(system, domains) == [("example.net", "other", True)]


def test_before_a_server_has_started_nobody_can_log_in(soap: Soap, database: Database) -> None:
    system = System(soap, database)
    assert rows(system, "TABLE sip.domains") == rows(system, "TABLE sip.credentials") == []


def test_credentials_of_a_user_and_of_its_phones(system: System) -> None:
    system.add_users("200", sipPassword="pä:ss")
    system.add_phone(MAC, lines=[{"userId": "200"}, {"userId": "200"}])
    system.add_phone("0004f2000001", lines=[{"userId": "superadmin"}])
    found = rows(
        system,
        "SELECT username, user_name, serial, domain, realm, ha1, ha1b, password"
        " FROM sip.credentials WHERE user_name = '200' ORDER BY username",
    )
    phone = f"200/{MAC}"
    assert found == [
        (name, "200", serial, "example.org", "pbx", ha1, ha1b, "pä:ss")
        for name, serial in (("200", None), (phone, MAC))
        for ha1 in [md5(name, "pbx", "pä:ss")]
        for ha1b in [md5(f"{name}@example.org", "pbx", "pä:ss")]
    ]


def test_a_user_who_is_called_like_a_phone_of_another_one_comes_first(system: System) -> None:
    system.add_users("200", f"200/{MAC}")
    system.add_phone(MAC, lines=[{"userId": "200"}])
    found = "SELECT user_name, serial FROM sip.credentials WHERE username = '200/" + MAC + "'"
    assert rows(system, found) == [(f"200/{MAC}", None)]


def test_credentials_change_with_their_user(system: System) -> None:
    system.add_users("200", sipPassword="old")
    found = "SELECT username, password FROM sip.credentials WHERE user_name <> 'superadmin'"
    system.edit_user("200", sipPassword="new")
    assert rows(system, found) == [("200", "new")]
    system.edit_user("200", userName="201")
    assert rows(system, found) == [("201", "new")]
    system.do("manageUser", search={"byUserName": "201"}, deleteUser=True)
    assert rows(system, found) == []


def statements_of_kamailio() -> list[str]:
    """What Kamailio asks, for a name in hexadecimal digits and the first stage."""
    file = Path(__file__).parents[1] / "deploy" / "kamailio" / "kamailio.cfg"
    found = re.findall(r'sql_query\("pbx", "(.*?)", "', file.read_text(encoding="utf-8"))
    names = {"$avp(stage)": "-1", "$var(needs)": "Mobile"}
    return [
        re.sub(r"\$\w+\(\w+\)", lambda name: names.get(name[0], "3230302f78"), each)
        for each in found
    ]


MANY = (
    """INSERT INTO users (user_name, sip_password)
        SELECT 'u' || number, 'x' FROM generate_series(1, 3000) AS number""",
    """INSERT INTO call_groups (name, enabled)
        SELECT 'g' || number, true FROM generate_series(1, 1000) AS number""",
    """INSERT INTO park_orbits (name, enabled)
        SELECT 'p' || number, true FROM generate_series(1, 1000) AS number""",
    """INSERT INTO names (value, folded, kind, user_id)
        SELECT user_name, user_name, 'userName', id FROM users WHERE user_name LIKE 'u%'""",
    """INSERT INTO names (value, folded, kind, call_group_id)
        SELECT name, name, 'name', id FROM call_groups""",
    """INSERT INTO phones (serial_number, model_id, profile_file)
        SELECT user_name, 'polycom331', user_name FROM users""",
    """INSERT INTO lines (phone_id, user_id) SELECT phones.id, users.id
        FROM phones JOIN users ON users.user_name = phones.serial_number""",
    """INSERT INTO rings (call_group_id, user_id, type, expiration, position)
        SELECT call_groups.id, users.id, 'delayed', 1, 0
        FROM call_groups JOIN users ON users.id % 1000 = call_groups.id % 1000""",
    "ANALYZE users, call_groups, park_orbits, names, phones, lines, rings",
)


@pytest.mark.parametrize("statement", statements_of_kamailio())
def test_what_kamailio_asks_is_found_by_indexes(system: System, statement: str) -> None:
    with system.database.engine.connect() as connection:
        for each in MANY:
            connection.exec_driver_sql(each.replace("%", "%%"))
        plan = "\n".join(connection.exec_driver_sql(f"EXPLAIN {statement}").scalars())
    # All others are small here, and may be read whole.
    many = "users|call_groups|park_orbits|names|phones|lines|rings"
    assert not re.search(rf"Seq Scan on ({many})\b", plan), plan


def test_addresses_lead_to_users_groups_and_orbits(system: System) -> None:
    system.add_users("200", aliases=["albert", "9200"])
    system.do("addCallGroup", callGroup={"name": "sales", "extension": "300", "enabled": True})
    system.do("addParkOrbit", parkOrbit={"name": "park", "extension": "400"})
    assert rows(system, "SELECT * FROM sip.addresses ORDER BY kind, address") == [
        ("300", "callGroup", "sales", True),
        ("sales", "callGroup", "sales", True),
        ("400", "parkOrbit", "park", False),
        ("park", "parkOrbit", "park", False),
        ("200", "user", "200", True),
        ("9200", "user", "200", True),
        ("albert", "user", "200", True),
        ("superadmin", "user", "superadmin", True),
    ]


def test_rings_come_in_stages(system: System) -> None:
    system.add_users("1", "2", "3", "4")
    assert rings(
        system,
        *(("1", "delayed", 10), ("2", "immediate", 20), ("3", "delayed", 5), ("4", "delayed", 7)),
    ) == [("1", 0, 20), ("2", 0, 20), ("3", 1, 5), ("4", 2, 7)]


def test_a_first_ring_begins_a_stage_whatever_it_says(system: System) -> None:
    system.add_users("1", "2")
    assert rings(system, ("1", "immediate", 3), ("2", "delayed", 4)) == [("1", 0, 3), ("2", 1, 4)]


def test_nobody_is_rung_for_no_time(system: System) -> None:
    system.add_users("1", "2")
    assert rings(system, ("1", "delayed", 0), ("2", "delayed", 4)) == [("1", 0, 4), ("2", 0, 4)]


def test_rings_of_a_deleted_user_are_gone(system: System) -> None:
    system.add_users("1", "2")
    rings(system, ("1", "delayed", 5), ("2", "immediate", 4))
    system.do("manageUser", search={"byUserName": "1"}, deleteUser=True)
    assert rows(system, "SELECT user_name, place, stage FROM sip.rings") == [("2", 0, 0)]


def test_permissions_are_those_that_find_user_shows(system: System) -> None:
    fax = system.add_permission("Fax", defaultValue=True)
    system.add_users("1", groups=["administrators"], permissions=["900Dialing"])
    system.add_users("2", "3", "superadmin2")
    system.edit_user("2", permissions=f"{fax} Mobile")
    with system.database.engine.begin() as connection:
        # Two groups say something else: the one created last counts.
        connection.exec_driver_sql("""
            INSERT INTO user_groups (name) VALUES ('off'), ('on');
            INSERT INTO user_group_permissions (group_id, permission_id, enabled)
            SELECT user_groups.id, permissions.id, user_groups.name = 'on'
            FROM user_groups, permissions
            WHERE user_groups.name IN ('off', 'on') AND permissions.name = 'Voicemail'
        """)
    system.edit_user("3", groups="off on")
    system.edit_user("superadmin2", groups="off")
    system.edit_user("superadmin", groups="", permissions="")
    held = "SELECT permission FROM sip.permissions WHERE user_name = '{}' ORDER BY permission"
    for name in system.user_names():
        found = [permission for (permission,) in rows(system, held.format(name))]
        assert found == (system.user(name)["permissions"] or [])
    fax_label = f"SELECT DISTINCT label FROM sip.permissions WHERE permission = '{fax}'"
    assert rows(system, fax_label) == [("Fax",)]


def test_phones_and_their_lines(system: System) -> None:
    system.add_users("200", "201")
    system.add_phone(MAC, "polycom650", lines=[{"userId": "201"}, {"userId": "200"}])
    line = {"userId": "bob", "registrationServer": "sip.example.net:5070", "password": "theirs"}
    system.manage_phone(MAC, addExternalLine=line)
    instrument = f"~~in~{MAC}"
    assert rows(system, "SELECT serial, instrument, model FROM sip.phones") == [
        (MAC, instrument, "polycom650")
    ]
    assert rows(system, "SELECT * FROM sip.lines ORDER BY line") == [
        (MAC, 1, "201", None, None),
        (MAC, 2, "200", None, None),
        (MAC, 3, None, "bob", "sip.example.net:5070"),
    ]
    assert "theirs" not in repr(rows(system, "SELECT * FROM sip.lines"))


DOCUMENTED = {
    "domains": "domain realm main",
    "users": "user_name first_name last_name",
    "credentials": "username user_name serial domain realm ha1 ha1b password",
    "addresses": "address kind name enabled",
    "call_groups": "name extension enabled description",
    "rings": "call_group place user_name type expiration stage stage_seconds",
    "park_orbits": "name extension enabled description music",
    "permissions": "user_name permission label",
    "phones": "serial instrument model device_version description",
    "lines": "serial line user_name external_user_id registration_server",
}


def test_the_views_have_the_columns_that_are_promised(system: System) -> None:
    found: dict[str, list[str]] = {}
    for view, column in rows(
        system,
        "SELECT table_name, column_name FROM information_schema.columns"
        " WHERE table_schema = 'sip' ORDER BY table_name, ordinal_position",
    ):
        found.setdefault(view, []).append(column)
    assert found == {view: columns.split() for view, columns in DOCUMENTED.items()}


@pytest.mark.parametrize("view", DOCUMENTED)
def test_a_view_cannot_be_written_by_who_may_read_it(system: System, view: str) -> None:
    with system.database.engine.connect() as connection:
        connection.exec_driver_sql("CREATE ROLE sip_reader")
        connection.exec_driver_sql("GRANT USAGE ON SCHEMA sip TO sip_reader")
        connection.exec_driver_sql(f"GRANT SELECT ON sip.{view} TO sip_reader")
        connection.exec_driver_sql("SET LOCAL ROLE sip_reader")
        assert connection.exec_driver_sql(f"SELECT count(*) FROM sip.{view}").scalar() is not None
        with pytest.raises(sa.exc.DBAPIError, match=r"permission denied|cannot delete from view"):
            connection.exec_driver_sql(f"DELETE FROM sip.{view}")
