"""Funding and open interest that a venue does not stream, asked for by REST every minute."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

from ..exchanges.client import Client
from ..exchanges.tables import open_amount
from ..market.funding import told_hours
from . import binance
from .channel import Channel
from .limits import Limits
from .said import Reading
from .session import Session

_LOG = logging.getLogger("liquidator")


class _Question(NamedTuple):
    """How ccxt is asked for a kind: what it must have, what is called, and the field of the answer."""

    has: str
    method: str
    field: str


_QUESTIONS = {
    "funding": _Question("fetchFundingRate", "fetch_funding_rate", "fundingRate"),
    "open_interest": _Question("fetchOpenInterest", "fetch_open_interest", "openInterestAmount"),
}

#: Of venues whose frames are read here; ccxt.pro has no stream of open interest anywhere.
_UNSTREAMED: dict[ModuleType, tuple[str, ...]] = {binance: ("open_interest",)}

Wanted = tuple[Channel, str]  # a market and a kind


def unstreamed(instance: Any, channels: Sequence[Channel], module: ModuleType | None) -> list[Wanted]:
    """What is not streamed of these markets, and can be asked for.

    module   what reads the venue's frames; None: ccxt.pro

    What ccxt calls the amount of open interest is contracts here and coins there: it is asked for where both are one.
    """
    wanted = []
    for channel in channels:
        if not channel.market.get("swap"):
            continue
        for kind in _missing(instance) if module is None else _UNSTREAMED.get(module, ()):
            known = kind == "funding" or (channel.market.get("linear") and channel.market.get("contractSize") == 1.0)
            if known and instance.has.get(_QUESTIONS[kind].has):
                wanted.append((channel, kind))
    return wanted


def _missing(instance: Any) -> tuple[str, ...]:
    """What ccxt.pro has no stream of."""
    return ("open_interest",) if instance.has.get("watchFundingRate") else ("funding", "open_interest")


async def poll(instance: Any, wanted: Sequence[Wanted], session: Session, limits: Limits) -> None:
    """Ask one after the other, until it is cancelled; what does not answer is told once and asked again."""
    client = Client(instance, inline=False)
    silent: set[Wanted] = set()
    while True:
        for channel, kind in wanted:
            has, method, field = _QUESTIONS[kind]
            try:
                with client.strict():
                    answer: dict[str, Any] = await client.ask(method, (channel.symbol,), dict)
            except (ConnectionError, ValueError) as error:
                if (channel, kind) not in silent:
                    _LOG.warning("%s %s: %s is not known yet: %s", channel.venue, channel.symbol, has, error)
                silent.add((channel, kind))
                continue
            silent.discard((channel, kind))
            if answer[field] is not None:
                time = answer["timestamp"]
                if time is not None and time <= channel.sink.closed:  # of a bar that is over: it counts as it comes
                    time = None
                if kind == "funding":
                    due = answer["fundingTimestamp"]
                    reading = Reading(channel.symbol, kind, time, float(answer[field]), told_hours(answer), due)
                else:
                    reading = Reading(channel.symbol, kind, time, open_amount(answer, channel.venue))
                session.said(channel, reading, limits.now(), False)
        await asyncio.sleep(limits.poll_s)
