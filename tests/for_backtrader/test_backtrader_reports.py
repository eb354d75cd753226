"""What backtrader draws, sizes and reports: charts, ZoneMap, QualitySizer, ZoneReport, optimisation."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from datetime import datetime, time
from types import SimpleNamespace

import backtrader as bt
import matplotlib
import numpy as np
import pytest
from backtrader_runs import LENGTH, MODES, PARAMS, UTCNOW, TwoHoursEast, folded, kit, observed, series
from places import ROOT

from liquidator_core import BAR, fold, new_signals, new_state, step, zones_of
from liquidator_core.state import copy_state
from liquidator_core.zones import marks_of
from liquidator_integrations import sample_bars
from liquidator_integrations.for_backtrader import (
    CandleFeed,
    ForcedFlow,
    LiquidationLevels,
    LiquidationSignal,
    LiquidationZones,
    QualitySizer,
    ZoneAlignment,
    ZoneMap,
    ZoneReport,
    analyzers,
    lean_feed,
)
from liquidator_integrations.for_backtrader.engine import ms_of
from liquidator_integrations.frames import bars_with_marks, marks_frame, marks_params, placebo_marks
from liquidator_strategies.for_backtrader import ZoneFade, ZoneJoin, for_module, run_fade

matplotlib.use("Agg")  # before backtrader's charts, which would ask for a screen
from matplotlib import pyplot


def zones_after(bars, row, params=PARAMS):
    record = params.to_record()
    state = new_state(record)
    fold(state, record, bars[: row + 1], new_signals(row + 1))
    return zones_of(state, record)


def id_of(mark):
    return 2 * int(mark["birth"]) + int(mark["side"])


def edges_of(zone):
    return zone["low"], zone["high"]


def faded_zones(bars, params=PARAMS):
    """Row of each fade: id of the zone that made it, by which marks were touched; None if it was another before.

    Of the zones that a bar touches and does not close beyond, the one with the most USD decides. Marks that are too
    old go before the bar is looked at, and a bar without prices shows what they leave.
    """
    record = params.to_record()
    state, signal = new_state(record), new_signals(1)
    found = {}
    for row in range(len(bars)):
        before = {int(zone["zone_id"]): zone for zone in zones_of(state, record)}
        aged = copy_state(state)
        step(aged, record, np.zeros(1, BAR), signal)
        zones, marks = zones_of(aged, record), {id_of(mark): mark for mark in marks_of(aged, record)}
        step(state, record, bars[row : row + 1], signal)
        if not signal["fade"][0]:
            continue
        touches = {id_of(mark): mark["touches"] for mark in marks_of(state, record)}
        usd = {}
        for zone in zones:
            mark, close = marks[int(zone["zone_id"])], bars["close"][row]
            holds = close >= zone["low"] if mark["armed"] > 0 else close <= zone["high"]
            if holds and touches[id_of(mark)] > mark["touches"]:
                usd[id_of(mark)] = zone["usd"], mark["armed"], edges_of(zone)
        zone_id = max(usd, key=usd.get)
        _, side, edges = usd[zone_id]
        assert side == signal["fade"][0]
        found[row] = zone_id if zone_id in before and edges_of(before[zone_id]) == edges else None
    return found


# Charts -----------------------------------------------------------------------------------------------------------


class Drawn(bt.Strategy):
    def __init__(self):
        self.made = [make(self.data) for make in (LiquidationZones, LiquidationLevels, ForcedFlow)]


def draw(path, strategy, observer=None):
    """The figure of the last weeks of the sample, saved to path."""
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=sample_bars()[-700:]))
    cerebro.addstrategy(strategy)
    if observer:
        cerebro.addobserver(observer)
    cerebro.run()
    figure = cerebro.plot(iplot=False, volume=False, style="candle", start=480)[0][0]
    figure.set_size_inches(12, 7)
    figure.savefig(path, dpi=60)
    pyplot.close("all")
    return figure


def share_of(path, colour):
    """Share of the picture's pixels that a band of this colour tints."""
    pixels = pyplot.imread(path)[:, :, :3]
    red, green, blue = pixels[:, :, 0], pixels[:, :, 1], pixels[:, :, 2]
    strong, weak = (blue, red) if colour == "blue" else (red, blue)
    return float(((strong - weak > 0.08) & (green > weak + 0.02) & (green < strong)).mean())


