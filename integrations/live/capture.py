"""What a stream captures, on its way into a store: buffered, written every second, folded into the days' files."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..store import journal, layout, parquet
from ..store.kinds import empty, finished, key_of, table_of
from ..store.layout import Span
from .channel import Channel, Gap
from .said import Row

_LOG = logging.getLogger("liquidator")
_MOST = 1_000_000  # rows that wait for a disk
_FOLD_ROWS = 20_000  # that are folded at once, or a quarter of what the last fold had
_SIDES = {1: "buy", -1: "sell"}


class Capture:
    """A store that is written to while a stream runs. ``lost`` counts rows for which a full disk left no room.

    root   the store's folder, opened

    ``flush`` and ``close`` may be called by any thread.
    """

    def __init__(self, root: Path) -> None:
        self.lost = 0
        self._root = layout.open_root(root)
        self._journals: dict[tuple[str, str, str], journal.Journal] = {}
        self._rows: dict[tuple[str, str, str], list[tuple[Any, ...]]] = {}
        self._channels: dict[tuple[str, str, str], Channel] = {}
        self._begins: dict[Channel, int] = {}  # of the trades that follow each other without a gap
        self._done: dict[Channel, list[Span]] = {}  # spans that no flush has told yet
        self._folded = 0
        self._faults = 0
        self._lock = threading.RLock()

    def open(self, channel: Channel) -> None:
        """Take a market's journals, and fold what an earlier process left. Raises TimeoutError if they are taken."""
        for kind in ("trades", "liquidations", "funding", "open_interest"):
            key = (channel.venue, channel.symbol, kind)
            self._journals[key] = journal.Journal(layout.folder(self._root, *key), key_of(kind))
            self._rows[key], self._channels[key] = [], channel

    def trades(self, channel: Channel, rows: Sequence[Row]) -> None:
        """Keep trades in base coins."""
        with self._lock:
            self._begins.setdefault(channel, rows[0].time)
            self._put(channel, "trades", rows)

    def liquidation(self, channel: Channel, time: int, price: float, size: float, side: str, usd: float) -> None:
        with self._lock:
            self._put(channel, "liquidations", [(time, price, size, side, usd)])

    def reading(self, channel: Channel, kind: str, time: int, value: float) -> None:
        """Keep a reading of funding or open_interest."""
        with self._lock:
            self._put(channel, kind, [(time, value)])

    def _put(self, channel: Channel, kind: str, rows: Sequence[tuple[Any, ...]]) -> None:
        waiting = self._rows[(channel.venue, channel.symbol, kind)]
        if len(waiting) + len(rows) > _MOST:
            self.lost += len(rows)
            channel.counts["dropped"] += len(rows)
            return
        waiting.extend(rows)

    def broken(self, gap: Gap) -> None:
        """A gap that is not filled: what is covered ends before it and goes on after it."""
        with self._lock:
            channel = gap.channel
            done = self._done.setdefault(channel, [])
            begin = self._begins.pop(channel, None)
            if begin is not None:
                done.append(Span(begin, max(gap.left.time, begin), _proof(channel)))
            if gap.right is not None:
                self._begins[channel] = gap.right.time

    def mended(self, gap: Gap) -> None:
        """A gap that was told as such, and whose trades came later."""
        with self._lock:
            if gap.right is not None:
                self._done.setdefault(gap.channel, []).append(
                    Span(gap.left.time, gap.right.time + 1, _proof(gap.channel))
                )

    def flush(self) -> None:
        """Write what waits into the journals. A disk that is full is told once, and what waits goes on waiting."""
        with self._lock:
            try:
                for key, rows in self._rows.items():
                    if rows or (key[2] == "trades" and self._done.get(self._channels[key])):
                        self._journals[key].append(_table(key, rows), self._spans(key))
                        self._rows[key] = []
                self._faults = 0
            except OSError as error:
                if self._faults == 0:
                    _LOG.error("the store cannot be written to, what was captured waits: %s", error)
                self._faults += 1

    def _spans(self, key: tuple[str, str, str]) -> list[Span]:
        if key[2] != "trades":
            return []
        channel = self._channels[key]
        spans = self._done.pop(channel, [])
        begin = self._begins.get(channel)
        if begin is not None and channel.last is not None and channel.gap is None and begin < channel.last.time:
            spans.append(Span(begin, channel.last.time, _proof(channel)))
        return spans

    def rotated(self) -> list[tuple[Path, tuple[str, ...]]]:
        """Journals that are long enough to be folded, ended; ``journal.fold`` does it, in any thread."""
        with self._lock:
            done = []
            for (_, _, kind), one in self._journals.items():
                if one.rows >= max(_FOLD_ROWS, self._folded // 4):
                    self._folded += one.rows
                    done += [(path, key_of(kind)) for path in one.rotate()]
            return done

    def fold(self) -> None:
        """Flush, and put all that was captured into the files of its days."""
        with self._lock:
            self.flush()
            for one in self._journals.values():
                one.fold()

    def stored(self, channel: Channel, kind: str, since: int, until: int) -> Any:
        """The Arrow table of what the store holds of a market's kind."""
        place = layout.folder(self._root, channel.venue, channel.symbol, kind)
        return read(place, kind, since, until)

    def close(self) -> None:
        """Flush, fold and let go. Raises OSError for a disk that is still full."""
        with self._lock:
            self.flush()
            for one in self._journals.values():
                one.close()
            self._journals = {}
            waiting = sum(map(len, self._rows.values()))
            if waiting:
                raise OSError(f"{self._root}: {waiting:,} rows that were captured could not be written")


def read(place: Path, kind: str, since: int, until: int) -> Any:
    """The rows of a folder of a store in order, each once, as a table that says what it holds."""
    _, table = parquet.read(place, since, until)
    if table is None:
        return finished(empty(kind))
    return finished(parquet.in_order(table.drop_columns([parquet.WRITTEN]), key_of(kind)))


def _proof(channel: Channel) -> str:
    return "ids" if channel.chained else "none"


def _table(key: tuple[str, str, str], rows: list[tuple[Any, ...]]) -> Any:
    venue, symbol, kind = key
    if not rows:
        return empty(kind)
    columns = list(zip(*rows, strict=True))
    if kind == "trades":
        time, price, size, side, ids = columns
        named: dict[str, Any] = {"time": time, "price": price, "size": size}
        named |= {"side": [_SIDES[one] for one in side], "id": list(map(str, ids))}
    elif kind == "liquidations":
        named = dict(zip(("time", "price", "size", "side", "usd"), columns, strict=True))
    else:
        named = dict(zip(("time", "funding_rate" if kind == "funding" else kind), columns, strict=True))
    return table_of(kind, named, venue, symbol)
