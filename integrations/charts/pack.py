"""Arrays as text that JSON holds and browsers unpack quickly, and the ledger's changes as runs of one class.

A packed array is ``{"type": "int32", "data": ...}``: bytes of the array, the first of every element, then the second of
every element and so on (which compresses better), gzipped, in base64. Types are those of JavaScript's typed arrays:
int8, int32, float32, float64; little-endian.
"""

from __future__ import annotations

import base64
import gzip
from typing import Any, NamedTuple

import numpy as np

from liquidator_core.record import Recorded

_MOST_DECIMALS = 15
_KEPT_BITS = 11  # of a rounded number's mantissa
_PRICES = ("open", "high", "low", "close")


def packed(values: np.ndarray) -> dict[str, str]:
    """An array of int8, int32, float32 or float64 as a plain mapping; float64 where it is of another type.

    >>> packed(np.zeros(3, np.int8))["type"]
    'int8'
    """
    if values.dtype not in (np.int8, np.int32, np.float32):
        values = values.astype(np.float64)
    little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
    planes = little.view(np.uint8).reshape(-1, little.dtype.itemsize).T
    data = gzip.compress(planes.tobytes(), 6, mtime=0)
    return {"type": values.dtype.name, "data": base64.b64encode(data).decode()}


def rounded(values: np.ndarray) -> np.ndarray:
    """(n,) float32 of three to four digits, which is what a picture shows."""
    bits = values.astype(np.float32).view(np.uint32)
    drop = 23 - _KEPT_BITS
    up = np.where(np.isfinite(values), (bits + (1 << (drop - 1))) >> drop << drop, bits)
    return up.astype(np.uint32).view(np.float32)


def packed_times(time: np.ndarray) -> dict[str, Any]:
    """Times in ms: the first and the step where that is always the same, else all of them."""
    steps = np.diff(time)
    if len(steps) and (steps == steps[0]).all():
        return {"first": int(time[0]), "step": int(steps[0])}
    return {"all": packed(time.astype(np.float64))}


def packed_candles(bars: np.ndarray) -> dict[str, Any]:
    """Prices of (n,) BAR, exact: as whole ticks where all are decimals, else as they are.

    ``decimals``: a price is its ticks / 10 ** decimals. The arrays are then differences: of the open from the close
    before, of the close from the open, of the high from the higher and of the low from the lower of the two.
    """
    prices = {name: bars[name] for name in _PRICES}
    decimals = _decimals(np.concatenate([np.unique(values) for values in prices.values()]))
    if decimals is None:
        return {"decimals": None, **{name: packed(values) for name, values in prices.items()}}
    ticks = {name: np.round(values * 10.0**decimals).astype(np.int64) for name, values in prices.items()}
    first, last = ticks["open"], ticks["close"]
    differences = {
        "open": np.diff(np.r_[0, np.c_[first, last].ravel()])[::2],
        "high": ticks["high"] - np.maximum(first, last),
        "low": np.minimum(first, last) - ticks["low"],
        "close": last - first,
    }
    return {"decimals": decimals, **{name: packed(each.astype(np.int32)) for name, each in differences.items()}}


def _decimals(prices: np.ndarray) -> int | None:
    """The decimals with which all prices are exact; None if there are none, or their ticks are beyond int32."""
    for decimals in range(_MOST_DECIMALS + 1):
        scale = 10.0**decimals
        ticks = np.round(prices * scale)
        if len(ticks) and ticks.max() >= 2**31:
            return None
        if (ticks / scale == prices).all():
            return decimals
    return None


class Contents(NamedTuple):
    """What cells held, cell by cell and in order of time: from the row on, to before the end, so many USD."""

    cell: np.ndarray
    row: np.ndarray
    end: np.ndarray
    usd: np.ndarray


def contents_of(recorded: Recorded) -> Contents:
    """The changes of a record by cell, each with the row on which the cell changed again. Cost: a few passes."""
    rows = len(recorded.until)
    order = np.argsort(recorded.changes["cell"].astype(np.uint16), kind="stable")  # of 16 bits NumPy sorts by radix
    cell = recorded.changes["cell"][order]
    row = np.repeat(np.arange(rows, dtype=np.int32), np.diff(recorded.until, prepend=0))[order]
    end = np.full(len(cell), rows, np.int32)
    same = cell[1:] == cell[:-1]
    end[:-1][same] = row[1:][same]
    return Contents(cell, row, end, recorded.changes["usd"][order])


def runs_of(contents: Contents, breaks: np.ndarray) -> np.ndarray:
    """Runs of bars in which a cell stays in one class: (r, 4) int32 of first row, length, cell and class.

    Class k holds USD from ``breaks[k - 1]`` on; what is below the first is left out. In order of the first row.
    """
    rank = np.searchsorted(breaks, contents.usd, side="right").astype(np.int8)
    goes_on = (contents.cell[1:] == contents.cell[:-1]) & (rank[1:] == rank[:-1])
    starts = np.flatnonzero(np.r_[True, ~goes_on][: len(rank)])
    ends = contents.end[np.r_[starts[1:], len(rank)][: len(starts)] - 1]
    row, cell, rank = contents.row[starts], contents.cell[starts], rank[starts]
    drawn = rank > 0
    runs = np.column_stack([row, ends - row, cell, rank])[drawn].astype(np.int32)
    return runs[np.argsort(runs[:, 0], kind="stable")]


def packed_rows(runs: np.ndarray) -> dict[str, Any]:
    """Runs as columns; ``start`` as differences from the one before."""
    start = np.diff(runs[:, 0], prepend=0).astype(np.int32)
    columns = {"start": start, "length": runs[:, 1], "cell": runs[:, 2], "rank": runs[:, 3].astype(np.int8)}
    return {name: packed(np.ascontiguousarray(values)) for name, values in columns.items()}
