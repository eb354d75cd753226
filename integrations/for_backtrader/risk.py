"""Liquidation at risk in backtrader: lines, and a sizer that takes them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from ..tables.risk import liquidation_at_risk, risk_columns, risk_memory
from ..tables.risk_law import prior_of
from .engine import ZONE_PARAMS, Follower, params_of, refuse_unknown
from .feeds import known_after_ms
from .library import bt

__all__ = ["LiquidationRisk", "RiskSizer"]

HOUR = 3_600_000
RISK_PARAMS = (
    ("move", 0.02),
    ("horizon", "4h"),
    ("feed", "binance"),
    ("market", "perpetual"),
    ("observed", None),
    *(one for one in ZONE_PARAMS if one[0] != "observed"),
)


class LiquidationRisk(bt.Indicator):
    """USD that are liquidated if price goes ``move`` within the horizon, and what they are worked out from.

    Lines, a side (``long``: if price falls; ``short``: if it rises), known at the bar's close:

      - ``expected_long_usd``, ``expected_long_usd_low``, ``expected_long_usd_high``: USD and its 80 % band
      - ``ledger_long_usd_1pct``, ``ledger_long_usd_2atr``: USD of the ledger within 1 % and two ATR of the close
      - ``scale_long``: a, as in use; and ``scale_short`` and so on

    Params:

      - ``move`` (default: ``0.02``): share of the close; it does not say that price gets there
      - ``horizon`` (default: ``"4h"``), ``feed`` (``"binance"``), ``market`` (``"perpetual"``), ``observed``
        (``None``): as for ``liquidator_integrations.risk_columns``
      - ``zone_params`` and every field of Params but ``observed``, as for ``LiquidationIndicator``

    Inputs are bars of an hour or less; those of a ``CandleFeed`` carry the time that its ``stamp`` says, those of
    others that of their open. NaN until ``risk_memory`` hours were seen, and on a bar without usable prices.
    With runonce all bars are worked out at once; without, each one from its memory, some 3 ms.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.addindicator(LiquidationRisk, move=0.02, market="spot")
    >>> strategy = cerebro.run()[0]
    >>> bool(strategy.getindicators()[0].expected_long_usd[0] > 0.0)
    True
    """

    lines = tuple(
        f"{name}_{side}{rest}"
        for side in ("long", "short")
        for name, rest in (
            ("expected", "_usd"),
            ("expected", "_usd_low"),
            ("expected", "_usd_high"),
            ("ledger", "_usd_1pct"),
            ("ledger", "_usd_2atr"),
            ("scale", ""),
        )
    )
    params = RISK_PARAMS
    plotinfo: ClassVar[dict[str, Any]] = {"subplot": True}
    plotlines: ClassVar[dict[str, Any]] = {
        name: {"_plotskip": not name.endswith(("long_usd", "short_usd"))} for name in lines
    }

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        _check_move(self.p.move)
        prior_of(self.p.feed, self.p.market, self.p.horizon)
        self._params = params_of(self.p, but="observed")
        self._follower = Follower(self.data, self._params, type(self).__name__)
        self._hours = risk_memory(self._params, self.p.observed)

    def _plotlabel(self) -> list[Any]:
        return [self.p.horizon, self.p.market]

    def next(self) -> None:
        for name, values in self._columns(_last_hours(self._follower, self._hours)).items():
            getattr(self.lines, name)[0] = values[-1]

    def oncestart(self, start: int, end: int) -> None:
        pass  # once() goes through all bars

    def once(self, start: int, end: int) -> None:
        if end > 0:
            bars = _opening(self._follower, self._follower.read(0, end))
            for name, values in self._columns(bars).items():
                np.frombuffer(getattr(self.lines, name).array)[:end] = values

    def _columns(self, bars: np.ndarray) -> dict[str, np.ndarray]:
        p = self.p
        reached = {"low": bars["close"] * (1.0 - p.move), "high": bars["close"] * (1.0 + p.move)}
        frame = risk_columns(bars, p.observed, p.horizon, reached, self._params, p.feed, p.market, "skip")
        return {name: frame[name].to_numpy() for name in self.getlinealiases()}


def _last_hours(follower: Follower, hours: int) -> np.ndarray:
    """The last bars, so many that they hold so many full hours whatever the minute; as ``_opening``."""
    an_hour = _bars_an_hour(follower.data)
    return _opening(follower, follower.last(hours * an_hour + an_hour - 1))


def _opening(follower: Follower, bars: np.ndarray) -> np.ndarray:
    """Bars with the times of their opens."""
    if known_after_ms(follower.data) == 0:  # they carry those of their close
        bars["time"] -= HOUR // _bars_an_hour(follower.data)
    return bars


def _bars_an_hour(data: Any) -> int:
    return max(1, 60 // data._compression) if data._timeframe == bt.TimeFrame.Minutes else 1


class RiskSizer(bt.Sizer):
    """Stakes ``share`` of the account's value, and less where many dollars would be liquidated on the way against it.

    What is expected to be liquidated if price goes ``move`` against the order (of longs for a buy, of shorts for a
    sale) is taken as a share of the mean hourly turnover of the trailing week. Where it is more than ``most`` the stake
    shrinks in proportion; where it is unknown nothing is staked. That smaller stakes there pay is not shown.

    Params:

      - ``share`` (default: ``0.5``): of the account's value (as notional, with the broker's ``mult``)
      - ``most`` (default: ``0.01``): share of the mean hourly turnover
      - ``move``, ``horizon``, ``feed``, ``market``, ``observed``, ``zone_params`` and the fields of Params: as for
        ``LiquidationRisk``, whose lines of the same bar say the same

    The strategy needs no indicator for it. With ``exactbars=1`` something else has to keep ``risk_memory`` hours;
    raises ValueError where fewer were kept. Cost: some 2 ms an order.

    >>> cerebro = bt.Cerebro()
    >>> cerebro.addsizer(RiskSizer, share=0.5, move=0.02, market="spot")
    """

    params = (("share", 0.5), ("most", 0.01), *RISK_PARAMS)

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        _check_move(self.p.move)
        for name in ("share", "most"):
            if not getattr(self.p, name) >= 0.0:
                raise ValueError(f"{name} must not be below 0, got {getattr(self.p, name)!r}")
        self._params = params_of(self.p, but="observed")

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        p = self.p
        bars = _last_hours(Follower(data, self._params, "RiskSizer"), risk_memory(self._params, p.observed))
        moves = (-p.move,) if isbuy else (p.move,)
        frame = liquidation_at_risk(bars, p.observed, p.horizon, moves, self._params, p.feed, p.market, "skip")
        at_risk = float(frame["expected_usd"].iloc[0]) / frame.attrs["turnover_usd"]
        if at_risk != at_risk:
            return 0.0
        stake = p.share * (min(1.0, p.most / at_risk) if at_risk > 0.0 else 1.0)
        size: float = stake * self.broker.getvalue() / (data.close[0] * comminfo.p.mult)
        return size


def _check_move(move: float) -> None:
    if not 0.0 < move < 1.0:
        raise ValueError(f"move must be a share of the close above 0 and below 1, got {move!r}")
