"""Restarts that are challenged, without a network (docs/spec/phones.md §4)."""

from __future__ import annotations

import hashlib
import re

import pytest

from sipxconfig_soap.provisioning.notify import Credentials, Outcome, Result
from sipxconfig_soap.provisioning.notify.digest import first_supported
from tests.support.sip import answer, read_request
from tests.test_notify import MAC, MD5, OTHER, OWN, exchange, planned


def hashed(algorithm: str, *parts: str) -> str:
    return hashlib.new(algorithm, ":".join(parts).encode()).hexdigest()


def authorization(request: bytes, name: str = "Authorization") -> dict[str, str]:
    value = read_request(request)[name]
    assert value.startswith("Digest ")
    pairs = re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', value.removeprefix("Digest "))
    found = {key: quoted or plain for key, quoted, plain in pairs}
    assert len(found) == len(pairs)
    return found


@pytest.mark.parametrize(
    ("code", "asks", "answers"),
    [
        (401, "WWW-Authenticate", "Authorization"),
        (407, "Proxy-Authenticate", "Proxy-Authorization"),
    ],
)
def test_a_challenge_is_answered_once(code: int, asks: str, answers: str) -> None:
    talk = exchange(planned("gsHt502", OWN))
    first = talk.request
    assert talk.on_datagram(answer(first, code, "No", f"{asks}: {MD5}"), 1.0)
    assert talk.outcome is None
    before, after = read_request(first), read_request(talk.request)
    for name in ("Call-ID", "From", "To", "Contact", "Event"):
        assert after[name] == before[name]
    assert after["CSeq"] == "2 NOTIFY"
    assert after["Via"] != before["Via"]
    found = authorization(talk.request, answers)
    ha1 = hashed("md5", f"200/{MAC}", "example.org", "s3cret")
    ha2 = hashed("md5", "NOTIFY", "sip:200@example.org")
    cnonce = found.pop("cnonce")
    assert len(cnonce) >= 16
    assert found == {
        "username": f"200/{MAC}",
        "realm": "example.org",
        "nonce": "abc",
        "uri": "sip:200@example.org",
        "algorithm": "MD5",
        "qop": "auth",
        "nc": "00000001",
        "opaque": "xyz",
        "response": hashed("md5", ha1, "abc", "00000001", cnonce, "auth", ha2),
    }
    # An answer to the first request that comes late means nothing any more.
    assert not talk.on_datagram(answer(first, code, "No", f"{asks}: {MD5}"), 1.1)
    assert talk.outcome is None
    talk.on_datagram(answer(talk.request, 200, "OK"), 1.2)
    assert talk.outcome == Outcome(Result.DONE, "answered 200 OK")


@pytest.mark.parametrize("model_id", ["polycom331", "lip6804"])
def test_a_challenge_to_a_phone_without_a_line_of_a_user_fails(model_id: str) -> None:
    talk = exchange(planned(model_id, OTHER))
    assert not talk.on_datagram(answer(talk.request, 401, "No", f"WWW-Authenticate: {MD5}"), 1.0)
    assert talk.outcome == Outcome(Result.FAILED, "answered 401 No")


def test_a_second_challenge_fails() -> None:
    talk = exchange(planned("gsHt502", OWN))
    for _ in range(2):
        talk.on_datagram(answer(talk.request, 401, "No", f"WWW-Authenticate: {MD5}"), 1.0)
    assert talk.outcome == Outcome(Result.FAILED, "answered 401 No")


def test_a_challenged_request_has_all_its_time_again() -> None:
    talk = exchange(planned("gsHt502", OWN))
    talk.on_datagram(answer(talk.request, 401, "No", f"WWW-Authenticate: {MD5}"), 30.0)
    assert talk.due == 30.5
    assert talk.on_time(33.0)
    assert talk.outcome is None


def test_sha_256_without_qop_and_opaque() -> None:
    talk = exchange(planned("gsHt502", OWN))
    challenge = 'Digest realm="r, \\"1\\"",nonce="n",algorithm=sha-256'
    talk.on_datagram(answer(talk.request, 401, "No", f"WWW-Authenticate: {challenge}"), 1.0)
    value = read_request(talk.request)["Authorization"]
    assert 'realm="r, \\"1\\""' in value
    ha1 = hashed("sha256", f"200/{MAC}", 'r, \\"1\\"', "s3cret")
    ha2 = hashed("sha256", "NOTIFY", "sip:200@example.org")
    assert f'response="{hashed("sha256", ha1, "n", ha2)}"' in value
    assert value.endswith("algorithm=sha-256")


@pytest.mark.parametrize(
    ("values", "nonce"),
    [
        ([MD5], "abc"),
        (['digest NONCE=x , realm = "r"'], "x"),
        (['Basic realm="r"', 'Digest realm="r", nonce="2"'], "2"),
        (['Basic realm="r", Digest realm="r", nonce="2"'], "2"),
        (['Digest realm="r", nonce="1", algorithm=MD5-sess', 'Digest realm="r", nonce="2"'], "2"),
        (['Digest realm="r", nonce="1", qop="auth-int"', 'Digest realm="r", nonce="2"'], "2"),
        (['Digest realm="r", nonce="1", qop="auth-int, AUTH"'], "1"),
        (['Digest realm="r", nonce="1", algorithm=SHA-256', MD5], "1"),
        (['Digest realm="r"', 'Digest nonce="1"', "Digest", "", "=,=", 'Digest realm="r'], None),
    ],
)
def test_the_first_supported_challenge_counts(values: list[str], nonce: str | None) -> None:
    found = first_supported(values)
    assert (found.nonce if found else None) == nonce


@pytest.mark.parametrize("control", ["\r", "\n", "\0", "\x7f", "\t"])
def test_no_control_character_comes_back_in_an_answer(control: str) -> None:
    for value in (
        f'Digest realm="r{control}X: y", nonce="n"',
        f'Digest realm="r\\{control}X: y", nonce="n"',
        f"Digest realm=r{control}X, nonce=n",
    ):
        found = first_supported([value])
        assert found is None or control not in found.realm + found.nonce


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_the_examples_of_rfc_7616(algorithm: str, response: str) -> None:
    challenge = first_supported(
        [
            (
                'Digest realm="http-auth@example.org", qop="auth, auth-int", '
                f"algorithm={algorithm}, "
                'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
                'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
            )
        ]
    )
    assert challenge is not None
    value = challenge.answer(
        Credentials(user="Mufasa", password="Circle of Life"),
        method="GET",
        uri="/dir/index.html",
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )
    assert f'response="{response}"' in value
    assert 'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"' in value


def test_an_unsupported_challenge_fails() -> None:
    talk = exchange(planned("gsHt502", OWN))
    talk.on_datagram(answer(talk.request, 401, "No", 'WWW-Authenticate: Basic realm="r"'), 1.0)
    assert talk.outcome == Outcome(Result.FAILED, "answered 401 No")
