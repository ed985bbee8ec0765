"""The longest values that phones take (phones.md §3): longer ones fail the job, or are cut."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sipxconfig_soap.provisioning.profiles.values import Account, CannotCarry, Value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sipxconfig_soap.provisioning.phone import ProvisioningSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The longest values of a family, by the attributes of `Account` that its file holds.

    Attributes:
        fail: a longer one fails the job. The first that is too long is the one that is named.
        fail_first: the same for keys that take their value from line 1.
        cut: a longer one is cut, since it is only shown.
        in_bytes: counted as UTF-8, not as characters.
    """

    fail: Mapping[str, int] = field(default_factory=dict)
    fail_first: Mapping[str, int] = field(default_factory=dict)
    cut: Mapping[str, int] = field(default_factory=dict)
    in_bytes: bool = False

    def apply(
        self, account: Account, settings: ProvisioningSettings, *, instrument: bool
    ) -> Account:
        """The account with names that are short enough.

        Args:
            account: a line of a phone.
            settings: what decides about the auth user.
            instrument: whether that depends on the setting ``AUTH_USER`` in this family.

        Raises:
            CannotCarry: some value is too long; the reason has the longest that is not.
        """
        longest = {**self.fail, **(self.fail_first if account.number == 1 else {})}
        for name, most in longest.items():
            value: Value = getattr(account, name)
            if self._size(value) > most:
                by_setting = name == "auth_user" and instrument and account.internal
                about = self._auth_user(account, most, settings) if by_setting else self._most(most)
                raise CannotCarry(value.line, value.field, f"is longer than {about}")
        short: dict[str, Any] = {
            name: self._cut(getattr(account, name), most) for name, most in self.cut.items()
        }
        return replace(account, **short)

    def _auth_user(self, account: Account, most: int, settings: ProvisioningSettings) -> str:
        left = most - self._size(account.auth_user) + self._size(account.user)
        if left == most:
            return f"{self._most(most)} to log in with (AUTH_USER={settings.auth_user})"
        return (
            f"the {left} {self._unit} that AUTH_USER={settings.auth_user} leaves of the {most} "
            "that this model takes to log in with"
        )

    def _most(self, most: int) -> str:
        return f"the {most} {self._unit} that this model takes"

    @property
    def _unit(self) -> str:
        return "bytes" if self.in_bytes else "characters"

    def _cut(self, value: Value, most: int) -> Value:
        text = str(value)
        while self._size(text) > most:
            text = text[:-1].rstrip(" ")
        return Value(text, value.line, value.field)

    def _size(self, text: str) -> int:
        return len(text.encode(errors="surrogatepass")) if self.in_bytes else len(text)


NONE = Limits()
"""Of families for which none is known."""
