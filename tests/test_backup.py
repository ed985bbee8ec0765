"""Backup and restore as docs/operations.md has them, into an empty database."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from sipxconfig_soap import schema
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import metadata
from sipxconfig_soap.embedded.programs import find_programs
from tests.support.client import Client
from tests.support.databases import created_database
from tests.support.soap import Soap
from tests.support.system import MAC, System

if TYPE_CHECKING:
    from sipxconfig_soap.embedded import EmbeddedPostgres


def run(program: str, *arguments: str) -> None:
    """Run one of the programs that come with the embedded PostgreSQL."""
    programs = find_programs(Path("there are no data yet"))
    done = subprocess.run(
        [programs / program, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def plain(url: str) -> str:
    """A URL as PostgreSQL's own programs read it."""
    return url.replace("postgresql+psycopg2:", "postgresql:")


def rows(database: Database) -> dict[str, list[str]]:
    with database.engine.connect() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(sa.select(table)).all()))
            for table in metadata.sorted_tables
        }


def test_all_is_there_after_a_restore_into_an_empty_database(
    client: Client,
    database: Database,
    database_url: str,
    postgres: EmbeddedPostgres,
    tmp_path: Path,
) -> None:
    system = System(Soap(client), database)
    system.add_users("200", aliases=["albert"], groups=["G"], branchName="B", lastName="Łukasz")
    system.add_users("201")
    ring = {"userName": "200", "type": "delayed", "expiration": 1}
    system.do("addCallGroup", callGroup={"name": "c", "extension": "500", "rings": ring})
    system.do("addParkOrbit", parkOrbit={"name": "p", "extension": "600"})
    system.add_phone(MAC, lines=[{"userId": "200"}], groups=["PG"])
    system.manage_phone(generateProfiles=True)
    before = rows(database)
    assert all(before[name] for name in ("users", "names", "phones", "lines", "jobs", "audit_log"))

    dump = tmp_path / "sipxconfig.dump"
    run("pg_dump", "--format=custom", f"--file={dump}", plain(database_url))
    with created_database(postgres, "restored", "template0") as url:
        run("pg_restore", "--no-owner", "--exit-on-error", f"--dbname={plain(url)}", str(dump))
        restored = Database(url, pool_size=2)
        try:
            with restored.engine.connect() as connection:
                assert schema.state(connection) is schema.State.CURRENT
            assert rows(restored) == before
            # It goes on where it was: logins are right, and new rows find their numbers free.
            there = System(Soap(Client(client.settings, restored)), restored)
            there.add_users("202")
            assert there.user_names() == ["200", "201", "202", "superadmin"]
            # What SIP servers read is there too, and tells of changes.
            assert there.scalar("SELECT count(*) FROM sip.users") == 4
            assert there.scalar("SELECT count(*) FROM pg_trigger WHERE tgname = 'sip_insert_new'")
        finally:
            restored.dispose()
