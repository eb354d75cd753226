"""What a newcomer to backtrader types: dates as text, dicts of parameters, feeds that say too little."""

from __future__ import annotations

import warnings
from datetime import date, datetime

import backtrader as bt
import matplotlib
import numpy as np
import pandas as pd
import pytest
from backtrader_runs import MODES, PARAMS, frame_of, kit, series

from liquidator_core import Params
from liquidator_integrations import sample_bars
from liquidator_integrations.evidence.result import ENOUGH_TRADES
from liquidator_integrations.for_backtrader import (
    CandleFeed,
    LiquidationZones,
    ZoneAlignment,
    ZoneDiagnostics,
    ZoneReport,
)
from liquidator_strategies.for_backtrader import ZoneExit, ZoneFade, ZoneJoin, ZoneScale

matplotlib.use("Agg")
from matplotlib import pyplot

BARS = sample_bars()[:400]  # from 2019-10-01, hourly
SMALL = {"ledger_bars": 47, "flow_bars": 24, "zone_bars": 48}


class Span(bt.Strategy):
    def __init__(self):
        self.times = []

    def next(self):
        self.times.append(self.data.datetime.datetime(0).isoformat(timespec="hours"))


# Dates ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("given", "first", "last"),
    [
        ({"fromdate": "2019-10-10", "todate": "2019-10-12"}, "2019-10-10T00", "2019-10-12T23"),
        ({"fromdate": date(2019, 10, 10), "todate": date(2019, 10, 12)}, "2019-10-10T00", "2019-10-12T23"),
        ({"fromdate": datetime(2019, 10, 10), "todate": datetime(2019, 10, 12)}, "2019-10-10T00", "2019-10-12T00"),
        ({"fromdate": "2019-10-10 06:30", "todate": "2019-10-12T12:00"}, "2019-10-10T07", "2019-10-12T12"),
        ({"fromdate": "2019-10-10T06", "todate": "2019-10-12 11-PM"}, "2019-10-10T06", "2019-10-12T23"),
        ({"fromdate": "10.10.2019", "todate": "2019/10/12"}, "2019-10-10T00", "2019-10-12T23"),
        ({"fromdate": "2019-10-10T02:00:00+02:00", "todate": "20191012"}, "2019-10-10T00", "2019-10-12T23"),
        ({"fromdate": np.datetime64("2019-10-10T06")}, "2019-10-10T06", "2019-10-17T15"),
        ({"fromdate": pd.Timestamp("2019-10-10", tz="UTC")}, "2019-10-10T00", "2019-10-17T15"),
        ({"fromdate": 1_570_665_600_000}, "2019-10-10T00", "2019-10-17T15"),
        ({"todate": "2019-10-01"}, "2019-10-01T00", "2019-10-01T23"),
    ],
)
def test_dates_may_be_text(given, first, last, mode):
    times = kit().run(lambda cerebro: cerebro.adddata(CandleFeed(dataname=BARS, **given)), mode, Span).times
    assert (times[0], times[-1]) == (first, last)


@pytest.mark.parametrize("name", ["fromdate", "todate"])
@pytest.mark.parametrize("text", ["yesterday", "2019-13-01", "2019-10", "03/04/2020", "", float("nan"), ["2019-10-10"]])
def test_what_is_no_date_is_refused(name, text):
    with pytest.raises(ValueError, match=f"{name} must be a date such as 2020-03-01 or 2020-03-01 12:00, got "):
        CandleFeed(dataname=BARS, **{name: text})


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"dataname": BARS, "timeframe": "1h"}, r"timeframe must be one of bt.TimeFrame, .* got '1h'"),
        ({"dataname": BARS, "timeframe": 1.5}, r"timeframe must be one of bt.TimeFrame, .* got 1.5"),
        ({}, "dataname is missing: give a file of candles, a DataFrame or a BAR array"),
        ({"dataname": BARS, "from_date": "2019-10-10"}, "did you mean 'fromdate'"),
    ],
)
def test_a_feed_with_a_mistake(given, says):
    with pytest.raises(TypeError, match=says):
        CandleFeed(**given)


def test_dates_that_leave_no_bar_are_told():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=BARS, fromdate="2020-01-01"), name="BTC")
    with pytest.warns(UserWarning, match="BTC: none of its 400 bars is left by fromdate, todate and filters"):
        cerebro.run()


# Parameters as a dict ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cpus", [1, 2])
def test_optstrategy_goes_through_dicts(cpus):
    cerebro = bt.Cerebro(stdstats=False, maxcpus=cpus, optreturn=False)
    cerebro.adddata(CandleFeed(dataname=BARS))
    choices = [SMALL, SMALL | {"zone_bars": 30}]
    cerebro.optstrategy(ZoneFade, zone_params=choices)
    runs = [run[0] for run in cerebro.run()]
    assert [run.p.zone_params for run in runs] == choices
    for run, given in zip(runs, choices, strict=True):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(CandleFeed(dataname=BARS))
        cerebro.addstrategy(ZoneFade, zone_params=Params(**given))
        for got, expected in zip(run.zones.lines, cerebro.run()[0].zones.lines, strict=True):
            np.testing.assert_array_equal(got.array, expected.array)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        (SMALL, TypeError, "optstrategy goes through a dict, so put it into a list"),
        ([{"zone_barz": 48}], TypeError, "unknown parameter 'zone_barz': did you mean 'zone_bars'"),
        ([{"zone_bars": 0}], ValueError, "zone_bars"),
        ([48], TypeError, "zone_params must be liquidator_core.Params, or a dict of its fields, got 48"),
    ],
)
def test_optstrategy_with_a_mistake(given, error, says):
    cerebro = bt.Cerebro(stdstats=False, maxcpus=1)
    cerebro.adddata(CandleFeed(dataname=BARS))
    cerebro.optstrategy(ZoneFade, zone_params=given)
    with pytest.raises(error, match=says):
        cerebro.run()


