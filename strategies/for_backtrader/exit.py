"""Exit: take profit at the opposite zone."""

from __future__ import annotations

from functools import partial
from typing import Any

from .base import is_alive, is_past
from .fade import ZoneFade
from .library import bt

__all__ = ["ZoneExit"]


class ZoneExit(ZoneFade):
    """A strategy that fades zones and takes profit by a limit order at the near edge of the opposite one, as it moves.

    The order is placed at the close of the bar of the entry's fill. A bar that reaches both stop and target counts as
    stopped. While there is no opposite zone the last target stays. What is left of one that is filled in part leaves at
    the next open.

    Params: see ``ZoneFade``.

    >>> result = backtest(bars, ZoneExit)
    >>> len(result.trades), round(result.total_return, 3)
    (72, -0.015)
    """

    def __init__(self, **unknown: Any) -> None:
        super().__init__(**unknown)
        self.target_order: Any = None  # the bt.Order that takes profit

    def is_over(self) -> bool:
        """Whether the target was filled in part, which leaves a stop that is too large."""
        return self.target_order is not None and bool(self.target_order.executed.size)

    def look_for_entry(self) -> None:
        if self.position:
            self._aim()
        else:
            self._drop_target()
        super().look_for_entry()

    def _aim(self) -> None:
        size = self.position.size
        near = self.zones.resistance_low[0] if size > 0 else self.zones.support_high[0]
        if near != near or (is_alive(self.target_order) and self.target_order.created.price == near):
            return
        self._drop_target()
        take = self.sell if size > 0 else self.buy
        self.target_order = take(size=abs(size), exectype=bt.Order.Limit, price=near)
        _, stop = self.entries[-1]
        self.target_order.active = partial(_works, stop, self.data, len(self.data))

    def _drop_target(self) -> None:
        if self.target_order is not None:
            self.cancel(self.target_order)
            self.target_order = None


def _works(stop: bt.Order, data: bt.feed.DataBase, length: int) -> bool:
    """Whether a target may be filled: its stop was not, on no bar at all, and the feed went on."""
    return stop.alive() and not stop.executed.size and is_past(data, length)
