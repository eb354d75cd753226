"""The core behind one backtrader feed: which lines it reads, and how a bar that changes is taken back."""

from __future__ import annotations

import logging
import struct
import warnings
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

from liquidator_core import BAR, Params, fold, new_signals, new_state, step
from liquidator_core._suggest import suggestion
from liquidator_core.bars import mend_noise
from liquidator_core.state import copy_state

_LOG = logging.getLogger("liquidator")

DAY_MS = 86_400_000
EPOCH = 719_163  # 1970-01-01 in backtrader's days
NAN = float("nan")
BLOCK = 4096  # bars that are copied at a time when a whole feed is read: these and their signals stay in the cache

FIELDS = BAR.names or ()
#: Lines of a feed that hold a BAR field under another name.
RENAMED = {"open_interest": "openinterest"}
STANDARD = ("open", "high", "low", "close", "volume", "open_interest")
#: BAR fields beyond those of every feed; backtrader's resampling and replaying lose them.
EXTRA = tuple(name for name in FIELDS if name not in ("time", *STANDARD))

#: What an indicator takes as parameters: a Params whole, or any of its fields.
ZONE_PARAMS = (("zone_params", None), *((spec.name, None) for spec in fields(Params)))

FORMATS = {"i": "q", "f": "d"}
_BAR = struct.Struct("=" + "".join(FORMATS[BAR[name].kind] for name in FIELDS))


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


def refuse_unknown(owner: Any, unknown: dict[str, Any]) -> None:
    """A TypeError, with the nearest name, for the first keyword argument that is no parameter of ``owner``.

    >>> import backtrader as bt
    >>> class Mine(bt.Strategy):
    ...     params = (("share", 0.5),)
    ...     def __init__(self, **unknown):
    ...         refuse_unknown(self, unknown)
    >>> cerebro = bt.Cerebro()
    >>> feed = cerebro.adddata(CandleFeed(dataname=bars))
    >>> _ = cerebro.addstrategy(Mine, shares=0.1)
    >>> cerebro.run()
    Traceback (most recent call last):
        ...
    TypeError: Mine has no parameter 'shares': did you mean 'share'?
    """
    known = owner.params._getkeys()
    for name in unknown:
        hint = suggestion(name, known) or f"; known are {', '.join(known)}"
        raise TypeError(f"{type(owner).__name__} has no parameter {name!r}{hint}")


def params_of(given: Any, but: str = "") -> Params:
    """The Params of an object's ``zone_params``, or of a dict of fields there, with those that were given apart.

    ``but`` is a field that is not: the object means something else by that name.

    >>> from types import SimpleNamespace
    >>> given = SimpleNamespace(zone_params=Params(zone_bars=96), flow_bars=48)
    >>> params_of(given).zone_bars, params_of(given).flow_bars
    (96, 48)
    """
    base = Params() if given.zone_params is None else given.zone_params
    if isinstance(base, Mapping):
        base = Params.from_dict(base)
    if not isinstance(base, Params):
        hint = ": optstrategy goes through a dict, so put it into a list" if isinstance(base, str) else ""
        raise TypeError(f"zone_params must be liquidator_core.Params, or a dict of its fields, got {base!r:.80}{hint}")
    changes = {
        name: value for name, _ in ZONE_PARAMS[1:] if name != but and (value := getattr(given, name, None)) is not None
    }
    return replace(base, **changes) if changes else base


def inputs_of(data: Any, reader: str) -> list[Any]:
    """The feed's line of each BAR field, time first; None where it has no such line."""
    known = data.getlinealiases()
    for name in ("datetime", "open", "high", "low", "close", "volume"):
        if name not in known:
            hint = "pass self.data, not one of its lines" if name != "volume" else "zones are made of traded volume"
            raise TypeError(
                f"{reader} needs a data feed with open, high, low, close and volume, got {type(data).__name__} "
                f"without {name}: {hint}"
            )
    rebuilt = getattr(data, "resampling", 0) or getattr(data, "replaying", 0)
    names = [name for name in FIELDS[1:] if name in STANDARD or not rebuilt]
    lines = {name: getattr(data.lines, RENAMED.get(name, name), None) for name in names}
    return [data.lines.datetime, *(lines.get(name) for name in FIELDS[1:])]


def _mended(bars: np.ndarray) -> np.ndarray:
    """The same (n,) BAR, its highs and lows freed from noise in place."""
    bars["high"], bars["low"] = mend_noise(*(bars[name] for name in ("open", "high", "low", "close")))
    return bars


