"""Messages of venues' streams: what they tell of, and that ``push`` takes them as ``ingest_*`` does."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from liquidator_core.layout import LONG, SHORT
from liquidator_core.timeframes import TIMEFRAMES, check_timeframe, timeframe_meant
from liquidator_integrations import Liquidator, read_bars
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.market.streams import candles_in, is_closed, sent_at, told_by

T = 1_700_000_040_000  # a whole minute
ORDER = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "2", "p": "99", "ap": "100", "X": "FILLED", "T": T}
FORCE = {"e": "forceOrder", "E": T, "o": ORDER}
DETAIL = {"bkLoss": "0", "bkPx": "100", "ccy": "", "posSide": "long", "side": "sell", "sz": "2", "ts": str(T)}
OKX = {"instFamily": "BTC-USDT", "instId": "BTC-USDT-SWAP", "instType": "SWAP", "uly": "BTC-USDT"}
CCXT = {"info": {}, "symbol": "BTC/USDT:USDT", "contracts": 2.0, "contractSize": 1.0, "price": 100.0, "side": "sell"}
CCXT |= {"timestamp": T, "datetime": "2023-11-14T22:14:00.000Z"}
BYBIT = {"T": T, "s": "BTCUSDT", "S": "Buy", "v": "2", "p": "100"}
LIQUIDATIONS = [
    ("binance", FORCE),
    ("binance", ORDER),
    ("binance", {"stream": "btcusdt@forceOrder", "data": FORCE}),
    ("okx", {"arg": {"channel": "liquidation-orders"}, "data": [OKX | {"details": [DETAIL | {"base_size": 2}]}]}),
    ("okx", {"data": [OKX | {"details": [DETAIL | {"base_size": 2}]}]}),
    ("okx", OKX | {"details": [DETAIL | {"ctVal": 1}]}),
    ("binance", CCXT | {"baseValue": None, "quoteValue": None}),
    ("binance", CCXT | {"baseValue": 2.0, "quoteValue": 200.0}),
    ("bybit", {"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": T, "data": [BYBIT]}),
    (
        "bybit",
        {
            "topic": "liquidation.BTCUSDT",
            "type": "snapshot",
            "ts": T,
            "data": {"updatedTime": T, "symbol": "BTCUSDT", "side": "Buy", "size": "2", "price": "100"},
        },
    ),
]  # fmt: skip


def seen(made: Liquidator) -> list[tuple[int, float, float, int]]:
    rows = made._history.liquidations.rows
    return [(int(row["time"]), float(row["price"]), float(row["usd"]), int(row["side"])) for row in rows]


@pytest.mark.parametrize(("venue", "message"), LIQUIDATIONS)
def test_liquidations_on_every_road(venue, message):
    for give in ("push", "ingest_liquidations"):
        made = Liquidator("BTC")
        getattr(made, give)(message, venue)
        assert seen(made) == [(T, 100.0, 200.0, LONG)]
    made = Liquidator("BTC")
    made.ingest_liquidations([message, message], venue)
    assert seen(made) == [(T, 100.0, 200.0, LONG)] * 2
    assert made.skipped == 0


@pytest.mark.parametrize(("venue", "message"), LIQUIDATIONS)
def test_a_liquidation_is_no_trade(venue, message):
    with pytest.raises(ValueError, match="found liquidations, allowed trades: ingest_liquidations takes them"):
        Liquidator("BTC").ingest_trades([message, message], venue)


def test_contracts_of_unsaid_size_are_refused_on_both_roads():
    message = {"data": [OKX | {"details": [DETAIL]}]}
    for give in ("push", "ingest_liquidations"):
        with pytest.raises(ValueError, match="sz: okx counts BTC-USDT-SWAP in contracts"):
            getattr(Liquidator("BTC"), give)(message, "okx")
    made = Liquidator("BTC", on_bad="skip")
    made.push(message, "okx")
    assert made.skipped == 1


BINANCE = {"e": "aggTrade", "E": T, "s": "BTCUSDT", "a": 5, "p": "100", "q": "2", "f": 1, "l": 2, "T": T, "m": True}
BYBIT_TRADE = {"T": T, "s": "BTCUSDT", "S": "Sell", "v": "2", "p": "100", "i": "20f4", "BT": False}
OKX_TRADE = {"instId": "BTC-USDT", "tradeId": "1", "px": "100", "sz": "2", "side": "sell", "ts": str(T)}
TRADES = [
    ("binance", {"stream": "btcusdt@aggTrade", "data": BINANCE}),
    ("bybit", {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": T, "data": [BYBIT_TRADE]}),
    ("okx", {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [OKX_TRADE]}),
]  # fmt: skip


@pytest.mark.parametrize(("venue", "message"), TRADES)
def test_enveloped_trades_on_both_roads(venue, message):
    for give in ("push", "ingest_trades"):
        made = Liquidator("BTC")
        getattr(made, give)(message, venue)
        trades = dict(made._history.arrays())["queue_trades"]
        assert [trades[name].tolist() for name in ("time", "price", "size", "side")] == [[T], [100.0], [2.0], [-1]]
        with pytest.raises(ValueError, match="allowed 'ETH'"):
            getattr(Liquidator("ETH"), give)(message, venue)


BYBIT_TRADE = {"T": T, "s": "BTCUSD", "S": "Buy", "v": "50000", "p": "50000", "L": "PlusTick", "i": "a", "BT": False}
MATCH = {"type": "match", "trade_id": 10, "maker_order_id": "a", "taker_order_id": "b", "product_id": "BTC-USD"}
MATCH |= {"time": "2023-11-14T22:14:00Z", "size": "1", "price": "50000", "side": "sell"}  # of the maker
MARKET_TRADE = {"trade_id": "1", "product_id": "BTC-USD", "price": "50000", "size": "1", "side": "SELL"}
ALONE = [
    {"topic": "publicTrade.BTCUSD", "type": "snapshot", "ts": T, "data": [BYBIT_TRADE]},
    BYBIT_TRADE,
    MATCH,
    {"channel": "market_trades", "events": [{"trades": [MARKET_TRADE | {"time": "2023-11-14T22:14:00Z"}]}]},
]


@pytest.mark.parametrize("message", ALONE)
@pytest.mark.parametrize("road", ["push", "one", "ingest", "file"])
def test_a_venue_s_own_form_needs_no_name(message, road, tmp_path):
    """Inverse contracts of Bybit count dollars; Coinbase gives the maker's side."""
    later = {"time": T + 60_000, "price": 50000.0, "size": 1.0, "side": "buy"}
    if road == "file" and message in (BYBIT_TRADE, MATCH):
        (tmp_path / "a.jsonl").write_text(
            "\n".join(json.dumps(message | {"T": at, "time": at}) for at in (T, T + 60_000))
        )
        bars = read_bars(tmp_path / "a.jsonl")
    else:
        made = Liquidator("BTC")
        if road == "push":
            made.push(message)
        else:
            made.ingest_trades([message] if road == "one" else message if "data" in message else [message])
        made.ingest_trades([later])
        bars = made.bars()
    assert bars[["time", "volume", "taker_buy"]].tolist() == [(T, 1.0, 1.0)]


