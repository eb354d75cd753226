"""What a newcomer to freqtrade forgets or looks for: columns, warm-up, placebo runs, data to download, plots."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from command import said_here
from freqtrade.configuration.environment_vars import environment_vars_to_dict
from freqtrade.enums import CandleType, RunMode
from freqtrade.plot.plotting import generate_candlestick_graph
from freqtrade.strategy import IStrategy
from freqtrade_setup import candle_frame
from made_bars import small_params

from liquidator_integrations import sample_bars
from liquidator_integrations.for_freqtrade import (
    add_alignment,
    add_funding_rate,
    add_informative_zones,
    add_open_interest,
    add_zones,
    plot_config,
)
from liquidator_integrations.frames import placebo_marks
from liquidator_strategies.for_freqtrade.fade import LiquidatorFade
from liquidator_strategies.for_freqtrade.join import LiquidatorJoin
from liquidator_strategies.for_freqtrade.model import LiquidatorModel

PAIR = {"pair": "BTC/USDT"}


@pytest.fixture(scope="module")
def candles():
    return candle_frame(sample_bars()[:800])


MISTAKES = [
    (lambda frame: add_zones(None), "candles: candles must be a DataFrame, as freqtrade hands them over, got NoneType"),
    (lambda frame: add_informative_zones([1]), "candles must be a DataFrame, .* got list"),
    (lambda frame: add_zones(frame, metadata="BTC/USDT"), "metadata must be that of freqtrade, .* got 'BTC/USDT'"),
    (lambda frame: add_alignment(None, ["4h"]), "add_alignment: candles must be a DataFrame, .* got NoneType"),
    (lambda frame: add_alignment(add_zones(frame), "4h"), r"timeframes must be a list such as \[\"4h\"\], got '4h'"),
    (lambda frame: add_alignment(add_zones(frame), None), "timeframes must be a list"),
    (lambda frame: add_alignment(add_zones(frame), ["4H"]), "found timeframe '4H', freqtrade writes '4h'"),
    (lambda frame: add_alignment(add_zones(frame), ["240"]), "found timeframe '240', freqtrade writes '4h'"),
    (lambda frame: add_funding_rate(frame, None), "funding rate: the feed must be a DataFrame, .* got NoneType"),
    (lambda frame: add_open_interest(frame, None), "open interest: the feed must be a DataFrame"),
]


@pytest.mark.parametrize(("call", "says"), MISTAKES, ids=[says for _, says in MISTAKES])
def test_mistakes_are_named(call, says, candles):
    with pytest.raises((TypeError, ValueError), match=says):
        call(candles)


# Alignment --------------------------------------------------------------------------------------------------------


def test_alignment_without_the_larger_timeframe_says_what_makes_its_columns(candles):
    with pytest.raises(
        ValueError,
        match=r"missing column 'lz_support_low_4h': add_informative_zones in a method under @informative\('4h'\) makes",
    ):
        add_alignment(add_zones(candles, small_params()), ["4h"])


def test_alignment_without_zones_of_its_own_says_so(candles):
    with pytest.raises(ValueError, match="missing column 'lz_support_low': add_zones makes it"):
        add_alignment(candles, ["4h"])


def test_alignment_names_the_timeframe_that_is_missing(candles):
    frame = add_zones(candles, small_params())
    for name in ("support_low", "support_high", "resistance_low", "resistance_high"):
        frame[f"lz_{name}_4h"] = frame[f"lz_{name}"]
    assert add_alignment(frame, ["4h"])["lz_support_agreement"].max() == 100.0
    with pytest.raises(ValueError, match="'lz_support_low_1d'"):
        add_alignment(frame, ["4h", "1d"])


def test_alignment_under_another_prefix_looks_for_that(candles):
    with pytest.raises(ValueError, match="missing column 'mine_support_low'"):
        add_alignment(add_zones(candles, small_params()), ["4h"], prefix="mine_")


# Warm-up ----------------------------------------------------------------------------------------------------------


def strategy(name: str, count: int, add=add_zones, **params):
    def populate_indicators(self, dataframe, metadata):
        return add(dataframe, metadata=metadata, **params)

    body = {"startup_candle_count": count, "timeframe": "1h", "populate_indicators": populate_indicators}
    rest = dict.fromkeys(("populate_entry_trend", "populate_exit_trend"), lambda self, dataframe, metadata: dataframe)
    return type(name, (IStrategy,), body | rest)({})


@pytest.mark.parametrize(("name", "add"), [("Zones", add_zones), ("Informative", add_informative_zones)])
def test_a_forgotten_startup_candle_count_is_logged_once(name, add, candles, caplog):
    forgetful = strategy(name, 0, add)
    for _ in range(3):
        forgetful.advise_indicators(candles, PAIR)
    told = [record.message for record in caplog.records if "startup_candle_count" in record.message]
    assert told == [
        f"{name}.startup_candle_count is 0, and a row depends on 480 candles: the first ones of a backtest or a bot "
        "are unknown; set startup_candle_count = startup_candle_count(params)"
    ]
    assert all(record.levelno == logging.WARNING for record in caplog.records if record.message in told)


def test_one_candle_too_few_is_logged_and_enough_are_not(candles, caplog):
    memory = small_params().memory
    strategy("Enough", memory, params=small_params()).advise_indicators(candles, PAIR)
    assert "startup_candle_count" not in caplog.text
    strategy("TooFew", memory - 1, params=small_params()).advise_indicators(candles, PAIR)
    assert f"TooFew.startup_candle_count is {memory - 1}" in caplog.text


def test_a_call_outside_of_a_strategy_is_not_told_of(candles, caplog):
    add_zones(candles, metadata=PAIR)
    assert "startup_candle_count" not in caplog.text


# Placebo runs -----------------------------------------------------------------------------------------------------


def columns_of(kind, frame: pd.DataFrame, **config) -> pd.DataFrame:
    return kind(config).populate_indicators(frame, PAIR)


def test_placebo_seed_runs_on_flipped_marks(candles):
    real = columns_of(LiquidatorFade, candles)
    flipped = columns_of(LiquidatorFade, candles, placebo_seed=0, runmode=RunMode.BACKTEST)
    expected = add_zones(candles, metadata=PAIR)
    pd.testing.assert_frame_equal(real[expected.columns], expected)
    marks = placebo_marks(candles, seed=0, mode="flipped")
    pd.testing.assert_frame_equal(flipped[expected.columns], add_zones(candles, metadata=PAIR, marks=marks))
    assert not np.array_equal(real["lz_support"], flipped["lz_support"], equal_nan=True)
    other = columns_of(LiquidatorFade, candles, placebo_seed=1)
    assert not np.array_equal(other["lz_support"], flipped["lz_support"], equal_nan=True)


def test_placebo_seed_reaches_larger_timeframes(candles):
    config = {"candle_type_def": CandleType.FUTURES}  # freqtrade writes it into the class, for all who come later
    real = LiquidatorJoin(config).populate_indicators_4h(candles, PAIR)
    assert not LiquidatorJoin(config | {"placebo_seed": 0}).populate_indicators_4h(candles, PAIR).equals(real)


def test_placebo_seed_from_the_environment(monkeypatch):
    monkeypatch.setenv("FREQTRADE__PLACEBO_SEED", "3")
    assert LiquidatorFade(environment_vars_to_dict()).placebo_seed == 3


@pytest.mark.parametrize("seed", [-1, 1.5, "0", True])
def test_what_is_no_seed_is_refused(candles, seed):
    with pytest.raises(ValueError, match="placebo_seed must be a whole number not below 0, got"):
        columns_of(LiquidatorFade, candles, placebo_seed=seed)


@pytest.mark.parametrize("runmode", [RunMode.DRY_RUN, RunMode.LIVE])
def test_a_bot_refuses_placebo_marks(candles, runmode):
    with pytest.raises(ValueError, match="placebo_seed is for backtests and hyperopt, not for a bot"):
        columns_of(LiquidatorFade, candles, placebo_seed=0, runmode=runmode)


def test_the_model_refuses_placebo_marks(candles):
    with pytest.raises(ValueError, match="LiquidatorModel learns from what real zones did: it has no placebo run"):
        columns_of(LiquidatorModel, candles, placebo_seed=0)


# The installer ----------------------------------------------------------------------------------------------------


def test_install_says_which_data_each_strategy_needs_and_how_to_get_it(tmp_path):
    (tmp_path / "user data").mkdir()
    said = said_here("freqtrade", "install", "--userdir", "user data", cwd=tmp_path)
    assert said.code == 0
    assert said.stderr.splitlines() == [
        "LiquidatorExit needs candles of 1h",
        "LiquidatorFade needs candles of 1h",
        "LiquidatorJoin needs candles of 1h and 4h",
        "LiquidatorModel needs candles of 1h",
        "LiquidatorScale needs candles of 1h",
        "Before the time to test there must be 480 candles of each. To download a year of them:",
        "freqtrade download-data --userdir 'user data' --config 'user data/liquidator_dry_run.json' --days 365 "
        "--timeframes 1h 4h",
    ]
    assert "needs candles" not in said.stdout


# Plots ------------------------------------------------------------------------------------------------------------


def test_plots_bridge_no_gap(candles):
    """freqtrade fills between two lines by their whole length, across candles without a zone too."""
    frame = add_zones(candles)
    gaps = frame["lz_support_low"].isna()[480:]
    assert gaps.any()
    assert not gaps.all()
    figure = generate_candlestick_graph("BTC/USDT", frame, plot_config=plot_config())
    drawn = {trace.name: trace for trace in figure.data}
    for name in plot_config()["main_plot"]:
        assert drawn[name].fill in (None, "none")
        assert not drawn[name].connectgaps
        assert np.isnan(np.asarray(drawn[name].y, float)).any()
