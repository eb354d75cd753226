"""How far zones of other timeframes overlap a band."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

Edges: TypeAlias = Mapping[str, np.ndarray]


def overlap(low: Any, high: Any, zones: np.ndarray | Edges) -> np.ndarray:
    """1.0 where one of a timeframe's live zones overlaps [low, high], edges that touch included, else 0.0.

    low, high   numbers, or (n,) arrays
    zones       (m,) ZONE, or edges "low" and "high", each (m,), or (n, m) where rows have zones of their own

    Returns float64 of the shape of ``low``; nan where that is, and where an edge of the row's zones is: unknown.
    """
    low, high = np.asarray(low, np.float64), np.asarray(high, np.float64)
    found = ((zones["low"] <= high[..., None]) & (zones["high"] >= low[..., None])).any(axis=-1)
    return np.where(np.isnan(low) | np.isnan(zones["low"]).any(axis=-1), math.nan, found)


def share(overlaps: Sequence[np.ndarray]) -> Any:
    """0 to 100: the share of the timeframes of which ``overlap`` gave these; nan where one is, or without any."""
    return 100.0 * np.sum(overlaps, axis=0) / len(overlaps) if len(overlaps) else math.nan


def alignment(low: Any, high: Any, others: Sequence[np.ndarray | Edges]) -> Any:
    """0 to 100: the share of the other timeframes with a live zone that overlaps [low, high].

    ``others`` holds the zones of each as ``overlap`` takes them. A float, or float64 of the shape of ``low``; nan
    without any other timeframe.
    """
    return share([overlap(low, high, zones) for zones in others])
