"""Files of candles, trades and liquidations to Arrow tables.

pandas is not imported here. Files become ``pyarrow.Table``; ``trades.trades_from_table`` makes TRADE arrays of trades,
``candles.bars_from_frame`` makes BAR arrays of candles.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.feather as pa_feather

from .candle_columns import candle_names, is_volume
from .columns import cell_kind, different_values
from .delimited import DELIMITERS, Layout, cell_shape, read_delimited
from .flags import CLOSED_NAMES
from .hdf import read_hdf
from .liquidations import find_sums, read_sums
from .messages import first_line
from .names import (
    BASE_SIZES,
    CANDLE_NAMES,
    CANDLE_TIMES,
    CCXT_COLUMNS,
    KLINE_COLUMNS,
    LIQUIDATION_SUMS,
    MAKER_NAMES,
    MARKET_NAMES,
    OKX_COLUMNS,
    OPEN_TIMES,
    OTHER_TIMES,
    TRADE_NAMES,
    normal_name,
)
from .streams import candles_in
from .trades import TEXT_COLUMNS, TRADE_COLUMNS

Opener: TypeAlias = Callable[[], IO[bytes]]
Check: TypeAlias = Callable[[Path, Sequence[str]], object]  # raises unless columns of these names will do
_AGG_TRADE = ["id", "price", "quantity", "first_id", "last_id", "transact_time", "is_buyer_maker"]
_TRADE = ["id", "price", "qty", "quote_qty", "time", "is_buyer_maker"]
_FREQTRADE_TRADE = ["timestamp", "id", "type", "side", "price", "amount", "cost"]
_SMALL = 2**17  # rows of a parquet file that are read without threads, which may outlive the interpreter
_OHLC = ("open", "high", "low", "close")
_COINBASE = ["time", "low", "high", "open", "close", "volume"]
_BITFINEX = ["time", "open", "close", "high", "low", "volume"]  # and KuCoin, with the turnover behind it


def _candle_names(*known: Sequence[str]) -> Callable[[list[list[str]]], list[str]]:
    """Of several orders in which columns may stand, the first in which the first rows are candles."""

    def names(rows: list[list[str]]) -> list[str]:
        for one in known:
            places = [one.index(name) for name in _OHLC]
            prices = [[float(row[at].replace(",", ".")) for at in places] for row in rows if len(row) == len(one)]
            if all(low <= min(opened, close) and max(opened, close) <= high for opened, high, low, close in prices):
                return list(one)
        return list(known[0])

    return names


def _always(names: list[str]) -> Callable[[list[list[str]]], list[str]]:
    return lambda rows: names


_HEADERLESS = {  # the first row of a file without names, as ``delimited.cell_shape`` sees its cells
    **dict.fromkeys(("nnnnnn", "dnnnnn"), _candle_names(CCXT_COLUMNS, _COINBASE, _BITFINEX)),
    "dtnnnnn": _candle_names(("date", "time", *CCXT_COLUMNS[1:])),  # MetaTrader
    "nnnnnnn": _candle_names((*CCXT_COLUMNS, "count"), (*_BITFINEX, "turnover")),  # Kraken
    "nnnnnnnn": _candle_names((*CCXT_COLUMNS[:5], "vwap", "volume", "count")),
    "nnnnnnnnn": _candle_names(OKX_COLUMNS),
    "nnnnnnnnnnnn": _candle_names(KLINE_COLUMNS),
    "nnnnnnb": _always(_AGG_TRADE),
    "nnnnnnbb": _always([*_AGG_TRADE, "is_best_match"]),
    "nnnnnb": _always(_TRADE),
    "nnnnnbb": _always([*_TRADE, "is_best_match"]),
    **dict.fromkeys(("nn??nnn", "n???nnn"), _always(_FREQTRADE_TRADE)),
}


def read_candles_or_trades(path: str | os.PathLike[str]) -> tuple[Literal["candles", "trades"], pa.Table]:
    """Read a file of candles or of trades, and say which it holds.

    ``.csv``, ``.csv.gz``, ``.tsv``, ``.parquet``, ``.feather``, ``.json``, HDF and a ``.zip`` of one CSV, told by name
    and confirmed by content. Columns go by the names in ``CANDLE_NAMES`` and ``TRADE_NAMES``, in any order and case; of
    a CSV the others are not read, and ``delimited`` says how it may be written. A CSV without names may be candles of
    ccxt, Coinbase, Kraken or MetaTrader, or Binance Vision klines, aggTrades or trades. Files of freqtrade (candles and
    trades) and of tardis (trades) are read as they are.

    Returns ("candles", table) for ``frames.bars_from_frame``, or ("trades", table) for ``trades_from_table``; values
    are not looked at. Raises ValueError, naming file and reason, for a file that is missing, empty, cut short, not what
    its name says, neither candles nor trades, or of several markets.
    """
    path = Path(path)
    table = _checked_table(path, _kind)
    return _kind(path, table.column_names), table


def read_liquidations(path: str | os.PathLike[str]) -> tuple[np.ndarray, np.ndarray]:
    """Read liquidated USD a bar: columns for the time, the longs and the shorts (``LIQUIDATION_SUMS``).

    The kinds of file of ``read_candles_or_trades``. Returns (times of the bars' opens in ms, (2, n) USD of longs and
    shorts); times rise. Raises ValueError or TypeError that name file, row, what was found and what is allowed.
    """
    path = Path(path)
    table = _checked_table(path, _check_sums)
    try:
        return read_sums(table)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from None


def _checked_table(path: Path, check: Check) -> pa.Table:
    """A file's table, with rows, of one market, whose columns pass ``check``."""
    try:
        table = _read(path, check)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or first_line(error)}") from None
    except (pa.ArrowException, zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: cannot be read: {first_line(error)}") from None
    check(path, table.column_names)
    if table.num_rows == 0:
        raise ValueError(f"{path}: holds no rows, only the names of {len(table.column_names)} columns")
    _check_one_market(path, table)
    return table


def read_table(path: str | os.PathLike[str]) -> pa.Table:
    """Read a file of one market, whatever its columns; otherwise as ``read_candles_or_trades``."""
    return _checked_table(Path(path), lambda path, names: None)


def market_in_table(table: pa.Table) -> str | None:
    """The market that a table with a column symbol, coin or pair says it is of."""
    for name in table.column_names:
        if normal_name(name) in MARKET_NAMES:
            return str(table[name][0].as_py())
    return None


def _read(path: Path, check: Check) -> pa.Table:
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise ValueError(f"{path}: the file is empty")
    readers: dict[str, tuple[str, Callable[[], pa.Table]]] = {
        ".csv": ("text", lambda: _read_csv(path, _opener(path, None), check)),
        ".csv.gz": ("gzip", lambda: _read_csv(path, _opener(path, "gzip"), check)),
        ".parquet": ("parquet", lambda: _read_parquet(path)),
        ".feather": ("feather", lambda: pa_feather.read_table(path)),
        ".tsv": ("text", lambda: _read_csv(path, _opener(path, None), check)),
        ".json": ("text", lambda: _read_json(path, _opener(path, None))),
        ".json.gz": ("gzip", lambda: _read_json(path, _opener(path, "gzip"))),
        ".zip": ("a zip archive", lambda: _read_zip(path, check)),
        **dict.fromkeys((".h5", ".hdf", ".hdf5"), ("HDF", lambda: read_hdf(path))),
    }
    suffix = next((suffix for suffix in readers if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        hint = _INSTEAD.get(path.suffix.lower(), "")
        raise ValueError(f"{path}: its name must end with one of {', '.join(readers)}{hint and f': {hint}'}")
    content, read = readers[suffix]
    if (found := _content(head)) != content:
        raise ValueError(f"{path}: a {suffix} file must hold {content}, found {found}")
    return read()


_INSTEAD = {
    ".txt": "rename it, a text is read as .csv",
    **dict.fromkeys((".xlsx", ".xls", ".ods"), "save the sheet as CSV"),
    **dict.fromkeys((".pkl", ".pickle"), "a pickle may run anything; write parquet"),
}


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pa_parquet  # not above: it loads the clients of four file systems in the cloud

    with pa_parquet.ParquetFile(path) as file:
        return _one_level(file.read(use_threads=file.metadata.num_rows > _SMALL))


_PAIR = re.compile(r"\('([^']*)', '([^']*)'\)")


def _one_level(table: pa.Table) -> pa.Table:
    """yfinance's table of one symbol, whose names pandas writes as pairs, with the prices' names alone."""
    pairs = [_PAIR.fullmatch(name) for name in table.column_names]
    for level, other in ((1, 2), (2, 1)):
        fields = {normal_name(pair[level]) for pair in pairs if pair}
        if {*_OHLC} <= fields and len({pair[other] for pair in pairs if pair}) == 1:
            names = [pair[level] if pair else name for pair, name in zip(pairs, table.column_names, strict=True)]
            return table.rename_columns(names)
    return table


def _content(head: bytes) -> str:
    """What the first bytes of a file say it is."""
    magic = {
        b"PAR1": "parquet",
        b"ARROW1": "feather",
        b"FEA1": "feather of version 1 (write it anew as version 2)",
        b"\x1f\x8b": "gzip",
        b"PK\x03\x04": "a zip archive",
        b"\x89HDF\r\n\x1a\n": "HDF",
        codecs.BOM_UTF16_LE: "text",
        codecs.BOM_UTF16_BE: "text",
    }
    for start, name in magic.items():
        if head.startswith(start):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "something unknown"
    return "text" if b"\0" not in head else "something unknown"


def _opener(path: Path, compression: str | None) -> Opener:
    return lambda: pa.input_stream(str(path), compression=compression)


def _read_zip(path: Path, check: Check) -> pa.Table:
    """The one file of an archive, as Binance publishes them."""
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
        if len(members) != 1:
            some = ", ".join(members[:3]) + (", ..." if len(members) > 3 else "")
            raise ValueError(f"{path}: holds {len(members)} files ({some}), allowed one: unpack it")
        if not members[0].lower().endswith((".csv", ".tsv", ".json")):
            raise ValueError(f"{path}: holds {members[0]}, allowed .csv, .tsv or .json")

        def open_member() -> IO[bytes]:
            return archive.open(members[0])

        return (
            _read_json(path, open_member)
            if members[0].lower().endswith(".json")
            else _read_csv(path, open_member, check)
        )


def _read_json(path: Path, open_stream: Opener) -> pa.Table:
    """Rows as freqtrade keeps and venues' APIs return them, lists or objects, be it in an envelope; or columns."""
    try:
        with open_stream() as stream:
            rows = json.loads(stream.read())
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read: {first_line(error)}") from None
    while isinstance(rows, dict):
        lists = {name: list(values.values()) if isinstance(values, dict) else values for name, values in rows.items()}
        columns = {name: values for name, values in lists.items() if isinstance(values, list)}
        if {*_OHLC} <= {*candle_names(list(columns))}:  # as pandas and TradingView's UDF write them
            return _table(path, columns)
        rows = next((value for value in rows.values() if isinstance(value, (list, dict)) and value), None)
    if not rows or not isinstance(rows, list):
        raise ValueError(f"{path}: holds no rows")
    rows = candles_in(rows)
    if all(isinstance(row, dict) for row in rows):
        return _table(
            path, {name: [row.get(name) for row in rows] for name in dict.fromkeys(chain.from_iterable(rows))}
        )
    if not all(isinstance(row, list) and len(row) == len(rows[0]) for row in rows):
        raise ValueError(f"{path}: holds rows of several kinds, allowed lists of one length, or objects")
    cells = [[str(cell) for cell in row] for row in rows[:100]]
    names = _HEADERLESS.get("".join(map(cell_shape, cells[0])))
    if names is None:
        raise ValueError(
            f"{path}: holds rows of {len(cells[0])} values ({', '.join(cells[0])}), whose names are unknown"
        )
    return _table(path, dict(zip(names(cells), map(list, zip(*rows, strict=True)), strict=True)))


def _table(path: Path, columns: dict[str, list[Any]]) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = pa.array(values)
        except (pa.ArrowException, ArithmeticError, TypeError, UnicodeEncodeError) as error:
            raise ValueError(f"{path}: cannot be read: column {name!r}: {first_line(error)}") from None
    return pa.table(arrays)


def _read_csv(path: Path, open_stream: Opener, check: Check) -> pa.Table:
    def is_header(names: Sequence[str]) -> bool:
        try:
            check(path, names)
        except ValueError:
            return False
        return len(names) > 1 and "?" in map(cell_kind, names)  # one is a line that is parted by something else

    def plan(layout: Layout) -> dict[int, pa.DataType | None]:
        if layout.has_names and set(map(cell_kind, layout.names)) == {"n"}:
            count = len(layout.names)
            raise ValueError(f"{path}: its first line must hold the names of columns, found {count} numbers")
        try:
            check(path, layout.names)
        except ValueError as error:
            parted = f", parted by {DELIMITERS.get(layout.delimiter, repr(layout.delimiter))}"
            raise ValueError(f"{error}{parted if len(layout.names) > 1 else ''}") from None
        return _csv_types(layout)

    try:
        table = read_delimited(open_stream, is_header, _HEADERLESS, plan)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: cannot be read: not text") from None
    if (
        table.column_names[0] == "" and table.num_rows and cell_shape(str(table.column(0)[0])) == "d"
    ):  # an index that pandas wrote unnamed
        table = table.rename_columns(["time", *table.column_names[1:]])
    return table


_NUMBERS = {name for names in CANDLE_NAMES.values() for name in names}
_NUMBERS |= {*TRADE_NAMES["price"], *TRADE_NAMES["size"], *BASE_SIZES}
_NUMBERS |= {name for names in LIQUIDATION_SUMS.values() for name in names}
_READ = _NUMBERS | TRADE_COLUMNS | {*CANDLE_TIMES, *MARKET_NAMES}


def _csv_types(layout: Layout) -> dict[int, pa.DataType | None]:
    """The columns of a CSV that are read, each with its type; pyarrow alone would go by the first block."""
    normal = candle_names(layout.names)
    candles = {*_OHLC} <= {*normal}
    first = layout.rows[0] if layout.rows else []
    types: dict[int, pa.DataType | None] = {}
    for at, name in enumerate(normal):
        cell = first[at] if at < len(first) else ""
        if name in _NUMBERS or (candles and is_volume(name)):
            types[at] = pa.float64()
        elif name in TRADE_NAMES["id"]:
            types[at] = pa.int64() if cell.isdecimal() else pa.string()
        elif name in TEXT_COLUMNS:
            types[at] = pa.dictionary(pa.int32(), pa.string())
        elif name in MAKER_NAMES:
            types[at] = None
        elif name in _READ or (candles and name in _FLAGS_AND_TIMES) or (name == "" and at == 0):
            types[at] = _time_type(cell)
    return types


def _time_type(cell: str) -> pa.DataType:
    """The type of a column of times whose first one is this; one that it does not hold throughout is read as text."""
    if cell.isdecimal():
        return pa.int64()
    if match := _ISO.fullmatch(cell):
        return pa.timestamp("ns", "UTC" if match["zone"] else None)
    return pa.float64() if cell_kind(cell) == "n" else pa.string()


_ISO = re.compile(r"\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d{1,9})?)?(?P<zone>Z|[+-]\d\d:?\d\d)?)?")
_FLAGS_AND_TIMES = {*OPEN_TIMES, *OTHER_TIMES, *CLOSED_NAMES}


def _kind(path: Path, found: Sequence[str]) -> Literal["candles", "trades"]:
    names = {normal_name(name) for name in found}
    if {*_OHLC} <= {*candle_names(found)}:
        return "candles"
    if names & {*TRADE_NAMES["price"]} and names & {*TRADE_NAMES["size"], *BASE_SIZES}:
        return "trades"
    raise ValueError(
        f"{path}: neither candles (time, open, high, low, close, volume) nor trades (time, price, size, side): "
        f"found columns {', '.join(map(repr, found))}"
    )


def _check_sums(path: Path, found: Sequence[str]) -> None:
    try:
        find_sums(found)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def _check_one_market(path: Path, table: pa.Table) -> None:
    for name in table.column_names:
        if normal_name(name) in MARKET_NAMES and len(markets := different_values(table[name])) > 1:
            some = ", ".join(map(str, markets[:5]))
            raise ValueError(f"{path}: column {name!r} holds several markets ({some}): write one file for each")
