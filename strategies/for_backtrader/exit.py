"""Exit: take profit at the opposite zone."""

from __future__ import annotations

from functools import partial
from typing import Any

from .base import is_alive, is_past
from .fade import ZoneFade
from .library import bt

__all__ = ["ZoneExit"]


class ZoneExit(ZoneFade):
    """Fades zones, and takes profit by a limit order at the near edge of the opposite zone, moved as that moves.

    The order is placed at the close of the bar of the entry's fill. A bar that reaches both stop and target counts as
    stopped. While there is no opposite zone the last target stays.

    Params: see ``ZoneFade``.
    """

    def __init__(self, **unknown: Any) -> None:
        super().__init__(**unknown)
        self.target_order: bt.Order | None = None

    def look_for_exit(self) -> None:
        self.leave_if_bare()
        if is_alive(self.exit_order):
            return
        size = self.position.size
        near = self.zones.resistance_low[0] if size > 0 else self.zones.support_high[0]
        if near != near or (is_alive(self.target_order) and self.target_order.created.price == near):
            return
        if self.target_order is not None:
            self.cancel(self.target_order)
        take = self.sell if size > 0 else self.buy
        self.target_order = take(size=abs(size), exectype=bt.Order.Limit, price=near)
        _, stop = self.entries[-1]
        self.target_order.active = partial(_works, stop, self.data, len(self.data))

    def leave(self) -> None:
        self._drop_target()
        super().leave()

    def look_for_entry(self) -> None:
        if not self.position:
            self._drop_target()
        super().look_for_entry()

    def _drop_target(self) -> None:
        if self.target_order is not None:
            self.cancel(self.target_order)
            self.target_order = None


def _works(stop: bt.Order, data: bt.feed.DataBase, length: int) -> bool:
    return stop.alive() and is_past(data, length)
