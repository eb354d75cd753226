"""Bybit's streams: every trade, by ids without an order; every liquidation, at its bankruptcy price."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..exchanges.bybit import one_side
from ..exchanges.symbols import kind_of
from ..market.funding import told_hours
from .said import Link, Liquidation, Reading, Refused, Row, Said, Trades, in_parts

LIQUIDATIONS = "full"
BANKRUPTCY = True
NUMBERED = False
_SIDES = {"Buy": 1, "Sell": -1}
_POSITIONS = {"Buy": "long", "Sell": "short"}
_A_MESSAGE = 10  # topics; spot allows no more


def links(instance: Any, markets: Sequence[Any], write: Any) -> list[Link]:
    """An address for spot, for linear and for inverse markets, for all that comes of them."""
    made = []
    for kind in ("spot", "linear", "inverse"):
        mine = [market for market in markets if kind_of(market) == kind]
        topics = [
            f"{topic}.{market['id']}"
            for market in mine
            for topic in (["publicTrade"] if kind == "spot" else ["publicTrade", "allLiquidation", "tickers"])
        ]
        texts = [write({"op": "subscribe", "args": part}) for part in in_parts(topics, _A_MESSAGE)]
        if texts:
            url = instance.implode_hostname(instance.urls["api"]["ws"]["public"][kind])
            made.append(Link(url, texts, write({"op": "ping"}), True, {name_of(one): one["symbol"] for one in mine}))
    return made


def name_of(market: Any) -> str:
    """The name that frames go by."""
    return str(market["id"])


def read(said: Any) -> Iterator[Said]:
    """What a frame says; of trades those that are no block trades. Errors as for ``binance.read``."""
    topic, _, market = said.get("topic", "").partition(".")
    if topic == "publicTrade":
        rows = [
            Row(int(one["T"]), float(one["p"]), float(one["v"]), _SIDES[one["S"]], str(one["i"]))
            for one in said["data"]
            if not one.get("BT")
        ]
        yield Trades(market, rows)
    elif topic == "allLiquidation":
        for one in said["data"]:
            yield from forced(one)
    elif topic == "tickers":
        known, time = said["data"], int(said["ts"])
        if known.get("markPrice"):
            yield Reading(market, "mark", time, float(known["markPrice"]))
        if known.get("fundingRate"):
            yield Reading(market, "funding", time, float(known["fundingRate"]), told_hours(known))
        if known.get("singleOpenInterest") or known.get("openInterest"):
            yield Reading(market, "contracts", time, one_side(known))
    elif said.get("success") is False:
        raise Refused(str(said.get("ret_msg")))
    elif "op" not in said:
        raise ValueError("no topic that is known")


def forced(one: Any) -> Iterator[Liquidation]:
    """The liquidation that a row of ``allLiquidation`` is. Errors as for ``read``."""
    yield Liquidation(str(one["s"]), int(one["T"]), float(one["p"]), float(one["v"]), _POSITIONS[one["S"]])
