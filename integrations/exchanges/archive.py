"""Whole days and months from exchanges' archives: every file checked, what is wrong named, the original kept.

Binance Vision has most kinds, Bybit's and OKX's archives trades by day, OKX's of UTC+8.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from liquidator_core._atomic import replacing

from ..store import dailies, vision
from ..store.layout import DAY_MS, Span, day_name, days, without
from .download import Refused, download
from .feed import Feed
from .placing import READING_MS, shift_of
from .symbols import kind_of
from .tables import sized

_VISION = ("binance", "binanceusdm", "binancecoinm")
ARCHIVES = dict.fromkeys(_VISION, "https://data.binance.vision")
ARCHIVES |= {"bybit": "https://public.bybit.com", "okx": "https://static.okx.com/cdn/okex/traderecords"}
_BEGINS_MS = {"okx": -8 * 3_600_000}  # of a day, from that of UTC
_WHATS = {"trades": "aggTrades", "open_interest": "metrics", "funding": "fundingRate"}
_FOLDERS = {"spot": "spot", "linear": "futures/um", "inverse": "futures/cm"}
_LARGEST_FILE = 1 << 32  # bytes
_LARGEST_MONTH = 1 << 26  # of trades in one file: more of them than this are read by the day, to spare memory
_TIMEFRAMES = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d")


class Defect(NamedTuple):
    """What is wrong with a file."""

    file: str
    problem: str
    kept: str  # where the original lies; "": nowhere


class _Span(NamedTuple):
    """A day or a month."""

    name: str
    since: int
    until: int

    @property
    def is_month(self) -> bool:
        return len(self.name) == len("2026-11")


def has_archive(venue: str, market: Mapping[str, Any], kind: str, timeframe: str) -> bool:
    """Whether the venue's archive holds a kind of a market."""
    if venue not in _VISION:
        return venue in ARCHIVES and kind == "trades"
    if kind == "candles" and timeframe not in _TIMEFRAMES:
        return False
    return kind in ("candles", "trades") or (kind in ("funding", "open_interest") and bool(market.get("contract")))


async def fill(feed: Feed, place: Path | None) -> list[Defect]:
    """Take what the archive has of a feed's span, months before days; what it has not stays uncovered.

    place   the folder of the store; files with something wrong are kept in ``bad`` below it

    Raises ConnectionError for an archive that does not answer.
    """
    defects: list[Defect] = []
    with tempfile.TemporaryDirectory() as folder:
        for span in _months(feed):
            defects += await _take(feed, span, Path(folder), place)
        for since, until in without([(feed.since, feed.until)], feed.spans):
            for span in _days(feed, since, until):
                defects += await _take(feed, span, Path(folder), place)
    return defects


def _months(feed: Feed) -> Iterator[_Span]:
    """The whole months of a feed's span; of rates, which come by month alone, every month that it touches."""
    if feed.kind == "open_interest" or feed.client.venue not in _VISION:
        return
    month = np.datetime64(int(feed.since), "ms").astype("M8[M]")
    while (begin := int(month.astype("M8[ms]").astype(np.int64))) < feed.until:
        end = int((month + 1).astype("M8[ms]").astype(np.int64))
        if feed.kind == "funding" or (begin >= feed.since and end <= feed.until):
            yield _Span(str(month), begin, end)
        month += 1


