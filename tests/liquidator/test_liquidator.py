"""The Liquidator: its laws, its events, its frames, and its zones against the naive twin."""

from __future__ import annotations

import copy
import dataclasses
import logging
import math
import subprocess
import sys

import made_bars
import naive
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import talib
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from places import SHARED

from liquidator_core import BAR, TRADE, Params
from liquidator_core.tape import bars_from_trades
from liquidator_core.timeframes import TIMEFRAMES, bar_spans, to_timeframe
from liquidator_integrations import Liquidator, compute_atr, compute_vwap, frames
from liquidator_integrations.charts import html as charts
from liquidator_integrations.liquidator import cascade
from liquidator_integrations.liquidator.history import STREAMED_ROWS, History
from liquidator_integrations.liquidator.row_buffer import RowBuffer
from liquidator_integrations.market.trades import read_trades
from liquidator_integrations.tables.zone_schema import COLUMNS

SMALL = made_bars.small_params(zone_bars=60, event_mult=2.0, break_atr=2.0)
MINUTE = 60_000
START = made_bars.START


def trades_of(length: int = 2500, seed: int = 0) -> np.ndarray:
    """Trades over some 400 minutes, enough for several zones under SMALL."""
    trades = made_bars.random_trades(length, seed)
    trades["side"] = np.where(trades["side"] == 0, 1, trades["side"])
    return trades


def table_of(trades: np.ndarray, **more) -> dict:
    return {name: trades[name] for name in TRADE.names} | more


def dicts_of(trades: np.ndarray, **more) -> list[dict]:
    rows = [dict(zip(TRADE.names, row, strict=True)) for row in trades.tolist()]
    return [{**row, **{name: values[i] for name, values in more.items()}} for i, row in enumerate(rows)]


def small(**options) -> Liquidator:
    return Liquidator(**{"params": SMALL, **options})


def filled(trades: np.ndarray, **options) -> Liquidator:
    made = small(**options)
    made.ingest_trades(table_of(trades))
    return made


def assert_same(one: Liquidator, other: Liquidator) -> None:
    assert one.bars().tobytes() == other.bars().tobytes()
    pd.testing.assert_frame_equal(one.compute_zones(), other.compute_zones(), check_exact=True)


def log_events(liquidator: Liquidator) -> list[tuple]:
    events: list[tuple] = []
    for name in ("formed", "touched", "held", "broken"):
        getattr(liquidator, f"on_zone_{name}")(lambda zone, name=name: events.append((name, zone)))
    liquidator.on_zone_updated(lambda new, old: events.append(("updated", new, old)))
    return events


def keys_of(events: list[tuple]) -> list[tuple]:
    return [(event[0], event[1]["zone_id"], event[1]["event_time"], event[1].get("reason")) for event in events]


def in_every_form(table: dict) -> dict:
    """The same trades in the forms that tables of rows and columns come in."""
    frame = pd.DataFrame(table)
    arrow = pa.table(table)
    rows = frame.to_dict("records")
    return {
        "list": rows,
        "tuple": tuple(rows),
        "generator": (row for row in rows),
        "frame": frame,
        "records": frame.to_records(index=False),
        "table": arrow,
        "batch": arrow.to_batches()[0],
        "chunks": pa.concat_tables([arrow.slice(0, 10), arrow.slice(10)]),
        "reader": arrow.to_reader(max_chunksize=100),
    }


