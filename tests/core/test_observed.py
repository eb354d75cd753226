"""Observed flow: it stands beside the estimate, or takes its place at its scale; it never changes the scale of flow."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_bars import START, bars_with_feed, small_params
from test_laws import ENGINE

from liquidator_core import Params, fold, new_signals, new_state, zones_of
from liquidator_core.layout import UNITS
from liquidator_core.observed import DAY_MS, LEAST_DAYS, observed_ratio
from liquidator_core.zones import marks_of
from liquidator_integrations.evidence.laws import (
    check_fold_is_step,
    check_prefix,
    check_scale,
    check_split,
    check_window,
)

SIDES = ("long", "short")
FLOW = Params(observed="flow")


def folded(bars: np.ndarray, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(signals, state)."""
    record = params.to_record()
    state, out = new_state(record), new_signals(len(bars))
    fold(state, record, bars, out)
    return out, state


def covered(bars: np.ndarray, scale: float, seed: int = 0) -> np.ndarray:
    """The same bars with a feed that sees about ``scale`` of what is estimated, and nothing of what is not."""
    estimate = folded(bars, Params(zone_bars=1))[0]  # warm soonest
    seen = bars.copy()
    noise = np.random.default_rng(seed).lognormal(0.0, 0.5, (2, len(bars)))
    for side, times in zip(SIDES, noise, strict=True):
        seen[f"liq_{side}_usd"] = scale * times * estimate[f"{side}_flow_usd"]
    return seen


def births(bars: np.ndarray, params: Params, first: int, end: int) -> list[tuple[int, int]]:
    """(row, side) of the marks born from one row to before another."""
    marks = marks_of(folded(bars[:end], params)[1], params.to_record())
    marks = marks[(marks["birth_row"] >= first) & (marks["usd"] > 0.0)]
    return list(zip(marks["birth_row"].tolist(), marks["side"].tolist(), strict=True))


@pytest.fixture(scope="module")
def hours(real_bars):
    return real_bars[2000:4500]


@pytest.mark.parametrize("params", [Params(), FLOW], ids=lambda params: params.observed)
def test_some_liquidations_of_one_coin_leave_the_zones_as_they_are(hours, params):
    """67 of one BTC within two days are no scale of anything."""
    some = hours.copy()
    rows = np.random.default_rng(1).choice(np.arange(len(hours) - 48, len(hours)), 67)
    for side, mine in zip(SIDES, (rows[:40], rows[40:]), strict=True):
        some[f"liq_{side}_usd"][len(hours) - 48 :] = 0.0
        np.add.at(some[f"liq_{side}_usd"], mine, hours["close"][mine])
    plain, plain_state = folded(hours, params)
    out, state = folded(some, params)
    assert out.tobytes() == plain.tobytes()
    zones = zones_of(state, params)
    assert len(zones) > 3
    assert zones.tobytes() == zones_of(plain_state, params).tobytes()


def test_an_outage_of_two_days_makes_no_marks_of_nothing(hours):
    """Unscaled, the estimate is an event wherever it stands in for the feed; at the feed's scale it is what it was."""
    bars = covered(hours, 0.03)
    unscaled = Params(observed="unscaled", observed_bars=0)
    extra = {FLOW: 0, unscaled: 0}
    for first in range(1500, 2400, 100):
        broken = bars.copy()
        for side in SIDES:
            broken[f"liq_{side}_usd"][first : first + 48] = np.nan
        usual = births(hours, Params(), first, first + 48)
        for params in extra:
            extra[params] += len(set(births(broken, params, first, first + 48)) - set(usual))
    assert extra[unscaled] > 40
    assert extra[FLOW] < 5  # of nine outages: what it is compared with is not the same to the dollar


def test_the_scale_is_that_of_the_feed(hours):
    """What is observed adds up to what was estimated, whatever part of it the feed sees."""
    plain = folded(hours, Params())[0]
    twice = [folded(covered(hours, scale), FLOW)[0] for scale in (0.03, 0.0003)]
    for name in ("long_flow_usd", "short_flow_usd"):
        warm = ~np.isnan(twice[0][name])
        assert warm.sum() == len(hours) - FLOW.memory + 1
        ratio = np.nansum(twice[0][name][warm]) / np.nansum(plain[name][warm])
        assert 0.7 < ratio < 1.4
        np.testing.assert_allclose(twice[0][name], twice[1][name], rtol=1e-9)


@pytest.mark.parametrize("observed_bars", [60, 130, 300])
def test_laws(observed_bars, tmp_path):
    params = small_params(observed="flow", observed_bars=observed_bars)
    bars, record = bars_with_feed(params.memory + 150, seed=3), params.to_record()
    out = ENGINE.fold(new_state(record), record, bars)
    plain = ENGINE.fold(new_state(small_params()), small_params().to_record(), bars)
    assert (out["long_flow_usd"] != plain["long_flow_usd"])[params.memory :].sum() > 40
    check_window(ENGINE, record, bars)
    check_fold_is_step(ENGINE, record, bars)
    check_prefix(ENGINE, record, bars)
    check_split(ENGINE, record, bars, tmp_path)
    check_scale(ENGINE, record, bars, UNITS["BAR"], price=2.0**-9)
    check_scale(ENGINE, record, bars, UNITS["BAR"], volume=2.0**7)


def test_the_ratio_by_hand():
    """Ten days of four bars: the last seven to nine of them, of which each saw 1 USD where 100 were estimated."""
    params = Params(observed="flow", observed_bars=40)
    state = new_state(params)
    s, p = (record[0] for record in map(np.asarray, (state.view(np.recarray), params.to_record().view(np.recarray))))
    day = START // DAY_MS
    for back in range(1, LEAST_DAYS + 1):
        assert math.isnan(observed_ratio(s, p, 0, day, 40))
        at = (day - back) & 31
        s.day[at], s.day_row[at] = day - back, 40 - 4 * back
        s.day_observed[0, at], s.day_estimated[0, at] = 1.0, 100.0
    assert observed_ratio(s, p, 0, day, 40) == 0.01
    assert math.isnan(observed_ratio(s, p, 1, day, 40))
    assert math.isnan(observed_ratio(s, p, 0, day, 53))  # the oldest begins 41 rows back
    assert observed_ratio(s, p, 0, day, 52) == 0.01
    assert observed_ratio(s, p, 0, day + 23, 40) == 0.01
    assert math.isnan(observed_ratio(s, p, 0, day + 24, 40))  # 31 days back


@pytest.mark.parametrize("observed", ["flows", "Flow", None, True])
def test_what_observed_may_be(observed):
    with pytest.raises(ValueError, match="observed must be one of beside, flow, unscaled"):
        Params(observed=observed)
