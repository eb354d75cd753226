"""The path of trades through a stream: received, sifted, captured, held while a gap is filled, applied.

A session is run by one loop; nothing but ``health``, ``gaps`` and the store is touched by other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..store import journal
from .capture import Capture
from .channel import Channel, Gap, is_event
from .courier import Courier
from .limits import Limits
from .readings import Readings, is_reading
from .repair import fetch_rows
from .said import Liquidation, Reading, Row, Said, Trades
from .waiting import Placed, Waiting

_LOG = logging.getLogger("liquidator")
_MOST_GAPS = 100_000

HEALTH = (
    *("venue", "symbol", "state", "last_trade", "last_message", "trades", "liquidations", "gaps", "dropped", "queue"),
    *("liquidation_feed", "raw_long_usd", "raw_short_usd"),
)
GAPS = ("venue", "symbol", "kind", "since", "until", "missing", "filled")


class Sink(Protocol):
    """One coin's engine, as a stream feeds it. Its methods may be called by any thread."""

    @property
    def closed(self) -> int:
        """Bars that end here or before are closed, ms; 0 without any."""

    def join(self, symbol: str) -> None:
        """Take a market as one of its coin. Raises ValueError for one of another."""

    def last_liquidation(self, venue: str) -> int:
        """The time of the last liquidation that was applied, ms; 0 without any."""

    def trades(self, venue: str, rows: Sequence[Row]) -> None:
        """Apply trades of base coins, in order."""

    def liquidation(self, venue: str, time: int, price: float, usd: float, side: str) -> None:
        """Apply an observed liquidation."""

    def rate(self, kind: str, time: int, value: float) -> None:
        """Apply a reading of funding_rate or open_interest."""

    def save(self) -> None:
        """Write the state, if one is kept."""


