"""What a bar says by itself: whether it is good, its true range, the average of these."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ._jit import kernel, kernel_views
from .layout import Record
from .rings import remember, window_sum


@kernel
def is_good(b: Record) -> bool:
    """Whether a bar's prices can be used: finite, positive, and in order. NaN fails every comparison."""
    return bool(0.0 < b.low <= b.open <= b.high < math.inf and b.low <= b.close <= b.high)


#: Prices that differ by less than this part of themselves are one price: the rest is the noise of floating point.
PRICE_NOISE = 1e-9


def mend_noise(open_: Any, high: Any, low: Any, close: Any) -> tuple[np.ndarray, np.ndarray]:
    """(highs, lows) of candles, each (n,) or a number, moved to a price that lies beyond them by noise alone.

    Adjusted prices often have a high below the close by one part in 10^16. Where no price is beyond high or low by more
    than PRICE_NOISE of itself, the highest of the four is the high and the lowest the low; all other rows stay.
    """
    highest = np.maximum(np.maximum(open_, close), np.maximum(high, low))
    lowest = np.minimum(np.minimum(open_, close), np.minimum(high, low))
    noise = (highest * (1.0 - PRICE_NOISE) <= high) & (low * (1.0 - PRICE_NOISE) <= lowest)
    return np.where(noise, highest, high), np.where(noise, lowest, low)


@kernel
def _good_rows(bars: np.ndarray, good: np.ndarray) -> None:
    for i in range(len(bars)):
        good[i] = is_good(bars[i])


def good_rows(bars: np.ndarray) -> np.ndarray:
    """(n,) bool, whether each row of (n,) BAR has usable prices: the others are skipped."""
    good = np.zeros(len(bars), np.bool_)
    _good_rows(kernel_views(bars)[0], good)
    return good


@kernel
def remember_range(s: Record, p: Record, value: float) -> None:
    """What later rows' average true range is made of; nan for a skipped row."""
    old = s.true_range[s.range_at]
    s.ranges_missing += int(value != value) - int(old != old)
    remember(s.true_range, s.range_at, p.atr_bars, value)


@kernel
def true_range(s: Record, b: Record) -> float:
    """``max(high, previous close) - min(low, previous close)``."""
    high = b.high
    low = b.low
    if s.close == s.close:
        high = max(high, s.close)
        low = min(low, s.close)
    return float(high - low)


@kernel
def average_true_range(s: Record, p: Record, row: int) -> float:
    """Plain mean of the true ranges of the good rows among the last ``atr_bars``, ``row`` included; nan if short."""
    if row + 1 < p.atr_bars or s.ranges_missing == p.atr_bars:
        return math.nan
    if s.ranges_missing == 0:
        return float(window_sum(s.true_range, s.range_at + 1, p.atr_bars) / p.atr_bars)
    total = 0.0
    for at in range(s.range_at + 1, s.range_at + 1 + p.atr_bars):
        if s.true_range[at] == s.true_range[at]:
            total += s.true_range[at]
    return float(total / (p.atr_bars - s.ranges_missing))
