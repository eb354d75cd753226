"""How a market's trades arrive, in one of four words, from the times and prices that are told to it."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

from .limits import HOUR_MS

LIVE, PARTIAL, STALE, DRIFT = "LIVE", "PARTIAL", "STALE", "DRIFT"

_LEAST_SILENCE_MS = 30_000
_SILENT_INTERVALS = 20
_INTERVALS = 200  # of which the median counts
_LAG_MS = 2_000
_MINUTE = 60_000
_LAGS = 600  # a second ten of them are looked at
_APART = 0.005
_APART_MS = 30_000


class Health:
    """The state of one market's trades; it may be asked for by any thread, and told by one.

    LIVE     they come
    PARTIAL  for an hour after a gap that was not filled in time
    STALE    no message for 30 s or 20 times the median interval, whichever is longer; from the start on
    DRIFT    over a minute the median of receipt less the venue's time is beyond 2 s either way, or price has been 0.5 %
             from the median of the other markets' for 30 s
    """

    def __init__(self, now: int) -> None:
        self.last_message: int | None = None
        self.last_price: float | None = None
        self._began = now
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)
        self._lags: deque[tuple[int, int]] = deque(maxlen=_LAGS)
        self._partial_until = 0
        self._apart_since: int | None = None

    def heard(self, receipt: int, time: int, price: float) -> None:
        """A message of trades came, the last of which is of a time and a price."""
        if self.last_message is not None:
            self._intervals.append(receipt - self.last_message)
        self.last_message, self.last_price = receipt, price
        if not self._lags or receipt - self._lags[-1][0] >= _MINUTE // _LAGS:
            self._lags.append((receipt, receipt - time))

    def lost(self, now: int) -> None:
        """A gap was not filled in time."""
        self._partial_until = now + HOUR_MS

    def compare(self, now: int, others: Sequence[float]) -> None:
        """Hold the last price against those of the other markets."""
        apart = False
        if others and self.last_price is not None:
            middle = statistics.median(others)
            apart = abs(self.last_price - middle) >= _APART * middle
        if not apart:
            self._apart_since = None
        elif self._apart_since is None:
            self._apart_since = now

    def is_stale(self, now: int) -> bool:
        silence = now - (self._began if self.last_message is None else self.last_message)
        usual = statistics.median(list(self._intervals) or [0])
        return silence >= max(_LEAST_SILENCE_MS, _SILENT_INTERVALS * usual)

    def state(self, now: int) -> str:
        """The word as of now: the first that holds of STALE, DRIFT, PARTIAL and LIVE."""
        if self.is_stale(now):
            return STALE
        if self._lags_behind(now) or (self._apart_since is not None and now - self._apart_since >= _APART_MS):
            return DRIFT
        return PARTIAL if now < self._partial_until else LIVE

    def _lags_behind(self, now: int) -> bool:
        lags = [one for one in list(self._lags) if one[0] >= now - _MINUTE]
        if not lags or now - lags[0][0] < _MINUTE // 2:
            return False
        return abs(statistics.median(lag for _, lag in lags)) > _LAG_MS
