"""``sipxconfig-soap sip-role``: a role that reads the views, and nothing else (sip.md §1)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from sipxconfig_soap.domain import metadata
from tests.support.cli import execute

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.cli import Cli

VIEWS = ("credentials", "addresses", "rings", "permissions", "lines", "domains")


@pytest.fixture(params=['sip "100%" {}'])
def role(own: Cli, request: pytest.FixtureRequest) -> Iterator[str]:
    """The name of a role that is gone afterwards, with characters that must be quoted."""
    name = request.param.format(os.getpid())
    yield name
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    quoted = name.replace('"', '""')
    if scalar(url, "SELECT count(*) FROM pg_roles WHERE rolname = :name", name=name):
        execute(url, f'DROP OWNED BY "{quoted}"')
        execute(url, f'DROP ROLE "{quoted}"')


def scalar(url: str | sa.URL, sql: str, **values: object) -> object:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as connection:
        return connection.execute(sa.text(sql), values).scalar()


def as_role(own: Cli, name: str) -> sa.URL:
    return sa.make_url(own.environ["SIPXCONFIG_DATABASE_URL"]).set(username=name)


def warned(own: Cli, *arguments: str, stdin: str = "") -> str:
    """The output of a command that warns that no server has started yet."""
    code, output, errors = own.run("sip-role", *arguments, stdin=stdin)
    assert code == 0
    assert errors.startswith("Warning: the views are empty until the server has started once")
    return output


def test_a_new_role_reads_the_views_and_nothing_else(own: Cli, role: str) -> None:
    output = warned(own, role)
    (password,) = re.findall(r"^Its password: (\w{24}) ", output, re.MULTILINE)
    assert password
    url = as_role(own, role)
    for view in VIEWS:
        scalar(url, f"SELECT count(*) FROM sip.{view}")
    for table in metadata.tables:
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            scalar(url, f"SELECT count(*) FROM {table}")
    for statement in ("UPDATE sip.users SET first_name = 'x'", "CREATE TABLE x ()"):
        with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
            execute(url.render_as_string(hide_password=False), statement)
    facts = "SELECT rolsuper OR rolcreatedb OR rolcreaterole FROM pg_roles WHERE rolname = :name"
    assert scalar(url, facts, name=role) is False


@pytest.mark.parametrize("role", ["sip-{}"], indirect=True)
def test_what_kamailio_needs_is_printed(own: Cli, role: str) -> None:
    output = warned(own, role)
    (password,) = re.findall(r"^Its password: (\w{24}) ", output, re.MULTILINE)
    database = sa.make_url(own.environ["SIPXCONFIG_DATABASE_URL"]).database
    line = f'#!define DATABASE "pbx=>postgres://{role}:{password}@localhost/{database}"'
    assert output.splitlines()[-1] == line


def test_nothing_is_printed_that_kamailio_would_misread(own: Cli, role: str) -> None:
    output = warned(own, role)
    assert "#!define" not in output
    assert output.endswith("only letters, digits, _ . and - in the names of role and database.\n")


def test_the_password_is_stored_as_its_hash(own: Cli, role: str) -> None:
    output = warned(own, role, "--stdin", stdin="it's 100% mine\n")
    assert "mine" not in output
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    stored = scalar(url, "SELECT rolpassword FROM pg_authid WHERE rolname = :name", name=role)
    assert str(stored).startswith("SCRAM-SHA-256$")


def test_a_second_time_keeps_the_password(own: Cli, role: str) -> None:
    warned(own, role)
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    query = "SELECT rolpassword FROM pg_authid WHERE rolname = :name"
    before = scalar(url, query, name=role)
    assert "password:" not in warned(own, role)
    assert scalar(url, query, name=role) == before
    warned(own, role, "--stdin", stdin="another\n")
    assert scalar(url, query, name=role) != before


def test_views_that_are_made_anew_are_read_too(own: Cli, role: str) -> None:
    warned(own, role)
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    execute(url, "DROP VIEW sip.users")
    execute(url, "CREATE VIEW sip.users AS SELECT user_name FROM users")
    assert scalar(as_role(own, role), "SELECT count(*) FROM sip.users") == 1


def test_a_role_that_may_do_more_is_refused(own: Cli, role: str) -> None:
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    owner = sa.make_url(url).username
    assert own.fails("sip-role", str(owner)).startswith(f"The role {owner} has rights on ")
    quoted = role.replace('"', '""')
    execute(url, f'CREATE ROLE "{quoted}"')
    execute(url, f'GRANT SELECT (first_name) ON users TO "{quoted}"')
    assert "has rights on users:" in own.fails("sip-role", role)
    with pytest.raises(sa.exc.ProgrammingError, match=r"permission denied|not permitted"):
        execute(url, f'SET ROLE "{quoted}"; SELECT FROM sip.users')


def test_a_role_that_may_become_another_one_is_refused(own: Cli, role: str) -> None:
    url = own.environ["SIPXCONFIG_DATABASE_URL"]
    owner, quoted = sa.make_url(url).username, role.replace('"', '""')
    execute(url, f'CREATE ROLE "{quoted}" LOGIN NOINHERIT')
    execute(url, f'GRANT "{owner}" TO "{quoted}"')
    assert "has rights on " in own.fails("sip-role", role)


@pytest.mark.parametrize("name", ["", "x" * 64, "a\nb"])
def test_what_cannot_be_the_name_of_a_role(own: Cli, name: str) -> None:
    assert "cannot be the name of a role" in own.fails("sip-role", name)


def test_an_empty_password_is_refused(own: Cli, role: str) -> None:
    assert own.fails("sip-role", role, "--stdin", stdin="\n").startswith("The password is empty")