def faded_zone(zones: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Of (n,) ZONE the one that a bar's fade speaks of, (1,): it has the edges that the signal names; else (0,).

    Marks that went with the bar, or came, may have left other zones there: of these the one with the most USD.
    """
    low, high = signal["fade_low"], signal["fade_high"]
    found = zones[(zones["low"] == low) & (zones["high"] == high)]
    if not len(found):
        found = zones[(zones["low"] <= high) & (zones["high"] >= low)]
    faded: np.ndarray = found[np.argsort(-found["usd"])[:1]]
    return faded


def _loses_bars(data: Any) -> bool:
    """Whether backtrader throws away bars of this feed that it still needs, should it not tick with the others."""
    cerebro = getattr(data, "_env", None)
    if cerebro is None or int(cerebro.p.exactbars) != 1 or data._clone:
        return False
    return sum(not other._clone for other in cerebro.datas) > 1


class Engine:
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
        self._look_in()

    def _look_in(self) -> None:
        """The arrays as bytes, which are copied faster."""
        self._bytes = self.rows.view("u1").data
        self._copies = self.base.view("u1"), self.state.view("u1")

    def __getstate__(self) -> dict[str, Any]:
        """Without the views: they cannot be pickled, as strategies are that come back from another process."""
        return {name: value for name, value in vars(self).items() if name not in ("_bytes", "_copies")}

    def __setstate__(self, kept: dict[str, Any]) -> None:
        vars(self).update(kept)
        self._look_in()

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


class Follower:
    """An Engine that follows one feed, in whatever way cerebro delivers its bars.

    A bar may come any number of times, also with other values (replaying, live feeds, feeds slower than the master):
    it counts once, as it was last.
    """

    def __init__(self, data: Any, params: Params, reader: str) -> None:
        self.data = data
        self.params = params
        self.reader = reader
        self.inputs = inputs_of(data, reader)
        self.engine = Engine(params)
        self._seen = 0
        self._bar = b""
        self._finished = False
        self._lossy = _loses_bars(data)

    @property
    def rows(self) -> int:
        """Bars seen."""
        return int(self.engine.state["rows"][0])

    @property
    def skipped(self) -> int:
        """Bars without usable prices among them."""
        return int(self.engine.state["skipped"][0])

    def take(self) -> bool:
        """Feed the state what is new; False if this very bar was seen before."""
        length = len(self.data)
        if length == self._seen:
            bar = self._read(0)
            if bar == self._bar:
                if self._lossy:
                    self._lossy = False
                    self._warn(
                        "this feed does not tick together with the others, and with exactbars=1 backtrader loses bars "
                        "of such feeds: use exactbars=-1 or -2"
                    )
                return False
            self.engine.replace(bar)
            self._bar = bar
            return True
        for ago in range(self._seen + 1 - length, 1):
            self._bar = self._read(ago)
            self.engine.append(self._bar)
        self._seen = length
        return True

    def _read(self, ago: int) -> bytes:
        time, open_, high, low, close, *rest = [NAN if line is None else line[ago] for line in self.inputs]
        if not (low <= open_ <= high and low <= close <= high):
            high, low = mend_noise(open_, high, low, close)
        return _BAR.pack(ms_of(time), open_, high, low, close, *rest)

    def read(self, first: int, last: int) -> np.ndarray:
        """Bars ``first`` up to ``last``, counted from the feed's first one, as (n,) BAR. A copy; no state changes."""
        bars = np.zeros(last - first, BAR)
        for name, line in zip(FIELDS, self.inputs, strict=True):
            if line is None:
                bars[name] = np.nan
                continue
            # no view outlives this: while there is one, backtrader's array cannot grow
            values = np.frombuffer(line.array, offset=8 * first, count=last - first) if last > first else 0.0
            bars[name] = np.rint(np.nan_to_num(values - EPOCH) * DAY_MS) if name == "time" else values
        return _mended(bars)

    def last(self, count: int) -> np.ndarray:
        """The last bars up to now, at most ``count``, as (n,) BAR. A copy; no state changes."""
        count = min(count, len(self.data))
        kept = min(line._idx + 1 for line in self.inputs if line is not None)
        if kept < count:
            raise ValueError(
                f"{self.reader} needs the last {count} bars, backtrader kept {kept}: exactbars=1 throws away what no "
                "indicator asked for"
            )
        bars = np.zeros(count, BAR)
        for name, line in zip(FIELDS, self.inputs, strict=True):
            values = np.full(count, np.nan) if line is None else np.array(line.get(size=count), np.float64)
            bars[name] = np.rint(np.nan_to_num(values - EPOCH) * DAY_MS) if name == "time" else values
        return _mended(bars)

    def fold(self, end: int) -> Any:
        """Feed the state the first ``end`` bars of a preloaded feed; yields (number of the first, signals) of blocks.

        The signals are overwritten by those of the next block.
        """
        out = new_signals(min(end, BLOCK))
        for first in range(0, end, BLOCK):
            size = min(end - first, BLOCK)
            fold(self.engine.state, self.engine.params, self.read(first, first + size), out[:size])
            yield first, out[:size]

    def finish(self) -> None:
        """Say what was wrong with the feed, once, at the end of a run."""
        if self._finished or not self.rows:
            return
        self._finished = True
        state, memory = self.engine.state, self.params.memory
        if self.rows < memory:
            self._warn(f"the feed gave {self.rows} bars, fewer than Params.memory = {memory}: no signal is known")
        elif not state["turnover"].any() and not state["flow"].any():
            self._warn("the feed has neither volume nor observed liquidations: there are no zones")
        if self._repeats():
            self._warn(
                "most bars carry the time of the bar before: give the feed the timeframe and compression of its "
                "candles, such as timeframe=bt.TimeFrame.Minutes, compression=60 (GenericCSVData takes them for days)"
            )
        if self.skipped:
            _LOG.warning("%s: %d of %d bars skipped for unusable prices", self.reader, self.skipped, self.rows)

    def _repeats(self) -> bool:
        """Whether more bars than not have the time of the one before, as intraday ones that are taken for days."""
        steps = np.diff(np.array(self.inputs[0].array))
        return bool((steps == 0.0).sum() > len(steps) / 2)

    def _warn(self, text: str) -> None:
        warnings.warn(f"{self.reader}: {text}", UserWarning, stacklevel=3)