def test_indicators_draw_bands(tmp_path):
    figure = draw(tmp_path / "zones.png", Drawn)
    legends = [axis.get_legend() for axis in figure.axes]
    texts = [text.get_text() for legend in legends if legend for text in legend.get_texts()]
    assert any(text.startswith("LiquidationZones (480 bars)\nsupport") for text in texts)
    assert any(text.startswith("ForcedFlow") for text in texts)
    for colour in ("blue", "orange"):
        assert share_of(tmp_path / "zones.png", colour) > 0.01


def test_the_observer_draws_bands_without_an_indicator(tmp_path):
    draw(tmp_path / "bare.png", bt.Strategy)
    draw(tmp_path / "map.png", bt.Strategy, ZoneMap)
    for colour in ("blue", "orange"):
        assert share_of(tmp_path / "map.png", colour) > share_of(tmp_path / "bare.png", colour) + 0.002


@pytest.mark.parametrize("library", ["backtrader", "backtrader_next"])
@pytest.mark.parametrize("mode", ["runonce", "exactbars -1"])
def test_a_band_is_drawn_in_pieces(library, mode):
    """From a zone to one that lies elsewhere nothing is drawn; the lines themselves keep every value."""
    parts = kit(library)

    class Zoned(parts.bt.Strategy):
        def __init__(self):
            self.zones = parts.lz.LiquidationZones(self.data, zone_params=PARAMS)

    cerebro = parts.bt.Cerebro(stdstats=False, **MODES[mode])
    cerebro.adddata(parts.lz.CandleFeed(dataname=series()))
    cerebro.addobserver(parts.lz.ZoneMap, zone_params=PARAMS)
    cerebro.addstrategy(Zoned)
    run = cerebro.run()[0]
    for drawn, bands in ((run.zones, ("support", "resistance")), (run.observers[0], ("below_1", "above_3"))):
        for band in bands:
            low, high = (getattr(drawn.lines, f"{band}_{edge}") for edge in ("low", "high"))
            lows, highs = (np.array(line.array)[:LENGTH] for line in (low, high))
            pieces = np.array(low.plotrange(0, LENGTH))
            cut = np.flatnonzero(np.isfinite(lows) & np.isnan(pieces))
            assert len(cut) > 5
            for row in range(1, LENGTH):
                apart = lows[row] > highs[row - 1] or highs[row] < lows[row - 1]
                assert (row in cut) == apart
                assert apart or np.array_equal(pieces[row], lows[row], equal_nan=True)
            if drawn is run.zones:
                np.testing.assert_array_equal(lows[PARAMS.memory :], folded(series())[f"{band}_low"][PARAMS.memory :])


@pytest.mark.parametrize("library", ["backtrader", "backtrader_next"])
@pytest.mark.parametrize("mode", MODES)
def test_the_observer_has_the_nearest_zones(library, mode):
    parts = kit(library)
    bars = series()

    cerebro = parts.bt.Cerebro(stdstats=False, **MODES[mode])
    cerebro.adddata(parts.lz.CandleFeed(dataname=bars))
    cerebro.addobserver(parts.lz.ZoneMap, zone_params=PARAMS)
    cerebro.addobserver(parts.bt.observers.Value)
    cerebro.addstrategy(parts.bt.Strategy)
    observers = cerebro.run()[0].observers
    rows = np.transpose([line.array for line in observers.zonemap.lines])[:LENGTH]
    if library == "backtrader_next" and mode == "runonce, preload":  # there it calls no observer, its own neither
        assert np.isnan(rows).all()
        assert np.isnan(observers.value.lines[0].array).all()
        return
    assert len(rows) == (LENGTH if mode != "exactbars 1" else 1)  # which keeps the last one
    expected = np.full((LENGTH, 2, 3, 2), np.nan)
    for row in range(PARAMS.memory - 1, LENGTH):
        zones = zones_after(bars, row)
        sides = zones[zones["price"] <= bars["close"][row]][::-1], zones[zones["price"] > bars["close"][row]]
        for side, near in enumerate(sides):
            for place, zone in enumerate(near[:3]):
                expected[row, side, place] = zone["low"], zone["high"]
    np.testing.assert_array_equal(rows, expected.reshape(LENGTH, 12)[-len(rows) :])
    assert np.isfinite(expected[:, :, 2]).any()


# The sizer --------------------------------------------------------------------------------------------------------


class Buying(bt.Strategy):
    """Trades each fade by the sizer's size, and every seventh bar without one."""

    params = (("keep", 1),)

    def __init__(self):
        self.average = bt.ind.SMA(self.data, period=self.p.keep)
        self.sizes = {}

    def next(self):
        row = len(self.data) - 1
        for isbuy in (True, False):
            self.sizes[row, isbuy] = self.getsizing(self.data, isbuy=isbuy)


