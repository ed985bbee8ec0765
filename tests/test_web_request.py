"""Who sent a request, and to which address (wire.md §7: forwarded headers, other sites)."""

from __future__ import annotations

from ipaddress import ip_network
from typing import TYPE_CHECKING

import pytest

from sipxconfig_soap.settings import Settings
from sipxconfig_soap.web.forwarded import Origin, origin_of
from sipxconfig_soap.web.origin import is_cross_site
from sipxconfig_soap.web.request import Request, is_authority
from tests.support.soap import envelope

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client

LIST = "/sipxconfig/services"
USERS = f"{LIST}/UserService"
FIND = envelope("<con:FindUser><search><byUserName>superadmin</byUserName></search></con:FindUser>")
PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:1::/48"))


def seen(peer: str = "10.0.0.1", scheme: str = "http", **headers: str) -> Origin:
    """What is made of a request that comes from this peer."""
    environ: dict[str, object] = {
        "REMOTE_ADDR": peer,
        "wsgi.url_scheme": scheme,
        "HTTP_HOST": "backend:8080",
        **{f"HTTP_X_FORWARDED_{name.upper()}": value for name, value in headers.items()},
    }
    return origin_of(environ, PROXIES)


EVERYTHING = {"for": "192.0.2.7", "proto": "https", "host": "pbx.example.org", "port": "8443"}


def test_a_trusted_proxy_is_believed() -> None:
    assert seen(**EVERYTHING) == Origin("192.0.2.7", "https", "pbx.example.org:8443")
    assert seen("2001:db8:1::5", **EVERYTHING).address == "192.0.2.7"
    assert seen("::ffff:10.0.0.1", **EVERYTHING).address == "192.0.2.7"


@pytest.mark.parametrize("peer", ["192.0.2.1", "127.0.0.1", "2001:db8:2::5", "", "unix:"])
def test_others_are_not(peer: str) -> None:
    assert seen(peer, **EVERYTHING) == Origin(peer, "http", "backend:8080")


def test_a_proxy_that_says_nothing_changes_nothing() -> None:
    assert seen() == Origin("10.0.0.1", "http", "backend:8080")
    assert seen(scheme="https").scheme == "https"


@pytest.mark.parametrize(
    ("chain", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("192.0.2.7,10.0.0.2,2001:db8:1::1", "192.0.2.7"),
        # What a client has written itself stands on the left of what proxies have seen.
        ("127.0.0.1, 192.0.2.7", "192.0.2.7"),
        ("10.9.9.9, 192.0.2.7, 10.0.0.2", "192.0.2.7"),
        ("10.0.0.3, 10.0.0.2", "10.0.0.3"),
        ("[2001:db8::9]:4711, 10.0.0.2", "2001:db8::9"),
        ("192.0.2.7:4711", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        # An unreadable member ends the chain: what is left of it is not believed, and the client is
        # not taken for the proxy.
        ("192.0.2.7, unknown, 10.0.0.2", "unknown"),
        ("unknown", "unknown"),
        ("<script>", "unknown"),
        # Empty members are none.
        ("192.0.2.7,", "192.0.2.7"),
        (" ,192.0.2.7,, 10.0.0.2 ,", "192.0.2.7"),
        (",", "10.0.0.1"),
        ("", "10.0.0.1"),
    ],
)
def test_the_client_is_the_last_who_is_no_trusted_proxy(chain: str, address: str) -> None:
    assert seen(**{"for": chain}).address == address


def test_who_is_not_named_by_a_proxy_on_this_machine_is_not_on_this_machine() -> None:
    settings = Settings.load({}, trusted_proxies="127.0.0.1", require_https="true")
    peer = {"REMOTE_ADDR": "127.0.0.1"}
    assert not Request(peer, settings).in_the_open
    assert Request({**peer, "HTTP_X_FORWARDED_FOR": "unknown"}, settings).in_the_open
    secure = {"HTTP_X_FORWARDED_FOR": "unknown", "HTTP_X_FORWARDED_PROTO": "https"}
    assert not Request({**peer, **secure}, settings).in_the_open


def test_as_many_members_count_as_there_were_trusted_proxies() -> None:
    chain = {"for": "203.0.113.1, 192.0.2.7, 10.0.0.2"}
    assert seen(proto="https, https, http", **chain).scheme == "https"
    assert seen(proto="https, http, http", **chain).scheme == "http"
    assert seen(host="evil, pbx, inner", **chain).authority == "pbx"
    assert seen(host="pbx", **chain).authority == "pbx"
    assert seen(host="evil, pbx", **{"for": "192.0.2.7"}).authority == "pbx"


@pytest.mark.parametrize("scheme", ["ftp", "javascript", "", "https/x"])
def test_a_forwarded_scheme_is_http_or_https(scheme: str) -> None:
    assert seen(proto=scheme).scheme == "http"


def test_a_forwarded_port_replaces_that_of_the_host() -> None:
    assert seen(port="9000").authority == "backend:9000"
    assert seen(port="80").authority == "backend"
    assert seen(port="443", proto="https").authority == "backend"
    assert seen(port="443").authority == "backend:443"
    assert seen(port="x").authority == "backend:8080"
    assert seen(host="[2001:db8::1]", port="9000").authority == "[2001:db8::1]:9000"
    assert seen(host="[2001:db8::1]:1", port="9000").authority == "[2001:db8::1]:9000"


def test_without_a_host_the_server_names_itself() -> None:
    environ = {"REMOTE_ADDR": "::1", "SERVER_NAME": "pbx", "SERVER_PORT": "8080"}
    assert origin_of(environ, ()) == Origin("::1", "http", "pbx:8080")


def test_a_wsdl_behind_a_trusted_proxy_names_the_address_outside(
    make_client: Callable[..., Client],
) -> None:
    client = make_client(trusted_proxies="127.0.0.1")
    headers = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "pbx.example.org"}
    address = b'location="https://pbx.example.org/sipxconfig/services/UserService"'
    assert address in client.request("GET", f"{USERS}?wsdl", headers=headers).body
    other = {"REMOTE_ADDR": "127.0.0.2"}
    assert (
        address not in client.request("GET", f"{USERS}?wsdl", headers=headers, environ=other).body
    )


