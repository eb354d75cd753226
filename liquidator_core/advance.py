"""The main flow: one closed bar in, one signal out. Start reading here."""

from __future__ import annotations

import math

from . import ledger, levels, marks, signals, zones
from ._jit import kernel, rare_kernel
from .bars import average_true_range, is_good, remember_range, true_range
from .flow import estimated_flow, is_event
from .layout import BESIDE, BINS_PER_LOG, FLOW, LONG, SHORT, Record
from .observed import observed_flow, remember_observed
from .rings import remember


@kernel
def _turn(place: int, length: int) -> int:
    return place + 1 if place + 1 < length else 0


@kernel
def take_places(s: Record, p: Record) -> None:
    """Move to this row's place in each ring; a counter that wraps is far cheaper than a remainder."""
    s.ledger_at = _turn(s.ledger_at, p.ledger_bars + 1)
    s.flow_at = _turn(s.flow_at, p.flow_bars)
    s.range_at = _turn(s.range_at, p.atr_bars)
    s.mark_at = _turn(s.mark_at, p.zone_bars)


@rare_kernel
def skip(s: Record, p: Record) -> None:
    """Let a row without usable prices pass: no range, no flow, no positions; the previous close is kept for a while."""
    s.skipped += 1
    remember_range(s, p, math.nan)
    remember_flow(s, p, 0.0, 0.0, 0.0)
    s.open_interest = math.nan
    s.close_age += 1
    if s.close_age > p.ledger_bars + p.flow_bars - p.atr_bars:
        s.close = math.nan


@kernel
def remember_flow(s: Record, p: Record, long_usd: float, short_usd: float, turnover: float) -> None:
    """What later bars are compared with."""
    remember(s.flow[LONG], s.flow_at, p.flow_bars, long_usd)
    remember(s.flow[SHORT], s.flow_at, p.flow_bars, short_usd)
    remember(s.turnover, s.flow_at, p.flow_bars, turnover)


@rare_kernel
def mark_event(s: Record, p: Record, row: int, time: int, side: int, usd: float, price: float, observed: bool) -> bool:
    """Leave a mark where an event happened; False if the average true range is unknown or zero."""
    atr = average_true_range(s, p, row)
    if not atr > 0.0:
        return False
    marks.leave_mark(s, p, row, time, side, usd, price, observed, atr)
    return True


@kernel
def trade_positions(s: Record, p: Record, volume: float, open_interest: float) -> float:
    """Base units that a bar opened a side; what it closed voluntarily leaves the ledger.

    Without open interest every trade is taken to open. With it, ``(V + dOI) / 2`` is opened and ``(V - dOI) / 2``
    closed, so each cohort survives by ``1 - (V - dOI) / (2 OI)``, OI before the bar. A change that exceeds the volume
    is a fault of the data and is not used.
    """
    before = s.open_interest
    s.open_interest = open_interest if 0.0 < open_interest < math.inf else math.nan
    change = float(s.open_interest - before)
    if not abs(change) <= volume:
        return volume
    ledger.survive(s, p, max(0.0, 1.0 - (volume - change) / (2.0 * before)))
    return (volume + change) / 2.0


@kernel
def advance(s: Record, p: Record, b: Record, o: Record) -> None:
    """The whole flow of a bar: what is too old goes, positions are swept and opened, marks meet the bar, events leave
    marks, and the row is written. docs/formula.md says the same in words.
    """
    row = s.rows
    take_places(s, p)
    s.rows = row + 1
    signals.clear(o)
    ledger.expire(s, p)
    if marks.expire_marks(s, p):
        zones.cluster(s, p)
    if not is_good(b):
        skip(s, p)
        return

    volume = b.volume if 0.0 <= b.volume < math.inf else 0.0
    before = s.open_interest
    swept_longs = ledger.sweep(s, p, LONG, b.low)
    swept_shorts = ledger.sweep(s, p, SHORT, b.high)
    opened = trade_positions(s, p, volume, b.open_interest)
    long_usd, long_price = estimated_flow(s, p, b, LONG, row, volume, opened, before, swept_longs)
    short_usd, short_price = estimated_flow(s, p, b, SHORT, row, volume, opened, before, swept_shorts)
    longs_observed = shorts_observed = False
    if p.observed != BESIDE:
        if p.observed == FLOW:
            remember_observed(s, b, row, long_usd, short_usd)
        long_usd, long_price, longs_observed = observed_flow(s, p, b, LONG, row, long_usd, long_price)
        short_usd, short_price, shorts_observed = observed_flow(s, p, b, SHORT, row, short_usd, short_price)
    ledger.take_profit(s, p, b.close)
    log_close = math.log(b.close) * BINS_PER_LOG
    ledger.open_cohort(s, p, b.close, log_close, opened)

    remember_range(s, p, true_range(s, b))
    changed = marks.update_marks(s, p, b, row, o)
    if long_usd > 0.0 and is_event(s, p, LONG, row, long_usd):
        changed |= mark_event(s, p, row, b.time, LONG, long_usd, long_price, longs_observed)
    if short_usd > 0.0 and is_event(s, p, SHORT, row, short_usd):
        changed |= mark_event(s, p, row, b.time, SHORT, short_usd, short_price, shorts_observed)
    if changed:
        zones.cluster(s, p)
    remember_flow(s, p, long_usd, short_usd, b.close * volume)
    s.close = b.close
    s.close_age = 0

    if s.rows < p.memory:
        signals.clear(o)
        return
    o.long_flow_usd = long_usd
    o.short_flow_usd = short_usd
    o.atr = average_true_range(s, p, row)
    support, resistance = zones.nearest_zones(s, b.close)
    if support >= 0:
        (
            o.support,
            o.support_low,
            o.support_high,
            o.support_usd,
            o.support_quality,
            o.support_touches,
            o.support_age,
        ) = signals.described(s, p, row, support)
    if resistance >= 0:
        (
            o.resistance,
            o.resistance_low,
            o.resistance_high,
            o.resistance_usd,
            o.resistance_quality,
            o.resistance_touches,
            o.resistance_age,
        ) = signals.described(s, p, row, resistance)
    o.level_below_usd, o.level_below = levels.nearest_level(s, p, LONG, log_close)
    o.level_above_usd, o.level_above = levels.nearest_level(s, p, SHORT, log_close)


@rare_kernel
def advance_apart(s: Record, p: Record, b: Record, o: Record) -> None:
    """``advance`` as a call, for kernels that do more than fold: compiled once, not into each of them."""
    advance(s, p, b, o)
