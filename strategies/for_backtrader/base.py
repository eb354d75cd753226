"""What the zone strategies share: entries with a stop, sizing by risk, and the way out."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, ClassVar

from .library import bt, lz

__all__ = ["ZoneStrategy"]


class TradedZones(lz.LiquidationZones):
    """The nearest zones, drawn, and what entries, stops and exits need."""

    lines = ("atr", "fade_low", "fade_high", "join_low", "join_high", "join", "exit_long", "exit_short")
    plotlines: ClassVar[dict[str, Any]] = {name: {"_plotskip": True} for name in lines}


class ZoneStrategy(bt.Strategy):
    """Enters where a subclass says, with a stop for each entry, and leaves when the zone ahead is touched.

    A subclass has ``look_for_entry``, called at the close of each bar of the first feed, which calls ``enter``.

      - leave: ``exit_long`` / ``exit_short``, the nearest zone ahead was touched: all at the next open
      - stop: with each entry goes a stop order of its size, which works from the fill on, on the same bar too, and is
        gone if the entry is (rejected, as with a broker without margin when a full position gaps up; or too old)
      - size: what loses ``risk_share`` of the account's value between entry and stop, at most ``max_leverage`` times
        that value. Commission and a gap at the fill come on top.

    Params:

      - ``zone_params`` and every field of Params: as for ``LiquidationIndicator``
      - ``allow_short`` (default: ``True``)
      - ``stop_atr`` (default: ``1.0``): distance of the stop from the zone's far edge, in ATR at the signal
      - ``risk_share`` (default: ``0.01``): share of the account lost when stopped
      - ``max_leverage`` (default: ``1.0``): largest notional of an entry, in account values

    ``zones`` is a LiquidationZones with some lines more. Acts on closed bars of the first feed: for larger bars
    resample, a replayed feed raises ValueError.
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
        self.zones = TradedZones(self.data, zone_params=lz.params_of(self.p))
        self.entries: list[tuple[bt.Order, bt.Order]] = []  # since flat: an entry and its stop
        self.exit_order: bt.Order | None = None
        self._acted = 0

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
        if self.position:
            self.look_for_exit()
        if not is_alive(self.exit_order):
            self.look_for_entry()

    def look_for_exit(self) -> None:
        """Leave if the zone ahead was touched."""
        if self.zones.exit_long[0] if self.position.size > 0 else self.zones.exit_short[0]:
            self.leave()
        else:
            self.leave_if_bare()

    def leave_if_bare(self) -> None:
        """Never hold what no stop protects."""
        if any(is_filled(entry) and not stop.alive() and not is_filled(stop) for entry, stop in self.entries):
            self.leave()

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
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        kind = bt.Order.Market if limit is None else bt.Order.Limit
        entry = enter(size=size, exectype=kind, price=limit, transmit=False)
        entry.active = partial(is_past, self.data, len(self.data))
        protection = leave(size=size, exectype=bt.Order.Stop, price=stop, parent=entry)
        protection.active = partial(is_filled, entry)  # from the fill on: backtrader would wait for the bar after it
        self.entries.append((entry, protection))

    def _stake(self, price: float, stop: float) -> float:
        value = self.broker.getvalue()
        size = min(self.p.risk_share * value / abs(price - stop), self.p.max_leverage * value / price)
        return _short_binary(size)


def is_past(data: bt.feed.DataBase, length: int) -> bool:
    """Whether a feed went on since it had ``length`` bars.

    Whenever another feed ticks the broker tries every order again, on the bar that placed it too.
    """
    return len(data) > length


def is_alive(order: bt.Order | None) -> bool:
    """Whether an order may yet be filled."""
    return order is not None and order.alive()


def is_filled(order: bt.Order) -> bool:
    """Whether an order was filled."""
    return order.status == order.Completed


def _short_binary(size: float) -> float:
    """A size rounded down to 36 binary digits, so that entries and their stops add up to nothing, not to a residue."""
    return size - math.fmod(size, math.ldexp(1.0, math.frexp(size)[1] - 36))
