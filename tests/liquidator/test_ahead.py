"""Trades far ahead of all others, and long runs of empty bars: the same however they come, and in little room."""

from __future__ import annotations

import logging

import made_bars
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from liquidator_core import BAR, TRADE
from liquidator_core.tape import bars_from_trades
from liquidator_integrations import Liquidator
from liquidator_integrations.liquidator.ahead import DAY_MS, HOUR_MS, believed

SMALL = made_bars.small_params(zone_bars=60, event_mult=2.0, break_atr=2.0)
MINUTE = 60_000
YEARS = 30 * 365 * DAY_MS
MODES = pytest.mark.parametrize("mode", ["batch", "streaming"])


def trades_of(length: int = 800, seed: int = 0) -> np.ndarray:
    trades = made_bars.random_trades(length, seed)
    trades["side"] = np.where(trades["side"] == 0, 1, trades["side"])
    return trades


def one(time: int, price: float = 1.0) -> np.ndarray:
    return np.array([(time, price, 1.0, 1)], TRADE)


def rows_of(trades: np.ndarray, ids: np.ndarray | None = None) -> list[dict]:
    rows = [dict(zip(TRADE.names, row, strict=True)) for row in trades.tolist()]
    return rows if ids is None else [{**row, "id": int(ident)} for row, ident in zip(rows, ids, strict=True)]


def small(mode: str = "batch", **options) -> Liquidator:
    return Liquidator(params=SMALL, mode=mode, **options)


def given_in(rows: list[dict], form: str, mode: str, tmp_path=None) -> Liquidator:
    """A Liquidator that was given rows in one of several forms."""
    made = small(mode)
    if form == "at once":
        made.ingest_trades(rows)
    elif form == "pushed":
        for row in rows:
            made.push(row)
    else:
        for start in range(0, len(rows), 97):
            made.ingest_trades(rows[start : start + 97])
            if form == "saved":
                made.save(tmp_path / "saved")
                made = Liquidator.load(tmp_path / "saved")
    return made


def assert_same(one: Liquidator, other: Liquidator) -> None:
    assert one.bars().tobytes() == other.bars().tobytes()
    assert one.counts["ahead"] == other.counts["ahead"]
    pd.testing.assert_frame_equal(one.compute_zones(), other.compute_zones(), check_exact=True)


class TestOneWrongTime:
    @MODES
    @pytest.mark.parametrize("form", ["at once", "pushed", "chunks", "saved"])
    @pytest.mark.parametrize("place", [0, 1, 2, 400, 800])
    @pytest.mark.parametrize("ahead", [DAY_MS + HOUR_MS * 9, 4 * DAY_MS, YEARS])
    def test_changes_nothing_and_is_counted(self, mode, form, place, ahead, tmp_path):
        trades = trades_of()
        wrong = one(int(trades["time"][min(place, 799)]) + ahead)
        rows = rows_of(np.concatenate([trades[:place], wrong, trades[place:]]))
        made, without = given_in(rows, form, mode, tmp_path), given_in(rows_of(trades), "at once", mode)
        assert made.bars().tobytes() == without.bars().tobytes()
        pd.testing.assert_frame_equal(made.compute_zones(), without.compute_zones(), check_exact=True)
        assert made.counts == {**without.counts, "ahead": 1}

    @MODES
    def test_is_logged(self, mode, caplog):
        trades = trades_of(50)
        with caplog.at_level(logging.WARNING, "liquidator"):
            assert given_in(rows_of(np.concatenate([trades[:20], one(4 * 10**12), trades[20:]])), "pushed", mode).counts
        assert [record.message for record in caplog.records if "more than a day after all" in record.message]

    @MODES
    def test_a_day_is_not_more_than_a_day(self, mode):
        last = int(trades_of(50)["time"].max())
        made = small(mode)
        made.ingest_trades(rows_of(np.concatenate([trades_of(50), one(last + DAY_MS)])))
        assert made.counts["ahead"] == 0
        made.push(rows_of(one(last + 2 * DAY_MS + 1))[0])
        assert made.counts["ahead"] == 1

    def test_many_of_them_take_little_room_in_streaming(self):
        trades = trades_of(300)
        made = small("streaming")
        made.ingest_trades(rows_of(trades[:10]))
        start = int(trades["time"].max()) + 2 * DAY_MS
        made.ingest_trades({name: np.repeat(one(start)[name], 3000) for name in TRADE.names} | {
            "time": start + np.arange(3000) * 3 * HOUR_MS
        })  # fmt: skip
        made.ingest_trades(rows_of(trades[10:]))
        assert made.counts["ahead"] == 3000
        assert len(made._history._waiting.trades) <= 100
        assert made.bars().tobytes() == given_in(rows_of(trades), "at once", "streaming").bars().tobytes()


