"""Features of zones: the laws, the two rates, and what a few of them are, worked out by hand."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from made_bars import PARAMS, random_bars, small_params

from liquidator_core import BAR, Params, fold, new_signals, new_state, zones_of
from liquidator_integrations.evidence.laws import check_laws, check_prefix, check_window
from liquidator_integrations.model import features
from liquidator_integrations.model.features import FEATURE, NAMES, approaches_of, close_rate, near_edge_rate

ROW = np.dtype(
    [("features", FEATURE), *((name, "f8") for name in ("side", "low", "high", "touched", "geometric", "before"))]
)


class Features:
    """The feature function as a subject: a state keeps the bars that its rows depend on."""

    sources = (Path(features.__file__),)
    units: ClassVar[dict[str, str]] = {}

    def memory(self, params):
        return params.memory + 1

    def new_state(self, params):
        return [np.zeros(0, BAR)]

    def step(self, state, params, row):
        return self.fold(state, params, row)

    def fold(self, state, params, rows):
        bars = np.concatenate([state[0], rows])
        state[0] = bars[max(0, len(bars) - self.memory(params)) :]
        return self.rows(bars, params)[len(bars) - len(rows) :]

    def rows(self, bars, params):
        seen = approaches_of(bars, params)
        out = np.zeros(len(bars), ROW)
        out["features"] = seen.features.view(FEATURE)[:, 0]
        for name in ROW.names[1:]:
            out[name] = getattr(seen, name)
        return out

    def save(self, state, path):
        np.save(path.with_suffix(".npy"), state[0])

    def load(self, path, params):
        return [np.load(path.with_suffix(".npy"))]


class Leaking(Features):
    """With the move of the bar that is yet to come among the features."""

    def rows(self, bars, params):
        out = super().rows(bars, params)
        out["features"]["move"] = np.r_[np.diff(bars["close"]), 0.0]
        return out


@pytest.mark.parametrize("name", ["small", "wide zones", "every signal", "single rows", "inverse"])
def test_laws(name, tmp_path):
    params = PARAMS[name]
    bars = random_bars(140, 3, open_interest=True, tape=True)
    check_laws(Features(), params, bars, tmp_path)


def test_laws_on_real_bars(real_bars):
    at = range(520, 1100, 83)
    check_window(Features(), Params(), real_bars[:1100], at)
    check_prefix(Features(), Params(), real_bars[:1100])


def test_a_leaking_feature_breaks_the_prefix_law(real_bars):
    with pytest.raises(AssertionError, match="a later row changed"):
        check_prefix(Leaking(), Params(), real_bars[:1100])


def test_every_feature_is_a_finite_number_where_a_zone_is_spoken_of():
    bars = random_bars(2000, 1, calm=0.9, open_interest=True, tape=True)
    seen = approaches_of(bars, small_params())
    known = ~np.isnan(seen.features).any(axis=1)
    assert known.sum() > 500
    assert np.isfinite(seen.features[known]).all()
    assert (np.isnan(seen.features).all(axis=1) == ~known).all()  # all or nothing


def test_a_touch_has_the_features_of_the_close_before(real_bars):
    """As a fold that ends there sees its zones."""
    params, bars = Params(), real_bars[:1500]
    seen = approaches_of(bars, params)
    rows = [row for row in np.flatnonzero(seen.touched) if not np.isnan(seen.features[row]).any()]
    checked = 0
    for row in rows[:40]:
        record = params.to_record()
        state, out = new_state(record), new_signals(row)
        fold(state, record, bars[:row], out)
        zones = zones_of(state, record)
        zone = zones[(zones["low"] == seen.low[row]) & (zones["high"] == seen.high[row])]
        if len(zone) == 0:  # marks that expired made it another
            continue
        checked += 1
        zone, atr, close = zone[0], out["atr"][-1], bars["close"][row - 1]
        near = zone["high"] if seen.side[row] > 0 else zone["low"]
        found = dict(zip(NAMES, seen.features[row], strict=True))
        assert found["width"] == pytest.approx((zone["high"] - zone["low"]) / atr)
        assert found["quality"] == pytest.approx(zone["quality"] / 100)
        assert found["touches"] == zone["touches"]
        assert found["holds"] == zone["holds"]
        assert found["usd_share"] == pytest.approx(zone["usd"] / zones["usd"].sum())
        assert found["distance"] == pytest.approx(seen.side[row] * (close - near) / atr)
        low, high = bars["low"][row - 96 : row].min(), bars["high"][row - 96 : row].max()
        ground = (low - zone["low"]) if seen.side[row] > 0 else (zone["high"] - high)
        assert found["new_ground"] == pytest.approx(ground / atr)
        assert found["move"] == pytest.approx(-seen.side[row] * (close - bars["close"][row - 7]) / atr)
        mean = bars["volume"][row - 96 : row].mean()
        assert found["volume"] == pytest.approx(np.log(bars["volume"][row - 1] / mean))
        width = zone["high"] - zone["low"]
        assert seen.before[row] == pytest.approx((width + atr) / (width + 2 * atr))
    assert checked > 20


def test_the_rates_of_two_barriers():
    params = Params(break_atr=1.0, hold_atr=2.0)
    assert near_edge_rate(np.array([1.0]), 1.0, params).tolist() == [0.5]
    low, high, atr = np.array([10.0, 10.0, 10.0]), np.array([11.0, 11.0, 11.0]), np.ones(3)
    close = np.array([11.0, 13.5, 10.0])
    assert close_rate(close, low, high, np.ones(3), atr, params).tolist() == [0.5, 1.0, 0.25]
    assert close_rate(21.0 - close, low, high, -np.ones(3), atr, params).tolist() == [0.5, 1.0, 0.25]


def test_marks_of_others_are_told_flow_and_clear_ground_from_the_market(real_bars):
    """A market beside itself: the same flow, and no touch where no zone stands."""
    bars, params = real_bars[:1500], Params()
    alone, beside = approaches_of(bars, params), approaches_of(bars, params, (bars, params))
    assert np.array_equal(alone.features, beside.features, equal_nan=True)
    assert beside.clear[beside.touched].mean() < 0.02


def test_features_have_no_unit(real_bars):
    """Prices twice as high, a whole number of bins, and volumes seven times as large change nothing."""
    bars = real_bars[:1500].copy()
    plain = approaches_of(bars, Params())
    for name in ("open", "high", "low", "close"):
        bars[name] *= 2.0
    for name in ("volume", "taker_buy"):
        bars[name] *= 7.0
    other = approaches_of(bars, Params())
    np.testing.assert_allclose(other.features, plain.features, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.geometric, plain.geometric, rtol=1e-9)
    np.testing.assert_allclose(other.low, 2.0 * plain.low, rtol=1e-9)


def test_without_numba_the_bytes_are_the_same():
    code = (
        "import hashlib\nfrom made_bars import random_bars, small_params\n"
        "from liquidator_integrations.model.features import approaches_of\n"
        "seen = approaches_of(random_bars(150, 3), small_params())\n"
        "print(hashlib.sha256(seen.features.tobytes() + seen.touched.tobytes()).hexdigest())"
    )
    seen = approaches_of(random_bars(150, 3), small_params())
    assert np.isfinite(seen.features).any()
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.strip() == hashlib.sha256(seen.features.tobytes() + seen.touched.tobytes()).hexdigest()
