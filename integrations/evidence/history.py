"""Runs that begin later against the run on all rows: how soon their values agree, and which never do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .values import Values, differs, part, relative_error

FADED = 1e-6
_NEVER = 0.95  # of a run: a difference behind it has not faded
_FALL = 0.6  # from a quarter of a run to the next, at least, where a difference fades away
_FEW = 3  # different values at most: a column of switches
_OFTEN = 0.01


def windows_of(rows: int, least: int, startup: int) -> list[tuple[int, int]]:
    """(first, end) of runs that begin later: at half the frame, or so that the stated rows are left, and before.

    Starts are an odd lot, lest what counts in dozens from its first row falls into step; ends are all different.
    """
    half = rows - max(rows - rows // 2, startup)
    starts = [half, half - 1, round(0.74 * half) - 1, round(0.43 * half), round(0.19 * half) + 1, 1]
    kept = [start for start in dict.fromkeys(starts) if start > 0]
    return [(start, rows - lot) for lot, start in enumerate(kept) if rows - lot - start >= least]


class Histories:
    """Later starts of all columns.

    windows   (first row, values) of each
    """

    def __init__(
        self, whole: Values, scale: np.ndarray, windows: Sequence[tuple[int, Values]], rows: int, startup: int
    ) -> None:
        self._whole, self._rows = whole, rows
        self._judged = max(rows - rows // 2, startup)
        self._runs = []
        for first, found in windows:
            reference = part(whole, first, first + found.rows)
            wrong = differs(found, reference, FADED, scale)
            same = found.names == whole.names
            error = relative_error(found.numbers, reference.numbers, scale) if same else np.where(wrong, np.inf, 0.0)
            known = np.array([found.known(place) for place in range(len(found.names))]).reshape(-1, found.rows)
            self._runs.append((first, wrong, error, known if same else np.ones_like(wrong)))

    def of(self, name: str, ahead: int) -> tuple[int | None, int | None]:
        """(rows of warm-up, or None; the first row at which the start is not forgotten, or None).

        ahead   rows at the end of each run that are not looked at: they wait for rows to come
        """
        place = self._whole.names.index(name)
        needed, accused = [], []
        for first, wrong, error, known in self._runs:
            rows = wrong.shape[1] - ahead
            bad = wrong[place, :rows]
            if not known[place, :rows].any():
                if bad.any():
                    needed.append(rows + 1)
                continue
            last = int(np.flatnonzero(bad)[-1]) + 1 if bad.any() else 0
            if last < self._judged or not self._lasts(place, bad, last):
                needed.append(last + 1)
                continue
            rest = rows_until_faded(error[place, :rows])
            if rest is None:
                late = np.flatnonzero(bad[self._judged - 1 :])
                accused.append(first + self._judged - 1 + int(late[0]))
            else:
                needed.append(rest)
        if accused:
            return None, min(accused)
        return (max(needed), None) if needed else (None, None)

    def _lasts(self, place: int, bad: np.ndarray, last: int) -> bool:
        """Whether the differences of a run have not simply ended at row ``last``."""
        late = bad[self._judged - 1 :]
        values = self._whole.numbers[place]
        if self._whole.names[place] in self._whole.codes or len(np.unique(values[~np.isnan(values)])) <= _FEW:
            return last > _NEVER * len(bad) - 1 and bool(late.mean() >= _OFTEN)
        return last > _NEVER * len(bad) - 1 or bool(bad[self._judged - 1 : last].mean() < 0.5)


def rows_until_faded(error: np.ndarray) -> int | None:
    """The rows after which a difference that falls and falls will have come below 1e-6; None for one that stays."""
    finite = np.where(np.isfinite(error), error, 0.0)
    _, *quarters = (float(quarter.max()) for quarter in np.array_split(finite, 4)) if len(error) >= 4 else ([0.0] * 4)
    if not quarters[0] > quarters[1] > quarters[2] > 0.0 or np.isinf(error[len(error) // 4 :]).any():
        return None
    if quarters[1] > _FALL * quarters[0] or quarters[2] > _FALL * quarters[1]:
        return None
    a_row = np.log(quarters[0] / quarters[2]) / (len(error) / 2)
    return int(np.ceil(0.75 * len(error) + np.log(max(quarters[2] / FADED, 1.0)) / a_row))
