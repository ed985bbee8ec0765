"""``migrate`` and ``admin``: a schema, and who may log in."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import pytest
import sqlalchemy as sa

from sipxconfig_soap import schema
from sipxconfig_soap.domain import accounts, pins
from tests.support.cli import WAIT_SECONDS, Cli, execute

# -- migrate ---------------------------------------------------------------------------------------


def test_migrate_says_what_it_did(cli: Cli, empty_url: str) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = empty_url
    head = schema.head_revision()
    done, pin_line, shown_once = cli.ok("migrate").splitlines()
    assert done == f"The schema went from nothing to {head}."
    assert "not shown again" in shown_once
    assert pin_is(cli, "superadmin", pin_line.removeprefix("PIN of superadmin: "))
    assert cli.ok("migrate") == f"The schema is current ({head}).\n"


def test_migrate_takes_the_pin_that_is_given(cli: Cli, empty_url: str) -> None:
    cli.environ |= {"SIPXCONFIG_DATABASE_URL": empty_url, "SIPXCONFIG_ADMIN_PIN": "g1ven"}
    assert cli.ok("migrate").count("\n") == 1
    assert pin_is(cli, "superadmin", "g1ven")
    # It is that of a new account, never of one that is there.
    cli.environ["SIPXCONFIG_ADMIN_PIN"] = "0ther"
    cli.ok("migrate")
    assert pin_is(cli, "superadmin", "g1ven")


def test_two_migrations_at_once_take_turns(cli: Cli, empty_url: str) -> None:
    cli.environ["SIPXCONFIG_DATABASE_URL"] = empty_url
    both = [cli.popen("migrate", stderr=subprocess.STDOUT) for _ in range(2)]
    outputs = [process.communicate(timeout=WAIT_SECONDS)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert "".join(outputs).count("PIN of superadmin: ") == 1


# -- admin -----------------------------------------------------------------------------------------


def pin_is(cli: Cli, user: str, pin: str) -> bool:
    engine = sa.create_engine(cli.environ["SIPXCONFIG_DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        stored = connection.scalar(
            sa.text("SELECT pin_hash FROM users WHERE user_name = :user"), {"user": user}
        )
    return pins.verify_pin(pin, stored).ok


def test_set_pin_from_standard_input(own: Cli) -> None:
    output = own.ok("admin", "set-pin", "--stdin", stdin="a new, pin \n")
    assert output == "The PIN of superadmin is set.\n"
    assert pin_is(own, "superadmin", "a new, pin ")
    assert not pin_is(own, "superadmin", "first")


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (["nobody"], "1\n", "There is no user 'nobody'; names are exact."),
        (["SuperAdmin"], "1\n", "There is no user 'SuperAdmin'; names are exact."),
        ([], "\n", "The PIN is empty."),
        ([], "", "The PIN is empty."),
        ([], "1\x002\n", "The PIN has control characters, which no client can send."),
    ],
)
def test_set_pin_refuses(own: Cli, arguments: list[str], stdin: str, sentence: str) -> None:
    command = ("admin", "set-pin", *arguments, "--stdin")
    assert own.fails(*command, stdin=stdin) == sentence
    assert pin_is(own, "superadmin", "first")


NO_TEXT = (1, "", "Error: What was given is no text in UTF-8.\n")


@pytest.mark.parametrize(
    "arguments", [("admin", "set-pin", "--stdin"), ("admin", "create", "--stdin", "201")]
)
def test_input_that_is_no_text_is_one_sentence(own: Cli, arguments: tuple[str, ...]) -> None:
    assert own.process(*arguments, stdin=os.fsdecode(b"1\xff\n")) == NO_TEXT


def test_arguments_and_settings_that_are_no_text_are_one_sentence(own: Cli) -> None:
    assert own.process("profile", os.fsdecode(b"\xff")) == NO_TEXT
    own.environ["SIPXCONFIG_ADMIN_PIN"] = os.fsdecode(b"\xff")
    code, output, errors = own.process("migrate")
    assert (code, output) == (1, "")
    (line,) = errors.splitlines()
    assert line.endswith("is not shown here: it must be a text in UTF-8.")


def test_set_pin_asks_on_a_terminal_without_echo(own: Cli) -> None:
    ours, theirs = pty.openpty()
    process = own.popen("admin", "set-pin", stdin=theirs, stderr=theirs, start_new_session=True)
    os.close(theirs)
    seen = b""
    for prompt in (b"New PIN: ", b"The same again: "):
        while not seen.endswith(prompt):
            seen += os.read(ours, 1024)
        os.write(ours, b"t0p-s3cret\n")
    output, _ = process.communicate(timeout=WAIT_SECONDS)
    os.close(ours)
    assert process.returncode == 0
    assert output.endswith("The PIN of superadmin is set.\n")
    assert b"s3cret" not in seen
    assert pin_is(own, "superadmin", "t0p-s3cret")


def test_set_pin_without_a_terminal_says_how(own: Cli) -> None:
    code, _, errors = own.run("admin", "set-pin")
    assert code == 2
    assert "use --stdin" in errors


def test_create_makes_an_administrator(own: Cli) -> None:
    output = own.ok("admin", "create", "ann", "--stdin", stdin="a new, pin \n")
    assert output == "The administrator ann is created.\n"
    assert pin_is(own, "ann", "a new, pin ")
    engine = sa.create_engine(own.environ["SIPXCONFIG_DATABASE_URL"], poolclass=sa.NullPool)
    with engine.connect() as connection:
        account = accounts.find_account(connection, "ann")
    assert account is not None
    assert account.administrator
    *_, last = own.ok("audit", "--json").splitlines()
    entry = json.loads(last)
    assert (entry["service"], entry["operation"]) == ("command line", "create")
    assert entry["entities"] == ["ann"]


def test_create_brings_superadmin_back(own: Cli) -> None:
    execute(own.environ["SIPXCONFIG_DATABASE_URL"], "DELETE FROM users")
    own.ok("admin", "create", "--stdin", stdin="second\n")
    assert pin_is(own, "superadmin", "second")


@pytest.mark.parametrize(
    ("user", "stdin", "sentence"),
    [
        ("superadmin", "1\n", "userName 'superadmin' is already in use by "),
        ("a b", "1\n", "userName 'a b' "),
        ("", "1\n", "userName is required and must not be blank."),
        ("ann", "\n", "The PIN is empty."),
    ],
)
def test_create_refuses(own: Cli, user: str, stdin: str, sentence: str) -> None:
    before = own.ok("audit", "--json")
    assert own.fails("admin", "create", user, "--stdin", stdin=stdin).startswith(sentence)
    assert pin_is(own, "superadmin", "first")
    assert own.ok("audit", "--json") == before
