"""Trades, liquidations, funding and open interest as venues and people write them, in; checked arrays out.

Everything goes by names (``NAMES``), compared as ``files.normal_name`` writes them; where a venue uses a name otherwise
than the rest, ``VENUES`` says so. A trade's side is always that of the aggressor: +1 it bought, -1 it sold.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from itertools import repeat
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from liquidator_core import TRADE
from liquidator_core.layout import LONG, SHORT

from .files import (
    MAKER_NAMES,
    MAKER_SIDES,
    NO_ID,
    SIDES,
    check_ms,
    check_trades,
    columns_of,
    different_values,
    fail_row,
    id_column,
    id_of,
    ms_from_numbers,
    normal_name,
    number_column,
    side_column,
    time_column,
)

Events: TypeAlias = (
    Any  # rows with names, columns, a frame, an Arrow table, a structured array; see ``files.columns_of``
)

_TIMES = (
    *("timestampms", "timestamp_ms", "create_time_ms", "trade_time_ms", "time", "timestamp", "ts", "transact_time"),
    *("T", "createdat", "created_at", "createtime", "create_time", "t", "datetime", "date"),
)

#: Accepted names of each field of a trade. Of several times, sides or ids the first named here is read.
NAMES: dict[str, tuple[str, ...]] = {
    "time": _TIMES,
    "price": ("price", "px", "p", "rate", "trade_price"),
    "size": ("size", "sz", "amount", "qty", "quantity", "q", "v", "volume", "trade_volume"),
    "side": ("side", *MAKER_NAMES, "direction", "takerside", "taker_side", "S", "s", "ask_bid", "type"),
    "id": ("id", "tid", "trade_id", "tradeid", "execid", "sequence", "sequential_id"),
    "venue": ("venue", "exchange"),
    "coin": ("coin",),
    "market": ("symbol", "market", "instid", "instrument_name", "product_id", "contract", "contract_code"),
}

#: The name under which a size goes before every other: it is in base units, whatever the venue counts.
BASE_SIZE = "base_size"

_LIQUIDATIONS: dict[str, tuple[str, ...]] = {
    "time": _TIMES,
    "price": ("price", "px", "p", "ap", "bkpx", "bankruptcy_price"),
    "side": ("side", "posside", "pos_side", "S", "direction", "dir"),
    "usd": ("value_usd", "usd_value", "usd", "usdvalue", "value", "notional", "quotevalue", "quote_value"),
    "size": ("size", "sz", "quantity", "qty", "q", "v", "amount", "basevalue", "base_value"),
    "id": NAMES["id"],
    "venue": NAMES["venue"],
    "coin": NAMES["coin"],
    "market": NAMES["market"],
}

_RATES: dict[str, tuple[str, ...]] = {
    "time": (*_TIMES, "fundingtime", "funding_time"),
    "funding_rate": ("funding_rate", "fundingrate", "funding", "lastfundingrate", "rate"),
    "open_interest": ("open_interest", "openinterest", "openinterestamount", "sumopeninterest", "oi"),
    "coin": ("coin", "symbol"),
}


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


_USUAL = Venue()
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
_POSITION_SIDED = ("bybit",)
_DISPUTED = ("gate", "gateio", "bitfinex")
_LARGE_ID = 2**62  # numbers below need no closer look
PART = 65_536  # trades that are copied at once; together with what was freed before, they take little new memory
ENVELOPES = (*("result", "data", "list", "trades", "tick", "events", "deals", "d", "params", "contents", "trades_p"),)


class Trades(NamedTuple):
    """A part of one venue's trades of one call, checked: as they came, in any order of time."""

    venue: str  # in lower case
    trades: np.ndarray  # (n,) TRADE
    ids: np.ndarray | None  # (n,) int64, NO_ID where unknown; None if there are none
    ordered: bool  # whether ids are numbers, so that their order is that of the trades


LIQUIDATION = np.dtype(
    [("time", "i8"), ("price", "f8"), ("usd", "f8"), ("side", "i8"), ("venue", "i8"), ("id", "i8")], align=True
)