class Session:
    """What runs while a stream does.

    instances  venue -> the ccxt instance that fills its gaps
    capture    where what comes is kept; None: nowhere
    """

    def __init__(
        self,
        instances: dict[str, Any],
        capture: Capture | None,
        courier: Courier,
        limits: Limits,
        on_gap: Callable[[dict[str, Any]], object] | None,
        on_health: Callable[[dict[str, Any]], object] | None,
    ) -> None:
        self.channels: list[Channel] = []
        self.gap_rows: list[dict[str, Any]] = []
        self.faults: list[str] = []
        self.instances = instances
        self._capture = capture
        self._courier = courier
        self._limits = limits
        self._on_gap, self._on_health = on_gap, on_health
        self._waiting = Waiting()
        self._open: set[Gap] = set()
        self._settled: list[Gap] = []
        self._changed = asyncio.Event()
        self._holding: asyncio.Task[None] | None = None
        self._failed = asyncio.Event()  # the task that holds ended with an error
        self._tasks: set[asyncio.Task[None]] = set()
        self._stands: dict[Channel, asyncio.Event] = {}
        self._readings = Readings()

    def add(self, channel: Channel) -> None:
        """Have a market join. Raises TimeoutError if another stream captures it."""
        if self._capture is not None:
            self._capture.open(channel)
        self.channels.append(channel)
        self._stands[channel] = asyncio.Event()

    # What comes in ---------------------------------------------------------------------------------------------------

    def take(self, channel: Channel, rows: Sequence[Row], receipt: int) -> None:
        """Take trades of a market as its venue counts them."""
        good = channel.converted(rows, receipt)
        if not good:
            return
        channel.health.heard(receipt, good[-1].time, good[-1].price)
        known = channel.gap
        new, gap = channel.sift(good, receipt)
        if gap is not None:
            self._begin(gap)
        elif known is not None and known.filled is True:
            channel.gap = None
            self._settle(known)
        if known is not None or gap is not None:
            self._changed.set()
        if not new:
            return
        if self._capture is not None:
            self._capture.trades(channel, new, receipt)
        if self._holding is None:
            channel.sink.trades(channel.venue, new)
        else:
            self._wait(channel, new)
        channel.count(new)

    def _wait(self, channel: Channel, events: Sequence[Row | Placed]) -> None:
        self._waiting.put(channel, events)
        if len(self._waiting) >= self._limits.most_held:
            self._changed.set()

    def said(self, channel: Channel, said: Said, receipt: int, bankruptcy: bool) -> None:
        """Take what a frame says of a market."""
        if isinstance(said, Trades):
            self.take(channel, said.rows, receipt)
        elif not (is_event(said, receipt) if isinstance(said, Liquidation) else is_reading(said, receipt)):
            channel.counts["dropped"] += 1
        elif isinstance(said, Liquidation):
            self._liquidated(channel, said, receipt, bankruptcy)
        elif said.kind == "mark":
            channel.mark = said.value
        elif said.kind == "contracts":
            price = channel.mark or channel.health.last_price
            if price is not None:
                coins = channel.coins(said.value, price)
                self._read(channel, said._replace(kind="open_interest", value=coins), receipt)
        else:
            self._read(channel, said, receipt)

    def _liquidated(self, channel: Channel, said: Liquidation, receipt: int, bankruptcy: bool) -> None:
        """Place a liquidation: one that is told at its bankruptcy price by the mark price, once that is known."""
        price = (channel.mark or channel.health.last_price or said.price) if bankruptcy else said.price
        usd = channel.worth(said.amount, price)
        placed = Placed(said.time, price, usd, said.side)
        if self._holding is None:
            channel.sink.liquidation(channel.venue, *placed)
        else:
            self._wait(channel, [placed])
        channel.counts["liquidations"] += 1
        channel.raw_usd[said.side] += usd
        if self._capture is not None:
            self._capture.liquidation(channel, said.time, price, usd / price, said.side, usd, receipt)

    def _read(self, channel: Channel, said: Reading, receipt: int) -> None:
        """Take a reading, one every ten seconds."""
        time = receipt if said.time is None else said.time
        if not self._readings.is_due(channel, said.kind, time):
            return
        if self._capture is not None:
            self._capture.reading(channel, said.kind, time, said.value, receipt)
        self.rated(channel, said.kind, time, said.value)

    def rated(self, channel: Channel, kind: str, time: int, value: float) -> None:
        """Apply a reading of funding, as its venue tells it, or open_interest."""
        self._readings.apply(channel, kind, time, value, self.channels)

    # Connections -----------------------------------------------------------------------------------------------------

    def stands(self, channels: Sequence[Channel]) -> None:
        """A connection stands, and what it delivers of these markets is whole from here on."""
        for channel in channels:
            if not self._stands[channel].is_set():
                channel.stood = self._limits.now()
                self._stands[channel].set()

    def broke(self, channels: Sequence[Channel]) -> None:
        """A connection is gone: what its markets trade until the next one stands is missing."""
        for channel in channels:
            self._stands[channel].clear()
            self.lost(channel)

    def lost(self, channel: Channel) -> None:
        """Trades of a market may be missing from the last one on."""
        gap = channel.lost(self._limits.now())
        if gap is not None:
            self._begin(gap)

    def nonsense(self, channels: Sequence[Channel], error: Exception) -> None:
        """A frame that cannot be read; where ids do not tell what was in it, it is a gap."""
        for channel in channels:
            if channel.counts["dropped"] == 0:
                _LOG.warning("%s: a frame that cannot be read is left out: %s", channel.venue, error)
            channel.counts["dropped"] += 1
            if not channel.chained:
                self.lost(channel)

    # Gaps ------------------------------------------------------------------------------------------------------------

    def _begin(self, gap: Gap) -> None:
        """Hold all trades, and have a gap filled."""
        self._open.add(gap)
        if gap.channel.venue not in self.instances:  # nobody to ask
            self._give_up(gap)
            self._tell(gap)
            return
        gap.deadline = asyncio.get_running_loop().time() + self._limits.hold_s
        self.start(self._fill(gap))
        if self._holding is None:
            self._holding = self.start(self._hold())

    def start(self, coroutine: Any) -> asyncio.Task[None]:
        """Have a coroutine run until the session ends."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            _LOG.error("a task of the stream failed", exc_info=task.exception())
            self.faults.append(repr(task.exception()))
            if task is self._holding:
                self._failed.set()

    async def _fill(self, gap: Gap) -> None:
        """Ask the venue until it gives what is missing. Once the wait is over what it gives goes to the store alone."""
        channel, attempt, proven = gap.channel, 0, False
        stands = self._stands[channel]
        while gap.is_open or (gap.filled is False and attempt < self._limits.late_attempts):
            if gap.right is None and not stands.is_set():
                await stands.wait()
                continue
            attempt += 1
            right, asked = gap.right, self._limits.now()
            try:
                rows, proven = await fetch_rows(self.instances[channel.venue], channel, gap, asked)
            except (ConnectionError, ValueError) as error:
                _LOG.warning("%s %s: a gap is not filled yet: %s", channel.venue, channel.symbol, error)
                rows, proven = [], False
            gap.rows = rows if len(rows) >= len(gap.rows) else gap.rows
            quiet = stands.is_set() and asked - max(channel.stood, gap.opened) >= self._limits.quiet_s * 1000
            proven = proven and gap.right is right and (right is not None or quiet)
            if gap.is_filled or proven:
                break
            await self._pause(gap, attempt)
        if gap.is_open and proven:
            gap.filled = True
            if channel.gap is gap:
                channel.gap = None
            self._settle(gap)
        elif gap.filled is False and proven:
            self._keep_late(gap)

    async def _pause(self, gap: Gap, attempt: int) -> None:
        """Until the next attempt, or until the trade after the gap is there."""
        seconds = min(self._limits.longest_wait, self._limits.first_wait * 2 ** (attempt - 1))
        had = gap.right
        until = asyncio.get_running_loop().time() + min(seconds, self._limits.quiet_s if had is None else seconds)
        while gap.right is had and gap.filled is not True and (left := until - asyncio.get_running_loop().time()) > 0:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._changed.wait()

    def _settle(self, gap: Gap) -> None:
        """A gap is filled: its trades are those that nobody had. Those of bars that are closed are for the store."""
        self._open.discard(gap)
        channel = gap.channel
        gap.rows = channel.fill(gap)
        channel.count(gap.rows)
        if gap.rows and self._capture is not None:
            self._capture.trades(channel, gap.rows)
        if any(row.time < channel.sink.closed for row in gap.rows):
            gap.filled = "store" if self._capture is not None else False
            channel.health.lost(self._limits.now())
        self._settled.append(gap)
        self._changed.set()

    def _keep_late(self, gap: Gap) -> None:
        """What came after the wait was over: for the store alone."""
        if self._capture is None:
            return
        new = gap.channel.fill(gap)
        if new:
            self._capture.trades(gap.channel, new)
        self._capture.mended(gap)
        gap.filled = "store"
        self._tell(gap)

    async def _hold(self) -> None:
        """Let what comes wait for the gaps before it, each at most so long; then tell of them and apply what is due."""
        loop = asyncio.get_running_loop()
        while self._open or self._settled:
            while not (self._settled or self._over(loop.time())):
                self._changed.clear()
                left = min(gap.deadline for gap in self._open) - loop.time()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(max(0.0, left)):
                        await self._changed.wait()
            fills, self._settled = self._settled, []
            over = self._over(loop.time())
            for gap in over:
                self._give_up(gap)
            for gap in reversed([*fills, *over]):  # now: late answers take the place of a gap's rows
                self._waiting.put_first(gap.channel, gap.rows)
            await self.told([*fills, *over])
            self._release()
        self._holding = None

    def _over(self, now: float) -> list[Gap]:
        """The gaps that are waited for no longer."""
        full = len(self._waiting) >= self._limits.most_held
        return [gap for gap in self._open if full or now >= gap.deadline]

    def _give_up(self, gap: Gap) -> None:
        self._open.discard(gap)
        gap.filled = False
        gap.rows = gap.channel.narrow(gap)
        if gap.rows and self._capture is not None:
            self._capture.trades(gap.channel, gap.rows)
        if gap.channel.gap is gap:
            gap.channel.gap = None
        gap.channel.health.lost(self._limits.now())
        if self._capture is not None:
            self._capture.broken(gap)

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
            self.faults.append("on_gap blocks")

    def _tell(self, gap: Gap) -> None:
        """Tell of a gap, or of what became of it; one in which nothing was missing is none."""
        if gap.filled is True and not gap.rows:
            return
        row = gap.row(self._limits.now())
        if gap.told is not None:
            gap.told.update(row)
        else:
            gap.channel.counts["gaps"] += 1
            gap.told = row
            self.gap_rows.append(row)
            del self.gap_rows[:-_MOST_GAPS]
        if self._on_gap is not None:
            self._courier.call(self._on_gap, dict(row))

    def _release(self) -> None:
        """Apply what waits, up to the first gap that is open."""
        self._waiting.release(min((gap.left.time for gap in self._open), default=None))

    # Running ---------------------------------------------------------------------------------------------------------

    async def run(self, sources: Sequence[Any], saved: Sequence[Sink]) -> None:
        """Until it is cancelled, or one of the sources ends; then what waits is applied, kept and saved."""
        running = [self.start(source) for source in sources]
        running += [self.start(one) for one in (self._watch(), self._keep(saved), self._end_with_holding())]
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self.finish(saved)

    async def _end_with_holding(self) -> None:
        """Raise what ended the task that holds: nothing would ever be applied again."""
        await self._failed.wait()
        assert self._holding is not None
        self._holding.result()

    def finish(self, saved: Sequence[Sink]) -> None:
        """Tell of what is open, apply what waits, and write both store and states."""
        fills, self._settled = self._settled, []
        for gap in list(self._open):
            self._give_up(gap)
            fills.append(gap)
        for gap in fills:
            self._tell(gap)
        for gap in reversed(fills):
            self._waiting.put_first(gap.channel, gap.rows)
        self._holding = None
        with contextlib.ExitStack() as ending:  # all of it, whatever fails
            for sink in saved:
                ending.callback(sink.save)
            if self._capture is not None:
                ending.callback(self._capture.close)
            self._release()

    async def _watch(self) -> None:
        """Tell of changes of health, and write what was captured, every second."""
        full = False
        while True:
            self.look()
            if self._capture is not None:
                self._capture.flush()
                try:
                    for path, key in self._capture.rotated():
                        self.start(asyncio.to_thread(journal.fold, path, key))
                    full = False
                except OSError as error:
                    if not full:
                        _LOG.error("the store's journals cannot be ended, which is tried again: %s", error)
                    full = True
            await asyncio.sleep(self._limits.flush_s)

    def look(self) -> None:
        """Tell of every market whose state has changed."""
        now = self._limits.now()
        for channel in self.channels:
            others = [
                one.health.last_price
                for one in self.channels
                if one.sink is channel.sink and one is not channel and not one.health.is_stale(now)
            ]
            channel.health.compare(now, [price for price in others if price is not None])
            state = channel.health.state(now)
            if state != channel.state:
                channel.state = state
                if self._on_health is not None:
                    self._courier.call(self._on_health, channel.health_row(now))

    async def _keep(self, saved: Sequence[Sink]) -> None:
        """Save states every minute."""
        while True:
            await asyncio.sleep(self._limits.save_s)
            if self._capture is not None:
                self._capture.flush()
            for sink in saved:
                try:
                    await asyncio.to_thread(sink.save)
                except OSError as error:
                    _LOG.error("the state cannot be saved: %s", error)
