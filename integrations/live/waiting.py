"""What waits while a gap is filled: trades and liquidations of all markets, applied in order of time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from .channel import Channel, Mark
from .said import Row


class Placed(NamedTuple):
    """A liquidation at the price that it counts at."""

    time: int
    price: float
    usd: float
    side: str


Event: TypeAlias = Row | Placed
Key: TypeAlias = tuple[Any, ...]


def key_of(channel: Channel, event: Event) -> Key:
    """What tells an event from others: its market, of a trade the id, of a liquidation all of it."""
    return (*channel.key, event.id) if isinstance(event, Row) else (*channel.key, *event)


class Waiting:
    """Events that are not applied yet; ``len()`` of them."""

    def __init__(self) -> None:
        self._events: list[tuple[Event, Channel]] = []

    def __len__(self) -> int:
        return len(self._events)

    def keys(self) -> Counter[Key]:
        """What tells those that wait from others, and how many are alike."""
        return Counter(key_of(channel, event) for event, channel in self._events)

    def put(self, channel: Channel, events: Sequence[Event]) -> None:
        """Have events of a market wait."""
        self._events += [(one, channel) for one in events]
        channel.queued += len(events)

    def put_behind(self, channel: Channel, left: Mark, rows: Sequence[Row], page: Sequence[Row]) -> None:
        """Have trades of a gap wait: each behind the one before it, the first of all before what came after the gap.

        page   trades in the venue's order, ``rows`` and those around them
        """
        if not rows:
            return
        begin, end = left.time, page[-1].time
        places = {
            (event.time, event.id): place
            for place, (event, whose) in enumerate(self._events, 1)
            if begin <= event.time <= end and whose is channel and isinstance(event, Row)
        }
        place, done, new = places.get((left.time, left.id), 0), 0, {row.id for row in rows}
        events: list[tuple[Event, Channel]] = []
        for row in page:
            if row.id in new:
                events += [*self._events[done:place], (row, channel)]
                done = place
            else:
                place = max(place, places.get((row.time, row.id), 0))
        self._events = events + self._events[done:]
        channel.queued += len(rows)

    def release(self, bound: int | None) -> None:
        """Apply what waits of before a time; None: all of it."""
        events = self._events
        self._events = [] if bound is None else [one for one in events if one[0].time >= bound]
        due = events if bound is None else [one for one in events if one[0].time < bound]
        released = Counter(channel for _, channel in due)
        try:
            apply(due)
        finally:
            for channel, count in released.items():
                channel.queued -= count


def apply(events: list[tuple[Event, Channel]]) -> None:
    """Apply events in order of time over all markets, trades of one that follow each other at once. They are sorted."""
    events.sort(key=lambda one: one[0].time)
    rows: list[Row] = []
    for place, (event, channel) in enumerate(events, 1):
        if isinstance(event, Placed):
            channel.sink.liquidation(channel.venue, *event)
            continue
        rows.append(event)
        if place == len(events) or events[place][1] is not channel or isinstance(events[place][0], Placed):
            channel.sink.trades(channel.venue, rows)
            rows = []
