"""What our classes add to a run of backtrader, as ratios within one run; processor time, as a run takes seconds."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import backtrader as bt
import numpy as np
import pandas as pd
import pytest

from liquidator_integrations import sample_bars
from liquidator_integrations.for_backtrader import CandleFeed, LiquidationZones, ZoneDiagnostics, lean_feed

BARS = 100_000
ROUNDS = 7


def hourly(rows: int) -> np.ndarray:
    """The embedded sample over and over, as one series in time."""
    bars = np.resize(sample_bars(), rows)
    bars["time"] = sample_bars()["time"][0] + np.arange(rows) * 3_600_000
    return bars


def seconds(make, bars: np.ndarray, **modes) -> float:
    """Processor time of a run with one indicator, made by ``make``, or with none."""

    class Strategy(bt.Strategy):
        def __init__(self):
            self.made = make and make(self.data)

    cerebro = bt.Cerebro(stdstats=False, **modes)
    cerebro.adddata(lean_feed(bars))
    cerebro.addstrategy(Strategy)
    start = time.process_time()
    cerebro.run()
    return time.process_time() - start


@pytest.mark.parametrize("way", ["once", "next"])
def test_what_an_indicator_adds(benchmark, tell, way):
    bars = hourly(BARS)
    makers = {"none": None, "ATR": bt.ind.ATR, "zones": LiquidationZones, "all fields": ZoneDiagnostics}
    modes = {"runonce": way == "once"}
    taken = {name: [] for name in makers}
    seconds(LiquidationZones, bars[:1000], **modes)
    for _ in range(ROUNDS if way == "once" else 3):
        for name, make in makers.items():
            taken[name].append(seconds(make, bars, **modes))
    benchmark.pedantic(lambda: seconds(LiquidationZones, bars, **modes), rounds=1)
    least = {name: min(times) / BARS * 1e6 for name, times in taken.items()}
    added = {name: least[name] - least["none"] for name in makers}
    ratios = ", ".join(f"{name} {added[name] / added['ATR']:.2f}" for name in ("zones", "all fields"))
    tell(f"backtrader, {way}(): a run without indicators takes {least['none']:.1f} us a bar, bt.ind.ATR adds")
    tell(f"  {added['ATR']:.1f} us; of that LiquidationZones, 7 lines, and ZoneDiagnostics, 31, add: {ratios}")


def preloading(feed) -> float:
    cerebro = bt.Cerebro()
    start = time.process_time()
    cerebro.adddata(feed())
    data = cerebro.datas[0]
    data.reset()
    data._start()
    data.preload()
    taken = time.process_time() - start
    assert data.buflen() > 1000
    return taken


def test_preloading_a_frame(benchmark, tell):
    bars = hourly(20_000)
    names = ("open", "high", "low", "close", "volume")
    frame = pd.DataFrame({name: bars[name] for name in names}, index=pd.DatetimeIndex(bars["time"].astype("M8[ms]")))
    dates = {"fromdate": frame.index[100].to_pydatetime(), "todate": frame.index[-100].to_pydatetime()}
    feeds = {
        "PandasData": lambda: bt.feeds.PandasData(dataname=frame),
        "ours": lambda: CandleFeed(dataname=frame),
        "ours, dated": lambda: CandleFeed(dataname=frame, **dates),
    }
    least = {name: min(preloading(feed) for _ in range(5)) for name, feed in feeds.items()}
    benchmark.pedantic(lambda: preloading(feeds["ours"]), rounds=3)
    stock = least["PandasData"]
    ratios = f"1/{stock / least['ours']:.0f} of that, 1/{stock / least['ours, dated']:.0f} with fromdate and todate"
    tell(f"backtrader: from a frame to preloaded lines PandasData takes {stock / len(bars) * 1e6:.1f} us a bar,")
    tell(f"  CandleFeed {ratios}")


PEAK = """
import sys
import backtrader as bt, numpy as np
from liquidator_core import warm_up
from liquidator_integrations.for_backtrader import LiquidationZones, lean_feed
from older_worker import peak_mb
from liquidator_integrations import sample_bars
class Strategy(bt.Strategy):
    def __init__(self):
        if sys.argv[1] == "zones":
            self.zones = LiquidationZones(self.data)
warm_up()
bars = np.resize(sample_bars(), 1_000_000)
bars["time"] = np.arange(len(bars)) * 3_600_000
cerebro = bt.Cerebro(stdstats=False)
cerebro.adddata(lean_feed(bars))
cerebro.addstrategy(Strategy)
cerebro.run()
print(peak_mb())
"""


def test_memory_of_a_million_bars(benchmark, tell):
    def peak(which):
        done = subprocess.run(
            [sys.executable, "-c", PEAK, which], capture_output=True, check=True, cwd=Path(__file__).parent
        )
        return float(done.stdout)

    empty = peak("none")
    zones = benchmark.pedantic(lambda: peak("zones"), rounds=1)
    lines = 7 * 8 * 1_000_000 / 2**20
    tell(f"backtrader, 1M bars: {empty:.0f} MB without indicators, and the seven lines of zones take {lines:.0f} MB;")
    tell(f"  beyond these LiquidationZones takes {zones - empty - lines:.0f} MB")
