"""Candles to a frame that says how far higher timeframes agree with their nearest zones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.alignment import overlap, share
from liquidator_core.timeframes import TIMEFRAMES, bar_spans, known_from, step_ms, timeframe_ms, to_timeframe
from liquidator_core.zones import zones_of

from ..market.candles import Candles, Columns, OnBad
from .checked import KINDS, checked_bars


def alignment_columns(
    candles: Candles, timeframes: Sequence[str], params: Params | None = None, on_bad: OnBad = "raise"
) -> pd.DataFrame:
    """Candles to a frame of how far higher timeframes agree with their nearest zones, as a strategy could know it.

    candles     as for ``bars_from_frame``, of one timeframe that fits into all the others
    timeframes  higher ones, at least one
    params      of every timeframe; defaults if None

    Returns float64 columns ``support_alignment`` and ``resistance_alignment`` of the candles' length and index, 0 to
    100: the share of the timeframes with a live zone that overlaps that of the row's signal, as of their last bar that
    had closed when the candle did. NaN where there is no such zone, and until every timeframe has had ``params.memory``
    bars.
    A row depends on the last ``memory + 2`` bars of the longest timeframe. Raises as ``bars_from_frame`` and
    ``liquidator_core.timeframes.to_timeframe``. Cost: that of ``fold`` and some 30 us a bar of each timeframe.

    >>> small = Params(ledger_bars=47, flow_bars=24, zone_bars=48)
    >>> list(alignment_columns(bars, ["4h"], small).tail(1).round().iloc[0])
    [0.0, 0.0]
    """
    bars, params = checked_bars(candles, params, None, on_bad)
    if isinstance(timeframes, str) or len(timeframes) == 0:
        raise ValueError(f"timeframes must be at least one of {', '.join(TIMEFRAMES)} in a list, got {timeframes!r}")
    step = step_ms(bars["time"])
    record = params.to_record()
    signals = new_signals(len(bars))
    fold(new_state(record), record, bars, signals)
    overlaps: dict[str, list[np.ndarray]] = {kind: [] for kind in KINDS}
    for timeframe in timeframes:
        if timeframe_ms(timeframe) <= step:
            raise ValueError(f"timeframes must be longer than the candles' {step} ms, got {timeframe}")
        for kind, found in _overlaps(bars, step, timeframe, params, signals).items():
            overlaps[kind].append(found)
    index = candles.index if isinstance(candles, pd.DataFrame) else None
    return pd.DataFrame({f"{kind}_alignment": share(found) for kind, found in overlaps.items()}, index=index)


def _overlaps(bars: np.ndarray, step: int, timeframe: str, params: Params, signals: np.ndarray) -> Columns:
    """Whether each row's nearest support and resistance overlap a zone of a timeframe; NaN where that is not warm."""
    higher = to_timeframe(bars, timeframe)
    _, end = bar_spans(higher["time"], timeframe)
    edges = np.r_[known_from(bars["time"], end, step), len(bars)]
    record = params.to_record()
    state = new_state(record)
    out = new_signals(1)
    found = {kind: np.full(len(bars), np.nan) for kind in KINDS}
    for place in range(len(higher)):
        fold(state, record, higher[place : place + 1], out)
        if place + 1 < params.memory:
            continue
        rows = slice(int(edges[place]), int(edges[place + 1]))
        zones = zones_of(state, record)
        for kind in KINDS:
            found[kind][rows] = overlap(signals[f"{kind}_low"][rows], signals[f"{kind}_high"][rows], zones)
    return found
