"""Binance's public market data, spot and USD-margined futures, as a server on the loopback interface.

It serves the embedded sample as if one of its rows were the candle that is open now, so that a live bot sees the same
candles at whatever hour a test runs. What it serves can be hours behind, and catch up, so that a bot sees candle after
candle within a second. Unknown paths answer 404 and are kept in ``missed``.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlparse

import numpy as np

from liquidator_core import TRADE
from liquidator_core.timeframes import to_timeframe
from liquidator_integrations import sample_bars

HOUR = 3_600_000
LENGTHS = {"1h": HOUR, "4h": 4 * HOUR}
COINS = ("BTC", "ETH")
PRICE_TICK, SIZE_STEP = 0.01, 0.00001
TRADES_AN_HOUR = 16


def coin_bars(coin: str) -> np.ndarray:
    """(n,) BAR: the sample for BTC; for ETH the same from another row on, at a thirty-second of the price.

    Hours that are missing are flat and without volume, as freqtrade fills them.
    """
    sample = sample_bars()
    times = np.arange(sample["time"][0], sample["time"][-1] + HOUR, HOUR)
    bars = sample[np.searchsorted(sample["time"], times, side="right") - 1]
    missing = bars["time"] != times
    for name in ("open", "high", "low"):
        bars[name][missing] = bars["close"][missing]
    bars["volume"][missing] = 0.0
    if coin == "ETH":
        bars = np.roll(bars, -1500)
        for name in ("open", "high", "low", "close"):
            bars[name] = bars[name] / 32.0
        bars["volume"] = bars["volume"] * 32.0
    bars["time"] = times
    return bars


def open_interest(bars: np.ndarray) -> np.ndarray:
    """Base units: made up, and from one bar to the next never off by more than is traded."""
    return np.round(80_000.0 + bars["volume"] / 10.0, 3)


def funding_rates(bars: np.ndarray) -> np.ndarray:
    """A share every eight hours: made up, about 0.01 %, and hardly ever the same twice."""
    return np.round(1e-4 + 1e-6 * (bars["close"] % 10.0 - 5.0), 8)


def public_trades(bars: np.ndarray) -> np.ndarray:
    """(n,) TRADE of hourly bars: sixteen an hour, of seeded sides and very unequal sizes that add up to the volume."""
    rng = np.random.default_rng(8)
    trades = np.zeros(len(bars) * TRADES_AN_HOUR, TRADE)
    moments = np.arange(TRADES_AN_HOUR) * (HOUR // TRADES_AN_HOUR) + 60_000
    shares = rng.lognormal(0.0, 2.0, (len(bars), TRADES_AN_HOUR))
    trades["time"] = (bars["time"][:, None] + moments).ravel()
    trades["side"] = rng.choice([-1, 1], len(trades))
    trades["price"] = np.repeat(bars["close"], TRADES_AN_HOUR)
    trades["size"] = (shares / shares.sum(axis=1, keepdims=True) * bars["volume"][:, None]).ravel()
    return trades[trades["size"] > 0.0]


def redated(bars: np.ndarray, row: int, now_ms: int) -> np.ndarray:
    """Bars of which this row is the hour that is open now."""
    bars = bars.copy()
    bars["time"] = now_ms // HOUR * HOUR + HOUR * (np.arange(len(bars)) - row)
    return bars


class LoopbackExchange:
    """The server; ``bars`` are its candles by coin, ``missed`` lists the requests that it could not answer.

    behind_ms   how old the open candle and the last trade are that it serves; a bot drops the candle that is open now,
                so that from two hours on it sees fewer
    silent      (coin, last word of a path) of requests that are answered with nothing
    """

    def __init__(self, row: int) -> None:
        self.missed: list[str] = []
        self.behind_ms = 0
        self.silent: set[tuple[str, str]] = set()
        start = time.time_ns() // 1_000_000
        self.bars = {coin: redated(coin_bars(coin), row, start) for coin in COINS}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def ccxt_config(self) -> dict[str, Any]:
        """What sends ccxt's Binance class here and nowhere else."""
        roots = {"public": "/api/v3", "private": "/api/v3", "v1": "/api/v1", "fapiPublic": "/fapi/v1"}
        roots |= {"fapiPrivate": "/fapi/v1", "fapiData": "/futures/data", "dapiData": "/futures/data"}
        for name in ("fapiPublicV2", "fapiPublicV3", "fapiPrivateV2", "fapiPrivateV3"):
            roots[name] = f"/fapi/{name[-2:].lower()}"
        for name in ("dapiPublic", "dapiPrivate", "dapiPrivateV2", "eapiPublic", "eapiPrivate", "papi", "papiV2"):
            roots[name] = f"/{name}"
        for name in ("sapi", "sapiV2", "sapiV3", "sapiV4"):
            roots[name] = f"/{name}"
        api = {name: self.url + root for name, root in roots.items()}
        return {
            "enableRateLimit": False,
            "options": {"fetchMarkets": {"types": ["spot", "linear"]}},
            "urls": {"api": api},
        }

    def answer(self, path: str, query: dict[str, str]) -> Any:
        """The JSON of a request; KeyError for what is not served."""
        name = path.rsplit("/", 1)[-1]
        now = time.time_ns() // 1_000_000
        coin = (query.get("symbol") or query.get("pair", "")).removesuffix("USDT")
        if (coin, name) in self.silent:
            return []
        if name == "exchangeInfo":
            linear = path.startswith("/fapi")
            symbols = [_symbol(coin, linear) for coin in COINS]
            return {"timezone": "UTC", "serverTime": now, "rateLimits": [], "exchangeFilters": [], "symbols": symbols}
        if name in ("klines", "markPriceKlines"):
            length = LENGTHS[query["interval"]]
            return [_kline(bar, length) for bar in self._until(coin, query, now, query["interval"])]
        if name == "openInterestHist":
            return [_interest(coin, bar) for bar in self._until(coin, query, now)]  # its period is an hour
        if name == "fundingRate":
            bars = self._until(coin, query, now)
            bars = bars[bars["time"] % (8 * HOUR) == 0]
            known = zip(bars["time"].tolist(), funding_rates(bars), strict=True)
            return [{"symbol": f"{coin}USDT", "fundingTime": at, "fundingRate": f"{rate:.8f}"} for at, rate in known]
        if name == "aggTrades":
            return self._trades(coin, query, now)
        if name == "depth":
            close = self._last(coin, now)["close"]
            sides = {"bids": -1, "asks": 1}
            return {"lastUpdateId": now} | {
                side: [[f"{close + sign * PRICE_TICK * step:.2f}", "50"] for step in range(1, 6)]
                for side, sign in sides.items()
            }
        if path.endswith(("/ticker/24hr", "/ticker/bookTicker")):
            tickers = [_ticker(one, self._last(one, now), now) for one in ([coin] if coin else COINS)]
            return tickers[0] if coin else tickers
        if name == "premiumIndex":
            return [_premium(one, self._last(one, now), now) for one in COINS]
        return {"ping": {}, "time": {"serverTime": now}, "fundingInfo": []}[name]

    def _until(self, coin: str, query: dict[str, str], now: int, timeframe: str = "1h") -> np.ndarray:
        """What an exchange answers: the last rows, or those from ``startTime`` on, the open one included."""
        bars = self.bars[coin] if timeframe == "1h" else to_timeframe(self.bars[coin], timeframe)
        bars = bars[bars["time"] <= min(now - self.behind_ms, int(query.get("endTime", now)))]
        limit = int(query.get("limit", 500))
        if "startTime" in query:
            return bars[bars["time"] >= int(query["startTime"])][:limit]
        return bars[-limit:]

    def _trades(self, coin: str, query: dict[str, str], now: int) -> list[dict[str, Any]]:
        """Trades of ids from ``fromId`` on, or of times from ``startTime`` to ``endTime``."""
        trades = public_trades(self.bars[coin])
        served = now if self.behind_ms == 0 else (now - self.behind_ms) // HOUR * HOUR + HOUR - 1  # whole candles
        ids = np.flatnonzero(trades["time"] <= min(served, int(query.get("endTime", now))))
        first = int(query["fromId"]) if "fromId" in query else np.searchsorted(trades["time"], int(query["startTime"]))
        return [_trade(int(one), trades[one]) for one in ids[ids >= first][: int(query["limit"])]]

    def _last(self, coin: str, now: int) -> np.ndarray:
        return self.bars[coin][self.bars[coin]["time"] <= now][-1]


