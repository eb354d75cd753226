"""A tape with every fault in it: the bars of its good trades, a count of each kind, no traceback."""

from __future__ import annotations

import datetime
import decimal
import itertools
import logging
import math

import made_bars
import numpy as np
import pandas as pd
import pytest
from feeding import CHUNK, FORMS, fed

from liquidator_core import TRADE
from liquidator_integrations import Liquidator

SMALL = made_bars.small_params(zone_bars=60, event_mult=2.0, break_atr=2.0)
MINUTE, DAY = 60_000, 86_400_000
START = 1_700_000_000_000 // MINUTE * MINUTE


def good_rows() -> list[dict]:
    """Trades with ids, a month of nothing between the halves."""
    trades = made_bars.random_trades(600, 4)
    trades["time"] += START - trades["time"].min() + np.arange(600)  # so that no two have one time
    trades["time"][300:] += 30 * DAY
    sides = np.where(trades["side"] < 0, "sell", "buy")
    rows = [dict(zip(TRADE.names, row, strict=True)) for row in trades.tolist()]
    return [
        {**row, "side": str(side), "id": i, "coin": "BTC"}
        for i, (row, side) in enumerate(zip(rows, sides, strict=True))
    ]


def wrong(row: dict, **changes: object) -> dict:
    """A row with another id, changed; what is changed to None is left out of it."""
    row = {**row, "id": row["id"] + 10_000, **changes}
    return {name: value for name, value in row.items() if value is not ...}


#: What a row may have in a field that makes it no trade that can be counted.
SKIPPED = [
    *(
        {"price": value}
        for value in (0.0, -1.0, math.nan, math.inf, "x", "", True, None, [], {}, b"\xff", "\udcff", ...)
    ),
    *({"size": value} for value in (0.0, -1.0, math.nan, math.inf, "x", None, decimal.Decimal("sNaN"), 10**400, ...)),
    *({"side": value} for value in ("hold", "", None, 0, 7, True, math.nan, ...)),
    *({"time": value} for value in (None, "yesterday", math.nan, pd.NaT, 5, -1, 10**30, True, [], ...)),
    {"time": datetime.timedelta(1)},
    *({"coin": value} for value in ("ETH", "BTC2")),
]


def faulty_rows() -> tuple[list[dict], dict[str, int]]:
    """(good rows with faults between them, how many of each kind)."""
    good = good_rows()
    rows, places = [], iter(range(10, 290, 4))
    faults = {place: wrong(good[place], **change) for place, change in zip(places, SKIPPED, strict=False)}
    assert len(faults) == len(SKIPPED)
    ahead = {place: wrong(good[place], time=good[place]["time"] + 400 * DAY) for place in (5, 305, 505)}
    others = {place: wrong(good[place], is_block_trade=True) for place in (7, 407)}
    for place, row in enumerate(good):
        rows.append(row)
        rows += [some[place] for some in (faults, ahead, others) if place in some]
        if place in (8, 308, 599):
            rows.append(dict(row))
    return rows, {"skipped": len(faults), "ahead": 3, "not_trades": 2, "repeated": 3}


def small(mode: str) -> Liquidator:
    return Liquidator("BTC", params=SMALL, mode=mode, on_bad="skip", cutoff_hours=None)


def taken(rows: list[dict], form: str, mode: str, folder) -> Liquidator:
    return fed(small(mode), rows, form, folder)


@pytest.mark.parametrize("mode", ["batch", "streaming"])
@pytest.mark.parametrize("form", FORMS)
def test_gives_the_bars_of_its_good_trades_and_a_count_of_each_kind(mode, form, tmp_path, caplog):
    rows, counts = faulty_rows()
    with caplog.at_level(logging.WARNING, "liquidator"):
        made = taken(rows, form, mode, tmp_path)
        assert made.counts == {name: counts.get(name, 0) for name in made.counts}
    assert {record.name for record in caplog.records} <= {"liquidator"}
    assert len(caplog.records) <= 4 + 2 * (form == "saved") * len(rows) // CHUNK  # each kind is said once, not each row
    clean = taken(good_rows(), "at once", "batch", tmp_path)
    assert made.bars().tobytes() == clean.bars().tobytes()
    assert len(clean.compute_zones())
    pd.testing.assert_frame_equal(made.compute_zones(), clean.compute_zones(), check_exact=True)
    pd.testing.assert_frame_equal(
        made.compute_multi_timeframe_zones(), clean.compute_multi_timeframe_zones(), check_exact=True
    )


def test_in_batch_no_order_matters(tmp_path):
    rows, _ = faulty_rows()
    whole = taken(rows, "at once", "batch", tmp_path)
    for seed, form in itertools.product(range(2), ("at once", "chunks", "saved")):
        order = np.random.default_rng(seed).permutation(len(rows))
        made = taken([rows[place] for place in order], form, "batch", tmp_path)
        assert made.counts == whole.counts
        assert made.bars().tobytes() == whole.bars().tobytes()


def test_what_is_late_in_streaming_is_counted_beside_the_rest(tmp_path):
    rows, counts = faulty_rows()
    late = [wrong(row) for row in good_rows()[100:110]]
    made = taken([*rows, *late], "chunks", "streaming", tmp_path)
    assert made.counts == {name: {**counts, "late_trades": 10}.get(name, 0) for name in made.counts}
    assert made.bars().tobytes() == taken(rows, "at once", "streaming", tmp_path).bars().tobytes()


@pytest.mark.parametrize("change", SKIPPED, ids=repr)
def test_a_batch_of_only_bad_trades_is_skipped_as_single_ones_are(change):
    bad = [wrong(row, **change) for row in good_rows()[:3]]
    made, pushed = small("batch"), small("batch")
    for row in bad:
        pushed.push(row)
    assert pushed.counts["skipped"] == 3
    if ... in change.values():
        return  # a whole table without a column is no fault of its rows
    made.ingest_trades(bad)
    assert made.counts == pushed.counts
    made.ingest_trades(good_rows()[:50])
    assert made.bars().tobytes() == taken(good_rows()[:50], "at once", "batch", None).bars().tobytes()