def _days(feed: Feed, since: int, until: int) -> Iterator[_Span]:
    if feed.kind == "funding":
        return
    shift = _BEGINS_MS.get(feed.client.venue, 0)
    for begin in sorted({begin // DAY_MS * DAY_MS for begin, _ in days(since - shift, until - shift)}):
        yield _Span(day_name(begin), begin + shift, begin + shift + DAY_MS)


async def _take(feed: Feed, span: _Span, folder: Path, place: Path | None) -> list[Defect]:
    """Take one file; what is wrong with it, or that the archive does not say whether it is there."""
    try:
        file = await _fetched(feed, feed.kind, feed.timeframe, span, folder)
    except Refused as error:
        path, address = _place(feed, feed.kind, feed.timeframe, span, folder)
        _forget(path)
        return [Defect(address, str(error), "")]
    if file is None:
        return []
    columns, spans, problem = file.read
    problems = [problem, "" if file.has_check else "has no CHECKSUM"]
    if columns is not None and feed.kind == "trades":
        columns = {**columns, **sized(feed.market, columns["size"], columns["price"])}
    if columns is not None and feed.kind == "open_interest" and (shift := await _shift(feed, columns, span, folder)):
        columns = {**columns, "time": columns["time"] + shift}
        spans = [Span(since + shift, until + shift, proof) for since, until, proof in spans]
        problems.append(f"its readings are of {shift / 60_000:+g} min from their stamps: placed there")
    if columns is not None:
        feed.take(columns)
        for since, until, proof in spans:
            feed.cover(since, until, proof)
    told = "; ".join(filter(None, problems))
    kept = _keep(file.path, place) if told else ""
    _forget(file.path)
    return [Defect(file.address, told, kept)] if told else []


async def _shift(feed: Feed, columns: dict[str, Any], span: _Span, folder: Path) -> int:
    """By how many ms readings of open interest were known later than stamped, told by the candles of their day."""
    try:
        file = await _fetched(feed, "candles", "5m", span, folder)
    except Refused:
        return 0
    if file is None:
        return 0
    _forget(file.path)
    candles = file.read.columns
    if candles is None:
        return 0
    coins, usd, known = columns["open_interest"], columns["usd"], candles["time"] + READING_MS
    return shift_of(columns["time"], coins, usd, known, candles["close"])


class _File(NamedTuple):
    path: Path
    address: str
    has_check: bool
    read: vision.Archive


async def _fetched(feed: Feed, kind: str, timeframe: str, span: _Span, folder: Path) -> _File | None:
    """A file of the archive, read; None if it is not there."""
    path, address = _place(feed, kind, timeframe, span, folder)
    most = _LARGEST_MONTH if kind == "trades" and span.is_month else _LARGEST_FILE
    if not await download(feed.client, f"{_base(feed)}/{address}", path, most):
        return None
    market, venue, spot = feed.market["id"], feed.client.venue, bool(feed.market["spot"])
    if venue == "bybit":
        return _File(path, address, True, dailies.read_bybit(path, market, span.since, span.until, spot))
    if venue == "okx":
        return _File(path, address, True, dailies.read_okx(path, span.since, span.until))
    has_check = await download(feed.client, f"{_base(feed)}/{address}.CHECKSUM", _check_of(path))
    full = f"candles-{timeframe}" if kind == "candles" else kind
    dollars = float(feed.market["contractSize"] or "nan")
    said = vision.Named(market, kind_of(feed.market), full, span.since, span.until, dollars)
    return _File(path, address, has_check, vision.read_archive(path, said, said.market == "inverse"))


def _place(feed: Feed, kind: str, timeframe: str, span: _Span, folder: Path) -> tuple[Path, str]:
    """(where a file goes, its address in the archive)."""
    market, venue = feed.market["id"], feed.client.venue
    if venue == "bybit":
        name = f"{market}{'_' if feed.market['spot'] else ''}{span.name}.csv.gz"
        parts = ["spot" if feed.market["spot"] else "trading", market]
    elif venue == "okx":
        name = f"{market}-trades-{span.name}.zip"
        parts = ["trades", "daily", span.name.replace("-", "")]
    else:
        what = _WHATS.get(kind, timeframe)
        name = f"{market}-{what}-{span.name}.zip"
        parts = ["data", _FOLDERS[kind_of(feed.market)], "monthly" if span.is_month else "daily"]
        parts += ["klines", market, timeframe] if kind == "candles" else [what, market]
    if Path(name).name != name:
        raise ValueError(f"symbol: {venue} calls a market {market!r}, which can be no file's name")
    return folder / name, "/".join([*parts, name])


def _check_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.CHECKSUM")


def _forget(path: Path) -> None:
    for one in (path, _check_of(path)):
        one.unlink(missing_ok=True)


def _base(feed: Feed) -> str:
    return str(feed.client.instance.urls.get("archive", ARCHIVES[feed.client.venue])).rstrip("/")


def _keep(path: Path, place: Path | None) -> str:
    """Put a file and its CHECKSUM beside what repairs it: where."""
    if place is None:
        return ""
    bad = place / "bad"
    bad.mkdir(parents=True, exist_ok=True)
    for one in (path, _check_of(path)):
        if one.exists():
            with one.open("rb") as source, replacing(bad / one.name) as file:
                shutil.copyfileobj(source, file)
    return str(bad / path.name)
