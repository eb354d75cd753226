"""Indicators: any fields of SIGNAL as lines, and the alignment of several timeframes."""

from __future__ import annotations

import struct
from array import array
from functools import partial
from typing import Any, ClassVar

import numpy as np

from liquidator_core import SIGNAL, ZONE, fold, new_signals, zones_of
from liquidator_core.alignment import alignment

from ..charts.palette import RESISTANCE, SUPPORT
from .engine import FORMATS, ZONE_PARAMS, Follower, params_of, refuse_unknown
from .feeds import known_after_ms
from .library import bt

__all__ = [
    "ForcedFlow",
    "LiquidationIndicator",
    "LiquidationLevels",
    "LiquidationSignal",
    "LiquidationZones",
    "ZoneAlignment",
    "ZoneDiagnostics",
]

NAN = float("nan")
FIELDS = SIGNAL.names or ()


def _dashes(colour: str, marker: str = "_") -> dict[str, Any]:
    """How a line that jumps is drawn: a dash a bar, none between them."""
    return {"color": colour, "ls": "", "marker": marker, "markersize": 4.0}


def _band(name: str, colour: str) -> dict[str, dict[str, Any]]:
    """How a zone's three lines are drawn: a dash at its price, the space between its edges filled."""
    unseen = {"color": colour, "alpha": 0.0, "_plotvalue": False, "_plotvaluetag": False}
    return {
        name: _dashes(colour),
        # the underscores keep the edges out of the legend
        f"{name}_low": {"_name": f"_{name}_low", "_fill_lt": (f"{name}_high", (colour, 0.3)), **unseen},
        f"{name}_high": {"_plotskip": True},
    }


def cut_band(low: Any, high: Any) -> None:
    """Have the band between two lines drawn in pieces: filled through, a sliver joins each zone to the next one."""
    low.plotrange = partial(_cut, low, high)


def _cut(low: Any, high: Any, start: int, end: int) -> np.ndarray:
    lows, highs = (np.array(type(line).plotrange(line, start, end)) for line in (low, high))
    elsewhere = (lows[1:] > highs[:-1]) | (highs[1:] < lows[:-1])
    lows[1:][elsewhere] = NAN
    return lows


