"""Adapters between the core and the tools of traders: a room for each stage of a bar's journey."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if __name__ != "liquidator_integrations":  # from a checkout: a second copy of every class would not be the first
    raise ImportError("import liquidator_integrations, not integrations")

if TYPE_CHECKING:
    from .liquidator import Liquidator
    from .market.bars import read_bars
    from .market.sample import sample_bars
    from .tables.indicators import compute_atr, compute_vwap
    from .targets import audit

__all__ = ["Liquidator", "audit", "compute_atr", "compute_vwap", "read_bars", "sample_bars"]

_PLACES = {
    "Liquidator": "liquidator",
    "audit": "targets",
    "compute_atr": "tables.indicators",
    "compute_vwap": "tables.indicators",
    "read_bars": "market.bars",
    "sample_bars": "market.sample",
}


def __getattr__(name: str) -> Any:
    """Load on first use, so that importing the package costs nothing."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_PLACES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
