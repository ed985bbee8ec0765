"""Templates of the administrator, which extend or replace the shipped ones (phones.md §3).

They lie in a directory of theirs, by family, model and group of phones, and are read anew for
every profile: a changed file counts from then on.
"""

from __future__ import annotations

import errno
import os
import re
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jinja2 import TemplateNotFound, TemplateSyntaxError, UndefinedError
from jinja2.exceptions import SecurityError

from sipxconfig_soap.provisioning.bounded import MEGABYTES, TooLong
from sipxconfig_soap.provisioning.profiles.formats import Unfit

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from sipxconfig_soap.provisioning.phone import PhoneSnapshot

LONGEST = 256 * 1024
"""Bytes of an own template."""

LARGEST = 1024 * 1024
"""Characters of a file that an own template makes."""

PARENT = "parent"
"""What own templates call the one below them."""

NOTHING_ELSE = f"own templates extend and include nothing but {PARENT}"

ENDING = ".j2"
"""Of their names."""

_NO_FILE_NAME = re.compile(r"[%/\x00-\x1f\x7f]|^\.")
_WORD = re.compile(r"\w+")
_QUOTED_WORD = re.compile(r"'(\w+)'")


class OwnTemplateError(Exception):
    """An own template cannot be used; the text names the file, the line and what is wrong.

    Values never show in it, since they may be passwords.
    """


class TooMuch(OwnTemplateError):
    """An own template takes more time or memory than it may."""


class Unreadable(OSError):
    """An own template, or the directory, cannot be read; that may pass."""


class Layer(NamedTuple):
    """An own template.

    Attributes:
        name: its path in the directory.
        text: what it says.
    """

    name: str
    text: str


def layers(directory: Path, phone: PhoneSnapshot, form: str, *, first: bool) -> tuple[Layer, ...]:
    """The own templates for a file of a phone, the one that counts most last.

    Args:
        directory: where they are.
        phone: with its groups.
        form: the name of the shipped template of the file.
        first: whether it is the first of the phone's files, that with the lines.

    Raises:
        OwnTemplateError: there is a file by the name of one, and it is none.
        Unreadable: the directory or a file cannot be read for now.
    """
    root = _root(directory)
    found = ((name, _read(root, name)) for name in _names(phone, form, first=first))
    return tuple(Layer(name, text) for name, text in found if text is not None)


def _names(phone: PhoneSnapshot, form: str, *, first: bool) -> Iterator[str]:
    ending = ENDING if first else f"/{form}{ENDING}"
    yield f"family/{phone.model.family}{ending}"
    yield f"model/{phone.model.model_id}{ending}"
    for group in phone.groups:
        yield f"group/{file_name(group)}{ending}"


def file_name(group: str) -> str:
    """How a group is called in file names: without what is special there."""
    return _NO_FILE_NAME.sub(lambda found: f"%{ord(found[0]):02X}", group)


def names(directory: Path) -> list[str]:
    """All files in the directory that may be meant as own templates.

    Raises:
        Unreadable: it cannot be read for now.
    """
    root = _root(directory)
    found = {path for depth in ("*", "*/*", "*/*/*") for path in root.glob(depth)}
    relative = {
        path.relative_to(root) for path in found if path.suffix == ENDING or not path.is_dir()
    }
    return sorted(
        str(path) for path in relative if not any(part.startswith(".") for part in path.parts)
    )


def read(directory: Path, name: str) -> Layer | None:
    """An own template; None where there is none.

    Raises:
        OwnTemplateError: there is a file by this name, and it is none.
        Unreadable: it cannot be read for now.
    """
    text = _read(_root(directory), name)
    return None if text is None else Layer(name, text)


def _root(directory: Path) -> Path:
    try:
        root = Path(os.path.realpath(directory, strict=True))
        with os.scandir(root):
            return root
    except OSError as error:
        raise Unreadable(f"{directory}: {error.strerror}") from error


def _read(root: Path, name: str) -> str | None:
    """The text of an own template; None where there is none."""
    try:
        path = Path(os.path.realpath(root / name, strict=True))
        if not path.is_relative_to(root):
            raise OwnTemplateError(f"{name}: is a link that leads out of {root}")
        if not path.is_file():
            raise OwnTemplateError(f"{name}: is no file")
        with path.open("rb") as file:
            content = file.read(LONGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        if (root / name).is_symlink():
            raise OwnTemplateError(f"{name}: is a link that leads nowhere") from None
        return None
    except OSError as error:
        # No file can have so long a name.
        if error.errno == errno.ENAMETOOLONG:
            return None
        if error.errno == errno.ELOOP:
            raise OwnTemplateError(f"{name}: is a link without end") from None
        raise Unreadable(f"{root / name}: {error.strerror}") from error
    if len(content) > LONGEST:
        raise OwnTemplateError(f"{name}: is longer than {LONGEST // 1024} KiB")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise OwnTemplateError(f"{name}, line {line}: is not UTF-8") from None


def joined(pieces: Iterable[str], own: tuple[Layer, ...]) -> str:
    """A whole file from what own templates make.

    Raises:
        OwnTemplateError: it grows too large.
    """
    found, size = [], 0
    for piece in pieces:
        found.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise OwnTemplateError(f"{own[-1].name}: makes more than {LARGEST // 1024} KiB")
    return "".join(found)


def blame(error: Exception, own: tuple[Layer, ...]) -> OwnTemplateError:
    """What an administrator is told of an error in own templates: where it is, and what.

    Args:
        error: as Jinja2 raised it, with its traceback.
        own: the templates that were at work.
    """
    texts = {layer.name: layer.text for layer in own}
    kind = TooMuch if isinstance(error, TooLong | MemoryError) else OwnTemplateError
    name, line = _place(error, texts)
    if name not in texts:
        return kind(f"{', '.join(texts)}: {_sentence(error, '')}")
    return kind(f"{name}, line {line}: {_sentence(error, texts[name])}")


def _place(error: Exception, names: Container[str]) -> tuple[str | None, int | None]:
    """Name and line of the last own template on the way to an error."""
    if isinstance(error, TemplateSyntaxError):
        return error.name, error.lineno
    frames = [
        (frame.filename, frame.lineno)
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename in names
    ]
    return frames[-1] if frames else (None, None)


def _sentence(error: Exception, text: str) -> str:
    """What is wrong, in words that stand in the template or are known, since others may be values.

    Args:
        error: what was raised.
        text: of the template.
    """
    if isinstance(error, TemplateSyntaxError):
        return error.message or "is no template"
    if isinstance(error, UndefinedError | SecurityError):
        fault = "is undefined" if isinstance(error, UndefinedError) else "is not allowed"
        return f"{_named(error, text)} {fault}"
    for kind, sentence in (
        (TooLong, str(error)),
        (MemoryError, f"takes more than {MEGABYTES} MB of memory"),
        (RecursionError, "calls itself without end, or is nested too deep"),
        (Unfit, f"a value {error}"),
        (TemplateNotFound, NOTHING_ELSE),
    ):
        if isinstance(error, kind):
            return sentence
    return f"fails with {type(error).__name__}"


def _named(error: Exception, text: str) -> str:
    """What an error is about, if the template itself says so."""
    words = set(_WORD.findall(text))
    named = [word for word in _QUOTED_WORD.findall(str(error)) if word in words]
    return f"'{named[-1]}'" if named else "something"