class TestThreeAgree:
    """(minutes after the first of them, ids, whether they count)."""

    TABLE = (
        ((0, 1), None, False),
        ((0, 1, 2), None, True),
        ((0, 60, 120), None, True),
        ((0, 61, 120), None, False),
        ((0, 60, 121), None, False),
        ((0, 1, 2), (7, 8, 9), True),
        ((0, 1, 2), (7, 8, 7), False),
        ((0, 0, 0), (7, 8, 9), True),
        ((0, 200, 201, 202), None, (200, 201, 202)),
    )

    @MODES
    @pytest.mark.parametrize("form", ["at once", "pushed", "chunks", "saved"])
    @pytest.mark.parametrize(("minutes", "ids", "counts"), TABLE)
    def test_table(self, mode, form, minutes, ids, counts, tmp_path):
        trades = trades_of(100)
        first = int(trades["time"].max()) + 10 * DAY_MS
        late = np.concatenate([one(first + minute * MINUTE) for minute in minutes])
        all_ids = None if ids is None else np.r_[np.arange(100) + 100, ids]
        made = given_in(rows_of(np.concatenate([trades, late]), all_ids), form, mode, tmp_path)
        expected = len(minutes) if counts is True else len(counts or ())
        assert made.counts["ahead"] + made.counts["repeated"] == len(minutes) - expected
        end = int(made.bars()["time"][-1])
        assert (end > first - HOUR_MS) == bool(expected)

    def test_witnesses_may_come_in_any_order_in_batch(self):
        trades = trades_of(200)
        trades = trades[np.unique(trades["time"], return_index=True)[1]]  # those of one time count as they came
        late = np.concatenate([one(int(trades["time"].max()) + 10 * DAY_MS + i * MINUTE) for i in range(3)])
        rows = rows_of(np.concatenate([trades, late]))
        whole = given_in(rows, "at once", "batch")
        assert whole.counts["ahead"] == 0
        assert_same(given_in(rows[::-1], "pushed", "batch"), whole)
        assert_same(given_in(rows[-2:] + rows[:-2], "chunks", "batch"), whole)


def naive_believed(times: list[int]) -> list[bool]:
    """By the definition: the first counts, then each that is near enough to one that counts or has two witnesses."""
    counts = [False] * len(times)
    last = None
    for i, time in enumerate(times):
        if counts[i] or last is None or time <= last + DAY_MS:
            counts[i] = True
        else:
            group = range(i, min(i + 3, len(times)))
            if len(group) == 3 and all(times[j + 1] - times[j] <= HOUR_MS for j in group[:2]):
                for j in group:
                    counts[j] = True
        if counts[i]:
            last = time
    return counts


STEPS = st.sampled_from([0, MINUTE, HOUR_MS, HOUR_MS + 1, 5 * HOUR_MS, DAY_MS, DAY_MS + 1, 3 * DAY_MS])


@given(st.lists(STEPS, min_size=1, max_size=14))
def test_who_is_believed_is_what_the_definition_says(steps):
    times = np.cumsum(steps) + 1_700_000_000_000
    assert believed(times, np.zeros(len(times), np.int64), None).tolist() == naive_believed(times.tolist())


@settings(max_examples=25)
@given(st.lists(STEPS, min_size=2, max_size=14), st.randoms(use_true_random=False), st.integers(1, 5))
def test_in_batch_neither_order_nor_chunks_matter(steps, random, pieces):
    times = np.cumsum(steps) + 1_700_000_000_000
    trades = np.concatenate([one(int(time), 100.0 + i) for i, time in enumerate(times)])
    trades["time"] += np.arange(len(trades))  # so that no two have one time
    whole = small(cutoff_hours=None)
    whole.ingest_trades(rows_of(trades))
    order = list(range(len(trades)))
    random.shuffle(order)
    made = small(cutoff_hours=None)
    for part in np.array_split(trades[order], pieces):
        if len(part):
            made.ingest_trades(rows_of(part))
            made.compute_zones()
    assert_same(made, whole)


def test_in_batch_a_first_trade_that_was_believed_is_so_no_more_when_older_ones_come():
    times = 1_700_000_000_000 + np.array([0, 1, DAY_MS + 2, DAY_MS + MINUTE + 3])
    trades = np.concatenate([one(int(time), 100.0 + i) for i, time in enumerate(times)])
    made, whole = small(), small()
    made.ingest_trades(rows_of(trades[2:]))
    assert len(made.bars()) == 1
    made.ingest_trades(rows_of(trades[:2]))
    whole.ingest_trades(rows_of(trades))
    assert_same(made, whole)
    assert len(made.bars()) == 0


