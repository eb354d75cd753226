"""OKX: spot and swaps. Trades go by id, newest first, 100 a page; that ids have no holes it does not promise."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from . import tables
from .feed import Feed
from .paging import by_windows
from .tables import column, rows_of, sized, whole

CHAINED = False
FLAT = True
KINDS = ("candles", "trades", "funding", "open_interest")
REACH = {
    "trades": "three months back",
    "funding": "three months back",
    "open_interest": "a reading every 5 minutes",
}
PAGES_BACK = True  # whether trades come a page after the other
COST = 2.0  # of a page of trades, in ccxt's units
PAGE = 100

_HOUR = 3_600_000
_READING = 300_000


def trade_columns(feed: Feed, answer: Any) -> dict[str, Any]:
    """The columns of a page of trades."""
    rows = rows_of(answer, "data")[::-1]
    price = column(rows, "px")
    page = {"time": column(rows, "ts", whole), "price": price, "id": column(rows, "tradeId", whole)}
    page |= {"side": tables.takers([row["side"] for row in rows], "okx")}
    return page | sized(feed.market, column(rows, "sz"), price)


async def _page(feed: Feed, **params: Any) -> dict[str, Any]:
    wanted = {"instId": feed.market["id"], "limit": str(PAGE), **params}
    return await feed.get("publicGetMarketHistoryTrades", wanted, partial(trade_columns, feed))


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""
    return await _page(feed, type="1")


async def trades(feed: Feed) -> None:
    """Back from the span's end: the first page by time, the others by id, which alone gets through a busy moment."""
    wanted = {"type": "2", "after": str(feed.until)}
    lowest, end = np.iinfo(np.int64).max, feed.until
    settled: int | None = None
    asked = False
    while end > feed.since:
        page = await _page(feed, **wanted)
        if len(page["id"]) == 0 or int(page["id"].min()) >= lowest:  # nothing, or the same page again
            if asked:
                break
            asked = True
            continue
        asked = False
        oldest, lowest = int(page["time"].min()), int(page["id"].min())
        settled = int(page["time"].max()) if settled is None else settled
        feed.take(page)
        feed.cover(oldest + 1, end, "none", settled)
        end = min(end, oldest + 1)
        wanted = {"type": "1", "after": str(lowest)}
        if oldest < feed.since:
            break
    if settled is not None and end - feed.since < _HOUR:
        feed.cover(feed.since, end, "none", settled)


async def candles(feed: Feed) -> None:
    volume = 5 if feed.market["spot"] else 6  # of swaps 5 is contracts

    def read(answer: Any) -> dict[str, Any]:
        rows = [row for row in rows_of(answer, "data")[::-1] if str(row[8]) == "1"]
        page = {name: column(rows, place) for place, name in enumerate(("open", "high", "low", "close"), 1)}
        page |= {"volume": column(rows, volume), "taker_buy": np.full(len(rows), np.nan)}
        return {"time": column(rows, 0, whole), **page}

    bar = feed.client.instance.timeframes[feed.timeframe]

    async def ask(since: int, until: int, end_point: str = "publicGetMarketHistoryCandles") -> dict[str, Any]:
        params = {"instId": feed.market["id"], "bar": bar, "limit": "100"}
        params |= {"after": str(until), "before": str(since - 1)}
        return await feed.get(end_point, params, read)

    async def ask_latest(since: int, until: int) -> dict[str, Any]:
        return await ask(since, until, "publicGetMarketCandles")

    await by_windows(feed, ask, feed.step, 100, flat=True, again=ask_latest)


async def funding(feed: Feed) -> None:
    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer, "data")[::-1]
        rate = [row.get("realizedRate") or row["fundingRate"] for row in rows]
        return {"time": column(rows, "fundingTime", whole), "funding_rate": tables.numbers(rate)}

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = {"instId": feed.market["id"], "limit": "100", "after": str(until), "before": str(since - 1)}
        return await feed.get("publicGetPublicFundingRateHistory", params, read)

    await by_windows(feed, ask, _HOUR, 100, flat=False)


async def open_interest(feed: Feed) -> None:
    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer, "data")[::-1]
        return {"time": column(rows, 0, whole), "open_interest": column(rows, 2), "usd": column(rows, 3)}

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = {"instId": feed.market["id"], "period": "5m", "limit": "100"}
        params |= {"begin": str(since - 1), "end": str(until)}
        return await feed.get("publicGetRubikStatContractsOpenInterestHistory", params, read)

    await by_windows(feed, ask, _READING, 100, flat=False)