class TestLaws:
    @pytest.mark.parametrize("on_bad", ["raise", "skip"])
    def test_the_form_of_trades_changes_nothing(self, on_bad):
        trades = trades_of(600)
        whole = filled(trades)
        for name, form in in_every_form(table_of(trades)).items():
            made = small(on_bad=on_bad)
            made.ingest_trades(form)
            assert made.bars().tobytes() == whole.bars().tobytes(), name
        bad = table_of(trades) | {"price": np.where(np.arange(600) == 7, -1.0, trades["price"])}
        for name, form in in_every_form(bad).items():
            made = small(on_bad=on_bad)
            if on_bad == "raise":
                with pytest.raises(ValueError, match=r"row 7.*price: found -1\.0"):
                    made.ingest_trades(form)
            else:
                made.ingest_trades(form)
                assert made.bars().tobytes() == filled(np.delete(trades, 7)).bars().tobytes(), name

    @settings(max_examples=25)
    @given(st.integers(0, 5), st.lists(st.integers(1, 1499), max_size=8), st.booleans())
    def test_chunks_change_nothing(self, seed, cuts, streaming):
        trades = trades_of(1500, seed)
        mode = "streaming" if streaming else "batch"
        whole = filled(trades, mode=mode)
        pieces = small(mode=mode)
        for part in np.split(trades, sorted(set(cuts))):
            pieces.ingest_trades(table_of(part))
            if len(cuts) % 2:
                pieces.compute_zones()
        assert_same(whole, pieces)

    def test_pushing_one_by_one_changes_nothing(self):
        trades = trades_of()
        for mode in ("batch", "streaming"):
            pushed = small(mode=mode)
            for trade in dicts_of(trades):
                pushed.push(trade)
            assert_same(filled(trades, mode=mode), pushed)
            assert len(pushed.compute_zones()) > 0

    def test_pushing_now_and_then_changes_nothing(self):
        trades = trades_of(900)
        trades["time"] = trades["time"] // 30_000 * 30_000  # many of one time: they count in order of arrival
        for mode in ("batch", "streaming"):
            mixed = small(mode=mode)
            for part in np.split(trades, [1, 2, 40, 41, 43, 44, 200, 201, 600, 601]):
                if len(part) == 1:
                    mixed.push(dicts_of(part)[0])
                else:
                    mixed.ingest_trades(table_of(part))
            assert_same(filled(trades, mode=mode), mixed)

    @pytest.mark.parametrize("known", [1, -1])
    def test_trades_of_one_time_of_which_some_have_ids_count_in_one_order(self, known):
        trades = trades_of(600)
        trades["time"] = trades["time"] // 30_000 * 30_000
        ids = [None if i % 2 else known * (i + 5) for i in range(600)]
        rows = dicts_of(trades, id=ids)
        table, pushed, mixed = small(), small(), small()
        table.ingest_trades(rows)
        for trade in rows:
            pushed.push(trade)
        for trade in rows[:300]:
            mixed.push(trade)
        mixed.ingest_trades(rows[300:])
        for made in (pushed, mixed):
            assert_same(table, made)

    @settings(max_examples=15)
    @given(st.integers(0, 3), st.permutations(range(3)), st.integers(1, 4))
    def test_the_order_of_sources_changes_nothing(self, seed, order, pieces):
        trades = trades_of(1200, seed)
        which = np.random.default_rng(seed).integers(0, 3, len(trades))
        trades["time"] = trades["time"] // 2000 * 2000  # so that venues tie
        names = ["okx", "binance", "bybit"]

        def source(venue: int) -> list[dict]:
            mine = trades[which == venue]
            return np.array_split(np.array(dicts_of(mine, id=list(range(len(mine))))), pieces)

        first, second = small(), small()
        for venue in range(3):
            for part in source(venue):
                first.ingest_trades(list(part), venue=names[venue])
        parts = [source(venue) for venue in order]
        for place in range(pieces):  # side by side, as live feeds come
            for venue, mine in zip(order, parts, strict=True):
                second.ingest_trades(list(mine[place]), venue=names[venue])
                second.compute_zones()
        assert_same(first, second)

    @settings(max_examples=15)
    @given(st.integers(0, 3), st.integers(0, 999))
    def test_disorder_within_the_lateness_changes_nothing_in_streaming(self, seed, shuffle):
        trades = trades_of(1200, seed)
        trades["time"] += np.arange(len(trades))  # no two at one time
        ids = np.arange(len(trades))
        delay = np.random.default_rng(shuffle).integers(0, 2000, len(trades))
        order = np.argsort(trades["time"] + delay, kind="stable")
        tidy, shuffled = small(mode="streaming"), small(mode="streaming")
        tidy.ingest_trades(table_of(trades, id=ids))
        for part in np.array_split(order, 7):
            shuffled.ingest_trades(table_of(trades[part], id=ids[part]))
        assert shuffled.counts["late_trades"] == 0
        assert_same(tidy, shuffled)

    @settings(max_examples=10)
    @given(st.integers(0, 999), st.integers(1, 9), st.sampled_from([3_000, 100_000, 10_000_000]))
    def test_in_streaming_chunks_change_nothing_however_late_trades_are(self, seed, pieces, delay):
        trades = trades_of(700)
        late = np.random.default_rng(seed).integers(0, delay, len(trades))
        trades = trades[np.argsort(trades["time"] + late, kind="stable")]
        pushed, chunks = small(mode="streaming"), small(mode="streaming")
        for trade in dicts_of(trades):
            pushed.push(trade)
        for part in np.array_split(trades, pieces):
            chunks.ingest_trades(table_of(part))
        assert pushed.counts == chunks.counts
        assert (delay > 3_000) <= (pushed.counts["late_trades"] > 0)
        assert_same(pushed, chunks)

    def test_older_data_are_worked_in_wherever_they_come(self):
        trades = trades_of()
        parts = np.array_split(trades, 5)
        backwards = small()
        for part in parts[::-1]:
            backwards.ingest_trades(table_of(part))
            backwards.compute_zones()
        assert_same(filled(trades), backwards)

    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(st.integers(0, 999), st.integers(0, 400), st.sampled_from([None, 2, 48]), st.integers(2, 12))
    def test_late_trades_are_worked_in_though_closed_ones_are_kept_in_parts(
        self, monkeypatch, seed, delay, hours, pieces
    ):
        monkeypatch.setattr("liquidator_integrations.liquidator.tape.PART", 24)
        monkeypatch.setattr("liquidator_integrations.liquidator.tape._SMALL_PART", 8)
        trades = trades_of(900)
        trades["time"] = trades["time"] // 30_000 * 30_000  # many of one time
        late = np.random.default_rng(seed).integers(0, delay * MINUTE + 1, len(trades))
        come = np.argsort(trades["time"] + late, kind="stable")
        made = small(cutoff_hours=hours)
        for part in np.array_split(come, pieces):
            made.ingest_trades(table_of(trades[part], id=part), venue="okx")
            if seed % 2:
                made.compute_zones()
        if made.counts["late_trades"] == 0:
            whole = small(cutoff_hours=hours)
            whole.ingest_trades(table_of(trades, id=np.arange(900)), venue="okx")
            assert_same(whole, made)
        else:
            assert hours == 2

    def test_a_late_trade_opens_few_others_again(self):
        trades = np.sort(np.random.default_rng(0).integers(START, START + 600 * MINUTE, 200_000))
        table = {"time": trades, "price": np.full(200_000, 5.0), "size": np.ones(200_000), "side": np.ones(200_000)}
        made = Liquidator()
        made.ingest_trades(table)
        before = made.bars()
        made.push({"time": int(trades[-5000]), "price": 6.0, "size": 1.0, "side": "buy"})
        assert len(dict(made._history.arrays())["queue_trades"]) < 70_000
        late = (before["time"] <= trades[-5000]).sum() - 1
        assert (made.bars()["high"] == 6.0).nonzero()[0].tolist() == [late]
        made.push({"time": int(trades[5]), "price": 7.0, "size": 1.0, "side": "buy"})
        assert made.bars()["volume"].sum() == before["volume"].sum() + 2.0

    def test_streaming_gives_the_bars_of_batch(self):
        trades = trades_of()
        batch, streamed = filled(trades), filled(trades, mode="streaming")
        rows = len(streamed.bars())
        assert 0 <= len(batch.bars()) - rows <= 1
        assert batch.bars()[:rows].tobytes() == streamed.bars().tobytes()
        end = int(streamed.bars()["time"][-1]) + MINUTE
        as_of = batch.compute_zones(as_of=end)
        pd.testing.assert_frame_equal(as_of, streamed.compute_zones(), check_exact=True)

    def test_as_of_is_what_was_known_then(self):
        trades = trades_of()
        whole = filled(trades)
        for cut in (900, 1500, 2200):
            end = int(trades["time"][cut]) // MINUTE * MINUTE
            early = filled(trades[: cut + 1])
            for moment in (end, pd.Timestamp(end, unit="ms", tz="UTC"), str(np.datetime64(end, "ms")), end / 1000):
                pd.testing.assert_frame_equal(
                    whole.compute_zones(as_of=moment), early.compute_zones(as_of=end), check_exact=True
                )

    def test_the_clock_of_the_machine_is_of_no_account(self, monkeypatch):
        trades = trades_of()
        now = filled(trades).compute_zones()
        monkeypatch.setattr("time.time", lambda: 4e9)
        monkeypatch.setattr("time.time_ns", lambda: 4 * 10**18)
        pd.testing.assert_frame_equal(filled(trades).compute_zones(), now, check_exact=True)

    @pytest.mark.parametrize("price", [1e-5, 1e5])
    def test_scale(self, price):
        trades = trades_of()
        factor = price / 250.0
        scaled = trades.copy()
        scaled["price"] *= factor
        one, other = filled(trades).compute_zones(), filled(scaled).compute_zones()
        assert len(one) == len(other) > 2
        one, other = one.sort_values("price_mean"), other.sort_values("price_mean")
        for name in ("price_mean", "price_min", "price_max", "total_usd", "atr", "band", "entry_low", "entry_high"):
            np.testing.assert_allclose(other[name], one[name] * factor, rtol=1e-9)
        for name in ("zone_id", "count", "touches", "holds", "age"):
            assert (one[name].to_numpy() == other[name].to_numpy()).all()
        for name in ("quality_score", "strength", "band_pct"):
            np.testing.assert_allclose(other[name], one[name], rtol=1e-9)

    def test_volume_scales_usd_and_nothing_else(self):
        trades = trades_of()
        more = trades.copy()
        more["size"] *= 1024.0
        one, other = filled(trades).compute_zones(), filled(more).compute_zones()
        np.testing.assert_allclose(other["total_usd"], 1024.0 * one["total_usd"], rtol=1e-12)
        same = [name for name in COLUMNS if name not in ("total_usd", "explanation")]
        pd.testing.assert_frame_equal(one[same], other[same])

    def test_nothing_that_is_passed_in_is_changed(self):
        frame = pd.DataFrame(table_of(trades_of()))
        candles = pd.DataFrame(
            {name: filled(trades_of()).bars()[name] for name in ("time", "open", "high", "low", "close", "volume")}
        )
        before, candles_before = frame.copy(deep=True), candles.copy(deep=True)
        made = small()
        made.ingest_trades(frame)
        made.update_candles(candles)
        zones = made.compute_zones()
        kept = zones.copy(deep=True)
        made.add_cascade_analysis(zones, 250.0)
        made.add_gravity_scores(zones, 250.0)
        made.get_gravity_target(zones, 250.0)
        made.get_nearest_zone(250.0, zones)
        compute_atr(candles)
        compute_vwap(candles)
        pd.testing.assert_frame_equal(frame, before)
        pd.testing.assert_frame_equal(candles, candles_before)
        pd.testing.assert_frame_equal(zones, kept)
        zones["price_mean"] = 0.0
        pd.testing.assert_frame_equal(made.compute_zones(), kept)


