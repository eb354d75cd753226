"""Binance's streams: aggregated trades, whose ids chain and are those of REST; liquidations at most one a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from ..exchanges.client import Client
from ..exchanges.symbols import kind_of
from ..market.funding import told_hours
from .said import Link, Liquidation, Reading, Refused, Row, Said, Trades, in_parts

LIQUIDATIONS = "sampled"
BANKRUPTCY = False
NUMBERED = True
_FUNDING_INFO = {"linear": "fapiPublicGetFundingInfo", "inverse": "dapiPublicGetFundingInfo"}
_SIDES = {True: -1, False: 1}  # whether the buyer was the maker
_A_MESSAGE, _A_CONNECTION = 200, 1024  # streams


def links(instance: Any, markets: Sequence[Any], write: Any) -> list[Link]:
    """Futures' trades, liquidations and marks come by ``/market``."""
    made = []
    ping = write({"method": "LIST_SUBSCRIPTIONS", "id": 0})
    for kind in ("spot", "linear", "inverse"):
        mine = [market for market in markets if kind_of(market) == kind]
        topics = ["aggTrade"] if kind == "spot" else ["aggTrade", "forceOrder", "markPrice@1s"]
        for some in in_parts(mine, _A_CONNECTION // len(topics)):
            streams = [f"{market['lowercaseId']}@{topic}" for market in some for topic in topics]
            texts = [
                write({"method": "SUBSCRIBE", "params": part, "id": number})
                for number, part in enumerate(in_parts(streams, _A_MESSAGE), 1)
            ]
            url = instance.get_ws_url(kind, instance.get_future_ws_category("aggTrade"))
            made.append(Link(url, texts, ping, True, {name_of(one): one["symbol"] for one in some}))
    return made


async def funding_hours(client: Client, markets: Sequence[Any]) -> dict[str, float]:
    """Hours between two payments, by symbol, of those that have others than eight. Errors as for ``Client.ask``."""
    found: dict[str, float] = {}
    for kind, end_point in _FUNDING_INFO.items():
        mine = {name_of(market): str(market["symbol"]) for market in markets if kind_of(market) == kind}
        if mine:
            found |= await client.get(end_point, {}, partial(_hours, mine))
    return found


def _hours(mine: dict[str, str], rows: Any) -> dict[str, float]:
    """By symbol, of an answer's rows. Raises KeyError or TypeError for nonsense."""
    return {mine[row["symbol"]]: hours for row in rows if row["symbol"] in mine and (hours := told_hours(row))}


def name_of(market: Any) -> str:
    """The name that frames go by."""
    return str(market["id"])


def read(said: Any) -> Iterator[Said]:
    """What a frame says. Raises KeyError, TypeError or ValueError for nonsense, Refused for a refusal."""
    if "stream" in said:  # a combined one
        said = said["data"]
    kind = said.get("e")
    if kind == "aggTrade":
        row = Row(int(said["T"]), float(said["p"]), float(said["q"]), _SIDES[said["m"]], int(said["a"]))
        yield Trades(str(said["s"]), [row])
    elif kind == "markPriceUpdate":
        market, time = str(said["s"]), int(said["E"])
        yield Reading(market, "mark", time, float(said["p"]))
        if said.get("r"):
            yield Reading(market, "funding", time, float(said["r"]), due=int(said["T"]) if said.get("T") else None)
    elif kind == "forceOrder":
        yield from forced(said["o"])
    elif "error" in said or "code" in said:
        raise Refused(str(said.get("error") or said))
    elif "result" not in said and kind != "serverShutdown":
        raise ValueError("no event that is known")


def forced(order: Any) -> Iterator[Liquidation]:
    """The liquidation that an order is. Errors as for ``read``."""
    who = {"SELL": "long", "BUY": "short"}[order["S"]]
    yield Liquidation(str(order["s"]), int(order["T"]), float(order["ap"]), float(order["q"]), who)
