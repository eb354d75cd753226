"""The main flow: one closed bar in, one signal out. Start reading here."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import ledger, levels, marks, signals, zones
from ._jit import JIT, is_writable, kernel, kernel_views, rare_kernel
from .flow import forced_flow, is_event
from .layout import BAR, BINS_PER_LOG, LONG, PARAMS, SHORT, SIGNAL, SIZES, Record, state_dtype
from .params import Params
from .rings import remember
from .state import new_signals, new_state

STATES = tuple(state_dtype(size) for size in SIZES)


@kernel
def is_good(b: Record) -> bool:
    """Whether a bar's prices can be used: finite, positive, and in order. NaN fails every comparison."""
    return bool(0.0 < b.low <= b.open <= b.high < math.inf and b.low <= b.close <= b.high)


@kernel
def _turn(place: int, length: int) -> int:
    return place + 1 if place + 1 < length else 0


@kernel
def take_places(s: Record, p: Record) -> None:
    """Move to this row's place in each ring; a counter that wraps is far cheaper than a remainder."""
    s.ledger_at = _turn(s.ledger_at, p.ledger_bars + 1)
    s.flow_at = _turn(s.flow_at, p.flow_bars)
    s.range_at = _turn(s.range_at, p.atr_bars)
    s.mark_at = _turn(s.mark_at, p.zone_bars)


@kernel
def remember_range(s: Record, p: Record, value: float) -> None:
    """What later rows' average true range is made of; nan for a skipped row."""
    old = s.true_range[s.range_at]
    s.ranges_missing += int(value != value) - int(old != old)
    remember(s.true_range, s.range_at, p.atr_bars, value)


@rare_kernel
def skip(s: Record, p: Record) -> None:
    """Let a row without usable prices pass: no range, no flow, no positions; the previous close is kept for a while."""
    s.skipped += 1
    remember_range(s, p, math.nan)
    remember_flow(s, p, 0.0, 0.0, 0.0)
    s.open_interest = math.nan
    s.close_age += 1
    if s.close_age > p.ledger_bars + p.flow_bars - p.atr_bars:
        s.close = math.nan


@kernel
def true_range(s: Record, b: Record) -> float:
    """``max(high, previous close) - min(low, previous close)``."""
    high = b.high
    low = b.low
    if s.close == s.close:
        high = max(high, s.close)
        low = min(low, s.close)
    return float(high - low)


@kernel
def remember_flow(s: Record, p: Record, long_usd: float, short_usd: float, turnover: float) -> None:
    """What later bars are compared with."""
    remember(s.flow[LONG], s.flow_at, p.flow_bars, long_usd)
    remember(s.flow[SHORT], s.flow_at, p.flow_bars, short_usd)
    remember(s.turnover, s.flow_at, p.flow_bars, turnover)


@rare_kernel
def mark_event(s: Record, p: Record, row: int, time: int, side: int, usd: float, price: float) -> bool:
    """Leave a mark where an event happened; False if the average true range is unknown or zero."""
    atr = marks.average_true_range(s, p, row)
    if not atr > 0.0:
        return False
    marks.leave_mark(s, p, row, time, side, usd, price, atr)
    return True


@kernel
def trade_positions(s: Record, p: Record, volume: float, open_interest: float) -> float:
    """Base units that a bar opened a side; what it closed voluntarily leaves the ledger.

    Without open interest every trade is taken to open. With it, ``(V + dOI) / 2`` is opened and ``(V - dOI) / 2``
    closed, so each cohort survives by ``1 - (V - dOI) / (2 OI)``, OI before the bar. A change that exceeds the volume
    is a fault of the data and is not used.
    """
    before = s.open_interest
    s.open_interest = open_interest if 0.0 < open_interest < math.inf else math.nan
    change = float(s.open_interest - before)
    if not abs(change) <= volume:
        return volume
    ledger.survive(s, p, max(0.0, 1.0 - (volume - change) / (2.0 * before)))
    return (volume + change) / 2.0


