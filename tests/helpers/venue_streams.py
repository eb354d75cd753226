"""The loopback venues with their streams: frames in the wire formats of four venues, sent and withheld on demand.

REST shows the trades up to ``shown``; a stream has sent what ``send`` was told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from aiohttp import WSMsgType, web
from venue_server import Loopback
from venue_tape import Tape
from venue_wire import OKX_CONTRACT, uuid

HOSTS = {name: name for name in ("binance", "bybit", "okx", "hyperliquid", "kraken")}
WAIT = 10.0  # seconds for what should happen at once


class Streams(Loopback):
    """The server; ``full`` is what every market trades."""

    def __init__(self, tape: Tape) -> None:
        super().__init__(tape)
        self.full = tape
        self.refuse: set[str] = set()  # venues that take no connection
        self.worded: set[str] = set()  # venues that answer pings in words only, none of the protocol
        self.subscribed: list[tuple[str, str, Any]] = []  # venue, path, message
        self.sockets: dict[str, list[tuple[str, web.WebSocketResponse]]] = {}
        self._news = threading.Condition()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return await super()._handle(request)
        host, _, path = request.path.lstrip("/").partition("/")
        venue = next(name for word, name in HOSTS.items() if word in host)
        if venue in self.refuse:
            return web.Response(status=503)
        ws = web.WebSocketResponse(autoping=venue not in self.worded)
        await ws.prepare(request)
        async for message in ws:
            if message.type is WSMsgType.PING:
                continue
            if message.type is not WSMsgType.TEXT:
                break
            if message.data == "ping":
                await ws.send_str("pong")
                continue
            said = json.loads(message.data)
            if said.get("op") == "ping" or said.get("method") == "ping":
                await ws.send_json({"op": "pong"} if venue == "bybit" else {"channel": "pong"})
                continue
            await ws.send_json(ACKNOWLEDGED[venue])
            with self._news:
                self.subscribed.append((venue, path, said))
                if (path, ws) not in self.sockets.setdefault(venue, []):
                    self.sockets[venue].append((path, ws))
                self._news.notify_all()
        with self._news:
            self.sockets[venue] = [one for one in self.sockets[venue] if one[1] is not ws]
            self._news.notify_all()
        return ws

    def connected(self, venue: str, count: int = 1, word: str = "") -> None:
        """Wait until so many connections of a venue have subscribed."""
        with self._news:
            there = self._news.wait_for(lambda: len(self._of(venue, word)) >= count, WAIT)
        assert there, f"{venue} has {self.sockets}"

    def subscriptions(self, venue: str, count: int) -> None:
        """Wait until a venue was subscribed to so often."""
        with self._news:
            assert self._news.wait_for(lambda: sum(one[0] == venue for one in self.subscribed) >= count, WAIT)

    def _of(self, venue: str, word: str) -> list[web.WebSocketResponse]:
        return [ws for path, ws in self.sockets.get(venue, []) if word in path]

    def show(self, rows: int) -> None:
        """Have REST know the first so many trades."""
        self.tape = self.full.only(slice(0, rows))

    def text(self, venue: str, *frames: str, word: str = "", ack: bool = True) -> None:
        """Send frames by every connection of a venue."""

        async def send() -> None:
            for ws in self._of(venue, word):
                with contextlib.suppress(ConnectionResetError):  # it is being replaced
                    for frame in frames:
                        await ws.send_str(frame)

        asyncio.run_coroutine_threadsafe(send(), self._loop).result(60)

    def send(self, venue: str, rows: Sequence[int] | range) -> None:
        """Send trades of the tape, a frame each, and have REST know them."""
        self.show(max(len(self.tape), max(rows) + 1))
        self.text(venue, *(FRAMES[venue](self.full, row) for row in rows), word="business" if venue == "okx" else "")

    def drop(self, venue: str) -> None:
        """Break a venue's connections, without a closing frame, and wait until they are gone."""

        broken = self._of(venue, "")

        async def abort() -> None:
            for ws in broken:
                transport = ws._req.transport  # type: ignore[union-attr]
                if transport is not None:
                    transport.abort()

        asyncio.run_coroutine_threadsafe(abort(), self._loop).result(10)
        with self._news:
            assert self._news.wait_for(lambda: not set(broken) & set(self._of(venue, "")), WAIT)

    def silence(self, venue: str) -> None:
        """Have a venue's connections stand and say nothing more, whatever they are asked."""
        for ws in self._of(venue, ""):
            self._loop.call_soon_threadsafe(ws._req.transport.pause_reading)  # type: ignore[union-attr]

    def outage(self, venue: str, rows: int) -> None:
        """Break a venue's connections and take none before it has traded up to so many rows."""
        self.refuse.add(venue)
        self.drop(venue)
        self.show(rows)
        self.refuse.discard(venue)

    def stop(self) -> None:
        async def close() -> None:
            for sockets in self.sockets.values():
                for _, ws in list(sockets):
                    await ws.close()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
        super().stop()

    def live(self, name: str, **config: Any) -> Any:
        """An instance of ccxt.pro whose every url leads here."""
        import ccxt.pro

        return self.instance(name, ccxt.pro, **config)


