"""Whose rows are: of which tool, which venue, which market; what trades and liquidations have in common."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from .coins import Identity
from .columns import ColumnError, coded, different_values
from .messages import TableError, fail_row
from .names import MARKET_NAMES, normal_name
from .venues import Named, venue_of

Convention: TypeAlias = str | None  # "venue", "taker" or None
_AGGR = {"exchange", "pair", "timestamp", "price", "size", "side"}


#: Columns by which ``shape_of`` tells, beyond those that are read anyway.
SHAPES = ("local_timestamp", "localtimestamp", "receipt_timestamp", "takerormaker", "datetime", "info")


def check_convention(convention: Any) -> None:
    if convention not in ("venue", "taker", None):
        raise TableError(f"convention must be 'venue', 'taker' or None, got {convention!r}")


def is_normalised(data: Any) -> bool:
    """Whether a table says that sides are the taker's and sizes base units, as this project's own do."""
    metadata = getattr(getattr(data, "schema", None), "metadata", None)
    return isinstance(metadata, Mapping) and metadata.get(b"liquidator") == b"normalised"


def shape_of(names: Sequence[str]) -> str:
    """The tool that wrote rows with these names, where that is certain: tardis, cryptofeed, aggr, ccxt; or ""."""
    normal = {normal_name(name) for name in names}
    if normal & {"local_timestamp", "localtimestamp"}:
        return "tardis"
    if "receipt_timestamp" in normal:
        return "cryptofeed"
    if _AGGR <= normal <= _AGGR | {"liquidation", "count", "slippage", "id"}:
        return "aggr"
    if {"info", "datetime", "symbol"} <= normal or {"takerormaker", "datetime"} <= normal:
        return "ccxt"
    return ""


def filled(names: Sequence[str], column: Callable[[str], pa.Array], wanted: Sequence[str]) -> list[str]:
    """The names of columns without those of ``wanted`` that hold nothing in any of their rows, as ccxt has them."""

    def is_filled(name: str) -> bool:
        cells = column(name)
        return len(cells) == 0 or cells.null_count < len(cells)

    return [name for name in names if normal_name(name) not in wanted or is_filled(name)]


def text_of(value: Any) -> str:
    """A name that a cell holds: "" for a missing one."""
    if isinstance(value, str):
        return value
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return "" if text.lower() in ("none", "nan", "<na>", "nat") else text


def venues_in(column: pa.Array, name: str, every: bool = True) -> list[tuple[Named, np.ndarray | None]]:
    """The venues that a column names, in order of appearance, and the rows of each (None: all).

    every   raise ValueError for a row that names none
    """
    words, codes = _coded(column)
    named: dict[Named, list[int]] = {}
    for place, word in enumerate(words):
        if every and word.strip() == "":
            row = int(np.argmax(codes == place))
            fail_row(row, None, name, column[row].as_py(), "the name of a venue in every row")
        try:
            named.setdefault(venue_of(word), []).append(place)
        except ValueError as error:
            raise ValueError(f"row {int(np.argmax(codes == place))}, {error}") from None
    if len(named) == 1:
        return [(next(iter(named)), None)]
    return [(venue, np.isin(codes, places)) for venue, places in named.items()]


def markets_in(column: pa.Array | None) -> tuple[list[str], np.ndarray]:
    """(the markets that a column names, which of them each row has); one that is "" without a column."""
    return ([""], np.zeros(1, np.int64)) if column is None else _coded(column)


def joined(identity: Identity, name: str, markets: tuple[list[str], np.ndarray]) -> Identity:
    """An identity and what the markets of a column add to it. Raises ValueError naming the row of another one's."""
    words, codes = markets
    for place, word in enumerate(words):
        try:
            identity = identity.joined(word, name)
        except ValueError as error:
            raise ValueError(f"row {int(np.argmax(codes == place))}, {error}{_more(codes, place)}") from None
    return identity


def joined_by_columns(identity: Identity, data: Any) -> Identity:
    """An identity and what the columns of candles that name a market, or levels of an index, add to it; candles need
    name none.

    Raises ValueError as ``joined``.
    """
    names = getattr(data, "column_names", None)
    if names is None and (isinstance(data, Mapping) or isinstance(getattr(data, "columns", None), Iterable)):
        names = data if isinstance(data, Mapping) else data.columns
    rows = data if names is None and isinstance(data, (list, tuple)) else ()
    if rows and all(isinstance(row, Mapping) for row in rows):
        names = dict.fromkeys(name for row in rows for name in row)
    names = list(names if names is not None else ())
    is_kline = {"o", "h", "l", "c"} <= {*names} and not isinstance(data, Mapping)
    found: list[tuple[Any, Iterable[Any]]] = [
        (name, [row.get(name) for row in rows] if rows else data[name])
        for name in names
        if normal_name(name) in MARKET_NAMES or (name == "s" and is_kline)
    ]
    for level, name in enumerate(getattr(getattr(data, "index", None), "names", ())):
        if normal_name(name) in MARKET_NAMES:
            found.append((name, data.index.get_level_values(level)))
    for name, values in found:
        texts = [text_of(value) for value in values]
        words = list(dict.fromkeys(texts))
        place = {word: at for at, word in enumerate(words)}
        identity = joined(identity, str(name), (words, np.array([place[text] for text in texts])))
    return identity


def _more(codes: np.ndarray, place: int) -> str:
    more = int((codes == place).sum()) - 1
    return f" ({more} more {'row is' if more == 1 else 'rows are'} bad)" if more else ""


def _coded(column: pa.Array) -> tuple[list[str], np.ndarray]:
    """(the different texts of a column in order of appearance, which of them each row has)."""
    if not pa.types.is_nested(column.type) and not column.null_count:
        values = different_values(column)
        if len(values) == 1:  # of most tables, at half the cost of codes
            return [text_of(values[0])], np.zeros(len(column), np.int8)
    values, codes = coded(column)
    words = [*map(text_of, values), ""]
    codes = np.where(codes < 0, len(values), codes) if column.null_count else codes
    first = np.flatnonzero(np.bincount(codes, minlength=len(words)))
    if len(first) > 1:
        there, rows = np.unique(codes, return_index=True)
        first = there[np.argsort(rows)]
    place = np.zeros(len(words), np.int64)
    place[first] = np.arange(len(first))
    return [words[one] for one in first], place[codes]


@contextlib.contextmanager
def renumbered(rows: np.ndarray | None) -> Iterator[None]:
    """Let a ValueError or TypeError that is raised inside name rows of the whole table, of which these are read: a
    mask, or their places in order.
    """
    try:
        yield
    except (ValueError, TypeError) as error:
        if rows is None or isinstance(error, ColumnError) or not str(error).startswith("row "):
            raise
        places = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        text = re.sub(r"(^|later than )row (\d+)", lambda row: f"{row[1]}row {places[int(row[2])]}", str(error))
        kind = next(kind for kind in (TableError, TypeError, ValueError) if isinstance(error, kind))
        raise kind(text) from None
