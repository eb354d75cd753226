"""What is known as of an instant: zones and levels of a timeframe."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from liquidator_core import Params, zones_of
from liquidator_core.alignment import alignment
from liquidator_core.layout import BINS_PER_LOG, CELL_BINS
from liquidator_core.record import cells_at, record
from liquidator_core.timeframes import TIMEFRAMES, bar_spans
from liquidator_core.zones import marks_of

from ..market.messages import moment
from ..market.times import ms_of
from ..tables.zone_schema import Context, as_users_see, zone_rows
from ..tables.zones import grid_frame, zone_rows_to_frame
from .bars import Bars
from .timeframes import Engine, Timeframes


def context_at(
    frames: Timeframes,
    timeframe: str,
    params: Params,
    pct_merge: float | None,
    as_of: Any = None,
    end: int | None = None,
) -> Context:
    """What zones are told from: as of the last row, of a time, or of the row before a position."""
    bars = frames.bars(timeframe)
    rows, until = bars.rows, None
    if as_of is not None:
        until = ms_of(as_of)
        closed_by = bar_spans(rows.time, timeframe)[1]
        end = rows.first + int(np.searchsorted(closed_by, until, side="right"))
        if rows.first and end - rows.first < params.memory:
            raise ValueError(f"as_of {as_of!r} lies before what streaming keeps, from {moment(rows.time[0])} on")
    engine = (frames.engine(timeframe, params) if as_of is None else Engine(params)).advance(bars, end, until)
    end = rows.end if end is None else end
    marks = marks_of(engine.state, engine.record)
    whole = marks[marks["broken"] == 0]
    if pct_merge is not None and len(whole):
        widest = float((pct_merge * whole["price"] / whole["atr"]).min())  # so that no zone is wider than its share
        merged = dataclasses.replace(params, max_width_atr=min(widest, 1000.0))
        engine = Engine(merged).advance(bars, end, until)
        marks = marks_of(engine.state, engine.record)
    count = bars.count(end, until)
    return Context(
        zones_of(engine.state, engine.record),
        marks,
        bars.unrolled(bars.window(end, params.memory + 1, until), end, params.memory + 1, until),
        timeframe,
        frames.history.liquidations.rows,
        frames.history.venues,
        float(engine.state["close"][0]),
        count,
        count >= params.memory,
    )


def end_of(context: Context) -> int:
    """End of the last bar, ms."""
    return int(bar_spans(context.bars["time"][-1:], context.timeframe)[1][0])


def zones_frame(context: Context, use_atr: bool, least: float) -> pd.DataFrame:
    """The zones of at least a quality, strongest first, as ``compute_zones`` gives them."""
    rows = [zone for zone in zone_rows(context, use_atr) if zone["quality"] >= least]
    rows.sort(key=lambda zone: (-zone["quality"], zone["price"]))
    frame = zone_rows_to_frame(list(map(as_users_see, rows)))
    as_of = str(np.datetime64(end_of(context), "ms")) if len(context.bars) else None
    frame.attrs = {"bars_seen": context.bars_seen, "warm": context.warm, "as_of": as_of}
    return frame


def aligned_zones_frame(contexts: Mapping[str, Context], use_atr: bool, least: float) -> pd.DataFrame:
    """The zones of several timeframes, best aligned first, as ``compute_multi_timeframe_zones`` gives them."""
    rows = []
    for name, context in contexts.items():
        others = [other.zones for other_name, other in contexts.items() if other_name != name]
        scores = np.broadcast_to(alignment(context.zones["low"], context.zones["high"], others), len(context.zones))
        for zone, score in zip(zone_rows(context, use_atr), scores.tolist(), strict=True):
            if zone["quality"] >= least:
                rows.append({**zone, "timeframe": name, "alignment_score": score})
    rows.sort(key=lambda zone: (-np.nan_to_num(zone["alignment_score"]), -zone["quality"], zone["zone_id"]))
    more = {"timeframe": (TIMEFRAMES, "of its bars"), "alignment_score": ("float", "0 to 100")}
    return zone_rows_to_frame(list(map(as_users_see, rows)), more)


def ledger_grid(closed: Bars, params: Params, bars: int) -> pd.DataFrame:
    """The ledger ahead of price, cell by cell, as each of the last ``bars`` bars closed."""
    if isinstance(bars, bool) or not isinstance(bars, int) or bars < 1:
        raise ValueError(f"bars must be a whole number, 1 or more, got {bars!r}")
    part = closed.last(bars + params.memory)
    count = min(bars, len(part))
    recorded = record(part, params, CELL_BINS)
    usd = cells_at(recorded, len(part) - count, len(part))
    filled = np.flatnonzero(usd.any(axis=1))
    low, high = (int(filled[0]), int(filled[-1]) + 1) if len(filled) else (0, 0)
    places = recorded.first_bin // CELL_BINS + np.arange(low, high)
    prices = np.exp((places + 0.5) * (CELL_BINS / BINS_PER_LOG))
    return grid_frame(usd[low:high], prices, part["time"][len(part) - count :])
