"""What a backtest gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from liquidator_core import Params
from liquidator_core.bars import good_rows

#: Runs on flipped marks to set beside the real one of an account: of 21, chance puts it first on one market in 21.
FLIPPED_RUNS = 20
#: Trades under which neither a rank nor a share of won ones says anything.
ENOUGH_TRADES = 30


def too_few(trades: int) -> str:
    """Why so many trades allow no verdict; "" if they are enough.

    >>> too_few(2), too_few(30)
    ('2 trades are too few for a verdict, which takes some 30', '')
    """
    if trades >= ENOUGH_TRADES:
        return ""
    found = "1 trade is" if trades == 1 else f"{trades} trades are"
    return f"{found} too few for a verdict, which takes some {ENOUGH_TRADES}"


class ClosedTrade(NamedTuple):
    """One trade from flat to flat, its entry the first fill. Times are the opens of the bars in which it was filled.

    >>> ClosedTrade(0, 3_600_000, 100.0, 110.0, 1.0, 9.9, 0.1, False).pnl
    9.9
    """

    entry_ms: int
    exit_ms: int
    entry_price: float
    exit_price: float
    size: float  # base units; below 0 is short
    pnl: float  # usd after commission
    commission: float  # usd, both ways
    stopped: bool  # by its stop order


@dataclass(frozen=True, eq=False)
class Result:
    """The answer of a backtest. Returns and drawdown are shares: 0.1 is 10 %.

    ``equity`` is the account's value at the close of each bar, from the first on which the strategy could act;
    ``equity_ms`` the open times of these bars. A position still open at the end is in ``final_value`` at the last
    close, not in ``trades``.

    >>> result = Result(100.0, 110.0, 0.05, [], np.zeros(0, np.int64), np.zeros(0), 0.02)
    >>> round(result.total_return, 3), result.wins
    (0.1, 0)
    """

    cash: float
    final_value: float
    max_drawdown: float
    trades: list[ClosedTrade]
    equity_ms: np.ndarray
    equity: np.ndarray
    buy_and_hold: float

    @property
    def total_return(self) -> float:
        """Share of the cash that was won or lost."""
        return self.final_value / self.cash - 1.0

    @property
    def wins(self) -> int:
        """Trades that made money after commission."""
        return sum(trade.pnl > 0.0 for trade in self.trades)


def buy_and_hold(bars: np.ndarray, warm: int, commission: float = 0.0004) -> float:
    """The return of all cash put in at the first open that a strategy could trade at, valued at the last close.

    warm   rows it takes until a signal is known: ``Params.memory``; the open is that of the row after them

    >>> round(buy_and_hold(bars, warm=480), 3)
    -0.112
    """
    return float(bars["close"][-1] / (bars["open"][warm] * (1.0 + commission)) - 1.0)


def result_of(
    bars: np.ndarray, equity: np.ndarray, trades: list[ClosedTrade], cash: float, commission: float
) -> Result:
    """The ``Result`` of a backtest of (n,) BAR: ``equity`` is the account's value at the close of the last bars.

    >>> result_of(bars, np.array([100.0, 80.0, 90.0]), [], 100.0, 0.0004).max_drawdown
    0.2
    """
    return Result(
        cash=cash,
        final_value=float(equity[-1]),
        max_drawdown=float(np.max(1.0 - equity / np.maximum.accumulate(equity))),
        trades=trades,
        equity_ms=bars["time"][-len(equity) :].copy(),
        equity=equity,
        buy_and_hold=buy_and_hold(bars, len(bars) - len(equity) + 1, commission),
    )


def ordinal(rank: int) -> str:
    """The word for a place in a row.

    >>> [ordinal(rank) for rank in (1, 2, 3, 4, 11, 21)]
    ['1st', '2nd', '3rd', '4th', '11th', '21st']
    """
    ending = {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")
    return f"{rank}{'th' if rank % 100 in (11, 12, 13) else ending}"


def check_tradable(bars: np.ndarray, params: Params) -> None:
    """Raise ValueError unless (n,) BAR are more than ``params.memory``, every one with usable prices."""
    if len(bars) <= params.memory:
        raise ValueError(
            f"bars must be more than params.memory = {params.memory}, got {len(bars)}: no signal could be traded"
        )
    good = good_rows(bars)
    if not good.all():
        row = int(np.argmin(good))
        prices = ", ".join(f"{name} {bars[name][row]:g}" for name in ("open", "high", "low", "close"))
        raise ValueError(
            f"bars: row {row} has {prices}; a backtest needs 0 < low <= open, close <= high < inf on every bar"
        )