def read_trades(data: Events, coin: str, venue: str = "") -> list[Trades]:
    """Translate public trades, checked; a venue at a time; trades without ids in parts of 65,536, as they came.

    data    see ``files.columns_of``; also one trade alone, what a venue's API returns around it, and, for a venue
            whose trades are lists, these lists
    coin    what a column of that name must hold
    venue   of all of them, unless a column says it

    Sizes are base units. Those of inverse contracts that count units of the quote currency are divided by the price;
    where ``VENUES`` knows that contracts are counted, whose size no trade says, they are refused unless a column
    ``base_size`` gives them in base units. Raises TypeError or ValueError naming row, field, what was found and what is
    allowed. Nothing is left out, ``data`` is not changed. Cost: a few passes.
    """
    kind = VENUES.get(venue.lower(), _USUAL)
    names, column = columns_of(_as_rows(data, kind, venue))
    if not names:
        return []
    found = _find(names, NAMES, kind)
    if "coin" in found:
        _check_coin(column(found["coin"]), coin)
    if "market" in found:
        _check_market(column(found["market"]), found["market"])
    if "venue" in found and not venue:
        return _read_venues(data, coin, column(found["venue"]).to_pylist())
    time = column(_needed(found, names, NAMES, "time"))
    if len(time) == 0:
        return []
    time = time_column(time)
    price, size = (number_column(column(_needed(found, names, NAMES, name)), name) for name in ("price", "size"))
    market = str(column(found["market"])[0].as_py()) if "market" in found else ""
    if kind.signed and ("side" not in found or (size < 0.0).any()):
        side = np.sign(size).astype(np.int8)
        size = np.abs(size)
    else:
        name = _needed(found, names, NAMES, "side")
        side = side_column(column(name), name, None if normal_name(name) in MAKER_NAMES else kind.sides)
    if _is_quote(venue.lower(), tuple(names), found["size"], market):
        size = size / price
    columns = {"time": time, "price": price, "size": size, "side": side}
    check_trades(columns)
    ids, ordered = id_column(column(found["id"])) if "id" in found else (None, False)
    parts = []
    length = PART if ids is None else len(time)  # ids are compared among all of them
    for start in range(0, len(time), length):
        rows = slice(start, start + length)
        trades = np.empty(len(time[rows]), TRADE)
        for name, values in columns.items():
            trades[name] = values[rows]
        parts.append(Trades(venue.lower(), trades, None if ids is None else ids[rows], ordered))
    return parts


def _read_venues(data: Events, coin: str, venues: Sequence[Any]) -> list[Trades]:
    """Trades of several venues, a venue at a time, each by its own rules."""
    names, column = columns_of(data)
    keep = [name for name in names if normal_name(name) not in NAMES["venue"]]
    different = dict.fromkeys(venues)
    if len(different) == 1:
        return read_trades({name: column(name) for name in keep}, coin, str(venues[0]))
    parts = []
    for venue in different:
        if venue is None or str(venue) == "":
            fail_row(venues.index(venue), None, "venue", venue, "the name of a venue in every row")
        mine = np.array([other == venue for other in venues])
        parts += read_trades({name: column(name).filter(mine) for name in keep}, coin, str(venue))
    return parts


def _as_rows(data: Events, kind: Venue, venue: str) -> Events:
    """What a venue's API returned or sent, without what it is wrapped in."""
    if isinstance(data, (np.ndarray, str, bytes)) or hasattr(data, "iloc") or hasattr(data, "__arrow_c_stream__"):
        return data
    if isinstance(data, Mapping):
        inner = _wrapped_in(data)
        if inner is not None:
            return _as_rows(inner, kind, venue)
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
        return [trade for row in rows for trade in _as_rows(row, kind, venue)]
    return rows


def _wrapped_in(data: Mapping[str, Any]) -> Any:
    """What an answer or a message holds, or None if it holds nothing but values."""
    for name in ENVELOPES:
        if _is_envelope(data.get(name)):
            return data[name]
    lists = [value for value in data.values() if _is_column(value) and len(value)]
    return lists[0] if len(lists) == 1 and isinstance(lists[0][0], (list, tuple)) else None  # kraken: {pair: [[...]]}


