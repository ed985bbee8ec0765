"""The pages for people (wire.md §1): their examples work, and nothing in them runs."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import subprocess
from typing import TYPE_CHECKING, Any

from lxml import etree, html

from sipxconfig_soap.provisioning.models import MODELS
from sipxconfig_soap.services import build_endpoints
from sipxconfig_soap.web.examples import curl_command, example_request
from tests.support.soap import Soap

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sipxconfig_soap.settings import Settings
    from tests.support.client import Client

LIST = "/sipxconfig/services"

IN_THIS_ORDER = (
    "SystemService",
    "PermissionService",
    "UserService",
    "CallGroupService",
    "ParkOrbitService",
    "PhoneService",
    "TestService",
)
"""All services; what the examples of one presuppose, those before it have made."""


def page(client: Client, service: str) -> Any:
    return html.fromstring(client.request("GET", f"{LIST}/{service}").text)


def texts(document: Any, path: str) -> list[str]:
    return [element.text_content() for element in document.xpath(path)]


def test_every_example_works_as_it_stands(client: Client, soap: Soap) -> None:
    for service in IN_THIS_ORDER:
        examples = texts(page(client, service), "//pre[@class='request']")
        assert examples
        for example in examples:
            assert soap.post(service, example.encode()).status == 200, example


def test_there_is_an_example_for_every_operation(client: Client, settings: Settings) -> None:
    for name, endpoint in build_endpoints(settings).items():
        document = page(client, name)
        names = [operation.name for operation in endpoint.operations]
        assert texts(document, "//section/h2") == names
        requests = texts(document, "//section/pre[@class='request']")
        for operation, request in zip(endpoint.operations, requests, strict=True):
            body = etree.fromstring(request)[0]
            assert etree.QName(body[0]).localname == (operation.element or operation.name)


def test_examples_are_valid_by_the_wsdl(soap: Soap, settings: Settings) -> None:
    for name, endpoint in build_endpoints(settings).items():
        for operation in endpoint.operations:
            if operation.input is not None:
                (message,) = etree.fromstring(example_request(operation))[0]
                soap.schema(name).assertValid(etree.fromstring(etree.tostring(message)))


def test_trying_the_examples_out_deletes_nothing_by_a_flag(settings: Settings) -> None:
    for endpoint in build_endpoints(settings).values():
        for operation in endpoint.operations:
            (body,) = etree.fromstring(example_request(operation))
            for element in body.iter("{*}*"):
                local = etree.QName(element).localname
                assert not (local.startswith("delete") and element.text == "true")
                assert operation.name != "resetServices" or element.text != "true"


def test_a_command_survives_the_shell(client: Client, tmp_path: Path) -> None:
    program = tmp_path / "curl"
    program.write_text("#!/bin/sh\nfor each; do printf '%s\\n' \"$each\"; done\necho --\ncat\n")
    program.chmod(0o755)
    document = page(client, "UserService")
    commands = texts(document, "//pre[@class='command']")
    requests = texts(document, "//pre[@class='request']")
    for command, request in zip(commands, requests, strict=True):
        arguments, body = run(command, tmp_path)
        assert arguments == [
            "--user",
            "superadmin",
            "--header",
            "Content-Type: text/xml; charset=UTF-8",
            "--data-binary",
            "@-",
            "http://localhost:8080/sipxconfig/services/UserService",
        ]
        assert body == request + "\n"


def run(command: str, programs: Path) -> tuple[list[str], str]:
    """What a command hands to curl: its arguments and its input."""
    environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["sh", "-c", command], env=environment, capture_output=True, text=True, check=True
    )
    arguments, _, body = done.stdout.partition("\n--\n")
    return arguments.splitlines(), body


def test_a_name_full_of_signs_does_not_escape_into_the_shell(tmp_path: Path) -> None:
    program = tmp_path / "curl"
    program.write_text("#!/bin/sh\nprintf '%s\\n' \"$2\"\necho --\n")
    program.chmod(0o755)
    name = "o'$(touch$IFS/x);&!~*`"
    arguments, _ = run(curl_command("http://pbx/", name, "<x/>"), tmp_path)
    assert arguments == [name]


def test_a_text_that_looks_like_the_end_does_not_end_the_request(tmp_path: Path) -> None:
    program = tmp_path / "curl"
    program.write_text("#!/bin/sh\necho x\necho --\ncat\n")
    program.chmod(0o755)
    request = "<x>a\nEND\ntouch there\nEND_\n</x>"
    _, body = run(f"cd {tmp_path}; {curl_command('http://pbx/', 'x', request)}", tmp_path)
    assert body == request + "\n"
    assert not (tmp_path / "there").exists()


def test_the_name_of_who_looks_is_in_the_commands_and_escaped(client: Client, soap: Soap) -> None:
    name = "a&'b"
    user = {"userName": name, "groups": ["administrators"]}
    soap.operation("UserService", "addUser", {"user": user, "pin": "4711"})
    response = client.request("GET", f"{LIST}/UserService", auth=(name, "4711"))
    assert response.status == 200
    assert "a&amp;" in response.text
    assert "a&'" not in response.text
    (first, *_) = texts(html.fromstring(response.text), "//pre[@class='command']")
    assert first.startswith("""curl --user 'a&'"'"'b' """)


def test_a_page_says_what_its_service_is_and_where(client: Client, settings: Settings) -> None:
    for name, endpoint in build_endpoints(settings).items():
        document = page(client, name)
        told = document.text_content()
        assert endpoint.documentation in told
        assert all(operation.documentation in told for operation in endpoint.operations)
        links = document.xpath("//a/@href")
        assert f"{LIST}/{name}?wsdl" in links
        assert f"http://localhost:8080{LIST}/{name}?wsdl" in told


def test_every_link_leads_somewhere(client: Client) -> None:
    for start in (LIST, f"{LIST}/", *(f"{LIST}/{name}" for name in IN_THIS_ORDER)):
        document: Any = html.fromstring(client.request("GET", start).text)
        for link in document.xpath("//a/@href"):
            path, _, fragment = str(link).partition("#")
            target = client.request("GET", path or start)
            assert target.status == 200
            assert not fragment or f'id="{fragment}"' in target.text


def test_nothing_runs_and_nothing_is_fetched(client: Client) -> None:
    for path in (LIST, f"{LIST}/UserService"):
        response = client.request("GET", path)
        policy = response.headers["content-security-policy"]
        (style,) = re.findall(r"<style>(.*?)</style>", response.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}';")
        assert "unsafe" not in policy
        document = html.fromstring(response.text)
        assert document.xpath("//script|//img|//link|//iframe|//*[@style]|//*[@onclick]") == []
        assert "url(" not in style
        assert "@import" not in style


def test_another_wire_dialect_has_the_same_examples(make_client: Callable[..., Client]) -> None:
    client = make_client(wire_array_names="legacy")
    soap = Soap(client)
    for example in texts(page(client, "UserService"), "//pre[@class='request']"):
        assert soap.post("UserService", example.encode()).status == 200


def test_the_page_of_the_phone_service_says_which_models_exist(client: Client) -> None:
    models = page(client, "PhoneService").xpath("//tbody/tr/td[1]/code/text()")
    assert models == list(MODELS)
    assert not page(client, "UserService").xpath("//table")