@pytest.mark.parametrize("mode", MODES)
def test_the_stake_is_the_zones_quality(mode):
    bars = series(300)

    def build(cerebro):
        cerebro.adddata(CandleFeed(dataname=bars))
        cerebro.addsizer(QualitySizer, share=0.4, zone_params=PARAMS)

    sizes = kit().run(build, mode, strategy=Buying, keep=PARAMS.memory).sizes
    assert len(sizes) == 2 * (300 - PARAMS.memory + 1)
    rows, faded = folded(bars), faded_zones(bars)
    checked = others = 0
    for (row, isbuy), size in sizes.items():
        quality = rows["support_quality" if isbuy else "resistance_quality"][row]
        if rows["fade"][row] == (1 if isbuy else -1):
            edges = rows["fade_low"][row], rows["fade_high"][row]
            same = [zone for zone in zones_after(bars, row) if int(zone["zone_id"]) == faded[row]]
            if not same or edges_of(same[0]) != edges:
                continue  # marks came or went with the bar, and the zone is another one now
            nearest, quality = quality, same[0]["quality"]
            checked += 1
            others += nearest != quality
        assert size == (0.4 * quality / 100 * 10_000.0 / bars["close"][row] if quality > 0 else 0.0)
    assert checked >= 30
    assert others >= 3
    assert 0.0 in sizes.values()


def test_the_stake_of_a_contract_is_that_of_what_it_moves():
    def sizes(**contract):
        def build(cerebro):
            cerebro.adddata(CandleFeed(dataname=series(200)))
            cerebro.addsizer(QualitySizer, zone_params=PARAMS)
            cerebro.broker.setcommission(**contract)

        return np.array(list(kit().run(build, "neither", strategy=Buying, keep=PARAMS.memory).sizes.values()))

    np.testing.assert_allclose(sizes(mult=5.0, margin=10.0), sizes() / 5.0)
    assert sizes().any()


def test_the_account_that_is_staked_is_todays():
    class Losing(Buying):
        def next(self):
            self.worth = self.broker.getvalue()
            super().next()
            if not self.position:
                self.buy(size=50)

    def build(cerebro):
        cerebro.adddata(CandleFeed(dataname=series(200)))
        cerebro.addsizer(QualitySizer, zone_params=PARAMS)

    sized = kit().run(build, "neither", strategy=Losing, keep=PARAMS.memory)
    plain = kit().run(build, "neither", strategy=Buying, keep=PARAMS.memory)
    assert abs(sized.worth / 10_000.0 - 1.0) > 0.01
    last = max(place for place, size in sized.sizes.items() if size)
    first = min(place for place, size in sized.sizes.items() if size)
    assert sized.sizes[first] == plain.sizes[first]
    row = last[0]
    worth = 10_000.0 + 50 * (series(200)["close"][row] - series(200)["open"][PARAMS.memory])
    assert sized.sizes[last] == pytest.approx(plain.sizes[last] * worth / 10_000.0)


@UTCNOW
def test_wrong_sizers_are_refused():
    def build(cerebro, **params):
        cerebro.adddata(CandleFeed(dataname=series(200)))
        cerebro.addsizer(QualitySizer, **params)

    early = pytest.warns(UserWarning, match=r"^QualitySizer: the feed gave 1 bars, fewer than Params\.memory = 480")
    kept = pytest.raises(ValueError, match="QualitySizer needs the last 2 bars, backtrader kept 1: exactbars=1")
    with early as told, kept:
        kit().run(build, "exactbars 1", strategy=Buying)
    assert [one.category for one in told].count(UserWarning) == 1  # of two orders on that bar
    with pytest.raises(TypeError, match="QualitySizer has no parameter 'shares': did you mean 'share'"):
        kit().run(lambda cerebro: build(cerebro, shares=1.0), "neither", strategy=Buying)
    with pytest.raises(ValueError, match=r"share must not be below 0, got -1\.0"):
        kit().run(lambda cerebro: build(cerebro, share=-1.0), "neither", strategy=Buying)


# The report -------------------------------------------------------------------------------------------------------


def reported(strategy=ZoneFade, bars=None, params=PARAMS, mode="runonce, preload", given=(), **settings):
    def build(cerebro):
        cerebro.adddata(CandleFeed(dataname=series(1200, seed=7) if bars is None else bars))
        cerebro.broker.setcommission(commission=0.0004, leverage=10.0)
        cerebro.addanalyzer(ZoneReport, _name="report", **settings)
        cerebro.addanalyzer(bt.analyzers.TradeAnalyzer, _name="trades")

    return kit().run(build, mode, strategy=strategy, zone_params=params, **dict(given))


