"""Candles to a frame of their SIGNAL rows."""

from __future__ import annotations

import itertools
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from liquidator_core import SIGNAL, Params, fold, new_signals, new_state

from ..market.candles import Candles, OnBad, Rows, bars_of
from .checked import checked_rows

_PART = 20_000  # bars that are worth a thread; more than any memory
_BLOCK = 2048  # bars folded at a time: they stay in the cache, and threads seldom wait for each other to hand over


def signal_columns(
    candles: Candles,
    params: Params | None = None,
    marks: pd.DataFrame | None = None,
    on_bad: OnBad = "raise",
    market: str = "",
) -> pd.DataFrame:
    """The SIGNAL of every candle: a frame with the fields of ``liquidator_core.SIGNAL``, in order.

    candles   as for ``bars_from_frame``
    params    defaults if None
    marks     zones are made from these (see ``bars_with_marks``) instead of from the candles' events
    on_bad, market    as for ``bars_from_frame``

    Returns a new frame, float64 and int64, of the candles' length and index (a RangeIndex if they have none). The first
    ``params.memory - 1`` rows are NaN and 0; a row depends on the ``memory`` candles up to it. Raises as
    ``bars_from_frame``. Warns (UserWarning, once a process) of Params such as ``use_funding`` that ask for a feed which
    the candles do not have. Cost: that of ``fold``, about 1 us a candle, divided by the processors for long series.

    >>> columns = signal_columns(candles)
    >>> columns[["support", "resistance"]].tail(1).round(1).values.tolist()
    [[7268.2, 7330.5]]
    """
    rows, params = checked_rows(candles, params, marks, on_bad, market)
    index = candles.index if isinstance(candles, pd.DataFrame) else pd.RangeIndex(len(rows["time"]))
    tables = _signal_tables(rows, params)
    return pd.concat([pd.DataFrame(table.T, index, names, copy=False) for names, table in tables], axis=1)


def _signal_tables(rows: Rows, params: Params) -> list[tuple[list[str], np.ndarray]]:
    """(fields, (fields, n) values) of the SIGNAL of every row: a table for each run of fields of one type, in order.

    Long series are folded in parts side by side, as a row depends on ``memory`` rows alone; and in blocks, which stay
    in the processor's cache until they are written to the tables.
    """
    record = params.to_record()
    count = len(rows["time"])
    words = np.empty((SIGNAL.itemsize // 8, count))
    parts = max(1, min(os.cpu_count() or 1, count // _PART))
    edges = [count * part // parts for part in range(parts + 1)]

    def fold_part(first: int, last: int) -> None:
        state = new_state(record)
        before = bars_of(rows, max(0, first - params.memory + 1), first)
        fold(state, record, before, new_signals(len(before)))
        bars = bars_of(rows, first, last)
        block = new_signals(min(_BLOCK, last - first))
        for start in range(first, last, _BLOCK):
            end = min(start + _BLOCK, last)
            part = block[: end - start]
            fold(state, record, bars[start - first : end - first], part)
            words[:, start:end] = part.view("f8").reshape(len(part), -1).T

    if parts == 1:
        fold_part(0, count)
    else:
        with ThreadPoolExecutor(parts) as pool:
            list(pool.map(fold_part, edges[:-1], edges[1:]))
    tables, first = [], 0
    for kind, some in itertools.groupby(SIGNAL.names or (), lambda name: SIGNAL[name]):
        names = list(some)
        tables.append((names, words[first : first + len(names)].view(kind)))
        first += len(names)
    return tables