@kernel
def advance(s: Record, p: Record, b: Record, o: Record) -> None:
    """The whole flow of a bar: what is too old goes, positions are swept and opened, marks meet the bar, events leave
    marks, and the row is written. docs/formula.md says the same in words.
    """
    row = s.rows
    take_places(s, p)
    s.rows = row + 1
    signals.clear(o)
    ledger.expire(s, p)
    if marks.expire_marks(s, p):
        zones.cluster(s, p)
    if not is_good(b):
        skip(s, p)
        return

    volume = b.volume if 0.0 <= b.volume < math.inf else 0.0
    before = s.open_interest
    swept_longs = ledger.sweep(s, p, LONG, b.low)
    swept_shorts = ledger.sweep(s, p, SHORT, b.high)
    opened = trade_positions(s, p, volume, b.open_interest)
    long_usd, long_price = forced_flow(s, p, b, LONG, row, volume, opened, before, swept_longs)
    short_usd, short_price = forced_flow(s, p, b, SHORT, row, volume, opened, before, swept_shorts)
    ledger.take_profit(s, p, b.close)
    log_close = math.log(b.close) * BINS_PER_LOG
    ledger.open_cohort(s, p, b.close, log_close, opened)

    remember_range(s, p, true_range(s, b))
    changed = marks.update_marks(s, p, b, row, o)
    if long_usd > 0.0 and is_event(s, p, LONG, row, long_usd):
        changed |= mark_event(s, p, row, b.time, LONG, long_usd, long_price)
    if short_usd > 0.0 and is_event(s, p, SHORT, row, short_usd):
        changed |= mark_event(s, p, row, b.time, SHORT, short_usd, short_price)
    if changed:
        zones.cluster(s, p)
    remember_flow(s, p, long_usd, short_usd, b.close * volume)
    s.close = b.close
    s.close_age = 0

    if s.rows < p.memory:
        signals.clear(o)
        return
    o.long_flow_usd = long_usd
    o.short_flow_usd = short_usd
    o.atr = marks.average_true_range(s, p, row)
    support, resistance = zones.nearest_zones(s, b.close)
    if support >= 0:
        signals.describe_support(s, p, row, support, o)
    if resistance >= 0:
        signals.describe_resistance(s, p, row, resistance, o)
    o.level_below_usd, o.level_below = levels.nearest_level(s, p, LONG, log_close)
    o.level_above_usd, o.level_above = levels.nearest_level(s, p, SHORT, log_close)


@kernel
def fits(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray) -> bool:
    """Whether the arrays belong together and may be written to; ``_explain`` says what is wrong if not."""
    return (
        is_writable(state)
        and is_writable(out)
        and len(state) == 1
        and len(params) == 1
        and len(bars) == len(out)
        and state[0].digest == params[0].digest
    )


@kernel
def _step(state: np.ndarray, params: np.ndarray, bar: np.ndarray, out: np.ndarray) -> bool:
    if not fits(state, params, bar, out) or len(bar) != 1:
        return False
    advance(state[0], params[0], bar[0], out[0])
    return True


_compiled = False  # whether ``_step`` was, and is so for nothing but what ``_attach`` lets pass


def _compile_and_step(state: np.ndarray, params: np.ndarray, bar: np.ndarray, out: np.ndarray) -> bool:
    global _compiled
    dispatcher: Any = _step
    if _compiled:
        dispatcher.disable_compile(False)
    done = bool(_step(state, params, bar, out))
    if JIT:
        dispatcher.disable_compile()
        _compiled = True
    return done


@kernel
def _fold(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray) -> bool:
    if not fits(state, params, bars, out):
        return False
    s = state[0]
    p = params[0]
    for i in range(len(bars)):
        advance(s, p, bars[i], out[i])
    return True


def step(state: np.ndarray, params: np.ndarray, bar: np.ndarray, out: np.ndarray) -> None:
    """Advance one symbol by one closed bar.

    state   (1,) from new_state    advanced in place
    params  (1,) PARAMS            read only; ``Params(...).to_record()``
    bar     (1,) BAR               read only; unusable prices make a skipped row
    out     (1,) SIGNAL            overwritten; NaN and 0 until ``memory`` rows were delivered

    Raises TypeError and ValueError for arrays of another kind, before anything is changed.
    Cost: O(blocks of cohorts + positions closed + live marks + bins up to the first level), O(flow_bars) when something
    was swept; no allocation in the kernel.
    """
    if _compiled:
        try:
            if _step(state, params, bar, out):
                return
        except Exception:  # arrays that it is not compiled for yet, or that it cannot take
            pass
    state, params, bar, out = _attach(state, params, bar, out)
    if not _compile_and_step(state, params, bar, out):
        _explain(state, params, bar, out, 1)


