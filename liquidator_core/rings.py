"""Rings: windows of the last values, summed anew at each row."""

from __future__ import annotations

import numpy as np

from ._jit import kernel


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
