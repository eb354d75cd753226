"""Observed liquidations as a table: USD of longs and of shorts that were closed by force, a row a stretch of time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..market.candles import column_ms, number_values
from ..market.messages import fail_row, moment
from ..market.names import CANDLE_TIMES, LIQUIDATION_SUMS, MARKET_NAMES, normal_name
from ..market.times import check_order

__all__ = ["Feed", "feed_of_bars", "read_feed", "symbol_of"]

HOUR = 3_600_000
MINUTE = 60_000


class Feed(NamedTuple):
    """What was observed; a row covers the time from its own to ``step`` later."""

    time: np.ndarray  # (m,) ms
    usd: np.ndarray  # (2, m) of longs and of shorts; nan = not known
    step: int  # ms, the longest that every two rows are a multiple of apart

    def between(self, start: np.ndarray, hours: int) -> np.ndarray:
        """(2, n) USD of the ``hours`` from each ``start`` (ms) on; nan unless every row of them is there.

        Raises ValueError if rows do not fit into so many hours.
        """
        if hours * HOUR % self.step:
            raise ValueError(
                f"observed has a row every {self.step / HOUR:g} hours, which do not add up to a horizon of {hours}h: "
                "a horizon is one or more whole rows"
            )
        first = np.clip((start - self.time[0]) // self.step, 0, len(self.time) - 1)
        elsewhere = self.time[first] != start  # rows are missing before
        first[elsewhere] = np.searchsorted(self.time, start[elsewhere])
        total = np.zeros((2, len(start)))
        for part in range(hours * HOUR // self.step):
            at = np.minimum(first + part, len(self.time) - 1)
            total += np.where(self.time[at] == start + part * self.step, self.usd[:, at], np.nan)
        return total


def read_feed(observed: Any) -> Feed:
    """Read liquidated USD: columns ``time``, ``long_usd`` and ``short_usd`` of a frame, or of a mapping of columns.

    Rows are hours, or the four hours of some vendors, or anything that adds up to the horizon; how long is told by what
    they are apart. A row with zeros
    says that nothing was liquidated, a row that is missing or NaN that nobody looked. Names and units of time are as in
    candles; ``longUsd`` and ``liq_long_usd`` are known too.

    Raises TypeError for what is no table, and ValueError naming the row and what is allowed for USD below 0 or infinite
    and times that are missing, go back or repeat; and naming the columns found for one that is missing.

    >>> feed = read_feed({"time": [1_700_000_000, 1_700_003_600], "long_usd": [5e4, 0.0], "short_usd": [0.0, 1e4]})
    >>> feed.step, feed.usd.tolist()
    (3600000, [[50000.0, 0.0], [0.0, 10000.0]])
    """
    if isinstance(observed, Mapping):
        observed = pd.DataFrame(observed)
    if not isinstance(observed, pd.DataFrame):
        raise TypeError(
            f"observed must be a frame with columns time, long_usd and short_usd, got {type(observed).__name__}"
        )
    if len(observed) == 0:
        raise ValueError("observed: the frame is empty (0 rows)")
    time = column_ms(_column(observed, "time", CANDLE_TIMES))
    check_order(time, repeats=False)
    sides = []
    for field, names in LIQUIDATION_SUMS.items():
        column = _column(observed, names[1], names)
        values = number_values(column, str(column.name))
        wrong = np.flatnonzero((values < 0.0) | np.isinf(values))
        if len(wrong):
            row = int(wrong[0])
            allowed = "a finite number not below 0, or NaN (unknown)"
            fail_row(row, int(time[row]), f"observed {field}", values[row], allowed, len(wrong) - 1)
        sides.append(values)
    step = int(np.gcd.reduce(np.diff(time))) if len(time) > 2 else HOUR
    if step % MINUTE:
        row = int((np.diff(time) % MINUTE != 0).argmax()) + 1
        allowed = "whole minutes after the row before: sum what was liquidated over hours"
        fail_row(row, None, "observed time", moment(time[row]), allowed)
    return Feed(time, np.stack(sides), step)


def symbol_of(table: Any) -> str | None:
    """The one market that a column symbol, coin or pair of a table names; None without such a column.

    Raises ValueError for a table of several.
    """
    names: Any = getattr(table, "column_names", getattr(table, "columns", ()))
    for name in names:
        if normal_name(name) in MARKET_NAMES:
            column = table[name].to_pandas() if hasattr(table[name], "to_pandas") else table[name]
            found = column.dropna().unique().tolist()
            if len(found) > 1:
                raise ValueError(f"column {name!r} names {len(found)} markets, {found[0]} and {found[1]}: pick one")
            return str(found[0]) if found else None
    return None


def feed_of_bars(bars: np.ndarray) -> pd.DataFrame | None:
    """What (n,) BAR observed, as ``read_feed`` takes it: the bars that a feed covers; None without any."""
    seen = bars[~(np.isnan(bars["liq_long_usd"]) & np.isnan(bars["liq_short_usd"]))]
    columns = {"time": seen["time"], "long_usd": seen["liq_long_usd"], "short_usd": seen["liq_short_usd"]}
    return pd.DataFrame(columns) if len(seen) else None


def _column(frame: pd.DataFrame, field: str, names: tuple[str, ...]) -> pd.Series:
    """The column of one of these names; for the time also the index, if it holds times."""
    places = [place for place, name in enumerate(frame.columns) if normal_name(name) in names]
    if len(places) > 1:
        both = " and ".join(repr(frame.columns[place]) for place in places)
        raise ValueError(f"observed: columns {both} both mean {field}: keep one")
    if places:
        return frame.iloc[:, places[0]]
    if names is CANDLE_TIMES and isinstance(frame.index, pd.DatetimeIndex):
        return frame.index.to_series()
    found = ", ".join(map(repr, frame.columns)) or "none"
    raise ValueError(f"observed: missing column for {field}: found columns {found}; accepted: {', '.join(names)}")
