"""Forced flow: what a bar closed by force on one side, and whether that is an event.

Where a feed reports liquidations, they are the flow. Otherwise it is estimated, a side:

1. what the bar swept from the ledger (``ledger.sweep``), and
2. what was opened on the bar and swept by it (``swept_within``); always;
3. plus, each with a switch in ``Params`` and off by default, the USD of ``large_trades``, of a ``cascade`` and of an
   ``open_interest_drop``;
4. the sum raised by ``funding_raise`` for the side that pays extreme funding (``use_funding``).

Prices are weighted by USD. The first two are in USD of positions that the ledger implies, the others in USD that was
traded, an observed flow in USD that was liquidated; nothing is brought to one scale, because an event is a flow that is
large against its own past (and against turnover: ``event_share``). So a feed that begins, ends or fails in mid-stream
changes the scale for ``flow_bars`` rows. ``tests/ingredients.py`` prints what each adds to the rank correlation with
observed liquidations: 2 much, cascades, drops and funding nothing worth having; large trades could not be judged.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel
from .layout import LONG, Record


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


@kernel
def blend(usd: float, price: float, more_usd: float, more_price: float) -> tuple[float, float]:
    """The sum of two flows and its usd-weighted price; a flow of 0 has no say."""
    if not more_usd > 0.0:
        return usd, price
    if not usd > 0.0:
        return more_usd, more_price
    total = usd + more_usd
    return total, (usd * price + more_usd * more_price) / total


@kernel
def _swept_by_leg(p: Record, side: int, first: float, last: float, opened: float) -> tuple[float, float]:
    """(usd, price) of the positions that a leg of a bar's path, from ``first`` to ``last``, opened and swept."""
    usd = 0.0
    usd_price = 0.0
    extent = abs(first - last)
    sign = 1.0 if side == LONG else -1.0
    k = p.leverages - 1
    while k >= 0:
        farthest = first * p.factor[side, k]
        crossed = sign * (farthest - last)
        if not crossed > 0.0:
            break
        price = 0.5 * (farthest + last)
        amount = opened * p.weight[k] * (crossed / (p.factor[side, k] * extent)) * price
        usd += amount
        usd_price += amount * price
        k -= 1
    return usd, usd_price / usd if usd > 0.0 else math.nan


@kernel
def swept_within(p: Record, b: Record, side: int, opened: float) -> tuple[float, float]:
    """(usd, price) of the positions that were opened on a bar and swept by it.

    The path of a bar is open, low, high, close if it closed at or above its open, else open, high, low, close. The
    longs swept are those of its falling legs, the shorts those of its rising ones. On each leg ``opened`` base units
    are taken to be opened evenly over its prices, in the mix of ``Params``: those of leverage k are swept as far as
    ``entry * factor`` was reached, at prices whose mean is the middle of the farthest and the last one.
    """
    rose = b.close >= b.open
    if side == LONG:
        if not rose:
            return _swept_by_leg(p, side, b.high, b.low, opened)
        usd, price = _swept_by_leg(p, side, b.open, b.low, opened)
        more_usd, more_price = _swept_by_leg(p, side, b.high, b.close, opened)
    else:
        if rose:
            return _swept_by_leg(p, side, b.low, b.high, opened)
        usd, price = _swept_by_leg(p, side, b.open, b.high, opened)
        more_usd, more_price = _swept_by_leg(p, side, b.low, b.close, opened)
    return blend(usd, price, more_usd, more_price)


@kernel
def large_trades(b: Record, side: int) -> tuple[float, float]:
    """(usd, price) of large aggressor trades as the tape found them: sells are longs leaving, buys shorts."""
    usd = b.large_sell_usd if side == LONG else b.large_buy_usd
    price = b.large_sell_price if side == LONG else b.large_buy_price
    if not (0.0 < usd < math.inf and 0.0 < price < math.inf):
        return 0.0, math.nan
    return usd, price


