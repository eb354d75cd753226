"""A sizer that stands aside where the model of hold and break does."""

from __future__ import annotations

from typing import Any

from ..model.columns import hold_columns, model_of
from .engine import ZONE_PARAMS, Follower, params_of, refuse_unknown
from .library import bt

__all__ = ["HoldSizer"]


class HoldSizer(bt.Sizer):
    """Stakes ``share`` of the account's value where the model says that the zone to be faded holds, else nothing.

    The zone is that of the bar's ``fade``, else the one whose near edge lies nearest: a support for a buy, a resistance
    for a sale. Where the model abstains, says "BREAK", or speaks of a zone of the other side, the size is 0.

    Params:

      - ``model``: the path of a file that ``save_ml_model`` or ``liquidator train`` wrote, or what it holds; None: one
        that abstains, so that nothing is bought or sold
      - ``share`` (default: ``0.5``): of the account's value (as notional, with the broker's ``mult``)
      - ``zone_params`` and every field of Params, as for ``LiquidationIndicator``; without any those of the model

    The strategy needs no indicator for it. With ``exactbars=1`` something else has to keep ``Params.memory + 1`` bars;
    raises ValueError where fewer were kept, and for a model of other Params or another timeframe. Cost: 1 ms an order.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.add_signal(bt.SIGNAL_LONG, LiquidationSignal)
    >>> cerebro.addsizer(HoldSizer, share=0.5)
    >>> cerebro.run()[0].broker.getvalue()  # without a model it abstains
    10000.0
    """

    params = (("model", None), ("share", 0.5), *ZONE_PARAMS)

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        if not self.p.share >= 0.0:
            raise ValueError(f"share must not be below 0, got {self.p.share!r}")
        self._model = model_of(self.p.model)
        given = any(getattr(self.p, name) is not None for name, _ in ZONE_PARAMS)
        self._params = self._model.params if self._model is not None and not given else params_of(self.p)

    def _getsizing(self, comminfo: Any, cash: float, data: Any, isbuy: bool) -> float:
        bars = Follower(data, self._params, "HoldSizer").last(self._params.memory + 1)
        last = hold_columns(bars, self._model, self._params, "skip").iloc[-1]
        if last["prediction"] != "HOLD" or last["hold_zone_side"] != (1 if isbuy else -1):
            return 0.0
        size: float = self.p.share * self.broker.getvalue() / (data.close[0] * comminfo.p.mult)
        return size
