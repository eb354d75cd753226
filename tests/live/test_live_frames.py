"""What a frame of each venue says: sides, amounts, who was liquidated; and ccxt.pro says the same of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from live_runs import SHORT, VENUES, until
from venue_streams import FRAMES

from liquidator_core.layout import LONG
from liquidator_core.layout import SHORT as SHORT_SIDE
from liquidator_integrations import Liquidator
from liquidator_integrations.live.raw import MODULES
from liquidator_integrations.live.said import Liquidation, Reading, Refused, Row, Trades
from liquidator_integrations.store import Store

T = 1_700_000_000_123

TRADES = {
    "binance": (
        {"e": "aggTrade", "E": T, "s": "BTCUSDT", "a": 7, "p": "50.5", "q": "2.5", "f": 1, "l": 2, "T": T, "m": True},
        Trades("BTCUSDT", [Row(T, 50.5, 2.5, -1, 7)]),
    ),
    "bybit": (
        {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": T + 1, "data": [
            {"T": T, "s": "BTCUSDT", "S": "Sell", "v": "2.5", "p": "50.5", "L": "MinusTick", "i": "u-1", "BT": False},
            {"T": T, "s": "BTCUSDT", "S": "Buy", "v": "9.5", "p": "50.5", "L": "MinusTick", "i": "u-2", "BT": True}]},
        Trades("BTCUSDT", [Row(T, 50.5, 2.5, -1, "u-1")]),
    ),
    "okx": (
        {"arg": {"channel": "trades-all", "instId": "BTC-USDT-SWAP"}, "data": [{"instId": "BTC-USDT-SWAP",
            "tradeId": "7", "px": "50.5", "sz": "250", "side": "sell", "ts": str(T), "source": "0"}]},
        Trades("BTC-USDT-SWAP", [Row(T, 50.5, 250.0, -1, 7)]),
    ),
    "hyperliquid": (
        {"channel": "trades", "data": [{"coin": "BTC", "side": "A", "px": "50.5", "sz": "2.5", "hash": "0x0",
            "time": T, "tid": 7, "users": ["0xa", "0xb"]}]},
        Trades("BTC", [Row(T, 50.5, 2.5, -1, 7)]),
    ),
}  # fmt: skip
#: A long that was liquidated, as each venue says it: Binance and OKX by the closing order, Bybit by the position.
LIQUIDATIONS = {
    "binance": {"e": "forceOrder", "E": T + 9, "o": {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "2.5",
        "p": "49.0", "ap": "50.5", "X": "FILLED", "l": "2.5", "z": "2.5", "T": T}},
    "bybit": {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": T + 9,
        "data": [{"T": T, "s": "BTCUSDT", "S": "Buy", "v": "2.5", "p": "50.5"}]},
    "okx": {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [{"instId": "BTC-USDT-SWAP",
        "instType": "SWAP", "uly": "BTC-USDT", "details": [{"side": "sell", "posSide": "long", "bkPx": "50.5",
        "sz": "250", "bkLoss": "0", "ccy": "", "ts": str(T)}]}]},
}  # fmt: skip
MARKS = {
    "binance": [{"e": "markPriceUpdate", "E": T, "s": "BTCUSDT", "p": "60.0", "i": "60", "r": "0.0001", "T": T}],
    "bybit": [{"topic": "tickers.BTCUSDT", "type": "delta", "ts": T, "data": {"symbol": "BTCUSDT", "markPrice": "60.0",
        "fundingRate": "0.0001", "openInterest": "1800", "singleOpenInterest": "900"}}],
    "okx": [
        {"arg": {"channel": "mark-price"}, "data": [{"instId": "BTC-USDT-SWAP", "markPx": "60.0", "ts": str(T)}]},
        {"arg": {"channel": "funding-rate"}, "data": [{"instId": "BTC-USDT-SWAP", "fundingRate": "0.0001",
            "ts": str(T)}]},
        {"arg": {"channel": "open-interest"}, "data": [{"instId": "BTC-USDT-SWAP", "oi": "90000", "oiCcy": "900",
            "ts": str(T)}]},
    ],
    "hyperliquid": [{"channel": "activeAssetCtx", "data": {"coin": "BTC", "ctx": {"markPx": "60.0",
        "funding": "0.0001", "openInterest": "900", "midPx": "60"}}}],
}  # fmt: skip


@pytest.mark.parametrize("venue", VENUES)
def test_a_trade(venue):
    frame, want = TRADES[venue]
    assert list(MODULES[venue].read(frame)) == [want]


@pytest.mark.parametrize("venue", LIQUIDATIONS)
def test_a_liquidation(venue):
    (said,) = MODULES[venue].read(LIQUIDATIONS[venue])
    amount = 250.0 if venue == "okx" else 2.5
    assert isinstance(said, Liquidation)
    assert said[1:] == (T, 50.5, amount, "long")


@pytest.mark.parametrize("venue", MARKS)
def test_readings(venue):
    said = [one for frame in MARKS[venue] for one in MODULES[venue].read(frame)]
    known = {one.kind: one.value for one in said if isinstance(one, Reading)}
    want = {"mark": 60.0, "funding": 0.0001}
    interest = {"binance": {}, "bybit": {"contracts": 900.0}}.get(venue, {"open_interest": 900.0})
    assert known == want | interest


@pytest.mark.parametrize(
    ("venue", "frame"),
    [
        ("binance", {"error": {"code": 2, "msg": "Invalid request"}}),
        ("binance", {"code": 2, "msg": "Invalid request: unknown property"}),
        ("bybit", {"success": False, "ret_msg": "Invalid symbol", "op": "subscribe"}),
        ("okx", {"event": "error", "msg": "wrong", "code": "60018"}),
        ("hyperliquid", {"channel": "error", "data": "Invalid subscription"}),
    ],
)
def test_a_refusal(venue, frame):
    with pytest.raises(Refused):
        list(MODULES[venue].read(frame))


@pytest.mark.parametrize("told", [{"openInterest": "1800"}, {"singleOpenInterest": "900"}])
def test_open_interest_of_bybit_is_that_of_one_side(told):
    (said,) = MODULES["bybit"].read({"topic": "tickers.BTCUSDT", "type": "delta", "ts": T, "data": told})
    assert (said.kind, said.value) == ("contracts", 900.0)


def test_a_server_of_binance_says_that_it_will_end():
    assert list(MODULES["binance"].read({"e": "serverShutdown", "E": T})) == []


def test_a_combined_stream_of_binance_says_the_same():
    frame, want = TRADES["binance"]
    assert list(MODULES["binance"].read({"stream": "btcusdt@aggTrade", "data": frame})) == [want]


def test_a_frame_without_trades_that_cannot_be_read_is_counted_and_no_gap(server):
    """OKX's liquidations come by a connection of their own."""
    running = Liquidator("BTC", mode="streaming").start_stream(exchange=server.live("okx"))
    server.connected("okx", 2)
    server.send("okx", range(50))
    until(lambda: running.health()["trades"].sum() == 50)
    server.text("okx", json.dumps(LIQUIDATIONS["okx"]).replace('"50.5"', '"much"'), word="public")
    until(lambda: running.health()["dropped"].sum() == 1, "it is not counted")
    running.stop()
    assert running.gaps().empty


