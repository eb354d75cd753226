"""The record of a fold: every zone from its birth to its end, and every change of the ledger's cells, bar by bar.

``fold`` leaves what holds at its last bar. Charts need what held at each: the zones that stood, when and why they
ended, and where forced flow lay ahead. A recorder watches the bars as they are folded and writes that down, exactly.

A zone is known by the mark that leads it. Its entry is as the zone was when it last stood; an id that comes back (what
it had merged into broke) goes on in its entry.

The ledger is recorded in cells of ``cell_bins`` bins on the axis of prices, so that a cell does not move with the
close: the USD of its positions, each at the middle of its bin, as known at a bar's close. A cell is written when it
changes; what it held at a bar is its last change until then.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ._jit import kernel, kernel_views, rare_kernel
from .advance import advance
from .layout import BINS, BINS_PER_LOG, CELL_BINS, CHANGE, LONG, SHORT, ZONE_RECORD, Record, recorder_dtype
from .levels import nearest_bin
from .params import Params
from .state import new_signals, new_state
from .zones import quality

STANDS, BROKEN, EXPIRED, MERGED = range(4)  # ``ZONE_RECORD.reason``
_RING = BINS - 1
_ROOM = 1 << 18  # changes that are recorded before they are put away


@kernel
def _entry_of(s: Record, r: Record, zones: np.ndarray, slot: int) -> int:
    """The entry of the zone that a mark leads, a new one if it never led before."""
    m = s.marks[slot]
    at = int(r.entry[slot])
    if at < r.zones and zones[at].birth_row == m.birth_row and zones[at].side == m.side:
        return at
    at = int(r.zones)
    r.zones += 1
    r.entry[slot] = at
    z = zones[at]
    z.zone_id = 2 * m.birth + m.side
    z.birth = m.birth
    z.birth_row = m.birth_row
    z.side = m.side
    return at


@rare_kernel
def record_zones(s: Record, p: Record, b: Record, r: Record, zones: np.ndarray) -> None:
    """Write the zones that stand at this bar, and end those that stood at the one before and no longer do."""
    row = s.rows - 1
    first = 0
    for index in range(s.zone_count):
        slot = s.zones[index]
        m = s.marks[slot]
        z = zones[_entry_of(s, r, zones, slot)]
        z.end = -1
        z.reason = STANDS
        z.last_row = row
        z.price = m.zone_price
        z.low = m.zone_low
        z.high = m.zone_high
        z.usd = m.zone_usd
        z.quality = quality(m, p, row, s.zone_usd)
        z.marks = m.zone_marks
        z.touches = m.touches
        z.holds = m.holds
        z.above = int(m.zone_price > s.close)
        z.observed = 0
        for member in range(first, first + m.zone_marks):
            z.observed += s.marks[s.whole[member]].observed
        first += m.zone_marks
    for index in range(r.standing_count):
        slot = r.standing[index]
        z = zones[r.left[index]]
        if z.last_row == row:
            continue
        m = s.marks[slot]
        z.end = b.time
        if m.birth_row != z.birth_row or not m.usd > 0.0:
            z.reason = EXPIRED
        else:
            z.reason = BROKEN if m.broken != 0 else MERGED
    r.standing_count = s.zone_count
    for index in range(s.zone_count):
        r.standing[index] = s.zones[index]
        r.left[index] = r.entry[s.zones[index]]


@kernel
def _cells_with_positions(s: Record, p: Record, r: Record) -> tuple[int, int]:
    """The first cell that may hold a position and the one after the last; none if the close is unknown."""
    low = math.inf
    high = -math.inf
    if s.close > 0.0:
        for slot in range(p.ledger_bars + 1):
            if s.open_positions[LONG, slot] > 0:
                low = min(low, s.log_entry[slot])
            if s.open_positions[SHORT, slot] > 0:
                high = max(high, s.log_entry[slot])
    if low == math.inf and high == -math.inf:
        return 0, 0
    log_close = math.log(s.close) * BINS_PER_LOG
    first = min(log_close, low + p.offset[LONG, 0]) - 2.0  # the lowest leverage is liquidated farthest away
    end = max(log_close, high + p.offset[SHORT, 0]) + 2.0
    return (
        (math.floor(first) - r.first_bin) // r.cell_bins,
        (math.floor(end) - r.first_bin) // r.cell_bins + 1,
    )


@rare_kernel
def record_cells(s: Record, p: Record, r: Record, usd: np.ndarray, prices: np.ndarray, changes: np.ndarray) -> None:
    """Write the cells whose USD is another than at the bar before; ``usd`` holds what they were and then are."""
    first, end = _cells_with_positions(s, p, r)
    longs = shorts = 0
    if end > first:
        log_close = math.log(s.close) * BINS_PER_LOG
        longs = nearest_bin(LONG, log_close)
        shorts = -nearest_bin(SHORT, log_close) - 1
    for cell in range(min(first, r.first_cell) if r.end_cell > r.first_cell else first, max(end, r.end_cell)):
        now = 0.0
        if first <= cell < end:
            at = cell * r.cell_bins
            for i in range(at, min(at + r.cell_bins, longs - r.first_bin + 1)):
                now += s.lots[LONG, (r.first_bin + i) & _RING] * prices[i]
            for i in range(max(at, shorts - r.first_bin), at + r.cell_bins):
                now += s.lots[SHORT, (-r.first_bin - i - 1) & _RING] * prices[i]
            now /= s.lots_a_unit
        if now != usd[cell]:
            usd[cell] = now
            changes[r.changes].cell = cell
            changes[r.changes].usd = now
            r.changes += 1
    r.first_cell = first
    r.end_cell = end


@kernel
def _record(
    state: np.ndarray,
    params: np.ndarray,
    bars: np.ndarray,
    out: np.ndarray,
    recorder: np.ndarray,
    zones: np.ndarray,
    usd: np.ndarray,
    prices: np.ndarray,
    changes: np.ndarray,
    until: np.ndarray,
) -> int:
    """Fold bars and record them as long as there is room for a bar's changes; returns how many that were."""
    s = state[0]
    p = params[0]
    r = recorder[0]
    for i in range(len(bars)):
        if len(changes) - r.changes < len(usd):
            return i
        advance(s, p, bars[i], out[i])
        record_zones(s, p, bars[i], r, zones)
        record_cells(s, p, r, usd, prices, changes)
        until[i] = r.changes
    return len(bars)


