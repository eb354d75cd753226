"""Forced flow: what a bar closed by force on one side, and whether that is an event."""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel
from .layout import Record


@kernel
def remember(values: np.ndarray, now: int, length: int, value: float) -> None:
    """Write a row's value into a ring that is kept twice, so that any window of it lies in one piece."""
    values[now] = value
    values[now + length] = value


@kernel
def window_sum(values: np.ndarray, now: int, length: int) -> float:
    """Sum of a ring's last ``length`` values before the row that takes place ``now``, in age order, oldest first.

    Eight interleaved lanes, added in pairs, so that additions do not wait for each other; then what is left over, one
    by one. Summed anew each time: a running sum keeps the rounding of everything it ever held.
    """
    window = values[now : now + length]
    a = b = c = d = e = f = g = h = 0.0
    blocks = length // 8
    for block in range(blocks):
        a += window[8 * block]
        b += window[8 * block + 1]
        c += window[8 * block + 2]
        d += window[8 * block + 3]
        e += window[8 * block + 4]
        f += window[8 * block + 5]
        g += window[8 * block + 6]
        h += window[8 * block + 7]
    total = ((a + b) + (c + d)) + ((e + f) + (g + h))
    for i in range(8 * blocks, length):
        total += window[i]
    return total


@kernel
def forced_flow(
    observed_usd: float, observed_price: float, swept_usd: float, swept_price: float, extreme: float
) -> tuple[float, float]:
    """A side's forced flow and its price: observed where a feed gives it, else swept from the ledger.

    An observed flow without a price takes the swept price, or the bar's extreme if nothing was swept.
    """
    if not 0.0 <= observed_usd < math.inf:
        return swept_usd, swept_price
    if observed_price > 0.0:
        return observed_usd, observed_price
    return observed_usd, swept_price if swept_usd > 0.0 else extreme


@kernel
def is_event(s: Record, p: Record, side: int, row: int, usd: float) -> bool:
    """Whether a flow is large: against the mean flow of its side, and against the mean turnover, before it."""
    if not usd > 0.0 or row < p.flow_bars:
        return False
    if not usd > p.event_mult * (window_sum(s.flow[side], s.flow_at, p.flow_bars) / p.flow_bars):
        return False
    return bool(usd >= p.event_share * (window_sum(s.turnover, s.flow_at, p.flow_bars) / p.flow_bars))
