"""Venues: what each one calls things, what its sizes count, what its answers are wrapped in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from .columns import Events
from .names import BASE_SIZE, NAMES, SIDES, needed_name, normal_name


@dataclass(frozen=True, kw_only=True)
class Venue:
    """What sets a venue's trades apart from the usual.

    names      names that go before the usual ones, a field; sizes under these are base units
    columns    the places of a trade that comes as a list
    sides      what its words for a side mean
    signed     the side is the sign of the size
    contracts  pattern of the names of a trade's fields and of its market where sizes are contracts of unsaid size
    inverse    pattern of the markets where sizes are in units of the quote currency
    by_market  without the market's name it cannot be told what sizes are
    """

    names: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    sides: Mapping[str, int] | None = None
    signed: bool = False
    contracts: str | None = None
    inverse: str | None = None
    by_market: bool = False


USUAL = Venue()
_RESTING = {word: -sign for word, sign in SIDES.items()}  # the side of the order that rested
#: Venues whose trades differ from the usual; any other name is a venue of the usual kind.
VENUES: dict[str, Venue] = {
    "binance": Venue(
        names={"id": ("a", "t"), "size": ("baseqty",), "market": ("s",)}, contracts=r"USD_(PERP|\d{6})$|USD:"
    ),
    "bitfinex": Venue(columns=("id", "time", "size", "price"), signed=True),
    "bitmex": Venue(names={"size": ("homenotional",), "id": ("trdmatchid",)}, contracts=""),
    "bitstamp": Venue(sides={"0": 1, "1": -1, "buy": 1, "sell": -1}),
    "bybit": Venue(names={"id": ("i",), "market": ("s",)}, inverse=r"USD([FGHJKMNQUVXZ]\d\d)?$|USD:"),
    "coinbase": Venue(sides=_RESTING, contracts=r"-CDE$"),
    "cryptocom": Venue(names={"id": ("d",)}),
    "deribit": Venue(inverse=r"^[A-Z]+-|USD:", by_market=True),
    "gate": Venue(signed=True, contracts=r"\bcontract\b|:"),
    "htx": Venue(names={"size": ("quantity",)}, contracts=r"\bcontract_code\b|:"),
    "kraken": Venue(columns=("price", "size", "time", "side", "order", "misc", "id")),
    "krakenfutures": Venue(inverse=r"^[PF]I_|USD:", by_market=True),
    "kucoin": Venue(contracts=r"USD[TC]?M$|:"),
    "mexc": Venue(
        names={"time": ("t",), "side": ("isbuyermaker", "T")},
        sides={"1": 1, "2": -1, "buy": 1, "sell": -1},
        contracts=r"\bO\b|:",
    ),
    "okx": Venue(contracts=r"-SWAP$|-\d{6}|:"),
    "phemex": Venue(columns=("time", "side", "price", "size")),
    "poloniex": Venue(names={"size": ("quantity",)}, contracts=r"_PERP$|:"),
}
VENUES["gateio"] = VENUES["gate"]
VENUES["crypto.com"] = VENUES["cryptocom"]
#: Whose long or short a liquidation's "buy" or "sell" closes: the closing order's side, but for these the position's.
POSITION_SIDED = ("bybit",)
DISPUTED = ("gate", "gateio", "bitfinex")
ENVELOPES = (*("result", "data", "list", "trades", "tick", "events", "deals", "d", "params", "contents", "trades_p"),)


def unwrapped(data: Events, kind: Venue, venue: str) -> Events:
    """What a venue's API returned or sent, without what it is wrapped in."""
    if isinstance(data, (np.ndarray, str, bytes)) or hasattr(data, "iloc") or hasattr(data, "__arrow_c_stream__"):
        return data
    if isinstance(data, Mapping):
        inner = _wrapped_in(data)
        if inner is not None:
            return unwrapped(inner, kind, venue)
        return data if _has_columns(data, kind) else [data]
    rows = list(data) if hasattr(data, "__iter__") else data
    if not isinstance(rows, list) or not rows:
        return rows
    if not isinstance(rows[0], (list, tuple)) and kind.columns:  # [channel, what came, ...]
        came = next((value for value in rows if isinstance(value, (list, tuple)) and value), None)
        if came is not None:
            rows = list(came) if isinstance(came[0], (list, tuple)) else [came]
    if isinstance(rows[0], (list, tuple)):
        return _named(rows, kind, venue)
    wrapped = isinstance(rows[0], Mapping) and _wrapped_in(rows[0]) is not None
    if wrapped and all(isinstance(row, Mapping) for row in rows):
        return [trade for row in rows for trade in unwrapped(row, kind, venue)]
    return rows


