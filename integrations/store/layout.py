"""Where kept data lies in a store's folder: ``venue/symbol/kind/2026-11-28.parquet``, or a month: ``2026-11.parquet``.

``layout.json`` at the top holds the layout's number. A file holds the rows of a UTC day, once compacted of a month of
whole days, in order of time, each with ``written``, the time at which it was first written; its metadata hold the spans
of time that it covers, so that what is there and what is missing can be told without reading rows. Candles of a
timeframe are a kind of their own, ``candles-1m``. A name from a venue becomes that of a folder by ``folder_name``.
"""

from __future__ import annotations

import bisect
import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import numpy as np

from liquidator_core._atomic import replacing

LAYOUT = 1
DAY_MS = 86_400_000
_MARK = "layout.json"
_LONGEST_NAME = 200  # bytes; file systems allow 255
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)


class Span(NamedTuple):
    """A span of time that is covered, since <= time < until in ms, and what proves that nothing of it is missing."""

    since: int
    until: int
    proof: str  # ids, checksum, count or none


def open_root(path: Path) -> Path:
    """A store's folder, made if it is not there. Raises ValueError for one that is no store or of a newer layout."""
    mark = path / _MARK
    try:
        if not mark.exists():
            path.mkdir(parents=True, exist_ok=True)
            if any(found for found in path.iterdir() if not found.name.startswith(_MARK)):
                raise ValueError(f"{path}: not a store: the folder is not empty and has no {_MARK}")
            with replacing(mark) as file:
                file.write(json.dumps({"layout": LAYOUT}).encode())
        said = json.loads(mark.read_text(encoding="utf-8"))
    except (FileExistsError, NotADirectoryError):
        raise ValueError(f"{path}: not a store: a store is a folder") from None
    except json.JSONDecodeError:
        raise ValueError(f"{mark}: not JSON") from None
    number = said.get("layout") if isinstance(said, dict) else None
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ValueError(f"{mark}: found layout {number!r}, allowed a number from 1 to {LAYOUT}")
    if number > LAYOUT:
        raise ValueError(f"{path}: a store of layout {number}, and this version knows {LAYOUT}: take a newer version")
    return path


def folder(root: Path, venue: str, symbol: str, kind: str) -> Path:
    """The folder that holds one kind of a market's data."""
    return root / folder_name(venue) / folder_name(symbol) / folder_name(kind)


def named_by(name: str) -> str:
    """The name that ``folder_name`` made a folder's."""
    return unquote(name)


def folder_name(text: str) -> str:
    """A name as one that every file system takes, and that names nothing else.

    >>> folder_name("BTC/USDT:USDT")
    'BTC%2FUSDT%3AUSDT'
    >>> folder_name("..")
    '%2E%2E'
    """
    name = quote(text, safe="")
    if name.startswith(".") or name.endswith("."):
        name = name.replace(".", "%2E")
    if _RESERVED.match(name):
        name = f"%{ord(name[0]):02X}{name[1:]}"
    if not name or len(name) > _LONGEST_NAME:
        raise ValueError(f"{text[:60]!r} cannot name a folder: it must have 1 to {_LONGEST_NAME} bytes")
    return name


def day_name(time_ms: int) -> str:
    """The UTC day of a time, as ``YYYY-MM-DD``."""
    return str(np.datetime64(int(time_ms), "ms").astype("M8[D]"))


def days(since: int, until: int) -> Iterator[tuple[int, int]]:
    """The UTC days that a span touches, as (since, until) of the part of each that lies within it."""
    while since < until:
        end = min(until, (since // DAY_MS + 1) * DAY_MS)
        yield since, end
        since = end


def day_file(place: Path, time_ms: int) -> Path:
    return place / f"{day_name(time_ms)}.parquet"


def begin_of(day: str) -> int:
    """The time at which a day, ``YYYY-MM-DD``, begins; of a month, ``YYYY-MM``, its first."""
    return int(np.datetime64(day, "ms").astype(np.int64))


def end_of(day: str) -> int:
    """The time at which a day, or a month, ends."""
    return int((np.datetime64(day) + 1).astype("M8[ms]").astype(np.int64))


def days_of(names: Iterable[str]) -> list[tuple[int, int]]:
    """The days, in order, that files named for a day or a month hold."""
    return sorted({day for name in names for day in days(begin_of(name), end_of(name))})


# Spans ----------------------------------------------------------------------------------------------------------------


def merged(spans: list[Span]) -> list[Span]:
    """Spans in order of time without overlaps: of those that overlap the one with a proof counts, then the first."""
    proven = _apart([span for span in spans if span.proof != "none"])
    loose = _apart([span for span in spans if span.proof == "none"])
    out = proven + [Span(*part, "none") for part in without([span[:2] for span in loose], proven)]
    joined: list[Span] = []
    for span in sorted(out):
        if joined and joined[-1].until == span.since and joined[-1].proof == span.proof:
            joined[-1] = joined[-1]._replace(until=span.until)
        else:
            joined.append(span)
    return joined


def _apart(spans: list[Span]) -> list[Span]:
    """Spans in order of time, each without what those before it cover."""
    out: list[Span] = []
    for span in sorted(spans, key=lambda one: one.since):
        since = max(span.since, out[-1].until) if out else span.since
        if since < span.until:
            out.append(span._replace(since=since))
    return out


def without(wanted: list[tuple[int, int]], spans: list[Span]) -> list[tuple[int, int]]:
    """What of some spans of time others do not cover, in order."""
    there = _apart(spans)
    ends = [span.until for span in there]
    left = []
    for since, until in wanted:
        for place in range(bisect.bisect_right(ends, since), len(there)):
            span = there[place]
            if span.since >= until:
                break
            if since < span.since:
                left.append((since, span.since))
            since = span.until
        if since < until:
            left.append((since, until))
    return left


def within(spans: list[Span], since: int, until: int) -> list[Span]:
    """The parts of spans that lie between two times."""
    cut = [Span(max(span.since, since), min(span.until, until), span.proof) for span in spans]
    return [span for span in cut if span.since < span.until]
