"""Columns of anything that holds rows with names: numbers, times, sides and ids as arrays."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .messages import TableError, describe_row, fail_row
from .names import MAKER_NAMES, MAKER_SIDES, SIDES, normal_name
from .times import TIME_ALLOWED, ms_from_numbers, ms_from_text, ms_from_timestamps

#: Stands for the id of an event that has none.
NO_ID = -1
_LONGEST_NUMBER = len(str(-(2**63)))
_NO_IDS = ("", "none", "nan", "<na>", "nat")


def cell_kind(cell: str) -> str:
    if cell.lower() in ("true", "false"):
        return "b"
    try:
        float(cell)
    except ValueError:
        return "?"
    return "n"


def columns_of(data: Any) -> tuple[list[str], Callable[[str], pa.Array]]:
    """(names, a function that gives the column of a name) of anything that holds columns or rows with names.

    A frame (pandas, polars), a ``pyarrow.Table``, a structured array, a mapping of columns, or any iterable of
    mappings, not all of which need have every name. A pandas frame without a column ``time`` gives its DatetimeIndex as
    that. Raises TypeError for anything else and, naming the row, for a column whose values are of no one type;
    TableError for columns of unequal length.
    """
    if isinstance(data, np.ndarray) and data.dtype.names:
        names = list(data.dtype.names)
        return names, lambda name: _array(np.ascontiguousarray(data[name]), name)
    if isinstance(data, Mapping):
        by_name = {str(name): values for name, values in data.items()}
        check_lengths(by_name)
        return list(by_name), lambda name: _array(by_name[name], name)
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
    if isinstance(data, (str, bytes)) or not hasattr(data, "__iter__") or getattr(data, "shape", None) == ():
        raise TypeError(f"expected rows with names, columns or a table, got {type(data).__name__}")
    rows = list(data)
    kinds = {kind for kind in set(map(type, rows)) if not issubclass(kind, Mapping)}
    for row, values in enumerate(rows if kinds else ()):
        if type(values) in kinds:
            raise TypeError(f"row {row}: found {values!r:.80}, allowed a mapping of names to values")
    names = list(map(str, dict.fromkeys(chain.from_iterable(rows))))
    return names, lambda name: _array([values.get(name) for values in rows], name)


def check_lengths(columns: Mapping[str, Any]) -> None:
    """Raise TableError unless every value is a column, and all are of one length."""
    lengths = {}
    for name, values in columns.items():
        whole = isinstance(values, (str, bytes, Mapping)) or (isinstance(values, np.ndarray) and values.ndim != 1)
        if whole or not hasattr(values, "__len__"):
            raise TableError(f"column {name!r}: found {values!r:.80}, allowed as many values as the other columns have")
        lengths[name] = len(values)
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
        raise TableError(f"columns must be of one length, found {found}")


def reusable(data: Any) -> Any:
    """What can be read more than once: ``data``, or what it gives if it gives it but once."""
    if hasattr(data, "__next__"):
        return pa.table(data) if hasattr(data, "__arrow_c_stream__") else list(data)
    return data


class ColumnError(TypeError):
    """A column of several types; the row that is named is one of the whole table, whoever reads some of them."""


def _array(values: Any, name: str) -> pa.Array:
    objects = isinstance(values, list) or np.dtype(object) == getattr(values, "dtype", None)
    if objects and len(values) and isinstance(next(iter(values)), str):
        with contextlib.suppress(pa.ArrowException, TypeError, ValueError):  # nothing to infer, no look at every type
            return _in_one_piece(pa.array(values, pa.string(), from_pandas=True))
    kinds = set(map(type, values)) - {type(None)} if objects else set()
    if len(kinds) > 1 and any(issubclass(kind, np.generic) for kind in kinds):
        values = [_python_value(value) for value in values]  # a mixture with NumPy's own can crash pyarrow
        kinds = set(map(type, values)) - {type(None)}
    try:
        if len(kinds) > 1 and (bool in kinds or any(issubclass(kind, np.generic) for kind in kinds)):
            raise TypeError
        return _in_one_piece(pa.array(values, from_pandas=True))
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        pass
    values = list(values)
    names = [type(value).__name__ for value in values]
    other = (row for row, kind in enumerate(names) if kind not in (names[0], "NoneType"))
    row = next(other, max(range(len(names)), key=lambda row: len(str(values[row]))))  # else one that is too large
    found = f"found {values[row]!r:.80}"
    raise ColumnError(f"row {row}, {name}: {found}, allowed one type throughout: row 0 has {names[0]}")


def _python_value(value: Any) -> Any:
    """A number or a truth value of NumPy's as one of Python's; anything else as it is."""
    if isinstance(value, np.generic) and not isinstance(value, (np.datetime64, np.timedelta64)):
        return value.item()
    return value


def _in_one_piece(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    if not isinstance(column, pa.ChunkedArray):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def different_values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """The different values of a column, in order of appearance."""
    column = _in_one_piece(column)
    if pa.types.is_nested(column.type):
        raise TypeError(f"found a column of {column.type}, allowed one of text or numbers")
    column = column if pa.types.is_dictionary(column.type) else plain(column)
    return [value for value in column.unique().to_pylist() if value is not None]


def id_column(column: pa.Array) -> tuple[np.ndarray, bool]:
    """(ids as int64, whether they are numbers, which have an order); missing ones are NO_ID. See ``id_of``."""
    column = plain(column)
    if pa.types.is_fixed_size_binary(column.type) or pa.types.is_binary(column.type):  # as a store's files have text
        with contextlib.suppress(pa.ArrowException):
            column = column.cast(pa.string())
    if _is_text(column.type) or pa.types.is_floating(column.type) or pa.types.is_integer(column.type):
        with contextlib.suppress(pa.ArrowException):
            return column.cast(pa.int64()).fill_null(NO_ID).to_numpy(zero_copy_only=False), True
    if pa.types.is_temporal(column.type):
        column = column.cast(pa.string())  # Python knows no dates outside its years
    values = map(str, column.to_pylist())
    ids = [digest_of(text) if len(text) > _LONGEST_NUMBER else id_of(text)[0] for text in values]
    return np.array(ids, np.int64), False


def id_of(value: object) -> tuple[int, bool]:
    """(an id as int64, whether it is a number); a missing one is NO_ID.

    Text that is no such number is digested to 63 bits: two ids among a million share one with a chance below 1e-7.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    if text.lower() in _NO_IDS:
        return NO_ID, False
    if text.isascii() and text.removeprefix("-").isdecimal() and -(2**63) <= int(text) < 2**63:
        return int(text), True
    return digest_of(text), False


