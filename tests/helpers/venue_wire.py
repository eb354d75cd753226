"""What each venue answers, in its own wire format: markets, trades, candles, funding and open interest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from venue_tape import HOUR, MINUTE, Tape

if TYPE_CHECKING:
    from venue_server import Loopback

Answer = tuple[Any, int]
STEPS = {"1m": MINUTE, "5m": 5 * MINUTE, "1h": HOUR, "1": MINUTE, "5": 5 * MINUTE, "60": HOUR, "ONE_MINUTE": MINUTE}
STEPS |= {"FIVE_MINUTE": 5 * MINUTE, "1H": HOUR}
READING = 5 * MINUTE
INVERSE_CONTRACT = 100.0  # dollars, of Binance's coin-margined BTC
OKX_CONTRACT = 0.01  # coins, of OKX's linear BTC swap


def answer(server: Loopback, host: str, path: str, params: dict[str, Any]) -> Answer:
    """(body, status) of a request. KeyError for what is not served."""
    for word, venue in VENUES.items():
        if word in host:
            body = venue(server, host, path, params)
            return body if isinstance(body, tuple) else (body, 200)
    raise KeyError(host)


def nothing(host: str, path: str, body: str) -> Any:
    """An empty page."""
    if "okx" in host:
        return {"code": "0", "msg": "", "data": []}
    if "bybit" in host:
        return _bybit_ok({"list": []})
    if "coinbase" in host:
        return {"trades": [], "candles": []}
    if "kraken" in host:
        return {"error": [], "result": {"XXBTZUSD": [], "last": body}}
    return []


def open_interest(time: int) -> float:
    """Coins at a time."""
    return round(20_000.0 + (time // READING % 1000) * 0.5, 3)


def funding_rate(time: int) -> float:
    return round(1e-4 + (time // HOUR % 7) * 1e-6, 8)


def _readings(since: int, until: int, step: int) -> list[int]:
    return list(range(-(-since // step) * step, until, step))


# Binance --------------------------------------------------------------------------------------------------------------

_FILTERS = [
    {"filterType": "PRICE_FILTER", "minPrice": "0.10", "maxPrice": "1000000", "tickSize": "0.10"},
    {"filterType": "LOT_SIZE", "minQty": "0.001", "maxQty": "1000", "stepSize": "0.001"},
    {"filterType": "MIN_NOTIONAL", "notional": "5", "minNotional": "5"},
]


def _binance_market(kind: str, base: str) -> dict[str, Any]:
    common = {"baseAsset": base, "filters": _FILTERS, "orderTypes": ["LIMIT"], "timeInForce": ["GTC"]}
    common |= {"baseAssetPrecision": 8, "quotePrecision": 8}
    if kind == "spot":
        more = {"isSpotTradingAllowed": True, "isMarginTradingAllowed": True, "permissions": ["SPOT"]}
        return {**common, **more, "symbol": f"{base}USDT", "status": "TRADING", "quoteAsset": "USDT"}
    perpetual = {"contractType": "PERPETUAL", "deliveryDate": 4_133_404_800_000, "onboardDate": 1_569_398_400_000}
    perpetual |= {"pricePrecision": 2, "quantityPrecision": 3, "maintMarginPercent": "2.5"}
    if kind == "linear":
        names = {"symbol": f"{base}USDT", "pair": f"{base}USDT", "quoteAsset": "USDT", "marginAsset": "USDT"}
        return {**common, **perpetual, **names, "status": "TRADING", "underlyingType": "COIN"}
    names = {"symbol": f"{base}USD_PERP", "pair": f"{base}USD", "quoteAsset": "USD", "marginAsset": base}
    return {**common, **perpetual, **names, "contractStatus": "TRADING", "contractSize": int(INVERSE_CONTRACT)}


def _binance(server: Loopback, host: str, path: str, params: dict[str, Any]) -> Any:
    kind = "linear" if host.startswith("fapi") else "inverse" if host.startswith("dapi") else "spot"
    name = path.rsplit("/", 1)[-1]
    tape = server.tape
    if name == "exchangeInfo":
        bases = {"spot": ["BTC", "ETH", "ONLYSPOT"], "linear": ["BTC", "ETH", "1000PEPE"], "inverse": ["BTC"]}[kind]
        return {"timezone": "UTC", "rateLimits": [], "symbols": [_binance_market(kind, base) for base in bases]}
    since, until = int(params.get("startTime", 0)), int(params.get("endTime", server.end)) + 1
    limit = int(params.get("limit", 500))
    if name == "aggTrades":
        return _agg_trades(server, tape, kind, params, min(limit, 1000))
    if name == "klines":
        candles = tape.candles(since, min(until, server.end), STEPS[params["interval"]], server.flat)
        if server.oldest_candle is not None:
            candles = [one for one in candles if one[0] >= server.oldest_candle]
        most = 1000 if kind == "spot" else 1500
        return [_kline(kind, time, one, STEPS[params["interval"]]) for time, one in candles[: min(limit, most)]]
    if name == "fundingInfo" and kind != "spot":
        return [{"symbol": "1000PEPEUSDT", "fundingIntervalHours": 4}]
    if name == "fundingRate" and kind != "spot":
        times = _readings(since, min(until, server.end), 8 * HOUR)
        rows = [{"fundingTime": time, "fundingRate": f"{funding_rate(time):.8f}"} for time in times[:limit]]
        return [{"symbol": params["symbol"], "markPrice": "60000.0", **row} for row in rows]
    if name == "openInterestHist":
        times = _readings(since, min(until, server.end), READING)[:limit]
        return [_binance_interest(kind, params, time) for time in times]
    if name == "openInterest" and server.interest is not None:
        time, coins = next(server.interest)
        return {"symbol": params["symbol"], "openInterest": f"{coins:.3f}", "time": time}
    raise KeyError(path)


def _kline(kind: str, time: int, values: list[float], step: int) -> list[Any]:
    first, high, low, last, volume, buy, count = values
    prices = [f"{value:.1f}" for value in (first, high, low, last)]
    amounts = [f"{volume:.3f}", f"{volume * last:.3f}", f"{buy:.3f}", f"{buy * last:.3f}"]
    if kind == "inverse":  # contracts, coins
        amounts = [
            f"{value * last / INVERSE_CONTRACT:.0f}" if place % 2 == 0 else f"{value:.8f}"
            for place, value in enumerate((volume, volume, buy, buy))
        ]
    return [time, *prices, amounts[0], time + step - 1, amounts[1], count, amounts[2], amounts[3], "0"]


def _binance_interest(kind: str, params: dict[str, Any], time: int) -> dict[str, Any]:
    coins = open_interest(time)
    if kind == "linear":
        said = {"symbol": params["symbol"], "sumOpenInterest": f"{coins:.3f}"}
        return {**said, "sumOpenInterestValue": f"{coins * 60_000:.3f}", "timestamp": time}
    said = {"pair": params["pair"], "contractType": params["contractType"]}
    contracts = f"{coins * 60_000 / INVERSE_CONTRACT:.0f}"
    return {**said, "sumOpenInterest": contracts, "sumOpenInterestValue": f"{coins:.3f}", "timestamp": time}


def _agg_trades(server: Loopback, tape: Tape, kind: str, params: dict[str, Any], limit: int) -> Any:
    if "fromId" in params and ("startTime" in params or "endTime" in params):
        return {"code": -1128, "msg": "Combination of optional parameters invalid."}, 400
    rows: Sequence[int]
    if "fromId" in params:
        rows = np.flatnonzero(tape.id >= int(params["fromId"]))
        rows = rows[np.argsort(tape.id[rows], kind="stable")][:limit].tolist()
    elif "startTime" in params:
        since, until = int(params["startTime"]), int(params.get("endTime", server.end)) + 1
        if until - 1 - since > HOUR:
            return {"code": -1127, "msg": "More than 1 hours between startTime and endTime."}, 400
        window = tape.between(since, until)
        rows = window[-limit:] if server.last_page else window[:limit]
    else:
        rows = range(len(tape))[-limit:]
    return [_agg_trade(tape, kind, row) for row in rows]


def _agg_trade(tape: Tape, kind: str, row: int) -> dict[str, Any]:
    number, price = int(tape.id[row]), float(tape.price[row])
    amount = f"{tape.size[row] * 1000:.0f}" if kind == "inverse" else f"{tape.size[row]:.3f}"
    said = {"a": number, "p": f"{price:.1f}", "q": amount, "f": 2 * number, "l": 2 * number + 1}
    return {**said, "T": int(tape.time[row]), "m": bool(tape.sell[row])}


# Bybit ----------------------------------------------------------------------------------------------------------------


def _bybit_ok(result: Any) -> Any:
    return {"retCode": 0, "retMsg": "OK", "result": result, "retExtInfo": {}, "time": 1_700_000_000_000}


def uuid(number: int) -> str:
    return f"20f43950-d8dd-5b31-9112-{number:012x}"


def _bybit_market(category: str, base: str) -> dict[str, Any]:
    if category == "spot":
        lot = {"basePrecision": "0.000001", "quotePrecision": "0.00000001", "minOrderQty": "0.00004"}
        names = {"symbol": f"{base}USDT", "baseCoin": base, "quoteCoin": "USDT", "status": "Trading"}
        return {**names, "lotSizeFilter": lot, "priceFilter": {"tickSize": "0.01"}}
    inverse = category == "inverse"
    quote = "USD" if inverse else "USDT"
    names = {"symbol": f"{base}{quote}", "baseCoin": base, "quoteCoin": quote, "settleCoin": base if inverse else quote}
    step = "1" if inverse else "0.001"
    lot = {"maxOrderQty": "1190", "minOrderQty": step, "qtyStep": step}
    more = {"contractType": "InversePerpetual" if inverse else "LinearPerpetual", "launchTime": "1585526400000"}
    more |= {"status": "Trading", "deliveryTime": "0", "fundingInterval": 480, "priceScale": "2"}
    leverage = {"minLeverage": "1", "maxLeverage": "100.00", "leverageStep": "0.01"}
    price = {"minPrice": "0.10", "maxPrice": "1999999.80", "tickSize": "0.10"}
    return {**names, **more, "leverageFilter": leverage, "lotSizeFilter": lot, "priceFilter": price}


def _bybit(server: Loopback, host: str, path: str, params: dict[str, Any]) -> Any:
    category, tape = str(params.get("category")), server.tape
    if path.endswith("instruments-info"):
        there = category in ("spot", "linear", "inverse") and params.get("status") != "PreLaunch"
        markets = [_bybit_market(category, base) for base in ("BTC", "ETH")] if there else []
        return _bybit_ok({"category": category, "list": markets, "nextPageCursor": ""})
    if path.endswith("recent-trade"):
        limit = min(int(params.get("limit", 500)), 60 if category == "spot" else server.bybit_limit)
        rows = range(len(tape))[-limit:][::-1]
        return _bybit_ok({"category": category, "list": [_bybit_trade(tape, category, row) for row in rows]})
    since, until = (
        int(params.get(one) or params.get(other) or 0) for one, other in (("start", "startTime"), ("end", "endTime"))
    )
    until = min(until + 1, server.end) if until else server.end
    limit = int(params.get("limit", 200))
    if path.endswith("kline"):
        candles = tape.candles(since, until, STEPS[params["interval"]], server.flat)[-min(limit, 1000) :][::-1]
        rows = [
            [str(time), *(f"{value:.1f}" for value in one[:4]), *_bybit_volume(category, one)] for time, one in candles
        ]
        return _bybit_ok({"symbol": params["symbol"], "category": category, "list": rows})
    if path.endswith("funding/history"):
        times = _readings(since, until, 8 * HOUR)[-limit:][::-1]
        said = [{"fundingRate": f"{funding_rate(time):.8f}", "fundingRateTimestamp": str(time)} for time in times]
        return _bybit_ok({"category": category, "list": [{"symbol": params["symbol"], **one} for one in said]})
    if path.endswith("open-interest"):
        unit = 60_000.0 if category == "inverse" else 1.0
        times = _readings(max(since, until - limit * READING), until, READING)[::-1]
        sides = [(time, open_interest(time) * unit) for time in times]
        said = [
            {"openInterest": f"{2 * one:.3f}", "singleOpenInterest": f"{one:.3f}", "timestamp": str(time)}
            for time, one in sides
        ]
        return _bybit_ok({"symbol": params["symbol"], "category": category, "list": said, "nextPageCursor": ""})
    raise KeyError(path)


def _bybit_volume(category: str, one: list[float]) -> list[str]:
    coins, dollars = f"{one[4]:.8f}", f"{one[4] * one[3]:.4f}"
    return [dollars, coins] if category == "inverse" else [coins, dollars]


def _bybit_trade(tape: Tape, category: str, row: int) -> dict[str, Any]:
    size = f"{tape.size[row] * 1000:.0f}" if category == "inverse" else f"{tape.size[row]:.3f}"
    said = {"execId": uuid(int(tape.id[row])), "symbol": "BTCUSDT", "price": f"{tape.price[row]:.1f}", "size": size}
    return {**said, "side": "Sell" if tape.sell[row] else "Buy", "time": str(tape.time[row]), "isBlockTrade": False}


# OKX ------------------------------------------------------------------------------------------------------------------


def _okx_market(kind: str, base: str) -> dict[str, Any]:
    names = {
        "instId": f"{base}-USDT",
        "baseCcy": base,
        "quoteCcy": "USDT",
        "instType": "SPOT",
        "uly": "",
        "settleCcy": "",
    }
    contract = {"ctVal": "", "ctMult": "", "ctValCcy": "", "ctType": ""}
    if kind == "SWAP":
        names = {
            "instId": f"{base}-USDT-SWAP",
            "baseCcy": "",
            "quoteCcy": "",
            "instType": "SWAP",
            "uly": f"{base}-USDT",
        }
        names |= {"settleCcy": "USDT", "instFamily": f"{base}-USDT"}
        contract = {"ctVal": f"{OKX_CONTRACT}", "ctMult": "1", "ctValCcy": base, "ctType": "linear"}
    sizes = {
        "tickSz": "0.1",
        "lotSz": "0.01",
        "minSz": "0.01",
        "state": "live",
        "lever": "100",
        "listTime": "1573557408000",
    }
    return {**names, **contract, **sizes, "expTime": "", "stk": "", "optType": "", "alias": ""}


def _okx(server: Loopback, host: str, path: str, params: dict[str, Any]) -> Any:
    def ok(data: Any) -> Any:
        return {"code": "0", "msg": "", "data": data}

    tape, swap = server.tape, str(params.get("instId", "")).endswith("-SWAP")
    if path.endswith("public/instruments"):
        kind = params["instType"]
        return ok([_okx_market(kind, base) for base in ("BTC", "ETH")] if kind in ("SPOT", "SWAP") else [])
    after, before = params.get("after"), params.get("before")
    limit = int(params.get("limit", 100))
    if path.endswith("history-trades"):
        column = tape.time if params.get("type", "1") == "2" else tape.id
        rows = np.arange(len(tape)) if after is None else np.flatnonzero(column < int(after))
        return ok([_okx_trade(tape, swap, row) for row in rows[-min(limit, 100) :][::-1].tolist()])
    if path.endswith(("/candles", "history-candles")):
        until = min(server.end, int(after) if after else server.end)
        since = int(before) + 1 if before else until - 2000 * MINUTE
        step = STEPS[params["bar"]]
        if not path.endswith("history-candles"):
            since = max(since, server.end - 1440 * step)
        rows = tape.candles(since, until, step, server.flat)[-min(limit, 100) :][::-1]
        return ok([_okx_candle(swap, time, one, "1" if time + step <= server.end else "0") for time, one in rows])
    if path.endswith("funding-rate-history"):
        times = _readings(int(before) + 1, min(int(after), server.end), 8 * HOUR)[-limit:][::-1]
        rates = [{"fundingTime": str(time), "fundingRate": f"{funding_rate(time):.8f}"} for time in times]
        return ok(
            [
                {"instId": params["instId"], "instType": "SWAP", "realizedRate": one["fundingRate"], **one}
                for one in rates
            ]
        )
    if path.endswith("contracts/open-interest-history"):
        times = _readings(int(params["begin"]) + 1, min(int(params["end"]), server.end), READING)[-limit:][::-1]
        coins = [(time, open_interest(time)) for time in times]
        return ok(
            [[str(time), f"{one / OKX_CONTRACT:.2f}", f"{one:.4f}", f"{one * 60_000:.2f}"] for time, one in coins]
        )
    raise KeyError(path)


def _okx_trade(tape: Tape, swap: bool, row: int) -> dict[str, Any]:
    size = f"{tape.size[row] / OKX_CONTRACT:.1f}" if swap else f"{tape.size[row]:.3f}"
    said = {"instId": "BTC-USDT-SWAP", "side": "sell" if tape.sell[row] else "buy", "sz": size}
    return {**said, "px": f"{tape.price[row]:.1f}", "tradeId": str(tape.id[row]), "ts": str(tape.time[row])}


def _okx_candle(swap: bool, time: int, one: list[float], confirm: str) -> list[str]:
    coins, quote = f"{one[4]:.8f}", f"{one[4] * one[3]:.4f}"
    volumes = [f"{one[4] / OKX_CONTRACT:.2f}", coins, quote] if swap else [coins, quote, quote]
    return [str(time), *(f"{value:.1f}" for value in one[:4]), *volumes, confirm]


# Kraken, Coinbase, Hyperliquid ----------------------------------------------------------------------------------------


def nanoseconds(tape: Tape) -> np.ndarray:
    """The times of a tape, a microsecond or less apart within a millisecond."""
    first, after = np.searchsorted(tape.time, tape.time), np.searchsorted(tape.time, tape.time, side="right")
    apart = np.minimum(1_000, 999_000 // (after - first))
    return tape.time * 1_000_000 + (np.arange(len(tape)) - first) * apart


def _kraken(server: Loopback, host: str, path: str, params: dict[str, Any]) -> Any:
    def ok(result: Any) -> Any:
        return {"error": [], "result": result}

    tape = server.tape
    if path.endswith("Assets"):
        return ok(
            {
                "XXBT": {"aclass": "currency", "altname": "XBT", "decimals": 10, "status": "enabled"},
                "ZUSD": {"aclass": "currency", "altname": "USD", "decimals": 4, "status": "enabled"},
            }
        )
    if path.endswith("AssetPairs"):
        names = {"altname": "XBTUSD", "wsname": "XBT/USD", "base": "XXBT", "quote": "ZUSD", "status": "online"}
        sizes = {"pair_decimals": 1, "lot_decimals": 8, "cost_decimals": 5, "ordermin": "0.0001", "tick_size": "0.1"}
        return ok({"XXBTZUSD": {**names, **sizes, "leverage_buy": [2], "leverage_sell": [2], "fees": [[0, 0.26]]}})
    if path.endswith("Trades"):
        moments = nanoseconds(tape)
        rows = np.arange(len(tape))
        if "since" in params:
            since = int(params["since"]) if len(params["since"]) >= 18 else int(float(params["since"]) * 1e9)
            rows = np.flatnonzero(moments > since)[: int(params.get("count", 1000))]
        else:
            rows = rows[-int(params.get("count", 1000)) :]
        last = str(moments[rows[-1]]) if len(rows) else str(params.get("since", 0))
        return ok({params["pair"]: [_kraken_trade(tape, moments, row) for row in rows.tolist()], "last": last})
    if path.endswith("OHLC"):
        step = int(params["interval"]) * MINUTE
        rows = tape.candles(int(tape.time[0]) - step, server.end, step, flat=True)[-720:]
        held = [
            [time // 1000, *(f"{value:.1f}" for value in one[:4]), "0", f"{one[4]:.8f}", one[6]] for time, one in rows
        ]
        return ok({params["pair"]: held, "last": rows[-1][0] // 1000})
    raise KeyError(path)


def _kraken_trade(tape: Tape, moments: np.ndarray, row: int) -> list[Any]:
    side = "s" if tape.sell[row] else "b"
    return [
        f"{tape.price[row]:.1f}",
        f"{tape.size[row]:.8f}",
        int(moments[row]) / 1e9,
        side,
        "l",
        "",
        int(tape.id[row]),
    ]


def _coinbase(server: Loopback, host: str, path: str, params: dict[str, Any]) -> Any:
    tape = server.tape
    if path.endswith("v2/currencies"):
        return {"data": [{"id": "USD", "name": "US Dollar", "min_size": "0.01"}]}
    if path.endswith("currencies/crypto"):
        return {"data": [{"asset_id": "5b71fc48", "code": "BTC", "name": "Bitcoin", "type": "crypto", "exponent": 8}]}
    if path.endswith("exchange-rates"):
        return {"data": {"currency": "USD", "rates": {"BTC": "0.00001"}}}
    if path.endswith("brokerage/market/products"):
        names = {"product_id": "BTC-USD", "quote_currency_id": "USD", "base_currency_id": "BTC", "product_type": "SPOT"}
        sizes = {"base_increment": "0.00000001", "quote_increment": "0.01", "price_increment": "0.01", "price": "60000"}
        more = {"status": "online", "is_disabled": False, "trading_disabled": False, "base_min_size": "0.00000001"}
        spot = params.get("product_type") != "FUTURE"
        return {"products": [{**names, **sizes, **more}] if spot else [], "num_products": int(spot)}
    if path.endswith("/ticker"):
        since, until = int(params.get("start", 0)) * 1000, int(params.get("end", 1 << 40)) * 1000 + 1
        rows = tape.between(since, until)[-min(int(params.get("limit", 100)), 1000) :][::-1]
        return {"trades": [_coinbase_trade(tape, row) for row in rows], "best_bid": "1", "best_ask": "2"}
    if path.endswith("/candles"):
        since, until = int(params["start"]) * 1000, min(int(params["end"]) * 1000 + 1, server.end)
        rows = tape.candles(since, until, STEPS[params["granularity"]], flat=False)[-350:][::-1]
        return {
            "candles": [
                {
                    "start": str(time // 1000),
                    "open": f"{one[0]:.1f}",
                    "high": f"{one[1]:.1f}",
                    "low": f"{one[2]:.1f}",
                    "close": f"{one[3]:.1f}",
                    "volume": f"{one[4]:.8f}",
                }
                for time, one in rows
            ]
        }
    raise KeyError(path)


def _coinbase_trade(tape: Tape, row: int) -> dict[str, Any]:
    time = f"{np.datetime64(int(tape.time[row]), 'ms')}000Z"
    said = {"trade_id": str(tape.id[row]), "product_id": "BTC-USD", "price": f"{tape.price[row]:.1f}"}
    side = "BUY" if tape.sell[row] else "SELL"  # the maker's
    return {**said, "size": f"{tape.size[row]:.3f}", "time": time, "side": side, "bid": "", "ask": ""}


_TOKENS = [
    {"name": "USDC", "szDecimals": 8, "weiDecimals": 8, "index": 0, "tokenId": "0x0", "isCanonical": True},
    {"name": "PURR", "szDecimals": 0, "weiDecimals": 5, "index": 1, "tokenId": "0x1", "isCanonical": True},
]


def _hyperliquid(server: Loopback, host: str, path: str, params: dict[str, Any]) -> Any:
    tape, kind = server.tape, params["type"]
    context = {"dayNtlVlm": "1", "funding": "0.0000125", "markPx": "60000", "midPx": "60000", "openInterest": "29000.5"}
    context |= {"oraclePx": "60000", "premium": "0.0001", "prevDayPx": "59000", "impactPxs": ["59999", "60001"]}
    names = [("BTC", 5, 40), ("ETH", 4, 25), ("kPEPE", 0, 10)]
    universe = [{"name": name, "szDecimals": digits, "maxLeverage": most} for name, digits, most in names]
    spot = {"tokens": _TOKENS, "universe": [{"name": "PURR/USDC", "tokens": [1, 0], "index": 0, "isCanonical": True}]}
    if kind == "meta":
        return {"universe": universe, "collateralToken": 0}
    if kind == "metaAndAssetCtxs":
        return [{"universe": universe, "collateralToken": 0}, [context] * len(names)]
    if kind == "spotMeta":
        return spot
    if kind == "spotMetaAndAssetCtxs":
        return [spot, [{"dayNtlVlm": "1", "markPx": "0.14", "midPx": "0.2", "prevDayPx": "0.2"}]]
    if kind == "perpDexs":
        return [None]
    if kind == "recentTrades":
        return [_hyperliquid_trade(tape, params["coin"], row) for row in range(len(tape))[-10:][::-1]]
    if kind == "candleSnapshot":
        wanted = params["req"]
        step = STEPS[wanted["interval"]]
        until = min(int(wanted["endTime"]) + 1, server.end)
        rows = tape.candles(int(wanted["startTime"]), until, step, server.flat)[-5000:]
        keys = ("o", "h", "l", "c", "v")
        said = [(time, {key: f"{value:.8g}" for key, value in zip(keys, one[:5], strict=True)}) for time, one in rows]
        return [
            {"t": time, "T": time + step - 1, "s": wanted["coin"], "i": wanted["interval"], "n": 1, **one}
            for time, one in said
        ]
    if kind == "fundingHistory":
        times = _readings(int(params["startTime"]), min(int(params["endTime"]) + 1, server.end), HOUR)[:500]
        return [
            {"coin": params["coin"], "fundingRate": f"{funding_rate(time):.8f}", "premium": "0", "time": time}
            for time in times
        ]
    raise KeyError(kind)


def _hyperliquid_trade(tape: Tape, coin: str, row: int) -> dict[str, Any]:
    said = {"coin": coin, "side": "A" if tape.sell[row] else "B", "px": f"{tape.price[row]:.1f}"}
    more = {"time": int(tape.time[row]), "hash": f"0x{row:064x}", "tid": int(tape.id[row]), "users": ["0xa", "0xb"]}
    return {**said, "sz": f"{tape.size[row]:.3f}", **more}


VENUES: dict[str, Callable[[Any, str, str, dict[str, Any]], Any]] = {
    "binance": _binance,
    "bybit": _bybit,
    "okx": _okx,
    "kraken": _kraken,
    "coinbase": _coinbase,
    "hyperliquid": _hyperliquid,
}
