"""Levels: where forced flow lies ahead of price.

Cells of ``CELL`` bins are counted from the bin of the close, towards liquidation, ``level_reach`` of them. A level is
a cell that holds at least ``level_share`` of its side's mass within reach. Its price is the mass-weighted geometric
mean of the liquidation prices in it, its USD the mass times that price.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, kernel_views
from .layout import BINS, BINS_PER_LOG, CELL, LEVEL, LONG, MAX_CELLS

_RING = BINS - 1
_ROW = CELL - 1
_COLUMNS = BINS // CELL


@kernel
def weigh_cells(s, p, side, close_bin):
    """Write the lots of each cell to ``s.cell[side]``, the nearest cell last; returns the lots within reach.

    Bin b of the ring lies at row ``b % CELL`` and column ``b // CELL``, so that a row of neighbouring cells is a run of
    neighbouring numbers, at most broken once where the ring closes.
    """
    reach = p.level_reach
    cells = s.cell[side]
    cells[:] = 0
    for row in range(CELL):
        column = (close_bin & _RING) // CELL
        if row > (close_bin & _ROW):
            column -= 1
        start = (column - reach + 1) & (_COLUMNS - 1)
        turn = min(reach, _COLUMNS - start)
        lots = s.lots[side, row]
        cells[:turn] += lots[start : start + turn]
        if turn < reach:
            cells[turn:reach] += lots[: reach - turn]
    total = 0
    for i in range(MAX_CELLS):
        total += cells[i]
    return total


@kernel
def open_cell(s, side, close_bin, distance):
    """(usd, price) of the cell ``distance`` cells ahead of the close."""
    lots = 0
    place = 0.0
    for away in range(CELL * distance, CELL * (distance + 1)):
        bin_ = close_bin - away
        column = (bin_ & _RING) // CELL
        lots += s.lots[side, bin_ & _ROW, column]
        place += s.lots_place[side, bin_ & _ROW, column] - away * float(s.lots[side, bin_ & _ROW, column])
    place = close_bin + place / lots
    price = math.exp((place if side == LONG else -place) / BINS_PER_LOG)
    return lots / s.lots_a_unit * price, price


@kernel
def close_bin_of(side, close):
    """Bin of the close on a side's axis."""
    place = math.log(close) * BINS_PER_LOG
    return int(math.floor(place if side == LONG else -place))


@kernel
def nearest_level(s, p, side, close):
    """(usd, price) of the nearest level of a side, (nan, nan) if none."""
    close_bin = close_bin_of(side, close)
    total = weigh_cells(s, p, side, close_bin)
    if total > 0:
        least = p.level_share * total
        cells = s.cell[side]
        for i in range(p.level_reach - 1, -1, -1):
            if cells[i] >= least:
                return open_cell(s, side, close_bin, p.level_reach - 1 - i)
    return math.nan, math.nan


@kernel
def _levels(state, params, out):
    s = state[0]
    p = params[0]
    count = 0
    if not s.close > 0.0:
        return count
    for side in range(2):
        close_bin = close_bin_of(side, s.close)
        total = weigh_cells(s, p, side, close_bin)
        if total <= 0:
            continue
        for distance in range(p.level_reach):
            lots = s.cell[side, p.level_reach - 1 - distance]
            if lots >= p.level_share * total:
                level = out[count]
                level.side = side
                level.share = lots / total
                level.distance = distance
                level.usd, level.price = open_cell(s, side, close_bin, distance)
                count += 1
    return count


def levels_of(state: np.ndarray, params: np.ndarray) -> np.ndarray:
    """Every level as of the last bar: (n,) LEVEL, upwards by price. Of the state only scratch cells change."""
    out = np.zeros(2 * MAX_CELLS, LEVEL)
    count = _levels(*kernel_views(state, params, out))
    return out[:count][np.argsort(out["price"][:count], kind="stable")]
