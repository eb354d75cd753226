"""The ways in which venues hand out a span, page by page; what differs is how one page is asked for."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import numpy as np

from ..store.kinds import Columns
from .client import Refusal
from .feed import Feed

Page = Columns
Hole = tuple[int, int]  # where it begins and ends, by time or by id
Ask = Callable[[int, int], Awaitable[Page]]  # rows of since <= time < until


def joined_holes(holes: Sequence[Hole], rows: Callable[[int, int], float], page: int) -> list[Hole]:
    """Holes in order, neighbours made one, with what lies between them, where that takes fewer pages.

    rows   how many rows lie between two ends, about

    >>> joined_holes([(0, 10), (90, 100), (5000, 5010)], lambda since, until: until - since, 1000)
    [(0, 100), (5000, 5010)]
    """

    def pages(since: int, until: int) -> int:
        return max(1, math.ceil(rows(since, until) / page))

    joined: list[Hole] = []
    for hole in holes:
        if joined and pages(joined[-1][0], hole[1]) < pages(*joined[-1]) + pages(*hole):
            joined[-1] = joined[-1][0], max(joined[-1][1], hole[1])
        else:
            joined.append(hole)
    return joined


def times_of(page: Page) -> np.ndarray:
    return np.asarray(page["time"])


async def by_windows(
    feed: Feed,
    ask: Ask,
    step: int,
    limit: int,
    flat: bool,
    lag: int = 0,
    again: Ask | None = None,
    may_refuse: bool = False,
) -> None:
    """Take rows that come at most one a step, in windows that hold a page.

    flat   the venue sends a row for every step, so that a row that is missing is asked for once more, and if it does
           not come stays uncovered
    lag    ms from a row's time to its end, when it is known
    again  asks once more, if otherwise than the first time
    may_refuse   the venue refuses windows that it keeps no rows of any more: they stay uncovered
    """
    window = step * limit
    since = -(-feed.since // step) * step if flat else feed.since
    until = feed.until // step * step if flat else feed.until
    while since < until:
        end = min(until, since + window)
        try:
            page = await ask(since, end)
        except Refusal:
            if not may_refuse:
                raise
            since = end
            continue
        time = times_of(page)
        if flat:
            await _by_steps(feed, again or ask, page, since, end, step)
        else:
            if len(time) == 0:
                page = await ask(since, end)
                time = times_of(page)
            feed.take(page)
            feed.cover(since, end, "none", int(time.max()) + 1 + lag if end == until and len(time) else None)
        since = end


async def _by_steps(feed: Feed, ask: Ask, page: Page, since: int, end: int, step: int) -> None:
    """Take one window's rows, of which there must be one a step."""
    wanted = np.arange(since, end, step)
    time = times_of(page)
    feed.take(page)
    missing = wanted[~np.isin(wanted, time)]
    if len(missing):
        more = await ask(int(missing[0]), int(missing[-1]) + step)
        feed.take(more)
        missing = missing[~np.isin(missing, times_of(more))]
    have = wanted[~np.isin(wanted, missing)]
    if len(have):
        breaks = np.flatnonzero(np.diff(have) != step)
        for first, last in zip(have[np.r_[0, breaks + 1]], have[np.r_[breaks, len(have) - 1]], strict=True):
            feed.cover(int(first), int(last) + step, "count")


async def newest_only(feed: Feed, ask: Callable[[], Awaitable[Page]], is_full: Callable[[], bool]) -> None:
    """Take the newest rows of a venue that hands out no others: what lies before them stays uncovered.

    is_full   whether the page that was asked for last may have been cut
    """
    page = await ask()
    if len(times_of(page)) == 0:
        page = await ask()
    time = times_of(page)
    feed.take(page)
    if len(time) == 0:
        return
    reach = int(time.min()) + 1 if is_full() else feed.since
    feed.cover(reach, feed.until, "none", int(time.max()))
