"""What happened to one coin: trades, candles and feeds in, closed bars out, each a function of event time alone.

Trades are kept in a queue until their bar closes; then they are folded, in order of (time, venue, id, arrival), so that
neither chunks nor the order of sources show in a bar. Two ways of closing:

- ``streaming``: a bar closes when event time passes its end by ``lateness_ms``, and never changes again. What comes
  later is counted in ``late``, not applied.
- otherwise (batch): a bar closes as event time passes its end, and is made anew when older data arrive. For that the
  trades of the last ``keep_ms`` of event time are kept; older ones live on as their bars, and what comes for these is
  late.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from liquidator_core import BAR, TRADE
from liquidator_core.params import Params
from liquidator_core.tape import TAPE, close_bars, fold_trades, new_tape

from ..market.columns import NO_ID
from ..market.liquidations import LIQUIDATION
from ..market.messages import moment
from ..market.trades import PART, One, Trades
from .feeds import READING, add_liquidations, add_rates, bars_of
from .queue import ORDER, Kept, Queue, copy_queue, in_order, joined_queues, part_of_queue
from .rows import Rows, Seen

_LOG = logging.getLogger("liquidator")
_MOST_BARS = 20_000_000
STREAMED_ROWS = 50_000  # bars that streaming keeps at least: a month of minutes, the open bar of the longest timeframe
_ID_MEMORY_MS = 600_000  # a reconnect delivers again what is not older than this
_SMALL_PART = 4096  # closed trades are kept in parts of at least this and at most PART: one late trade opens one part
_PUSHED = 4096  # pushed trades that are held one by one before they join the queue


class History:
    """One coin's closed bars (``rows``) and what they are made of.

    params       ``tape_ms`` is the length of a bar, ``large_*`` what a large trade is
    lateness_ms  how far a stream's events may come out of order
    keep_ms      for how long batch keeps trades; None: for ever

    A liquidation feed counts as on from its first event until ``flow_bars`` bars after its last.
    """

    def __init__(self, params: Params, streaming: bool, lateness_ms: int, keep_ms: int | None) -> None:
        self.record = params.to_record()
        self.step = params.tape_ms
        self.streaming = streaming
        self.lateness_ms = lateness_ms if streaming else 0
        self.keep_ms = keep_ms
        self.feed_bars = params.flow_bars
        self.rows = Rows(np.zeros(0, BAR))
        self.clock = 0  # the latest event time, ms
        self.closed = 0  # bars that end here or before are closed, ms
        self.late = {"trades": 0, "liquidations": 0, "rates": 0, "candles": 0}
        self.repeated = 0
        self.venues: list[str] = []
        self.liquidations = Rows(np.zeros(0, LIQUIDATION))
        self.candles = Rows(np.zeros(0, BAR))
        self.rates = {name: Rows(np.zeros(0, READING)) for name in ("funding_rate", "open_interest")}
        self._tape = new_tape()
        self._traded = Rows(np.zeros(0, BAR))  # bars of the trades alone
        self._queue: list[Queue] = []
        self._pushed: list[tuple[int, float, float, int, int, int]] = []
        self._kept: list[Kept] = []  # batch: closed trades since the base
        self._base = self._tape.copy()  # batch: the tape before the first of these
        self._base_time = 0
        self._seen: dict[str, Seen] = {}
        self._made = 0  # rows that end here or before are as they should be, ms

    # What comes in ---------------------------------------------------------------------------------------------------

    def code_of(self, venue: str) -> int:
        """The number that stands for a venue."""
        if venue not in self.venues:
            self.venues.append(venue)
        return self.venues.index(venue)

    def add_trades(self, parts: list[Trades]) -> None:
        """Queue trades, a part a venue; see the module's text for when they count."""
        if parts:
            edges = [(part.trades["time"].min(), part.trades["time"].max()) for part in parts]
            self._check_span(np.array(edges).ravel())
        for part in parts:
            self._add_part(part)

    def _add_part(self, some: Trades) -> None:
        trades, ids = some.trades, some.ids
        if ids is not None:
            new = self._seen_at("trade", some.venue).new(trades["time"], ids)
            if not new.all():
                self.repeated += int((~new).sum())
                trades, ids = trades[new], ids[new]
        time = trades["time"]
        if len(trades) == 0:
            return
        if self.streaming:
            ahead = np.maximum.accumulate(np.concatenate([[self.clock], time[:-1]]))
            closed = np.maximum((ahead - self.lateness_ms) // self.step * self.step, self.closed)
        else:
            closed = np.full(1, self._base_time)
        late = time < closed
        if late.any():
            self._count_late("trades", int(late.sum()), int(time[late.argmax()]))
            trades, time = trades[~late], time[~late]
            ids = None if ids is None else ids[~late]
            if len(trades) == 0:
                return
        rank = ids if ids is not None and some.ordered else None
        code = self.code_of(some.venue)
        order = None
        if code or rank is not None:
            order = np.zeros(len(trades), ORDER)
            order["venue"] = code
            order["rank"] = 0 if rank is None else np.where(rank == NO_ID, 0, rank)
        earliest = int(time.min())
        if earliest < self.closed:
            self._reopen(earliest)
        self._queue_pushed()  # these arrived before
        self._queue.append(Queue(trades, order))
        self.clock = max(self.clock, int(time.max()))

    def push(self, one: One, venue: str) -> None:
        """Queue one trade."""
        time = one.time
        if abs(time - self.clock) > self.step:
            self._check_span(np.array([time]))
        if one.id != NO_ID and not self._seen_at("trade", venue).is_new(time, one.id):
            self.repeated += 1
            return
        if time < self.closed:
            if self.streaming or time < self._base_time:
                self._count_late("trades", 1, time)
                return
            self._reopen(time)
        self.clock = max(self.clock, time)
        rank = one.id if one.ordered else 0
        self._pushed.append((time, one.price, one.size, one.side, self.code_of(venue), rank))
        if len(self._pushed) >= _PUSHED:
            self._queue_pushed()

    def add_liquidations(self, some: np.ndarray) -> np.ndarray:
        """Add (n,) LIQUIDATION; returns those that count: not repeated, not late."""
        if len(some) == 0:
            return some
        self._check_span(some["time"])
        keep = np.ones(len(some), np.bool_)
        for code in np.unique(some["venue"]):
            mine = np.flatnonzero(some["venue"] == code)
            keep[mine] = self._seen_at("liquidation", self.venues[code]).new(some["time"][mine], some["id"][mine])
        self.repeated += int((~keep).sum())
        late = keep & (some["time"] < (self.closed if self.streaming else 0))
        if late.any():
            self._count_late("liquidations", int(late.sum()), int(some["time"][late.argmax()]))
        some = some[keep & ~late]
        if len(some):
            self.liquidations.put(some[np.argsort(some["time"], kind="stable")], unique=False)
            self.clock = max(self.clock, int(some["time"].max()))
            self._change(int(some["time"].min()))
        return some

    def add_rates(self, series: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
        """Add readings of ``funding_rate`` and ``open_interest``: (times in order, values)."""
        for name, (time, value) in series.items():
            late = time <= (self.closed if self.streaming else 0)
            if late.any():
                self._count_late("rates", int(late.sum()), int(time[late.argmax()]))
            readings = np.zeros(len(time), READING)
            readings["time"], readings["value"] = time, value
            readings = readings[~late]
            if len(readings):
                self.rates[name].put(readings)
                self._change(int(readings["time"][0]) - 1)

    def add_candles(self, candles: np.ndarray) -> None:
        """Add closed candles, (n,) BAR of the length of a bar, in order of time."""
        late = candles["time"] < (self.closed if self.streaming else 0)
        if late.any():
            self._count_late("candles", int(late.sum()), int(candles["time"][0]))
        candles = candles[~late]
        if len(candles):
            self._check_span(candles["time"])
            self.candles.put(candles)
            self.clock = max(self.clock, int(candles["time"][-1]) + self.step)
            self._change(int(candles["time"][0]))

    def _seen_at(self, what: str, venue: str) -> Seen:
        key = f"{what} {venue}"
        if key not in self._seen:
            self._seen[key] = Seen()
        return self._seen[key]

    def _check_span(self, time: np.ndarray) -> None:
        first, last = int(time.min()), int(time.max())
        if self.clock:
            first, last = min(first, self.clock), max(last, self.clock)
        if (last - first) // self.step > _MOST_BARS:
            raise ValueError(
                f"time: found {moment(int(time.min()))} to {moment(int(time.max()))}, which with what is known makes "
                f"more than {_MOST_BARS:,} bars of {self.step} ms: a wrong time, usually"
            )

    def _count_late(self, what: str, count: int, time: int) -> None:
        if self.late[what] == 0:
            hint = "" if self.streaming else "; a longer cutoff_hours keeps bars open to older data"
            text = "%s came after their bar was closed and are not applied, the first of %s%s"
            _LOG.warning(text, what, moment(time), hint)
        self.late[what] += count

    # Bars ------------------------------------------------------------------------------------------------------------

    @property
    def due(self) -> int:
        """Event time from which on another bar is to be closed, ms."""
        return self.closed + self.step + self.lateness_ms

    def settle(self) -> None:
        """Close the bars that event time has passed and make what changed anew. Cost: that of what came since."""
        until = (self.clock - self.lateness_ms) // self.step * self.step
        if len(self.candles.rows):
            until = max(until, int(self.candles.time[-1]) + self.step)  # a candle is closed when it comes
        if until > self.closed:
            self._close(until)
        if self._made < self.closed:
            self.rows.cut(self._made)
            self.rows.append(self._made_from(self._made))
            self._made = self.closed
            self._forget()

    def _change(self, time: int) -> None:
        """Have the bars from a time on made anew; in streaming none that is closed."""
        if not self.streaming:
            self._made = min(self._made, time // self.step * self.step)

    def _reopen(self, time: int) -> None:
        """Batch: have closed trades wait again, from the last part on that nothing from ``time`` on lies before."""
        self._change(time)
        place = len(self._kept) - 1
        while place > 0 and not (
            self._kept[place].tape["bar"]["time"][0] <= time > self._kept[place - 1].queue.trades["time"][-1]
        ):
            place -= 1
        self._rewind(max(place, 0))

    def _rewind(self, place: int) -> None:
        """Batch: have the kept trades wait again, from this part on."""
        again, self._kept = self._kept[place:], self._kept[:place]
        self._tape = again[0].tape if place else self._base.copy()
        self.closed = int(self._tape["bar"]["time"][0]) if place else self._base_time
        self._queue[:0] = [kept.queue for kept in again]
        self._traded.cut(self.closed)

    def _close(self, until: int) -> None:
        waiting = self._sorted()
        self._queue = []
        for queue in waiting:
            count = int(np.searchsorted(queue.trades["time"], until))
            for start in range(0, count, PART):
                closing = part_of_queue(queue, slice(start, min(start + PART, count)))
                if not self.streaming:
                    self._keep(closing)
                self._traded.append(self._fold(self._tape, closing.trades))
            if count < len(queue.trades):
                self._queue.append(copy_queue(part_of_queue(queue, slice(count, None))) if count else queue)
        self._traded.append(self._close_bars(self._tape, until))
        self.closed = until
        if self._kept:
            self._rebase()

    def _keep(self, queue: Queue) -> None:
        tape = self._tape.copy()
        if self._kept and len(self._kept[-1].queue.trades) + len(queue.trades) <= _SMALL_PART:
            before, tape = self._kept.pop()
            queue = joined_queues([before, queue])
        self._kept.append(Kept(queue, tape))

    def _fold(self, tape: np.ndarray, trades: np.ndarray) -> np.ndarray:
        """The bars that trades complete; the tape is advanced."""
        first, last = int(trades["time"][0]), int(trades["time"][-1])
        started = int(tape["bar"]["time"][0]) if tape["started"][0] else first
        bars = np.zeros((last - started) // self.step + 1, BAR)
        return bars[: fold_trades(tape, self.record, trades, bars)[1]]

    def _close_bars(self, tape: np.ndarray, until: int) -> np.ndarray:
        """The bars that end by ``until``, all trades before it being folded; the tape is advanced."""
        started = int(tape["bar"]["time"][0]) if tape["started"][0] else until
        bars = np.zeros((until - started) // self.step, BAR)
        return bars[: close_bars(tape, self.record, until, bars)]

    def _rebase(self) -> None:
        """Batch: let go of trades older than ``keep_ms``, a quarter of it at a time."""
        if self.keep_ms is None:
            return
        oldest = (self.clock - self.keep_ms) // self.step * self.step
        if oldest - max(self._base_time, int(self._kept[0].queue.trades["time"][0])) < self.keep_ms // 4:
            return
        kept = []
        for queue, tape in self._kept:
            count = int(np.searchsorted(queue.trades["time"], oldest))
            if count:
                self._fold(self._base, queue.trades[:count])
            if count < len(queue.trades):
                kept.append(Kept(copy_queue(part_of_queue(queue, slice(count, None))), tape))
        self._close_bars(self._base, oldest)
        self._base_time, self._kept = oldest, kept

    def _sorted(self) -> list[Queue]:
        """Everything in the queue by (time, venue, id, arrival), in parts that lie behind each other."""
        self._queue_pushed()
        names = np.argsort(np.argsort(self.venues))
        if in_order(self._queue, names):
            return self._queue
        trades, order = joined_queues(self._queue)
        if order is None:
            places = np.argsort(trades["time"], kind="stable")
            return [Queue(trades[places], None)]
        places = np.lexsort((order["rank"], names[order["venue"]], trades["time"]))
        return [Queue(trades[places], order[places])]

    def _queue_pushed(self) -> None:
        """Let what was pushed one by one join the queue."""
        if not self._pushed:
            return
        columns = list(zip(*self._pushed, strict=True))
        self._pushed = []
        trades = np.zeros(len(columns[0]), TRADE)
        for name, values in zip(TRADE.names or (), columns, strict=False):
            trades[name] = values
        order = np.zeros(len(trades), ORDER)
        order["venue"], order["rank"] = columns[4:]
        plain = not (order["venue"].any() or order["rank"].any())
        self._queue.append(Queue(trades, None if plain else order))

    def _made_from(self, start: int) -> np.ndarray:
        """The bars from ``start`` to the last closed one, of trades, candles and feeds."""
        traded = self._traded.rows[np.searchsorted(self._traded.time, start) :]
        candles = self.candles.rows[np.searchsorted(self.candles.time, start) :]
        candles = candles[candles["time"] + self.step <= self.closed]
        bars = bars_of(traded, candles)
        for name, readings in self.rates.items():
            add_rates(bars, name, readings.rows, self.step)
        add_liquidations(bars, self.liquidations.rows, self.venues, self.step, self.feed_bars)
        return bars

    def drop_rows(self) -> None:
        """Streaming: let go of all but the last bars; for whoever has read them."""
        self.rows.drop(STREAMED_ROWS)

    def _forget(self) -> None:
        oldest = self.closed - _ID_MEMORY_MS - self.lateness_ms if self.streaming else self._base_time
        for seen in self._seen.values():
            seen.settle()
            seen.events.drop_before(oldest)
        if self.streaming:
            self.liquidations.drop_before(self.closed - STREAMED_ROWS * self.step)
            self._traded.drop_before(self.closed)
            self.candles.drop_before(self.closed)
            for readings in self.rates.values():
                known = readings.time[: np.searchsorted(readings.time, self.closed, side="right")]
                if len(known):
                    readings.drop_before(int(known[-1]))

    # Save and load ---------------------------------------------------------------------------------------------------

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Everything but the settings, as named arrays."""
        queue, kept = joined_queues(self._sorted()), joined_queues([kept.queue for kept in self._kept])
        self._queue = [queue] if len(queue.trades) else []
        yield "rows", self.rows.rows
        yield "traded", self._traded.rows
        yield "candles", self.candles.rows
        yield "liquidations", self.liquidations.rows
        yield "tape", self._tape
        yield "base", self._base
        for name, part in (("queue", queue), ("kept", kept)):
            yield f"{name}_trades", part.trades
            if part.order is not None:
                yield f"{name}_order", part.order
        for name, readings in self.rates.items():
            yield name, readings.rows
        for place, seen in enumerate(self._seen.values()):
            seen.settle()
            yield f"seen_{place}", seen.events.rows

    def numbers(self) -> dict[str, Any]:
        """What ``arrays`` leaves out, as JSON values."""
        return {
            "clock": self.clock,
            "closed": self.closed,
            "base_time": self._base_time,
            "made": self._made,
            "first": self.rows.first,
            "late": self.late,
            "repeated": self.repeated,
            "venues": self.venues,
            "seen": list(self._seen),
        }

    def restore(self, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take over what ``numbers`` and ``arrays`` gave; raises KeyError for what is missing."""
        self.clock, self.closed = numbers["clock"], numbers["closed"]
        self._base_time, self._made = numbers["base_time"], numbers["made"]
        self.late, self.repeated = dict(numbers["late"]), numbers["repeated"]
        self.venues = list(numbers["venues"])
        self.rows = Rows(arrays["rows"].view(BAR), numbers["first"])
        self._traded = Rows(arrays["traded"].view(BAR))
        self.candles = Rows(arrays["candles"].view(BAR))
        self.liquidations = Rows(arrays["liquidations"].view(LIQUIDATION))
        self._tape, self._base = arrays["tape"].view(TAPE), arrays["base"].view(TAPE)
        queue, kept = (
            Queue(arrays[f"{name}_trades"].view(TRADE), arrays.get(f"{name}_order")) for name in ("queue", "kept")
        )
        self._queue = [queue] if len(queue.trades) else []
        self._kept = [Kept(kept, self._base)] if len(kept.trades) else []
        self.rates = {name: Rows(arrays[name]) for name in self.rates}
        self._seen = {name: Seen(arrays[f"seen_{place}"]) for place, name in enumerate(numbers["seen"])}
