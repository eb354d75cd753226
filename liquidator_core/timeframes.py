"""Timeframes: bars to higher-timeframe bars, closed ones only, and the alignment of their zones."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from ._jit import kernel, kernel_views
from .bars import is_good
from .layout import BAR

_MINUTE = 60_000
_DAY = 1440 * _MINUTE
_MONDAY = 4 * _DAY  # the epoch was a Thursday
#: Timeframes that bars can be made into.
TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")
#: Those of bars that trades are folded into: up to a day, so that all begin at a multiple of their length.
BAR_LENGTHS = TIMEFRAMES[:12]
_SPELT = re.compile(r"(\d{0,6})\s*([A-Za-z]*)")
_TURNED = re.compile(r"([A-Za-z]+)(\d{1,6})")  # MetaTrader's H4
_MONTHS = ("M", "mo", "mon", "month", "months", "monthly")
_MINUTES = {
    **dict.fromkeys(("", "m", "t", "min", "mins", "minute", "minutes"), 1),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours", "hourly"), 60),
    **dict.fromkeys(("d", "day", "days", "daily"), 1440),
    **dict.fromkeys(("w", "wk", "week", "weeks", "weekly"), 7 * 1440),
}


def timeframe_ms(timeframe: str) -> int:
    """Length of a timeframe in ms; of a month, its least."""
    check_timeframe(timeframe)
    unit = {"m": _MINUTE, "h": 60 * _MINUTE, "d": _DAY, "w": 7 * _DAY, "M": 28 * _DAY}[timeframe[-1]]
    return int(timeframe[:-1]) * unit


def check_timeframe(timeframe: str, allowed: Sequence[str] = TIMEFRAMES, name: str = "timeframe") -> None:
    """Raise ValueError for what is none of the allowed timeframes, with the one that is meant if that can be told."""
    if timeframe in allowed:
        return
    meant = timeframe_meant(timeframe)
    hint = f": did you mean {meant!r}?" if meant in allowed else ""
    raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {timeframe!r}{hint}")


def timeframe_meant(text: str) -> str | None:
    """The timeframe that has another spelling: ``60m``, ``240`` (minutes, as TradingView has them), ``4H``, ``D``, and
    MetaTrader's ``H4`` and ``M15`` (minutes).

    >>> [timeframe_meant(text) for text in ("240", "4H", "D", "60m", "M", "M15", "7m")]
    ['4h', '4h', '1d', '1h', '1M', '15m', None]
    """
    text = str(text).strip()
    if turned := _TURNED.fullmatch(text):
        text = turned[2] + {"M": "m", "MN": "M"}.get(turned[1], turned[1])
    spelt = _SPELT.fullmatch(text)
    if spelt is None or not any(spelt.groups()):
        return None
    count, unit = int(spelt[1] or 1), spelt[2]
    if unit in _MONTHS or unit.lower() in _MONTHS[1:]:
        return "1M" if count == 1 else None
    length = count * _MINUTES.get(unit.lower(), 0) * _MINUTE
    return next((name for name in TIMEFRAMES[:-1] if timeframe_ms(name) == length), None)


def bar_spans(time_ms: np.ndarray, timeframe: str) -> tuple[np.ndarray, np.ndarray]:
    """(start, end) in ms of the bars of a timeframe that hold the given times.

    Anchors: UTC midnight up to 1d, the epoch for 3d, Monday for 1w, the calendar for 1M.
    """
    length = timeframe_ms(timeframe)
    time_ms = np.asarray(time_ms, np.int64)
    if timeframe == "1M":
        months = time_ms.astype("M8[ms]").astype("M8[M]")
        after = months + np.timedelta64(1, "M")
        return months.astype("M8[ms]").astype(np.int64), after.astype("M8[ms]").astype(np.int64)
    anchor = _MONDAY if timeframe == "1w" else 0
    start = (time_ms - anchor) // length * length + anchor
    return start, start + length


@kernel
def _merge(bars: np.ndarray, first: np.ndarray, out: np.ndarray) -> None:
    """Merge the good ones of bars[first[i] : first[i + 1]] into out[i]."""
    for i in range(len(out)):
        o = out[i]
        for j in range(first[i], first[i + 1]):
            b = bars[j]
            if not is_good(b):
                continue
            if not o.low > 0.0:
                o.open = b.open
                o.high = b.high
                o.low = b.low
                o.volume = math.nan
            o.high = max(o.high, b.high)
            o.low = min(o.low, b.low)
            o.close = b.close
            if 0.0 <= b.volume < math.inf:
                o.volume = o.volume + b.volume if o.volume >= 0.0 else b.volume
            o.taker_buy += b.taker_buy
            o.open_interest = b.open_interest
            o.funding_rate = b.funding_rate
            o.liq_long_usd, o.liq_long_price = _add_flow(
                o.liq_long_usd, o.liq_long_price, b.liq_long_usd, b.liq_long_price
            )
            o.liq_short_usd, o.liq_short_price = _add_flow(
                o.liq_short_usd, o.liq_short_price, b.liq_short_usd, b.liq_short_price
            )
            o.large_sell_usd, o.large_sell_price = _add_flow(
                o.large_sell_usd, o.large_sell_price, b.large_sell_usd, b.large_sell_price
            )
            o.large_buy_usd, o.large_buy_price = _add_flow(
                o.large_buy_usd, o.large_buy_price, b.large_buy_usd, b.large_buy_price
            )


@kernel
def _add_flow(usd: float, price: float, more_usd: float, more_price: float) -> tuple[float, float]:
    """Sum of two flows and their usd-weighted price; unknown (nan) adds nothing."""
    if not more_usd >= 0.0:
        return usd, price
    if not usd > 0.0:
        return more_usd, more_price
    if more_usd == 0.0 or not more_price > 0.0:
        return usd + more_usd, price
    if not price > 0.0:
        return usd + more_usd, more_price
    return usd + more_usd, price + (more_price - price) * (more_usd / (usd + more_usd))


def step_ms(time: np.ndarray) -> int:
    """The usual step between (n,) times of bars in order, in ms: the bars' length; 0 if there are not two.

    The most frequent one, of several the shortest: a history with holes has longer steps, and one whose venue came
    back beside its grid a shorter one.

    >>> step_ms(np.array([0, 60_000, 180_000, 195_000, 255_000]))
    60000
    """
    return _usual(np.diff(time)) if len(time) > 1 else 0


def _usual(values: np.ndarray) -> int:
    """The most frequent of some whole numbers, of several the least."""
    least = values.min()
    if 2 * np.count_nonzero(values == least) >= len(values):  # as nearly always: no need to sort
        return int(least)
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def _reach(time: np.ndarray, step: int) -> np.ndarray:
    """How far rows last, in ms: ``step``, and no longer than it took to come to them; of the past alone."""
    return np.minimum(step, np.diff(time, prepend=time[:1] - step))


def known_from(time: np.ndarray, end: np.ndarray, step: int) -> np.ndarray:
    """The rows from which on higher bars are known: (m,) places in (n,) times of rows, n where none is.

    end    (m,) ends of higher bars that have rows, ms
    step   how long a row lasts, ms: ``step_ms``

    That is a bar's last row if it reaches the bar's end, else the row behind it.

    >>> known_from(np.array([0, 1, 2, 3]) * 3_600_000, np.array([2, 4]) * 3_600_000, 3_600_000)
    array([1, 3])
    """
    last = np.searchsorted(time, end) - 1
    rows: np.ndarray = last + (time[last] + _reach(time, step)[last] < end)
    return rows


def to_timeframe(bars: np.ndarray, timeframe: str, step_ms: int | None = None) -> np.ndarray:
    """Merge (n,) BAR of a lower timeframe into the closed bars of a higher one.

    The first bar is left out if it starts before the first row, the last unless the rows reach its end. A row lasts
    ``step_ms``, if None as long as the usual step between rows, and belongs where it begins: one beside the grid of the
    others may end later than its higher bar. The last row lasts no longer than it took to come to it. Known volumes and
    flows add up, taker buys if all are known; open interest and funding are the last ones; rows that the engine would
    skip add nothing. Raises ValueError for times that do not rise and for rows on the grid that do not fit into the
    higher bars (8h into 12h, weeks into months).
    """
    timeframe_ms(timeframe)
    if len(bars) < (2 if step_ms is None else 1):
        return np.zeros(0, BAR)
    time = bars["time"]
    steps = np.diff(time)
    step = _usual(steps) if step_ms is None else step_ms
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        raise ValueError(f"row {row}: time is {time[row]} after {time[row - 1]} ms, allowed are times that rise")
    start, end = bar_spans(time, timeframe)
    divided = time + step > end
    if divided.any():
        grid = time % step
        divided &= grid == _usual(grid)
    if divided.any():
        row = int(divided.argmax())
        raise ValueError(
            f"bars of {step} ms cannot be made into bars of {timeframe}: row {row} would lie in two of them"
        )
    first = np.flatnonzero(np.r_[True, start[1:] != start[:-1]])
    closed = end[first] <= time[-1] + _reach(time[-2:], step)[-1]
    closed[0] &= start[0] == time[0]
    edges = np.r_[first, len(bars)]
    out = np.zeros(len(first), BAR)
    out["time"] = start[first]
    for name in ("open", "high", "low", "close", "open_interest", "funding_rate"):
        out[name] = math.nan
    for name in BAR.names or ():
        if name.startswith(("liq_", "large_")):
            out[name] = math.nan
    _merge(kernel_views(bars)[0], edges, kernel_views(out)[0])
    return np.compress(closed, out)
