"""Bars as they are known from everything: trades, candles, rates and observed liquidations."""

from __future__ import annotations

import numpy as np

from liquidator_core import BAR
from liquidator_core.layout import LONG, SHORT

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
