"""One service on the wire: bytes of a request in, bytes of the answer out.

The dispatch is our own walk over the operations that the Spyne application declares: for a small
call Spyne's contexts and events would take longer than everything else together
(docs/adr/0001-spyne-behind-one-package.md).
"""

from __future__ import annotations

import inspect
from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Any, Protocol

from sipxconfig_soap import incident
from sipxconfig_soap.errors import OutcomeUnknown, Problems, Refused, Unavailable
from sipxconfig_soap.soap import faults, writer
from sipxconfig_soap.soap.encoding import is_encoded, translate
from sipxconfig_soap.soap.envelope import SOAP11, SOAP12, SoapVersion
from sipxconfig_soap.soap.reader import is_nil, local_name, message_reader, unknown_child
from sipxconfig_soap.soap.reply import Reply
from sipxconfig_soap.soap.request import payload_of, version_of
from sipxconfig_soap.soap.service import operations_of
from sipxconfig_soap.soap.wsdl import wsdl_document
from sipxconfig_soap.soap.xml import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lxml.etree import _Element

    from sipxconfig_soap.soap.names import ArrayNames
    from sipxconfig_soap.soap.service import Operation, Service


class Caller(Protocol):
    """Who calls: it carries out an operation on behalf of an administrator."""

    def invoke(
        self, service: str, operation: Operation, arguments: tuple[Any, ...], problems: Problems
    ) -> Any:
        """Run the operation and return its result.

        Raises:
            Refused: the input is refused; ``problems`` of reading it are among the reasons.
            Unavailable: the database is away, and nothing has been changed.
            OutcomeUnknown: it went away at the end of a change.
        """


class _Compiled:
    """An operation with its reader and writer."""

    def __init__(self, operation: Operation, names: ArrayNames) -> None:
        self.operation = operation
        message: Any = operation.input
        self._reader = message_reader(message) if message else None
        self._empty = writer.empty_answer(operation.name)
        self._answer: Callable[[Any], Iterator[bytes]] | None = (
            writer.answer(operation.output, names) if operation.output else None
        )

    def names(self) -> tuple[str, str, str]:
        """What a request may call it: the element, the operation or the input message."""
        name = self.operation.name
        return name[0].upper() + name[1:], name, f"{name}Request"

    def arguments(self, payload: _Element | None, problems: Problems) -> tuple[Any, ...]:
        """Read the input; an operation without input must not be given any.

        Raises:
            Refused: what the operation is about is missing.
        """
        content = None if payload is None or is_nil(payload) else payload
        if self._reader is not None:
            return (self._reader.read(content, "", problems),)
        for child in content if content is not None else ():
            problems.add(unknown_child(child, "", self.operation.name))
        return ()

    def body(self, result: Any) -> Iterable[bytes]:
        """Write what the operation returned."""
        return self._answer(result) if self._answer else (self._empty,)


class Endpoint:
    """One of the services, ready to be called.

    Args:
        service: its class.
        names: how the items of lists are called (wire.md §4).
        max_bytes: of a request, when all its references are followed.

    Attributes:
        name: of the service (``UserService``).
        documentation: what it is for, for people.
        operations: in the order of the WSDL.
    """

    def __init__(
        self, service: type[Service], names: ArrayNames, max_bytes: int = 16 * 1024 * 1024
    ) -> None:
        self.name: str = service.__name__
        self.documentation = inspect.cleandoc(service.__doc__ or "")
        self.operations = operations_of(service)
        self._names: ArrayNames = names
        self._max_bytes = max_bytes
        compiled = [_Compiled(operation, names) for operation in self.operations]
        self._by_name = {name: entry for entry in compiled for name in entry.names()}
        self._without_input = next((c for c in compiled if c.operation.input is None), None)

    def wsdl(self, address: str) -> bytes:
        """The WSDL of the service at this URL."""
        return wsdl_document(self.name, self.operations, address, self._names)

    def call(
        self, body: bytes, charset: str | None, caller: Caller, *, soap12_hint: bool = False
    ) -> Reply:
        """Answer a request with a SOAP message.

        Args:
            body: the request, unpacked.
            charset: of its Content-Type header, None when that names none.
            caller: carries the operation out.
            soap12_hint: whether a request too broken to tell should get a fault of SOAP 1.2.
        """
        version, operation = SOAP12 if soap12_hint else SOAP11, ""
        try:
            root = parse(body, charset)
            version = version_of(root)
            if is_encoded(body):
                translate(root, version, self._max_bytes)
            payload = payload_of(root, version)
            compiled = self._select(payload)
            operation = compiled.operation.name
            problems = Problems()
            arguments = compiled.arguments(payload, problems)
            result = caller.invoke(self.name, compiled.operation, arguments, problems)
            return _reply(version, compiled.body(result), operation)
        except faults.Fault as fault:
            raised = fault
        except Refused as refused:
            raised = faults.refusal(refused)
        except OutcomeUnknown:
            raised = faults.unknown()
        except Unavailable:
            raised = faults.unavailable()
        except Exception as error:  # noqa: BLE001  the net below every call: reported, answered
            raised = faults.internal(incident.report(error))
        return replace(faults.fault_reply(raised, soap12=version is SOAP12), operation=operation)

    def _select(self, payload: _Element | None) -> _Compiled:
        """Which operation is meant."""
        if payload is None:
            if self._without_input is None:
                raise faults.client_fault(
                    f"The Body is empty, but {self.name} has no operation without input"
                )
            return self._without_input
        name = local_name(payload)
        compiled = self._by_name.get(name)
        if compiled is None:
            known = ", ".join(operation.name for operation in self.operations)
            raise faults.client_fault(
                f"{self.name} has no operation '{name[:100]}': it has {known}"
            )
        return compiled


def _reply(version: SoapVersion, body: Iterable[bytes], operation: str) -> Reply:
    """Send in one piece what fits in one, and stream what does not.

    The first two pieces are made before anything is sent, so that a failure up to there is still
    answered with a fault.
    """
    pieces = iter(body)
    first = version.head + next(pieces)
    second = next(pieces, None)
    if second is None:
        return Reply(200, version.content_type, (first + version.tail,), operation=operation)
    stream = chain((first, second), pieces, (version.tail,))
    return Reply(200, version.content_type, stream, operation=operation)
