"""The families of phones: format, template and habits of each (the table of phones.md §3).

A template is written in the phone's own syntax; the format's rule is applied to every value that
goes into it. No code is written for a family or a model.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from sipxconfig_soap.provisioning.profiles import formats
from sipxconfig_soap.provisioning.profiles.limits import NONE as NO_LIMITS
from sipxconfig_soap.provisioning.profiles.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from sipxconfig_soap.provisioning.models import Model


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written.

    Attributes:
        template: the name of its template.
        escape: the rule for values; quotes, where the format has them, are the template's choice.
    """

    template: str
    escape: Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Family:
    """How the phones of a family are told their lines.

    Attributes:
        forms: one for each file, in the order of `Model.profile_paths`.
        one_server: all lines register with the server of line 1.
        home_server: which is the one of the settings, since it stands in a file for all phones.
        apostrophes: a quotation mark in a name becomes an apostrophe.
        instrument: phones log in as ``userName/serial``.
        limits: the longest values.
    """

    forms: tuple[Form, ...]
    one_server: bool = False
    home_server: bool = False
    apostrophes: bool = False
    instrument: bool = False
    limits: Limits = NO_LIMITS


def _xml(*templates: str) -> tuple[Form, ...]:
    return tuple(Form(template, formats.xml) for template in templates)


def _lines(template: str) -> tuple[Form, ...]:
    return (Form(template, formats.Bare()),)


# An ATA that is told 0 takes the line, or the value, for one that is not used.
_CISCO_ATA = (Form("cisco-ata", formats.Bare(reserved="0")),)
# Jitsi takes it as an order to forget what it has.
_JITSI = (Form("jitsi", formats.JavaProperty(reserved="${null}")),)
_YEALINK = (Form("yealink", formats.Bare(reserved="%NULL%")),)
_NORTEL = _lines("nortel-11xx")

_LINKSYS = Family((Form("linksys", formats.xml_trimmed),))
_GRANDSTREAM = Family(_xml("grandstream-phone"), instrument=True)
_GRANDSTREAM_FXS = Family(_xml("grandstream-fxs"), one_server=True, instrument=True)

_CISCO_ATA_LIMITS = Limits(
    fail={"user": 31, "auth_user": 51, "password": 31},
    fail_first={"server": 31},
    cut={"name": 31},
    in_bytes=True,
)
_WIRELESS_LIMITS = Limits(fail={"user": 32, "auth_user": 32, "password": 32}, cut={"name": 30})

_PUBLIC: dict[str, Family] = {
    "polycom": Family(_xml("polycom", "polycom-application"), instrument=True),
    "linksysPhone": _LINKSYS,
    "linksysAta": _LINKSYS,
    "snom": Family(_xml("snom")),
    "snomM3Phone": Family(
        _lines("snom-m3"),
        apostrophes=True,
        limits=Limits(
            fail={"user": 36, "auth_user": 36, "password": 36, "host": 32, "voice_mail": 22},
            cut={"name": 20, "label": 13},
        ),
    ),
    "grandstream": _GRANDSTREAM,
    "aastra": Family(_lines("aastra"), apostrophes=True),
    "ciscoIp": Family(_lines("cisco-ip"), apostrophes=True),
    "ciscoplusPhone": Family(
        _xml("ciscoplus"),
        instrument=True,
        limits=Limits(
            fail={"auth_user": 30, "user": 30, "password": 30},
            fail_first={"host": 50},
            cut={"label": 30, "name": 30},
        ),
    ),
    "ciscoAta": Family(
        _CISCO_ATA,
        one_server=True,
        limits=replace(
            _CISCO_ATA_LIMITS,
            fail_first={**_CISCO_ATA_LIMITS.fail_first, "voice_mail": 31},
            cut={"name": 31, "label": 31},
        ),
    ),
    "audiocodesphone": Family(
        _lines("audiocodes-phone"),
        one_server=True,
        instrument=True,
        limits=Limits(fail={"auth_user": 35, "password": 35}, cut={"name": 22}),
    ),
    "gwFxsAudiocodes": Family(
        _lines("audiocodes-fxs"),
        one_server=True,
        apostrophes=True,
        limits=Limits(fail={"user": 50, "password": 50}),
    ),
    "nortel12x0": Family(
        # Which one a phone fetches depends on its software.
        _xml("nortel-12x0") + _NORTEL,
        instrument=True,
        limits=Limits(fail_first={"voice_mail": 20}, cut={"name": 22}),
    ),
    "ipDialog": Family(_xml("ipdialog"), limits=Limits(cut={"name": 22})),
    "nortel": Family(_NORTEL, one_server=True, limits=Limits(fail_first={"voice_mail": 20})),
    "nt1535": Family(_lines("nortel-1535"), one_server=True, home_server=True, instrument=True),
    "lg-nortel": Family(
        _lines("lg-nortel"),
        apostrophes=True,
        instrument=True,
        limits=Limits(fail={"auth_user": 50, "user": 50, "password": 50}, cut={"name": 50}),
    ),
    "unidata": Family(
        _lines("hitachi"),
        one_server=True,
        limits=replace(_WIRELESS_LIMITS, fail_first={"voice_mail": 40}),
    ),
    "hitachi": Family(_lines("hitachi"), one_server=True, limits=_WIRELESS_LIMITS),
    "gtek": Family(_lines("gtek")),
    "gtek-aq": Family(_lines("gtek-aq"), one_server=True),
    "clearone": Family(_xml("clearone"), one_server=True),
    "isphone": Family(_xml("isphone")),
    "counterpath": Family(_lines("counterpath"), apostrophes=True, instrument=True),
    "jitsi": Family(_JITSI),
    "zoiper": Family(_xml("zoiper")),
    "mitel": Family(_xml("mitel"), one_server=True),
    "yealink": Family(_YEALINK, instrument=True),
}

# No public description of their files exists; ours is an ini file that documents itself.
_UNPUBLISHED = dict.fromkeys(("karel", "karel-ip11x", "acmePhone"), Family(_lines("lines")))

FAMILIES = _PUBLIC | _UNPUBLISHED
"""All families."""

SHARED = {
    "ciscoIp": Form("shared/ciscoip-syncinfo", formats.xml),
    "nt1535": Form("shared/nt1535-sysconf", formats.Bare()),
}
"""The forms of files that are the same for all phones of a family."""

_MODELS: tuple[tuple[str, Family], ...] = (
    # Models that are unlike their family. The first pattern that fits the modelId counts.
    ("cisco18x", Family(_CISCO_ATA, one_server=True, limits=_CISCO_ATA_LIMITS)),
    ("gsHt704", _GRANDSTREAM_FXS),
    ("gsHt*", Family(_xml("grandstream-handytone"), instrument=True)),
    (
        "gsFxs*",
        replace(
            _GRANDSTREAM_FXS,
            limits=Limits(fail={"auth_user": 64, "user": 64, "password": 64}, cut={"name": 64}),
        ),
    ),
)


def family_of(model: Model) -> Family:
    """How phones of a model are told their lines."""
    for pattern, family in _MODELS:
        if fnmatchcase(model.model_id, pattern):
            return family
    return FAMILIES[model.family]
