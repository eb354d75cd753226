"""What happened to one coin: trades, candles and feeds in, closed bars out, each a function of event time alone.

Trades wait until their bar closes; then they are folded, in order of (time, venue, id, arrival), so that neither chunks
nor the order of sources show in a bar. Two ways of closing:

- ``streaming``: a bar closes when event time passes its end by ``lateness_ms``, and never changes again. What comes
  later is counted in ``late``, not applied.
- otherwise (batch): a bar closes as event time passes its end, and is made anew when older data arrive. For that the
  trades of the last ``keep_ms`` of event time are kept; older ones live on as their bars, and what comes for these is
  late.

Event time is that of the latest trade or candle, and of liquidations that lie no more than a day beyond it; a trade
that lies more than a day beyond all others waits for two more (``ahead``).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator
from typing import Any

import numpy as np

from liquidator_core import BAR
from liquidator_core.params import Params

from ..market.columns import NO_ID
from ..market.liquidations import LIQUIDATION
from ..market.messages import moment
from ..market.trades import One, Trades
from .ahead import DAY_MS, Waiting
from .bars import Bars
from .feeds import READING, add_liquidations, add_rates, bars_of, unrolled_for_feeds
from .queue import ORDER, Queue, copy_queue, joined_queues
from .row_buffer import RowBuffer, Seen
from .tape import TradeTape

_LOG = logging.getLogger("liquidator")
_MOST_BARS = 20_000_000
STREAMED_ROWS = 50_000  # bars that streaming keeps at least: a month of minutes, the open bar of the longest timeframe
_AT_ONCE = 10_000  # bars that streaming takes in before it lets go of others
_MOST_AHEAD = 1000  # liquidations or readings that streaming keeps of beyond event time and a day
_FEED_MS = 6 * 3_600_000  # silence after which a liquidation feed counts as off
_ID_MEMORY_MS = 600_000  # a reconnect delivers again what is not older than this


class History:
    """One coin's closed bars (``bars``) and what they are made of.

    timeframe    length of a bar; ``params.tape_ms`` agrees
    params       ``large_*`` say what a large trade is, ``memory`` from which length on a run of empty bars is one
    lateness_ms  how far a stream's events may come out of order
    keep_ms      for how long batch keeps trades; None: for ever

    A liquidation feed counts as on from its first event until ``flow_bars`` bars, at most six hours, after its last.
    """

    def __init__(self, params: Params, timeframe: str, streaming: bool, lateness_ms: int, keep_ms: int | None) -> None:
        self.step = params.tape_ms
        self.streaming = streaming
        self.lateness_ms = lateness_ms if streaming else 0
        self.feed_bars = max(1, min(params.flow_bars, _FEED_MS // self.step))
        self.bars = Bars(timeframe)
        self.tape = TradeTape(params, timeframe, streaming, keep_ms)
        self.clock = 0  # event time, ms; in batch as of the last time that bars were closed
        self.late = {"trades": 0, "liquidations": 0, "rates": 0, "candles": 0}
        self.repeated = 0
        self.liquidations = RowBuffer(np.zeros(0, LIQUIDATION))
        self.candles = RowBuffer(np.zeros(0, BAR))
        self.rates = {name: RowBuffer(np.zeros(0, READING)) for name in ("funding_rate", "open_interest")}
        self._waiting = Waiting()
        self._left_out = 0  # streaming: trades that waited in vain
        self._seen: dict[str, Seen] = {}
        self._made = 0  # rows that end here or before are as they should be, ms

    @property
    def rows(self) -> RowBuffer:
        """The closed bars, a run of empty ones as its first."""
        return self.bars.rows

    @property
    def closed(self) -> int:
        """Bars that end here or before are closed, ms."""
        return self.tape.closed

    @property
    def venues(self) -> list[str]:
        """Names of venues by their numbers."""
        return self.tape.venues

    @property
    def ahead(self) -> int:
        """Trades that are left out, so far, as too far ahead."""
        if not self.streaming:
            self.settle()
        return self._count_ahead()

    def _count_ahead(self) -> int:
        batch = sum(len(queue.trades) for queue in self.tape.ahead) + self.tape.given_up
        return self._left_out + len(self._waiting.trades) + batch

    # What comes in ---------------------------------------------------------------------------------------------------

    def add_trades(self, parts: list[Trades]) -> None:
        """Queue trades, a part a venue; see the module's text for when they count."""
        for part in parts:
            if self.streaming:
                self._add_streamed(part)
            else:
                self._add_part(part)

    def _add_streamed(self, some: Trades) -> None:
        """Streaming: queue trades in order of arrival; those too far ahead wait apart."""
        time = some.trades["time"]
        known = self.clock or int(time[0])
        if max(known, int(time.max())) - min(known, int(time.min())) <= DAY_MS:  # nothing can be far ahead
            self._add_part(some)
            return
        start, clock = 0, self.clock
        for row, at in enumerate(time.tolist()):
            if clock and at > clock + DAY_MS:
                self._add_part(_rows_of(some, start, row))
                start = row + 1
                at, price, size, side = some.trades[row].tolist()
                ident = NO_ID if some.ids is None else int(some.ids[row])
                self.push(One(at, price, size, side, ident, some.ordered), some.venue)
                clock = self.clock
            elif at < clock - DAY_MS and self._is_young():
                self._add_part(_rows_of(some, start, row))
                start, clock = row, at
            else:
                clock = max(clock, at)
        self._add_part(_rows_of(some, start, len(time)))

    def _add_part(self, some: Trades) -> None:
        trades, ids = some.trades, some.ids
        if len(trades) and ids is not None:
            new = self._seen_at("trade", some.venue).new(trades["time"], ids)
            if not new.all():
                self.repeated += int((~new).sum())
                trades, ids = trades[new], ids[new]
        time = trades["time"]
        if len(trades) == 0:
            return
        if self.streaming:
            if int(time.min()) < self.clock - DAY_MS:
                self._begin_again(int(time.min()))
            ahead = np.maximum.accumulate(np.concatenate([[self.clock], time[:-1]]))
            closed = np.maximum((ahead - self.lateness_ms) // self.step * self.step, self.closed)
        else:
            closed = np.full(1, self.tape.base_time)
        late = time < closed
        if late.any():
            self._count_late("trades", int(late.sum()), int(time[late.argmax()]))
            trades, time = trades[~late], time[~late]
            ids = None if ids is None else ids[~late]
            if len(trades) == 0:
                return
        rank = ids if ids is not None and some.ordered else None
        code = self.tape.code_of(some.venue)
        order = None
        if code or rank is not None:
            order = np.zeros(len(trades), ORDER)
            order["venue"] = code
            order["rank"] = 0 if rank is None else np.where(rank == NO_ID, 0, rank)
        self._reopen(int(time.min()))
        self.tape.add(Queue(trades, order))
        self.clock = max(self.clock, int(time.max()))

    def push(self, one: One, venue: str, confirmed: bool = False) -> None:
        """Queue one trade; ``confirmed``: others say that its time is right."""
        time, tape = one.time, self.tape
        if time > self.clock + DAY_MS and self.clock and self.streaming and not confirmed:
            self._wait(one, venue)
            return
        if one.id != NO_ID and not self._seen_at("trade", venue).is_new(time, one.id):
            self.repeated += 1
            return
        if time < tape.closed:
            if self.streaming and time < self.clock - DAY_MS:
                self._begin_again(time)
            if time < (tape.closed if self.streaming else tape.base_time):
                self._count_late("trades", 1, time)
                return
            self._reopen(time)
        if time > self.clock:
            self.clock = time
        tape.push(time, one.price, one.size, one.side, tape.code_of(venue), one.id if one.ordered else 0)

    def _wait(self, one: One, venue: str) -> None:
        """Streaming: have a trade that is too far ahead wait, or count with those that it confirms."""
        if self._count_ahead() == 0:
            text = "a trade of %s lies more than a day after all others: such wait for two more within an hour of them"
            _LOG.warning(text, moment(one.time))
        counting, repeated = self._waiting.offer(one, self.tape.code_of(venue))
        self.repeated += repeated
        for other, code in counting:
            self.push(other, self.venues[code], confirmed=True)

    def _is_young(self) -> bool:
        """Whether nothing was made of what came so far."""
        return not (self.tape.started or len(self.rows.rows) or len(self.candles.rows))

    def _begin_again(self, time: int) -> None:
        """Streaming: have the first one or two trades wait if one comes that lies more than a day before them."""
        if not self._is_young():
            return
        queues = self.tape.waiting
        if sum(len(queue.trades) for queue in queues) > 2 or any(queue.trades["time"][0] <= time for queue in queues):
            return
        self._seen = {name: seen for name, seen in self._seen.items() if not name.startswith("trade ")}
        self.tape.closed = self.clock = self._made = 0
        for queue in self.tape.take_waiting():
            order = np.zeros(len(queue.trades), ORDER) if queue.order is None else queue.order
            for (at, price, size, side), (venue, rank) in zip(queue.trades.tolist(), order.tolist(), strict=True):
                self._waiting.offer(One(at, price, size, side, rank or NO_ID, rank != 0), venue)

    def add_liquidations(self, some: np.ndarray) -> np.ndarray:
        """Add (n,) LIQUIDATION; returns those that count: not repeated, not late."""
        if len(some) == 0:
            return some
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
            if self.streaming:
                self._follow()
                self.liquidations.keep_until(self.clock + DAY_MS, _MOST_AHEAD)
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
                if self.streaming:
                    self.rates[name].keep_until(self.clock + DAY_MS, _MOST_AHEAD)
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
        return self.tape.closed + self.step + self.lateness_ms

    def settle(self) -> None:
        """Close the bars that event time has passed and make what changed anew. Cost: that of what came since."""
        if not self.streaming:
            self._sift()
        until = (self.clock - self.lateness_ms) // self.step * self.step
        if len(self.candles.rows):
            until = max(until, int(self.candles.time[-1]) + self.step)  # a candle is closed when it comes
        if until > self.closed:
            self.tape.close(until)
            if not self.streaming:
                self.tape.rebase(self.clock)
        rows = self.rows
        if self._made < self.closed or (len(rows.rows) and int(rows.time[-1]) >= self.closed):
            start = self.bars.begin_of(min(self._made, self.closed))
            self.bars.remove_from(start)
            self.bars.append(*self._made_from(start))
            self._made = self.closed
            self._forget()

    def _sift(self) -> None:
        """Batch: tell event time from the trades that are believed, of all that came."""
        ahead, closed = self._count_ahead(), self.closed
        self.clock = self.tape.sift()
        if ahead == 0 and self._count_ahead():
            text = "%d of the trades lie more than a day after all before them and are left out, the first of %s"
            _LOG.warning(text, self._count_ahead(), moment(int(self.tape.ahead[0].trades["time"][0])))
        if self.closed < closed:
            self._made = min(self._made, self.closed)
        if len(self.candles.rows):
            self.clock = max(self.clock, int(self.candles.time[-1]) + self.step)
        self._follow()

    def _follow(self) -> None:
        """Let event time follow the liquidations, by no more than a day from one to the next."""
        time, place = self.liquidations.time, -1
        while self.clock and (last := int(np.searchsorted(time, self.clock + DAY_MS, side="right")) - 1) > place:
            place = last
            self.clock = max(self.clock, int(time[last]))

    def _change(self, time: int) -> None:
        """Have the bars from a time on made anew; in streaming none that is closed."""
        if not self.streaming:
            self._made = min(self._made, time // self.step * self.step)

    def _reopen(self, time: int) -> None:
        """Batch: have what is closed from a time on wait again."""
        if time < self.closed:
            self._change(time)
            self.tape.reopen(time)

    def _made_from(self, start: int) -> tuple[np.ndarray, np.ndarray]:
        """The bars from ``start`` to the last closed one, of trades, candles and feeds, and the runs among them."""
        candles = self.candles.rows[np.searchsorted(self.candles.time, start) :]
        candles = candles[candles["time"] + self.step <= self.closed]
        rates = {name: readings.rows for name, readings in self.rates.items()}
        traded, runs = unrolled_for_feeds(self.tape.bars, start, candles, self.liquidations.rows, rates, self.feed_bars)
        bars = bars_of(traded, candles)
        for name, readings in rates.items():
            add_rates(bars, name, readings, self.step)
        add_liquidations(bars, self.liquidations.rows, self.venues, self.step, self.feed_bars)
        return bars, runs

    def forget_rows(self) -> None:
        """Streaming: let go of all but the last bars; for whoever has read them."""
        self.bars.keep_last(STREAMED_ROWS)

    def _forget(self) -> None:
        oldest = self.closed - _ID_MEMORY_MS - self.lateness_ms if self.streaming else self.tape.base_time
        for seen in self._seen.values():
            seen.settle()
            seen.events.forget_before(oldest)
        if self.streaming:
            self.liquidations.forget_before(self.closed - STREAMED_ROWS * self.step)
            self.tape.bars.forget_before(self.closed)
            self._left_out += self._waiting.forget(self.closed)
            self.candles.forget_before(self.closed)
            for readings in self.rates.values():
                known = readings.time[: np.searchsorted(readings.time, self.closed, side="right")]
                if len(known):
                    readings.forget_before(int(known[-1]))

    # Save and load ---------------------------------------------------------------------------------------------------

    def arrays(self) -> Iterator[tuple[str, np.ndarray]]:
        """Everything but the settings, as named arrays, which last whatever comes later."""
        tape = self.tape
        yield from (("rows", self.rows.lasting()), ("runs", self.bars.runs.lasting()))
        yield from (("traded", tape.bars.rows.lasting()), ("traded_runs", tape.bars.runs.lasting()))
        yield from (("candles", self.candles.lasting()), ("liquidations", self.liquidations.lasting()))
        yield from (("tape", tape.tape.copy()), ("base", tape.base.copy()), ("waiting", self._waiting.rows()))
        queues = {"queue": tape.waiting, "kept": [kept.queue for kept in tape.kept], "ahead": tape.ahead}
        for name, parts in queues.items():
            part = copy_queue(joined_queues(parts))
            yield f"{name}_trades", part.trades
            if part.order is not None:
                yield f"{name}_order", part.order
        for name, readings in self.rates.items():
            yield name, readings.lasting()
        for place, seen in enumerate(self._seen.values()):
            seen.settle()
            yield f"seen_{place}", seen.events.lasting()

    def numbers(self) -> dict[str, Any]:
        """What ``arrays`` leaves out, as JSON values."""
        tape = self.tape
        return {
            "clock": self.clock,
            "closed": tape.closed,
            "made": self._made,
            "base_time": tape.base_time,
            "base_last": tape.base_last,
            "given_up": tape.given_up,
            "first": self.rows.first,
            "let_go": self.bars.let_go,
            "left_out": self._left_out,
            "late": dict(self.late),
            "repeated": self.repeated,
            "venues": list(self.venues),
            "seen": list(self._seen),
        }

    def restore(self, numbers: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
        """Take over what ``numbers`` and ``arrays`` gave."""
        tape, timeframe = self.tape, self.bars.timeframe
        self.clock, tape.closed, self._made = numbers["clock"], numbers["closed"], numbers["made"]
        tape.base_time, tape.base_last, tape.given_up = (
            numbers["base_time"],
            numbers["base_last"],
            numbers["given_up"],
        )
        self.late, self.repeated, self._left_out = numbers["late"], numbers["repeated"], numbers["left_out"]
        tape.venues = numbers["venues"]
        self.bars = Bars(timeframe, arrays["rows"], arrays["runs"], numbers["first"], numbers["let_go"])
        tape.bars = Bars(timeframe, arrays["traded"], arrays["traded_runs"])
        self.candles = RowBuffer(arrays["candles"])
        self.liquidations = RowBuffer(arrays["liquidations"])
        tape.tape, tape.base = arrays["tape"], arrays["base"]
        self._waiting.restore(arrays["waiting"])
        tape.restore(
            *(Queue(arrays[f"{name}_trades"], arrays.get(f"{name}_order")) for name in ("queue", "kept", "ahead"))
        )
        self.rates = {name: RowBuffer(arrays[name]) for name in self.rates}
        self._seen = {name: Seen(arrays[f"seen_{place}"]) for place, name in enumerate(numbers["seen"])}


def pieces(parts: list[Trades], history: History) -> Iterator[list[Trades]]:
    """What to add at once: in streaming no more than some thousand bars, so that others can be let go of."""
    if not history.streaming:
        yield parts
        return
    for part in parts:
        time, most = part.trades["time"], _AT_ONCE * history.step
        if int(time.max()) - int(time.min()) <= most:
            yield [part]
            continue
        block = np.maximum.accumulate(time) // most
        for first, end in itertools.pairwise([0, *(np.flatnonzero(np.diff(block)) + 1), len(block)]):
            yield [_rows_of(part, first, end)]


def _rows_of(some: Trades, start: int, end: int) -> Trades:
    """Some of a part's trades."""
    ids = None if some.ids is None else some.ids[start:end]
    return some._replace(trades=some.trades[start:end], ids=ids)