class TestTwin:
    def check(self, trades: np.ndarray, params: Params) -> int:
        made = Liquidator(params=params)
        made.ingest_trades(table_of(trades))
        params = made.params
        bars = made.bars()
        expected = naive.bars_from_trades(naive.as_dicts(trades), params)
        assert len(bars) == len(expected)
        for bar, twin in zip(bars, expected, strict=True):
            for name, value in twin.items():
                assert bar[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name
        _, state = naive.fold(bars, params)
        zones = made.compute_zones().sort_values(["price_mean", "zone_id"])
        twins = sorted(state.zones, key=lambda zone: (zone.price, zone.zone_id))
        assert [zone.zone_id for zone in twins] == zones["zone_id"].tolist()
        for zone, twin in zip(zones.itertuples(), twins, strict=True):
            prices = [mark.price for mark in twin.members]
            assert zone.price_mean == pytest.approx(twin.price, rel=1e-12)
            assert (zone.price_min, zone.price_max) == pytest.approx((min(prices), max(prices)), rel=1e-12)
            assert (zone.entry_low, zone.entry_high) == pytest.approx((twin.low, twin.high), rel=1e-12)
            assert zone.total_usd == pytest.approx(twin.usd, rel=1e-9)
            assert zone.quality_score == pytest.approx(twin.quality, rel=1e-9)
            assert zone.count == len(twin.members) == len(zone.explanation)
            assert zone.first_ts.value // 10**6 == min(mark.birth for mark in twin.members)
            assert zone.last_ts.value // 10**6 == max(mark.birth for mark in twin.members)
            assert (zone.touches, zone.holds, zone.age) == (twin.lead.touches, twin.lead.holds, twin.age)
            assert zone.atr == pytest.approx(twin.lead.atr, rel=1e-12)
            told = [(part.time.astype(np.int64), part.price, part.usd) for part in zone.explanation]
            mine = sorted((mark.birth, mark.side, mark.price, mark.usd) for mark in twin.members)
            assert told == [pytest.approx((birth, price, usd), rel=1e-9) for birth, _, price, usd in mine]
            inside = [mark for mark in state.marks if mark.broken and twin.low <= mark.price <= twin.high]
            assert zone.breaks == len(inside)
        return len(zones)

    @pytest.mark.parametrize("seed", range(3))
    def test_zones_are_those_of_the_naive_twin(self, seed):
        assert self.check(trades_of(2000, seed), SMALL) > 1

    @pytest.mark.slow
    @pytest.mark.skipif(not SHARED.is_dir(), reason="needs ../shared/data")
    def test_zones_of_real_trades_are_those_of_the_naive_twin(self):
        table = pq.read_table(SHARED / "hyperliquid_btc_trades_3d.parquet").slice(0, 150_000)
        trades = np.concatenate([part.trades for part in read_trades(table).parts])
        params = made_bars.small_params(event_mult=3.0, zone_bars=200, break_atr=2.0)
        assert self.check(trades, params) > 1


class TestZones:
    def test_columns_and_types_are_the_same_for_none_on_every_path(self):
        made = filled(trades_of())
        some = made.compute_zones()
        empty = small().compute_zones()
        assert list(some) == list(COLUMNS)
        assert len(some) > 2
        assert len(empty) == 0
        assert empty.dtypes.to_dict() == some.dtypes.to_dict()
        assert made.compute_zones(min_quality="strong").dtypes.to_dict() == some.dtypes.to_dict()
        assert filled(trades_of(), mode="streaming").compute_zones().dtypes.to_dict() == some.dtypes.to_dict()
        many = made.compute_multi_timeframe_zones(["1m", "5m"])
        assert list(many) == [*COLUMNS, "timeframe", "alignment_score"]
        assert small().compute_multi_timeframe_zones(["1m", "5m"]).dtypes.to_dict() == many.dtypes.to_dict()
        for add in ("add_cascade_analysis", "add_gravity_scores"):
            assert getattr(made, add)(empty, 1.0).dtypes.to_dict() == getattr(made, add)(some, 1.0).dtypes.to_dict()
        for name, (kind, _) in COLUMNS.items():
            expected = {"float": "float64", "int": "int64", "bool": "bool", "time": "datetime64[ms, UTC]"}
            assert str(some[name].dtype) == ("category" if isinstance(kind, tuple) else expected.get(kind, "object"))

    def test_strongest_first_and_filtered_by_quality(self):
        made = filled(trades_of())
        zones = made.compute_zones()
        assert zones["quality_score"].is_monotonic_decreasing
        for label, least in (("weak", 0.0), ("medium", 40.0), ("Strong", 70.0)):
            kept = made.compute_zones(min_quality=label)
            pd.testing.assert_frame_equal(kept, zones[zones["quality_score"] >= least].reset_index(drop=True))
        labels = zones["quality_label"].astype(str)
        assert (labels[zones["quality_score"] >= 70.0] == "strong").all()
        assert (labels[zones["quality_score"] < 40.0] == "weak").all()

    def test_no_zone_of_several_events_is_wider_than_asked(self):
        made = filled(trades_of())
        for width in (0.0005, 0.003, 0.02):
            zones = made.compute_zones(pct_merge=width)
            several = zones[zones["count"] > 1]
            assert ((several["entry_high"] - several["entry_low"]) / several["price_mean"] <= width * (1 + 1e-9)).all()
        assert (made.compute_zones(pct_merge=0.02)["count"] > 1).any()
        assert len(made.compute_zones(pct_merge=1e-9)) >= len(made.compute_zones(pct_merge=0.02))
        assert (made.compute_zones(pct_merge=1e-9)["count"] == 1).all()

    def test_the_window_decides_how_long_an_event_counts(self):
        made = filled(trades_of())
        last = int(made.bars()["time"][-1])
        zones = made.compute_zones(window_minutes=5)
        assert (zones["age"] < 5).all()
        assert all(part.time.astype(np.int64) > last - 5 * MINUTE for told in zones["explanation"] for part in told)
        assert len(made.compute_zones(window_minutes=60)) > len(zones)
        same = small(window_minutes=60)
        same.ingest_trades(table_of(trades_of()))
        pd.testing.assert_frame_equal(same.compute_zones(), made.compute_zones(window_minutes=60))

    def test_without_atr_bands_are_those_of_prices(self):
        zones = filled(trades_of()).compute_zones(use_atr=False)
        assert (zones["entry_low"] == zones["price_min"]).all()
        assert (zones["entry_high"] == zones["price_max"]).all()
        assert zones["atr"].isna().all()

    def test_few_bars_are_said_to_be_few(self):
        made = filled(trades_of(40))
        zones = made.compute_zones()
        assert zones.attrs["warm"] is False
        assert zones.attrs["bars_seen"] == len(made.bars()) < SMALL.memory
        assert filled(trades_of()).compute_zones()["warm"].all()

    def test_a_call_costs_what_came_since(self):
        made = filled(trades_of())
        made.compute_zones()
        engine = made._frames.engine("1m")
        at = engine._at
        made.compute_zones()
        assert engine._at == at == made._history.rows.end
        made.push({"time": int(made.bars()["time"][-1]) + 3 * MINUTE, "price": 250.0, "size": 1.0, "side": "buy"})
        made.compute_zones()
        assert engine._at == at + 2

    def test_frames_go_into_files_with_what_they_say_of_themselves(self, tmp_path):
        made = filled(trades_of())
        zones = made.compute_zones()
        zones.drop(columns=["venues", "explanation"]).to_parquet(tmp_path / "zones.parquet")
        again = pd.read_parquet(tmp_path / "zones.parquet")
        assert again.attrs == zones.attrs
        pd.testing.assert_frame_equal(made.compute_zones(as_of=again.attrs["as_of"]), zones)

    def test_frames_are_the_callers_own(self):
        made = filled(trades_of())
        zones = made.compute_zones()
        zones.iloc[:, 0] = 0.0
        assert (made.compute_zones()["price_mean"] > 0).all()


class TestTimeframes:
    def test_each_is_what_a_liquidator_of_its_bars_gives(self):
        trades = trades_of()
        made = filled(trades)
        many = made.compute_multi_timeframe_zones(["1m", "3m", "5m", "15m"])
        assert set(many["timeframe"]) >= {"1m", "3m"}
        for name in ("1m", "3m", "5m", "15m"):
            alone = small(timeframe=name)
            alone.ingest_trades(table_of(trades))
            mine = many[many["timeframe"] == name].drop(columns=["timeframe", "alignment_score"])
            order = ["quality_score", "price_mean"]
            pd.testing.assert_frame_equal(
                mine.sort_values(order).reset_index(drop=True),
                alone.compute_zones().sort_values(order).reset_index(drop=True),
            )
            assert alone.bars(name).tobytes() == to_timeframe(made.bars(), name).tobytes()

    def test_alignment_is_the_share_of_others_that_overlap(self):
        many = filled(trades_of()).compute_multi_timeframe_zones(["1m", "3m", "5m"])
        assert many["alignment_score"].is_monotonic_decreasing
        assert (many["alignment_score"] > 0).any()
        for zone in many.itertuples():
            others = many[many["timeframe"] != zone.timeframe]
            overlap = others[(others["entry_low"] <= zone.entry_high) & (others["entry_high"] >= zone.entry_low)]
            assert zone.alignment_score == pytest.approx(100.0 * overlap["timeframe"].astype(str).nunique() / 2)
        assert filled(trades_of()).compute_multi_timeframe_zones(["1m"])["alignment_score"].isna().all()

    def test_all_fifteen_by_default(self):
        made = filled(trades_of())
        assert made.timeframes == TIMEFRAMES
        assert small(bar="5m").timeframes == tuple(name for name in TIMEFRAMES if name not in ("1m", "3m"))
        many = made.compute_multi_timeframe_zones()
        assert set(many["timeframe"].cat.categories) == set(TIMEFRAMES)

    def test_bars_that_come_piece_by_piece_make_the_same_higher_bars(self):
        trades = trades_of()
        whole = filled(trades)
        pieces = small(mode="streaming")
        for part in np.array_split(trades, 300):
            pieces.ingest_trades(table_of(part))
            pieces.compute_multi_timeframe_zones(["3m", "15m"])
        for name in ("3m", "15m", "1h"):
            got, expected = pieces.bars(name), whole.bars(name)
            assert got.tobytes() == expected[: len(got)].tobytes()
            assert len(expected) - len(got) <= 1

    def test_a_hole_in_candles_makes_the_same_higher_bars(self):
        bars = filled(trades_of()).bars()
        keep = np.ones(len(bars), np.bool_)
        keep[50:57] = keep[102:163] = False
        bars = bars[keep]
        whole, pieces = small(), small(mode="streaming")
        whole.update_candles(bars)
        for part in np.array_split(bars, 150):
            pieces.update_candles(part)
            pieces.compute_multi_timeframe_zones(["5m", "30m"])
        assert whole.bars().tobytes() == pieces.bars().tobytes() == bars.tobytes()
        for name in ("5m", "30m"):
            assert whole.bars(name).tobytes() == pieces.bars(name).tobytes()

    def test_others_are_refused(self):
        with pytest.raises(ValueError, match="timeframe must be one of 1m, 3m"):
            Liquidator(timeframes=["7m"])
        with pytest.raises(ValueError, match="timeframe 5m cannot be made of bars of 3m"):
            Liquidator(bar="3m", timeframe="5m")
        with pytest.raises(ValueError, match="timeframe 1m cannot be made of bars of 5m"):
            Liquidator(bar="5m").compute_multi_timeframe_zones(["1m"])
        with pytest.raises(ValueError, match="timeframes must be at least one of"):
            Liquidator(timeframes=[])
        with pytest.raises(ValueError, match=r"bar must be one of 1m, .*1d, got '1w'"):
            Liquidator(bar="1w")


def naive_alignment(bars: np.ndarray, names: list[str], params: Params, step: int) -> list[tuple[float, float]]:
    """Row by row from the naive twin: the higher timeframes folded anew at every row."""
    rows, _ = naive.fold(bars, params)
    made = []
    for place, row in enumerate(rows):
        scores = []
        for kind in ("support", "resistance"):
            hits, warm = 0, True
            for name in names:
                now = int(bars["time"][place]) + step
                higher = to_timeframe(bars[: place + 1], name, step)
                higher = higher[bar_spans(higher["time"], name)[1] <= now]
                warm &= len(higher) >= params.memory
                _, state = naive.fold(higher, params)
                low, high = row[f"{kind}_low"], row[f"{kind}_high"]
                hits += any(zone.low <= high and zone.high >= low for zone in state.zones)
            scores.append(100.0 * hits / len(names) if warm and not math.isnan(row[kind]) else math.nan)
        made.append(tuple(scores))
    return made


class TestAlignmentColumns:
    params = made_bars.small_params(ledger_bars=3, flow_bars=2, zone_bars=6, atr_bars=2, event_mult=0.5)
    bars = made_bars.random_bars(90, 3, kinds=made_bars.USUAL)

    def test_each_row_is_what_was_known_then(self):
        step, names = made_bars.HOUR, ["2h", "4h"]
        expected = np.array(naive_alignment(self.bars, names, self.params, step))
        got = frames.alignment_columns(self.bars, names, self.params)
        np.testing.assert_array_equal(got.to_numpy(), expected)
        assert list(got) == ["support_alignment", "resistance_alignment"]
        assert len(set(got["support_alignment"].dropna())) > 1

    def test_prefix_and_window(self):
        whole = frames.alignment_columns(self.bars, ["2h"], self.params).to_numpy()
        for rows in (40, 63, 89):
            np.testing.assert_array_equal(
                frames.alignment_columns(self.bars[:rows], ["2h"], self.params).to_numpy(), whole[:rows]
            )
        late = frames.alignment_columns(self.bars[31:], ["2h"], self.params).to_numpy()
        same = 2 * (self.params.memory + 2)
        np.testing.assert_array_equal(late[same:], whole[31 + same :])
        assert not np.isnan(late[same:]).all()

    def test_index_and_errors(self):
        frame = pd.DataFrame({name: self.bars[name] for name in ("open", "high", "low", "close", "volume")})
        frame.index = pd.DatetimeIndex(self.bars["time"].astype("M8[ms]"))
        assert frames.alignment_columns(frame, ["2h"], self.params).index is frame.index
        with pytest.raises(ValueError, match="longer than the candles' 3600000 ms, got 1h"):
            frames.alignment_columns(frame, ["1h"], self.params)
        with pytest.raises(ValueError, match="at least one of"):
            frames.alignment_columns(frame, "2h", self.params)


class TestEvents:
    def test_each_event_once_however_the_trades_come(self):
        trades = trades_of()
        logs = []
        for pieces in (1, 7, len(trades)):
            made = small(mode="streaming")
            events = log_events(made)
            for part in np.array_split(trades, pieces):
                made.ingest_trades(table_of(part))
            logs.append(keys_of(events))
        assert logs[0] == logs[1] == logs[2]
        assert len(set(logs[0])) == len(logs[0])
        assert {name for name, *_ in logs[0]} == {"formed", "updated", "broken", "touched", "held"}
        assert {reason for name, *_, reason in logs[0] if name == "broken"} == {"break", "expiry", "merge"}

    def test_events_add_up_to_the_zones(self):
        made = small(mode="streaming")
        events = log_events(made)
        live: dict[int, dict] = {}
        for trade in dicts_of(trades_of()):
            made.push(trade)
        for event in events:
            name, zone = event[0], event[1]
            if name == "formed":
                assert zone["zone_id"] not in live
                live[zone["zone_id"]] = zone
            elif name == "broken":
                del live[zone["zone_id"]]
            elif name == "updated":
                old = live[zone["zone_id"]]
                assert all(event[2][key] == old[key] for key in ("price_mean", "total_usd", "count"))
                live[zone["zone_id"]] = zone
        zones = made.compute_zones().set_index("zone_id")
        assert set(live) == set(zones.index)
        for key, zone in live.items():
            assert zone["total_usd"] == zones.loc[key, "total_usd"]
            assert zone["price_mean"] == zones.loc[key, "price_mean"]

    def test_touches_and_holds_are_those_that_zones_count(self):
        made = small(mode="streaming")
        events = log_events(made)
        made.ingest_trades(table_of(trades_of()))
        for zone in made.compute_zones().itertuples():
            touched = [event[1] for event in events if event[0] == "touched" and event[1]["zone_id"] == zone.zone_id]
            assert [event["touches"] for event in touched] == sorted({event["touches"] for event in touched})

    @pytest.mark.parametrize("price", [1e-5, 0.08, 250.0, 1e5])
    def test_ids_are_stable_and_different_at_any_price(self, price):
        trades = trades_of()
        trades["price"] *= price / 250.0
        made = small(mode="streaming")
        events = log_events(made)
        made.ingest_trades(table_of(trades))
        formed = [event[1]["zone_id"] for event in events if event[0] == "formed"]
        assert len(set(formed)) > 20
        zones = made.compute_zones()
        assert zones["zone_id"].is_unique
        assert set(zones["zone_id"]) <= set(formed)

    def test_a_callback_that_raises_is_logged_and_counted_and_the_others_run(self, caplog):
        made = small(mode="streaming")
        seen = []

        def broken(zone):
            raise RuntimeError("no")

        made.on_zone_formed(broken)
        made.on_zone_formed(lambda zone: seen.append(zone["zone_id"]))
        with caplog.at_level(logging.ERROR, "liquidator"):
            made.ingest_trades(table_of(trades_of()))
        assert len(seen) > 0
        assert made.callback_errors == made.counts["callback_errors"] == len(seen) == len(caplog.records)
        assert "a callback of on_zone_formed raised" in caplog.text
        assert "RuntimeError: no" in caplog.text

    def test_callbacks_may_feed_the_object(self):
        made = small(mode="streaming")
        plain = small(mode="streaming")
        expected = log_events(plain)
        plain.ingest_trades(table_of(trades_of()))
        parts = iter(np.array_split(trades_of(), 50))

        def feed(zone):
            made.compute_zones()
            if (part := next(parts, None)) is not None:
                made.ingest_trades(table_of(part))

        made.on_zone_formed(feed)
        events = log_events(made)
        while (part := next(parts, None)) is not None:
            made.ingest_trades(table_of(part))
        assert keys_of(events) == keys_of(expected)
        assert made.callback_errors == 0

    def test_merged_zones_are_what_is_told_of(self):
        made = small(mode="streaming", pct_merge=0.01)
        events = log_events(made)
        made.ingest_trades(table_of(trades_of(1500)))
        live = set()
        for event in events:
            if event[0] == "formed":
                live.add(event[1]["zone_id"])
            elif event[0] == "broken":
                live.remove(event[1]["zone_id"])
        assert live == set(made.compute_zones()["zone_id"])

    def test_only_what_can_be_called_and_only_in_streaming(self):
        with pytest.raises(TypeError, match="callback must be callable, got int"):
            small(mode="streaming").on_zone_held(3)
        with pytest.raises(ValueError, match=r"on_zone_formed needs Liquidator\(mode='streaming'\)"):
            small().on_zone_formed(print)


@settings(max_examples=60)
@given(st.lists(st.lists(st.integers(0, 30), max_size=12), max_size=8), st.booleans())
@example([[21, 22, 23], [], [24]], True)  # lasting again after a cut
def test_rows_are_put_in_order_of_time_and_arrival(batches, unique):
    rows = RowBuffer(np.zeros(0, [("time", "i8"), ("value", "i8")]))
    told: list[tuple[int, int]] = []
    lasting = []
    for number, times in enumerate(batches):
        some = [(time, 100 * number + place) for place, time in enumerate(sorted(times))]
        rows.put(np.array(some, rows.rows.dtype), unique)
        told = sorted([*told, *some], key=lambda row: row[0])
        if unique:
            told = list(dict(told).items())
        assert rows.rows.tolist() == told
        lasting.append((rows.lasting(), list(told)))
        rows.keep_until(20, 2)
        told = rows.rows.tolist()
    for kept, then in lasting:
        assert kept.tolist() == then


class TestStreaming:
    def test_a_closed_bar_never_changes_and_what_is_late_is_counted(self, caplog):
        trades = trades_of()
        made = small(mode="streaming")
        made.ingest_trades(table_of(trades[:2000]))
        before = made.bars()
        with caplog.at_level(logging.WARNING, "liquidator"):
            made.ingest_trades(table_of(trades[500:600]))
            made.push(dicts_of(trades[700:701])[0])
        assert made.counts["late_trades"] == 101
        assert "came after their bar was closed and are not applied" in caplog.text
        assert made.bars().tobytes() == before.tobytes()

    def test_a_bar_closes_once_event_time_passes_its_end_by_the_lateness(self):
        made = small(mode="streaming", lateness_ms=5000)
        for time in (START, START + MINUTE, START + MINUTE + 4999):
            made.push({"time": time, "price": 1.0, "size": 1.0, "side": "A"})
            assert len(made.bars()) == 0
        made.push({"time": START + MINUTE - 1, "price": 2.0, "size": 1.0, "side": "A"})
        made.push({"time": START + MINUTE + 5000, "price": 1.0, "size": 1.0, "side": "A"})
        assert made.bars()["high"].tolist() == [2.0]
        assert made.counts["late_trades"] == 0

    @pytest.mark.slow
    def test_memory_is_bounded(self, monkeypatch):
        monkeypatch.setattr("liquidator_integrations.liquidator.history.STREAMED_ROWS", 300)
        monkeypatch.setattr("liquidator_integrations.liquidator.timeframes._CATCH_UP", 50)
        made = small(mode="streaming", timeframes=["1m", "1h"])
        whole = small(mode="streaming", timeframes=["1m", "1h"])
        assert STREAMED_ROWS > 31 * 1440  # a month of minutes, what the longest timeframe needs
        events = log_events(made)
        rng = np.random.default_rng(0)
        prices = 250.0 * np.exp(np.cumsum(rng.normal(0, 1e-3, 4000)))
        sizes = rng.lognormal(size=8000)
        rows = [
            {"time": START + place * MINUTE // 2 + 3000, "price": prices[place // 2], "size": sizes[place], "side": "B"}
            for place in range(8000)
        ]
        liquidations = [{"time": row["time"], "price": row["price"], "usd": 1.0, "side": "long"} for row in rows]
        for place in range(0, len(rows), 100):
            made.ingest_trades([{**row, "id": place + i} for i, row in enumerate(rows[place : place + 100])])
            made.ingest_liquidations(liquidations[place : place + 100])
            assert len(made._history.rows._room) <= 1300
            assert len(made._history.liquidations.rows) <= 1500
            assert all(len(seen.events.rows) < 300 for seen in made._history._seen.values())
        monkeypatch.undo()
        for place in range(0, len(rows), 100):
            whole.ingest_trades(rows[place : place + 100])
            whole.ingest_liquidations(liquidations[place : place + 100])
        pd.testing.assert_frame_equal(made.compute_zones(), whole.compute_zones())
        assert made.bars("1h").tobytes() == whole.bars("1h").tobytes()
        assert len(made.bars("1h")) == 66
        assert events
        with pytest.raises(ValueError, match="lies before what streaming keeps"):
            made.compute_zones(as_of=START + 100 * MINUTE)

    def test_nothing_is_forgotten_before_it_is_told(self, monkeypatch):
        trades = trades_of()
        reference = small(mode="streaming")
        expected = log_events(reference)
        reference.ingest_trades(table_of(trades))
        monkeypatch.setattr("liquidator_integrations.liquidator.history.STREAMED_ROWS", 100)
        monkeypatch.setattr("liquidator_integrations.liquidator.timeframes._CATCH_UP", 50)
        made = small(mode="streaming")
        events = log_events(made)
        made.ingest_trades(table_of(trades))  # at once more bars than are kept
        assert len(made._history.rows.rows) == 100
        assert keys_of(events) == keys_of(expected)
        assert len(made.bars("15m")) == len(reference.bars("15m"))

    def test_an_id_that_comes_again_counts_once(self):
        trades = trades_of(600)
        ids = np.arange(600) + 5
        texts = [f"id-{i}" for i in ids]
        for mode in ("batch", "streaming"):
            for kind in (ids, texts, [str(i) for i in ids]):
                whole, again = small(mode=mode), small(mode=mode)
                whole.ingest_trades(table_of(trades, id=kind), venue="x")
                for start in range(0, 600, 40):
                    part = slice(max(0, start - 15), start + 40)
                    again.ingest_trades(table_of(trades[part], id=kind[part]), venue="x")
                for trade in dicts_of(trades[590:], id=kind[590:]):
                    again.push(trade, venue="x")
                assert_same(whole, again)
                assert again.counts["repeated"] == 15 * 14 + 10
                assert again.counts["late_trades"] == 0

    @pytest.mark.parametrize("pieces", [1, 2, 4])
    @pytest.mark.parametrize("mode", ["batch", "streaming"])
    def test_an_id_that_a_venue_gives_anew_is_another_trade_however_they_come(self, mode, pieces):
        trades = trades_of(400)
        made = small(mode=mode)
        for rows in np.array_split(np.arange(400), pieces):
            made.ingest_trades(table_of(trades[rows], id=rows % 200))
        pushed = small(mode=mode)
        for trade in dicts_of(trades, id=list(np.arange(400) % 200)):
            pushed.push(trade)
        assert made.counts["repeated"] == pushed.counts["repeated"] == 0
        assert_same(made, filled(trades, mode=mode))
        assert_same(pushed, made)

    def test_ids_are_those_of_a_venue(self):
        made = small()
        for venue in ("a", "b"):
            made.ingest_trades([{"time": START, "price": 1.0, "size": 1.0, "side": "A", "id": 7}], venue=venue)
        made.push({"time": START + 2 * MINUTE, "price": 1.0, "size": 1.0, "side": "A"})
        assert made.bars()["volume"][0] == 2.0

    def test_a_venue_is_one_however_it_is_spelt(self):
        made = small(mode="streaming")
        trade = {"time": START, "price": 1.0, "size": 1.0, "side": "A", "id": 7}
        made.ingest_trades([trade, trade], venue="OKX")
        made.push({**trade, "exchange": "okx"})
        assert made.counts["repeated"] == 2

    def test_equal_fills_without_ids_all_count(self):
        made = small()
        fill = {"time": START, "price": 100.0, "size": 1.0, "side": "B"}
        made.ingest_trades([fill] * 40)
        made.ingest_trades([fill])
        made.push({**fill, "time": START + MINUTE})
        assert made.bars()["volume"][0] == 41.0

    def test_batch_lets_go_of_old_trades_but_not_of_their_bars(self):
        trades = trades_of()
        whole, short = filled(trades), small(cutoff_hours=1)
        for part in np.array_split(trades, 20):
            short.ingest_trades(table_of(part))
            short.compute_zones()
        assert_same(whole, short)
        kept = sum(len(part.queue.trades) for part in short._history.tape.kept)
        assert kept < len(trades) // 2
        short.ingest_trades(table_of(trades[:3]))
        assert short.counts["late_trades"] == 3
        assert_same(whole, short)


class TestFeeds:
    def with_liquidations(self, **options) -> Liquidator:
        made = filled(trades_of(), **options)
        bars = made.bars()
        at = int(bars["time"][-5])
        price = float(bars["close"][-5])
        for venue, usd in (("okx", 9e6), ("binance", 7e6)):
            made.ingest_liquidations([{"time": at + 5, "price": price, "usd": usd, "side": "sell"}], venue=venue)
        return made

    def test_observed_liquidations_change_zones_and_are_told_of(self):
        plain = filled(trades_of()).compute_zones()
        made = self.with_liquidations(params=dataclasses.replace(SMALL, observed="unscaled"))
        zones = made.compute_zones()
        confirmed = zones[zones["real_liq_count"] > 0]
        assert confirmed["venues"].tolist() == [("binance", "okx")]
        zone = confirmed.iloc[0]
        assert zone["real_liq_count"] == 2
        assert zone["source"] in ("observed", "mixed")
        assert zone["dominant_side"] == "long"
        part = zone["explanation"][-1]
        assert (part.usd, part.source) == (16e6, "observed")
        assert part.price == pytest.approx(float(made.bars()["close"][-5]))
        assert zone["total_usd"] >= 16e6
        assert zone["quality_score"] > plain["quality_score"].max()
        assert (plain["real_liq_count"] == 0).all()
        assert (plain["source"] == "estimated").all()

    def test_the_order_of_feeds_does_not_matter(self):
        trades = trades_of()
        bars = filled(trades).bars()
        rng = np.random.default_rng(1)
        liquidations = [
            {"time": int(bars["time"][i]) + 7, "price": float(bars["close"][i]), "usd": float(rng.lognormal(8, 2)),
             "side": str(rng.choice(["long", "short"])), "venue": str(rng.choice(["okx", "bybit"]))}
            for i in rng.integers(0, len(bars), 60)
        ]  # fmt: skip
        rates = {
            "time": bars["time"][::5] + MINUTE, "funding_rate": rng.normal(0, 1e-4, len(bars[::5])),
            "open_interest": rng.uniform(900, 1000, len(bars[::5])),
        }  # fmt: skip
        feeds = {
            "trades": lambda made: made.ingest_trades(table_of(trades)),
            "liquidations": lambda made: made.ingest_liquidations(liquidations),
            "backwards": lambda made: [made.ingest_liquidations([one]) for one in liquidations[::-1]],
            "rates": lambda made: made.ingest_funding_rates(rates),
        }
        reference = small()
        for name in ("trades", "liquidations", "rates"):
            feeds[name](reference)
        assert np.isfinite(reference.bars()["funding_rate"]).sum() > 100
        for order in (
            ("rates", "backwards", "trades"),
            ("liquidations", "trades", "rates"),
            ("backwards", "rates", "trades"),
        ):
            made = small()
            for name in order:
                feeds[name](made)
                made.compute_zones()
            assert_same(reference, made)

    def test_bars_hold_what_their_liquidations_add_up_to(self):
        made = filled(trades_of())
        bars = made.bars()
        rng = np.random.default_rng(2)
        rows = [
            {"time": int(rng.integers(bars["time"][0], bars["time"][-1])), "price": float(rng.uniform(200, 300)),
             "usd": float(rng.lognormal(8, 2)), "side": str(rng.choice(["long", "short"]))}
            for _ in range(300)
        ]  # fmt: skip
        made.ingest_liquidations(rows, venue="okx")
        for bar in made.bars():
            for side in ("long", "short"):
                mine = [row for row in rows if row["time"] // MINUTE * MINUTE == bar["time"] and row["side"] == side]
                usd = sum(row["usd"] for row in mine)
                recent = any(
                    0 <= bar["time"] - row["time"] // MINUTE * MINUTE <= SMALL.flow_bars * MINUTE for row in rows
                )
                if not recent:
                    assert math.isnan(bar[f"liq_{side}_usd"])
                    continue
                assert bar[f"liq_{side}_usd"] == pytest.approx(usd)
                if mine:
                    price = sum(row["usd"] * row["price"] for row in mine) / usd
                    assert bar[f"liq_{side}_price"] == pytest.approx(price)

    def test_feeds_that_come_in_time_give_streaming_the_bars_of_batch(self):
        trades = trades_of()
        rng = np.random.default_rng(3)
        batch, streamed = small(), small(mode="streaming")
        events: list[tuple[int, str, dict]] = [(trade["time"], "ingest_trades", trade) for trade in dicts_of(trades)]
        last = int(trades["time"][-1])
        for _ in range(150):
            time = int(rng.integers(START, last))
            usd = {"time": time, "price": 250.0, "usd": float(rng.lognormal(8, 2)), "side": "long", "venue": "okx"}
            rate = {"time": time, "funding_rate": float(rng.normal()), "open_interest": float(rng.uniform(900, 1000))}
            events += [(time, "ingest_liquidations", usd), (time, "ingest_funding_rates", rate)]
        for _, feed, event in sorted(events, key=lambda event: event[0]):
            getattr(streamed, feed)([event])
            getattr(batch, feed)([event])
        assert set(streamed.counts.values()) == {0}
        rows = len(streamed.bars())
        assert rows > 300
        assert np.isfinite(streamed.bars()["open_interest"]).sum() > 50
        assert batch.bars()[:rows].tobytes() == streamed.bars().tobytes()
        end = int(streamed.bars()["time"][-1]) + MINUTE
        pd.testing.assert_frame_equal(batch.compute_zones(as_of=end), streamed.compute_zones())

    def test_a_bar_has_the_readings_of_its_own_time(self):
        made = filled(trades_of())
        time = made.bars()["time"]
        at = [int(time[10]), int(time[10]) + 20_000, int(time[12]) + MINUTE, int(time[300]) + 1]
        made.ingest_funding_rates(
            {"time": at, "funding_rate": [1.0, 2.0, 3.0, 4.0], "open_interest": [5.0, 6.0, 7.0, 8.0]}
        )
        bars = made.bars()
        assert np.isnan(bars["funding_rate"][:9]).all()
        assert bars["funding_rate"][9] == 1.0  # read at its end
        assert bars["funding_rate"][[10, 11, 12, 299, 300, 320]].tolist() == [2.0, 2.0, 3.0, 3.0, 4.0, 4.0]
        known = np.flatnonzero(~np.isnan(bars["open_interest"]))
        assert known.tolist() == [9, 10, 12, 300]
        assert bars["open_interest"][known].tolist() == [5.0, 6.0, 7.0, 8.0]

    def test_a_feed_counts_as_on_for_a_while(self):
        made = filled(trades_of())
        time = made.bars()["time"]
        made.ingest_liquidations([{"time": int(time[100]), "price": 250.0, "usd": 5.0, "side": "short"}])
        bars = made.bars()
        on = np.flatnonzero(~np.isnan(bars["liq_long_usd"]))
        assert on.tolist() == list(range(100, 101 + SMALL.flow_bars))
        assert bars["liq_short_usd"][100] == 5.0
        assert bars["liq_short_price"][100] == 250.0
        assert (bars["liq_long_usd"][on] == 0.0).all()

    def test_liquidations_are_told_of_once(self):
        made = small(mode="streaming")
        events = []
        made.on_liquidation(events.append)
        one = {"timestamp": START, "exchange": "okx", "side": "buy", "price": 2.0, "quantity": 3.0, "trade_id": 1}
        made.ingest_liqs(pd.DataFrame([one, one]))
        made.ingest_liquidations([one])
        assert events == [
            {"price": 2.0, "usd": 6.0, "time": np.datetime64(START, "ms"), "side": "short", "venue": "okx"}
        ]
        assert made.counts["repeated"] == 2

    def test_candles_stand_in_for_trades_and_alone_give_the_zones_of_frames(self):
        bars = filled(trades_of()).bars()
        made = Liquidator(params=SMALL)
        made.update_candles(bars)
        assert made.bars().tobytes() == bars.tobytes()
        zones, expected = made.compute_zones(), frames.zones_frame(bars, made.params)
        zones = zones.sort_values("price_mean").reset_index(drop=True)
        np.testing.assert_array_equal(zones["zone_id"], expected["zone_id"])
        np.testing.assert_array_equal(zones["total_usd"], expected["usd"])
        np.testing.assert_array_equal(zones["quality_score"], expected["quality"])
        candle = bars[100:101].copy()
        candle["high"] *= 2.0
        made.update_candles(candle)
        assert made.bars()["high"][100] == 2.0 * bars["high"][100]

    def test_candles_of_another_timeframe_are_refused(self, real_bars):
        with pytest.raises(ValueError, match=r"of 4h, got steps of 3600000 ms: make it Liquidator\(bar='1h'\)"):
            Liquidator(bar="4h").update_candles(real_bars[:10])
        with pytest.raises(ValueError, match=r"of 1m, got steps of 3600000 ms: make it Liquidator\(bar='1h'\)"):
            Liquidator().update_candles(real_bars[:10])

    def test_candles_stream(self, real_bars):
        whole, streamed = Liquidator(bar="1h"), Liquidator(bar="1h", mode="streaming")
        whole.update_candles(real_bars[:3000])
        events = log_events(streamed)
        for part in np.array_split(real_bars[:3000], 400):
            streamed.update_candles(part)
        assert_same(whole, streamed)
        assert events
        streamed.update_candles(real_bars[100:101])
        assert streamed.counts["late_candles"] == 1


class TestCascade:
    def test_chains_by_hand(self):
        price = np.array([90.0, 99.5, 99.0, 95.0, 101.0, 101.5])
        length, target = cascade.chains(price, 100.0, 0.01)
        assert length.tolist() == [1, 2, 1, 1, 2, 1]
        assert target.tolist() == [90.0, 99.0, 99.0, 95.0, 101.5, 101.5]

    def test_scores_fall_with_distance_and_rise_with_usd_and_funding(self):
        price, usd, length = np.array([99.0, 95.0, 101.0]), np.array([1.0, 1.0, 1.0]), np.array([1, 1, 1])
        plain = cascade.cascade_scores(price, usd, length, 100.0, 0.0, 0.05)
        assert plain[0] == pytest.approx(plain[2])
        assert plain[0] > plain[1]
        tilted = cascade.cascade_scores(price, usd, length, 100.0, 0.006, 0.05)
        assert tilted[0] == pytest.approx(1.25 * plain[0])
        assert tilted[2] == plain[2]
        assert (cascade.cascade_scores(price, usd * 7.0, length, 100.0, 0.0, 0.05) == plain).all()

    def test_price_impact_is_kyles_slope_and_else_amihuds_ratio(self):
        rng = np.random.default_rng(0)
        net = rng.normal(0, 1e6, 500)
        close = 100.0 * np.exp(np.cumsum(3e-9 * net))
        volume = np.full(500, 1e5)
        bars = made_bars.bars_of(np.c_[close, close, close, close], volume, taker_buy=(volume + net / close) / 2.0)
        assert cascade.price_impact(bars) == pytest.approx(3e-9)
        bars["taker_buy"] = np.nan
        moves = abs(np.diff(np.log(close)))
        assert cascade.price_impact(bars) == pytest.approx(moves.mean() / (volume * close)[1:].mean())
        assert math.isnan(cascade.price_impact(bars[:1]))

    @staticmethod
    def naive_sweep(cells, close, side, price, impact) -> float:
        """By small steps: how far the sweep of a ledger with evenly filled cells carries."""
        from liquidator_core.layout import BINS_PER_LOG

        away = -1 if side == 0 else 1
        edge = (math.floor(-away * math.log(close) * BINS_PER_LOG) + 2) / BINS_PER_LOG
        width = 8 / BINS_PER_LOG
        mine = {int(cell["distance"]): float(cell["usd"]) for cell in cells if cell["side"] == side}
        start = edge + away * math.log(price)
        x, usd, step = 0.0, 0.0, 1e-5
        while impact * usd >= x or x == 0.0:
            usd += mine.get(math.floor((start + x) / width), 0.0) / width * step
            x += step
        return price * math.exp(away * (x - step if x > step else 0.0))

    def test_a_sweep_goes_as_far_as_small_steps_carry_it(self):
        made = filled(trades_of())
        made.compute_zones()
        engine = made._frames.engine("1m")
        from liquidator_core.levels import cells_of

        cells = cells_of(engine.state, engine.record)
        close = float(engine.state["close"][0])
        carried = 0
        for side in (0, 1):
            for cell in cells[cells["side"] == side]:
                width = cell["usd"] / 0.004
                for strength in (0.5, 1.2, 3.0):
                    number, end = cascade.sweep(cells, close, side, float(cell["price"]), strength / width)
                    assert number == pytest.approx(strength, rel=0.02)
                    expected = self.naive_sweep(cells, close, side, float(cell["price"]), strength / width)
                    assert math.log(end / cell["price"]) == pytest.approx(
                        math.log(expected / cell["price"]), abs=1e-4, rel=1e-3
                    )
                    carried += end != cell["price"]
                break
        assert carried > 2

    @pytest.mark.parametrize("rate", [math.nan, math.inf, "high", None])
    def test_a_funding_rate_is_a_number(self, rate):
        made = filled(trades_of())
        with pytest.raises((TypeError, ValueError), match="funding_rate must be a"):
            made.add_cascade_analysis(made.compute_zones(), 250.0, funding_rate=rate)

    def test_where_nothing_lies_nothing_is_swept(self):
        made = filled(trades_of())
        zones = made.compute_zones()
        price = float(made.bars()["close"][-1])
        told = made.add_cascade_analysis(zones, price)
        assert (told["cascade_probability"].between(0, 100)).all()
        assert (told["cascade_chain_length"] >= 1).all()
        below = told["price_mean"] <= price
        assert (told["sweep_end"][below] <= told["price_mean"][below] * (1 + 1e-12)).all()
        assert (told["sweep_end"][~below] >= told["price_mean"][~below] * (1 - 1e-12)).all()
        alone = small().add_cascade_analysis(zones, price)
        assert alone["reproduction"].isna().all()

    def test_gravity(self):
        made = filled(trades_of())
        zones = made.compute_zones()
        price = float(made.bars()["close"][-1])
        told = made.add_gravity_scores(zones, price)
        distance = ((told["price_mean"] - price).abs() / price).clip(lower=1e-4)
        np.testing.assert_allclose(told["gravity"], told["total_usd"] / distance**2)
        assert sorted(told["gravity_rank"]) == list(range(1, len(told) + 1))
        target = made.get_gravity_target(zones, price)
        assert target["gravity_rank"] == 1
        assert target["gravity"] == told["gravity"].max()
        assert made.get_gravity_target(zones.head(0), price) is None

    def test_nearest_zone(self):
        made = filled(trades_of())
        zones = made.compute_zones()
        for price in (zones["price_mean"].min(), zones["price_mean"].max(), 251.0):
            nearest = made.get_nearest_zone(price)
            away = ((zones["price_mean"] - price).abs() / zones["price_mean"]).min()
            assert nearest["dist"] == pytest.approx(away)
        assert small().get_nearest_zone(1.0) is None


class TestLevels:
    def test_levels_are_those_of_frames(self):
        made = filled(trades_of())
        pd.testing.assert_frame_equal(made.levels(), frames.levels_frame(made.bars(), made.params), check_exact=True)
        assert len(made.levels()) > 2
        assert len(small().levels()) == 0

    @pytest.mark.slow
    def test_each_column_of_the_grid_is_what_was_known_then(self):
        made = filled(trades_of())
        grid = made.levels_grid(20)
        assert grid.shape[1] == 20
        assert (np.diff(np.log(grid.index)) > 0.0039).all()
        bars = made.bars()
        for place in (0, 7, 19):
            end = len(bars) - 20 + place + 1
            early = small()
            early.update_candles(bars[:end])
            column = grid.iloc[:, place]
            alone = early.levels_grid(1).iloc[:, 0]
            assert column.name == alone.name
            np.testing.assert_allclose(column[column > 0].to_numpy(), alone[alone > 0].to_numpy())
        assert grid.iloc[:, -1].sum() > made.levels()["usd"].sum() * 0.999
        assert small().levels_grid().shape == (0, 0)


class TestSaveAndLoad:
    @pytest.mark.parametrize("mode", ["batch", "streaming"])
    @pytest.mark.parametrize("cut", [0, 3, 1111, 2499])
    def test_a_restart_goes_on_to_the_same(self, tmp_path, mode, cut):
        trades = trades_of()
        ids = np.arange(len(trades))
        options = {"mode": mode, "timeframe": "3m", "pct_merge": 0.01, "window_minutes": 60, "cutoff_hours": 1.5}
        whole, first = small(**options), small(**options)
        whole.ingest_trades(table_of(trades, id=ids), venue="x")
        first.ingest_trades(table_of(trades[:cut], id=ids[:cut]), venue="x")
        first.save(tmp_path / "saved")
        second = Liquidator.load(tmp_path / "saved")
        assert repr(second) == repr(first)
        pd.testing.assert_frame_equal(second.compute_zones(), first.compute_zones())
        second.ingest_trades(table_of(trades[max(0, cut - 50) :], id=ids[max(0, cut - 50) :]), venue="x")
        assert second.counts["repeated"] == min(cut, 50)
        assert_same(whole, second)
        pd.testing.assert_frame_equal(second.compute_multi_timeframe_zones(), whole.compute_multi_timeframe_zones())
        assert [path.name for path in tmp_path.iterdir()] == ["saved"]

    def test_events_go_on_where_they_stopped(self, tmp_path):
        trades = trades_of()
        whole, first = small(mode="streaming"), small(mode="streaming")
        expected, events = log_events(whole), log_events(first)
        whole.ingest_trades(table_of(trades))
        first.ingest_trades(table_of(trades[:1500]))
        first.save(tmp_path / "saved")
        second = Liquidator.load(tmp_path / "saved")
        more = log_events(second)
        second.ingest_trades(table_of(trades[1500:]))
        assert keys_of(events) + keys_of(more) == keys_of(expected)
        assert events
        assert more

    def test_feeds_and_counts_are_kept(self, tmp_path):
        made = TestFeeds().with_liquidations(on_bad="skip")
        made.push({"price": -1})
        made.ingest_funding_rates([{"time": START + 5, "funding_rate": 0.1}])
        made.update_candles(made.bars()[:3])
        made.save(tmp_path / "saved")
        again = Liquidator.load(tmp_path / "saved")
        assert again.counts == made.counts
        assert_same(made, again)

    def test_no_other_file_is_taken(self, tmp_path):
        path = tmp_path / "x"
        filled(trades_of(50)).save(path)
        content = path.read_bytes()
        for bad in (b"", b"text", content[: len(content) // 2], content[100:]):
            path.write_bytes(bad)
            with pytest.raises(ValueError, match=r"x: not a file that Liquidator\.save wrote, or damaged$"):
                Liquidator.load(path)
        np.savez(tmp_path / "y.npz", about=np.array([object()], dtype=object))
        with pytest.raises(ValueError, match="not a file that"):
            Liquidator.load(tmp_path / "y.npz")
        with pytest.raises(FileNotFoundError):
            Liquidator.load(tmp_path / "z")


class TestIndicators:
    @pytest.mark.parametrize("per", [2, 14, 50])
    def test_atr_is_ta_libs(self, real_bars, per):
        frame = pd.DataFrame({name: real_bars[name] for name in ("high", "low", "close")})
        expected = talib.ATR(*(np.ascontiguousarray(real_bars[name]) for name in ("high", "low", "close")), per)
        np.testing.assert_allclose(compute_atr(frame, per).to_numpy(), expected, rtol=1e-9)

    def test_atr_is_wilders_by_hand(self):
        frame = pd.DataFrame({"high": [10, 12, 12, 15.0], "low": [9, 10, 11, 11.0], "close": [9.5, 11, 11.5, 14.0]})
        assert compute_atr(frame, 2).tolist()[2:] == [(2.5 + 1) / 2, ((2.5 + 1) / 2 + 4) / 2]
        assert compute_atr(frame, 2).isna().tolist() == [True, True, False, False]

    def test_a_nan_candle_leaves_a_gap_and_no_more(self, real_bars):
        frame = pd.DataFrame({name: real_bars[name][:200] for name in ("high", "low", "close")})
        holed = frame.copy()
        holed.loc[100, "high"] = np.nan
        atr = compute_atr(holed)
        assert math.isnan(atr[100])
        expected = compute_atr(frame.drop(index=100))
        np.testing.assert_allclose(atr.drop(index=100).to_numpy(), expected.to_numpy())

    def test_vwap_by_hand(self):
        frame = pd.DataFrame({"close": [1.0, 2.0, np.nan, 4.0], "volume": [0.0, 1.0, 5.0, 3.0]}, index=list("abcd"))
        vwap = compute_vwap(frame)
        assert math.isnan(vwap["a"])
        assert vwap.tolist()[1:] == [2.0, 2.0, 14.0 / 4.0]
        assert compute_vwap(frame, period=1).tolist()[1::2] == [2.0, 4.0]
        assert compute_vwap(frame, price_col="close", vol_col="close").tolist()[0] == 1.0

    @pytest.mark.parametrize("per", [0, 1, -3, 2.5, True, "14"])
    def test_bad_periods(self, per):
        with pytest.raises(ValueError, match="per must be a whole number of bars"):
            compute_atr(pd.DataFrame({"high": [], "low": [], "close": []}), per)
        if per != 1:
            with pytest.raises(ValueError, match="period must be None or a whole number"):
                compute_vwap(pd.DataFrame({"close": [], "volume": []}), per)

    def test_missing_columns(self):
        with pytest.raises(ValueError, match="missing column 'high': found 'close'"):
            compute_atr(pd.DataFrame({"close": [1.0]}))
        with pytest.raises(ValueError, match="missing column 'volume'"):
            compute_vwap(pd.DataFrame({"close": [1.0]}))
        with pytest.raises(TypeError, match="must be a pandas frame, got list"):
            compute_vwap([1.0])


class TestPlot:
    def test_a_figure_with_every_zone(self, tmp_path, monkeypatch):
        opened = []
        monkeypatch.setattr(charts.webbrowser, "open", opened.append)
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr(charts.sys, "platform", "linux")
        made = filled(trades_of())
        zones = made.compute_zones()
        figure = made.plot(zones, save_path=tmp_path / "chart.html")
        assert opened == []  # no screen, no waiting
        boxes = [shape for shape in figure.layout.shapes if shape.type == "rect"]
        assert sorted((box.y0, box.y1) for box in boxes) == sorted(
            zip(zones["entry_low"], zones["entry_high"], strict=True)
        )
        assert len(figure.data[0].x) == 500
        assert len(made.plot(zones, show=False, last=9999).data[0].x) == len(made.bars())
        assert figure.layout.title.text == "1m: liquidation zones"
        assert "<title>1m: liquidation zones</title>" in (tmp_path / "chart.html").read_text(encoding="utf-8")

    @pytest.mark.slow
    def test_files_of_every_kind(self, tmp_path):
        made = filled(trades_of())
        for suffix, begins in (
            (".png", b"\x89PNG"),
            (".svg", b"<?xml"),
            (".json", b'{"schema":1'),
            (".html", b"<!doc"),
        ):
            made.plot(show=False, save_path=tmp_path / f"chart{suffix}", export="tradingview")
            assert (tmp_path / f"chart{suffix}").read_bytes().startswith(begins)
        script = made.plot(show=False, export="tradingview").layout.meta["pine"]
        assert (tmp_path / "chart.pine").read_text(encoding="utf-8") == script

    def test_nothing_is_written_where_it_cannot_be(self, tmp_path):
        for path, error in ((tmp_path / "no" / "chart.html", FileNotFoundError), (tmp_path / "chart.pdf", ValueError)):
            with pytest.raises(error, match="save_path: found"):
                small().plot(show=False, save_path=path)
        assert list(tmp_path.iterdir()) == []

    def test_zones_in_colours_of_their_quality(self):
        made = filled(trades_of())
        zones = made.compute_zones()
        figure = made.plot(zones, show=False, colors={"weak": "#999999", "medium": "#123456", "strong": "#654321"})
        found = {shape.y0: shape.line.color for shape in figure.layout.shapes if shape.type == "rect"}
        wanted = {"weak": "#999999", "medium": "#123456", "strong": "#654321"}
        assert found == {zone.entry_low: wanted[zone.quality_label] for zone in zones.itertuples()}
        for colors, says in (({"best": "#123456"}, "colors: found 'best', allowed weak"), ({"weak": "red"}, "such as")):
            with pytest.raises(ValueError, match=says):
                made.plot(zones, show=False, colors=colors)
        with pytest.raises(ValueError, match="last must be a whole number of bars, 1 or more, got 0"):
            made.plot(zones, show=False, last=0)

    def test_skipped_candles_are_gaps(self, real_bars):
        candles = real_bars[:700].copy()
        candles["close"][650] = np.nan
        made = Liquidator(bar="1h", on_bad="skip")
        made.update_candles(candles)
        assert len(made.plot(show=False, candles=candles).data[0].x) == 500

    def test_shown_where_there_is_a_screen(self, monkeypatch):
        opened = []
        monkeypatch.setattr(charts.webbrowser, "open", lambda uri: opened.append(uri) or True)
        monkeypatch.setattr(charts.sys, "platform", "darwin")
        made = filled(trades_of(300))
        made.plot()
        assert len(opened) == 1
        assert opened[0].startswith("file://")
        made.plot(show=False)
        assert len(opened) == 1

    def test_nothing_to_draw_is_drawn(self):
        figure = small().plot(show=False)
        assert len(figure.layout.shapes) == 0

    def test_unknown_exports_are_refused(self):
        with pytest.raises(ValueError, match="export must be one of tradingview, got 'trading'"):
            small().plot(export="trading")


def test_import_is_quick():
    code = "import sys, liquidator_integrations; assert not {'pandas', 'numba', 'pyarrow', 'plotly'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    code = "import liquidator_integrations as i; assert 'Liquidator' in dir(i); i.nothing"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "AttributeError: module 'liquidator_integrations' has no attribute 'nothing'" in done.stderr


def test_a_copy_goes_its_own_way():
    made = filled(trades_of(1500))
    other = copy.deepcopy(made)
    other.ingest_trades(table_of(trades_of()[1500:]))
    assert_same(made, filled(trades_of(1500)))
    assert len(other.bars()) > len(made.bars())


def test_bars_are_those_of_the_tape():
    trades = trades_of()
    made = filled(trades)
    expected = bars_from_trades(trades, made.params)
    assert made.bars().tobytes() == expected.tobytes()
    assert made.bars().dtype is BAR
    assert History(SMALL, "1m", False, 0, None).rows.rows.dtype is BAR


def test_every_form_of_data_gives_the_same():
    trades = trades_of(400)
    reference = filled(trades)
    sides = np.where(trades["side"] > 0, "B", "A")
    columns = {"time": trades["time"], "px": trades["price"], "sz": trades["size"], "side": sides}
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*(v.tolist() for v in columns.values()), strict=True)]
    frame = pd.DataFrame(columns)
    forms = {
        "list of dicts": rows,
        "generator": (row for row in rows),
        "frame": frame,
        "object sides": frame.astype({"side": object}),
        "categorical sides": frame.astype({"side": "category"}),
        "text times": frame.assign(time=pd.to_datetime(frame["time"], unit="ms").astype(str)),
        "datetimes": frame.assign(time=pd.to_datetime(frame["time"], unit="ms", utc=True)),
        "time in the index": frame.drop(columns="time").set_index(pd.to_datetime(frame["time"], unit="ms", utc=True)),
        "microseconds": frame.assign(time=frame["time"] * 1000),
        "text numbers": frame.assign(px=frame["px"].map(repr), sz=frame["sz"].map(repr)),
        "maker flags": frame.drop(columns="side").assign(isBuyerMaker=trades["side"] < 0),
        "Arrow": pa.table(columns),
        "Arrow, chunked": pa.concat_tables([pa.table(columns).slice(0, 100), pa.table(columns).slice(100)]),
        "structured": trades,
        "columns": columns,
    }
    for name, form in forms.items():
        made = small()
        made.ingest_trades(form)
        assert made.bars().tobytes() == reference.bars().tobytes(), name
