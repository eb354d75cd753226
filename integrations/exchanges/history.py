"""A span of history from an exchange: what the store has is read, what it lacks is fetched, what is lost is named."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pyarrow as pa

from liquidator_core.timeframes import TIMEFRAMES, timeframe_ms

from ..market.messages import moment
from ..market.times import ms_of
from ..store import coverage, layout, parquet
from ..store.kinds import KINDS, empty, finished, key_of
from ..store.layout import Span, merged, without
from . import venues
from .archive import Defect, fill, has_archive
from .client import Client, run
from .feed import Feed, Progress
from .paging import Hole, joined_holes
from .symbols import find_market
from .vendors import VENDORS, observed

_HOUR = 3_600_000
_LEAST_PAGE = 100  # rows that a request for anything but trades gives at least
_LONGEST = TIMEFRAMES[:12]  # of candles: up to a day, so that all begin at a multiple of their length


@dataclass(frozen=True)
class History:
    """What a fetch gave.

    tables     kind -> Arrow table, in order of time, without repeats
    coverage   a row a kind and UTC day: venue, symbol, kind, day, expected, got, proof, status
    gaps       a row a gap: venue, symbol, kind, since, until (UTC ms), missing
    venue, symbol   whose it is, as ccxt names them
    defects    a row for what is wrong with a file of an archive: file, problem, kept: where the original lies, or ""
    """

    tables: dict[str, pa.Table]
    coverage: pd.DataFrame
    gaps: pd.DataFrame
    venue: str
    symbol: str
    defects: pd.DataFrame


def fetch(
    symbol: str,
    exchange: Any,
    kinds: Sequence[str] = ("candles",),
    *,
    since: Any,
    until: Any = None,
    timeframe: str | None = None,
    market: str | None = None,
    store: str | os.PathLike[str] | None = None,
    archive: bool = False,
    progress: Progress | None = None,
) -> History:
    """The history of a market from an exchange, complete or with its gaps named: tables, coverage and gaps.

    symbol      as people write it: BTC, BTCUSDT, BTC-USD, XBT/USD, BTC-PERP, or ccxt's or the venue's own
    exchange    a name (ccxt's, or as others write it: okex, gate-io, binance-delivery), or a ccxt instance,
                synchronous or asynchronous; requests go where its ``urls`` say. Or a vendor of observed liquidations,
                ``coinalyze`` or ``coinglass``, with your key in the environment (docs/exchanges.md)
    kinds       of candles, trades, funding, open_interest, liquidations
    since, until   ms, a datetime or ISO text; since <= time < until; ``until`` is now if it is None
    timeframe   of candles, 1m to 1d, 1m if None; a candle that is open at ``until`` is left out. Of a vendor's sums, 1h
                if None
    market      perpetual (linear), inverse or spot; None: what the symbol or the exchange's name says, else the linear
                perpetual, else spot, and standard error says which
    store       a folder, or a ``Store``, that keeps what was fetched, and from which it is read the next time; None:
                nothing is kept
    archive     take whole days from the exchange's archive where it has one (Binance; trades of Bybit and OKX), every
                file checked; what is not there, or is wrong there, comes as without it
    progress    is called as progress(what, done, total) while it goes on

    Sides are the taker's, sizes base coins. A status of ``unproven`` is not ``complete``: the venue gives no means to
    tell. Raises ValueError or TypeError for what is not allowed and for an exchange that answers nonsense,
    ConnectionError for one that does not answer or forbids, PermissionError for a vendor that refuses the key, OSError
    for a store that cannot be written to, RuntimeError for an asynchronous instance within a running loop. What was
    fetched before an error is kept in the store. Cost: a request a page.

    >>> fetch("BTC", "binanse", since=0)
    Traceback (most recent call last):
    ValueError: exchange: found 'binanse', allowed the name of an exchange: did you mean 'binance'...
    """
    if (vendor := _vendor(exchange, market, archive)) is not None:
        return _observed(symbol, vendor, kinds, since, until, timeframe, store, progress)
    client = Client(exchange, inline=True)
    job = Job(client, symbol, kinds, since, until, timeframe, market, store, progress, archive=archive)
    return run(job.run, client.instance)


async def afetch(
    symbol: str,
    exchange: Any,
    kinds: Sequence[str] = ("candles",),
    *,
    since: Any,
    until: Any = None,
    timeframe: str | None = None,
    market: str | None = None,
    store: str | os.PathLike[str] | None = None,
    archive: bool = False,
    progress: Progress | None = None,
) -> History:
    """``fetch`` for a running loop: a synchronous instance, or one of a name, is asked in a thread.

    >>> import asyncio
    >>> asyncio.run(afetch("BTC", "binance", ("ticks",), since=0))
    Traceback (most recent call last):
    ValueError: kinds: found 'ticks', allowed candles, trades, funding, open_interest, liquidations
    """
    if (vendor := _vendor(exchange, market, archive)) is not None:
        return await asyncio.to_thread(_observed, symbol, vendor, kinds, since, until, timeframe, store, progress)
    client = Client(exchange, inline=False)
    job = Job(client, symbol, kinds, since, until, timeframe, market, store, progress, archive=archive)
    return await job.run()


def _vendor(exchange: Any, market: str | None, archive: bool) -> str | None:
    """The vendor that an exchange's name is; None if it is none."""
    name = exchange.strip().lower() if isinstance(exchange, str) else ""
    if name not in VENDORS:
        return None
    if market is not None or archive:
        raise ValueError(f"market and archive are for exchanges: {name} has liquidations of all perpetuals of a coin")
    return name


def _observed(
    symbol: str,
    vendor: str,
    kinds: Sequence[str],
    since: Any,
    until: Any,
    timeframe: str | None,
    store: str | os.PathLike[str] | None,
    progress: Progress | None,
    venue: str | None = None,
) -> History:
    """``fetch`` from a vendor; ``venue``: the liquidations of one alone."""
    begin, end = _span(since, until)
    title, table, result = observed(symbol, vendor, _kinds(kinds), begin, end, timeframe, store, progress, venue)
    known = coverage.frames(vendor, title, {"liquidations": result})
    return History({"liquidations": finished(table)}, *known, vendor, title, _defects([]))


def fetch_observed(symbol: str, vendor: str, hours: int, venue: str) -> pd.DataFrame:
    """The last hours of what a vendor saw liquidated on a venue, as ``liquidation_at_risk`` takes it."""
    if vendor not in VENDORS:
        raise ValueError(f"observed: found {vendor!r}, allowed a file, {', '.join(VENDORS)}")
    end = now_ms()
    history = _observed(symbol, vendor, ("liquidations",), end - hours * _HOUR, end, "1h", None, None, venue)
    return history.tables["liquidations"].to_pandas()


class Job:
    """One fetch.

    optional   the kinds that are left out where the market has none
    before     is awaited before the first request for data
    """

    def __init__(
        self,
        client: Client,
        symbol: str,
        kinds: Sequence[str],
        since: Any,
        until: Any,
        timeframe: str | None,
        market: str | None,
        store: str | os.PathLike[str] | None,
        progress: Progress | None,
        optional: Sequence[str] = (),
        archive: bool = False,
    ) -> None:
        self.client = client
        self.before: Callable[[Client, Any, int, int], Awaitable[None]] | None = None
        self.kinds = _kinds(kinds)
        self.since, self.until = _span(since, until)
        timeframe = timeframe or "1m"
        if timeframe not in _LONGEST:
            raise ValueError(f"timeframe: found {timeframe!r}, allowed {', '.join(_LONGEST)}")
        self.timeframe = timeframe
        self._symbol = symbol
        self._type = client.market_type if market is None else market
        self._root = None if store is None else layout.open_root(Path(store))
        self._progress = progress
        self._optional = optional
        self._archive = archive
        self._defects: list[Defect] = []

    async def run(self) -> History:
        with self.client.strict():
            return await self._run()

    async def _run(self) -> History:
        market = await self.resolve()
        if self.before is not None:
            await self.before(self.client, market, self.since, self.until)
        tables, results = {}, {}
        for kind in self.kinds:
            if kind in self._optional and not venues.has(self.client.instance, market, kind):
                continue
            since, until = self._bounds(kind)
            tables[kind], spans = await self._one(market, kind, since, until)
            module = venues.module_of(self.client.venue)
            flat = kind == "candles" and venues.has(self.client.instance, market, kind) and module.FLAT
            results[kind] = coverage.examine(
                tables[kind],
                since,
                until,
                spans,
                step=timeframe_ms(self.timeframe) if flat else 0,
                chained=kind == "trades" and module.CHAINED,
            )
        named = (self.client.venue, str(market["symbol"]))
        done = {kind: finished(table) for kind, table in tables.items()}
        return History(done, *coverage.frames(*named, results), *named, _defects(self._defects))

    async def resolve(self) -> Any:
        """The market that is meant, checked."""
        markets = await self.client.markets()
        market, chosen = find_market(markets, self._symbol, self._type)
        if chosen:
            print(f"{self._symbol} on {self.client.venue}: {_described(market)}", file=sys.stderr)
        if market.get("contract") and not (market.get("contractSize") and (market["linear"] or market["inverse"])):
            raise ValueError(f"symbol: nothing says how large the contracts of {market['symbol']} are")
        clock = self.client.clock_ms
        if clock is not None and self.since > clock + 1000:
            raise ValueError(f"since: found {moment(self.since)}, allowed a time before now: {moment(clock)}")
        created = market.get("created")
        if created and self.since < created:
            raise ValueError(
                f"since: found {moment(self.since)}, allowed from {moment(created)} on, when {self.client.venue} "
                f"listed {market['symbol']}"
            )
        timeframes = self.client.instance.timeframes or {}
        if "candles" in self.kinds and timeframes and self.timeframe not in timeframes:
            there = ", ".join(name for name in _LONGEST if name in timeframes)
            raise ValueError(f"timeframe: found {self.timeframe!r}, allowed on {self.client.venue} {there}")
        return market

    def _bounds(self, kind: str) -> tuple[int, int]:
        """The span of a kind: of candles those that lie within it whole."""
        until = self.until if self.client.clock_ms is None else min(self.until, self.client.clock_ms + 1000)
        if kind != "candles":
            return self.since, max(until, self.since)
        step = timeframe_ms(self.timeframe)
        since = -(-self.since // step) * step
        return since, max(since, until // step * step)

    async def _one(self, market: Any, kind: str, since: int, until: int) -> tuple[pa.Table, list[Span]]:
        """(the rows of a kind in order, the spans that are covered), from the store and from the venue."""
        place = None
        spans: list[Span] = []
        parts = [empty(kind)]
        chained = kind == "trades" and venues.module_of(self.client.venue).CHAINED
        if self._root is not None:
            name = f"candles-{self.timeframe}" if kind == "candles" else kind
            place = layout.folder(self._root, self.client.venue, str(market["symbol"]), name)
            spans, there = parquet.read(place, since, until, key_of(kind))
            if there is not None:
                there = there.drop_columns([parquet.WRITTEN])
                parts.append(there)
                if chained:
                    spans = coverage.without_holes(there, since, until, spans)
        if self._archive and has_archive(self.client.venue, market, kind, self.timeframe):

            async def take(feed: Feed) -> None:
                self._defects += await fill(feed, place)

            tables, spans = await self._filled(take, market, kind, (since, until), spans, place)
            parts += tables
            if chained:
                table = parquet.joined(parts, key_of(kind))
                spans = coverage.without_holes(table, since, until, spans)
        if venues.has(self.client.instance, market, kind):
            module = venues.module_of(self.client.venue)
            holes = self._joined(module, kind, without([(since, until)], spans), spans, parts)
            tables, spans = await self._filled(getattr(module, kind), market, kind, (since, until), spans, place, holes)
            parts += tables
        return parquet.joined(parts, key_of(kind)), merged(spans)

    async def _filled(
        self,
        ask: Callable[[Feed], Awaitable[None]],
        market: Any,
        kind: str,
        span: tuple[int, int],
        spans: list[Span],
        place: Path | None,
        holes: Sequence[Hole] | None = None,
    ) -> tuple[list[pa.Table], list[Span]]:
        """(what ``ask`` gives for the parts of a span that are not covered, the spans that are then).

        holes   to ask for in their place, which hold all of them
        """
        tables: list[pa.Table] = []
        done = sum(one.until - one.since for one in spans)
        for begin, end in without([span], spans) if holes is None else holes:
            on_covered = self._on_covered(kind, done, span[1] - span[0])
            feed = Feed(self.client, market, kind, begin, end, self.timeframe, place, on_covered)
            try:
                await ask(feed)
            finally:
                feed.keep()
            tables += feed.tables
            spans = spans + feed.spans
            done += end - begin
        return tables, spans

    def _joined(
        self, module: ModuleType, kind: str, holes: list[Hole], spans: list[Span], parts: list[pa.Table]
    ) -> list[Hole]:
        """Holes to ask for, fewer where that takes fewer requests than each by itself."""
        if len(holes) < 2:
            return holes
        if kind == "trades" and not module.PAGES_BACK:  # whatever is asked for, it gives the newest page
            return [(holes[0][0], holes[-1][1])]
        covered = sum(one.until - one.since for one in spans)
        rate = 1 / timeframe_ms(self.timeframe) if kind == "candles" else sum(map(len, parts)) / max(1, covered)
        page = module.PAGE if kind == "trades" else _LEAST_PAGE
        return joined_holes(holes, lambda since, until: rate * (until - since), page)

    def _on_covered(self, kind: str, done: int, total: int) -> Callable[[int, int], object]:
        """What reports progress: the ms of the span that are covered, of how many."""
        state = [done]

        def covered(since: int, until: int) -> None:
            state[0] = min(total, state[0] + until - since)
            if self._progress is not None:
                self._progress(kind, state[0], total)

        return covered


def _kinds(kinds: Sequence[str]) -> tuple[str, ...]:
    wanted = (kinds,) if isinstance(kinds, str) else tuple(kinds)
    for kind in wanted:
        if kind not in KINDS:
            raise ValueError(f"kinds: found {kind!r}, allowed {', '.join(KINDS)}")
    if not wanted:
        raise ValueError(f"kinds: found none, allowed {', '.join(KINDS)}")
    return tuple(dict.fromkeys(wanted))


def _span(since: Any, until: Any) -> tuple[int, int]:
    end = now_ms() if until is None else _ms("until", until)
    begin = _ms("since", since)
    if begin >= end:
        what = "it lies in the future" if until is None else "since must be before until"
        raise ValueError(f"since: found {moment(begin)}, allowed a time before {moment(end)}: {what}")
    return begin, end


def _defects(rows: list[Defect]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(Defect._fields))


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _ms(name: str, value: Any) -> int:
    if isinstance(value, date) and not isinstance(value, datetime):
        value = datetime(value.year, value.month, value.day, tzinfo=UTC)
    try:
        return ms_of(value)
    except (ValueError, TypeError) as error:
        raise type(error)(str(error).replace("time:", f"{name}:", 1)) from None


def _described(market: Any) -> str:
    if market["spot"]:
        return f"{market['symbol']} (spot)"
    return f"{market['symbol']} ({'linear' if market['linear'] else 'inverse'} perpetual)"
