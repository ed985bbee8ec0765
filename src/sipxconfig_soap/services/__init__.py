"""The services: thin Spyne classes that turn messages into calls of the domain, and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sipxconfig_soap.services.call_group import CallGroupService
from sipxconfig_soap.services.park_orbit import ParkOrbitService
from sipxconfig_soap.services.permission import PermissionService
from sipxconfig_soap.services.phone import PhoneService
from sipxconfig_soap.services.system import SystemService
from sipxconfig_soap.services.test import TestService
from sipxconfig_soap.services.user import UserService
from sipxconfig_soap.soap.endpoint import Endpoint

if TYPE_CHECKING:
    from sipxconfig_soap.settings import Settings

SERVICES = (
    PermissionService,
    CallGroupService,
    UserService,
    ParkOrbitService,
    PhoneService,
    TestService,
    SystemService,
)


def build_endpoints(settings: Settings) -> dict[str, Endpoint]:
    """The endpoints by the names of their services; TestService can be switched off."""
    return {
        service.__name__: Endpoint(service, settings.wire_array_names, settings.max_request_bytes)
        for service in SERVICES
        if settings.test_service or service is not TestService
    }
