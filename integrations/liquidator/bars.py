"""Closed bars in order of time, in which a long run of empty ones takes the room of one.

A bar is empty if it says nothing that the one before it does not: no trade, no change of price. Of a run of them only
the last ``memory`` matter to any signal (the window law), so a run is kept as its first bar and a length, and unrolled
to as many as whoever reads it remembers.
"""

from __future__ import annotations

import numpy as np

from liquidator_core import BAR
from liquidator_core.timeframes import bar_spans, timeframe_ms, to_timeframe

from .row_buffer import RowBuffer

#: A run of empty bars: the time of the first, ms, and how many they are.
RUN = np.dtype([("time", "i8"), ("bars", "i8")])


class Bars:
    """The closed bars of a timeframe; ``rows`` holds a run as its first bar, ``runs`` how long each is."""

    def __init__(
        self,
        timeframe: str,
        rows: np.ndarray | None = None,
        runs: np.ndarray | None = None,
        first: int = 0,
        let_go: int = 0,
    ) -> None:
        self.timeframe = timeframe
        self.rows = RowBuffer(np.zeros(0, BAR) if rows is None else rows, first)
        self.runs = RowBuffer(np.zeros(0, RUN) if runs is None else runs)
        self.let_go = let_go  # bars of runs, but for the first of each, that are no longer there

    def append(self, bars: np.ndarray, runs: np.ndarray) -> None:
        """Add bars behind, and the runs among them."""
        self.rows.append(bars)
        self.runs.append(runs)

    def begin_of(self, time: int) -> int:
        """A time, or where the run begins that it lies in."""
        place = int(np.searchsorted(self.runs.time, time, side="right")) - 1
        if place >= 0 and time < self._end_of(self.runs.rows[place]):
            return int(self.runs.time[place])
        return time

    def remove_from(self, time: int) -> None:
        """Take away the bars from a time on, of a run that it lies in the rest."""
        self.rows.remove_from(time)
        self.runs.remove_from(time)
        if len(self.runs.rows) and self._end_of(self.runs.rows[-1]) > time:
            first = int(self.runs.time[-1])
            self.runs.remove_from(first)
            length = (time - first) // timeframe_ms(self.timeframe)
            if length > 1:
                self.runs.append(np.array([(first, length)], RUN))

    def keep_last(self, keep: int) -> None:
        """Forget all but the last ``keep`` rows, once there are twice as many."""
        self.rows.keep_last(keep)
        self._forget_runs()

    def forget_before(self, time: int) -> None:
        """Forget the bars before a time, once they are half of all."""
        self.rows.forget_before(time)
        self._forget_runs()

    def _forget_runs(self) -> None:
        """Forget the runs whose first bar is forgotten."""
        first = int(self.rows.time[0]) if len(self.rows.rows) else np.iinfo(np.int64).max
        gone = int(np.searchsorted(self.runs.time, first))
        self.let_go += int((self.runs.rows["bars"][:gone] - 1).sum())
        self.runs.forget(gone)

    def count(self, end: int, until: int | None = None) -> int:
        """How many bars there were before a position, closed by a time."""
        return end + self.let_go + int((self.runs_of(self.rows.first, end, until)[1] - 1).sum())

    def window(self, end: int, memory: int, until: int | None = None) -> int:
        """The position from which on bars up to ``end`` hold at least the last ``memory``, if there are as many."""
        start = max(self.rows.first, end - memory)
        places, lengths = self.runs_of(start, end, until)
        long = places[lengths >= memory]
        return start + int(long[-1]) if len(long) else start

    def unrolled(self, start: int, end: int, memory: int, until: int | None = None) -> np.ndarray:
        """(n,) BAR, those from one position to another: of each run the last ``memory``, if it is longer.

        until   a time at which only some bars of the last run had closed
        """
        bars = self.rows.rows[start - self.rows.first : end - self.rows.first]
        places, lengths = self.runs_of(start, end, until)
        if len(places) == 0:
            return bars
        parts, done = [], 0
        for place, length in zip(places.tolist(), lengths.tolist(), strict=True):
            parts.append(bars[done:place])
            first = int(bars["time"][place])
            times = opening_times(first, length, self.timeframe, memory)
            run = np.repeat(bars[place : place + 1], len(times))
            run["time"] = times
            parts.append(run)
            done = place + 1
        return np.concatenate([*parts, bars[done:]])

    def last(self, memory: int) -> np.ndarray:
        """(n,) BAR, the last ``memory`` of them; not to be changed."""
        return self.unrolled(self.window(self.rows.end, memory), self.rows.end, memory)[-memory:]

    def short(self, memory: int) -> np.ndarray:
        """(n,) BAR, all of them, a copy, in which no run of empty ones is longer than ``memory``."""
        return without_long_runs(self.unrolled(self.rows.first, self.rows.end, memory), memory).copy()

    def runs_of(self, start: int, end: int, until: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(places behind ``start``, lengths) of the runs from one position to another, as far as they had closed."""
        if len(self.runs.rows) == 0 or end <= start:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        time = self.rows.time[start - self.rows.first : end - self.rows.first]
        low, high = np.searchsorted(self.runs.time, [time[0], time[-1] + 1])
        runs = self.runs.rows[low:high]
        lengths = runs["bars"]
        if until is not None and len(runs):
            last = _bars_between(int(runs["time"][-1]), until, self.timeframe)
            lengths = np.r_[lengths[:-1], min(int(lengths[-1]), last)]
        return np.searchsorted(time, runs["time"]), lengths

    def _end_of(self, run: np.void) -> int:
        return int(opening_times(int(run["time"]), int(run["bars"]) + 1, self.timeframe, 1)[0])


def opening_times(first: int, count: int, timeframe: str, most: int | None = None) -> np.ndarray:
    """When each of some bars in a row opens, the first at ``first``; of the last ``most`` if there are more."""
    places = np.arange(0 if most is None else max(0, count - most), count)
    if timeframe == "1M":
        months = np.datetime64(first, "ms").astype("M8[M]") + places.astype("m8[M]")
        return np.asarray(months.astype("M8[ms]").astype(np.int64))
    return first + places * timeframe_ms(timeframe)


def without_long_runs(bars: np.ndarray, memory: int) -> np.ndarray:
    """(n,) BAR of which each run of bars that are alike but for their time has at most ``memory``: its last ones."""
    if int((bars["volume"] == 0.0).sum()) <= memory:
        return bars
    values = bars.view(np.int64).reshape(len(bars), -1)[:, 1:]
    fresh = np.r_[True, (values[1:] != values[:-1]).any(axis=1) | (bars["volume"][1:] != 0.0)]
    ends = np.r_[np.flatnonzero(fresh)[1:], len(bars)]
    end = ends[np.cumsum(fresh) - 1]  # of the run that a bar is in
    short: np.ndarray = bars[end - np.arange(len(bars)) <= memory]
    return short


def higher_bars(base: Bars, start: int, timeframe: str, memory: int) -> tuple[np.ndarray, np.ndarray]:
    """(closed bars, runs among them) of a higher timeframe, from a position of the base on.

    A run of the base of which no more than ``memory`` higher bars are made is unrolled, bar by higher bar.
    """
    step = timeframe_ms(base.timeframe)
    bars = base.rows.rows[start - base.rows.first :]
    places, lengths = base.runs_of(start, base.rows.end)
    if len(places) == 0:
        return to_timeframe(bars, timeframe, step), np.zeros(0, RUN)
    parts, runs, done = [], [], 0
    for place, length in zip(places.tolist(), lengths.tolist(), strict=True):
        parts.append(bars[done : place + 1])
        first = int(bars["time"][place])
        last = first + (length - 1) * step
        starts, ends = bar_spans(np.array([first, last]), timeframe)
        begin, tail = int(ends[0]), int(starts[1])
        count = _bars_between(begin, tail, timeframe)
        if count > memory:
            times = np.array([begin])
            runs.append((begin, count))
        else:
            times = opening_times(begin, count, timeframe)
        times = np.unique(np.r_[times, tail if tail >= begin else first, last])
        times = times[times > first]
        flat = np.repeat(bars[place : place + 1], len(times))
        flat["time"] = times
        parts.append(flat)
        done = place + 1
    made = to_timeframe(np.concatenate([*parts, bars[done:]]), timeframe, step)
    return made, np.array(runs, RUN)


def _bars_between(begin: int, end: int, timeframe: str) -> int:
    """How many bars of a timeframe, from where one begins, end by a time."""
    if timeframe == "1M":
        edges = np.array([begin, end], "M8[ms]").astype("M8[M]")
        return max(0, int((edges[1] - edges[0]).astype(np.int64)))
    return max(0, (end - begin) // timeframe_ms(timeframe))
