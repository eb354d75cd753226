"""The Liquidator: one coin's trades and feeds in; zones, levels and events out."""

from .liquidator import Liquidator

__all__ = ["Liquidator"]
