"""TradingView: the same zones, levels and entries as Pine Script v6."""

from .scripts import to_pine

__all__ = ["to_pine"]
