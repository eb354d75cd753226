"""A store played back through the path that trades of a live stream take, at any speed."""

from __future__ import annotations

import math
import os
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import unquote

from ..exchanges.venues import module_of
from ..market.coins import Identity
from ..market.funding import UNIT_HOURS
from ..market.messages import iso
from ..market.times import ms_of
from ..store import journal, kinds, layout, parquet
from . import raw
from .channel import Channel
from .courier import Courier
from .limits import Limits
from .repair import rows_of
from .said import Row
from .session import Session
from .waiting import Key, Placed, key_of

_KINDS = ("trades", "liquidations", "funding", "open_interest")
_AT_ONCE = 1000  # trades that are taken at once
_PACE_MS = 50  # of the clock, that trades which are taken at once are apart at most

Market = tuple[str, str]  # venue and symbol, as ccxt names them
Told = tuple[int, Channel, str, Any]  # time, market, kind, a row; of trades those that follow each other


def replay(
    liquidator: Any,
    store: str | os.PathLike[str],
    symbols: Sequence[str] | None = None,
    since: Any = None,
    until: Any = None,
    speed: float | None = None,
) -> None:
    """Feed a Liquidator in streaming mode from a store, by the path of a live stream.

    symbols        markets as ccxt names them; None: all of its coin
    since, until   ms, a datetime or ISO text; since <= time < until; None: all there is
    speed          event time a second of the clock: 60 plays an hour in a minute; None: as fast as it goes

    The bars are those of a stream that had run, and of a batch over the same trades. Callbacks are called where they
    arise. Raises ValueError for a store without a trade of this coin, a span that ends before it begins and a speed
    that is not above 0.

    >>> from liquidator_integrations import Liquidator
    >>> replay(Liquidator("BTC", mode="streaming"), "no such store")
    Traceback (most recent call last):
    ValueError: no such store: no trades of BTC in it
    """
    if speed is not None and not speed > 0.0:
        raise ValueError(f"speed: found {speed!r}, allowed a number above 0, or None")
    sink = liquidator._stream_sink(None)
    first, markets = markets_of(store, liquidator.coin, symbols)
    begin, end = first if since is None else ms_of(since), None if until is None else ms_of(until)
    if end is not None and begin >= end:
        raise ValueError(f"until: found {iso(end)}, allowed a time after {iso(begin)}, at which it begins")
    play(store, dict.fromkeys(markets, sink), begin, end, speed)


def markets_of(
    store: str | os.PathLike[str], coin: str | None, symbols: Sequence[str] | None = None
) -> tuple[int, list[Market]]:
    """(the time of the first trade in a store, the markets of a coin that have trades there).

    What a process left that was killed while it captured is put in its place first.
    """
    root = Path(store)
    found, first = [], []
    for place in sorted(root.glob("*/*/trades")):
        venue, symbol = unquote(place.parent.parent.name), unquote(place.parent.name)
        if symbols is not None and symbol not in symbols:
            continue
        if symbols is None and not _is_of(symbol, coin):
            continue
        for kind in _KINDS:
            if (place.parent / kind).exists():
                journal.recover(place.parent / kind, kinds.key_of(kind))
        begin = _first(place)
        if begin is not None:
            found.append((venue, symbol))
            first.append(begin)
    if not found:
        raise ValueError(f"{store}: no trades of {coin or symbols} in it")
    return min(first), found


def _first(place: Path) -> int | None:
    """The time of the first row of a folder."""
    for begin, end in layout.days_of(path.stem for path in parquet.files(place)):
        _, table = parquet.read(place, begin, end, columns=["time"])
        if table is not None and len(table):
            return int(table["time"][0].as_py())
    return None


def _is_of(symbol: str, coin: str | None) -> bool:
    try:
        Identity(coin).joined(symbol)
    except ValueError:
        return False
    return True


