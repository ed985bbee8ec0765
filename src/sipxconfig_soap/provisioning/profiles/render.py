"""From a phone to the bytes of its files (phones.md §3)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sipxconfig_soap.provisioning.models import SHARED_FILES
from sipxconfig_soap.provisioning.profiles.environment import Written, extended, shipped
from sipxconfig_soap.provisioning.profiles.families import SHARED, Family, Form, family_of
from sipxconfig_soap.provisioning.profiles.own import PARENT, OwnTemplateError, blame, joined
from sipxconfig_soap.provisioning.profiles.values import (
    Account,
    CannotCarry,
    Value,
    account,
    unused_account,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sipxconfig_soap.provisioning.models import Model
    from sipxconfig_soap.provisioning.phone import PhoneSnapshot, ProvisioningSettings
    from sipxconfig_soap.provisioning.profiles.own import Layer

SIP_PORT = 5060
"""Where SIP servers listen unless something else is said."""


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


def render(
    phone: PhoneSnapshot,
    settings: ProvisioningSettings,
    own: Sequence[tuple[Layer, ...]] | None = None,
) -> tuple[ProfileFile, ...]:
    """The files of a phone, first the one that is shown of them.

    Args:
        phone: the phone.
        settings: what is the same for all phones.
        own: the administrator's templates for each file; None for none.

    Raises:
        OwnTemplateError: one of them cannot be used.
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
        "serial": Written(phone.serial),
        "family": model.family,
        "model": model.model_id,
        "version": phone.version,
        "groups": phone.groups,
        "domain": Value(settings.domain, 1, "registrationServer"),
        "lines": lines,
        "unused": unused,
        # Keys without a line number take their value from line 1, and are empty without lines.
        "first": lines[0] if lines else unused_account(1),
        "many_lines": limit > 1,
    }
    paths = model.profile_paths(phone.serial)
    return tuple(
        ProfileFile(path, _extended(form, layers, context) if layers else _shipped(form, context))
        for path, form, layers in zip(paths, family.forms, own or [()] * len(paths), strict=True)
    )


def shared_file(model: Model, settings: ProvisioningSettings) -> ProfileFile | None:
    """The file that is the same for all phones of a model's family, if they have one."""
    path = SHARED_FILES.get(model.family)
    if path is None:
        return None
    context = {
        "domain": Value(settings.domain, 1, "registrationServer"),
        "port": settings.registrar_port or SIP_PORT,
    }
    return ProfileFile(path, _shipped(SHARED[model.family], context))


def _shipped(form: Form, context: Mapping[str, object]) -> bytes:
    return shipped(form.template, form.escape).render(context).encode()


def _extended(form: Form, own: tuple[Layer, ...], context: Mapping[str, object]) -> bytes:
    try:
        return joined(extended(form, own).generate({**context, PARENT: PARENT}), own).encode()
    except (CannotCarry, OwnTemplateError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the template is to blame
        raise blame(error, own) from None


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
    if settings.line_label == "name":
        found = [replace(each, label=each.name) for each in found]
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
