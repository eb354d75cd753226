"""Levels: where forced flow lies ahead of price.

The open positions of a side are taken in the order in which price would reach them, and cut into parts that hold
``level_share`` of their mass each. Every part is a level: its price is the mass-weighted geometric mean of its
liquidation prices, its USD its mass times that price. Where many positions wait, levels lie close together. A part
depends on the order and the mass of positions alone, so levels keep the scale law to within a bin at any factor of
prices; the heaviest of fixed cells would not, because another phase of the cells makes another of them the heaviest.

They speak of fresh and highly leveraged positions. Beside true positions their shares are 5 to 40 times too large
within 5 % of price. Beside what was liquidated later, the map still tells more than its average shape after 4 hours,
sometimes after 8, and not after longer: shelf life 4 to 8 hours, reach some 5 %. Beyond ``LEVEL_REACH`` pictures draw
levels faint.

Positions are kept by bins of ``1 / BINS_PER_LOG`` in log price, and each is taken to lie in the middle of its bin.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, kernel_views
from .layout import BINS, BINS_PER_LOG, CELL, CELL_BINS, LEVEL, LONG, MAX_LEVELS, Record
from .params import Params
from .state import attach_state

_RING = BINS - 1
LEVEL_REACH = 0.05  # of the close


@kernel
def _price(side: int, place: float) -> float:
    """The price at a place on a side's axis, in bins."""
    return math.exp((place if side == LONG else -place) / BINS_PER_LOG)


@kernel
def nearest_bin(side: int, log_close: float) -> int:
    """The bin of a side's axis from which its positions are looked for, nearest first.

    It is one nearer than the bin of the close: rounding may put a position a few ulps beyond the close there. No other
    lies there, because positions span 3,964 bins of the ring's 4,096 (``LEFT_BEHIND * MAX_FACTOR``).
    """
    return math.floor(log_close if side == LONG else -log_close) + 1


@kernel
def _lots_until(p: Record, open_lots: int, level: int) -> int:
    """Lots of the first ``level`` levels of a side together."""
    return int(min(open_lots, max(level, math.floor(level * p.level_share * open_lots + 0.5))))


@kernel
def nearest_level(s: Record, p: Record, side: int, log_close: float) -> tuple[float, float]:
    """(usd, price) of the nearest level of a side, (nan, nan) if no position is open."""
    if s.open_lots[side] == 0:
        return math.nan, math.nan
    lots = s.lots[side]
    wanted = _lots_until(p, s.open_lots[side], 1)
    nearest = nearest_bin(side, log_close)
    at = nearest & _RING
    passed = lots[at]
    moment = 0  # what lies beyond each bin that is passed, summed: lots times their distance
    shift = 6 if wanted >= 1 << 50 else 0  # 4096 bins of at most 2^56 lots would overflow
    while at >= 8:  # eight bins at a time, as long as they lie in one piece
        before = 0  # what is passed before each of them, summed
        after = passed
        for i in range(8):
            before += after
            after += lots[np.uintp(at - 1 - i)]
        if after >= wanted:
            for i in range(8):
                moment += max(0, wanted - passed) >> shift
                passed += lots[np.uintp(at - 1 - i)]
            break
        moment += (8 * wanted - before) >> shift
        passed = after
        at -= 8
    while passed < wanted:
        moment += (wanted - passed) >> shift
        at = (at - 1) & _RING
        passed += lots[at]
    price = _price(side, nearest + 0.5 - moment / (wanted >> shift))
    return wanted / s.lots_a_unit * price, price


@kernel
def _levels(state: np.ndarray, params: np.ndarray, out: np.ndarray) -> int:
    s = state[0]
    p = params[0]
    count = 0
    if not s.close > 0.0:
        return count
    for side in range(2):
        lots = s.lots[side]
        nearest = nearest_bin(side, math.log(s.close) * BINS_PER_LOG)
        distance = 0
        left = lots[nearest & _RING]  # of the bin, not yet in a level
        level = 0
        taken = 0
        while taken < s.open_lots[side]:
            level += 1
            wanted = _lots_until(p, s.open_lots[side], level) - taken
            missing = wanted
            moment = 0.0
            while missing > 0:
                if left == 0:
                    distance += 1
                    left = lots[(nearest - distance) & _RING]
                part = min(left, missing)
                moment += float(part) * distance
                left -= part
                missing -= part
            o = out[count]
            o.side = side
            o.price = _price(side, nearest + 0.5 - moment / wanted)
            o.usd = wanted / s.lots_a_unit * o.price
            taken += wanted
            o.share = taken / s.open_lots[side]
            count += 1
    return count


def levels_of(state: np.ndarray, params: Params | np.ndarray) -> np.ndarray:
    """Every level as of the last bar: (n,) LEVEL, upwards by price. Nothing is changed. Cost: O(4096 bins).

    ``params`` are those of the state, or their record; others raise ValueError.

    >>> params = Params().to_record()
    >>> state, out = new_state(params), new_signals(len(bars))
    >>> fold(state, params, bars, out)
    >>> levels = levels_of(state, params)
    >>> levels.dtype == LEVEL, bool((levels["price"][1:] > levels["price"][:-1]).all())
    (True, True)
    """
    out = np.zeros(2 * MAX_LEVELS, LEVEL)
    state, record, out = kernel_views(*attach_state(state, params), out)
    levels = out[: _levels(state, record, out)]
    longs = levels["side"] == LONG
    return np.concatenate([levels[longs][::-1], levels[~longs]])


@kernel
def _cells(state: np.ndarray, out: np.ndarray) -> int:
    s = state[0]
    count = 0
    if not s.close > 0.0:
        return count
    for side in range(2):
        start = nearest_bin(side, math.log(s.close) * BINS_PER_LOG)
        for distance in range(BINS // CELL_BINS):
            nearest = start - CELL_BINS * distance
            lots = 0
            moment = 0.0
            for i in range(CELL_BINS):
                part = s.lots[side, (nearest - i) & _RING]
                lots += part
                moment += float(part) * i
            if lots > 0:
                o = out[count]
                o.side = side
                o.distance = distance
                o.price = _price(side, nearest + 0.5 - moment / lots)
                o.usd = lots / s.lots_a_unit * o.price
                count += 1
    return count


def cells_of(state: np.ndarray, params: Params | np.ndarray) -> np.ndarray:
    """The ledger ahead of price by cells of 0.4 %, counted from ``nearest_bin``: (n,) CELL, the nearest first,
    longs before shorts, empty ones left out. For heatmaps and densities. Otherwise as ``levels_of``.
    """
    out = np.zeros(2 * BINS // CELL_BINS, CELL)
    state, _, out = kernel_views(*attach_state(state, params), out)
    return out[: _cells(state, out)]
