"""Digest authentication: what answers a 401 or 407 (RFC 3261 §22.4, RFC 7616, RFC 8760)."""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from sipxconfig_soap.provisioning.notify.plan import Credentials

_ALGORITHMS: Mapping[str, Callable[[bytes], Any]] = {
    # It is what phones understand, and no more than that.
    "md5": partial(hashlib.md5, usedforsecurity=False),
    "sha-256": hashlib.sha256,
}
_WORD = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"
# Without control characters, since most of it goes back into a header.
_QUOTED = r'"(?P<quoted>(?:[^"\\\x00-\x1f\x7f]|\\[ -~])*)"'
_VALUE = rf'{_QUOTED}|(?P<plain>[^ ,"\x00-\x1f\x7f]+)'
_PART = re.compile(
    rf"[ \t,]*(?:(?P<name>{_WORD})[ \t]*=[ \t]*(?:{_VALUE})|(?P<scheme>{_WORD})(?=[ \t]|$))"
)


@dataclass(frozen=True, slots=True)
class Challenge:
    """A digest challenge that we can answer; texts are as they stood between the quotes."""

    realm: str
    nonce: str
    algorithm: str | None
    opaque: str | None
    auth: bool

    def answer(
        self, credentials: Credentials, *, method: str, uri: str, cnonce: str | None = None
    ) -> str:
        """The value of the header that answers it.

        Args:
            credentials: whose password proves it.
            method: of the request.
            uri: of the request.
            cnonce: our part of what is hashed; made up when it is not given.
        """

        def hashed(text: str) -> str:
            algorithm = _ALGORITHMS[(self.algorithm or "md5").lower()]
            return str(algorithm(text.encode()).hexdigest())

        ha1 = hashed(f"{credentials.user}:{self.realm}:{credentials.password}")
        ha2 = hashed(f"{method}:{uri}")
        parts = {
            "username": f'"{credentials.user}"',
            "realm": f'"{self.realm}"',
            "nonce": f'"{self.nonce}"',
            "uri": f'"{uri}"',
        }
        if self.auth:
            cnonce, count = cnonce or secrets.token_hex(12), "00000001"
            response = hashed(f"{ha1}:{self.nonce}:{count}:{cnonce}:auth:{ha2}")
            parts |= {"qop": "auth", "nc": count, "cnonce": f'"{cnonce}"'}
        else:
            response = hashed(f"{ha1}:{self.nonce}:{ha2}")
        parts["response"] = f'"{response}"'
        if self.algorithm is not None:
            parts["algorithm"] = self.algorithm
        if self.opaque is not None:
            parts["opaque"] = f'"{self.opaque}"'
        return "Digest " + ", ".join(f"{name}={value}" for name, value in parts.items())


def first_supported(values: Iterable[str]) -> Challenge | None:
    """The first challenge of these headers that we can answer, if there is one."""
    for value in values:
        for scheme, parameters in _challenges(value):
            found = _challenge(scheme, parameters)
            if found is not None:
                return found
    return None


def _challenge(scheme: str, parameters: Mapping[str, str]) -> Challenge | None:
    algorithm = parameters.get("algorithm")
    qop = parameters.get("qop")
    offered = None if qop is None else {each.strip().lower() for each in qop.split(",")}
    if (
        scheme.lower() != "digest"
        or not {"realm", "nonce"} <= parameters.keys()
        or (algorithm or "md5").lower() not in _ALGORITHMS
        or (offered is not None and "auth" not in offered)
    ):
        return None
    return Challenge(
        realm=parameters["realm"],
        nonce=parameters["nonce"],
        algorithm=algorithm,
        opaque=parameters.get("opaque"),
        auth=offered is not None,
    )


def _challenges(value: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Schemes and their parameters; what follows something unreadable is left out."""
    scheme: str | None = None
    parameters: dict[str, str] = {}
    position = 0
    while (part := _PART.match(value, position)) is not None:
        position = part.end()
        if part["scheme"] is not None:
            if scheme is not None:
                yield scheme, parameters
            scheme, parameters = part["scheme"], {}
        else:
            text = part["plain"] if part["quoted"] is None else part["quoted"]
            parameters.setdefault(part["name"].lower(), text)
    if scheme is not None:
        yield scheme, parameters
