"""A directory of an administrator's templates, and the files that come of it."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.provisioning import bounded
from sipxconfig_soap.provisioning.bounded import Bounded
from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.provisioning.phone import InternalLine, PhoneSnapshot, ProvisioningSettings
from sipxconfig_soap.provisioning.profiles import OwnTemplateError, Renderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAC = "0004f2abcdef"
NASTY = InternalLine(
    user_name="200", sip_password="s3cret<&>", first_name='"Bob" <x>', last_name="& Söhne"
)
PLAIN = InternalLine(user_name="201", sip_password="s3cret")


HURRY_SECONDS = 0.25


class Hurried(Bounded):
    """A child whose calls may take less than usual: what never ends uses a processor as long."""

    def call(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function, in a child that knows of its limit."""
        if self._process is None or self._process.poll() is not None:
            super().call(exec, f"import {bounded.__name__} as b; b.SECONDS = {HURRY_SECONDS}")
        return super().call(function, *args, **kwargs)


@contextmanager
def hurried() -> Iterator[Bounded]:
    """Such a child; while there is one, its parent names the same limit."""
    with pytest.MonkeyPatch.context() as patch, Hurried() as child:
        patch.setattr(bounded, "SECONDS", HURRY_SECONDS)
        yield child


def phone(model_id: str, *groups: str, line: InternalLine = NASTY) -> PhoneSnapshot:
    """A phone with one line."""
    return PhoneSnapshot(serial=MAC, model=MODELS[model_id], lines=(line,), groups=groups)


def write(directory: Path, name: str, text: str | bytes) -> None:
    """Write an own template, with its folders."""
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())


class Own:
    """Renders with the templates of a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.settings = ProvisioningSettings(domain="example.org", templates=directory)
        self.renderer = Renderer(self.settings)

    def write(self, name: str, text: str | bytes) -> None:
        """Write an own template."""
        write(self.directory, name, text)

    def files(self, model_id: str, *groups: str, line: InternalLine = NASTY) -> tuple[bytes, ...]:
        """All files of a phone."""
        found = self.renderer.render(phone(model_id, *groups, line=line))
        return tuple(file.content for file in found)

    def file(self, model_id: str, *groups: str, line: InternalLine = NASTY) -> str:
        """The first of its files."""
        return self.files(model_id, *groups, line=line)[0].decode()

    def error(self, model_id: str = "aastra53i", *groups: str) -> str:
        """What is said of the own templates of a phone, which cannot be used."""
        with pytest.raises(OwnTemplateError) as caught:
            self.file(model_id, *groups, line=PLAIN)
        assert "s3cret" not in str(caught.value)
        return str(caught.value)

    def child(self) -> int:
        """The process that renders."""
        return self.renderer._bounded.call(os.getpid)
