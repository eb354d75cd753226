"""Fake marks, matched to real ones: the yardstick of every claim."""

from __future__ import annotations

import numpy as np
import pandas as pd

from liquidator_core import Params
from liquidator_core.calls import average_true_ranges

from ..market.candles import Candles, OnBad
from ..tables.checked import SIDE_NAMES, bars_with_flow, checked_bars, marks_params
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
    of ``marks_frame``; for several seeds see ``Placebos``.
    """
    return Placebos(candles, params, on_bad).marks(seed)


class Placebos:
    """The placebo marks of one history, seed by seed: it is checked, and its real marks are found, once.

    Arguments and errors as for ``placebo_marks``. ``params`` are those for ``bars_of``: ``marks_params`` of the ones
    given. Cost: that of ``marks_frame``, then some 10 us a mark and one copy of the bars for each seed.
    """

    def __init__(self, candles: Candles, params: Params | None = None, on_bad: OnBad = "raise") -> None:
        bars, params = checked_bars(candles, params, None, on_bad)
        self.params = marks_params(params)
        self._bars = bars
        self._real = every_mark(bars, params)
        self._flow_bars = params.flow_bars
        self._atr, good = average_true_ranges(bars, params)
        self._usable = good & (self._atr > 0.0)

    def marks(self, seed: int) -> pd.DataFrame:
        """``placebo_marks`` of a seed."""
        (row, side, price, usd), dropped = self._fakes(seed)
        time = datetimes(self._bars["time"][row])
        frame = pd.DataFrame({"time": time, "row": row, "side": category(side, SIDE_NAMES), "price": price, "usd": usd})
        frame.attrs = {"real": len(self._real), "dropped": dropped}
        return frame

    def bars_of(self, seed: int) -> np.ndarray:
        """(n,) BAR whose forced flow is the placebo marks of a seed: ``bars_with_marks`` of them."""
        return bars_with_flow(self._bars, *self._fakes(seed)[0])

    def _fakes(self, seed: int) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray], dict[str, int]]:
        """((row, side, price, usd) by (row, side), the marks without a fake by reason)."""
        delays = np.random.default_rng(seed).integers(1, self._flow_bars, endpoint=True, size=len(self._real))
        close, atr = self._bars["close"], self._atr
        dropped = {"beyond the last row": 0, "no ATR or a skipped row": 0, "price not above 0": 0}
        taken: set[tuple[int, int]] = set()
        fakes: list[tuple[int, int, float, float]] = []
        for mark, delay in zip(self._real, delays.tolist(), strict=True):
            born, side = int(mark["birth_row"]), int(mark["side"])
            row = born + delay
            while row < len(close) and (row, side) in taken:  # ends: no earlier mark reaches row born + flow_bars
                row += 1
            if row >= len(close):
                dropped["beyond the last row"] += 1
                continue
            if not self._usable[row]:
                dropped["no ATR or a skipped row"] += 1
                continue
            distance_atr = (mark["price"] - close[born]) / mark["atr"]
            price = float(close[row] + distance_atr * atr[row])
            if not price > 0.0:
                dropped["price not above 0"] += 1
                continue
            taken.add((row, side))
            fakes.append((row, side, price, float(mark["usd"])))
        fakes.sort()
        rows, sides = (np.array([fake[at] for fake in fakes], np.int64) for at in (0, 1))
        prices, usd = (np.array([fake[at] for fake in fakes], np.float64) for at in (2, 3))
        return (rows, sides, prices, usd), dropped
