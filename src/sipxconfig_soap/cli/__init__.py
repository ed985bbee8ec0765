"""The command line ``sipxconfig-soap``."""

from __future__ import annotations

from sipxconfig_soap.cli.main import main

__all__ = ["main"]
