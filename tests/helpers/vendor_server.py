"""Coinalyze and CoinGlass on the loopback interface, in their wire formats, with their limits and their traps."""

from __future__ import annotations

import contextlib
import json
import threading
from collections import deque
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlparse

HOUR = 3_600_000
KEY = "5ecret-key-of-a-user"
STEPS = {"1min": 60, "1hour": 3600, "4hour": 14_400, "daily": 86_400}
VENUES = {"Binance": "A", "Bybit": "6", "OKX": "3", "Deribit": "2"}


class Clock:
    """Time that passes when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Vendors:
    """The server; ``now`` is its time in ms, ``clock`` what its limit of a minute goes by.

    absent   hours, ms, that are in no answer; ``strange`` is answered instead of data, once each
    """

    def __init__(self, clock: Clock, now: int, coins: int = 24) -> None:
        self.clock, self.now = clock, now
        self.asked: list[tuple[str, dict[str, str], dict[str, str]]] = []
        self.absent: set[int] = set()
        self.oldest = 0
        self.scale = 1.0  # of all amounts
        self.strange: list[tuple[int, Any, dict[str, str]]] = []
        self.spent: deque[float] = deque()
        names = [f"BTC{quote}_PERP.{code}" for code in VENUES.values() for quote in ("USDT", "USD", "USDC")]
        more = [f"BTCX{n}_PERP.A" for n in range(max(0, coins - len(names)))]
        self.markets = [
            {"symbol": name, "exchange": name[-1], "base_asset": "BTC", "quote_asset": "USDT", "is_perpetual": True}
            for name in names + more
        ]
        self.markets += [
            {"symbol": "ETHUSDT_PERP.A", "exchange": "A", "base_asset": "ETH", "is_perpetual": True},
            {"symbol": "BTCUSDT.A250627", "exchange": "A", "base_asset": "BTC", "is_perpetual": False},
        ]
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def usd(self, symbol: str, time: int) -> tuple[float, float]:
        seed = sum(map(ord, symbol)) + time // HOUR
        return self.scale * (seed % 997 * 100), self.scale * (seed % 31 * 10)

    def answer(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        self.asked.append((path, query, headers))
        if self.strange:
            return self.strange.pop(0)
        if path.startswith("/api/futures"):
            return self._coinglass(path, query, headers)
        if headers.get("api_key") != KEY:
            return 401, {"message": f"Invalid API key {headers.get('api_key')}"}, {}
        cost = len(query.get("symbols", "x").split(","))
        while self.spent and self.clock.now - self.spent[0] >= 60:
            self.spent.popleft()
        if len(self.spent) + cost > 40:
            return 429, {"message": "Too Many Requests"}, {"Retry-After": "60"}
        self.spent.extend([self.clock.now] * cost)
        if path == "/exchanges":
            return 200, [{"name": name, "code": code} for name, code in VENUES.items()], {}
        if path == "/future-markets":
            return 200, self.markets, {}
        if path == "/liquidation-history":
            return 200, self._histories(query, cost), {}
        return 404, {"message": "Not Found"}, {}

    def _histories(self, query: dict[str, str], cost: int) -> list[Any]:
        assert cost <= 20
        assert query["convert_to_usd"] == "true"  # else coins
        step = STEPS[query["interval"]]
        since, until = int(query["from"]), int(query["to"])
        if since > 10**11:
            return []  # milliseconds: an empty list at 200
        since = max(-(-since // step) * step, self.oldest // 1000)
        known = {one["symbol"] for one in self.markets}
        out = []
        for symbol in query["symbols"].split(","):
            times = [
                time for time in range(since, min(until, self.now // 1000) + 1, step) if time * 1000 not in self.absent
            ]
            values = ((time, *self.usd(symbol, time * 1000)) for time in times)
            rows = [{"t": time, "l": long, "s": short} for time, long, short in values]
            if symbol in known:
                out.append({"symbol": symbol, "history": rows})
        return out

    def _coinglass(self, path: str, query: dict[str, str], headers: dict[str, str]) -> tuple[int, Any, dict[str, str]]:
        if headers.get("cg-api-key") != KEY:
            return 200, {"code": "401", "msg": f"API key {headers.get('cg-api-key')} missing or invalid"}, {}
        if query["interval"] in ("1m", "5m", "15m"):
            return 200, {"code": "403", "msg": "The requested interval is not available for your current API plan"}, {}
        if path != "/api/futures/liquidation/aggregated-history":
            return 200, {"code": "404", "msg": "not found"}, {}
        step = {"1h": HOUR, "4h": 4 * HOUR}[query["interval"]]
        since = -(-int(query["start_time"]) // step) * step
        times = range(since, min(int(query["end_time"]), self.now) + 1, step)
        rows = []
        for time in list(times)[: int(query["limit"])]:
            usd = self.usd(query["symbol"], time)
            names = ("aggregated_long_liquidation_usd", "aggregated_short_liquidation_usd")
            rows.append({"time": time, **{name: str(value) for name, value in zip(names, usd, strict=True)}})
        return 200, {"code": "0", "msg": "success", "data": rows}, {}


def _handler(vendors: Vendors) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlparse(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            code, body, more = vendors.answer(url.path, dict(parse_qsl(url.query)), headers)
            data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
            self.send_response_only(code)
            self.send_header("Date", formatdate(vendors.now / 1000, usegmt=True))
            self.send_header("Content-Length", str(len(data)))
            for name, value in more.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def serving_vendors(now: int, coins: int = 24) -> Iterator[Vendors]:
    """A server that answers while the block runs."""
    made = Vendors(Clock(), now, coins)
    thread = threading.Thread(target=made.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        thread.join()
