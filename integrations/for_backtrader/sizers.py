"""A sizer that stakes more on more prominent zones."""

from __future__ import annotations

from typing import Any

from liquidator_core import fold, new_signals, zones_of

from .engine import ZONE_PARAMS, Follower, faded_zone, params_of, refuse_unknown
from .library import bt

__all__ = ["QualitySizer"]


class QualitySizer(bt.Sizer):
    """The size of an order: ``share`` of the account's value, times the quality of the zone that is traded / 100.

    The zone traded is that of the bar's ``fade``, where its side is the order's; else the nearest support for a buy,
    the nearest resistance for a sale. Without such a zone the size is 0, and nothing is bought or sold. Quality is
    prominence: zones of a higher one hold no more often (docs/evidence.md), and that they pay more is not shown.

    Params:

      - ``share`` (default: ``0.5``): of the account's value, staked on a zone of quality 100 (as notional, with the
        broker's ``mult``)
      - ``zone_params`` and every field of Params, as for ``LiquidationIndicator``

    A signal depends on the last ``Params.memory`` bars alone, so these are folded when an order is sized, and
    the strategy needs no indicator of zones. With ``exactbars=1`` something else has to keep so many bars. Raises
    ValueError where fewer were kept. Warns at its first order of what ``LiquidationIndicator`` warns of.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.add_signal(bt.SIGNAL_LONG, LiquidationSignal)
    >>> cerebro.addsizer(QualitySizer, share=0.5)
    >>> bool(cerebro.run()[0].broker.getvalue() > 0.0)
    True
    """

    params = (("share", 0.5), *ZONE_PARAMS)

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        if not self.p.share >= 0.0:
            raise ValueError(f"share must not be below 0, got {self.p.share!r}")
        self._params = params_of(self.p)
        self._has_warned = False

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        quality = self._quality(data, 1 if isbuy else -1)
        if not quality > 0.0:
            return 0.0
        size = self.p.share * quality / 100.0 * self.broker.getvalue() / (data.close[0] * comminfo.p.mult)
        return float(size)

    def _quality(self, data: Any, side: int) -> float:
        """Quality of the zone to trade; NaN if there is none."""
        follower = Follower(data, self._params, "QualitySizer")
        bars = follower.last(self._params.memory)
        state, record, out = follower.engine.state, follower.engine.params, new_signals(len(bars))
        fold(state, record, bars, out)
        if not self._has_warned:
            self._has_warned = True
            follower.finish()
        last = out[-1]
        if last["fade"] == side and len(faded := faded_zone(zones_of(state, record), last)):
            return float(faded["quality"][0])
        return float(last["support_quality" if side > 0 else "resistance_quality"])
