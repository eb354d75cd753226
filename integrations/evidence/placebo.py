"""Fake marks, matched to real ones: the yardstick of every claim."""

from __future__ import annotations

import numpy as np
import pandas as pd

from liquidator_core import Params
from liquidator_core.calls import average_true_ranges

from ..market.candles import Candles, OnBad
from ..tables.checked import SIDE_NAMES, checked_bars
from ..tables.zones import category, datetimes, every_mark


def placebo_marks(
    candles: Candles, params: Params | None = None, seed: int = 0, on_bad: OnBad = "raise"
) -> pd.DataFrame:
    """Fake marks, one for each real one, that share everything with it but the event: the yardstick of every claim.

    The fake of a mark of row t is born on row u, 1 ... ``flow_bars`` rows later, drawn by
    ``numpy.random.default_rng(seed)``, or on the next one, if that row already has a fake of the side. It has the
    mark's side and USD and lies as far from the close in ATR: ``price = close_u + (price_t - close_t) / ATR_t *
    ATR_u``. Folded (``signal_columns(candles, params, marks=...)``) it gets the same width in ATR. It depends on rows
    up to u alone.

    Returns columns time, row, side, price, usd, by (row, side). ``attrs["real"]`` counts the marks,
    ``attrs["dropped"]`` those without a fake, by reason. Arguments and errors as for ``signal_columns``. Cost: that
    of ``marks_frame``.
    """
    bars, params = checked_bars(candles, params, None, on_bad)
    marks = every_mark(bars, params)
    delays = np.random.default_rng(seed).integers(1, params.flow_bars, endpoint=True, size=len(marks))
    atr, good = average_true_ranges(bars, params)
    usable = good & (atr > 0.0)
    dropped = {"beyond the last row": 0, "no ATR or a skipped row": 0, "price not above 0": 0}
    taken: set[tuple[int, int]] = set()
    fakes: list[tuple[int, int, float, float]] = []
    for mark, delay in zip(marks, delays.tolist(), strict=True):
        born, side = int(mark["birth_row"]), int(mark["side"])
        row = born + delay
        while row < len(bars) and (row, side) in taken:  # ends: no earlier mark reaches row born + flow_bars
            row += 1
        if row >= len(bars):
            dropped["beyond the last row"] += 1
            continue
        if not usable[row]:
            dropped["no ATR or a skipped row"] += 1
            continue
        distance_atr = (mark["price"] - bars["close"][born]) / mark["atr"]
        price = float(bars["close"][row] + distance_atr * atr[row])
        if not price > 0.0:
            dropped["price not above 0"] += 1
            continue
        taken.add((row, side))
        fakes.append((row, side, price, float(mark["usd"])))
    frame = _fakes_to_frame(sorted(fakes), bars)
    frame.attrs = {"real": len(marks), "dropped": dropped}
    return frame


def _fakes_to_frame(fakes: list[tuple[int, int, float, float]], bars: np.ndarray) -> pd.DataFrame:
    rows = np.array([fake[0] for fake in fakes], np.int64)
    return pd.DataFrame(
        {
            "time": datetimes(bars["time"][rows]),
            "row": rows,
            "side": category(np.array([fake[1] for fake in fakes], np.int64), SIDE_NAMES),
            "price": np.array([fake[2] for fake in fakes], np.float64),
            "usd": np.array([fake[3] for fake in fakes], np.float64),
        }
    )
