"""Rendering with the administrator's templates, which may do what they like and harm nobody.

Phones without own templates are rendered here, the others in a child process with limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from cachetools import TTLCache

from sipxconfig_soap.provisioning.bounded import Bounded, Ended, TooLong
from sipxconfig_soap.provisioning.profiles.families import family_of
from sipxconfig_soap.provisioning.profiles.own import (
    Layer,
    OwnTemplateError,
    TooMuch,
    Unreadable,
    layers,
)
from sipxconfig_soap.provisioning.profiles.render import ProfileFile, render
from sipxconfig_soap.provisioning.profiles.values import CannotCarry

if TYPE_CHECKING:
    from sipxconfig_soap.provisioning.phone import PhoneSnapshot, ProvisioningSettings


class NotWritten(Exception):
    """The files of a phone cannot be written now; the text is a sentence that says why."""


Own = tuple[tuple[Layer, ...], ...]

SLOW_SECONDS = 60.0
"""How long templates that took too much are not tried again, unless they change."""


class Renderer:
    """Makes the files of phones; a context manager, for one thread.

    Args:
        settings: what is the same for all phones, and where own templates are.
    """

    def __init__(self, settings: ProvisioningSettings) -> None:
        self._settings = settings
        self._bounded = Bounded()
        # Else each phone of a family would take its time for the same mistake, and those of
        # others would wait.
        self._slow: TTLCache[Own, str] = TTLCache(16, SLOW_SECONDS)

    def render(self, phone: PhoneSnapshot) -> tuple[ProfileFile, ...]:
        """The files of a phone.

        Raises:
            CannotCarry: as `render`.
            OwnTemplateError: an own template cannot be used.
            Unreadable: an own template cannot be read for now.
        """
        own = self._own(phone)
        if not any(own):
            return render(phone, self._settings)
        known = self._slow.get(own)
        if known is not None:
            raise OwnTemplateError(known)
        try:
            return self._bounded.call(render, phone, self._settings, own)
        except TooMuch as error:
            reason = str(error)
        except (Ended, TooLong) as error:
            names = ", ".join(layer.name for file in own for layer in file)
            reason = f"{names}: {error}"
        self._slow[own] = reason
        raise OwnTemplateError(reason)

    def shown(self, phone: PhoneSnapshot) -> tuple[ProfileFile, ...]:
        """The files of a phone for somebody who looks at them.

        Raises:
            NotWritten: for whatever reason `render` has.
        """
        try:
            return self.render(phone)
        except (CannotCarry, OwnTemplateError, Unreadable) as error:
            raise NotWritten(f"The profile cannot be written: {error}.") from error

    def _own(self, phone: PhoneSnapshot) -> Own:
        """The own templates for each file of a phone."""
        directory = self._settings.templates
        if directory is None:
            return ()
        return tuple(
            layers(directory, phone, form.template, first=number == 0)
            for number, form in enumerate(family_of(phone.model).forms)
        )

    def close(self) -> None:
        """End the child process, if there is one; another one is started when it is needed."""
        self._bounded.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
