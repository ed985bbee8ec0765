"""TestService (services.md §7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sipxconfig_soap.domain import reset
from sipxconfig_soap.services.messages import fields
from sipxconfig_soap.soap import types
from sipxconfig_soap.soap.service import Service, operation

if TYPE_CHECKING:
    from sipxconfig_soap.domain.work import Work


class TestService(Service):
    """Empties the system, for tests. It can be switched off."""

    @operation(types.ResetServices)
    def resetServices(work: Work, message: Any) -> None:
        """Delete everything of the kinds whose flag is true. There is no way back."""
        reset.reset(work, [flag for flag, value in fields(message).items() if value])
