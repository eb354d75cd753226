"""Arguments of the tables, checked: candles, Params and marks to bars and Params."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from liquidator_core import Params
from liquidator_core.bars import good_rows
from liquidator_core.layout import LONG, SHORT

from ..market.candles import (
    Candles,
    OnBad,
    Rows,
    bars_of,
    checked_candles,
    column_ms,
    number_values,
    warn_of_idle_switches,
)
from ..market.messages import describe_row, moment

SIDE_NAMES = ["long", "short"]  # indexed by LONG and SHORT
KINDS = ["support", "resistance"]


def checked_rows(
    candles: Candles, params: Params | None, marks: pd.DataFrame | None, on_bad: OnBad, market: str = ""
) -> tuple[Rows, Params]:
    params = Params() if params is None else params
    if not isinstance(params, Params):
        raise TypeError(f"params must be Params or None, got {type(params).__name__}")
    rows = checked_candles(candles, on_bad, market)
    if marks is not None:
        return bars_with_marks(bars_of(rows), marks), marks_params(params)
    warn_of_idle_switches(rows, params, market)
    return rows, params


def checked_bars(
    candles: Candles, params: Params | None, marks: pd.DataFrame | None, on_bad: OnBad, market: str = ""
) -> tuple[np.ndarray, Params]:
    rows, params = checked_rows(candles, params, marks, on_bad, market)
    return bars_of(rows), params


def bars_with_marks(bars: np.ndarray, marks: pd.DataFrame) -> np.ndarray:
    """Bars whose forced flow is these marks and nothing else; with ``marks_params`` the core makes its zones from them.

    bars    (n,) BAR, as from ``bars_from_frame``; not changed
    marks   columns time (of a bar), side ("long" or "short"), price (quote, above 0) and usd (above 0), at most one a
            bar and side, as from ``placebo_marks`` or ``marks_frame``; those before the first or after the last bar
            are of no account. The core leaves a mark only from row ``flow_bars`` on and where ATR is known.

    Returns a (n,) BAR copy. Raises ValueError for a mark that fits no bar. Cost: one copy.

    >>> real = marks_frame(bars)
    >>> marked = bars_with_marks(bars, real)
    >>> int((marked["liq_long_usd"] > 0).sum()) == int((real["side"] == "long").sum())
    True
    """
    time, side, price, usd = _marks_of_frame(marks)
    inside = (time >= bars["time"][0]) & (time <= bars["time"][-1])
    rows = np.searchsorted(bars["time"], time[inside])
    astray = np.flatnonzero(bars["time"][rows] != time[inside])
    if len(astray):
        raise ValueError(f"marks: found one at {moment(time[inside][astray[0]])}, allowed the time of a bar")
    unusable = ~good_rows(bars)[rows]
    if unusable.any():
        raise ValueError(f"marks: found one at {moment(time[inside][unusable.argmax()])}, a row that is skipped")
    for which, name in enumerate(SIDE_NAMES):
        of_side = rows[side[inside] == which]
        if len(np.unique(of_side)) != len(of_side):
            raise ValueError(f"marks: found two of side {name} on one bar, allowed one")
    return bars_with_flow(bars, rows, side[inside], price[inside], usd[inside])


def bars_with_flow(
    bars: np.ndarray, rows: np.ndarray, side: np.ndarray, price: np.ndarray, usd: np.ndarray
) -> np.ndarray:
    """A (n,) BAR copy whose forced flow is this and nothing else: a row, LONG or SHORT, a price and USD for each."""
    out = bars.copy()
    for which, name in enumerate(SIDE_NAMES):
        of_side = side == which
        out[f"liq_{name}_usd"] = 0.0
        out[f"liq_{name}_price"] = np.nan
        out[f"liq_{name}_usd"][rows[of_side]] = usd[of_side]
        out[f"liq_{name}_price"][rows[of_side]] = price[of_side]
    return out


def marks_params(params: Params) -> Params:
    """These Params for ``bars_with_marks``: forced flow is what stands there, and all of it is an event.

    ``memory`` stays what it is.

    >>> marks_params(Params(zone_bars=96)).event_mult, marks_params(Params(zone_bars=96)).zone_bars
    (0.0, 96)
    """
    learned = 0 if params.observed == "beside" else params.observed_bars
    return dataclasses.replace(params, event_mult=0.0, event_share=0.0, observed="unscaled", observed_bars=learned)


def _marks_of_frame(marks: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(time in ms, LONG or SHORT, price, usd), each (n,)."""
    if not isinstance(marks, pd.DataFrame):
        raise TypeError(f"marks must be a frame as from placebo_marks or marks_frame, got {type(marks).__name__}")
    missing = [name for name in ("time", "side", "price", "usd") if name not in marks.columns]
    if missing:
        raise ValueError(f"marks lack {', '.join(missing)}: found columns {', '.join(map(repr, marks.columns))}")
    side = marks["side"].astype(object).map({"long": LONG, "short": SHORT}).to_numpy(np.float64, na_value=np.nan)
    price, usd = number_values(marks["price"], "price"), number_values(marks["usd"], "usd")
    _check_marks("side", marks["side"], np.isfinite(side), "'long' or 'short'")
    for name, values in (("price", price), ("usd", usd)):
        _check_marks(name, values, (values > 0.0) & (values < np.inf), "a finite number above 0")
    return column_ms(marks["time"]), side.astype(np.int64), price, usd


def _check_marks(field: str, values: Any, right: np.ndarray, allowed: str) -> None:
    if not right.all():
        row = int((~right).argmax())
        raise ValueError("marks: " + describe_row(row, None, field, list(values)[row], allowed))
