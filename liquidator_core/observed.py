"""Observed flow: what a feed reported of a bar's liquidations, and how it takes the place of the estimate.

A feed speaks of its own venues' dollars, and of a part of them: a few hundredths of what the ledger implies. Put in the
estimate's place as it is, it would be flow of another scale wherever it begins, ends or fails. So with
``Params.observed = "flow"`` it is divided by the ratio of what was observed to what was estimated, a side, over the
bars that the feed covered on the ``DAYS`` whole days (UTC) before the bar's own. Days whose first covered bar lies more
than ``observed_bars`` rows back are not used, so that a row depends on as many rows at most; and unless ``LEAST_DAYS``
are left on which something was estimated, and something was observed, the ratio is unknown and the estimate stays.

Sums are kept by the day: 30 of them are added up anew, from the oldest on, at each bar that the feed covers.
"""

from __future__ import annotations

import math

from ._jit import kernel, rare_kernel
from .layout import DAY_PLACES, FLOW, LONG, SHORT, Record

DAYS = 30
LEAST_DAYS = 7
DAY_MS = 86_400_000
SCALE_MS = (DAYS + 1) * DAY_MS  # from the first of these days to the end of the bar's own


@kernel
def observed_usd(b: Record, side: int) -> float:
    """USD of a side that a feed reported of the bar; nan where none covers it."""
    usd = b.liq_long_usd if side == LONG else b.liq_short_usd
    return float(usd) if 0.0 <= usd < math.inf else math.nan


@rare_kernel
def observed_ratio(s: Record, p: Record, side: int, day: int, row: int) -> float:
    """Observed USD / estimated USD of the days before one; nan = unknown."""
    observed = 0.0
    estimated = 0.0
    days = 0
    for back in range(DAYS, 0, -1):
        at = (day - back) & (DAY_PLACES - 1)
        if s.day[at] == day - back and row - s.day_row[at] <= p.observed_bars:
            observed += s.day_observed[side, at]
            estimated += s.day_estimated[side, at]
            days += int(s.day_estimated[side, at] > 0.0)
    if days < LEAST_DAYS or not 0.0 < observed < math.inf or not estimated < math.inf:
        return math.nan
    return float(observed / estimated)


@rare_kernel
def observed_flow(
    s: Record, p: Record, b: Record, side: int, row: int, usd: float, price: float
) -> tuple[float, float, bool]:
    """(usd, price, whether they were observed) of a side whose estimate is (usd, price)."""
    seen = observed_usd(b, side)
    if p.observed == FLOW and seen == seen:
        seen /= observed_ratio(s, p, side, b.time // DAY_MS, row)
    if not seen < math.inf:
        return usd, price, False
    observed_price = b.liq_long_price if side == LONG else b.liq_short_price
    return seen, observed_price if 0.0 < observed_price < math.inf else price, True


@rare_kernel
def remember_observed(s: Record, b: Record, row: int, long_usd: float, short_usd: float) -> None:
    """Add what was observed of a bar, and the estimates beside it, to its day."""
    longs = observed_usd(b, LONG)
    shorts = observed_usd(b, SHORT)
    if longs != longs and shorts != shorts:
        return
    day = b.time // DAY_MS
    at = day & (DAY_PLACES - 1)
    if s.day[at] != day:
        s.day[at] = day
        s.day_row[at] = row
        s.day_observed[LONG, at] = s.day_observed[SHORT, at] = 0.0
        s.day_estimated[LONG, at] = s.day_estimated[SHORT, at] = 0.0
    if longs == longs:
        s.day_observed[LONG, at] += longs
        s.day_estimated[LONG, at] += long_usd
    if shorts == shorts:
        s.day_observed[SHORT, at] += shorts
        s.day_estimated[SHORT, at] += short_usd
