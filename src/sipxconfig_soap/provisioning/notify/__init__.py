"""Telling phones to restart, by SIP NOTIFY over UDP (phones.md §4)."""

from __future__ import annotations

from sipxconfig_soap.provisioning.notify.exchange import Outcome, Result
from sipxconfig_soap.provisioning.notify.notifier import Notifier
from sipxconfig_soap.provisioning.notify.plan import (
    CannotNotify,
    Credentials,
    Notification,
    plan,
)
from sipxconfig_soap.provisioning.notify.transaction import Timers

__all__ = [
    "CannotNotify",
    "Credentials",
    "Notification",
    "Notifier",
    "Outcome",
    "Result",
    "Timers",
    "plan",
]
