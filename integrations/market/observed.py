"""Single observed liquidations to sums a bar, of the bars in which their feed was heard."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from liquidator_core.layout import LONG, SHORT
from liquidator_core.timeframes import BAR_LENGTHS, check_timeframe, timeframe_ms

from .columns import NO_ID, Events
from .liquidations import read_liquidations
from .messages import moment
from .sources import Convention
from .times import ms_of
from .trades import firsts

if TYPE_CHECKING:
    import pandas as pd

_LOG = logging.getLogger("liquidator")


def observed_bars(
    events: Events,
    timeframe: str,
    alive: Iterable[tuple[Any, Any]],
    *,
    venue: str = "",
    convention: Convention = None,
) -> pd.DataFrame:
    """The USD of longs and of shorts that a feed saw liquidated, bar by bar: a frame of time, long_usd, short_usd.

    events     single liquidations of one market, as for ``Liquidator.ingest_liquidations``
    timeframe  of the bars, 1m to 1d; ``time`` is that of a bar's open, UTC ms
    alive      the spans (since, until) in which the feed was heard, since <= time < until: ms, datetimes or ISO text,
               in any order; they may overlap
    venue, convention   of events that do not say it: as for ``Liquidator.ingest_liquidations``

    A bar that the spans cover whole has a row, with zeros where nothing was liquidated; no other has one, so that what
    nobody saw is not taken for nothing. Events that repeat an id of their venue are left out, and so are those of bars
    without a row; a warning of logger "liquidator" says how many. The order of events does not matter. Raises
    ValueError or TypeError for events as ``Liquidator.ingest_liquidations`` does, and for spans that are none.

    >>> minute = 60_000
    >>> events = {"time": [1_700_000_040_000], "price": [100.0], "usd": [5e4], "side": ["long"]}
    >>> observed_bars(events, "1m", [(1_700_000_040_000, 1_700_000_040_000 + 2 * minute)]).values.tolist()
    [[1700000040000.0, 50000.0, 0.0], [1700000100000.0, 0.0, 0.0]]
    """
    import pandas as pd

    check_timeframe(timeframe, BAR_LENGTHS)
    step = timeframe_ms(timeframe)
    time = _covered(alive, step)
    codes: dict[str, int] = {}
    read = read_liquidations(events, None, lambda name: codes.setdefault(name, len(codes)), venue, convention).events
    once = read[_new(read)]
    opens = once["time"] // step * step
    seen = once[np.isin(opens, time)]
    if len(seen) < len(read):
        repeats, unheard = len(read) - len(once), len(once) - len(seen)
        _LOG.warning("%d events repeat an id, %d lie in bars not heard whole: left out", repeats, unheard)
    seen = seen[np.lexsort([seen[name] for name in ("usd", "price", "side", "time")])]
    places = np.searchsorted(time, seen["time"] // step * step)
    sums = [
        np.bincount(places[seen["side"] == side], seen["usd"][seen["side"] == side], len(time))
        for side in (LONG, SHORT)
    ]
    return pd.DataFrame({"time": time, "long_usd": sums[0], "short_usd": sums[1]})


def _covered(alive: Iterable[tuple[Any, Any]], step: int) -> np.ndarray:
    """(n,) the opens of bars that lie within spans whole, in order."""
    spans = []
    for place, span in enumerate(alive):
        if isinstance(span, (str, bytes)) or not hasattr(span, "__len__") or len(span) != 2:
            raise TypeError(f"alive, span {place}: found {span!r:.80}, allowed (since, until)")
        since, until = (ms_of(value) for value in span)
        if since >= until:
            raise ValueError(f"alive, span {place}: found {moment(since)} to {moment(until)}, allowed since < until")
        spans.append((since, until))
    joined: list[tuple[int, int]] = []
    for since, until in sorted(spans):
        if joined and since <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(until, joined[-1][1])
        else:
            joined.append((since, until))
    parts = [np.arange(-(-since // step) * step, until // step * step, step) for since, until in joined]
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def _new(events: np.ndarray) -> np.ndarray:
    """(n,) bool: which of (n,) LIQUIDATION repeat no id of their venue."""
    new = np.ones(len(events), np.bool_)
    for venue in np.unique(events["venue"]).tolist():
        known = (events["venue"] == venue) & (events["id"] != NO_ID)
        new[known] = firsts(events["time"][known], events["id"][known])
    return new
