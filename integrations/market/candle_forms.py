"""Candles of any form as a frame: rows, columns, tables, messages."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.types import is_datetime64_any_dtype, is_numeric_dtype

from .bare_rows import ROWS_LOOKED_AT, names_of_rows
from .columns import check_lengths, plain
from .messages import TableError, first_line
from .names import normal_name
from .streams import candles_in

_PRICES = ("open", "high", "low", "close")


def as_frame(candles: Any) -> pd.DataFrame:
    """Any accepted form but BAR as a frame with one level of column names."""
    candles = candles_in(candles)
    if not isinstance(candles, (pd.DataFrame, pd.Series)) and hasattr(candles, "__arrow_c_stream__"):
        candles = _plain_table(pa.table(candles)).to_pandas()
    elif hasattr(candles, "to_pandas"):
        candles = candles.to_pandas()
    elif isinstance(candles, Mapping):
        candles = _frame_of_columns(candles)
    elif isinstance(candles, (list, tuple)):
        candles = _frame_of_rows(candles)
    elif isinstance(candles, np.ndarray) and candles.ndim == 2:
        candles = pd.DataFrame(candles)
    if not isinstance(candles, pd.DataFrame):
        hint = ": read_bars reads files" if isinstance(candles, (str, os.PathLike)) else ""
        raise TypeError(
            "candles must be a pandas frame, rows [ms, open, high, low, close, volume], columns or a BAR array, "
            f"got {type(candles).__name__}{hint}"
        )
    if isinstance(candles.index, pd.MultiIndex):  # of market and time
        _check_levels(candles.index)
        levels = [name for name in candles.index.names if name is not None and name not in candles.columns]
        candles = candles.reset_index(levels)
    if len(candles) and list(candles.columns) == list(range(len(candles.columns))):
        return candles.set_axis(names_of_rows(candles[:ROWS_LOOKED_AT].to_numpy(object).tolist()), axis=1)
    return candles if candles.columns.nlevels == 1 else _one_symbol(candles)


def _check_levels(index: pd.MultiIndex) -> None:
    """Raise TableError for a level without a name that may say whose candles they are."""
    for level, name in enumerate(index.names):
        kind = index.levels[level].dtype
        if name is None and len(index) and not (is_datetime64_any_dtype(kind) or is_numeric_dtype(kind)):
            raise TableError(
                f"level {level} of the index: found no name and values such as {index[0][level]!r:.80}, allowed "
                "without a name are times: name the levels, such as symbol and date"
            )


def _plain_table(table: pa.Table) -> pa.Table:
    """A table without the kinds of columns that pandas or the way to it do not know."""
    for index, field in enumerate(table.schema):
        if not _has_pandas_kind(field.type):
            table = table.set_column(index, field.name, plain(table.column(index)))
    return table


def _has_pandas_kind(kind: pa.DataType) -> bool:
    tests = (pa.types.is_dictionary, pa.types.is_run_end_encoded, pa.types.is_string_view, pa.types.is_float16)
    return not (isinstance(kind, pa.BaseExtensionType) or any(test(kind) for test in tests))


def _frame_of_columns(columns: Mapping[Any, Any]) -> pd.DataFrame:
    """A mapping of columns as a frame: values go by their place, not by the labels of an index."""
    check_lengths({str(name): values for name, values in columns.items()})
    series = [values for values in columns.values() if isinstance(values, pd.Series)]
    if any(not one.index.equals(series[0].index) for one in series):
        columns = {
            name: values.reset_index(drop=True) if isinstance(values, pd.Series) else values
            for name, values in columns.items()
        }
    return _frame_of(columns)


def _frame_of(data: Any) -> pd.DataFrame:
    try:
        return pd.DataFrame(data)
    except (ValueError, TypeError) as error:  # of names and texts that are no Unicode
        raise TypeError(f"candles cannot be read as a table: {first_line(error)}") from None


def _frame_of_rows(rows: Sequence[Any]) -> pd.DataFrame:
    for row, values in enumerate(rows):
        if isinstance(values, Mapping):
            continue
        if isinstance(values, str) or not hasattr(values, "__len__"):
            raise TypeError(f"row {row}: found {values!r}, allowed [ms, open, high, low, close, volume]")
        if len(values) != len(rows[0]):
            raise ValueError(f"row {row}: found {len(values)} values, allowed as many as row 0 has, {len(rows[0])}")
    return _frame_of(list(rows))


def _one_symbol(frame: pd.DataFrame) -> pd.DataFrame:
    """yfinance's frame of one symbol, its columns (price, symbol) or (symbol, price), with the prices' names alone."""
    levels = [frame.columns.get_level_values(level) for level in range(frame.columns.nlevels)]
    fields = next((names for names in levels if {*_PRICES} <= set(map(normal_name, names))), None)
    if fields is None or any(names is not fields and names.nunique() > 1 for names in levels):
        some = ", ".join(map(str, frame.columns[:6]))
        raise ValueError(f"columns must have one level, or be those of one symbol; found {some}: pick one symbol")
    return frame.set_axis(fields, axis=1)
