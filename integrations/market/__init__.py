"""What the world says, in: any candles, trades, liquidations and rates to checked arrays."""

from .observed import observed_bars

__all__ = ["observed_bars"]
