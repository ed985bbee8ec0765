"""What forms and links of the pages send, and the proof that a form is one of ours (wire.md §8)."""

from __future__ import annotations

import hmac
import secrets
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl

from werkzeug.datastructures import MultiDict

from sipxconfig_soap.errors import VALUE_LIMIT
from sipxconfig_soap.logs import escape
from sipxconfig_soap.web.body import framing_of, read_body
from sipxconfig_soap.web.content import read_content_type
from sipxconfig_soap.web.responses import Refusal, plain

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

    import sqlalchemy as sa

    from sipxconfig_soap.domain.accounts import Account
    from sipxconfig_soap.web.request import Request

TOKEN = "_token"  # noqa: S105 - the name of the field
"""The field in which a form brings its proof."""

FORM_BYTES = 1024 * 1024
"""The largest form that is read."""

MAX_FIELDS = 1000
"""Fields of a form or a query."""

_FORM = "application/x-www-form-urlencoded"
_SALT_BYTES = 16

Fields = MultiDict[str, str]


class Visit(NamedTuple):
    """An administrator, logged in, who asks for a page or sends a form.

    Attributes:
        request: what came.
        account: of the administrator.
        connection: of the request, in autocommit.
    """

    request: Request
    account: Account
    connection: sa.Connection

    def query(self) -> Fields:
        """The fields of the query.

        Raises:
            Refusal: with 400; there are too many.
        """
        query: str = self.request.environ.get("QUERY_STRING", "")
        return _fields(query.encode("latin-1"))

    def form(self, limit: int) -> Fields:
        """The fields of a form that this administrator was given.

        Args:
            limit: bytes that a request may have.

        Raises:
            Refusal: with 400, 413 or 415; with 403 when it is no form of ours, or another's.
            Fault: the body is damaged.
        """
        environ = self.request.environ
        content_type = read_content_type(environ.get("CONTENT_TYPE", ""))
        if content_type.media_type != _FORM:
            raise Refusal(plain(415, "Send the form of the page. Calls go to their service."))
        limit = min(limit, FORM_BYTES)
        found = _fields(read_body(environ, framing_of(environ, content_type, limit), limit))
        if not is_token_of(self.account, found.get(TOKEN, "")):
            sentence = "This form was not made for this login. Open its page again."
            raise Refusal(plain(403, sentence))
        return found


def check_known(
    sent: Fields, known: Container[str], fixed: Mapping[str, Container[str]] = MappingProxyType({})
) -> None:
    """Refuse what a form does not have, or what came twice: nothing sent is dropped.

    Args:
        sent: the fields that came.
        known: names of those that the form has, beside its proof.
        fixed: all values of those that nobody fills in, by name.

    Raises:
        Refusal: with 400.
    """
    for name, values in sent.lists():
        what = None
        if len(values) > 1:
            what = "is given twice"
        elif name != TOKEN and name not in known:
            what = "is not of this form"
        elif name in fixed and values[0] not in fixed[name]:
            what = f"cannot be '{escape(values[0][:VALUE_LIMIT])}'"
        if what is not None:
            shown = escape(name[:VALUE_LIMIT])
            raise Refusal(plain(400, f"The field '{shown}' {what}. Open the page again."))


def _fields(encoded: bytes) -> Fields:
    text = encoded.decode(errors="replace")
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise Refusal(plain(400, f"There are more than {MAX_FIELDS} fields.")) from error
    return MultiDict(pairs)


def token_of(account: Account) -> str:
    """A proof for the forms of one page.

    Pages of other sites cannot read it, and it ends with the PIN. It is another text each time, so
    that the length of a packed page tells nothing of it.
    """
    salt = secrets.token_hex(_SALT_BYTES)
    return salt + _signature(account, salt)


def is_token_of(account: Account, token: str) -> bool:
    """Whether a proof was made for this login."""
    salt, signature = token[: 2 * _SALT_BYTES], token[2 * _SALT_BYTES :]
    return hmac.compare_digest(signature.encode(), _signature(account, salt).encode())


def _signature(account: Account, salt: str) -> str:
    # The hash of the PIN is known to every process of every server, and to no other site.
    key = (account.pin_hash or "").encode()
    message = f"form {salt} {account.user_name}".encode()
    return hmac.digest(key, message, "sha256").hex()
