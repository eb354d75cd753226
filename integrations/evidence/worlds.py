"""Candles that could have been: what a value depends on shows where the real ones happen to hide it.

An honest value of row t is the same in every world whose rows up to t are the same. So worlds accuse nobody falsely,
whatever they are made of; they keep time, text, types, and each bar's low <= open, close <= high.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

PRICES = ("open", "high", "low", "close")
SHAKE = 1e-7
_SHOCKS = 0.05


class Worlds:
    """The worlds of some candles, which are not changed."""

    def __init__(self, candles: pd.DataFrame) -> None:
        self._candles = candles
        self._shocked: dict[int, pd.DataFrame] = {}  # cut at many rows, and long in the making

    def frame(self, first: int, end: int, world: Sequence[Any]) -> pd.DataFrame:
        """Rows ``first`` to ``end`` of a world, as a frame of its own: dtypes kept, a RangeIndex, no attrs.

        world   ("real",); ("altered", cut, factor): another future from that row on; ("shocked", seed): jumps, spikes
                and flat bars on a twentieth of all rows; ("shaken", seed): see ``signs``
        """
        kind, *how = world
        if kind == "real":
            made = self._candles.iloc[first:end]
        elif kind == "altered":
            made = _altered(self._candles.iloc[first:end], how[0] - first, how[1])
        elif kind == "shocked":
            if how[0] not in self._shocked:
                self._shocked[how[0]] = _scaled(self._candles, *_shocks(len(self._candles), how[0]))
            made = self._shocked[how[0]].iloc[first:end]
        else:
            made = _scaled(self._candles, 1.0 + SHAKE * signs(len(self._candles), how[0])).iloc[first:end]
        made = made.reset_index(drop=True)
        made.attrs = {}
        return made


def signs(rows: int, seed: int) -> np.ndarray:
    """(rows,) of -1 and 1: whether a shaken world's numbers of that row are a ten-millionth smaller or larger."""
    return np.random.default_rng([seed, 1]).choice((-1.0, 1.0), rows)


def shocked_rows(rows: int, seed: int) -> np.ndarray:
    """The rows of a shocked world that differ in more than their level from the real ones."""
    return np.flatnonzero(_shocks(rows, seed)[3])


def _altered(candles: pd.DataFrame, cut: int, factor: float) -> pd.DataFrame:
    """The rows from ``cut`` on in reverse, prices times ``factor``, volumes times its square; times stay."""
    order = np.r_[np.arange(cut), np.arange(len(candles) - 1, cut - 1, -1)]
    columns = {}
    for name, column in candles.items():
        if _is_time(column):
            columns[name] = column.array
            continue
        made = column.array.take(order)
        by = factor if _is_price(name) else factor**2 if str(name).lower() == "volume" else 1.0
        if by != 1.0 and _is_number(column):
            made[cut:] = (made[cut:] * by).astype(column.dtype)
        columns[name] = made
    return pd.DataFrame(columns, copy=False)


def _shocks(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(rows,) factors of prices and of volumes, whether a bar is flat, and whether it is one of the shocks."""
    rng = np.random.default_rng([seed, 2])
    struck = rng.random(rows) < _SHOCKS
    struck[: min(20, rows)] = False
    kind = np.where(struck, rng.integers(0, 4, rows), -1)
    jumps = np.where(kind == 0, rng.choice((-1.0, 1.0), rows) * rng.uniform(0.02, 0.08, rows), 0.0)
    level = np.exp(np.cumsum(jumps) - np.linspace(0.0, jumps.sum(), rows) * (rows > 1))
    volume = np.where(kind == 1, rng.uniform(5.0, 30.0, rows), np.where(kind == 2, 0.0, 1.0))
    return level, np.where(kind == 0, 10.0, volume), kind == 3, struck


def _scaled(
    candles: pd.DataFrame,
    price: np.ndarray,
    volume: np.ndarray | None = None,
    flat: np.ndarray | None = None,
    _: np.ndarray | None = None,
) -> pd.DataFrame:
    """Prices and volumes times a factor of each row; without one for volumes, all floats times the prices'."""
    close = next((column for name, column in candles.items() if str(name).lower() == "close"), None)
    columns = {}
    for name, column in candles.items():
        by = price if _is_price(name) or volume is None else volume if str(name).lower() == "volume" else None
        if by is None or _is_time(column) or not _is_number(column) or (volume is None and column.dtype.kind != "f"):
            columns[name] = column.array
            continue
        if _is_price(name) and flat is not None and close is not None:
            column = column.where(~flat, close)
        columns[name] = (column.array * by).astype(column.dtype)
    return pd.DataFrame(columns, copy=False)


def _is_price(name: object) -> bool:
    return str(name).lower() in PRICES


def _is_number(column: pd.Series) -> bool:
    return column.dtype.kind in "fiu" and not isinstance(column.dtype, pd.CategoricalDtype)


def _is_time(column: pd.Series) -> bool:
    """A column of times, or of numbers that only rise and are no prices, as those of times do."""
    if column.dtype.kind in "mM":
        return True
    named = _is_price(column.name) or str(column.name).lower() == "volume"
    return not named and _is_number(column) and len(column) > 2 and bool(column.is_monotonic_increasing)
