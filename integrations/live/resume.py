"""A restart: what was traded since the engine's last closed bar, from the store and by REST, before it goes live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from .capture import Capture
from .channel import Channel, Gap, Mark
from .limits import Limits
from .playback import Told, feed, joined
from .repair import fetch_rows, rows_of
from .said import Row
from .session import Session

_LOG = logging.getLogger("liquidator")
_ATTEMPTS = 3


async def catch_up(channels: Sequence[Channel], capture: Capture | None, session: Session, limits: Limits) -> None:
    """Bring engines that have bars up to date, all markets in one order of time; what cannot be had is told as a gap.

    Markets of engines without a bar begin with the stream.
    """
    behind = [channel for channel in channels if channel.sink.closed > 0]
    found = await asyncio.gather(*(_missed(one, session.instances[one.venue], capture, limits) for one in behind))
    gaps = []
    missed: list[Told] = []
    for channel, (kept, gap) in zip(behind, found, strict=True):
        new = channel.resume(gap.rows)
        if capture is not None and new:
            capture.trades(channel, new)
        missed += [(row.time, channel, "trades", row) for row in (*kept, *new)]
        if capture is not None:
            missed += _feeds(channel, capture, limits.now())
        if gap.filled is not True:
            gaps.append(gap)
    await session.gaps.told(gaps)
    for time, channel, kind, what in joined(missed):
        if kind == "trades":
            channel.sink.trades(channel.venue, what)
        else:
            feed(session, channel, kind, time, what)
    for channel in behind:
        session.lost(channel)


async def _missed(channel: Channel, instance: Any, capture: Capture | None, limits: Limits) -> tuple[list[Row], Gap]:
    """(trades of the store, what follows them)."""
    now = limits.now()
    since = channel.sink.closed
    kept = []
    if capture is not None:
        kept = channel.resume(rows_of(capture.stored(channel, "trades", since, now + 1), channel))
    gap = Gap(channel, channel.last or Mark(since, None), now)
    if gap.left.time < now - limits.catch_up_ms:
        gap.filled = False
        return kept, gap
    for attempt in range(_ATTEMPTS):
        try:
            gap.rows, proven = await fetch_rows(instance, channel, gap, limits.now())
        except (ConnectionError, ValueError) as error:
            _LOG.warning("%s %s: what was missed is not known yet: %s", channel.venue, channel.symbol, error)
            proven = False
        if proven:
            gap.filled = True
            break
        await asyncio.sleep(limits.first_wait * 2**attempt)
    else:
        gap.filled = False
        if gap.rows:
            gap.right = Mark(gap.rows[0].time, gap.rows[0].id)
    return kept, gap


def _feeds(channel: Channel, capture: Capture, now: int) -> list[Told]:
    """The liquidations and readings of the store that the engine does not have."""
    since = channel.sink.closed
    begins = {"liquidations": max(channel.sink.last_liquidation(channel.venue) + 1, since)}
    return [
        (row["time"], channel, kind, row)
        for kind in ("liquidations", "funding", "open_interest")
        for row in capture.stored(channel, kind, begins.get(kind, since), now + 1).to_pylist()
    ]
