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

from ._jit import kernel
from .layout import BINS, BLOCK, BUCKET, LEFT_BEHIND, LONG, SHORT, Record

_RING = BINS - 1
_LOTS_LOG2 = 44
_LEAST_LOG2 = 1074  # of the smallest float


@kernel
def _weigh(s: Record, p: Record, side: int, k: int, slot: int, sign: int) -> int:
    """Add (sign 1) or take away (-1) the lots of one position at the bin of its liquidation price; returns them."""
    place = s.log_entry[slot] + p.offset[side, k]
    at = math.floor(place if side == LONG else -place) & _RING
    lots: int = sign * math.floor(s.mass[slot] * p.weight[k] * s.lots_a_unit + 0.5)
    s.lots[side, at] += lots
    return lots


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
    return (math.frexp(mass)[1] + _LEAST_LOG2) // BUCKET


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
    for k in range(s.open_positions[side, slot]):
        s.open_lots[side] += _weigh(s, p, side, k, slot, -1)
    _set_open(s, p, side, slot, 0)
    _release(s, p, slot)


@kernel
def _find_reached(s: Record, p: Record, side: int, limit: float) -> int:
    """Write the slots of the cohorts whose next price was reached to ``s.reached``; returns their number.

    What is left in a block once they are swept lies beyond the limit, which becomes its bound.
    """
    prices = s.next_price[side]
    bound = s.bound[side]
    sign = 1.0 if side == LONG else -1.0
    found = 0
    for block in range(p.ledger_bars // BLOCK + 1):
        if sign * bound[block] >= sign * limit:
            bound[block] = limit
            for at in range(BLOCK * block, BLOCK * block + BLOCK):
                s.reached[found] = at
                found += sign * prices[at] >= sign * limit
    return found


@kernel
def sweep(s: Record, p: Record, side: int, limit: float) -> tuple[float, float]:
    """Close every position of a side whose liquidation price was reached: the bar's low for longs, high for shorts.

    Returns the forced flow at the liquidation prices: (usd, usd times price). Summed from the oldest cohort to the
    newest, of each the highest leverage first. Cost: O(blocks + cohorts of those
    that may be reached + positions closed).
    """
    usd = 0.0
    usd_price = 0.0
    sign = 1.0 if side == LONG else -1.0
    found = _find_reached(s, p, side, limit)
    oldest = 0
    while oldest < found and s.reached[oldest] < s.ledger_at:
        oldest += 1
    for i in range(found):
        at = s.reached[oldest + i - (found if oldest + i >= found else 0)]
        k = s.open_positions[side, at] - 1
        lots = 0
        while k >= 0:
            price = s.entry[at] * p.factor[side, k]
            if sign * price < sign * limit:
                break
            amount = s.mass[at] * p.weight[k] * price
            usd += amount
            usd_price += amount * price
            lots += _weigh(s, p, side, k, at, -1)
            k -= 1
        s.open_lots[side] += lots
        _set_open(s, p, side, at, k + 1)
        if k < 0:
            _release(s, p, at)
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


@kernel
def weigh_all(s: Record, p: Record) -> None:
    """Choose the unit for the largest open mass and count every lot anew."""
    bucket = len(s.buckets) - 1
    while bucket > 0 and s.buckets[bucket] == 0:
        bucket -= 1
    s.top_bucket = bucket
    s.lots_a_unit = math.ldexp(1.0, min(_LOTS_LOG2 + _LEAST_LOG2 - BUCKET * (bucket + 1), 1000))
    s.lots[:] = 0
    s.open_lots[:] = 0
    for slot in range(p.ledger_bars + 1):
        for side in range(2):
            for k in range(s.open_positions[side, slot]):
                s.open_lots[side] += _weigh(s, p, side, k, slot, 1)


@kernel
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
    for side in range(2):
        lots = 0
        for k in range(p.leverages):
            lots += _weigh(s, p, side, k, slot, 1)
        s.open_lots[side] += lots
