"""Whether a state that came from a file is one that the engine can go on from.

A checksum tells a file that was damaged, not one that was made so. Kernels write where a state's places and counters
point, and go round its rings until sums add up; so each of these is held here against what it points into, once, before
a kernel sees it. What may be checked without Params is: every place lies in its buffer, every list names each slot
once, and every sum is the sum of its parts.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .layout import BINS_PER_LOG, BLOCK, BUCKET, LONG, MAX_FACTOR, MAX_LEVERAGES, SHORT
from .ledger import LEAST_LOG2, LOTS_LOG2

_MOST_ROWS = 1 << 53
_SLACK = 1e-6  # for what another library rounds otherwise


def faults(state: np.ndarray) -> Iterator[str]:
    """What is wrong with a (1,) STATE, as ``field: found, allowed``; nothing if it is right.

    Raises nothing, changes nothing. Cost: O(its size).
    """
    s = state[0]
    size = len(s["mass"])
    yield from _counters(s, size)
    yield from _observed(s)
    yield from _ledger(s, size)
    yield from _marks(s, size)


def _counters(s: np.void, size: int) -> Iterator[str]:
    rows = int(s["rows"])
    highest = {"ledger_at": size - 1, "flow_at": size - 1, "range_at": size - 1, "mark_at": size - 1}
    highest |= {"rows": _MOST_ROWS, "skipped": rows, "close_age": rows, "ranges_missing": size}
    for name, most in highest.items():
        if not 0 <= int(s[name]) <= most:
            yield f"{name}: found {s[name]}, allowed 0 to {most}"
    for name in ("close", "open_interest"):
        value = float(s[name])
        if not (np.isnan(value) or 0.0 < value < np.inf):
            yield f"{name}: found {value}, allowed a finite number above 0 or NaN"


def _observed(s: np.void) -> Iterator[str]:
    """What a feed saw, by the day."""
    if not ((s["day_row"] >= 0) & (s["day_row"] <= int(s["rows"]))).all():
        yield "day_row: allowed rows that there were"
    for name in ("day_observed", "day_estimated"):
        if not (s[name] >= 0.0).all():
            yield f"{name}: allowed numbers not below 0"


def _ledger(s: np.void, size: int) -> Iterator[str]:
    mass, entry, positions, nearest = s["mass"], s["entry"], s["open_positions"], s["next_price"]
    if not ((positions >= 0) & (positions <= MAX_LEVERAGES)).all():
        yield f"open_positions: allowed 0 to {MAX_LEVERAGES}"
        return
    if not ((mass >= 0.0) & (mass < np.inf)).all():
        yield "mass: allowed finite numbers not below 0"
        return
    there = positions > 0
    counted = mass > 0.0
    if (there.any(axis=0) != counted).any():
        yield "mass: allowed above 0 where positions are open, and nowhere else"
    open_entries = entry[counted]
    if not ((open_entries > 0.0) & (open_entries < np.inf)).all():
        yield "entry: allowed finite numbers above 0"
        return
    away = s["log_entry"][counted] - np.log(open_entries) * BINS_PER_LOG
    if not (np.abs(away) < _SLACK).all():
        yield "log_entry: allowed the logarithm of entry, in bins"
    reach = nearest / np.where(there, entry, 1.0)
    near = (reach > 1.0 / MAX_FACTOR - _SLACK) & (reach < MAX_FACTOR + _SLACK)
    if not np.where(there, near, nearest == [[0.0], [np.inf]]).all():
        yield f"next_price: allowed within a factor of {MAX_FACTOR} of the entry, out of reach where nothing is open"
    for side, name, farthest in ((LONG, "lowest_entry", np.inf), (SHORT, "highest_entry", 0.0)):
        entries = np.append(entry[there[side]], farthest)
        known = float(s[name])
        if not (0.0 <= known <= entries.min() if side == LONG else np.inf > known >= entries.max()):
            yield f"{name}: found {known}, allowed as far as the farthest open entry"
    blocks = nearest.reshape(2, size // BLOCK, BLOCK)
    if not ((s["bound"][LONG] >= blocks[LONG].max(axis=1)) & (s["bound"][SHORT] <= blocks[SHORT].min(axis=1))).all():
        yield "bound: allowed no farther than the next price of its block"
    yield from _lots(s, mass[counted])


def _lots(s: np.void, masses: np.ndarray) -> Iterator[str]:
    """Masses by order of magnitude, the unit that follows from the largest, and what is counted in it."""
    counts = np.bincount((np.frexp(masses)[1] + LEAST_LOG2) // BUCKET, minlength=len(s["buckets"]))
    top = int(np.flatnonzero(counts).max(initial=0))
    if not np.array_equal(counts, s["buckets"]) or int(s["top_bucket"]) != top:
        yield "buckets: allowed the number of open cohorts by order of magnitude"
        return
    units = {float(np.ldexp(1.0, min(LOTS_LOG2 + LEAST_LOG2 - BUCKET * (top + 1), 1000)))}
    if top == 0:
        units.add(1.0)  # as it was made
    if float(s["lots_a_unit"]) not in units:
        yield f"lots_a_unit: found {s['lots_a_unit']}, allowed {min(units)}"
    for side in (LONG, SHORT):
        lots = s["lots"][side]
        most = len(masses) << (LOTS_LOG2 + 1)
        if not ((lots >= 0) & (lots <= most)).all() or int(lots.sum()) != int(s["open_lots"][side]):
            yield "lots: allowed numbers not below 0 that open_lots is the sum of"


def _marks(s: np.void, size: int) -> Iterator[str]:
    lists = {}
    for name, count in (("whole", "whole_count"), ("broken", "broken_count"), ("zones", "zone_count")):
        length = int(s[count])
        if not 0 <= length <= 2 * size:
            yield f"{count}: found {length}, allowed 0 to {2 * size}"
            return
        slots = lists[name] = s[name][:length]
        if (slots >= 2 * size).any() or len(np.unique(slots)) != length:
            yield f"{name}: allowed different slots below {2 * size}"
            return
    if len(np.intersect1d(lists["whole"], lists["broken"])):
        yield "broken: allowed slots that are not among the whole ones"
    rows, marks = int(s["rows"]), s["marks"]
    right = (marks["side"] == LONG) | (marks["side"] == SHORT)
    for name in ("armed", "trial", "broken"):
        right &= np.abs(marks[name]) <= 1
    for name in ("birth_row", "touches", "holds", "ambiguous", "unresolved", "trial_age", "broken_age"):
        right &= (marks[name] >= 0) & (marks[name] <= rows)
    for name, broken in (("whole", False), ("broken", True)):
        slots = lists[name]
        right[slots] &= (marks["usd"][slots] > 0.0) & (marks["atr"][slots] > 0.0)
        right[slots] &= (marks["broken"][slots] != 0) == broken
    if not right.all():
        yield f"marks: found one at slot {int(right.argmin())} that the engine does not leave"
        return
    yield from _zones(s, lists["whole"], lists["zones"])


def _zones(s: np.void, whole: np.ndarray, zones: np.ndarray) -> Iterator[str]:
    """Each zone is a run of the whole marks, upwards, that the mark leads which stands for it."""
    marks = s["marks"]
    counts = marks["zone_marks"][zones]
    if (counts < 1).any() or (counts > len(whole)).any() or int(counts.sum()) != len(whole):
        yield "zone_marks: allowed as many as there are whole marks together"
        return
    places = np.flatnonzero(np.isin(whole, zones))
    ends = np.cumsum(counts)
    if not (np.array_equal(whole[places], zones) and ((places >= ends - counts) & (places < ends)).all()):
        yield "zones: allowed a mark of each zone, upwards"
        return
    if not np.array_equal(marks["leads"][whole] == 1, np.isin(whole, zones)):
        yield "leads: allowed 1 for the marks that lead a zone, else 0"
    usd = marks["zone_usd"][zones]
    if not (usd > 0.0).all() or (len(zones) and not float(s["zone_usd"]) > 0.0):
        yield "zone_usd: allowed numbers above 0"