def fates(bars, params):
    """Id of each zone: (touches, holds, broken) of the mark that led it, as last seen while it did."""
    record = params.to_record()
    state = new_state(record)
    known, led = {}, set()
    for row in range(len(bars)):
        step(state, record, bars[row : row + 1], new_signals(1))
        marks = {id_of(mark): mark for mark in marks_of(state, record)}
        for zone_id in led & marks.keys():
            if marks[zone_id]["broken"]:
                known[zone_id] = int(marks[zone_id]["touches"]), int(marks[zone_id]["holds"]), 1
        if row >= params.memory - 2:  # the zones that the first signal can speak of
            led = {int(zone["zone_id"]) for zone in zones_of(state, record)}
            known |= {one: (int(marks[one]["touches"]), int(marks[one]["holds"]), 0) for one in led}
    return known


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode != "exactbars 1"])
def test_each_zone_has_its_fate(mode):
    bars = series(1200, seed=7)
    zones = reported(bars=bars, mode=mode, placebo_runs=0).analyzers.report.get_analysis()["zones"]
    expected = fates(bars, PARAMS)
    assert {zone["zone_id"]: (zone["touches"], zone["holds"], zone["broken"]) for zone in zones} == expected
    marks = marks_frame(bars, PARAMS)
    of_id = {
        2 * time.value // 1_000_000 + (side == "short"): row
        for row, (time, side) in enumerate(zip(marks["time"], marks["side"], strict=True))
    }
    later = 0
    for zone in zones:
        mark = marks.iloc[of_id[zone["zone_id"]]]
        assert zone["side"] == mark.side
        assert zone["usd"] >= mark.usd
        assert zone["low"] <= mark.low < mark.high <= zone["high"]
        later += abs(mark.broken) > zone["broken"]
    assert sum(zone["broken"] for zone in zones) > 30
    assert later > 30  # of marks that broke after their zone had become part of another


@pytest.mark.parametrize("strategy", [ZoneFade, ZoneJoin])
def test_profits_belong_to_the_zones_that_were_traded(strategy):
    run = reported(strategy, placebo_runs=0)
    analysis = run.analyzers.report.get_analysis()
    closed = run.analyzers.trades.get_analysis()
    assert sum(zone["trades"] for zone in analysis["zones"]) + analysis["elsewhere"]["trades"] == closed.total.closed
    profit = sum(zone["profit"] for zone in analysis["zones"]) + analysis["elsewhere"]["profit"]
    assert profit == pytest.approx(closed.pnl.net.total, rel=1e-9)
    assert analysis["real"]["trades"] >= (30 if strategy is ZoneFade else 5)
    assert analysis["elsewhere"]["trades"] <= (0 if strategy is ZoneFade else closed.total.closed // 2)
    value = run.broker.getvalue()
    assert analysis["real"]["total_return"] == value / 10_000.0 - 1.0
    assert analysis["placebo"] == []


def test_a_trade_belongs_to_the_zone_that_it_faded():
    bars = series(1200, seed=7)
    faded = faded_zones(bars)
    report = reported(bars=bars, placebo_runs=0, given={"entry_bars": 0}).analyzers.report
    place = {int(time): row for row, time in enumerate(bars["time"])}
    profits = {}
    for trade in run_fade(bars, PARAMS, entry_bars=0).trades:
        profits.setdefault(faded[place[trade.entry_ms] - 1], []).append(trade.pnl)
    unknown = profits.pop(None, [])
    found = {zone["zone_id"]: zone for zone in report.get_analysis()["zones"]}
    astray = sum(found[zone_id]["trades"] - len(pnl) for zone_id, pnl in profits.items())
    assert 0 <= astray <= len(unknown) < 0.1 * len(profits)
    wrong = [
        zone_id
        for zone_id, pnl in profits.items()
        if (found[zone_id]["trades"], found[zone_id]["profit"]) != (len(pnl), pytest.approx(sum(pnl), rel=1e-9))
    ]
    assert len(wrong) <= len(unknown)
    rows = folded(bars)
    larger = 0
    for row, zone_id in faded.items():
        zones = zones_after(bars, row - 1)
        near = [one for one in zones if one["low"] <= rows["fade_high"][row] and one["high"] >= rows["fade_low"][row]]
        larger += zone_id is not None and any(int(one["zone_id"]) != zone_id for one in near)
    assert larger > 50  # fades with another zone that reaches into theirs


def test_a_trade_whose_order_was_filled_in_part_belongs_to_its_zone():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=series(1200, seed=7)))
    cerebro.broker.set_filler(bt.broker.fillers.FixedSize(size=0.4))
    cerebro.addstrategy(ZoneFade, zone_params=PARAMS)
    cerebro.addanalyzer(ZoneReport, placebo_runs=0)
    analysis = cerebro.run()[0].analyzers.zonereport.get_analysis()
    assert analysis["real"]["trades"] > 30
    assert analysis["elsewhere"]["trades"] == 0