class LiquidationIndicator(bt.Indicator):
    """Fields of ``liquidator_core.SIGNAL`` as lines, as many as a subclass names.

    Params:

      - ``zone_params`` (default: ``None``): a ``liquidator_core.Params``; ``None`` means its defaults
      - every field of Params (default: ``None``): instead of that of ``zone_params``

    Formula:

      - forced flow of a bar = positions of past bars whose liquidation price the bar reached, in USD of the ledger's
        turnover; with ``observed="flow"`` what a feed observed (``liq_long_usd``, ...), brought to that scale
      - event: flow > event_mult * mean(flow before) and flow >= event_share * mean(turnover before)
      - mark: an event's price +- zone_atr * ATR; zone: marks whose bands overlap

    Inputs are open, high, low, close, volume and openinterest (0 means unknown), and lines named like the other fields
    of BAR (taker_buy, funding_rate, liq_long_usd, ...) where the feed has them. backtrader carries only the standard
    ones through resampling and replaying, so the others are not read there. Lines are NaN until ``Params.memory`` bars
    were seen. A bar without usable prices is skipped, counted in ``skipped`` and logged at the end of the run.

    A bar may come any number of times, also with other values (replaying, live feeds, feeds slower than the
    master): it counts once, as it was last.

    Raises TypeError for anything but a data feed, and for unknown parameters. Warns (UserWarning) at the end of a run
    when the feed was shorter than ``Params.memory``, or had neither volume nor observed liquidations; and once feeds
    turn out not to tick together under ``exactbars=1``, where backtrader loses bars.

    Cost: that of ``fold`` with ``runonce``, of ``step`` without, and with each line more; ``tests/bench`` prints it.

    See also:
      - docs/formula.md

    >>> class Touches(LiquidationIndicator):
    ...     lines = ("touch", "broke")
    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.addindicator(Touches, zone_bars=96)
    >>> found = cerebro.run()[0].getindicators()[0]
    >>> found.touch[0] in (-1, 0, 1)
    True
    """

    params = ZONE_PARAMS
    #: Lines that have another name than their field.
    renamed: ClassVar[dict[str, str]] = {}

    plotinfo: ClassVar[dict[str, Any]] = {"subplot": False, "plotlinelabels": True}

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        self._params = params_of(self.p)
        name = self._told_as()
        aliases = self.getlinealiases()
        if not aliases:
            raise TypeError(f"{name} has no lines: subclass it with some fields of SIGNAL")
        wrong = [alias for alias in aliases if self.renamed.get(alias, alias) not in FIELDS]
        if wrong:
            raise TypeError(f"{name}: lines must be fields of SIGNAL ({', '.join(FIELDS)}), got {wrong[0]!r}")
        self._follower = Follower(self.data, self._params, name)
        outputs = {self.renamed.get(alias, alias): getattr(self.lines, alias) for alias in aliases}
        self._outputs = [(field, outputs[field]) for field in FIELDS if field in outputs]
        self._lines = [line for _, line in self._outputs]
        self._ticking = self.data.lines[0]
        self._format = _format(tuple(field for field, _ in self._outputs))
        self.addminperiod(self._params.memory)

    def _told_as(self) -> str:
        """The name that messages give it."""
        return type(self).__name__

    def _plotlabel(self) -> list[Any]:
        return [f"{self._params.memory} bars"]

    @property
    def skipped(self) -> int:
        """Bars without usable prices so far; of the whole feed when cerebro runs with ``runonce``."""
        return self._follower.skipped

    def prenext(self) -> None:
        self._follower.take()

    def next(self) -> None:
        follower = self._follower
        if follower.take():
            out: Any = follower.engine.out
            for line, value in zip(self._lines, struct.unpack_from(self._format, out), strict=True):
                line[0] = value

    def preonce(self, start: int, end: int) -> None:
        pass  # once() goes through all bars

    def oncestart(self, start: int, end: int) -> None:
        pass  # likewise

    def once(self, start: int, end: int) -> None:
        targets = [(field, np.frombuffer(line.array)) for field, line in self._outputs] if end > 0 else []
        for first, signals in self._follower.fold(end):
            write = max(first, start - 1)
            last = first + len(signals)
            for field, target in targets:
                target[write:last] = signals[field][write - first :]

    # backtrader's own ways to these three take several calls a line, two of them at every bar

    def __len__(self) -> int:
        return int(self.line.lencount)

    def advance(self, size: int = 1) -> None:
        """Move on to the feed's bar, which once() has written."""
        lines = self._lines
        length = lines[0].lencount
        if length < self._ticking.lencount:
            length += size
            at = length - 1
            for line in lines:
                line._idx = at
                line.lencount = length

    def forward(self, value: float = NAN, size: int = 1) -> None:
        """Make room for bars to come."""
        if size == 1:
            self.lines.forward(value, size)
            return
        room = array("d", [value]) * size
        for line in self._lines:
            line.array.extend(room)
            line._idx += size
            line.lencount += size

    def _stage1(self) -> None:
        """backtrader's last call to an indicator when a run ends (and its first, before there is anything to tell)."""
        super()._stage1()
        if "_follower" in vars(self):
            self._follower.finish()


def _format(names: tuple[str, ...]) -> str:
    """How ``struct`` reads these fields, in the order of SIGNAL, from an array of it."""
    parts = (FORMATS[SIGNAL[name].kind] if name in names else "8x" for name in FIELDS)
    return "=" + "".join(parts)


class LiquidationZones(LiquidationIndicator):
    """The nearest liquidation zones, and where price came back to one and held.

    A liquidation zone lies where leveraged positions were closed by force. Lines, known at the bar's close:

      - ``support``, ``support_low``, ``support_high``: price and edges of the nearest zone at or below the close
      - ``resistance``, ``resistance_low``, ``resistance_high``: those of the nearest zone above it
      - ``fade``: +1 buy at the next open, a support was touched and held the close; -1 sell, mirrored

    Params, formula, inputs, warm-up and errors: see ``LiquidationIndicator``; more lines: see ``ZoneDiagnostics``.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.addindicator(LiquidationZones)
    >>> found = cerebro.run()[0].getindicators()[0]
    >>> round(found.support[0], 1), round(found.resistance[0], 1)
    (7268.2, 7330.5)
    """

    alias = ("LiqZones",)
    lines: Any = ("support", "support_low", "support_high", "resistance", "resistance_low", "resistance_high", "fade")
    plotlines: ClassVar[dict[str, Any]] = {
        **_band("support", SUPPORT),
        **_band("resistance", RESISTANCE),
        "fade": {"_plotskip": True},
    }

    def __init__(self, **unknown: Any) -> None:
        super().__init__(**unknown)
        cut_band(self.lines.support_low, self.lines.support_high)
        cut_band(self.lines.resistance_low, self.lines.resistance_high)


