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

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .layout import BAR, LEVEL, SIGNAL, TRADE, VERSION, ZONE
from .params import Params
from .state import load_state, new_signals, new_state, save_state

if TYPE_CHECKING:
    from .calls import fold, step, warm_up
    from .levels import levels_of
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

_KERNELS = {"step": "calls", "fold": "calls", "warm_up": "calls", "zones_of": "zones", "levels_of": "levels"}


def __getattr__(name: str) -> Any:
    """Load what is compiled on first use, so that importing the package costs little more than NumPy."""
    if name not in _KERNELS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_KERNELS[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
