"""Trades of venues that go through ccxt.pro: sides, coins, times and ids of the messages that its source documents."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from liquidator_integrations.exchanges import unified
from liquidator_integrations.exchanges.client import tap_trades
from liquidator_integrations.live.channel import Channel
from liquidator_integrations.live.limits import LIMITS
from liquidator_integrations.live.pro import Watched, _Heard, cached_as
from liquidator_integrations.live.said import Row
from liquidator_integrations.live.tasks import Tasks

T = 1_655_397_355_998


def deribit(market: str, **trade: Any) -> dict[str, Any]:
    said = {"trade_seq": 5, "trade_id": "D-7", "timestamp": T, "instrument_name": market, "tick_direction": 2}
    params = {"channel": f"trades.{market}.100ms", "data": [{**said, **trade}]}
    return {"jsonrpc": "2.0", "method": "subscription", "params": params}


def bitget(kind: str, market: str, size: str) -> dict[str, Any]:
    said = {"ts": str(T), "price": "50000", "size": size, "side": "sell", "tradeId": "7"}
    return {"action": "update", "arg": {"instType": kind, "channel": "trade", "instId": market}, "data": [said]}


def gate(market: str, size: int) -> dict[str, Any]:
    said = {"size": size, "id": 7, "create_time": T // 1000, "create_time_ms": T, "price": "50000", "contract": market}
    return {"channel": "futures.trades", "event": "update", "time": T // 1000, "result": [said]}


def kraken(market: str, qty: float) -> dict[str, Any]:
    said = {"feed": "trade", "product_id": market, "uid": "7", "side": "sell", "type": "fill", "seq": 5}
    return {**said, "time": T, "qty": qty, "price": 50000}


def htx(market: str, **amounts: float) -> dict[str, Any]:
    said = {"id": 7, "ts": T, "price": 50000, "direction": "sell", **amounts}
    return {"ch": f"market.{market}.trade.detail", "ts": T, "tick": {"id": 1, "ts": T, "data": [said]}}


#: ccxt's id, symbol, the venue's name of the market, size of a contract, a message, coins, side, id.
FRAMES: list[tuple[str, str, str, float | None, Any, float, int, str]] = [
    ("deribit", "BTC/USDC:USDC", "BTC_USDC-PERPETUAL", 0.0001,
        deribit("BTC_USDC-PERPETUAL", price=50000, direction="buy", amount=0.049), 0.049, 1, "D-7"),
    ("deribit", "BTC/USD:BTC", "BTC-PERPETUAL", 10.0,
        deribit("BTC-PERPETUAL", price=50000, direction="sell", amount=500), 0.01, -1, "D-7"),
    ("coinbaseinternational", "BTC/USDC:USDC", "BTC_USDC-PERPETUAL", 0.0001,
        deribit("BTC_USDC-PERPETUAL", price=50000, direction="buy", amount=0.5), 0.5, 1, "D-7"),
    ("bitget", "BTC/USDT:USDT", "BTCUSDT", 1.0, bitget("USDT-FUTURES", "BTCUSDT", "0.05"), 0.05, -1, "7"),
    ("bitget", "BTC/USD:BTC", "BTCUSD", 1.0, bitget("COIN-FUTURES", "BTCUSD", "0.05"), 0.05, -1, "7"),
    ("gate", "BTC/USDT:USDT", "BTC_USDT", 0.0001, gate("BTC_USDT", -108), 0.0108, -1, "7"),
    ("gate", "BTC/USD:BTC", "BTC_USD", 1.0, gate("BTC_USD", 500), 0.01, 1, "7"),
    ("kucoinfutures", "BTC/USDT:USDT", "XBTUSDTM", 0.001,
        {"topic": "/contractMarket/execution:XBTUSDTM", "type": "message", "subject": "match", "data": {
            "symbol": "XBTUSDTM", "sequence": 36, "side": "buy", "size": 7, "price": "50000", "tradeId": "7",
            "ts": T * 1_000_000 + 808_589}}, 0.007, 1, "7"),
    ("mexc", "BTC/USDT:USDT", "BTC_USDT", 0.0001,
        {"symbol": "BTC_USDT", "channel": "push.deal", "ts": T, "data": [
            {"p": 50000, "v": 4, "T": 2, "O": 3, "M": 2, "t": T}]}, 0.0004, -1, f"{T} sell 4.0 at 50000.0, 1"),
    ("htx", "BTC/USDT:USDT", "BTC-USDT", 0.001, htx("BTC-USDT", amount=2, quantity=0.002), 0.001, -1, "7"),
    ("htx", "BTC/USD:BTC", "BTC-USD", 100.0, htx("BTC-USD", amount=10, quantity=0.02), 0.01, -1, "7"),
    ("krakenfutures", "BTC/USD:BTC", "PI_XBTUSD", 1.0, kraken("PI_XBTUSD", 500), 0.01, -1, "7"),
    ("krakenfutures", "BTC/USD:USD", "PF_XBTUSD", 1.0, kraken("PF_XBTUSD", 0.01), 0.01, -1, "7"),
    ("bitfinex", "BTC/USDT:USDT", "tBTCF0:USTF0", 1.0, [36, "te", [7, T, -0.01, 50000]], 0.01, -1, "7"),
    ("cryptocom", "BTC/USD:USD", "BTCUSD-PERP", 1.0,
        {"code": 0, "method": "subscribe", "result": {"instrument_name": "BTCUSD-PERP", "channel": "trade",
            "subscription": "trade.BTCUSD-PERP", "data": [{"d": "7", "t": T, "p": "50000", "q": "0.01", "s": "SELL",
            "i": "BTCUSD-PERP"}]}}, 0.01, -1, "7"),
    ("phemex", "BTC/USDT:USDT", "BTCUSDT", 1.0,
        {"symbol": "BTCUSDT", "type": "incremental", "trades_p": [[T * 1_000_000 + 5, "Buy", "50000", "0.28"]]},
        0.28, 1, f"{T} buy 0.28 at 50000.0, 1"),
    ("weex", "ETH/USDT:USDT", "ETHUSDT", 0.001,
        {"e": "trade", "s": "ETHUSDT", "d": [
            {"T": T, "t": "7", "p": "50000", "q": "7.2", "v": "360000", "m": False}]}, 7.2, 1, "7"),
    ("xt", "BTC/USDT:USDT", "btc_usdt", 0.0001,
        {"topic": "trade", "event": "trade@btc_usdt", "data": {
            "s": "btc_usdt", "p": "50000", "a": "25", "m": "BID", "t": T}}, 0.0025, 1, f"{T} buy 0.0025 at 50000.0, 1"),
    ("apex", "BTC/USDT:USDT", "BTCUSDT", 0.001,
        {"topic": "recentlyTrade.H.BTCUSDT", "type": "snapshot", "ts": T, "data": [
            {"T": T, "s": "BTCUSDT", "S": "Buy", "v": "0.5", "p": "50000", "i": "7"}]}, 0.5, 1, "7"),
    ("bitrue", "BTC/USDT:USDT", "E-BTC-USDT", 0.001,
        {"channel": "market_e_btcusdt_trade_ticker", "ts": T, "status": "ok", "tick": {"data": [
            {"amount": "1250", "price": "50000", "side": "SELL", "ts": T, "vol": "25"}]}},
        0.025, -1, f"{T} sell 0.025 at 50000.0, 1"),
    ("lighter", "BTC/USDC:USDC", "1", 10000.0,
        {"channel": "trade:1", "liquidation_trades": [], "type": "update/trade", "trades": [
            {"trade_id": 7, "type": "trade", "market_id": 1, "size": "0.5", "price": "50000", "usd_amount": "25000",
            "is_maker_ask": False, "timestamp": T}]}, 0.5, -1, "7"),
    ("blofin", "BTC/USDT:USDT", "BTC-USDT", 0.001,
        {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [
            {"tradeId": "7", "instId": "BTC-USDT", "price": "50000", "size": "25", "side": "sell", "ts": str(T)}]},
        0.025, -1, "7"),
    ("bingx", "BTC/USDT:USDT", "BTC-USDT", 1.0,
        {"code": 0, "dataType": "BTC-USDT@trade", "data": [
            {"q": "0.5", "p": "50000", "T": T, "m": False, "s": "BTC-USDT"}]}, 0.5, 1,
        f"{T} buy 0.5 at 50000.0, 1"),
    ("woo", "BTC/USDT:USDT", "PERP_BTC_USDT", 1.0,
        {"topic": "PERP_BTC_USDT@trade", "ts": T, "data": {
            "symbol": "PERP_BTC_USDT", "price": 50000, "size": 0.5, "side": "BUY", "source": 0}}, 0.5, 1,
        f"{T} buy 0.5 at 50000.0, 1"),
    ("paradex", "BTC/USD:USDC", "BTC-USD-PERP", 1.0,
        {"jsonrpc": "2.0", "method": "subscription", "params": {"channel": "trades.BTC-USD-PERP", "data": {
            "id": "7", "market": "BTC-USD-PERP", "side": "BUY", "size": "0.5", "price": "50000", "created_at": T,
            "trade_type": "FILL"}}}, 0.5, 1, "7"),
    ("backpack", "BTC/USDC:USDC", "BTC_USDC_PERP", 1.0,
        {"stream": "trade.BTC_USDC_PERP", "data": {"E": str(T * 1000 + 429), "T": str(T * 1000), "a": "1", "b": "2",
            "e": "trade", "m": False, "p": "50000", "q": "0.5", "s": "BTC_USDC_PERP", "t": 7}}, 0.5, 1, "7"),
    ("bitstamp", "BTC/USD", "btcusd", None,
        {"channel": "live_trades_btcusd", "event": "trade", "data": {"buy_order_id": 1, "sell_order_id": 2, "id": 7,
            "amount": 0.5, "amount_str": "0.5", "price": 50000, "price_str": "50000", "type": 1,
            "timestamp": str(T // 1000), "microtimestamp": str(T * 1000)}}, 0.5, -1, "7"),
]  # fmt: skip


def market_of(symbol: str, name: str, size: float | None) -> dict[str, Any]:
    base, _, rest = symbol.partition("/")
    quote, _, settle = rest.partition(":")
    kind = {"spot": not settle, "swap": bool(settle), "contract": bool(settle), "type": "swap" if settle else "spot"}
    kind |= {"linear": settle == quote, "inverse": settle == base, "contractSize": size}
    names = {"base": base, "quote": quote, "settle": settle, "baseId": base, "quoteId": quote}
    return {"id": name, "symbol": symbol, "precision": {}, **names, **kind}


def heard(venue: str, market: dict[str, Any], *frames: Any, others: Sequence[dict[str, Any]] = ()) -> list[Row]:
    """The trades that are new in frames that ccxt.pro is given; None: the connection breaks."""
    import ccxt.pro

    instance = getattr(ccxt.pro, venue)()
    instance.set_markets([instance.safe_market_structure(one) for one in (market, *others)])
    channel = Channel(venue, market, None, False, False, "none", 0)
    rows: list[Row] = []
    session: Any = SimpleNamespace(stands=lambda _: None, broke=lambda _: None)
    hears = _Heard(channel, lambda _, said, now: rows.extend(channel.sift(channel.converted(said.rows, now), now)[0]),
        session, LIMITS, lambda: client)  # fmt: skip
    topics = {"36": {"channel": "trades", "symbol": market["id"]}}
    client = SimpleNamespace(resolve=lambda *_: None, subscriptions=topics, futures={}, url="")
    with tap_trades(instance, cached_as(instance, instance.market(market["symbol"])), hears):
        for frame in frames:
            if frame is None:
                hears.ended()
            else:
                instance.handle_message(client, frame)
    assert channel.counts["dropped"] == 0
    return rows


@pytest.mark.parametrize("one", FRAMES, ids=[f"{one[0]} {one[1]}" for one in FRAMES])
def test_a_trade_is_of_coins_a_taker_and_a_millisecond(one):
    venue, symbol, name, size, frame, coins, side, ident = one
    (row,) = heard(venue, market_of(symbol, name, size), frame)
    assert (row.time, row.price, row.side, row.id) == (T, 50000.0, side, ident)
    assert row.amount == pytest.approx(coins, rel=1e-12)


def test_two_names_of_one_book_are_refused():
    import ccxt.pro

    instance = ccxt.pro.coinbase()
    once, twice, later = (tap_trades(instance, "BTC/USD", print) for _ in range(3))
    with once, pytest.raises(ValueError, match=r"symbols: found BTC/USD of coinbase twice"), twice:
        pass
    with later:
        pass


def test_trades_of_coinbase_come_under_the_name_that_a_market_is_an_alias_of():
    market = market_of("BTC/USDC", "BTC-USDC", None) | {"info": {"alias": "BTC-USD"}}
    trade = {"trade_id": "7", "product_id": "BTC-USD", "price": "50000", "size": "0.5", "side": "BUY"}
    events = [{"type": "update", "trades": [{**trade, "time": "2022-06-16T16:35:55.998Z"}]}]
    others = [market_of("BTC/USD", "BTC-USD", None)]
    rows = heard("coinbase", market, {"channel": "market_trades", "events": events}, others=others)
    assert rows == [Row(T, 50000.0, 0.5, -1, "7")]


def test_every_frame_of_deribit_is_heard():
    """Its handler makes a new cache for each."""
    frames = [deribit("BTC-PERPETUAL", price=50000, direction="buy", amount=10, trade_id=str(n)) for n in range(3)]
    assert len(heard("deribit", market_of("BTC/USD:BTC", "BTC-PERPETUAL", 10.0), *frames)) == 3


@pytest.mark.parametrize("apart", [0, 1000])
@pytest.mark.parametrize("venue", ["mexc", "phemex"])
def test_trades_alike_without_an_id_are_several(venue, apart):
    """MEXC has ids that ccxt makes of time, side, amount and price."""
    name = {"mexc": "BTC_USDT", "phemex": "BTCUSDT"}[venue]
    frames: list[Any] = [
        {"symbol": name, "channel": "push.deal", "ts": T, "data": [{"p": 50000, "v": 4, "T": 1, "t": T + apart * n}]}
        if venue == "mexc"
        else {"symbol": name, "trades_p": [[(T + apart * n) * 1_000_000, "Buy", "50000", "4"]], "type": "incremental"}
        for n in range(5)
    ]
    rows = heard(venue, market_of("BTC/USDT:USDT", name, 1.0), *frames)
    assert [row.time for row in rows] == [T + apart * n for n in range(5)]


def test_a_moment_that_is_sent_again_is_known():
    market = market_of("BTC/USDT:USDT", "BTCUSDT", 1.0)
    frames = [
        {"symbol": "BTCUSDT", "trades_p": [[(T + n) * 1_000_000, "Buy", "50000", "4"]] * 2, "type": "incremental"}
        for n in (0, 1, 0, 1)
    ]
    assert len(heard("phemex", market, *frames)) == 4


def test_a_moment_that_the_next_connection_sends_again_is_known():
    frame = {"symbol": "BTCUSDT", "trades_p": [[T * 1_000_000, "Buy", "50000", "4"]] * 2, "type": "incremental"}
    rows = heard("phemex", market_of("BTC/USDT:USDT", "BTCUSDT", 1.0), frame, None, frame)
    assert [row.id for row in rows] == [f"{T} buy 4.0 at 50000.0, {n}" for n in (1, 2)]


def test_rest_and_stream_give_a_trade_without_an_id_the_same_one():
    trade = {"timestamp": T, "side": "buy", "price": 50000.0, "amount": 4.0}
    made = f"{T}-buy-4.0-50000.0-taker"
    assert unified._ids([{**trade, "id": None}] * 2) == [f"{T} buy 4.0 at 50000.0, {n}" for n in (1, 2)]
    assert unified._ids([{**trade, "id": made}] * 2) == [f"{T} buy 4.0 at 50000.0, {n}" for n in (1, 2)]
    assert unified._ids([{**trade, "id": 7}]) == ["7"]


def test_amounts_of_which_ccxt_makes_something_else_are_refused():
    market = market_of("BTC/USD:BTC", "BTCUSD", 1.0)
    with pytest.raises(ValueError, match="phemex: what ccxt makes of the amounts of BTC/USD:BTC cannot be used"):
        Channel("phemex", market, None, False, False, "none", 0)


def test_a_contract_of_which_nothing_says_how_large_it_is_is_refused():
    market = market_of("BTC/USDT:USDT", "BTC_USDT", None)
    with pytest.raises(ValueError, match="nothing says how large the contracts of BTC/USDT:USDT are"):
        Channel("gate", market, None, False, False, "none", 0)


def test_an_instance_is_opened_on_the_loop_that_watches():
    """KuCoin's asks for an address on it first, and failed for ever where markets had been loaded before."""
    import ccxt.pro

    instance = ccxt.pro.kucoin()

    async def watched() -> bool:
        session: Any = SimpleNamespace(tasks=Tasks())
        task = asyncio.create_task(Watched(instance, [], session, LIMITS).run())
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        is_here = instance.asyncio_loop is asyncio.get_running_loop()
        await instance.close()
        return is_here

    assert asyncio.run(watched())