def digest_of(text: str) -> int:
    """63 bits of a text, the same in every process."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") >> 1


def plain(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column in one piece, of values themselves: no dictionary, no runs, no views, no extension of a tool's own."""
    column = _in_one_piece(column)
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if pa.types.is_run_end_encoded(column.type):
        column = pc.run_end_decode(column)
    if pa.types.is_dictionary(column.type):  # taken by hand, since pyarrow decodes signed indices alone
        column = plain(column.dictionary).take(column.indices.cast(pa.int64()))
    if pa.types.is_string_view(column.type):
        column = column.cast(pa.large_string())
    if pa.types.is_float16(column.type):
        column = pa.array(column.to_numpy(zero_copy_only=False).astype(np.float64), from_pandas=True)
    return column


def coded(column: pa.Array) -> tuple[list[Any], np.ndarray]:
    """(different values of a column, which of them each row has: (n,) integers, -1 for a missing one)."""
    column = _in_one_piece(column)
    if not pa.types.is_dictionary(column.type):
        column = plain(column)
        if pa.types.is_nested(column.type):  # which pyarrow does not encode
            column = pa.array(map(str, column.to_pylist()))
        column = column.dictionary_encode()
    codes = column.indices
    if pa.types.is_unsigned_integer(codes.type):
        codes = codes.cast(pa.int64())
    return plain(column.dictionary).to_pylist(), codes.fill_null(-1).to_numpy(zero_copy_only=False)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def number_column(column: pa.Array, field: str) -> np.ndarray:
    """A column of numbers, or of text that spells them, as float64; missing ones are NaN."""
    column = plain(column)
    kind = column.type
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if not (number or _is_text(kind) or pa.types.is_null(kind)):
        raise TypeError(f"{field} must be numbers, got a column of {kind}")
    if not _is_text(kind):
        return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)
    try:
        return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False), np.float64)
    except pa.ArrowException:
        return _spelt_numbers(column.to_pylist(), field)


