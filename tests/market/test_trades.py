"""What venues call things, and what bad input is answered with: table by table."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from venue_messages import ISO, SAID, T

from liquidator_core.layout import LONG, SHORT
from liquidator_integrations import Liquidator
from liquidator_integrations.market.coins import Identity
from liquidator_integrations.market.liquidations import read_liquidations, read_rates
from liquidator_integrations.market.trades import read_trades
from liquidator_integrations.market.venues import VENUES, venue_of

BTC = Identity("BTC")


def waiting(made: Liquidator) -> np.ndarray:
    """The trades whose bar has not closed."""
    return dict(made._history.arrays())["queue_trades"]


@pytest.mark.parametrize("name", SAID)
def test_a_venues_trade_is_read_alike_in_bulk_and_one_by_one(name):
    venue, bought, changes = SAID[name]
    sold = dict(enumerate(bought)) if isinstance(bought, list) else bought
    sold = {**sold, **changes}
    sold = list(sold.values()) if isinstance(bought, list) else sold
    first, second = read_trades([bought, sold], BTC, venue).parts[0].trades
    for trade, side in ((first, 1), (second, -1)):
        assert abs(int(trade["time"]) - T) <= (
            T % 1000 if name == "bitstamp stream" else 5 if name == "poloniex" else 1
        )
        assert trade["price"] == 50.5
        assert trade["size"] == 2.5
        assert trade["side"] == side
    ids = read_trades([bought, sold], BTC, venue).parts[0].ids
    if "mexc" in name or name in ("phemex",):
        assert ids is None or (ids == -1).all()
    else:
        assert name.startswith("the older") or ids[0] == ids[1] != -1
    if isinstance(bought, list):
        return
    made = Liquidator()
    for trade, row in ((bought, first), (sold, second)):
        one, _, _ = made._reader.read(trade, venue, None, made._identity)
        assert (one.time, one.price, one.size, one.side) == tuple(row)
        if ids is not None:
            assert one.id == ids[0]


CONTRACTS = [
    ("okx", {"instId": "BTC-USDT-SWAP"}),
    ("okx", {"instId": "BTC-USD-261225"}),
    ("okx", {"symbol": "BTC/USDT:USDT"}),  # ccxt
    ("binance", {"symbol": "BTCUSD_PERP"}),
    ("binance", {"s": "BTCUSD_261225", "symbol": "BTCUSD_261225"}),
    ("gate", {"contract": "BTC_USDT"}),
    ("kucoin", {"symbol": "XBTUSDTM"}),
    ("mexc", {"O": 1, "M": 1}),
    ("bitmex", {"symbol": "XBTUSD"}),
    ("bitmex", {}),
    ("coinbase", {"product_id": "BIT-29DEC26-CDE"}),
    ("poloniex", {"symbol": "BTC_USDT_PERP"}),
    ("htx", {"contract_code": "BTC-USD"}),
]
PLAIN = [
    ("okx", {"instId": "BTC-USDT"}),
    ("binance", {"symbol": "BTCUSDT"}),
    ("binance", {"symbol": "BTCUSDT_261225"}),
    ("binance", {"symbol": "BTC/USDT:USDT"}),
    ("bybit", {"symbol": "BTCUSDT"}),
    ("bybit", {"symbol": "BTCPERP"}),
    ("gate", {"currency_pair": "BTC_USDT"}),
    ("kucoin", {"symbol": "BTC-USDT"}),
    ("hyperliquid", {}),
    ("coinbase", {"product_id": "BTC-USD"}),
]


class TestContracts:
    """Sizes are base units; where a venue counts something else, it is converted or refused, never taken as it is."""

    @pytest.mark.parametrize(("venue", "market"), CONTRACTS)
    def test_contracts_whose_size_no_trade_says_are_refused(self, venue, market):
        trade = {"time": T, "price": 50.5, "amount": 3.0, "side": "buy", **market}
        one = {"time": T, "price": 50.5, "usd_value": 101.0, "side": "long", **market}
        for mode in ("batch", "streaming"):
            made = Liquidator(mode=mode)
            for take in (made.ingest_trades, made.ingest_liquidations):
                with pytest.raises(ValueError, match=rf"amount: {venue} counts .*contracts.* base_size"):
                    take([trade, {**trade, "time": T + 1}], venue=venue)
            with pytest.raises(ValueError, match=rf"amount: {venue} counts .*contracts.* base_size"):
                made.push(trade, venue=venue)
            assert made._history.clock == 0
        made.ingest_trades([{**trade, "base_size": 0.3}], venue=venue)
        assert waiting(made)["size"].tolist() == [0.3]
        made.ingest_liquidations([{**trade, "base_size": 2.0, "side": "long"}], venue=venue)
        made.ingest_liquidations([one], venue=venue)
        assert made._history.liquidations.rows["usd"].tolist() == [101.0, 101.0]

    @pytest.mark.parametrize(("venue", "market"), PLAIN)
    def test_base_units_are_taken_as_they_are(self, venue, market):
        trade = {"time": T, "price": 50.5, "amount": 3.0, "side": "buy", **market}
        made = Liquidator()
        made.ingest_trades([trade, {**trade, "time": T + 1}], venue=venue)
        made.push({**trade, "time": T + 2}, venue=venue)
        assert waiting(made)["size"].tolist() == [3.0] * 3

    @pytest.mark.parametrize(
        ("venue", "market"), [("bybit", "BTCUSD"), ("bybit", "BTCUSDZ26"), ("deribit", "BTC-PERPETUAL")]
    )
    def test_liquidations_of_inverse_contracts_are_usd(self, venue, market):
        made = Liquidator()
        made.ingest_liquidations(
            [{"time": T, "price": 50.5, "size": 700.0, "side": "long", "symbol": market}], venue=venue
        )
        assert made._history.liquidations.rows["usd"].tolist() == [700.0]

    def test_where_the_unit_hangs_on_the_market_it_must_be_named(self):
        trade = {"time": T, "price": 50.5, "amount": 3.0, "direction": "buy"}
        for take in (Liquidator().ingest_trades, Liquidator().push):
            with pytest.raises(ValueError, match="missing column for market"):
                take(trade, venue="deribit")


# venue -> what its REST answers and its stream wrap around one trade of SAID
WRAPPED = [
    ("binance stream", lambda trade: trade),
    ("binance stream", lambda trade: {"stream": "btcusdt@aggTrade", "data": trade}),
    ("bybit rest", lambda trade: {"retCode": 0, "result": {"category": "spot", "list": [trade]}}),
    ("bybit stream", lambda trade: {"topic": "publicTrade.BTCUSDT", "type": "snapshot", "ts": T, "data": [trade]}),
    ("okx", lambda trade: {"code": "0", "msg": "", "data": [trade]}),
    ("okx", lambda trade: {"arg": {"channel": "trades", "instId": "BTC-USDT"}, "data": [trade]}),
    ("coinbase", lambda trade: {"channel": "market_trades", "events": [{"type": "update", "trades": [trade]}]}),
    ("kraken", lambda trade: {"error": [], "result": {"XXBTZUSD": [trade], "last": "1"}}),
    ("kraken", lambda trade: [0, [trade[:-1]], "trade", "XBT/USD"]),
    ("kraken stream", lambda trade: {"channel": "trade", "type": "update", "data": [trade]}),
    ("bitfinex", lambda trade: [17470, "te", trade]),
    ("bitfinex", lambda trade: [17470, [trade]]),
    ("htx", lambda trade: {"status": "ok", "data": [{"id": 1, "ts": T, "data": [trade]}]}),
    ("htx", lambda trade: {"ch": "market.btcusdt.trade.detail", "ts": T, "tick": {"id": 1, "ts": T, "data": [trade]}}),
    ("kucoin", lambda trade: {"type": "message", "topic": "/market/match:BTC-USDT", "data": trade}),
    ("bitget", lambda trade: {"action": "snapshot", "arg": {"instId": "BTCUSDT"}, "data": [trade], "ts": T}),
    ("gate spot", lambda trade: {"time": T, "channel": "spot.trades", "event": "update", "result": trade}),
    ("mexc contract", lambda trade: {"symbol": "BTC_USDT", "data": [trade], "channel": "push.deal", "ts": T}),
    ("bitstamp stream", lambda trade: {"data": trade, "channel": "live_trades_btcusd", "event": "trade"}),
    ("cryptocom", lambda trade: {"id": -1, "code": 0, "result": {"channel": "trade", "data": [trade]}}),
    ("bingx", lambda trade: {"code": 0, "dataType": "BTC-USDT@trade", "data": trade}),
    ("phemex", lambda trade: {"sequence": 1, "symbol": "BTCUSDT", "trades_p": [trade], "type": "incremental"}),
    ("poloniex", lambda trade: {"channel": "trades", "data": [trade]}),
    ("deribit inverse", lambda trade: {"jsonrpc": "2.0", "result": {"trades": [trade], "has_more": True}}),
    ("deribit inverse", lambda trade: {"method": "subscription", "params": {"channel": "x", "data": [trade]}}),
    ("bitmex", lambda trade: {"table": "trade", "action": "insert", "data": [trade]}),
    ("hyperliquid", lambda trade: {"channel": "trades", "data": [trade]}),
    ("dydx", lambda trade: {"type": "channel_data", "contents": {"trades": [trade]}}),
    ("ccxt", lambda trade: trade),
]  # fmt: skip


@pytest.mark.parametrize(("name", "wrapped"), WRAPPED)
def test_what_an_api_wraps_around_trades_is_taken_off(name, wrapped):
    venue, bought, _ = SAID[name]
    message = wrapped(bought)
    forms = [message] if isinstance(message, list) else [message, [message]]
    for form in forms:
        some = read_trades(form, BTC, venue).parts
        assert [(len(part.trades), *part.trades[["price", "size", "side"]][0]) for part in some] == [(1, 50.5, 2.5, 1)]
        made = Liquidator(on_bad="skip")
        made.ingest_trades(form, venue=venue)
        assert (waiting(made)["size"].tolist(), made.skipped) == ([2.5], 0)


@pytest.mark.parametrize(
    "nothing", [{"code": "0", "data": []}, {"result": {"category": "spot", "list": []}}, {"result": {"trades": []}}, {}]
)
def test_an_answer_without_trades_is_none(nothing):
    assert read_trades(nothing, BTC, "okx").parts == []
    Liquidator().ingest_trades(nothing)


NO_IDS = [None, "", math.nan, "nan", pd.NA, np.float64("nan")]
IDS = [
    7,
    "7",
    7.0,
    np.int64(7),
    -5,
    "-5",
    2**63 - 1,
    str(2**63),
    str(2**70),
    "u-1",
    "007",
    "\u0663",
    np.uint64(2**64 - 1),
]


@pytest.mark.parametrize("ident", NO_IDS, ids=repr)
def test_without_an_id_every_trade_counts(ident):
    trade = {**GOOD, "id": ident}
    for mode in ("batch", "streaming"):
        for on_bad in ("raise", "skip"):
            made = Liquidator(mode=mode, on_bad=on_bad)
            made.push(trade)
            made.ingest_trades([trade])
            made.ingest_trades([trade, trade])
            made.ingest_trades(pd.DataFrame([trade, {**trade, "id": "x"}]))
            assert made.counts["repeated"] == 0
            assert len(waiting(made)) == 6


@pytest.mark.parametrize("ident", IDS, ids=repr)
def test_an_id_is_the_same_one_by_one_and_in_bulk(ident):
    trade = {**GOOD, "id": ident}
    for first, second in (("push", "ingest_trades"), ("ingest_trades", "push")):
        made = Liquidator()
        for name in (first, second):
            getattr(made, name)(trade if name == "push" else [trade, {**trade, "time": T + 1}])
        made.ingest_trades(pd.DataFrame([trade]))
        made.ingest_trades(pd.DataFrame([{**trade, "id": str(ident).removesuffix(".0")}, {**trade, "id": "other"}]))
        assert made.counts["repeated"] == 4
        assert len(waiting(made)) == 2
        made.push({**trade, "time": T + 600_000})
        made.compute_zones()


def test_from_exchange_reads_what_the_api_gave():
    made = Liquidator.from_exchange("BTC-USD", exchange="coinbase", raw_data=[SAID["coinbase"][1]], bar="5m")
    assert made.coin == "BTC"
    assert made._history.tape._pushed[0][3] == 1


@pytest.mark.parametrize(
    ("symbol", "coin"),
    [
        ("BTC", "BTC"), ("BTCUSDT", "BTC"), ("BTC-USD", "BTC"), ("eth/usdt:usdt", "ETH"), ("XBTUSD", "BTC"),
        ("DOGE_USDT", "DOGE"), ("BTC-PERP", "BTC"), ("SOLUSDC", "SOL"), ("USDT", "USDT"),
    ],
)  # fmt: skip
def test_coin_of_a_market(symbol, coin):
    assert Liquidator.from_exchange(symbol, "binance", raw_data=[]).coin == coin


def test_venues_in_a_column_are_read_by_their_own_rules():
    rows = [
        {"time": T, "price": 1.0, "size": 2.0, "side": "sell", "exchange": "coinbase", "id": 1},
        {"time": T, "price": 1.0, "size": 2.0, "side": "sell", "exchange": "okx", "id": 1},
    ]
    parts = {part.venue: part for part in read_trades(pd.DataFrame(rows), BTC).parts}
    assert parts["coinbase"].trades["side"].tolist() == [1]
    assert parts["okx"].trades["side"].tolist() == [-1]
    made = Liquidator()
    for row in rows:
        made.push(row)
    assert [trade[3] for trade in made._history.tape._pushed] == [1, -1]
    assert made.counts["repeated"] == 0


GOOD = {"time": T, "price": 50.5, "size": 2.5, "side": "B"}

# what row 3 holds instead -> the error
BAD_TRADES = [
    ({"price": 0.0}, ValueError, r"price: found 0.0, allowed a finite number above 0"),
    ({"price": -1.0}, ValueError, r"price: found -1.0, allowed a finite number above 0"),
    ({"price": math.inf}, ValueError, r"price: found inf, allowed a finite number above 0"),
    ({"price": math.nan}, ValueError, r"price: found nan, allowed a finite number above 0"),
    ({"price": None}, (ValueError, TypeError), r"price: found (nan|None), allowed a"),
    ({"price": "x"}, TypeError, r"price: found 'x', allowed (a number|one type)"),
    ({"price": True}, TypeError, r"price: found True, allowed (a number|one type)"),
    ({"size": 0.0}, ValueError, r"size: found 0.0, allowed a finite number above 0"),
    ({"size": -2.0}, ValueError, r"size: found -2.0, allowed a finite number above 0"),
    ({"size": math.inf}, ValueError, r"size: found inf"),
    ({"size": math.nan}, ValueError, r"size: found nan"),
    ({"side": "C"}, ValueError, r"side.*: found 'C', allowed"),
    ({"side": None}, ValueError, r"side.*: found None, allowed"),
    ({"side": ""}, ValueError, r"side.*: found '', allowed"),
    ({"time": 0}, ValueError, r"time: found 0, allowed a time from 1973"),
    ({"time": -5}, ValueError, r"time: found -5, allowed a time from 1973"),
    ({"time": 10**21}, (ValueError, TypeError), r"time: found 1000000000000000000000, allowed"),
    ({"time": None}, ValueError, r"time"),
    ({"time": "yesterday"}, (ValueError, TypeError), r"time: found 'yesterday', allowed"),
    ({"coin": "ETH"}, ValueError, r"coin: found 'ETH', allowed 'BTC'"),
]


class TestBadTrades:
    @pytest.mark.parametrize(("change", "error", "says"), BAD_TRADES, ids=lambda value: str(value)[:40])
    def test_named_and_nothing_taken(self, change, error, says):
        rows = [{**GOOD, "coin": "BTC", "time": T + i} for i in range(5)]
        rows[3].update(change)
        made = Liquidator("BTC")
        with pytest.raises(error, match=says) as bulk:
            made.ingest_trades(rows)
        assert "row 3" in str(bulk.value)
        with pytest.raises((ValueError, TypeError)):
            made.ingest_trades(pd.DataFrame(rows))
        with pytest.raises((ValueError, TypeError), match=says):
            made.push(rows[3])
        with pytest.raises((ValueError, TypeError), match=rf"^row 0, {says}"):
            made.ingest_trades([rows[3]])
        assert made._history.clock == 0
        assert len(waiting(made)) == 0

    @pytest.mark.parametrize("found", [None, 5, "text", {1}, pd.Series(GOOD), np.zeros((2, 4)), [[1, 2, 3, 4]]])
    def test_what_is_no_table_is_refused(self, found):
        for take in ("ingest_trades", "ingest_liquidations", "ingest_funding_rates"):
            with pytest.raises(TypeError, match=r"expected rows|row 0: found|lists must be of a venue"):
                getattr(Liquidator(), take)(found)

    def test_categories_are_the_values_they_stand_for(self):
        rows = pd.DataFrame([{**GOOD, "id": 5}, {**GOOD, "time": T + 1, "price": 51.0, "id": 6}])
        made = Liquidator()
        made.ingest_trades(rows.astype("category"))
        made.ingest_trades(rows.astype(str).astype("category"))
        assert waiting(made)["price"].tolist() == [50.5, 51.0]
        assert made.counts["repeated"] == 2

    @pytest.mark.parametrize("mode", ["batch", "streaming"])
    @pytest.mark.parametrize(("change", "error", "says"), BAD_TRADES, ids=lambda value: str(value)[:40])
    def test_skipped_and_counted_where_asked(self, mode, change, error, says, caplog):
        rows = [{**GOOD, "coin": "BTC", "time": T + i} for i in range(5)]
        rows[3].update(change)
        good = Liquidator(mode=mode)
        good.ingest_trades([row for i, row in enumerate(rows) if i != 3])
        one_by_one, bulk, frame = (Liquidator(mode=mode, on_bad="skip") for _ in range(3))
        for row in rows:
            one_by_one.push(row)
        bulk.ingest_trades(rows)
        frame.ingest_trades(pd.DataFrame(rows).astype(object))
        for made in (one_by_one, bulk, frame):
            assert made.counts["skipped"] == made.skipped == 1
            assert waiting(made).tobytes() == waiting(good).tobytes()
        assert "trades are skipped, the first" in caplog.text

    def test_a_table_of_which_nothing_can_be_read_is_no_table_of_bad_rows(self):
        with pytest.raises(ValueError, match="missing column for price"):
            Liquidator(on_bad="skip").ingest_trades([{"time": T, "size": 1.0, "side": "A"}] * 3)

    @pytest.mark.parametrize("name", ["time", "price", "size", "side"])
    def test_a_missing_column_is_named_with_what_is_accepted(self, name):
        rows = [{key: value for key, value in GOOD.items() if key != name}] * 2
        for form in (rows, pd.DataFrame(rows), pa.Table.from_pylist(rows)):
            with pytest.raises(ValueError, match=f"missing column for {name}: found .*; accepted names .*{name}"):
                Liquidator().ingest_trades(form)
        with pytest.raises(ValueError, match=f"missing column for {name}"):
            Liquidator().push(rows[0])

    def test_seconds_and_nanoseconds_are_understood_and_a_mixture_is_not(self):
        reference = read_trades([GOOD], BTC).parts[0].trades
        for power, unit in ((-3, "s"), (3, "us"), (6, "ns")):
            time = T / 1000 if power < 0 else T * 10**power
            assert read_trades([{**GOOD, "time": time}], BTC).parts[0].trades == reference, unit
        with pytest.raises(ValueError, match=r"row 1, time: found .*, allowed ms, as in row 0: this is a time in us"):
            read_trades([GOOD, {**GOOD, "time": T * 1000}], BTC)

    def test_other_things_are_refused(self):
        for data in (3, None, "trades", b"x", object()):
            with pytest.raises(TypeError, match="expected rows with names, columns or a table, got"):
                Liquidator().ingest_trades(data)
        with pytest.raises(TypeError, match=r"row 1: found 5, allowed a mapping"):
            Liquidator().ingest_trades([GOOD, 5])
        with pytest.raises(TypeError, match="a trade must be a mapping of names to values, got list"):
            Liquidator().push([1, 2])
        with pytest.raises(TypeError, match="trades as lists must be of a venue whose columns are known"):
            Liquidator().ingest_trades([[1, 2, 3, 4]])
        with pytest.raises(TypeError, match=r"row 0: found \[1, 2\], allowed \[id, time, size, price\]"):
            Liquidator().ingest_trades([[1, 2]], venue="bitfinex")

    def test_ambiguity_is_refused(self):
        with pytest.raises(ValueError, match="columns come twice: 'time': keep one of each"):
            Liquidator().ingest_trades(pd.DataFrame([[T, T, 1.0]], columns=["time", "time", "price"]))
        with pytest.raises(ValueError, match="columns 'price' and 'px' both mean price: keep one"):
            Liquidator().ingest_trades(pd.DataFrame([{**GOOD, "px": 1.0}] * 2))
        with pytest.raises(ValueError, match=r"row 1, symbol: found 'ETHUSDT', allowed 'BTC': one Liquidator a coin"):
            Liquidator().ingest_trades([{**GOOD, "symbol": "BTCUSDT"}, {**GOOD, "symbol": "ETHUSDT"}])
        with pytest.raises(ValueError, match="row 1, venue: found None, allowed the name of a venue in every row"):
            Liquidator().ingest_trades([{**GOOD, "venue": "okx"}, {**GOOD, "venue": None}])
        with pytest.raises(TypeError, match=r"side must be A, B, .*, got a column of bool"):
            Liquidator().ingest_trades([{**GOOD, "side": True}] * 2)

    @pytest.mark.parametrize("empty", [[], (), pd.DataFrame(), pd.DataFrame(columns=list(GOOD)), {}, iter(())])
    def test_nothing_is_nothing(self, empty):
        made = Liquidator()
        made.ingest_trades(empty)
        assert len(made.compute_zones()) == 0


class TestLiquidations:
    @pytest.mark.parametrize(
        ("side", "venue", "who"),
        [
            ("sell", "binance", LONG), ("buy", "binance", SHORT), ("SELL", "okx", LONG), ("Buy", "htx", SHORT),
            ("buy", "bybit", LONG), ("Sell", "bybit", SHORT), ("long", "bybit", LONG), ("short", "gate", SHORT),
            ("A", "", LONG), ("B", "", SHORT), ("Long", "bitfinex", LONG),
        ],
    )  # fmt: skip
    def test_who_was_liquidated(self, side, venue, who):
        row = {"timestamp": ISO, "exchange": venue, "symbol": "BTC", "side": side, "price": 2.0, "quantity": 3.0}
        got = read_liquidations([row], BTC, lambda name: 5).events[0]
        assert (got["side"], got["usd"], got["price"], got["time"], got["venue"]) == (who, 6.0, 2.0, T, 5)

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ({"side": "up"}, "row 1, side: found 'up', allowed long or short"),
            ({"side": None}, "row 1, side: found None, allowed long or short"),
            ({"side": "buy", "exchange": "gate"}, "row 1, side: found 'buy', allowed long or short: what gate means"),
            ({"price": 0.0}, r"row 1 \(2023-.*\), price: found 0.0, allowed a finite number above 0"),
            ({"value_usd": -1.0}, "usd: found -1.0, allowed a finite number above 0"),
            ({"value_usd": math.inf}, "usd: found inf"),
            ({"timestamp": None}, "row 1, time: found None"),
            ({"coin": "ETH"}, "coin: found 'ETH', allowed 'BTC'"),
        ],
    )
    def test_bad_ones_are_named_and_none_is_taken(self, change, says):
        good = {"timestamp": ISO, "exchange": "okx", "side": "buy", "price": 2.0, "value_usd": 6.0, "coin": "BTC"}
        made = Liquidator()
        with pytest.raises(ValueError, match=says):
            made.ingest_liquidations([good, {**good, **change}])
        assert len(made._history.liquidations.rows) == 0

    def test_missing_columns(self):
        for name in ("timestamp", "side", "price"):
            row = {"timestamp": ISO, "side": "buy", "price": 2.0, "value_usd": 6.0}
            del row[name]
            with pytest.raises(ValueError, match="missing column for"):
                Liquidator().ingest_liquidations([row])
        with pytest.raises(ValueError, match="missing column for size"):
            Liquidator().ingest_liquidations([{"timestamp": ISO, "side": "buy", "price": 2.0}])


class TestRates:
    def test_forms(self):
        reference = {"funding_rate": ([T], [0.001]), "open_interest": ([T], [5.0])}
        reading = {"funding_rate": 0.001, "open_interest": 5.0, "timestamp": ISO}
        ccxt = {"fundingRate": 0.001, "openInterestAmount": 5.0, "timestamp": T, "symbol": "BTC/USDT:USDT"}
        for form in ({"BTC": reading, "ETH": reading}, reading, [reading], pd.DataFrame([reading]), [ccxt]):
            got = read_rates(form, BTC).series
            assert {name: (time.tolist(), value.tolist()) for name, (time, value) in got.items()} == reference

    def test_the_last_of_one_time_counts_and_nan_is_unknown(self):
        rates = {"time": [T, T, T + 1], "funding_rate": [1.0, 2.0, math.nan], "open_interest": [math.nan, 7.0, 8.0]}
        made = Liquidator()
        made.ingest_funding_rates(rates)
        assert made._history.rates["funding_rate"].rows["value"].tolist() == [2.0]
        assert made._history.rates["open_interest"].rows["value"].tolist() == [7.0, 8.0]

    @pytest.mark.parametrize(
        ("data", "says"),
        [
            ([{"funding_rate": 0.1}], "missing column for time"),
            ({"BTC": {"funding_rate": 0.1}}, "missing column for time"),
            ([{"time": T, "x": 1}], "neither funding_rate nor open_interest: found 'time', 'x'"),
            ([{"time": T, "funding_rate": math.inf}], "funding_rate: found inf, allowed a finite number, or NaN"),
            ([{"time": T, "open_interest": -1.0}], "open_interest: found -1.0, allowed a finite number not below 0"),
            ({"ETH": {"time": T, "funding_rate": 0.1}}, "no reading of 'BTC': found 'ETH'"),
            ([{"time": T, "coin": "ETH", "oi": 1.0}], "coin: found 'ETH', allowed 'BTC'"),
            (
                [{"time": T, "symbol": s, "oi": 1.0} for s in "AB"],
                "row 1, symbol: found 'B', allowed 'A': one Liquidator a coin",
            ),
        ],
    )
    def test_bad_ones_are_named(self, data, says):
        with pytest.raises(ValueError, match=says):
            Liquidator(None if "symbol" in says else "BTC").ingest_funding_rates(data)


BAD_ARGUMENTS = [
    ({"mode": "stream"}, ValueError, "mode must be one of batch, streaming, got 'stream': did you mean 'streaming'"),
    ({"on_bad": "drop"}, ValueError, "on_bad must be one of raise, skip, got 'drop'"),
    ({"bar": "2m"}, ValueError, "bar must be one of 1m, 3m"),
    ({"coin": ""}, ValueError, "coin must be a name, got ''"),
    ({"cutoff_hours": 0}, ValueError, "cutoff_hours must be a finite number above 0, got 0"),
    ({"pct_merge": -1}, ValueError, "pct_merge must be a finite number above 0, got -1"),
    ({"pct_merge": "x"}, TypeError, "pct_merge must be a number, got 'x'"),
    ({"window_minutes": 0}, ValueError, "window_minutes must be a finite number above 0, got 0"),
    ({"window_minutes": 5000}, ValueError, "window_minutes must make at most 4096 bars of 1m, got 5000"),
    ({"zone_vol_mult": 0}, ValueError, "zone_atr must lie in"),
    ({"liq_size_threshold": -1}, ValueError, "large_usd must lie in"),
    ({"lateness_ms": -1}, ValueError, "lateness_ms must be a whole number from 0"),
    ({"lateness_ms": 1.5}, ValueError, "lateness_ms must be a whole number"),
    ({"timeframe": "9m"}, ValueError, "timeframe must be one of"),
    ({"timeframes": "5m"}, ValueError, "timeframes must be at least one of"),
    ({"params": {"zone_bars": 5}}, TypeError, "params must be Params or None, got dict"),
]


@pytest.mark.parametrize(("options", "error", "says"), BAD_ARGUMENTS, ids=lambda value: str(value)[:40])
def test_bad_arguments(options, error, says):
    with pytest.raises(error, match=says):
        Liquidator(**options)


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda made: made.compute_zones(min_quality="good"), ValueError, "min_quality must be one of weak, medium"),
        (lambda made: made.compute_zones(pct_merge=0), ValueError, "pct_merge must be a finite number above 0"),
        (lambda made: made.compute_zones(window_minutes=math.nan), ValueError, "window_minutes must be"),
        (lambda made: made.compute_zones(as_of="then"), ValueError, "time: found 'then', allowed"),
        (lambda made: made.compute_zones(as_of=5), ValueError, "time: found 5, allowed a time from 1973"),
        (lambda made: made.get_nearest_zone(-1), ValueError, "price must be a finite number above 0, got -1"),
        (lambda made: made.add_gravity_scores([], 1), TypeError, "zones must be a frame as from compute_zones"),
        (lambda made: made.add_gravity_scores(pd.DataFrame(), 1), ValueError, "zones lack price_mean, total_usd"),
        (lambda made: made.add_cascade_analysis(made.compute_zones(), 0), ValueError, "current_price must be a finite"),
        (lambda made: made.get_gravity_target(made.compute_zones(), math.inf), ValueError, "current_price must be"),
        (lambda made: made.levels_grid(0), ValueError, "bars must be a whole number, 1 or more, got 0"),
        (lambda made: made.update_candles(pd.DataFrame({"close": [1.0]})), ValueError, "missing column for time, open"),
        (lambda made: made.update_candles(np.zeros(0)), TypeError, "candles must be a pandas frame"),
    ],
)  # fmt: skip
def test_bad_calls(call, error, says):
    with pytest.raises(error, match=says):
        call(Liquidator())


def test_candles_that_are_off_the_grid_are_refused():
    candles = pd.DataFrame({"time": [T // 60_000 * 60_000 + 5, T // 60_000 * 60_000 + 60_005], "volume": 1.0})
    for name in ("open", "high", "low", "close"):
        candles[name] = 1.0
    with pytest.raises(ValueError, match=r"row 0, time: found .*, allowed the opening of a 1m bar"):
        Liquidator().update_candles(candles)


def test_candles_of_a_stretch_that_is_off_the_grid_are_named_or_skipped(caplog):
    hour = 3_600_000
    time = np.arange(20) * hour + T // hour * hour
    candles = pd.DataFrame({"time": time + np.where((time > time[4]) & (time < time[9]), 1_694_000, 0), "volume": 1.0})
    for name in ("open", "high", "low", "close"):
        candles[name] = 1.0
    with pytest.raises(ValueError, match=r"row 5, time: found .*:28:14.*, allowed the opening of a 1h bar"):
        Liquidator(bar="1h").update_candles(candles)
    made = Liquidator(bar="1h", on_bad="skip")
    made.update_candles(candles)
    bars = made.bars()
    assert bars["time"][bars["volume"] > 0].tolist() == [*time[:5], *time[9:]]
    assert "4 candles beside the grid of bars are skipped, the first: row 5" in caplog.text
    minutes = candles.assign(time=np.r_[time[:10], time[9] + 60_000 * np.arange(1, 11)])
    with pytest.raises(ValueError, match=r"candles must be of 1h, got steps of 60000 ms: make it .*bar='1m'"):
        Liquidator(bar="1h", on_bad="skip").update_candles(minutes)


def test_every_venue_of_the_table_is_tried():
    tried = {venue_of(venue).name for venue, *_ in SAID.values()}
    unusual = {name for name, venue in VENUES.items() if venue.names or venue.columns or venue.sides or venue.signed}
    assert unusual <= tried
