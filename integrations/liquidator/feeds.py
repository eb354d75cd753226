"""Bars as they are known from everything: trades, candles, rates and observed liquidations."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from liquidator_core import BAR
from liquidator_core.layout import LONG, SHORT
from liquidator_core.timeframes import timeframe_ms

from .bars import RUN, Bars

#: A value and when it was read, ms.
READING = np.dtype([("time", "i8"), ("value", "f8")])


def bars_of(traded: np.ndarray, candles: np.ndarray) -> np.ndarray:
    """(n,) BAR of the bars of trades and of candles; what a candle says stands in for what its trades say."""
    time = np.union1d(traded["time"], candles["time"])
    bars = np.zeros(len(time), BAR)
    for name in BAR.names or ():
        bars[name] = np.nan if name != "time" else time
    bars[np.searchsorted(time, traded["time"])] = traded
    places = np.searchsorted(time, candles["time"])
    for name in BAR.names or ():
        values = candles[name]
        if name.startswith(("large_", "liq_")) or name in ("open_interest", "funding_rate"):
            values = np.where(np.isnan(values), bars[name][places], values)
        bars[name][places] = values
    return bars


def unrolled_for_feeds(
    bars: Bars,
    start: int,
    candles: np.ndarray,
    liquidations: np.ndarray,
    rates: Mapping[str, np.ndarray],
    feed_bars: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(bars from a time on, runs among them), so that each bar of a run of which a feed says something stands alone.

    bars       of trades
    candles    (n,) BAR; rates, (n,) READING each, and liquidations in order of time
    feed_bars  for how many bars after a liquidation the feed counts as on
    """
    step = timeframe_ms(bars.timeframe)
    rows = bars.rows.rows[np.searchsorted(bars.rows.time, start) :]
    runs = bars.runs.rows[np.searchsorted(bars.runs.time, start) :]
    if len(runs) == 0:
        return rows, runs
    of_rates = [(readings["time"] - 1) // step * step for readings in rates.values()]
    alone = [np.concatenate([candles["time"], *of_rates])]
    on = liquidations["time"][np.searchsorted(liquidations["time"], start - feed_bars * step) :] // step * step
    alone.append((np.unique(on)[:, None] + np.arange(feed_bars + 1) * step).ravel())
    time = np.unique(np.concatenate(alone))
    time = np.union1d(time, time + step)  # what follows begins a run of its own
    run = np.searchsorted(runs["time"], time, side="right") - 1
    end = runs["time"] + runs["bars"] * step
    time = time[(run >= 0) & (time < end[run])]
    time = np.union1d(rows["time"], time)
    out = rows[np.searchsorted(rows["time"], time, side="right") - 1]
    out["time"] = time
    run = np.searchsorted(runs["time"], time, side="right") - 1
    inside = (run >= 0) & (time < end[run])
    upto = np.minimum(np.r_[time[1:], np.iinfo(np.int64).max], end[run])
    length = np.where(inside, (upto - time) // step, 1)
    made = np.zeros(int((length > 1).sum()), RUN)
    made["time"], made["bars"] = time[length > 1], length[length > 1]
    return out, made


def add_rates(bars: np.ndarray, name: str, readings: np.ndarray, step: int) -> None:
    """Write a rate into bars, (n,) READING in order of time.

    Funding: the last reading up to a bar's end. Open interest: the last one in the bar, at its end or before.
    """
    time = readings["time"]
    if len(time) == 0:
        return
    last = np.searchsorted(time, bars["time"] + step, side="right") - 1
    known = last >= 0
    if name == "open_interest":
        known &= time[last] > bars["time"]
    bars[name][known] = readings["value"][last[known]]


def add_liquidations(bars: np.ndarray, some: np.ndarray, venues: list[str], step: int, feed_bars: int) -> None:
    """Write USD and mean price of each side into bars; 0 where the feed is on and has none.

    some       (n,) LIQUIDATION in order of time
    feed_bars  for how many bars after an event the feed counts as on
    """
    if len(bars) == 0 or len(some) == 0:
        return
    some = some[np.searchsorted(some["time"], int(bars["time"][0]) - feed_bars * step) :]
    names = np.argsort(np.argsort(venues))
    keys = (some["usd"], some["price"], some["id"], names[some["venue"]], some["time"])
    some = some[np.lexsort(keys)]  # so that the order of feeds does not show in the sums
    if len(some) == 0:
        return
    start = some["time"] // step * step
    last = np.searchsorted(start, bars["time"], side="right") - 1
    on = (last >= 0) & (bars["time"] - start[last] <= feed_bars * step)
    row = np.searchsorted(bars["time"], start)
    row = np.where((row < len(bars)) & (bars["time"][np.minimum(row, len(bars) - 1)] == start), row, -1)
    for side, name in ((LONG, "long"), (SHORT, "short")):
        mine = (some["side"] == side) & (row >= 0)
        usd, usd_price = np.zeros(len(bars)), np.zeros(len(bars))
        np.add.at(usd, row[mine], some["usd"][mine])
        np.add.at(usd_price, row[mine], (some["usd"] * some["price"])[mine])
        there = usd > 0.0
        bars[f"liq_{name}_usd"][on] = usd[on]
        bars[f"liq_{name}_price"][there] = usd_price[there] / usd[there]
