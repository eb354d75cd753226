"""What a backtest gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

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
