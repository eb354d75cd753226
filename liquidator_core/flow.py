"""Forced flow: what a bar closed by force on one side, and whether that is an event."""

from __future__ import annotations

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

    Four interleaved lanes, ``(l0 + l1) + (l2 + l3)``, so that additions do not wait for each other. Summed anew
    each time: a running sum keeps the rounding of everything it ever held.
    """
    window = values[now : now + length]
    lane0 = 0.0
    lane1 = 0.0
    lane2 = 0.0
    lane3 = 0.0
    quads = length // 4
    for quad in range(quads):
        lane0 += window[4 * quad]
        lane1 += window[4 * quad + 1]
        lane2 += window[4 * quad + 2]
        lane3 += window[4 * quad + 3]
    rest = length - 4 * quads
    if rest > 0:
        lane0 += window[4 * quads]
    if rest > 1:
        lane1 += window[4 * quads + 1]
    if rest > 2:
        lane2 += window[4 * quads + 2]
    return (lane0 + lane1) + (lane2 + lane3)


@kernel
def forced_flow(
    observed_usd: float, observed_price: float, swept_usd: float, swept_price: float, extreme: float
) -> tuple[float, float]:
    """A side's forced flow and its price: observed where a feed gives it, else swept from the ledger.

    An observed flow without a price takes the swept price, or the bar's extreme if nothing was swept.
    """
    if not observed_usd >= 0.0:
        return swept_usd, swept_price
    if observed_price > 0.0:
        return observed_usd, observed_price
    return observed_usd, swept_price if swept_usd > 0.0 else extreme


@kernel
def is_event(s: Record, p: Record, side: int, row: int, usd: float) -> bool:
    """Whether a flow is large: against the mean flow of its side, and against the mean turnover, before it."""
    if not usd > 0.0 or row < p.flow_bars:
        return False
    if usd < p.event_share * (window_sum(s.turnover, s.flow_at, p.flow_bars) / p.flow_bars):
        return False
    return bool(usd > p.event_mult * (window_sum(s.flow[side], s.flow_at, p.flow_bars) / p.flow_bars))
