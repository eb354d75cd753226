"""Bars and engine states of each timeframe of a Liquidator."""

from __future__ import annotations

import numpy as np

from liquidator_core import BAR, Params, fold, new_signals, new_state
from liquidator_core.timeframes import to_timeframe

from .rows import Rows


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
