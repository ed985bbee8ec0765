"""What all tests share: one PostgreSQL, a clean database for each test, and clients.

The server is the embedded one, without the durability that tests have no use for. Each process of
a parallel run has a database of its own in it, emptied before every test.
"""

from __future__ import annotations

import fcntl
import io
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from sipxconfig_soap import logs, schema
from sipxconfig_soap.db import Database
from sipxconfig_soap.domain import accounts, metadata, pins
from sipxconfig_soap.embedded import EmbeddedPostgres
from sipxconfig_soap.settings import Settings
from tests.support.bare import WAIT_SECONDS, Bare
from tests.support.cli import Cli
from tests.support.client import PIN, Client
from tests.support.databases import Stock, created_database, drop_templates, shorten_log
from tests.support.imports import Importer
from tests.support.legacy import NEWEST, Legacy
from tests.support.pgbouncer import pgbouncer
from tests.support.server import RunningServer, serve
from tests.support.soap import Soap
from tests.support.system import System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


PREPARE_STATEMENTS = os.environ.get("TEST_PREPARE_STATEMENTS", "true") == "true"
"""Whether this run's server prepares statements; the tests pass either way."""

THROUGH_PGBOUNCER = os.environ.get("TEST_PGBOUNCER") == "true"
"""Whether this run's server reaches PostgreSQL through PgBouncer in transaction mode.

What needs a session of its own cannot: the worker, migrations and the embedded PostgreSQL.
"""

OWN_BASE = "sipxconfig-soap-tests-"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep temporary files in a directory of this run alone.

    The usual one, shared by all runs of a user, is closed to other users whenever a run begins. As
    root PostgreSQL runs as another user, and would be locked out of its own data.
    """
    if config.option.basetemp is None and not os.environ.get("PYTEST_XDIST_WORKER"):
        config.option.basetemp = tempfile.mkdtemp(prefix=OWN_BASE)


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove that directory."""
    base = str(config.option.basetemp or "")
    if OWN_BASE in base and not os.environ.get("PYTEST_XDIST_WORKER"):
        shutil.rmtree(base, ignore_errors=True)


@pytest.fixture(scope="session", autouse=True)
def logging_is_set_up() -> None:
    """Let events go through logging, as they do in every process of ours."""
    logs.setup("warning", stream=io.StringIO())


COSTLY_PINS, COSTLY_UNKNOWN = pins._context, pins._UNKNOWN
"""How PINs are hashed where nothing is changed for tests."""


@pytest.fixture(scope="session", autouse=True)
def cheap_pins() -> Iterator[None]:
    """Hash PINs at little cost in this process: the login of each test would take 40 ms.

    Servers of their own hash as always, and make such a hash anew at the first login.
    """
    with pytest.MonkeyPatch.context() as patch:
        cheap = COSTLY_PINS.copy(argon2__time_cost=1, argon2__memory_cost=64)
        patch.setattr(pins, "_context", cheap)
        patch.setattr(pins, "_UNKNOWN", cheap.hash("nobody"))
        yield


@pytest.fixture
def costly_pins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash PINs at the cost that they have."""
    monkeypatch.setattr(pins, "_context", COSTLY_PINS)
    monkeypatch.setattr(pins, "_UNKNOWN", COSTLY_UNKNOWN)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedPostgres]:
    """The PostgreSQL of the whole run; its last user stops it."""
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    with EmbeddedPostgres(base / "postgresql", durable=False, connections=200) as running:
        yield running


@pytest.fixture(scope="session")
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """An own database with the current schema."""
    name = f"test_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    with created_database(postgres, name) as url:
        engine = sa.create_engine(url)
        schema.upgrade(engine)
        engine.dispose()
        yield url


@pytest.fixture(scope="session")
def stock(postgres: EmbeddedPostgres) -> Iterator[Stock]:  # noqa: ARG001 - ends later
    """Databases that tests use one after another."""
    stock = Stock()
    yield stock
    stock.drop()


@pytest.fixture(scope="session")
def numbers() -> Iterator[int]:
    """Numbers for names that are this process's alone."""
    return count()


