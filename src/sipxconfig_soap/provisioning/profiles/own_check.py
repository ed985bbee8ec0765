"""What is wrong with a directory of own templates, before a phone meets it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.provisioning.bounded import Bounded, Ended, TooLong
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.profiles import formats, own
from sipxconfig_soap.provisioning.profiles.environment import check
from sipxconfig_soap.provisioning.profiles.families import family_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from sipxconfig_soap.provisioning.profiles.families import Form


def errors(directory: Path) -> Iterator[str]:
    """A sentence for every file that cannot be used.

    Raises:
        Unreadable: the directory cannot be read for now.
    """
    with Bounded() as bounded:
        for name in own.names(directory):
            try:
                layer = own.read(directory, name)
                if layer is not None:
                    bounded.call(check, _escape(name), layer)
            except (own.OwnTemplateError, own.Unreadable) as error:
                yield str(error)
            except (Ended, TooLong) as error:
                yield f"{name}: {error}"


def strays(directory: Path, groups: Collection[str]) -> Iterator[str]:
    """A sentence for every file that no phone's profile can ever be made of.

    Args:
        directory: where they are.
        groups: the names of all groups of phones.

    Raises:
        Unreadable: the directory cannot be read for now.
    """
    known = {own.file_name(group) for group in groups}
    for name in own.names(directory):
        kind, who, _ = _parts(name)
        if kind == "group" and who not in known:
            yield f"{name}: there is no such group of phones"
        elif not any(_forms(name)):
            yield f"{name}: is of no family, model or group of phones"


def _escape(name: str) -> Callable[[str], str]:
    """The rule that an own template's texts go through; for groups, one that has all filters."""
    forms = [] if _parts(name)[0] == "group" else list(_forms(name))
    return forms[0].escape if forms else formats.Bare()


def _forms(name: str) -> Iterator[Form]:
    """The forms of the files that an own template may be for."""
    kind, who, form = _parts(name)
    for model in MODELS.values():
        if who == {"family": model.family, "model": model.model_id, "group": who}.get(kind):
            first, *others = family_of(model).forms
            if form is None:
                yield first
            yield from (each for each in others if each.template == form)


def _parts(name: str) -> tuple[str, str, str | None]:
    """What kind of thing an own template is for, which one, and the file if not the first."""
    if not name.endswith(own.ENDING):
        return "", "", None
    kind, _, rest = name.removesuffix(own.ENDING).partition("/")
    who, slash, form = rest.partition("/")
    return kind, who, form if slash else None
