"""The table of docs/spec/phones.md §3 as data: every key that each family's file has.

Written from the page and compared whole, so that a missing key, one too many and one with another
value are seen alike.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.profile_parsers.line_tables import LINE_TABLES
from tests.profile_parsers.table import Expected, Table
from tests.profile_parsers.xml_tables import XML_TABLES

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.models import Model

__all__ = ["Expected", "table_of"]

TABLES = XML_TABLES | LINE_TABLES

_FLAT = "flat-profile/"
_BY_MODEL = (
    ("gsHt704", "gsFxs"),
    ("gsHt502", "gsHtSwitched"),
    ("gsHt70", "gsHtSwitched"),
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
    phone, line, unused = {**table.phone}, {**table.line}, {**table.unused}
    if model.family == "polycom":
        old = version in (None, "polycom1.6", "polycom2.0", "polycom3.1.X")
        phone[""] = "phone1" if old else "polycomConfig"
    elif model.family == "linksysPhone":
        line |= {_FLAT + "Extension_{N}_": "{N}", _FLAT + "Short_Name_{N}_": "{label}"}
        unused |= {_FLAT + "Extension_{N}_": "Disabled", _FLAT + "Short_Name_{N}_": ""}
        phone |= {
            _FLAT + "SPCP_Auto-detect": "No",
            _FLAT + "Signaling_Protocol": "SIP",
            _FLAT + "SPA525-auto-detect-sccp": "No",
        }
        if model.model_id == "SPA501G":
            line[_FLAT + "Dial_Plan_{N}_"] = "([x*].)"
    elif model.family == "unidata":
        phone |= {"UNICODE/Use_Unicode_On_Displayname": "1", "MWI/VMS_Alias": "{voice}"}
    elif model.model_id == "yealinkPhoneW52":
        keys = ("incoming_lines", "dial_out_lines", "dial_out_default_line")
        line |= {f"handset.{{N}}.{key}": "{N}" for key in keys}
    if version == "yealink7X":
        line |= {"account.{N}.sip_server_host": "{host}", "account.{N}.sip_server_port": "{port}"}
    # The gateways of this name have limits, the HandyTone with their codes none.
    longest = 64 if model.model_id.startswith("gsFxs") else table.longest_name
    return replace(table, line=line, unused=unused, phone=phone, longest_name=longest)


def _table(model: Model) -> Table:
    if model.family == "unidata":
        return TABLES["hitachi"]
    if model.family in ("grandstream", "ciscoAta"):
        return TABLES[next(name for start, name in _BY_MODEL if model.model_id.startswith(start))]
    return TABLES[_BY_FAMILY.get(model.family, model.family)]