class LiquidationLevels(LiquidationIndicator):
    """The nearest prices at which positions of the ledger would be liquidated. Lines, known at the bar's close:

      - ``level_below``, ``level_below_usd``: price and USD (of the ledger, relative: no dollars of the market, which
        ``LiquidationRisk`` gives) of the longs' nearest level below the close
      - ``level_above``, ``level_above_usd``: those of the shorts above it

    They are good for 4 to 8 hours, and for some 5 % from the close.

    Params, inputs, warm-up and errors: see ``LiquidationIndicator``.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.addindicator(LiquidationLevels)
    >>> found = cerebro.run()[0].getindicators()[0]
    >>> found.level_below[0] < feed.close[0] < found.level_above[0]
    True
    """

    alias = ("LiqLevels",)
    lines = ("level_below", "level_below_usd", "level_above", "level_above_usd")
    plotlines: ClassVar[dict[str, Any]] = {
        "level_below": _dashes(SUPPORT, "."),
        "level_below_usd": {"_plotskip": True},
        "level_above": _dashes(RESISTANCE, "."),
        "level_above_usd": {"_plotskip": True},
    }


class ForcedFlow(LiquidationIndicator):
    """Forced flow of the bar, in USD of the ledger's turnover: implied, not dollars of the market. Lines:

      - ``long_flow_usd``: of longs
      - ``short_flow_usd``: of shorts

    Params, formula, inputs, warm-up and errors: see ``LiquidationIndicator``.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.addindicator(ForcedFlow)
    >>> found = cerebro.run()[0].getindicators()[0]
    >>> found.long_flow_usd[0] >= 0.0
    True
    """

    lines = ("long_flow_usd", "short_flow_usd")
    plotinfo: ClassVar[dict[str, Any]] = {"subplot": True, "plotlinelabels": True}
    plotlines: ClassVar[dict[str, Any]] = {
        "long_flow_usd": {"_method": "bar", "color": SUPPORT, "width": 1.0},
        "short_flow_usd": {"_method": "bar", "color": RESISTANCE, "width": 1.0},
    }


class LiquidationSignal(LiquidationIndicator):
    """One line, ``signal``: +1 buy, -1 sell, 0 nothing, for ``cerebro.add_signal`` (it is ``fade`` of SIGNAL).

    Params, formula, inputs, warm-up and errors: see ``LiquidationIndicator``.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.add_signal(bt.SIGNAL_LONGSHORT, LiquidationSignal)
    >>> bool(cerebro.run()[0].broker.getvalue() > 0.0)
    True
    """

    alias = ("LiqSignal",)
    lines = ("signal",)
    renamed: ClassVar[dict[str, str]] = {"signal": "fade"}
    plotinfo: ClassVar[dict[str, Any]] = {"subplot": True, "plotyhlines": [-1, 0, 1]}
    plotlines: ClassVar[dict[str, Any]] = {"signal": {"_method": "bar", "width": 1.0}}


class ZoneDiagnostics(LiquidationIndicator):
    """Every field of SIGNAL as a line; ``liquidator_core.layout.UNITS["SIGNAL"]`` says what each is.

    Beyond those of the other indicators: usd, quality, touches and age of the nearest zones; ``touch``, ``broke``,
    ``join``, ``exit_long``, ``exit_short``; ``atr``; the edges that ``fade`` and ``join`` speak of.

    Params, inputs, warm-up and errors: see ``LiquidationIndicator``. Not drawn.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> cerebro.addindicator(ZoneDiagnostics)
    >>> found = cerebro.run()[0].getindicators()[0]
    >>> found.support_quality[0] <= 100.0
    True
    """

    lines = FIELDS
    plotinfo: ClassVar[dict[str, Any]] = {"plot": False}


