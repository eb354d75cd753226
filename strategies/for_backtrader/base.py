"""What the zone strategies share: entries with a stop, sizing by risk, and the way out."""

from __future__ import annotations

import logging
import math
from functools import partial
from typing import Any, ClassVar

from .library import bt, lz

__all__ = ["ZoneStrategy"]

_LOG = logging.getLogger("liquidator")


class TradedZones(lz.LiquidationZones):
    """The nearest zones, drawn, and what entries, stops and exits need."""

    lines: Any = ("atr", "fade_low", "fade_high", "join_low", "join_high", "join", "exit_long", "exit_short")
    plotlines: ClassVar[dict[str, Any]] = {name: {"_plotskip": True} for name in lines}

    def _told_as(self) -> str:
        return type(self._owner).__name__  # the strategy, which users know


class ZoneStrategy(bt.Strategy):
    """A strategy that enters where a subclass says, with a stop for each entry, and leaves at the zone ahead.

    A subclass has ``look_for_entry``, called at the close of each bar of the first feed, which calls ``enter``.

      - leave: ``exit_long`` / ``exit_short``, the nearest zone ahead was touched: all at the next open
      - stop: with each entry goes a stop order of its size, which works from the fill on, on the same bar too, and is
        gone if the entry is (rejected, as with a broker without margin when a full position gaps up; or too old)
      - size: what loses ``risk_share`` of the account's value between entry and stop, with the broker's ``mult``;
        notional and commission are at most ``max_leverage`` times that value. Commission and a gap at the fill come on
        top of the risk. The first order that is rejected because cash is short is logged
      - volume fillers: what the bar of its first fill leaves of an entry is called off, and a stop of the size that was
        filled works from the next bar on. Of a stop that is filled in part the rest leaves at the next open

    Params:

      - ``zone_params`` and every field of Params: as for ``LiquidationIndicator``
      - ``allow_short`` (default: ``True``)
      - ``stop_atr`` (default: ``1.0``): distance of the stop from the zone's far edge, in ATR at the signal
      - ``risk_share`` (default: ``0.01``): share of the account lost when stopped
      - ``max_leverage`` (default: ``1.0``): largest notional of an entry with its commission, in account values

    ``zones`` is a LiquidationZones with some lines more. Acts on closed bars of the first feed: for larger bars
    resample, a replayed feed raises ValueError.

    >>> class Joins(ZoneStrategy):
    ...     def look_for_entry(self):
    ...         if not self.position:
    ...             self.enter(self.zones.join[0], self.zones.join_low[0], self.zones.join_high[0])
    >>> len(backtest(bars, Joins).trades) > 0
    True
    """

    params = (
        *lz.ZONE_PARAMS,
        ("allow_short", True),
        ("stop_atr", 1.0),
        ("risk_share", 0.01),
        ("max_leverage", 1.0),
    )

    def __init__(self, **unknown: Any) -> None:
        lz.refuse_unknown(self, unknown)
        super().__init__()
        for name in ("stop_atr", "risk_share", "max_leverage"):
            if not getattr(self.p, name) >= 0.0:
                raise ValueError(f"{name} must not be below 0, got {getattr(self.p, name)!r}")
        if self.data.replaying:
            raise ValueError(
                f"{type(self).__name__} acts on closed bars, a replayed feed shows unfinished ones: use resampledata"
            )
        self.zones = TradedZones(self.data, zone_params=lz.params_of(self.p))  # type: ignore[call-arg]  # takes feeds
        self.entries: list[tuple[bt.Order, bt.Order]] = []  # since flat: an entry and its stop
        self.exit_order: bt.Order | None = None
        self._acted = 0
        self._has_logged_margin = False

    def look_for_entry(self) -> None:
        """Call ``enter`` if this bar's signal is one to trade."""
        raise NotImplementedError

    def next(self) -> None:
        if len(self.data) == self._acted or is_alive(self.exit_order):
            return
        self._acted = len(self.data)
        if not self.position and not self.is_waiting():
            for _, stop in self.entries:
                self.cancel(stop)
            self.entries = []
        if self.position and (self.is_bare() or self.is_over()):
            self.leave()
        else:
            self.settle()
            self.look_for_entry()

    def notify_order(self, order: bt.Order) -> None:
        if order.status == order.Margin and not self._has_logged_margin:
            self._has_logged_margin = True
            name, price = type(self).__name__, order.created.price
            _LOG.warning("%s: cash is short for %g at %g, the order was rejected", name, order.created.size, price)

    def is_bare(self) -> bool:
        """Whether a stop is gone before its time, or was filled in part: never hold what no stop protects."""
        return any(
            entry.executed.size and stop.executed.remsize and (stop.executed.size or not stop.alive())
            for entry, stop in self.entries
        )

    def is_over(self) -> bool:
        """Whether the zone ahead was touched."""
        return bool(self.zones.exit_long[0] if self.position.size > 0 else self.zones.exit_short[0])

    def settle(self) -> None:
        """Call off what the last bar left of an entry that it filled in part, and protect what it filled."""
        for at, (entry, stop) in enumerate(self.entries):
            if entry.status == entry.Partial:
                self.cancel(entry)  # and its stop with it
                again = self.protect(entry.executed.size, stop.created.price)
                again.active = partial(is_past, self.data, len(self.data))
                self.entries[at] = entry, again

    def leave(self) -> None:
        """Close all at the next open; whatever waits is called off."""
        for orders in self.entries:
            for order in orders:
                self.cancel(order)
        self.exit_order = self.close()

    def is_waiting(self) -> bool:
        """Whether an entry is yet to be filled."""
        return any(entry.alive() for entry, _ in self.entries)

    def enter(self, side: float, low: float, high: float, limit: float | None = None) -> None:
        """Buy (side 1) or sell (-1) a zone from ``low`` to ``high``, with a stop beyond its far edge.

        limit   the price to enter at; None = at the next open
        """
        if not side or (side < 0 and not self.p.allow_short):
            return
        distance = self.p.stop_atr * self.zones.atr[0]
        stop = low - distance if side > 0 else high + distance
        price = self.data.close[0] if limit is None else limit
        if not side * (price - stop) > 0.0:
            return
        size = self._stake(price, stop)
        if not size > 0.0:  # nothing left to risk
            return
        enter = self.buy if side > 0 else self.sell
        kind = bt.Order.Market if limit is None else bt.Order.Limit
        entry = enter(size=size, exectype=kind, price=limit, transmit=False)
        entry.active = partial(is_past, self.data, len(self.data))
        protection = self.protect(side * size, stop, parent=entry)
        protection.active = partial(is_filled, entry)  # from the fill on: backtrader would wait for the bar after it
        self.entries.append((entry, protection))

    def protect(self, size: float, price: float, **order: Any) -> bt.Order:
        """Place the stop of a position of this size."""
        return (self.sell if size > 0 else self.buy)(size=abs(size), exectype=bt.Order.Stop, price=price, **order)

    def _stake(self, price: float, stop: float) -> float:
        value, comminfo = self.broker.getvalue(), self.broker.getcommissioninfo(self.data)
        size = self.p.risk_share * value / abs(comminfo.profitandloss(1.0, price, stop))
        most, notional = self.p.max_leverage * value, price * comminfo.p.mult
        size = min(size, most / notional)
        size = min(size, (most - comminfo.getcommission(size, price)) / notional)
        return _short_binary(size)


def is_past(data: bt.feed.DataBase, length: int) -> bool:
    """Whether a feed went on since it had ``length`` bars.

    Whenever another feed ticks the broker tries every order again, on the bar that placed it too.
    """
    return len(data) > length


def is_alive(order: bt.Order | None) -> bool:
    """Whether an order may yet be filled."""
    return order is not None and bool(order.alive())


def is_filled(order: bt.Order) -> bool:
    """Whether an order was filled, all of it."""
    return bool(order.status == order.Completed)


def _short_binary(size: float) -> float:
    """A size rounded down to 36 binary digits, so that entries and their stops add up to nothing, not to a residue."""
    return size - math.fmod(size, math.ldexp(1.0, math.frexp(size)[1] - 36))
