"""Weights, purging, calibration, skill, and what training says of data that it cannot learn from."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import purgedcv
import pytest
from sklearn.linear_model import LogisticRegression

from liquidator_core import Params
from liquidator_integrations.evidence.outcomes import outcome_column
from liquidator_integrations.model import training
from liquidator_integrations.model.features import NAMES
from liquidator_integrations.model.scores import calibration, day_draws, log_odds, logistic, skill_interval
from liquidator_integrations.model.touches import EMBARGO_SHARE, Bands, Touches, bands_of, pooled, uniqueness

HOUR = 3_600_000


def made_touches(count: int, seed: int, rate: float = 0.65, lasts: int = 5, **features) -> Touches:
    """Touches an hour apart whose features are noise."""
    rng = np.random.default_rng(seed)
    begin = HOUR * np.arange(count)
    values = rng.standard_normal((count, len(NAMES)))
    for name, column in features.items():
        values[:, NAMES.index(name)] = column
    held = (rng.random(count) < rate).astype(float)
    given = rng.uniform(0.5, 0.8, count)
    return Touches(begin, begin + lasts * HOUR, held, values, given, given, np.ones(count), {})


def bands(real: Touches) -> Bands:
    return Bands(real, made_touches(len(real), 101), made_touches(len(real), 102))


def test_weights_are_one_over_how_many_run_at_once():
    rng = np.random.default_rng(5)
    first = np.sort(rng.integers(0, 300, 200))
    last = first + rng.integers(0, 25, 200)
    running = np.array([((first <= row) & (row <= last)).sum() for row in range(last.max() + 1)])
    naive = [(1.0 / running[one : end + 1]).mean() for one, end in zip(first, last, strict=True)]
    np.testing.assert_allclose(uniqueness(first, last), naive, rtol=1e-12)
    three_at_once = uniqueness(np.array([4, 4, 4, 90]), np.array([9, 9, 9, 95]))
    np.testing.assert_allclose(three_at_once, [1 / 3, 1 / 3, 1 / 3, 1.0])
    assert len(uniqueness(first[:0], last[:0])) == 0


def test_slices_are_purged_as_purgedcv_purges():
    """Its padding of a test horizon is our embargo; its own embargo is of rows after a test slice: there are none."""
    rng = np.random.default_rng(2)
    real = made_touches(900, 2)
    real = replace(real, end=real.begin + HOUR * rng.integers(1, 60, len(real)))
    begin, end = (pd.Series(pd.to_datetime(time, unit="ms")) for time in (real.begin, real.end))
    embargo = pd.Timedelta(int(EMBARGO_SHARE * (real.end.max() - real.begin[0])), "ms")
    ours = training._slices(bands(real))[0]
    for part, rows, tested in (("train", (0, 540), (540, 720)), ("calibrate", (540, 720), (720, 900))):
        kept = purgedcv.purge(np.arange(*rows), np.arange(*tested), begin, end, embargo)
        np.testing.assert_array_equal(getattr(ours, part).begin, real.begin[kept])
        assert 20 < rows[1] - rows[0] - len(kept) < 60
    np.testing.assert_array_equal(ours.last.begin, real.begin[720:])


def test_no_outcome_of_a_slice_reaches_into_the_next_one():
    real = made_touches(1000, 1, lasts=40)
    for slices in training._slices(bands(real)):
        embargo = 0.01 * (real.end.max() - real.begin[0])
        assert slices.train.end.max() + embargo <= slices.calibrate.begin[0]
        assert slices.calibrate.end.max() + embargo <= slices.last.begin[0]


def test_a_leaking_feature_is_caught_by_purging(monkeypatch):
    """It tells the outcome of every touch that is undecided when the next slice begins, and is noise otherwise."""
    real = made_touches(1500, 4, lasts=200)
    leaks = real.end > real.begin[900]
    real.features[leaks, NAMES.index("taker")] = 9.0 * (real.held[leaks] - 0.5)

    def told_by() -> float:
        trees = training._Fit(training._slices(bands(real))[0]).trees
        return float(trees.feature_importance("gain")[NAMES.index("taker")] / trees.feature_importance("gain").sum())

    assert told_by() < 0.2
    monkeypatch.setattr(training, "purged", lambda touches, until, embargo_ms: touches)
    assert told_by() > 0.6


def test_outcomes_are_those_of_outcome_column(real_bars):
    bars = real_bars[:3000]
    real = bands_of(bars, Params(), HOUR).real
    outcomes = outcome_column(bars, Params())
    rows = np.searchsorted(bars["time"], real.begin)
    np.testing.assert_array_equal(real.held, outcomes[rows])
    assert len(real) + real.left_out["without features"] == np.isfinite(outcomes).sum()
    assert real.left_out["unresolved"] > 0
    assert (real.end > real.begin).all()


def test_logistic_is_that_of_scikit_learn():
    rng = np.random.default_rng(0)
    columns = np.column_stack([np.ones(500), rng.standard_normal((500, 2))])
    held = (rng.random(500) < 1 / (1 + np.exp(-columns @ [0.5, 1.0, -0.3]))).astype(float)
    weight = rng.uniform(0.2, 1.0, 500)
    theirs = LogisticRegression(C=1e9, tol=1e-10, fit_intercept=False).fit(columns, held, weight)
    np.testing.assert_allclose(logistic(columns, held, weight, 1e-9), theirs.coef_[0], atol=1e-5)
    pulled = logistic(columns, held, weight, 1e9, np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(pulled, [1.0, 2.0, 3.0], atol=1e-5)


def test_an_interval_of_calibration_knows_what_learning_cost():
    """Both true values lie in it about as often as 95 % twice has it; far less often where learning is for granted."""
    inside = np.zeros(2)
    for seed in range(30):
        rng = np.random.default_rng(seed)
        columns = np.column_stack([np.ones(1000), rng.standard_normal(1000)])
        held = (rng.random(1000) < 1 / (1 + np.exp(-columns @ [0.8, 1.0]))).astype(float)
        time = HOUR * 6 * np.arange(1000)
        then, now = slice(0, 400), slice(400, 1000)
        learn = partial(logistic, columns[then], held[then])
        for place, one in enumerate((learn, partial(granted, learn(np.ones(400))))):
            told = calibration(one, time[then], columns[now], held[now], time[now], resamples=60)
            slope_is_in = told["slope_low"] <= 1.0 <= told["slope_high"]
            inside[place] += slope_is_in and told["intercept_low"] <= 0.0 <= told["intercept_high"]
    assert 26 <= inside[0] <= 30
    assert inside[1] <= 22


def granted(found: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A calibration that depends on nothing that it learned from."""
    return found


