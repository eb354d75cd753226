"""The data plan: every array that enters or leaves a kernel, field by field, with its unit.

Units: ``ms`` milliseconds since the epoch, UTC. ``quote`` quote currency per base unit (a price). ``base`` base
units (coins). ``usd`` quote currency (base times price); ``usd of the ledger`` that of positions which the ledger
implies: all turnover, taken to be leveraged on both sides. It is relative: what three venues report is 32 to 43 times
less, and only a feed's scale, or its prior, makes dollars of it. ``bars``, ``atr`` and ``share`` are what they say.
Unknown floats are NaN, unknown indices -1.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, TypeAlias

import numpy as np

VERSION = "0.1.0"
SCHEMA = 3  # of SIGNAL, ZONE, LEVEL and of saved states

LONG = 0  # the side that is liquidated when price falls
SHORT = 1  # the side that is liquidated when price rises

OBSERVED = ("beside", "flow", "unscaled")  # what observed flow is used for: Params.observed
BESIDE, FLOW, UNSCALED = range(3)  # as places in it

MAX_LEVERAGES = 8
BINS = 4096  # ring of log-price bins; a power of two
BINS_PER_LOG = 1386 / math.log(2.0)  # a factor of two is a whole number of bins
MAX_LEVELS = 100  # of a side
CELL_BINS = 8  # bins in a cell of the ledger
LEFT_BEHIND = 3.3  # a cohort counts as closed with profit once price has moved away by this factor
MAX_FACTOR = 2.2  # no liquidation price is further from its entry; together they keep positions within the ring
BLOCK = 16  # cohorts that share a bound; divides every size
BUCKET = 8  # binary orders of magnitude that share a unit of mass
DAY_PLACES = 32  # days of observed flow that a state keeps; a power of two
BUCKETS = 2100 // BUCKET + 2  # even, so that a state has no padding, whose bytes copies need not keep
SIZES = (256, 1024, 4096)  # window lengths that a state can be built for, in bars


Record: TypeAlias = Any  # one row of a structured array: its fields are attributes
Index: TypeAlias = int | np.integer  # unsigned where it is used most: one that may be negative costs more


class Layout:
    """A structured dtype together with the unit and meaning of each field."""

    def __init__(self, rows: list[tuple[str, object, str]]) -> None:
        self.dtype = np.dtype([row[:2] for row in rows], align=True)
        self.units = {name: unit for name, _, unit in rows}


_BAR = Layout(
    [
        ("time", "i8", "ms, open of the bar"),
        ("open", "f8", "quote"),
        ("high", "f8", "quote"),
        ("low", "f8", "quote"),
        ("close", "f8", "quote"),
        ("volume", "f8", "base"),
        ("taker_buy", "f8", "base bought by aggressors; nan = unknown"),
        ("open_interest", "f8", "base at the close; nan = unknown"),
        ("funding_rate", "f8", "share in eight hours; nan = unknown"),
        ("liq_long_usd", "f8", "usd of longs observed liquidated; nan = not observed"),
        ("liq_long_price", "f8", "quote, their usd-weighted price"),
        ("liq_short_usd", "f8", "usd of shorts observed liquidated; nan = not observed"),
        ("liq_short_price", "f8", "quote, their usd-weighted price"),
        ("large_sell_usd", "f8", "usd of large aggressor sells (longs leaving); nan = no tape"),
        ("large_sell_price", "f8", "quote, their usd-weighted price"),
        ("large_buy_usd", "f8", "usd of large aggressor buys (shorts leaving); nan = no tape"),
        ("large_buy_price", "f8", "quote, their usd-weighted price"),
    ]
)
BAR = _BAR.dtype

_TRADE = Layout(
    [
        ("time", "i8", "ms"),
        ("price", "f8", "quote"),
        ("size", "f8", "base"),
        ("side", "i8", "+1 the aggressor bought, -1 the aggressor sold"),
    ]
)
TRADE = _TRADE.dtype

_PARAMS = Layout(
    [
        ("leverages", "i8", "how many leverages are in use"),
        ("weight", ("f8", (MAX_LEVERAGES,)), "share of turnover opened at each leverage"),
        ("factor", ("f8", (2, MAX_LEVERAGES)), "liquidation price / entry price, a side and leverage"),
        ("offset", ("f8", (2, MAX_LEVERAGES)), "bins, the log of that factor"),
        (
            "entries_swept",
            ("f8", (2, MAX_LEVERAGES)),
            "weight / factor, share opened over the entries reached",
        ),
        ("ledger_bars", "i8", "bars a cohort stays open"),
        ("flow_bars", "i8", "bars a flow is compared with"),
        ("zone_bars", "i8", "bars a mark lives"),
        ("atr_bars", "i8", "bars of the average true range"),
        ("outcome_bars", "i8", "bars in which a touch holds or breaks"),
        ("memory", "i8", "rows that a signal depends on"),
        ("event_mult", "f8", "ratio"),
        ("event_share", "f8", "share"),
        ("zone_atr", "f8", "atr"),
        ("max_width_atr", "f8", "atr"),
        ("rearm_atr", "f8", "atr"),
        ("hold_atr", "f8", "atr"),
        ("break_atr", "f8", "atr"),
        ("level_share", "f8", "share"),
        ("tape_ms", "i8", "ms, length of a bar made from trades"),
        ("large_trades", "i8", "trades whose mean a large one is compared with"),
        ("large_mult", "f8", "ratio"),
        ("large_usd", "f8", "usd"),
        ("use_extra_sources", "i8", "0 or 1, whether any of these four is switched on"),
        ("use_large_trades", "i8", "0 or 1"),
        ("use_cascades", "i8", "0 or 1"),
        ("cascade_mult", "f8", "ratio"),
        ("use_open_interest_drops", "i8", "0 or 1"),
        ("open_interest_drop", "f8", "share"),
        ("use_funding", "i8", "0 or 1"),
        ("funding_extreme", "f8", "share in eight hours"),
        ("funding_raise", "f8", "share"),
        ("observed", "i8", "0 beside the estimate, 1 in its place at its scale, 2 in its place as it is"),
        ("observed_bars", "i8", "bars in whose whole days that scale is learned"),
        ("digest", "u8", "of the dataclass the record was made from"),
    ]
)
PARAMS = _PARAMS.dtype

_MARK = Layout(
    [
        ("birth", "i8", "ms, open of the bar whose event left the mark"),
        ("birth_row", "i8", "row of that bar since the state was new"),
        ("side", "i8", "LONG or SHORT: who was liquidated"),
        ("price", "f8", "quote, usd-weighted sweep price"),
        ("half_width", "f8", "quote"),
        ("usd", "f8", "usd of the ledger"),
        ("observed", "i8", "1 its flow was observed, 0 estimated"),
        ("atr", "f8", "quote, at birth"),
        ("wake_low", "f8", "quote, a bar that stays above it and below wake_high changes nothing"),
        ("wake_high", "f8", "quote"),
        ("armed", "i8", "+1 armed from above, -1 from below, 0 not armed"),
        ("trial", "i8", "+1 touched from above and undecided, -1 from below, 0 none"),
        ("trial_age", "i8", "bars since that touch"),
        ("trial_atr", "f8", "quote, frozen at that touch"),
        ("broken", "i8", "+1 broken upwards, -1 downwards, 0 whole"),
        ("broken_age", "i8", "bars since the break"),
        ("touches", "i8", "count"),
        ("holds", "i8", "count"),
        ("ambiguous", "i8", "count"),
        ("unresolved", "i8", "count"),
        ("leads", "i8", "1 while it is its zone's largest mark; of no meaning once broken"),
        ("zone_price", "f8", "quote, of the zone it leads"),
        ("zone_low", "f8", "quote"),
        ("zone_high", "f8", "quote"),
        ("zone_usd", "f8", "usd of the ledger"),
        ("zone_width_atr", "f8", "atr at the birth of the zone's lowest mark"),
        ("zone_marks", "i8", "count"),
        ("zone_last_row", "i8", "birth_row of the zone's youngest mark"),
        ("zone_last_time", "i8", "ms, birth of the zone's youngest mark"),
    ]
)
MARK = _MARK.dtype

_ZONE = Layout(
    [
        ("zone_id", "i8", "2 * birth + side of the largest mark"),
        ("birth", "i8", "ms, of the largest mark"),
        ("last_time", "i8", "ms, birth of the youngest mark"),
        ("side", "i8", "LONG or SHORT, of the largest mark"),
        ("price", "f8", "quote, usd-weighted"),
        ("low", "f8", "quote"),
        ("high", "f8", "quote"),
        ("usd", "f8", "usd of the ledger"),
        ("quality", "f8", "0 to 100"),
        ("marks", "i8", "count"),
        ("age", "i8", "bars since birth"),
        ("touches", "i8", "count, of the largest mark"),
        ("holds", "i8", "count, of the largest mark"),
        ("ambiguous", "i8", "count, of the largest mark"),
        ("unresolved", "i8", "count, of the largest mark"),
    ]
)
ZONE = _ZONE.dtype

_LEVEL = Layout(
    [
        ("side", "i8", "LONG (below the close) or SHORT (above)"),
        ("price", "f8", "quote, mass-weighted, to half a bin"),
        ("usd", "f8", "usd of the ledger that would be liquidated"),
        ("share", "f8", "share of its side of the ledger that is liquidated once price has passed it"),
    ]
)
LEVEL = _LEVEL.dtype

_CELL = Layout(
    [
        ("side", "i8", "LONG (below the close) or SHORT (above)"),
        ("distance", "i8", "cells from the close"),
        ("price", "f8", "quote, mass-weighted, to half a bin"),
        ("usd", "f8", "usd of the ledger that would be liquidated"),
    ]
)
CELL = _CELL.dtype

_SIGNAL = Layout(
    [
        ("support", "f8", "quote, price of the nearest zone at or below the close"),
        ("support_low", "f8", "quote"),
        ("support_high", "f8", "quote"),
        ("support_usd", "f8", "usd of the ledger"),
        ("support_quality", "f8", "0 to 100"),
        ("support_touches", "f8", "count"),
        ("support_age", "f8", "bars"),
        ("resistance", "f8", "quote, price of the nearest zone above the close"),
        ("resistance_low", "f8", "quote"),
        ("resistance_high", "f8", "quote"),
        ("resistance_usd", "f8", "usd of the ledger"),
        ("resistance_quality", "f8", "0 to 100"),
        ("resistance_touches", "f8", "count"),
        ("resistance_age", "f8", "bars"),
        ("level_below", "f8", "quote, price of the nearest level below the close"),
        ("level_below_usd", "f8", "usd of the ledger"),
        ("level_above", "f8", "quote, price of the nearest level above the close"),
        ("level_above_usd", "f8", "usd of the ledger"),
        ("long_flow_usd", "f8", "usd of the ledger, of longs closed by force on this bar"),
        ("short_flow_usd", "f8", "usd of the ledger, of shorts closed by force on this bar"),
        ("atr", "f8", "quote, plain mean true range of the last atr_bars rows"),
        ("fade_low", "f8", "quote, low of the zone that fade speaks of; nan = no fade"),
        ("fade_high", "f8", "quote, its high"),
        ("join_low", "f8", "quote, low of the broken mark's band that join speaks of; nan = no join"),
        ("join_high", "f8", "quote, its high"),
        ("touch", "i8", "+1 a support was touched, -1 a resistance, 0 neither"),
        ("broke", "i8", "-1 a zone was broken downwards, +1 upwards, 0 neither"),
        ("fade", "i8", "+1 buy at the next open, -1 sell, 0 nothing"),
        ("join", "i8", "+1 buy at the next open, -1 sell, 0 nothing"),
        ("exit_long", "i8", "1 the nearest resistance was touched"),
        ("exit_short", "i8", "1 the nearest support was touched"),
    ]
)
SIGNAL = _SIGNAL.dtype

_ZONE_RECORD = Layout(
    [
        ("zone_id", "i8", "2 * birth + side of the largest mark"),
        ("birth", "i8", "ms, of the largest mark"),
        ("birth_row", "i8", "row of that bar"),
        ("end", "i8", "ms, open of the bar at whose close it was gone; -1 while it stands"),
        ("last_row", "i8", "row of the last bar at which it stood; the fields below are as they were then"),
        ("reason", "i8", "0 it stands, 1 broken, 2 expired, 3 merged"),
        ("side", "i8", "LONG or SHORT, of the largest mark"),
        ("above", "i8", "1 its price was above the close, 0 not"),
        ("price", "f8", "quote, usd-weighted"),
        ("low", "f8", "quote"),
        ("high", "f8", "quote"),
        ("usd", "f8", "usd of the ledger"),
        ("quality", "f8", "0 to 100"),
        ("marks", "i8", "count"),
        ("observed", "i8", "of these, how many came of observed flow"),
        ("touches", "i8", "count, of the largest mark"),
        ("holds", "i8", "count, of the largest mark"),
    ]
)
ZONE_RECORD = _ZONE_RECORD.dtype

_CHANGE = Layout(
    [
        ("cell", "i8", "place of the cell, upwards by price"),
        ("usd", "f8", "usd of the ledger that would be liquidated in it from this bar's close on"),
    ]
)
CHANGE = _CHANGE.dtype

UNITS = {
    "BAR": _BAR.units,
    "TRADE": _TRADE.units,
    "PARAMS": _PARAMS.units,
    "MARK": _MARK.units,
    "ZONE": _ZONE.units,
    "LEVEL": _LEVEL.units,
    "CELL": _CELL.units,
    "SIGNAL": _SIGNAL.units,
    "ZONE_RECORD": _ZONE_RECORD.units,
    "CHANGE": _CHANGE.units,
}


@cache
def state_dtype(size: int) -> np.dtype:
    """The STATE of one symbol whose longest window is at most ``size`` bars.

    A few sizes rather than one dtype for each Params: a kernel is compiled once a dtype, and a search over
    parameters must not compile anew at every step.
    """
    return np.dtype(
        [
            ("schema", "i8"),
            ("digest", "u8"),  # of the Params the state was made for
            ("rows", "i8"),  # rows delivered
            ("skipped", "i8"),  # of these, rows without usable prices
            ("close", "f8"),  # of the last good row; nan = none, or too long ago
            ("close_age", "i8"),  # rows since that one
            ("open_interest", "f8"),  # of the last row; nan = unknown
            # rings: the place of the last row in each. Unsigned, because an index that may be negative costs more
            ("ledger_at", "u4"),
            ("flow_at", "u4"),
            ("range_at", "u4"),
            ("mark_at", "u4"),
            # windows; each stands again behind its end
            ("true_range", "f8", (2 * size,)),
            ("ranges_missing", "i8"),  # rows of the window without a true range
            ("turnover", "f8", (2 * size,)),
            ("flow", "f8", (2, 2 * size)),
            # observed flow and the estimates beside it, a day a place: day % DAY_PLACES
            ("day", "i8", (DAY_PLACES,)),  # since 1970, UTC; -1 = none
            ("day_row", "i8", (DAY_PLACES,)),  # its first row that a feed covered
            ("day_observed", "f8", (2, DAY_PLACES)),
            ("day_estimated", "f8", (2, DAY_PLACES)),
            # ledger: a cohort a row
            ("entry", "f8", (size,)),
            ("log_entry", "f8", (size,)),  # in bins
            ("mass", "f8", (size,)),  # base units a side
            ("open_positions", "i8", (2, size)),  # of the cohort's side: the lowest so many leverages
            ("next_price", "f8", (2, size)),  # liquidation price of the highest of these; out of reach if none
            ("bound", "f8", (2, size // BLOCK)),  # no next_price of a block is nearer than this
            ("reached", "u4", (2 * size,)),  # scratch of the sweep
            ("lowest_entry", "f8"),  # no open long was entered below
            ("highest_entry", "f8"),  # no open short was entered above
            ("lots", "i8", (2, BINS)),  # mass of the open positions at bins of liquidation prices
            ("open_lots", "i8", (2,)),  # of all bins
            ("lots_a_unit", "f8"),  # lots in one base unit
            ("buckets", "i4", (BUCKETS,)),  # open cohorts by order of magnitude of their mass
            ("top_bucket", "i8"),
            # marks: two slots a row, 2 * mark_at + side
            ("marks", MARK, (2 * size,)),
            ("whole", "u4", (2 * size,)),  # slots of unbroken marks by (price, birth, side)
            ("whole_count", "i8"),
            ("broken", "u4", (2 * size,)),  # slots of broken marks that may yet be joined
            ("broken_count", "i8"),
            ("zones", "u4", (2 * size,)),  # slots of the marks that lead a zone, upwards
            ("zone_count", "i8"),
            ("zone_usd", "f8"),  # of all zones together
        ],
        align=True,
    )


@cache
def recorder_dtype(size: int) -> np.dtype:
    """What a recorder keeps from bar to bar beside the state of that size."""
    return np.dtype(
        [
            ("zones", "i8"),  # entries so far
            ("entry", "u4", (2 * size,)),  # of the zone that the mark of a slot leads or led
            ("standing", "u4", (2 * size,)),  # slots of the marks that led a zone at the last bar
            ("left", "u4", (2 * size,)),  # the entries of these
            ("standing_count", "i8"),
            ("first_bin", "i8"),  # of the first cell, on the axis of prices
            ("cell_bins", "i8"),
            ("first_cell", "i8"),  # cells that may have held a position at the last bar: from this one on
            ("end_cell", "i8"),  # to before this one
            ("changes", "i8"),  # of cells so far
        ],
        align=True,
    )