def test_contracts_of_bitmex_are_refused_by_name():
    row = {"timestamp": T, "symbol": "XBTUSD", "side": "Buy", "size": 50000, "price": 50000}
    with pytest.raises(ValueError, match="size: bitmex counts XBTUSD in contracts"):
        Liquidator("BTC").push({"table": "trade", "data": [row]})


def test_messages_of_several_venues_in_one_list_are_refused():
    other = {"stream": "btcusdt@trade", "data": {"s": "BTCUSDT", "p": "1", "q": "1", "T": T, "m": True}}
    with pytest.raises(ValueError, match="found messages of bybit and of others in one list"):
        Liquidator("BTC").ingest_trades([ALONE[0], other])
    with pytest.raises(ValueError, match="found messages of bybit and of others in one list"):
        Liquidator("BTC").ingest_liquidations([{"topic": "allLiquidation.BTCUSDT", "data": [BYBIT]}, FORCE])


@pytest.mark.parametrize(("venue", "message"), [one for one in LIQUIDATIONS if one[0] == "bybit"])
def test_liquidations_of_bybit_are_told_by_their_topic(venue, message):
    for give in ("push", "ingest_liquidations"):
        made = Liquidator("BTC")
        getattr(made, give)(message)
        assert seen(made) == [(T, 100.0, 200.0, LONG)]


