"""Bars and engine states of each timeframe of a Liquidator."""

from __future__ import annotations

import numpy as np

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.layout import SIZES

from .bars import Bars, higher_bars
from .history import History
from .settings import Settings

_CATCH_UP = 10_000  # base bars after which streaming brings every higher timeframe up to date
_MOST_ENGINES = 24


class Higher:
    """The closed bars of a timeframe above the base, made as base bars come."""

    def __init__(self, timeframe: str, memory: int) -> None:
        self.bars = Bars(timeframe)
        self._memory = memory
        self._epoch = 0
        self._from = 0  # position of the base row with which the last closed bar begins

    def restore(self, bars: Bars, base: Bars) -> None:
        """Take over saved bars; ``base`` are the base's."""
        self.bars = bars
        if len(bars.rows.rows):
            self._from = _position_of(base, int(bars.rows.time[-1]))

    def update(self, base: Bars) -> Bars:
        """Its bars, up to date with the base. Cost: that of the base bars since."""
        if self._epoch != base.rows.epoch:
            self._epoch, self._from = base.rows.epoch, 0
            self.bars.remove_from(0)
        made, runs = higher_bars(base, max(base.rows.first, self._from), self.bars.timeframe, self._memory)
        last = int(self.bars.rows.time[-1]) if len(self.bars.rows.rows) else -1
        made, runs = made[made["time"] > last], runs[runs["time"] > last]
        if len(made):
            self.bars.append(made, runs)
            self._from = _position_of(base, int(made["time"][-1]))
        return self.bars


def _position_of(base: Bars, time: int) -> int:
    """The position of the base row that a time lies in, or of the first one."""
    return base.rows.first + max(0, int(np.searchsorted(base.rows.time, time, side="right")) - 1)


class Engine:
    """The core's state after the last row of a timeframe, for one set of Params."""

    def __init__(self, params: Params) -> None:
        self.params = params
        self.record = params.to_record()
        self.state = new_state(self.record)
        self._at = 0  # position of the next row
        self._epoch = 0

    def advance(self, bars: Bars, end: int | None = None, until: int | None = None) -> Engine:
        """Fold the bars that came since, up to a position and a time; what was cut off is forgotten."""
        rows, memory = bars.rows, self.params.memory
        end = rows.end if end is None else end
        if self._epoch != rows.epoch or not max(rows.first, end - memory) <= self._at <= end:
            self._epoch, self._at = rows.epoch, bars.window(end, memory, until)
            self.state = new_state(self.record)
        some = bars.unrolled(self._at, end, memory, until)
        fold(self.state, self.record, some, new_signals(len(some)))
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

    def bars(self, timeframe: str) -> Bars:
        """The closed bars of a timeframe."""
        self.history.settle()
        if timeframe == self._settings.bar:
            return self.history.bars
        if timeframe not in self.higher:
            self.higher[timeframe] = Higher(timeframe, self._settings.params.memory)
        return self.higher[timeframe].update(self.history.bars)

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
        return self.engine(timeframe).advance(self.bars(timeframe))

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
                self.bars(name).keep_last(longest_memory)
        self.history.forget_rows()
