"""What a stream captures, on its way into a store: buffered, written every second, folded into the days' files."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..store import journal, layout, parquet
from ..store.kinds import empty, key_of, table_of, with_receipts
from ..store.layout import Span
from .channel import Channel, Gap
from .said import Row

_LOG = logging.getLogger("liquidator")
_MOST = 1_000_000  # rows that wait for a disk
_FOLD_ROWS = 20_000  # that are folded at once, or a quarter of what the last fold had
_KINDS = ("trades", "liquidations", "funding", "open_interest")
_SIDES = {1: "buy", -1: "sell"}

Key = tuple[str, str, str]  # venue, symbol, kind
Receipt = tuple[int, int, int]  # of rows that wait: the first, how many, when their frame came


class Capture:
    """A store that is written to while a stream runs; rows for which a full disk left no room count as dropped.

    root   the store's folder, opened

    All but ``open`` may be called by any thread.
    """

    def __init__(self, root: Path) -> None:
        self.root = layout.open_root(root)
        self._journals: dict[Key, journal.Journal] = {}
        self._rows: dict[Key, list[tuple[Any, ...]]] = {}
        self._receipts: dict[Key, list[Receipt]] = {}
        self._channels: dict[Key, Channel] = {}
        self._begins: dict[Key, int] = {}  # of what follows without a gap and no flush has told yet
        self._lasts: dict[Key, int] = {}  # times of the last rows
        self._done: dict[Key, list[Span]] = {}  # spans that no flush has told yet
        self._folded: dict[Key, tuple[int, int]] = {}  # a day, and how many rows were folded on it
        self._ended: dict[Path, Key] = {}  # journals that wait to be folded
        self._stuck: set[Key] = set()  # whose journals could not be ended
        self._errors: dict[Key | None, str] = {}  # of the last fold of a kind; of the last flush, None
        self._lock = threading.RLock()
        self._thawed = threading.Condition(self._lock)
        self._folding = threading.Lock()  # taken before the other
        self._frozen = False  # somebody wants the days' files to stay as they are

    def open(self, channel: Channel) -> None:
        """Take a market's journals, and fold what an earlier process left. Raises TimeoutError if they are taken."""
        for kind in _KINDS:
            key = (channel.venue, channel.symbol, kind)
            one = journal.Journal(layout.folder(self.root, *key), key_of(kind))
            with self._lock:
                self._journals[key] = one
                self._rows[key], self._receipts[key], self._channels[key] = [], [], channel

    def trades(self, channel: Channel, rows: Sequence[Row], receipt: int | None = None) -> None:
        """Keep trades in base coins. ``receipt`` is when their frame came, ms; None: they were fetched."""
        self._put(channel, "trades", rows, receipt)

    def liquidation(
        self, channel: Channel, time: int, price: float, size: float, side: str, usd: float, receipt: int | None = None
    ) -> None:
        """Keep a liquidation: the price at which it is placed, its size in base coins, who was liquidated."""
        self._put(channel, "liquidations", [(time, price, size, side, usd)], receipt)

    def reading(self, channel: Channel, kind: str, time: int, value: float, receipt: int | None = None) -> None:
        """Keep a reading of funding, of the interval that the market has now, or of open_interest."""
        row = (time, value, channel.funding_hours) if kind == "funding" else (time, value)
        self._put(channel, kind, [row], receipt)

    def _put(self, channel: Channel, kind: str, rows: Sequence[tuple[Any, ...]], receipt: int | None) -> None:
        key = (channel.venue, channel.symbol, kind)
        with self._lock:
            waiting = self._rows[key]
            if len(waiting) + len(rows) > _MOST:
                channel.counts["dropped"] += len(rows)
                self._break(key, rows[0][0])
                return
            if receipt is not None:
                self._receipts[key].append((len(waiting), len(rows), receipt))
            waiting.extend(rows)
            first, last = rows[0][0], rows[-1][0]
            before = self._lasts.get(key, first)
            if kind != "trades" and abs(first - before) > layout.DAY_MS:  # one of the two may be no time at all
                self._break(key, before + 1)
                before = first
            self._begins.setdefault(key, first)
            self._lasts[key] = max(last, before)

    def _break(self, key: Key, until: int) -> None:
        """What is covered ends at a time, and goes on with the next row."""
        begin = self._begins.pop(key, until)
        if begin < until:
            self._done.setdefault(key, []).append(Span(begin, until, _proof(key, self._channels[key])))

    def broken(self, gap: Gap) -> None:
        """A gap that is not filled: what is covered ends before it and goes on after it."""
        with self._lock:
            for kind in _KINDS:
                key = (gap.channel.venue, gap.channel.symbol, kind)
                self._break(key, gap.left.time if kind == "trades" else self._lasts.get(key, 0) + 1)
            if gap.right is not None:
                self._begins[gap.channel.venue, gap.channel.symbol, "trades"] = gap.right.time

    def late(self, channel: Channel, rows: Sequence[Row], since: int, until: int | None) -> None:
        """Keep trades of a gap, and that nothing is missing between two times.

        until   None: no trade has come since, and what is covered goes on
        """
        key = (channel.venue, channel.symbol, "trades")
        with self._lock:
            self._rows[key].extend(rows)
            if until is None:
                self._begins.setdefault(key, since)
            elif since < until:
                self._done.setdefault(key, []).append(Span(since, until, _proof(key, channel)))

    def flush(self) -> None:
        """Write what waits into the journals. A disk that is full is told once, and what waits goes on waiting."""
        with self._lock:
            try:
                for key, rows in self._rows.items():
                    if rows or self._done.get(key):
                        self._write(key, rows)
                self._errors.pop(None, None)
            except OSError as error:
                if None not in self._errors:
                    _LOG.error("the store cannot be written to, what was captured waits: %s", error)
                self._errors[None] = str(error)

    def _write(self, key: Key, rows: list[tuple[Any, ...]]) -> None:
        """Append rows of a kind, and what is covered that was not told yet."""
        if key not in self._journals:
            raise OSError(f"{self.root}: closed while rows waited")
        begin, end = self._begins.get(key), self._end(key)
        spans = list(self._done.get(key, []))
        if begin is not None and end is not None and begin < end:
            spans.append(Span(begin, end, _proof(key, self._channels[key])))
        self._journals[key].append(_table(key, rows, self._receipts[key]), spans)
        self._rows[key], self._receipts[key] = [], []
        self._done.pop(key, None)
        if begin is not None and end is not None:
            self._begins[key] = max(begin, end)

    def _end(self, key: Key) -> int | None:
        """Until when a kind is covered by now: trades up to the first gap or the last, whose moment may not be over."""
        if key[2] != "trades":
            return self._lasts[key] + 1 if key in self._lasts else None
        channel = self._channels[key]
        last = None if channel.last is None else channel.last.time
        return min((gap.left.time for gap in channel.gaps), default=last)

    def error_of(self, channel: Channel) -> str | None:
        """Why something of a market is not where it belongs in the store; None: all of it is."""
        with self._lock:
            mine = [error for key, error in self._errors.items() if key is None or key[:2] == channel.key]
        return mine[0] if mine else None

    def fold_due(self) -> None:
        """Put journals that are long enough, and those with which that failed, into the files of their days.

        May be called by any thread. Raises OSError or ValueError for the last that fails; it stays as it is, until the
        next time. The others are folded.
        """
        failed: OSError | None = None
        with self._lock:
            for key, one in self._journals.items():
                day = self._lasts.get(key, 0) // layout.DAY_MS
                before, folded = self._folded.get(key, (day, 0))
                folded = folded if before == day else 0
                rows = one.rows
                if (rows >= max(_FOLD_ROWS, folded // 4) or key in self._stuck) and not self._frozen:
                    try:
                        self._end_journal(key, one)
                        self._folded[key] = day, folded + rows
                    except OSError as error:
                        failed = error
        self.fold_ended()
        if failed is not None:
            raise failed

    def freeze(self) -> bool:
        """Flush and end all journals: until ``thaw`` no others are folded. False: another has it frozen.

        Raises OSError for a disk that has no room for what waits, and for a journal that cannot be ended; then nothing
        is to be thawed.
        """
        with self._lock:
            if self._frozen:
                return False
            self.flush()
            if None in self._errors:
                raise OSError(f"{self.root}: what was captured could not be written: {self._errors[None]}")
            for key, one in self._journals.items():
                self._end_journal(key, one)
            self._frozen = True
            return True

    def wait_until_thawed(self) -> None:
        """Until nobody has it frozen: not for the thread that has, nor for one that this waits for."""
        with self._thawed:
            self._thawed.wait_for(lambda: not self._frozen)

    def thaw(self) -> None:
        """The opposite of ``freeze``."""
        with self._lock:
            self._frozen = False
            self._thawed.notify_all()

    def fold(self) -> None:
        """Once nothing is frozen flush, and put all that was captured into the files of its days. As ``fold_due``."""
        while not self.freeze():
            self.wait_until_thawed()
        try:
            self.fold_ended()
        finally:
            self.thaw()

    def _end_journal(self, key: Key, one: journal.Journal) -> None:
        try:
            self._ended |= dict.fromkeys(one.rotate(), key)
            self._stuck.discard(key)
        except OSError as error:
            self._stuck.add(key)
            self._errors[key] = str(error)
            raise

    def fold_ended(self) -> None:
        """Put the journals that were ended into the files of their days. As ``fold_due``."""
        failed: OSError | ValueError | None = None
        with self._folding:
            with self._lock:
                ended = dict(self._ended)
            for path, key in ended.items():
                try:
                    journal.fold(path, key_of(key[2]))
                except (OSError, ValueError) as error:
                    failed = error
                    with self._lock:
                        self._errors[key] = str(error)
                else:
                    with self._lock:
                        del self._ended[path]
            with self._lock:
                waiting = self._stuck.union(self._ended.values())
                self._errors = {key: why for key, why in self._errors.items() if key is None or key in waiting}
        if failed is not None:
            raise failed

    def stored(self, channel: Channel, kind: str, since: int, until: int) -> Any:
        """The Arrow table of what the store holds of a market's kind."""
        place = layout.folder(self.root, channel.venue, channel.symbol, kind)
        return parquet.rows(place, kind, since, until)

    def holes(self, channel: Channel, since: int, until: int) -> list[tuple[int, int]]:
        """What of a span of time the store's trades do not cover, in order."""
        place = layout.folder(self.root, channel.venue, channel.symbol, "trades")
        spans, _ = parquet.read(place, since - layout.DAY_MS, until, columns=["time"])
        return layout.without([(since, until)], spans)

    def close(self) -> None:
        """Once nothing is frozen flush, fold and let go. Raises OSError for a disk that is still full."""
        with self._thawed:  # so that nobody else freezes it in between
            self.wait_until_thawed()
            self._frozen = True
        try:
            with self._folding, self._lock:
                with contextlib.ExitStack() as closing:  # all of them, whatever fails
                    self.flush()
                    for one in self._journals.values():
                        closing.callback(one.close)
                    self._journals = {}
                waiting = sum(map(len, self._rows.values()))
                if waiting:
                    raise OSError(f"{self.root}: {waiting:,} rows that were captured could not be written")
                self._ended, self._stuck, self._errors = {}, set(), {}
        finally:
            self.thaw()


def _proof(key: Key, channel: Channel) -> str:
    return "ids" if key[2] == "trades" and channel.chained else "none"


def _table(key: Key, rows: list[tuple[Any, ...]], receipts: list[Receipt]) -> Any:
    received: list[int | None] = [None] * len(rows)
    for first, count, receipt in receipts:
        received[first : first + count] = [receipt] * count
    return with_receipts(_columns(key, rows), received)


def _columns(key: Key, rows: list[tuple[Any, ...]]) -> Any:
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
        names = ("time", "funding_rate", "interval_hours") if kind == "funding" else ("time", kind)
        named = dict(zip(names, columns, strict=True))
    return table_of(kind, named, venue, symbol)
