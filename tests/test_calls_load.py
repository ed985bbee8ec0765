"""Many phones and many calls at once, with nothing lost (deploy/kamailio).

``TEST_CALLS_SECONDS=60`` makes 50 calls a second for a minute, else it is for a few seconds.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from tests.support.kamailio import exchange, needs_kamailio
from tests.support.sipp import ANSWERS, TALK, once, registration, waiting, with_login

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.kamailio import Exchange

pytestmark = needs_kamailio

PHONES = 1000
RATE = 50
SECONDS = int(os.environ.get("TEST_CALLS_SECONDS", "3"))

USERS = f"""
    WITH added AS (
        INSERT INTO users (user_name, sip_password)
        SELECT (10000 + number)::text, 'secret' FROM generate_series(1, {PHONES}) AS number
        RETURNING id, user_name
    )
    INSERT INTO names (value, folded, kind, user_id)
    SELECT user_name, user_name, 'userName', id FROM added
"""


def many(calls: Exchange, scenario: str, file: Path, number: int, rate: int) -> None:
    """Run a scenario so often, with the next line of a file each time; none may fail."""
    options = ("-inf", str(file), "-m", str(number), "-r", str(rate), "-l", "2000")
    done = once(calls.port, scenario, *options, "-timeout", str(SECONDS + 45), messages=False)
    assert done.code == 0, done.statistics
    (successful,) = re.findall(r"Successful call +\| +\d+ +\| +(\d+)", done.statistics)
    assert int(successful) == number


def test_nothing_is_lost(tmp_path: Path) -> None:
    login = "[authentication username={0} password=secret]"
    lines = [
        ";".join((str(user), str(10001 + user % PHONES), login.format(user)))
        for user in range(10001, 10001 + PHONES)
    ]
    file = tmp_path / "users.csv"
    file.write_text("\n".join(["SEQUENTIAL", *lines]) + "\n")
    fields = {"to": "[field1]", "sender": "[field0]", "credentials": "[field2]"}
    with exchange() as calls, waiting(ANSWERS, messages=False) as phones:
        with calls.system.database.engine.begin() as connection:
            connection.exec_driver_sql(USERS)
        known = registration(200, user="[field0]", contact=phones.contact, credentials="[field2]")
        many(calls, known, file, PHONES, 250)
        talk = with_login("INVITE", 200, **fields) + TALK.format(user="[field0]", to="[field1]")
        many(calls, talk, file, RATE * SECONDS, RATE)
        assert phones.process.poll() is None
