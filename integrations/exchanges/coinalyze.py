"""Coinalyze: observed liquidations of every venue's perpetuals, a symbol each. Times are seconds, both ways."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..market.coins import market_of
from ..market.venues import venue_of
from .keyed import Keyed

NAME = "coinalyze"
URL = "https://api.coinalyze.net/v1"
INTERVALS = {"1m": "1min", "5m": "5min", "15m": "15min", "30m": "30min", "1h": "1hour", "2h": "2hour", "4h": "4hour"}
INTERVALS |= {"6h": "6hour", "12h": "12hour", "1d": "daily"}
_SYMBOLS = 20  # a call; each counts as one
_ROWS = 1500  # a symbol and call
_LAST_S = 10**11  # what is later is no time in seconds

Page = tuple[np.ndarray, np.ndarray]  # (n,) ms, (2, n) USD of longs and of shorts


def client() -> Keyed:
    """The vendor, with the key of the environment."""
    return Keyed(NAME, URL, "api_key", "COINALYZE_API_KEY", 40, _refused)


def _refused(body: Any) -> str | None:
    return str(body.get("message", body)) if isinstance(body, dict) else None


def symbols(vendor: Keyed, symbol: str, venue: str | None) -> list[str]:
    """Its symbols of a coin's perpetuals, of one venue or of all. Raises ValueError for what it does not have.

    symbol   a coin or a market (BTC, BTC-USDT: whatever the dollar), or its own (BTCUSDT_PERP.A)
    """
    markets = vendor.get("/future-markets", {}, _markets)
    if any(one.symbol == symbol for one in markets):
        return [symbol]
    coin = market_of(symbol).coin
    found = [one for one in markets if one.is_perpetual and one.coin == coin]
    if venue is not None:
        codes = vendor.get("/exchanges", {}, _codes)
        mine = {code for code, name in codes.items() if _same(name, venue)}
        if not mine:
            raise ValueError(f"venue: found {venue!r}, {NAME} has {', '.join(sorted(codes.values()))}")
        found = [one for one in found if one.venue in mine]
    if not found:
        where = f" on {venue}" if venue else ""
        raise ValueError(f"symbol: found {symbol!r}, and {NAME} has no perpetual of {coin}{where}")
    return sorted(one.symbol for one in found)


class _Market(NamedTuple):
    symbol: str
    venue: str  # its code
    coin: str
    is_perpetual: bool


def _markets(answer: Any) -> list[_Market]:
    names = ("symbol", "exchange", "base_asset", "is_perpetual")
    rows = (tuple(one[name] for name in names) for one in _rows(answer))
    return [_Market(str(symbol), str(venue), str(coin).upper(), bool(swap)) for symbol, venue, coin, swap in rows]


def _codes(answer: Any) -> dict[str, str]:
    return {str(one["code"]): str(one["name"]) for one in _rows(answer)}


def _same(name: str, venue: str) -> bool:
    try:
        return venue_of(name).name == venue_of(venue).name
    except ValueError:
        return False


def pages(
    vendor: Keyed, names: list[str], since: int, until: int, timeframe: str, step: int
) -> Iterator[tuple[list[Page], int]]:
    """(a page a symbol, up to which time they reach), window by window."""
    while since < until:
        end = min(until, since + _ROWS * step)
        found: list[Page] = []
        left = names
        while left:
            count = min(_SYMBOLS, vendor.room())
            some, left = left[:count], left[count:]
            params = {"symbols": ",".join(some), "interval": INTERVALS[timeframe], "from": since // 1000}
            params |= {"to": (end - 1) // 1000, "convert_to_usd": "true"}
            found += vendor.get("/liquidation-history", params, _histories, cost=len(some))
        yield found, end
        since = end


def _rows(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise TypeError("allowed a list")
    return answer


def _histories(answer: Any) -> list[Page]:
    return [_page(one["history"]) for one in _rows(answer)]


def _page(rows: list[Any]) -> Page:
    seconds = np.array([int(row["t"]) for row in rows], np.int64)
    if len(seconds) and seconds.max() >= _LAST_S:
        raise ValueError(f"t: found {seconds.max()}, allowed seconds")
    return seconds * 1000, np.array([[float(row[name]) for row in rows] for name in ("l", "s")]).reshape(2, len(rows))
