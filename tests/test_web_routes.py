"""Which request gets which answer (wire.md §1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.support.logs import events
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client

LIST = "/sipxconfig/services"
USERS = f"{LIST}/UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")

SERVICES = (
    "PermissionService",
    "CallGroupService",
    "UserService",
    "ParkOrbitService",
    "PhoneService",
    "TestService",
    "SystemService",
)


def test_the_entrances_lead_to_the_list_without_a_login(client: Client) -> None:
    for path in ("/", "/sipxconfig", "/sipxconfig/"):
        for method in ("GET", "HEAD"):
            response = client.request(method, path, auth=None)
            assert response.status == 302
            assert response.headers["location"] == "/sipxconfig/services/"


@pytest.mark.parametrize("path", [LIST, f"{LIST}/"])
def test_the_list_names_all_services_and_leads_to_them(client: Client, path: str) -> None:
    response = client.request("GET", path)
    assert response.status == 200
    assert response.headers["content-type"] == "text/html; charset=UTF-8"
    for service in SERVICES:
        assert f'href="/sipxconfig/services/{service}"' in response.text


def test_every_service_has_a_page_and_a_wsdl(client: Client) -> None:
    for service in SERVICES:
        page = client.request("GET", f"{LIST}/{service}")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=UTF-8")
        wsdl = client.request("GET", f"{LIST}/{service}?wsdl")
        assert (wsdl.status, wsdl.headers["content-type"]) == (200, "text/xml; charset=UTF-8")
        assert etree.fromstring(wsdl.body).tag == "{http://schemas.xmlsoap.org/wsdl/}definitions"


def test_the_wsdl_is_asked_for_in_any_case_with_any_value(client: Client) -> None:
    queries = "wsdl WSDL Wsdl wsdl=1 wsdl= foo&wsdl a=b&WsDl=UserService %77sdl"
    dot_net = "singleWsdl singlewsdl SINGLEWSDL=1 a&singleWsdl"
    wsdl = client.request("GET", f"{USERS}?wsdl").body
    for query in f"{queries} {dot_net}".split():
        response = client.request("GET", f"{USERS}?{query}")
        assert response.headers["content-type"] == "text/xml; charset=UTF-8"
        assert response.body == wsdl


def _without_proofs(body: bytes) -> bytes:
    """A page whose forms have nothing that each page has anew."""
    return re.sub(rb'name="_token" value="[^"]*"', b"", body)


def test_a_slash_at_the_end_of_a_service_s_path_is_ignored(
    client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    for method, query, body in (("GET", "", b""), ("GET", "?wsdl", b""), ("POST", "", FIND)):
        with_slash = client.request(method, f"{USERS}/{query}", body)
        without = client.request(method, f"{USERS}{query}", body)
        assert with_slash.status == 200
        assert _without_proofs(with_slash.body) == _without_proofs(without.body)
    assert client.request("PUT", f"{USERS}/").headers["allow"] == "GET, HEAD, OPTIONS, POST"
    assert client.request("GET", f"{USERS}/", auth=None).status == 401
    assert {event["route"] for event in events(caplog, "request")} == {USERS, f"{USERS}?wsdl"}


def test_other_queries_get_the_page_and_execute_nothing(client: Client) -> None:
    for query in (
        "",
        "wsdls",
        "x=wsdl",
        "single",
        "singleWsdls",
        "method=findUser",
        "method=findUser&byUserName=x",
    ):
        response = client.request("GET", f"{USERS}?{query}")
        assert response.status == 200
        assert response.headers["content-type"] == "text/html; charset=UTF-8"


def test_head_is_get_without_a_body(client: Client) -> None:
    for path in (LIST, USERS, f"{USERS}?wsdl", "/healthz", "/readyz", "/"):
        get, head = client.request("GET", path), client.request("HEAD", path)
        assert head.status == get.status
        assert head.headers == get.headers
        assert int(head.headers["content-length"]) == len(get.body) > 0
        assert head.body == b""


def test_options_tells_the_methods(client: Client) -> None:
    service = client.request("OPTIONS", USERS)
    assert (service.status, service.body) == (204, b"")
    assert service.headers["allow"] == "GET, HEAD, OPTIONS, POST"
    for path in (LIST, f"{LIST}/", "/", "/healthz"):
        response = client.request("OPTIONS", path)
        assert (response.status, response.headers["allow"]) == (204, "GET, HEAD, OPTIONS")
    assert "content-length" not in service.headers


def test_options_of_a_service_needs_a_login(client: Client) -> None:
    assert client.request("OPTIONS", USERS, auth=None).status == 401
    assert client.request("OPTIONS", LIST, auth=None).status == 401


def test_other_methods_are_not_allowed(client: Client) -> None:
    for method in ("PUT", "DELETE", "PATCH", "TRACE"):
        response = client.request(method, USERS, FIND)
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")


def test_only_services_are_called_by_post(client: Client) -> None:
    for path in (LIST, f"{LIST}/", "/", "/sipxconfig/", "/healthz", "/readyz"):
        response = client.request("POST", path, FIND)
        assert (response.status, response.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "OPTIONS", "PUT"])
def test_an_unknown_service_is_not_found_by_any_method(client: Client, method: str) -> None:
    for name in ("NoService", "userservice", "UserService//", "UserService/x", "/", "..", "\xe9"):
        path = f"{LIST}/{name}"
        assert client.request(method, path, FIND).status == 404
        assert client.request(method, f"{path}?wsdl", FIND).status == 404
        assert client.request(method, path, FIND, auth=None).status == 401


def test_what_is_elsewhere_is_not_found(client: Client) -> None:
    elsewhere = "/x /sipxconfig/x /sipxconfig/servicesX /favicon.ico /SIPXCONFIG/services"
    for path in elsewhere.split():
        assert client.request("GET", path, auth=None).status == 404
        assert client.request("POST", path, FIND, auth=None).status == 404


def test_the_test_service_can_be_switched_off(make_client: Callable[..., Client]) -> None:
    client = make_client(test_service="false")
    assert client.request("GET", f"{LIST}/TestService").status == 404
    assert client.request("POST", f"{LIST}/TestService", FIND).status == 404
    assert "TestService" not in client.request("GET", LIST).text


def test_a_call_is_answered(client: Client) -> None:
    response = client.request("POST", USERS, FIND, {"Content-Type": "text/xml"})
    assert response.status == 200
    assert response.headers["content-type"] == "text/xml; charset=UTF-8"
    assert b"<userName>superadmin</userName>" in response.body
    assert response.headers["content-length"] == str(len(response.body))


def test_no_answer_is_stored_or_guessed_at(client: Client) -> None:
    for path in (LIST, USERS, f"{USERS}?wsdl", "/", "/healthz", "/x"):
        for auth in (None, ("superadmin", "1234")):
            headers = client.request("GET", path, auth=auth).headers
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"


def location(client: Client, path: str = f"{USERS}?wsdl", **headers: str) -> str | None:
    """The address that a WSDL names; None when the request is refused as a whole."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    response = client.request("GET", path, headers=named)
    if response.status == 400:
        assert all(value.encode() not in response.body for value in headers.values())
        return None
    found = etree.fromstring(response.body).find(".//{*}port/{*}address")
    assert found is not None
    return str(found.get("location"))


