"""Marks: what an event leaves on the chart, and what price does when it comes back.

A mark is born unarmed. It arms when a close lies ``rearm_atr`` beyond an edge, from that side. The next bar that
enters the band from there touches it and disarms it; a bar that opens beyond the far edge has gapped over it, which
disarms it without a touch. The first touch starts a trial, frozen at that bar's ATR: price that leaves on the approach
side by ``hold_atr`` on a later bar holds, a close ``break_atr`` beyond the far edge (on the touch bar too) breaks,
both on one bar is ambiguous, neither within ``outcome_bars`` is unresolved; touches during a trial count but start no
other. A broken mark leaves its zone; its first touch within ``outcome_bars``, if from the far side, is a join.
"""

from __future__ import annotations

import math

import numpy as np

from ._jit import kernel, rare_kernel
from .bars import average_true_range
from .layout import Record
from .zones import nearest_zones

OPEN, HELD, BROKE, AMBIGUOUS, UNRESOLVED = range(5)  # what ``verdict`` says of a trial


@kernel
def _remove(slots: np.ndarray, count: int, index: int) -> int:
    for i in range(index, count - 1):
        slots[i] = slots[i + 1]
    return count - 1


@kernel
def expire_marks(s: Record, p: Record) -> bool:
    """Let go of marks that are ``zone_bars`` old; returns whether a zone may have changed."""
    changed = False
    for side in range(2):
        slot = 2 * s.mark_at + side
        if s.marks[slot].usd > 0.0:
            s.marks[slot].usd = 0.0
            for index in range(s.whole_count):
                if s.whole[index] == slot:
                    s.whole_count = _remove(s.whole, s.whole_count, index)
                    changed = True
                    break
    for index in range(s.broken_count - 1, -1, -1):
        mark = s.marks[s.broken[index]]
        mark.broken_age += 1
        if mark.usd == 0.0 or mark.broken_age > p.outcome_bars:
            s.broken_count = _remove(s.broken, s.broken_count, index)
    return changed


@kernel
def is_touched(m: Record, bar: Record) -> bool:
    """Whether the bar enters an armed mark's band from the side it is armed on; disarms it if so or if it gapped."""
    low = m.price - m.half_width
    high = m.price + m.half_width
    if m.armed > 0:
        if bar.open < low:
            m.armed = 0
        elif bar.low <= high:
            m.armed = 0
            return True
    elif m.armed < 0:
        if bar.open > high:
            m.armed = 0
        elif bar.high >= low:
            m.armed = 0
            return True
    return False


@kernel
def verdict(p: Record, side: int, low: float, high: float, atr: float, age: int, bar: Record) -> int:
    """What a bar makes of a trial of the band [low, high], touched ``age`` bars ago from above (+1) or below (-1)."""
    if side > 0:
        held = bar.high >= high + p.hold_atr * atr
        broke = bar.close < low - p.break_atr * atr
    else:
        held = bar.low <= low - p.hold_atr * atr
        broke = bar.close > high + p.break_atr * atr
    held = held and age > 0
    if held and broke:
        return AMBIGUOUS
    if held:
        return HELD
    if broke:
        return BROKE
    return UNRESOLVED if age >= p.outcome_bars else OPEN


@kernel
def decide(m: Record, p: Record, bar: Record) -> None:
    """Advance a trial by one bar: hold, break, ambiguous, unresolved, or still open."""
    found = verdict(p, m.trial, m.price - m.half_width, m.price + m.half_width, m.trial_atr, m.trial_age, bar)
    if found == OPEN:
        m.trial_age += 1
        return
    if found == AMBIGUOUS:
        m.ambiguous += 1
    elif found == HELD:
        m.holds += 1
    elif found == BROKE:
        m.broken = -m.trial
        m.broken_age = 0
    else:
        m.unresolved += 1
    m.trial = 0


@kernel
def arm(m: Record, p: Record, close: float) -> None:
    """Arm a mark from the side on which the bar closed, if far enough beyond its edge."""
    beyond = m.half_width + p.rearm_atr * m.atr
    if close > m.price + beyond:
        m.armed = 1
    elif close < m.price - beyond:
        m.armed = -1


