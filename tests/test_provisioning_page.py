"""The examples of docs/provisioning.md do what the page says."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.profiles import render
from sipxconfig_soap.provisioning.profiles.own_check import errors, strays
from tests.profile_parsers.lines import separated
from tests.profile_parsers.tables import table_of
from tests.support.templates import Own, phone, write

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = (Path(__file__).parents[1] / "docs" / "provisioning.md").read_text(encoding="utf-8")
EXAMPLES = {
    name: dedent(text) for name, text in re.findall(r"in `(\S+\.j2)`:\n\n((?: {4}.*\n)+)", PAGE)
}


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Own]:
    for name, text in EXAMPLES.items():
        write(tmp_path, name, text)
    made = Own(tmp_path)
    with made.renderer:
        yield made


def test_there_are_three_which_doctor_finds_well(own: Own) -> None:
    assert list(EXAMPLES) == ["family/polycom.j2", "model/aastra57i.j2", "group/Reception.j2"]
    assert list(errors(own.directory)) == []
    assert list(strays(own.directory, ["Reception"])) == []


@pytest.mark.parametrize(
    ("model_id", "added"),
    [
        (
            "polycom450",
            {"tcpIpApp.sntp.address": "ntp.example.org", "tcpIpApp.sntp.gmtOffset": "3600"},
        ),
        ("aastra57i", {"sip dial plan": '"x+^|xx+*"', "sip dial plan terminator": "1"}),
        (
            "yealinkPhoneSIPT46G",
            {
                "linekey.2.type": "13",
                "linekey.2.line": "1",
                "linekey.2.value": "200",
                "linekey.2.label": "Door",
            },
        ),
        ("aastra53i", {}),
        ("snom300", {}),
    ],
)
def test_they_add_their_keys_and_change_nothing_else(
    own: Own, model_id: str, added: dict[str, str]
) -> None:
    aastra = model_id.startswith("aastra")  # not all of its values stand in quotes
    parse = partial(separated, separator=": ") if aastra else table_of(MODELS[model_id], None).parse

    shipped = parse(render(phone(model_id), own.settings)[0].content)
    assert parse(own.files(model_id, "Reception")[0]) == shipped | added
