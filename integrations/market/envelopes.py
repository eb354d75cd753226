"""What venues wrap around their rows, taken off; the market that is named there goes into the rows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from .coins import is_market
from .columns import Events
from .messages import TableError
from .names import MARKET_NAMES, TRADE_NAMES, normal_name
from .venues import VENUES, Venue, find_names

ENVELOPES = (
    *("result", "data", "list", "trades", "tick", "events", "deals", "d", "params", "contents", "trades_p", "o"),
    *("details", "candles"),
)
_TOPICS = ("topic", "ch", "channel", "stream", "c", "datatype")
_DEEPEST = 20


def unwrapped(data: Events, kind: Venue, venue: str, market: str = "", depth: int = 0) -> Events:
    """What a venue's API returned or sent, without what it is wrapped in.

    Rows that do not name their market get the one that is named around them, as ``symbol``. Raises ValueError for
    envelopes nested more than twenty deep, TypeError for lists of a venue whose columns are not known.
    """
    check_depth(depth)
    if isinstance(data, (np.ndarray, str, bytes)) or hasattr(data, "iloc") or hasattr(data, "__arrow_c_stream__"):
        return data
    if isinstance(data, Mapping):
        name, inner = wrapped_in(data)
        if inner is not None:
            return unwrapped(inner, kind, venue, market_in(data, name) or market, depth + 1)
        return data if _has_columns(data, kind) else _marked([data], kind, market)
    rows = list(data) if hasattr(data, "__iter__") else data
    if not isinstance(rows, list) or not rows:
        return rows
    if not isinstance(rows[0], (list, tuple)) and kind.columns:  # [channel, what came, ...]
        came = next((value for value in rows if isinstance(value, (list, tuple)) and value), None)
        if came is not None:
            if isinstance(rows[-1], str) and is_market(rows[-1]):
                market = rows[-1]  # kraken: [0, [...], "trade", "XBT/USD"]
            rows = list(came) if isinstance(came[0], (list, tuple)) else [came]
    if isinstance(rows[0], (list, tuple)):
        return _marked(_named(rows, kind, venue), kind, market)
    wrapped = isinstance(rows[0], Mapping) and wrapped_in(rows[0])[1] is not None
    if wrapped and all(isinstance(row, Mapping) for row in rows):
        return [trade for row in rows for trade in unwrapped(row, kind, venue, market, depth + 1)]
    return _marked(rows, kind, market)


def check_depth(depth: int) -> None:
    """Raise for a message that wraps its rows deeper than any venue does."""
    if depth > _DEEPEST:
        raise ValueError(f"found rows wrapped more than {_DEEPEST} deep, allowed are what a venue's API sends")


def _marked(rows: list[Any], kind: Venue, market: str) -> list[Any]:
    """The rows, with the market that was named around them where they name none."""
    if not market:
        return rows
    return [
        {**row, "symbol": market}
        if isinstance(row, Mapping) and "market" not in find_names(list(map(str, row)), TRADE_NAMES, kind)
        else row
        for row in rows
    ]


def wrapped_in(data: Mapping[str, Any]) -> tuple[str, Any]:
    """(name, what an answer or a message holds under it), or ("", None) if it holds nothing but values."""
    for name in ENVELOPES:
        if _is_envelope(data.get(name)):
            return name, data[name]
    lists = [(str(name), value) for name, value in data.items() if is_column(value) and len(value)]
    if len(lists) == 1 and isinstance(lists[0][1], (list, tuple)) and isinstance(lists[0][1][0], (list, tuple)):
        return lists[0]  # kraken: {pair: [[...]]}
    return "", None


def market_in(data: Mapping[str, Any], name: str) -> str:
    """The market that an envelope names: in a field, in a topic, or as the name of what it holds."""
    around = {normal_name(key): value for key, value in data.items() if isinstance(value, str)}
    if isinstance(data.get("arg"), Mapping):
        around |= {normal_name(key): value for key, value in data["arg"].items() if isinstance(value, str)}
    for key in MARKET_NAMES:
        if key in around:
            return around[key]
    for key in _TOPICS:
        for part in re.split(r"[.@:/ ]|_(?=[a-z0-9]+$)", around.get(key, "")):
            if is_market(part):
                return part
    return name if name not in ENVELOPES and is_market(name) else ""


def venue_in(data: Any) -> str:
    """The venue of a message, or of a list of them, whose form is that venue's alone; "" for any other one.

    Only those whose sides or sizes mean something else there. Raises TableError where others stand beside them.
    """
    messages = data if isinstance(data, list) else [data]
    if not messages or not (is_envelope(messages[0]) or len(messages) == 1):
        return ""
    said = {_venue_of(message) if isinstance(message, Mapping) else "" for message in messages}
    if len(said) > 1:
        found = ", ".join(sorted(said - {""}))
        raise TableError(f"found messages of {found} and of others in one list, allowed those of one venue")
    return said.pop()


def _venue_of(message: Mapping[str, Any]) -> str:
    if str(message.get("topic", "")).startswith(("publicTrade.", "allLiquidation.", "liquidation.")):
        return "bybit"
    if message.get("channel") == "market_trades":
        return "coinbase"
    return "bitmex" if message.get("table") in ("trade", "liquidation") else venue_by(message)


#: Names that the trades of one venue alone have.
_ALONE = (
    ("bybit", {"T", "s", "S", "v", "p", "i", "BT"}),
    ("bybit", {"execId", "symbol", "price", "size", "side", "time"}),
    ("coinbase", {"maker_order_id", "taker_order_id", "product_id"}),
)


def venue_by(names: Iterable[str]) -> str:
    """The venue whose trades alone have these names, where its sides or sizes mean something else; or "".

    >>> venue_by(["price", "size", "side", "product_id", "maker_order_id", "taker_order_id"]), venue_by(["price"])
    ('coinbase', '')
    """
    there = set(names)
    return next((venue for venue, alone in _ALONE if alone <= there), "")


def is_envelope(data: Any) -> bool:
    """Whether a mapping holds rows under a name that envelopes have."""
    return isinstance(data, Mapping) and not data.keys().isdisjoint(ENVELOPES)


def _has_columns(data: Mapping[str, Any], kind: Venue) -> bool:
    """Whether a mapping is one of columns, not one trade: its time tells, since a trade may hold a list of fees."""
    names = {str(name): name for name in data}
    time = find_names(list(names), {"time": TRADE_NAMES["time"]}, kind).get("time")
    return any(map(is_column, data.values())) if time is None else is_column(data[names[time]])


def is_column(value: Any) -> bool:
    whole = isinstance(value, (str, bytes, Mapping)) or (isinstance(value, np.ndarray) and value.ndim == 0)
    return hasattr(value, "__len__") and not whole


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