def test_a_wsdl_names_the_address_of_its_own_request(client: Client) -> None:
    for host in ("pbx.example.org", "10.0.0.7:8080", "[2001:db8::1]:8080", "pbx"):
        assert location(client, Host=host) == f"http://{host}{USERS}"


def test_a_wsdl_is_never_one_of_another_host(client: Client) -> None:
    location(client, Host="evil.example.com")
    assert location(client) == f"http://localhost:8080{USERS}"


def test_what_is_no_host_does_not_get_into_a_wsdl_or_a_page(client: Client) -> None:
    for host in ("a b", "x\n", 'x"/><evil', "x/y", "user@host", "pbx:port", "\xe9.org", ":80"):
        assert location(client, Host=host) is None
        assert client.request("GET", USERS, headers={"Host": host}).status == 400


def test_the_configured_url_is_what_a_wsdl_names(make_client: Callable[..., Client]) -> None:
    client = make_client(public_url="https://pbx.example.org/voice")
    assert location(client, Host="x y") == f"https://pbx.example.org/voice{USERS}"


def test_links_and_redirects_keep_the_path_of_the_configured_url(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(public_url="https://pbx.example.org/voice")
    redirect = client.request("GET", "/", auth=None)
    assert redirect.headers["location"] == "/voice/sipxconfig/services/"
    assert f'href="/voice{USERS}"' in client.request("GET", LIST).text
    assert f"https://pbx.example.org/voice{USERS}" in client.request("GET", USERS).text


def test_a_public_wsdl_needs_no_login_but_all_else_does(make_client: Callable[..., Client]) -> None:
    client = make_client(public_wsdl="true")
    for method in ("GET", "HEAD"):
        response = client.request(method, f"{USERS}?wsdl", auth=None)
        assert (response.status, response.headers["content-type"]) == (
            200,
            "text/xml; charset=UTF-8",
        )
    assert client.request("GET", USERS, auth=None).status == 401
    assert client.request("GET", f"{LIST}?wsdl", auth=None).status == 401
    assert client.request("GET", f"{LIST}/NoService?wsdl", auth=None).status == 401
    assert client.request("POST", f"{USERS}?wsdl", FIND, auth=None).status == 401


def test_a_wsdl_needs_a_login_otherwise(client: Client) -> None:
    assert client.request("GET", f"{USERS}?wsdl", auth=None).status == 401
