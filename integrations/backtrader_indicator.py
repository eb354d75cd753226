"""backtrader: zones as an indicator, candles as a feed. The one adapter that imports it.

class Fade(bt.Strategy):
    def __init__(self):
        self.zones = LiquidationZones(self.data)

    def next(self):
        if self.zones.fade[0] > 0 and not self.position:
            self.buy()

cerebro = bt.Cerebro()
cerebro.adddata(CandleFeed(dataname=bars))
cerebro.addstrategy(Fade)
"""

from __future__ import annotations

import struct
from array import array
from functools import cache
from typing import Any, ClassVar

import numpy as np

from liquidator_core import BAR, SIGNAL, Params, fold, new_signals, new_state, step
from liquidator_core.state import copy_state

try:
    import backtrader as bt
except ImportError as error:
    raise ImportError('this needs backtrader: pip install "liquidator-core[backtrader]"') from error

__all__ = ["CandleFeed", "LiquidationZones", "bt", "days_of", "lean_feed", "ms_of"]

DAY_MS = 86_400_000
EPOCH = 719_163  # 1970-01-01 in backtrader's days
NAN = float("nan")

#: Lines of a feed that hold a BAR field under another name.
RENAMED = {"open_interest": "openinterest"}
STANDARD = ("open", "high", "low", "close", "volume", "open_interest")
#: BAR fields beyond those of every feed; backtrader's resampling and replaying lose them.
EXTRA = tuple(name for name in BAR.names if name not in ("time", *STANDARD))

LINES = (
    "support",
    "support_low",
    "support_high",
    "resistance",
    "resistance_low",
    "resistance_high",
    "touch",
    "broke",
    "fade",
    "join",
    "exit_long",
    "exit_short",
)

_CODE = {"i": "q", "f": "d"}
_BAR = struct.Struct("=" + "".join(_CODE[BAR[name].kind] for name in BAR.names))
_SIGNAL = struct.Struct("=" + "".join(_CODE[SIGNAL[name].kind] if name in LINES else "8x" for name in SIGNAL.names))


def days_of(time: np.ndarray) -> np.ndarray:
    """backtrader's days from ms, equal to the last bit to ``bt.date2num`` of the same time.

    Feeds are put in step by comparing these floats: whole days and the rest are converted apart, because a sum of
    one rounded number of days would differ on some bars.
    """
    days, rest = np.divmod(time, DAY_MS)
    return (days + EPOCH) + rest / DAY_MS


def ms_of(days: float) -> int:
    """The nearest ms to backtrader's days; 0 for a bar without a time."""
    return round((days - EPOCH) * DAY_MS) if days == days else 0


class _Engine:
    """The core's state for one feed whose last bar may still change.

    ``base`` is the state before ``rows``; the first ``count`` of these were stepped and all but the last are final.
    A bar that changes is taken back by starting again from ``base``: that costs a copy of the state when it happens,
    and one in ``KEPT`` bars otherwise, instead of one on every bar.
    """

    KEPT = 64

    def __init__(self, params: Params) -> None:
        self.params = params.to_record()
        self.state = new_state(self.params)
        self.base = copy_state(self.state)
        self.rows = np.zeros(self.KEPT, BAR)
        self.outs = new_signals(self.KEPT)
        self.out = new_signals(1)
        self.count = 0
        self._bytes = memoryview(self.rows.view("u1"))
        self._copies = self.base.view("u1"), self.state.view("u1")

    def append(self, bar: bytes) -> None:
        """Step a new bar; the one before it is final."""
        if self.count == self.KEPT:
            self._rebase()
        self._step(bar)

    def replace(self, bar: bytes) -> None:
        """Step the last bar anew, with other values."""
        base, state = self._copies
        state[:] = base
        final = self.count - 1
        if final:
            fold(self.state, self.params, self.rows[:final], self.outs[:final])
            self._rebase()
        self.count = 0
        self._step(bar)

    def _rebase(self) -> None:
        base, state = self._copies
        base[:] = state
        self.count = 0

    def _step(self, bar: bytes) -> None:
        at = self.count
        self._bytes[at * _BAR.size : (at + 1) * _BAR.size] = bar
        step(self.state, self.params, self.rows[at : at + 1], self.out)
        self.count = at + 1


