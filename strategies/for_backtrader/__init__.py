"""Strategies for backtrader; ``for_module(backtrader_next)`` makes the same ones for that library."""

from __future__ import annotations

import sys
from types import ModuleType

from .base import ZoneStrategy
from .exit import ZoneExit
from .fade import ZoneFade, run_fade
from .join import ZoneJoin
from .library import lz
from .scale import ZoneScale

__all__ = ["ZoneExit", "ZoneFade", "ZoneJoin", "ZoneScale", "ZoneStrategy", "for_module", "run_fade"]


def for_module(library: ModuleType) -> ModuleType:
    """This package with another library in backtrader's place: see ``liquidator_integrations.for_backtrader``.

    >>> import backtrader
    >>> for_module(backtrader).ZoneFade is ZoneFade
    True
    """
    remade = lz.for_module(library)
    return lz.remake(sys.modules[__name__], library.__name__, bt=library, lz=remade)
