"""Fade: buy the touch of a support zone that held the close, sell that of a resistance zone."""

from __future__ import annotations

from typing import Any

import backtrader as bt
import numpy as np
from liquidator_integrations.backtrader_indicator import LiquidationZones
from liquidator_integrations.backtrader_run import Result, backtest

from liquidator_core import Params

__all__ = ["ZoneFade", "run_fade"]


class ZoneFade(bt.Strategy):
    """Enters when price touches a liquidation zone and closes on the side it came from; one position at a time.

    At the close of a bar, filled at the open of the next:

      - enter: ``fade`` is +1 (long) or -1 (short), flat, and no order waits
      - leave: ``exit_long`` / ``exit_short``, the nearest zone ahead was touched

    Stop: with the entry goes a stop order, which works from the bar of the fill on and is gone if the entry is rejected
    (as with a broker without margin, when a full position gaps up). For a long it lies ``stop_widths`` zone widths
    below the low edge of the zone in which the bar closed, or else of the next one below; for a short mirrored. The
    width of a zone is ATR at its birth times 2 * zone_atr or more, so this needs no other indicator. Where no such
    zone is left at the close nothing is entered.

    Size: what loses ``risk_share`` of the account's value between the close and the stop, at most
    ``max_leverage`` times that value. Commission and a gap at the fill come on top.

    Params:

      - ``zone_params`` (default: ``None``): a ``liquidator_core.Params``; ``None`` means its defaults
      - ``allow_short`` (default: ``True``)
      - ``stop_widths`` (default: ``1.0``): distance of the stop from the zone's far edge, in widths of the zone
      - ``risk_share`` (default: ``0.01``): share of the account lost when stopped
      - ``max_leverage`` (default: ``1.0``): largest notional, in account values

    Acts on closed bars of the first feed: for larger bars resample, a replayed feed raises ValueError.
    """

    params = (
        ("zone_params", None),
        ("allow_short", True),
        ("stop_widths", 1.0),
        ("risk_share", 0.01),
        ("max_leverage", 1.0),
    )

    def __init__(self) -> None:
        for name in ("stop_widths", "risk_share", "max_leverage"):
            if not getattr(self.p, name) >= 0.0:
                raise ValueError(f"{name} must not be below 0, got {getattr(self.p, name)!r}")
        if self.data.replaying:
            raise ValueError("ZoneFade acts on closed bars, a replayed feed shows unfinished ones: use resampledata")
        self.zones = LiquidationZones(self.data, zone_params=self.p.zone_params)
        self.market_order: bt.Order | None = None  # the last entry or exit
        self.stop_order: bt.Order | None = None

    def next(self) -> None:
        if _is_alive(self.market_order):
            return
        if self.position:
            self._look_for_exit()
        else:
            self._look_for_entry()

    def _look_for_entry(self) -> None:
        side = self.zones.fade[0]
        if not side or (side < 0 and not self.p.allow_short):
            return
        stop = self._stop_price(side)
        if not abs(self.data.close[0] - stop) > 0.0:
            return
        size = self._stake(stop)
        if not size > 0.0:  # nothing left to risk
            return
        enter, leave = (self.buy, self.sell) if side > 0 else (self.sell, self.buy)
        self.market_order = enter(size=size, transmit=False)
        self.stop_order = leave(size=size, exectype=bt.Order.Stop, price=stop, parent=self.market_order)
        _work_from_next_bar(self.stop_order, self.data)

    def _look_for_exit(self) -> None:
        leave = self.zones.exit_long[0] if self.position.size > 0 else self.zones.exit_short[0]
        if leave or not _is_alive(self.stop_order):  # never hold what no stop protects
            self.cancel(self.stop_order)
            self.market_order = self.close()

    def _stop_price(self, side: float) -> float:
        """Beyond the far edge of the zone that holds the close or lies next to it; NaN if there is none."""
        close = self.data.close[0]
        zones = self.zones
        below = zones.support_low[0], zones.support_high[0]
        above = zones.resistance_low[0], zones.resistance_high[0]
        if side > 0:
            low, high = above if above[0] <= close else below
            return low - self.p.stop_widths * (high - low)
        low, high = below if below[1] >= close else above
        return high + self.p.stop_widths * (high - low)

    def _stake(self, stop: float) -> float:
        value = self.broker.getvalue()
        close = self.data.close[0]
        return min(self.p.risk_share * value / abs(close - stop), self.p.max_leverage * value / close)


def _work_from_next_bar(order: bt.Order, data: bt.feed.DataBase) -> None:
    """Show an order to the broker from the data's next bar on: the parent's fill, not backtrader's one bar later."""
    created = len(data)
    order.active = lambda: len(data) > created


def _is_alive(order: bt.Order | None) -> bool:
    return order is not None and order.alive()


def run_fade(
    bars: np.ndarray,
    params: Params | None = None,
    cash: float = 10_000.0,
    commission: float = 0.0004,
    **strategy_kwargs: Any,
) -> Result:
    """Backtest ZoneFade on a BAR array; ``strategy_kwargs`` are its params. See ``backtrader_run.backtest``."""
    return backtest(bars, ZoneFade, params, cash, commission, **strategy_kwargs)