class Day(float):
    """A moment that counts how often it is compared with another."""

    compared = 0

    def __eq__(self, other):
        Day.compared += 1
        return float(self) == float(other)

    __hash__ = float.__hash__


def test_a_trade_finds_its_order_among_many():
    analyzer = reported(bars=series(200), placebo_runs=0).analyzers.report
    data, many = analyzer.strategy.data, 1000
    Day.compared = 0
    for day in range(many):
        filled, placed = SimpleNamespace(dt=Day(day + 1)), SimpleNamespace(dt=float(day))
        analyzer.notify_order(
            SimpleNamespace(
                status=4, Partial=3, Completed=4, data=data, executed=filled, created=placed, isbuy=lambda: True
            )
        )
    for day in range(many):
        analyzer.notify_trade(SimpleNamespace(isclosed=True, data=data, dtopen=Day(day + 1), long=True, pnlcomm=day))
    assert [profit for _, profit in analyzer._trades] == list(range(many))
    assert [time for time, _ in analyzer._trades] == [ms_of(float(day)) for day in range(many)]
    assert Day.compared <= 4 * many


def test_a_report_says_what_was_wrong_with_its_feed(caplog):
    def report(bars, text):
        cerebro = bt.Cerebro(stdstats=False)
        cerebro.adddata(CandleFeed(dataname=bars))
        cerebro.addstrategy(bt.Strategy)
        cerebro.addanalyzer(ZoneReport, placebo_runs=0, zone_params=PARAMS)
        with pytest.warns(UserWarning, match=text):
            return cerebro.run()[0].analyzers.zonereport.get_analysis()

    quiet = series()
    quiet["volume"] = np.nan
    quiet["close"][7] = np.nan
    assert report(series(50), r"^ZoneReport: the feed gave 50 bars, fewer than Params\.memory = 61")["zones"] == []
    assert report(quiet, "^ZoneReport: the feed has neither volume nor observed liquidations")["zones"] == []
    assert "ZoneReport: 1 of 400 bars skipped for unusable prices" in caplog.text


def test_placebo_runs_are_the_strategy_on_placebo_marks():
    bars = series(1200, seed=7)
    run = reported(bars=bars, placebo_runs=2)
    analysis = run.analyzers.report.get_analysis()
    for seed, placebo in enumerate(analysis["placebo"]):
        fakes = placebo_marks(bars, PARAMS, seed, mode="flipped")
        by_hand = run_fade(bars_with_marks(bars, fakes), marks_params(PARAMS))
        assert placebo["total_return"] == by_hand.total_return
        assert placebo["trades"] == len(by_hand.trades)
        assert placebo["profit"] == pytest.approx(sum(trade.pnl for trade in by_hand.trades), rel=1e-9)
        assert placebo["zones"] > 50
    assert analysis["placebo"][0] != analysis["placebo"][1]
    assert analysis["real"]["total_return"] == run_fade(bars, PARAMS).total_return
    lines = run.analyzers.report.summary().splitlines()
    assert lines[0].split() == ["zones", "touches", "holds", "broken", "trades", "return"]
    assert lines[1].split()[0] == "real"
    assert [line[:15] for line in lines[2:4]] == ["flipped, seed 0", "flipped, seed 1"]
    better = sum(run["total_return"] >= analysis["real"]["total_return"] for run in analysis["placebo"])
    assert lines[4:] == [f"the real run is {('1st', '2nd', '3rd')[better]} of 3 by return"]
    assert f"{analysis['placebo'][1]['total_return']:+.1%}" in lines[3]


SPECIAL = {
    "slippage": lambda broker: broker.set_slippage_perc(0.001),
    "a filler": lambda broker: broker.set_filler(bt.broker.fillers.FixedSize(size=0.5)),
    "a contract": lambda broker: broker.setcommission(commission=2.0, mult=5.0, margin=1000.0),
    "a ticket": lambda broker: broker.setcommission(commission=2.0, commtype=bt.CommInfoBase.COMM_FIXED),
    "interest": lambda broker: broker.setcommission(commission=0.001, interest=0.1),
}


class Fading(ZoneFade):
    """A fade that may trade otherwise, so that nobody can know its account without a run."""


