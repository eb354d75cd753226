"""Files of candles and trades, and the rules that hold for both: names, units of time, and how an error reads.

pandas is not imported here. Files become ``pyarrow.Table``; ``trades_from_table`` makes TRADE arrays of trades,
``liquidator_integrations.frames.bars_from_frame`` makes BAR arrays of candles.

Numbers that mean a time carry no unit; it is told by magnitude, and no instant from 1973-03-03 to 5138-11-16 is
ambiguous:

====  ==================
unit  numbers
====  ==================
s     1e8 up to 1e11
ms    1e11 up to 1e14
us    1e14 up to 1e17
ns    1e17 up to 1e20
====  ==================
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.feather as pa_feather

from liquidator_core import TRADE

#: Column names that mean a candle's time (open of the bar); compared as ``normal_name`` writes them.
CANDLE_TIMES = ("time", "timestamp", "ts", "date", "datetime", "open_time")

#: Accepted column names of each BAR field but time; compared as ``normal_name`` writes them.
CANDLE_NAMES: dict[str, tuple[str, ...]] = {
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume",),
    "taker_buy": (
        "taker_buy",
        "taker_buy_base",
        "taker_buy_volume",
        "taker_buy_base_volume",
        "taker_buy_base_asset_volume",
        "taker_base_vol",
    ),
    "open_interest": ("open_interest", "openinterest", "oi"),
    "funding_rate": ("funding_rate", "funding"),
    "liq_long_usd": ("liq_long_usd",),
    "liq_long_price": ("liq_long_price",),
    "liq_short_usd": ("liq_short_usd",),
    "liq_short_price": ("liq_short_price",),
    "large_sell_usd": ("large_sell_usd",),
    "large_sell_price": ("large_sell_price",),
    "large_buy_usd": ("large_buy_usd",),
    "large_buy_price": ("large_buy_price",),
}

#: Accepted column names of each TRADE field. Of several times or sides the first named here is read.
TRADE_NAMES: dict[str, tuple[str, ...]] = {
    "time": ("time", "timestamp", "ts", "transact_time", "T", "datetime", "date"),
    "price": ("price", "px", "p"),
    "size": ("size", "sz", "amount", "qty", "quantity", "q"),
    "side": ("side", "is_buyer_maker", "isbuyermaker", "m", "type"),
}

#: Accepted column names of the sums that ``read_liquidations`` reads.
LIQUIDATION_NAMES: dict[str, tuple[str, ...]] = {
    "liq_long_usd": ("liq_long_usd", "long_usd", "longusd"),
    "liq_short_usd": ("liq_short_usd", "short_usd", "shortusd"),
}

#: The columns of a kline as Binance sends and publishes it, and of a candle as ccxt returns it.
KLINE_COLUMNS = (
    "open_time",
    "open",
    "high",
    "low",
    "close",
    "volume",
    "close_time",
    "quote_volume",
    "count",
    "taker_buy_volume",
    "taker_buy_quote_volume",
    "ignore",
)
CCXT_COLUMNS = ("time", "open", "high", "low", "close", "volume")

_AGG_TRADE = ("id", "price", "quantity", "first_id", "last_id", "transact_time", "is_buyer_maker")
_HEADERLESS = {  # n a number, b a truth value: the first row of a file without names
    "nnnnnn": CCXT_COLUMNS,
    "nnnnnnnnnnnn": KLINE_COLUMNS,
    "nnnnnnb": _AGG_TRADE,
    "nnnnnnbb": (*_AGG_TRADE, "is_best_match"),
    "nnnnnb": ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker"),
    "nnnnnbb": ("id", "price", "qty", "quote_qty", "time", "is_buyer_maker", "is_best_match"),
}

_MARKETS = ("symbol", "coin", "pair")
MAKER_NAMES = ("is_buyer_maker", "isbuyermaker", "m")
SIDES = {"b": 1, "buy": 1, "bid": 1, "1": 1, "+1": 1, "1.0": 1, "a": -1, "s": -1, "sell": -1, "ask": -1}
SIDES |= {"-1": -1, "-1.0": -1}
MAKER_SIDES = {"true": -1, "1": -1, "1.0": -1, "false": 1, "0": 1, "0.0": 1}

#: Stands for the id of an event that has none.
NO_ID = -1
_LONGEST_NUMBER = len(str(-(2**63)))
_NO_IDS = ("", "none", "nan", "<na>", "nat")

_UNITS = ("s", "ms", "us", "ns")
_UNIT_EDGES = np.array([1e8, 1e11, 1e14, 1e17, 1e20])
_TIME_ALLOWED = "a time from 1973-03-03 on in s [1e8, 1e11), ms [1e11, 1e14), us [1e14, 1e17) or ns [1e17, 1e20)"


def normal_name(name: object) -> str:
    """A column name as the tables of names write it: lower case, underscores; single letters keep their case."""
    text = str(name).strip()
    return text if len(text) == 1 else text.lower().replace(" ", "_").replace("-", "_")


def moment(time_ms: int) -> str:
    """An instant for a message: ``2023-01-01T00:05:00 UTC``, with milliseconds if there are any."""
    unit = "ms" if time_ms % 1000 else "s"
    return f"{np.datetime64(int(time_ms), 'ms').astype(f'M8[{unit}]')} UTC"


def fail_row(row: int, time_ms: int | None, field: str, found: object, allowed: str, more: int = 0) -> NoReturn:
    """Raise the ValueError that every bad row gets: position, time, field, what was found, what is allowed."""
    raise ValueError(describe_row(row, time_ms, field, found, allowed, more))


def describe_row(row: int, time_ms: int | None, field: str, found: object, allowed: str, more: int = 0) -> str:
    """The text of ``fail_row``; ``more`` counts the bad rows after this one."""
    when = "" if time_ms is None else f" ({moment(time_ms)})"
    found = found.item() if isinstance(found, np.generic) else found
    rest = f" ({more} more {'row is' if more == 1 else 'rows are'} bad)" if more else ""
    return f"row {row}{when}, {field}: found {found!r}, allowed {allowed}{rest}"


def ms_from_numbers(times: np.ndarray) -> np.ndarray:
    """Times as int64 milliseconds; the unit is told by magnitude, see the module's text.

    times   (n,) integers or floats, all in one unit; int64 milliseconds are returned as they are

    Raises ValueError for a row that is no time, and where the unit changes. Cost: a few passes.
    """
    if len(times) == 0:
        return np.zeros(0, np.int64)
    units = np.searchsorted(_UNIT_EDGES, [times.min(), times.max()], side="right") - 1
    if units[0] != units[1] or not 0 <= units[0] < len(_UNITS):
        _explain_units(times)
    power = 3 * (int(units[0]) - 1)
    if times.dtype.kind in "iu":
        whole = times.astype(np.int64, copy=False)
        if power == 0:
            return whole
        return whole * 1000 if power < 0 else whole // 10**power
    milliseconds: np.ndarray = np.rint(times * 1000.0 if power < 0 else times / 10.0**power).astype(np.int64)
    return milliseconds


def _explain_units(times: np.ndarray) -> NoReturn:
    units = np.searchsorted(_UNIT_EDGES, times, side="right") - 1
    outside = np.flatnonzero((units < 0) | (units >= len(_UNITS)))
    if len(outside):
        fail_row(int(outside[0]), None, "time", times[outside[0]], _TIME_ALLOWED, len(outside) - 1)
    row = int(np.flatnonzero(units != units[0])[0])
    before, now = _UNITS[units[0]], _UNITS[units[row]]
    fail_row(row, None, "time", times[row], f"{before}, as in row 0: this is a time in {now}")


def check_ms(time: np.ndarray) -> None:
    """Raise ValueError unless every time can be milliseconds: other units mean that they were not converted."""
    if len(time) == 0 or (time.min() >= _UNIT_EDGES[1] and time.max() < _UNIT_EDGES[2]):
        return
    row = int(np.flatnonzero((time < _UNIT_EDGES[1]) | (time >= _UNIT_EDGES[2]))[0])
    unit = int(np.searchsorted(_UNIT_EDGES, time[row], side="right")) - 1
    names = {0: "seconds", 2: "microseconds", 3: "nanoseconds"}
    hint = f"{names[unit]} where ms are meant" if unit in names else f"as ms this is {moment(time[row])}"
    fail_row(row, None, "time", time[row], f"ms since the epoch, from 1973-03-03 on [1e11, 1e14): {hint}")


def check_order(time: np.ndarray, repeats: bool) -> None:
    """Raise ValueError where times go back, or, unless ``repeats`` are allowed, come twice."""
    wrong = time[1:] < time[:-1] if repeats else time[1:] <= time[:-1]
    if not wrong.any():
        return
    row = int(wrong.argmax()) + 1
    verb = "repeats" if time[row] == time[row - 1] else "goes back to"
    allowed = "not before" if repeats else "later than"
    raise ValueError(
        f"row {row} ({moment(time[row])}), time: found a time that {verb} {moment(time[row])}, "
        f"allowed {allowed} row {row - 1} ({moment(time[row - 1])})"
    )


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
    """Read liquidated USD a bar: columns for the time, the longs and the shorts (``LIQUIDATION_NAMES``).

    The kinds of file of ``read_candles_or_trades``. Returns (times of the bars' opens in ms, (2, n) USD of longs and
    shorts); times rise. Raises ValueError or TypeError that name file, row, what was found and what is allowed.
    """
    path = Path(path)
    table = _checked_table(path, _liquidation_columns)
    columns = _liquidation_columns(path, table.column_names)
    try:
        time = time_column(_whole(table, columns["time"]))
        check_order(time, repeats=False)
        usd = np.stack([number_column(_whole(table, columns[field]), field) for field in LIQUIDATION_NAMES])
        for field, values in zip(LIQUIDATION_NAMES, usd, strict=True):
            bad = np.flatnonzero(~((values >= 0.0) & (values < np.inf)))
            if len(bad):
                row = int(bad[0])
                fail_row(row, int(time[row]), field, values[row], "a finite number not below 0", len(bad) - 1)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{path}: {error}") from None
    return time, usd


def _checked_table(path: Path, check: Callable[[Path, Sequence[str]], object]) -> pa.Table:
    """A file's table, with rows, of one market, whose columns pass ``check``."""
    try:
        table = _read(path, check)
    except OSError as error:
        raise ValueError(f"{path}: cannot be read: {error.strerror or _first_line(error)}") from None
    except pa.ArrowException as error:
        raise ValueError(f"{path}: cannot be read: {_first_line(error)}") from None
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
        if normal_name(name) in _MARKETS:
            return str(table[name][0].as_py())
    return None


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]


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
        text = re.sub(r"In CSV column #(\d+)", lambda match: f"column {names[int(match[1])]!r}", _first_line(error))
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
    shape = "".join(map(_cell_kind, cells))
    if "?" in shape:
        return cells, True
    if shape not in _HEADERLESS:
        raise ValueError(f"{path}: its first line must hold the names of columns, found {len(cells)} numbers")
    return list(_HEADERLESS[shape]), False


