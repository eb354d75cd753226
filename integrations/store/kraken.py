"""Kraken's dumps of trades, rows of time, price and volume without a side: read a part at a time, to candles."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv

from ..market.messages import first_line
from .vision import amounts, check_rows, positive, step_of

_TYPES = {"time": pa.float64(), "price": pa.float64(), "volume": pa.float64()}
_ROW = re.compile(rb"\d{9,10}(\.\d+)?(,\d[\d.eE+-]*){2}\s*")
_READ = 1 << 24  # bytes at once
_LAST_S = 1e11
_NAME = re.compile(r"(?P<symbol>[A-Z0-9]{4,})(_(?P<minutes>\d+))?\.csv")


def named(path: Path) -> tuple[str, int]:
    """(the symbol, the minutes of candles or 0) that a dump's name says; "" for any other name."""
    found = _NAME.fullmatch(path.name)
    return (found["symbol"], int(found["minutes"] or 0)) if found else ("", 0)


def is_folder(path: Path) -> bool:
    """Whether a folder of a path says that it is Kraken's: Kraken_Trading_History, kraken."""
    return any("kraken" in part.lower() for part in path.parts[:-1])


def holds_trades(path: Path) -> bool:
    """Whether a file's first row is that of a dump of trades."""
    with path.open("rb") as file:
        return path.suffix == ".csv" and _ROW.fullmatch(file.readline(200)) is not None


def read_trades(path: Path, kind: str) -> dict[str, Any]:
    """The candles that a dump's trades make, ``candles-1m``; there is none where nothing was traded.

    ``taker_buy`` is unknown: no row says who bought. Raises ValueError for times that go back and values that are none.
    Cost: one pass; the candles and a part of the file are in memory.
    """
    step, rows, last = step_of(kind), 0, 0.0
    parts = []
    options = pa_csv.ReadOptions(column_names=list(_TYPES), block_size=_READ)
    try:
        with pa_csv.open_csv(path, options, convert_options=pa_csv.ConvertOptions(column_types=_TYPES)) as reader:
            for batch in reader:
                table = pa.table(batch)
                (seconds,) = amounts(table, "time", first=rows)
                check_rows(seconds < _LAST_S, "time", "seconds", rows)
                check_rows(np.diff(seconds, prepend=last) >= 0.0, "time", "one not before the row above", rows)
                (price,) = positive(table, "price", first=rows)
                (volume,) = amounts(table, "volume", first=rows)
                time = np.rint(seconds * 1e6).astype(np.int64) // 1000
                parts.append(_folded(step, time, price, price, price, price, volume))
                rows, last = rows + len(time), float(seconds[-1])
    except pa.ArrowException as error:
        raise ValueError(f"cannot be read: {first_line(error)}") from None
    names = ("time", "open", "high", "low", "close", "volume")
    columns = dict(zip(names, _folded(step, *map(np.concatenate, zip(*parts, strict=True))), strict=True))
    return {**columns, "taker_buy": np.full(len(columns["time"]), np.nan)}


def _folded(
    step: int,
    time: np.ndarray,
    opened: np.ndarray,
    high: np.ndarray,
    low: np.ndarray,
    close: np.ndarray,
    volume: np.ndarray,
) -> tuple[np.ndarray, ...]:
    """Rows in order of time as one a step: of candles those of a longer step."""
    begin = time - time % step
    first = np.flatnonzero(np.diff(begin, prepend=-1))
    last = np.r_[first[1:], len(time)] - 1
    highest, lowest = np.maximum.reduceat(high, first), np.minimum.reduceat(low, first)
    return begin[first], opened[first], highest, lowest, close[last], np.add.reduceat(volume, first)