def test_a_forwarded_host_is_checked_like_any_other(make_client: Callable[..., Client]) -> None:
    client = make_client(trusted_proxies="127.0.0.1")
    headers = {"X-Forwarded-Host": 'x"><evil/>'}
    assert client.request("GET", f"{USERS}?wsdl", headers=headers).status == 400


def test_plain_http_can_be_refused_to_other_machines(make_client: Callable[..., Client]) -> None:
    client = make_client(require_https="true", public_wsdl="true", trusted_proxies="127.0.0.1")

    def status(path: str = USERS, address: str = "127.0.0.1", **headers: str) -> int:
        forwarded = {f"X-Forwarded-{name.title()}": value for name, value in headers.items()}
        return client.request(
            "GET", path, headers=forwarded, environ={"REMOTE_ADDR": address}
        ).status

    assert status() == 200
    assert status(address="::1") == 200
    assert status(address="192.0.2.1") == 403
    assert status(address="192.0.2.1", path=f"{USERS}?wsdl") == 403
    assert status(address="192.0.2.1", path="/") == 403
    assert status(address="192.0.2.1", proto="https") == 403
    assert status(**{"for": "192.0.2.1"}) == 403
    assert status(**{"for": "192.0.2.1", "proto": "https"}) == 200
    assert status(address="192.0.2.1", path="/healthz") == 200
    assert status(address="192.0.2.1", path="/readyz") == 200


def cross_site(settings: Settings, host: str = "pbx.example.org", **headers: str) -> bool:
    environ = {"HTTP_HOST": host, **{f"HTTP_{name}": value for name, value in headers.items()}}
    return is_cross_site(Request(environ, settings), settings)


@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("pbx.example.org", "http://pbx.example.org"),
        ("pbx.example.org", "https://pbx.example.org"),
        ("PBX.example.org", "http://pbx.EXAMPLE.org:80"),
        ("pbx.example.org:443", "http://pbx.example.org:80"),
        ("pbx.example.org:8080", "http://pbx.example.org:8080"),
        ("[2001:db8::1]:80", "https://[2001:DB8::1]"),
        ("10.0.0.7", "http://10.0.0.7:443"),
    ],
)
def test_an_origin_of_this_server(settings: Settings, host: str, origin: str) -> None:
    assert not cross_site(settings, host, ORIGIN=origin)


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example.com",
        "http://pbx.example.org.evil.example.com",
        "http://pbx.example.org:8080",
        "http://pbx.example.org@evil.example.com",
        "http://pbx.example.org/",
        "http://pbx.example.org, http://evil.example.com",
        "null",
        "pbx.example.org",
        "file://",
        "",
    ],
)
def test_an_origin_elsewhere(settings: Settings, origin: str) -> None:
    assert cross_site(settings, ORIGIN=origin)


def test_what_browsers_say_about_the_site(settings: Settings) -> None:
    assert cross_site(settings, SEC_FETCH_SITE="cross-site")
    assert cross_site(settings, SEC_FETCH_SITE="Cross-Site", ORIGIN="http://pbx.example.org")
    for site in ("same-origin", "none", "same-site"):
        assert not cross_site(settings, SEC_FETCH_SITE=site)
    assert not cross_site(settings)


def test_the_configured_url_is_this_server_too() -> None:
    settings = Settings.load({}, public_url="https://pbx.example.org:8443/voice")
    assert not cross_site(settings, "inner:8080", ORIGIN="https://pbx.example.org:8443")
    assert not cross_site(settings, "inner:8080", ORIGIN="http://inner:8080")
    assert cross_site(settings, "inner:8080", ORIGIN="https://pbx.example.org")


def test_a_page_of_another_site_can_read_but_not_post(client: Client) -> None:
    class NeverRead:
        def read(self, _size: int) -> bytes:
            raise AssertionError("the body was read")

        readline = readlines = __iter__ = read

    body = {"wsgi.input": NeverRead(), "CONTENT_LENGTH": "5"}
    for headers in ({"Origin": "http://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}):
        for path in (USERS, LIST, f"{LIST}/NoService"):
            assert client.request("POST", path, headers=headers, environ=body).status == 403
        assert client.request("GET", USERS, headers=headers).status == 200
    assert client.request("POST", USERS, FIND, {"Origin": "http://localhost:8080"}).status == 200


def test_what_can_be_a_host() -> None:
    for text in (
        "pbx",
        "pbx.example.org.",
        "a_b.c-d",
        "10.0.0.7:1",
        "[::1]",
        "[::ffff:1.2.3.4]:80",
    ):
        assert is_authority(text)
    for text in ("", ":80", "a b", "a/b", "a:b", "a@b", "[a]", "a]", "-a", "a\n", "a:", "é"):
        assert not is_authority(text)
