"""The table of docs/spec/phones.md §3 as data: every key that each family's file has.

Written from the page and compared whole, so that a missing key, one too many and one with another
value are seen alike.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.profile_parsers.line_tables import LINE_TABLES
from tests.profile_parsers.table import Expected, Table
from tests.profile_parsers.xml_tables import XML_TABLES

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.models import Model

__all__ = ["Expected", "table_of"]

TABLES = XML_TABLES | LINE_TABLES

_BY_MODEL = (
    ("gsHt704", "gsFxs"),
    ("gsHt", "gsHt"),
    ("gsFxs", "gsFxs"),
    ("gsPhone", "gsPhone"),
    ("cisco18x", "cisco18x"),
    ("cisco79", "cisco79"),
)
_BY_FAMILY = {
    "linksysPhone": "linksys",
    "linksysAta": "linksys",
    "karel": "lines",
    "karel-ip11x": "lines",
    "acmePhone": "lines",
}


def table_of(model: Model, version: str | None) -> Table:
    """The keys of a model's file."""
    table = _table(model)
    extra: dict[str, str] = {}
    line = dict(table.line)
    if model.family == "polycom":
        old = version in (None, "polycom1.6", "polycom2.0", "polycom3.1.X")
        extra = {"": "phone1" if old else "polycomConfig"}
    elif model.family == "unidata":
        extra = {"UNICODE/Use_Unicode_On_Displayname": "1"}
    elif version == "yealink7X":
        line |= {"account.{N}.sip_server_host": "{host}", "account.{N}.sip_server_port": "{port}"}
    return Table(**{**table.__dict__, "line": line, "phone": {**table.phone, **extra}})


def _table(model: Model) -> Table:
    if model.family == "unidata":
        return TABLES["hitachi"]
    if model.family in ("grandstream", "ciscoAta"):
        return TABLES[next(name for start, name in _BY_MODEL if model.model_id.startswith(start))]
    return TABLES[_BY_FAMILY.get(model.family, model.family)]
