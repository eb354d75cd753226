"""On markets where something is planted the model is used and calibrated; where it ended, or is no zone's, it abstains.

Twelve seeds of ``tests/figures/planted.py``, which does 200.
"""

from __future__ import annotations

import planted
import pytest

SEEDS = range(12)


@pytest.mark.slow
@pytest.mark.parametrize("case", ["every zone", "one side"])
def test_what_is_planted_is_found(case):
    runs = [planted.run(case, seed) for seed in SEEDS]
    assert sum(one.told["skill_low"] > 0.0 for one in runs) >= 11
    assert all(one.told["abstains"] != (one.told["skill_low"] > 0.0) for one in runs)
    slope, intercept = planted.pooled_slope(runs)
    assert 0.9 < slope < 1.1
    assert abs(intercept) < 0.15
    assert sum(planted.is_calibrated(one.later) for one in runs) >= 9  # of 200 seeds nine in ten
    assert sum(one.told["next_skill_low"] > 0.0 for one in runs) >= 8


@pytest.mark.slow
@pytest.mark.parametrize("case", ["nothing", "first half only", "mirrored bands only"])
def test_where_nothing_is_to_be_found_it_abstains(case):
    assert sum(not planted.run(case, seed).told["abstains"] for seed in SEEDS) <= 1
