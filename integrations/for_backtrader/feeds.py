"""Feeds: candles of a perpetual, with all that is known of them, copied whole when cerebro preloads."""

from __future__ import annotations

import os
import warnings
from array import array
from collections.abc import Container
from datetime import UTC, date, datetime, time
from functools import cache
from typing import Any

import numpy as np

from liquidator_core import BAR
from liquidator_core.timeframes import step_ms

from ..market.candles import bars_from_frame
from ..market.files import read_candles_or_trades
from ..market.messages import naming
from ..market.times import ms_of
from .engine import DAY_MS, EXTRA, FIELDS, RENAMED, days_of, refuse_unknown
from .library import bt

__all__ = ["CandleFeed", "lean_feed"]


def _bars_of(dataname: Any) -> np.ndarray:
    """(n,) BAR of whatever a feed accepts; of BAR, whose rows may be unusable, only the times are looked at."""
    if isinstance(dataname, (str, os.PathLike)):
        kind, table = read_candles_or_trades(dataname)
        if kind != "candles":
            raise ValueError(f"{os.fspath(dataname)}: holds trades, a feed needs candles")
        with naming(os.fspath(dataname)):
            return bars_from_frame(table)
    if not isinstance(dataname, np.ndarray) or dataname.dtype != BAR or dataname.ndim != 1:
        return bars_from_frame(dataname)
    steps = np.diff(dataname["time"])
    if (steps <= 0).any():
        row = int(np.argmax(steps <= 0)) + 1
        raise ValueError(
            f"dataname: times must increase, row {row} has {dataname['time'][row]} after {dataname['time'][row - 1]}"
        )
    return dataname


class _BarFeed(bt.feed.DataBase):
    """What CandleFeed is, with the standard lines only."""

    params = (("timeframe", None), ("compression", None), ("stamp", "open"))

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        if self.p.stamp not in ("open", "close"):
            raise ValueError(f"stamp must be 'open' or 'close', got {self.p.stamp!r}")
        if self.p.dataname is None:
            raise TypeError("dataname is missing: give a file of candles, a DataFrame or a BAR array")
        if not isinstance(self.p.timeframe, (int, type(None))):
            raise TypeError(
                f"timeframe must be one of bt.TimeFrame, such as bt.TimeFrame.Minutes with compression=60, or be left "
                f"out (told by the candles), got {self.p.timeframe!r}"
            )
        for name in ("fromdate", "todate"):
            setattr(self.p, name, _date_of(name, getattr(self.p, name)))
        self._bars = _bars_of(self.p.dataname)
        self._row = self._end = 0
        length_ms = step_ms(self._bars["time"]) or DAY_MS
        self._delay_ms, self.known_after_ms = (length_ms, 0) if self.p.stamp == "close" else (0, length_ms)
        if self.p.timeframe is None:
            self.p.timeframe, compression = _timeframe(length_ms)
            self.p.compression = self.p.compression or compression
        self.p.compression = self.p.compression or 1

    def __len__(self) -> int:
        return int(self.line.lencount)  # cerebro asks at every bar; backtrader's own way takes three calls

    def start(self) -> None:
        super().start()
        columns = {RENAMED.get(name, name): self._bars[name] for name in FIELDS[1:]}
        columns["datetime"] = days_of(self._bars["time"] + self._delay_ms)
        self._columns = [(getattr(self.lines, name), columns[name]) for name in self.getlinealiases()]
        self._row, self._end = 0, len(self._bars)

    def preload(self) -> None:
        if self._is_rewritten():
            super().preload()
            return
        days = next(column for line, column in self._columns if line is self.lines.datetime)
        rows = slice(np.searchsorted(days, self.fromdate, "left"), np.searchsorted(days, self.todate, "right"))
        for line, column in self._columns:
            line.array = array("d", column[rows].tobytes())
        self._columns = []  # optstrategy would send them to each process
        self._row = self._end  # or each bar would come twice where cerebro goes on to ask _load()
        self.home()

    def stop(self) -> None:
        super().stop()
        if len(self._bars) and not (len(self) or self.buflen()):
            name = self._name or "CandleFeed"
            warnings.warn(
                f"{name}: none of its {len(self._bars)} bars is left by fromdate, todate and filters", stacklevel=2
            )

    def _is_rewritten(self) -> bool:
        """Whether backtrader changes or drops bars one by one, beyond a range of dates."""
        return bool(self._filters or self._ffilters or self.lines.datetime.extension or self.p.tzinput is not None)

    def _load(self) -> bool:
        row = self._row
        if row == self._end:
            return False
        for line, column in self._columns:
            line[0] = column.item(row)
        self._row = row + 1
        return True


