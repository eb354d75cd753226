"""Bars and engine states of each timeframe of a Liquidator."""

from __future__ import annotations

import numpy as np

from liquidator_core import BAR, Params, fold, new_signals, new_state
from liquidator_core.layout import SIZES
from liquidator_core.timeframes import to_timeframe

from .history import History
from .rows import Rows
from .settings import Settings

_CATCH_UP = 10_000  # base bars after which streaming brings every higher timeframe up to date
_MOST_ENGINES = 24


class Higher:
    """The closed bars of a timeframe above the base, made as base bars come."""

    def __init__(self, timeframe: str, step: int) -> None:
        self.rows = Rows(np.zeros(0, BAR))
        self._timeframe = timeframe
        self._step = step
        self._epoch = 0
        self._from = 0  # position of the base row with which the last closed bar begins

    def restore(self, bars: np.ndarray, first: int, base: Rows) -> None:
        """Take over saved rows; ``base`` are the base's."""
        self.rows = Rows(bars, first)
        if len(bars):
            self._from = base.first + int(np.searchsorted(base.rows["time"], bars["time"][-1]))

    def update(self, base: Rows) -> Rows:
        """Its rows, up to date with the base. Cost: that of the base bars since."""
        if self._epoch != base.epoch:
            self._epoch, self._from = base.epoch, 0
            self.rows.cut(0)
        first = max(0, self._from - base.first)
        made = to_timeframe(base.rows[first:], self._timeframe, self._step)
        last = self.rows.rows["time"][-1] if len(self.rows.rows) else -1
        made = made[made["time"] > last]
        if len(made):
            self.rows.append(made)
            self._from = base.first + int(np.searchsorted(base.rows["time"], made["time"][-1]))
        return self.rows


class Engine:
    """The core's state after the last row of a timeframe, for one set of Params."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.record = params.to_record()
        self.state = new_state(self.record)
        self._at = 0  # position of the next row
        self._epoch = 0

    def advance(self, rows: Rows, end: int | None = None) -> Engine:
        """Fold the rows that came since, up to a position; what was cut off is forgotten."""
        end = rows.end if end is None else end
        if self._epoch != rows.epoch or not max(rows.first, end - self.params.memory) <= self._at <= end:
            self._epoch, self._at = rows.epoch, max(rows.first, end - self.params.memory)
            self.state = new_state(self.record)
        bars = rows.rows[self._at - rows.first : end - rows.first]
        fold(self.state, self.record, bars, new_signals(len(bars)))
        self._at = end
        return self


class Timeframes:
    """One coin's closed bars and engine states by timeframe, brought up to date as they are asked for."""

    def __init__(self, history: History, settings: Settings) -> None:
        self.history = history
        self.higher: dict[str, Higher] = {}
        self._settings = settings
        self._engines: dict[tuple[str, str], Engine] = {}
        self._caught_up = 0

    def rows(self, timeframe: str) -> Rows:
        """The closed bars of a timeframe."""
        self.history.settle()
        if timeframe == self._settings.bar:
            return self.history.rows
        if timeframe not in self.higher:
            self.higher[timeframe] = Higher(timeframe, self._settings.step)
        return self.higher[timeframe].update(self.history.rows)

    def engine(self, timeframe: str, params: Params | None = None) -> Engine:
        """The engine of a timeframe for these Params, or for the Liquidator's own: as it was left."""
        params = params or self._settings.params_of(timeframe, self._settings.window_minutes)
        key = timeframe, params.digest
        if key not in self._engines:
            if len(self._engines) >= _MOST_ENGINES:
                self._engines.clear()
            self._engines[key] = Engine(params)
        return self._engines[key]

    def advanced(self, timeframe: str) -> Engine:
        """The Liquidator's own engine of a timeframe, as of the last bar."""
        return self.engine(timeframe).advance(self.rows(timeframe))

    def catch_up(self) -> None:
        """Streaming: now and then, make higher bars of the base bars that are about to go."""
        end = self.history.rows.end
        if end - self._caught_up < _CATCH_UP:
            return
        self._caught_up = end
        params = self._settings.params
        longest_memory = params.memory - params.zone_bars + SIZES[-1]  # of whatever window_minutes
        for name in self._settings.timeframes:
            if name != self._settings.bar:
                self.rows(name).drop(longest_memory)
        self.history.drop_rows()
