"""What the strategies are made of. ``for_module`` puts the same from another library in its place."""

from liquidator_integrations import for_backtrader as lz

bt = lz.bt

__all__ = ["bt", "lz"]
