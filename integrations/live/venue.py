"""One venue of a stream: its markets found, what was missed fetched, its connections kept up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from ..exchanges.client import Client
from ..exchanges.symbols import find_market
from ..exchanges.venues import module_of
from ..market.funding import usual_hours
from .channel import Channel
from .limits import Limits
from .polled import poll, unstreamed
from .pro import Watched, reader_of
from .raw import MODULES, Raw, links_of
from .said import Link, Said, Trades
from .session import Session

_LOG = logging.getLogger("liquidator")
_ATTEMPTS = 3  # at markets without a linear perpetual, which are believed then


class Venue:
    """A venue and the markets of each coin that are streamed there.

    instance     of ccxt.pro
    market_type  perpetual, inverse or spot, where the name of the exchange said it
    """

    def __init__(self, instance: Any, market_type: str | None, limits: Limits) -> None:
        self.instance = instance
        self.name: str = instance.id
        self.channels: list[Channel] = []
        self.attempts = 0  # at its markets
        self._type = market_type
        self._limits = limits

    async def open(self, wanted: Mapping[Any, Sequence[str]]) -> None:
        """Find the markets, asking until the venue answers.

        wanted   sink -> symbols

        Raises ValueError for a market that it does not have, that is another coin's or that two sinks want.
        """
        client = Client(self.instance, inline=False)
        closed = {sink: sink.closed for sink in wanted}  # before others, that answer earlier, bring more
        wait = self._limits.first_wait
        while True:
            self.attempts += 1
            try:
                with client.strict():
                    markets = await client.markets()
                if self._are_whole(markets):
                    break
                client.forget_markets()
                raise ValueError("no linear perpetual among its markets")
            except (ConnectionError, ValueError) as error:
                _LOG.warning("%s: attempt %d at its markets failed: %s", self.name, self.attempts, error)
            await asyncio.sleep(wait)
            wait = min(2 * wait, self._limits.longest_wait)
        module, raw = module_of(self.name), MODULES.get(self.name)
        reader = reader_of(self.instance) if raw is None else raw
        taken: dict[str, tuple[Any, str]] = {}
        for sink, symbols in wanted.items():
            for symbol in symbols:
                market, _ = find_market(markets, symbol, self._type)
                other, name = taken.setdefault(market["symbol"], (sink, symbol))
                if other is not sink:
                    both = f"{name!r} and {symbol!r}, which are both {market['symbol']} of {self.name}"
                    raise ValueError(f"liquidators: found {both}, allowed a market once")
                if any(channel.symbol == market["symbol"] for channel in self.channels):
                    continue
                sink.join(market["symbol"])
                feed = reader.LIQUIDATIONS if reader is not None and market.get("contract") else "none"
                numbered = module.CHAINED if raw is None else raw.NUMBERED
                began = closed[sink] or self._limits.now()
                self.channels.append(Channel(self.name, market, sink, module.CHAINED, numbered, feed, began))
                if hasattr(raw, "funding_hours"):
                    self.channels[-1].funding_hours = None

    def _are_whole(self, markets: Mapping[str, Any]) -> bool:
        """Whether linear perpetuals are there, where a venue has them: one of several answers may have been empty."""
        if self.attempts >= _ATTEMPTS or not self.instance.has.get("swap"):
            return True
        return any(market.get("swap") and market.get("linear") for market in markets.values())

    async def _ask_funding(self) -> None:
        """Ask for intervals of funding, where neither markets nor every message tell them."""
        module, waiting = MODULES[self.name], [one for one in self.channels if one.funding_hours is None]
        hours: dict[str, float] = {}
        try:
            async with asyncio.timeout(self._limits.funding_s):
                client = Client(self.instance, inline=False)
                with client.strict():
                    hours = await module.funding_hours(client, [one.market for one in waiting])
        except (ConnectionError, ValueError, TimeoutError) as error:
            _LOG.warning("%s: intervals of funding are not known, 8 h until one has passed: %s", self.name, error)
        for channel in waiting:
            channel.funding_hours = channel.funding_hours or hours.get(channel.symbol, usual_hours(self.name))

    def sources(self, sessions: tuple[Any, Any], session: Session) -> list[Any]:
        """Coroutines that receive, until they are cancelled. ``sessions`` are aiohttp's, the second by a proxy of the
        environment."""
        module = MODULES.get(self.name)
        made: list[Any] = [self._ask_funding()] if hasattr(module, "funding_hours") else []
        if wanted := unstreamed(self.instance, self.channels, module):
            made.append(poll(self.instance, wanted, session, self._limits))
        if module is None:
            return [*made, Watched(self.instance, self.channels, session, self._limits).run()]
        plain, secure, socks = self.instance.check_ws_proxy_settings()
        http = sessions[bool(self.instance.aiohttp_trust_env)]
        if socks:
            http = self.instance.get_socks_proxy_session(socks)
        for link in links_of(self.instance, [channel.market for channel in self.channels]):
            listener = _Listener(self, link, session)
            made.append(Raw(http, self.name, link, listener, self._limits, plain or secure).run())
        return made


class _Listener:
    """What a connection says, brought to the markets that it is of."""

    def __init__(self, venue: Venue, link: Link, session: Session) -> None:
        raw = MODULES[venue.name]
        self._session = session
        self._venue = venue.name
        self._link = link
        self._bankruptcy = bool(raw.BANKRUPTCY)
        channels = {channel.symbol: channel for channel in venue.channels}
        self._channels = {name: channels[symbol] for name, symbol in link.markets.items()}
        self._trades = list(self._channels.values()) if link.trades else []

    def said(self, said: Said, receipt: int) -> None:
        if not (self._link.trades if isinstance(said, Trades) else self._link.others):
            return
        channel = self._channels.get(said.market)
        if channel is not None:
            self._session.said(channel, said, receipt, self._bankruptcy)
        elif isinstance(said, Trades):  # liquidations and readings may be of all markets that a venue has
            self.nonsense(ValueError(f"trades of {said.market!r}, which was not asked for"))

    def nonsense(self, error: Exception) -> None:
        self._session.nonsense(list(self._channels.values()), error, self._link.trades)

    def up(self) -> None:
        self._session.stands(self._trades)

    def down(self) -> None:
        self._session.broke(self._trades)

    def tried(self, attempt: int, why: str) -> None:
        _LOG.warning("%s: attempt %d to connect failed: %s", self._venue, attempt, why)
