"""Liquidation at risk is its definition, obeys the laws, and says what it cannot tell."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_bars import HOUR, KINDS, PARAMS, START, bars_of, random_bars, small_params

from liquidator_core import Params, fold, new_signals, new_state, windows
from liquidator_core.exposure import exposure, exposures
from liquidator_core.layout import BAR, LONG, SHORT, UNITS
from liquidator_integrations.evidence.laws import (
    check_clock,
    check_fold_is_step,
    check_prefix,
    check_scale,
    check_split,
    check_window,
)
from liquidator_integrations.tables import observed, risk, risk_law, risk_scale
from liquidator_integrations.tables.risk import liquidation_at_risk, risk_columns, risk_memory

sys.path.insert(0, str(Path(__file__).parent))
from naive_risk import PRIOR, Twin

CELLS = list(PRIOR)
FLAT = (100.0,) * 4
ONE_10X = {"leverages": (10.0,), "leverage_weights": (1.0,)}
SMALL = small_params()
KNOWN_KINDS = [kind for kind in KINDS if kind not in ("wrong_volume", "leap", "collapse")]


def calm_bars(length: int, seed: int, step: int = HOUR, volume: float = 5e4) -> np.ndarray:
    """Good bars, one a step, with moves of some percent."""
    bars = random_bars(length, seed, kinds=("quiet", "up", "down", "wick_up", "wick_down"), volume=volume)
    bars["time"] = START + step * np.arange(length)
    return bars


def feed_of(bars: np.ndarray, seed: int = 0, size: float = 4e-4, step: int = HOUR) -> pd.DataFrame:
    """A row a step of what a feed may have seen: a share of turnover that varies."""
    rng = np.random.default_rng(seed)
    time = np.arange(bars["time"][0], bars["time"][-1] + HOUR, step)
    usd = np.nanmedian(bars["close"] * bars["volume"]) * size
    return pd.DataFrame(
        {
            "time": time,
            "long_usd": usd * rng.lognormal(0, 1, len(time)),
            "short_usd": usd * rng.lognormal(0, 1, len(time)),
        }
    )


def feed_rows(feed: pd.DataFrame) -> dict[int, tuple[float, float]]:
    return {int(row.time): (row.long_usd, row.short_usd) for row in feed.itertuples()}


# --- the ledger until a price -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(PARAMS))
@pytest.mark.parametrize("known", [{}, {"open_interest": True}], ids=["plain", "open interest"])
def test_exposure_is_the_sum_over_the_positions_until_the_price(name, known):
    params = PARAMS[name]
    bars = random_bars(90, 3, **known)
    twin = Twin(bars, params)
    away = np.array([0.0, 0.004, 0.02, 0.1, 0.4])
    prices = np.stack([bars["close"][:, None] * (1 - away), bars["close"][:, None] * (1 + away)], 1)
    found = exposures(new_state(params), params, bars, np.arange(len(bars)), prices)
    for row in range(len(bars)):
        for side in (LONG, SHORT):
            expected = [twin.ledger(row, side, price) for price in prices[row, side]]
            assert found[row, side].tolist() == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


def test_exposure_after_a_fold_is_that_of_the_last_row_and_changes_nothing():
    bars = calm_bars(300, 1)
    params = Params(**ONE_10X)
    prices = bars["close"][-1] * np.array([[0.99, 0.9, 0.5], [1.01, 1.1, 2.0]])
    alone, whole = new_state(params), new_state(params)
    last = exposures(alone, params, bars, np.array([299]), prices[None])[0]
    fold(whole, params.to_record(), bars, new_signals(300))
    before = whole.tobytes()
    assert exposure(whole, params, prices).tobytes() == last.tobytes() == exposure(alone, params, prices).tobytes()
    assert whole.tobytes() == before
    for field in ("mass", "entry", "open_positions", "lots", "open_lots", "next_price", "rows", "close"):
        assert alone[field].tobytes() == whole[field].tobytes(), field


def test_a_10x_long_counts_from_its_liquidation_price_on():
    """Two coins a side at 100: the long goes at 90.3614..., the short at 109.5617..."""
    params = Params(**ONE_10X)
    state = new_state(params)
    fold(state, params.to_record(), bars_of([FLAT], volume=2.0), new_signals(1))
    long_price, short_price = 100 * 0.9 / 0.996, 100 * 1.1 / 1.004
    prices = np.array([[90.37, long_price, 90.0, np.nan, 101.0], [109.56, short_price, 110.0, np.nan, 99.0]])
    expected = [
        [0.0, 2 * long_price, 2 * long_price, np.nan, 0.0],
        [0.0, 2 * short_price, 2 * short_price, np.nan, 0.0],
    ]
    np.testing.assert_allclose(exposure(state, params, prices), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"prices": np.zeros((2, 2))}, r"prices must have shape \(2, 2, m\), got \(2, 2\)"),
        ({"rows": np.array([1, 0])}, "rows must rise from 0 to at most 2, got 0 to 1"),
        ({"rows": np.array([0, 3])}, "rows must rise from 0 to at most 2, got 0 to 3"),
        ({"state": np.zeros(1)}, "state must be one from new_state"),
    ],
)
def test_exposures_refuse_arrays_that_do_not_fit(change, said):
    given = {"state": new_state(SMALL), "params": SMALL, "bars": bars_of([FLAT] * 3)}
    given |= {"rows": np.array([0, 1]), "prices": np.ones((2, 2, 1)), **change}
    with pytest.raises((ValueError, TypeError), match=said):
        exposures(**given)


# --- windows ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 3, 50, 200])
@pytest.mark.parametrize("missing", [0.0, 0.5, 0.97])
def test_trailing_quantiles_and_means_are_those_of_each_window(length, missing):
    rng = np.random.default_rng(length)
    values = rng.normal(size=400).round(1)  # many equal ones
    values[rng.random(400) < missing] = np.nan
    found, counts = windows.trailing_quantiles(values, length, (0.0, 0.1, 0.5, 1.0))
    means = windows.trailing_means(np.nan_to_num(values), length)
    for row in range(400):
        window = values[max(0, row - length + 1) : row + 1]
        held = window[~np.isnan(window)]
        assert counts[row] == len(held)
        expected = np.quantile(held, (0.0, 0.1, 0.5, 1.0)) if len(held) else np.full(4, np.nan)
        np.testing.assert_allclose(found[row], expected, rtol=1e-12, atol=1e-12)
        full = row >= length - 1
        np.testing.assert_allclose(means[row], np.nan_to_num(window).mean() if full else np.nan, atol=1e-12)


def test_windows_refuse_a_length_of_nothing():
    for call in (windows.trailing_means, lambda values, length: windows.trailing_quantiles(values, length, (0.5,))):
        with pytest.raises(ValueError, match="length must be at least 1 row, got 0"):
            call(np.zeros(3), 0)


# --- the definition ---------------------------------------------------------------------------------------------------


def agrees(frame: pd.DataFrame, twin: Twin, rows, reached: pd.DataFrame) -> None:
    for row in rows:
        expected = twin.row(row, *reached.iloc[row])
        got = frame.iloc[row].to_dict()
        assert {name: got[name] for name in expected if "source" in name} == {
            name: value for name, value in expected.items() if "source" in name
        }
        for name, value in expected.items():
            if "source" not in name:
                assert got[name] == pytest.approx(value, rel=1e-7, nan_ok=True), (row, name)


def far(bars: np.ndarray) -> pd.DataFrame:
    """How far price is supposed to go: up to 9 %, now and then not asked, or on the other side of the close."""
    rng = np.random.default_rng(5)
    share = rng.choice([0.003, 0.02, 0.09, -0.01, np.nan], len(bars))
    prices = pd.DataFrame({"low": bars["close"] * (1 - share), "high": bars["close"] * (1 + share)})
    return prices.where(prices > 0.0)


@pytest.mark.parametrize("cell", CELLS, ids=" ".join)
def test_without_a_feed_columns_are_those_of_the_twin(cell):
    bars = random_bars(SMALL.memory + 168 + 60, 11, KNOWN_KINDS, volume=5e5)
    reached = far(bars)
    frame = risk_columns(bars, None, cell[2], reached, SMALL, cell[0], cell[1], "skip")
    memory = risk_memory(SMALL)
    assert frame.iloc[: memory - 1].drop(columns=["source_long", "source_short"]).isna().all(axis=None)
    assert (frame["source_long"].iloc[: memory - 1] == "none").all()
    agrees(frame, Twin(bars, SMALL, cell=cell), range(memory - 1, len(bars)), reached)


@pytest.mark.parametrize("cell", [CELLS[0], CELLS[2], CELLS[5]], ids=" ".join)
def test_with_a_feed_columns_are_those_of_the_twin(cell):
    bars = random_bars(
        SMALL.memory + 168 + 720 + 60, 12, kinds=("up", "down", "rally", "crash", "nan_close"), volume=5e5
    )
    bars["time"] = START + HOUR * np.arange(len(bars))
    bars["time"][400:] += 3 * HOUR  # a hole
    size = {"perpetual": 4e-4, "spot": 4e-3}[cell[1]]
    feed = feed_of(bars, size=size).drop(index=range(300, 340))  # nobody looked
    reached = far(bars)
    frame = risk_columns(bars, feed, cell[2], reached, SMALL, cell[0], cell[1], "skip")
    memory = risk_memory(SMALL, feed)
    assert frame["scale_long"].iloc[: memory - 1].isna().all()
    assert (frame["source_long"].iloc[memory:] == "learned").all()
    agrees(frame, Twin(bars, SMALL, feed_rows(feed), cell), range(memory - 1, len(bars), 7), reached)


def test_a_feed_teaches_by_how_many_moves_it_covers():
    """A feed of a few days: 'mixed', and g as many moves as it covers say."""
    bars = calm_bars(SMALL.memory + 168 + 720 + 5, 13)
    feed = feed_of(bars).iloc[-60:]
    frame = risk_columns(bars, feed, params=SMALL)
    twin = Twin(bars, SMALL, feed_rows(feed))
    last = len(bars) - 1
    n = len(twin.residuals(last, LONG))
    assert 0 < n < 60
    assert frame["source_long"].iloc[-1] == "mixed"
    assert frame["weight_long"].iloc[-1] == pytest.approx(n / (n + 20))
    assert frame.attrs["long"]["n"] == n


def test_four_hour_rows_teach_what_hours_that_add_up_to_them_do_at_their_ends():
    bars = calm_bars(SMALL.memory + 168 + 720 + 8, 14)
    hourly = feed_of(bars)
    hourly = hourly[hourly["time"] % (4 * HOUR) == 0].copy()  # one in four has all
    whole = hourly.assign(long_usd=4 * hourly["long_usd"])
    parts = pd.concat([hourly.assign(time=hourly["time"] + hour * HOUR) for hour in range(4)]).sort_values("time")
    parts["short_usd"] = parts["short_usd"] / 4
    coarse = risk_columns(bars, whole, params=SMALL)
    assert coarse.attrs["long"]["n"] < risk_columns(bars, parts, params=SMALL).attrs["long"]["n"]
    rows = {time + hour * HOUR: (usd / 4, short / 4) for time, usd, short in zip(
        whole["time"], whole["long_usd"], whole["short_usd"], strict=True) for hour in range(4)}  # fmt: skip
    twin = Twin(bars, SMALL, rows)
    twin.move = lambda row, side, inner=twin.move: (  # only windows that are one row of the feed
        inner(row, side) if (twin.bars[row]["time"] + HOUR) % (4 * HOUR) == 0 else None
    )
    assert coarse["scale_long"].iloc[-1] == pytest.approx(twin.scale(len(bars) - 1, LONG)[0], rel=1e-9)


def test_shorter_candles_are_added_up_to_hours_first():
    hours = calm_bars(SMALL.memory + 168 + 30, 15)
    quarters = np.repeat(hours, 4)
    quarters["time"] = START + HOUR // 4 * np.arange(len(quarters))
    quarters["volume"] /= 4
    reached = pd.DataFrame({"low": quarters["close"] * 0.97, "high": quarters["close"] * 1.03})
    fine = risk_columns(quarters, params=SMALL, reached=reached)
    of_hours = pd.DataFrame({"low": hours["close"] * 0.97, "high": hours["close"] * 1.03})
    coarse = risk_columns(hours, params=SMALL, reached=of_hours)
    pd.testing.assert_frame_equal(fine.iloc[3::4].reset_index(drop=True), coarse)
    for late in (0, 1, 2):  # within an hour: as of the one before, but for how far price is supposed to go
        part = fine.iloc[4 + late :: 4].drop(columns=[name for name in fine if "expected" in name])
        pd.testing.assert_frame_equal(part.reset_index(drop=True), coarse.iloc[: len(part)][part.columns])


def test_the_curve_is_the_columns_asked_at_its_prices():
    bars = calm_bars(SMALL.memory + 168 + 720 + 40, 16)
    feed = feed_of(bars)
    for given in (None, feed):
        curve = liquidation_at_risk(bars, given, params=SMALL, moves=(-0.07, -0.01, 0.02))
        assert curve["side"].tolist() == ["long", "long", "short"]
        assert curve["price"].tolist() == (bars["close"][-1] * (1 + curve["move"])).tolist()
        for row in curve.itertuples():
            low, high = (row.price, np.nan) if row.side == "long" else (np.nan, row.price)
            reached = pd.DataFrame({"low": [low] * len(bars), "high": [high] * len(bars)})
            last = risk_columns(bars, given, params=SMALL, reached=reached).iloc[-1]
            for name, end in (("expected_usd", ""), ("low_usd", "_low"), ("high_usd", "_high")):
                assert getattr(row, name) == pytest.approx(last[f"expected_{row.side}_usd{end}"], rel=1e-12)
        assert ((curve["low_usd"] <= curve["expected_usd"]) & (curve["expected_usd"] <= curve["high_usd"])).all()


def test_the_curve_has_every_move_and_says_what_it_stands_on():
    bars = calm_bars(SMALL.memory + 168 + 720 + 300, 17)
    curve = liquidation_at_risk(bars, feed_of(bars), params=SMALL)
    assert curve.columns.tolist() == [
        "move", "price", "side", "ledger_usd", "expected_usd", "low_usd", "high_usd", "share_of_ledger",
    ]  # fmt: skip
    assert curve["move"].tolist() == [step / 200 for step in range(-10, 11) if step]
    assert curve["share_of_ledger"].between(0, 1).all()
    longs, shorts = curve[curve["side"] == "long"], curve[curve["side"] == "short"]
    assert longs["ledger_usd"].is_monotonic_decreasing
    assert shorts["ledger_usd"].is_monotonic_increasing
    attrs = curve.attrs
    assert attrs["as_of"] == str(np.datetime64(int(bars["time"][-1]) + HOUR, "ms"))
    assert (attrs["horizon"], attrs["feed"], attrs["market"], attrs["remarks"]) == ("4h", "binance", "perpetual", [])
    for side in ("long", "short"):
        told = attrs[side]
        assert told["source"] == "learned"
        assert told["n"] >= 60
        assert told["moves"] >= told["n"] / 3
        assert 0.5 < told["coverage"] < 1.0
        assert told["gain"] < 1.0


def test_coverage_and_gain_are_those_of_predictions_made_before():
    bars = calm_bars(SMALL.memory + 168 + 720 + 200, 18)
    feed = feed_of(bars)
    told = liquidation_at_risk(bars, feed, params=SMALL).attrs["long"]
    twin = Twin(bars, SMALL, feed_rows(feed))
    inside, errors, answers, moves = [], [], [], []
    for row in range(twin.memory - 1, len(bars) - 4):
        happened = twin.move(row, LONG)
        if happened is None or twin.shape(row, LONG, happened[0]) == -math.inf:
            continue
        a, below, above, _, _ = twin.scale(row, LONG)
        answer = math.log((happened[1] + 10_000) / twin.turnover(row))
        error = answer - a - twin.shape(row, LONG, happened[0])
        inside.append(below <= error <= above)
        errors.append(error)
        answers.append(math.log(happened[1] + 10_000))
        moves.append(math.log(1 - happened[0] / bars["close"][row]))
    assert told["moves"] == len(inside)
    assert told["coverage"] == pytest.approx(np.mean(inside))
    half = len(inside) // 2
    slope, start = np.polyfit(moves[:half], answers[:half], 1)
    rival = np.array(answers[half:]) - start - slope * np.array(moves[half:])
    assert told["gain"] == pytest.approx(1 - np.mean(np.square(errors[half:])) / np.mean(rival**2), rel=1e-6)


# --- the laws ---------------------------------------------------------------------------------------------------------


class Columns:
    """``risk_columns`` as a subject: its state is the bars so far; what they observed is the feed."""

    def __init__(self, with_feed: bool, cell=CELLS[0], asks: bool = True) -> None:
        self.with_feed = with_feed
        self.asks = asks
        self.cell = cell
        self.sources = [Path(module.__file__) for module in (risk, risk_law, risk_scale, observed, windows)]
        self.units = {f"ledger_{side}_usd_{reach}": "usd" for side in ("long", "short") for reach in ("1pct", "2atr")}

    def memory(self, params):
        return risk_memory(params, self.with_feed)

    def new_state(self, params):
        return [np.zeros(0, BAR)]

    def step(self, state, params, row):
        return self.fold(state, params, row)

    def fold(self, state, params, rows):
        state[0] = np.concatenate([state[0], rows])
        bars = state[0].copy() if len(state[0]) else bars_of([FLAT])
        feed = None
        if self.with_feed:
            seen = ~np.isnan(bars["liq_long_usd"])
            feed = pd.DataFrame(
                {"time": bars["time"], "long_usd": bars["liq_long_usd"], "short_usd": bars["liq_short_usd"]}
            )
            feed = feed[seen] if seen.any() else feed.assign(long_usd=0.0, short_usd=0.0)
        reached = pd.DataFrame({"low": bars["close"] * 0.97, "high": bars["close"] * 1.03}).abs().replace(0.0, np.nan)
        reached = reached if self.asks else None
        frame = risk_columns(bars, feed, self.cell[2], reached, params, self.cell[0], self.cell[1])
        for name in ("source_long", "source_short"):
            frame[name] = frame[name].cat.codes.astype(np.int64)
        out = frame.to_records(index=False)
        last = np.array(out[len(out) - len(rows) :]).view(np.ndarray)
        state[0] = state[0][-2 * self.memory(params) :]
        return last

    def save(self, state, path):
        np.save(path.with_suffix(".npy"), state[0])

    def load(self, path, params):
        return [np.load(path.with_suffix(".npy"))]


def lawful_bars(length: int, seed: int) -> np.ndarray:
    bars = random_bars(length, seed, kinds=("up", "down", "rally", "crash", "missing_hours", "gap_up"), volume=5e5)
    feed = feed_of(bars, seed)
    at = np.searchsorted(feed["time"], bars["time"])
    for side in ("long", "short"):
        bars[f"liq_{side}_usd"] = feed[f"{side}_usd"].to_numpy()[at]
    bars["liq_long_usd"][length // 3 : length // 3 + 40] = np.nan
    return bars


@pytest.mark.parametrize("cell", [CELLS[0], CELLS[4]], ids=" ".join)
def test_the_columns_obey_the_laws(cell, tmp_path):
    subject, bars = Columns(False, cell), lawful_bars(SMALL.memory + 168 + 60, 21)
    check_fold_is_step(subject, SMALL, bars)
    check_prefix(subject, SMALL, bars)
    check_window(subject, SMALL, bars)
    check_split(subject, SMALL, bars, tmp_path)
    check_clock(subject, SMALL, bars)
    for price, volume in ((3.0, 1.0), (1e-5, 7.0)):  # but for what is expected, less 10,000 USD whatever the scale
        check_scale(Columns(False, cell, asks=False), SMALL, bars, UNITS["BAR"], price=price, volume=volume)


def test_the_columns_of_a_feed_obey_the_laws(tmp_path):
    subject, bars = Columns(True), lawful_bars(SMALL.memory + 168 + 720 + 60, 22)
    memory = subject.memory(SMALL)
    check_prefix(subject, SMALL, bars, cuts=(memory - 1, memory + 7, memory + 30))
    check_window(subject, SMALL, bars, at=range(memory - 1, len(bars), 9))
    check_split(subject, SMALL, bars, tmp_path, cuts=(5, memory + 11))
    check_clock(subject, SMALL, bars)
    stepped = subject.new_state(SMALL)
    subject.fold(stepped, SMALL, bars[:-5])
    steps = np.concatenate([subject.step(stepped, SMALL, bars[i : i + 1]) for i in range(len(bars) - 5, len(bars))])
    whole = subject.fold(subject.new_state(SMALL), SMALL, bars)
    assert steps.tobytes() == whole[-5:].tobytes()


def test_nothing_that_is_passed_in_is_changed():
    bars = lawful_bars(SMALL.memory + 168 + 720 + 5, 23)
    feed, reached = feed_of(bars), far(bars)
    given = [bars.copy(), feed.copy(), reached.copy()]
    risk_columns(bars, feed, reached=reached, params=SMALL)
    liquidation_at_risk(bars, feed, params=SMALL)
    assert bars.tobytes() == given[0].tobytes()
    pd.testing.assert_frame_equal(feed, given[1])
    pd.testing.assert_frame_equal(reached, given[2])


def test_memory():
    assert risk_memory() == Params().memory + 168
    assert risk_memory(SMALL) == SMALL.memory + 168
    assert risk_memory(SMALL, observed=feed_of(bars_of([FLAT] * 2))) == SMALL.memory + 168 + 720
