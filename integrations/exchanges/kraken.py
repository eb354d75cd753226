"""Kraken: spot. Trades go by a cursor of nanoseconds and are numbered; candles reach 720 back, older ones are made."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from ..store.coverage import examine
from ..store.kinds import candles_of, key_of
from ..store.layout import Span, without
from ..store.parquet import joined
from . import tables
from .feed import Feed
from .tables import column, rows_of, whole

CHAINED = True
FLAT = False
KINDS = ("candles", "trades")
REACH = {"candles": "the latest 720; older ones are made from trades"}
PAGES_BACK = True  # whether trades come a page after the other
COST = 1.2  # of a page of trades, in ccxt's units
PAGE = 1000

_HOUR = 3_600_000
_BEFORE = 1_000


def _rows(feed: Feed, answer: Any) -> list[Any]:
    series = answer["result"]
    names = [name for name in series if name != "last"]
    return rows_of(series, names[0]) if names else []


def trade_columns(feed: Feed, answer: Any) -> dict[str, Any]:
    """The columns of a page of trades."""
    rows = _rows(feed, answer)
    page = {"time": _floored(column(rows, 2)), "price": column(rows, 0), "size": column(rows, 1)}
    page |= {"side": tables.takers([row[3] for row in rows], "kraken"), "id": column(rows, 6, whole)}
    return {**page, "cursor": str(answer["result"]["last"])}


async def _page(feed: Feed, cursor: str | None) -> dict[str, Any]:
    """A page of trades, and the ``cursor`` behind it."""

    params: dict[str, Any] = {"pair": feed.market["id"], "count": PAGE}
    if cursor is not None:
        params["since"] = cursor
    return await feed.get("publicGetTrades", params, partial(trade_columns, feed))


def _floored(seconds: np.ndarray) -> np.ndarray:
    """The ms that times in seconds fall into; floats of this size are 2.4e-7 apart, so what is as near is on it."""
    whole_seconds = np.floor(seconds)
    return np.asarray(whole_seconds * 1000.0 + np.floor((seconds - whole_seconds) * 1000.0 + 3e-4), np.int64)


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""
    return await _page(feed, None)


async def trades(feed: Feed) -> None:
    """Forward from cursor to cursor; a page without trades is asked for once more before it is the end."""
    cursor = str((feed.since - _BEFORE) * 1_000_000 - 1)
    start, time, first = feed.since, feed.since, True
    empty = False
    while time < feed.until:
        page = await _page(feed, cursor)
        if len(page["id"]) == 0:
            if empty:
                if not first:
                    feed.cover(start, feed.until, "ids", settled=time)
                return
            empty = True
            continue
        empty = False
        feed.take(page)
        begin, time = int(page["time"].min()), int(page["time"].max())
        if first and begin >= feed.since + _HOUR and int(page["id"].min()) > 1:
            feed.cover(start, begin, "none")
            start = begin
        first = False
        feed.cover(start, time, "ids")
        start = max(start, time)
        cursor = page["cursor"]
    feed.cover(start, feed.until, "ids")


async def candles(feed: Feed) -> None:
    """The venue's own candles as far as they reach back, and before them such as its trades make."""

    def read(answer: Any) -> dict[str, Any]:
        rows = _rows(feed, answer)
        page = {name: column(rows, place) for place, name in enumerate(("open", "high", "low", "close"), 1)}
        page |= {"volume": column(rows, 6), "taker_buy": np.full(len(rows), np.nan)}
        return {"time": column(rows, 0, whole) * 1000, **page}

    params = {"pair": feed.market["id"], "interval": feed.step // 60_000, "since": str(feed.since // 1000 - 1)}
    page = await feed.get("publicGetOHLC", params, read)
    time = page["time"]
    if len(time) == 0:
        page = await feed.get("publicGetOHLC", params, read)
        time = page["time"]
    reach = int(time.min()) if len(time) else feed.until
    if reach > feed.since:
        await _from_trades(feed, min(reach, feed.until))
    feed.take(page)
    feed.cover(reach, feed.until, "none", settled=int(time.max()) + feed.step if len(time) else None)


async def _from_trades(feed: Feed, until: int) -> None:
    """Take the candles up to a time from trades; what lies in a hole between these stays uncovered."""
    source = Feed(feed.client, feed.market, "trades", feed.since, until, feed.timeframe, None, lambda *_: None)
    await trades(source)
    if not source.tables:
        return
    rows = joined(source.tables, key_of("trades"))
    known = examine(rows, feed.since, until, source.spans, chained=True)
    step = feed.step
    holes = [Span(gap.since // step * step, gap.until // step * step + step, "none") for gap in known.gaps]
    page = candles_of(rows, step, until)
    whole_ones = [not any(hole.since <= time < hole.until for hole in holes) for time in page["time"].tolist()]
    feed.take({name: values[whole_ones] for name, values in page.items()})
    for since, end in without([(feed.since, until)], holes):
        feed.cover(since, end, "none")
