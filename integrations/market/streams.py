"""What a message of a venue's stream tells of, trades, liquidations or candles, and the candles in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from .bare_rows import names_of_rows
from .envelopes import check_depth, is_column, market_in, wrapped_in
from .flags import CLOSED_NAMES, truth
from .names import MARKET_NAMES, normal_name
from .times import ms_of

Told: TypeAlias = Literal["", "trades", "liquidations", "candles"]
_TOPICS = ("e", "topic", "channel", "stream", "ch", "datatype")
_LIQUIDATION_TOPICS = ("forceorder", "liquidation")
_CANDLE_TOPICS = ("kline", "candle", "ohlc")
#: Names that only liquidations have: Binance's order, OKX's detail, ccxt's unified structure.
_LIQUIDATION_ROWS = ({"ap", "X"}, {"bkPx"}, {"baseValue", "quoteValue"})
_WITHOUT_VOLUME = re.compile(r"(mark|index)[-_]?(price)?[-_]?(candle|kline)", re.IGNORECASE)
_PRICES = {"open", "high", "low", "close"}
_INTERVAL = re.compile(
    r"(?:kline|candle)[._]?(?P<length>\d+[A-Za-z]*?|[DWM])(?:utc)?(?=\.|$)|candles:[^_]*_(?P<of_market>\w+)$"
)
_COINBASE = "5m"  # of its channel "candles", which does not say it
_LETTERS = {"o", "h", "l", "c"}


def told_by(message: Any, depth: int = 0) -> Told:
    """What a mapping tells of, by its topic and its names; "" for a row of its own that bears no such mark.

    >>> told_by({"stream": "btcusdt@forceOrder", "data": {"e": "forceOrder", "o": {}}})
    'liquidations'
    >>> told_by({"topic": "publicTrade.BTCUSDT", "data": [{"p": "1", "v": "2"}]}), told_by({"price": 1.0})
    ('trades', '')
    """
    check_depth(depth)
    if not isinstance(message, Mapping):
        return ""
    topics = " ".join(_topics(message)).lower()
    if any(word in topics for word in _LIQUIDATION_TOPICS) or any(
        names <= message.keys() for names in _LIQUIDATION_ROWS
    ):
        return "liquidations"
    if isinstance(message.get("k"), Mapping) or any(word in topics for word in _CANDLE_TOPICS):
        return "candles"
    first = _first_in(message)
    return "" if first is None else told_by(first, depth + 1) or "trades"


def candles_in(data: Any, depth: int = 0) -> Any:
    """The candles of a message or an answer of a venue, or of a list of them, as rows; anything else as it is.

    Rows that do not name their market get the one that is named around them, as ``symbol``; ``depth`` is how many
    messages are around it.

    >>> candles_in({"e": "kline", "s": "BTCUSDT", "k": {"t": 0, "o": "1"}})
    [{'symbol': 'BTCUSDT', 't': 0, 'o': '1'}]
    """
    check_depth(depth)
    if isinstance(data, Mapping):
        inner = wrapped_in(data)[1]
        if isinstance(inner, Mapping) and inner.keys() >= _PRICES and all(is_column(inner[name]) for name in _PRICES):
            return inner  # Deribit's columns
        found = _rows_in(data, depth)
        return data if found is None else found
    if not isinstance(data, list) or not data or not all(isinstance(row, Mapping) for row in data):
        return data
    found = [_rows_in(row, depth) for row in data]
    if all(rows is None for rows in found):
        return data
    return [row for one, rows in zip(data, found, strict=True) for row in ([one] if rows is None else rows)]


def interval_in(message: Any, depth: int = 0) -> str:
    """The length of candles that a message says, by its topic or beside its rows; "" if it says none.

    >>> interval_in({"arg": {"channel": "candle1H"}}), interval_in({"result": {"interval": "1h", "data": []}})
    ('1H', '1h')
    """
    check_depth(depth)
    if not isinstance(message, Mapping):
        return ""
    topics = (_INTERVAL.search(topic) for topic in _topics(message))
    said = next((found["of_market"] or found["length"] for found in topics if found), "")
    if not said and message.get("channel") == "candles" and "events" in message:
        said = _COINBASE
    return said or str(message.get("interval", "")) or interval_in(_first_in(message), depth + 1)


def _first_in(message: Mapping[str, Any]) -> Any:
    """What a message wraps, or the first of a list of it; None for one that wraps nothing."""
    wrapped = wrapped_in(message)[1]
    return wrapped[0] if isinstance(wrapped, (list, tuple)) and wrapped else wrapped


def _topics(message: Mapping[str, Any]) -> list[str]:
    around = [one for one in (message, message.get("arg")) if isinstance(one, Mapping)]
    topics = [value for one in around for name in _TOPICS if isinstance(value := one.get(name), str)]
    if without := next(filter(_WITHOUT_VOLUME.search, topics), None):
        raise ValueError(
            f"found {without!r}, allowed candles of trades: those of a mark price or an index lack a volume"
        )
    return topics


def _rows_in(message: Mapping[str, Any], depth: int) -> list[Any] | None:
    """The rows of candles that a mapping holds; None for one that is a candle itself, or columns of them."""
    name, inner = ("k", message["k"]) if isinstance(message.get("k"), Mapping) else wrapped_in(message)
    if inner is None or name == "o" or len(inner) == 0:
        return None
    market = market_in(message, name) or str(message.get("s", message.get("ps", "")))
    if isinstance(inner, Mapping) and isinstance(inner.get("n"), str):  # Gate's 1m_BTC_USDT
        inner = {**inner, **dict(zip(("i", "symbol"), inner["n"].split("_", 1), strict=False))}
    rows: list[Any] = [inner] if isinstance(inner, Mapping) else list(inner)
    if all(isinstance(row, (list, tuple)) and len(row) == len(rows[0]) for row in rows):
        names = names_of_rows(rows)
        rows = [dict(zip(names, row, strict=True)) for row in rows]
    rows = list(candles_in(rows, depth + 1))
    if not market:
        return rows
    return [{"symbol": market, **row} if isinstance(row, Mapping) and not _names_market(row) else row for row in rows]


def _names_market(row: Mapping[str, Any]) -> bool:
    return any(normal_name(name) in MARKET_NAMES for name in row)


def sent_at(message: Mapping[str, Any]) -> int | None:
    """When a venue sent a message, ms, as its envelope says; None: it does not.

    >>> sent_at({"ch": "market.btcusdt.kline.1min", "ts": 1700000100000, "tick": {}})
    1700000100000
    """
    if wrapped_in(message)[1] is None:
        return None
    said = next((message[name] for name in ("ts", "timestamp") if name in message), None)
    try:
        return None if said is None else ms_of(said)
    except (ValueError, TypeError):
        return None


def is_closed(candle: Any) -> bool | None:
    """Whether a candle says that it is closed; None: it says nothing of it.

    >>> is_closed({"o": "1", "h": "1", "l": "1", "c": "1", "x": False}), is_closed({"confirm": "1"})
    (False, True)
    >>> is_closed({"t": 0, "o": "1", "h": "1", "l": "1", "c": "1"})
    """
    if not isinstance(candle, Mapping):
        return None
    names = ("x", "w") if candle.keys() >= _LETTERS else CLOSED_NAMES
    said = [truth(candle[name], name) for name in names if name in candle]
    return False if False in said else True if said else None
