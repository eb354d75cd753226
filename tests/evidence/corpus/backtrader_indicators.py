"""backtrader indicators, lying and honest."""

from __future__ import annotations

from array import array

import backtrader as bt
import numpy as np

from .register import honest, lies


@lies("look-ahead", "ahead", ahead=1)
class ReadsTheNextBar(bt.Indicator):
    lines = ("mean", "ahead")

    def __init__(self):
        self.lines.mean = bt.ind.SMA(self.data, period=5)

    def next(self):
        last = len(self.data) == self.data.buflen()
        self.lines.ahead[0] = self.data.close[0 if last else 1]


@lies("look-ahead", "pivot", ahead=3)
class WritesBackwards(bt.Indicator):
    lines = ("pivot",)

    def next(self):
        self.lines.pivot[0] = 0.0
        if len(self) > 6 and self.data.high[-3] == max(self.data.high.get(ago=0, size=7)):
            self.lines.pivot[-3] = 1.0


@lies("look-ahead", "best", ahead=4)
class LooksAtTheArray(bt.Indicator):
    lines = ("best",)

    def next(self):
        pass

    def once(self, start, end):
        close = self.data.close.array
        for i in range(start, end):
            self.lines.best.array[i] = max(close[i : i + 5])


@lies("repaint", "scaled")
class ScalesByAll(bt.Indicator):
    lines = ("scaled",)

    def next(self):
        pass

    def once(self, start, end):
        close = np.array(self.data.close.array)
        self.lines.scaled.array[start:end] = array("d", (close / close.mean())[start:end])


@lies("history", "total")
class SumsUp(bt.Indicator):
    lines = ("total",)

    def __init__(self):
        self.lines.total = bt.ind.Accum(self.data.volume)


@lies("unstable", "noise")
class Throws(bt.Indicator):
    lines = ("noise",)

    def next(self):
        self.lines.noise[0] = np.random.default_rng().normal()


@honest
class Averages(bt.Indicator):
    lines = ("exponential", "strength", "true_range")

    def __init__(self):
        self.lines.exponential = bt.ind.EMA(self.data, period=12)
        self.lines.strength = bt.ind.RSI(self.data, period=5)
        self.lines.true_range = bt.ind.ATR(self.data, period=5)


@honest
class DelayedPivot(bt.Indicator):
    lines = ("pivot",)

    def __init__(self):
        self.addminperiod(7)

    def next(self):
        self.lines.pivot[0] = float(self.data.high[-3] == max(self.data.high.get(ago=0, size=7)))


@honest
class KeepsState(bt.Indicator):
    """What it keeps is forgotten after 20 bars, and it writes its last line twice."""

    lines = ("highest", "since")

    def __init__(self):
        self.seen = []

    def next(self):
        self.seen = [*self.seen, self.data.high[0]][-20:]
        self.lines.highest[0] = 0.0
        self.lines.highest[0] = max(self.seen)
        self.lines.since[0] = len(self.seen) - 1 - int(np.argmax(self.seen))