def _cell_kind(cell: str) -> str:
    if cell.lower() in ("true", "false"):
        return "b"
    try:
        float(cell)
    except ValueError:
        return "?"
    return "n"


_NUMBERS = {name for names in CANDLE_NAMES.values() for name in names}
_NUMBERS |= {*TRADE_NAMES["price"], *TRADE_NAMES["size"]}
_NUMBERS |= {name for names in LIQUIDATION_NAMES.values() for name in names}
_TEXTS = {"side", "type", *_MARKETS}
_READ = _NUMBERS | _TEXTS | {*CANDLE_TIMES, *TRADE_NAMES["time"], *MAKER_NAMES}


def _csv_type(name: str) -> pa.DataType | None:
    """The type of a CSV's known column, where it has but one; pyarrow alone would go by the first block."""
    if normal_name(name) in _NUMBERS:
        return pa.float64()
    return pa.string() if normal_name(name) in _TEXTS else None


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


def _liquidation_columns(path: Path, found: Sequence[str]) -> dict[str, str]:
    """The column of each field of ``read_liquidations``."""
    columns = {}
    for field, names in {"time": CANDLE_TIMES, **LIQUIDATION_NAMES}.items():
        matches = [name for name in found if normal_name(name) in names]
        if len(matches) != 1:
            said = " and ".join(map(repr, matches)) + " all mean it" if matches else "no such column"
            raise ValueError(
                f"{path}: {field} (accepted names: {', '.join(names)}): {said}; found columns "
                f"{', '.join(map(repr, found))}"
            )
        columns[field] = matches[0]
    return columns


