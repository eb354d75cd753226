"""Candles made of what is kept: of shorter candles, or of trades."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from liquidator_core import BAR
from liquidator_core.timeframes import timeframe_ms, to_timeframe

from .coverage import Gap
from .kinds import COLUMNS, candles_of, empty, table_of
from .layout import Span

_FIELDS = tuple(COLUMNS["candles"])


def made(rows: pa.Table, gaps: list[Gap], timeframe: str, venue: str, symbol: str, spans: list[Span]) -> pa.Table:
    """The closed candles of a timeframe from trades, or from candles of one that divides it.

    rows    in order of time; gaps in them, and the spans that they cover

    Candles that a gap touches, or that the spans do not cover whole, are left out.
    """
    step = timeframe_ms(timeframe)
    until = spans[-1].until // step * step if spans else 0
    when = rows["time"].to_numpy()
    if len(when) == 0 or when[0] >= until:
        return empty("candles")
    if "price" in rows.column_names:
        columns = candles_of(rows.slice(0, int(np.searchsorted(when, until))), step, until)
        holes = [(gap.since, gap.until + 1) for gap in gaps]
    else:
        columns = _merged(rows, timeframe)
        lower = int(np.diff(when).min(initial=step))
        there = np.isin([gap.since for gap in gaps], when)
        holes = [(gap.since + lower * row, gap.until) for gap, row in zip(gaps, there.tolist(), strict=True)]
    time = columns["time"]
    whole = np.zeros(len(time), bool)
    for since, end in _joined(spans):
        whole |= (time >= since) & (time + step <= end)
    for since, end in holes:
        whole &= (time + step <= since) | (time >= end)
    return table_of("candles", {name: columns[name][whole] for name in _FIELDS}, venue, symbol)


def _merged(rows: pa.Table, timeframe: str) -> dict[str, np.ndarray]:
    bars = np.zeros(len(rows), BAR)
    for name in BAR.names or ():
        bars[name] = rows[name].to_numpy() if name in _FIELDS else np.nan
    higher = to_timeframe(bars, timeframe)
    return {name: higher[name].copy() for name in _FIELDS}


def _joined(spans: list[Span]) -> list[tuple[int, int]]:
    """Spans in order, whatever proves them, as few as there are."""
    joined: list[tuple[int, int]] = []
    for since, until, _ in spans:
        if joined and joined[-1][1] == since:
            joined[-1] = joined[-1][0], until
        else:
            joined.append((since, until))
    return joined
