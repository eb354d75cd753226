"""Quality is prominence: zones of a higher one hold no more often, and no more flow follows."""

from __future__ import annotations

import numpy as np
import pytest
import quality


def test_quality_does_not_say_what_holds(real_bars):
    found = quality.fades(real_bars)
    assert len(found.day) > 1000
    for values in (found.held, found.flow):
        middle, low, high = quality.correlation(found, values, draws=60)
        assert low < middle < high
        assert low < 0.0


def test_what_depends_on_quality_is_found(real_bars):
    found = quality.fades(real_bars)
    planted = (found.quality + np.random.default_rng(0).normal(0.0, 20.0, len(found.quality)) > 45.0).astype(float)
    assert quality.correlation(found, planted, draws=60)[1] > 0.2
    low, middle, high = quality.thirds(found, planted, "mean")
    assert low < middle < high


@pytest.mark.slow
@pytest.mark.skipif(not quality.COINS.exists(), reason="candles of these markets are not part of the project")
def test_on_no_market_do_zones_of_higher_quality_hold_more_often():
    markets = [(name, quality.fades(bars)) for name, bars in quality.series()]
    assert len(markets) >= 4
    for name, found in markets:
        low = quality.correlation(found, found.held)[1]
        assert low < 0.0, name
        first, _, last = quality.thirds(found, found.held, "mean")
        assert last < first, name
