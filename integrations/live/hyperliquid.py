"""Hyperliquid's streams: every trade, the newest few again after each connect; no liquidations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from .said import Link, Reading, Refused, Row, Said, Trades

LIQUIDATIONS = "none"
BANKRUPTCY = False
NUMBERED = True
GREETING = "Websocket connection established."  # of a connection that has subscribed to nothing yet
_SIDES = {"B": 1, "A": -1}


def links(instance: Any, markets: Sequence[Any], write: Any) -> list[Link]:
    """One address, for all that comes."""
    texts = []
    for market in markets:
        for name in ("trades", "activeAssetCtx") if market["swap"] else ("trades",):
            wanted = {"method": "subscribe", "subscription": {"type": name, "coin": name_of(market)}}
            texts.append(write(wanted))
    url = instance.urls["api"]["ws"]["public"]
    return [Link(url, texts, write({"method": "ping"}), True, {name_of(one): one["symbol"] for one in markets})]


def name_of(market: Any) -> str:
    """The name that frames go by."""
    return str(market["baseName"] if market["swap"] else market["id"])


def read(said: Any) -> Iterator[Said]:
    """What a frame says. Errors as for ``binance.read``."""
    channel = said["channel"]
    if channel == "trades":
        trades: dict[str, list[Row]] = {}
        for one in said["data"]:
            row = Row(int(one["time"]), float(one["px"]), float(one["sz"]), _SIDES[one["side"]], int(one["tid"]))
            trades.setdefault(str(one["coin"]), []).append(row)
        for coin, rows in trades.items():
            yield Trades(coin, sorted(rows, key=lambda row: row.time))
    elif channel == "activeAssetCtx":
        coin, known = str(said["data"]["coin"]), said["data"]["ctx"]
        for name, kind in (("markPx", "mark"), ("funding", "funding"), ("openInterest", "open_interest")):
            if known.get(name):
                yield Reading(coin, kind, None, float(known[name]))
    elif channel == "error":
        raise Refused(str(said.get("data")))
