"""The families of phones: format, template and habits of each (the table of phones.md §3).

A template is written in the phone's own syntax; the format's rule is applied to every value that
goes into it. No code is written for a family or a model.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sipxconfig_soap.provisioning.profiles import formats

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.provisioning.models import Model


@dataclass(frozen=True, slots=True)
class Family:
    """How the phones of a family are told their lines.

    Attributes:
        templates: one for each file, in the order of `Model.profile_paths`.
        escape: the rule for values; quotes, where the format has them, are the templates' choice.
        one_server: all lines register with the server of line 1.
        apostrophes: a quotation mark in a name becomes an apostrophe.
        instrument: phones log in as ``userName/serial``.
    """

    templates: tuple[str, ...]
    escape: Callable[[str], str]
    one_server: bool = False
    apostrophes: bool = False
    instrument: bool = False


_LINES = formats.Bare()
# What a Cisco ATA shows for a line that is not used.
_CISCO_ATA = formats.Bare(reserved="0")
_YEALINK = formats.Bare(reserved="%NULL%")

_PUBLIC: dict[str, Family] = {
    "polycom": Family(("polycom", "polycom-application"), formats.xml, instrument=True),
    "linksysPhone": Family(("linksys",), formats.xml),
    "linksysAta": Family(("linksys",), formats.xml),
    "snom": Family(("snom",), formats.xml),
    "snomM3Phone": Family(("snom-m3",), _LINES, apostrophes=True),
    "aastra": Family(("aastra",), _LINES),
    "ciscoIp": Family(("cisco-ip",), _LINES, apostrophes=True),
    "ciscoplusPhone": Family(("ciscoplus",), formats.xml, instrument=True),
    "ciscoAta": Family(("cisco-ata",), _CISCO_ATA, one_server=True),
    "audiocodesphone": Family(("audiocodes-phone",), _LINES, one_server=True, instrument=True),
    "gwFxsAudiocodes": Family(("audiocodes-fxs",), _LINES, one_server=True, apostrophes=True),
    "nortel12x0": Family(("nortel-12x0",), formats.xml, instrument=True),
    "ipDialog": Family(("ipdialog",), formats.xml),
    "nortel": Family(("nortel-11xx",), _LINES, one_server=True),
    "nt1535": Family(("nortel-1535",), _LINES, instrument=True),
    "lg-nortel": Family(("lg-nortel",), _LINES, apostrophes=True, instrument=True),
    "unidata": Family(("unidata",), _LINES, one_server=True),
    "hitachi": Family(("hitachi",), _LINES, one_server=True),
    "gtek": Family(("gtek",), _LINES),
    "gtek-aq": Family(("gtek-aq",), _LINES, one_server=True),
    "clearone": Family(("clearone",), formats.xml, one_server=True),
    "isphone": Family(("isphone",), formats.xml),
    "counterpath": Family(("counterpath",), _LINES, apostrophes=True, instrument=True),
    "jitsi": Family(("jitsi",), formats.java_property),
    "zoiper": Family(("zoiper",), formats.xml),
    "mitel": Family(("mitel",), formats.xml, one_server=True),
    "yealink": Family(("yealink",), _YEALINK, instrument=True),
}

# No public description of their files exists; ours is an ini file that documents itself.
_UNPUBLISHED = dict.fromkeys(("karel", "karel-ip11x", "acmePhone"), Family(("lines",), _LINES))

FAMILIES = _PUBLIC | _UNPUBLISHED
"""All families but grandstream, which is three."""

_GRANDSTREAM: tuple[tuple[str, Family], ...] = (
    # The first pattern that fits the modelId counts.
    ("gsPhone*", Family(("grandstream-phone",), formats.xml, instrument=True)),
    ("gsHt704", Family(("grandstream-fxs",), formats.xml, one_server=True, instrument=True)),
    ("gsHt*", Family(("grandstream-handytone",), formats.xml, instrument=True)),
    ("gsFxs*", Family(("grandstream-fxs",), formats.xml, one_server=True, instrument=True)),
)


def family_of(model: Model) -> Family:
    """How phones of a model are told their lines."""
    if model.family == "grandstream":
        return next(
            family for pattern, family in _GRANDSTREAM if fnmatchcase(model.model_id, pattern)
        )
    return FAMILIES[model.family]