@pytest.mark.parametrize("make", [LiquidationZones, ZoneDiagnostics])
def test_an_indicator_takes_a_dict(make):
    class Zoned(bt.Strategy):
        def __init__(self):
            self.by_dict = make(self.data, zone_params=SMALL)
            self.by_name = make(self.data, **SMALL)

    run = kit().run(lambda cerebro: cerebro.adddata(CandleFeed(dataname=BARS)), "runonce, preload", Zoned)
    np.testing.assert_array_equal(run.by_dict.lines[0].array, run.by_name.lines[0].array)


# Feeds ------------------------------------------------------------------------------------------------------------


def told_of(strategy, add, **given) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        cerebro = bt.Cerebro(stdstats=False)
        add(cerebro)
        cerebro.addstrategy(strategy, **given)
        cerebro.run()
    return [str(one.message) for one in found if one.category is UserWarning]


@pytest.mark.parametrize(
    ("timing", "is_told"),
    [
        ({}, True),
        ({"timeframe": bt.TimeFrame.Days}, True),
        ({"timeframe": bt.TimeFrame.Minutes, "compression": 60}, False),
        ({"timeframe": bt.TimeFrame.Minutes}, False),
    ],
)
def test_a_csv_of_hours_that_is_taken_for_days_is_told(timing, is_told, tmp_path):
    path, form = tmp_path / "hours.csv", "%Y-%m-%d %H:%M:%S"
    frame = frame_of(series())[["open", "high", "low", "close", "volume"]]
    frame.to_csv(path, date_format=form)
    feed = bt.feeds.GenericCSVData(dataname=str(path), dtformat=form, openinterest=-1, **timing)
    told = told_of(ZoneFade, lambda cerebro: cerebro.adddata(feed), zone_params=PARAMS)
    assert (
        told
        == [
            "ZoneFade: most bars carry the time of the bar before: give the feed the timeframe and compression of its "
            "candles, such as timeframe=bt.TimeFrame.Minutes, compression=60 (GenericCSVData takes them for days)"
        ]
        * is_told
    )


def test_a_csv_of_days_needs_no_timeframe(tmp_path):
    path = tmp_path / "days.csv"
    frame = frame_of(series(step_ms=86_400_000))[["open", "high", "low", "close", "volume"]]
    frame.to_csv(path, date_format="%Y-%m-%d")
    feed = bt.feeds.GenericCSVData(dataname=str(path), dtformat="%Y-%m-%d", openinterest=-1)
    assert told_of(ZoneFade, lambda cerebro: cerebro.adddata(feed), zone_params=PARAMS) == []


@pytest.mark.parametrize("strategy", [ZoneFade, ZoneJoin, ZoneScale, ZoneExit])
def test_too_few_bars_are_told_of_by_the_strategy_s_name(strategy):
    told = told_of(strategy, lambda cerebro: cerebro.adddata(CandleFeed(dataname=BARS[:100])))
    assert told == [f"{strategy.__name__}: the feed gave 100 bars, fewer than Params.memory = 480: no signal is known"]


def test_too_few_bars_name_one_s_own_strategy():
    class MyOwn(ZoneFade):
        pass

    told = told_of(MyOwn, lambda cerebro: cerebro.adddata(CandleFeed(dataname=BARS[:100])))
    assert [text.split(":")[0] for text in told] == ["MyOwn"]


def test_skipped_bars_name_the_strategy(caplog):
    bars = BARS.copy()
    bars["close"][7] = np.nan
    told_of(ZoneFade, lambda cerebro: cerebro.adddata(CandleFeed(dataname=bars)), **SMALL)
    assert [record.message for record in caplog.records] == ["ZoneFade: 1 of 400 bars skipped for unusable prices"]


# Pictures and verdicts --------------------------------------------------------------------------------------------


class Aligned(bt.Strategy):
    def __init__(self):
        self.alignment = ZoneAlignment(self.data0, self.data1, **SMALL)


def test_the_legend_of_an_alignment_can_be_read():
    cerebro = bt.Cerebro(stdstats=False)
    feed = cerebro.adddata(CandleFeed(dataname=sample_bars()[:600], stamp="close"))
    cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=240)
    cerebro.addstrategy(Aligned)
    aligned = cerebro.run()[0].alignment
    memory = Params(**SMALL).memory
    assert aligned._plotlabel() == [f"2 feeds, {memory} bars"]
    try:
        ((figure,),) = cerebro.plot(iplot=False)
        legends = [axes.get_legend() for axes in figure.axes]
        texts = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
        assert f"ZoneAlignment (2 feeds, {memory} bars)" in "\n".join(texts)
        assert not [text for text in texts if "None" in text]
    finally:
        pyplot.close("all")


def test_a_report_on_few_trades_gives_no_rank():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=BARS[:200]))
    cerebro.addstrategy(ZoneFade, zone_params=SMALL)
    cerebro.addanalyzer(ZoneReport, placebo_runs=1)
    report = cerebro.run()[0].analyzers.zonereport
    trades = report.get_analysis()["real"]["trades"]
    assert 0 < trades < ENOUGH_TRADES
    assert report.summary().splitlines()[-1] == f"{trades} trades are too few for a verdict, which takes some 30"
    assert "the real run is" not in report.summary()