def spelt_number(text: str) -> float:
    """The number that a text spells in plain digits, blanks around it aside; ValueError for any other text."""
    if not text.isascii() or "_" in text:  # Python reads 1_000 and digits of any script
        raise ValueError(f"found {text!r:.80}, allowed a number")
    return float(text)


def _spelt_numbers(texts: list[str | None], field: str) -> np.ndarray:
    values = np.full(len(texts), np.nan)
    wrong = []
    for row, text in enumerate(texts):
        try:
            values[row] = np.nan if text is None else spelt_number(text)
        except ValueError:
            wrong.append(row)
    if wrong:
        raise TypeError(describe_row(wrong[0], None, field, texts[wrong[0]], "a number", len(wrong) - 1))
    return values


def time_column(column: pa.Array) -> np.ndarray:
    """A column of numbers in s, ms, us or ns, of digits of dates, of timestamps or of text as int64 ms; see ``times``.

    Missing ones raise.
    """
    column = plain(column)
    kind = column.type
    if column.null_count:
        fail_row(column.is_null().index(True).as_py(), None, "time", None, TIME_ALLOWED, column.null_count - 1)
    if len(column) == 0:
        return np.zeros(0, np.int64)
    if _is_text(kind):
        return ms_from_text(column)
    if pa.types.is_date(kind):
        column = column.cast(pa.timestamp("ms"))
    if pa.types.is_timestamp(column.type):
        return ms_from_timestamps(column)
    if pa.types.is_decimal(kind):
        column = column.cast(pa.float64())
    elif not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise TypeError(f"time must be numbers, timestamps or ISO text, got a column of {kind}")
    return ms_from_numbers(column.to_numpy(zero_copy_only=False))


def side_column(column: pa.Array, name: str, meaning: Mapping[str, int] | None = None) -> np.ndarray:
    """A column of sides as int8 +1 (the aggressor bought) and -1; ``meaning`` stands in for the usual words."""
    maker = meaning is None and normal_name(name) in MAKER_NAMES
    allowed = "true or false" if maker else "A, B, buy, sell, b, s, bid, ask, +1 or -1"
    if meaning is None:
        meaning = MAKER_SIDES if maker else SIDES
    else:
        allowed = ", ".join(meaning)
    column = _in_one_piece(column)
    column = column if pa.types.is_dictionary(column.type) else plain(column)
    kind = column.type
    if (pa.types.is_boolean(kind) and not maker) or pa.types.is_nested(kind) or pa.types.is_temporal(kind):
        raise TypeError(f"side must be {allowed}, got a column of {column.type}")
    if pa.types.is_null(column.type):
        fail_row(0, None, "side", None, allowed)
    values, codes = coded(column)
    signs = np.array([meaning.get(str(value).strip().lower(), 0) for value in values] + [0], np.int8)
    sides: np.ndarray = signs[codes]
    if not sides.all():
        row = int((sides == 0).argmax())
        fail_row(row, None, f"side (column {name!r})", column[row].as_py(), allowed, int((sides == 0).sum()) - 1)
    return sides


Events: TypeAlias = (
    Any  # rows with names, columns, a frame, an Arrow table, a structured array; see ``files.columns_of``
)
