"""Candles, or the engine's arrays, to frames of zones, levels and marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.layout import LEVEL, MARK, ZONE
from liquidator_core.levels import levels_of
from liquidator_core.zones import QUALITY_LABELS, marks_of, quality_band, zones_of

from ..market.candles import Candles, OnBad
from .checked import KINDS, SIDE_NAMES, checked_bars
from .zone_schema import COLUMNS, NAMES


def zones_frame(
    candles: Candles, params: Params | None = None, marks: pd.DataFrame | None = None, on_bad: OnBad = "raise"
) -> pd.DataFrame:
    """The zones as of the last candle, upwards by price: see ``zones_to_frame`` for the columns.

    ``attrs`` hold ``bars_seen``, the number of candles, and ``warm``, whether these were at least ``params.memory``.
    Arguments and errors as for ``signal_columns``. Cost: that of reading the candles; the last ``memory`` are folded.

    >>> zones_frame(candles)[["kind", "quality_label", "touches"]].head(2).values.tolist()
    [['support', 'weak', 0], ['support', 'medium', 1]]
    """
    bars, params = checked_bars(candles, params, marks, on_bad)
    state, record = _state_after(bars, params)
    return _with_attrs(zones_to_frame(zones_of(state, record), float(state["close"][0])), bars, params)


def levels_frame(candles: Candles, params: Params | None = None, on_bad: OnBad = "raise") -> pd.DataFrame:
    """The levels as of the last candle, upwards by price: see ``levels_to_frame`` for the columns.

    ``attrs``, arguments, errors and cost as for ``zones_frame``.

    >>> levels_frame(candles)[["side", "kind"]].iloc[[0, -1]].values.tolist()
    [['long', 'support'], ['short', 'resistance']]
    """
    bars, params = checked_bars(candles, params, None, on_bad)
    state, record = _state_after(bars, params)
    return _with_attrs(levels_to_frame(levels_of(state, record), float(state["close"][0])), bars, params)


def zones_to_frame(zones: np.ndarray, close: float) -> pd.DataFrame:
    """A (n,) ZONE array as a frame: its fields in order, then ``quality_label`` and ``kind``.

    close   the last close; NaN leaves ``kind`` missing

    ``usd`` is of the ledger (relative: no dollars of the market).
    ``birth`` and ``last_time`` are datetime64[ms, UTC], ``side`` is categorical "long" or "short" (who was liquidated),
    ``quality_label`` ordered categorical weak < medium < strong, ``kind`` categorical "support" (price at or below the
    close) or "resistance". The types are the same for no zones.

    >>> zones_to_frame(np.zeros(1, ZONE), close=1.0)[["side", "quality_label", "kind"]].values.tolist()
    [['long', 'weak', 'support']]
    """
    columns = {name: zones[name] for name in ZONE.names or ()}
    columns |= {name: datetimes(zones[name]) for name in ("birth", "last_time")}
    columns["side"] = category(zones["side"], SIDE_NAMES)
    columns["quality_label"] = category(quality_band(zones["quality"]), list(QUALITY_LABELS), True)
    columns["kind"] = _kind(zones["price"], close)
    return pd.DataFrame(columns)


def levels_to_frame(levels: np.ndarray, close: float) -> pd.DataFrame:
    """A (n,) LEVEL array as a frame: its fields in order, then ``kind``; categorical as in ``zones_to_frame``.

    ``usd`` and ``share`` are of the ledger: relative, no dollars and no share of what is open in the market. Levels are
    good for 4 to 8 hours, and for some 5 % from the close (``liquidator_core.levels``).

    >>> levels_to_frame(np.zeros(1, LEVEL), close=1.0)[["side", "kind"]].values.tolist()
    [['long', 'support']]
    """
    columns = {name: levels[name] for name in LEVEL.names or ()}
    columns["side"] = category(levels["side"], SIDE_NAMES)
    columns["kind"] = _kind(levels["price"], close)
    return pd.DataFrame(columns)


def marks_frame(candles: Candles, params: Params | None = None, on_bad: OnBad = "raise") -> pd.DataFrame:
    """Every mark ever born in these candles, in order of birth, each with its counts when last seen.

    ========================================  =====================================================================
    column
    ========================================  =====================================================================
    time                                      datetime64[ms, UTC], open of the candle whose event left the mark
    row                                       position of that candle
    side                                      categorical: "long" or "short", who was liquidated
    price, low, high, usd, atr                of the mark and its band, as born
    age                                       rows since birth when last seen: ``zone_bars - 1`` if it ran its course
    touches, holds, ambiguous, unresolved     counts when last seen
    broken                                    +1 broken upwards, -1 downwards, 0 whole, when last seen
    ========================================  =====================================================================

    Marks of a row below ``ledger_bars + flow_bars`` were made while the ledger was still filling. Arguments and errors
    as for ``signal_columns``. Cost: that of ``fold`` and some 60 us a mark.

    >>> marks_frame(candles)[["row", "side", "touches"]].tail(1).values.tolist()
    [[1490, 'long', 1]]
    """
    bars, params = checked_bars(candles, params, None, on_bad)
    return _marks_to_frame(every_mark(bars, params), len(bars), params)


def _state_after(bars: np.ndarray, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(state after the last bar, record): the rows that it depends on are the last ``memory``."""
    bars = bars[-params.memory :]
    record = params.to_record()
    state = new_state(record)
    fold(state, record, bars, new_signals(len(bars)))
    return state, record


def _with_attrs(frame: pd.DataFrame, bars: np.ndarray, params: Params) -> pd.DataFrame:
    frame.attrs = {"bars_seen": len(bars), "warm": len(bars) >= params.memory}
    return frame


