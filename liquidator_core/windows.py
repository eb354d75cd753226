"""Windows over whole columns: means and quantiles of the last rows, each of its window's values alone."""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel
from .rings import window_sum


@kernel
def _means(values: np.ndarray, length: int, out: np.ndarray) -> None:
    for row in range(len(values)):
        out[row] = window_sum(values, row - length + 1, length) / length if row >= length - 1 else math.nan


@kernel
def _place(ordered: np.ndarray, count: int, value: float) -> int:
    """Where a value belongs among the first ``count`` of an ascending array: before all that are not below it."""
    low = 0
    high = count
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low


@kernel
def _quantile(ordered: np.ndarray, count: int, share: float) -> float:
    if count == 0:
        return math.nan
    place = share * (count - 1)
    below = int(place)
    above = min(below + 1, count - 1)
    return float(ordered[below] + (place - below) * (ordered[above] - ordered[below]))


@kernel
def _quantiles(
    values: np.ndarray, length: int, shares: np.ndarray, ordered: np.ndarray, out: np.ndarray, counts: np.ndarray
) -> None:
    """``ordered`` keeps the window in ascending order; what lies between a value that goes and one that comes moves by
    one place.
    """
    count = 0
    for row in range(len(values)):
        old = values[row - length] if row >= length else math.nan
        new = values[row]
        if row > 0 and old != old and new != new:
            counts[row] = count
            out[row] = out[row - 1]
            continue
        hole = _place(ordered, count, old) if old == old else count
        at = _place(ordered, count, new) if new == new else count
        if old == old and at > hole:
            at -= 1
            part = ordered[hole : at + 1]  # a view's loop moves several values at a time
            for i in range(at - hole):
                part[i] = part[i + 1]
        else:
            part = ordered[at : hole + 1]
            for i in range(hole - at, 0, -1):
                part[i] = part[i - 1]
        if new == new:
            ordered[at] = new
        count += int(new == new) - int(old == old)
        counts[row] = count
        for i in range(len(shares)):
            out[row, i] = _quantile(ordered, count, shares[i])


def trailing_means(values: np.ndarray, length: int) -> np.ndarray:
    """(n,) mean of each row's last ``length`` values, its own among them; nan before there are as many.

    Summed anew at each row, so that it depends on these values alone. Raises ValueError for a length below 1. Cost:
    O(length) a row.

    >>> import numpy as np
    >>> trailing_means(np.array([1.0, 2.0, 6.0]), 2)
    array([nan, 1.5, 4. ])
    """
    values = np.ascontiguousarray(values, np.float64)
    out = np.empty(len(values))
    _means(values, _checked(length), out)
    return out


def trailing_quantiles(values: np.ndarray, length: int, shares: tuple[float, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Quantiles of each row's last ``length`` values, its own among them, and of how many: ((n, k), (n,) int64).

    values   (n,); nan is no value
    shares   k numbers from 0 to 1; between two values a quantile is interpolated, without any it is nan

    Raises ValueError for a length below 1. Cost: O(log length + values moved) a row.

    >>> import numpy as np
    >>> trailing_quantiles(np.array([3.0, np.nan, 1.0, 2.0]), 3, (0.5,))[0].ravel()
    array([3. , 3. , 2. , 1.5])
    """
    values = np.ascontiguousarray(values, np.float64)
    out, counts = np.empty((len(values), len(shares))), np.empty(len(values), np.int64)
    _quantiles(values, _checked(length), np.asarray(shares, np.float64), np.empty(length + 1), out, counts)
    return out, counts


def _checked(length: int) -> int:
    if length < 1:
        raise ValueError(f"length must be at least 1 row, got {length}")
    return length
