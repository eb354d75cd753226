"""The days and gaps of a table, against a reading of the rules row by row."""

from __future__ import annotations

import math
import random

import numpy as np
import pyarrow as pa

from liquidator_integrations.store.coverage import examine, frames
from liquidator_integrations.store.layout import DAY_MS, Span, day_name

DAY = 20_240 * DAY_MS


def table_of(times: list[int], ids: list[int]) -> pa.Table:
    return pa.table({"time": pa.array(times, pa.int64()), "id": pa.array(map(str, ids), pa.string())})


def naive_chained(times: list[int], ids: list[int]) -> list[tuple[int, int, float]]:
    gaps = []
    for row in range(1, len(ids)):
        step = ids[row] - ids[row - 1]
        if step != 1:
            gaps.append((times[row - 1], times[row], float(step - 1) if step > 1 else math.nan))
    return gaps


def naive_status(got: int, touched: bool) -> str:
    return "gap" if touched else "complete" if got else "empty"


def test_chained_trades_against_a_naive_twin():
    draw = random.Random(3)
    for _ in range(200):
        since, until = DAY + draw.randrange(DAY_MS), DAY + DAY_MS + draw.randrange(3 * DAY_MS)
        count = draw.randrange(0, 40)
        times = sorted(draw.randrange(since, until) for _ in range(count))
        ids, last = [], 100
        for _ in times:
            last += draw.choice([1] * 12 + [2, 5, -50])
            ids.append(last)
        order = sorted(range(count), key=lambda row: (times[row], ids[row]))
        times, ids = [times[row] for row in order], [ids[row] for row in order]
        result = examine(table_of(times, ids), since, until, [Span(since, until, "ids")], chained=True)
        want = naive_chained(times, ids)
        assert str([tuple(gap) for gap in result.gaps]) == str(want)
        for row in result.days:
            begin = max(since, int(np.datetime64(row["day"]).astype("M8[ms]").astype(np.int64)))
            end = min(until, begin // DAY_MS * DAY_MS + DAY_MS)
            got = sum(begin <= time < end for time in times)
            touched = any(one < end and two >= begin for one, two, _ in want)
            assert (row["got"], row["status"]) == (got, naive_status(got, touched))
            assert row["proof"] == ("none" if touched else "ids")
            if not touched:
                assert row["expected"] == got
        assert [row["day"] for row in result.days] == [
            day_name(at) for at in range(since // DAY_MS * DAY_MS, until, DAY_MS)
        ]


def test_candles_against_a_naive_twin():
    draw = random.Random(4)
    step = 3_600_000
    for _ in range(200):
        since = DAY + draw.randrange(30) * step
        until = since + draw.randrange(1, 80) * step
        wanted = range(since, until, step)
        times = [time for time in wanted if draw.random() < draw.choice([1.0, 0.9])]
        result = examine(table_of(times, times), since, until, [], step=step)
        missing = sorted(set(wanted) - set(times))
        held = {time for gap in result.gaps for time in wanted if gap.since <= time < gap.until and time not in times}
        assert held == set(missing)
        for row in result.days:
            mine = [time for time in wanted if day_name(time) == row["day"]]
            assert row["expected"] == len(mine)
            assert row["got"] == sum(time in times for time in mine)
            assert row["proof"] == "count"
            if set(mine) & set(missing):
                assert row["status"] == "gap"
        if not missing:
            assert {row["status"] for row in result.days} == {"complete"}


def test_what_is_covered_without_a_proof_is_unproven_and_what_is_not_covered_a_gap():
    times = [DAY + 10, DAY + 20, DAY + DAY_MS + 5]
    spans = [Span(DAY, DAY + DAY_MS + 50, "none")]
    result = examine(table_of(times, [1, 2, 3]), DAY, DAY + 2 * DAY_MS, spans)
    assert [row["status"] for row in result.days] == ["unproven", "gap"]
    (gap,) = result.gaps
    assert (gap.since, gap.until) == (DAY + DAY_MS + 5, DAY + 2 * DAY_MS)
    assert math.isnan(gap.missing)
    nothing = examine(table_of([], []), DAY, DAY + DAY_MS, [])
    assert [row["status"] for row in nothing.days] == ["gap"]
    assert [tuple(gap)[:2] for gap in nothing.gaps] == [(DAY, DAY + DAY_MS)]


def test_a_gap_over_midnight_touches_both_days():
    midnight = DAY + DAY_MS
    result = examine(
        table_of([DAY + 5, midnight - 1, midnight + 7, midnight + DAY_MS + 1], [1, 2, 9, 10]),
        DAY,
        DAY + 3 * DAY_MS,
        [Span(DAY, DAY + 3 * DAY_MS, "ids")],
        chained=True,
    )
    assert [row["status"] for row in result.days] == ["gap", "gap", "complete"]
    assert [tuple(gap) for gap in result.gaps] == [(midnight - 1, midnight + 7, 6.0)]


def test_frames_have_their_columns_and_types_without_rows():
    coverage, gaps = frames("kraken", "BTC/USD", {})
    assert list(coverage.columns) == ["venue", "symbol", "kind", "day", "expected", "got", "proof", "status"]
    assert list(gaps.columns) == ["venue", "symbol", "kind", "since", "until", "missing"]
    assert gaps["since"].dtype == gaps["until"].dtype == "int64"
    assert gaps["missing"].dtype == coverage["expected"].dtype == "float64"
