"""Exposure: USD of the open positions that lie between the close and some prices.

It is what the ledger says would be liquidated if price went there now: the sum of ``mass * weight * liquidation price``
over the positions of a side whose liquidation price is reached, the same products that a sweep adds up. Positions are
read and left as they are. Summed from the oldest cohort to the newest, so that a row does not depend on where in the
ring its cohorts lie; and for all prices of a side at once, as those reached for the farthest hold those of the others.
"""

from __future__ import annotations

import math

import numpy as np

from . import ledger
from ._jit import kernel, kernel_views, rare_kernel
from .advance import take_places, trade_positions
from .bars import is_good
from .layout import BINS_PER_LOG, BLOCK, LONG, SHORT, Record
from .params import Params
from .state import attach_state


@kernel
def advance_ledger(s: Record, p: Record, b: Record) -> None:
    """What ``advance`` does to the ledger, and nothing else: it costs half as much."""
    take_places(s, p)
    s.rows += 1
    ledger.expire(s, p)
    if not is_good(b):
        s.open_interest = math.nan
        return
    ledger.sweep(s, p, LONG, b.low)
    ledger.sweep(s, p, SHORT, b.high)
    opened = trade_positions(s, p, b.volume if 0.0 <= b.volume < math.inf else 0.0, b.open_interest)
    ledger.take_profit(s, p, b.close)
    ledger.open_cohort(s, p, b.close, math.log(b.close) * BINS_PER_LOG, opened)
    s.close = b.close


@kernel
def _add_slots(
    s: Record, p: Record, side: int, prices: np.ndarray, farthest: float, first: int, end: int, usd: np.ndarray
) -> None:
    """Add the positions of the slots from ``first`` to before ``end`` to the ``usd`` of the prices that reach them."""
    sign = 1.0 if side == LONG else -1.0
    for slot in range(first, end):
        if sign * s.next_price[side, slot] < sign * farthest:
            continue
        k = s.open_positions[side, slot] - 1
        while k >= 0:
            at = s.entry[slot] * p.factor[side, k]
            if sign * at < sign * farthest:
                break
            amount = s.mass[slot] * p.weight[k] * at
            for i in range(len(prices)):
                usd[i] += amount if sign * at >= sign * prices[i] else 0.0
            k -= 1


@rare_kernel
def usd_until(s: Record, p: Record, side: int, prices: np.ndarray, usd: np.ndarray) -> None:
    """Write the USD of a side's open positions that are liquidated by the time price gets to each of ``prices``.

    NaN for a price that is not above 0, and before the first good bar. Cost: O(blocks + cohorts of those that may be
    reached + positions reached).
    """
    sign = 1.0 if side == LONG else -1.0
    farthest = math.inf if side == LONG else 0.0
    for i in range(len(prices)):
        asked = prices[i] > 0.0 and s.close > 0.0
        usd[i] = 0.0 if asked else math.nan
        if asked:
            farthest = min(farthest, prices[i]) if side == LONG else max(farthest, prices[i])
    own = int(s.ledger_at) // BLOCK
    blocks = p.ledger_bars // BLOCK + 1
    in_own = sign * s.bound[side, own] >= sign * farthest
    if in_own:  # the slots behind the row's own are the oldest, those before it the newest
        _add_slots(s, p, side, prices, farthest, int(s.ledger_at) + 1, BLOCK * (own + 1), usd)
    for turn in range(1, blocks):
        block = own + turn if own + turn < blocks else own + turn - blocks
        if sign * s.bound[side, block] >= sign * farthest:
            _add_slots(s, p, side, prices, farthest, BLOCK * block, BLOCK * (block + 1), usd)
    if in_own:
        _add_slots(s, p, side, prices, farthest, BLOCK * own, int(s.ledger_at) + 1, usd)


@kernel
def _exposures(
    state: np.ndarray,
    params: np.ndarray,
    bars: np.ndarray,
    rows: np.ndarray,
    prices: np.ndarray,
    out: np.ndarray,
) -> None:
    s = state[0]
    p = params[0]
    at = 0
    for row in range(len(bars)):
        advance_ledger(s, p, bars[row])
        while at < len(rows) and rows[at] == row:
            for side in range(2):
                usd_until(s, p, side, prices[at, side], out[at, side])
            at += 1


@kernel
def _exposure(state: np.ndarray, params: np.ndarray, prices: np.ndarray, out: np.ndarray) -> None:
    for side in range(2):
        usd_until(state[0], params[0], side, prices[side], out[side])


def exposures(
    state: np.ndarray, params: Params | np.ndarray, bars: np.ndarray, rows: np.ndarray, prices: np.ndarray
) -> np.ndarray:
    """USD that the ledger holds between the close of some bars and some prices, as the bars pass.

    state    (1,) from ``new_state``   its ledger is advanced in place, as ``fold`` does; nothing else of it
    params   those of the state, or their record
    bars     (n,) BAR                  read only
    rows     (k,) int64                of ``bars``, none below the one before: after which it is asked
    prices   (k, 2, m) quote           of longs and of shorts; nan = not asked

    Returns (k, 2, m) usd: of longs with a liquidation price at or above the price, of shorts at or below it; 0 for a
    price on the other side of the close, nan for none and before the first good bar. Raises ValueError for arrays that
    do not fit, TypeError for a state that is none. Cost: half that of ``fold``, and some 0.2 us a row and side.

    >>> import numpy as np
    >>> from liquidator_core import BAR, Params, new_state
    >>> bars = np.zeros(1, BAR)
    >>> for name in ("open", "high", "low", "close"):
    ...     bars[name] = 100.0
    >>> bars["volume"] = 2.0
    >>> exposures(new_state(Params()), Params(), bars, np.array([0]), np.array([[[95.0], [105.0]]])).round(1)
    array([[[139.2],
            [144.8]]])
    """
    state, record = attach_state(state, params)
    rows, prices = np.ascontiguousarray(rows, np.int64), np.ascontiguousarray(prices, np.float64)
    if prices.ndim != 3 or prices.shape[:2] != (len(rows), 2):
        raise ValueError(f"prices must have shape ({len(rows)}, 2, m), got {prices.shape}")
    if len(rows) and (rows[0] < 0 or rows[-1] >= len(bars) or (np.diff(rows) < 0).any()):
        raise ValueError(f"rows must rise from 0 to at most {len(bars) - 1}, got {rows.min()} to {rows.max()}")
    out = np.empty(prices.shape)
    state, record, bars = kernel_views(state, record, bars)
    _exposures(state, record, bars, rows, prices, out)
    return out


def exposure(state: np.ndarray, params: Params | np.ndarray, prices: np.ndarray) -> np.ndarray:
    """USD that the ledger holds between the last close and some prices: (2, m) usd of (2, m) prices, longs and shorts.

    As ``exposures`` gives it after the last bar; nothing is changed. Cost: microseconds.

    >>> import numpy as np
    >>> from liquidator_core import Params, new_state
    >>> exposure(new_state(Params()), Params(), np.array([[95.0], [105.0]]))
    array([[nan],
           [nan]])
    """
    prices = np.ascontiguousarray(prices, np.float64)
    out = np.empty(prices.shape)
    state, record = kernel_views(*attach_state(state, params))
    _exposure(state, record, prices, out)
    return out
