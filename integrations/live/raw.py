"""Connections to venues whose frames are read here, without ccxt's handlers: aiohttp and orjson."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Protocol

from . import binance, bybit, hyperliquid, okx
from .limits import Limits
from .said import Link, Liquidation, Refused, Said

_LOG = logging.getLogger("liquidator")
_REMEMBERED = 10_000  # liquidations of a link

#: ccxt's ids of the venues whose frames are read here.
MODULES: dict[str, ModuleType] = {
    "binance": binance,
    "binanceusdm": binance,
    "binancecoinm": binance,
    "bybit": bybit,
    "okx": okx,
    "hyperliquid": hyperliquid,
}


class Listener(Protocol):
    """Whom a connection tells."""

    def said(self, said: Said, receipt: int) -> None:
        """What a frame says."""

    def nonsense(self, error: Exception) -> None:
        """A frame that cannot be read."""

    def up(self) -> None:
        """What was subscribed to comes."""

    def down(self) -> None:
        """The last connection that stood is gone."""

    def tried(self, attempt: int, why: str) -> None:
        """An attempt to connect failed."""


def links_of(instance: Any, markets: Sequence[Any]) -> list[Link]:
    """The connections that markets of a venue need."""
    import orjson

    module = MODULES[instance.id]
    made: list[Link] = module.links(instance, markets, lambda value: orjson.dumps(value).decode())
    return made


@dataclass(eq=False)
class _Connection:
    """One that stands. ``began``: it has said something; ``heard``: it has since that was last asked."""

    ws: Any
    number: int
    began: asyncio.Event = field(default_factory=asyncio.Event)
    heard: asyncio.Event = field(default_factory=asyncio.Event)
    reader: asyncio.Task[str] = field(init=False)


class Raw:
    """One link kept up: connected again when it breaks, replaced by one that overlaps when it grows old."""

    def __init__(
        self, http: Any, venue: str, link: Link, listener: Listener, limits: Limits, proxy: str | None = None
    ) -> None:
        self._http = http
        self._options: dict[str, Any] = {"max_msg_size": 1 << 26, "proxy": proxy}
        self._venue = venue
        self._link = link
        self._listener = listener
        self._limits = limits
        self._read: Callable[[Any], Any] = MODULES[venue].read
        self._standing: dict[asyncio.Task[str], _Connection] = {}
        self._made = 0  # connections
        self._successor = 0  # the connection that waits for its predecessor to be heard, and what it has said
        self._held: list[tuple[Callable[..., object], tuple[Any, ...]]] = []
        self._told: OrderedDict[Liquidation, Counter[int]] = OrderedDict()  # how often, by each connection

    async def run(self) -> None:
        """Until it is cancelled. Raises what the listener raises."""
        old: _Connection | None = None
        wait, clock = self._limits.first_wait, asyncio.get_running_loop().time
        try:
            while True:
                new = await self._connected(old)
                since = clock()
                if old is not None:
                    await self._retire(old, new)
                    _raise(old.reader)
                await asyncio.wait({new.reader}, timeout=self._limits.life_s)
                _raise(new.reader)
                if new.reader.done() and clock() - since < self._limits.steady_s:
                    await asyncio.sleep(wait)
                    wait = min(2 * wait, self._limits.longest_wait)
                else:
                    wait = self._limits.first_wait
                old = next((one for task, one in self._standing.items() if not task.cancelling()), None)
        finally:
            for task in self._standing:
                task.cancel()
            await asyncio.gather(*self._standing, return_exceptions=True)

    async def _retire(self, old: _Connection, new: _Connection) -> None:
        """End a connection once its successor has delivered for a while.

        What that delivers waits until the old one is heard once more: one that is not had broken before.
        """
        await _first(new.began, old, new)
        old.heard.clear()
        with contextlib.suppress(Exception):  # of a connection that ends: who reads it says so
            await old.ws.send_str(self._link.ping)
        if new.began.is_set():
            await _first(old.heard, old, new, timeout=self._limits.overlap_s)
        if not new.reader.done():
            is_whole = old.heard.is_set() and not old.reader.done()
            if not is_whole:
                self._listener.down()
                if new.began.is_set():
                    self._listener.up()
            self._successor = 0
            for call, what in self._held:
                call(*what)
            if is_whole:
                await asyncio.wait(
                    {new.reader, old.reader}, timeout=self._limits.overlap_s, return_when=asyncio.FIRST_COMPLETED
                )
        self._successor, self._held = 0, []
        if not new.reader.done():
            old.reader.cancel()

    async def _connected(self, old: _Connection | None) -> _Connection:
        """A connection that stands and has subscribed, being read; asked for until there is one."""
        import aiohttp

        attempt, wait = 0, self._limits.first_wait
        closing = aiohttp.ClientWSTimeout(ws_close=1.0)
        while True:
            attempt += 1
            try:
                async with asyncio.timeout(self._limits.silence_s):
                    ws = await self._http.ws_connect(self._link.url, timeout=closing, **self._options)
                    for text in self._link.subscribe:
                        await ws.send_str(text)
            except Exception as error:  # those of aiohttp, of the network and of proxies have no other in common
                self._listener.tried(attempt, f"{type(error).__name__}: {error}".rstrip(": "))
                await asyncio.sleep(wait)
                wait = min(2 * wait, self._limits.longest_wait)
                continue
            self._made += 1
            self._successor = 0 if old is None else self._made
            made = _Connection(ws, self._made)
            made.reader = asyncio.create_task(self._reading(made))
            self._standing[made.reader] = made
            made.reader.add_done_callback(self._ended)
            return made

    def _ended(self, task: asyncio.Task[str]) -> None:
        del self._standing[task]
        if task.cancelled():
            return
        why = repr(task.exception()) if task.exception() else task.result()
        _LOG.warning("%s: a connection ended: %s", self._venue, why)
        if all(one.cancelling() for one in self._standing):
            self._listener.down()

    async def _reading(self, connection: _Connection) -> str:
        """Why it ended."""
        import aiohttp

        ws = connection.ws
        pinging = asyncio.create_task(self._ping(ws))
        try:
            while True:
                try:
                    message = await ws.receive(timeout=self._limits.silence_s)
                except TimeoutError:
                    return f"silent for {self._limits.silence_s:g} s"
                except (aiohttp.ClientError, OSError) as error:
                    return repr(error)
                if message.type.name not in ("TEXT", "BINARY"):
                    return f"{message.type.name.lower()} {message.data or ''} {message.extra or ''}".strip()
                if message.data == hyperliquid.GREETING:
                    continue
                refusal = self._take(message.data, connection.number)
                if refusal:
                    return refusal
                connection.heard.set()
                if not connection.began.is_set():
                    connection.began.set()
                    self._listener.up()
        finally:
            pinging.cancel()
            with contextlib.suppress(Exception):
                await ws.close()

    def _take(self, frame: Any, connection: int) -> str:
        """Read one frame; what cannot be read is counted, and the connection lives."""
        import orjson

        if frame == "pong":
            return ""
        receipt, refusal = self._limits.now(), ""
        read: list[Said] = []
        unread: Exception | None = None
        try:
            read.extend(self._read(orjson.loads(frame)))  # of a frame that breaks off, what comes before that
        except Refused as error:
            refusal = f"it refuses: {error}"
        except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
            unread = error
        for said in read:
            self._tell(connection, self._say, said, receipt, connection)
        if unread is not None:
            self._tell(connection, self._listener.nonsense, unread)
        return refusal

    def _tell(self, connection: int, call: Callable[..., object], *what: Any) -> None:
        if connection == self._successor:
            self._held.append((call, what))
        else:
            call(*what)

    def _say(self, said: Said, receipt: int, connection: int) -> None:
        if not (isinstance(said, Liquidation) and self._is_told(said, connection)):
            self._listener.said(said, receipt)

    def _is_told(self, said: Liquidation, connection: int) -> bool:
        """Whether another connection has told a liquidation, which has no id, as often as this one does now."""
        counts = self._told.setdefault(said, Counter())
        counts[connection] += 1
        while len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return counts[connection] <= max((count for other, count in counts.items() if other != connection), default=0)

    async def _ping(self, ws: Any) -> None:
        with contextlib.suppress(Exception):  # of a connection that ends: who reads it says so
            while True:
                await asyncio.sleep(self._limits.ping_s)
                await ws.send_str(self._link.ping)


async def _first(event: asyncio.Event, *connections: _Connection, timeout: float | None = None) -> None:
    """Until something has happened or one of the connections has ended, or for so many seconds."""
    waiting = asyncio.create_task(event.wait())
    readers = [one.reader for one in connections]
    try:
        await asyncio.wait({waiting, *readers}, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _raise(task: asyncio.Task[str]) -> None:
    """Raise what a connection's reader raised, if it did."""
    if task.done() and not task.cancelled():
        task.result()