def test_skill_interval_is_of_days():
    time = np.repeat(HOUR * 24 * np.arange(40), 10)
    loss = np.random.default_rng(1).uniform(0.1, 0.3, 400)
    skill, low, high = skill_interval(loss, loss + 0.05, time, 0.95)
    assert low < skill < high
    one_day_each = skill_interval(loss, loss + 0.05, HOUR * 24 * np.arange(400), 0.95)
    assert one_day_each[0] == skill
    wide = skill_interval(loss, loss + 0.05, time, 0.999)
    assert wide[1] < low < high < wide[2]
    assert np.isnan(skill_interval(loss, loss, np.zeros(400, np.int64), 0.95)[1])
    day, draws = day_draws(time, resamples=7)
    assert draws.shape == (7, 40)
    assert (draws.sum(axis=1) == 40).all()
    assert day.max() == 39


def test_every_attempt_widens_the_interval():
    given = bands(made_touches(1200, 7))
    one, five = (training.train_on(given, Params(), "1h", attempts).metrics for attempts in (1, 5))
    assert (one["attempts"], five["attempts"]) == (1, 5)
    assert (one["level"], five["level"]) == (0.95, 0.99)
    assert five["skill_low"] < one["skill_low"] < one["skill_high"] < five["skill_high"]
    assert one["abstains"] is five["abstains"] is True
    assert "not above zero" in one["reason"]


def test_pooled_coins_are_in_order_of_time():
    one, other = made_touches(30, 1), made_touches(20, 2)
    both = pooled([one, other])
    assert len(both) == 50
    assert (np.diff(both.begin) >= 0).all()
    assert sorted(both.held) == sorted([*one.held, *other.held])


def test_of_nothing_it_makes_a_clear_error(real_bars):
    with pytest.raises(
        ValueError, match=r"found \d+ touches that held or broke in 1,200 bars, needs at least 400: some"
    ):
        training.train(real_bars[:1200], Params(), "1h")
    with pytest.raises(ValueError, match="training: found no bars, needs 400 touches"):
        training.train(real_bars[:0], Params(), "1h")
    real = made_touches(1000, 1)
    with pytest.raises(ValueError, match=r"all of \d+ touches of zones in the slice to train held: it takes both"):
        training.train_on(bands(replace(real, held=np.ones(1000))), Params(), "1h")
    real.features[17, 3] = np.nan
    with pytest.raises(ValueError, match="features: row 17, holds: found nan, allowed a finite number"):
        training.train_on(bands(real), Params(), "1h")
    few = Bands(made_touches(1000, 1), made_touches(15, 1), made_touches(1000, 2))
    with pytest.raises(
        ValueError, match="touches of bands mirrored in the slice to train, needs at least 20: give more"
    ):
        training.train_on(few, Params(), "1h")


def test_without_lightgbm_it_says_what_to_install(monkeypatch, real_bars):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    with pytest.raises(ImportError, match=r'pip install "liquidator-core\[ml\]"'):
        training.train(real_bars, Params(), "1h")


def test_log_odds_are_bounded():
    assert np.isfinite(log_odds(np.array([0.0, 1.0]))).all()


def test_every_figure_is_named_where_it_is_not_known():
    real = made_touches(1000, 3)
    without, measured = (
        training.train_on(bands(real), Params(), "1h", standing=standing).metrics for standing in (None, real)
    )
    assert measured["next_touches"] > 0
    assert without.keys() == measured.keys() == training.untrained_metrics("no").keys()
    assert (without["next_touches"], without["next_rival"], without["next_by_distance"]) == (0, "", {})
    assert np.isnan(without["next_slope"])