def every_mark(bars: np.ndarray, params: Params) -> np.ndarray:
    """(n,) MARK by (row, side). Stops on the last row of the oldest live mark: then its counts are final."""
    record = params.to_record()
    state = new_state(record)
    found = [np.zeros(0, MARK)]
    row = 0
    live = found[0]
    while row < len(bars):
        oldest = int(live["birth_row"][0]) if len(live) else row
        stop = min(len(bars), oldest + params.zone_bars)
        fold(state, record, bars[row:stop], new_signals(stop - row))
        row = stop
        live = marks_of(state, record)
        ending = live["birth_row"] <= (row if row == len(bars) else row - params.zone_bars)
        found.append(live[ending])
        live = live[~ending]
    return np.concatenate(found, dtype=MARK)  # without it the types are compared part by part


def _marks_to_frame(marks: np.ndarray, rows: int, params: Params) -> pd.DataFrame:
    columns: dict[str, Any] = {
        "time": datetimes(marks["birth"]),
        "row": marks["birth_row"],
        "side": category(marks["side"], SIDE_NAMES),
        "price": marks["price"],
        "low": marks["price"] - marks["half_width"],
        "high": marks["price"] + marks["half_width"],
        "age": np.minimum(rows - marks["birth_row"], params.zone_bars) - 1,
    }
    order = ("time", "row", "side", "price", "low", "high", "usd", "atr", "age")
    counts = ("touches", "holds", "ambiguous", "unresolved", "broken")
    return pd.DataFrame({name: columns[name] if name in columns else marks[name] for name in (*order, *counts)})


def datetimes(time_ms: np.ndarray) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(time_ms.astype("M8[ms]")).tz_localize("UTC")


def category(codes: np.ndarray, categories: list[str], ordered: bool = False) -> pd.Categorical:
    return pd.Categorical.from_codes(codes, categories, ordered=ordered)


def _kind(prices: np.ndarray, close: float) -> pd.Categorical:
    return category(np.where(np.isnan(close), -1, prices > close), KINDS)


def zone_runs(low: np.ndarray, high: np.ndarray) -> list[tuple[int, int]]:
    """(first row, row after the last) of each run of rows with one and the same zone, given its edges, each (n,)."""
    starts = np.ones(len(low), np.bool_)
    starts[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    first = np.flatnonzero(starts & (low == low)).tolist()
    edges = np.append(np.flatnonzero(starts), len(low))
    return list(zip(first, edges[np.searchsorted(edges, first, side="right")].tolist(), strict=True))


def zone_rows_to_frame(rows: Sequence[Mapping[str, Any]], more: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Rows of ``zone_schema.COLUMNS`` as a frame of these columns and types, whatever the number of rows.

    more   further columns, name -> (kind, what it is), as in ``COLUMNS``

    >>> zone_rows_to_frame([]).shape == (0, len(COLUMNS))
    True
    """
    columns: dict[str, Any] = {}
    for name, (kind, _) in {**COLUMNS, **(more or {})}.items():
        values = [row[name] for row in rows]
        if isinstance(kind, tuple):
            codes = np.array([kind.index(value) for value in values], np.int64)
            columns[name] = category(codes, list(kind), name == "quality_label")
        elif kind == "time":
            columns[name] = datetimes(np.array(values, "M8[ms]").astype(np.int64))
        elif kind == "object":
            columns[name] = pd.Series(values, dtype=object)
        else:
            columns[name] = np.array(values, {"float": np.float64, "int": np.int64, "bool": np.bool_}[kind])
    return pd.DataFrame(columns)


def zone_dicts(zones: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a frame of zones as plain mappings.

    >>> zone_dicts(pd.DataFrame({"price_mean": [9000.0], "total_usd": [1e6]}))
    [{'price_mean': 9000.0, 'total_usd': 1000000.0}]
    """
    rows: list[dict[str, Any]] = zones.to_dict("records")
    return rows


def check_zones(zones: Any) -> pd.DataFrame:
    """The frame of zones given, as from ``Liquidator.compute_zones``; TypeError or ValueError for anything else.

    >>> check_zones(pd.DataFrame({"price": [9000.0]}))
    Traceback (most recent call last):
        ...
    ValueError: zones lack price_mean, total_usd: found columns 'price'
    """
    if not isinstance(zones, pd.DataFrame):
        raise TypeError(f"zones must be a frame as from compute_zones(), got {type(zones).__name__}")
    missing = [name for name in (NAMES["price"], NAMES["usd"]) if name not in zones.columns]
    if missing:
        raise ValueError(f"zones lack {', '.join(missing)}: found columns {', '.join(map(repr, zones.columns))}")
    return zones


def by_core_names(zones: pd.DataFrame) -> pd.DataFrame:
    """A frame of zones as users have it under the core's names.

    >>> list(by_core_names(pd.DataFrame({"price_mean": [9000.0], "total_usd": [1e6]})))
    ['price', 'usd']
    """
    return zones.rename(columns={shown: name for name, shown in NAMES.items()})


def grid_frame(usd: np.ndarray, price: np.ndarray, time_ms: np.ndarray) -> pd.DataFrame:
    """(p, t) USD as a frame, its index the prices and its columns the times (UTC).

    >>> grid_frame(np.ones((1, 2)), np.array([9000.0]), np.array([0, 3_600_000])).shape
    (1, 2)
    """
    return pd.DataFrame(usd, index=pd.Index(price, name="price"), columns=datetimes(time_ms))
