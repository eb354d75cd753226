"""Liquidation at risk in a freqtrade strategy's frame."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd
import pytest
from freqtrade.strategy import merge_informative_pair
from freqtrade_setup import candle_frame
from made_bars import small_params

from liquidator_core import Params
from liquidator_integrations import risk_columns, risk_memory, sample_bars
from liquidator_integrations.for_freqtrade import add_risk, add_zones, startup_candle_count

SMALL = small_params()
SPOT, PERPETUAL = {"pair": "BTC/USDT"}, {"pair": "BTC/USDT:USDT"}


@pytest.fixture(scope="module")
def candles():
    return candle_frame(sample_bars()[: risk_memory(SMALL, True) + 50])


@pytest.fixture(scope="module")
def observed(candles):
    rng = np.random.default_rng(2)
    usd = 5e-4 * float((candles["close"] * candles["volume"]).median())
    return pd.DataFrame(
        {
            "time": candles["date"],
            **{f"{side}_usd": usd * rng.lognormal(size=len(candles)) for side in ("long", "short")},
        }
    )


def test_startup_candles_are_the_memory():
    assert startup_candle_count(risk=True) == risk_memory() == Params().memory + 168
    assert startup_candle_count(SMALL, 7, risk=True) == risk_memory(SMALL) + 7
    assert startup_candle_count(SMALL, risk=True, observed=True) == risk_memory(SMALL, True)
    assert startup_candle_count(SMALL) == SMALL.memory


def test_the_columns_are_those_of_risk_columns_with_the_prefix(candles, observed):
    reached = pd.DataFrame({"low": candles["close"] * 0.98, "high": candles["close"] * 1.02})
    for feed in (None, observed):
        found = add_risk(candles, feed, reached=reached, params=SMALL, metadata=PERPETUAL)
        columns = risk_columns(candles, feed, reached=reached, params=SMALL).add_prefix("lz_")
        pd.testing.assert_frame_equal(found[columns.columns], columns)
        pd.testing.assert_frame_equal(found[candles.columns], candles)
    assert found["lz_source_long"].iloc[-1] == "learned"


def test_a_bot_and_a_backtest_agree(candles, observed):
    """The last rows of what a bot loads are those of the whole history."""
    whole = add_risk(candles, observed, params=SMALL, metadata=PERPETUAL)
    few = candles.tail(startup_candle_count(SMALL, 4, risk=True, observed=True)).reset_index(drop=True)
    live = add_risk(few, observed, params=SMALL, metadata=PERPETUAL)
    assert live.tail(5).to_csv(index=False) == whole.tail(5).to_csv(index=False)


def test_the_market_is_that_of_the_pair(candles):
    spot = add_risk(candles, params=SMALL, metadata=SPOT)
    columns = risk_columns(candles, params=SMALL, market="spot")
    assert spot["lz_scale_long"].tail(5).tolist() == columns["scale_long"].tail(5).tolist()
    with pytest.raises(ValueError, match="BTC/USDT 1h: market: found 'perpetual', but BTC/USDT is a spot market"):
        add_risk(candles, params=SMALL, market="perpetual", metadata=SPOT)


def test_hours_merge_into_shorter_candles(candles):
    """As ``@informative("1h")`` does it: a row has the last hour that had closed."""
    hours = add_risk(candles.tail(300).reset_index(drop=True), params=SMALL, metadata=PERPETUAL)
    quarters = pd.DataFrame({"date": pd.date_range(hours["date"].iloc[200], periods=40, freq="15min"), "close": 1.0})
    merged = merge_informative_pair(quarters, hours, "15m", "1h", ffill=True)
    assert merged["lz_scale_long_1h"].notna().all()
    found = merged["lz_ledger_long_usd_1pct_1h"].iloc[4 * 3 + 3]  # closes with the hour
    assert found == hours["lz_ledger_long_usd_1pct"].iloc[203]


def test_it_stands_beside_zones_and_refuses_a_column_that_is_there(candles):
    both = add_risk(add_zones(candles, SMALL), params=SMALL, metadata=PERPETUAL)
    assert {"lz_support", "lz_scale_short"} <= {*both.columns}
    with pytest.raises(ValueError, match="BTC/USDT:USDT 1h: column 'lz_scale_long' is there already"):
        add_risk(both, params=SMALL, metadata=PERPETUAL)


def test_too_few_candles_are_logged_or_refused(candles, caplog):
    few = candles.head(risk_memory(SMALL) - 1)
    with caplog.at_level(logging.WARNING, "liquidator"):
        assert add_risk(few, params=SMALL, metadata=PERPETUAL)["lz_scale_long"].isna().all()
    assert f"{len(few)} candles are too few: a row depends on {risk_memory(SMALL)} hours" in caplog.text
    with pytest.raises(ValueError, match="set startup_candle_count = startup_candle_count"):
        add_risk(few, params=SMALL, metadata=PERPETUAL, on_bad="raise")


def test_errors_name_the_pair(candles):
    with pytest.raises(ValueError, match=r"^BTC/USDT:USDT 1h: no law is known of feed 'binance'"):
        add_risk(candles, params=SMALL, horizon="1h", metadata=PERPETUAL)
