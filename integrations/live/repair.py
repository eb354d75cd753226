"""What a venue's REST gives of a span of trades, and whether it proves that nothing of it is missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..exchanges.history import afetch
from .channel import Channel, Gap
from .said import Row

_SIDES = {"buy": 1, "sell": -1}


async def fetch_rows(instance: Any, channel: Channel, gap: Gap, now: int) -> tuple[list[Row], bool]:
    """(the trades of a gap and of the moments at its ends, whether they are all there were).

    Raises ConnectionError or ValueError for a venue that does not answer, or answers nonsense.
    """
    until = (now if gap.right is None else gap.right.time) + 1
    rows, whole = await fetch_span(instance, channel, gap.left.time, max(until, gap.left.time + 1))
    return rows, _proven(gap, rows, whole)


async def fetch_span(instance: Any, channel: Channel, since: int, until: int) -> tuple[list[Row], bool]:
    """(the trades of since <= time < until in order, whether the venue says that it has shown all of them)."""
    market = channel.market
    kind = "spot" if market["spot"] else "perpetual" if market["linear"] else "inverse"
    history = await afetch(channel.symbol, instance, ("trades",), since=since, until=until, market=kind)
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
