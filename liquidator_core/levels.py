"""Levels: where forced flow lies ahead of price.

Cells of ``CELL`` bins are counted from the bin of the close, towards liquidation, ``level_reach`` of them. A level is
a cell that holds at least ``level_share`` of its side's mass within reach. Its price is the mass-weighted geometric
mean of the liquidation prices in it, its USD the mass times that price.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, kernel_views
from .layout import BINS, BINS_PER_LOG, CELL, LEVEL, LONG, MAX_CELLS, Record
from .params import Params
from .state import attach_state

_RING = BINS - 1
_ROW = CELL - 1
_COLUMNS = BINS // CELL


@kernel
def weigh_cells(s: Record, p: Record, side: int, close_bin: int, cells: np.ndarray) -> int:
    """Write the lots of each cell to ``cells``, the nearest cell last; returns the lots within reach.

    Bin b of the ring lies at row ``b % CELL`` and column ``b // CELL``, so that neighbouring cells are neighbouring
    numbers in each row, and the first columns stand again behind the last, so that no run of cells is broken.
    """
    lots = s.lots[side]
    phase = close_bin & _ROW
    first = ((close_bin & _RING) // CELL - p.level_reach) & (_COLUMNS - 1)
    total = 0
    for i in range(p.level_reach):
        cell = 0
        for row in range(CELL):
            cell += lots[row, first + i + (1 if row <= phase else 0)]
        cells[i] = cell
        total += cell
    return total


@kernel
def open_cell(s: Record, side: int, close_bin: int, distance: int) -> tuple[float, float]:
    """(usd, price) of the cell ``distance`` cells ahead of the close."""
    nearest = close_bin - CELL * distance
    lots = 0
    place = 0
    for away in range(CELL):
        row = (nearest - away) & _ROW
        column = ((nearest - away) & _RING) // CELL
        lots += s.lots[side, row, column]
        place += s.lots_place[side, row, column] - away * s.lots[side, row, column]
    mean = nearest + place / lots
    price = math.exp((mean if side == LONG else -mean) / BINS_PER_LOG)
    return lots / s.lots_a_unit * price, price


@kernel
def close_bin_of(side: int, log_close: float) -> int:
    """Bin of the close on a side's axis."""
    return math.floor(log_close if side == LONG else -log_close)


@kernel
def nearest_heavy(cells: np.ndarray, least: int) -> int:
    """Index of the last cell that holds at least ``least`` lots, -1 if none; no branches, hence vectors."""
    found = -1
    for i in range(MAX_CELLS):
        found = max(found, i if cells[i] >= least else -1)
    return found


@kernel
def nearest_level(s: Record, p: Record, side: int, log_close: float) -> tuple[float, float]:
    """(usd, price) of the nearest level of a side, (nan, nan) if none."""
    close_bin = close_bin_of(side, log_close)
    total = weigh_cells(s, p, side, close_bin, s.cells)
    if total > 0:
        i = nearest_heavy(s.cells, math.ceil(p.level_share * total))
        if i >= 0:
            return open_cell(s, side, close_bin, p.level_reach - 1 - i)
    return math.nan, math.nan


@kernel
def _levels(state: np.ndarray, params: np.ndarray, out: np.ndarray, cells: np.ndarray) -> int:
    s = state[0]
    p = params[0]
    count = 0
    if not s.close > 0.0:
        return count
    for side in range(2):
        close_bin = close_bin_of(side, math.log(s.close) * BINS_PER_LOG)
        total = weigh_cells(s, p, side, close_bin, cells)
        if total <= 0:
            continue
        for distance in range(p.level_reach):
            lots = cells[p.level_reach - 1 - distance]
            if lots >= p.level_share * total:
                level = out[count]
                level.side = side
                level.share = lots / total
                level.distance = distance
                level.usd, level.price = open_cell(s, side, close_bin, distance)
                count += 1
    return count


def levels_of(state: np.ndarray, params: Params | np.ndarray) -> np.ndarray:
    """Every level as of the last bar: (n,) LEVEL, upwards by price. Nothing is changed. Cost: O(level_reach).

    ``params`` are those of the state, or their record; others raise ValueError.
    """
    out = np.zeros(2 * MAX_CELLS, LEVEL)
    state, record, out = kernel_views(*attach_state(state, params), out)
    count = _levels(state, record, out, np.zeros(MAX_CELLS, np.int64))
    return out[:count][np.argsort(out["price"][:count], kind="stable")]
