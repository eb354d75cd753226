"""Any other venue of ccxt, by its unified methods: what they give is taken, and nothing of it is proven."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import numpy as np

from liquidator_core.layout import LONG

from ..market.venues import DISPUTED, POSITION_SIDED
from . import tables
from .feed import Feed
from .paging import by_windows
from .tables import column, sized

CHAINED = False
FLAT = False
REACH: dict[str, str] = {}
PAGES_BACK = True  # whether trades come a page after the other
COST = 1.0  # of a page of trades, in ccxt's units
PAGE = 1000

_METHODS = {
    "candles": "fetchOHLCV",
    "trades": "fetchTrades",
    "funding": "fetchFundingRateHistory",
    "open_interest": "fetchOpenInterestHistory",
    "liquidations": "fetchLiquidations",
}
_HOUR = 3_600_000
_CANDLES = 500


def kinds(instance: Any) -> tuple[str, ...]:
    """The kinds that a ccxt instance says it has."""
    return tuple(kind for kind, method in _METHODS.items() if instance.has.get(method))


def trade_columns(feed: Feed, rows: Any) -> dict[str, Any]:
    """The columns of a page of trades."""
    price = column(rows, "price")
    words = [row["side"] for row in rows]
    page = {"time": column(rows, "timestamp", tables.whole), "price": price}
    page |= {"side": tables.takers(words), "id": _ids(rows)}
    amount = np.array([row["amount"] for row in rows], np.float64)
    return page | sized(feed.market, amount, price, feed.client.venue)


def _ids(rows: Any) -> list[str]:
    """The ids of trades; where a venue gives none, what tells a trade from others of its moment."""
    seen: Counter[tuple[Any, ...]] = Counter()
    ids = []
    for row in rows:
        what = (row["timestamp"], row["price"], row["amount"], row["side"])
        seen[what] += 1
        ids.append(told_id(row) or made_id(row, seen[what]))
    return ids


def told_id(trade: Any) -> str | None:
    """The id that the venue gives a trade; where it gives none ccxt may make one that others alike have, too (MEXC)."""
    made = f"{trade['timestamp']}-{trade['side']}-"
    return str(trade["id"]) if trade["id"] and not str(trade["id"]).startswith(made) else None


def made_id(trade: Any, number: int) -> str:
    """What tells a trade without an id from all others: those alike of its moment are numbered."""
    return f"{trade['timestamp']} {trade['side']} {trade['amount']} at {trade['price']}, {number}"


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""
    return await feed.ask("fetch_trades", (feed.market["symbol"], None, PAGE), partial(trade_columns, feed))


async def trades(feed: Feed) -> None:
    """Forward by time, from a page's last trade on: what does not fit into one moment's page is lost."""
    time = start = feed.since
    newest_ms: int | None = None
    while time < feed.until:
        arguments = (feed.market["symbol"], time, PAGE)
        page = await feed.ask("fetch_trades", arguments, partial(trade_columns, feed))
        last = int(page["time"].max()) if len(page["time"]) else None
        if last is None:
            time += _HOUR  # venues that look an hour ahead find nothing in a longer silence
            continue
        if last <= time and newest_ms is not None:
            break
        if newest_ms is None and page["time"].min() > feed.since + _HOUR:
            start = int(page["time"].min()) + 1  # the venue begins later than it was asked to
        feed.take(page)
        feed.cover(start, last, "none")
        start = max(start, last)
        time = newest_ms = max(last, time + 1)
    if newest_ms is not None:
        feed.cover(start, min(feed.until, start + _HOUR), "none", settled=newest_ms)


async def candles(feed: Feed) -> None:
    def read(rows: Any) -> dict[str, Any]:
        page = {name: column(rows, place) for place, name in enumerate(("open", "high", "low", "close"), 1)}
        page |= {"volume": column(rows, 5), "taker_buy": np.full(len(rows), np.nan)}
        return {"time": column(rows, 0, tables.whole), **page}

    async def ask(since: int, until: int) -> dict[str, Any]:
        arguments = (feed.market["symbol"], feed.timeframe, since, (until - since) // feed.step)
        return await feed.ask("fetch_ohlcv", arguments, read)

    await by_windows(feed, ask, feed.step, _CANDLES, flat=False, lag=feed.step)


async def funding(feed: Feed) -> None:
    def read(rows: Any) -> dict[str, Any]:
        rate = column(rows, "fundingRate")
        return {"time": column(rows, "timestamp", tables.whole), "funding_rate": rate}

    async def ask(since: int, until: int) -> dict[str, Any]:
        return await feed.ask("fetch_funding_rate_history", (feed.market["symbol"], since, 100), read)

    await by_windows(feed, ask, _HOUR, 100, flat=False)


async def open_interest(feed: Feed) -> None:
    def read(rows: Any) -> dict[str, Any]:
        rows = [row for row in rows if row["openInterestAmount"] is not None]
        amount = np.array([tables.open_amount(row, feed.client.venue) for row in rows])
        return {"time": column(rows, "timestamp", tables.whole), "open_interest": amount}

    async def ask(since: int, until: int) -> dict[str, Any]:
        return await feed.ask("fetch_open_interest_history", (feed.market["symbol"], "1h", since, 100), read)

    await by_windows(feed, ask, _HOUR, 100, flat=False)


async def liquidations(feed: Feed) -> None:
    venue = feed.client.venue
    if venue in DISPUTED:
        raise ValueError(f"liquidations: what {venue} means by their sides is disputed")

    def read(rows: Any) -> dict[str, Any]:
        price = column(rows, "price")
        long = "buy" if venue in POSITION_SIDED else "sell"
        side = [tables.closed(LONG if row["side"] == long else 1 - LONG) for row in rows]
        worth = sized(feed.market, column(rows, "contracts"), price)
        usd = worth.get("usd", worth["size"] * price)
        return {"time": column(rows, "timestamp", tables.whole), "price": price, "side": side, **worth, "usd": usd}

    async def ask(since: int, until: int) -> dict[str, Any]:
        return await feed.ask("fetch_liquidations", (feed.market["symbol"], since, 100), read)

    await by_windows(feed, ask, _HOUR, 24, flat=False)
