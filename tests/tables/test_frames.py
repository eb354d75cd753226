"""Candles in every shape that people have them, and the frames that come out."""

from __future__ import annotations

import dataclasses
import logging
import os
import warnings
from decimal import Decimal
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from liquidator_core import BAR, SIGNAL, Params, fold, new_signals, new_state, step
from liquidator_core.calls import average_true_ranges
from liquidator_core.layout import LEVEL, ZONE
from liquidator_core.zones import marks_of, zones_of
from liquidator_integrations.frames import (
    bars_from_frame,
    bars_with_marks,
    levels_frame,
    levels_to_frame,
    marks_frame,
    marks_params,
    placebo_marks,
    signal_columns,
    zones_frame,
    zones_to_frame,
)
from liquidator_integrations.market import candles as candles_room

START = 1_672_531_200_000  # 2023-01-01
STEP = 300_000
PARAMS = Params(ledger_bars=31, flow_bars=16, zone_bars=32, atr_bars=7, outcome_bars=8)
FIELDS = ("open", "high", "low", "close", "volume")
LATER = (  # what is described by the candles alone, not by the forced flow of the row
    *(name for name in SIGNAL.names if name not in ("long_flow_usd", "short_flow_usd")),
)


def walk(rows: int, seed: int = 1) -> pd.DataFrame:
    """ccxt's columns: a seeded walk with bursts, times in ms."""
    rng = np.random.default_rng(seed)
    close = 30_000 * np.exp(np.cumsum(rng.normal(0, 0.002, rows) * rng.lognormal(0, 0.7, rows)))
    opened = np.concatenate(([30_000.0], close[:-1]))
    return pd.DataFrame(
        {
            "timestamp": START + STEP * np.arange(rows),
            "open": opened,
            "high": np.maximum(opened, close) * (1 + rng.exponential(0.001, rows)),
            "low": np.minimum(opened, close) * (1 - rng.exponential(0.001, rows)),
            "close": close,
            "volume": rng.lognormal(3, 1, rows),
        }
    )


def freqtrade(rows: int, seed: int = 1) -> pd.DataFrame:
    """freqtrade's frame: a date column of datetime64[us, UTC] and a RangeIndex."""
    frame = walk(rows, seed)
    frame.insert(0, "date", dates(frame).as_unit("us"))
    return frame.drop(columns="timestamp")


def dates(frame: pd.DataFrame) -> pd.DatetimeIndex:
    return pd.to_datetime(frame["timestamp"].to_numpy(), unit="ms", utc=True)


def retyped(kind: object) -> object:
    return lambda frame: frame.astype(dict.fromkeys(FIELDS, kind))


def timed(make: object) -> object:
    return lambda frame: frame.assign(timestamp=make(frame))


def indexed(make: object, name: str | None = None) -> object:
    return lambda frame: frame.drop(columns="timestamp").set_index(pd.Index(make(frame), name=name))


