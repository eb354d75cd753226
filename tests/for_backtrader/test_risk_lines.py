"""Liquidation at risk in backtrader: lines in every mode, and the sizer that takes them."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import pandas as pd
import pytest
from backtrader_runs import MODES, series
from made_bars import HOUR, small_params

from liquidator_integrations import liquidation_at_risk, risk_columns, risk_memory
from liquidator_integrations.for_backtrader import CandleFeed, LiquidationRisk, RiskSizer, for_module

SMALL = small_params()
HOURS = risk_memory(SMALL)


def hourly(length: int) -> np.ndarray:
    bars = series(length, move=0.01)
    bars["open_interest"] = np.nan
    bars["volume"] *= 1e6
    return bars


class Witness(bt.Strategy):
    params = (("given", None),)

    def __init__(self):
        self.risk = LiquidationRisk(self.data, zone_params=SMALL, **self.p.given)
        self.rows = []

    def next(self):
        self.rows.append([line[0] for line in self.risk.lines])


def lines(bars: np.ndarray, mode: dict, stamp: str = "open", **given) -> pd.DataFrame:
    cerebro = bt.Cerebro(stdstats=False, **mode)
    cerebro.adddata(CandleFeed(dataname=bars, stamp=stamp))
    cerebro.addstrategy(Witness, given=given)
    (witness,) = cerebro.run()
    return pd.DataFrame(witness.rows, columns=witness.risk.lines.getlinealiases())


def expected(bars: np.ndarray, move: float = 0.02, **given) -> pd.DataFrame:
    reached = pd.DataFrame({"low": bars["close"] * (1 - move), "high": bars["close"] * (1 + move)})
    return risk_columns(bars, reached=reached, params=SMALL, on_bad="skip", **given)


@pytest.mark.parametrize("mode", [name for name in MODES if name != "exactbars 1"])
def test_every_mode_gives_the_columns(mode):
    bars = hourly(HOURS + 12)
    found = lines(bars, MODES[mode])
    columns = expected(bars)[found.columns]
    pd.testing.assert_frame_equal(found, columns, check_exact=True)
    assert found.iloc[-12:].notna().all(axis=None)
    assert found.iloc[: HOURS - 1].isna().all(axis=None)


def test_a_feed_teaches_whatever_time_the_bars_carry():
    bars = hourly(HOURS + 720 + 5)
    rng = np.random.default_rng(3)
    usd = 1e-3 * float(np.median(bars["close"] * bars["volume"]))
    seen = {f"{side}_usd": usd * rng.lognormal(size=len(bars)) for side in ("long", "short")}
    observed = pd.DataFrame({"time": bars["time"], **seen})
    columns = expected(bars, observed=observed)
    for stamp in ("open", "close"):
        found = lines(bars, {}, stamp, observed=observed)
        pd.testing.assert_frame_equal(found, columns[found.columns], check_exact=True)
    assert (columns["source_long"].iloc[-5:] == "learned").all()


def test_quarter_hours_are_added_up_bar_by_bar_too():
    bars = hourly(4 * HOURS + 9)
    bars["time"] = HOUR * 400_000 + HOUR // 4 * np.arange(len(bars))
    columns = expected(bars)
    for mode in ({}, {"runonce": False}):
        found = lines(bars, mode)
        pd.testing.assert_frame_equal(found, columns[found.columns], check_exact=True)


@pytest.mark.parametrize("isbuy", [True, False])
@pytest.mark.parametrize("most", [1e-9, 1e9])
def test_the_sizer_stakes_less_where_more_is_liquidated(isbuy, most):
    bars = hourly(HOURS + 3)

    class Once(bt.Strategy):
        def next(self):
            if len(self) == HOURS + 1:
                self.size = self.getsizing(isbuy=isbuy)

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=bars))
    cerebro.addstrategy(Once)
    cerebro.addsizer(RiskSizer, share=0.4, most=most, move=0.03, zone_params=SMALL)
    (strategy,) = cerebro.run()
    curve = liquidation_at_risk(bars[: HOURS + 1], moves=(-0.03 if isbuy else 0.03,), params=SMALL)
    at_risk = curve["expected_usd"].iloc[0] / curve.attrs["turnover_usd"]
    assert at_risk > 0
    whole = 0.4 * 10_000 / bars["close"][HOURS]
    assert strategy.size == pytest.approx(whole * min(1.0, most / at_risk), rel=1e-12)


def test_the_sizer_stakes_nothing_while_cold():
    class Early(bt.Strategy):
        def next(self):
            self.size = self.getsizing()

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=hourly(HOURS - 1)))
    cerebro.addstrategy(Early)
    cerebro.addsizer(RiskSizer, zone_params=SMALL)
    (strategy,) = cerebro.run()
    assert strategy.size == 0.0


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        ({"move": 0.0}, ValueError, "move must be a share of the close above 0 and below 1, got 0.0"),
        ({"horizon": "2h"}, ValueError, "horizon must be one of '1h', '4h', got '2h'"),
        ({"horizon": "1h"}, ValueError, "no law is known of feed 'binance'"),
        ({"moves": 0.1}, TypeError, "has no parameter 'moves': did you mean 'move'"),
    ],
)
def test_what_is_not_known_is_refused(given, error, said):
    with pytest.raises(error, match=said):
        lines(hourly(5), {}, **given)


def test_bars_longer_than_an_hour_are_refused():
    bars = hourly(30)
    bars["time"] = bars["time"][0] + 4 * HOUR * np.arange(30)
    with pytest.raises(ValueError, match="candles are 4 hours apart, allowed are hours or less"):
        lines(bars, {})


def test_another_library_has_them_too():
    backtrader_next = pytest.importorskip("backtrader_next")
    module = for_module(backtrader_next)
    assert module.LiquidationRisk.lines._getlines() == LiquidationRisk.lines._getlines()
    assert issubclass(module.RiskSizer, backtrader_next.Sizer)
