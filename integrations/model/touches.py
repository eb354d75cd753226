"""Touches as a model learns from them: what was known before each, what became of it, and when that was known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np

from liquidator_core import Params
from liquidator_core.bars import good_rows
from liquidator_core.marks import AMBIGUOUS, BROKE, HELD, UNRESOLVED
from liquidator_core.outcomes import fade_trials

from ..evidence.placebo import Placebos
from .features import NAMES, Approaches, approaches_of

EMBARGO_SHARE = 0.01  # of the whole span


@dataclass(frozen=True)
class Touches:
    """(n,) touches that held or broke, in order of time, and the counts of those left out."""

    begin: np.ndarray  # ms, the close at which ``features`` were known
    end: np.ndarray  # ms, the close that decided it
    held: np.ndarray  # 1.0 or 0.0
    features: np.ndarray  # (n, len(FEATURES))
    geometric: np.ndarray  # at the touch bar's close
    before: np.ndarray  # at the near edge, as of ``begin``
    weight: np.ndarray  # uniqueness, above 0, at most 1
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.begin)

    def taken(self, rows: np.ndarray) -> Touches:
        """Those of some rows."""
        arrays = {spec.name: getattr(self, spec.name)[rows] for spec in fields(self) if spec.name != "left_out"}
        return replace(self, **arrays)


class Bands(NamedTuple):
    """The touches of a history's zones, and of bands that are none: the yardsticks."""

    real: Touches
    mirrored: Touches  # bands as far from the close of their mark's bar on the other side
    elsewhere: Touches  # bands at least 48 hours away, as far from a close in ATR


def touches_of(bars: np.ndarray, params: Params, step_ms: int) -> Touches:
    """The touches of (n,) BAR.

    Outcomes are those of ``outcome_column``. Ambiguous and unresolved touches, those that the bars end before, and
    those without features (the bar before was skipped, or not warm) are left out and counted.
    """
    return _touches(bars, approaches_of(bars, params), params, step_ms)


def bands_of(bars: np.ndarray, params: Params, step_ms: int) -> Bands:
    """``touches_of`` (n,) BAR, and those of ``placebo_marks`` of them where no zone stood: 60 % lie across one.

    Cost: that of ``placebo_marks``.
    """
    made = [touches_of(bars, params, step_ms)]
    mirrored = Placebos(bars, params, mode="mirrored")
    for fakes in (mirrored, mirrored.of("transplanted")):
        seen = approaches_of(fakes.bars_of(0), fakes.params, (bars, params))
        made.append(_touches(bars, seen, params, step_ms, seen.clear))
    return Bands(*made)


def _touches(
    bars: np.ndarray, seen: Approaches, params: Params, step_ms: int, meant: np.ndarray | bool = True
) -> Touches:
    found, ends = fade_trials(bars, good_rows(bars), seen.signals, params)
    known = ~np.isnan(seen.features).any(axis=1)
    touched = seen.touched & meant
    decided = touched & ((found == HELD) | (found == BROKE))
    rows = np.flatnonzero(decided & known)
    left_out = {
        "ambiguous": int((touched & (found == AMBIGUOUS)).sum()),
        "unresolved": int((touched & (found == UNRESOLVED)).sum()),
        "undecided yet": int((touched & (ends < 0)).sum()),
        "without features": int((decided & ~known).sum()),
    }
    time = bars["time"]
    return Touches(
        time[rows],
        time[ends[rows]] + step_ms,
        (found[rows] == HELD).astype(np.float64),
        seen.features[rows],
        seen.geometric[rows],
        seen.before[rows],
        uniqueness(rows, ends[rows]),
        left_out,
    )


def uniqueness(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """(n,) the mean of 1 / how many trials run at once, over the rows of each trial, both ends included.

    >>> uniqueness(np.array([0, 1, 9]), np.array([1, 2, 9])).tolist()
    [0.75, 0.75, 1.0]
    """
    if len(first) == 0:
        return np.zeros(0)
    steps = np.zeros(int(last.max()) + 2)
    np.add.at(steps, first, 1.0)
    np.add.at(steps, last + 1, -1.0)
    running = np.cumsum(steps)[:-1]
    shares = np.r_[0.0, np.cumsum(1.0 / np.maximum(running, 1.0))]
    return np.asarray((shares[last + 1] - shares[first]) / (last - first + 1))


def pooled(parts: Sequence[Touches]) -> Touches:
    """The touches of several coins as one, in order of time."""
    joined = {
        spec.name: np.concatenate([getattr(part, spec.name) for part in parts])
        for spec in fields(Touches)
        if spec.name != "left_out"
    }
    counts = {name: sum(part.left_out[name] for part in parts) for name in parts[0].left_out}
    whole = Touches(**joined, left_out=counts)
    return whole.taken(np.argsort(whole.begin, kind="stable"))


def purged(touches: Touches, until: int, embargo_ms: int) -> Touches:
    """Those that were decided ``embargo_ms`` before a time: what is known then, and no outcome that it runs into."""
    return touches.taken(np.flatnonzero(touches.end + embargo_ms <= until))


def check_features(touches: Touches) -> None:
    """ValueError for features that are no finite numbers."""
    if touches.features.ndim != 2 or touches.features.shape[1] != len(NAMES):
        raise ValueError(f"features must be {len(NAMES)} columns, got shape {touches.features.shape}")
    wrong = ~np.isfinite(touches.features)
    if wrong.any():
        row, place = (int(where) for where in np.argwhere(wrong)[0])
        raise ValueError(
            f"features: row {row}, {NAMES[place]}: found {touches.features[row, place]}, allowed a finite number"
        )
