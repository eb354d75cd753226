"""A small market, made bar by bar with the engine in the loop, so that the odds at standing zones can be tilted.

Price walks in steps of one size up or down, by a fair coin; volatility comes and goes, and volume with it. So nothing
is to be known of it, until something is planted: at a share of the touches of the zones that stood at the close before,
price is kept from the barrier at which that zone breaks (or, below 0, holds) until its trial is decided. The walk is
then the fair one, given that it never gets there (Doob's transform), and nothing else about it shows.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from liquidator_core import BAR, Params, new_signals, new_state
from liquidator_core._jit import kernel, kernel_views
from liquidator_core.advance import advance_apart
from liquidator_core.layout import LONG, Record
from liquidator_core.marks import OPEN, verdict
from liquidator_core.zones import is_clear, quality

from ..tables.checked import marks_params

Where: TypeAlias = Literal["every", "support", "quality", "first half", "mirrored"]
WHERE = ("every", "support", "quality", "first half", "mirrored")
_EVERY, _SUPPORT, _QUALITY, _FIRST_HALF, _MIRRORED = range(5)
STEPS = 24  # of price in a bar
QUALITY = 50.0  # from which on "quality" tilts
START_MS = 1_577_836_800_000  # 2020-01-01
HOUR_MS = 3_600_000


class Market(NamedTuple):
    """What ``simulate`` made."""

    bars: np.ndarray  # (n,) BAR, of an hour
    met: np.ndarray  # (n,) bool, whether on that bar a zone was touched at which a coin was tossed
    tilted: np.ndarray  # (n,) bool, whether it fell so that the touch was tilted


@kernel
def _mirror(s: Record, bar: Record, marked: Record) -> None:
    """The bar with the marks that it left in ``s``, as far from its close on the other side, as its only flow."""
    marked.time = bar.time
    marked.open = bar.open
    marked.high = bar.high
    marked.low = bar.low
    marked.close = bar.close
    marked.volume = bar.volume
    marked.liq_long_usd = 0.0
    marked.liq_short_usd = 0.0
    for side in range(2):
        m = s.marks[2 * s.mark_at + side]
        if m.usd > 0.0 and m.birth == bar.time:
            if side == LONG:
                marked.liq_long_usd = m.usd
                marked.liq_long_price = 2.0 * bar.close - m.price
            else:
                marked.liq_short_usd = m.usd
                marked.liq_short_price = 2.0 * bar.close - m.price


@kernel
def _touched(s: Record, price: float, above: float) -> int:
    """Slot of the mark that leads an armed zone which price has entered on its way from ``above``; -1 if none."""
    for index in range(s.zone_count):
        slot = s.zones[index]
        m = s.marks[slot]
        if (m.armed > 0 and price <= m.zone_high < above) or (m.armed < 0 and price >= m.zone_low > above):
            return int(slot)
    return -1


@kernel
def _barrier(p: Record, side: int, low: float, high: float, atr: float, holds: bool) -> float:
    """The price that a trial is kept away from: the one that breaks if it is to hold, else the one that holds."""
    beyond = (p.break_atr if holds else p.hold_atr) * atr
    return float(low - beyond if (side > 0) == holds else high + beyond)


@kernel
def _odds_up(price: float, step: float, avoid: float) -> float:
    """Chance that a fair walk steps up, given that it never gets to a price; a half without one (nan)."""
    if avoid < price:
        return min(1.0, 0.5 * (price + step - avoid) / (price - avoid))
    if avoid > price:
        return max(0.0, 0.5 * (avoid - price - step) / (avoid - price))
    return 0.5


@kernel
def _is_meant(s: Record, p: Record, slot: int, where: int, row: int, rows: int) -> bool:
    m = s.marks[slot]
    if where == _SUPPORT:
        return bool(m.armed > 0)
    if where == _QUALITY:
        return bool(quality(m, p, s.rows - 1, s.zone_usd) >= QUALITY)
    return where != _FIRST_HALF or 2 * row < rows


@kernel
def _walk(
    where: int,
    tilt: float,
    sigma: np.ndarray,
    coins: np.ndarray,
    tosses: np.ndarray,
    met: np.ndarray,
    tilted: np.ndarray,
    state: np.ndarray,
    params: np.ndarray,
    twin_state: np.ndarray,
    twin_params: np.ndarray,
    bars: np.ndarray,
    marked: np.ndarray,
    out: np.ndarray,
) -> None:
    s = state[0]
    p = params[0]
    z = twin_state[0] if where == _MIRRORED else state[0]
    o = out[0]
    price = bars[0].open
    atr = trial_atr = low = high = avoid = math.nan  # low and high are the edges of the zone on trial
    side = age = 0
    for row in range(len(bars)):
        bar = bars[row]
        bar.open = bar.high = bar.low = price
        step = price * sigma[row] / math.sqrt(coins.shape[1])
        for k in range(coins.shape[1]):
            before = price
            price += step if coins[row, k] < _odds_up(price, step, avoid) else -step
            bar.high = max(bar.high, price)
            bar.low = min(bar.low, price)
            if side != 0 or not atr > 0.0:
                continue
            slot = _touched(z, price, before)
            if slot < 0 or not _is_meant(z, p, slot, where, row, len(bars)):
                continue
            if where == _MIRRORED and not is_clear(s, z.marks[slot].zone_low, z.marks[slot].zone_high):
                continue
            met[row] = True
            if tosses[row] < abs(tilt):
                tilted[row] = True
                side = z.marks[slot].armed
                age = 0
                low = z.marks[slot].zone_low
                high = z.marks[slot].zone_high
                avoid = _barrier(p, side, low, high, atr, tilt > 0.0)
        bar.close = price
        advance_apart(s, p, bar, o)
        if where == _MIRRORED:
            _mirror(s, bar, marked[0])
            advance_apart(z, twin_params[0], marked[0], o)
        atr = o.atr
        if side == 0:
            continue
        if age == 0:
            trial_atr = atr
            avoid = _barrier(p, side, low, high, atr, tilt > 0.0)
        if verdict(p, side, low, high, trial_atr, age, bar) == OPEN:
            age += 1
        else:
            side = 0
            avoid = math.nan


def simulate(
    bars: int, tilt: float = 0.0, where: Where = "every", seed: int = 0, params: Params | None = None
) -> Market:
    """A market of so many hours from a seed.

    tilt    share of the touches whose zone is made to hold; below 0, to break; 0: nothing is planted
    where   at which zones: "every"; "support", those reached from above; "quality", those of ``QUALITY`` and more;
            "first half", every zone in the first half of the bars; "mirrored", no zone but the bands as far from the
            close on the other side, of ``placebo_marks``, that lie across none

    A touch on trial at a time. Until the engine is warm nothing is planted. Raises ValueError for a tilt outside -1 to
    1 and another ``where``. Cost: some 3 us a bar.

    >>> market = simulate(2000, tilt=0.5)
    >>> len(market.bars), bool(0.4 < market.tilted.sum() / market.met.sum() < 0.6)
    (2000, True)
    """
    if not -1.0 <= tilt <= 1.0:
        raise ValueError(f"tilt must lie in [-1, 1] (share of touches), got {tilt!r}")
    if where not in WHERE:
        raise ValueError(f"where must be one of {', '.join(map(repr, WHERE))}, got {where!r}")
    params = Params() if params is None else params
    rng = np.random.default_rng(seed)
    mood = _moods(rng.standard_normal(bars))
    made = np.zeros(bars, BAR)
    for name in BAR.names or ():
        if name != "time":
            made[name] = np.nan
    made["time"] = START_MS + HOUR_MS * np.arange(bars)
    made["open"][:1] = 100.0
    made["volume"] = 1000.0 * np.exp(mood + 0.5 * rng.standard_normal(bars))
    record, twin = params.to_record(), marks_params(params).to_record()
    marked, met, tilted = made[:1].copy(), np.zeros(bars, np.bool_), np.zeros(bars, np.bool_)
    arrays = kernel_views(new_state(record), record, new_state(twin), twin, made, marked, new_signals(1))
    sigma, coins, tosses = 0.006 * np.exp(0.5 * mood), rng.random((bars, STEPS)), rng.random(bars)
    _walk(WHERE.index(where), tilt, sigma, coins, tosses, met, tilted, *arrays)
    return Market(made, met, tilted)


@kernel
def _moods(shocks: np.ndarray) -> np.ndarray:
    """How lively each bar is, a log: what is left of the one before, and a shock."""
    out = np.zeros(len(shocks))
    for row in range(len(shocks)):
        out[row] = 0.95 * out[row - 1] + 0.3 * shocks[row] if row else shocks[row]
    return out