def _wrapped_in(data: Mapping[str, Any]) -> Any:
    """What an answer or a message holds, or None if it holds nothing but values."""
    for name in ENVELOPES:
        if _is_envelope(data.get(name)):
            return data[name]
    lists = [value for value in data.values() if is_column(value) and len(value)]
    return lists[0] if len(lists) == 1 and isinstance(lists[0][0], (list, tuple)) else None  # kraken: {pair: [[...]]}


def _has_columns(data: Mapping[str, Any], kind: Venue) -> bool:
    """Whether a mapping is one of columns, not one trade: its time tells, since a trade may hold a list of fees."""
    time = find_names(list(data), NAMES, kind).get("time")
    return any(map(is_column, data.values())) if time is None else is_column(data[time])


def is_column(value: Any) -> bool:
    return hasattr(value, "__len__") and not isinstance(value, (str, bytes, Mapping))


def _is_envelope(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return len(value) == 0 or isinstance(value[0], (Mapping, list, tuple))
    return isinstance(value, Mapping)


def _named(rows: list[Any], kind: Venue, venue: str) -> list[dict[str, Any]]:
    if not kind.columns:
        known = ", ".join(sorted(name for name, one in VENUES.items() if one.columns))
        raise TypeError(f"trades as lists must be of a venue whose columns are known ({known}), got venue {venue!r}")
    for row, values in enumerate(rows):
        if not isinstance(values, (list, tuple)) or len(values) < 4:
            raise TypeError(f"row {row}: found {values!r:.80}, allowed [{', '.join(kind.columns)}]")
    return [dict(zip(kind.columns, values, strict=False)) for values in rows]


def find_names(names: Sequence[str], wanted: Mapping[str, Sequence[str]], kind: Venue = USUAL) -> dict[str, str]:
    """The name of each wanted field that is there."""
    normal: dict[str, list[str]] = {}
    for name in names:
        normal.setdefault(normal_name(name), []).append(name)
    found = {}
    for target, accepted in wanted.items():
        own = [name for name in _own_names(kind, target) if name in normal]
        there = [name for one in own[:1] or accepted for name in normal.get(one, [])]
        if target in ("price", "size", "usd") and len(there) > 1:
            raise ValueError(f"columns {' and '.join(map(repr, there))} both mean {target}: keep one")
        if there:
            found[target] = there[0]
    return found


def _own_names(kind: Venue, target: str) -> tuple[str, ...]:
    """The names that go before the usual ones."""
    own = kind.names.get(target, ())
    return (BASE_SIZE, *own) if target == "size" else own


@lru_cache(1000)
def counts_quote(venue: str, names: tuple[str, ...], size_name: str, market: str) -> bool:
    """Whether a venue's sizes are units of the quote currency, not of the base; fails if they are contracts."""
    kind = VENUES.get(venue, USUAL)
    if normal_name(size_name) in _own_names(kind, "size"):
        return False
    if kind.by_market and not market:
        needed_name({}, names, NAMES, "market")
    shape = f"{','.join(map(normal_name, names))} {market.upper()}"
    if kind.contracts is not None and re.search(kind.contracts, shape):
        raise ValueError(
            f"{size_name}: {venue} counts {market or 'these trades'} in contracts, and nothing says how large one is: "
            f"give sizes in base units, named {BASE_SIZE}"
        )
    return kind.inverse is not None and re.search(kind.inverse, market.upper()) is not None


def coin_of(symbol: str) -> str:
    """The coin of a market's name: BTC of BTCUSDT, BTC-USD, BTC/USDT:USDT, XBTUSD and BTC-PERP."""
    name = symbol.upper().split(":")[0]
    for mark in "-/_":
        if mark in name:
            name = name.split(mark)[0]
            break
    else:
        quotes = ("USDT", "USDC", "BUSD", "FDUSD", "USD", "EUR", "PERP")
        name = next((name.removesuffix(quote) for quote in quotes if name.endswith(quote) and name != quote), name)
    return "BTC" if name == "XBT" else name
