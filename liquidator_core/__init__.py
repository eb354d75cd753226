"""Liquidation zones and levels from public market data, one closed bar at a time.

>>> import numpy as np
>>> from liquidator_core import BAR, Params, fold, new_signals, new_state
>>> params = Params().to_record()
>>> state = new_state(params)
>>> bars = np.zeros(1000, BAR)  # time in ms, open, high, low, close, volume, and what else is known
>>> out = new_signals(len(bars))
>>> fold(state, params, bars, out)
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

from .layout import BAR, LEVEL, SIGNAL, TRADE, VERSION, ZONE
from .params import Params
from .state import load_state, new_signals, new_state, save_state

if TYPE_CHECKING:
    from .levels import levels_of
    from .step import fold, step, warm_up
    from .zones import zones_of

__version__ = VERSION

__all__ = [
    "BAR",
    "LEVEL",
    "SIGNAL",
    "TRADE",
    "ZONE",
    "Params",
    "fold",
    "levels_of",
    "load_state",
    "new_signals",
    "new_state",
    "save_state",
    "step",
    "warm_up",
    "zones_of",
]

_KERNELS = {"step": "step", "fold": "step", "warm_up": "step", "zones_of": "zones", "levels_of": "levels"}


def __getattr__(name: str) -> Any:
    """Load what is compiled on first use, so that importing the package costs little more than NumPy."""
    if name not in _KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_KERNELS[name]}", __name__), name)


class _Package(ModuleType):
    """Keeps ``step`` the function: importing the submodule of that name would otherwise put the module in its place."""

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value.step if name == "step" and isinstance(value, ModuleType) else value)


sys.modules[__name__].__class__ = _Package


def __dir__() -> list[str]:
    return sorted(__all__)
