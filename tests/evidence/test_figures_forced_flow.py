"""Forced flow follows real liquidations, on data that come with the project."""

from __future__ import annotations

import forced_flow
import pytest


@pytest.mark.parametrize("coin", forced_flow.COINS)
@pytest.mark.parametrize("side", forced_flow.SIDES)
def test_daily_sums_rank_liquidations_better_than_the_strongest_simple_rule(coin, side):
    table = forced_flow.days(coin)
    assert len(table) == 50
    found, low, high = forced_flow.correlation(table[f"{side} flow"], table[f"{side}_usd"], draws=200)
    rule, _, _ = forced_flow.correlation(table[f"{side} rule"], table[f"{side}_usd"], draws=2)
    assert found >= 0.84
    assert found > rule
    assert low < found < high


def test_the_data_are_small():
    files = [forced_flow.CANDLES, forced_flow.LIQUIDATED]
    assert sum(path.stat().st_size for path in files) < 3_000_000
