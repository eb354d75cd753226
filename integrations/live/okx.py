"""OKX's streams: every trade by its id (``trades-all``); liquidations at their bankruptcy price, one a second."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from ..market.funding import hours_between
from .said import Link, Liquidation, Reading, Refused, Row, Said, Trades, in_parts

LIQUIDATIONS = "sampled"
BANKRUPTCY = True
NUMBERED = True
_A_MESSAGE = 200  # channels; 64 kB are allowed
_SIDES = {"buy": 1, "sell": -1}
_CLOSED = {"sell": "long", "buy": "short"}
_READINGS = {
    "mark-price": ("markPx", "mark"),
    "funding-rate": ("fundingRate", "funding"),
    "open-interest": ("oiCcy", "open_interest"),
}


def links(instance: Any, markets: Sequence[Any], write: Any) -> list[Link]:
    """Trades come by the business address, the rest by the public one."""
    swaps = [market["id"] for market in markets if market.get("contract")]
    trades = [{"channel": "trades-all", "instId": market["id"]} for market in markets]
    names = {name_of(one): one["symbol"] for one in markets}
    made = [
        Link(instance.get_url("trades-all", "business"), _subscribe(trades, write), "ping", True, names, others=False)
    ]
    if swaps:
        others = [{"channel": name, "instId": swap} for swap in swaps for name in _READINGS]
        others.append({"channel": "liquidation-orders", "instType": "SWAP"})
        url = instance.get_url("mark-price", "public")
        made.append(Link(url, _subscribe(others, write), "ping", False, {swap: names[swap] for swap in swaps}))
    return made


def name_of(market: Any) -> str:
    """The name that frames go by."""
    return str(market["id"])


def _subscribe(channels: list[dict[str, Any]], write: Any) -> list[str]:
    return [write({"op": "subscribe", "args": part}) for part in in_parts(channels, _A_MESSAGE)]


def read(said: Any) -> Iterator[Said]:
    """What a frame says. Errors as for ``binance.read``."""
    if said.get("event") == "error":
        raise Refused(str(said.get("msg")))
    if "event" in said:
        return
    channel = said["arg"]["channel"]
    if channel == "trades-all":
        rows = [
            Row(int(one["ts"]), float(one["px"]), float(one["sz"]), _SIDES[one["side"]], int(one["tradeId"]))
            for one in said["data"]
        ]
        yield Trades(str(said["arg"]["instId"]), rows)
    elif channel == "liquidation-orders":
        for order in said["data"]:
            yield from forced(order)
    elif channel in _READINGS:
        name, kind = _READINGS[channel]
        for one in said["data"]:
            if one[name]:
                yield Reading(str(one["instId"]), kind, int(one["ts"]), float(one[name]), _hours(one))


def _hours(one: Any) -> float | None:
    """What lies between the two next times of funding."""
    ends = one.get("fundingTime"), one.get("nextFundingTime")
    return hours_between(int(ends[0]), int(ends[1])) if all(ends) else None


def forced(order: Any) -> Iterator[Liquidation]:
    """The liquidations that a row of ``liquidation-orders`` tells. Errors as for ``read``."""
    for one in order["details"]:
        price, amount = float(one["bkPx"]), float(one["sz"])
        yield Liquidation(str(order["instId"]), int(one["ts"]), price, amount, _CLOSED[one["side"]])
