"""From a phone to the bytes of its files (phones.md §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from jinja2 import Environment, PackageLoader, StrictUndefined

from sipxconfig_soap.provisioning.profiles import formats
from sipxconfig_soap.provisioning.profiles.families import Family, Form, family_of
from sipxconfig_soap.provisioning.profiles.values import (
    Account,
    CannotCarry,
    Value,
    account,
    unused_account,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sipxconfig_soap.provisioning.phone import PhoneSnapshot, ProvisioningSettings

SIP_PORT = 5060
"""Where SIP servers listen unless something else is said."""

SHORT_LINE = 79
"""The longest line that a Nortel 11xx reads, in characters."""


@dataclass(frozen=True, slots=True)
class ProfileFile:
    """A file for a phone.

    Attributes:
        path: relative to the profile root.
        content: the bytes; with passwords, hence not in the repr.
    """

    path: str
    content: bytes

    def __repr__(self) -> str:
        return f"ProfileFile({self.path!r}, {len(self.content)} bytes)"


class _Written(str):
    """A text that has been escaped already, or needs no escape."""

    __slots__ = ()


def render(phone: PhoneSnapshot, settings: ProvisioningSettings) -> tuple[ProfileFile, ...]:
    """The files of a phone: first the one with the lines, then those that name it.

    Raises:
        CannotCarry: some value does not fit into the phone's file, or two lines have servers where
            the phone has one for all; nothing must be left of an older file then.
        ValueError: the serial number is none of the model's, so no safe file name.
    """
    model = phone.model
    if model.clean_serial(phone.serial) != phone.serial:
        raise ValueError(f"{phone.serial!r} is not a cleaned serial number of a {model.model_id}")
    family = family_of(model)
    lines = _accounts(phone, settings, family)
    limit = model.max_lines_for(phone.version)
    unused = [unused_account(number) for number in range(len(lines) + 1, limit + 1)]
    context = {
        "serial": _Written(phone.serial),
        # What templates may ask for, and not write.
        "family": model.family,
        "model": model.model_id,
        "version": phone.version,
        "domain": Value(settings.domain, 1, "registrationServer"),
        "lines": lines,
        "unused": unused,
        # Keys without a line number take their value from line 1, and are empty without lines.
        "first": lines[0] if lines else unused_account(1),
        "many_lines": limit > 1,
    }
    return tuple(
        ProfileFile(path, _rendered(form, context))
        for path, form in zip(model.profile_paths(phone.serial), family.forms, strict=True)
    )


def _rendered(form: Form, context: Mapping[str, object]) -> bytes:
    template = _environment(form.escape).get_template(f"{form.template}.j2")
    return template.render(context).encode()


def _accounts(
    phone: PhoneSnapshot, settings: ProvisioningSettings, family: Family
) -> list[Account]:
    found = [
        account(number, line, phone, settings, instrument=family.instrument)
        for number, line in enumerate(phone.lines, 1)
    ]
    limit = phone.model.max_lines_for(phone.version)
    if len(found) > limit:
        raise CannotCarry(limit + 1, "userId", f"is one too many: the model has {limit}")
    if family.one_server:
        _check_one_server(found)
    if family.home_server:
        _check_home_server(found, settings)
    if family.apostrophes:
        found = [
            replace(each, name=_apostrophes(each.name), label=_apostrophes(each.label))
            for each in found
        ]
    return [family.limits.apply(each, settings, instrument=family.instrument) for each in found]


def _check_one_server(accounts: list[Account]) -> None:
    for each in accounts[1:]:
        if not each.same_server(accounts[0]):
            raise CannotCarry(
                each.number,
                "registrationServer",
                "is another server than that of line 1, and this model has one for all lines",
            )


def _check_home_server(accounts: list[Account], settings: ProvisioningSettings) -> None:
    home = settings.domain.lower(), settings.registrar_port or SIP_PORT
    for each in accounts:
        if (each.host.lower(), int(each.port or SIP_PORT)) != home:
            raise CannotCarry(
                each.number,
                "registrationServer",
                "is another server than that of the SIP domain, which all phones of this model "
                "are given",
            )


def _apostrophes(name: Value) -> Value:
    return Value(name.replace('"', "'"), name.line, name.field)


@cache
def _environment(escape: Callable[[str], str]) -> Environment:
    """Templates of one format: nothing gets into a file but through the rule of the format."""
    carry, carry_quoted = _carried(escape), _carried(formats.quoted)

    def finalize(value: object) -> str:
        if isinstance(value, Value):
            return carry(value)
        if isinstance(value, _Written | int):
            return str(value)
        # A text put together in a template has lost what it was made of, and its escape.
        raise TypeError(f"a template writes a {type(value).__name__}")

    def entry(value: Value, key: str) -> str:
        written = f"{key} {carry(value)}"
        if len(written) > SHORT_LINE:
            raise CannotCarry(
                value.line, value.field, f"makes a line of more than {SHORT_LINE} characters"
            )
        return _Written(written)

    environment = Environment(
        loader=PackageLoader("sipxconfig_soap.provisioning.profiles"),
        autoescape=False,  # noqa: S701 - finalize escapes, in every format and not only XML
        finalize=finalize,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        auto_reload=False,
    )
    environment.filters["quoted"] = lambda value: _Written(carry_quoted(value))
    environment.filters["entry"] = entry
    environment.filters["two_digits"] = lambda number: _Written(f"{number:02d}")
    return environment


def _carried(escape: Callable[[str], str]) -> Callable[[Value], str]:
    """A rule that blames line and field."""

    def carry(value: Value) -> str:
        try:
            return escape(value)
        except formats.Unfit as reason:
            # Without the cause: nothing of the value may show in a traceback.
            raise CannotCarry(value.line, value.field, str(reason)) from None

    return carry
