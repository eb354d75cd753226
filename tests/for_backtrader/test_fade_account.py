"""The account of a fade against backtrader's broker: the same results to the last digit."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys

import hypothesis
import numpy as np
import pytest
from backtrader_runs import PARAMS, holey, kit, series
from hypothesis import strategies as st

from liquidator_core import Params
from liquidator_integrations.evidence.account import fade_account
from liquidator_integrations.evidence.placebo import Placebos
from liquidator_strategies.for_backtrader import for_module, run_fade

FEW = dataclasses.replace(PARAMS, ledger_bars=12, flow_bars=6, zone_bars=15)


def gappy(length, seed, move, jump=5.0):
    """A series of which one open in ten lies far from the close before."""
    rng = np.random.default_rng((3, seed))
    bars = series(length, seed, move=move)
    jumps = np.where(rng.random(length) < 0.1, jump * move * rng.normal(size=length), 0.0)
    for name in ("open", "high", "low", "close"):
        bars[name] *= np.exp(np.cumsum(jumps))
    return bars


def check(bars, params=PARAMS, run=run_fade, **given):
    real, ours = run(bars, params, **given), fade_account(bars, params, **given)
    assert ours.trades == real.trades
    for name in ("equity", "equity_ms"):
        assert getattr(ours, name).tobytes() == getattr(real, name).tobytes()
    for name in ("cash", "final_value", "max_drawdown", "buy_and_hold"):
        assert getattr(ours, name) == getattr(real, name)
    return real


SETTINGS = {
    "defaults": {},
    "long only": {"allow_short": False},
    "at the next open": {"entry_bars": 0},
    "an order of one bar": {"entry_bars": 1},
    "a patient order": {"entry_bars": 12},
    "stops at the edge": {"stop_atr": 0.0},
    "stops beyond 0": {"stop_atr": 60.0},
    "large risk": {"risk_share": 0.5, "max_leverage": 2.0},
    "no commission": {"commission": 0.0},
    "a large commission": {"commission": 0.01, "max_leverage": 9.5, "risk_share": 0.02},
    "little cash": {"cash": 1e-3},
}


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("make", [series, gappy])
def test_results_are_those_of_backtraders_broker(make, settings):
    result = check(make(600, 7, move=0.03), **SETTINGS[settings])
    assert len(result.trades) >= 15
    assert {trade.stopped for trade in result.trades} == ({False} if settings == "stops beyond 0" else {True, False})


@pytest.mark.parametrize(
    "given",
    [
        {"max_leverage": 30.0},  # when they are placed
        {"max_leverage": 9.9, "entry_bars": 0, "allow_short": False},  # at a fill above the close
    ],
)
def test_orders_that_are_rejected_for_want_of_cash_are_rejected_here_too(given, caplog):
    result = check(gappy(600, 7, 0.001, jump=50.0), risk_share=3.0, **given)
    assert result.trades
    assert "cash is short" in caplog.text


def test_an_account_below_zero_trades_no_more():
    result = check(series(600, 9, move=0.2), risk_share=3.0, max_leverage=30.0)
    assert result.final_value < 0.0
    assert len(result.trades) == 1


@pytest.mark.parametrize("end", range(80, 140, 3))
def test_a_position_that_is_open_at_the_last_bar_is_valued_there(end):
    check(series(140, 7, move=0.03)[:end], FEW)


@hypothesis.settings(max_examples=15)
@hypothesis.given(
    seed=st.integers(0, 10_000),
    move=st.sampled_from([1e-4, 0.01, 0.05, 0.2]),
    length=st.integers(40, 160),
    given=st.fixed_dictionaries(
        {},
        optional={
            "entry_bars": st.integers(0, 5),
            "allow_short": st.booleans(),
            "stop_atr": st.floats(0.0, 5.0),
            "risk_share": st.floats(1e-6, 4.0),
            "max_leverage": st.floats(0.0, 40.0),
            "commission": st.floats(0.0, 0.02),
            "cash": st.floats(1e-3, 1e9),
        },
    ),
)
def test_any_settings_on_any_series(seed, move, length, given):
    check(gappy(length, seed, move), FEW, **given)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100))
def test_many_series(seed):
    rng = np.random.default_rng((4, seed))
    given = {
        "entry_bars": int(rng.integers(0, 6)),
        "stop_atr": float(rng.choice([0.0, 0.3, 1.0, 4.0])),
        "risk_share": float(rng.choice([0.01, 0.1, 1.0, 5.0])),
        "max_leverage": float(rng.choice([1.0, 3.0, 9.6, 50.0])),
        "commission": float(rng.choice([0.0, 0.0004, 0.01])),
    }
    check(gappy(1000, seed, float(rng.choice([0.003, 0.02, 0.1]))), FEW, **given)


@pytest.mark.slow
def test_the_sample_and_its_flipped_marks(real_bars):
    assert len(check(real_bars, Params()).trades) > 500
    placebos = Placebos(real_bars, mode="flipped")
    for seed in range(3):
        assert len(check(placebos.bars_of(seed), placebos.params).trades) > 500


@pytest.mark.parametrize("name", ["backtrader_next"])
def test_on_another_library(name):
    kit(name)
    check(gappy(500, 7, 0.03), run=for_module(kit(name).bt).run_fade)


@pytest.mark.slow
def test_without_numba_the_account_is_the_same(tmp_path):
    bars = gappy(160, 7, 0.03)
    np.save(tmp_path / "bars.npy", bars)
    code = (
        "import json, sys, numpy as np\n"
        "from liquidator_core import Params\n"
        "from liquidator_integrations.evidence.account import fade_account\n"
        "params = Params.from_dict(json.loads(sys.argv[2]))\n"
        "result = fade_account(np.load(sys.argv[1]), params)\n"
        "print(result.equity.tobytes().hex(), result.trades)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "bars.npy"), json.dumps(FEW.to_dict())]
    plain = {**os.environ, "NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=plain)
    ours = fade_account(bars, FEW)
    assert len(ours.trades) > 3
    assert done.stdout.strip() == f"{ours.equity.tobytes().hex()} {ours.trades}", done.stderr


def test_bars_are_checked_as_for_a_backtest():
    for bars in (series(len(series(70, 7)[: PARAMS.memory]), 7), holey()):
        with pytest.raises(ValueError, match=r"^bars") as ours:
            fade_account(bars, PARAMS)
        with pytest.raises(ValueError, match=r"^bars") as real:
            run_fade(bars, PARAMS)
        assert str(ours.value) == str(real.value)
