"""The corpus of strategies and indicators, run by the genuine freqtrade and backtrader."""

from __future__ import annotations

import pytest
from audited_corpus import audited, cases, fault_of

OTHERS = cases("strategies", "backtrader_indicators")
QUICK = ("MergedAsItOpens", "WritesBackwards")


@pytest.mark.parametrize("name", QUICK)
def test_a_strategy_or_an_indicator(name):
    assert fault_of(OTHERS[name], audited(OTHERS[name], 400, cuts=6)) == ""


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OTHERS if name not in QUICK])
def test_strategies_and_indicators(name):
    assert fault_of(OTHERS[name], audited(OTHERS[name], 720, cuts=20)) == ""
