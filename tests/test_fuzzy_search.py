"""The fuzzy search of users finds by its index what looking at every name finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sipxconfig_soap.domain import grams
from sipxconfig_soap.domain.users import SEARCHES, users
from sipxconfig_soap.values import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sipxconfig_soap.db import Database
    from tests.support.system import System

LETTERS = "aAbßẞiİıσςΣ_%\\ -\N{LATIN SMALL LIGATURE FFI}é\N{COMBINING ACUTE ACCENT}漢\U0001f4de𝒳"
"""Few, so that needles are found; some fold to several, some need four bytes or an escape."""

NEEDLES = st.text(LETTERS, min_size=1, max_size=6).filter(str.strip)
TEXTS = st.text(LETTERS, max_size=9).map(str.strip)
ALIASES = st.text("aAbB_%-", min_size=3, max_size=9)

FILL = """
    WITH added AS (
        INSERT INTO users (user_name, sip_password)
        SELECT 'fill' || n, 'x' FROM generate_series(1, {count}) n RETURNING id, user_name
    )
    INSERT INTO names (value, folded, kind, user_id, last_name_folded)
    SELECT user_name, user_name, 'userName', id, md5(user_name) FROM added
"""


def contains(text: str, needle: str) -> bool:
    """Whether the segments of a needle follow each other in a text; nothing but code points."""
    place = 0
    for segment in needle.split("%"):
        found = text.find(segment, place)
        if found < 0:
            return False
        place = found + len(segment)
    return True


def insert(database: Database, people: list[tuple[str, str, str]]) -> None:
    """Add users by plain SQL, numbered, with an alias, a first and a last name."""
    with database.engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM users")
        for number, (alias, first, last) in enumerate(people):
            connection.execute(
                sa.text(
                    "WITH added AS (INSERT INTO users (user_name, sip_password)"
                    " VALUES (:name, 'x') RETURNING id)"
                    " INSERT INTO names"
                    " (value, folded, kind, user_id, first_name_folded, last_name_folded)"
                    " SELECT :name, :name, 'userName', id, :first, :last FROM added UNION ALL"
                    " SELECT :alias, :folded, 'alias', id, NULL, NULL FROM added"
                ),
                {
                    "name": str(number),
                    "alias": f"{number}{alias}",
                    "folded": fold(alias),
                    "first": fold(first) or None,
                    "last": fold(last) or None,
                },
            )


def searched(database: Database, needle: str) -> list[str]:
    """The userNames that the condition of the search is true for."""
    way = SEARCHES["byFuzzyUserNameOrAlias"].suiting(needle)
    wanted = sa.select(users.c.user_name).where(way.condition).order_by(users.c.user_name)
    with database.engine.connect() as connection:
        return list(connection.execute(wanted, dict(way.parameters(needle))).scalars())


@given(
    people=st.lists(st.tuples(ALIASES, TEXTS, TEXTS), min_size=1, max_size=6),
    needles=st.lists(NEEDLES, min_size=1, max_size=8),
)
@example(people=[("aaa", "STRAẞE", "İİi")], needles=["asse", "ß", "i\u0307i", "\u0307", "STRASSE"])
@example(people=[("a%b", "a\\b_", "ab")], needles=["%%%", "a%b", "\\b_", "a\\%", "%\\b_", "a_b"])
@example(people=[("abab", "abcabd", "bab")], needles=["abd%abc", "abc%abd", "aba%bab", "ab%ab"])
@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_search_finds_what_a_look_at_every_name_finds(
    database: Database, people: list[tuple[str, str, str]], needles: list[str]
) -> None:
    insert(database, people)
    # Parts of what is there, too: most of the others are found nowhere.
    needles += [text[:4] for each in people for text in each]
    for needle in filter(None, needles):
        expected = [
            str(number)
            for number, person in enumerate(people)
            if any(contains(fold(text), fold(needle)) for text in (str(number), *person))
        ]
        assert searched(database, needle) == expected, needle


@pytest.mark.parametrize(
    ("folded", "expected"),
    [
        ("abc", ["abc"]),
        ("abcd", ["abc", "bcd"]),
        ("aaaaa", ["aaa"]),
        ("ab", []),
        ("ab%cd", []),
        ("%", []),
        ("ab%cde%f", ["cde"]),
        ("\U0001f4deé漢", ["\U0001f4deé漢"]),
    ],
)
def test_the_grams_of_a_needle(folded: str, expected: list[str]) -> None:
    assert grams.grams_of(folded) == expected


@pytest.mark.parametrize(
    "texts",
    [
        ("abc", None, None),
        ("a", "\U0001f4deé漢字", "x_\\y"),
        ("abcde", "", "aaaaa"),
        ("e\N{COMBINING ACUTE ACCENT}e", "ss\u0307", "z" * 1024),
    ],
)
def test_the_database_and_the_program_cut_alike(
    system: System, texts: tuple[str | None, ...]
) -> None:
    call = "SELECT name_grams(:a, :b, :c)"
    found = system.scalar(call, **dict(zip("abc", texts, strict=True)))
    assert set(found) == {gram for text in texts if text for gram in grams.grams_of(text)}


def test_a_longer_needle_with_few_grams_is_found(system: System) -> None:
    """One whose segments are short but for one, which leaves more to LIKE."""
    system.add_users("1", firstName="abcxyd")
    system.add_users("2", firstName="xydabc")
    assert system.user_names(byFuzzyUserNameOrAlias="abc%y%d") == ["1"]
    assert system.user_names(byFuzzyUserNameOrAlias="x%d%abc") == ["2"]


def test_names_of_different_kinds_are_not_joined(system: System) -> None:
    system.add_users("12", aliases=["34567"], firstName="Anna", lastName="Bell")
    for needle in ("1234", "123%567", "nnabel", "ann%bell", "bell%ann", "12%anna"):
        assert system.user_names(byFuzzyUserNameOrAlias=needle) == []


def test_a_rename_keeps_the_names_of_the_person_searchable(system: System) -> None:
    system.add_users("200", aliases=["front.desk"], firstName="Zoë", lastName="Strauß")
    system.edit_user("200", userName="front.desk", aliases="200")
    for needle in ("zoë", "STRAUSS", "200", "front"):
        assert system.user_names(byFuzzyUserNameOrAlias=needle) == ["front.desk"]
    system.edit_user("front.desk", userName="300", firstName="Zoé")
    for needle in ("zoë", "front"):
        assert system.user_names(byFuzzyUserNameOrAlias=needle) == []
    for needle in ("zoé", "strauss", "300"):
        assert system.user_names(byFuzzyUserNameOrAlias=needle) == ["300"]


def test_a_change_of_many_follows_into_the_search(system: System) -> None:
    system.add_users("200", "201", groups=["G"], lastName="Strauß", aliases=[])
    changes = [{"property": "lastName", "value": "Müller"}]
    system.do("manageUser", search={"byGroup": "G"}, edit=changes)
    assert system.user_names(byFuzzyUserNameOrAlias="strauss") == []
    assert system.user_names(byFuzzyUserNameOrAlias="MÜLL") == ["200", "201"]
    system.do("manageUser", search={"byFuzzyUserNameOrAlias": "müll"}, deleteUser=True)
    assert system.user_names() == ["superadmin"]


def test_a_reset_takes_superadmins_names_out_of_the_search(system: System) -> None:
    system.edit_user("superadmin", firstName="Wilhelmine", lastName="Busch")
    assert system.user_names(byFuzzyUserNameOrAlias="helmin") == ["superadmin"]
    system.do("resetServices", superAdmin=True)
    for needle in ("helmin", "busch"):
        assert system.user_names(byFuzzyUserNameOrAlias=needle) == []
    assert system.user_names(byFuzzyUserNameOrAlias="admin") == ["superadmin"]


def plan_of(database: Database, needle: str) -> str:
    """How PostgreSQL runs the search when it does not know the needle yet."""
    way = SEARCHES["byFuzzyUserNameOrAlias"].suiting(needle)
    statement = sa.select(users.c.user_name).where(way.condition).order_by(users.c.user_name)
    with database.engine.connect() as connection:
        dialect: Any = connection.dialect
        names = ("value", "grams") if "grams" in way.parameters(needle) else ("value",)
        compiled = str(statement.compile(dialect=dialect))
        for number, name in enumerate(names, start=1):
            compiled = compiled.replace(f"%({name})s", f"${number}")
        given = ", ".join(f"%({name})s" for name in names)
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        connection.exec_driver_sql(f"PREPARE planned AS {compiled}")
        explained = connection.exec_driver_sql(
            f"EXPLAIN EXECUTE planned ({given})", dict(way.parameters(needle))
        )
        lines = "\n".join(explained.scalars())
        connection.exec_driver_sql("DEALLOCATE planned")
        connection.exec_driver_sql("RESET plan_cache_mode")
        return lines


@pytest.fixture(params=[False, True], ids=["as it is filled", "analyzed"])
def filled(
    request: pytest.FixtureRequest, pool: Database, database: Database
) -> Iterator[Database]:
    """Some thousand users, whom the planner knows of or not; half a second each time."""
    with database.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        # Pages that other tests have left empty would make the planner believe in few rows.
        connection.exec_driver_sql("VACUUM (FULL, ANALYZE) users, names")
    with database.engine.begin() as connection:
        connection.exec_driver_sql(FILL.format(count=5000))
        if request.param:
            connection.exec_driver_sql("ANALYZE users, names")
    yield database
    with pool.engine.connect() as connection:
        connection.exec_driver_sql("DELETE FROM users")
        connection.commit()
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("VACUUM ANALYZE users, names")


def test_three_characters_in_a_row_use_the_index(filled: Database) -> None:
    for needle in ("abc", "abcdef", "ab%cde", "a%b%cde%f"):
        plan = plan_of(filled, needle)
        assert "ix_names_grams" in plan, needle
        assert "Seq Scan on names" not in plan, needle
        assert "Gather" not in plan, needle


def test_fewer_do_without(filled: Database) -> None:
    for needle in ("ab", "a%b", "ab%cd", "%", "ß"):
        assert "ix_names_grams" not in plan_of(filled, needle), needle


def test_the_index_is_built_whatever_the_search_path_is(system: System) -> None:
    with system.database.engine.begin() as connection:
        connection.exec_driver_sql(FILL.format(count=10))
        connection.exec_driver_sql("SET LOCAL search_path = ''")
        connection.exec_driver_sql("REINDEX INDEX public.ix_names_grams")
        connection.exec_driver_sql("UPDATE public.names SET folded = folded || 'needle'")
    assert len(system.user_names(byFuzzyUserNameOrAlias="7needle")) == 1
