"""The ledger: leveraged positions implied by past bars, until price sweeps them or time lets them go.

Each good bar opens one cohort at its close: every contract opened adds one long and one short, split over the
leverages of ``Params`` in ascending order. The position of leverage k is liquidated at ``entry * factor``, so price
reaches the highest leverage first and ``open_positions`` of a side counts the lowest ones that are still open;
``next_price`` is where the highest of these is liquidated, beyond reach when none is. Cohorts lie in blocks of
``BLOCK`` rows; ``bound`` says how near a block's next prices may be at most, so that a bar looks into the few blocks
that it may have reached. That is faster than any index over prices, and exact.

For the levels each side also keeps the mass that lies at each bin of liquidation prices, on a signed axis
``sign * log(price)`` that falls towards liquidation. It is kept in whole ``lots``, of which a running sum is exact:
``lots = round(mass * weight / unit)``, the unit a power of two 2^36 to 2^44 below the largest open mass, so that it too
depends on the open cohorts alone. All lots of a side stay below 2^56.

A side of a cohort that price has left behind by a factor of ``LEFT_BEHIND`` counts as closed with profit; positions
therefore span less than one turn of the ring of bins.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, rare_kernel
from .layout import BINS, BLOCK, BUCKET, LEFT_BEHIND, LONG, SHORT, Index, Record

_RING = BINS - 1
LOTS_LOG2 = 44
LEAST_LOG2 = 1074  # of the smallest float


@kernel
def _lots(s: Record, p: Record, k: Index, slot: int) -> int:
    """The mass of one position of a cohort, of either side, in whole lots."""
    return int(s.mass[slot] * p.weight[k] * s.lots_a_unit + 0.5)


@kernel
def _bin(s: Record, p: Record, side: int, k: Index, slot: int) -> int:
    """The place in the ring of bins where one position is liquidated."""
    place = s.log_entry[slot] + p.offset[side, k]
    at: int = math.floor(place if side == LONG else -place) & _RING
    return at


@kernel
def _set_open(s: Record, p: Record, side: int, slot: int, positions: int) -> None:
    """Leave the lowest ``positions`` leverages of a cohort's side open and point ``next_price`` at the highest."""
    s.open_positions[side, slot] = positions
    if positions > 0:
        s.next_price[side, slot] = s.entry[slot] * p.factor[side, positions - 1]
    else:
        s.next_price[side, slot] = 0.0 if side == LONG else math.inf


@kernel
def _bucket(mass: float) -> int:
    """Masses within a factor of 256 of each other share a bucket."""
    return (math.frexp(mass)[1] + LEAST_LOG2) // BUCKET


@kernel
def _release(s: Record, p: Record, slot: int) -> None:
    """Count a cohort without open positions no more: it is not to set the unit of mass."""
    if s.open_positions[LONG, slot] > 0 or s.open_positions[SHORT, slot] > 0:
        return
    s.buckets[_bucket(s.mass[slot])] -= 1
    s.mass[slot] = 0.0
    if s.buckets[s.top_bucket] == 0:
        weigh_all(s, p)


@kernel
def _close_side(s: Record, p: Record, side: int, slot: int) -> None:
    closed = 0
    for k in range(s.open_positions[side, slot]):
        lots = _lots(s, p, k, slot)
        s.lots[side, _bin(s, p, side, k, slot)] -= lots
        closed += lots
    s.open_lots[side] -= closed
    _set_open(s, p, side, slot, 0)
    _release(s, p, slot)


@kernel
def _find_in_block(s: Record, side: int, limit: float, block: int, found: int) -> int:
    """Write the slots of a block's cohorts whose next price was reached behind the ``found`` ones of ``s.reached``.

    What is left in the block once they are swept lies beyond the limit, which becomes its bound.
    """
    sign = 1.0 if side == LONG else -1.0
    end = np.uintp(found)
    if sign * s.bound[side, block] >= sign * limit:
        s.bound[side, block] = limit
        for i in range(BLOCK):
            at = BLOCK * block + i
            s.reached[end] = at
            end += np.uintp(sign * s.next_price[side, at] >= sign * limit)
    return int(np.intp(end))  # signed again: Numba makes a float of a signed number and an unsigned one


