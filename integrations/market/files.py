"""Files of candles, trades and liquidations to Arrow tables.

pandas is not imported here. Files become ``pyarrow.Table``; ``trades.trades_from_table`` makes TRADE arrays of trades,
``candles.bars_from_frame`` makes BAR arrays of candles.
"""

from __future__ import annotations

import codecs
import os
import re
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.feather as pa_feather

from .bare_rows import ORDERS, names_of_rows
from .candle_columns import candle_names, check_names, is_volume
from .columns import cell_kind, different_values
from .delimited import DELIMITERS, Layout, cell_shape, read_delimited
from .flags import CLOSED_NAMES
from .hdf import read_hdf
from .json_text import columns_of_json
from .liquidations import find_sums, read_sums
from .messages import first_line, naming
from .names import (
    BASE_SIZES,
    CANDLE_NAMES,
    CANDLE_TIMES,
    LIQUIDATION_SUMS,
    MAKER_NAMES,
    MARKET_NAMES,
    OPEN_TIMES,
    OTHER_TIMES,
    TRADE_NAMES,
    needed_name,
    normal_name,
)
from .trades import TEXT_COLUMNS, TRADE_COLUMNS
from .venues import VENUES

Opener: TypeAlias = Callable[[], IO[bytes]]
Check: TypeAlias = Callable[[Path, Sequence[str]], object]  # raises unless columns of these names will do
_AGG_TRADE = ["id", "price", "quantity", "first_id", "last_id", "transact_time", "is_buyer_maker"]
_TRADE = ["id", "price", "qty", "quote_qty", "time", "is_buyer_maker"]
_FREQTRADE_TRADE = ["timestamp", "id", "type", "side", "price", "amount", "cost"]
_SMALL = 2**17  # rows of a parquet file that are read without threads, which may outlive the interpreter
_OHLC = ("open", "high", "low", "close")


def _always(names: list[str]) -> Callable[[list[list[str]]], list[str]]:
    return lambda rows: names


def _of_days_and_clocks(rows: list[list[str]]) -> list[str]:
    return ["date", *names_of_rows([row[1:] for row in rows])]


_HEADERLESS = {  # the first row of a file without names, as ``delimited.cell_shape`` sees its cells
    **{time + "n" * (width - 1): names_of_rows for width in (5, *map(len, ORDERS)) for time in "nd"},
    "nnnnnnnb": names_of_rows,  # Gate
    "dtnnnnn": _of_days_and_clocks,  # MetaTrader
    "nnnnnnb": _always(_AGG_TRADE),
    "nnnnnnbb": _always([*_AGG_TRADE, "is_best_match"]),
    "nnnnnb": _always(_TRADE),
    "nnnnnbb": _always([*_TRADE, "is_best_match"]),
    **dict.fromkeys(("nn??nnn", "n???nnn"), _always(_FREQTRADE_TRADE)),
}


def _names_of(rows: list[list[str]]) -> list[str] | None:
    """The names of the columns of rows without them; None where their cells are of no known shape."""
    names = _HEADERLESS.get("".join(map(cell_shape, rows[0])))
    return None if names is None else names(rows)


