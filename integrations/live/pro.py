"""Markets of any other venue through ccxt.pro: trades and liquidations taken where they enter its caches."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

from ..exchanges.client import Frames, guard_frames, one_line, tap_liquidations, tap_trades
from ..exchanges.tables import takers
from ..exchanges.unified import made_id, told_id
from ..market.funding import told_hours
from .channel import Channel
from .limits import Limits
from .raw import MODULES
from .said import Reading, Row, Said, Trades
from .session import Session

_LOG = logging.getLogger("liquidator")
_MAKERS_SIDE = ("coinbase", "coinbaseadvanced")  # where ccxt passes it on; all others have the taker's
_FORCED = ("watchLiquidationsForSymbols", "watchLiquidations")


def reader_of(instance: Any) -> ModuleType | None:
    """What reads the liquidations that ccxt.pro passes on as the venue sent them; None where they cannot be had.

    ccxt's own words for them mean one thing here and another there, and leave some out. Branches (bybiteu, okxus) send
    what the venue itself sends.
    """
    if not any(instance.has.get(name) for name in _FORCED):
        return None
    return next((MODULES[one.__name__] for one in type(instance).__mro__ if one.__name__ in MODULES), None)


def cached_as(instance: Any, market: Any) -> str:
    """The symbol under which ccxt caches a market's trades: Coinbase sends those of BTC-USDC as its alias', BTC-USD."""
    alias = (market.get("info") or {}).get("alias")
    return str(instance.safe_symbol(alias) if alias in instance.markets_by_id else market["symbol"])


class Watched:
    """The markets of one instance, watched again whenever that ends."""

    def __init__(self, instance: Any, channels: Sequence[Channel], session: Session, limits: Limits) -> None:
        self._instance = instance
        self._channels = channels
        self._session = session
        self._limits = limits
        self._reader = reader_of(instance)
        self._told = {str(one.market["id"]): one for one in channels if one.liquidation_feed != "none"}
        self._fault: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Until it is cancelled. Raises what an engine raises, which ccxt would take for a frame it cannot read."""
        self._fault = asyncio.get_running_loop().create_future()
        self._instance.open()  # some of ccxt's methods need its loop before they open it themselves
        with contextlib.ExitStack() as taps:
            frames = taps.enter_context(
                guard_frames(self._instance, lambda error: self._session.nonsense(self._channels, error))
            )
            watching = [self._ask(frames)]
            for channel in self._channels:
                heard = _Heard(channel, self.said, self._session, self._limits, lambda: frames.connection)
                taps.enter_context(tap_trades(self._instance, cached_as(self._instance, channel.market), heard))
                watching.append(self._keep(channel, partial(self._instance.watch_trades, channel.symbol), heard.ended))
                if channel.market.get("swap") and self._instance.has.get("watchFundingRate"):
                    watching.append(self._keep(channel, partial(self._funding, channel)))
            if self._told:
                taps.enter_context(tap_liquidations(self._instance, self._forced))
                watching += [self._keep(channel, call) for channel, call in self._liquidations()]
            await asyncio.gather(*map(self._session.tasks.start, watching), self._fault)

    def _liquidations(self) -> list[tuple[Channel, Callable[[], Any]]]:
        """What to call for the liquidations of these markets."""
        told, instance = list(self._told.values()), self._instance
        if instance.has.get(_FORCED[0]):
            return [(told[0], partial(instance.watch_liquidations_for_symbols, [one.symbol for one in told]))]
        return [(one, partial(instance.watch_liquidations, one.symbol)) for one in told]

    async def _ask(self, frames: Frames) -> None:
        """Ask whether connections still stand, which ccxt does at intervals of up to half an hour."""
        most = round(self._limits.silence_s / self._limits.ping_s)
        while True:
            await asyncio.sleep(self._limits.ping_s)
            await frames.ask(most)

    async def _funding(self, channel: Channel) -> None:
        rate = await self._instance.watch_funding_rate(channel.symbol)
        value, due = float(rate["fundingRate"]), rate["fundingTimestamp"]
        reading = Reading(channel.symbol, "funding", rate["timestamp"], value, told_hours(rate), due)
        self.said(channel, reading, self._limits.now())

    def _forced(self, liquidation: Any) -> None:
        """Take what ccxt has put into its cache of liquidations."""
        assert self._reader is not None
        receipt = self._limits.now()
        for said in list(self._reader.forced(liquidation["info"])):
            if said.market in self._told:
                self.said(self._told[said.market], said, receipt)

    def said(self, channel: Channel, said: Said, receipt: int) -> None:
        """Hand on what a frame says. What that raises is a fault of ours and ends the stream."""
        assert self._fault is not None
        try:
            self._session.said(channel, said, receipt, self._reader is not None and bool(self._reader.BANKRUPTCY))
        except Exception as error:
            if not self._fault.done():
                self._fault.set_exception(error)

    async def _keep(self, channel: Channel, watch: Callable[[], Any], ended: Callable[[], None] | None = None) -> None:
        """Watch without end, later and later while that fails; of trades, which have ``ended``, each time is told."""
        wait = self._limits.first_wait
        attempt = 0
        while True:
            try:
                await watch()
                wait, attempt = self._limits.first_wait, 0
                continue
            except Exception as error:
                attempt += 1
                why = f"{type(error).__name__}: {one_line(error)}"
                if ended is not None or attempt == 1:
                    _LOG.warning("%s %s: attempt %d to watch failed: %s", channel.venue, channel.symbol, attempt, why)
            if ended is not None:
                ended()
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._limits.longest_wait)


class _Heard:
    """Takes the trades of one market out of ccxt's cache.

    connection   gives that by which a trade came: ccxt makes another one without a word where the last has ended while
                 nobody waited for what it watches
    """

    def __init__(
        self,
        channel: Channel,
        said: Callable[[Channel, Said, int], None],
        session: Session,
        limits: Limits,
        connection: Callable[[], Any],
    ) -> None:
        self._channel = channel
        self._said = said
        self._session = session
        self._limits = limits
        self._connection = connection
        self._standing: Any = None  # the connection that delivers; None: it has broken
        self._makers = channel.venue in _MAKERS_SIDE
        self._moment = 0
        self._alike: Counter[tuple[Any, ...]] = Counter()

    def ended(self) -> None:
        """What is watched has broken."""
        if self._standing is not None:
            self._standing = None
            self._moment = 0
            self._session.broke([self._channel])

    def __call__(self, trade: Any) -> None:
        receipt = self._limits.now()
        if self._standing is not (connection := self._connection()):
            self.ended()
            self._standing = connection
            self._session.stands([self._channel])
        side = {"buy": 1, "sell": -1}[takers([trade["side"]])[0]]
        ident = told_id(trade) or self._name(trade)
        number = int(ident) if self._channel.numbered else ident
        row = Row(
            int(trade["timestamp"]),
            float(trade["price"]),
            float(trade["amount"]),
            -side if self._makers else side,
            number,
        )
        self._said(self._channel, Trades(self._channel.symbol, [row]), receipt)

    def _name(self, trade: Any) -> str:
        """The id of a trade without one; a moment that the venue or the next connection repeats is numbered anew."""
        if trade["timestamp"] != self._moment:
            self._moment = trade["timestamp"]
            self._alike.clear()
        what = (trade["price"], trade["amount"], trade["side"])
        self._alike[what] += 1
        return made_id(trade, self._alike[what])
