"""The life of a gap: trades of all markets wait while it is filled; what is not filled in time is told.

open      ``filled`` None: the venue's REST is asked, what comes waits
filled    ``filled`` True: its trades go before those that wait
given up  ``filled`` False: it is told before the next trade is applied. One that no trade has ended yet (the connection
          is down, or the market silent) goes on to the first trade that comes, and is told again before that
late      ``filled`` "store": its trades came after that
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from .capture import Capture
from .channel import Channel, Gap
from .courier import Courier
from .limits import Limits
from .repair import Fetches
from .said import Row
from .tasks import Tasks
from .waiting import Key, Placed, Waiting, key_of

_LOG = logging.getLogger("liquidator")
_MOST_TOLD = 100_000


class Gaps:
    """The gaps of a stream, and what waits for them.

    instances  venue -> the ccxt instance that fills its gaps
    capture    where what comes late is kept; None: nowhere
    """

    def __init__(
        self,
        instances: dict[str, Any],
        capture: Capture | None,
        courier: Courier,
        limits: Limits,
        on_gap: Callable[[dict[str, Any]], object] | None,
        tasks: Tasks,
    ) -> None:
        self.failed = asyncio.Event()  # the task that holds has ended with an error
        self._instances = instances
        self._capture = capture
        self._courier = courier
        self._limits = limits
        self._on_gap = on_gap
        self._tasks = tasks
        self._told: list[dict[str, Any]] = []
        self._open: list[Gap] = []
        self._going_on: list[Gap] = []  # given up, and no trade has come since
        self._due: list[tuple[Gap, list[Row]]] = []  # to be told, and what goes before that which waits
        self._waiting = Waiting()
        self._fetches: dict[Channel, Fetches] = {}
        self._changed = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None

    @property
    def are_held(self) -> bool:
        """Whether trades and liquidations are to ``wait``."""
        return self._holding is not None

    def wait(self, channel: Channel, events: Sequence[Row | Placed]) -> None:
        """Have events of a market wait."""
        self._waiting.put(channel, events)
        if len(self._waiting) >= self._limits.most_held:
            self._changed.set()

    def held(self) -> Counter[Key]:
        """What was captured and is not applied yet, and how often."""
        return self._waiting.keys() + Counter(key_of(gap.channel, row) for gap, rows in self._due for row in rows)

    def rows(self) -> list[dict[str, Any]]:
        """The rows of ``gaps()``; of a gap that goes on ``until`` is now."""
        now, going_on = self._limits.now(), {id(gap.told) for gap in list(self._going_on)}
        return [{**row, "until": now} if id(row) in going_on else dict(row) for row in list(self._told)]

    def begin(self, gap: Gap) -> None:
        """Hold all trades, and have a gap filled."""
        self._open.append(gap)
        if gap.channel.venue not in self._instances:  # a replay: there is nobody to ask
            self._give_up(gap)
            self._tell(gap)
            return
        gap.deadline = asyncio.get_running_loop().time() + self._limits.hold_s
        self._tasks.start(self._fill(gap))
        self._hold_on()

    def ended(self, gap: Gap) -> None:
        """The trade after a gap is there, and not applied yet."""
        channel, first = gap.channel, gap.right
        assert first is not None
        self._changed.set()
        if gap.is_open:
            if gap.is_whole:
                gap.page = []
                self._filled(gap)
            return
        self._go_no_further(gap)
        if gap.is_whole:  # what was given up for lost comes by the stream
            kept = "store" if self._capture is not None else False
            gap.filled = True if first.time >= channel.sink.closed else kept
            if self._capture is not None:
                self._capture.late(channel, [], gap.left.time, first.time + 1)
        else:
            channel.health.lost(self._limits.now())
        self._tell(gap)  # before what may come late; the trade waits for that below
        self._due.append((gap, []))
        self._hold_on()

    # Filling ---------------------------------------------------------------------------------------------------------

    async def _fill(self, gap: Gap) -> None:
        """Ask the venue until it gives what is missing. Once the wait is over what it gives goes to the store alone."""
        channel, right, filled, attempt, proven = gap.channel, gap.right, gap.filled, 0, False
        rows: list[Row] = []
        while gap.is_open or gap.filled is False:
            if gap.right is None and not channel.stands.is_set():
                await channel.stands.wait()
                attempt = 0
                continue
            if gap.right is not right or gap.filled is not filled:  # it has ended, or was given up
                right, filled, attempt = gap.right, gap.filled, 0
            if gap.filled is False and attempt >= self._limits.late_attempts:
                if right is not None:
                    break
                await self._ending(gap)
                continue
            attempt += 1
            asked = self._limits.now()
            try:
                found, proven = await self._fetches_of(channel).rows(gap, asked)
            except (ConnectionError, ValueError) as error:
                _LOG.warning("%s %s: a gap is not filled yet: %s", channel.venue, channel.symbol, error)
                found, proven = [], False
            rows = found if len(found) >= len(rows) else rows
            if gap.is_open:
                gap.page = rows
            quiet = channel.stands.is_set() and asked - max(channel.stood, gap.opened) >= self._limits.quiet_s * 1000
            proven = proven and gap.right is right and (right is not None or quiet)
            if proven:
                break
            await self._pause(gap, attempt)
        if gap.is_open:
            self._filled(gap)
        elif gap.filled is False:
            self._late(gap, rows, proven)

    def _fetches_of(self, channel: Channel) -> Fetches:
        if channel not in self._fetches:
            self._fetches[channel] = Fetches(self._instances[channel.venue], channel)
        return self._fetches[channel]

    async def _pause(self, gap: Gap, attempt: int) -> None:
        """Until the next attempt, or until the trade after the gap is there."""
        longest = self._limits.longest_wait if gap.is_open else self._limits.longest_late
        seconds = min(longest, self._limits.first_wait * 2 ** min(attempt - 1, 30))
        had = gap.right
        until = asyncio.get_running_loop().time() + min(seconds, self._limits.quiet_s if had is None else seconds)
        while gap.right is had and gap.filled is not True and (left := until - asyncio.get_running_loop().time()) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    async def _ending(self, gap: Gap) -> None:
        """Until the trade after a gap is there."""
        while gap.right is None:
            self._changed.clear()
            await self._changed.wait()

    def _filled(self, gap: Gap) -> None:
        """A gap is filled: its trades are those that nobody had. Those of bars that are closed are for the store."""
        self._open.remove(gap)
        channel = gap.channel
        gap.filled, gap.rows = True, channel.fill(gap, gap.page)
        channel.count(gap.rows)
        if self._capture is not None:
            self._capture.late(channel, gap.rows, gap.left.time, None if gap.right is None else gap.right.time)
        channel.settled(gap)
        if any(row.time < channel.sink.closed for row in gap.rows):
            gap.filled = "store" if self._capture is not None else False
            channel.health.lost(self._limits.now())
        self._due.append((gap, gap.rows))
        self._changed.set()

    def _late(self, gap: Gap, rows: Sequence[Row], proven: bool) -> None:
        """What came after a gap was given up, for the store alone; where that is not all, the gap ends before it."""
        channel, capture = gap.channel, self._capture
        if capture is None and (not proven or channel.missing(gap, rows)):
            return
        until = None if gap.right is None else gap.right.time + 1
        new = channel.fill(gap, rows) if proven else channel.narrow(gap, rows)
        if not (proven or new):
            return
        if capture is not None:
            capture.late(channel, new, gap.left.time if proven else new[0].time, until)
        if proven:
            gap.filled = "store" if new else True
            self._go_no_further(gap)
        self._tell(gap)

    # Waiting ---------------------------------------------------------------------------------------------------------

    def _hold_on(self) -> None:
        self._changed.set()
        if self._holding is None:
            self._holding = self._tasks.start(self._hold())
            self._holding.add_done_callback(self._held)

    def _held(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.failed.set()

    async def end_with_holding(self) -> None:
        """Raise what ended the task that holds: nothing would ever be applied again."""
        await self.failed.wait()
        assert self._holding is not None
        self._holding.result()

    async def _hold(self) -> None:
        """Let what comes wait for the gaps before it, each at most so long; then tell of them and apply what is due."""
        loop = asyncio.get_running_loop()
        while self._open or self._due:
            while not (self._due or self._over(loop.time())):
                self._changed.clear()
                left = min(gap.deadline for gap in self._open) - loop.time()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, left)):
                        await self._changed.wait()
            await self.told(self._settle(self._over(loop.time())))
            self._release()
        self._holding = None

    def _settle(self, over: Sequence[Gap]) -> list[Gap]:
        """Give gaps up, and put what came of them and of those that are due before what waits: all of these gaps."""
        due, self._due = self._due, []
        due += [(gap, self._give_up(gap)) for gap in over]
        for gap, rows in reversed(due):
            self._waiting.put_behind(gap.channel, gap.left, rows, gap.page)
        return [gap for gap, _ in due]

    def _over(self, now: float) -> list[Gap]:
        """The gaps that are waited for no longer, in order."""
        full = len(self._waiting) >= self._limits.most_held
        return [gap for gap in self._open if full or now >= gap.deadline]

    def _give_up(self, gap: Gap) -> list[Row]:
        """What came of a gap and reaches to its end: the gap ends before that."""
        self._open.remove(gap)
        gap.filled, gap.rows = False, gap.channel.narrow(gap, gap.page)
        gap.channel.count(gap.rows)
        if gap.rows and self._capture is not None:
            self._capture.trades(gap.channel, gap.rows)
        if self._capture is not None:
            self._capture.broken(gap)
        if gap.right is None:
            self._going_on.append(gap)
        else:
            gap.channel.settled(gap)
        gap.channel.health.lost(self._limits.now())
        return gap.rows

    def _go_no_further(self, gap: Gap) -> None:
        """A gap that was given up has its end."""
        if gap in self._going_on:
            self._going_on.remove(gap)
        gap.channel.settled(gap)

    def _release(self) -> None:
        """Apply what waits, up to the first gap that is open."""
        self._waiting.release(min((gap.left.time for gap in self._open), default=None))

    def finish(self) -> None:
        """Give up what is open, tell of it, and apply what waits."""
        for gap in self._settle(list(self._open)):
            self._tell(gap)
        for gap in self._going_on:
            if gap.told is not None:
                gap.told["until"] = self._limits.now()
        self._going_on = []
        self._holding = None
        self._release()

    # Telling ---------------------------------------------------------------------------------------------------------

    async def told(self, gaps: Sequence[Gap]) -> None:
        """Tell of gaps, and wait until the callback has returned, so that nothing is decided on a silent hole."""
        for gap in gaps:
            self._tell(gap)
        if self._on_gap is None or all(gap.filled is True for gap in gaps):
            return
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        self._courier.call(loop.call_soon_threadsafe, told.set)
        try:
            async with asyncio.timeout(self._limits.callback_s):
                await told.wait()
        except TimeoutError:
            _LOG.error("on_gap has not returned for %g s: trades go on without it", self._limits.callback_s)
            self._tasks.faults.append("on_gap blocks")

    def _tell(self, gap: Gap) -> None:
        """Tell of a gap, or of what became of it since; one in which nothing was missing is none."""
        if gap.filled is True and not gap.rows and gap.told is None:
            return
        row = gap.row(self._limits.now())
        if row == gap.told:
            return
        if gap.told is not None:
            gap.told.update(row)
        else:
            gap.channel.counts["gaps"] += 1
            gap.told = row
            self._told.append(row)
            del self._told[:-_MOST_TOLD]
        if self._on_gap is not None:
            self._courier.call(self._on_gap, dict(row))