def fold(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray) -> None:
    """Advance one symbol by many closed bars: exactly what ``step`` gives, one after the other.

    state   (1,) from new_state    advanced in place
    params  (1,) PARAMS            read only
    bars    (n,) BAR               read only
    out     (n,) SIGNAL            overwritten

    Raises as ``step`` does. Cost: n times that of ``step``, without its call.
    """
    state, params, bars, out = _attach(state, params, bars, out)
    if not _fold(state, params, bars, out):
        _explain(state, params, bars, out, len(bars))


@kernel
def _true_ranges(state: np.ndarray, params: np.ndarray, bars: np.ndarray, atr: np.ndarray, good: np.ndarray) -> None:
    s = state[0]
    p = params[0]
    for i in range(len(bars)):
        take_places(s, p)
        good[i] = is_good(bars[i])
        if good[i]:
            remember_range(s, p, true_range(s, bars[i]))
            s.close = bars[i].close
            s.close_age = 0
        else:
            skip(s, p)
        atr[i] = marks.average_true_range(s, p, i)


def average_true_ranges(bars: np.ndarray, params: Params) -> tuple[np.ndarray, np.ndarray]:
    """(average true range, whether the row is good) of every row of (n,) BAR, as the engine has them; nan = unknown."""
    record = params.to_record()
    atr = np.zeros(len(bars))
    good = np.zeros(len(bars), np.bool_)
    state, record, bars = kernel_views(new_state(record), record, bars)
    _true_ranges(state, record, bars, atr, good)
    return atr, good


def warm_up() -> None:
    """Compile the kernels, or load them from the cache, so that a live bot does not wait at its first bar."""
    params = Params().to_record()
    step(new_state(params), params, np.zeros(1, BAR), new_signals(1))
    fold(new_state(params), params, np.zeros(1, BAR), new_signals(1))


def _attach(*arrays: np.ndarray) -> tuple[np.ndarray, ...]:
    """The same memory under the very dtypes that kernels were compiled for."""
    expected = ("state", None), ("params", PARAMS), ("bars", BAR), ("out", SIGNAL)
    attached = []
    for (name, dtype), array in zip(expected, arrays, strict=True):
        if not isinstance(array, np.ndarray):
            hint = ": pass Params(...).to_record()" if name == "params" else ""
            raise TypeError(f"{name} must be a NumPy array, got {type(array).__name__}{hint}")
        known = STATES if dtype is None else (dtype,)
        same = next((one for one in known if array.dtype is one), None)  # comparing them takes microseconds
        same = next((one for one in known if array.dtype == one), None) if same is None else same
        if same is None or array.ndim != 1 or not array.flags.c_contiguous:
            maker = {"state": "new_state(params)", "params": "Params(...).to_record()"}
            maker |= {"bars": "np.zeros(n, BAR) or bars_from_frame(frame)", "out": "new_signals(n)"}
            raise TypeError(
                f"{name} must be made by {maker[name]}, got an array of {array.dtype} and shape {array.shape}"
            )
        attached.append(array.view(same))
    return kernel_views(*attached)


def _explain(state: np.ndarray, params: np.ndarray, bars: np.ndarray, out: np.ndarray, expected: int) -> None:
    for name, array, length in (
        ("state", state, 1),
        ("params", params, 1),
        ("bars", bars, expected),
        ("out", out, expected),
    ):
        if len(array) != length:
            raise ValueError(f"{name} must have length {length}, got {len(array)}")
    for name, array in (("state", state), ("out", out)):
        if not array.flags.writeable:
            raise ValueError(f"{name} is read-only, and step and fold write to it")
    raise ValueError("state was made for other Params: make it with new_state(params) for these")
