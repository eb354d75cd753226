"""Trades of any other venue through ccxt.pro, taken where they enter its cache."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ..exchanges.client import guard_frames, one_line, tap_trades
from ..exchanges.tables import takers
from .channel import Channel
from .limits import Limits
from .said import Row
from .session import Session

_LOG = logging.getLogger("liquidator")
_MAKERS_SIDE = ("coinbase", "coinbaseadvanced")  # where ccxt passes it on; all others have the taker's


class Watched:
    """The trades of some markets of one instance, watched again whenever that ends."""

    def __init__(self, instance: Any, channels: Sequence[Channel], session: Session, limits: Limits) -> None:
        self._instance = instance
        self._channels = channels
        self._session = session
        self._limits = limits

    async def run(self) -> None:
        """Until it is cancelled."""
        with contextlib.ExitStack() as taps:
            taps.enter_context(
                guard_frames(self._instance, lambda error: self._session.nonsense(self._channels, error))
            )
            watching = []
            for channel in self._channels:
                heard = _Heard(channel, self._session, self._limits)
                taps.enter_context(tap_trades(self._instance, channel.symbol, heard))
                watching.append(self._session.tasks.start(self._watch(channel, heard)))
            await asyncio.gather(*watching)

    async def _watch(self, channel: Channel, heard: _Heard) -> None:
        wait = self._limits.first_wait
        attempt = 0
        while True:
            try:
                await self._instance.watch_trades(channel.symbol)
                wait, attempt = self._limits.first_wait, 0
                continue
            except Exception as error:
                attempt += 1
                why = f"{type(error).__name__}: {one_line(error)}"
                _LOG.warning("%s %s: attempt %d to watch failed: %s", channel.venue, channel.symbol, attempt, why)
            if heard.stands:
                heard.stands = False
                self._session.broke([channel])
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._limits.longest_wait)


class _Heard:
    """Takes the trades of one market out of ccxt's cache."""

    def __init__(self, channel: Channel, session: Session, limits: Limits) -> None:
        self.stands = False
        self._channel = channel
        self._session = session
        self._limits = limits
        self._makers = channel.venue in _MAKERS_SIDE
        self._moment = 0
        self._alike: Counter[tuple[Any, ...]] = Counter()

    def __call__(self, trade: Any) -> None:
        receipt = self._limits.now()
        if not self.stands:
            self.stands = True
            self._session.stands([self._channel])
        side = {"buy": 1, "sell": -1}[takers([trade["side"]])[0]]
        ident = trade["id"] or self._name(trade)
        number = int(ident) if self._channel.numbered else str(ident)
        row = Row(
            trade["timestamp"],
            float(trade["price"]),
            float(trade["amount"]),
            -side if self._makers else side,
            number,
        )
        self._session.take(self._channel, [row], receipt)

    def _name(self, trade: Any) -> str:
        """What tells a trade without an id from others of its moment; the words of ``exchanges.unified``."""
        if trade["timestamp"] != self._moment:
            self._moment = trade["timestamp"]
            self._alike.clear()
        what = (trade["price"], trade["amount"], trade["side"])
        self._alike[what] += 1
        return f"{trade['side']} {trade['amount']} at {trade['price']}, {self._alike[what]}"