ACKNOWLEDGED: dict[str, Any] = {
    "binance": {"result": None, "id": 1},
    "bybit": {"success": True, "ret_msg": "", "op": "subscribe"},
    "okx": {"event": "subscribe", "arg": {"channel": "trades-all"}},
    "hyperliquid": {"channel": "subscriptionResponse", "data": {}},
    "kraken": {"method": "subscribe", "success": True, "result": {"channel": "trade", "symbol": "BTC/USD"}},
}


def _binance(tape: Tape, row: int) -> str:
    said = {"e": "aggTrade", "E": int(tape.time[row]) + 3, "s": "BTCUSDT", "a": int(tape.id[row])}
    said |= {"p": f"{tape.price[row]:.1f}", "q": f"{tape.size[row]:.3f}", "f": 1, "l": 2}
    return json.dumps({**said, "T": int(tape.time[row]), "m": bool(tape.sell[row])})


def _bybit(tape: Tape, row: int) -> str:
    said = {"T": int(tape.time[row]), "s": "BTCUSDT", "S": "Sell" if tape.sell[row] else "Buy"}
    said |= {"v": f"{tape.size[row]:.3f}", "p": f"{tape.price[row]:.1f}", "L": "PlusTick", "i": uuid(int(tape.id[row]))}
    around = {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": int(tape.time[row]) + 2}
    return json.dumps({**around, "data": [{**said, "BT": False}]})


def _okx(tape: Tape, row: int) -> str:
    said = {"instId": "BTC-USDT-SWAP", "tradeId": str(tape.id[row]), "px": f"{tape.price[row]:.1f}"}
    said |= {"sz": f"{tape.size[row] / OKX_CONTRACT:.1f}", "side": "sell" if tape.sell[row] else "buy"}
    said |= {"ts": str(tape.time[row]), "count": "1", "source": "0"}
    return json.dumps({"arg": {"channel": "trades-all", "instId": "BTC-USDT-SWAP"}, "data": [said]})


def _hyperliquid(tape: Tape, row: int) -> str:
    said = {"coin": "BTC", "side": "A" if tape.sell[row] else "B", "px": f"{tape.price[row]:.1f}"}
    said |= {"sz": f"{tape.size[row]:.3f}", "hash": "0x0", "time": int(tape.time[row]), "tid": int(tape.id[row])}
    return json.dumps({"channel": "trades", "data": [{**said, "users": ["0xa", "0xb"]}]})


def _kraken(tape: Tape, row: int) -> str:
    said = {"symbol": "BTC/USD", "side": "sell" if tape.sell[row] else "buy", "ord_type": "limit"}
    said |= {"price": float(f"{tape.price[row]:.1f}"), "qty": float(f"{tape.size[row]:.8f}")}
    said |= {"trade_id": int(tape.id[row]), "timestamp": f"{np.datetime64(int(tape.time[row]), 'ms')}000Z"}
    return json.dumps({"channel": "trade", "type": "update", "data": [said]})


FRAMES = {"binance": _binance, "bybit": _bybit, "okx": _okx, "hyperliquid": _hyperliquid, "kraken": _kraken}


@contextlib.contextmanager
def streaming(tape: Tape) -> Iterator[Streams]:
    """A server that streams while the block runs; REST knows the first trade."""
    server = Streams(tape)
    server.show(1)
    server.start()
    try:
        yield server
    finally:
        server.stop()
