"""SystemService (docs/spec/services.md §8, wire.md §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.soap import Soap, SoapFault

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.client import Client


def info(soap: Soap, body: str) -> list[tuple[str, str | None]]:
    content = soap.call("SystemService", body)
    assert content.tag == "{http://www.sipfoundry.org/2007/08/21/ConfigService}SystemInfo"
    (domain,) = content
    assert domain.tag == "domain"
    return [(str(child.tag), child.text) for child in domain]


def test_the_domain_is_told_as_configured(make_client: Callable[..., Client]) -> None:
    client = make_client(domain="pbx.test", realm="The realm", domain_aliases="a.test,b.test")
    assert info(Soap(client), "<con:systemInfo/>") == [
        ("name", "pbx.test"),
        ("realm", "The realm"),
        ("aliases", "a.test"),
        ("aliases", "b.test"),
    ]


@pytest.mark.parametrize(
    "body", ["", " \n", '<systemInfo xmlns=""/>', "<con:SystemInfo/>", "<systemInfoRequest/>"]
)
def test_the_domain_is_its_own_realm_by_default(soap: Soap, body: str) -> None:
    assert info(soap, body) == [("name", "example.org"), ("realm", "example.org")]


def test_system_info_has_no_input(soap: Soap) -> None:
    with pytest.raises(SoapFault) as caught:
        soap.call("SystemService", "<con:systemInfo><domain/></con:systemInfo>")
    assert [(p.code, p.field) for p in caught.value.problems] == [("unknownElement", "domain")]
