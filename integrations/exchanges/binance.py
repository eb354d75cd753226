"""Binance: spot, USD-margined and coin-margined. Aggregated trades go by id, from 1 on, without holes."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from . import tables
from .feed import Feed
from .paging import by_windows
from .tables import column, rows_of, sized, whole

CHAINED = True
FLAT = True
KINDS = ("candles", "trades", "funding", "open_interest")
REACH = {"trades": "about a year back", "open_interest": "30 days back, a reading every 5 minutes"}
PAGES_BACK = True  # whether trades come a page after the other
COST = 20.0  # of a page of trades, in ccxt's units
PAGE = 1000  # trades a request

_HOUR = 3_600_000
_BEFORE, _AFTER = 1_000, 60_000  # ms around a span's start that are searched for an id
_READING = 300_000
_LIMIT = {"public": 1000, "fapiPublic": 1500, "dapiPublic": 1500}


def _api(market: Any) -> str:
    if market["spot"]:
        return "public"
    return "fapiPublic" if market["linear"] else "dapiPublic"


def trade_columns(feed: Feed, answer: Any) -> dict[str, Any]:
    """The columns of a page of trades, in order of their ids."""
    rows = rows_of(answer)
    price = column(rows, "p")
    page = {"time": column(rows, "T", whole), "price": price, "id": column(rows, "a", whole)}
    page |= {"side": tables.makers([row["m"] for row in rows]), **sized(feed.market, column(rows, "q"), price)}
    order = np.argsort(page["id"], kind="stable")
    return page if (np.diff(order) == 1).all() else {name: np.asarray(page[name])[order] for name in page}


async def _page(feed: Feed, **params: int) -> dict[str, Any]:
    wanted = {"symbol": feed.market["id"], "limit": PAGE, **params}
    return await feed.get(f"{_api(feed.market)}GetAggTrades", wanted, partial(trade_columns, feed))


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""
    return await _page(feed)


async def trades(feed: Feed) -> None:
    """Find an id near the start, go back to the trade before it, then forward from id to id.

    A window of time that holds more than a page may give its last page, so that windows do no more than find ids.
    """
    found = await _first_after(feed, feed.since - _BEFORE)
    if found is None:
        return
    pages, is_start = await _back_to(feed, found, feed.since)
    begin = int(pages[-1]["time"][0])
    start = feed.since
    if begin >= feed.since + _HOUR and is_start and pages[-1]["id"][0] > 1:
        feed.cover(start, begin, "none")  # silence that no trade before it bounds
        start = begin
    ids, first = np.unique(np.concatenate([page["id"] for page in pages]), return_index=True)
    run = int(np.argmax(np.append(np.diff(ids), 0) != 1))
    time = np.concatenate([page["time"] for page in pages])[first][run]
    await _forward(feed, int(ids[run]), int(time), start)


async def _back_to(feed: Feed, page: dict[str, Any], bound: int) -> tuple[list[dict[str, Any]], bool]:
    """(pages from one back to a trade before ``bound``, latest first; whether nothing older is served)."""
    pages = [page]
    while page["time"][0] >= bound:
        first = int(page["id"][0])
        feed.take(page)
        if first <= 1:
            return pages, True
        page = await _page(feed, fromId=max(1, first - (PAGE - 1 if len(page["id"]) >= PAGE else 1)))
        if len(page["id"]) == 0 or page["id"][0] > first:
            return pages, True
        pages.append(page)
        if page["id"][0] == first:
            break
    feed.take(page)
    return pages, bool(page["time"][0] >= bound)


async def _forward(feed: Feed, last: int, time: int, start: int) -> None:
    """Follow the ids from a trade on; what they leave out is asked for once more."""
    asked: set[int] = set()
    while time < feed.until:
        feed.cover(start, time, "ids")
        start = max(start, time)
        page: dict[str, Any] | None = await _page(feed, fromId=last + 1)
        if page is not None and (len(page["id"]) == 0 or page["time"][-1] < time):
            page = await _first_after(feed, time + 1)
            if page is not None and page["id"][0] <= last:  # ids began anew
                page = (await _back_to(feed, page, time + 1))[0][-1]
        if page is None:
            feed.cover(start, feed.until, "ids", settled=time)
            return
        feed.take(page)
        if page["id"][0] > last + 1 and last not in asked:
            asked.add(last)
            continue
        last, time = int(page["id"][-1]), int(page["time"][-1])
    feed.cover(start, feed.until, "ids")


async def _first_after(feed: Feed, since: int) -> dict[str, Any] | None:
    """A page of trades from about a time on, whatever their ids; None where there are none up to the span's end."""
    length, begin = _AFTER, since
    while since < feed.until:
        page = await _page(feed, startTime=since, endTime=since + length - 1)
        if len(page["id"]):
            return page
        since += length
        length = min(2 * length, _HOUR)
        if since - begin > _HOUR and since < feed.until:
            latest = await newest(feed)
            if len(latest["id"]) == 0 or latest["time"][-1] < begin:
                return None
    return None


async def candles(feed: Feed) -> None:
    api = _api(feed.market)
    volume, taker_buy = (7, 10) if api == "dapiPublic" else (5, 9)  # coin-margined klines count contracts in 5 and 9

    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer)
        page = {name: column(rows, place) for place, name in enumerate(("open", "high", "low", "close"), 1)}
        page |= {"volume": column(rows, volume), "taker_buy": column(rows, taker_buy)}
        return {"time": column(rows, 0, whole), **page}

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = {"symbol": feed.market["id"], "interval": feed.timeframe, "limit": _LIMIT[api]}
        return await feed.get(f"{api}GetKlines", {**params, "startTime": since, "endTime": until - 1}, read)

    await by_windows(feed, ask, feed.step, _LIMIT[api], flat=True)


async def funding(feed: Feed) -> None:
    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer)
        return {"time": column(rows, "fundingTime", whole), "funding_rate": column(rows, "fundingRate")}

    async def ask(since: int, until: int) -> dict[str, Any]:
        params = {"symbol": feed.market["id"], "limit": 1000, "startTime": since, "endTime": until - 1}
        return await feed.get(f"{_api(feed.market)}GetFundingRate", params, read)

    await by_windows(feed, ask, _HOUR, 1000, flat=False)


async def open_interest(feed: Feed) -> None:
    """Of inverse markets ``sumOpenInterest`` is contracts, and the value is coins."""
    linear = feed.market["linear"]

    def read(answer: Any) -> dict[str, Any]:
        rows = rows_of(answer)
        amount, value = column(rows, "sumOpenInterest"), column(rows, "sumOpenInterestValue")
        coins, usd = (amount, value) if linear else (value, amount * float(feed.market["contractSize"]))
        return {"time": column(rows, "timestamp", whole), "open_interest": coins, "usd": usd}

    async def ask(since: int, until: int) -> dict[str, Any]:
        name = {"symbol": feed.market["id"]}
        if not linear:
            name = {"pair": feed.market["info"]["pair"], "contractType": feed.market["info"]["contractType"]}
        params = {**name, "period": "5m", "limit": 500, "startTime": since, "endTime": until - 1}
        end_point = "fapiDataGetOpenInterestHist" if linear else "dapiDataGetOpenInterestHist"
        return await feed.get(end_point, params, read)

    await by_windows(feed, ask, _READING, 500, flat=False, may_refuse=True)
