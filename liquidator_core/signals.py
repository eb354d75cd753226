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
def described(s: Record, p: Record, row: int, slot: int) -> tuple[float, float, float, float, float, float, float]:
    """(price, low, high, usd, quality, touches, age) of the zone led by the mark at ``slot``, as a row tells them."""
    m = s.marks[slot]
    return (
        m.zone_price,
        m.zone_low,
        m.zone_high,
        m.zone_usd,
        quality(m, p, row, s.zone_usd),
        float(m.touches),
        float(row - m.birth_row),
    )
