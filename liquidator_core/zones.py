"""Zones: clusters of live, unbroken marks; a pure function of the marks at this bar.

Marks are taken by (price, birth, side), upwards. A mark joins the cluster below it while their bands overlap and the
cluster is no wider than ``max_width_atr`` times the ATR of its first mark, at that mark's birth. The mark with the most
USD leads the zone (tie: the older, then the long side): the zone carries its id, side, age, touches and holds.

Quality, 0 to 100, is ``100 * sum(w * f)`` with every f in [0, 1]:

====================  ====  ==========================================================
factor                w     f
====================  ====  ==========================================================
USD concentration     0.30  the zone's USD / the USD of all zones
recency               0.25  1 - age of its youngest mark / zone_bars
event density         0.15  n / (n + 1), n its marks
tightness             0.15  1 - width / (max_width_atr * ATR), at least 0
touches               0.15  t / (t + 1), t its touches
====================  ====  ==========================================================

Below 40 is weak, below 70 medium, from 70 on strong. It is prominence and no more: zones of higher quality hold no more
often, rather less, and no more flow follows (docs/evidence.md).
"""

from __future__ import annotations

import numpy as np

from ._jit import kernel, kernel_views, rare_kernel
from .layout import ZONE, Record
from .params import Params
from .state import attach_state

QUALITY_LABELS = ("weak", "medium", "strong")
QUALITY_EDGES = (40.0, 70.0)  # from which on a quality is medium, strong

WIDTH_SLACK = 1e-12  # of the price: rounding is not to decide where max_width_atr is 2 * zone_atr and widths are equal

WEIGHT_USD = 0.30
WEIGHT_RECENCY = 0.25
WEIGHT_DENSITY = 0.15
WEIGHT_TIGHTNESS = 0.15
WEIGHT_TOUCHES = 0.15


@rare_kernel
def cluster(s: Record, p: Record) -> None:
    """Find the zones anew and describe each on the mark that leads it. Cost: O(live marks)."""
    s.zone_count = 0
    s.zone_usd = 0.0
    index = 0
    while index < s.whole_count:
        first = s.marks[s.whole[index]]
        low = first.price - first.half_width
        high = first.price + first.half_width
        lead = s.whole[index]
        usd = 0.0
        usd_away = 0.0
        marks = 0
        last_row = 0
        last_time = 0
        while index < s.whole_count:
            slot = s.whole[index]
            m = s.marks[slot]
            new_low = min(low, m.price - m.half_width)
            new_high = max(high, m.price + m.half_width)
            allowed = p.max_width_atr * first.atr + WIDTH_SLACK * new_high
            if marks > 0 and (m.price - m.half_width > high or new_high - new_low > allowed):
                break
            low = new_low
            high = new_high
            usd += m.usd
            usd_away += m.usd * (m.price - first.price)  # so that marks of one price give that price
            marks += 1
            last_row = max(last_row, m.birth_row)
            last_time = max(last_time, m.birth)
            m.leads = 0
            best = s.marks[lead]
            if m.usd > best.usd or (
                m.usd == best.usd
                and (m.birth_row < best.birth_row or (m.birth_row == best.birth_row and m.side < best.side))
            ):
                lead = slot
            index += 1
        m = s.marks[lead]
        m.leads = 1
        m.zone_price = first.price + usd_away / usd
        m.zone_low = low
        m.zone_high = high
        m.zone_usd = usd
        m.zone_width_atr = (high - low) / first.atr
        m.zone_marks = marks
        m.zone_last_row = last_row
        m.zone_last_time = last_time
        s.zones[s.zone_count] = lead
        s.zone_count += 1
        s.zone_usd += usd


@kernel
def nearest_zones(s: Record, price: float) -> tuple[int, int]:
    """Slots of the marks that lead the highest zone at or below a price and the lowest above it; -1 if none."""
    support = -1
    for index in range(s.zone_count):
        slot = s.zones[index]
        if s.marks[slot].zone_price > price:
            return support, slot
        if price == price:
            support = slot
    return support, -1


@kernel
def is_clear(s: Record, low: float, high: float) -> bool:
    """Whether no zone lies across a band."""
    for index in range(s.zone_count):
        m = s.marks[s.zones[index]]
        if m.zone_low <= high and m.zone_high >= low:
            return False
    return True


@kernel
def quality(m: Record, p: Record, row: int, all_usd: float) -> float:
    """Quality of the zone that a mark leads; formula and weights stand in the module's text."""
    tightness = 0.0
    if p.max_width_atr > 0.0:
        tightness = max(0.0, 1.0 - m.zone_width_atr / p.max_width_atr)
    share = (
        WEIGHT_USD * (m.zone_usd / all_usd)
        + WEIGHT_RECENCY * (1.0 - (row - m.zone_last_row) / p.zone_bars)
        + WEIGHT_DENSITY * (m.zone_marks / (m.zone_marks + 1.0))
        + WEIGHT_TIGHTNESS * tightness
        + WEIGHT_TOUCHES * (m.touches / (m.touches + 1.0))
    )
    return 100.0 * float(share)


def quality_band(quality: float | np.ndarray) -> np.ndarray:
    """Place in ``QUALITY_LABELS`` of qualities, numbers or (n,): int64 of their shape."""
    return np.searchsorted(QUALITY_EDGES, quality, side="right")


@kernel
def _zones(state: np.ndarray, params: np.ndarray, out: np.ndarray) -> None:
    s = state[0]
    p = params[0]
    row = s.rows - 1
    for index in range(s.zone_count):
        m = s.marks[s.zones[index]]
        z = out[index]
        z.zone_id = 2 * m.birth + m.side
        z.birth = m.birth
        z.last_time = m.zone_last_time
        z.side = m.side
        z.price = m.zone_price
        z.low = m.zone_low
        z.high = m.zone_high
        z.usd = m.zone_usd
        z.quality = quality(m, p, row, s.zone_usd)
        z.marks = m.zone_marks
        z.age = row - m.birth_row
        z.touches = m.touches
        z.holds = m.holds
        z.ambiguous = m.ambiguous
        z.unresolved = m.unresolved


def zones_of(state: np.ndarray, params: Params | np.ndarray) -> np.ndarray:
    """The zones as of the last bar: (n,) ZONE, upwards by price. Nothing is changed. Cost: O(zones).

    ``params`` are those of the state, or their record; others raise ValueError.

    >>> params = Params().to_record()
    >>> state, out = new_state(params), new_signals(len(bars))
    >>> fold(state, params, bars, out)
    >>> zones_of(state, params)["price"].round(1).tolist()
    [6926.5, 7197.3, 7268.2, 7330.5, 7415.2, 7813.8]
    """
    state, record = attach_state(state, params)
    out = np.zeros(int(state["zone_count"][0]), ZONE)
    _zones(*kernel_views(state, record, out))
    return out


def marks_of(state: np.ndarray, params: Params | np.ndarray) -> np.ndarray:
    """Every mark of the last ``zone_bars`` rows, broken ones too: (n,) MARK, oldest first. A copy. Errors as above."""
    state, record = attach_state(state, params)
    zone_bars = int(record["zone_bars"][0])
    marks = state["marks"][0, : 2 * zone_bars]
    alive = (marks["usd"] > 0.0) & (marks["birth_row"] > int(state["rows"][0]) - 1 - zone_bars)
    marks = marks[alive]
    return marks[np.lexsort((marks["side"], marks["birth_row"]))]
