"""Runs of backtrader, or of a library like it, for tests: bars, modes, feeds, and a strategy that takes notes."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta, tzinfo
from importlib import import_module
from types import MappingProxyType, SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_bars import AS_OBSERVED

from liquidator_core import BAR, Params, fold, new_signals, new_state, step
from liquidator_integrations.for_backtrader import for_module
from liquidator_integrations.for_backtrader.engine import EXTRA, RENAMED, days_of

HOUR = 3_600_000
START = 1_600_000_000_000 // HOUR * HOUR
PARAMS = Params(
    ledger_bars=20,
    flow_bars=10,
    zone_bars=30,
    atr_bars=5,
    outcome_bars=8,
    event_mult=1.0,
    event_share=0.001,
    **AS_OBSERVED,
)
FIELDS = BAR.names[1:]
LENGTH = 400

UTCNOW = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow")  # backtrader's, on Python 3.12 and later

MODES = {
    "runonce, preload": {"runonce": True, "preload": True},
    "runonce": {"runonce": True, "preload": False},
    "preload": {"runonce": False, "preload": True},
    "neither": {"runonce": False, "preload": False},
    "exactbars 1": {"exactbars": 1},
    "exactbars -1": {"exactbars": -1},
    "exactbars -2": {"exactbars": -2},
}


class TwoHoursEast(tzinfo):
    def utcoffset(self, dt):
        return timedelta(hours=2)

    def dst(self, dt):
        return timedelta(0)


def series(length: int = LENGTH, seed: int = 1, step_ms: int = HOUR, move: float = 0.01) -> np.ndarray:
    """A seeded random walk; open interest known, nothing else beyond the candle."""
    rng = np.random.default_rng(seed)
    bars = np.zeros(length, BAR)
    for name in FIELDS:
        bars[name] = np.nan
    close = 100.0 * np.exp(np.cumsum(rng.normal(size=length)) * move)
    opened = np.concatenate(([100.0], close[:-1])) * np.exp(0.1 * move * rng.normal(size=length))
    bars["time"] = START + step_ms * np.arange(length)
    bars["open"], bars["close"] = opened, close
    bars["high"] = np.maximum(opened, close) * np.exp(0.5 * move * np.abs(rng.normal(size=length)))
    bars["low"] = np.minimum(opened, close) * np.exp(-0.5 * move * np.abs(rng.normal(size=length)))
    bars["volume"] = rng.lognormal(size=length)
    bars["open_interest"] = 100.0 + np.cumsum(rng.uniform(-0.5, 0.5, size=length) * bars["volume"])
    return bars


def observed(length: int = LENGTH, seed: int = 2) -> np.ndarray:
    """A series whose forced flow is observed: on one bar in eight, at random prices within the bar."""
    rng = np.random.default_rng(seed)
    bars = series(length, seed)
    for side in ("long", "short"):
        hit = rng.random(length) < 1 / 8
        bars[f"liq_{side}_usd"] = np.where(hit, rng.lognormal(3.0, 1.0, size=length), 0.0)
        inside = bars["low"] + rng.random(length) * (bars["high"] - bars["low"])
        bars[f"liq_{side}_price"] = np.where(hit, inside, np.nan)
    bars["funding_rate"] = 1e-4 * rng.normal(size=length)
    bars["taker_buy"] = 0.5 * bars["volume"]
    return bars


def frame_of(bars: np.ndarray) -> pd.DataFrame:
    """What is known of bars, indexed by their times."""
    columns = {name: bars[name] for name in bars.dtype.names if not np.isnan(bars[name]).all()}
    return pd.DataFrame(columns | {"time": bars["time"].astype("M8[ms]")}).set_index("time")


def folded(bars: np.ndarray, params: Params = PARAMS) -> np.ndarray:
    record = params.to_record()
    out = new_signals(len(bars))
    fold(new_state(record), record, bars, out)
    return out


def holey() -> np.ndarray:
    bars = series(seed=4)
    for name in ("open", "high", "low", "close", "volume", "open_interest"):
        bars[name][200:203] = np.nan
    bars["close"][250] = np.nan
    bars["volume"][::7] = np.nan
    bars["open_interest"][::5] = 0.0
    bars["high"][300] = bars["low"][300] / 2
    return bars


@functools.cache
def kit(library: str = "backtrader") -> SimpleNamespace:
    """Everything that is made from a library: itself, our classes, a strategy that takes notes, and the cases."""
    bt = import_module(library)
    lz = for_module(bt)
    indicators = (lz.ZoneDiagnostics, lz.LiquidationZones, lz.LiquidationLevels, lz.ForcedFlow, lz.LiquidationSignal)

    class Witness(bt.Strategy):
        """Writes down, for each bar of each feed, the last inputs and indicator lines that a strategy could see."""

        params = (("indicators", indicators), ("zone_params", PARAMS))

        def __init__(self):
            self.zones = [
                [make(data, zone_params=self.p.zone_params) for make in self.p.indicators] for data in self.datas
            ]
            self.seen = [{} for _ in self.datas]
            self.calls = 0

        def prenext(self):
            self.next()

        def next(self):
            self.calls += 1
            for data, zones, seen in zip(self.datas, self.zones, self.seen, strict=True):
                if len(data):
                    time = bt.num2date(data.datetime[0]).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
                    inputs = [getattr(data.lines, RENAMED.get(name, name), None) for name in FIELDS]
                    inputs = [np.nan if line is None else line[0] for line in inputs]
                    outputs = [line[0] for one in zones for line in one.lines]
                    seen[len(data)] = (round(time / timedelta(milliseconds=1)), inputs, outputs)

    class Naive(bt.Indicator):
        """What not to do: a step at every call."""

        lines = lz.ZoneDiagnostics.lines._getlines()
        params = (("zone_params", None),)
        renamed = MappingProxyType({})

        def __init__(self):
            super().__init__()
            self.record = self.p.zone_params.to_record()
            self.state = new_state(self.record)
            self.addminperiod(self.p.zone_params.memory)

        def prenext(self):
            self.next(write=False)

        def next(self, write=True):
            bar, out = np.zeros(1, BAR), new_signals(1)
            for name in FIELDS:
                line = getattr(self.data.lines, RENAMED.get(name, name), None)
                bar[name] = np.nan if line is None else line[0]
            step(self.state, self.record, bar, out)
            for name in self.getlinealiases() if write else ():
                getattr(self.lines, name)[0] = out[name][0]

    class Live(bt.feed.DataBase):
        """Has nothing to say at every third call."""

        def islive(self):
            return True

        def haslivedata(self):
            return True

        def start(self):
            super().start()
            self.calls, self.row = 0, 0

        def _load(self):
            bars = self.p.dataname
            if self.row == len(bars):
                return False
            self.calls += 1
            if self.calls % 3 == 0:
                return None
            bar = bars[self.row]
            self.lines.datetime[0] = days_of(bar["time"])
            for name in ("open", "high", "low", "close", "volume"):
                self.lines[self.getlinealiases().index(name)][0] = bar[name]
            self.lines.openinterest[0] = 0.0
            self.row += 1
            return True

    def four_hours(cerebro, data, how):
        getattr(cerebro, how)(data, timeframe=bt.TimeFrame.Minutes, compression=240)

    def single(bars, feed=lz.CandleFeed, **settings):
        return lambda cerebro: cerebro.adddata(feed(dataname=bars, **settings))

    def sparser(cerebro):
        for bars in (series(), series(seed=3)[::3].copy()):
            cerebro.adddata(lz.CandleFeed(dataname=bars))

    def with_resampled(cerebro):
        data = lz.CandleFeed(dataname=series())
        cerebro.adddata(data)
        four_hours(cerebro, data, "resampledata")

    cases = {
        "single": (single(series()), 1),
        "observed": (single(observed()), 1),
        "lean": (single(observed(), lz.lean_feed), 1),
        "sparser second": (sparser, 2),
        "resampled": (lambda cerebro: four_hours(cerebro, lz.CandleFeed(dataname=observed()), "resampledata"), 1),
        "with its resampled": (with_resampled, 2),
        "replayed": (lambda cerebro: four_hours(cerebro, lz.CandleFeed(dataname=observed()), "replaydata"), 1),
        "live": (single(series(), Live, timeframe=bt.TimeFrame.Minutes), 1),
        "bad bars": (single(holey()), 1),
        "too short": (single(series(PARAMS.memory - 1)), 1),
        "just enough": (single(series(PARAMS.memory)), 1),
    }

    def run(build, mode, strategy=Witness, **params):
        cerebro = bt.Cerebro(stdstats=False, **MODES[mode])
        build(cerebro)
        cerebro.addstrategy(strategy, **params)
        return cerebro.run()[0]

    return SimpleNamespace(bt=bt, lz=lz, Witness=Witness, Naive=Naive, cases=cases, single=single, run=run)


def seen_bars(data, seen) -> np.ndarray:
    """The BAR array of what a strategy saw of one feed; other lines than the standard ones only of an unchanged one."""
    assert list(seen) == list(range(1, len(seen) + 1))
    bars = np.zeros(len(seen), BAR)
    bars["time"] = [row[0] for row in seen.values()]
    for at, name in enumerate(FIELDS):
        rebuilt = data.resampling and name in EXTRA
        bars[name] = np.nan if rebuilt else [row[1][at] for row in seen.values()]
    return bars


def compare(witness, index: int = 0, params: Params = PARAMS):
    """(rows that differ, rows of signals, the fold's signals) for one feed: every line of every indicator, exactly."""
    seen = witness.seen[index]
    expected = folded(seen_bars(witness.datas[index], seen), params)
    got = np.array([row[2] for row in seen.values()])
    names = [one.renamed.get(name, name) for one in witness.zones[index] for name in one.getlinealiases()]
    want = np.stack([expected[name].astype(float) for name in names], axis=1)
    want[: params.memory - 1] = np.nan
    same = (got == want) | (np.isnan(got) & np.isnan(want))
    return int((~same.all(axis=1)).sum()), max(0, len(seen) - params.memory + 1), expected
