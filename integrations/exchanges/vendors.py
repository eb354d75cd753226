"""Observed liquidations from vendors, as sums an interval: what the store has is read, what it lacks is fetched."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from liquidator_core.timeframes import timeframe_ms

from ..market.coins import market_of
from ..market.messages import moment
from ..store import layout, parquet
from ..store.coverage import Result, examine
from ..store.kinds import SUMS, empty, key_of, table_of
from ..store.layout import Span, merged, without
from . import coinalyze, coinglass
from .feed import Progress

VENDORS: dict[str, ModuleType] = {coinalyze.NAME: coinalyze, coinglass.NAME: coinglass}
TIMEFRAME = "1h"


def observed(
    symbol: str,
    name: str,
    kinds: Sequence[str],
    since: int,
    until: int,
    timeframe: str | None,
    store: str | os.PathLike[str] | None,
    progress: Progress | None,
    venue: str | None = None,
) -> tuple[str, pa.Table, Result]:
    """(what was asked for, the sums, what is known of them) of the intervals that have ended.

    venue   whose liquidations alone; None: all that the vendor adds up

    An interval that the vendor leaves out has no row: nothing says that it is a zero. Errors as for ``fetch`` and
    ``Keyed.get``.
    """
    module = VENDORS[name]
    if tuple(kinds) != ("liquidations",):
        raise ValueError(f"kinds: found {', '.join(kinds)}, allowed of {name} liquidations alone")
    timeframe = timeframe or TIMEFRAME
    if timeframe not in module.INTERVALS:
        raise ValueError(f"timeframe: found {timeframe!r}, allowed of {name} {', '.join(module.INTERVALS)}")
    if not isinstance(symbol, str) or not symbol.strip():
        raise ValueError(f"symbol: found {symbol!r}, allowed a coin such as BTC")
    step = timeframe_ms(timeframe)
    since, until = -(-since // step) * step, until // step * step
    whose = market_of(symbol).coin if "." not in symbol else symbol
    title = whose if venue is None else f"{whose} on {venue}"
    kind = f"{SUMS}-{timeframe}"
    place = None if store is None else layout.folder(layout.open_root(Path(store)), name, title, kind)
    spans, there = ([], None) if place is None else parquet.read(place, since, until, key_of(SUMS))
    parts = [empty(SUMS)]
    if there is not None:
        parts.append(there.drop_columns([parquet.WRITTEN]))
    missing = without([(since, until)], spans)
    if missing:
        vendor = module.client()
        names = module.symbols(vendor, symbol, venue)
        for begin, end in missing:
            for pages, reached in module.pages(vendor, names, begin, end, timeframe, step):
                table, covered = _summed(pages, begin, min(reached, _ended(vendor, step)), step, name, title)
                if covered and place is not None:
                    parquet.add(place, table, covered, key_of(SUMS))
                parts.append(table)
                spans = spans + covered
                if progress is not None:
                    progress("liquidations", min(reached, until) - since, until - since)
    table = parquet.joined(parts, key_of(SUMS))
    return title, table, examine(table, since, until, merged(spans))


def _ended(vendor: Any, step: int) -> int:
    """The time up to which intervals have ended, by the vendor's clock: the one that is forming is no number yet."""
    now = time.time_ns() // 1_000_000 if vendor.clock_ms is None else int(vendor.clock_ms)
    return now // step * step


def _summed(
    pages: list[tuple[np.ndarray, np.ndarray]], since: int, until: int, step: int, name: str, title: str
) -> tuple[pa.Table, list[Span]]:
    """(the sums of all pages, the span that they cover: from the first row to the last)."""
    opens = np.unique(np.concatenate([page[0] for page in pages])) if pages else np.zeros(0, np.int64)
    usd = np.zeros((2, len(opens)))
    for when, values in pages:
        if not (np.isfinite(values).all() and (values >= 0.0).all()):
            row = int(np.argmin((np.isfinite(values) & (values >= 0.0)).all(axis=0)))
            raise ValueError(f"{name}, {moment(int(when[row]))}: found {values[:, row]}, allowed USD not below 0")
        if (when % step != 0).any() or len(np.unique(when)) < len(when):
            raise ValueError(f"{name}: found times that repeat or are no multiple of {step} ms")
        usd[:, np.searchsorted(opens, when)] += values
    keep = (opens >= since) & (opens < until)
    opens, usd = opens[keep], usd[:, keep]
    table = table_of(SUMS, {"time": opens, "long_usd": usd[0], "short_usd": usd[1]}, name, title)
    return table, [Span(int(opens[0]), int(opens[-1]) + step, "none")] if len(opens) else []
