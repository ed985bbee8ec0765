"""Profile files: what each phone fetches to know its lines (phones.md §3)."""

from __future__ import annotations

from sipxconfig_soap.provisioning.profiles.render import ProfileFile, render
from sipxconfig_soap.provisioning.profiles.values import CannotCarry

__all__ = ["CannotCarry", "ProfileFile", "render"]
