"""The four words, from times and prices alone."""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import pytest

from liquidator_integrations.live.health import Health

S = 1000


def fed(seconds: float, every: float = 1.0, lag: int = 50, price: float = 100.0, start: int = 0) -> Health:
    health = Health(start)
    for step in range(1, int(seconds / every) + 1):
        now = start + int(step * every * S)
        health.heard(now, now - lag, price)
    return health


def test_it_is_live_while_messages_come():
    health = fed(120)
    assert health.state(120 * S) == "LIVE"
    assert health.state(149 * S) == "LIVE"
    assert health.state(150 * S) == "STALE"


def test_it_is_stale_from_the_start_on_without_a_message():
    health = Health(0)
    assert health.state(29 * S) == "LIVE"
    assert health.state(30 * S) == "STALE"


def test_a_quiet_market_is_given_twenty_of_its_intervals():
    health = fed(600, every=10.0)
    assert health.state(799 * S) == "LIVE"
    assert health.state(800 * S) == "STALE"


def test_it_is_partial_for_an_hour_after_a_gap():
    health = fed(7200)
    health.lost(7200 * S - 3599 * S)
    assert health.state(7200 * S) == "PARTIAL"
    assert health.state(7201 * S) == "LIVE"


@pytest.mark.parametrize(("lag", "state"), [(1900, "LIVE"), (2100, "DRIFT"), (-1900, "LIVE"), (-2100, "DRIFT")])
def test_it_drifts_when_the_clocks_are_apart(lag, state):
    assert fed(61, lag=lag).state(61 * S) == state


def test_one_late_burst_is_no_drift():
    health = fed(60)
    for step in range(5):
        health.heard(60 * S + 200 * step, 50 * S, 100.0)
    assert health.state(61 * S) == "LIVE"


@pytest.mark.parametrize(("price", "state"), [(100.4, "LIVE"), (100.6, "DRIFT")])
def test_it_drifts_when_its_price_is_elsewhere(price, state):
    health = fed(120, price=price)
    for now in range(90, 121):
        health.compare(now * S, [99.0, 100.0, 103.0])
    assert health.state(119 * S) == "LIVE"
    assert health.state(120 * S) == state
    health.compare(120 * S, [])
    assert health.state(120 * S) == "LIVE"


def test_stale_goes_before_drift_before_partial():
    health = fed(120, lag=5000)
    health.lost(120 * S)
    assert health.state(120 * S) == "DRIFT"
    assert health.state(150 * S) == "STALE"
    clear = fed(120)
    clear.lost(120 * S)
    assert clear.state(120 * S) == "PARTIAL"


def test_it_may_be_asked_for_while_it_is_told(monkeypatch):
    """As a thread that is told in the midst of a median would have it."""
    health = fed(60, lag=5000)

    def median(values: Iterable[int]) -> float:
        each = iter(values)
        first = next(each)
        health.heard(60 * S, 55 * S, 100.0)
        return real([first, *each])

    real = statistics.median
    monkeypatch.setattr(statistics, "median", median)
    before = list(health._lags)
    assert health.state(62 * S) == "DRIFT"
    assert list(health._lags)[: len(before)] == before