def _check_one_market(path: Path, table: pa.Table) -> None:
    for name in table.column_names:
        if normal_name(name) in _MARKETS and pc.count_distinct(table[name]).as_py() > 1:
            some = ", ".join(map(str, pc.unique(table[name]).to_pylist()[:5]))
            raise ValueError(f"{path}: column {name!r} holds several markets ({some}): write one file for each")


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
            f"trades cannot be read as columns, got {type(trades).__name__}: {_first_line(error)}; "
            "pass a pyarrow.Table, a mapping of columns, a list of mappings or a TRADE array"
        ) from None


def _translate_trades(table: pa.Table) -> np.ndarray:
    columns = {field: _find(table.column_names, field) for field in TRADE_NAMES}
    out = np.zeros(table.num_rows, TRADE)
    if len(out) == 0:
        return out
    out["time"] = time_column(_whole(table, columns["time"]))
    for field in ("price", "size"):
        out[field] = number_column(_whole(table, columns[field]), field)
    out["side"] = side_column(_whole(table, columns["side"]), columns["side"])
    return out


def _find(found: Sequence[str], field: str) -> str:
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


def columns_of(data: Any) -> tuple[list[str], Callable[[str], pa.Array]]:
    """(names, a function that gives the column of a name) of anything that holds columns or rows with names.

    A frame (pandas, polars), a ``pyarrow.Table``, a structured array, a mapping of columns, or any iterable of
    mappings, whose first one has every name. A pandas frame without a column ``time`` gives its DatetimeIndex as that.
    Raises TypeError for anything else and, naming the row, for a column whose values are of no one type.
    """
    if isinstance(data, np.ndarray) and data.dtype.names:
        names = list(data.dtype.names)
        return names, lambda name: _array(np.ascontiguousarray(data[name]), name)
    if isinstance(data, Mapping):
        names = list(map(str, data))
        return names, lambda name: _array(data[name], name)
    if hasattr(data, "iloc"):
        if not hasattr(data, "columns"):
            raise TypeError(f"expected rows with names, columns or a table, got {type(data).__name__}")
        if not data.columns.is_unique:
            twice = data.columns[data.columns.duplicated()]
            raise ValueError(f"columns come twice: {', '.join(map(repr, twice))}: keep one of each")
        index = {"time": data.index} if data.index.dtype.kind == "M" and "time" not in data.columns else {}
        names = [*map(str, data.columns), *index]
        return names, lambda name: _array(index.get(name, data[name] if name in data.columns else None), name)
    if isinstance(data, pa.Table) or hasattr(data, "__arrow_c_stream__"):
        table = pa.table(data)
        return table.column_names, lambda name: _in_one_piece(table[name])
    if isinstance(data, (str, bytes)) or not hasattr(data, "__iter__"):
        raise TypeError(f"expected rows with names, columns or a table, got {type(data).__name__}")
    rows = list(data)
    for row, values in enumerate(rows):
        if not isinstance(values, Mapping):
            raise TypeError(f"row {row}: found {values!r:.80}, allowed a mapping of names to values")
    names = list(map(str, rows[0])) if rows else []
    return names, lambda name: _array([values.get(name) for values in rows], name)