class CandleFeed(_BarFeed):
    """A feed of candles, with a line for everything that may be known of a perpetual's.

    Params:

      - ``dataname``: a path of a CSV, JSON, parquet, feather or HDF file, a DataFrame, or anything else that
        ``liquidator_integrations.frames.bars_from_frame`` takes; or a (n,) ``liquidator_core.BAR`` array, oldest first
      - ``stamp`` (default: ``"open"``): the time that a bar carries, that of its open or of its ``"close"``.
        backtrader takes it for the close, when it resamples, and when it puts feeds of several timeframes in step:
        beside a shorter feed, longer bars of a feed of their own that carry their open are seen before they closed
      - ``timeframe``, ``compression`` (default: ``None``): found from the spacing of the bars
      - all others of backtrader's feeds (tz, tzinput, ...); ``fromdate`` and ``todate`` may be text: "2020-03-01"

    Lines beyond the standard ones: taker_buy, funding_rate, liq_long_usd, liq_long_price, liq_short_usd,
    liq_short_price, large_sell_usd, large_sell_price, large_buy_usd, large_buy_price. open_interest is in the line
    openinterest. NaN is unknown; what is not in the data is unknown.

    When cerebro preloads, columns are copied whole, fromdate and todate included. Filters and tzinput, which rewrite
    bars, make backtrader load them one by one. Warns (UserWarning) at the end of a run for which none was left. Raises
    ValueError and TypeError as ``bars_from_frame`` does, and TypeError for unknown parameters.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.run()[0].data.close[0] == float(bars["close"][-1])
    True
    """

    lines = EXTRA


def lean_feed(dataname: Any, keep: Container[str] = (), **params: Any) -> bt.feed.DataBase:
    """A CandleFeed without the lines of which the bars know nothing: cerebro goes over every line at every bar.

    keep   names of lines that are there all the same

    >>> "funding_rate" in lean_feed(bars).getlinealiases(), "close" in lean_feed(bars).getlinealiases()
    (False, True)
    """
    bars = _bars_of(dataname)
    known = tuple(name for name in EXTRA if name in keep or not np.isnan(bars[name]).all())
    return _lean_class(known)(dataname=bars, **params)


@cache
def _lean_class(known: tuple[str, ...]) -> type[_BarFeed]:
    return type("__".join(("_LeanFeed", *known)), (_BarFeed,), {"lines": known, "__module__": __name__})


def __getattr__(name: str) -> type[_BarFeed]:
    """A lean class by its name, which is how pickle finds it, in a process that was spawned too."""
    kind, *known = name.split("__")
    if kind != "_LeanFeed" or not set(known) <= set(EXTRA):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _lean_class(tuple(known))


def known_after_ms(data: Any) -> int | None:
    """How long after the time that they carry bars are known, of a CandleFeed or one resampled from it; else None."""
    while getattr(data, "_clone", False):
        data = data.data
    return data.known_after_ms if isinstance(data, _BarFeed) else None


def _date_of(name: str, given: Any) -> Any:
    """A date or datetime of what may be text, a number or of NumPy; a text without a time of day is a whole day."""
    if given is None or isinstance(given, date):
        return given
    try:
        at = datetime.fromtimestamp(ms_of(given) / 1000, UTC).replace(tzinfo=None)
    except (ValueError, TypeError):
        raise ValueError(f"{name} must be a date such as 2020-03-01 or 2020-03-01 12:00, got {given!r}") from None
    return at.date() if isinstance(given, str) and ":" not in given and at.time() == time() else at


def _timeframe(length_ms: int) -> tuple[int, int]:
    """(timeframe, compression) of bars of this length."""
    lengths = {
        bt.TimeFrame.Weeks: 7 * DAY_MS,
        bt.TimeFrame.Days: DAY_MS,
        bt.TimeFrame.Minutes: 60_000,
        bt.TimeFrame.Seconds: 1000,
    }
    for timeframe, length in lengths.items():
        if length_ms % length == 0:
            return timeframe, length_ms // length
    return bt.TimeFrame.MicroSeconds, 1000 * length_ms