def play(
    store: str | os.PathLike[str],
    sinks: Mapping[Market, Any],
    since: int,
    until: int | None,
    speed: float | None = None,
    without: Counter[Key] | None = None,
) -> None:
    """Take what a store holds of markets in order of time, each into its sink, but for events of these keys."""
    courier = Courier()
    session = Session({}, None, courier, Limits(), None, None)
    for (venue, symbol), sink in sinks.items():
        sink.join(symbol)
        chained = bool(module_of(venue).CHAINED)
        module: ModuleType | None = raw.MODULES.get(venue)
        numbered = chained if module is None else bool(module.NUMBERED)
        session.add(Channel(venue, {"symbol": symbol}, sink, chained, numbered, "none", since))
    began, start = time.monotonic(), None
    apart = math.inf if speed is None else _PACE_MS * speed
    try:
        for at, channel, kind, what in _in_order(
            Path(store), session.channels, since, until, Counter(without or {}), apart
        ):
            if speed is not None:
                start = at if start is None else start
                time.sleep(max(0.0, (at - start) / 1000.0 / speed - (time.monotonic() - began)))
            if kind == "trades":
                session.take(channel, what, what[-1].time)
            else:
                feed(session, channel, kind, at, what)
    finally:
        courier.close(1.0)


def feed(session: Session, channel: Channel, kind: str, at: int, row: Any) -> None:
    """Apply a row of liquidations, funding or open interest."""
    if kind == "liquidations":
        channel.sink.liquidation(channel.venue, at, row["price"], row["usd"], row["side"])
    else:
        hours = row.get("interval_hours", UNIT_HOURS)
        session.rated(channel, kind, at, row["funding_rate" if kind == "funding" else kind], hours)


def _in_order(
    root: Path,
    channels: Sequence[Channel],
    since: int,
    until: int | None,
    without: Counter[Key],
    apart: float,
) -> Iterator[Told]:
    """What a store holds of markets, a day after the other."""
    days = {
        file.stem
        for channel in channels
        for kind in _KINDS
        for file in layout.folder(root, channel.venue, channel.symbol, kind).glob("*.parquet")
    }
    for begin, end in layout.days_of(days):
        first, last = max(begin, since), end if until is None else min(end, until)
        if first >= last:
            continue
        told: list[Told] = []
        for channel in channels:
            for kind in _KINDS:
                table = parquet.rows(layout.folder(root, channel.venue, channel.symbol, kind), kind, first, last)
                if kind == "trades" and channel.numbered and not all(map(str.isdecimal, table["id"].to_pylist())):
                    channel.numbered = channel.chained = False  # of a file without ids: text of our own
                rows = rows_of(table, channel) if kind == "trades" else table.to_pylist()
                events = [(row.time if isinstance(row, Row) else row["time"], channel, kind, row) for row in rows]
                told += [one for one in events if not _is_left_out(one, without)] if without else events
        yield from joined(told, apart)


def _is_left_out(one: Told, without: Counter[Key]) -> bool:
    """Whether an event is one of these, which is counted off."""
    key = _key_of(*one)
    if key is None or without[key] == 0:
        return False
    without[key] -= 1
    return True


def _key_of(time: int, channel: Channel, kind: str, row: Any) -> Key | None:
    """What tells an event from others; None for a reading."""
    if kind == "trades":
        return key_of(channel, row)
    return key_of(channel, Placed(time, row["price"], row["usd"], row["side"])) if kind == "liquidations" else None


def joined(told: Sequence[Told], apart: float = math.inf) -> Iterator[Told]:
    """Rows in order of time, trades of one market that follow each other taken together.

    apart   ms that such trades are apart at most
    """
    together: list[Row] = []
    whose: Channel | None = None
    for time_ms, channel, kind, row in sorted(told, key=lambda one: one[0]):
        full = len(together) >= _AT_ONCE or (together and time_ms - together[0].time > apart)
        if together and (channel is not whose or kind != "trades" or full):
            assert whose is not None
            yield together[0].time, whose, "trades", together
            together = []
        if kind == "trades":
            together.append(row)
            whose = channel
        else:
            yield time_ms, channel, kind, row
    if together and whose is not None:
        yield together[0].time, whose, "trades", together
