"""Profile files: what each phone fetches to know its lines (phones.md §3)."""

from __future__ import annotations

from sipxconfig_soap.provisioning.profiles.own import OwnTemplateError, Unreadable
from sipxconfig_soap.provisioning.profiles.render import ProfileFile, render, shared_file
from sipxconfig_soap.provisioning.profiles.renderer import NotWritten, Renderer
from sipxconfig_soap.provisioning.profiles.values import CannotCarry

__all__ = [
    "CannotCarry",
    "NotWritten",
    "OwnTemplateError",
    "ProfileFile",
    "Renderer",
    "Unreadable",
    "render",
    "shared_file",
]