def held(data: Any) -> Any:
    """What can be read more than once: ``data``, or what it gives if it gives it but once."""
    if hasattr(data, "__next__"):
        return pa.table(data) if hasattr(data, "__arrow_c_stream__") else list(data)
    return data


def _array(values: Any, name: str) -> pa.Array:
    try:
        array = pa.array(values, from_pandas=True)
        objects = isinstance(values, list) or getattr(getattr(values, "dtype", None), "kind", "") == "O"
        number = pa.types.is_integer(array.type) or pa.types.is_floating(array.type)
        mixed = objects and number and True in map(_is_bool, values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        mixed = True
    if mixed:
        values = list(values)
        kinds = [type(value).__name__ for value in values]
        other = (row for row, kind in enumerate(kinds) if kind not in (kinds[0], "NoneType"))
        row = next(other, max(range(len(kinds)), key=lambda row: len(str(values[row]))))  # else one that is too large
        found = f"found {values[row]!r:.80}"
        raise TypeError(f"row {row}, {name}: {found}, allowed one type throughout: row 0 has {kinds[0]}")
    return _in_one_piece(array)


def _is_bool(value: object) -> bool:
    return value is True or value is False


def _in_one_piece(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def different_values(column: pa.Array) -> list[Any]:
    """The different values of a column, in order of appearance."""
    return [value for value in column.unique().to_pylist() if value is not None]


def id_column(column: pa.Array) -> tuple[np.ndarray, bool]:
    """(ids as int64, whether they are numbers, which have an order); missing ones are NO_ID. See ``id_of``."""
    column = _decoded(column)
    if _is_text(column.type) or pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        with contextlib.suppress(pa.ArrowException):
            return column.cast(pa.int64()).fill_null(NO_ID).to_numpy(zero_copy_only=False), True
    values = map(str, column.to_pylist())
    ids = [digest_of(text) if len(text) > _LONGEST_NUMBER else id_of(text)[0] for text in values]
    return np.array(ids, np.int64), False


def id_of(value: object) -> tuple[int, bool]:
    """(an id as int64, whether it is a number); a missing one is NO_ID.

    Text that is no such number is digested to 63 bits: two ids among a million share one with a chance below 1e-7.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value)
    if text.lower() in _NO_IDS:
        return NO_ID, False
    if text.isascii() and text.removeprefix("-").isdecimal() and -(2**63) <= int(text) < 2**63:
        return int(text), True
    return digest_of(text), False


def digest_of(text: str) -> int:
    """63 bits of a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big") >> 1


def _whole(table: pa.Table, name: str) -> pa.Array:
    """A column in one piece, dictionaries decoded."""
    column = table[name]
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)


def _decoded(column: pa.Array) -> pa.Array:
    """A column of categories as the values they stand for."""
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def number_column(column: pa.Array, field: str) -> np.ndarray:
    """A column of numbers, or of text that spells them, as float64; missing ones are NaN."""
    column = _decoded(column)
    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (number or _is_text(kind) or pa.types.is_null(kind)):
        raise TypeError(f"{field} must be numbers, got a column of {kind}")
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowException:
        row = next(row for row, text in enumerate(column.to_pylist()) if text is not None and _cell_kind(text) != "n")
        raise TypeError(describe_row(row, None, field, column[row].as_py(), "a number")) from None


def time_column(column: pa.Array) -> np.ndarray:
    """A column of numbers in s, ms, us or ns, of timestamps or of ISO text as int64 ms; missing ones raise."""
    column = _decoded(column)
    kind = column.type
    if column.null_count:
        fail_row(column.is_null().index(True).as_py(), None, "time", None, _TIME_ALLOWED)
    if _is_text(kind):
        column = _text_times(column)
    elif pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
    elif not (pa.types.is_timestamp(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TypeError(f"time must be numbers, timestamps or ISO text, got a column of {kind}")
    if pa.types.is_timestamp(column.type):
        zone = column.type.tz
        time = column.cast(pa.timestamp("ms", zone), safe=False).cast(pa.int64()).to_numpy(zero_copy_only=False)
        check_ms(time)
        return np.asarray(time)
    return ms_from_numbers(column.to_numpy(zero_copy_only=False))


def _text_times(column: pa.Array) -> pa.Array:
    """Numbers or ISO text, with or without a zone (without: UTC), the same throughout."""
    for kind in (pa.int64(), pa.float64(), pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
        try:
            return column.cast(kind)
        except pa.ArrowException:
            continue
    for row, text in enumerate(column.to_pylist()):
        try:
            datetime.fromisoformat(text)
        except ValueError:
            fail_row(row, None, "time", text, "a number or ISO 8601 text")
    raise ValueError("time: found text with and without a zone, allowed one form throughout")


def side_column(column: pa.Array, name: str, meaning: Mapping[str, int] | None = None) -> np.ndarray:
    """A column of sides as int8 +1 (the aggressor bought) and -1; ``meaning`` stands in for the usual words."""
    maker = meaning is None and normal_name(name) in MAKER_NAMES
    allowed = "true or false" if maker else "A, B, buy, sell, b, s, bid, ask, +1 or -1"
    if meaning is None:
        meaning = MAKER_SIDES if maker else SIDES
    else:
        allowed = ", ".join(meaning)
    if pa.types.is_boolean(column.type) and not maker:
        raise TypeError(f"side must be {allowed}, got a column of {column.type}")
    if pa.types.is_null(column.type):
        fail_row(0, None, "side", None, allowed)
    coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
    values = coded.dictionary.to_pylist()
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    signs = np.array([meaning.get(str(value).strip().lower(), 0) for value in values] + [0], np.int8)
    sides: np.ndarray = signs[codes]
    if not sides.all():
        row = int((sides == 0).argmax())
        fail_row(row, None, f"side (column {name!r})", column[row].as_py(), allowed, int((sides == 0).sum()) - 1)
    return sides


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
