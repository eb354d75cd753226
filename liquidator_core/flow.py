"""Forced flow: what a bar closed by force on one side, and whether that is an event.

It is estimated, a side; what a feed reports of liquidations can take its place (``observed``):

1. what the bar swept from the ledger (``ledger.sweep``), and
2. what was opened on the bar and swept by it (``swept_within``); always;
3. plus, each with a switch in ``Params`` and off by default, the USD of ``large_trades``, of a ``cascade`` and of an
   ``open_interest_drop``;
4. the sum raised by ``funding_raise`` for the side that pays extreme funding (``use_funding``).

Prices are weighted by USD. The first two are in USD of positions that the ledger implies, which is turnover and not
dollars of the market (32 to 43 times what three venues reported: ``tests/figures/truth.py``), the others in USD that
was traded; they are not brought to one scale, because an event is a flow that is large against its own past (and
against turnover: ``event_share``). ``tests/figures/ingredients.py`` prints what each adds to the rank correlation with
observed liquidations: 2 much, cascades, drops and funding nothing worth having; large trades could not be judged.
"""

from __future__ import annotations

import math

from ._jit import kernel, rare_kernel
from .layout import LONG, Record
from .rings import window_sum


@kernel
def _swept_by_leg(p: Record, side: int, first: float, last: float) -> tuple[float, float]:
    """(usd, usd times price) that a leg of a bar's path, from ``first`` to ``last``, swept of one base unit opened."""
    usd = 0.0
    usd_price = 0.0
    sign = 1.0 if side == LONG else -1.0
    k = p.leverages - 1
    while k >= 0:
        farthest = first * p.factor[side, k]
        crossed = sign * (farthest - last)
        if not crossed > 0.0:
            break
        price = 0.5 * (farthest + last)
        amount = p.entries_swept[side, k] * crossed * price
        usd += amount
        usd_price += amount * price
        k -= 1
    if k == p.leverages - 1:
        return usd, usd_price
    extent = abs(first - last)
    return usd / extent, usd_price / extent


@kernel
def swept_within(p: Record, b: Record, side: int, opened: float) -> tuple[float, float]:
    """(usd, usd times price) of the positions that were opened on a bar and swept by it.

    The path of a bar is open, low, high, close if it closed at or above its open, else open, high, low, close. The
    longs swept are those of its falling legs, the shorts those of its rising ones. On each leg ``opened`` base units
    are taken to be opened evenly over its prices, in the mix of ``Params``: those of leverage k are swept as far as
    ``entry * factor`` was reached, at prices whose mean is the middle of the farthest and the last one.
    """
    rose = b.close >= b.open
    if side == LONG:
        first = _swept_by_leg(p, side, b.open if rose else b.high, b.low)
        second = _swept_by_leg(p, side, b.high, b.close) if rose else (0.0, 0.0)
    else:
        first = _swept_by_leg(p, side, b.low if rose else b.open, b.high)
        second = (0.0, 0.0) if rose else _swept_by_leg(p, side, b.low, b.close)
    return opened * (first[0] + second[0]), opened * (first[1] + second[1])


@kernel
def large_trades(b: Record, side: int) -> tuple[float, float]:
    """(usd, price) of large aggressor trades as the tape found them: sells are longs leaving, buys shorts.

    What is large there, ``large_mult`` and ``large_usd`` say; on a dense tape the default takes in a third of the
    turnover (``Params``).
    """
    usd = b.large_sell_usd if side == LONG else b.large_buy_usd
    price = b.large_sell_price if side == LONG else b.large_buy_price
    if not (0.0 < usd < math.inf and 0.0 < price < math.inf):
        return 0.0, 0.0
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


@rare_kernel
def extra_sources(
    s: Record, p: Record, b: Record, side: int, row: int, volume: float, before: float
) -> tuple[float, float]:
    """(usd, usd times price) of what the switches in ``Params`` add to a side, in the order of the module's text.

    ``before`` is the open interest of the row before (nan = unknown). What has no price of its own takes the bar's low
    (longs) or high (shorts).
    """
    usd = 0.0
    usd_price = 0.0
    if p.use_large_trades:
        large, price = large_trades(b, side)
        usd += large
        usd_price += large * price
    if p.use_cascades or p.use_open_interest_drops:
        hit = hit_side(b, volume)
        if (hit > 0) if side == LONG else (hit < 0):
            extreme = b.low if side == LONG else b.high
            if p.use_cascades:
                burst = cascade(s, p, b.close * volume, row)
                usd += burst
                usd_price += burst * extreme
            if p.use_open_interest_drops:
                drop = open_interest_drop(p, b, volume, before)
                usd += drop
                usd_price += drop * extreme
    return usd, usd_price


@kernel
def estimated_flow(
    s: Record,
    p: Record,
    b: Record,
    side: int,
    row: int,
    volume: float,
    opened: float,
    before: float,
    swept: tuple[float, float],
) -> tuple[float, float]:
    """A side's forced flow and its price, as estimated; the bar's extreme if nothing was.

    ``swept`` is what the bar swept from the ledger.
    """
    within = swept_within(p, b, side, opened)
    usd = swept[0] + within[0]
    usd_price = swept[1] + within[1]
    if p.use_extra_sources:
        more = extra_sources(s, p, b, side, row, volume, before)
        raised = funding_factor(p, b, side) if p.use_funding else 1.0
        usd = raised * (usd + more[0])
        usd_price = raised * (usd_price + more[1])
    return usd, usd_price / usd if usd > 0.0 else (b.low if side == LONG else b.high)


@kernel
def is_event(s: Record, p: Record, side: int, row: int, usd: float) -> bool:
    """Whether a flow is large: against the mean flow of its side, and against the mean turnover, before it."""
    if not usd > 0.0 or row < p.flow_bars:
        return False
    if not usd > p.event_mult * (window_sum(s.flow[side], s.flow_at, p.flow_bars) / p.flow_bars):
        return False
    return bool(usd >= p.event_share * (window_sum(s.turnover, s.flow_at, p.flow_bars) / p.flow_bars))
