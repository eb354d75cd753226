"""Plain indicators that users of the older package know: average true range and VWAP."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..market.candles import number_values


def compute_atr(candles: pd.DataFrame, per: int = 14) -> pd.Series:
    """Wilder's average true range of columns high, low and close, equal to TA-Lib's ATR.

    The first value stands on row ``per``: the mean of the true ranges of rows 1 to ``per``; from then on
    ``(previous * (per - 1) + true range) / per`` (Wilder 1978). A row with a NaN has none and leaves the average as it
    was, as if it were not there. Returns float64 with the candles' index; NaN before. Raises ValueError for missing
    columns and a ``per`` that is no whole number from 2 on.

    >>> compute_atr(candles).tail(2).round(2).tolist()
    [79.71, 78.39]
    """
    if isinstance(per, bool) or not isinstance(per, (int, np.integer)) or per < 2:
        raise ValueError(f"per must be a whole number of bars, 2 or more, got {per!r}")
    high, low, close = (_price_column(candles, name) for name in ("high", "low", "close"))
    out = np.full(len(candles), np.nan)
    good = np.flatnonzero(~(np.isnan(high) | np.isnan(low) | np.isnan(close)))
    high, low, close = high[good], low[good], close[good]
    if len(good) > per:
        ranges = np.maximum(high[1:], close[:-1]) - np.minimum(low[1:], close[:-1])
        value = float(ranges[:per].mean())
        out[good[per]] = value
        for row, true_range in zip(good[per + 1 :], ranges[per:].tolist(), strict=True):
            value = (value * (per - 1) + true_range) / per
            out[row] = value
    return pd.Series(out, index=candles.index, name="atr")


def compute_vwap(
    candles: pd.DataFrame, period: int | None = None, price_col: str = "close", vol_col: str = "volume"
) -> pd.Series:
    """Volume-weighted average price: ``sum(price * volume) / sum(volume)``, of all rows so far or the last ``period``.

    A row whose price or volume is NaN counts for nothing. Returns float64 with the candles' index; NaN where there was
    no volume. Raises ValueError for missing columns and a ``period`` that is no whole number from 1 on.

    >>> compute_vwap(candles, period=24).tail(2).round(2).tolist()
    [7313.15, 7313.46]
    """
    if period is not None and (isinstance(period, bool) or not isinstance(period, (int, np.integer)) or period < 1):
        raise ValueError(f"period must be None or a whole number of bars, 1 or more, got {period!r}")
    price, volume = _price_column(candles, price_col), _price_column(candles, vol_col)
    known = ~(np.isnan(price) | np.isnan(volume))
    weight = pd.Series(np.where(known, volume, 0.0))
    value = pd.Series(np.where(known, price * volume, 0.0))
    if period is None:
        weight, value = weight.cumsum(), value.cumsum()
    else:
        weight, value = (some.rolling(period, min_periods=1).sum() for some in (weight, value))
    return pd.Series((value / weight.where(weight > 0.0)).to_numpy(), index=candles.index, name="vwap")


def _price_column(candles: pd.DataFrame, name: str) -> np.ndarray:
    if not isinstance(candles, pd.DataFrame):
        raise TypeError(f"candles must be a pandas frame, got {type(candles).__name__}")
    if name not in candles.columns:
        raise ValueError(f"missing column {name!r}: found {', '.join(map(repr, candles.columns)) or 'none'}")
    return number_values(candles[name], name)
