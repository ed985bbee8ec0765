"""How the services are declared: Spyne service classes whose methods are operations.

Spyne keeps the classes, the message types and the table of operations; `operations_of` reads that
table once, at start, for the endpoint, the WSDL and the pages.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sipxconfig_soap.soap.types import NS

from spyne.application import Application  # isort: skip  types makes Spyne importable
from spyne.decorator import rpc  # isort: skip
from spyne.service import Service  # isort: skip

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Operation", "Service", "operation", "operations_of"]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of a service.

    Attributes:
        name: as the WSDL has it (``findUser``).
        element: the name of its input element (``FindUser``), None without input.
        input: the Spyne class of its input, None without.
        output: the Spyne class of its output, None without.
        documentation: what it does, for people.
        writes: whether it changes anything: it runs in a transaction and is audited.
        function: carries it out.
    """

    name: str
    element: str | None
    input: type[Any] | None
    output: type[Any] | None
    documentation: str
    writes: bool
    function: Callable[..., Any]


def operation(
    message: type[Any] | None = None, *, returns: type[Any] | None = None
) -> Callable[[Callable[..., Any]], Any]:
    """Declare a method of a service class as an operation.

    Operations without output change something, the others only read.

    Args:
        message: the type of its input.
        returns: the type of its output.
    """
    arguments = () if message is None else (message,)
    properties = {"input": message, "output": returns}
    keywords = {} if returns is None else {"_returns": returns}
    declare: Callable[[Callable[..., Any]], Any] = rpc(
        *arguments, _body_style="bare", _udp=properties, **keywords
    )
    return declare


def operations_of(service: type[Service]) -> tuple[Operation, ...]:
    """The operations of one service class, in the order in which they are written."""
    declared: Any = service
    return _read_operations(declared)


@cache
def _read_operations(service: Any) -> tuple[Operation, ...]:
    # Each service is a Spyne application of its own: in a common one every service would have the
    # operations of all.
    application = Application([service], NS, name=service.__name__)
    return tuple(
        _operation(application.interface.service_method_map[f"{{{NS}}}{key}"][0])
        for key in application.services[0].public_methods
    )


def _operation(descriptor: Any) -> Operation:
    message, output = descriptor.udp["input"], descriptor.udp["output"]
    return Operation(
        name=descriptor.name,
        element=message.get_type_name() if message else None,
        input=message,
        output=output,
        documentation=inspect.cleandoc(descriptor.function.__doc__ or ""),
        writes=output is None,
        function=descriptor.function,
    )
