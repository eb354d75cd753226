"""What a fetch can prove: a row a day, and the gaps by name. Pure functions of rows and of the spans covered."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from .layout import Span, day_name, days, merged, within, without

COVERAGE = ("venue", "symbol", "kind", "day", "expected", "got", "proof", "status")
GAPS = ("venue", "symbol", "kind", "since", "until", "missing")


class Gap(NamedTuple):
    """Rows that are missing between two times: those of the last row before and of the first after."""

    since: int
    until: int
    missing: float  # how many, where ids tell it; else NaN


class Result(NamedTuple):
    """What is known of one kind of one market."""

    days: list[dict[str, Any]]
    gaps: list[Gap]


def examine(table: pa.Table, since: int, until: int, spans: list[Span], step: int = 0, chained: bool = False) -> Result:
    """The days and the gaps of a table's rows.

    table    rows in order of time, each once, all within since <= time < until
    spans    what was covered, and how it is proven
    step     ms from row to row where the venue sends one for every interval, with trades or without; 0: it does not
    chained  whether the venue numbers its trades one after the other
    """
    time = table["time"].to_numpy()
    spans = within(merged(spans), since, until)
    if chained:
        spans = merged(_bridged(time, table["id"].cast(pa.int64()).to_numpy(), spans))
    if step:
        gaps = _absent(time, since, until, step)
    else:
        ids = table["id"].cast(pa.int64()).to_numpy() if chained else None
        gaps = _uncovered(time, chained, since, until, spans) + (_jumps(time, ids) if ids is not None else [])
    gaps.sort(key=lambda gap: gap[:2])
    rows = []
    for begin, end in days(since, until):
        first, last = np.searchsorted(time, [begin, end])
        got = int(last - first)
        proofs = {span.proof for span in within(spans, begin, end)}
        touching = [gap for gap in gaps if gap.since < end and gap.until >= begin]
        proof = "count" if step else proofs.pop() if len(proofs) == 1 and not touching else "none"
        expected = np.nan
        if step:
            expected = float(len(range(-(-begin // step) * step, end, step)))
        elif proof == "ids":
            expected = float(got)
        status = "unproven" if proof == "none" else "complete" if got else "empty"
        if touching:
            status = "gap"
            lost = [gap.missing for gap in touching]
            if chained and not np.isnan(lost).any() and all(begin <= gap.since and gap.until < end for gap in touching):
                expected = got + float(sum(lost))
        rows.append({"day": day_name(begin), "expected": expected, "got": got, "proof": proof, "status": status})
    return Result(rows, gaps)


def _bridged(time: np.ndarray, ids: np.ndarray, spans: list[Span]) -> list[Span]:
    """Spans, those proven that the ids of the trades before and behind them prove."""
    proven = []
    for span in spans:
        before, behind = np.searchsorted(time, span.since, "right") - 1, np.searchsorted(time, span.until)
        if span.proof == "none" and before >= 0 and behind < len(ids):
            rows = ids[before : behind + 1]
            span = span._replace(proof="ids") if (np.diff(rows) == 1).all() else span
        proven.append(span)
    return proven


def _absent(time: np.ndarray, since: int, until: int, step: int) -> list[Gap]:
    """Runs of intervals without a row."""
    wanted = np.arange(-(-since // step) * step, until, step)
    missing = _runs(wanted[~np.isin(wanted, time)], step)
    return [_between(time, first, last + 1, since, until) for first, last in missing]


def _runs(times: np.ndarray, step: int) -> list[tuple[int, int]]:
    """(first, last) of each run of times that follow each other."""
    if len(times) == 0:
        return []
    breaks = np.flatnonzero(np.diff(times) != step)
    firsts, lasts = times[np.r_[0, breaks + 1]], times[np.r_[breaks, len(times) - 1]]
    return [(int(first), int(last)) for first, last in zip(firsts, lasts, strict=True)]


def _between(time: np.ndarray, first: int, end: int, since: int, until: int) -> Gap:
    """The gap from the last row before ``first`` to the first row from ``end`` on."""
    before, after = np.searchsorted(time, [first, end])
    return Gap(
        int(time[before - 1]) if before else since, int(time[after]) if after < len(time) else until, float("nan")
    )


def _uncovered(time: np.ndarray, chained: bool, since: int, until: int, spans: list[Span]) -> list[Gap]:
    """What no span covers; between trades that are chained, ``_jumps`` tells what is missing."""
    gaps = [_between(time, first, first, since, until) for first, _ in without([(since, until)], spans)]
    if not chained or len(time) == 0:
        return gaps
    edges = []
    if any(gap.since == since for gap in gaps) and not any(span.since <= since for span in spans):
        edges.append(Gap(since, int(time[0]), float("nan")))
    if any(gap.until == until for gap in gaps) and not any(span.until >= until for span in spans):
        edges.append(Gap(int(time[-1]), until, float("nan")))
    return edges


def _jumps(time: np.ndarray, ids: np.ndarray) -> list[Gap]:
    """Where ids that should follow each other do not: they jump, or begin anew."""
    steps = np.diff(ids)
    rows = np.flatnonzero(steps != 1)
    return [
        Gap(int(time[row]), int(time[row + 1]), float(steps[row] - 1) if steps[row] > 1 else float("nan"))
        for row in rows.tolist()
    ]


def without_holes(table: pa.Table, since: int, until: int, spans: list[Span]) -> list[Span]:
    """Spans less what lies between trades whose ids do not follow each other."""
    gaps = examine(table, since, until, spans, chained=True).gaps
    holes = [Span(gap.since, gap.until + 1, "none") for gap in gaps]  # the moments of both ends may lack some, too
    return [Span(*part, span.proof) for span in spans for part in without([(span.since, span.until)], holes)]


def frames(venue: str, symbol: str, results: dict[str, Result]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """(the frame of days, the frame of gaps) of all kinds that were fetched."""
    named = {"venue": venue, "symbol": symbol}
    covered = [{**named, "kind": kind, **row} for kind, result in results.items() for row in result.days]
    gaps = [{**named, "kind": kind, **gap._asdict()} for kind, result in results.items() for gap in result.gaps]
    return (
        pd.DataFrame(covered, columns=COVERAGE).astype({"expected": "float64", "got": "int64"}),
        pd.DataFrame(gaps, columns=GAPS).astype({"since": "int64", "until": "int64", "missing": "float64"}),
    )
