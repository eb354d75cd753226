"""Hyperliquid: perpetuals and spot. Of trades it hands out the newest few; candles reach 5,000 back."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from . import tables
from .feed import Feed
from .paging import by_windows, newest_only
from .tables import column, rows_of, whole

CHAINED = False
FLAT = True
KINDS = ("candles", "trades", "funding")
REACH = {"candles": "the latest 5,000", "trades": "the newest few"}
PAGES_BACK = False  # whether trades come a page after the other
COST = 10.0  # of a page of trades, in ccxt's units
PAGE = 10

_HOUR = 3_600_000


def _coin(feed: Feed) -> str:
    market = feed.market
    return str(market["baseName"] if market["swap"] else market["id"])


def trade_columns(feed: Feed, answer: Any) -> dict[str, Any]:
    """The columns of a page of trades."""
    rows = rows_of(answer)[::-1]
    page = {"time": column(rows, "time", whole), "price": column(rows, "px"), "size": column(rows, "sz")}
    side = tables.takers([row["side"] for row in rows], "hyperliquid")
    return {**page, "side": side, "id": column(rows, "tid", whole)}


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""

    return await feed.get("publicPostInfo", {"type": "recentTrades", "coin": _coin(feed)}, partial(trade_columns, feed))


async def trades(feed: Feed) -> None:
    await newest_only(feed, lambda: newest(feed), lambda: True)


async def candles(feed: Feed) -> None:
    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer)
        page = {name: column(rows, name[0]) for name in ("open", "high", "low", "close", "volume")}
        return {"time": column(rows, "t", whole), **page, "taker_buy": np.full(len(rows), np.nan)}

    async def ask(since: int, until: int) -> dict[str, Any]:
        wanted = {"coin": _coin(feed), "interval": feed.timeframe, "startTime": since, "endTime": until - 1}
        return await feed.get("publicPostInfo", {"type": "candleSnapshot", "req": wanted}, read)

    await by_windows(feed, ask, feed.step, 5000, flat=True)


async def funding(feed: Feed) -> None:
    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer)
        return {"time": column(rows, "time", whole), "funding_rate": column(rows, "fundingRate")}

    async def ask(since: int, until: int) -> dict[str, Any]:
        wanted = {"type": "fundingHistory", "coin": _coin(feed), "startTime": since, "endTime": until - 1}
        return await feed.get("publicPostInfo", wanted, read)

    await by_windows(feed, ask, _HOUR, 500, flat=False)