def _has_columns(data: Mapping[str, Any], kind: Venue) -> bool:
    """Whether a mapping is one of columns, not one trade: its time tells, since a trade may hold a list of fees."""
    time = _find(list(data), NAMES, kind).get("time")
    return any(map(_is_column, data.values())) if time is None else _is_column(data[time])


def _is_column(value: Any) -> bool:
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


def _find(names: Sequence[str], wanted: Mapping[str, Sequence[str]], kind: Venue = _USUAL) -> dict[str, str]:
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
def _is_quote(venue: str, names: tuple[str, ...], size_name: str, market: str) -> bool:
    """Whether a venue's sizes are units of the quote currency, not of the base; fails if they are contracts."""
    kind = VENUES.get(venue, _USUAL)
    if normal_name(size_name) in _own_names(kind, "size"):
        return False
    if kind.by_market and not market:
        _needed({}, names, NAMES, "market")
    shape = f"{','.join(map(normal_name, names))} {market.upper()}"
    if kind.contracts is not None and re.search(kind.contracts, shape):
        raise ValueError(
            f"{size_name}: {venue} counts {market or 'these trades'} in contracts, and nothing says how large one is: "
            f"give sizes in base units, named {BASE_SIZE}"
        )
    return kind.inverse is not None and re.search(kind.inverse, market.upper()) is not None


def _needed(found: Mapping[str, str], names: Sequence[str], wanted: Mapping[str, Sequence[str]], target: str) -> str:
    if target not in found:
        raise ValueError(
            f"missing column for {target}: found {', '.join(map(repr, names)) or 'none'}; "
            f"accepted names (any case): {', '.join(wanted[target])}"
        )
    return found[target]


def _check_coin(column: Any, coin: str) -> None:
    other = [value for value in different_values(column) if str(value).upper() != coin.upper()]
    if other:
        values = column.to_pylist()
        more = sum(value in other for value in values) - 1
        fail_row(values.index(other[0]), None, "coin", other[0], f"{coin!r}: one Liquidator a coin", more)


def _check_market(column: Any, name: str) -> None:
    markets = different_values(column)
    if len(markets) > 1:
        raise ValueError(
            f"column {name!r} holds several markets ({', '.join(map(str, markets[:5]))}): pass one of them"
        )


# One trade ------------------------------------------------------------------------------------------------------------


class One(NamedTuple):
    """One trade, checked."""

    time: int
    price: float
    size: float
    side: int
    id: int  # NO_ID if unknown
    ordered: bool


class Reader(NamedTuple):
    """How trades with the same names are read, and where they say their venue and coin ("" if they do not)."""

    read: Callable[[Mapping[str, Any]], One]
    venue_name: str
    coin_name: str


def reader_of(names: Sequence[str], venue: str) -> Reader:
    """What reads one trade with these names, at a few microseconds a call: for ``Liquidator.push``."""
    names, venue = tuple(names), venue.lower()
    kind = VENUES.get(venue, _USUAL)
    found = _find(names, NAMES, kind)
    time_name, price_name, size_name = (_needed(found, names, NAMES, name) for name in ("time", "price", "size"))
    id_name = found.get("id", "")
    signed = kind.signed and "side" not in found
    side_name = "" if signed else _needed(found, names, NAMES, "side")
    maker = normal_name(side_name) in MAKER_NAMES
    meaning = MAKER_SIDES if maker else kind.sides or SIDES
    market_name = found.get("market", "")
    hangs_on_market = kind.contracts is not None or kind.inverse is not None
    allowed = ", ".join(meaning)

    def read(trade: Mapping[str, Any]) -> One:
        time = trade[time_name]
        if type(time) is not int or not 100_000_000_000 <= time < 100_000_000_000_000:
            time = ms_of(time)
        price = _number(trade[price_name], "price")
        size = _number(trade[size_name], "size")
        if signed:
            side = 1 if size > 0.0 else -1
            size = abs(size)
        else:
            word = trade[side_name]
            side = meaning.get(word, 0) if type(word) is str else 0
            if side == 0 and not (type(word) is bool and not maker):
                side = meaning.get(str(word).strip().lower(), 0)
            if side == 0:
                raise ValueError(f"side: found {word!r}, allowed {allowed}")
        if not 0.0 < price < math.inf:
            raise ValueError(f"price: found {price!r}, allowed a finite number above 0")
        if not 0.0 < size < math.inf:
            raise ValueError(f"size: found {size!r}, allowed a finite number above 0")
        if hangs_on_market and _is_quote(venue, names, size_name, str(trade.get(market_name, ""))):
            size /= price
        ident = trade[id_name] if id_name else None
        if type(ident) is int and -_LARGE_ID < ident < _LARGE_ID:
            return One(time, price, size, side, ident, True)
        return One(time, price, size, side, *id_of(ident))

    return Reader(read, found.get("venue", ""), found.get("coin", ""))


