"""Any other venue of ccxt, by its unified methods: what they give is taken, and nothing of it is proven."""

from __future__ import annotations

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


def _read_trades(feed: Feed, rows: Any) -> dict[str, Any]:
    price = column(rows, "price", np.array)
    words = [row["side"] for row in rows]
    page = {"time": column(rows, "timestamp", tables.whole), "price": price}
    page |= {"side": tables.takers(words), "id": [str(row["id"] or "") for row in rows]}
    return page | sized(feed.market, np.array([row["amount"] for row in rows], np.float64), price)


async def newest(feed: Feed) -> dict[str, Any]:
    """The newest page of trades."""
    return await feed.ask("fetch_trades", (feed.market["symbol"], None, PAGE), lambda rows: _read_trades(feed, rows))


async def trades(feed: Feed) -> None:
    """Forward by time, from the last trade of a page on: what does not fit into one moment's page is lost."""
    time, start = feed.since, feed.since
    while time < feed.until:
        page = await feed.ask(
            "fetch_trades", (feed.market["symbol"], time, PAGE), lambda rows: _read_trades(feed, rows)
        )
        if len(page["time"]) == 0 or page["time"].max() <= time:
            break
        feed.take(page)
        start = int(page["time"].min()) + 1 if time == feed.since and page["time"].min() > time + _HOUR else start
        time = int(page["time"].max())
        feed.cover(start, time, "none")
    if time > feed.since:
        feed.cover(time, min(feed.until, time + _HOUR), "none", settled=time)


async def candles(feed: Feed) -> None:
    def read(rows: Any) -> dict[str, Any]:
        page = {name: column(rows, place, _floats) for place, name in enumerate(("open", "high", "low", "close"), 1)}
        page |= {"volume": column(rows, 5, _floats), "taker_buy": np.full(len(rows), np.nan)}
        return {"time": column(rows, 0, tables.whole), **page}

    async def ask(since: int, until: int) -> dict[str, Any]:
        arguments = (feed.market["symbol"], feed.timeframe, since, (until - since) // feed.step)
        return await feed.ask("fetch_ohlcv", arguments, read)

    await by_windows(feed, ask, feed.step, _CANDLES, flat=False, lag=feed.step)


async def funding(feed: Feed) -> None:
    def read(rows: Any) -> dict[str, Any]:
        rate = column(rows, "fundingRate", _floats)
        return {"time": column(rows, "timestamp", tables.whole), "funding_rate": rate}

    async def ask(since: int, until: int) -> dict[str, Any]:
        return await feed.ask("fetch_funding_rate_history", (feed.market["symbol"], since, 100), read)

    await by_windows(feed, ask, _HOUR, 100, flat=False)


async def open_interest(feed: Feed) -> None:
    def read(rows: Any) -> dict[str, Any]:
        rows = [row for row in rows if row["openInterestAmount"] is not None]
        amount = column(rows, "openInterestAmount", _floats)
        return {"time": column(rows, "timestamp", tables.whole), "open_interest": amount}

    async def ask(since: int, until: int) -> dict[str, Any]:
        return await feed.ask("fetch_open_interest_history", (feed.market["symbol"], "1h", since, 100), read)

    await by_windows(feed, ask, _HOUR, 100, flat=False)


async def liquidations(feed: Feed) -> None:
    venue = feed.client.venue
    if venue in DISPUTED:
        raise ValueError(f"liquidations: what {venue} means by their sides is disputed")

    def read(rows: Any) -> dict[str, Any]:
        price = column(rows, "price", _floats)
        long = "buy" if venue in POSITION_SIDED else "sell"
        side = [tables.closed(LONG if row["side"] == long else 1 - LONG) for row in rows]
        worth = sized(feed.market, column(rows, "contracts", _floats), price)
        usd = worth.get("usd", worth["size"] * price)
        return {"time": column(rows, "timestamp", tables.whole), "price": price, "side": side, **worth, "usd": usd}

    async def ask(since: int, until: int) -> dict[str, Any]:
        return await feed.ask("fetch_liquidations", (feed.market["symbol"], since, 100), read)

    await by_windows(feed, ask, _HOUR, 24, flat=False)


def _floats(values: Any) -> np.ndarray:
    return np.array(list(values), np.float64)
