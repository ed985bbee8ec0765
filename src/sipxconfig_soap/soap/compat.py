"""Spyne 2.14.0 on today's Python, imported before any of its modules.

Spyne carries a copy of ``six`` whose import hook Python 3.12 no longer understands, so that
``spyne.util.six.moves`` cannot be imported. Its lazy submodules are served from the ``six``
package instead. Spyne's own ``six`` module stays in place: it has names that upstream lacks.
"""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
import warnings
from importlib.abc import Loader, MetaPathFinder
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_SIX = "spyne.util.six"
_BUNDLED = f"{_SIX}.moves"
_UPSTREAM = "six.moves"
_USED = (
    "spyne.application",
    "spyne.decorator",
    "spyne.model.complex",
    "spyne.model.primitive",
    "spyne.service",
)

QUIET_LOGGERS = ("spyne", "spyne.application.client", "spyne.protocol.soap.soap11.invalid")
"""Spyne logs refused envelopes whole, PINs included; nothing of it may reach a log."""


class _MovesFinder(MetaPathFinder, Loader):
    """Answers imports below ``spyne.util.six.moves`` with the modules of ``six.moves``."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname == _BUNDLED or fullname.startswith(_BUNDLED + "."):
            return importlib.util.spec_from_loader(
                fullname, self, is_package=fullname in (_BUNDLED, _BUNDLED + ".urllib")
            )
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return importlib.import_module(_UPSTREAM + spec.name[len(_BUNDLED) :])

    def exec_module(self, module: ModuleType) -> None:
        """The module from ``six`` is complete as it is."""


def install() -> None:
    """Make Spyne importable and silent; calling it again changes nothing."""
    if any(isinstance(finder, _MovesFinder) for finder in sys.meta_path):
        return
    for name in QUIET_LOGGERS:
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False
        logger.setLevel(logging.CRITICAL + 1)
    sys.meta_path.insert(0, _MovesFinder())
    with warnings.catch_warnings():
        # Escapes in docstrings, and the hook that is taken away below.
        warnings.simplefilter("ignore")
        for name in (_SIX, *_USED):
            importlib.import_module(name)
    # The hook that the bundled module has just set up is the one that Python cannot use.
    sys.meta_path[:] = [each for each in sys.meta_path if type(each).__module__ != _SIX]


install()