def sums_of(strategy, bars, prepare=lambda broker: None, library="backtrader", **given):
    parts = kit(library)
    cerebro = parts.bt.Cerebro(stdstats=False)
    cerebro.adddata(parts.lz.CandleFeed(dataname=bars))
    cerebro.broker.setcash(3333.0)
    cerebro.broker.setcommission(commission=0.0007, leverage=5.0)
    prepare(cerebro.broker)
    cerebro.addstrategy(strategy, zone_params=PARAMS, **given)
    cerebro.addanalyzer(parts.lz.ZoneReport, placebo_runs=3)
    return cerebro.run()[0].analyzers.zonereport.get_analysis()["placebo"]


@pytest.fixture
def reruns(monkeypatch):
    """The seeds of runs without cerebro."""
    seeds, rerun = [], analyzers._rerun

    def noting(strategy, placebos, seed):
        seeds.append(seed)
        return rerun(strategy, placebos, seed)

    monkeypatch.setattr(analyzers, "_rerun", noting)
    return seeds


@pytest.mark.parametrize("given", [{}, {"entry_bars": 0, "risk_share": 0.3, "stop_atr": 0.5, "allow_short": False}])
def test_a_strategy_with_an_account_is_run_without_cerebro_to_the_same_sums(given, reruns):
    bars = series(700, seed=7)
    sums = sums_of(ZoneFade, bars, **given)
    assert reruns == [0, 1, 2]
    assert sums == sums_of(Fading, bars, **given)
    assert reruns == [0, 1, 2]
    assert all(one["trades"] > 5 for one in sums)


@pytest.mark.parametrize("setting", SPECIAL)
def test_another_broker_is_run_by_cerebro(setting, reruns):
    sums_of(ZoneFade, series(250, seed=7), SPECIAL[setting])
    assert reruns == []


def test_bars_without_prices_are_run_by_cerebro(reruns):
    bars = series(250, seed=7)
    for name in ("open", "high", "low", "close", "volume", "open_interest"):
        bars[name][200] = np.nan
    sums_of(ZoneFade, bars)
    assert reruns == []


class Opening(bt.Strategy):
    """Trades each fade at the open, by the sizer, and holds for a while; finds its feed by its name."""

    params = (("zone_params", None), ("hold", 2))

    def __init__(self):
        self.btc = self.getdatabyname("BTC")
        self.zones = LiquidationZones(self.btc, zone_params=self.p.zone_params)
        self.since = 0

    def next_open(self):
        if self.position and len(self.btc) >= self.since + self.p.hold:
            self.close(coo=False)
        elif self.zones.fade[0] and not self.position:
            (self.buy if self.zones.fade[0] > 0 else self.sell)(coo=False)
            self.since = len(self.btc)


def opened(bars, params, placebo_runs=0, mode="runonce, preload", **changes):
    """A run of Opening in settings that all differ from the defaults; ``changes`` to them."""
    given = {"cash": 5_000.0, "slip": 0.001, "commission": 0.002, "hold": 5, "share": 3.0, "coo": True} | changes
    cerebro = bt.Cerebro(stdstats=False, cheat_on_open=given["coo"], **MODES[mode])
    cerebro.adddata(CandleFeed(dataname=bars), name="BTC")
    cerebro.broker.setcash(given["cash"])
    cerebro.broker.set_slippage_perc(given["slip"])
    cerebro.broker.setcommission(commission=given["commission"], leverage=10.0, name="BTC")
    cerebro.addstrategy(Opening, zone_params=params, hold=given["hold"])
    cerebro.addsizer(QualitySizer, zone_params=params, share=given["share"])
    cerebro.addanalyzer(ZoneReport, placebo_runs=placebo_runs)
    return cerebro.run()[0].analyzers.zonereport.get_analysis()


@pytest.mark.parametrize("mode", ["runonce, preload", "neither", "exactbars -2"])
def test_placebo_runs_are_made_in_the_same_settings(mode):
    bars = series(800, seed=7)
    placebo = opened(bars, PARAMS, placebo_runs=1, mode=mode)["placebo"][0]
    fakes, params = bars_with_marks(bars, placebo_marks(bars, PARAMS, 0, mode="flipped")), marks_params(PARAMS)
    expected = opened(fakes, params, mode=mode)["real"]
    assert placebo == expected
    assert placebo["trades"] > 10
    for other in ({"cash": 6e3}, {"slip": 0.002}, {"commission": 0.0}, {"hold": 2}, {"share": 2.0}, {"coo": False}):
        found = opened(fakes, params, mode=mode, **other)["real"]
        assert (found["profit"], found["total_return"]) != (expected["profit"], expected["total_return"])


