"""Six venues' public market data on the loopback interface, in their wire formats, with faults on demand.

Every url of a ccxt instance is rewritten to ``http://127.0.0.1:PORT/<host>/<path>``, so that ccxt's own code is what
asks. Unknown paths answer 404. What is asked is kept in ``Loopback.log``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

import venue_wire as wire
from aiohttp import web
from venue_tape import Tape, make


@dataclass
class Fault:
    """What becomes of the next requests whose host, path and parameters hold ``match``.

    kind    html, cut, empty, drop, slow, nonsense, or a status as a number
    skip    how many of them pass first; times: how many are struck
    """

    match: str
    kind: str | int
    times: int = 1
    skip: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""


class Loopback:
    """The server; ``tape`` is what every market traded."""

    def __init__(self, tape: Tape | None = None) -> None:
        self.tape = make() if tape is None else tape
        self.now: int | None = None  # what the venues take for now; None: just after the last trade
        self.date: int | None = None  # what they say that the time is; None: the clock's
        self.faults: list[Fault] = []
        self.log: list[tuple[str, dict[str, str], str]] = []  # host and path, parameters, ok or the fault
        self.flat = True  # the venues that send flat candles send them
        self.last_page = False  # binance: a window that holds more than a page gives its last page
        self.oldest_candle: int | None = None
        self.bybit_limit = 1000
        self.interest: Iterator[tuple[int, float]] | None = None  # time and open interest, told when Binance is asked
        self.files: dict[str, bytes] = {}  # of the archive, by path
        self.port = 0
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._sessions: list[Any] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def asked(self, word: str) -> list[dict[str, str]]:
        """The parameters of the requests whose path holds a word."""
        return [params for path, params, _ in self.log if word in path]

    @property
    def end(self) -> int:
        return int(self.tape.time[-1]) + 1 if self.now is None else self.now

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._start())
        self._ready.set()
        self._loop.run_forever()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        host, _, path = request.path.lstrip("/").partition("/")
        params = dict(request.query)
        if request.method == "POST":
            params |= await request.json()
        key = f"{host}/{path} {json.dumps(params)}"
        fault = self._strikes(key)
        self.log.append((f"{host}/{path}", params, "ok" if fault is None else str(fault.kind)))
        if fault is not None:
            return await self._faulty(request, fault)
        if host == "archive":
            body = self.files.get(path)
            return web.Response(body=body) if body is not None else web.Response(status=404, text="NoSuchKey")
        try:
            body, status = wire.answer(self, host, path, params)
        except KeyError:
            return web.json_response({"error": "not served here"}, status=404)
        date = {} if self.date is None else {"Date": formatdate(self.date / 1000, usegmt=True)}
        return web.json_response(body, status=status, headers=date)

    def _strikes(self, key: str) -> Fault | None:
        for fault in self.faults:
            if fault.match in key and fault.times > 0:
                if fault.skip > 0:
                    fault.skip -= 1
                    continue
                fault.times -= 1
                return fault
        return None

    async def _faulty(self, request: web.Request, fault: Fault) -> web.StreamResponse:
        if fault.kind == "drop":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if fault.kind == "slow":
            await asyncio.sleep(1.0)
            return web.json_response([])
        bodies = {"html": "<html>\n<body>maintenance</body></html>", "cut": '[{"a":1,"p":"1', "nonsense": '{"a": [1]}'}
        if fault.kind == "empty":
            host = request.path.lstrip("/").partition("/")[0]
            return web.json_response(wire.nothing(host, request.path, fault.body))
        if isinstance(fault.kind, str):
            kind = "text/html" if fault.kind == "html" else "application/json"
            return web.Response(text=fault.body or bodies[fault.kind], content_type=kind)
        return web.Response(status=fault.kind, text=fault.body, headers=fault.headers, content_type="application/json")

    def start(self) -> Loopback:
        self._thread.start()
        self._ready.wait(10)
        return self

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()
        for session in self._sessions:  # whose sockets would be told of whenever they are collected
            session.close()

    def instance(self, name: str, module: Any = None, **config: Any) -> Any:
        """A genuine ccxt instance whose every url leads here."""
        import ccxt

        made = getattr(module or ccxt, name)({"enableRateLimit": False, "timeout": 500, **config})
        made.urls["api"] = self._led_here(made.urls["api"])
        made.urls["archive"] = f"http://127.0.0.1:{self.port}/archive"
        if isinstance(made, ccxt.Exchange):
            self._sessions.append(made.session)
        return made

    def _led_here(self, urls: Any) -> Any:
        if isinstance(urls, dict):
            return {name: self._led_here(value) for name, value in urls.items()}
        if isinstance(urls, str) and "://" in urls:
            return f"http://127.0.0.1:{self.port}/{urls.split('://', 1)[1]}"
        return urls


@contextlib.contextmanager
def serving(tape: Tape | None = None) -> Iterator[Loopback]:
    """A server that answers while the block runs."""
    server = Loopback(tape).start()
    try:
        yield server
    finally:
        server.stop()