def yfinance(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.drop(columns="timestamp").rename(columns=str.title).set_index(dates(frame).rename("Datetime"))
    return frame.assign(**{"Adj Close": frame["Close"]})


def yfinance_levels(frame: pd.DataFrame) -> pd.DataFrame:
    frame = yfinance(frame)
    return frame.set_axis(pd.MultiIndex.from_product([frame.columns, ["BTC-USD"]], names=["Price", "Ticker"]), axis=1)


def klines(frame: pd.DataFrame) -> list[list[object]]:
    """As Binance's REST sends them, the numbers as text, but for the taker volume."""
    return [
        [
            int(row.timestamp),
            *(repr(float(row[name])) for name in FIELDS),
            row.timestamp + STEP - 1,
            "1",
            5,
            None,
            "2",
            "0",
        ]
        for _, row in frame.iterrows()
    ]


SHAPES = {
    "ccxt frame": lambda frame: frame,
    "ccxt rows": lambda frame: frame.to_numpy().tolist(),
    "ccxt rows as tuples": lambda frame: [tuple(row) for row in frame.to_numpy().tolist()],
    "ccxt rows as an array": lambda frame: frame.to_numpy(),
    "ccxt rows in an unnamed frame": lambda frame: pd.DataFrame(frame.to_numpy()),
    "freqtrade": lambda frame: freqtrade(len(frame)),
    "backtrader": indexed(lambda frame: dates(frame).tz_localize(None), "datetime"),
    "yfinance": yfinance,
    "yfinance with symbols": yfinance_levels,
    "yfinance with symbols first": lambda frame: yfinance_levels(frame).swaplevel(axis=1),
    "Binance klines": klines,
    "columns": lambda frame: {name: frame[name].to_numpy() for name in frame},
    "mappings": lambda frame: frame.to_dict("records"),
    "arrow table": lambda frame: pa.Table.from_pandas(frame),
    "arrow table with an index": lambda frame: pa.Table.from_pandas(yfinance(frame)),
    "BAR": bars_from_frame,
    "other order and case": lambda frame: frame[frame.columns[::-1]].rename(columns=str.upper),
    "more columns": lambda frame: frame.assign(rsi=50.0, note="text", date_1h=0, close_time=1),
    "other index": lambda frame: frame.set_index(np.arange(len(frame))[::-1]),
    "time in s": timed(lambda frame: frame["timestamp"] // 1000),
    "time in s, floats": timed(lambda frame: frame["timestamp"] / 1000),
    "time in us": timed(lambda frame: frame["timestamp"] * 1000),
    "time in ns": timed(lambda frame: frame["timestamp"] * 1_000_000),
    "time in ms, floats": timed(lambda frame: frame["timestamp"].astype(float)),
    "time in ms, text": timed(lambda frame: frame["timestamp"].astype(str)),
    "time in ms, Int64": timed(lambda frame: frame["timestamp"].astype("Int64")),
    "time in ms, arrow": timed(lambda frame: frame["timestamp"].astype("int64[pyarrow]")),
    "datetime64[s]": timed(lambda frame: dates(frame).as_unit("s")),
    "datetime64[ns]": timed(lambda frame: dates(frame).as_unit("ns")),
    "naive": timed(lambda frame: dates(frame).tz_localize(None)),
    "New York": timed(lambda frame: dates(frame).tz_convert("America/New_York")),
    "Tokyo index": indexed(lambda frame: dates(frame).tz_convert("Asia/Tokyo")),
    "arrow timestamps": timed(
        lambda frame: dates(frame).to_series(index=frame.index).astype(pd.ArrowDtype(pa.timestamp("us", "Asia/Tokyo")))
    ),
    "datetime objects": timed(lambda frame: pd.Series(list(dates(frame).to_pydatetime()), dtype=object)),
    "objects of several zones": timed(
        lambda frame: pd.Series([d if d.minute else d.tz_convert("Asia/Tokyo") for d in dates(frame)], dtype=object)
    ),
    "ISO text": timed(lambda frame: [date.isoformat() for date in dates(frame)]),
    "ISO text, naive": timed(lambda frame: dates(frame).strftime("%Y-%m-%d %H:%M")),
    "ISO text, categorical": timed(lambda frame: pd.Categorical([date.isoformat() for date in dates(frame)])),
    "index of ms": lambda frame: frame.set_index("timestamp"),
    "column and index agree": lambda frame: frame.set_index(dates(frame)),
    "two columns agree": lambda frame: frame.assign(date=dates(frame)),
    "objects": retyped(object),
    "text": retyped(str),
    "Float64": retyped("Float64"),
    "arrow numbers": retyped("double[pyarrow]"),
    "categories": retyped("category"),
    "categories of text": lambda frame: retyped("category")(retyped(str)(frame)),
    "decimals": lambda frame: frame.assign(close=[Decimal(repr(value)) for value in frame["close"].tolist()]),
    "sparse": lambda frame: frame.assign(volume=pd.arrays.SparseArray(frame["volume"])),
}


@pytest.fixture(scope="module")
def candles() -> pd.DataFrame:
    return freqtrade(1200)


@pytest.fixture(scope="module")
def signals(candles: pd.DataFrame) -> pd.DataFrame:
    return signal_columns(candles, PARAMS)


@pytest.fixture(scope="module")
def placebo(candles: pd.DataFrame) -> pd.DataFrame:
    return placebo_marks(candles, PARAMS, seed=3, mode="delayed")


class TestBarsFromFrame:
    @pytest.mark.parametrize("shape", SHAPES)
    def test_every_shape_gives_the_same_bytes(self, shape: str) -> None:
        frame = walk(40)
        bars = bars_from_frame(SHAPES[shape](frame))
        assert bars.dtype == BAR
        assert bars.tobytes() == bars_from_frame(frame).tobytes()

    def test_values(self) -> None:
        frame = walk(40)
        bars = bars_from_frame(frame)
        assert (bars["time"] == frame["timestamp"]).all()
        for name in FIELDS:
            assert (bars[name] == frame[name]).all()
        for name in BAR.names[6:]:
            assert np.isnan(bars[name]).all()

    @pytest.mark.parametrize(
        ("column", "field"),
        [
            ("taker_buy", "taker_buy"),
            ("taker_buy_base", "taker_buy"),
            ("taker_base_vol", "taker_buy"),
            ("taker_buy_volume", "taker_buy"),
            ("Taker buy base asset volume", "taker_buy"),
            ("taker_buy_base_asset_volume", "taker_buy"),
            ("open_interest", "open_interest"),
            ("OpenInterest", "open_interest"),
            ("oi", "open_interest"),
            ("funding", "funding_rate"),
            ("funding_rate", "funding_rate"),
            *((name, name) for name in BAR.names if name.startswith(("liq_", "large_"))),
        ],
    )
    def test_optional_columns(self, column: str, field: str) -> None:
        frame = walk(20)
        values = np.where(np.arange(20) % 3 == 0, np.nan, frame["volume"] / 2)
        bars = bars_from_frame(frame.assign(**{column: values}))
        np.testing.assert_array_equal(bars[field], values)

    def test_binance_klines_carry_taker_volume(self) -> None:
        frame = walk(20)
        rows = [[*row[:9], repr(float(row[5]) / 2), *row[10:]] for row in klines(frame)]
        np.testing.assert_array_equal(bars_from_frame(rows)["taker_buy"], frame["volume"] / 2)

    @pytest.mark.parametrize("kind", [None, pd.NA, np.nan])
    def test_unknown_volume_is_nan(self, kind: object) -> None:
        assert np.isnan(bars_from_frame(walk(5).assign(volume=pd.Series([kind] * 5, dtype=object)))["volume"]).all()

    def test_taker_volume_may_exceed_volume_by_rounding(self) -> None:
        frame = walk(20)
        assert bars_from_frame(frame.assign(taker_buy=frame["volume"] * (1 + 1e-7)))["taker_buy"].all()

    def test_bars_pass_through_uncopied(self) -> None:
        bars = bars_from_frame(walk(20))
        assert np.shares_memory(bars_from_frame(bars), bars)
        assert bars_from_frame(bars[::2]).tobytes() == bars[::2].tobytes()

    @pytest.mark.parametrize("shape", SHAPES)
    def test_input_is_not_changed(self, shape: str) -> None:
        frame = walk(20)
        given, copy = SHAPES[shape](frame), SHAPES[shape](walk(20))
        signal_columns(given, PARAMS)
        if isinstance(given, pd.DataFrame):
            pd.testing.assert_frame_equal(given, copy, check_exact=True)
        else:
            assert repr(given) == repr(copy)


class TestSkip:
    def bad(self) -> pd.DataFrame:
        frame = walk(20)
        frame.loc[4, "close"] = np.nan
        frame.loc[9, "high"] = 1.0
        frame.loc[12, "volume"] = -1.0
        return frame

    @pytest.mark.parametrize("make", [lambda frame: frame, lambda frame: frame.to_numpy()])
    def test_bad_rows_get_nan_prices_and_are_reported(self, make: object, caplog: pytest.LogCaptureFixture) -> None:
        frame = self.bad()
        with caplog.at_level(logging.WARNING, "liquidator"):
            bars = bars_from_frame(make(frame), on_bad="skip")
        assert caplog.messages == [
            "3 of 20 candles skipped: row 4 (2023-01-01T00:20:00 UTC), close: found nan, "
            "allowed a finite number above 0 (2 more rows are bad)"
        ]
        assert np.flatnonzero(np.isnan(bars["close"])).tolist() == [4, 9, 12]
        for name in FIELDS[:4]:
            assert np.flatnonzero(np.isnan(bars[name])).tolist() == [4, 9, 12]
        good = frame.drop(index=[4, 9, 12])
        assert bars[good.index].tobytes() == bars_from_frame(good).tobytes()
        record = PARAMS.to_record()
        state = new_state(record)
        fold(state, record, bars, new_signals(20))
        assert state["skipped"][0] == 3

    def test_bars_are_copied_before_rows_are_skipped(self) -> None:
        bars = bars_from_frame(walk(20))
        bars["low"][3] = -1.0
        before = bars.tobytes()
        assert np.isnan(bars_from_frame(bars, on_bad="skip")["open"][3])
        assert bars.tobytes() == before

    def test_good_rows_are_not_reported(self, caplog: pytest.LogCaptureFixture) -> None:
        bars_from_frame(walk(20), on_bad="skip")
        assert not caplog.messages

    def test_signals_survive(self) -> None:
        columns = signal_columns(self.bad(), Params(ledger_bars=3, flow_bars=2, zone_bars=3, atr_bars=2), on_bad="skip")
        assert np.isnan(columns["long_flow_usd"][9])
        assert columns["long_flow_usd"].notna().sum() == 20 - 8 - 2


class TestSignalColumns:
    def test_long_series_in_parts_are_what_one_fold_gives(self, real_bars, monkeypatch) -> None:
        monkeypatch.setattr(os, "cpu_count", lambda: 3)
        bars = np.resize(real_bars, 61_003)
        bars["time"] = START + STEP * np.arange(len(bars))
        bars["close"][[20_200, 40_700]] = np.nan  # skipped rows near where the parts meet
        out = new_signals(len(bars))
        record = Params().to_record()
        fold(new_state(record), record, bars, out)
        columns = signal_columns(bars, on_bad="skip")
        assert list(columns) == list(SIGNAL.names)
        for name in SIGNAL.names:
            assert columns[name].to_numpy().tobytes() == out[name].tobytes(), name

    def test_columns_are_what_fold_gives(self, candles: pd.DataFrame, signals: pd.DataFrame) -> None:
        record = PARAMS.to_record()
        out = new_signals(len(candles))
        fold(new_state(record), record, bars_from_frame(candles), out)
        assert list(signals.columns) == list(SIGNAL.names)
        assert {str(kind) for kind in signals.dtypes} == {"float64", "int64"}
        for name in SIGNAL.names:
            assert signals[name].to_numpy().tobytes() == out[name].tobytes()
        for name in ("touch", "broke", "fade", "join", "exit_long", "exit_short"):
            assert signals[name].any(), name

    def test_index_is_the_candles(self, candles: pd.DataFrame) -> None:
        indexed = candles.set_index("date").tail(100)
        assert signal_columns(indexed, PARAMS).index.equals(indexed.index)
        assert signal_columns(candles.tail(100), PARAMS).index.equals(candles.tail(100).index)
        assert signal_columns(bars_from_frame(candles), PARAMS).index.equals(candles.index)

    def test_fewer_rows_than_memory(self, candles: pd.DataFrame) -> None:
        columns = signal_columns(candles.head(PARAMS.memory - 1), PARAMS)
        assert len(columns) == PARAMS.memory - 1
        assert columns.select_dtypes("float").isna().all(axis=None)
        assert not columns.select_dtypes("int").any(axis=None)
        assert signal_columns(candles.head(PARAMS.memory), PARAMS)["long_flow_usd"].notna().sum() == 1

    def test_defaults(self, candles: pd.DataFrame) -> None:
        assert signal_columns(candles)["long_flow_usd"].first_valid_index() == Params().memory - 1

    @pytest.mark.parametrize("rows", [81, 200, 377, 1000])
    @pytest.mark.parametrize("fake", [False, True])
    def test_prefix_law(self, candles: pd.DataFrame, placebo: pd.DataFrame, rows: int, fake: bool) -> None:
        marks = placebo if fake else None
        whole = signal_columns(candles, PARAMS, marks)
        part = signal_columns(candles.head(rows), PARAMS, marks)
        pd.testing.assert_frame_equal(part, whole.head(rows), check_exact=True)

    @pytest.mark.parametrize("fake", [False, True])
    def test_window_law(self, candles: pd.DataFrame, placebo: pd.DataFrame, fake: bool) -> None:
        marks = placebo if fake else None
        whole = signal_columns(candles, PARAMS, marks)
        for row in range(PARAMS.memory - 1, len(candles), 23):
            window = candles.iloc[row + 1 - PARAMS.memory : row + 1]
            last = signal_columns(window, PARAMS, marks).tail(1)
            pd.testing.assert_frame_equal(last, whole.iloc[[row]], check_exact=True)

    def test_its_own_marks_give_its_own_zones(self, candles: pd.DataFrame, signals: pd.DataFrame) -> None:
        again = signal_columns(candles, PARAMS, marks=marks_frame(candles, PARAMS))
        pd.testing.assert_frame_equal(again[[*LATER]], signals[[*LATER]], check_exact=True)


class TestSwitches:
    """Params that ask for a feed which the candles do not have."""

    COLUMNS: ClassVar = {
        "use_large_trades": ("large_sell_usd", "large_buy_usd"),
        "use_open_interest_drops": ("open_interest",),
        "use_funding": ("funding_rate",),
    }

    @pytest.fixture(autouse=True)
    def _nothing_told(self) -> None:
        candles_room._warn_once.cache_clear()

    @pytest.mark.parametrize("switch", COLUMNS)
    @pytest.mark.parametrize("make", [signal_columns, zones_frame, levels_frame, marks_frame, placebo_marks])
    def test_one_without_its_columns_is_warned_of(self, make: object, switch: str) -> None:
        frame, params = walk(300), dataclasses.replace(PARAMS, **{switch: True})
        columns = self.COLUMNS[switch]
        with pytest.warns(UserWarning, match=rf"Params\.{switch} does nothing: the candles have no {columns[0]}"):
            make(frame, params)
        for column in columns:  # any of them will do; ``filterwarnings = error`` holds
            frame[column] = np.nan
            frame.iloc[200, -1] = 0.5
            make(frame.drop(columns=[other for other in columns if other != column], errors="ignore"), params)

    def test_once_a_process_and_market(self) -> None:
        params = dataclasses.replace(PARAMS, use_funding=True)
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            for market in ("A/USDT 1h", "B/USDT 1h", "A/USDT 1h"):
                signal_columns(walk(300), params, market=market)
        assert [str(one.message)[:19] for one in told] == ["A/USDT 1h: Params.u", "B/USDT 1h: Params.u"]

    def test_marks_of_ones_own_need_no_feed(self, placebo: pd.DataFrame, candles: pd.DataFrame) -> None:
        signal_columns(candles, dataclasses.replace(PARAMS, use_funding=True), placebo)


class TestZonesAndLevels:
    @pytest.mark.parametrize("rows", [500, 900, 1100])
    def test_zones_are_those_of_the_whole_history(self, candles: pd.DataFrame, rows: int) -> None:
        candles = candles.head(rows)
        record = PARAMS.to_record()
        state = new_state(record)
        fold(state, record, bars_from_frame(candles), new_signals(rows))
        zones = zones_of(state, record)
        frame = zones_frame(candles, PARAMS)
        assert len(zones) == len(frame) > 1
        for name in ZONE.names:
            if name not in ("birth", "last_time", "side"):
                assert frame[name].to_numpy().tobytes() == zones[name].tobytes(), name
        assert (frame["birth"] == pd.to_datetime(zones["birth"], unit="ms", utc=True)).all()
        assert (frame["last_time"] == pd.to_datetime(zones["last_time"], unit="ms", utc=True)).all()
        assert frame["side"].tolist() == [("long", "short")[side] for side in zones["side"]]
        assert frame.attrs == {"bars_seen": rows, "warm": True}

    def test_kind_and_label(self, candles: pd.DataFrame, signals: pd.DataFrame) -> None:
        frame = zones_frame(candles, PARAMS)
        below = frame["price"] <= candles["close"].iloc[-1]
        assert (frame["kind"] == np.where(below, "support", "resistance")).all()
        assert frame.loc[below, "price"].max() == signals["support"].iloc[-1]
        assert frame.loc[~below, "price"].min() == signals["resistance"].iloc[-1]
        zones = np.zeros(5, ZONE)
        zones["quality"] = [0.0, 39.999, 40.0, 69.999, 70.0]
        labels = zones_to_frame(zones, 1.0)["quality_label"]
        assert labels.tolist() == ["weak", "weak", "medium", "medium", "strong"]
        assert (labels >= "medium").sum() == 3

    def test_zones_of_given_marks(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        last = signal_columns(candles, PARAMS, placebo).iloc[-1]
        frame = zones_frame(candles, PARAMS, placebo)
        assert frame.loc[frame["kind"] == "support", "price"].max() == last["support"]

    def test_levels(self, candles: pd.DataFrame, signals: pd.DataFrame) -> None:
        frame = levels_frame(candles, PARAMS)
        below, above = frame[frame["side"] == "long"], frame[frame["side"] == "short"]
        assert below["price"].max() == signals["level_below"].iloc[-1]
        assert above["price"].min() == signals["level_above"].iloc[-1]
        assert [*frame.columns] == [*LEVEL.names, "kind"]
        assert frame["price"].is_monotonic_increasing
        assert (frame["kind"] == np.where(frame["price"] <= candles["close"].iloc[-1], "support", "resistance")).all()
        assert frame.attrs == {"bars_seen": 1200, "warm": True}

    def test_no_zones_have_the_same_types(self, candles: pd.DataFrame) -> None:
        few = candles.head(3)
        for of, none in ((zones_frame, zones_to_frame(np.zeros(0, ZONE), 1.0)),):
            assert of(few, PARAMS).dtypes.equals(of(candles, PARAMS).dtypes)
            assert none.dtypes.equals(of(candles, PARAMS).dtypes)
            assert of(few, PARAMS).attrs == {"bars_seen": 3, "warm": False}
        assert levels_to_frame(np.zeros(0, LEVEL), 1.0).dtypes.equals(levels_frame(candles, PARAMS).dtypes)
        assert marks_frame(few, PARAMS).dtypes.equals(marks_frame(candles, PARAMS).dtypes)
        assert placebo_marks(few, PARAMS).dtypes.equals(placebo_marks(candles, PARAMS).dtypes)

    def test_types(self, candles: pd.DataFrame) -> None:
        kinds = zones_frame(candles, PARAMS).dtypes.astype(str)
        assert kinds["birth"] == kinds["last_time"] == "datetime64[ms, UTC]"
        assert kinds["side"] == kinds["kind"] == kinds["quality_label"] == "category"

    def test_kind_is_missing_without_a_close(self) -> None:
        assert zones_to_frame(np.zeros(2, ZONE), np.nan)["kind"].isna().all()


class TestMarksFrame:
    def test_each_mark_once_as_last_seen(self, candles: pd.DataFrame) -> None:
        bars = bars_from_frame(candles)
        record = PARAMS.to_record()
        state, out = new_state(record), new_signals(1)
        seen = {}
        for row in range(len(bars)):
            step(state, record, bars[row : row + 1], out)
            seen |= {(int(mark["birth_row"]), int(mark["side"])): mark for mark in marks_of(state, record)}
        frame = marks_frame(candles, PARAMS)
        expected = np.array([seen[key] for key in sorted(seen)])
        assert len(frame) == len(expected) > 50
        for name in ("price", "usd", "atr", "touches", "holds", "ambiguous", "unresolved", "broken"):
            assert (frame[name] == expected[name]).all(), name
        assert (frame["row"] == expected["birth_row"]).all()
        assert (frame["time"] == candles["date"].to_numpy()[frame["row"]]).all()
        assert frame["side"].tolist() == [("long", "short")[side] for side in expected["side"]]
        assert (frame["high"] == expected["price"] + expected["half_width"]).all()
        assert (frame["low"] == expected["price"] - expected["half_width"]).all()
        assert (frame["age"] == np.minimum(len(bars) - 1 - frame["row"], PARAMS.zone_bars - 1)).all()
        for name in ("touches", "holds", "broken"):
            assert frame[name].any(), name


class TestAverageTrueRange:
    def bars(self) -> np.ndarray:
        bars = bars_from_frame(walk(300, 7))
        rng = np.random.default_rng(0)
        bars["close"][rng.choice(300, 40, replace=False)] = np.nan
        bars["high"][100:150] = 0.0  # longer than the previous close is kept
        return bars

    def naive(self, bars: np.ndarray, params: Params) -> list[float]:
        """docs/formula.md, row by row."""
        ranges: list[float] = []
        atr, previous, skipped = [], np.nan, 0
        for bar in bars:
            good = 0 < bar["low"] <= bar["open"] <= bar["high"] and bar["low"] <= bar["close"] <= bar["high"]
            if good:
                high, low = [*map(float, (bar["high"], bar["low"]))]
                if previous == previous:
                    high, low = max(high, previous), min(low, previous)
                ranges.append(high - low)
                previous, skipped = float(bar["close"]), 0
            else:
                ranges.append(np.nan)
                skipped += 1
                if skipped > params.ledger_bars + params.flow_bars - params.atr_bars:
                    previous = np.nan
            window = [value for value in ranges[-params.atr_bars :] if value == value]
            enough = len(ranges) >= params.atr_bars and window
            atr.append(sum(window) / len(window) if enough else np.nan)
        return atr

    def test_formula(self) -> None:
        bars = self.bars()
        np.testing.assert_allclose(average_true_ranges(bars, PARAMS)[0], self.naive(bars, PARAMS), rtol=1e-12)

    def test_engine(self, candles: pd.DataFrame) -> None:
        marks = marks_frame(candles, PARAMS)
        atr = average_true_ranges(bars_from_frame(candles), PARAMS)[0][marks["row"]]
        np.testing.assert_allclose(atr, marks["atr"], rtol=1e-9)

    def test_engine_with_skipped_rows(self) -> None:
        bars = self.bars()
        bars["liq_long_usd"] = 1e6
        bars["liq_long_price"] = bars["low"]
        marks = marks_frame(bars, marks_params(PARAMS), on_bad="skip")
        assert len(marks) > 150
        np.testing.assert_allclose(average_true_ranges(bars, PARAMS)[0][marks["row"]], marks["atr"], rtol=1e-9)

    def test_fewer_rows_than_the_window(self) -> None:
        assert np.isnan(average_true_ranges(bars_from_frame(walk(3)), PARAMS)[0]).all()


class TestPlacebo:
    def pairs(self, candles: pd.DataFrame, placebo: pd.DataFrame, params: Params = PARAMS) -> pd.DataFrame:
        """Each fake beside its mark, found by side and USD, which no two marks share."""
        pairs = placebo.merge(marks_frame(candles, params), on=["side", "usd"], suffixes=("", "_real"))
        assert len(pairs) == len(placebo)
        return pairs

    def test_matches_its_mark(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        pairs = self.pairs(candles, placebo)
        bars = bars_from_frame(candles)
        atr = average_true_ranges(bars, PARAMS)[0]
        assert len(pairs) > 100
        assert (pairs["row"] - pairs["row_real"]).between(1, PARAMS.flow_bars).all()
        assert (pairs["time"] == candles["date"].to_numpy()[pairs["row"]]).all()
        distance = (pairs["price"] - bars["close"][pairs["row"]]) / atr[pairs["row"]]
        real = (pairs["price_real"] - bars["close"][pairs["row_real"]]) / pairs["atr"]
        np.testing.assert_allclose(distance, real, rtol=1e-9, atol=1e-9)

    def test_becomes_a_mark_of_the_same_width(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        bars = bars_from_frame(candles)
        born = marks_frame(bars_with_marks(bars, placebo), marks_params(PARAMS))
        pd.testing.assert_frame_equal(born[[*placebo.columns]], placebo, check_exact=True)
        width = (born["high"] - born["low"]) / average_true_ranges(bars, PARAMS)[0][born["row"]]
        np.testing.assert_allclose(width, 2 * PARAMS.zone_atr, rtol=1e-9)

    def test_delays_cover_their_range(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        pairs = self.pairs(candles, placebo)
        assert {*range(1, PARAMS.flow_bars + 1)} == {*(pairs["row"] - pairs["row_real"])}

    def test_seed(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        pd.testing.assert_frame_equal(placebo_marks(candles, PARAMS, seed=3, mode="delayed"), placebo, check_exact=True)
        assert not placebo_marks(candles, PARAMS, seed=4, mode="delayed")["row"].equals(placebo["row"])

    def test_counts(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        assert placebo.attrs["real"] == len(marks_frame(candles, PARAMS))
        assert placebo.attrs["real"] == len(placebo) + sum(placebo.attrs["dropped"].values())
        assert placebo.attrs["dropped"]["beyond the last row"] > 0

    @pytest.mark.parametrize("rows", [150, 600, 1100])
    def test_later_candles_change_no_fake(self, candles: pd.DataFrame, placebo: pd.DataFrame, rows: int) -> None:
        part = placebo_marks(candles.head(rows), PARAMS, seed=3, mode="delayed")
        pd.testing.assert_frame_equal(part, placebo[placebo["row"] < rows], check_exact=True)

    def crowded(self) -> np.ndarray:
        """A mark of both sides on every row."""
        bars = bars_from_frame(walk(200))
        usd = 1e6 + np.arange(200)
        for side in ("long", "short"):
            bars[f"liq_{side}_usd"] = usd
            bars[f"liq_{side}_price"] = bars["close"] * (0.99 if side == "long" else 1.01)
        return bars

    def test_one_fake_a_row_and_side(self) -> None:
        bars, params = self.crowded(), marks_params(PARAMS)
        placebo = placebo_marks(bars, params, seed=1, mode="delayed")
        assert len(placebo) > 300
        assert not placebo.duplicated(["row", "side"]).any()
        pairs = self.pairs(bars, placebo, params)
        assert (pairs["row"] - pairs["row_real"]).between(1, PARAMS.flow_bars).all()
        assert placebo.attrs["real"] == len(placebo) + sum(placebo.attrs["dropped"].values())

    def test_none_on_a_skipped_row(self) -> None:
        bars = self.crowded()
        bars["close"][50:90:2] = np.nan
        placebo = placebo_marks(bars, marks_params(PARAMS), on_bad="skip", mode="delayed")
        assert placebo.attrs["dropped"]["no ATR or a skipped row"] > 0
        assert not {*placebo["row"]} & {*range(50, 90, 2)}
        assert placebo.attrs["real"] == len(placebo) + sum(placebo.attrs["dropped"].values())

    def test_none_below_zero(self) -> None:
        bars = self.crowded()
        bars["liq_long_price"] = 1e-3
        placebo = placebo_marks(bars, marks_params(PARAMS), mode="delayed")
        assert placebo.attrs["dropped"]["price not above 0"] > 0
        assert (placebo["price"] > 0).all()


class TestBarsWithMarks:
    def test_forced_flow_is_the_marks_and_nothing_else(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        bars = bars_from_frame(candles)
        before = bars.tobytes()
        marked = bars_with_marks(bars, placebo)
        assert bars.tobytes() == before
        for side in ("long", "short"):
            own = placebo[placebo["side"] == side]
            assert np.flatnonzero(marked[f"liq_{side}_usd"]).tolist() == own["row"].tolist()
            assert marked[f"liq_{side}_usd"][own["row"]].tolist() == own["usd"].tolist()
            assert marked[f"liq_{side}_price"][own["row"]].tolist() == own["price"].tolist()
        for name in BAR.names:
            if not name.startswith("liq_"):
                assert marked[name].tobytes() == bars[name].tobytes()

    def test_no_marks_give_no_zones(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        columns = signal_columns(candles, PARAMS, placebo.head(0))
        assert columns["support"].isna().all()
        assert columns["level_below"].notna().any()

    def test_marks_may_be_plain(self, candles: pd.DataFrame, placebo: pd.DataFrame) -> None:
        plain = pd.DataFrame(
            {
                "time": placebo["time"].astype("int64"),
                "side": placebo["side"].astype(str),
                "price": placebo["price"].astype("Float64"),
                "usd": placebo["usd"],
            }
        ).sample(frac=1.0, random_state=1)
        bars = bars_from_frame(candles)
        assert bars_with_marks(bars, plain).tobytes() == bars_with_marks(bars, placebo).tobytes()

    def test_params_keep_the_rest(self) -> None:
        params = marks_params(PARAMS)
        assert (params.event_mult, params.event_share) == (0.0, 0.0)
        assert (params.observed, params.observed_bars) == ("unscaled", 0)
        assert params.memory == PARAMS.memory
        assert (
            dataclasses.replace(
                params,
                **{name: getattr(PARAMS, name) for name in ("event_mult", "event_share", "observed", "observed_bars")},
            )
            == PARAMS
        )
