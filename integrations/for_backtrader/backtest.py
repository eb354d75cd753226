"""One backtest of one strategy on one array of bars, and what it would have been to buy and hold instead."""

from __future__ import annotations

from typing import Any

import numpy as np

from liquidator_core import Params

from ..evidence.account import MARGIN_LEVERAGE
from ..evidence.result import ClosedTrade, Result, check_tradable, result_of
from .engine import ms_of
from .feeds import lean_feed
from .library import bt


def backtest(
    bars: np.ndarray,
    strategy: type[bt.Strategy],
    params: Params | None = None,
    cash: float = 10_000.0,
    commission: float = 0.0004,
    **strategy_kwargs: Any,
) -> Result:
    """Bars and a strategy that takes ``zone_params`` to the ``Result`` of trading them.

    bars         (n,) BAR, every bar with usable prices: orders would be filled at the others too
    params       of the zones; None = defaults
    commission   share of the notional, for each fill; funding is not charged

    >>> class Idle(bt.Strategy):
    ...     params = (("zone_params", None),)
    >>> backtest(bars, Idle).total_return
    0.0
    """
    params = Params() if params is None else params
    check_tradable(bars, params)
    cerebro = bt.Cerebro(stdstats=False, tradehistory=True)
    cerebro.adddata(lean_feed(bars))
    cerebro.broker.setcash(cash)
    cerebro.broker.setcommission(commission=commission, leverage=MARGIN_LEVERAGE)
    cerebro.addstrategy(strategy, zone_params=params, **strategy_kwargs)
    cerebro.addanalyzer(_Record, _name="record")
    record = cerebro.run()[0].analyzers.record
    equity = np.array(record.values)
    if len(equity) < 2:
        raise ValueError(f"bars must be more, got {len(bars)}: {strategy.__name__} never came to trade")
    return result_of(bars, equity, record.trades, cash, commission)


class _Record(bt.Analyzer):
    """The account's value at each bar, and the closed trades; needs cerebro's ``tradehistory``."""

    def start(self) -> None:
        self.values: list[float] = []
        self.trades: list[ClosedTrade] = []

    def prenext(self) -> None:
        pass  # flat until the strategy can act

    def next(self) -> None:
        self.values.append(self.strategy.broker.getvalue())

    def notify_trade(self, trade: bt.Trade) -> None:
        if not trade.isclosed:
            return
        entry, exit_ = trade.history[0].event, trade.history[-1].event
        self.trades.append(
            ClosedTrade(
                entry_ms=ms_of(trade.dtopen),
                exit_ms=ms_of(trade.dtclose),
                entry_price=entry.price,
                exit_price=exit_.price,
                size=entry.size,
                pnl=trade.pnlcomm,
                commission=trade.commission,
                stopped=exit_.order.exectype == bt.Order.Stop,
            )
        )
