"""Forced flow from candles alone ranks observed liquidations as well as was measured before."""

from __future__ import annotations

import pytest
import truth


@pytest.mark.slow
@pytest.mark.skipif(not truth.OBSERVED.exists(), reason="observed liquidations are not part of the project")
@pytest.mark.parametrize(("side", "least"), [("long", 0.83), ("short", 0.82)])
def test_forced_flow_ranks_observed_liquidations(side, least):
    score = truth.score(truth.hours(), side, resamples=200)
    assert score.hours > 2000
    assert score.correlation >= least
    assert score.low < score.correlation < score.high
    assert 0.2 < score.zero < 0.5
