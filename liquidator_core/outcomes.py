"""What became of each fade: the only place that looks ahead."""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, kernel_views
from .marks import BROKE, HELD, OPEN, verdict
from .params import Params


@kernel
def _fade_outcomes(
    params: np.ndarray, bars: np.ndarray, good: np.ndarray, signals: np.ndarray, outcomes: np.ndarray
) -> None:
    p = params[0]
    for row in range(len(bars)):
        outcomes[row] = math.nan
        o = signals[row]
        if o.fade == 0:
            continue
        age = 0
        for later in range(row, len(bars)):
            if not good[later]:
                continue
            found = verdict(p, o.fade, o.fade_low, o.fade_high, o.atr, age, bars[later])
            if found == OPEN:
                age += 1
                continue
            if found == HELD:
                outcomes[row] = 1.0
            elif found == BROKE:
                outcomes[row] = 0.0
            break


def fade_outcomes(bars: np.ndarray, good: np.ndarray, signals: np.ndarray, params: Params) -> np.ndarray:
    """Whether the zone of each fade held (1.0) or broke (0.0), as a trial of the zone's edges from that row on.

    bars      (n,) BAR      read only
    good      (n,) bool     whether a row has usable prices, as from ``bars.good_rows``; others are skipped
    signals   (n,) SIGNAL   read only; what ``fold`` made of these bars

    Returns (n,) float64: NaN without a fade, and where the trial was ambiguous, unresolved, or is still open. Rows look
    ahead by up to ``outcome_bars``. Cost: O(rows + fades * outcome_bars).
    """
    outcomes = np.zeros(len(bars))
    record, bars, signals = kernel_views(params.to_record(), bars, signals)
    _fade_outcomes(record, bars, good, signals, outcomes)
    return outcomes
