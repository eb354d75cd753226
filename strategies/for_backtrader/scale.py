"""Scale: add to a position at every zone that holds on its side."""

from __future__ import annotations

from typing import Any

from .fade import ZoneFade

__all__ = ["ZoneScale"]


class ZoneScale(ZoneFade):
    """A strategy that fades zones and adds at every further fade of the position's side, each time with a stop.

    A zone that fades again is added at again. Every entry risks ``risk_share`` anew. Leaves all at once when the zone
    ahead is touched.

    Params:

      - ``max_adds`` (default: ``3``): how often a position is added to
      - the others: see ``ZoneFade``

    >>> result = backtest(bars, ZoneScale)
    >>> len(result.trades), round(result.total_return, 3)
    (46, 0.128)
    """

    params = (("max_adds", 3),)

    def __init__(self, **unknown: Any) -> None:
        super().__init__(**unknown)
        if self.p.max_adds != int(self.p.max_adds) or self.p.max_adds < 0:
            raise ValueError(f"max_adds must be a whole number not below 0, got {self.p.max_adds!r}")

    def may_enter(self, side: float) -> bool:
        adds = sum(bool(entry.executed.size) for entry, _ in self.entries) - 1
        return not self.position or (side * self.position.size > 0 and adds < self.p.max_adds)
