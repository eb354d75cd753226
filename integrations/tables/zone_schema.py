"""What is told of a zone, on every path the same: by the core's names within, under the older package's where users see
it (``NAMES``), with what this engine adds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from liquidator_core.layout import ZONE
from liquidator_core.timeframes import bar_spans
from liquidator_core.zones import QUALITY_LABELS, quality_band

#: Name within -> name in the frames and events that users get, which is 0.1.2's; all others are one.
NAMES = {
    "price": "price_mean",
    "usd": "total_usd",
    "marks": "count",
    "first_time": "first_ts",
    "last_time": "last_ts",
    "side": "dominant_side",
    "low": "entry_low",
    "high": "entry_high",
    "quality": "quality_score",
}
#: Column that users see -> (kind, what it is). Kinds: float, int, bool, time (datetime64[ms, UTC]), object, categories.
COLUMNS: dict[str, tuple[str | tuple[str, ...], str]] = {
    "price_mean": ("float", "quote, USD-weighted mean of its marks' prices"),
    "price_min": ("float", "quote, lowest price of a mark in it"),
    "price_max": ("float", "quote, highest price of a mark in it"),
    "total_usd": ("float", "USD of the ledger: forced flow of its events, relative"),
    "count": ("int", "events in it"),
    "first_ts": ("time", "open of the bar of its oldest event"),
    "last_ts": ("time", "open of the bar of its youngest event"),
    "dominant_side": (("long", "short"), "who was liquidated in its largest event"),
    "strength": ("float", "quality_score / 100"),
    "atr": ("float", "quote, average true range when its largest event happened; NaN with use_atr=False"),
    "band": ("float", "quote, half of high - low"),
    "band_pct": ("float", "band / price_mean"),
    "entry_low": ("float", "quote, its lower edge"),
    "entry_high": ("float", "quote, its upper edge"),
    "quality_score": ("float", "prominence, 0 to 100, see liquidator_core.zones"),
    "quality_label": (QUALITY_LABELS, "below 40, below 70, from 70 on"),
    "zone_id": ("int", "2 * birth_ms + side of its largest event: stable"),
    "kind": (("support", "resistance"), "at or below the last close, or above"),
    "age": ("int", "bars since its largest event"),
    "touches": ("int", "of its largest mark"),
    "holds": ("int", "touches after which price left the way it came"),
    "breaks": ("int", "marks between its edges that were broken and are not yet forgotten"),
    "ambiguous": ("int", "touches that held and broke on one bar"),
    "unresolved": ("int", "touches that did neither in time"),
    "state": (("unarmed", "armed", "touched", "held"), "of its largest mark"),
    "source": (("estimated", "mixed", "observed"), "of its flow: worked out, or observed liquidations"),
    "real_liq_count": ("int", "observed liquidations behind its events"),
    "venues": ("object", "tuple of the venues of these, in order"),
    "bars_seen": ("int", "bars known so far"),
    "warm": ("bool", "whether these are as many as a zone may depend on"),
    "explanation": ("object", "tuple of Contribution, oldest first: the bars it is made of"),
}
SIDES = ("long", "short")  # indexed by LONG and SHORT


class Contribution(NamedTuple):
    """One bar's part in a zone."""

    time: np.datetime64  # open of the bar, UTC
    side: str  # who was liquidated: "long" or "short"
    price: float
    usd: float
    source: str  # "observed" or "estimated"


class Context(NamedTuple):
    """What the zones of an instant are told from."""

    zones: np.ndarray  # (n,) ZONE, as of the last of the bars
    marks: np.ndarray  # (m,) MARK, oldest first
    bars: np.ndarray  # (b,) BAR, those that the zones depend on and the one before, where there is one
    timeframe: str
    liquidations: np.ndarray  # LIQUIDATION, in order of time
    venues: list[str]  # names, by the number in these
    close: float
    bars_seen: int
    warm: bool


def as_users_see(zone: Mapping[str, Any]) -> dict[str, Any]:
    """A zone of ``zone_rows`` under the names of ``COLUMNS``."""
    return {NAMES.get(name, name): value for name, value in zone.items()}


