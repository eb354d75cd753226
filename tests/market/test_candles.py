"""What goes wrong at the edge, and that the error says where, what was found and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from liquidator_core import BAR, SIGNAL, Params, fold, load_state, new_signals, new_state, save_state, step
from liquidator_core.layout import SCHEMA
from liquidator_integrations.frames import (
    bars_from_frame,
    bars_with_marks,
    levels_frame,
    marks_frame,
    placebo_marks,
    signal_columns,
    zones_frame,
)

START = 1_672_531_200_000  # 2023-01-01
STEP = 300_000
ROWS = 8
BAD = 5  # the row that is spoilt, at 00:25


def candles() -> pd.DataFrame:
    """Every row open 100, high 110, low 90, close 105, volume 7."""
    rows = [[START + STEP * row, 100.0, 110.0, 90.0, 105.0, 7.0] for row in range(ROWS)]
    return pd.DataFrame(rows, columns=["time", "open", "high", "low", "close", "volume"])


def spoilt(column: str, value: object) -> pd.DataFrame:
    frame = candles()
    if column not in frame:
        frame[column] = 1.0
    if isinstance(value, str):
        frame[column] = frame[column].astype(object)
    frame.loc[BAD, column] = value
    return frame


AT = f"row {BAD} (2023-01-01T00:25:00 UTC), "
PRICE = "allowed a finite number above 0"
AMOUNT = "allowed a finite number not below 0, or NaN (unknown)"
INSIDE = "allowed from the low, 90, to the high, 110"

VALUES = [  # (column, value, what the error says)
    *((name, 0.0, f"{name}: found 0.0, {PRICE}") for name in ("open", "high", "low", "close")),
    *((name, -3.5, f"{name}: found -3.5, {PRICE}") for name in ("open", "high", "low", "close")),
    *((name, np.nan, f"{name}: found nan, {PRICE}") for name in ("open", "high", "low", "close")),
    *((name, np.inf, f"{name}: found inf, {PRICE}") for name in ("open", "high", "low", "close")),
    ("high", 89.0, "high: found 89.0, allowed at least the low, 90"),
    ("low", 111.0, "high: found 110.0, allowed at least the low, 111"),
    ("open", 89.5, f"open: found 89.5, {INSIDE}"),
    ("open", 110.5, f"open: found 110.5, {INSIDE}"),
    ("close", 89.5, f"close: found 89.5, {INSIDE}"),
    ("close", 110.5, f"close: found 110.5, {INSIDE}"),
    ("volume", -1.0, f"volume: found -1.0, {AMOUNT}"),
    ("volume", np.inf, f"volume: found inf, {AMOUNT}"),
    ("taker_buy", -0.5, f"taker_buy: found -0.5, {AMOUNT}"),
    ("taker_buy", 7.001, "taker_buy: found 7.001, allowed from 0 to the volume, 7"),
    ("taker_base_vol", 8.0, "taker_buy (column 'taker_base_vol'): found 8.0, allowed from 0 to the volume, 7"),
    ("open_interest", -1.0, f"open_interest: found -1.0, {AMOUNT}"),
    ("openinterest", np.inf, f"open_interest (column 'openinterest'): found inf, {AMOUNT}"),
    ("funding_rate", -np.inf, "funding_rate: found -inf, allowed a finite number, or NaN (unknown)"),
    *((name, -1.0, f"{name}: found -1.0, {AMOUNT}") for name in BAR.names if name.startswith(("liq_", "large_"))),
]

SHAPES: dict[str, Callable[[pd.DataFrame], object]] = {
    "frame": lambda frame: frame,
    "nullable": lambda frame: frame.astype({name: "Float64" for name in frame if name != "time"}),
    "columns": lambda frame: {name: frame[name].to_numpy() for name in frame},
}

EXACT = [  # (candles, error, what it says)
    (
        spoilt("time", START),
        ValueError,
        f"row {BAD} (2023-01-01T00:00:00 UTC), time: found a time that goes back to 2023-01-01T00:00:00 UTC, "
        f"allowed later than row {BAD - 1} (2023-01-01T00:20:00 UTC)",
    ),
    (
        spoilt("time", START + STEP * (BAD - 1)),
        ValueError,
        f"row {BAD} (2023-01-01T00:20:00 UTC), time: found a time that repeats 2023-01-01T00:20:00 UTC, "
        f"allowed later than row {BAD - 1} (2023-01-01T00:20:00 UTC)",
    ),
    (spoilt("time", 0), ValueError, f"row {BAD}, time: found 0, allowed a time from 1973-03-03 on in s [1e8, 1e11)"),
    (spoilt("time", -5), ValueError, f"row {BAD}, time: found -5, allowed a time from 1973-03-03 on in s"),
    (
        spoilt("time", (START + STEP * BAD) // 1000),
        ValueError,
        f"row {BAD}, time: found 1672532700, allowed ms, as in row 0: this is a time in s",
    ),
    (
        spoilt("time", (START + STEP * BAD) * 1000),
        ValueError,
        f"row {BAD}, time: found 1672532700000000, allowed ms, as in row 0: this is a time in us",
    ),
    (spoilt("time", np.nan), ValueError, f"row {BAD}, time: found nan, allowed a time in every row"),
    (
        candles().assign(time=pd.to_datetime([START] * BAD + [None] * (ROWS - BAD), unit="ms")),
        ValueError,
        f"row {BAD}, time: found NaT, allowed a time in every row (2 more rows are bad)",
    ),
    (
        spoilt("time", "yesterday").assign(time=lambda frame: ["2023-01-01"] * BAD + ["yesterday"] * (ROWS - BAD)),
        ValueError,
        f"row {BAD}, time: found 'yesterday', allowed a datetime, a number or ISO 8601 text (2 more rows are bad)",
    ),
    (
        candles().assign(time=pd.to_datetime(START // 1000 + np.arange(ROWS), unit="ms")),
        ValueError,
        "row 0, time: found 1672531200, allowed ms since the epoch, from 1973-03-03 on [1e11, 1e14): "
        "seconds where ms are meant",
    ),
    (candles().assign(time=True), TypeError, "time must be datetimes, numbers or ISO text, got a column of bool"),
    (
        candles().assign(date=pd.to_datetime(START + STEP * np.arange(1, ROWS + 1), unit="ms")),
        ValueError,
        "row 0, time: found 2023-01-01T00:00:00 UTC in column 'time' and 2023-01-01T00:05:00 UTC in column 'date', "
        "allowed one time",
    ),
    (
        candles().drop(columns=["high", "volume"]),
        ValueError,
        "missing column for high, volume: found columns 'time', 'open', 'low', 'close'; "
        "accepted names (any case): high (high); volume (volume, base_volume, ",
    ),
    (
        candles().drop(columns="time"),
        ValueError,
        "missing column for time: found columns 'open', 'high', 'low', 'close', 'volume'; "
        "accepted names (any case): time (a DatetimeIndex, or time, timestamp, ts, date, datetime, open_time)",
    ),
    (
        candles().assign(Close=1.0),
        ValueError,
        "columns 'close' and 'Close' both mean close: keep one; "
        "found columns 'time', 'open', 'high', 'low', 'close', 'volume', 'Close'",
    ),
    (
        pd.concat([candles(), candles()[["volume"]]], axis=1),
        ValueError,
        "columns 'volume' and 'volume' both mean volume: keep one",
    ),
    (candles().assign(oi=1.0, openInterest=2.0), ValueError, "columns 'oi' and 'openInterest' both mean open_interest"),
    (
        pd.concat([candles(), candles()[["time"]]], axis=1),
        ValueError,
        "columns 'time' and 'time' both mean time: keep one",
    ),
    (
        pd.concat({"BTC": candles().set_index("time"), "ETH": candles().set_index("time")}, axis=1),
        ValueError,
        "columns must have one level, or be those of one symbol; found ('BTC', 'open')",
    ),
    (candles().head(0), ValueError, "no candles: the frame is empty (0 rows)"),
    (pd.DataFrame(), ValueError, "no candles: the frame is empty (0 rows)"),
    ([], ValueError, "no candles: the frame is empty (0 rows)"),
    (np.zeros(0, BAR), ValueError, "no candles: the BAR array is empty (0 rows)"),
    (spoilt("close", "n/a"), TypeError, f"row {BAD}, column 'close': found 'n/a', allowed a number"),
    (spoilt("close", "1,000.5"), TypeError, f"row {BAD}, column 'close': found '1,000.5', allowed a number"),
    (
        candles().assign(volume=["much"] * ROWS),
        TypeError,
        "row 0, column 'volume': found 'much', allowed a number (7 more rows are bad)",
    ),
    (
        candles().assign(open=pd.Categorical(["a"] * ROWS)),
        TypeError,
        "row 0, column 'open': found 'a', allowed a number",
    ),
    (candles().assign(close=True), TypeError, "column 'close' must be numbers, got bool"),
    (candles().assign(close=1j), TypeError, "column 'close' must be numbers, got complex128"),
    (
        candles().assign(close=pd.date_range("2023", periods=ROWS, unit="us")),
        TypeError,
        "column 'close' must be numbers, got datetime64[us]",
    ),
    (
        [[START, 1.0, 1.0, 1.0, 1.0, 1.0], [START + STEP, 1.0]],
        ValueError,
        "row 1: found 2 values, allowed as many as row 0 has, 6",
    ),
    ([[1, 1.0, 1.0, 1.0]], ValueError, "found rows of 4 values (1, 1.0, 1.0, 1.0) in no order that is known: give"),
    ([[None] * 6] * 2, ValueError, "row 0, time: found None, allowed a time in every row (1 more row is bad)"),
    ([1.0, 2.0], TypeError, "row 0: found 1.0, allowed [ms, open, high, low, close, volume]"),
    ("candles.csv", TypeError, "candles must be a pandas frame, rows [ms, open, high, low, close, volume]"),
    (None, TypeError, "columns or a BAR array, got NoneType"),
    (candles()["close"], TypeError, "columns or a BAR array, got Series"),
    (np.zeros(3), TypeError, "columns or a BAR array, got ndarray"),
    (np.zeros(3, [("time", "i8")]), TypeError, "candles as a structured array must be (n,) BAR, got [('time', '<i8')]"),
    (np.zeros((2, 2), BAR), TypeError, "of shape (2, 2)"),
]


def names_of(values: list[tuple[object, ...]]) -> list[str]:
    return [str(value[-1])[:60] for value in values]


class TestCandles:
    @pytest.mark.parametrize("shape", SHAPES)
    @pytest.mark.parametrize(("column", "value", "message"), VALUES)
    def test_values(self, shape: str, column: str, value: float, message: str) -> None:
        frame = spoilt(column, value)
        given = SHAPES[shape](frame)
        with pytest.raises(ValueError, match=f"^{re.escape(AT + message)}$"):
            bars_from_frame(given)
        pd.testing.assert_frame_equal(frame, spoilt(column, value), check_exact=True)

    @pytest.mark.parametrize(("column", "value", "message"), VALUES)
    def test_bars(self, column: str, value: float, message: str) -> None:
        field = re.split(r"[ :]", message)[0]
        bars = bars_from_frame(candles())
        bars[column if column in BAR.names else field][BAD] = value
        before = bars.tobytes()
        message = re.sub(r" \(column '\w+'\)", "", message)
        with pytest.raises(ValueError, match=f"^{re.escape(AT + message)}$"):
            bars_from_frame(bars)
        assert bars.tobytes() == before

    @pytest.mark.parametrize(("given", "error", "message"), EXACT, ids=names_of(EXACT))
    def test_tables(self, given: object, error: type[Exception], message: str) -> None:
        copy = given.copy() if hasattr(given, "copy") else given
        for on_bad in ("raise", "skip"):  # none of these is a row that could be skipped
            with pytest.raises(error, match=re.escape(message)):
                bars_from_frame(given, on_bad)
        if isinstance(given, pd.DataFrame):
            pd.testing.assert_frame_equal(given, copy, check_exact=True)

    def test_the_first_bad_row_is_named_and_the_others_counted(self) -> None:
        frame = candles()
        frame.loc[[2, 4, 6], "close"] = np.nan
        frame.loc[3, "volume"] = -1.0
        with pytest.raises(ValueError, match=r"^row 2 \(2023-01-01T00:10:00 UTC\), close: .* \(3 more rows are bad\)$"):
            bars_from_frame(frame)

    @pytest.mark.parametrize(
        ("divisor", "found", "unit"),
        [(1000, 1672531200, "seconds"), (1 / 1000, 1672531200000000, "microseconds")],
    )
    def test_bars_with_another_unit_of_time(self, divisor: float, found: int, unit: str) -> None:
        bars = bars_from_frame(candles())
        bars["time"] = bars["time"] / divisor
        message = f"row 0, time: found {found}, allowed ms since the epoch, from 1973-03-03 on [1e11, 1e14): "
        with pytest.raises(ValueError, match=re.escape(message + f"{unit} where ms are meant")):
            bars_from_frame(bars)

    def test_bars_without_times(self) -> None:
        with pytest.raises(
            ValueError, match=r"row 0, time: found 0, allowed ms .*as ms this is 1970-01-01T00:00:00 UTC"
        ):
            bars_from_frame(np.zeros(3, BAR))

    @pytest.mark.parametrize("call", [signal_columns, zones_frame, levels_frame, marks_frame, placebo_marks])
    def test_every_call_checks(self, call: Callable[..., object]) -> None:
        with pytest.raises(ValueError, match=re.escape(AT + "close: found nan")):
            call(spoilt("close", np.nan))
        with pytest.raises(TypeError, match="params must be Params or None, got dict"):
            call(candles(), {})
        with pytest.raises(ValueError, match="on_bad must be 'raise' or 'skip', got 'ignore'"):
            call(candles(), on_bad="ignore")


class TestMarks:
    def marks(self, **changed: object) -> pd.DataFrame:
        time = pd.to_datetime([START, START + STEP], unit="ms", utc=True)
        return pd.DataFrame({"time": time, "side": ["long", "short"], "price": 100.0, "usd": 1e6}).assign(**changed)

    @pytest.mark.parametrize(
        ("changed", "error", "message"),
        [
            ({"side": ["long", "sell"]}, ValueError, "marks: row 1, side: found 'sell', allowed 'long' or 'short'"),
            ({"price": [1.0, 0.0]}, ValueError, "marks: row 1, price: found 0.0, allowed a finite number above 0"),
            ({"usd": [np.nan, 1.0]}, ValueError, "marks: row 0, usd: found nan, allowed a finite number above 0"),
            ({"usd": "much"}, TypeError, "column 'usd': found 'much', allowed a number"),
            ({"time": START + 1}, ValueError, "marks: found one at 2023-01-01T00:00:00.001 UTC, allowed the time of a"),
            ({"time": START, "side": "long"}, ValueError, "marks: found two of side long on one bar, allowed one"),
        ],
    )
    def test_values(self, changed: dict[str, object], error: type[Exception], message: str) -> None:
        with pytest.raises(error, match=re.escape(message)):
            signal_columns(candles(), marks=self.marks(**changed))

    def test_columns(self) -> None:
        with pytest.raises(ValueError, match="marks lack side, usd: found columns 'time', 'price'"):
            signal_columns(candles(), marks=self.marks().drop(columns=["side", "usd"]))

    def test_kind(self) -> None:
        with pytest.raises(TypeError, match="marks must be a frame as from placebo_marks or marks_frame, got list"):
            bars_with_marks(bars_from_frame(candles()), [1])

    def test_on_a_skipped_row(self) -> None:
        with pytest.raises(ValueError, match="marks: found one at 2023-01-01T00:25:00 UTC, a row that is skipped"):
            signal_columns(spoilt("close", np.nan), marks=self.marks(time=[START, START + STEP * BAD]), on_bad="skip")


class TestParams:
    @pytest.mark.parametrize(
        ("name", "near"), [("evnt_mult", "event_mult"), ("zonebars", "zone_bars"), ("leverage", "leverages")]
    )
    def test_unknown_names_get_a_suggestion(self, name: str, near: str) -> None:
        for make in (lambda: Params(**{name: 2}), lambda: Params.from_dict({name: 2})):
            with pytest.raises(TypeError, match=f"unknown parameter '{name}': did you mean '{near}'"):
                make()

    def test_unknown_names_without_a_near_one_get_the_list(self) -> None:
        for make in (lambda: Params(xyz=2), lambda: Params.from_dict({"xyz": 2})):
            with pytest.raises(TypeError, match="unknown parameter 'xyz'; known are leverages, leverage_weights"):
                make()

    @pytest.mark.parametrize(
        ("values", "error", "message"),
        [
            ({"zone_bars": 0}, ValueError, "zone_bars must lie in [1, 4096] (bars a mark lives), got 0"),
            ({"zone_bars": 5000}, ValueError, "zone_bars must lie in [1, 4096] (bars a mark lives), got 5000"),
            ({"zone_bars": 1.5}, TypeError, "zone_bars must be a whole number, got 1.5"),
            ({"zone_bars": "96"}, TypeError, "zone_bars must be whole numbers, got '96'"),
            ({"zone_bars": None}, TypeError, "zone_bars must be whole numbers, got None"),
            ({"zone_bars": True}, TypeError, "zone_bars must be whole numbers, got True"),
            ({"event_mult": -1}, ValueError, "event_mult must lie in [0, 1e+06]"),
            ({"event_mult": np.nan}, ValueError, "event_mult must lie in [0, 1e+06]"),
            ({"event_mult": np.inf}, ValueError, "event_mult must lie in [0, 1e+06]"),
            ({"zone_atr": 0}, ValueError, "zone_atr must lie in [1e-06, 100]"),
            ({"margin": "cross"}, ValueError, "margin must be one of linear, inverse, got 'cross'"),
            ({"leverages": 10}, TypeError, "leverages must be a sequence of numbers, got 10"),
            ({"leverages": "10"}, TypeError, "leverages must be a sequence of numbers, got '10'"),
            ({"leverages": ()}, ValueError, "leverages must hold 1 to 8 numbers, got 0"),
            ({"leverages": (5, 10)}, ValueError, "leverage_weights must hold one number for each of the 2 leverages"),
            ({"leverages": (1.0,), "leverage_weights": (1,)}, ValueError, "leverages must lie in [2, 1000]"),
            (
                {"leverages": (5,), "leverage_weights": (0.5,)},
                ValueError,
                "leverage_weights must add up to 1, got 0.5",
            ),
            (
                {"leverages": (500,), "leverage_weights": (1,)},
                ValueError,
                "margin_rate must be below 1 / leverage + margin_amount = 0.002 at 500x, got 0.004",
            ),
            (
                {"atr_bars": 20, "ledger_bars": 10, "flow_bars": 10},
                ValueError,
                "atr_bars must be below ledger_bars + flow_bars = 20, got 20",
            ),
        ],
    )
    def test_values(self, values: dict[str, object], error: type[Exception], message: str) -> None:
        for make in (lambda: Params(**values), lambda: Params.from_dict(values)):
            with pytest.raises(error, match=re.escape(message)):
                make()


class TestStateFiles:
    @pytest.fixture
    def saved(self, tmp_path: Path) -> Path:
        path = tmp_path / "state.npy"
        save_state(new_state(Params()), path)
        return path

    @pytest.mark.parametrize("kept", [0, 5, 100, 100_000])
    def test_cut_short(self, saved: Path, kept: int) -> None:
        saved.write_bytes(saved.read_bytes()[:kept])
        with pytest.raises(
            ValueError, match=f"^{re.escape(str(saved))}: (not a state file|the state file is cut short)"
        ):
            load_state(saved)

    @pytest.mark.parametrize("content", [b"not a state", b"\x89PNG\r\n\x1a\n" + bytes(500)])
    def test_something_else(self, saved: Path, content: bytes) -> None:
        saved.write_bytes(content)
        with pytest.raises(ValueError, match=f"^{re.escape(str(saved))}: not a state file"):
            load_state(saved)

    def test_another_array(self, saved: Path) -> None:
        np.save(saved, np.zeros(3))
        with pytest.raises(ValueError, match=r"not a state file: found an array of float64 and shape \(3,\)"):
            load_state(saved)

    def test_something_behind_it(self, saved: Path) -> None:
        saved.write_bytes(saved.read_bytes() + b"x")
        with pytest.raises(ValueError, match="the state file goes on behind its end"):
            load_state(saved)

    def test_another_schema(self, saved: Path) -> None:
        state = new_state(Params())
        state["schema"] = 99
        save_state(state, saved)
        with pytest.raises(ValueError, match=rf"the state has schema 99, this version reads schema {SCHEMA}"):
            load_state(saved)

    @pytest.mark.parametrize(
        "other", [Params(event_mult=2.0), Params(zone_bars=1000), Params(zone_bars=100).to_record()]
    )
    def test_other_params(self, saved: Path, other: Params) -> None:
        assert load_state(saved, Params()).tobytes() == new_state(Params()).tobytes()
        with pytest.raises(ValueError, match="the state was made for other Params"):
            load_state(saved, other)

    def test_only_states_are_saved(self, saved: Path) -> None:
        before = saved.read_bytes()
        with pytest.raises(TypeError, match="state must be one from new_state"):
            save_state(np.zeros(3), saved)
        assert saved.read_bytes() == before
        assert list(saved.parent.iterdir()) == [saved]


class TestReadOnlyArrays:
    @pytest.mark.parametrize("name", ["state", "out"])
    @pytest.mark.parametrize("advance", [step, fold])
    def test_what_is_written_to_must_be_writable(self, name: str, advance: Callable[..., None]) -> None:
        params = Params().to_record()
        arrays = {"state": new_state(params), "params": params, "bars": np.zeros(1, BAR), "out": new_signals(1)}
        arrays[name].flags.writeable = False
        before = arrays[name].tobytes()
        with pytest.raises(ValueError, match=f"{name} is read-only"):
            advance(*arrays.values())
        assert arrays[name].tobytes() == before

    def test_what_is_read_may_be(self) -> None:
        params = Params().to_record()
        bars = np.zeros(1, BAR)
        bars.flags.writeable = params.flags.writeable = False
        state = new_state(params)
        step(state, params, bars, new_signals(1))
        fold(state, params, bars, new_signals(1))
        assert state["rows"][0] == 2


class TestArraysOfAnotherKind:
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"params": Params()}, TypeError, "params must be a NumPy array, got Params"),
            ({"bars": np.zeros((3, 6))}, TypeError, "bars must be made by np.zeros"),
            ({"out": np.zeros(2, SIGNAL)}, ValueError, "out must have length 3, got 2"),
            ({"state": np.zeros(3)}, TypeError, "state must be made by new_state"),
            ({"params": Params(zone_bars=9).to_record()}, ValueError, "state was made for other Params"),
        ],
    )
    def test_fold_says_what_it_takes(self, change: dict[str, object], error: type[Exception], message: str) -> None:
        params = Params().to_record()
        arrays = {"state": new_state(params), "params": params, "bars": np.zeros(3, BAR), "out": new_signals(3)}
        with pytest.raises(error, match=message):
            fold(*(arrays | change).values())
        assert arrays["state"]["rows"][0] == 0