class TestRuns:
    """Two tapes with hours, days or years of nothing between them."""

    def gapped(self, gap: int) -> np.ndarray:
        first, second = trades_of(700, 1), trades_of(700, 2)
        second["time"] += int(first["time"].max()) - int(second["time"].min()) + gap
        return np.concatenate([first, second])

    @pytest.mark.parametrize("minutes", [130, 131, 132, 133, 134, 300, 1000, 5000, 40_000])
    @pytest.mark.parametrize("feeds", [False, True])
    def test_give_what_all_their_bars_give(self, minutes, feeds):
        trades = self.gapped(minutes * MINUTE)
        full = small()
        full.update_candles(bars_from_trades(trades, full.params))
        made = small()
        made.ingest_trades(rows_of(trades))
        if feeds:
            middle = int(trades["time"][699]) + minutes * MINUTE // 2
            for liquidator in (full, made):
                liquidator.ingest_liquidations(
                    [{"time": middle + i * 7 * MINUTE, "side": "long", "price": 99.0, "usd": 1e5} for i in range(3)]
                )
                liquidator.ingest_funding_rates(
                    [
                        {"time": middle + i * 50 * MINUTE, "funding_rate": 0.001 * i, "open_interest": 5.0}
                        for i in (1, 2)
                    ]
                )
        assert len(made._history.rows.rows) <= len(full._history.rows.rows)
        bars = made.bars()
        assert bars[: len(bars) - 1].tobytes() == full.bars()[: len(bars) - 1].tobytes()
        names = ("1m", "5m", "15m", "1h", "4h", "1d", "1M")
        ours, theirs = (each.compute_multi_timeframe_zones(names) for each in (made, full))
        pd.testing.assert_frame_equal(ours, theirs)
        assert len(theirs)
        for name in names:
            assert made.bars(name).tobytes() == full.bars(name).tobytes()
        pd.testing.assert_frame_equal(made.levels(), full.levels())
        for as_of in (trades["time"][300], *(trades["time"][699] + np.array([40, 200]) * MINUTE), trades["time"][1000]):
            at = int(as_of)
            pd.testing.assert_frame_equal(made.compute_zones(as_of=at), full.compute_zones(as_of=at))

    @MODES
    @pytest.mark.parametrize("form", ["pushed", "chunks", "saved"])
    def test_are_the_same_however_trades_come(self, mode, form, tmp_path):
        rows = rows_of(self.gapped(20 * HOUR_MS))
        assert_same(given_in(rows, form, mode, tmp_path), given_in(rows, "at once", "batch"))

    @MODES
    def test_of_thirty_years_take_no_room(self, mode):
        made = small(mode)
        made.ingest_trades(rows_of(self.gapped(YEARS)))
        assert made.counts["ahead"] == 0
        assert len(made._history.rows.rows) < 1000
        assert len(made.bars()) < 1000 + SMALL.memory
        frame = made.compute_multi_timeframe_zones()
        assert frame["bars_seen"].max() > YEARS // MINUTE
        assert made.bars("1M").dtype == BAR
        assert len(made.bars("1M")) <= SMALL.memory + 2
        assert sum(array.nbytes for _, array in made._history.arrays()) < 2e6

    def test_many_short_ones_in_one_table_take_little_room_in_streaming(self, monkeypatch):
        for name, value in (("history.STREAMED_ROWS", 300), ("history._AT_ONCE", 100), ("timeframes._CATCH_UP", 50)):
            monkeypatch.setattr(f"liquidator_integrations.liquidator.{name}", value)
        trades = np.concatenate([one(1_700_000_000_000 + i * 70 * MINUTE, 100.0 + i % 3) for i in range(1000)])
        made = small("streaming", timeframes=["1m", "1h"])
        made.ingest_trades({name: trades[name] for name in TRADE.names})
        assert made._history.bars.count(made._history.rows.end) == 999 * 70
        assert len(made._history.rows._room) <= 1300
        assert len(made._history.tape.bars.rows._room) <= 1300

    def test_streaming_tells_the_same_events_however_trades_come(self):
        told = []
        for form in ("at once", "pushed"):
            made, events = small("streaming"), []
            made.on_zone_formed(
                lambda zone, events=events: events.append(("formed", zone["zone_id"], zone["event_time"]))
            )
            made.on_zone_broken(lambda zone, events=events: events.append((zone["reason"], zone["zone_id"])))
            rows = rows_of(self.gapped(20 * HOUR_MS))
            if form == "pushed":
                for row in rows:
                    made.push(row)
            else:
                made.ingest_trades(rows)
            told.append(events)
        assert told[0] == told[1]
        assert {event[0] for event in told[0]} >= {"formed", "expiry"}