class LiquidationZones(bt.Indicator):
    """The nearest liquidation zones, what price does at them, and the entries and exits that follow.

    A liquidation zone lies where leveraged positions were closed by force. Lines, known at the bar's close:

      - ``support``, ``support_low``, ``support_high``: price and edges of the nearest zone at or below the close
      - ``resistance``, ``resistance_low``, ``resistance_high``: those of the nearest zone above it
      - ``touch``: +1 a support was touched, -1 a resistance
      - ``broke``: -1 a zone was broken downwards, +1 upwards
      - ``fade``: +1 buy at the next open, a support was touched and held the close; -1 sell, mirrored
      - ``join``: +1, -1 a broken zone was touched from its far side for the first time
      - ``exit_long``: 1 the nearest resistance was touched; ``exit_short``: 1 the nearest support was

    Params:

      - ``zone_params`` (default: ``None``): a ``liquidator_core.Params``; ``None`` means its defaults

    Formula:

      - forced flow of a bar = observed (``liq_long_usd``, ...), else positions of past bars whose liquidation price
        the bar reached
      - event: flow > event_mult * mean(flow before) and flow >= event_share * mean(turnover before)
      - mark: an event's price +- zone_atr * ATR; zone: marks whose bands overlap

    Inputs are open, high, low, close, volume and openinterest (0 means unknown), and any of liq_long_usd,
    liq_long_price, liq_short_usd, liq_short_price that the feed has a line for; lines named like the other fields of
    BAR are handed to the core too, which makes no use of them yet. backtrader carries only the standard ones through
    resampling and replaying, so the others are not read there. Lines are NaN until ``Params.memory`` bars were seen. A
    bar without usable prices is skipped and counted in ``skipped``.

    A bar may come any number of times, also with other values (replaying, live feeds, feeds slower than the
    master): it counts once, as it was last.

    Limit: with ``exactbars=1`` backtrader itself fails on feeds that do not tick together.

    See also:
      - docs/formula.md
    """

    alias = ("LiqZones",)
    lines = LINES
    params = (("zone_params", None),)

    plotinfo: ClassVar[dict[str, Any]] = {"subplot": False, "plotlinelabels": True}
    plotlines: ClassVar[dict[str, Any]] = {
        "support": {"color": "green", "ls": "--"},
        "support_low": {
            "_name": "_support_low",  # the underscore keeps it out of the legend
            "color": "green",
            "alpha": 0.0,
            "_fill_lt": ("support_high", ("green", 0.25)),
            "_plotvalue": False,
            "_plotvaluetag": False,
        },
        "support_high": {"_plotskip": True},
        "resistance": {"color": "red", "ls": "--"},
        "resistance_low": {
            "_name": "_resistance_low",  # the underscore keeps it out of the legend
            "color": "red",
            "alpha": 0.0,
            "_fill_lt": ("resistance_high", ("red", 0.25)),
            "_plotvalue": False,
            "_plotvaluetag": False,
        },
        "resistance_high": {"_plotskip": True},
        "touch": {"_plotskip": True},
        "broke": {"_plotskip": True},
        "fade": {"_plotskip": True},
        "join": {"_plotskip": True},
        "exit_long": {"_plotskip": True},
        "exit_short": {"_plotskip": True},
    }

    BLOCK = 65_536  # bars that are copied at a time in once()

    def _plotlabel(self) -> list[Any]:
        return [f"{self._params.memory} bars"]

    def __init__(self) -> None:
        super().__init__()
        self._params = Params() if self.p.zone_params is None else self.p.zone_params
        if not isinstance(self._params, Params):
            raise TypeError(f"zone_params must be liquidator_core.Params, got {type(self._params).__name__}")
        self._engine = _Engine(self._params)
        self._inputs = self._find_inputs()
        self._seen = 0
        self._bar = b""
        self._outputs = [getattr(self.lines, name) for name in LINES]
        self.addminperiod(self._params.memory)

    def _find_inputs(self) -> list[Any]:
        """The feed's line of each BAR field, time first; None where it has no such line."""
        data = self.data
        known = data.getlinealiases()
        for name in ("datetime", "open", "high", "low", "close"):
            if name not in known:
                raise TypeError(
                    f"LiquidationZones needs a data feed with open, high, low and close, got {type(data).__name__} "
                    f"without {name}: pass self.data, not one of its lines"
                )
        rebuilt = getattr(data, "resampling", 0) or getattr(data, "replaying", 0)
        names = [name for name in BAR.names[1:] if name in STANDARD or not rebuilt]
        lines = {name: getattr(data.lines, RENAMED.get(name, name), None) for name in names}
        return [data.lines.datetime, *(lines.get(name) for name in BAR.names[1:])]

    @property
    def skipped(self) -> int:
        """Bars without usable prices so far; of the whole feed when cerebro runs with ``runonce``."""
        return int(self._engine.state["skipped"][0])

    def _take(self) -> bool:
        """Feed the state; False if this very bar was seen before."""
        length = len(self.data)
        if length == self._seen:
            bar = self._read(0)
            if bar == self._bar:
                return False
            self._engine.replace(bar)
            self._bar = bar
            return True
        for ago in range(self._seen + 1 - length, 1):
            self._bar = self._read(ago)
            self._engine.append(self._bar)
        self._seen = length
        return True

    def _read(self, ago: int) -> bytes:
        time, *values = [NAN if line is None else line[ago] for line in self._inputs]
        return _BAR.pack(ms_of(time), *values)

    def prenext(self) -> None:
        self._take()

    def next(self) -> None:
        if self._take():
            for line, value in zip(self._outputs, _SIGNAL.unpack_from(self._engine.out), strict=True):
                line[0] = value

    def preonce(self, start: int, end: int) -> None:
        pass  # once() goes through all bars

    def oncestart(self, start: int, end: int) -> None:
        pass  # likewise

    def once(self, start: int, end: int) -> None:
        if end <= 0:
            return
        sources = [None if line is None else np.frombuffer(line.array)[:end] for line in self._inputs]
        targets = [np.frombuffer(line.array) for line in self._outputs]
        bars = np.zeros(min(end, self.BLOCK), BAR)
        for name, source in zip(BAR.names, sources, strict=True):
            if source is None:
                bars[name] = np.nan
        out = new_signals(len(bars))
        for first in range(0, end, self.BLOCK):
            last = min(first + self.BLOCK, end)
            size = last - first
            days = np.nan_to_num(sources[0][first:last] - EPOCH)
            bars["time"][:size] = np.rint(days * DAY_MS)
            for name, source in zip(BAR.names[1:], sources[1:], strict=True):
                if source is not None:
                    bars[name][:size] = source[first:last]
            fold(self._engine.state, self._engine.params, bars[:size], out[:size])
            write = max(first, start - 1)
            for name, target in zip(LINES, targets, strict=True):
                target[write:last] = out[name][write - first : size]