@pytest.mark.parametrize("build", ["zoned", "resampled"])
def test_placebo_runs_see_the_feed_as_it_was(build):
    shown = []

    class Looking(bt.Strategy):
        params = (("zone_params", None),)

        def __init__(self):
            self.seen = []
            shown.append(self.seen)

        def next(self):
            data = self.data
            self.seen.append((data.datetime.datetime(), data.close[0], data._timeframe, data._compression))
            self.seen[-1] += (data._name, data.p.sessionstart, data.p.sessionend, *data.getlinealiases())

    cerebro = bt.Cerebro(stdstats=False)
    feed = CandleFeed(
        dataname=series(800, seed=7),
        stamp="close",
        tz=TwoHoursEast(),
        sessionend=time(17),
        fromdate=datetime(2020, 9, 15),
    )
    if build == "zoned":
        cerebro.adddata(feed, name="BTC")
    else:
        cerebro.resampledata(feed, name="BTC", timeframe=bt.TimeFrame.Minutes, compression=120)
    cerebro.addstrategy(Looking, zone_params=PARAMS)
    cerebro.addanalyzer(ZoneReport, placebo_runs=1)
    cerebro.run()
    real, placebo = shown
    assert real == placebo
    assert 300 < len(real) < 800


def test_trades_that_follow_no_zone_are_counted_elsewhere():
    class Early(bt.Strategy):
        """Buys on its second bar, long before there are zones, and now and then."""

        def next(self):
            if len(self.data) % 50 == 2:
                self.buy()
            elif len(self.data) % 50 == 9:
                self.close()

    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=series()))
    cerebro.addstrategy(Early)
    cerebro.addanalyzer(ZoneReport, placebo_runs=0, zone_params=PARAMS)
    analysis = cerebro.run()[0].analyzers.zonereport.get_analysis()
    trades = sum(zone["trades"] for zone in analysis["zones"])
    assert analysis["elsewhere"]["trades"] + trades == LENGTH // 50
    profit = analysis["elsewhere"]["profit"] + sum(zone["profit"] for zone in analysis["zones"])
    assert analysis["real"]["total_return"] == pytest.approx(profit / 10_000.0, rel=1e-9)


def test_the_report_is_the_same_on_another_library():
    found = []
    for name in ("backtrader", "backtrader_next"):
        parts = kit(name)
        cerebro = parts.bt.Cerebro(stdstats=False)
        cerebro.adddata(parts.lz.CandleFeed(dataname=series(800, seed=7)))
        cerebro.broker.setcommission(commission=0.0004, leverage=10.0)
        cerebro.addstrategy(for_module(parts.bt).ZoneFade, zone_params=PARAMS)
        cerebro.addanalyzer(parts.lz.ZoneReport, _name="report", placebo_runs=1)
        found.append(cerebro.run()[0].analyzers.report.get_analysis())
    assert found[0]["real"]["trades"] > 20
    assert found[0] == found[1]


def test_wrong_reports_are_refused():
    with pytest.raises(ValueError, match="exactbars=1 keeps too few"):
        reported(mode="exactbars 1", placebo_runs=0)
    with pytest.raises(TypeError, match="ZoneReport has no parameter 'runs'"):
        reported(runs=3)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.replaydata(CandleFeed(dataname=series()), timeframe=bt.TimeFrame.Minutes, compression=120)
    cerebro.addstrategy(Opening)
    cerebro.datasbyname["BTC"] = cerebro.datas[0]
    cerebro.addanalyzer(ZoneReport)
    with pytest.raises(ValueError, match="placebo_runs need closed bars"):
        cerebro.run()
    for strategy, feeds, text in ((bt.Strategy, 1, "takes zone_params, Strategy does not"), (ZoneFade, 2, "has 2")):
        cerebro = bt.Cerebro(stdstats=False)
        for _ in range(feeds):
            cerebro.adddata(CandleFeed(dataname=series()))
        cerebro.addstrategy(strategy)
        cerebro.addanalyzer(ZoneReport)
        with pytest.raises((TypeError, ValueError), match=text):
            cerebro.run()


# Optimisation -----------------------------------------------------------------------------------------------------


# backtrader's own, on Python 3.12 and later
FORKED = pytest.mark.filterwarnings(
    "ignore:.*multi-threaded, use of fork", "ignore:Pickle, copy, and deepcopy support will be"
)


