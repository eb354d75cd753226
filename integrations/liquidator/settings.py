"""Arguments of the Liquidator, checked."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from typing import NoReturn

import numpy as np

#: What ``save`` keeps of the arguments; the rest went into ``params``.
SETTINGS = (
    *("coin", "pct_merge", "window_minutes", "mode", "cutoff_hours", "bar", "timeframe", "timeframes"),
    *("lateness_ms", "on_bad"),
)


def not_yet(what: str, instead: str) -> NoReturn:
    raise NotImplementedError(f"{what} is not in this version of liquidator-core; instead, {instead}")


def one_of(name: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        near = difflib.get_close_matches(str(value), allowed, n=1)
        hint = f": did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {value!r}{hint}")
    return value


def above(name: str, value: float | None) -> float | None:
    """The value, which must be None or a finite number above 0."""
    if value is None:
        return None
    if finite(name, value, " above 0") <= 0.0:
        raise ValueError(f"{name} must be a finite number above 0, got {value!r}")
    return float(value)


def finite(name: str, value: float, more: str = "") -> float:
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number{more}, got {value!r}")
    return value