@kernel
def _find_reached(s: Record, p: Record, side: int, limit: float) -> tuple[int, int]:
    """Write the slots of the cohorts whose next price was reached to ``s.reached``, from the oldest to the newest.

    Returns where they begin and end. Blocks are taken from the oldest to the one of the row itself, in which the slots
    beyond the row's are the oldest of all: what was found before those is put behind them.
    """
    own = s.ledger_at // BLOCK
    found = 0
    for block in range(own + 1, p.ledger_bars // BLOCK + 1):
        found = _find_in_block(s, side, limit, block, found)
    for block in range(own + 1):
        found = _find_in_block(s, side, limit, block, found)
    older = found
    while older > 0 and s.ledger_at < s.reached[older - 1] < BLOCK * (own + 1):
        older -= 1
    if older == found:
        return 0, found
    for i in range(older):
        s.reached[found + i] = s.reached[i]
    return older, older + found


@kernel
def sweep(s: Record, p: Record, side: int, limit: float) -> tuple[float, float]:
    """Close every position of a side whose liquidation price was reached: the bar's low for longs, high for shorts.

    Returns the forced flow at the liquidation prices: (usd, usd times price). Summed from the oldest cohort to the
    newest, of each the highest leverage first. Cost: O(blocks + cohorts of those that may be reached + positions
    closed).
    """
    usd = 0.0
    usd_price = 0.0
    sign = 1.0 if side == LONG else -1.0
    first, end = _find_reached(s, p, side, limit)
    for i in range(first, end):
        slot = s.reached[i]
        positions = s.open_positions[side, slot]
        closed = 0
        while positions > 0:
            k = np.uintp(positions - 1)
            price = s.entry[slot] * p.factor[side, k]
            if sign * price < sign * limit:
                break
            amount = s.mass[slot] * p.weight[k] * price
            usd += amount
            usd_price += amount * price
            lots = _lots(s, p, k, slot)
            s.lots[side, _bin(s, p, side, k, slot)] -= lots
            closed += lots
            positions -= 1
        s.open_lots[side] -= closed
        _set_open(s, p, side, slot, positions)
        if positions == 0:
            _release(s, p, slot)
    return usd, usd_price


@kernel
def take_profit(s: Record, p: Record, close: float) -> None:
    """Let go of the positions of cohorts that the close has left behind by LEFT_BEHIND."""
    if s.lowest_entry * LEFT_BEHIND > close and s.highest_entry < close * LEFT_BEHIND:
        return
    s.lowest_entry = math.inf
    s.highest_entry = 0.0
    for slot in range(p.ledger_bars + 1):
        if s.open_positions[LONG, slot] > 0:
            if s.entry[slot] * LEFT_BEHIND <= close:
                _close_side(s, p, LONG, slot)
            else:
                s.lowest_entry = min(s.lowest_entry, s.entry[slot])
        if s.open_positions[SHORT, slot] > 0:
            if s.entry[slot] >= close * LEFT_BEHIND:
                _close_side(s, p, SHORT, slot)
            else:
                s.highest_entry = max(s.highest_entry, s.entry[slot])


@kernel
def expire(s: Record, p: Record) -> None:
    """Let go of the cohort that is ``ledger_bars + 1`` rows old, whose slot the row's own cohort takes."""
    slot = s.ledger_at
    for side in range(2):
        if s.open_positions[side, slot] > 0:
            _close_side(s, p, side, slot)


@rare_kernel
def weigh_all(s: Record, p: Record) -> None:
    """Choose the unit for the largest open mass and count every lot anew."""
    bucket = len(s.buckets) - 1
    while bucket > 0 and s.buckets[bucket] == 0:
        bucket -= 1
    s.top_bucket = bucket
    s.lots_a_unit = math.ldexp(1.0, min(LOTS_LOG2 + LEAST_LOG2 - BUCKET * (bucket + 1), 1000))
    s.lots[:] = 0
    s.open_lots[:] = 0
    for slot in range(p.ledger_bars + 1):
        for side in range(2):
            for k in range(s.open_positions[side, slot]):
                lots = _lots(s, p, k, slot)
                s.lots[side, _bin(s, p, side, k, slot)] += lots
                s.open_lots[side] += lots


@rare_kernel
def survive(s: Record, p: Record, share: float) -> None:
    """Scale every open cohort by the share of positions that the bar's voluntary closing left open."""
    s.buckets[:] = 0
    for slot in range(p.ledger_bars + 1):
        if s.mass[slot] > 0.0:
            s.mass[slot] *= share
            if s.mass[slot] > 0.0:
                s.buckets[_bucket(s.mass[slot])] += 1
            else:
                _set_open(s, p, LONG, slot, 0)
                _set_open(s, p, SHORT, slot, 0)
    weigh_all(s, p)


@kernel
def open_cohort(s: Record, p: Record, close: float, log_close: float, mass: float) -> None:
    """Open ``mass`` base units a side at ``close``, split over the leverages; ``log_close`` is in bins."""
    slot = s.ledger_at
    s.mass[slot] = mass
    if not mass > 0.0:
        return
    s.entry[slot] = close
    s.log_entry[slot] = log_close
    s.lowest_entry = min(s.lowest_entry, close)
    s.highest_entry = max(s.highest_entry, close)
    _set_open(s, p, LONG, slot, p.leverages)
    _set_open(s, p, SHORT, slot, p.leverages)
    block = slot // BLOCK
    s.bound[LONG, block] = max(s.bound[LONG, block], s.next_price[LONG, slot])
    s.bound[SHORT, block] = min(s.bound[SHORT, block], s.next_price[SHORT, slot])
    bucket = _bucket(mass)
    s.buckets[bucket] += 1
    if bucket > s.top_bucket:
        weigh_all(s, p)
        return
    opened = 0
    for k in range(p.leverages):
        lots = _lots(s, p, k, slot)
        s.lots[LONG, _bin(s, p, LONG, k, slot)] += lots
        s.lots[SHORT, _bin(s, p, SHORT, k, slot)] += lots
        opened += lots
    s.open_lots[LONG] += opened
    s.open_lots[SHORT] += opened
