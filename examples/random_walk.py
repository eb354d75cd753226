"""On pure noise nobody wins. A pivot that knows the bars after it seems to; what our zones say does not; audit tells.

Each rule buys or sells at the open after its signal and holds for a day. The walk has no drift and no memory, so that a
share of trades won far from one half is a fault of the rule.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from liquidator_integrations import audit
from liquidator_integrations.frames import signal_columns

HOLD = 24


def walk(rows: int, seed: int) -> pd.DataFrame:
    """Hourly candles of a random walk: 60 steps a candle, a volume that rises with the range."""
    rng = np.random.default_rng(seed)
    path = 20_000.0 * np.exp(np.cumsum(rng.normal(0.0, 0.0008, rows * 60))).reshape(rows, 60)
    frame = pd.DataFrame({"open": path[:, 0], "high": path.max(axis=1), "low": path.min(axis=1), "close": path[:, -1]})
    frame["volume"] = 1e4 * (frame["high"] / frame["low"] - 1.0) * rng.lognormal(0.0, 0.5, rows)
    frame.insert(0, "date", pd.date_range("2024-01-01", periods=rows, freq="1h", tz="UTC"))
    return frame


def pivots(frame: pd.DataFrame) -> pd.Series:
    """1 at a low that is the lowest of ten bars before and after it, -1 at such a high: how swings are often drawn."""
    low, high = frame["low"], frame["high"]
    lowest = low.rolling(21, center=True).min() == low
    highest = high.rolling(21, center=True).max() == high
    return lowest.astype(int) - highest.astype(int)


def pivots_when_known(frame: pd.DataFrame) -> pd.Series:
    """The same, told ten bars later, when they are known."""
    return pivots(frame).shift(10).fillna(0).astype(int)


def zones(frame: pd.DataFrame) -> pd.Series:
    """1 at a touched support that held the close, -1 at a resistance."""
    return signal_columns(frame)["fade"].fillna(0).astype(int)


def share_won(frame: pd.DataFrame, signal: pd.Series) -> tuple[int, float]:
    """(trades, the share of them that made money before costs)."""
    entry = frame["open"].shift(-1)
    profit = (signal * (entry.shift(-HOLD) / entry - 1.0))[(signal != 0) & entry.shift(-HOLD).notna()]
    return len(profit), float((profit > 0.0).mean())


def main() -> None:
    frame = walk(6000, seed=7)
    for rule in (pivots, pivots_when_known, zones):
        trades, won = share_won(frame, rule(frame))
        print(f"{rule.__name__}: {trades} trades, {won:.0%} won")
    for rule in (pivots, pivots_when_known, zones):
        found = audit(rule, frame.iloc[:1100], cuts=6, startup_candle_count=480)
        print(f"{rule.__name__}: {'none found' if found.ok else ', '.join(found.findings['kind'])}")


if __name__ == "__main__":
    main()
