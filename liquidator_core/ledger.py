"""The ledger: leveraged positions implied by past bars, until price sweeps them or time lets them go.

Each good bar opens one cohort at its close: every contract opened adds one long and one short, split over the
leverages of ``Params``. A position is one (cohort, side, leverage), liquidated at ``entry * factor``; a bit of
``alive`` says that it is open. Cohorts hang in doubly linked lists, newest first, under a ring of log-price bins of
their entries. Bins are an index: a sweep visits the bins that price crossed for a leverage and closes a position only
if its own price was reached, so the flow does not depend on the bins.

For the levels each side also keeps the mass that lies at each bin of liquidation prices, on a signed axis
``sign * log(price)`` that falls towards liquidation. It is kept in whole ``lots``, of which a running sum is exact:
``lots = round(mass * weight / unit)``, the unit a power of two 2^36 to 2^44 below the largest open mass, so that it too
depends on the open cohorts alone. ``lots_place`` is the same times the place within the bin, for the mean price.

A side of a cohort that price has left behind by more than ``FAR_LOG`` (a factor of 3.3) counts as closed with profit;
positions therefore span less than one turn of the ring.
"""

from __future__ import annotations

import math

from ._jit import kernel
from .layout import BINS, BINS_PER_LOG, BUCKET, CELL, FAR_LOG, LONG, MAX_LEVERAGES, NOT_LINKED

_RING = BINS - 1
_ROW = CELL - 1
_LOTS_LOG2 = 44


