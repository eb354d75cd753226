"""When readings of open interest were known: the shift at which the price that they imply is the market's."""

from __future__ import annotations

import numpy as np

READING_MS = 300_000
_SHIFTS = (-2, -1, 1, 2)  # readings
_CLEARER = 2.0  # times nearer to the market than at the stamps
_ENOUGH = 100  # readings that are compared


def shift_of(time: np.ndarray, coins: np.ndarray, usd: np.ndarray, known: np.ndarray, price: np.ndarray) -> int:
    """By how many ms readings were known later than they are stamped; 0 if nothing says otherwise.

    time, coins, usd  (n,) of readings: together they imply a price
    known, price      (m,) when a price was the market's, rising, and that price

    >>> known = np.arange(200) * READING_MS
    >>> price = 100.0 + np.cumsum(np.sin(known))
    >>> shift_of(known[:-1], np.full(199, 2.0), 2.0 * price[1:], known, price)
    300000
    """
    there = (coins > 0.0) & (usd > 0.0)
    time, implied = time[there], usd[there] / coins[there]
    own = _spread(time, implied, known, price)
    found = {shift: _spread(time + shift * READING_MS, implied, known, price) for shift in _SHIFTS}
    best = min(found, key=found.__getitem__)
    return best * READING_MS if found[best] * _CLEARER < own else 0


def _spread(time: np.ndarray, implied: np.ndarray, known: np.ndarray, price: np.ndarray) -> float:
    """How far a price strays from the market's, less what is always between them; infinite where few are compared."""
    _, at, row = np.intersect1d(time, known, return_indices=True)
    if len(at) < _ENOUGH:
        return float("inf")
    ratio = np.log(implied[at] / price[row])
    return float(np.std(ratio - np.median(ratio)))
