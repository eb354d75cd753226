"""What is said at a close of zones that stand, however far away, and what became of the next touch of each."""

from __future__ import annotations

import numpy as np

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.bars import good_rows
from liquidator_core.marks import BROKE, HELD
from liquidator_core.outcomes import fade_trials

from .features import FEATURES, NAMES, describe_zones, near_edge_rate
from .touches import Touches

EVERY = 6  # of so many closes one is looked at


def standing_touches(bars: np.ndarray, params: Params, step_ms: int, since_ms: int) -> Touches:
    """The next touch of each zone that stands at a close, as ``compute_zones`` speaks of it: a row a close and zone.

    bars      (n,) BAR
    step_ms   length of a bar
    since_ms  the first close that is looked at, then one in ``EVERY``

    ``begin`` and features are of that close, both rates of the near edge; ``weight`` is 1 / the rows that speak of the
    same touch, so that each counts once. The touch is the next bar that fades the zone while its id is this one. Rows
    without such a bar, whose touch neither held nor broke, or without features are left out and counted. Cost: two
    folds of the bars from ``since_ms`` on, some 60 us a close that is looked at.
    """
    first = int(np.searchsorted(bars["time"], since_ms - step_ms))
    bars = np.ascontiguousarray(bars[max(0, first - params.memory) :])
    first = min(first, params.memory)
    signals = new_signals(len(bars))
    fold(new_state(params), params.to_record(), bars, signals)
    found, ends = fade_trials(bars, good_rows(bars), signals, params)
    fades = np.flatnonzero(signals["fade"] != 0)
    rows, ids, features, faded = _looked_at(bars, params, first, signals, fades[fades > first])

    touch = _next(rows, ids, np.array([*faded], np.int64), np.array([*faded.values()], np.int64))
    decided = (touch >= 0) & np.isin(found[touch], (HELD, BROKE))
    known = ~np.isnan(features).any(axis=1)
    kept = decided & known
    left_out = {
        "no next touch": int((touch < 0).sum()),
        "neither held nor broke": int(((touch >= 0) & ~decided).sum()),
        "without features": int((decided & ~known).sum()),
    }
    rows, touch, features = rows[kept], touch[kept], features[kept]
    near = near_edge_rate(features[:, NAMES.index("width")], 1.0, params)
    _, same, count = np.unique(touch, return_inverse=True, return_counts=True)
    time = bars["time"]
    held = (found[touch] == HELD).astype(np.float64)
    return Touches(
        time[rows] + step_ms, time[ends[touch]] + step_ms, held, features, near, near, 1.0 / count[same], left_out
    )


def _looked_at(
    bars: np.ndarray, params: Params, first: int, signals: np.ndarray, fades: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[int, int]]:
    """(row, zone id, features) of each zone at each close that is looked at, and the id of the zone of each fade.

    A zone is faded as it stood at the close before; one that marks which expired made another has no id.
    """
    record = params.to_record()
    state = new_state(record)
    looked = np.arange(first, len(bars), EVERY)
    rows, ids, features = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros((0, len(FEATURES)))]
    faded: dict[int, int] = {}
    end = 0
    for row in np.union1d(looked, fades - 1).tolist():
        fold(state, record, bars[end : row + 1], new_signals(row + 1 - end))
        end = row + 1
        known, zones, _ = describe_zones(state, record, bars[:end])
        if (row - first) % EVERY == 0:
            rows.append(np.full(len(zones), row))
            ids.append(zones["zone_id"])
            features.append(known)
        if end < len(bars) and signals["fade"][end] != 0:
            meant = (zones["low"] == signals["fade_low"][end]) & (zones["high"] == signals["fade_high"][end])
            if meant.any():
                faded[end] = int(zones["zone_id"][meant.argmax()])
    return np.concatenate(rows), np.concatenate(ids), np.concatenate(features), faded


def _next(rows: np.ndarray, ids: np.ndarray, at: np.ndarray, of: np.ndarray) -> np.ndarray:
    """(n,) the first of the rows ``at`` of the same id that comes after each row; -1 if none.

    >>> _next(np.array([0, 3, 3]), np.array([7, 7, 8]), np.array([2, 5, 9]), np.array([7, 8, 7])).tolist()
    [2, 9, 5]
    """
    out = np.full(len(rows), -1, np.int64)
    for one in np.unique(of).tolist():
        mine, theirs = np.flatnonzero(ids == one), np.sort(at[of == one])
        place = np.searchsorted(theirs, rows[mine], side="right")
        is_there = place < len(theirs)
        out[mine[is_there]] = theirs[place[is_there]]
    return out