def test_what_comes_by_both_connections_of_okx_counts_once(server):
    running = Liquidator("BTC", mode="streaming").start_stream(exchange=server.live("okx"))
    server.connected("okx", 2)
    server.send("okx", range(50))
    until(lambda: running.health()["trades"].sum() == 50)
    server.text("okx", json.dumps(LIQUIDATIONS["okx"]), FRAMES["okx"](SHORT, 50))
    until(lambda: running.health()["trades"].sum() == 51)
    server.text("okx", FRAMES["okx"](SHORT, 51), word="public")
    server.text("okx", "no frame", word="public")
    until(lambda: running.health()["dropped"].sum() == 1)
    health = running.health().iloc[0]
    running.stop()
    assert (health["trades"], health["liquidations"]) == (51, 1)


@pytest.mark.parametrize("venue", VENUES)
def test_ccxt_says_the_same_of_a_trade(server, venue):
    """Its handler and ours, of one frame; amounts of contracts in contracts."""
    instance = server.live(venue)
    symbol = {"hyperliquid": "BTC/USDC:USDC"}.get(venue, "BTC/USDT:USDT")
    instance.set_markets(server.instance(venue).load_markets())
    for row in range(20):
        frame = json.loads(FRAMES[venue](SHORT, row))
        (said,) = MODULES[venue].read(frame)
        raw = frame if venue == "binance" else frame["data"][0]
        market = instance.market(symbol)
        parse = instance.parse_trade if venue == "okx" else instance.parse_ws_trade
        theirs = parse(raw, market)
        ours = said.rows[0]
        assert (theirs["timestamp"], theirs["price"], theirs["amount"]) == (ours.time, ours.price, ours.amount)
        assert theirs["side"] == {1: "buy", -1: "sell"}[ours.side]
        assert str(theirs["id"]) == str(ours.id)