def read_candles_or_trades(path: str | os.PathLike[str]) -> tuple[Literal["candles", "trades"], pa.Table]:
    """Read a file of candles or of trades, and say which it holds.

    ``.csv``, ``.tsv``, ``.json``, ``.jsonl``, some of them with ``.gz``, ``.parquet``, ``.feather``, HDF and a ``.zip``
    of one text, told by name and confirmed by content. Columns go by the names in ``CANDLE_NAMES`` and
    ``TRADE_NAMES``, in any order and case; of a CSV the others are not read, and ``delimited`` says how it may be
    written. Rows without names may be candles in an order of ``bare_rows.ORDERS``, MetaTrader's, or aggTrades or trades
    of Binance Vision. Files of freqtrade (candles and trades) and of tardis (trades) are read as they are.

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
        **dict.fromkeys((".json", ".jsonl", ".ndjson"), ("text", lambda: _read_json(path, _opener(path, None), check))),
        **dict.fromkeys((".json.gz", ".jsonl.gz"), ("gzip", lambda: _read_json(path, _opener(path, "gzip"), check))),
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
        codecs.BOM_UTF32_LE: "text in UTF-32: save it as UTF-8",
        codecs.BOM_UTF16_LE: "text",
        codecs.BOM_UTF16_BE: "text",
    }
    for start, name in magic.items():
        if head.startswith(start):
            return name
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        is_text = head.isascii() or not re.search(rb"[\0-\x08\x0e-\x1f\x7f]", head)
        return "text that is no UTF-8: save it as UTF-8" if is_text else "something unknown"
    if b"\0" not in head:
        lines = head.count(b"\n") or not head.strip().count(b"\r")
        return "text" if lines else "text whose lines end with carriage returns alone: save it with line feeds"
    is_utf16 = not any(head[1::2]) or not any(head[::2])
    return "text in UTF-16 without its mark: save it as UTF-8" if is_utf16 else "something unknown"


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
            _read_json(path, open_member, check)
            if members[0].lower().endswith(".json")
            else _read_csv(path, open_member, check)
        )


def _read_json(path: Path, open_stream: Opener, check: Check) -> pa.Table:
    with open_stream() as stream:
        content = stream.read()

    with naming(str(path)):
        columns = columns_of_json(content, partial(_is_wanted, path, check), _names_of)
    return _table(path, columns)


def _table(path: Path, columns: dict[str, list[Any]]) -> pa.Table:
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = _array(values)
        except UnicodeEncodeError as error:
            raise ValueError(f"{path}: cannot be read: column {name!r}: {first_line(error)}") from None
    return pa.table(arrays)


def _array(values: list[Any]) -> pa.Array:
    """A column; of values that are of no one type the text, for the reader of its rows to refuse by row."""
    try:
        return pa.array(values)
    except (pa.ArrowException, ArithmeticError, TypeError):
        return pa.array([None if value is None else str(value) for value in values])


def _is_wanted(path: Path, check: Check, names: Sequence[str]) -> bool:
    try:
        check(path, names)
    except ValueError:
        return False
    return True


def _read_csv(path: Path, open_stream: Opener, check: Check) -> pa.Table:
    def is_header(names: Sequence[str]) -> bool:
        named = len(names) > 1 and "?" in map(cell_kind, names)  # one is a line that is parted by something else
        return named and _is_wanted(path, check, names)

    def plan(layout: Layout) -> dict[int, pa.DataType | None]:
        if layout.has_names and set(map(cell_kind, layout.names)) == {"n"}:
            count = len(layout.names)
            raise ValueError(f"{path}: its first line must hold the names of columns, found {count} numbers")
        try:
            kind = check(path, layout.names)
            with naming(str(path)):
                if kind == "candles":
                    check_names(layout.names, layout.names[0] == "")
                elif kind == "trades":
                    _check_trades(layout)
        except ValueError as error:
            parted = f", parted by {DELIMITERS.get(layout.delimiter, repr(layout.delimiter))}"
            if len(layout.names) == 1:
                parted = f", parted by none of {', '.join(DELIMITERS.values())}"
            raise ValueError(f"{error}{parted}") from None
        return _csv_types(layout)

    def named(rows: list[list[str]]) -> list[str] | None:
        with naming(str(path)):
            return _names_of(rows)

    try:
        table = read_delimited(open_stream, is_header, named, plan)
    except UnicodeDecodeError:
        raise ValueError(f"{path}: cannot be read: not text") from None
    if (
        table.column_names[0] == "" and table.num_rows and cell_shape(str(table.column(0)[0])) == "d"
    ):  # an index that pandas wrote unnamed
        table = table.rename_columns(["time", *table.column_names[1:]])
    return table


def _check_trades(layout: Layout) -> None:
    """Raise ValueError for trades without a time or, where no size bears a sign, a side; it names all columns."""
    found = {normal_name(name): at for at, name in enumerate(layout.names)}
    sizes = [at for name, at in found.items() if name in _known_names("size")]
    signed = any(row[at].startswith("-") for row in layout.rows for at in sizes if at < len(row))
    for target in ("time",) if signed else ("time", "side"):
        if found.keys().isdisjoint(_known_names(target)):
            needed_name({}, layout.names, TRADE_NAMES, target)


def _known_names(target: str) -> set[str]:
    return {*TRADE_NAMES[target], *(name for venue in VENUES.values() for name in venue.names.get(target, ()))}


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
