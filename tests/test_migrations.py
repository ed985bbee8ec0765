"""A migration keeps what is stored, forwards and backwards."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from sipxconfig_soap import schema
from tests.support.cli import Cli
from tests.support.databases import created_database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sipxconfig_soap.embedded import EmbeddedPostgres

PEOPLE = """
    WITH added AS (
        INSERT INTO users (user_name, sip_password, first_name_folded, last_name_folded)
        VALUES ('1', 'x', 'änne', 'strauss'), ('2', 'x', NULL, 'wu'), ('3', 'x', NULL, NULL)
        RETURNING id, user_name
    )
    INSERT INTO names (value, folded, kind, user_id)
    SELECT user_name, user_name, 'userName', id FROM added
    UNION ALL SELECT 'a' || user_name, 'a' || user_name, 'alias', id FROM added
"""
IN_NAMES = """
    SELECT value, first_name_folded, last_name_folded FROM names
    WHERE num_nonnulls(first_name_folded, last_name_folded) > 0 ORDER BY value
"""
IN_USERS = """
    SELECT user_name, first_name_folded, last_name_folded FROM users
    WHERE num_nonnulls(first_name_folded, last_name_folded) > 0 ORDER BY user_name
"""
EXPECTED = [("1", "änne", "strauss"), ("2", None, "wu")]


@pytest.fixture
def engine(postgres: EmbeddedPostgres, database_url: str) -> Iterator[sa.Engine]:
    """An empty database."""
    name = f"{sa.make_url(database_url).database}_migrations"
    with created_database(postgres, name) as url:
        engine = sa.create_engine(url)
        yield engine
        engine.dispose()


@contextmanager
def configured(engine: sa.Engine) -> Iterator[Config]:
    """What Alembic's commands take, for this database."""
    config = Config()
    config.set_main_option("script_location", str(schema.migrations_directory()))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        yield config


def rows(engine: sa.Engine, sql: str) -> list[tuple[object, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(sql)]


def test_the_names_of_persons_move_to_the_pool_and_back(engine: sa.Engine) -> None:
    with configured(engine) as config:
        command.upgrade(config, "0002")
    with engine.begin() as connection:
        connection.exec_driver_sql(PEOPLE)
    with configured(engine) as config:
        command.upgrade(config, "0003")
    assert rows(engine, IN_NAMES) == EXPECTED
    found = "name_grams(folded, first_name_folded, last_name_folded) @> '{tra,rau}'"
    assert rows(engine, f"SELECT value FROM names WHERE {found}") == [("1",)]
    with configured(engine) as config:
        command.downgrade(config, "0002")
    assert rows(engine, IN_USERS) == EXPECTED
    assert rows(engine, "SELECT FROM pg_proc WHERE proname = 'name_grams'") == []


def test_every_migration_can_be_undone_and_done_again(engine: sa.Engine) -> None:
    for _ in range(2):
        with configured(engine) as config:
            command.upgrade(config, "head")
        with engine.connect() as connection:
            assert schema.differences(connection) == []
        with configured(engine) as config:
            command.downgrade(config, "base")
    assert rows(engine, "SELECT relname FROM pg_class WHERE relname = 'users'") == []


PHONES = """
    INSERT INTO phones (serial_number, model_id, profile_file)
    SELECT serial, 'bria', serial || '.ini' FROM unnest(ARRAY[{}]) AS serial
"""


def test_phones_whose_serial_numbers_clash_are_named_before_anything_is_changed(
    engine: sa.Engine, tmp_path: Path
) -> None:
    with configured(engine) as config:
        command.upgrade(config, "0004")
    with engine.begin() as connection:
        connection.exec_driver_sql(PHONES.format("'Ab', 'x1', 'aB', 'AB', 'y', 'X1'"))
    with configured(engine) as config, pytest.raises(CommandError) as refusal:
        command.upgrade(config, "head")
    assert "do not: Ab and aB and AB; x1 and X1. Delete" in str(refusal.value)
    assert rows(engine, "SELECT version_num FROM alembic_version") == [("0004",)]
    cli = Cli(tmp_path)
    cli.environ["SIPXCONFIG_DATABASE_URL"] = engine.url.render_as_string(hide_password=False)
    assert cli.fails("migrate") == str(refusal.value)
    with engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM phones WHERE serial_number IN ('aB', 'AB', 'X1')")
    with configured(engine) as config:
        command.upgrade(config, "head")
    with engine.connect() as connection:
        assert schema.differences(connection) == []
    with pytest.raises(sa.exc.IntegrityError), engine.begin() as connection:
        connection.exec_driver_sql(PHONES.format("'AB'"))


def test_a_refusal_stays_readable(engine: sa.Engine) -> None:
    with configured(engine) as config:
        command.upgrade(config, "0004")
    with engine.begin() as connection:
        pairs = ", ".join(f"'a{number}', 'A{number}'" for number in range(1000))
        connection.exec_driver_sql(PHONES.format(pairs))
    with configured(engine) as config, pytest.raises(CommandError) as refusal:
        command.upgrade(config, "head")
    assert "a49 and A49; and 950 more. Delete" in str(refusal.value)


def test_files_are_called_by_their_revisions() -> None:
    scripts = ScriptDirectory(str(schema.migrations_directory()))
    newest_first = [each.revision for each in scripts.walk_revisions()]
    assert schema.revisions() == tuple(reversed(newest_first))
    assert schema.head_revision() == scripts.get_current_head()


def test_an_index_of_grams_that_is_gone_is_noticed(engine: sa.Engine) -> None:
    schema.upgrade(engine)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_names_grams")
    with engine.connect() as connection:
        (difference,) = schema.differences(connection)
    assert "ix_names_grams" in difference
