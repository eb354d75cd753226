"""The next touch of standing zones: as a fold to each close sees them, and counted once."""

from __future__ import annotations

import numpy as np
import planted_model
import pytest

from liquidator_core import Params
from liquidator_core.bars import good_rows
from liquidator_core.marks import BROKE, HELD
from liquidator_core.outcomes import fade_trials
from liquidator_integrations.evidence.outcomes import outcome_column
from liquidator_integrations.model.columns import hold_columns
from liquidator_integrations.model.features import approaches_of, zone_features
from liquidator_integrations.model.standing import EVERY, standing_touches
from liquidator_integrations.model.touches import touches_of
from liquidator_integrations.model.training import DISTANCES

HOUR = 3_600_000


def test_rows_are_those_of_a_fold_to_each_close(real_bars):
    params, first = Params(), 900
    bars = real_bars[:1100]
    signals = approaches_of(bars, params).signals
    found, ends = fade_trials(bars, good_rows(bars), signals, params)
    faded = {}
    for row in np.flatnonzero(signals["fade"]).tolist():
        if row > first:
            zones = zone_features(bars[:row], params)[1]
            meant = (zones["low"] == signals["fade_low"][row]) & (zones["high"] == signals["fade_high"][row])
            faded[row] = zones["zone_id"][meant].tolist()
    naive, missing = [], 0
    for row in range(first, len(bars), EVERY):
        features, zones, _ = zone_features(bars[: row + 1], params)
        for zone, known in zip(zones, features, strict=True):
            touch = next((later for later, ids in faded.items() if later > row and zone["zone_id"] in ids), None)
            missing += touch is None
            if touch is not None and found[touch] in (HELD, BROKE):
                naive.append((row, touch, int(zone["zone_id"]), known))
    some = standing_touches(bars, params, HOUR, int(bars["time"][first]) + HOUR)
    assert len(some) == len(naive) > 50
    assert some.left_out["no next touch"] == missing
    rows, touches, ids, features = zip(*naive, strict=True)
    np.testing.assert_array_equal(some.begin, bars["time"][list(rows)] + HOUR)
    np.testing.assert_array_equal(some.end, bars["time"][ends[list(touches)]] + HOUR)
    np.testing.assert_array_equal(some.held, outcome_column(bars, params)[list(touches)])
    np.testing.assert_array_equal(some.features, np.array(features))
    spoken = list(zip(touches, ids, strict=True))
    np.testing.assert_allclose(some.weight, [1.0 / spoken.count(one) for one in spoken])
    assert some.weight.sum() == pytest.approx(len(set(spoken)))


def test_training_tells_what_standing_zones_are_told_is_worth():
    told = planted_model.trained().metrics
    assert told["next_skill_low"] < told["next_skill"] < told["next_skill_high"]
    assert told["next_slope_low"] < told["next_slope"] < told["next_slope_high"]
    assert told["next_rival"] in told["rivals"]
    assert set(told["next_by_distance"]) <= set(DISTANCES)
    touches = sum(some["touches"] for some in told["next_by_distance"].values())
    assert told["next_touches"] == pytest.approx(touches, abs=0.51)


def test_columns_say_of_touches_what_training_measures():
    model, bars = planted_model.used(), planted_model.LATER
    touches = touches_of(bars, Params(), HOUR)
    rows = np.searchsorted(bars["time"], touches.begin)
    said = model.probability(touches.features, touches.geometric, np.ones(len(touches), np.bool_))
    np.testing.assert_array_equal(hold_columns(bars, model)["hold_probability"].to_numpy()[rows], said)
