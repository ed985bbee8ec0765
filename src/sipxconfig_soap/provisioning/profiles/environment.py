"""Jinja2 as profiles use it: every value goes through the rule of the file's format.

The shipped templates and those of the administrator run in the same sandbox. A text that a
template writes is escaped; what stands in a template between its tags is written as it is.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from jinja2 import (
    ChoiceLoader,
    FunctionLoader,
    PackageLoader,
    StrictUndefined,
    TemplateNotFound,
    TemplateSyntaxError,
    Undefined,
    nodes,
)
from jinja2.compiler import CodeGenerator
from jinja2.sandbox import ImmutableSandboxedEnvironment

from sipxconfig_soap.provisioning.profiles import formats
from sipxconfig_soap.provisioning.profiles.own import NOTHING_ELSE, PARENT, blame
from sipxconfig_soap.provisioning.profiles.values import CannotCarry, Value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from jinja2 import Template

    from sipxconfig_soap.provisioning.profiles.families import Form
    from sipxconfig_soap.provisioning.profiles.own import Layer

SHORT_LINE = 79
"""The longest line that a Nortel 11xx reads, in characters."""

_NAMING = (nodes.Extends, nodes.Include, nodes.Import, nodes.FromImport)
"""What names another template."""

_UNESCAPED: dict[type[nodes.Node], str] = {nodes.FilterBlock: "filter", nodes.CallBlock: "call"}
"""Tags of which Jinja2 writes the result without asking `finalize`."""

_SHIPPED = PackageLoader("sipxconfig_soap.provisioning.profiles")


class Written(str):
    """A text that has been escaped already, or needs no escape."""

    __slots__ = ()


def shipped(name: str, escape: Callable[[str], str]) -> Template:
    """A shipped template.

    Args:
        name: without its ending.
        escape: the rule of the format that it writes.
    """
    return _environment(escape, f"{name}.j2", ()).get_template(f"{name}.j2")


def extended(form: Form, own: tuple[Layer, ...]) -> Template:
    """The last of some own templates, each of which may extend the one before it.

    Raises:
        TemplateSyntaxError: it is none.
    """
    return _environment(form.escape, f"{form.template}.j2", own).get_template(own[-1].name)


def check(escape: Callable[[str], str], layer: Layer) -> None:
    """Compile an own template.

    Args:
        escape: the rule of the format that it writes.
        layer: the template.

    Raises:
        OwnTemplateError: it cannot be used.
    """
    environment = _Environment(escape, PARENT, (layer,))
    try:
        tree = environment.parse(layer.text, layer.name, layer.name)
        for tag in tree.find_all(_NAMING):
            for named in tag.iter_child_nodes(only=("template",)):
                if isinstance(named, nodes.Const) and named.value != PARENT:
                    raise TemplateSyntaxError(NOTHING_ELSE, named.lineno, layer.name)  # noqa: TRY301
        environment.get_template(layer.name)
    except Exception as error:  # noqa: BLE001 - whatever it is, the template is to blame
        raise blame(error, (layer,)) from None


@lru_cache(maxsize=64)
def _environment(escape: Callable[[str], str], bottom: str, own: tuple[Layer, ...]) -> _Environment:
    return _Environment(escape, bottom, own)


class _Generator(CodeGenerator):
    """Compiles templates in which everything that is written has been escaped."""

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        if tag := _UNESCAPED.get(type(node)):
            self.fail(f"the tag '{tag}' is not allowed: nothing escapes its text", node.lineno)
        return super().visit(node, *args, **kwargs)


class _Environment(ImmutableSandboxedEnvironment):
    """Templates of one format, and own ones above a shipped one.

    Args:
        escape: the rule of the format.
        bottom: the shipped template.
        own: the own ones above it, upwards.
    """

    code_generator_class = _Generator

    def __init__(self, escape: Callable[[str], str], bottom: str, own: tuple[Layer, ...]) -> None:
        texts = {layer.name: layer.text for layer in own}
        self._below = dict(zip(texts, (bottom, *texts), strict=False))
        super().__init__(
            # With the name as that of the file, by which tracebacks tell templates apart.
            loader=ChoiceLoader(
                [
                    FunctionLoader(
                        lambda name: (texts[name], name, None) if name in texts else None
                    ),
                    _SHIPPED,
                ]
            ),
            autoescape=False,  # finalize escapes, in every format and not only XML
            finalize=self._finalize,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            auto_reload=False,
        )
        self._escape = escape
        self.filters["two_digits"] = lambda number: Written(f"{number:02d}")
        if isinstance(escape, formats.Bare):
            self.filters["quoted"] = self._quoted
            self.filters["entry"] = self._entry

    @staticmethod
    def concat(parts: Iterable[str]) -> str:
        """Join what has been written: by a block, a macro, or the whole template."""
        return Written("".join(parts))

    def join_path(self, template: str, parent: str) -> str:
        """What a template means by the name of another one."""
        if parent not in self._below:
            return template
        if template != PARENT:
            raise TemplateNotFound(template)
        return self._below[parent]

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """The method ``format`` of a text as templates may call it."""
        text = getattr(value, "__self__", None)
        # Jinja2 makes the result a text of the same class, so as if it had been escaped.
        if isinstance(text, Written | Value):
            value = getattr(str(text), value.__name__, None)
        return super().wrap_str_format(value)

    def _finalize(self, value: object) -> str:
        if isinstance(value, Written | int | float | Undefined) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str):
            return _carried(self._escape, value)
        raise formats.Unfit(f"is a {type(value).__name__}, which cannot be written")

    def _quoted(self, value: str) -> str:
        return Written(_carried(formats.quoted, value))

    def _entry(self, value: str, key: str) -> str:
        written = f"{_carried(self._escape, key)} {_carried(self._escape, value)}"
        if len(written) > SHORT_LINE:
            raise _blamed(value, f"makes a line of more than {SHORT_LINE} characters")
        return Written(written)


def _carried(escape: Callable[[str], str], value: str) -> str:
    """A text in a format."""
    try:
        return escape(value)
    except formats.Unfit as reason:
        # Without the cause: nothing of the value may show in a traceback.
        raise _blamed(value, str(reason)) from None


def _blamed(value: str, reason: str) -> Exception:
    """The error that names line and field, if the text is a value and not put together of some."""
    if isinstance(value, Value):
        return CannotCarry(value.line, value.field, reason)
    return formats.Unfit(reason)
