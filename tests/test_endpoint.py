"""What an endpoint keeps of the requests that it has read: never more than it says, no secrets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sipxconfig_soap.services import build_endpoints
from sipxconfig_soap.soap.endpoint import REMEMBERED, REMEMBERED_BYTES
from tests.support.soap import envelope

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings
    from sipxconfig_soap.soap.endpoint import Endpoint
    from tests.support.client import Client

XML = "text/xml; charset="
USERS = "/sipxconfig/services/UserService"


class Nobody:
    """Finds nothing and changes nothing."""

    reference = "0"

    def invoke(self, *_: Any) -> list[Any]:
        return []


@pytest.fixture
def endpoint(settings: Settings) -> Endpoint:
    return build_endpoints(settings)["UserService"]


def find(name: str) -> bytes:
    return envelope(
        f"<con:FindUser><search><byUserName>{name}</byUserName></search></con:FindUser>"
    )


def kept(endpoint: Endpoint) -> list[bytes]:
    return [body for body, _ in endpoint._parsed]


def test_what_is_kept_is_bounded(endpoint: Endpoint) -> None:
    for number in range(3 * REMEMBERED):
        assert endpoint.call(find(str(number)), None, Nobody()).status == 200
    assert 0 < len(kept(endpoint)) <= REMEMBERED
    endpoint.call(find("x" * REMEMBERED_BYTES), None, Nobody())
    assert max(map(len, kept(endpoint))) <= REMEMBERED_BYTES


def test_a_change_is_not_kept(endpoint: Endpoint) -> None:
    add = "<con:AddUser><user><userName>1</userName></user><pin>s3cret</pin></con:AddUser>"
    assert endpoint.call(envelope(add), None, Nobody()).status == 200
    assert endpoint.call(envelope("<con:ManageUser/>"), None, Nobody()).status == 200
    assert endpoint.call(find("1"), None, Nobody()).status == 200
    assert kept(endpoint) == [find("1")]


def test_a_request_with_a_header_is_not_kept(endpoint: Endpoint) -> None:
    header = b"<soapenv:Header><Password xmlns=''>s3cret</Password></soapenv:Header>"
    whole = find("1").replace(b"<soapenv:Body>", header + b"<soapenv:Body>")
    assert b"s3cret" in whole
    assert endpoint.call(whole, None, Nobody()).status == 200
    assert kept(endpoint) == []


def test_the_same_bytes_in_another_charset_are_another_request(client: Client) -> None:
    body = find("M\xfcller").decode().encode("iso-8859-1")

    def answer(charset: str) -> tuple[int, bool]:
        response = client.request("POST", USERS, body, {"Content-Type": XML + charset})
        return response.status, b"Fault>" in response.body

    expected = {"iso-8859-1": (200, False), "utf-8": (500, True)}
    for charset in ("iso-8859-1", "utf-8", "iso-8859-1"):
        assert answer(charset) == expected[charset]


def test_an_answer_to_what_was_asked_before_is_no_older(client: Client) -> None:
    add = "<con:AddUser><user><userName>new</userName></user></con:AddUser>"
    bodies = (find("new"), envelope(add), find("new"))
    headers = {"Content-Type": "text/xml"}
    answers = [client.request("POST", USERS, body, headers).body for body in bodies]
    assert [answer.count(b"<item>") for answer in answers] == [0, 0, 1]
