"""What every hostile request must find: a documented answer, and a server that lives on."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lxml import etree

from tests.support.raw import AUTHORIZATION, Wire, post
from tests.support.soap import HEAD, Problem, SoapFault, envelope

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.client import Response
    from tests.support.server import RunningServer

SECRET = "hush-4711"
"""A word in requests that must not come out anywhere."""

LIMIT = 16 * 1024 * 1024
"""Bytes of a request body."""

USERS = "UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")
XML = "Content-Type: text/xml"


@contextmanager
def attacked(server: RunningServer) -> Iterator[Wire]:
    """Connections to a server, which afterwards still serves and has told no secret."""
    seen = len(server.output)
    wire = Wire(server.address)
    yield wire
    answer = wire.send(post(USERS, FIND, XML))
    assert answer is not None
    assert answer.status == 200
    assert b"<userName>superadmin</userName>" in answer.body
    assert server.process.poll() is None
    printed = "".join(server.output[seen:])
    for word in (SECRET, AUTHORIZATION.split()[1], "Traceback", "SELECT", "INSERT"):
        assert word not in printed, word


def documented(answer: Response | None) -> Response:
    """Check an answer's form: a SOAP message, or one sentence for people; nothing leaks."""
    assert answer is not None, "the connection was closed without an answer"
    for word in (SECRET, "Traceback", "/src/", "sipxconfig_soap", "psycopg2", "SELECT "):
        assert word.encode() not in answer.body
    if answer.headers["content-type"] == "text/xml; charset=UTF-8":
        assert answer.body.startswith(HEAD)
        etree.fromstring(answer.body, etree.XMLParser(huge_tree=True))
    else:
        assert answer.status in (400, 413, 414, 415, 417, 431, 501, 505)
        assert len(answer.body) < 300
    return answer


def fault_of(answer: Response | None) -> SoapFault:
    """The fault of an answer that must be one."""
    fault = SoapFault(documented(answer))
    assert fault.status == 500
    return fault


def client_fault(answer: Response | None) -> str:
    """The sentence of a fault with which a request is refused that is no call."""
    fault = fault_of(answer)
    assert (fault.code, fault.problems) == ("soapenv:Client", [])
    return fault.text


def refused(answer: Response | None) -> list[Problem]:
    """The problems of a call whose input is refused."""
    fault = fault_of(answer)
    assert fault.code == "soapenv:Server.userException"
    return fault.problems
