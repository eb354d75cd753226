"""Levels: where forced flow lies ahead of price.

Cells of ``CELL`` bins are counted from the bin of the close, towards liquidation, ``level_reach`` of them. A level is
a cell that holds at least ``level_share`` of its side's mass within reach. Its price is the mass-weighted geometric
mean of the middles of its bins, its USD the mass times that price.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, kernel_views
from .layout import BINS, BINS_PER_LOG, CELL, LEVEL, LONG, MAX_CELLS, Record
from .params import Params
from .state import attach_state

_RING = BINS - 1


@kernel
def close_bin_of(side: int, log_close: float) -> int:
    """Bin of the close on a side's axis."""
    return math.floor(log_close if side == LONG else -log_close)


@kernel
def lots_within_reach(s: Record, p: Record, side: int, close_bin: int) -> int:
    """Lots of all cells: of the sums that cover them, less the bins that stick out at either end."""
    first = (close_bin + 1 - CELL * p.level_reach) & _RING
    phase = first & (CELL - 1)
    first = first // CELL
    together = s.lots_together[side]
    total = 0
    for i in range(p.level_reach + 1):
        total += together[first + i]
    last = (first + p.level_reach) & (BINS // CELL - 1)
    for i in range(CELL):
        total -= s.lots[side, CELL * (first if i < phase else last) + i]
    return total


@kernel
def lots_of_cell(s: Record, side: int, close_bin: int, distance: int) -> int:
    """Lots of the cell ``distance`` cells ahead of the close."""
    farthest = (close_bin + 1 - CELL * (distance + 1)) & _RING
    lots = 0
    for i in range(CELL):
        lots += s.lots[side, farthest + i]
    return lots


@kernel
def open_cell(s: Record, side: int, close_bin: int, distance: int, lots: int) -> tuple[float, float]:
    """(usd, price) of the cell ``distance`` cells ahead of the close, which holds ``lots``."""
    farthest = close_bin + 1 - CELL * (distance + 1)
    above = 0
    for i in range(CELL):
        above += i * s.lots[side, (farthest & _RING) + i]
    mean = farthest + 0.5 + above / lots
    price = math.exp((mean if side == LONG else -mean) / BINS_PER_LOG)
    return lots / s.lots_a_unit * price, price


@kernel
def nearest_level(s: Record, p: Record, side: int, log_close: float) -> tuple[float, float]:
    """(usd, price) of the nearest level of a side, (nan, nan) if none."""
    close_bin = close_bin_of(side, log_close)
    total = lots_within_reach(s, p, side, close_bin)
    if total > 0:
        least = p.level_share * total
        for distance in range(p.level_reach):
            lots = lots_of_cell(s, side, close_bin, distance)
            if lots >= least:
                return open_cell(s, side, close_bin, distance, lots)
    return math.nan, math.nan


@kernel
def _levels(state: np.ndarray, params: np.ndarray, least: float, out: np.ndarray) -> int:
    s = state[0]
    p = params[0]
    count = 0
    if not s.close > 0.0:
        return count
    for side in range(2):
        close_bin = close_bin_of(side, math.log(s.close) * BINS_PER_LOG)
        total = lots_within_reach(s, p, side, close_bin)
        if total <= 0:
            continue
        for distance in range(p.level_reach):
            lots = lots_of_cell(s, side, close_bin, distance)
            if lots > 0 and lots >= least * total:
                level = out[count]
                level.side = side
                level.share = lots / total
                level.distance = distance
                level.usd, level.price = open_cell(s, side, close_bin, distance, lots)
                count += 1
    return count


def levels_of(state: np.ndarray, params: Params | np.ndarray, least_share: float | None = None) -> np.ndarray:
    """Every level as of the last bar: (n,) LEVEL, upwards by price. Nothing is changed. Cost: O(level_reach).

    ``params`` are those of the state, or their record; others raise ValueError. ``least_share`` stands in for their
    ``level_share``: with 0 every cell that holds anything is given.
    """
    out = np.zeros(2 * MAX_CELLS, LEVEL)
    state, record, out = kernel_views(*attach_state(state, params), out)
    least = float(record["level_share"][0]) if least_share is None else float(least_share)
    count = _levels(state, record, least, out)
    return out[:count][np.argsort(out["price"][:count], kind="stable")]
