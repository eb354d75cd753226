"""Learning the mix: what was put into made-up liquidations comes out again."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from made_bars import small_params
from scipy.stats import spearmanr

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_integrations import sample_bars
from liquidator_integrations.evidence.leverage_mix import fit_mix, flows_by_leverage, observe, rank_correlation

MIX = {10.0: 0.5, 25.0: 0.0, 100.0: 0.3, 150.0: 0.2}
PARAMS = Params(leverages=tuple(MIX), leverage_weights=(0.25,) * 4)
SCALE = 0.03


def liquidated(rate: float = 0.004, rows: int = 3000, seed: int = 0) -> np.ndarray:
    """The sample with liquidations drawn around what MIX implies; unknown on every tenth row."""
    bars = sample_bars()[3000 : 3000 + rows]
    flows = flows_by_leverage(bars, dataclasses.replace(PARAMS, margin_rate=rate))
    expected = SCALE * flows @ np.array(list(MIX.values())) + 20_000
    rng = np.random.default_rng(seed)
    usd = expected * rng.gamma(20.0, 0.05, expected.shape)  # mean 1
    usd[:, ::10] = np.nan
    return observe(bars, bars["time"], usd)


def test_the_mix_that_was_put_in_comes_out():
    fit = fit_mix(liquidated(), PARAMS, resamples=40)
    weights = dict(zip(fit.params.leverages, fit.params.leverage_weights, strict=True))
    assert weights == pytest.approx(MIX, abs=0.05)
    assert sum(weights.values()) == pytest.approx(1.0, abs=1e-12)
    assert fit.scale == pytest.approx(SCALE, rel=0.1)
    assert fit.background == pytest.approx(20_000, rel=0.2)
    for low, weight, high in zip(fit.low, fit.params.leverage_weights, fit.high, strict=True):
        assert low <= weight + 1e-3
        assert weight <= high + 1e-3
        assert high - low < 0.2
    assert fit.rows == 2269  # nine in ten of 3000 less 479
    assert len(fit.spans) == 4
    for span in fit.spans:
        assert min(span.learned) > 0.6


def test_the_margin_rate_is_the_likeliest_in_the_whole_and_before_every_span():
    fit = fit_mix(liquidated(rate=0.006), PARAMS, (0.002, 0.004, 0.006), resamples=10)
    assert fit.params.margin_rate == 0.006
    assert min(fit.deviance, key=fit.deviance.__getitem__) == 0.006
    assert fit.chosen == {0.002: 0.0, 0.004: 0.0, 0.006: 1.0}
    assert [span.margin_rate for span in fit.spans] == [0.006] * 4


def test_a_rate_that_the_data_does_not_tell_is_chosen_in_some_resamples():
    """Two rates, a hair apart, on liquidations that follow from neither."""
    fit = fit_mix(liquidated(rate=0.005, rows=1500), PARAMS, (0.0048, 0.0052), spans=1, resamples=30)
    assert sum(fit.chosen.values()) == pytest.approx(1.0)
    assert 0.0 < fit.chosen[fit.params.margin_rate] < 1.0


def test_spans_tell_the_mix_that_they_were_predicted_from():
    """The first leverage was opened before the third span only: its share falls, span by span."""
    flows = flows_by_leverage(bars := sample_bars()[3000:6000], PARAMS)
    half = np.arange(len(bars)) < 1600
    usd = SCALE * np.where(half, flows @ np.array([0.8, 0.0, 0.1, 0.1]), flows @ np.array([0.0, 0.0, 0.5, 0.5]))
    fit = fit_mix(observe(bars, bars["time"], usd + 1000.0), PARAMS, resamples=1)
    first = [span.weights[0] for span in fit.spans]
    assert first[0] == pytest.approx(0.8, abs=0.02)
    assert first[0] > first[2] > first[3]
    for span in fit.spans:
        assert sum(span.weights) == pytest.approx(1.0)


def test_rolling_spans_forget():
    bars = liquidated(rows=2500)
    fits = [fit_mix(bars, PARAMS, spans=2, window=window, resamples=1) for window in (None, 500, 10**6)]
    assert fits[0] == fits[2]
    span = fits[1].spans[1]
    first = int(np.searchsorted(bars["time"], span.start)) - PARAMS.ledger_bars - 500
    for name in ("liq_long_usd", "liq_short_usd"):
        bars[name][:first][np.isfinite(bars[name][:first])] *= 100.0
    assert fit_mix(bars, PARAMS, spans=2, window=500, resamples=1).spans[1] == span
    assert fit_mix(bars, PARAMS, spans=2, resamples=1).spans[1] != fits[0].spans[1]
    with pytest.raises(ValueError, match=r"span 1 of 2, from .* from \d+ rows, those more than 191 rows before it"):
        fit_mix(bars, PARAMS, spans=2, window=40, resamples=1)


def test_a_leverage_that_price_never_reached_is_refused():
    """No flow is no evidence, least of all for a share of 0."""
    params = Params(leverages=(2, 10, 100), leverage_weights=(0.5, 0.25, 0.25))
    bars = liquidated()[1200:]
    with pytest.raises(ValueError, match=r"never reached a liquidation at 2x \(margin rate 0.40%\) on these \d+ rows"):
        fit_mix(bars, params)


def test_what_a_resample_or_a_span_never_reached_it_says_nothing_of():
    """2.5x is reached on two days of March 2020: its share may be anything where neither is drawn."""
    short = Params(
        ledger_bars=48, flow_bars=24, zone_bars=24, leverages=(2.5, 10, 100), leverage_weights=(0.2, 0.3, 0.5)
    )
    bars = sample_bars()[3000:4032]
    usd = SCALE * flows_by_leverage(bars, short) @ np.array([0.2, 0.3, 0.5]) + 1000.0
    fit = fit_mix(observe(bars, bars["time"], usd), short, spans=1, resamples=100)
    assert (fit.low[0], fit.high[0]) == (0.0, 1.0)
    assert fit.high[2] - fit.low[2] < 0.5
    np.testing.assert_equal(fit.spans[0].weights, (np.nan, np.nan, 1.0))  # nor was 10x, before the span


def test_leverages_differ():
    params = Params(leverages=(10, 10, 100), leverage_weights=(0.5, 0.25, 0.25))
    with pytest.raises(ValueError, match="leverages must differ"):
        fit_mix(liquidated(rows=1500), params)


@pytest.mark.slow
def test_how_often_intervals_hold_the_truth():
    """Less often than the 95 % they are made for, which the docstring of ``fit_mix`` says; prints how often."""
    runs, truth, held = 40, np.array(list(MIX.values())), np.zeros(len(MIX))
    flows = flows_by_leverage(bars := sample_bars()[3000:5000], PARAMS)
    for seed in range(runs):
        noise = np.random.default_rng(seed).exponential(size=flows.shape[:2])
        usd = (SCALE * flows @ truth + 20_000) * noise
        fit = fit_mix(observe(bars, bars["time"], usd), PARAMS, spans=1, resamples=100)
        held += (np.array(fit.low) - 1e-3 <= truth) & (truth <= np.array(fit.high))
    print(f"\nof {runs} times the intervals held " + ", ".join(f"{share:.0%}" for share in held / runs))
    assert (held / runs > 0.8).all()


def test_every_other_parameter_and_the_bars_stay_as_they_are():
    bars = liquidated(rows=1500)
    before = bars.copy()
    given = dataclasses.replace(PARAMS, zone_bars=100, event_mult=3.0)
    fit = fit_mix(bars, given, spans=2, resamples=1)
    assert dataclasses.replace(fit.params, leverage_weights=given.leverage_weights) == given
    assert bars.tobytes() == before.tobytes()
    assert fit == fit_mix(bars, given, spans=2, resamples=1)


@pytest.mark.parametrize(("changes", "reach"), [({}, 191), ({"use_cascades": True, "flow_bars": 250}, 250)])
def test_spans_learn_from_nothing_near_them(changes, reach):
    """The rows before a span from which its flow follows, and all behind it, may hold anything; what is earlier not."""
    bars = liquidated(rows=1800)
    params = dataclasses.replace(PARAMS, **changes)
    first = fit_mix(bars, params, spans=2, resamples=1).spans[0]
    start = int(np.searchsorted(bars["time"], first.start))
    for name in ("liq_long_usd", "liq_short_usd"):
        known = np.flatnonzero(np.isfinite(bars[name]))
        bars[name][known[(known >= start - reach) & (known < start)]] = 1e12
        bars[name][known[bars["time"][known] > first.stop]] = 1e12
        earlier = known[known < start - reach][-1]
    assert fit_mix(bars, params, spans=2, resamples=1).spans[0] == first
    bars["liq_long_usd"][earlier] = 1e12
    assert fit_mix(bars, params, spans=2, resamples=1).spans[0] != first


def test_the_flow_of_a_mix_is_the_sum_of_its_leverages():
    bars = sample_bars()[:1200]
    params = Params(leverages=(50, 5, 125), leverage_weights=(0.5, 0.2, 0.3))
    record, out = params.to_record(), new_signals(len(bars))
    fold(new_state(record), record, bars, out)
    mixed = flows_by_leverage(bars, params) @ np.array([0.2, 0.5, 0.3])
    np.testing.assert_allclose(mixed, [out["long_flow_usd"], out["short_flow_usd"]], rtol=1e-9)


def test_rank_correlation_is_that_of_scipy():
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 5, (2, 200)).astype(float)
    assert rank_correlation(left, right) == pytest.approx(spearmanr(left, right).statistic, abs=1e-12)
    assert np.isnan(rank_correlation(left, np.ones(200)))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda bars: bars[:700], "199 rows have both liq_long_usd and liq_short_usd after the first 479 rows"),
        (lambda bars: bars[:1100], "span 1 of 4, from 2020-02-28T14:00:00 UTC on, would be predicted from 0"),
        (lambda bars: nothing(bars, np.nan), "0 rows have both"),
        (lambda bars: nothing(bars, 0.0), "predicted from rows on which nothing was liquidated"),
        (
            lambda bars: late(bars),
            "from 2020-03-07T03:00:00 UTC on, would be predicted from rows on which nothing",
        ),
        (lambda bars: flat(bars), "price never reached a liquidation at 10x"),
        (lambda bars: elsewhere(bars), "what was observed rises with the forced flow of no leverage"),
    ],
)
def test_too_little_to_learn_from(change, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        fit_mix(change(liquidated(rows=2000)), PARAMS)


@pytest.mark.parametrize("name", ["margin_rates", "spans", "resamples"])
def test_nothing_to_do(name):
    with pytest.raises(ValueError, match=f"{name} must be at least 1"):
        fit_mix(liquidated(rows=1500), PARAMS, **{"spans": 2, name: () if name == "margin_rates" else 0})


@pytest.mark.parametrize(("name", "value"), [("high", np.nan), ("low", 1e9), ("liq_long_usd", -1e9)])
def test_rows_that_the_engine_cannot_use_teach_nothing(name, value):
    """A skipped row, or a flow that no feed means, among good ones: as if nothing was observed on it."""
    bars = liquidated(rows=1500)
    unknown = bars.copy()
    row = 1201
    bars[name][row] = value
    if name != "liq_long_usd":
        unknown[name][row] = value
    unknown["liq_long_usd"][row] = np.nan
    fit = fit_mix(bars, PARAMS, spans=2, resamples=2)
    assert fit.rows == 918
    assert fit == fit_mix(unknown, PARAMS, spans=2, resamples=2)


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_intervals_do_not_hang_on_the_unit_of_volume(factor):
    bars = liquidated(rows=1500)
    other = bars.copy()
    for name in ("volume", "liq_long_usd", "liq_short_usd"):
        other[name] *= factor
    fit, again = (fit_mix(rows, PARAMS, spans=2, resamples=10) for rows in (bars, other))
    np.testing.assert_allclose([again.low, again.high], [fit.low, fit.high], rtol=1e-6, atol=1e-9)
    assert again.scale == pytest.approx(fit.scale)
    assert again.background == pytest.approx(factor * fit.background)


def late(bars: np.ndarray) -> np.ndarray:
    """Liquidations on the last row only."""
    bars = nothing(bars, 0.0)
    bars["liq_long_usd"][-1] = 1.0
    return bars


def flat(bars: np.ndarray) -> np.ndarray:
    for name in ("open", "high", "low", "close"):
        bars[name] = 100.0
    return bars


def elsewhere(bars: np.ndarray) -> np.ndarray:
    """Liquidations where no leverage gives a flow."""
    silent = (np.nan_to_num(flows_by_leverage(bars, PARAMS)) == 0.0).all(axis=2)
    bars["liq_long_usd"], bars["liq_short_usd"] = silent
    return bars


def nothing(bars: np.ndarray, usd: float) -> np.ndarray:
    bars["liq_long_usd"] = bars["liq_short_usd"] = usd
    return bars


def test_liquidations_of_other_times_are_refused():
    bars = sample_bars()[:100]
    with pytest.raises(ValueError, match=r"no bar opens at any time of .*: bars from 2019-10-01T00:00:00 UTC to"):
        observe(bars, bars["time"] + 1, np.ones((2, 100)))
    part = observe(bars, bars["time"][5:7], np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert part["liq_long_usd"][4:8].tolist()[1:3] == [1.0, 2.0]
    assert np.isnan(part["liq_short_usd"]).sum() == 98


@pytest.mark.parametrize(
    ("time", "usd", "says"),
    [
        ([], np.ones((2, 0)), "no times"),
        ([0, 1], np.ones((2, 3)), "usd must have shape (2, 2), long and short at 2 times, got (2, 3)"),
        ([0, 0], np.ones((2, 2)), "a time twice"),
    ],
)
def test_observed_liquidations_are_one_pair_a_time(time, usd, says):
    bars = sample_bars()[:100]
    with pytest.raises(ValueError, match=re.escape(says)):
        observe(bars, bars["time"][0] + 3_600_000 * np.array(time, np.int64), usd)


def test_a_short_memory_will_do():
    fit = fit_mix(liquidated(rows=1500), small_params(), spans=1, resamples=1)
    assert fit.rows == 919
    assert fit.params.memory == 24