@kernel
def rest(m: Record, p: Record) -> None:
    """Let a whole mark sleep through bars that can neither touch it nor arm it if it is not; a trial sees them all."""
    if m.trial != 0:
        m.wake_low = math.inf
        m.wake_high = -math.inf
    elif m.armed > 0:
        m.wake_low = m.price + m.half_width
        m.wake_high = math.inf
    elif m.armed < 0:
        m.wake_low = -math.inf
        m.wake_high = m.price - m.half_width
    else:
        beyond = m.half_width + p.rearm_atr * m.atr
        m.wake_low = m.price - beyond
        m.wake_high = m.price + beyond


@kernel
def update_marks(s: Record, p: Record, bar: Record, row: int, o: Record) -> bool:
    """Show a bar to every mark and write touch, broke, fade, join and the exits.

    Where zones disagree the one with the most USD decides, of equals the lowest; for joins, which any broken mark may
    give, the mark with the most, of equals the one that broke first. Returns whether a zone changed.
    """
    changed = False
    touch_usd = broke_usd = fade_usd = join_usd = -1.0
    index = 0
    while index < s.broken_count:
        m = s.marks[s.broken[index]]
        from_far_side = m.armed == m.broken
        if is_touched(m, bar):
            if from_far_side and m.usd > join_usd:
                join_usd = m.usd
                o.join = m.broken
                o.join_low = m.price - m.half_width
                o.join_high = m.price + m.half_width
            s.broken_count = _remove(s.broken, s.broken_count, index)
        else:
            arm(m, p, bar.close)
            index += 1
    index = 0
    while index < s.whole_count:
        slot = s.whole[index]
        m = s.marks[slot]
        if bar.low > m.wake_low and bar.high < m.wake_high:
            index += 1
            continue
        approach = m.armed
        if approach != 0 and is_touched(m, bar):
            m.touches += 1
            if m.trial == 0:
                m.trial = approach
                m.trial_age = 0
                m.trial_atr = average_true_range(s, p, row)
            if m.leads == 1:
                if m.zone_usd > touch_usd:
                    touch_usd = m.zone_usd
                    o.touch = approach
                inside = bar.close >= m.zone_low if approach > 0 else bar.close <= m.zone_high
                if inside and m.zone_usd > fade_usd:
                    fade_usd = m.zone_usd
                    o.fade = approach
                    o.fade_low = m.zone_low
                    o.fade_high = m.zone_high
                support, resistance = nearest_zones(s, s.close)
                if slot == resistance and approach < 0:
                    o.exit_long = 1
                if slot == support and approach > 0:
                    o.exit_short = 1
        if m.trial != 0:
            decide(m, p, bar)
        arm(m, p, bar.close)
        if m.broken == 0:
            rest(m, p)
            index += 1
            continue
        if m.leads == 1 and m.zone_usd > broke_usd:
            broke_usd = m.zone_usd
            o.broke = m.broken
        s.whole_count = _remove(s.whole, s.whole_count, index)
        s.broken[s.broken_count] = slot
        s.broken_count += 1
        changed = True
    return changed


@rare_kernel
def leave_mark(
    s: Record, p: Record, row: int, time: int, side: int, usd: float, price: float, observed: bool, atr: float
) -> None:
    """Turn an event into a mark, in its place among the unbroken ones."""
    slot = 2 * s.mark_at + side
    m = s.marks[slot]
    m.birth = time
    m.birth_row = row
    m.side = side
    m.price = price
    m.half_width = p.zone_atr * atr
    m.usd = usd
    m.observed = int(observed)
    m.atr = atr
    m.armed = 0
    m.trial = 0
    m.trial_age = 0
    m.trial_atr = math.nan
    m.broken = 0
    m.broken_age = 0
    m.touches = 0
    m.holds = 0
    m.ambiguous = 0
    m.unresolved = 0
    m.leads = 0
    rest(m, p)
    index = s.whole_count
    while index > 0 and s.marks[s.whole[index - 1]].price > price:  # older marks of the same price come first
        s.whole[index] = s.whole[index - 1]
        index -= 1
    s.whole[index] = slot
    s.whole_count += 1
