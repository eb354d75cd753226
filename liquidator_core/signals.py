"""Signals: the row a strategy reads."""

from __future__ import annotations

import math

from ._jit import kernel
from .layout import Record
from .zones import quality


@kernel
def clear(o: Record) -> None:
    """Unknown prices, no entries: the row before warm-up and of a skipped bar."""
    o.support = math.nan
    o.support_low = math.nan
    o.support_high = math.nan
    o.support_usd = math.nan
    o.support_quality = math.nan
    o.support_touches = math.nan
    o.support_age = math.nan
    o.resistance = math.nan
    o.resistance_low = math.nan
    o.resistance_high = math.nan
    o.resistance_usd = math.nan
    o.resistance_quality = math.nan
    o.resistance_touches = math.nan
    o.resistance_age = math.nan
    o.level_below = math.nan
    o.level_below_usd = math.nan
    o.level_above = math.nan
    o.level_above_usd = math.nan
    o.long_flow_usd = math.nan
    o.short_flow_usd = math.nan
    o.atr = math.nan
    o.fade_low = math.nan
    o.fade_high = math.nan
    o.join_low = math.nan
    o.join_high = math.nan
    o.touch = 0
    o.broke = 0
    o.fade = 0
    o.join = 0
    o.exit_long = 0
    o.exit_short = 0


@kernel
def describe_support(s: Record, p: Record, row: int, slot: int, o: Record) -> None:
    """Write the zone led by the mark at ``slot`` as support."""
    m = s.marks[slot]
    o.support = m.zone_price
    o.support_low = m.zone_low
    o.support_high = m.zone_high
    o.support_usd = m.zone_usd
    o.support_quality = quality(m, p, row, s.zone_usd)
    o.support_touches = m.touches
    o.support_age = row - m.birth_row


@kernel
def describe_resistance(s: Record, p: Record, row: int, slot: int, o: Record) -> None:
    """Write the zone led by the mark at ``slot`` as resistance."""
    m = s.marks[slot]
    o.resistance = m.zone_price
    o.resistance_low = m.zone_low
    o.resistance_high = m.zone_high
    o.resistance_usd = m.zone_usd
    o.resistance_quality = quality(m, p, row, s.zone_usd)
    o.resistance_touches = m.touches
    o.resistance_age = row - m.birth_row
