"""Public trades of tables, streams and single messages to checked TRADE arrays.

Everything goes by names (``names.NAMES``), compared as ``names.normal_name`` writes them; where a venue uses a name
otherwise than the rest, ``venues.VENUES`` says so. A trade's side is always that of the aggressor: +1 it bought, -1
it sold.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from liquidator_core import TRADE

from .columns import (
    Events,
    columns_of,
    different_values,
    id_column,
    id_of,
    number_column,
    side_column,
    time_column,
    whole_column,
)
from .messages import fail_row, first_line
from .names import MAKER_NAMES, MAKER_SIDES, NAMES, SIDES, TRADE_NAMES, needed_name, normal_name
from .times import check_ms, check_order, ms_of
from .venues import USUAL, VENUES, counts_quote, find_names, unwrapped


def trades_from_table(
    trades: pa.Table | np.ndarray | Mapping[str, Any] | Sequence[Mapping[str, Any]], sort: bool = False
) -> np.ndarray:
    """Translate public trades into a TRADE array, checked.

    trades  a pyarrow.Table, a mapping of columns, a list of mappings, a pandas frame, or a (n,) TRADE array
    sort    order by time first, equal times as they came; otherwise times must not go back

    Columns go by ``TRADE_NAMES``: times in s, ms, us or ns, as timestamps or ISO text (without a zone: UTC); prices and
    sizes above 0; sides as A/B (Hyperliquid: A, the ask side, was an aggressor selling), buy/sell, b/s, bid/ask or
    +1/-1 of the aggressor, or ``is_buyer_maker`` (true: the aggressor sold).

    Returns (n,) TRADE. Raises TypeError or ValueError naming row, field, what was found and what is allowed. Nothing is
    left out, and ``trades`` is not changed. Cost: a few passes.
    """
    if isinstance(trades, np.ndarray):
        if trades.dtype != TRADE:
            raise TypeError(f"trades as an array must be of dtype TRADE, got {trades.dtype}")
        out = trades
        check_ms(out["time"])
    else:
        out = _translate_trades(_as_table(trades))
    if len(out) == 0:
        raise ValueError("no trades: the table has no rows")
    check_trades(out)
    if sort:
        return out[np.argsort(out["time"], kind="stable")]
    check_order(out["time"], repeats=True)
    return out


def _as_table(trades: Any) -> pa.Table:
    if isinstance(trades, pa.Table):
        return trades
    try:
        return pa.Table.from_pylist(trades) if isinstance(trades, (list, tuple)) else pa.table(trades)
    except (pa.ArrowException, TypeError, ValueError, AttributeError) as error:
        raise TypeError(
            f"trades cannot be read as columns, got {type(trades).__name__}: {first_line(error)}; "
            "pass a pyarrow.Table, a mapping of columns, a list of mappings or a TRADE array"
        ) from None


def _translate_trades(table: pa.Table) -> np.ndarray:
    columns = {field: _find_column(table.column_names, field) for field in TRADE_NAMES}
    out = np.zeros(table.num_rows, TRADE)
    if len(out) == 0:
        return out
    out["time"] = time_column(whole_column(table, columns["time"]))
    for field in ("price", "size"):
        out[field] = number_column(whole_column(table, columns[field]), field)
    out["side"] = side_column(whole_column(table, columns["side"]), columns["side"])
    return out


def _find_column(found: Sequence[str], field: str) -> str:
    """The column that holds a TRADE field."""
    matches = sorted(
        (TRADE_NAMES[field].index(normal_name(name)), name) for name in found if normal_name(name) in TRADE_NAMES[field]
    )
    if not matches:
        raise ValueError(
            f"missing column for {field}: found {', '.join(map(repr, found)) or 'none'}; "
            f"accepted names (any case): {', '.join(TRADE_NAMES[field])}"
        )
    clash = [name for rank, name in matches if rank == matches[0][0] or field in ("price", "size")]
    if len(clash) > 1:
        raise ValueError(f"columns {' and '.join(map(repr, clash))} both mean {field}: keep one")
    return matches[0][1]


def check_trades(trades: np.ndarray | Mapping[str, np.ndarray]) -> None:
    """Raise ValueError for a price, size or side that is none, in (n,) TRADE or columns of its names."""
    for field in ("price", "size"):
        values = trades[field]
        bad = ~((values > 0.0) & (values < np.inf))
        if bad.any():
            row = int(bad.argmax())
            fail_row(row, int(trades["time"][row]), field, values[row], "a finite number above 0", int(bad.sum()) - 1)
    bad = np.abs(trades["side"]) != 1
    if bad.any():
        row = int(bad.argmax())
        fail_row(row, int(trades["time"][row]), "side", trades["side"][row], "+1 or -1", int(bad.sum()) - 1)


_LARGE_ID = 2**62  # numbers below need no closer look
PART = 65_536  # trades that are copied at once; together with what was freed before, they take little new memory


class Trades(NamedTuple):
    """A part of one venue's trades of one call, checked: as they came, in any order of time."""

    venue: str  # in lower case
    trades: np.ndarray  # (n,) TRADE
    ids: np.ndarray | None  # (n,) int64, NO_ID where unknown; None if there are none
    ordered: bool  # whether ids are numbers, so that their order is that of the trades


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
    kind = VENUES.get(venue.lower(), USUAL)
    names, column = columns_of(unwrapped(data, kind, venue))
    if not names:
        return []
    found = find_names(names, NAMES, kind)
    if "coin" in found:
        check_coin(column(found["coin"]), coin)
    if "market" in found:
        check_market(column(found["market"]), found["market"])
    if "venue" in found and not venue:
        return _read_venues(data, coin, column(found["venue"]).to_pylist())
    time = column(needed_name(found, names, NAMES, "time"))
    if len(time) == 0:
        return []
    time = time_column(time)
    price, size = (number_column(column(needed_name(found, names, NAMES, name)), name) for name in ("price", "size"))
    market = str(column(found["market"])[0].as_py()) if "market" in found else ""
    if kind.signed and ("side" not in found or (size < 0.0).any()):
        side = np.sign(size).astype(np.int8)
        size = np.abs(size)
    else:
        name = needed_name(found, names, NAMES, "side")
        side = side_column(column(name), name, None if normal_name(name) in MAKER_NAMES else kind.sides)
    if counts_quote(venue.lower(), tuple(names), found["size"], market):
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