def _symbol(coin: str, linear: bool) -> dict[str, Any]:
    filters = [
        {"filterType": "PRICE_FILTER", "minPrice": "0.01", "maxPrice": "1000000", "tickSize": f"{PRICE_TICK}"},
        {"filterType": "LOT_SIZE", "minQty": f"{SIZE_STEP:f}", "maxQty": "9000", "stepSize": f"{SIZE_STEP:f}"},
        {"filterType": "MARKET_LOT_SIZE", "minQty": f"{SIZE_STEP:f}", "maxQty": "9000", "stepSize": f"{SIZE_STEP:f}"},
        {"filterType": "MIN_NOTIONAL", "notional": "5"} if linear else {"filterType": "NOTIONAL", "minNotional": "5"},
    ]
    common = {
        "symbol": f"{coin}USDT",
        "status": "TRADING",
        "baseAsset": coin,
        "quoteAsset": "USDT",
        "orderTypes": ["LIMIT", "MARKET"],
        "filters": filters,
    }
    if linear:
        return common | {
            "pair": f"{coin}USDT",
            "contractType": "PERPETUAL",
            "marginAsset": "USDT",
            "contractStatus": "TRADING",
            "deliveryDate": 4_133_404_800_000,
            "onboardDate": 1_500_000_000_000,
            "pricePrecision": 2,
            "quantityPrecision": 5,
            "liquidationFee": "0.0125",
        }
    return common | {"isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "permissionSets": [["SPOT"]]}


def _kline(bar: np.ndarray, length: int) -> list[Any]:
    prices = [repr(float(bar[name])) for name in ("open", "high", "low", "close", "volume")]
    return [int(bar["time"]), *prices, int(bar["time"]) + length - 1, "0", 4, "0", "0", "0"]


def _trade(number: int, trade: np.ndarray) -> dict[str, Any]:
    price, size = (repr(float(trade[name])) for name in ("price", "size"))
    ids = {"a": number, "f": number, "l": number}
    return ids | {"p": price, "q": size, "T": int(trade["time"]), "m": bool(trade["side"] < 0), "M": True}


def _interest(coin: str, bar: np.ndarray) -> dict[str, Any]:
    amount = open_interest(bar)
    return {
        "symbol": f"{coin}USDT",
        "sumOpenInterest": f"{amount:.3f}",
        "sumOpenInterestValue": f"{amount * bar['close']:.3f}",
        "timestamp": int(bar["time"]),
    }


def _ticker(coin: str, bar: np.ndarray, now: int) -> dict[str, Any]:
    close = f"{bar['close']:.2f}"
    prices = dict.fromkeys(("lastPrice", "bidPrice", "askPrice", "openPrice", "highPrice", "lowPrice"), close)
    sizes = dict.fromkeys(("bidQty", "askQty", "volume", "quoteVolume"), "1000")
    return {"symbol": f"{coin}USDT", "time": now, "openTime": now - 24 * HOUR, "closeTime": now, **prices, **sizes}


def _premium(coin: str, bar: np.ndarray, now: int) -> dict[str, Any]:
    close = f"{bar['close']:.2f}"
    rates = {"lastFundingRate": "0.0001", "nextFundingTime": now // (8 * HOUR) * 8 * HOUR + 8 * HOUR}
    return {"symbol": f"{coin}USDT", "markPrice": close, "indexPrice": close, "time": now} | rates


def _handler(exchange: LoopbackExchange) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            url = urlparse(self.path)
            try:
                code, body = 200, exchange.answer(url.path, dict(parse_qsl(url.query)))
            except KeyError as error:
                exchange.missed.append(f"{self.path}: {error}")
                code, body = 404, {"code": -1, "msg": "not served here"}
            data = json.dumps(body).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *args: object) -> None:
            pass

    return Handler


@contextlib.contextmanager
def running(row: int = 9000) -> Iterator[LoopbackExchange]:
    """An exchange that serves while the block runs; this row of the sample is the hour that is open."""
    exchange = LoopbackExchange(row)
    thread = threading.Thread(target=exchange.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield exchange
    finally:
        exchange.server.shutdown()
        exchange.server.server_close()
        thread.join()