@FORKED
@pytest.mark.parametrize("optreturn", [True, False])
@pytest.mark.parametrize("feed", [CandleFeed, lean_feed])
def test_optimisation_in_two_processes(feed, optreturn):
    """With ``optreturn=False`` whole strategies come back, with their feeds."""
    bars = observed(600)
    choices = [20, 25, 30, 40]
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2, optreturn=optreturn)
    cerebro.adddata(feed(dataname=bars))
    cerebro.broker.setcommission(leverage=10.0)
    cerebro.optstrategy(ZoneFade, zone_params=[PARAMS], zone_bars=choices)
    cerebro.addanalyzer(ZoneReport, _name="report", placebo_runs=1)
    found = [one.analyzers.report.get_analysis() for (one,) in cerebro.run()]
    assert len(found) == 4
    for zone_bars, analysis in zip(choices, found, strict=True):
        params = dataclasses.replace(PARAMS, zone_bars=zone_bars)
        alone = run_fade(bars, params, commission=0.0)
        assert analysis["real"]["total_return"] == alone.total_return
        assert analysis["real"]["trades"] == len(alone.trades) > 5
        fakes = bars_with_marks(bars, placebo_marks(bars, params, 0, mode="flipped"))
        assert (
            analysis["placebo"][0]["total_return"] == run_fade(fakes, marks_params(params), commission=0.0).total_return
        )
    assert len({analysis["real"]["total_return"] for analysis in found}) > 1


SPAWNED = """
import multiprocessing
import backtrader as bt
from backtrader_runs import PARAMS, observed
from liquidator_integrations.for_backtrader import lean_feed
from liquidator_strategies.for_backtrader import ZoneFade

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    cerebro = bt.Cerebro(stdstats=False, maxcpus=2)
    cerebro.adddata(lean_feed(observed(600)))
    cerebro.optstrategy(ZoneFade, zone_params=[PARAMS], zone_bars=[20, 30])
    print([one.p.zone_bars for (one,) in cerebro.run()])
"""


@pytest.mark.slow
def test_optimisation_in_processes_that_are_spawned(tmp_path):
    """They import what they are sent; one that could not would be made anew for ever."""
    (tmp_path / "spawned.py").write_text(SPAWNED, encoding="utf-8")
    paths = {"PYTHONPATH": str(ROOT / "tests" / "helpers")}
    done = subprocess.run(
        [sys.executable, tmp_path / "spawned.py"],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env=os.environ | paths,
    )
    assert (done.returncode, done.stdout) == (0, "[20, 30]\n"), done.stderr


def test_a_lean_class_is_found_by_its_name():
    from liquidator_integrations.for_backtrader import feeds

    feed = lean_feed(observed(100))
    assert getattr(feeds, type(feed).__name__) is type(feed)
    for name in ("_LeanFeed__close", "_LeanFed__taker_buy"):
        with pytest.raises(AttributeError, match=f"has no attribute '{name}'"):
            getattr(feeds, name)


class Everything(bt.Strategy):
    """Of a module, so that a process can send it."""

    params = (("zone_bars", 30),)

    def __init__(self):
        makers = (LiquidationZones, LiquidationLevels, ForcedFlow, LiquidationSignal)
        given = {"zone_params": PARAMS, "zone_bars": self.p.zone_bars}
        self.made = [make(self.data, **given) for make in makers]
        self.made.append(ZoneAlignment(*self.datas, **given))


@FORKED
@pytest.mark.parametrize("mode", ["runonce, preload", "preload"])
def test_strategies_come_back_whole_from_two_processes(mode):
    """With ``optreturn=False``, as those of backtrader's own indicators do."""
    found = []
    for cpus in (2, 1):
        cerebro = bt.Cerebro(stdstats=False, maxcpus=cpus, optreturn=False, **MODES[mode])
        cerebro.adddata(CandleFeed(dataname=series(), stamp="close"))
        cerebro.resampledata(cerebro.datas[0], timeframe=bt.TimeFrame.Minutes, compression=120)
        cerebro.addobserver(ZoneMap, zone_params=PARAMS)
        cerebro.optstrategy(Everything, zone_bars=[20, 30])
        found.append(cerebro.run())
    for (here,), (there,) in zip(*found, strict=True):
        for one, other in zip(here.made, there.made, strict=True):
            for line, same in zip(one.lines, other.lines, strict=True):
                np.testing.assert_array_equal(line.array, same.array)
            assert np.isfinite(one.lines[0].array).any()


def test_a_signal_and_a_sizer_need_no_strategy():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=series(800, seed=7)))
    cerebro.add_signal(bt.SIGNAL_LONGSHORT, LiquidationSignal, zone_params=PARAMS)
    cerebro.addsizer(QualitySizer, zone_params=PARAMS)
    cerebro.run()
    sizes = {order.created.size for order in cerebro.broker.orders}
    assert len(sizes) > 20
