"""A restart: what was traded since the engine's last closed bar, from the store and by REST, before it goes live."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass
class _Missed:
    """What a market traded since its engine's last closed bar.

    lost   holes of the store that are too old to be asked for
    kept   trades of the store, up to its first hole that is not
    after  those behind that, up to what was fetched
    gap    what follows ``kept``, and what was fetched of it
    """

    lost: list[Gap]
    kept: list[Row]
    after: list[Row]
    gap: Gap


async def catch_up(channels: Sequence[Channel], capture: Capture | None, session: Session, limits: Limits) -> None:
    """Bring engines that have bars up to date, all markets in one order of time; what cannot be had is told as a gap.

    Markets of engines without a bar begin with the stream.
    """
    behind = [channel for channel in channels if channel.sink.closed > 0]
    silences: dict[str, set[asyncio.Timeout]] = {one.venue: set() for one in behind}
    found = await asyncio.gather(
        *(_missed(one, session.instances[one.venue], capture, limits, silences[one.venue]) for one in behind)
    )
    had = {(one.sink, one.venue): one.sink.liquidations(one.venue) for one in behind}
    told: list[Told] = []
    for channel, missed in zip(behind, found, strict=True):
        gap = missed.gap
        new = channel.resume([*missed.after, *gap.rows])
        if capture is not None:
            if gap.filled is True:
                capture.late(channel, gap.rows, gap.left.time, None)
            elif gap.rows:
                capture.trades(channel, gap.rows)
            told += _feeds(channel, capture, limits.now(), had[channel.sink, channel.venue])
        told += [(row.time, channel, "trades", row) for row in (*missed.kept, *new)]
    gaps = [gap for missed in found for gap in (*missed.lost, missed.gap)]
    await _tell([gap for gap in gaps if gap.filled is False], session, limits)
    for time, channel, kind, what in joined(told):
        if kind == "trades":
            channel.sink.trades(channel.venue, what)
        else:
            feed(session, channel, kind, time, what)
    for channel in behind:
        session.lost(channel)


async def join_late(channels: Sequence[Channel], session: Session, limits: Limits) -> None:
    """Have markets of a venue join whose engines went on without them: what they traded since is a gap."""
    behind = [channel for channel in channels if channel.sink.closed > 0]
    now = limits.now()
    lost = []
    for channel in behind:
        if channel.began < now - limits.catch_up_ms:
            lost.append(Gap(channel, Mark(channel.began, None), now, Mark(now, None), False))
            channel.began = now
    await _tell(lost, session, limits)
    for channel in behind:
        session.lost(channel)


async def _tell(lost: Sequence[Gap], session: Session, limits: Limits) -> None:
    """Tell of gaps that nothing fills any more."""
    for gap in lost:
        gap.channel.health.lost(limits.now())
    await session.gaps.told(lost)


async def _missed(
    channel: Channel, instance: Any, capture: Capture | None, limits: Limits, silences: set[asyncio.Timeout]
) -> _Missed:
    """What was missed, from the store and by REST; a venue that does not answer for long is asked again by the stream.

    silences   of this venue's markets, which share its rate limit: what it answers one puts the end of all off
    """
    now = limits.now()
    since, oldest = channel.sink.closed, now - limits.catch_up_ms
    rows: list[Row] = []
    holes: list[tuple[int, int]] = []
    if capture is not None:
        rows = rows_of(capture.stored(channel, "trades", since, now + 1), channel)
        holes = capture.holes(channel, since, rows[-1].time + 1) if rows else []
    lost = [Gap(channel, Mark(begin, None), now, Mark(end, None), False) for begin, end in holes if begin < oldest]
    reach = min((begin for begin, _ in holes if begin >= oldest), default=now + 1)
    kept = channel.resume([row for row in rows if row.time < reach])
    gap = Gap(channel, channel.last or Mark(since, None), now)
    missed = _Missed(lost, kept, [], gap)
    if gap.left.time < oldest:
        gap.filled, gap.right = False, Mark(now, None)
        channel.last, channel.began = None, now
        return missed
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(limits.hold_s) as silence:
            silences.add(silence)
            try:
                if await _is_fetched(instance, gap, limits, silences):
                    gap.filled = True
                    return missed
            finally:
                silences.remove(silence)
    if channel.last is None:
        channel.began = since  # there the stream's gap begins
    if gap.rows:
        gap.filled = False
        gap.right = Mark(gap.rows[0].time, gap.rows[0].id)
        missed.after = [row for row in rows if reach <= row.time < gap.right.time]
    return missed


async def _is_fetched(instance: Any, gap: Gap, limits: Limits, silences: set[asyncio.Timeout]) -> bool:
    """Ask for a gap's trades a few times; whether they are all there were."""
    channel, loop = gap.channel, asyncio.get_running_loop()

    def answered(*_: Any) -> None:
        for silence in silences:
            if not silence.expired():
                silence.reschedule(loop.time() + limits.hold_s)

    for attempt in range(_ATTEMPTS):
        try:
            gap.rows, proven = await fetch_rows(instance, channel, gap, limits.now(), answered)
        except (ConnectionError, ValueError) as error:
            _LOG.warning("%s %s: what was missed is not known yet: %s", channel.venue, channel.symbol, error)
            proven = False
        if proven:
            return True
        await asyncio.sleep(limits.first_wait * 2**attempt)
    return False


def _feeds(channel: Channel, capture: Capture, now: int, had: Counter[Any]) -> list[Told]:
    """The liquidations of the store that the engine does not have, which ``had`` are counted off, and its readings."""
    feeds: list[Told] = []
    for kind in ("liquidations", "funding", "open_interest"):
        for row in capture.stored(channel, kind, channel.sink.closed, now + 1).to_pylist():
            key = row["time"], row.get("price"), row.get("usd"), row.get("side")
            if had[key]:
                had[key] -= 1
            else:
                feeds.append((row["time"], channel, kind, row))
    return feeds
