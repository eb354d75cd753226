"""One coin's trades to bars: they wait in a queue until event time has passed their bar, then they are folded.

In batch closed trades are kept for ``keep_ms``, in parts with the tape as it was before each, so that an older trade
opens no more than what lies behind it.
"""

from __future__ import annotations

import numpy as np

from liquidator_core import BAR, TRADE
from liquidator_core.params import Params
from liquidator_core.tape import close_bars, fold_trades, new_tape

from ..market.trades import PART
from .ahead import DAY_MS, believed
from .bars import RUN, Bars
from .queue import ORDER, Kept, Queue, copy_queue, in_order, joined_queues, part_of_queue, taken_from_queue

_SMALL_PART = 4096  # closed trades are kept in parts of at least this and at most PART: one late trade opens one part
_PUSHED = 4096  # pushed trades that wait one by one before they join the queue


class TradeTape:
    """Bars of one coin's trades alone (``bars``), those that end at ``closed`` or before."""

    def __init__(self, params: Params, timeframe: str, streaming: bool, keep_ms: int | None) -> None:
        self.bars = Bars(timeframe)
        self.closed = 0  # ms
        self.venues: list[str] = []
        self.tape = new_tape()
        self.base = self.tape.copy()  # batch: the tape before the first of the trades that are kept
        self.base_time = 0
        self.base_last = 0  # batch: time of the last trade before these; 0: there is none
        self.ahead: list[Queue] = []  # batch: trades that are not believed
        self.given_up = 0  # batch: how many of these are too old to be looked at again
        self._record = params.to_record()
        self._step = params.tape_ms
        self._memory = params.memory
        self._streaming = streaming
        self._keep_ms = keep_ms
        self._queue: list[Queue] = []
        self._in_order = True  # whether the queue is
        self._pushed: list[tuple[int, float, float, int, int, int]] = []
        self._kept: list[Kept] = []  # batch: closed trades since the base

    @property
    def started(self) -> bool:
        """Whether a trade was folded."""
        return bool(self.tape["started"][0])

    @property
    def waiting(self) -> list[Queue]:
        """Trades whose bar is not closed, in order."""
        return self._sorted()

    @property
    def kept(self) -> list[Kept]:
        """Batch: closed trades, in order."""
        return self._kept

    def code_of(self, venue: str) -> int:
        """The number that stands for a venue."""
        try:
            return self.venues.index(venue)
        except ValueError:
            self.venues.append(venue)
            return len(self.venues) - 1

    def add(self, queue: Queue) -> None:
        """Have trades wait."""
        self._queue_pushed()  # these arrived before
        self._queue.append(queue)
        self._in_order = False

    def push(self, time: int, price: float, size: float, side: int, venue: int, rank: int) -> None:
        """Have one trade wait."""
        self._pushed.append((time, price, size, side, venue, rank))
        if len(self._pushed) >= _PUSHED:
            self._queue_pushed()

    def take_waiting(self) -> list[Queue]:
        """The trades that wait, which do so no more."""
        waiting = self._sorted()
        self._queue = []
        return waiting

    def restore(self, queue: Queue, kept: Queue, ahead: Queue) -> None:
        """Take over saved trades; ``base`` is the tape before the kept ones."""
        self._queue = [queue] if len(queue.trades) else []
        self._kept = [Kept(kept, self.base)] if len(kept.trades) else []
        self.ahead = [ahead] if len(ahead.trades) else []

    # Which trades count ----------------------------------------------------------------------------------------------

    def sift(self) -> int:
        """Batch: set aside what is not believed; the time of the last trade that is, 0 if there is none."""
        last = self._last_folded()
        again = [part for part in (_after(queue, last) for queue in self.ahead) if part is not None]
        waiting = self._sorted()
        if not again and not _leaps(waiting, last):
            return int(waiting[-1].trades["time"][-1]) if waiting else last
        self._queue, self._in_order = [*waiting, *again], False
        merged = joined_queues(self._sorted())
        counts = believed(merged.trades["time"], _who(merged), last or None)
        left = [part for part in (_until(queue, last) for queue in self.ahead) if part is not None]
        out = taken_from_queue(merged, ~counts)
        self.ahead = [*left, out] if len(out.trades) else left
        queue = taken_from_queue(merged, counts)
        self._queue = [queue] if len(queue.trades) else []
        if len(queue.trades) == 0:
            return last
        first = int(queue.trades["time"][0])
        if first < self.closed:  # what was not believed before is
            self.reopen(first)
            return self.sift()
        return int(queue.trades["time"][-1])

    def _last_folded(self) -> int:
        return int(self._kept[-1].queue.trades["time"][-1]) if self._kept else self.base_last

    # Bars ------------------------------------------------------------------------------------------------------------

    def reopen(self, time: int) -> None:
        """Batch: have closed trades wait again, from the last part on that nothing from ``time`` on lies before."""
        place = len(self._kept) - 1
        while place > 0 and not (
            self._kept[place].tape["bar"]["time"][0] <= time > self._kept[place - 1].queue.trades["time"][-1]
        ):
            place -= 1
        self._rewind(max(place, 0))

    def _rewind(self, place: int) -> None:
        """Batch: have the kept trades wait again, from this part on."""
        again, self._kept = self._kept[place:], self._kept[:place]
        self.tape = again[0].tape if place else self.base.copy()
        self.closed = int(self.tape["bar"]["time"][0]) if place else self.base_time
        self._queue[:0] = [kept.queue for kept in again]
        self._in_order = False
        self.bars.remove_from(self.closed)

    def close(self, until: int) -> None:
        """Close the bars that end by ``until``."""
        waiting = self.take_waiting()
        for queue in waiting:
            count = int(np.searchsorted(queue.trades["time"], until))
            for start in range(0, count, PART):
                closing = part_of_queue(queue, slice(start, min(start + PART, count)))
                if not self._streaming:
                    self._keep(closing)
                self._fold(self.tape, closing.trades, self.bars)
            if count < len(queue.trades):
                self._queue.append(copy_queue(part_of_queue(queue, slice(count, None))) if count else queue)
        self._close_bars(self.tape, until, self.bars)
        self.closed = until

    def _keep(self, queue: Queue) -> None:
        tape = self.tape.copy()
        if self._kept and len(self._kept[-1].queue.trades) + len(queue.trades) <= _SMALL_PART:
            before, tape = self._kept.pop()
            queue = joined_queues([before, queue])
        self._kept.append(Kept(queue, tape))

    def _fold(self, tape: np.ndarray, trades: np.ndarray, bars: Bars) -> None:
        """Fold trades; the bars that they complete go to ``bars``, the tape is advanced."""
        gaps = self._gaps(tape, trades["time"])
        for first, end in zip([0, *gaps], [*gaps, len(trades)], strict=True):
            if end == first:
                continue
            some = trades[first:end]
            opening, last = (int(some["time"][row]) // self._step * self._step for row in (0, -1))
            if first in gaps:
                self._close_bars(tape, opening, bars)
            started = int(tape["bar"]["time"][0]) if tape["started"][0] else opening
            made = np.zeros(min((last - started) // self._step + 1, PART), BAR)
            while len(some):
                used, count = fold_trades(tape, self._record, some, made)
                bars.append(made[:count], _NO_RUNS)
                some = some[used:]

    def _gaps(self, tape: np.ndarray, time: np.ndarray) -> list[int]:
        """The trades before which a run of empty bars is long enough to be kept as one."""
        least = (self._memory + 1) * self._step
        before = int(tape["bar"]["time"][0]) if tape["started"][0] else int(time[0])
        if int(time[-1]) - before <= least:
            return []
        index = time // self._step
        gaps: list[int] = np.flatnonzero(np.diff(index, prepend=before // self._step) > self._memory + 1).tolist()
        return gaps

    def _close_bars(self, tape: np.ndarray, until: int, bars: Bars) -> None:
        """Close the bars that end by ``until``, all trades before it being folded; the tape is advanced."""
        started = int(tape["bar"]["time"][0]) if tape["started"][0] else until
        count = (until - started) // self._step
        long = count > self._memory + 1
        made = np.zeros(2 if long else max(count, 0), BAR)
        close_bars(tape, self._record, started + len(made) * self._step, made)
        runs = _NO_RUNS
        if long:  # the first that ends is the open one, all others are empty
            runs = np.array([(started + self._step, count - 1)], RUN)
            tape["bar"]["time"] = until
        bars.append(made, runs)

    def rebase(self, clock: int) -> None:
        """Batch: let go of trades older than ``keep_ms``, a quarter of it at a time."""
        if self._keep_ms is None or not self._kept:
            return
        oldest = (clock - self._keep_ms) // self._step * self._step
        if oldest - max(self.base_time, int(self._kept[0].queue.trades["time"][0])) < self._keep_ms // 4:
            return
        kept, unused = [], Bars(self.bars.timeframe)
        for queue, tape in self._kept:
            count = int(np.searchsorted(queue.trades["time"], oldest))
            if count:
                self._fold(self.base, queue.trades[:count], unused)
                self.base_last = int(queue.trades["time"][count - 1])
            if count < len(queue.trades):
                kept.append(Kept(copy_queue(part_of_queue(queue, slice(count, None))), tape))
        self._close_bars(self.base, oldest, unused)
        self.base_time, self._kept = oldest, kept
        left = [part for part in (_after(queue, oldest - 1) for queue in self.ahead) if part is not None]
        self.given_up += sum(len(queue.trades) for queue in self.ahead) - sum(len(queue.trades) for queue in left)
        self.ahead = left

    # The queue -------------------------------------------------------------------------------------------------------

    def _sorted(self) -> list[Queue]:
        """Everything in the queue by (time, venue, id, arrival), in parts that lie behind each other."""
        self._queue_pushed()
        if self._in_order:
            return self._queue
        self._in_order = True
        names = np.argsort(np.argsort(self.venues))
        if not in_order(self._queue, names):
            trades, order = joined_queues(self._queue)
            if order is None:
                places = np.argsort(trades["time"], kind="stable")
                self._queue = [Queue(trades[places], None)]
            else:
                places = np.lexsort((order["rank"], names[order["venue"]], trades["time"]))
                self._queue = [Queue(trades[places], order[places])]
        return self._queue

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
        self._in_order = False


_NO_RUNS = np.zeros(0, RUN)


def _leaps(queues: list[Queue], last: int) -> bool:
    """Whether a trade lies more than a day after the one before it."""
    for queue in queues:
        time = queue.trades["time"]
        if last and int(time[0]) - last > DAY_MS:
            return True
        last = int(time[-1])
        if last - int(time[0]) > DAY_MS and (np.diff(time) > DAY_MS).any():
            return True
    return False


def _who(queue: Queue) -> np.ndarray:
    """What tells trades apart, 0 where they have no number."""
    if queue.order is None:
        return np.zeros(len(queue.trades), np.int64)
    who: np.ndarray = np.where(queue.order["rank"] == 0, 0, queue.order["rank"] ^ (queue.order["venue"] << 48))
    return who


def _after(queue: Queue, time: int) -> Queue | None:
    """The trades after a time."""
    rows = queue.trades["time"] > time
    return taken_from_queue(queue, rows) if rows.any() else None


def _until(queue: Queue, time: int) -> Queue | None:
    """The trades up to a time."""
    rows = queue.trades["time"] <= time
    return taken_from_queue(queue, rows) if rows.any() else None