@kernel
def hit_side(b: Record, volume: float) -> int:
    """Who a bar hurt: +1 longs, -1 shorts, 0 nobody. By the aggressors' balance where known, else by its direction."""
    balance = b.close - b.open
    if 0.0 <= b.taker_buy <= volume:
        balance = 2.0 * b.taker_buy - volume
    return int(balance < 0.0) - int(balance > 0.0)


@kernel
def cascade(s: Record, p: Record, turnover: float, row: int) -> float:
    """USD of a burst: a bar's turnover beyond ``cascade_mult`` times the mean of the ``flow_bars`` rows before."""
    if row < p.flow_bars:
        return 0.0
    usual = window_sum(s.turnover, s.flow_at, p.flow_bars) / p.flow_bars
    return max(0.0, turnover - p.cascade_mult * usual) if usual > 0.0 else 0.0


@kernel
def open_interest_drop(p: Record, b: Record, volume: float, before: float) -> float:
    """USD that left open interest on a bar, if at least ``open_interest_drop`` of it left; at most the volume can."""
    drop = before - b.open_interest
    if not (b.open_interest > 0.0 and p.open_interest_drop * before <= drop <= volume):
        return 0.0
    return float(drop * b.close)


@kernel
def funding_factor(p: Record, b: Record, side: int) -> float:
    """1 + ``funding_raise`` for the side that pays a funding rate of at least ``funding_extreme``, else 1."""
    paid = b.funding_rate if side == LONG else -b.funding_rate
    return 1.0 + p.funding_raise if p.funding_extreme <= paid < math.inf else 1.0


@kernel
def add_signals(
    s: Record, p: Record, b: Record, side: int, row: int, volume: float, before: float, usd: float, price: float
) -> tuple[float, float]:
    """The ledger's flow of a side and what the switches in ``Params`` add to it, in the order of the module's text.

    ``before`` is the open interest of the row before (nan = unknown). What has no price of its own takes the bar's low
    (longs) or high (shorts).
    """
    if p.use_large_trades:
        more_usd, more_price = large_trades(b, side)
        usd, price = blend(usd, price, more_usd, more_price)
    if p.use_cascades or p.use_open_interest_drops:
        hit = hit_side(b, volume)
        if (hit > 0) if side == LONG else (hit < 0):
            extreme = b.low if side == LONG else b.high
            if p.use_cascades:
                usd, price = blend(usd, price, cascade(s, p, b.close * volume, row), extreme)
            if p.use_open_interest_drops:
                usd, price = blend(usd, price, open_interest_drop(p, b, volume, before), extreme)
    if p.use_funding:
        usd *= funding_factor(p, b, side)
    return usd, price


@kernel
def forced_flow(
    s: Record,
    p: Record,
    b: Record,
    side: int,
    row: int,
    volume: float,
    opened: float,
    before: float,
    swept_usd: float,
    swept_price: float,
) -> tuple[float, float]:
    """A side's forced flow and its price: observed where a feed gives it, else estimated.

    An observed flow without a price takes the estimated price, or the bar's extreme if nothing was estimated.
    """
    usd, price = swept_within(p, b, side, opened)
    usd, price = blend(swept_usd, swept_price, usd, price)
    usd, price = add_signals(s, p, b, side, row, volume, before, usd, price)
    observed_usd = b.liq_long_usd if side == LONG else b.liq_short_usd
    observed_price = b.liq_long_price if side == LONG else b.liq_short_price
    if not 0.0 <= observed_usd < math.inf:
        return usd, price
    if 0.0 < observed_price < math.inf:
        return observed_usd, observed_price
    if usd > 0.0:
        return observed_usd, price
    return observed_usd, b.low if side == LONG else b.high


@kernel
def is_event(s: Record, p: Record, side: int, row: int, usd: float) -> bool:
    """Whether a flow is large: against the mean flow of its side, and against the mean turnover, before it."""
    if not usd > 0.0 or row < p.flow_bars:
        return False
    if not usd > p.event_mult * (window_sum(s.flow[side], s.flow_at, p.flow_bars) / p.flow_bars):
        return False
    return bool(usd >= p.event_share * (window_sum(s.turnover, s.flow_at, p.flow_bars) / p.flow_bars))
