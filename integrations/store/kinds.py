"""The tables that are kept and handed out, a kind each.

Sides are the taker's, sizes base coins, times UTC milliseconds. A table says so in its schema's metadata
(``liquidator: normalised``), so that whoever reads it need not know the venue's own ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liquidator_core import TRADE, Params
from liquidator_core.tape import bars_from_trades

from ..market.funding import intervals, usual_hours

NORMALISED = {b"liquidator": b"normalised"}

_NUMBERS = pa.float64()
_NAME = pa.dictionary(pa.int32(), pa.string())
#: The columns of each kind; ``venue`` and ``symbol`` follow, and ``usd`` before them where the venue tells it. A rate
#: of funding is as its venue tells it; ``interval_hours`` behind it says of how many hours.
COLUMNS: dict[str, dict[str, pa.DataType]] = {
    "candles": {
        "time": pa.int64(),
        **dict.fromkeys(("open", "high", "low", "close", "volume", "taker_buy"), _NUMBERS),
    },
    "trades": {"time": pa.int64(), "price": _NUMBERS, "size": _NUMBERS, "side": _NAME, "id": pa.string()},
    "funding": {"time": pa.int64(), "funding_rate": _NUMBERS},
    "open_interest": {"time": pa.int64(), "open_interest": _NUMBERS},
    "liquidations": {"time": pa.int64(), "price": _NUMBERS, "size": _NUMBERS, "side": _NAME, "usd": _NUMBERS},
}
KINDS = tuple(COLUMNS)
#: The last of a key where rows may be alike and each count: the how manieth of those like it a row is in its table.
NTH = "nth"
#: Of vendors, who tell liquidations as sums an interval.
SUMS = "liquidated"
COLUMNS[SUMS] = {"time": pa.int64(), "long_usd": _NUMBERS, "short_usd": _NUMBERS}
_FIRST_MS, _LAST_MS = 10**11, 10**14  # 1973 to 5138: what is no time in ms lies outside

Page = dict[str, Any]
Columns = Mapping[str, Any]  # name -> array, list or Arrow array, of one length


def key_of(kind: str) -> tuple[str, ...]:
    """What tells rows of a kind apart: columns, and ``NTH``; ``candles-1m`` is of the kind ``candles``."""
    kind = kind.partition("-")[0]
    return {"trades": ("time", "id"), "liquidations": ("time", "price", "size", "side", NTH)}.get(kind, ("time",))


def table_of(kind: str, columns: Columns, venue: str, symbol: str) -> pa.Table:
    """A page of a venue's rows as a table."""
    types = dict(COLUMNS[kind])
    types |= {name: _NUMBERS for name in ("usd", "interval_hours") if name in columns}
    arrays = {name: _array(columns[name], kind_of) for name, kind_of in types.items()}
    rows = len(arrays["time"])
    for name, text in (("venue", venue), ("symbol", symbol)):
        arrays[name] = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([text]))
    return pa.table(arrays)


def empty(kind: str) -> pa.Table:
    """A table of a kind without rows."""
    types = {**COLUMNS[kind], "venue": _NAME, "symbol": _NAME}
    return pa.table({name: pa.array([], kind_of) for name, kind_of in types.items()})


def with_receipts(table: pa.Table, receipts: Sequence[int | None]) -> pa.Table:
    """A table with ``received``, when each row came, ms; None where that was not seen."""
    return table.append_column("received", pa.array(receipts, pa.int64()))


def finished(table: pa.Table) -> pa.Table:
    """A table as it is handed out: marked as normalised, with the intervals of funding rates."""
    if "funding_rate" in table.column_names:
        table = _with_intervals(table)
    return table.unify_dictionaries().combine_chunks().replace_schema_metadata(NORMALISED)


def _with_intervals(table: pa.Table) -> pa.Table:
    """A table of funding rates, each of an interval that was told, else of as long as rates lie apart near by."""
    name = "interval_hours"
    told = table[name].to_numpy() if name in table.column_names else np.full(len(table), np.nan)
    usual = usual_hours(str(table["venue"][0].as_py())) if len(table) else np.nan
    hours = pa.array(intervals(table["time"].to_numpy(), told, usual), _NUMBERS)
    if name in table.column_names:
        table = table.drop_columns([name])
    return table.add_column(table.column_names.index("funding_rate") + 1, name, hours)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    array = values if isinstance(values, pa.Array) else pa.array(values)
    return array if array.type == kind else array.cast(kind)


def checked(kind: str, page: Page) -> Page:
    """A page whose columns are as long as each other. Raises ValueError for a time, a price or a size that is none."""
    time = page["time"]
    for name in COLUMNS[kind]:
        if len(page[name]) != len(time):
            raise ValueError(f"{name}: found {len(page[name])} rows, allowed {len(time)}")
    if len(time) == 0:
        return page
    if time.min() < _FIRST_MS or time.max() >= _LAST_MS:
        raise ValueError(f"time: found {time.min()} to {time.max()}, allowed ms since the epoch")
    for name in page.keys() & {"price", "size", "open", "high", "low", "close"}:
        values = page[name]
        if not (values.min() > 0.0 and values.max() < np.inf):
            raise ValueError(f"{name}: found {values.min()} to {values.max()}, allowed finite numbers above 0")
    return page


def candles_of(table: pa.Table, step: int, until: int) -> dict[str, np.ndarray]:
    """The columns of the candles that trades make, flat ones included, from the first trade's on.

    table   trades in order of time, all before ``until``
    step    ms of a candle; ``until`` is a multiple of it
    """
    rows = np.zeros(len(table) + 1, TRADE)
    for name in ("time", "price", "size"):
        rows[name][:-1] = table[name].to_numpy()
    rows["side"][:-1] = np.where(pc.equal(table["side"], "buy").to_numpy(), 1, -1)
    rows[-1] = (until, rows["price"][-2], rows["size"][-2], 1)  # closes the last candle
    bars = bars_from_trades(rows, Params(tape_ms=step))
    return {name: bars[name].copy() for name in COLUMNS["candles"]}
