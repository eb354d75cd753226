"""Speed of the model of hold and break: ``pytest tests/bench --benchmark-only``."""

from __future__ import annotations

import time

import pytest

from liquidator_core import Params
from liquidator_integrations import hold_columns
from liquidator_integrations.evidence.simulator import simulate
from liquidator_integrations.model import train


@pytest.fixture(scope="module")
def bars():
    return simulate(150_000, 0.5, seed=1).bars


def test_training_and_prediction(benchmark, tell, bars):
    train(bars[:15_000], Params(), "1h")
    begun = time.perf_counter()
    model = train(bars, Params(), "1h")
    took = time.perf_counter() - begun
    benchmark.pedantic(hold_columns, (bars[:100_000], model), rounds=3)
    tell(f"hold and break: training on 150k bars {took:.1f} s (at most 60)")
    tell(f"  prediction for every bar of 100k {benchmark.stats.stats.median:.2f} s (at most 2)")
    assert took <= 60.0
    assert benchmark.stats.stats.median <= 2.0