def check_coin(column: Any, coin: str) -> None:
    other = [value for value in different_values(column) if str(value).upper() != coin.upper()]
    if other:
        values = column.to_pylist()
        more = sum(value in other for value in values) - 1
        fail_row(values.index(other[0]), None, "coin", other[0], f"{coin!r}: one Liquidator a coin", more)


def check_market(column: Any, name: str) -> None:
    markets = different_values(column)
    if len(markets) > 1:
        raise ValueError(
            f"column {name!r} holds several markets ({', '.join(map(str, markets[:5]))}): pass one of them"
        )


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
    kind = VENUES.get(venue, USUAL)
    found = find_names(names, NAMES, kind)
    time_name, price_name, size_name = (needed_name(found, names, NAMES, name) for name in ("time", "price", "size"))
    id_name = found.get("id", "")
    signed = kind.signed and "side" not in found
    side_name = "" if signed else needed_name(found, names, NAMES, "side")
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
        if hangs_on_market and counts_quote(venue, names, size_name, str(trade.get(market_name, ""))):
            size /= price
        ident = trade[id_name] if id_name else None
        if type(ident) is int and -_LARGE_ID < ident < _LARGE_ID:
            return One(time, price, size, side, ident, True)
        return One(time, price, size, side, *id_of(ident))

    return Reader(read, found.get("venue", ""), found.get("coin", ""))


def rows_of(data: Events, venue: str) -> list[Mapping[str, Any]]:
    """The rows of whatever ``read_trades`` takes, to be read one by one."""
    rows = unwrapped(data, VENUES.get(venue.lower(), USUAL), venue)
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
