"""What an administrator may rely on in the shipped templates (docs/spec/phones.md §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from jinja2 import Environment, PackageLoader
from lxml import etree

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.profiles.families import family_of
from sipxconfig_soap.provisioning.profiles.values import unused_account
from tests.profile_parsers import lines
from tests.profile_parsers.tables import table_of
from tests.test_profiles import MAC

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.models import Model

BLOCKS = {"lines", "settings", "own"}

# A key of an administrator in the syntax of each template; the others are XML with an element each.
OWN = {
    "polycom": '<own own="1"/>',
    "snom": '<own perm="R">1</own>',
    "snom-m3": '%OWN%:"1"',
    "aastra": 'own: "1"',
    "cisco-ip": 'own: "1"',
    "cisco-ata": "own:1",
    "audiocodes-phone": "own=1",
    "audiocodes-fxs": "own=1",
    "nortel-11xx": "own 1",
    "nortel-1535": "own 1",
    "lg-nortel": 'own "1"',
    "hitachi": "own=1",
    "gtek": "own=1",
    "gtek-aq": "own=1",
    "counterpath": 'own="1"',
    "jitsi": "own=1",
    "yealink": "own = 1",
    "lines": "[own]\nown=1",
}
ONE_OF_EACH = {family_of(model).forms[0].template: model for model in MODELS.values()}


def environment() -> Environment:
    found = Environment(
        loader=PackageLoader("sipxconfig_soap.provisioning.profiles"),
        autoescape=False,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["quoted"] = lambda value: f'"{value}"'
    found.filters["entry"] = lambda value, key: f"{key} {value}"
    found.filters["two_digits"] = "{:02d}".format
    return found


def without_lines(model: Model) -> dict[str, Any]:
    """What a template is given for a phone without lines."""
    limit = model.max_lines
    return {
        "serial": MAC,
        "family": model.family,
        "model": model.model_id,
        "version": None,
        "domain": "example.org",
        "lines": [],
        "unused": [unused_account(number) for number in range(1, limit + 1)],
        "first": unused_account(1),
        "many_lines": limit > 1,
    }


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_templates_have_the_blocks(name: str) -> None:
    assert environment().get_template(f"{name}.j2").blocks.keys() >= BLOCKS


@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_own_keys_have_a_place_that_the_format_allows(name: str) -> None:
    model = ONE_OF_EACH[name]
    child = '{% extends "' + name + '.j2" %}{% block own %}'
    child += OWN.get(name, "<own>1</own>") + "\n{% endblock %}"
    written = environment().from_string(child).render(without_lines(model))
    table = table_of(model, None)
    found = table.parse(written.encode())
    expected = table.keys(model.max_lines, [])
    (own,) = found.keys() - expected.keys()
    assert own.lower().split()[0].rpartition("/")[2] == "own"
    assert found == expected | {own: "1"}


@pytest.mark.parametrize("block", ["lines", "settings"])
@pytest.mark.parametrize("name", sorted(ONE_OF_EACH))
def test_a_block_may_be_added_to(name: str, block: str) -> None:
    child = f'{{% extends "{name}.j2" %}}{{% block {block} %}}{{{{ super() }}}}{{% endblock %}}'
    context = without_lines(ONE_OF_EACH[name])
    shipped = environment().get_template(f"{name}.j2").render(context)
    assert environment().from_string(child).render(context) == shipped


def test_the_file_that_restarts_a_cisco_7940() -> None:
    written = environment().get_template("shared/ciscoip-syncinfo.j2").render()
    image = etree.fromstring(written)
    assert (image.tag, dict(image.attrib)) == ("IMAGE", {"VERSION": "*", "SYNC": "2"})
    phone = environment().get_template("cisco-ip.j2").render(without_lines(MODELS["cisco7940"]))
    assert lines.separated(phone.encode(), ": ")["sync"] == '"1"'


def test_the_file_that_all_nortel_1535_read() -> None:
    template = environment().get_template("shared/nt1535-sysconf.j2")
    written = template.render(domain="example.org", port=5062)
    assert lines.voip(written.encode()) == {
        "outbound_proxy_server": "example.org",
        "outbound_proxy_port": "5062",
        "proxy_type": "SCS",
        "sip_service_domain": "example.org",
        "line1_proxy_address": "example.org",
        "line1_proxy_port": "5062",
    }