@pytest.fixture(scope="session")
def server_url(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The database as the server reaches it."""
    if not THROUGH_PGBOUNCER:
        yield database_url
        return
    with pgbouncer(tmp_path_factory.mktemp("pgbouncer"), database_url) as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def pool(server_url: str) -> Iterator[Database]:
    """The engine of this process."""
    database = Database(server_url, pool_size=24, prepare_statements=PREPARE_STATEMENTS)
    yield database
    database.dispose()


@pytest.fixture
def make_database(database_url: str) -> Iterator[Callable[..., Database]]:
    """Makes engines of their own on the test's database."""
    made: list[Database] = []

    def make(**arguments: Any) -> Database:
        made.append(Database(database_url, **arguments))
        return made[-1]

    yield make
    for each in made:
        each.dispose()


@pytest.fixture(scope="session")
def restore(pool: Database, cheap_pins: None) -> str:  # noqa: ARG001 - comes first
    """SQL that makes the database what a new system has: superadmin with the PIN of the tests.

    The rows of a new system are kept aside, since making them anew would hash a PIN every time.
    """
    tables = metadata.sorted_tables
    with pool.engine.begin() as connection:
        # A server that was started on it before has made a superadmin of its own.
        for table in reversed(tables):
            connection.exec_driver_sql(f"DELETE FROM {table}")
        accounts.bootstrap(connection, admin_pin=PIN)
        connection.exec_driver_sql("CREATE SCHEMA pristine")
        for table in tables:
            connection.exec_driver_sql(f"CREATE TABLE pristine.{table} AS TABLE public.{table}")
        filled = [
            each for each in tables if connection.scalar(sa.select(sa.exists().select_from(each)))
        ]
        (first,) = connection.exec_driver_sql(
            "SELECT start_value FROM pg_sequences WHERE sequencename = 'permission_numbers'"
        ).one()
    return ";".join(
        [
            # No triggers: all rows go, and nobody is to be told of each.
            "SET LOCAL session_replication_role = replica",
            *(f"DELETE FROM {table}" for table in reversed(tables)),
            f"SELECT setval('permission_numbers', {first}, false)",
            *(
                f"SELECT setval(pg_get_serial_sequence('{table}', 'id'),"
                f" 1 + (SELECT coalesce(max(id), 0) FROM pristine.{table}), false)"
                for table in tables
                if "id" in table.c
            ),
            *(
                f"INSERT INTO {table} OVERRIDING SYSTEM VALUE TABLE pristine.{table}"
                for table in filled
            ),
        ]
    )


@pytest.fixture
def database(pool: Database, restore: str) -> Database:
    """The database as a new system has it."""
    with pool.engine.begin() as connection:
        connection.exec_driver_sql(restore)
    return pool


@pytest.fixture
def make_legacy(
    postgres: EmbeddedPostgres, stock: Stock, numbers: Iterator[int]
) -> Iterator[Callable[..., Legacy]]:
    """Makes databases of an old sipXconfig, of the newest schema or another one."""
    with ExitStack() as stack:

        @contextmanager
        def new(version: int) -> Iterator[str]:
            name = f"legacy_{os.getpid()}_{next(numbers)}"
            with created_database(postgres, name) as url:
                Legacy(url, version).close()
                yield url

        def make(version: int = NEWEST) -> Legacy:
            url = stack.enter_context(stock.lent(("legacy", version), lambda: new(version)))
            return Legacy(url, version, new=False)

        yield make


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a server for tests; ``make_client`` takes others."""
    return Settings.load({}, data_dir=str(tmp_path))


@pytest.fixture
def make_client(database: Database, tmp_path: Path) -> Callable[..., Client]:
    """Makes a WSGI client of a server with other settings than the usual ones."""

    def make(**overrides: str) -> Client:
        return Client(Settings.load({}, data_dir=str(tmp_path), **overrides), database)

    return make


@pytest.fixture
def client(make_client: Callable[..., Client]) -> Client:
    """A WSGI client of the server, in this process."""
    return make_client()


@pytest.fixture
def soap(client: Client) -> Soap:
    """Calls operations in this process, and validates every answer against the WSDL."""
    return Soap(client)


@pytest.fixture
def run_server(
    database: Database,  # noqa: ARG001 - emptied before the server starts
    server_url: str,
    tmp_path: Path,
) -> Callable[..., AbstractContextManager[RunningServer]]:
    """Starts a server on a free port, on the test's database, as an administrator would.

    Without a worker beside it, unless the test asks for one.
    """

    def run(*, worker: bool = False, **environment: str) -> AbstractContextManager[RunningServer]:
        own = {
            "SIPXCONFIG_DATABASE_URL": server_url,
            "SIPXCONFIG_TEST_SERVICE": "true",
            "SIPXCONFIG_PREPARE_STATEMENTS": str(PREPARE_STATEMENTS).lower(),
        }
        return serve(tmp_path, own | environment, *([] if worker else ["--no-worker"]))

    return run


@pytest.fixture
def start_bare(tmp_path: Path) -> Iterator[Callable[..., Bare]]:
    """Starts a bare server whose clients may stall so many seconds, with few threads or more."""
    started: list[Bare] = []

    def start(stall_seconds: float = WAIT_SECONDS, workers: int = 1, threads: int = 1) -> Bare:
        started.append(Bare(tmp_path, stall_seconds, workers, threads))
        return started[-1]

    yield start
    for server in started:
        if server.process.poll() is None:
            server.stop(signal.SIGKILL)


@pytest.fixture
def system(soap: Soap, database: Database) -> System:
    """The system that is called; it looks into its database too."""
    return System(soap, database)


@pytest.fixture
def importer(database: Database, settings: Settings) -> Importer:
    """Imports old systems into the database of the test."""
    return Importer(database, settings)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """The command, with no settings but a data directory and a SIP domain."""
    return Cli(tmp_path)


@pytest.fixture
def empty_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database without a schema, as an own PostgreSQL has it at first."""
    with created_database(postgres, f"cli_{os.getpid()}") as url:
        yield url


@pytest.fixture(scope="session")
def embedded_data(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], None]:
    """Puts a data directory in a place where there is none: as a server with this PIN left it.

    To make one anew takes initdb a second and a half each time, and to copy more than this takes as
    much of a processor: two thirds of what initdb makes are templates and an empty log.
    """
    base = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        base = base.parent
    made, complete = base / "embedded", base / "embedded.complete"
    with (base / "embedded.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            with EmbeddedPostgres(made, durable=False) as running:
                engine = sa.create_engine(running.url())
                schema.upgrade(engine)
                with engine.begin() as connection:
                    accounts.bootstrap(connection, admin_pin=PIN)
                engine.dispose()
                drop_templates(running.url())
            shorten_log(made / "postgresql")
            complete.touch()

    def put(target: Path) -> None:
        subprocess.run(["cp", "-a", made, target], check=True)

    return put


@pytest.fixture
def latin_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A database whose encoding cannot hold every name."""
    more = "ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'"
    with created_database(postgres, f"latin_{os.getpid()}", "template0", more) as url:
        yield url


@pytest.fixture(scope="session")
def migrated(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a database as the command migrate makes it, for others to be copies of."""
    name = f"cli_migrated_{os.getpid()}"
    with created_database(postgres, name) as url:
        cli = Cli(tmp_path_factory.mktemp("migrated"))
        cli.environ |= {"SIPXCONFIG_DATABASE_URL": url, "SIPXCONFIG_ADMIN_PIN": "first"}
        cli.ok("migrate")
        yield name


@pytest.fixture
def own(
    cli: Cli, postgres: EmbeddedPostgres, migrated: str, stock: Stock, numbers: Iterator[int]
) -> Iterator[Cli]:
    """The command on an own PostgreSQL whose schema is current."""

    def new() -> AbstractContextManager[str]:
        name = f"cli_{os.getpid()}_{next(numbers)}"
        return created_database(postgres, name, template=migrated)

    with stock.lent("own", new) as url:
        cli.environ["SIPXCONFIG_DATABASE_URL"] = url
        yield cli