@pytest.mark.parametrize("venue", LIQUIDATIONS)
def test_liquidations_are_placed_by_the_mark_price_where_theirs_is_of_bankruptcy(server, venue, tmp_path):
    made = Liquidator("BTC", mode="streaming")
    heard: list[Any] = []
    made.on_liquidation(heard.append)
    running = made.start_stream(exchange=server.live(venue), store=tmp_path / "store")
    server.connected(venue, 2 if venue == "okx" else 1)
    server.send(venue, range(50))
    until(lambda: running.health()["trades"].sum() == 50)
    at = int(SHORT.time[50])
    frames = [json.dumps(one).replace(str(T), str(at)) for one in (*MARKS[venue], LIQUIDATIONS[venue])]
    server.text(venue, *frames, word="public" if venue == "okx" else "")
    until(lambda: len(heard) == 1)
    health = running.health().iloc[0]
    running.stop()
    store = Store(tmp_path / "store")
    for kind in ("trades", "liquidations", "funding", *(() if venue == "binance" else ("open_interest",))):
        assert set(store.read(kind, "BTC/USDT:USDT")["received"].to_pylist()) == {int(SHORT.time[-1]) + 5}
    price = 50.5 if venue == "binance" else 60.0
    assert (heard[0]["side"], heard[0]["price"], heard[0]["usd"]) == ("long", price, 2.5 * price)
    assert health["liquidation_feed"] == {"binance": "sampled", "bybit": "full", "okx": "sampled"}[venue]
    assert (health["liquidations"], health["raw_long_usd"]) == (1, 2.5 * price)
    assert made._history.liquidations.rows["side"].tolist() == [LONG] != [SHORT_SIDE]
    assert made._history.rates["funding_rate"].rows["value"].tolist() == [0.0001]
    assert made._history.rates["open_interest"].rows["value"].tolist() == ([] if venue == "binance" else [900.0])


@pytest.mark.parametrize(
    ("venue", "frame", "hours", "due"),
    [
        ("binance", {"e": "markPriceUpdate", "E": T, "s": "A", "p": "1", "r": "0.01", "T": T + 9}, None, T + 9),
        ("bybit", {"topic": "tickers.A", "ts": T, "data": {"fundingRate": "0.01", "fundingIntervalHour": "4"}},
            4.0, None),
        ("bybit", {"topic": "tickers.A", "ts": T, "data": {"fundingRate": "0.01"}}, None, None),
        ("okx", {"arg": {"channel": "funding-rate"}, "data": [{"instId": "A", "ts": str(T), "fundingRate": "0.01",
            "fundingTime": str(T), "nextFundingTime": str(T + 7_200_000)}]}, 2.0, None),
    ],
)  # fmt: skip
def test_what_a_frame_says_of_the_interval_of_funding(venue, frame, hours, due):
    (said,) = (one for one in MODULES[venue].read(frame) if one.kind == "funding")
    assert (said.value, said.hours, said.due) == (0.01, hours, due)
