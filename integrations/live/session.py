"""The path of trades through a stream: received, sifted, captured, held while a gap is filled, applied.

A session is run by one loop; nothing but ``health``, ``gaps`` and the store is touched by other threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from ..market.funding import UNIT_HOURS, per_unit
from .capture import Capture
from .channel import Channel, is_event
from .courier import Courier
from .gaps import Gaps
from .limits import Limits
from .readings import Readings, is_reading
from .said import Liquidation, Reading, Row, Said, Trades
from .tasks import Tasks
from .waiting import Placed

_LOG = logging.getLogger("liquidator")

HEALTH = (
    *("venue", "symbol", "state", "last_trade", "last_message", "trades", "liquidations", "gaps", "dropped", "queue"),
    *("liquidation_feed", "raw_long_usd", "raw_short_usd", "store_error"),
)
GAPS = ("venue", "symbol", "kind", "since", "until", "missing", "filled")


class Sink(Protocol):
    """One coin's engine, as a stream feeds it. Its methods may be called by any thread."""

    @property
    def closed(self) -> int:
        """Bars that end here or before are closed, ms; 0 without any."""

    def join(self, symbol: str) -> None:
        """Take a market as one of its coin. Raises ValueError for one of another."""

    def liquidations(self, venue: str) -> Counter[tuple[int, float, float, str]]:
        """Those that were applied since the last closed bar: how often each time, price, USD and side."""

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
        self.instances = instances
        self.tasks = Tasks()
        self.gaps = Gaps(instances, capture, courier, limits, on_gap, self.tasks)
        self._capture = capture
        self._courier = courier
        self._limits = limits
        self._on_health = on_health
        self._readings = Readings()
        self._is_finished = False

    def add(self, channel: Channel) -> None:
        """Have a market join. Raises TimeoutError if another stream captures it."""
        if self._capture is not None:
            self._capture.open(channel)
        self.channels.append(channel)

    def health(self) -> list[dict[str, Any]]:
        """The rows of ``health()``, a market each. May be called by any thread."""
        now = self._limits.now()
        return [self._health_row(channel, now) for channel in list(self.channels)]

    def _health_row(self, channel: Channel, now: int) -> dict[str, Any]:
        error = None if self._capture is None else self._capture.error_of(channel)
        return channel.health_row(now) | {"store_error": error}

    # What comes in ---------------------------------------------------------------------------------------------------

    def take(self, channel: Channel, rows: Sequence[Row], receipt: int) -> None:
        """Take trades of a market as its venue counts them."""
        good = channel.converted(rows, receipt)
        if len(good) < len(rows):
            if len(rows) > 1:  # what is missing has its place among them
                for row in rows:
                    self.take(channel, [row], receipt)
                return
            channel.counts["dropped"] += 1
            is_trade = is_event(rows[0], receipt)
            channel.ahead = rows[0] if is_trade and channel.is_ahead(rows[0].time, receipt) else None
            if not channel.chained and rows[0].amount != 0.0:
                self.lost(channel)
        if not good:
            return
        channel.ahead = None
        channel.health.heard(receipt, good[-1].time, good[-1].price)
        endless = channel.gap if channel.gap is not None and channel.gap.right is None else None
        new, gap = channel.sift(good, receipt)
        if gap is not None:
            self.gaps.begin(gap)
        if endless is not None and endless.right is not None:
            self.gaps.ended(endless)
        if not new:
            return
        if self._capture is not None:
            self._capture.trades(channel, new, receipt)
        if self.gaps.are_held:
            self.gaps.wait(channel, new)
        else:
            channel.sink.trades(channel.venue, new)
        channel.count(new)

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
        if channel.is_ahead(said.time, receipt) or not 0.0 < usd * price < math.inf:
            channel.counts["dropped"] += 1
            return
        placed = Placed(said.time, price, usd, said.side)
        if self.gaps.are_held:
            self.gaps.wait(channel, [placed])
        else:
            channel.sink.liquidation(channel.venue, *placed)
        channel.counts["liquidations"] += 1
        channel.raw_usd[said.side] += usd
        if self._capture is not None:
            self._capture.liquidation(channel, said.time, price, usd / price, said.side, usd, receipt)

    def _read(self, channel: Channel, said: Reading, receipt: int) -> None:
        """Take a reading, one every ten seconds."""
        time = receipt if said.time is None else said.time
        hours = self._readings.hours_of(channel, said, time) if said.kind == "funding" else UNIT_HOURS
        if hours is None or not self._readings.is_due(channel, said.kind, time):
            return
        if not math.isfinite(per_unit(said.value, hours)):
            channel.counts["dropped"] += 1
            return
        if self._capture is not None:
            self._capture.reading(channel, said.kind, time, said.value, receipt)
        self.rated(channel, said.kind, time, said.value, hours)

    def rated(self, channel: Channel, kind: str, time: int, value: float, hours: float) -> None:
        """Apply a reading of funding, of so many hours, or of open_interest."""
        self._readings.apply(channel, kind, time, value, hours, self.channels)

    # Connections -----------------------------------------------------------------------------------------------------

    def stands(self, channels: Sequence[Channel]) -> None:
        """A connection stands, and what it delivers of these markets is whole from here on."""
        for channel in channels:
            if not channel.stands.is_set():
                channel.stood = self._limits.now()
                channel.stands.set()

    def broke(self, channels: Sequence[Channel]) -> None:
        """A connection is gone: what its markets trade until the next one stands is missing."""
        for channel in channels:
            channel.stands.clear()
            self.lost(channel)

    def lost(self, channel: Channel) -> None:
        """Trades of a market may be missing from the last one on."""
        gap = channel.lost(self._limits.now())
        if gap is not None:
            self.gaps.begin(gap)

    def nonsense(self, channels: Sequence[Channel], error: Exception, trades: bool = True) -> None:
        """A frame that cannot be read; where trades may have been in it that no ids tell of, it is a gap."""
        for channel in channels:
            if channel.counts["dropped"] == 0:
                _LOG.warning("%s: a frame that cannot be read is left out: %s", channel.venue, error)
            channel.counts["dropped"] += 1
            if trades and not channel.chained:
                self.lost(channel)

    # Running ---------------------------------------------------------------------------------------------------------

    async def run(self, sources: Sequence[Any], saved: Sequence[Sink]) -> None:
        """Until it is cancelled, or one of the sources ends; then what waits is applied, kept and saved."""
        own = [self._watch(), self._keep(saved), self.gaps.end_with_holding()]
        own += [] if self._capture is None else [self._fold(self._capture)]
        running = [self.tasks.start(one, is_awaited=True) for one in (*sources, *own)]
        raised: asyncio.Task[None] | None = None
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for raised in done:
                raised.result()
        finally:
            try:
                await self.tasks.end()
                for task in running:
                    if task is not raised:
                        self.tasks.tell(task)
            finally:  # a loop that ends itself does not wait for that
                self.finish(saved)

    def finish(self, saved: Sequence[Sink]) -> None:
        """Tell of what is open, apply what waits, and write both store and states: once."""
        if self._is_finished:
            return
        self._is_finished = True
        with contextlib.ExitStack() as ending:  # all of it, whatever fails
            for sink in saved:
                ending.callback(sink.save)
            if self._capture is not None:
                ending.callback(self._capture.close)
            self.gaps.finish()

    async def _watch(self) -> None:
        """Tell of changes of health, and write what was captured, every second."""
        while True:
            self.look()
            if self._capture is not None:
                self._capture.flush()
            await asyncio.sleep(self._limits.flush_s)

    async def _fold(self, capture: Capture) -> None:
        """Put what was captured into the days' files; what fails is tried again, ever later."""
        wait, fails = self._limits.flush_s, False
        while True:
            await asyncio.sleep(wait)
            try:
                await asyncio.to_thread(capture.fold_due)
                wait, fails = self._limits.flush_s, False
            except (OSError, ValueError) as error:
                if not fails:
                    _LOG.error("the store's journals cannot be put into its files, which is tried again: %s", error)
                wait, fails = min(2 * wait, self._limits.longest_wait), True

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
                    self._courier.call(self._on_health, self._health_row(channel, now))

    async def _keep(self, saved: Sequence[Sink]) -> None:
        """Save states every minute, and each second until engines have begun, so that a kill leaves one."""
        while True:
            begun = all(sink.closed for sink in saved)
            await asyncio.sleep(self._limits.save_s if begun else self._limits.flush_s)
            if self._capture is not None:
                self._capture.flush()
            for sink in saved:
                try:
                    await asyncio.to_thread(sink.save)
                except OSError as error:
                    _LOG.error("the state cannot be saved: %s", error)
