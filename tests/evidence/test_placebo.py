"""Placebo marks of many seeds: what ``placebo_marks`` gives for each, and what they share worked out once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
from made_bars import small_params

from liquidator_core.calls import average_true_ranges
from liquidator_integrations import sample_bars
from liquidator_integrations.evidence import placebo
from liquidator_integrations.evidence.placebo import MODES, Placebos
from liquidator_integrations.evidence.report import make_report
from liquidator_integrations.evidence.result import ClosedTrade, Result
from liquidator_integrations.frames import bars_with_marks, marks_frame, marks_params, placebo_marks

PARAMS = small_params()
BARS = sample_bars()[:1200]
TRADE = ClosedTrade(0, 1, 1.0, 1.0, 1.0, 0.0, 0.0, False)
RESULT = Result(1.0, 1.0, 0.0, [], np.zeros(0, np.int64), np.zeros(0), 0.0)


@pytest.mark.parametrize("mode", MODES)
def test_each_seed_gives_what_it_gives_alone(mode):
    before = BARS.tobytes()
    placebos = Placebos(BARS, PARAMS, mode=mode)
    assert placebos.params == marks_params(PARAMS)
    for seed in (3, 0, 3):
        alone = placebo_marks(BARS, PARAMS, seed, mode=mode)
        assert len(alone) > 10
        pd.testing.assert_frame_equal(placebos.marks(seed), alone, check_exact=True)
        assert placebos.marks(seed).attrs == alone.attrs
        assert placebos.bars_of(seed).tobytes() == bars_with_marks(BARS, alone).tobytes()
    assert BARS.tobytes() == before


def test_another_mode_of_the_same_history_is_that_mode():
    mirrored = Placebos(BARS, PARAMS, mode="mirrored")
    for mode in MODES:
        of_another = mirrored.of(mode).marks(3)
        pd.testing.assert_frame_equal(of_another, placebo_marks(BARS, PARAMS, 3, mode=mode), check_exact=True)
    pd.testing.assert_frame_equal(mirrored.marks(3), placebo_marks(BARS, PARAMS, 3, mode="mirrored"), check_exact=True)
    with pytest.raises(ValueError, match="mode must be one of"):
        mirrored.of("upside down")


@pytest.mark.parametrize("seeds", [1, 4])
def test_a_report_works_out_once_what_its_seeds_share(seeds, monkeypatch):
    calls = []

    def noting(name):
        genuine = getattr(placebo, name)

        def call(*given):
            calls.append(name)
            return genuine(*given)

        return call

    for name in ("checked_bars", "every_mark", "average_true_ranges"):
        monkeypatch.setattr(placebo, name, noting(name))
    runs = []

    def run(bars, params):
        runs.append((bars.tobytes(), params))
        return RESULT

    report = make_report(BARS, PARAMS, seeds, run=run)
    assert report.placebos == [RESULT] * seeds
    assert sorted(calls) == ["average_true_ranges", "checked_bars", "every_mark"]
    expected = [
        (bars_with_marks(BARS, placebo_marks(BARS, PARAMS, seed, mode="flipped")).tobytes(), marks_params(PARAMS))
        for seed in range(seeds)
    ]
    assert runs == [(BARS.tobytes(), PARAMS), *expected]


# --- the modes --------------------------------------------------------------------------------------------------------


def pairs(mode, seed=0, bars=BARS):
    """Each fake beside its mark, found by side and USD, which no two marks share."""
    fakes = placebo_marks(bars, PARAMS, seed, mode=mode)
    return fakes, fakes.merge(marks_frame(bars, PARAMS), on=["side", "usd"], suffixes=("", "_real"))


def test_mirrored_fakes_are_the_marks_on_the_other_side_of_the_close():
    fakes, both = pairs("mirrored")
    assert len(both) == len(fakes) == fakes.attrs["real"] > 50
    assert both["row"].equals(both["row_real"])
    close = BARS["close"][both["row"]]
    np.testing.assert_array_equal(both["price"], 2 * close - both["price_real"])
    pd.testing.assert_frame_equal(fakes, placebo_marks(BARS, PARAMS, seed=9))  # the default, and there is no seed


def test_flipped_marks_stay_or_are_mirrored_by_a_fair_coin():
    stays = []
    for seed in range(20):
        fakes, both = pairs("flipped", seed)
        assert len(both) == len(fakes) == fakes.attrs["real"]
        assert both["row"].equals(both["row_real"])
        same = both["price"] == both["price_real"]
        mirrored = both["price"] == 2 * BARS["close"][both["row"]] - both["price_real"]
        assert (same | mirrored).all()
        stays.append(same.mean())
    assert 0.45 < np.mean(stays) < 0.55
    assert len({*stays}) > 5


def test_transplanted_fakes_lie_48_hours_away_as_far_from_the_close_in_atr():
    fakes, both = pairs("transplanted", 4)
    assert len(both) == len(fakes) > 0.9 * fakes.attrs["real"]
    assert ((both["time"] - both["time_real"]).abs() >= pd.Timedelta(hours=48)).all()
    assert (both["row"] < both["row_real"]).any()
    assert (both["row"] > both["row_real"]).any()
    assert not fakes.duplicated(["row", "side"]).any()
    atr = average_true_ranges(BARS, PARAMS)[0]
    distance = (both["price"] - BARS["close"][both["row"]]) / atr[both["row"]]
    np.testing.assert_allclose(
        distance, (both["price_real"] - BARS["close"][both["row_real"]]) / both["atr"], rtol=1e-9
    )
    assert not placebo_marks(BARS, PARAMS, 5, mode="transplanted")["row"].equals(fakes["row"])
    born = marks_frame(bars_with_marks(BARS, fakes), marks_params(PARAMS))
    pd.testing.assert_frame_equal(born[[*fakes.columns]], fakes, check_exact=True)


@pytest.mark.parametrize("mode", MODES)
def test_every_mark_has_a_fake_or_a_reason(mode):
    for bars in (BARS, BARS[:60], BARS[:3]):
        fakes = placebo_marks(bars, PARAMS, mode=mode)
        assert fakes.attrs["real"] == len(fakes) + sum(fakes.attrs["dropped"].values())
        assert (fakes["price"] > 0).all()


def test_another_mode_is_refused():
    with pytest.raises(ValueError, match=r"mode must be one of 'mirrored', .* got 'flip': did you mean 'flipped'"):
        placebo_marks(BARS, PARAMS, mode="flip")


@pytest.mark.parametrize(
    ("returns", "rank"), [([0.1, 0.2], 3), ([0.1, -0.2], 2), ([-0.1, -0.2], 1), ([], 1), ([0.0], 2)]
)
def test_the_rank_is_that_of_the_return(returns, rank):
    results = iter(
        [dataclasses.replace(RESULT, final_value=1.0 + change, trades=[TRADE] * 30) for change in (0.0, *returns)]
    )
    report = make_report(BARS, PARAMS, len(returns), run=lambda bars, params: next(results))
    assert report.rank == rank
    assert report.to_dict()["backtest"]["rank"] == rank