@dataclass(frozen=True, eq=False)
class Recorded:
    """What happened while bars were folded.

    state       (1,) the state after the last bar
    signals     (n,) SIGNAL
    zones       (z,) ZONE_RECORD, in the order in which they first stood
    changes     (c,) CHANGE, a bar's in order of the cells
    until       (n,) how many of these there were by the end of each bar
    edges       (cells + 1,) prices between the cells, upwards; cells without positions at any bar are at the ends
    first_bin   the lowest bin of the first cell, on the axis of prices
    """

    state: np.ndarray
    signals: np.ndarray
    zones: np.ndarray
    changes: np.ndarray
    until: np.ndarray
    edges: np.ndarray
    first_bin: int


def record(bars: np.ndarray, params: Params | np.ndarray, cell_bins: int = CELL_BINS) -> Recorded:
    """Fold (n,) BAR from a new state and record every bar.

    params     Params, or their record; one with other weights than they had is folded as it is
    cell_bins  bins of 0.05 % in a cell, 1 to 64

    Cost: two to three folds; 16 bytes a change, of which there are some 30 a bar and, where open interest is known,
    one for each cell.

    >>> from liquidator_core import BAR
    >>> bars = np.zeros(300, BAR)
    >>> bars["time"] = np.arange(300) * 60_000
    >>> for name in BAR.names[1:]:
    ...     bars[name] = 100.0 if name in ("open", "high", "low", "close", "volume") else np.nan
    >>> recorded = record(bars, Params())
    >>> len(recorded.zones), int(recorded.until[0])
    (0, 10)
    """
    if not 1 <= cell_bins <= 64:
        raise ValueError(f"cell_bins must lie in [1, 64], got {cell_bins}")
    settings = params.to_record() if isinstance(params, Params) else params
    state = new_state(settings)
    signals = new_signals(len(bars))
    low, high = _reach(bars, settings)
    first_bin = low // cell_bins * cell_bins
    cells = (high - first_bin) // cell_bins + 1
    places = np.arange(first_bin, first_bin + cells * cell_bins)
    prices = np.exp((places + 0.5) / BINS_PER_LOG)
    recorder = np.zeros(1, recorder_dtype(len(state["whole"][0]) // 2))
    recorder["first_bin"] = first_bin
    recorder["cell_bins"] = cell_bins
    zones = np.zeros(2 * len(bars) + 1, ZONE_RECORD)
    usd = np.zeros(cells)
    until = np.zeros(len(bars), np.int64)
    room = np.zeros(max(_ROOM, 2 * cells), CHANGE)
    parts = [room[:0]]
    done = 0
    before = 0
    recorder, zones, room = kernel_views(recorder, zones, room)
    kernel_state, kernel_settings = kernel_views(state, settings)
    while done < len(bars):
        recorder["changes"] = 0
        rest, out = kernel_views(bars[done:], signals[done:])
        count = _record(kernel_state, kernel_settings, rest, out, recorder, zones, usd, prices, room, until[done:])
        until[done : done + count] += before
        before += int(recorder["changes"][0])
        parts.append(room[: int(recorder["changes"][0])].copy())
        done += count
    edges = np.exp((first_bin + cell_bins * np.arange(cells + 1)) / BINS_PER_LOG)
    return Recorded(state, signals, zones[: int(recorder["zones"][0])], np.concatenate(parts), until, edges, first_bin)


def _reach(bars: np.ndarray, settings: np.ndarray) -> tuple[int, int]:
    """The lowest and the highest bin that a position opened at these closes may be liquidated at, and two more."""
    close = bars["close"][(bars["close"] > 0.0) & (bars["close"] < np.inf)]
    if len(close) == 0:
        return 0, 0
    low = math.log(close.min()) * BINS_PER_LOG + min(0.0, settings["offset"][0, LONG, 0])
    high = math.log(close.max()) * BINS_PER_LOG + max(0.0, settings["offset"][0, SHORT, 0])
    return math.floor(low) - 4, math.floor(high) + 4


@kernel
def _cells_at(changes: np.ndarray, until: np.ndarray, usd: np.ndarray, first: int, out: np.ndarray) -> None:
    at = 0
    for row in range(len(until)):
        while at < until[row]:
            usd[changes[at].cell] = changes[at].usd
            at += 1
        if row >= first:
            out[row - first] = usd


def cells_at(recorded: Recorded, first: int, end: int) -> np.ndarray:
    """(cells, end - first) USD of the cells at the rows from ``first`` to before ``end``, as known at their closes."""
    out = np.zeros((max(0, end - first), len(recorded.edges) - 1))
    (changes,) = kernel_views(recorded.changes)
    _cells_at(changes, recorded.until[:end], np.zeros(out.shape[1]), first, out)
    return out.T
