"""``python -m sipxconfig_soap``: the same as the command ``sipxconfig-soap``."""

from __future__ import annotations

from sipxconfig_soap.cli import main

main(prog_name="sipxconfig-soap")
