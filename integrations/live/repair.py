"""What a venue's REST gives of a span of trades, and whether it proves that nothing of it is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..exchanges.feed import Progress
from ..exchanges.history import afetch
from ..exchanges.paging import joined_holes
from ..exchanges.venues import module_of
from .channel import Channel, Gap
from .said import Row

_SIDES = {"buy": 1, "sell": -1}


class Fetches:
    """What one market's gaps ask of its venue: one at a time, neighbours at once where that takes fewer pages.

    progress   is called as the venue answers
    """

    def __init__(self, instance: Any, channel: Channel, progress: Progress | None = None) -> None:
        self._instance = instance
        self._channel = channel
        self._progress = progress
        self._waiting: list[_Asked] = []
        self._turn = asyncio.Lock()

    async def rows(self, gap: Gap, now: int) -> tuple[list[Row], bool]:
        """As ``fetch_rows``."""
        mine = _Asked(gap, now)
        self._waiting.append(mine)
        try:
            async with self._turn:
                await asyncio.sleep(0)  # so that gaps of one moment are asked for together
                if mine.rows is None and mine.error is None:
                    await self._ask(self._neighbours(mine))
        finally:
            self._waiting.remove(mine)
        if mine.error is not None:
            raise mine.error
        return mine.rows or [], mine.proven

    async def _ask(self, together: Sequence[_Asked]) -> None:
        """Ask for gaps at once."""
        since, until = min(one.since for one in together), max(one.until for one in together)
        try:
            rows, whole = await fetch_span(self._instance, self._channel, since, until, self._progress)
        except (ConnectionError, ValueError) as error:
            for one in together:
                one.error = error
            return
        for one in together:
            one.rows = [row for row in rows if one.since <= row.time < one.until]
            one.proven = _proven(one.gap, one.rows, whole)

    def _neighbours(self, mine: _Asked) -> list[_Asked]:
        """A gap, and those that wait which take fewer pages with it than without."""
        module, channel = module_of(self._channel.venue), self._channel
        waiting = [one for one in self._waiting if one.rows is None and one.error is None]
        if not module.PAGES_BACK:  # whatever is asked for, it gives the newest page
            return waiting
        rate = channel.counts["trades"] / max(1, mine.now - channel.began)
        holes = {one: (one.since, one.until) for one in waiting}
        if channel.chained and all(one.gap.missing >= 0.0 for one in waiting):
            holes, rate = {one: (one.gap.left.id, one.gap.right.id) for one in waiting if one.gap.right}, 1.0
        joined = joined_holes(sorted(holes.values()), lambda begin, end: rate * (end - begin), module.PAGE)
        begin, end = next(hole for hole in joined if hole[0] <= holes[mine][0] and holes[mine][1] <= hole[1])
        return [one for one in waiting if begin <= holes[one][0] and holes[one][1] <= end]


@dataclass(eq=False)
class _Asked:
    """A gap as it is asked for at a time, and what came of it."""

    gap: Gap
    now: int
    rows: list[Row] | None = None
    proven: bool = False
    error: Exception | None = None

    def __post_init__(self) -> None:
        self.since = self.gap.left.time
        end = self.now if self.gap.right is None else self.gap.right.time
        self.until = max(end, self.since) + 1


async def fetch_rows(
    instance: Any, channel: Channel, gap: Gap, now: int, progress: Progress | None = None
) -> tuple[list[Row], bool]:
    """(the trades of a gap and of the moments at its ends, whether they are all there were).

    Raises ConnectionError or ValueError for a venue that does not answer, or answers nonsense.
    """
    return await Fetches(instance, channel, progress).rows(gap, now)


async def fetch_span(
    instance: Any, channel: Channel, since: int, until: int, progress: Progress | None = None
) -> tuple[list[Row], bool]:
    """(the trades of since <= time < until in order, whether the venue says that it has shown all of them)."""
    market = channel.market
    kind = "spot" if market["spot"] else "perpetual" if market["linear"] else "inverse"
    asked: dict[str, Any] = {"since": since, "until": until, "market": kind, "progress": progress}
    history = await afetch(channel.symbol, instance, ("trades",), **asked)
    return rows_of(history.tables["trades"], channel), len(history.gaps) == 0


def rows_of(table: Any, channel: Channel) -> list[Row]:
    """Rows of a table of trades that is kept or fetched."""
    columns = [table[name].to_pylist() for name in ("time", "price", "size", "side", "id")]
    columns[3] = [_SIDES[side] for side in columns[3]]
    if channel.numbered:
        columns[4] = list(map(int, columns[4]))
    return [Row(*one) for one in zip(*columns, strict=True)]


def _proven(gap: Gap, rows: Sequence[Row], whole: bool) -> bool:
    left, right = gap.left, gap.right
    ids = {row.id for row in rows}
    if gap.channel.chained and left.id is not None and right is not None:
        missing = right.id - left.id - 1
        return bool(0 <= missing == sum(left.id < one < right.id for one in ids))
    return (whole or left.id in ids) and (right is None or right.id in ids)