def zone_rows(context: Context, use_atr: bool = True) -> list[dict[str, Any]]:
    """A mapping for each zone, upwards by price: ``COLUMNS`` by the names within; times as datetime64[ms].

    Cost: O(marks).
    """
    whole = context.marks[context.marks["broken"] == 0]
    whole = whole[np.lexsort((whole["side"], whole["birth_row"], whole["price"]))]
    broken = context.marks["price"][context.marks["broken"] != 0]
    parts = np.split(whole, np.cumsum(context.zones["marks"])[:-1]) if len(context.zones) else []
    return [_row(zone, members, broken, context, use_atr) for zone, members in zip(context.zones, parts, strict=True)]


def _row(zone: np.void, members: np.ndarray, broken: np.ndarray, context: Context, use_atr: bool) -> dict[str, Any]:
    z = dict(zip(ZONE.names or (), zone.item(), strict=True))
    lead = members[(members["birth"] == z["birth"]) & (members["side"] == z["side"])][0]
    parts, venues, count = _contributions(members, context)
    sources = {part.source for part in parts}
    lowest, highest = float(members["price"].min()), float(members["price"].max())
    low, high = (z["low"], z["high"]) if use_atr else (lowest, highest)
    score = z["quality"]
    if lead["trial"]:
        state = "touched"
    elif z["holds"]:
        state = "held"
    else:
        state = "armed" if lead["armed"] else "unarmed"
    return {
        "price": z["price"],
        "price_min": lowest,
        "price_max": highest,
        "usd": z["usd"],
        "marks": z["marks"],
        "first_time": np.datetime64(int(members["birth"].min()), "ms"),
        "last_time": np.datetime64(z["last_time"], "ms"),
        "side": SIDES[z["side"]],
        "strength": score / 100.0,
        "atr": float(lead["atr"]) if use_atr else np.nan,
        "band": (high - low) / 2.0,
        "band_pct": (high - low) / 2.0 / z["price"],
        "low": low,
        "high": high,
        "quality": score,
        "quality_label": QUALITY_LABELS[int(quality_band(score))],
        "zone_id": z["zone_id"],
        "kind": "support" if z["price"] <= context.close else "resistance",
        "age": z["age"],
        "touches": z["touches"],
        "holds": z["holds"],
        "breaks": int(((broken >= z["low"]) & (broken <= z["high"])).sum()),
        "ambiguous": z["ambiguous"],
        "unresolved": z["unresolved"],
        "state": state,
        "source": sources.pop() if len(sources) == 1 else "mixed",
        "real_liq_count": count,
        "venues": venues,
        "bars_seen": context.bars_seen,
        "warm": context.warm,
        "explanation": parts,
    }


def _contributions(members: np.ndarray, context: Context) -> tuple[tuple[Contribution, ...], tuple[str, ...], int]:
    """(each member's bar, the venues that saw liquidations in these, how many they saw)."""
    parts, venues, count = [], set(), 0
    liquidations = context.liquidations
    for member in members[np.lexsort((members["side"], members["birth"]))]:
        birth, side = int(member["birth"]), int(member["side"])
        if len(liquidations):
            span = bar_spans(np.array([birth]), context.timeframe)
            first, end = (int(np.searchsorted(liquidations["time"], edge[0])) for edge in span)
            mine = liquidations["venue"][first:end][liquidations["side"][first:end] == side]
            venues |= {context.venues[code] for code in mine if context.venues[code]}
            count += len(mine)
        source = "observed" if member["observed"] else "estimated"
        parts.append(
            Contribution(np.datetime64(birth, "ms"), SIDES[side], float(member["price"]), float(member["usd"]), source)
        )
    return tuple(parts), tuple(sorted(venues)), count


def ending_of(zone: np.void, marks: np.ndarray) -> str:
    """Why a zone's id is gone: ``break``, ``expiry`` or ``merge``; ``marks`` are those of the bar that ended it."""
    lead = marks[(marks["birth"] == zone["birth"]) & (marks["side"] == zone["side"])]
    if len(lead) == 0:
        return "expiry"
    return "break" if lead["broken"][0] else "merge"
