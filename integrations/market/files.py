"""Files of candles, trades and liquidations to Arrow tables.

pandas is not imported here. Files become ``pyarrow.Table``; ``trades.trades_from_table`` makes TRADE arrays of trades,
``candles.bars_from_frame`` makes BAR arrays of candles.
"""

from __future__ import annotations

import codecs
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.feather as pa_feather

from .columns import cell_kind
from .liquidations import find_sums, read_sums
from .messages import first_line
from .names import (
    BASE_SIZES,
    CANDLE_NAMES,
    CANDLE_TIMES,
    CCXT_COLUMNS,
    KLINE_COLUMNS,
    LIQUIDATION_SUMS,
    MARKET_NAMES,
    TRADE_NAMES,
    normal_name,
)
from .trades import TEXT_COLUMNS, TRADE_COLUMNS

_AGG_TRADE = ("id", "price", "quantity", "first_id", "last_id", "transact_time", "is_buyer_maker")
_HEADERLESS = {  # n a number, b a truth value: the first row of a file without names
    "nnnnnn": CCXT_COLUMNS,
    "nnnnnnnnnnnn": KLINE_COLUMNS,
    "nnnnnnb": _AGG_TRADE,
    "nnnnnnbb": (*_AGG_TRADE, "is_best_match"),
    "nnnnnb": ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker"),
    "nnnnnbb": ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
}


def read_candles_or_trades(path: str | os.PathLike[str]) -> tuple[Literal["candles", "trades"], pa.Table]:
    """Read a file of candles or of trades, and say which it holds.

    ``.csv``, ``.csv.gz``, ``.parquet`` and ``.feather``, told by name and confirmed by content. Columns go by the
    names in ``CANDLE_NAMES`` and ``TRADE_NAMES``, in any order and case; of a CSV the others are not read. A CSV
    without names may be ccxt candles, or Binance Vision klines, aggTrades or trades. Files of freqtrade (candles and
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


def _checked_table(path: Path, check: Callable[[Path, Sequence[str]], object]) -> pa.Table:
    """A file's table, with rows, of one market, whose columns pass ``check``."""
    try:
        table = _read(path, check)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or first_line(error)}") from None
    except pa.ArrowException as error:
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


def _read(path: Path, check: Callable[[Path, Sequence[str]], object]) -> pa.Table:
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        raise ValueError(f"{path}: the file is empty")
    readers: dict[str, tuple[str, Callable[[], pa.Table]]] = {
        ".csv": ("text", lambda: _read_csv(path, None, check)),
        ".csv.gz": ("gzip", lambda: _read_csv(path, "gzip", check)),
        ".parquet": ("parquet", lambda: _read_parquet(path)),
        ".feather": ("feather", lambda: pa_feather.read_table(path)),
    }
    suffix = next((suffix for suffix in readers if path.name.lower().endswith(suffix)), None)
    if suffix is None:
        raise ValueError(f"{path}: its name must end with one of {', '.join(readers)}")
    content, read = readers[suffix]
    if (found := _content(head)) != content:
        raise ValueError(f"{path}: a {suffix} file must hold {content}, found {found}")
    return read()


def _read_parquet(path: Path) -> pa.Table:
    import pyarrow.parquet as pa_parquet  # not above: it loads the clients of four file systems in the cloud

    with pa_parquet.ParquetFile(path) as file:
        return file.read()


def _content(head: bytes) -> str:
    """What the first bytes of a file say it is."""
    magic = {
        b"PAR1": "parquet",
        b"ARROW1": "feather",
        b"FEA1": "feather of version 1 (write it anew as version 2)",
        b"\x1f\x8b": "gzip",
        b"PK\x03\x04": "a zip archive (unpack it first)",
    }
    for start, name in magic.items():
        if head.startswith(start):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return "something unknown"
    return "text" if b"\0" not in head else "something unknown"


def _read_csv(path: Path, compression: str | None, check: Callable[[Path, Sequence[str]], object]) -> pa.Table:
    names, has_names = _csv_names(path, compression)
    check(path, names)
    read = [name for index, name in enumerate(names) if (name == "" and index == 0) or normal_name(name) in _READ]
    try:
        with pa.input_stream(str(path), compression=compression) as stream:
            table = pa_csv.read_csv(
                stream,
                read_options=pa_csv.ReadOptions(column_names=names, skip_rows=int(has_names)),
                convert_options=pa_csv.ConvertOptions(
                    include_columns=read, column_types={name: kind for name in read if (kind := _csv_type(name))}
                ),
            )
    except pa.ArrowInvalid as error:
        text = re.sub(r"In CSV column #(\d+)", lambda match: f"column {names[int(match[1])]!r}", first_line(error))
        raise ValueError(f"{path}: cannot be read: {text}") from None
    if read[0] == "" and pa.types.is_temporal(table.schema.field(0).type):  # an index that pandas wrote unnamed
        table = table.rename_columns(["time", *table.column_names[1:]])
    return table


def _csv_names(path: Path, compression: str | None) -> tuple[list[str], bool]:
    """(the names of the columns, whether the first line holds them)."""
    with pa.input_stream(str(path), compression=compression) as stream:
        first = stream.read(2**16).lstrip(b"\xef\xbb\xbf").partition(b"\n")[0]
    try:
        cells = [cell.strip().strip('"') for cell in first.decode().split(",")]
    except UnicodeDecodeError:
        raise ValueError(f"{path}: cannot be read: not text") from None
    shape = "".join(map(cell_kind, cells))
    if "?" in shape:
        return cells, True
    if shape not in _HEADERLESS:
        raise ValueError(f"{path}: its first line must hold the names of columns, found {len(cells)} numbers")
    return list(_HEADERLESS[shape]), False


_NUMBERS = {name for names in CANDLE_NAMES.values() for name in names}
_NUMBERS |= {*TRADE_NAMES["price"], *TRADE_NAMES["size"], *BASE_SIZES}
_NUMBERS |= {name for names in LIQUIDATION_SUMS.values() for name in names}
_READ = _NUMBERS | TRADE_COLUMNS | {*CANDLE_TIMES, *MARKET_NAMES}


def _csv_type(name: str) -> pa.DataType | None:
    """The type of a CSV's known column, where it has but one; pyarrow alone would go by the first block."""
    if normal_name(name) in _NUMBERS:
        return pa.float64()
    return pa.string() if normal_name(name) in TEXT_COLUMNS else None


def _kind(path: Path, found: Sequence[str]) -> Literal["candles", "trades"]:
    names = {normal_name(name) for name in found}
    if {"open", "high", "low", "close"} <= names:
        return "candles"
    if names & {*TRADE_NAMES["price"]} and names & {*TRADE_NAMES["size"]}:
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
        if normal_name(name) in MARKET_NAMES and pc.count_distinct(table[name]).as_py() > 1:
            some = ", ".join(map(str, pc.unique(table[name]).to_pylist()[:5]))
            raise ValueError(f"{path}: column {name!r} holds several markets ({some}): write one file for each")