def test_liquidations_of_bybit_are_told_by_their_names(tmp_path):
    for data in ([BYBIT, BYBIT], {"data": [BYBIT, BYBIT]}, {name: [value] * 2 for name, value in BYBIT.items()}):
        made = Liquidator("BTC")
        made.ingest_liquidations(data)
        assert seen(made) == [(T, 100.0, 200.0, LONG)] * 2


@pytest.mark.parametrize("road", ["push", "one", "ingest", "file"])
def test_trades_of_an_answer_of_bybit_are_its_own(road, tmp_path):
    rows = [
        {"execId": name, "symbol": "BTCUSD", "price": "50000", "size": "50000", "side": "Buy", "time": str(at)}
        | {"isBlockTrade": False}
        for name, at in (("b", T + 60_000), ("a", T))
    ]
    answer = {"retCode": 0, "retMsg": "OK", "result": {"category": "inverse", "list": rows}, "time": T + 60_001}
    if road == "file":
        (tmp_path / "a.json").write_text(json.dumps(answer))
        bars = read_bars(tmp_path / "a.json")
    else:
        made = Liquidator("BTC")
        made.push(answer) if road == "push" else made.ingest_trades([answer] if road == "one" else answer)
        bars = made.bars()
    assert bars[["time", "volume", "taker_buy"]].tolist()[0] == (T, 1.0, 1.0)


