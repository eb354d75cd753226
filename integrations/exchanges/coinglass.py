"""CoinGlass v4: observed liquidations of a coin, several venues together. Times are ms, numbers sometimes text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..market.coins import market_of
from ..market.venues import venue_of
from .keyed import Keyed

NAME = "coinglass"
URL = "https://open-api-v4.coinglass.com"
INTERVALS = {name: name for name in ("1m", "3m", "5m", "15m", "30m", "1h", "4h", "6h", "8h", "12h", "1d")}
_VENUES = {"binance": "Binance", "okx": "OKX", "bybit": "Bybit"}
_ROWS = 1000
_FIRST_MS = 10**11

Page = tuple[np.ndarray, np.ndarray]  # (n,) ms, (2, n) USD of longs and of shorts


def client() -> Keyed:
    """The vendor, with the key of the environment."""
    return Keyed(NAME, URL, "CG-API-KEY", "COINGLASS_API_KEY", 30, _refused)


def _refused(body: Any) -> str | None:
    if isinstance(body, dict) and str(body.get("code")) != "0":
        return f"{body.get('msg', 'no reason given')} (code {body.get('code')})"
    return None


def symbols(vendor: Keyed, symbol: str, venue: str | None) -> list[str]:
    """The coin, and the venues that are summed. Raises ValueError for one that is not known."""
    if venue is None:
        return [market_of(symbol).coin, ",".join(_VENUES.values())]
    named = venue_of(venue).name
    if named not in _VENUES:
        raise ValueError(f"venue: found {venue!r}, allowed of {NAME} {', '.join(_VENUES)}")
    return [market_of(symbol).coin, _VENUES[named]]


def pages(
    vendor: Keyed, names: list[str], since: int, until: int, timeframe: str, step: int
) -> Iterator[tuple[list[Page], int]]:
    """(one page, up to which time it reaches), window by window."""
    coin, venues = names
    while since < until:
        end = min(until, since + _ROWS * step)
        params = {"exchange_list": venues, "symbol": coin, "interval": INTERVALS[timeframe], "limit": _ROWS}
        params |= {"start_time": since, "end_time": end - 1}
        yield [vendor.get("/api/futures/liquidation/aggregated-history", params, _page)], end
        since = end


def _page(answer: Any) -> Page:
    rows = answer["data"]
    if not isinstance(rows, list):
        raise TypeError("data: allowed a list")
    time = np.array([int(row["time"]) for row in rows], np.int64)
    if len(time) and time.min() < _FIRST_MS:
        raise ValueError(f"time: found {time.min()}, allowed ms")
    names = ("aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd")
    return time, np.array([[float(row[name]) for row in rows] for name in names]).reshape(2, len(rows))
