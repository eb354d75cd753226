"""Where to cut: after which rows a value that knows the future is likeliest to give itself away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pandas as pd

from .values import Values
from .worlds import PRICES, signs

RARE = 200  # of so many rows one is rare
_LEADS = 24
_LATE = (1, 2, 3)  # rows before the end
_LIKE = 0.95  # a correlation that says: look here


def cuts_of(candles: pd.DataFrame, whole: Values, count: int, first: int, rng: np.random.Generator) -> list[int]:
    """Up to ``count`` different cuts from ``first`` on: a cut at c leaves the rows before c.

    A few are just before the end; then by turns two rows at which a column does something rare, a border of time, a
    rare candle, and chance.
    """
    rows = len(candles)
    kinds = [
        after(surprises(whole, candles)),
        chance(first, rows, rng),
        borders(candles, rng),
        after(surprises(whole, candles)[1:]),
        after(rare_candles(candles)),
    ]
    chosen: dict[int, None] = dict.fromkeys(cut for late in _LATE if (cut := rows - late) >= first)
    turns = [iter(kind) for kind in kinds]
    while turns and len(chosen) < count:
        for turn in list(turns):
            found = next((cut for cut in turn if first <= cut < rows and cut not in chosen), None)
            if found is None:
                turns.remove(turn)
            elif len(chosen) < count:
                chosen[found] = None
    return list(chosen)[:count]


def after(rows: Iterable[int]) -> Iterator[int]:
    """The cut just after each row, and then that just before it, over again."""
    for row in rows:
        yield row + 1
        yield row


def chance(first: int, rows: int, rng: np.random.Generator) -> Iterator[int]:
    """Every cut from ``first`` on, shuffled."""
    return iter(rng.permutation(np.arange(first, rows)).tolist() if rows > first else [])


def borders(candles: pd.DataFrame, rng: np.random.Generator) -> Iterator[int]:
    """Cuts around the first rows of months, weeks and days: the border, a row before it, a row after it."""
    times = next((candles[name] for name in candles.columns if candles[name].dtype.kind == "M"), None)
    if times is None:
        return
    days = (pd.Series(times.array).dt.tz_localize(None) if times.dt.tz is not None else times).to_numpy("M8[D]")
    number = days.astype(np.int64)
    spans = (days.astype("M8[M]").astype(np.int64), (number + 3) // 7, number)
    found = [rng.permutation(np.flatnonzero(np.diff(span)) + 1).tolist() for span in spans]
    for place in range(max(map(len, found))):
        for some in found:
            if place < len(some):
                yield from (some[place] - 1, some[place] + 1, some[place])


def rare_candles(candles: pd.DataFrame) -> list[int]:
    """The rows of the largest volumes, returns and ranges, gaps in time and unknown cells, by turns."""
    names = {str(name).lower(): name for name in candles.columns}
    numbers = {
        key: candles[names[key]].to_numpy(np.float64, na_value=np.nan)
        for key in (*PRICES, "volume")
        if key in names and candles[names[key]].dtype.kind in "fiu"
    }
    measures = [numbers["volume"]] if "volume" in numbers else []
    with np.errstate(divide="ignore", invalid="ignore"):
        if "close" in numbers:
            measures.append(np.abs(np.diff(np.log(numbers["close"]), prepend=np.nan)))
        if "high" in numbers and "low" in numbers:
            measures.append(numbers["high"] / numbers["low"])
    measures += [np.diff(candles[name].to_numpy("M8[ns]").astype(np.float64), prepend=np.nan)
                 for name in candles.columns if candles[name].dtype.kind == "M"]  # fmt: skip
    orders = [np.argsort(-np.nan_to_num(some, nan=-np.inf), kind="stable")[:20].tolist() for some in measures]
    return list(dict.fromkeys(row for turn in zip(*orders, strict=True) for row in turn)) if orders else []


def surprises(whole: Values, candles: pd.DataFrame) -> list[int]:
    """The rows at which columns do what they seldom do, the most surprising first and no column twice in a turn."""
    given = [
        candles[name].to_numpy(np.float64)
        for name in candles.columns
        if candles[name].dtype.kind in "fiu" and isinstance(candles[name].dtype, np.dtype)
    ]
    each = [
        _events(whole.numbers[place], given) if name not in whole.codes else _changes(whole.codes[name])
        for place, name in enumerate(whole.names)
    ]
    turns = [sorted(turn, reverse=True) for turn in _by_turns(each)]
    return list(dict.fromkeys(row for turn in turns for _, row in turn))


def _by_turns(lists: list[list[tuple[float, int]]]) -> Iterator[list[tuple[float, int]]]:
    for place in range(max(map(len, lists), default=0)):
        yield [some[place] for some in lists if place < len(some)]


def _events(x: np.ndarray, given: list[np.ndarray]) -> list[tuple[float, int]]:
    """(surprise in bits, row) of a column of numbers, the largest first."""
    rows = len(x)
    if rows < 3:
        return []
    unknown = np.isnan(x)
    before, now, then = x[:-2], x[1:-1], x[2:]
    happenings = [unknown[1:-1] != unknown[:-2], (now == then) & (now != before), now != before]
    for other in given:
        happenings += [now == other[1:-1], now != other[1:-1], now == other[2:]]
    found: list[tuple[float, int]] = []
    known = ~unknown[1:-1]
    for happened in happenings:
        at = np.flatnonzero(happened & (known | unknown[1:-1] & ~unknown[:-2])) + 1
        if 0 < len(at) <= rows // RARE:
            found += [(float(np.log2(rows / len(at))), int(row)) for row in at]
    with np.errstate(invalid="ignore", over="ignore"):
        bend = np.abs(now - (before + then) / 2.0)
    good = np.isfinite(bend)
    usual = float(np.median(bend[good])) if good.any() else 0.0
    if usual > 0.0:
        bend[~good] = 0.0
        found += [(float(np.log2(bend[at] / usual + 1.0)), int(at) + 1) for at in np.argsort(-bend)[:5]]
    best: dict[int, float] = {}
    for score, row in found:
        best[row] = max(score, best.get(row, 0.0))
    return sorted(((score, row) for row, score in best.items()), reverse=True)[:40]


def _changes(codes: np.ndarray) -> list[tuple[float, int]]:
    at = np.flatnonzero(codes[1:] != codes[:-1]) + 1
    return [(float(np.log2(len(codes) / len(at))), int(row)) for row in at[:40]]


def leads(shaken: list[tuple[int, np.ndarray]], reference: np.ndarray, each: int = 3) -> list[int]:
    """Rows whose values move with the numbers of a row to come, as far as shaken worlds tell.

    shaken      (seed, the columns' numbers in that world); all of as many rows as the shortest
    reference   the columns' numbers in the real one
    each        rows for each column at most

    In every world all rows are shaken at once, each by a sign of its own; so a dozen runs look at every row.
    """
    rows = min(numbers.shape[1] for _, numbers in shaken)
    thrown = np.array([signs(reference.shape[1], seed)[:rows] for seed, _ in shaken])
    found: list[int] = []
    for column in range(len(reference)):
        with np.errstate(invalid="ignore", over="ignore"):
            moved = np.array([numbers[column, :rows] - reference[column, :rows] for _, numbers in shaken])
        moved = np.where(np.isfinite(moved), moved, 0.0)
        size = np.sqrt((moved**2).sum(axis=0))
        best = np.zeros(rows)
        with np.errstate(divide="ignore", invalid="ignore"):
            for lead in range(1, min(_LEADS, rows - 1) + 1):
                like = np.abs((moved[:, :-lead] * thrown[:, lead:]).sum(axis=0)) / (size[:-lead] * np.sqrt(len(shaken)))
                best[:-lead] = np.fmax(best[:-lead], like)
        order = np.argsort(-best)[:each]
        found += [int(row) for row in order if best[row] > _LIKE]
    return found