class ZoneAlignment(bt.Indicator):
    """The share of timeframes that agree on the nearest zones of the first one. Lines, known at the close of its bar:

      - ``support_alignment``: 0 to 100, the share of the other feeds with a zone that overlaps the nearest support
      - ``resistance_alignment``: that of the nearest resistance

    Each feed has zones of its own, made from its closed bars. NaN where there is no such zone, and until every feed
    gave ``Params.memory`` bars. backtrader puts feeds in step by the times of their bars, so that those of a longer
    ``CandleFeed`` have to carry the time of their close. A feed may be resampled from one of either stamp: with that of
    the open each larger bar takes the one that opens at its end for its last, and nothing is seen before it is known.

    Params: as for ``LiquidationIndicator``, for all feeds. Raises TypeError for fewer than two feeds, and ValueError
    for replayed feeds, whose last bar is unfinished, and for CandleFeeds (or what was resampled from them) whose bars
    are known sooner and later after the time that they carry, as are bars of 1 and of 4 hours that are stamped with
    their open: the longer would be seen before they closed. Warns as ``LiquidationIndicator`` does, of each feed by its
    name.

    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars, stamp="close"))
    >>> larger = cerebro.resampledata(feed, timeframe=bt.TimeFrame.Minutes, compression=240)
    >>> class Aligned(bt.Strategy):
    ...     def __init__(self):
    ...         self.alignment = ZoneAlignment(self.data0, self.data1, ledger_bars=47, flow_bars=24, zone_bars=48)
    >>> _ = cerebro.addstrategy(Aligned)
    >>> aligned = cerebro.run()[0].alignment
    >>> {value for value in aligned.support_alignment.array if value == value} <= {0.0, 100.0}
    True
    """

    _mindatas = 2
    lines: Any = ("support_alignment", "resistance_alignment")
    params = ZONE_PARAMS
    plotinfo: ClassVar[dict[str, Any]] = {"subplot": True, "plotyhlines": [0, 50, 100]}

    def __init__(self, **unknown: Any) -> None:
        refuse_unknown(self, unknown)
        super().__init__()
        if len(self.datas) < 2:
            raise TypeError(f"ZoneAlignment needs two data feeds or more, got {len(self.datas)}")
        if any(getattr(data, "replaying", 0) for data in self.datas):
            raise ValueError("ZoneAlignment needs closed bars, a replayed feed shows unfinished ones: use resampledata")
        self._params = params_of(self.p)
        readers = [f"ZoneAlignment of {data._name or f'data{at}'}" for at, data in enumerate(self.datas)]
        followers = [Follower(data, self._params, reader) for data, reader in zip(self.datas, readers, strict=True)]
        self._first, *self._others = followers
        waits = {reader: known_after_ms(data) for data, reader in zip(self.datas, readers, strict=True)}
        late = {reader: after for reader, after in waits.items() if after is not None}
        if len(set(late.values())) > 1:
            worst = max(late, key=late.__getitem__)
            raise ValueError(
                f"{worst}: its bars are known {late[worst] // 1000:,} s after the time that they carry, those of "
                'another feed sooner, so that some would be seen before they closed: make all with stamp="close"'
            )
        self._zones = [np.zeros(0, ZONE)] * len(self._others)
        self.addminperiod(self._params.memory)

    def _plotlabel(self) -> list[Any]:
        return [f"{len(self.datas)} feeds, {self._params.memory} bars"]

    def _take_others(self) -> None:
        for at, other in enumerate(self._others):
            if len(other.data) and other.take():
                self._zones[at] = zones_of(other.engine.state, other.engine.params)

    def prenext(self) -> None:
        self._first.take()
        self._take_others()

    def next(self) -> None:
        if self._first.take():
            self._take_others()
            aligned = self._aligned(self._first.engine.out)
            self.lines.support_alignment[0], self.lines.resistance_alignment[0] = aligned

    def _aligned(self, out: np.ndarray) -> tuple[float, float]:
        if any(other.rows < self._params.memory for other in self._others):
            return NAN, NAN
        low_high = [(float(out[f"{kind}_low"][0]), float(out[f"{kind}_high"][0])) for kind in ("support", "resistance")]
        support, resistance = (alignment(*edges, self._zones) for edges in low_high)
        return support, resistance

    def _stage1(self) -> None:
        """backtrader's last call to an indicator when a run ends (and its first)."""
        super()._stage1()
        if "_others" in vars(self):
            for follower in (self._first, *self._others):
                follower.finish()

    def preonce(self, start: int, end: int) -> None:
        pass  # once() goes through all bars

    def oncestart(self, start: int, end: int) -> None:
        pass  # likewise

    def once(self, start: int, end: int) -> None:
        if end <= 0:
            return
        ends = np.frombuffer(self.data.datetime.array, count=end)
        seen = [np.searchsorted(np.frombuffer(one.datetime.array), ends, side="right") for one in self.datas[1:]]
        bars = [other.read(0, int(counts[-1])) for other, counts in zip(self._others, seen, strict=True)]
        support, resistance = (np.frombuffer(line.array) for line in self.lines)
        row = 0
        for _, signals in self._first.fold(end):
            for at in range(len(signals)):
                for k, other in enumerate(self._others):
                    before, now = other.rows, int(seen[k][row])
                    if now > before:
                        engine = other.engine
                        fold(engine.state, engine.params, bars[k][before:now], new_signals(now - before))
                        self._zones[k] = zones_of(engine.state, engine.params)
                if row >= start - 1:
                    support[row], resistance[row] = self._aligned(signals[at : at + 1])
                row += 1
