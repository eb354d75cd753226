"""Bybit: spot, linear and inverse. Of trades it hands out the newest page alone."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from . import tables
from .feed import Feed
from .paging import by_windows, newest_only
from .tables import column, rows_of, sized, whole

CHAINED = False
FLAT = True
KINDS = ("candles", "trades", "funding", "open_interest")
REACH = {"trades": "the newest 1,000 (spot: 60)", "open_interest": "a reading every 5 minutes"}
PAGES_BACK = False  # whether trades come a page after the other
COST = 5.0  # of a page of trades, in ccxt's units
PAGE = 1000

_HOUR = 3_600_000
_READING = 300_000
_SPOT_PAGE = 60


def _params(feed: Feed, **more: Any) -> dict[str, Any]:
    market = feed.market
    category = "spot" if market["spot"] else "linear" if market["linear"] else "inverse"
    return {"category": category, "symbol": market["id"], **more}


def trade_columns(feed: Feed, answer: Any) -> dict[str, Any]:
    """The columns of a page of trades, those left out that are block trades, as its streams have them."""
    rows = [row for row in rows_of(answer, "result", "list")[::-1] if not row.get("isBlockTrade")]
    price = column(rows, "price")
    page = {"time": column(rows, "time", whole), "price": price, "id": [str(row["execId"]) for row in rows]}
    page |= {"side": tables.takers([row["side"] for row in rows], "bybit")}
    return page | sized(feed.market, column(rows, "size"), price)


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""

    limit = _SPOT_PAGE if feed.market["spot"] else PAGE
    return await feed.get("publicGetV5MarketRecentTrade", _params(feed, limit=limit), partial(trade_columns, feed))


async def trades(feed: Feed) -> None:
    limit = _SPOT_PAGE if feed.market["spot"] else PAGE
    full = False

    def read(answer: Any) -> dict[str, Any]:
        nonlocal full
        full = len(rows_of(answer, "result", "list")) >= limit
        return trade_columns(feed, answer)

    async def ask() -> dict[str, Any]:
        return await feed.get("publicGetV5MarketRecentTrade", _params(feed, limit=limit), read)

    await newest_only(feed, ask, lambda: full)


async def candles(feed: Feed) -> None:
    volume = 6 if feed.market.get("inverse") else 5  # of inverse markets 5 is dollars and 6 coins

    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer, "result", "list")[::-1]
        page = {name: column(rows, place) for place, name in enumerate(("open", "high", "low", "close"), 1)}
        page |= {"volume": column(rows, volume), "taker_buy": np.full(len(rows), np.nan)}
        return {"time": column(rows, 0, whole), **page}

    interval = feed.client.instance.timeframes[feed.timeframe]

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = _params(feed, interval=interval, start=since, end=until - 1, limit=1000)
        return await feed.get("publicGetV5MarketKline", params, read)

    await by_windows(feed, ask, feed.step, 1000, flat=True)


async def funding(feed: Feed) -> None:
    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer, "result", "list")[::-1]
        return {"time": column(rows, "fundingRateTimestamp", whole), "funding_rate": column(rows, "fundingRate")}

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = _params(feed, startTime=since, endTime=until - 1, limit=200)
        return await feed.get("publicGetV5MarketFundingHistory", params, read)

    await by_windows(feed, ask, _HOUR, 200, flat=False)


def one_side(row: Any) -> float:
    """Open interest as other venues count it: ``openInterest`` is the sum of both sides."""
    single = row.get("singleOpenInterest")
    return float(single) if single else float(row["openInterest"]) / 2.0


async def open_interest(feed: Feed) -> None:
    """Coins; of inverse markets the venue tells dollars, which the close of the candle that ends then makes coins."""
    inverse = feed.market["inverse"]

    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer, "result", "list")[::-1]
        return {"time": column(rows, "timestamp", whole), "open_interest": np.array([one_side(row) for row in rows])}

    def closes(answer: Any) -> dict[int, float]:
        rows = rows_of(answer, "result", "list")
        ends = (column(rows, 0, whole) + _READING).tolist()
        return dict(zip(ends, column(rows, 4).tolist(), strict=True))

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = _params(feed, intervalTime="5min", startTime=since, endTime=until - 1, limit=200)
        page = await feed.get("publicGetV5MarketOpenInterest", params, read)
        if not inverse:
            return page
        params = _params(feed, interval="5", start=since - _READING, end=until - 1, limit=201)
        price = await feed.client.get("publicGetV5MarketKline", params, closes)
        known = np.array([price.get(time, np.nan) for time in page["time"].tolist()])
        return {"time": page["time"], "open_interest": page["open_interest"] / known, "usd": page["open_interest"]}

    await by_windows(feed, ask, _READING, 200, flat=False)