class _BarFeed(bt.feed.DataBase):
    """What CandleFeed is, with the standard lines only."""

    params = (("timeframe", None), ("compression", None))

    def __init__(self) -> None:
        super().__init__()
        bars = self.p.dataname
        if not isinstance(bars, np.ndarray) or bars.dtype != BAR or bars.ndim != 1:
            raise TypeError(f"dataname must be a BAR array (n,), got {_describe(bars)}: see frames.bars_from_frame")
        steps = np.diff(bars["time"])
        if (steps <= 0).any():
            row = int(np.argmax(steps <= 0)) + 1
            raise ValueError(
                f"dataname: times must increase, row {row} has {bars['time'][row]} after {bars['time'][row - 1]}"
            )
        self._bars = bars
        self._row = 0
        if self.p.timeframe is None:
            self.p.timeframe, compression = _spacing(steps)
            self.p.compression = self.p.compression or compression
        self.p.compression = self.p.compression or 1

    def start(self) -> None:
        super().start()
        self._row = 0
        columns = {RENAMED.get(name, name): self._bars[name] for name in BAR.names[1:]}
        columns["datetime"] = days_of(self._bars["time"])
        self._columns = [(getattr(self.lines, name), columns[name]) for name in self.getlinealiases()]
        self._cells = [(line, memoryview(column)) for line, column in self._columns]

    def preload(self) -> None:
        if self._is_rewritten():
            super().preload()
            return
        for line, column in self._columns:
            line.array = array("d", column.tobytes())
        self._row = len(self._bars)  # or each bar would come twice where cerebro goes on to ask _load()
        self.home()

    def _is_rewritten(self) -> bool:
        dates = self.p.fromdate, self.p.todate, self.p.tzinput
        return bool(self._filters or self.lines.datetime.extension or any(date is not None for date in dates))

    def _load(self) -> bool:
        row = self._row
        if row == len(self._bars):
            return False
        for line, cells in self._cells:
            line[0] = cells[row]
        self._row = row + 1
        return True


class CandleFeed(_BarFeed):
    """A feed of the bars of a ``liquidator_core.BAR`` array, with a line for each of its fields.

    Params:

      - ``dataname``: the BAR array, oldest first (``liquidator_integrations.frames.bars_from_frame`` makes one)
      - ``timeframe``, ``compression`` (default: ``None``): found from the spacing of the bars

    Lines beyond the standard ones: taker_buy, funding_rate, liq_long_usd, liq_long_price, liq_short_usd,
    liq_short_price, large_sell_usd, large_sell_price, large_buy_usd, large_buy_price. open_interest is in the line
    openinterest. NaN is unknown.

    When cerebro preloads, columns are copied whole; with filters, fromdate, todate or tzinput, which rewrite or drop
    bars, they are loaded one by one.

    Bars are stamped with the time of their open. backtrader's resampling takes stamps for closing times: to resample,
    add the bar's length to ``time`` first.
    """

    lines = EXTRA


def lean_feed(bars: np.ndarray) -> bt.feed.DataBase:
    """A CandleFeed without the lines of which the bars know nothing: every line costs cerebro about 0.7 us a bar."""
    known = tuple(name for name in EXTRA if not np.isnan(bars[name]).all())
    return _lean_class(known)(dataname=bars)


@cache
def _lean_class(known: tuple[str, ...]) -> type[_BarFeed]:
    return type("_LeanFeed", (_BarFeed,), {"lines": known, "__module__": __name__})


def _describe(bars: Any) -> str:
    return f"an array of {bars.dtype}, shape {bars.shape}" if isinstance(bars, np.ndarray) else type(bars).__name__


def _spacing(steps: np.ndarray) -> tuple[int, int]:
    """(timeframe, compression) of the usual step between bars."""
    step_ms = int(np.median(steps)) if len(steps) else DAY_MS
    lengths = {bt.TimeFrame.Weeks: 7 * DAY_MS, bt.TimeFrame.Days: DAY_MS, bt.TimeFrame.Minutes: 60_000}
    for timeframe, length in lengths.items():
        if step_ms % length == 0:
            return timeframe, step_ms // length
    return bt.TimeFrame.MicroSeconds, 1000 * step_ms
