"""Funding and open interest of a coin, of the readings of its markets."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..market.funding import hours_between, per_unit
from .channel import Channel, is_moment
from .said import Reading

_READING_MS = 10_000  # between two readings of a market's funding or open interest
_SEEN_MS = 600_000  # from a payment to the first frame that tells the next one


def is_reading(said: Reading, receipt: int) -> bool:
    """Whether a reading has a value, which of funding alone may be below 0, and a time that can be."""
    right = math.isfinite(said.value) and (said.kind == "funding" or said.value >= 0.0)
    return right and (said.time is None or is_moment(said.time, receipt))


class Readings:
    """The last reading of each kind of each market."""

    def __init__(self) -> None:
        self._last: dict[tuple[Channel, str], tuple[int, float]] = {}

    def is_due(self, channel: Channel, kind: str, time: int) -> bool:
        """Whether a time is ten seconds from that of the last one of a market, which may have been no time at all."""
        before = self._last.get((channel, kind))
        return before is None or abs(time - before[0]) >= _READING_MS

    def hours_of(self, channel: Channel, said: Reading, time: int) -> float | None:
        """How many hours a market's funding rate is for, as told, or as two times of it tell; None: unknown."""
        before, channel.funding_due = channel.funding_due, said.due or channel.funding_due
        seen = None
        if before is not None and said.due is not None and time - before < _SEEN_MS:
            seen = hours_between(before, said.due)  # later there may have been a payment between the two
        channel.funding_hours = said.hours or seen or channel.funding_hours
        return channel.funding_hours

    def apply(
        self, channel: Channel, kind: str, time: int, value: float, hours: float, channels: Sequence[Channel]
    ) -> None:
        """Apply a reading: of funding the mean of a coin's markets, as of eight hours; of open interest their sum.

        hours   that a funding rate is for. Open interest counts once all markets tell it
        """
        if kind == "funding":
            value = per_unit(value, hours)
        self._last[(channel, kind)] = (time, value)
        mine = [one for one in channels if one.sink is channel.sink]
        known = [self._last[(one, kind)][1] for one in mine if (one, kind) in self._last]
        if kind == "funding":
            channel.sink.rate("funding_rate", time, sum(known) / len(known))
        elif len(known) == len(mine):
            channel.sink.rate("open_interest", time, sum(known))
