"""Fade: buy the touch of a support zone that held the close, sell that of a resistance zone."""

from __future__ import annotations

from typing import Any

import numpy as np

from liquidator_core import Params
from liquidator_integrations.evidence.account import fade_trades

from .base import ZoneStrategy
from .library import lz

__all__ = ["ZoneFade", "run_fade"]


class ZoneFade(ZoneStrategy):
    """A strategy that enters at the near edge of a zone that was touched and held the close; one position at a time.

    When ``fade`` is +1 (long) or -1 (short), flat, and no order waits: a limit order at the zone's near edge, which is
    filled at the next open if that is better, and called off after ``entry_bars`` bars.

    Params:

      - ``entry_bars`` (default: ``3``): bars that the limit order waits; 0 = no limit, at the next open
      - the others, stop, size and exit: see ``ZoneStrategy``

    >>> result = backtest(bars, ZoneFade)
    >>> len(result.trades), round(result.total_return, 3)
    (45, 0.17)
    """

    params = (("entry_bars", 3),)
    account = staticmethod(fade_trades)  # the same without cerebro, for ``ZoneReport``; not what a subclass trades

    def __init__(self, **unknown: Any) -> None:
        super().__init__(**unknown)
        if self.p.entry_bars != int(self.p.entry_bars) or self.p.entry_bars < 0:
            raise ValueError(f"entry_bars must be a whole number not below 0, got {self.p.entry_bars!r}")
        self._ordered = 0

    def look_for_entry(self) -> None:
        if self.is_waiting():
            if len(self.data) < self._ordered + self.p.entry_bars:
                return
            entry, _ = self.entries.pop()
            self.cancel(entry)  # and its stop with it
        if self.may_enter(self.zones.fade[0]):
            side, low, high = self.zones.fade[0], self.zones.fade_low[0], self.zones.fade_high[0]
            near = high if side > 0 else low
            self.enter(side, low, high, limit=near if self.p.entry_bars else None)
            self._ordered = len(self.data)

    def may_enter(self, side: float) -> bool:
        """Whether a fade to this side is one to trade now."""
        return not self.position


def run_fade(
    bars: np.ndarray,
    params: Params | None = None,
    cash: float = 10_000.0,
    commission: float = 0.0004,
    **strategy_kwargs: Any,
) -> lz.Result:
    """Bars to the ``Result`` of ZoneFade; ``strategy_kwargs`` are its params. See ``backtest``.

    >>> run_fade(bars, cash=1000.0).cash
    1000.0
    """
    return lz.backtest(bars, ZoneFade, params, cash, commission, **strategy_kwargs)