K = {"t": T, "T": T + 59_999, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 2, "o": "100", "c": "101", "h": "102", "l": "99"}
K |= {"v": "10", "n": 2, "x": True, "q": "1005", "V": "4", "Q": "400", "B": "0"}
KLINE = {"e": "kline", "E": T + 60_000, "s": "BTCUSDT", "k": K}
NAMED = {"start": T, "end": T + 59_999, "interval": "1", "open": "100", "close": "101", "high": "102", "low": "99"}
NAMED |= {"volume": "10", "turnover": "1005", "confirm": True, "timestamp": T + 60_000}
SENT = T + 60_000
ROW = [str(T), "100", "102", "99", "101", "1000", "10", "1005", "1"]
CANDLES = [
    KLINE,
    K,
    {"stream": "btcusdt@kline_1m", "data": KLINE},
    {"topic": "kline.1.BTCUSDT", "type": "snapshot", "ts": T, "data": [NAMED]},
    {"arg": {"channel": "candle1m", "instId": "BTC-USDT-SWAP"}, "data": [ROW]},
    {
        "action": "update",
        "ts": SENT,
        "arg": {"channel": "candle1m", "instId": "BTCUSDT"},
        "data": [[str(T), "100", "102", "99", "101", "10", "1005", "1005"]],
    },
    {"e": "continuous_kline", "ps": "BTCUSDT", "k": {name: value for name, value in K.items() if name != "s"}},
    {
        "ch": "market.btcusdt.kline.1min",
        "ts": SENT,
        "tick": {"id": T // 1000, "open": 100, "close": 101, "low": 99, "high": 102, "amount": 10, "vol": 1005},
    },
    {"channel": "candle", "data": {name: value for name, value in K.items() if name not in "xqV"} | {"s": "BTC"}},
    {
        "channel": "ohlc",
        "timestamp": "2023-11-14T22:15:00.000000123Z",
        "data": [
            {"symbol": "BTC/USD", "open": 100, "high": 102, "low": 99, "close": 101, "volume": 10}
            | {"interval_begin": "2023-11-14T22:14:00.000000000Z", "timestamp": "2023-11-14T22:15:00.000000Z"}
        ],
    },
]


@pytest.mark.parametrize("message", CANDLES)
def test_a_kline_becomes_a_bar(message, tmp_path):
    form = [message] if message is K else message
    bars = bars_from_frame(form)
    assert bars[["time", "open", "high", "low", "close", "volume"]].tolist() == [(T, 100.0, 102.0, 99.0, 101.0, 10.0)]
    for give in ("push", "update_candles"):
        if message is not K:
            made = Liquidator("BTC")
            getattr(made, give)(message)
            waits = give == "push" and message in SILENT and sent_at(message) is None
            assert made.bars()["close"].tolist() == [101.0][waits:]
            with pytest.raises(ValueError, match="one Liquidator a coin"):
                getattr(Liquidator("ETH"), give)(message)
    (tmp_path / "kept.json").write_text(json.dumps([message]))
    assert read_bars(tmp_path / "kept.json").tobytes() == bars.tobytes()


SILENT = [one for one in CANDLES if is_closed(candles_in([one])[0]) is None]
LOWER = {99: 98, "99": "98"}
NEXT = {T: T + 60_000, str(T): str(T + 60_000), T // 1000: T // 1000 + 60, str(T // 1000): str(T // 1000 + 60)}
NEXT |= {"2023-11-14T22:14:00.000000000Z": "2023-11-14T22:15:00.000000000Z"}


def sent(seconds: int) -> dict[Any, Any]:
    """So many seconds after the candle has begun, in place of when it ended."""
    text = "2023-11-14T22:15:00.000000123Z"
    return {
        SENT: T + 1000 * seconds,
        text: str(np.datetime64(text[:-1], "ns") + np.timedelta64(seconds - 60, "s")) + "Z",
    }


def other(message: Any, values: dict[Any, Any]) -> Any:
    """A message with other values."""
    if isinstance(message, dict):
        return {name: other(value, values) for name, value in message.items()}
    return [other(one, values) for one in message] if isinstance(message, list) else values.get(message, message)


@pytest.mark.parametrize("mode", ["batch", "streaming"])
@pytest.mark.parametrize("message", SILENT)
def test_a_candle_that_does_not_say_whether_it_is_closed_waits(message, mode):
    """A stream tells a candle again and again while it is open, and some never say which time was the last."""
    made = Liquidator("BTC", mode=mode)
    for values in (sent(20), sent(59) | LOWER):
        made.push(other(message, values))
        assert len(made.bars()) == 0
    made.push(other(message, NEXT | sent(61)))
    assert made.bars()[["time", "low"]].tolist() == [(T, 98.0)]
    made.push(other(message, NEXT | sent(120)))
    ended = [(T, 98.0), (T + 60_000, 99.0)]
    assert made.bars()[["time", "low"]].tolist() == ended[: 1 if sent_at(message) is None else 2]


def test_a_candle_that_waits_gives_way_to_a_closed_one():
    (silent,) = (message for message in SILENT if sent_at(message) is None)
    closed = bars_from_frame(other(silent, {"10": "500"}))
    made = Liquidator("BTC")
    made.push(silent)
    made.update_candles(closed)
    made.push(other(silent, NEXT))
    assert made.bars()["volume"].tolist() == [500.0]
    older = closed.copy()
    older["time"] -= 60_000
    made.update_candles(older)
    assert made.bars()["time"].tolist() == [T - 60_000, T]
    made.push(other(silent, {T: T + 120_000}))
    assert made.bars()["time"].tolist() == [T - 60_000, T, T + 60_000]


def test_a_candle_beside_the_grid_is_skipped_alone():
    (silent,) = (message for message in SILENT if sent_at(message) is None)
    made = Liquidator("BTC", on_bad="skip")
    made.push(other(silent, {T: T + 1000}))
    made.push(silent)
    made.push(other(silent, NEXT))
    assert made.bars()["time"].tolist() == [T]


def test_an_open_kline_is_passed_over_and_another_length_refused():
    made = Liquidator("BTC")
    made.push({**KLINE, "k": K | {"x": False}})
    assert (made.not_trades, len(made.bars())) == (1, 0)
    with pytest.raises(ValueError, match="candles must be of 1h, got one of 1m"):
        Liquidator("BTC", bar="1h").push({**KLINE, "k": K | {"t": T - T % 3_600_000}})
    with pytest.raises(ValueError, match="found candles, allowed trades: update_candles takes them"):
        made.ingest_trades(KLINE)


def coinbase(begin: int, sent: str) -> dict[str, Any]:
    candle = {name: NAMED[name] for name in ("open", "high", "low", "close", "volume")}
    candle |= {"start": str(begin // 1000), "product_id": "BTC-USD"}
    return {"channel": "candles", "timestamp": sent, "events": [{"type": "update", "candles": [candle]}]}


def test_candles_of_coinbase_are_of_five_minutes():
    """They do not say so, nor whether they are closed."""
    begin = T + 60_000
    made = Liquidator("BTC", bar="5m")
    made.push(coinbase(begin, "2023-11-14T22:16:00.000000123Z"))
    assert len(made.bars()) == 0
    closed = coinbase(begin, "2023-11-14T22:20:00.000000123Z")
    made.push(closed)
    assert made.bars()[["time", "close", "volume"]].tolist() == [(begin, 101.0, 10.0)]
    assert bars_from_frame(closed)["time"].tolist() == [begin]
    with pytest.raises(ValueError, match=r"candles must be of 1m, got one of 5m$"):
        Liquidator("BTC").push(closed)


def test_a_length_that_stands_inside_a_message_is_seen():
    candle = {name: K[name] for name in "ohlcv"} | {"t": T - T % 3_600_000}
    result = {"channel": "candlestick", "subscription": "candlestick.1h.BTC_USDT", "instrument_name": "BTC_USDT"}
    message = {"id": -1, "method": "subscribe", "result": result | {"interval": "1h", "data": [candle]}}
    Liquidator("BTC", bar="1h").push(message)
    with pytest.raises(ValueError, match=r"candles must be of 1m, got one of 1h$"):
        Liquidator("BTC").push(message)


GATE = {"t": str(T // 1000), "v": "1005", "c": "101", "h": "102", "l": "99", "o": "100", "n": "1m_BTC_USDT", "a": "10"}


def gate(**more):
    return {"time": 1, "channel": "spot.candlesticks", "event": "update", "result": GATE | {"w": True} | more}


def test_a_kline_of_gate():
    made = Liquidator("BTC")
    made.push(gate())
    made.push(gate(t=str(T // 1000 + 60), w=False))
    assert made.bars()[["time", "volume"]].tolist() == [(T, 10.0)]
    assert made.not_trades == 1
    with pytest.raises(ValueError, match="found 'BTC_USDT', allowed 'ETH': one Liquidator a coin"):
        Liquidator("ETH").push(gate())
    with pytest.raises(ValueError, match="candles must be of 1h, got one of 1m"):
        Liquidator("BTC", bar="1h").push(gate(t=str((T - T % 3_600_000) // 1000)))


@pytest.mark.parametrize(
    ("topic", "said"),
    [
        ({"arg": {"channel": "candle1H", "instId": "BTC-USDT-SWAP"}}, "1H"),
        ({"arg": {"channel": "candle1Dutc", "instId": "BTC-USDT-SWAP"}}, "1D"),
        ({"arg": {"channel": "candle5m", "instId": "BTCUSDT", "instType": "SPOT"}}, "5m"),
        ({"topic": "kline.60.BTCUSDT"}, "60"),
        ({"topic": "kline.D.BTCUSDT"}, "D"),
        ({"ch": "market.btcusdt.kline.60min"}, "60min"),
        ({"stream": "btcusdt@kline_4h"}, "4h"),
        ({"topic": "/market/candles:BTC-USDT_1hour"}, "1hour"),
    ],
)
def test_a_topic_that_says_another_length_is_refused(topic, said):
    row = {name: NAMED[name] for name in ("open", "high", "low", "close", "volume")} | {"start": 1_699_920_000_000}
    message = topic | {"data": [row | {"symbol": "BTCUSDT"}]}
    with pytest.raises(ValueError, match=f"candles must be of 1m, got one of {said}$"):
        Liquidator("BTC").push(message)


def test_rows_of_candles_of_unknown_columns_are_refused_on_both_roads():
    row = [str(T), "100", "102", "99", "101", "10", "7", "7"]
    message = {"action": "update", "arg": {"channel": "candle1m", "instId": "BTCUSDT"}, "data": [row]}
    for give in ("push", "update_candles"):
        with pytest.raises(
            ValueError, match=r"found rows of 8 values \(.*\) in no order that is known: give the columns names"
        ):
            getattr(Liquidator("BTC"), give)(message)


@pytest.mark.parametrize("message", [{}, {"price": 1.0}, {"d": 5}, {"fees": [{"cost": 1}]}, {"k": 5}, 7, None, [FORCE]])
def test_what_is_no_message(message):
    assert told_by(message) == ""


def test_names_of_binance_vision():
    made = Liquidator("BTC", bar="1h")
    hour = T - T % 3_600_000
    metrics = {"create_time": hour + 1, "symbol": "BTCUSDT", "sum_open_interest": "5", "sum_open_interest_value": "9"}
    made.ingest_open_interest([metrics])
    made.ingest_funding_rates([{"calc_time": hour + 1, "funding_interval_hours": 8, "last_funding_rate": "0.0001"}])
    made.update_candles([[hour + i * 3_600_000, 1, 1, 1, 1, 1] for i in range(2)])
    assert made.bars()[["open_interest", "funding_rate"]].tolist()[0] == (5.0, 0.0001)
    candle = {"time": [T], "open": [1], "high": [1], "low": [1], "close": [1], "volume": [1]}
    for name, field in (
        ("sumOpenInterest", "open_interest"), ("sum_open_interest", "open_interest"), ("long_usd", "liq_long_usd"),
        ("shortUsd", "liq_short_usd"), ("last_funding_rate", "funding_rate"), ("lastFundingRate", "funding_rate"),
    ):  # fmt: skip
        assert bars_from_frame(candle | {name: [7.0]})[field].tolist() == [7.0]


def test_a_thin_feed_is_told_once(caplog):
    made = Liquidator("BTC", cutoff_hours=None)
    rng = np.random.default_rng(0)
    made.update_candles([[T + i * 60_000, 100, 100, 100, 100, 1] for i in range(60)])
    times = np.sort(T + rng.integers(0, 3_600_000, 67)).tolist()
    made.ingest_liquidations([{"time": time, "price": 100.0, "side": "long", "usd": 500.0} for time in times])
    made.compute_zones()
    made.compute_zones(min_quality="weak")
    told = [record.message for record in caplog.records if "thin feed" in record.message]
    assert len(told) == 1
    assert "of 60 observed bars hold any" in told[0]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("60m", "1h"), ("240", "4h"), ("4H", "4h"), ("D", "1d"), ("1D", "1d"), ("W", "1w"), ("7d", "1w"), ("M", "1M"),
        ("1M", "1M"), ("1m", "1m"), ("1 hour", "1h"), ("15min", "15m"), ("24h", "1d"), ("3D", "3d"), ("month", "1M"),
        ("H4", "4h"), ("M15", "15m"), ("M1", "1m"), ("D1", "1d"), ("MN1", "1M"), ("Min60", "1h"), ("daily", "1d"),
        ("H", "1h"), ("X4", None), ("M7", None), ("7m", None),
        ("2M", None), ("", None), ("x", None), ("30S", None), ("-5", None), ("9" * 5000, None),
    ],
)  # fmt: skip
def test_other_spellings_of_timeframes(text, meant):
    assert timeframe_meant(text) == meant
    if text not in TIMEFRAMES:
        with pytest.raises(ValueError, match=f"did you mean '{meant}'" if meant else "must be one of"):
            check_timeframe(text)


def test_sides_of_shorts():
    made = Liquidator("BTC")
    made.push({**FORCE, "o": ORDER | {"S": "BUY"}}, "binance")
    assert seen(made)[0][3] == SHORT


def test_four_venues_do_not_say_which_candles_are_closed():
    assert len(SILENT) == 4
    assert [message["channel"] for message in SILENT if sent_at(message) is None] == ["candle"]  # Hyperliquid's


@pytest.mark.parametrize("channel", ["mark-price-candle1m", "index-candle1m"])
@pytest.mark.parametrize("confirm", ["0", "1"])
def test_candles_without_a_volume_are_refused(channel, confirm):
    """OKX's, of a mark price or an index, whose sixth value says whether they are closed."""
    message = {"arg": {"channel": channel, "instId": "BTC-USDT"}, "data": [[str(T), "1", "2", "1", "2", confirm]]}
    made = Liquidator("BTC")
    with pytest.raises(ValueError, match=f"found '{channel}', allowed candles of trades"):
        made.push(message)


@pytest.mark.parametrize("topic", ["btcusd@markPriceKline_1m", "btcusd@indexPriceKline_1m"])
def test_candles_of_a_mark_price_of_binance_are_refused(topic):
    with pytest.raises(ValueError, match=f"found '{topic}', allowed candles of trades"):
        told_by({"stream": topic, "data": {"e": "kline", "k": {}}})
