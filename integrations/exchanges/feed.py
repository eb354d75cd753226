"""One missing span of one kind of one market, as a venue's module fills it: ask, take the rows, say what they cover."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from liquidator_core.timeframes import timeframe_ms

from ..store import parquet
from ..store.kinds import Columns, checked, empty, key_of, table_of
from ..store.layout import Span, merged
from .client import Client

Progress = Callable[[str, int, int], object]
Page = dict[str, Any]  # columns of rows, and what else a venue's module keeps there

_FIRST_PAGES = 4  # that are kept at once; later as many as a quarter of what was kept before
_GROWTH = 4
_LATE_MS = 10_000  # after which a venue shows every row


class Feed:
    """A span to fill: since <= time < until.

    client, market   whom to ask for what; ``market`` is ccxt's
    place            the folder of the store that keeps what comes; None: nothing is kept
    on_covered       is called with every span that was covered
    """

    def __init__(
        self,
        client: Client,
        market: Mapping[str, Any],
        kind: str,
        since: int,
        until: int,
        timeframe: str,
        place: Path | None,
        on_covered: Callable[[int, int], object],
    ) -> None:
        self.client = client
        self.market = market
        self.kind = kind
        self.since = since
        self.until = until
        self.timeframe = timeframe
        self.tables: list[pa.Table] = []
        self.spans: list[Span] = []
        self._place = place
        self._on_covered = on_covered
        self._pending: list[pa.Table] = []
        self._to_keep: list[Span] = []
        self._kept_pages = 0

    @property
    def step(self) -> int:
        """The length of a candle in ms."""
        return timeframe_ms(self.timeframe)

    async def get(self, end_point: str, params: dict[str, Any], read: Callable[[Any], Page]) -> Page:
        """A page of a raw end point, checked. Errors as for ``Client.ask``."""
        return await self.ask(end_point, (params,), read)

    async def ask(self, method: str, arguments: tuple[Any, ...], read: Callable[[Any], Page]) -> Page:
        """A page that ``read`` makes of what a method of the instance gives, checked. Errors as for ``Client.ask``."""
        return await self.client.ask(method, arguments, lambda answer: checked(self.kind, read(answer)))

    def take(self, columns: Columns) -> None:
        """Take a page of rows, in any order; those outside of the span are left out."""
        table = table_of(self.kind, columns, self.client.venue, str(self.market["symbol"]))
        when = table["time"].to_numpy()
        if len(when) and (when.min() < self.since or when.max() >= self.until):
            table = table.filter(pa.array((when >= self.since) & (when < self.until)))
        if len(table):
            self.tables.append(table)
            self._pending.append(table)

    def cover(self, since: int, until: int, proof: str, settled: int | None = None) -> None:
        """Say that what was taken covers this part of the span.

        settled   the time of the newest row there is: of a span that ends about now what comes after may still grow,
                  and no store keeps that
        """
        since, until = max(since, self.since), min(until, self.until)
        if since >= until:
            return
        self.spans.append(Span(since, until, proof))
        if self._place is not None:
            end = until if settled is None or not self._is_fresh() else min(until, settled)
            if since < end:
                self._to_keep.append(Span(since, end, proof))
            if len(self._pending) >= max(_FIRST_PAGES, self._kept_pages // _GROWTH):
                self.keep()
        self._on_covered(since, until)

    def _is_fresh(self) -> bool:
        clock = self.client.clock_ms
        return clock is None or self.until > clock - _LATE_MS

    def keep(self) -> None:
        """Write what was taken and covered since the last time into the store."""
        if self._place is None or not self._to_keep:
            return
        spans = merged(self._to_keep)
        rows = parquet.joined(self._pending or [empty(self.kind)], key_of(self.kind))  # pages may overlap
        parquet.add(self._place, rows, spans, key_of(self.kind))
        self._kept_pages += len(self._pending)
        when = rows["time"].to_numpy()
        loose = np.ones(len(when), bool)
        for span in spans:
            loose &= (when < span.since) | (when >= span.until)
        self._pending = [rows.filter(pa.array(loose))] if loose.any() else []
        self._to_keep = []
