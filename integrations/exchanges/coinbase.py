"""Coinbase (Advanced Trade): spot and perpetuals. Trades come by windows of whole seconds, the newest 1,000 of each."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from . import tables
from .feed import Feed
from .paging import by_windows
from .tables import column, iso_ms, rows_of, sized, whole

CHAINED = True
FLAT = False
KINDS = ("candles", "trades")
REACH = {"trades": "of a second that holds more than 1,000 the newest 1,000"}
PAGES_BACK = True  # whether trades come a page after the other
COST = 3.0  # of a page of trades, in ccxt's units
PAGE = 1000

_HOUR = 3_600_000
_INTERVALS = {"1m": "ONE_MINUTE", "5m": "FIVE_MINUTE", "15m": "FIFTEEN_MINUTE", "30m": "THIRTY_MINUTE"}
_INTERVALS |= {"1h": "ONE_HOUR", "2h": "TWO_HOUR", "6h": "SIX_HOUR", "1d": "ONE_DAY"}


def trade_columns(feed: Feed, answer: Any) -> dict[str, Any]:
    """The columns of a page of trades."""
    rows = rows_of(answer, "trades")
    price = column(rows, "price")
    page = {"time": iso_ms([row["time"] for row in rows]), "price": price, "id": column(rows, "trade_id", whole)}
    page |= {"side": tables.takers([row["side"] for row in rows], "coinbase")}
    return page | sized(feed.market, column(rows, "size"), price)


async def _page(feed: Feed, **params: Any) -> dict[str, Any]:
    wanted = {"product_id": feed.market["id"], "limit": PAGE, **params}
    return await feed.get("v3PublicGetBrokerageMarketProductsProductIdTicker", wanted, partial(trade_columns, feed))


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""
    return await _page(feed)


async def trades(feed: Feed) -> None:
    """Back from the span's end, a page at a time; then once more into the holes that the ids tell of."""
    since, end = feed.since // 1000 - 1, -(-feed.until // 1000)
    ids, times = np.zeros(0, np.int64), np.zeros(0, np.int64)
    settled: int | None = None
    reach, asked = feed.until, False
    while end > since:
        page = await _page(feed, start=str(since), end=str(end))
        if np.isin(page["id"], ids).all():  # nothing, or nothing new
            if asked or len(page["id"]):
                break
            asked = True
            continue
        asked = False
        feed.take(page)
        ids, times = np.concatenate([ids, page["id"]]), np.concatenate([times, page["time"]])
        settled = int(times.max())
        oldest = int(page["time"].min())
        feed.cover(oldest + 1, reach, "ids", settled)
        reach = min(reach, oldest + 1)
        if oldest < feed.since:
            break
        end = oldest // 1000 + 1 if oldest // 1000 + 1 < end else end - 1
    if len(ids):
        await _fill_holes(feed, ids, times)
        proof = "ids" if reach - feed.since < _HOUR or ids.min() <= 1 else "none"
        feed.cover(feed.since, reach, proof, settled)


async def _fill_holes(feed: Feed, ids: np.ndarray, times: np.ndarray) -> None:
    """Ask once more for what lies between ids that do not follow each other."""
    ids, first = np.unique(ids, return_index=True)
    times = times[first]
    for row in np.flatnonzero(np.diff(ids) > 1).tolist():
        feed.take(await _page(feed, start=str(int(times[row]) // 1000), end=str(int(times[row + 1]) // 1000 + 1)))


async def candles(feed: Feed) -> None:
    """Minutes without trades are left out."""
    if feed.timeframe not in _INTERVALS:
        raise ValueError(f"timeframe: found {feed.timeframe!r}, allowed on coinbase {', '.join(_INTERVALS)}")

    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer, "candles")[::-1]
        page = {name: column(rows, name) for name in ("open", "high", "low", "close", "volume")}
        return {"time": column(rows, "start", whole) * 1000, **page, "taker_buy": np.full(len(rows), np.nan)}

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = {"product_id": feed.market["id"], "granularity": _INTERVALS[feed.timeframe]}
        params |= {"start": str(since // 1000), "end": str((until - 1) // 1000)}
        return await feed.get("v3PublicGetBrokerageMarketProductsProductIdCandles", params, read)

    await by_windows(feed, ask, feed.step, 300, flat=False, lag=feed.step)
