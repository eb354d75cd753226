"""Marks hold no more often than their mirror images."""

from __future__ import annotations

import cleared_ground
import pytest


@pytest.mark.slow
def test_the_sample_shows_no_difference_of_hold_rates(real_bars):
    real, fake, (difference, low, high), touches = cleared_ground.hold_rates(real_bars, draws=200)
    assert touches > 2000
    assert difference == pytest.approx(real - fake)
    assert low < 0.0 < high
    assert abs(difference) < 0.03
