"""What became of each fade: the only place that looks ahead."""

from __future__ import annotations

import numpy as np

from ._jit import kernel, kernel_views
from .marks import BROKE, HELD, OPEN, verdict
from .params import Params


@kernel
def _fade_trials(
    params: np.ndarray, bars: np.ndarray, good: np.ndarray, signals: np.ndarray, found: np.ndarray, ends: np.ndarray
) -> None:
    p = params[0]
    for row in range(len(bars)):
        found[row] = OPEN
        ends[row] = -1
        o = signals[row]
        if o.fade == 0:
            continue
        age = 0
        for later in range(row, len(bars)):
            if not good[later]:
                continue
            found[row] = verdict(p, o.fade, o.fade_low, o.fade_high, o.atr, age, bars[later])
            if found[row] != OPEN:
                ends[row] = later
                break
            age += 1


def fade_trials(
    bars: np.ndarray, good: np.ndarray, signals: np.ndarray, params: Params
) -> tuple[np.ndarray, np.ndarray]:
    """(what became of each fade, the row that decided it), both (n,) int64: the trial of the zone's edges from it on.

    bars      (n,) BAR      read only
    good      (n,) bool     whether a row has usable prices, as from ``bars.good_rows``; others are skipped
    signals   (n,) SIGNAL   read only; what ``fold`` made of these bars

    ``marks.HELD``, ``BROKE``, ``AMBIGUOUS``, ``UNRESOLVED``; ``OPEN`` and row -1 without a fade and while the trial is
    open. Rows look ahead by up to ``outcome_bars`` good rows. Cost: O(rows + fades * outcome_bars).
    """
    found, ends = np.zeros(len(bars), np.int64), np.zeros(len(bars), np.int64)
    record, bars, signals = kernel_views(params.to_record(), bars, signals)
    _fade_trials(record, bars, good, signals, found, ends)
    return found, ends


def fade_outcomes(bars: np.ndarray, good: np.ndarray, signals: np.ndarray, params: Params) -> np.ndarray:
    """Whether the zone of each fade held (1.0) or broke (0.0): (n,) float64 of ``fade_trials``, NaN for all else."""
    found, _ = fade_trials(bars, good, signals, params)
    return np.where(found == HELD, 1.0, np.where(found == BROKE, 0.0, np.nan))
