"""Strategies for backtrader."""

from .fade import ZoneFade, run_fade

__all__ = ["ZoneFade", "run_fade"]