def rows_of(data: Events, venue: str) -> list[Mapping[str, Any]]:
    """The rows of whatever ``read_trades`` takes, to be read one by one."""
    rows = _as_rows(data, VENUES.get(venue.lower(), _USUAL), venue)
    if hasattr(rows, "iloc"):
        return rows.to_dict("records")
    if isinstance(rows, list) and all(isinstance(row, Mapping) for row in rows):
        return rows
    names, column = columns_of(rows)
    values = [column(name).to_pylist() for name in names]
    return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]


def _number(value: Any, name: str) -> float:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name}: found {value!r}, allowed a number")
    try:
        return float(value)
    except (TypeError, ValueError):
        raise TypeError(f"{name}: found {value!r}, allowed a number") from None


def ms_of(value: Any) -> int:
    """A time of whatever form as ms."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            try:
                value = datetime.fromisoformat(value)
            except ValueError:
                raise ValueError(f"time: found {value!r}, allowed a number or ISO 8601 text") from None
    if isinstance(value, np.datetime64):
        value = int(value.astype("M8[ms]").astype(np.int64))
    if isinstance(value, datetime):
        value = value if value.tzinfo else value.replace(tzinfo=UTC)
        value = round(value.timestamp() * 1000)
        check_ms(np.array([value]))
        return value
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"time: found {value!r}, allowed a number, a datetime or ISO 8601 text")
    try:
        return int(ms_from_numbers(np.array([value]))[0])
    except ValueError as error:
        raise ValueError(str(error).removeprefix("row 0, ")) from None


# Other feeds ----------------------------------------------------------------------------------------------------------


def read_liquidations(data: Events, coin: str, code_of: Callable[[str], int], venue: str = "") -> np.ndarray:
    """Translate observed liquidations into (n,) LIQUIDATION, as they came, checked.

    data      as for ``read_trades``: time, price, side, and its USD or its size, as there; venue, id
    code_of   gives the number that stands for a venue's name

    ``side``: ``long`` or ``short`` is who was liquidated. ``buy``, ``sell``, ``A`` and ``B`` are the closing order's,
    but for bybit, which gives the position's; gate's and bitfinex's are disputed and refused: say long or short. Errors
    as for ``read_trades``.
    """
    names, column = columns_of(_as_rows(data, _USUAL, venue))
    if not names:
        return np.zeros(0, LIQUIDATION)
    found = _find(names, _LIQUIDATIONS)
    if "coin" in found:
        _check_coin(column(found["coin"]), coin)
    if "market" in found and "venue" not in found:
        _check_market(column(found["market"]), found["market"])
    time = time_column(column(_needed(found, names, _LIQUIDATIONS, "time")))
    out = np.zeros(len(time), LIQUIDATION)
    out["time"] = time
    out["price"] = number_column(column(_needed(found, names, _LIQUIDATIONS, "price")), "price")
    said = column(found["venue"]).to_pylist() if "venue" in found else [None] * len(out)
    venues = [str(name or venue).lower() for name in said]
    if "usd" in found:
        out["usd"] = number_column(column(found["usd"]), "usd")
    else:
        size_name = _needed(found, names, _LIQUIDATIONS, "size")
        markets = column(found["market"]).to_pylist() if "market" in found else [""] * len(out)
        quote = [_is_quote(*one) for one in zip(venues, repeat(tuple(names)), repeat(size_name), map(str, markets))]
        out["usd"] = number_column(column(size_name), "size") * np.where(quote, 1.0, out["price"])
    for name in ("price", "usd"):
        _check_positive(name, out[name], time)
    words = column(_needed(found, names, _LIQUIDATIONS, "side")).to_pylist()
    out["side"] = [_who(word, venues[row], row) for row, word in enumerate(words)]
    out["venue"] = [code_of(name) for name in venues]
    out["id"] = id_column(column(found["id"]))[0] if "id" in found else NO_ID
    return out


def _who(word: Any, venue: str, row: int) -> int:
    """LONG or SHORT: who was liquidated."""
    text = str(word).strip().lower()
    if text in ("long", "short"):
        return LONG if text == "long" else SHORT
    sign = SIDES.get(text, 0) if not isinstance(word, bool) else 0
    if sign == 0:
        fail_row(row, None, "side", word, "long or short (who was liquidated), or buy or sell (the closing order)")
    if venue in _DISPUTED:
        fail_row(row, None, "side", word, f"long or short: what {venue} means by its sides is disputed")
    return LONG if (sign > 0) == (venue in _POSITION_SIDED) else SHORT


def _check_positive(name: str, values: np.ndarray, time: np.ndarray) -> None:
    bad = ~((values > 0.0) & (values < np.inf))
    if bad.any():
        row = int(bad.argmax())
        fail_row(row, int(time[row]), name, values[row], "a finite number above 0", int(bad.sum()) - 1)


def read_rates(data: Events, coin: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Funding rates and open interest as time series: field -> (times in ms, values), in order of time.

    data   rows, columns or a frame with a time and ``funding_rate``, ``open_interest`` (base units) or both; NaN is
           unknown. Also ``{coin: {"funding_rate": ..., "open_interest": ..., "timestamp": ...}}``, of which this coin's
           is taken. Of several readings of one time the last given counts.

    Errors as for ``read_trades``: a reading without a time is one, since its time decides which bars it belongs to.
    """
    if isinstance(data, Mapping) and data and all(isinstance(value, Mapping) for value in data.values()):
        mine = [value for name, value in data.items() if str(name).upper() == coin.upper()]
        if not mine:
            raise ValueError(f"no reading of {coin!r}: found {', '.join(map(repr, data))}")
        data = mine
    elif isinstance(data, Mapping) and not any(_is_column(value) for value in data.values()):
        data = [data]
    names, column = columns_of(data)
    if not names:
        return {}
    found = _find(names, _RATES)
    if not found.keys() & {"funding_rate", "open_interest"}:
        raise ValueError(
            f"neither funding_rate nor open_interest: found {', '.join(map(repr, names))}; accepted names (any case): "
            f"{', '.join((*_RATES['funding_rate'], *_RATES['open_interest']))}"
        )
    if "coin" in found and normal_name(found["coin"]) == "coin":
        _check_coin(column(found["coin"]), coin)
    elif "coin" in found:
        _check_market(column(found["coin"]), found["coin"])
    time = time_column(column(_needed(found, names, _RATES, "time")))
    order = np.argsort(time, kind="stable")
    series = {}
    for name in ("funding_rate", "open_interest"):
        if name not in found:
            continue
        values = number_column(column(found[name]), name)
        bad = np.isinf(values) | ((values < 0.0) if name == "open_interest" else False)
        if bad.any():
            row = int(bad.argmax())
            allowed = "a finite number" if name == "funding_rate" else "a finite number not below 0"
            fail_row(row, int(time[row]), name, values[row], f"{allowed}, or NaN (unknown)", int(bad.sum()) - 1)
        known = order[~np.isnan(values[order])]
        series[name] = time[known], values[known]
    return series
