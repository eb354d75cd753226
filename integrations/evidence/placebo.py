"""Fake marks, matched to real ones: the yardstick of every claim."""

from __future__ import annotations

import copy
import difflib
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd

from liquidator_core import Params
from liquidator_core.calls import average_true_ranges

from ..market.candles import Candles, OnBad
from ..tables.checked import SIDE_NAMES, bars_with_flow, checked_bars, marks_params
from ..tables.zones import category, datetimes, every_mark

MODES = ("mirrored", "transplanted", "flipped", "delayed")
Mode: TypeAlias = Literal["mirrored", "transplanted", "flipped", "delayed"]
AWAY_MS = 48 * 3_600_000
DRAWS = 64


def placebo_marks(
    candles: Candles,
    params: Params | None = None,
    seed: int = 0,
    on_bad: OnBad = "raise",
    mode: Mode = "mirrored",
) -> pd.DataFrame:
    """Fake marks, one for each real one, that share everything with it but what is asked: the yardstick of every claim.

    A fake has its mark's side and USD and, folded (``signal_columns(candles, params, marks=...)``), its width in ATR.

    mode   "mirrored": the same bar, as far from the close on its other side, ``2 close - price``; one fake a mark, no
           seed. For touches and hold rates.
           "flipped": each mark stays or is mirrored by a fair coin. For runs of an account: the real one and those of
           many seeds differ in nothing but the sides, so that its rank among them says whether the sides matter.
           "transplanted": as far from the close in ATR, on a row drawn from those at least 48 hours away, before or
           after. The stricter second control.
           "delayed": likewise, on a row 1 to ``flow_bars`` later, or the next that has no fake of the side yet; it
           depends on rows up to its own alone. Born off-event, it holds a little less often than marks do by chance.
    seed   of ``numpy.random.default_rng``

    Returns columns time, row, side, price, usd, by (row, side). ``attrs["real"]`` counts the marks,
    ``attrs["dropped"]`` those without a fake, by reason. Arguments and errors otherwise as for ``signal_columns``;
    ValueError for another mode. Cost: that of ``marks_frame``; for several seeds see ``Placebos``.

    >>> fakes = placebo_marks(candles)
    >>> len(fakes), fakes.attrs["real"]
    (116, 116)
    """
    return Placebos(candles, params, on_bad, mode).marks(seed)


class Placebos:
    """The placebo marks of one history, seed by seed: it is checked, and its real marks are found, once.

    Arguments and errors as for ``placebo_marks``. ``params`` are those for ``bars_of``: ``marks_params`` of the ones
    given. Cost: that of ``marks_frame``, then some 10 us a mark and one copy of the bars for each seed.
    """

    def __init__(
        self, candles: Candles, params: Params | None = None, on_bad: OnBad = "raise", mode: Mode = "mirrored"
    ) -> None:
        self._mode = _checked(mode)
        bars, params = checked_bars(candles, params, None, on_bad)
        self.params = marks_params(params)
        self._bars = bars
        self._real = every_mark(bars, params)
        self._flow_bars = params.flow_bars
        self._atr, good = average_true_ranges(bars, params)
        self._usable = good & (self._atr > 0.0)

    def of(self, mode: Mode) -> Placebos:
        """The placebo marks of the same history in another mode. Nothing is found anew."""
        other = copy.copy(self)
        other._mode = _checked(mode)
        return other

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
        rng = np.random.default_rng(seed)
        dropped = dict.fromkeys(
            ("beyond the last row", "no row far away", "no ATR or a skipped row", "price not above 0"), 0
        )
        if self._mode in ("mirrored", "flipped"):
            row, price = self._mirrored(rng)
        else:
            away = self._transplanted if self._mode == "transplanted" else self._delayed
            row, price = self._moved(away(rng, dropped), dropped)
        kept = (row >= 0) & (price > 0.0)
        dropped["price not above 0"] += int(((row >= 0) & ~kept).sum())
        row, side, price, usd = row[kept], self._real["side"][kept], price[kept], self._real["usd"][kept]
        order = np.lexsort((side, row))
        return (row[order], side[order], price[order], usd[order]), dropped

    def _mirrored(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        row, price = self._real["birth_row"], self._real["price"]
        stays = rng.random(len(row)) < 0.5 if self._mode == "flipped" else np.zeros(len(row), np.bool_)
        return row, np.where(stays, price, 2.0 * self._bars["close"][row] - price)

    def _moved(self, row: np.ndarray, dropped: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
        """The rows, -1 where there is none to be born on, and the prices there, as far from the close in ATR."""
        usable = (row >= 0) & self._usable[row]
        dropped["no ATR or a skipped row"] += int(((row >= 0) & ~usable).sum())
        row = np.where(usable, row, -1)
        close, distance = self._bars["close"], self._real["price"] - self._bars["close"][self._real["birth_row"]]
        return row, close[row] + distance / self._real["atr"] * self._atr[row]

    def _delayed(self, rng: np.random.Generator, dropped: dict[str, int]) -> np.ndarray:
        delays = rng.integers(1, self._flow_bars, endpoint=True, size=len(self._real))
        taken: set[tuple[int, int]] = set()
        rows = []
        for mark, delay in zip(self._real, delays.tolist(), strict=True):
            side, row = int(mark["side"]), int(mark["birth_row"]) + delay
            while row < len(self._bars) and (row, side) in taken:  # ends: no earlier mark is born flow_bars later
                row += 1
            if row < len(self._bars) and self._is_born(mark, row):
                taken.add((row, side))
            dropped["beyond the last row"] += row >= len(self._bars)
            rows.append(row if row < len(self._bars) else -1)
        return np.array(rows, np.int64)

    def _is_born(self, mark: np.void, row: int) -> bool:
        """Whether a row can have a mark as far from its close as this one is from that of its own."""
        distance = (mark["price"] - self._bars["close"][mark["birth_row"]]) / mark["atr"]
        return bool(self._usable[row] and self._bars["close"][row] + distance * self._atr[row] > 0.0)

    def _transplanted(self, rng: np.random.Generator, dropped: dict[str, int]) -> np.ndarray:
        time = self._bars["time"]
        rows = np.flatnonzero(self._usable & (np.arange(len(time)) >= self._flow_bars))  # where a mark can be born
        taken: set[tuple[int, int]] = set()
        found = []
        for mark in self._real:
            drawn = rows[rng.integers(0, max(1, len(rows)), DRAWS)] if len(rows) else rows
            side, born = int(mark["side"]), int(mark["birth"])
            far = drawn[np.abs(time[drawn] - born) >= AWAY_MS].tolist()
            row = next((row for row in far if (row, side) not in taken and self._is_born(mark, row)), -1)
            taken.add((row, side))
            dropped["no row far away"] += row < 0
            found.append(row)
        return np.array(found, np.int64)


def _checked(mode: Mode) -> Mode:
    if mode not in MODES:
        near = difflib.get_close_matches(str(mode), MODES, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"mode must be one of {', '.join(map(repr, MODES))}, got {mode!r}{hint}")
    return mode