@kernel
def _weigh(s, p, side, k, slot, sign):
    """Add (sign 1) or take away (-1) the lots of one position at the bin of its liquidation price."""
    place = s.log_entry[slot] + p.offset[side, k]
    if side != LONG:
        place = -place
    below = math.floor(place)
    bin_ = int(below)
    lots = math.floor(s.mass[slot] * p.weight[k] * s.lots_a_unit + 0.5)
    s.lots[side, bin_ & _ROW, (bin_ & _RING) // CELL] += sign * int(lots)
    s.lots_place[side, bin_ & _ROW, (bin_ & _RING) // CELL] += sign * int(math.floor(lots * (place - below) + 0.5))


@kernel
def sweep(s, p, side, limit):
    """Close every position of a side whose liquidation price was reached: the bar's low for longs, high for shorts.

    Returns (usd, price): the forced flow at the liquidation prices, and its usd-weighted price (nan if none).
    Order of summation: by leverage, then away from the limit by bin, then newest first.
    Cost: O(leverages + bins crossed + cohorts in them).
    """
    sign = 1 if side == LONG else -1
    log_limit = math.log(limit) * BINS_PER_LOG
    usd = 0.0
    usd_price = 0.0
    for k in range(p.leverages):
        first = int(math.floor(log_limit - p.offset[side, k])) - sign  # a bin's edge may be off by rounding
        for away in range(min(sign * (s.bound[side, k] - first), BINS - 1) + 1):
            slot = s.head[(first + sign * away) & _RING]
            while slot >= 0:
                price = s.entry[slot] * p.factor[side, k]
                if s.alive[side, slot] >> k & 1 and sign * price >= sign * limit:
                    amount = s.mass[slot] * p.weight[k] * price
                    usd += amount
                    usd_price += amount * price
                    _weigh(s, p, side, k, slot, -1)
                    s.alive[side, slot] ^= 1 << k
                slot = s.next[slot]
        last = first + 2 * sign
        if sign * (s.bound[side, k] - last) > 0:
            s.bound[side, k] = last
    return usd, usd_price / usd if usd > 0.0 else math.nan


@kernel
def _close_side(s, p, side, slot):
    alive = s.alive[side, slot]
    for k in range(p.leverages):
        if alive >> k & 1:
            _weigh(s, p, side, k, slot, -1)
    s.alive[side, slot] = 0


@kernel
def take_profit(s, p, side, close):
    """Let go of the positions of cohorts that the close has left behind by more than FAR_LOG."""
    sign = 1 if side == LONG else -1
    far = close * math.exp(-sign * FAR_LOG)
    last = int(math.floor(math.log(far) * BINS_PER_LOG)) + sign
    for away in range(min(sign * (last - s.behind[side]), BINS - 1) + 1):
        slot = s.head[(last - sign * away) & _RING]
        while slot >= 0:
            if s.alive[side, slot] != 0 and sign * s.entry[slot] <= sign * far:
                _close_side(s, p, side, slot)
            slot = s.next[slot]
    first = last - 2 * sign
    if sign * (first - s.behind[side]) > 0:
        s.behind[side] = first


@kernel
def expire(s, p, slot):
    """Let go of the cohort that is ``ledger_bars + 1`` rows old, whose slot the row's own cohort takes."""
    if s.bin[slot] == NOT_LINKED:
        return
    for side in range(2):
        _close_side(s, p, side, slot)
    before = s.prev[slot]
    if before >= 0:
        s.next[before] = -1  # the oldest cohort is the last of its list
    else:
        s.head[s.bin[slot] & _RING] = -1
    s.bin[slot] = NOT_LINKED
    _count(s, s.mass[slot], -1)
    if s.buckets[s.top_bucket] == 0:
        weigh_all(s, p)


@kernel
def _bucket(mass):
    """Masses within a factor of 256 of each other share a bucket."""
    return (math.frexp(mass)[1] + 1074) // BUCKET


@kernel
def _count(s, mass, sign):
    s.buckets[_bucket(mass)] += sign


@kernel
def weigh_all(s, p):
    """Choose the unit for the largest open mass and count every lot anew."""
    bucket = len(s.buckets) - 1
    while bucket > 0 and s.buckets[bucket] == 0:
        bucket -= 1
    s.top_bucket = bucket
    s.lots_a_unit = math.ldexp(1.0, _LOTS_LOG2 - (BUCKET * (bucket + 1) - 1074))
    s.lots[:] = 0
    s.lots_place[:] = 0
    for slot in range(p.ledger_bars + 1):
        if s.bin[slot] == NOT_LINKED:
            continue
        for side in range(2):
            for k in range(p.leverages):
                if s.alive[side, slot] >> k & 1:
                    _weigh(s, p, side, k, slot, 1)


@kernel
def survive(s, p, share):
    """Scale every open cohort by the share of positions that the bar's voluntary closing left open."""
    s.buckets[:] = 0
    for slot in range(p.ledger_bars + 1):
        if s.bin[slot] != NOT_LINKED:
            s.mass[slot] *= share
            _count(s, s.mass[slot], 1)
    weigh_all(s, p)


@kernel
def open_cohort(s, p, slot, close, mass):
    """Open ``mass`` base units a side at ``close``, split over the leverages."""
    s.mass[slot] = mass
    if not mass > 0.0:
        return
    place = math.log(close) * BINS_PER_LOG
    bin_ = int(math.floor(place))
    ring = bin_ & _RING
    after = s.head[ring]
    s.next[slot] = after
    s.prev[slot] = -1
    if after >= 0:
        s.prev[after] = slot
    s.head[ring] = slot
    s.bin[slot] = bin_
    s.entry[slot] = close
    s.log_entry[slot] = place
    _count(s, mass, 1)
    everyone = (1 << p.leverages) - 1
    s.alive[0, slot] = everyone
    s.alive[1, slot] = everyone
    for k in range(p.leverages):
        s.bound[0, k] = max(s.bound[0, k], bin_)
        s.bound[1, k] = min(s.bound[1, k], bin_)
    s.behind[0] = min(s.behind[0], bin_)
    s.behind[1] = max(s.behind[1], bin_)
    if _bucket(mass) > s.top_bucket:
        weigh_all(s, p)
        return
    for side in range(2):
        for k in range(p.leverages):
            _weigh(s, p, side, k, slot, 1)
