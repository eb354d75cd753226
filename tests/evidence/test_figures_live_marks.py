"""Default Params leave 5 to 15 live marks on five-minute and hourly BTC."""

from __future__ import annotations

import live_marks
import numpy as np
import pytest


def test_hours_of_the_sample(real_bars):
    marks = live_marks.counts(real_bars)[:, 0]
    assert marks.mean() == pytest.approx(9.5, abs=0.05)
    assert np.percentile(marks, [10, 90]).tolist() == [5, 15]


@pytest.mark.skipif(not live_marks.FIVE_MINUTES.exists(), reason="five-minute candles are not part of the project")
def test_five_minutes():
    marks = live_marks.counts(live_marks.read(live_marks.FIVE_MINUTES))[:, 0]
    assert 5 <= marks.mean() <= 15
    assert 5 <= np.percentile(marks, 10) < np.percentile(marks, 90) <= 15


def test_a_short_series_has_no_counts(real_bars):
    assert live_marks.counts(real_bars[:100]).shape == (0, 2)
