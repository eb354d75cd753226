"""Whose rows are: venues by every alias, markets by every tool's names, sides by convention, rows by their flags."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from command import liquidator

from liquidator_core import TRADE
from liquidator_core.layout import LONG, SHORT
from liquidator_integrations import Liquidator, read_bars
from liquidator_integrations.market.coins import Identity, coin_of, market_of
from liquidator_integrations.market.liquidations import read_liquidations, read_rates
from liquidator_integrations.market.trades import read_trades, trades_from_table
from liquidator_integrations.market.venues import known_venue, venue_of

T = 1_700_000_000_000
GOOD = {"time": T, "price": 50.0, "size": 2.0, "side": "buy"}

MARKETS = [
    ("BTC", ("BTC", "", "")),
    ("BTCUSDT", ("BTC", "USDT", "")),
    ("btcusdt", ("BTC", "USDT", "")),
    ("BTC-USD", ("BTC", "USD", "")),
    ("DOGE_USDT", ("DOGE", "USDT", "")),
    ("XBTUSD", ("BTC", "USD", "")),
    ("DOTUSD", ("DOT", "USD", "")),
    ("BTCTUSD", ("BTC", "TUSD", "")),
    ("BNBUSD", ("BNB", "USD", "")),
    ("BTCBUSD", ("BTC", "BUSD", "")),
    ("SHIBUSD", ("SHIB", "USD", "")),
    ("XXBTZUSD", ("BTC", "USD", "")),
    ("XBT/USD", ("BTC", "USD", "spot")),
    ("ETHBTC", ("ETH", "BTC", "")),
    ("STETH", ("STETH", "", "")),
    ("USDT", ("USDT", "", "")),
    ("USDCUSDT", ("USDC", "USDT", "")),
    ("BTCEUR", ("BTC", "EUR", "")),
    ("KRW-BTC", ("BTC", "KRW", "")),
    ("tBTCUSD", ("BTC", "USD", "")),
    ("tBTCF0:USTF0", ("BTC", "USDT", "linear")),
    ("eth/usdt:usdt", ("ETH", "USDT", "linear")),
    ("BTC/USD:BTC", ("BTC", "USD", "inverse")),
    ("BTC/USD:USD", ("BTC", "USD", "linear")),
    ("BTC/USD:BTC-261225", ("BTC", "USD", "inverse")),
    ("BTC/USD:BTC-261225-90000-C", ("BTC", "USD", "option")),
    ("BTC-27DEC26-90000-P", ("BTC", "", "option")),
    ("BTC-PERP", ("BTC", "", "derivative")),
    ("BTC-PERPETUAL", ("BTC", "", "derivative")),
    ("BTC_USDC-PERPETUAL", ("BTC", "USDC", "linear")),
    ("BTC-USDT-PERP", ("BTC", "USDT", "linear")),
    ("BTC-USDT-SWAP", ("BTC", "USDT", "linear")),
    ("BTC-USD-261225", ("BTC", "USD", "derivative")),
    ("BTCUSD_PERP", ("BTC", "USD", "derivative")),
    ("BTCUSDT-PERP", ("BTC", "USDT", "linear")),
    ("BTCUSDT_261225", ("BTC", "USDT", "linear")),
    ("BTCUSDT_PERP.A", ("BTC", "USDT", "linear")),
    ("BINANCE:BTCUSDT.P", ("BTC", "USDT", "linear")),
    ("PF_XBTUSD", ("BTC", "USD", "linear")),
    ("PI_XBTUSD", ("BTC", "USD", "inverse")),
    ("FI_XBTUSD_261225", ("BTC", "USD", "inverse")),
    ("XBTUSDTM", ("BTC", "USDT", "linear")),
    ("XBTUSDM", ("BTC", "USD", "derivative")),
    ("XBTZ26", ("BTC", "", "derivative")),
    ("BTCUSDZ26", ("BTC", "USD", "derivative")),
    ("BTCPERP", ("BTC", "", "derivative")),
    ("BTCUSDT_UMCBL", ("BTC", "USDT", "linear")),
    ("PERP_BTC_USDT", ("BTC", "USDT", "linear")),
    ("SPOT_ETH_USDC", ("ETH", "USDC", "spot")),
    ("sBTCUSDT", ("BTC", "USDT", "spot")),
    ("FX_BTC_JPY", ("BTC", "JPY", "derivative")),
    ("1000PEPEUSDT", ("1000PEPE", "USDT", "")),
    ("kPEPE-PERP", ("KPEPE", "", "derivative")),
    ("PEPE/USDT:USDT", ("PEPE", "USDT", "linear")),
    ("spot", ("", "", "spot")),
    ("", ("", "", "")),
]


@pytest.mark.parametrize(("name", "said"), MARKETS)
def test_what_a_market_s_name_says(name, said):
    assert tuple(market_of(name)) == said
    assert coin_of(name) == said[0]


NAMED = [
    ("okx", ("okx", "")), ("OKEX", ("okx", "")), (b"okx", ("okx", "")), (" Okx ", ("okx", "")),
    ("okex-swap", ("okx", "derivative")), ("okex-futures", ("okx", "derivative")), ("okx_spot", ("okx", "spot")),
    ("binance-delivery", ("binance", "inverse")), ("binancecoinm", ("binance", "inverse")),
    ("BINANCE_DELIVERY", ("binance", "inverse")), ("binanceusdm", ("binance", "linear")),
    ("BINANCE_FUTURES", ("binance", "derivative")), ("binance-us", ("binance", "")),
    ("kucoinfutures", ("kucoin", "derivative")), ("kucoin-futures", ("kucoin", "derivative")),
    ("huobi", ("htx", "")), ("huobi-dm-swap", ("htx", "derivative")), ("huobi-dm-linear-swap", ("htx", "linear")),
    ("HUOBI_SWAP", ("htx", "derivative")), ("gate.io", ("gate", "")), ("gate-io-futures", ("gate", "derivative")),
    ("GATEIO_FUTURES", ("gate", "derivative")), ("krakenfutures", ("krakenfutures", "")),
    ("KRAKEN_FUTURES", ("krakenfutures", "")), ("cryptofacilities", ("krakenfutures", "")),
    ("crypto.com", ("cryptocom", "")), ("CRYPTODOTCOM", ("cryptocom", "")), ("bitfinex2", ("bitfinex", "")),
    ("bitfinex-derivatives", ("bitfinex", "derivative")), ("bybit-spot", ("bybit", "spot")), ("mexc3", ("mexc", "")),
    ("coinbaseexchange", ("coinbase", "")), ("coinbase-international", ("coinbase", "")), ("dydx-v4", ("dydx", "")),
    ("woo-x", ("woo", "")), ("binance-european-options", ("binance", "option")), ("x", ("x", "")), ("", ("", "")),
    ("myexchange", ("myexchange", "")),
]  # fmt: skip


@pytest.mark.parametrize(("name", "said"), NAMED)
def test_a_venue_goes_by_all_its_names(name, said):
    assert venue_of(name)[:2] == said


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("okxx", "okx"), ("binanc", "binance"), ("bybt", "bybit"), ("krakn", "kraken"), ("coinbas", "coinbase"),
        ("binnance-futures", "binance"), ("okxx-swap", "okx"), ("hyperliqud", "hyperliquid"), ("kukoin", "kucoin"),
    ],
)  # fmt: skip
def test_a_misspelt_venue_is_an_error_on_every_road(name, meant, tmp_path):
    says = f"venue: found '{name}', which is none that is known: did you mean '{meant}'"
    for on_bad in ("raise", "skip"):
        made = Liquidator("BTC", on_bad=on_bad)
        for take in (made.ingest_trades, made.update_incremental):
            for rows in ([GOOD], [GOOD, GOOD], pd.DataFrame([GOOD] * 2)):
                with pytest.raises(ValueError, match=says):
                    take(rows, name)
        with pytest.raises(ValueError, match=says):
            made.ingest_liquidations([GOOD], name)
    with pytest.raises(ValueError, match=says):
        Liquidator().push(GOOD, name)
    with pytest.raises(ValueError, match=f"row 1, {says}"):
        Liquidator().ingest_trades([{**GOOD, "venue": "okx"}, {**GOOD, "venue": name}])
    made = Liquidator(on_bad="skip")
    made.ingest_trades([{**GOOD, "venue": "okx"}, {**GOOD, "venue": name}])
    assert made.skipped == 1
    with pytest.raises(ValueError, match=f"did you mean '{meant}'"):
        Liquidator.from_exchange("BTC", name, raw_data=[GOOD])
    pd.DataFrame([GOOD] * 2).to_csv(tmp_path / "a.csv", index=False)
    with pytest.raises(ValueError, match=says):
        read_bars(tmp_path / "a.csv", venue=name)


def test_an_unknown_exchange_is_an_error_with_what_is_allowed():
    assert known_venue("BINANCE").name == "binance"
    with pytest.raises(ValueError, match=r"exchange: found 'acme', which is none that is known.*binance"):
        Liquidator.from_exchange("BTC", "acme", raw_data=[GOOD])


@pytest.mark.parametrize("venue", [None, 5, 1.5, ["okx"]])
def test_a_venue_that_is_no_name(venue):
    for take in ("ingest_trades", "push", "ingest_liquidations"):
        with pytest.raises(TypeError, match=r"venue must be a name, got|unhashable"):
            getattr(Liquidator(), take)(GOOD if take == "push" else [GOOD, GOOD], venue)


REFUSED, COINS, DOLLARS = "refused", "coins", "dollars"
COUNTED = [
    ("okx", "BTC-USDT-SWAP", REFUSED), ("okex-swap", "BTC-USDT-SWAP", REFUSED), ("okex-swap", "", REFUSED),
    ("OKX", "BTC-USDT-PERP", REFUSED), ("okex-futures", "BTC-USD-261225", REFUSED), ("okx", "BTC/USD:BTC", REFUSED),
    ("okx", "BTC-USDT", COINS), ("kucoinfutures", "XBTUSDTM", REFUSED), ("kucoinfutures", "", REFUSED),
    ("kucoin", "BTC-USDT", COINS), ("binance-delivery", "BTCUSD_PERP", REFUSED), ("binancecoinm", "", REFUSED),
    ("binancecoinm", "BTC/USD:BTC", REFUSED), ("BINANCE_DELIVERY", "BTC-USD-PERP", REFUSED),
    ("binanceusdm", "BTC/USDT:USDT", COINS), ("BINANCE_FUTURES", "BTC-USDT-PERP", COINS), ("binance", "BTCUSDT", COINS),
    ("binance-futures", "btcusdt", COINS), ("krakenfutures", "BTC/USD:USD", COINS), ("krakenfutures", "", REFUSED),
    ("krakenfutures", "PF_XBTUSD", COINS), ("cryptofacilities", "PI_XBTUSD", DOLLARS),
    ("krakenfutures", "BTC/USD:BTC", DOLLARS), ("KRAKEN_FUTURES", "BTC-USD-PERP", REFUSED),
    ("deribit", "BTC-PERPETUAL", DOLLARS), ("deribit", "BTC_USDC-PERPETUAL", COINS),
    ("deribit", "BTC-27DEC26", DOLLARS),
    ("deribit", "BTC-27DEC26-90000-C", REFUSED), ("DERIBIT", "BTC-USD-PERP", DOLLARS), ("deribit", "", REFUSED),
    ("bybit", "BTCUSD", DOLLARS), ("bybit", "BTCUSDZ26", DOLLARS), ("bybit", "BTC/USD:BTC", DOLLARS),
    ("BYBIT", "BTC-USD-PERP", DOLLARS), ("bybit", "BTCUSDT", COINS), ("bybit", "BTCPERP", COINS),
    ("bybit-spot", "BTCUSDT", COINS), ("gate", "BTC_USDT", COINS), ("gate-io-futures", "BTC_USDT", REFUSED),
    ("gate", "BTC/USDT:USDT", REFUSED), ("huobi-dm-swap", "BTC-USD", REFUSED), ("htx", "btcusdt", COINS),
    ("HUOBI_SWAP", "BTC-USD-PERP", REFUSED), ("mexc", "BTC_USDT", REFUSED), ("mexc", "BTCUSDT", COINS),
    ("bitmex", "XBTUSD", REFUSED), ("bitfinex", "tBTCF0:USTF0", COINS), ("coinbase", "BTC-USD", COINS),
    ("coinbase-international", "BTC-PERP", COINS), ("hyperliquid", "BTC", COINS),
    ("hyperliquid", "BTC/USDC:USDC", COINS), ("dydx", "BTC-USD", COINS), ("phemex", "BTCUSD", REFUSED),
    ("bitget", "BTCUSDT_UMCBL", COINS), ("bitget", "BTCUSD", REFUSED), ("cryptocom", "BTCUSD-PERP", COINS),
    ("", "BTC/USDT:USDT", REFUSED), ("", "BTC-PERP", REFUSED), ("myexchange", "BTCUSD_PERP", REFUSED),
    ("", "BTCUSDT", COINS), ("toobit", "BTC-SWAP-USDT", REFUSED), ("", "", COINS),
    ("delta", "BTCUSD", REFUSED), ("bitmart", "BTC_USDT", COINS), ("blofin", "BTC-USDT", REFUSED),
]  # fmt: skip


@pytest.mark.parametrize(("venue", "market", "counted"), COUNTED)
def test_what_a_size_counts_is_one_answer_on_every_road(venue, market, counted):
    rows = [{**GOOD, "time": T + at, "side": "buy"} | ({"symbol": market} if market else {}) for at in (0, 1)]
    got = []
    forms = [(form, venue) for form in (rows, pd.DataFrame(rows), pa.Table.from_pylist(rows))]
    forms += [([{**row, "venue": venue} for row in rows], "")] if venue else []
    for form, argument in forms:
        try:
            trades = read_trades(form, None, argument).parts[0].trades
            assert trades_from_table(form, venue=argument).tobytes() == trades.tobytes()
            got.append(trades["size"].tolist())
        except ValueError:
            got.append(REFUSED)
            with pytest.raises(ValueError, match=r"contracts|derivative|option|missing column for market"):
                trades_from_table(form, venue=argument)
    made = Liquidator(bar="1m")
    try:
        for row in rows:
            made.push(row, venue)
        got.append(dict(made._history.arrays())["queue_trades"]["size"].tolist())
    except ValueError:
        got.append(REFUSED)
    size = {REFUSED: REFUSED, COINS: [2.0, 2.0], DOLLARS: [0.04, 0.04]}[counted]
    assert got == [size] * len(got)
    liquidations = [{**row, "side": "long"} for row in rows]
    usd = {REFUSED: REFUSED, COINS: 100.0, DOLLARS: 2.0}[counted]
    try:
        assert read_liquidations(liquidations, None, lambda name: 0, venue).events["usd"].tolist() == [usd, usd]
    except ValueError:
        assert usd == REFUSED


@pytest.mark.parametrize("name", ["base_size", "base_qty", "baseQty", "homeNotional", "home_notional", "baseValue"])
@pytest.mark.parametrize(("venue", "market"), [("okx", "BTC-USDT-SWAP"), ("bybit", "BTCUSD"), ("", "BTC-PERP")])
def test_a_column_in_base_units_goes_before_all(name, venue, market):
    row = {**GOOD, "size": 5000, "symbol": market, name: 0.5}
    assert read_trades([row, row], None, venue).parts[0].trades["size"].tolist() == [0.5, 0.5]
    made = Liquidator()
    made.push(row, venue)
    assert made._history.tape._pushed[0][2] == 0.5
    events = read_liquidations([{**row, "side": "long"}], None, lambda name: 0, venue).events
    assert events["usd"].tolist() == [25.0]
    none = [{**row, name: None}]  # as ccxt has them
    if venue == "bybit":
        assert read_trades(none, None, venue).parts[0].trades["size"].tolist() == [100.0]


def test_open_interest_in_coins_goes_before_contracts():
    row = {"instId": "BTC-USDT-SWAP", "oi": "5000", "oiCcy": "50", "ts": T}
    assert read_rates([row]).series["open_interest"][1].tolist() == [50.0]
    del row["oiCcy"]
    with pytest.raises(ValueError, match=r"oi: okx counts it in contracts.*oiCcy"):
        read_rates([row])


def test_open_interest_of_one_side_goes_before_the_sum_of_both():
    row = {"openInterest": "52664.642", "singleOpenInterest": "26332.321", "timestamp": str(T)}  # Bybit
    assert read_rates([row]).series["open_interest"][1].tolist() == [26332.321]


TARDIS = {"exchange": "", "symbol": "BTCUSDT", "timestamp": T * 1000, "local_timestamp": T * 1000 + 5, "id": 1}
CRYPTOFEED = {"exchange": "", "symbol": "BTC-USDT", "timestamp": T / 1000, "receipt_timestamp": T / 1000, "id": "1"}
AGGR = {"exchange": "", "pair": "BTCUSDT", "timestamp": T}
CCXT = {"info": {}, "id": "1", "timestamp": T, "datetime": "2023-11-14T22:13:20.000Z", "symbol": "BTC/USDT"}
CCXT |= {"takerOrMaker": None, "order": None, "type": None}
SIDES = [
    # shape, venue, convention -> what "sell" of a trade means
    ({}, "coinbase", None, 1), ({}, "coinbase", "venue", 1), ({}, "coinbase", "taker", -1), ({}, "bybit", "taker", -1),
    ({}, "okx", None, -1), ({}, "GDAX", None, 1), ({}, "coinbaseexchange", None, 1),
    (TARDIS, "coinbase", None, -1), (TARDIS, "bybit", None, -1), (TARDIS, "coinbase", "venue", 1),
    (CRYPTOFEED, "COINBASE", None, -1), (CRYPTOFEED, "BITFINEX", None, -1), (AGGR, "COINBASE", None, -1),
    (AGGR, "OKEX", None, -1), (CCXT, "coinbase", None, 1), (CCXT, "binance", None, -1), (CCXT, "bitstamp", None, -1),
    (CCXT, "coinbase", "taker", -1), (CCXT, "kraken", None, -1), (CCXT, "coinbaseinternational", None, -1),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "venue", "convention", "sign"), SIDES)
def test_whose_side_it_is(shape, venue, convention, sign, tmp_path):
    size = "size" if shape is AGGR or not shape else "amount"
    row = {**(shape or {"time": T}), "side": "sell", "price": 50.0, size: 2.0}
    argument = venue if "exchange" not in shape else ""
    row |= {"exchange": venue} if "exchange" in shape else {}
    rows = [row, {**row, "id": type(row["id"])(2)} if "id" in row else row]
    for form in (rows, pd.DataFrame(rows)):
        trades = read_trades(form, None, argument, convention).parts[0].trades
        assert trades["side"].tolist() == [sign, sign]
        assert trades_from_table(form, True, argument, convention)["side"].tolist() == [sign, sign]
    made = Liquidator()
    made.push(row, argument, convention=convention)
    made.ingest_trades([{**row, "id": "5"}] if "id" in row else [row], argument, convention=convention)
    assert [one[3] for one in made._history.tape._pushed] == [sign, sign]
    made.update_incremental(rows, argument, convention=convention)
    if "info" in row:
        return
    time = "time" if "time" in row else "timestamp"
    minute = 60 if row[time] < 1e10 else 60_000 if row[time] < 1e14 else 60_000_000
    later = [{**row, time: row[time] + minute * at} | ({"id": at} if "id" in row else {}) for at in range(3)]
    pd.DataFrame(later).to_csv(tmp_path / "a.csv", index=False)
    bars = read_bars(tmp_path / "a.csv", venue=argument, convention=convention)
    assert bars["taker_buy"].tolist() == [2.0 if sign > 0 else 0.0] * len(bars)
    assert len(bars) >= 2


@pytest.mark.parametrize("convention", ["maker", "Taker", 5, ""])
def test_a_convention_that_is_none(convention):
    made = Liquidator()
    for take in (made.ingest_trades, made.ingest_liquidations, made.update_incremental):
        with pytest.raises(ValueError, match="convention must be 'venue', 'taker' or None, got"):
            take([GOOD, GOOD], convention=convention)
    with pytest.raises(ValueError, match="convention must be"):
        made.push(GOOD, convention=convention)


LIQUIDATED = [
    # shape, venue, convention -> who is liquidated by "sell" (None: refused)
    ({}, "binance", None, LONG), ({}, "okx", None, LONG), ({}, "huobi-dm-swap", None, LONG), ({}, "bybit", None, SHORT),
    ({}, "bybit", "venue", SHORT), ({}, "bybit", "taker", LONG), ({}, "gate", None, None), ({}, "gate", "venue", None),
    ({}, "gate", "taker", LONG), ({}, "GATEIO_FUTURES", None, None), ({}, "bitfinex", None, None),
    ({}, "bitfinex-derivatives", "taker", LONG), (TARDIS, "bybit", None, LONG),
    (TARDIS, "bitfinex-derivatives", None, LONG),
    (TARDIS, "bybit", "venue", SHORT), (AGGR, "BYBIT", None, LONG), (CRYPTOFEED, "BYBIT", None, None),
    (CRYPTOFEED, "BYBIT", "taker", LONG), (CRYPTOFEED, "BINANCE_FUTURES", None, LONG), ({}, "", None, LONG),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "venue", "convention", "who"), LIQUIDATED)
def test_who_is_liquidated_by_a_sell(shape, venue, convention, who):
    row = {**(shape or {"time": T}), "side": "sell", "price": 50.0, "size": 2.0, "usd": 100.0}
    if shape is AGGR:
        del row["usd"]
    argument = venue if "exchange" not in shape else ""
    row |= {"exchange": venue} if "exchange" in shape else {}
    for form in ([row], pd.DataFrame([row])):
        if who is None:
            with pytest.raises(
                ValueError, match=r"row 0, side: found 'sell', allowed long or short.*convention='taker'"
            ):
                read_liquidations(form, None, lambda name: 0, argument, convention)
            continue
        got = read_liquidations(form, None, lambda name: 0, argument, convention).events
        assert (got["side"].tolist(), got["usd"].tolist()) == ([who], [100.0])
    said = {**row, "side": "long"}
    assert read_liquidations([said], None, lambda name: 0, argument, convention).events["side"].tolist() == [LONG]


def test_ccxt_s_liquidations_are_contracts_times_their_size():
    row = {
        "info": {},
        "symbol": "BTC/USDT:USDT",
        "contracts": 30.0,
        "contractSize": 0.01,
        "price": 50.0,
        "side": "sell",
    }
    row |= {"baseValue": None, "quoteValue": None, "timestamp": T, "datetime": "2023-11-14T22:13:20.000Z"}
    assert read_liquidations([row], None, lambda name: 0, "okx").events["usd"].tolist() == [15.0]
    inverse = {**row, "symbol": "BTC/USD:BTC", "contractSize": 100.0}
    assert read_liquidations([inverse], None, lambda name: 0, "okx").events["usd"].tolist() == [3000.0]
    unsaid = {**row, "contractSize": None}
    assert read_liquidations([unsaid], None, lambda name: 0, "binance").events["usd"].tolist() == [1500.0]
    with pytest.raises(ValueError, match="okx counts BTC/USDT:USDT in contracts"):
        read_liquidations([unsaid], None, lambda name: 0, "okx")


def test_a_table_of_this_project_s_own_has_the_taker_s_sides_and_coins(tmp_path):
    columns = {"time": [T, T + 60_000], "price": [50.0] * 2, "size": [2.0] * 2, "side": ["sell"] * 2, "id": ["1", "2"]}
    columns |= {"venue": ["coinbase"] * 2, "symbol": ["BTC/USDT:USDT"] * 2}
    table = pa.table(columns)
    with pytest.raises(ValueError, match="okx counts BTC/USDT:USDT in contracts"):
        read_trades(table.set_column(5, "venue", pa.array(["okx"] * 2)))
    for venue in ("coinbase", "okx"):
        own = table.set_column(5, "venue", pa.array([venue] * 2)).replace_schema_metadata({"liquidator": "normalised"})
        trades = read_trades(own).parts[0].trades
        assert (trades["side"].tolist(), trades["size"].tolist()) == ([-1, -1], [2.0, 2.0])
        pa.parquet.write_table(own, tmp_path / "a.parquet")
        assert read_bars(tmp_path / "a.parquet")[["volume", "taker_buy"]].tolist()[0] == (2.0, 0.0)
        assert read_liquidations(own, None, lambda name: 0).events["usd"].tolist() == [100.0, 100.0]


CANDLE = pd.DataFrame({name: [1.0] for name in ("open", "high", "low", "close", "volume")})
CANDLE["time"] = T // 60_000 * 60_000
OTHERS = ["ETHUSDT", "ETH/USDT:USDT", "eth-usd", "1000BTC", "WBTC", "kBTC", "ETH"]


ENVELOPES = [
    ("okx", {"arg": {"channel": "trades", "instId": "ETH-USDT"}, "data": [GOOD]}),
    ("htx", {"ch": "market.ethusdt.trade.detail", "tick": {"data": [{**GOOD, "ts": T}]}}),
    ("binance", {"stream": "ethusdt@aggTrade", "data": {"p": "50", "q": "2", "T": T, "m": True}}),
    ("kucoin", {"topic": "/market/match:ETH-USDT", "data": GOOD}),
    ("kraken", {"error": [], "result": {"XETHZUSD": [["50", "2", T / 1000, "b", "l", "", 7]], "last": "1"}}),
    ("kraken", [0, [["50", "2", T / 1000, "b", "l", ""]], "trade", "ETH/USD"]),
    ("bitstamp", {"channel": "live_trades_ethusd", "data": {**GOOD, "type": 0}}),
    ("phemex", {"symbol": "ETHUSDT", "trades_p": [[T * 10**6, "Buy", "50", "2"]]}),
    ("deribit", {"params": {"channel": "trades.ETH-PERPETUAL.raw", "data": [{**GOOD, "direction": "buy"}]}}),
    ("", {"s": "ETHUSDT", "p": "50", "q": "2", "T": T, "m": True}),
]  # fmt: skip


class TestCoin:
    """A Liquidator belongs to its coin, and to one currency."""

    @pytest.mark.parametrize("mode", ["batch", "streaming"])
    @pytest.mark.parametrize("name", ["symbol", "coin", "pair", "instId", "market", "product_id", "contract_code"])
    @pytest.mark.parametrize("other", OTHERS)
    def test_another_s_rows_are_refused_by_name(self, mode, name, other):
        mine, not_mine = {**GOOD, name: "BTC"}, {**GOOD, "base_size": 1.0, name: other}
        for coin in ("BTC", None):
            made = Liquidator(coin, mode=mode)
            made.push(mine)
            assert made.coin == "BTC"
            says = f"{name}: found '{other}', allowed 'BTC': one Liquidator a coin"
            for call in (
                lambda made=made: made.push(not_mine),
                lambda made=made: made.ingest_trades([mine, not_mine]),
                lambda made=made: made.ingest_trades(pd.DataFrame([mine, not_mine])),
                lambda made=made: made.ingest_trades([not_mine]),
                lambda made=made: made.ingest_liquidations([{**not_mine, "side": "long"}]),
                lambda made=made: made.ingest_funding_rates([{"time": T, "funding_rate": 0.1, name: other}]),
                lambda made=made: made.update_candles(CANDLE.assign(**{name: other})),
            ):
                with pytest.raises(ValueError, match=says):
                    call()
            assert len(dict(made._history.arrays())["queue_trades"]) == 1

    def test_skipped_and_counted_where_asked(self):
        made = Liquidator(on_bad="skip")
        rows = [{**GOOD, "symbol": name} for name in ("BTCUSDT", "ETHUSDT", "BTC-USD", "BTCEUR")]
        made.ingest_trades(rows)
        made.push(rows[1])
        made.ingest_trades([rows[1]])
        assert (made.skipped, made.coin) == (4, "BTC")

    def test_different_coins_of_one_name(self):
        for first in ("1000PEPE", "kPEPE", "PEPE"):
            for other in ("1000PEPEUSDT", "kPEPE", "PEPE-USDT"):
                made = Liquidator(first)
                if market_of(other).coin == first.upper():
                    made.push({**GOOD, "symbol": other})
                    continue
                with pytest.raises(ValueError, match="one Liquidator a coin"):
                    made.push({**GOOD, "symbol": other})

    @pytest.mark.parametrize("first", ["BTCUSDT", "BTC-USD", "BTC/USDC", "BTCBUSD", "BTCFDUSD", "XBTUSD", "BTC"])
    def test_dollars_are_one_currency_and_others_are_not(self, first):
        made = Liquidator()
        made.push({**GOOD, "symbol": first})
        for name in ("BTCUSDT", "BTC-USD", "BTCUSDC", "BTC_BUSD", "BTC/FDUSD"):
            made.push({**GOOD, "symbol": name})
        for name in ("BTCEUR", "BTC-TRY", "KRW-BTC", "BTC/JPY"):
            for call in (made.push, lambda row, made=made: made.ingest_trades([row, row])):
                with pytest.raises(ValueError, match=f"symbol: found '{name}', allowed a market in USD"):
                    call({**GOOD, "symbol": name})
        other = Liquidator("BTC")
        other.push({**GOOD, "symbol": "BTCEUR"})
        with pytest.raises(ValueError, match="allowed a market in EUR"):
            other.push({**GOOD, "symbol": "BTCUSDT"})

    def test_what_fails_says_nothing_about_the_coin(self):
        made = Liquidator()
        with pytest.raises(ValueError, match="price"):
            made.ingest_trades([{**GOOD, "symbol": "ETHUSDT"}, {**GOOD, "symbol": "ETHUSDT", "price": 0.0}])
        with pytest.raises(ValueError, match="price"):
            made.push({**GOOD, "symbol": "ETHUSDT", "price": 0.0})
        assert made.coin is None
        made.push({**GOOD, "symbol": "BTCUSDT"})
        assert made.coin == "BTC"

    def test_it_is_kept_by_save_and_load(self, tmp_path):
        made = Liquidator()
        made.push({**GOOD, "symbol": "BTCUSDT"})
        made.save(tmp_path / "a")
        again = Liquidator.load(tmp_path / "a")
        assert again.coin == "BTC"
        for name in ("ETHUSDT", "BTCEUR"):
            with pytest.raises(ValueError, match=f"found '{name}'"):
                again.push({**GOOD, "symbol": name})

    @pytest.mark.parametrize(("venue", "message"), ENVELOPES)
    def test_a_market_that_the_envelope_names(self, venue, message):
        for form in (message, [message]) if isinstance(message, dict) else (message,):
            with pytest.raises(ValueError, match=r"found '.*(?i:eth).*', allowed 'BTC': one Liquidator a coin"):
                Liquidator("BTC").ingest_trades(form, venue)
            made = Liquidator()
            made.ingest_trades(form, venue)
            assert made.coin == "ETH"

    def test_bybit_s_liquidations_name_their_market_s(self):
        rows = [{"T": T, "s": "ROSEUSDT", "S": "Sell", "v": "20000", "p": "0.045"}]
        rows += [{"T": T, "s": "BTCUSDT", "S": "Buy", "v": "1", "p": "60000"}]
        with pytest.raises(ValueError, match="row 0, s: found 'ROSEUSDT', allowed 'BTC'"):
            Liquidator("BTC").ingest_liquidations({"topic": "allLiquidation", "data": rows}, "bybit")
        with pytest.raises(ValueError, match="row 1, s: found 'BTCUSDT', allowed 'ROSE'"):
            Liquidator().ingest_liquidations({"topic": "allLiquidation", "data": rows}, "bybit")

    def test_binance_s_liquidations_are_wrapped_in_an_order(self):
        order = {"s": "BTCUSDT", "S": "SELL", "q": "2", "p": "49", "ap": "50", "X": "FILLED", "T": T}
        made = Liquidator()
        made.ingest_liquidations({"e": "forceOrder", "E": T, "o": order}, "binance")
        assert (made.coin, made._history.liquidations.rows["usd"].tolist()) == ("BTC", [100.0])


FLAGGED = [
    ("crossed", False), ("crossed", "false"), ("crossed", 0), ("is_block_trade", True), ("isBlockTrade", "True"),
    ("BT", 1), ("is_internal", True), ("block_trade_id", "BLOCK-1"),
]  # fmt: skip


class TestFlags:
    @pytest.mark.parametrize(("name", "value"), FLAGGED)
    def test_rows_that_are_no_trades_are_left_out_and_counted(self, name, value, tmp_path, caplog):
        kept = None if name == "block_trade_id" else {"false": "true", "True": "False"}.get(value)
        kept = kept if isinstance(value, str) else type(value)(not value)
        rows = [{**GOOD, "time": T + 60_000 * at, "id": at % 2, name: value if at % 2 else kept} for at in range(4)]
        rows[0]["id"] = 1  # of one match with the row after it
        for form in (rows, pd.DataFrame(rows), pd.DataFrame(rows).to_dict("list")):
            read = read_trades(form)
            assert (read.parts[0].trades["time"].tolist(), read.others) == ([T, T + 120_000], 2)
        pushed, given = Liquidator(), Liquidator()
        for row in rows:
            pushed.push(row)
        given.ingest_trades(rows)
        for made in (pushed, given):
            assert made.counts["not_trades"] == 2
            assert dict(made._history.arrays())["queue_trades"]["time"].tolist()[-1] == T + 120_000
        pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
        assert read_bars(tmp_path / "a.csv")["volume"].tolist() == [2.0, 0.0]
        assert "2 rows say that they are no trades" in caplog.text

    def test_a_flag_that_is_none(self):
        for take in (read_trades, lambda rows: [Liquidator().push(row) for row in rows]):
            with pytest.raises(ValueError, match="crossed: found 'perhaps', allowed true or false"):
                take([{**GOOD, "crossed": "perhaps"}] * 2)

    def test_a_forced_close_of_aggr_is_no_second_trade(self):
        rows = [{**AGGR, "exchange": "BYBIT", "price": 50.0, "size": 2.0, "side": "sell"}]
        rows += [{**rows[0], "liquidation": True}]
        assert (len(read_trades(rows).parts[0].trades), read_trades(rows).others) == (1, 1)
        assert read_liquidations(rows, None, lambda name: 0).events["side"].tolist() == [LONG]

    @pytest.mark.parametrize(("flag", "who"), [("T", LONG), ("M", SHORT), ("none", None), (None, None)])
    def test_deribit_s_trades_say_whose_order_was_forced(self, flag, who):
        row = {"timestamp": T, "price": 50.0, "amount": 100.0, "direction": "sell", "instrument_name": "BTC-PERPETUAL"}
        row |= {"liquidation": flag}
        assert len(read_trades([row, row], None, "deribit").parts[0].trades) == 2
        got = (
            read_liquidations([row, {**row, "liquidation": "T"}], None, lambda name: 0, "deribit")
            .events["side"]
            .tolist()
        )
        assert got == ([LONG] if who is None else [who, LONG])


ROWS = [
    ("", [{**GOOD, "id": 1}, {**GOOD, "id": 1}, {**GOOD, "time": T + 60_000, "id": 2}]),
    ("coinbase", [{**GOOD, "trade_id": at, "time": T + 60_000 * at, "side": "sell"} for at in range(3)]),
    ("bybit", [{**GOOD, "symbol": "BTCUSD", "time": T + 60_000 * at} for at in range(3)]),
    ("okx", [{"instId": "BTC-USDT-SWAP", **GOOD, "time": T + 60_000 * at} for at in range(3)]),
    ("", [{**GOOD, "time": T + 60_000 * at, "id": -at} for at in range(3)]),
    ("", [{**GOOD, "price": 50.0 + at, "id": at} for at in (2, 0, 1)] + [{**GOOD, "time": T + 60_000, "id": 9}]),
]


class TestOneReader:
    """The same rows through a file, a table, a push and freqtrade's readers: the same trades, or the same refusal."""

    @pytest.mark.parametrize(("venue", "rows"), ROWS)
    def test_alike(self, venue, rows, tmp_path):
        pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
        pa.parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "a.parquet")
        end = {**rows[-1], "time": T + 600_000, **{name: 10**6 for name in ("id", "trade_id") if name in rows[0]}}

        def pushed() -> np.ndarray:
            made = Liquidator()
            for row in [*rows, end]:
                made.push(row, venue)
            return made.bars()

        def given() -> np.ndarray:
            made = Liquidator()
            made.ingest_trades(pd.DataFrame([*rows, end]), venue)
            return made.bars()

        answers = []
        for read in (pushed, given, *(lambda kind=kind: read_bars(tmp_path / f"a.{kind}", venue=venue)
                                      for kind in ("csv", "parquet"))):  # fmt: skip
            try:
                answers.append(read())
            except ValueError as error:
                answers.append(str(error).rpartition("allowed")[0].split(": ")[-1])
        if isinstance(answers[0], str):
            assert all(isinstance(answer, str) for answer in answers)
            return
        for answer in answers[1:]:
            count = min(len(answer), len(answers[0]))
            assert count >= 1
            assert answer[:count].tobytes() == answers[0][:count].tobytes()

    def test_an_id_that_begins_later_is_an_id(self):
        rows = [GOOD, {**GOOD, "id": 5}, {**GOOD, "id": 5}]
        made = Liquidator()
        made.ingest_trades(rows)
        assert made.counts["repeated"] == 1
        assert len(trades_from_table(rows)) == 2

    @pytest.mark.parametrize("many", [{"price": 0.0}, {"side": "?"}, {"time": 5}])
    def test_a_batch_of_only_bad_trades_is_counted(self, many):
        for mode in ("batch", "streaming"):
            made = Liquidator(on_bad="skip", mode=mode)
            made.ingest_trades([{**GOOD, **many}] * 3)
            made.ingest_trades(pd.DataFrame([{**GOOD, **many}] * 2))
            made.ingest_trades([{**GOOD, **many}])
            assert made.skipped == 6
            made.ingest_trades([GOOD])
            assert len(dict(made._history.arrays())["queue_trades"]) == 1

    @pytest.mark.parametrize(
        "broken",
        [
            [{"time": T, "size": 1.0, "side": "A"}] * 2,
            [{"time": T, "size": 1.0, "side": "A"}],
            {"time": [T], "price": [1.0, 2.0], "size": [1.0], "side": ["A"]},
            {"time": [T] * 2, "price": [1.0] * 2, "px": [1.0] * 2, "size": [1.0] * 2, "side": ["A"] * 2},
        ],
    )
    def test_a_batch_whose_fault_is_in_no_row_is_refused(self, broken):
        for on_bad in ("raise", "skip"):
            made = Liquidator(on_bad=on_bad)
            with pytest.raises(ValueError, match=r"missing column for price|one length|both mean price"):
                made.ingest_trades(broken)
            assert made.skipped == 0

    @pytest.mark.parametrize(
        "columns",
        [
            {"time": [T, T, T], "price": [1.0], "size": [1.0] * 3, "side": ["A"] * 3},
            {"time": [T, T], "price": np.ones(3), "size": pa.array([1.0, 1.0]), "side": ["A"] * 2},
            {"time": [T], "price": 1.0, "size": [1.0], "side": ["A"]},
        ],
    )
    def test_columns_of_unequal_length_are_refused(self, columns):
        for take in ("ingest_trades", "ingest_liquidations"):
            with pytest.raises(ValueError, match=r"columns must be of one length|allowed as many values"):
                getattr(Liquidator(), take)(columns)
        with pytest.raises(ValueError, match=r"columns must be of one length|allowed as many values"):
            trades_from_table(columns)


def test_the_identity_grows_and_never_changes():
    identity = Identity()
    assert identity.joined("BTC") == Identity("BTC")
    assert identity.joined("BTC").joined("XBT/USDT:USDT") == Identity("BTC", "USD")
    assert Identity("BTC", "USD").joined("BTC-PERP") == Identity("BTC", "USD")
    assert Identity("TRUST").joined("TRUST") == Identity("TRUST")
    assert identity.joined("spot") == identity


def test_the_command_line_takes_them_too(tmp_path):
    rows = pd.DataFrame([{**GOOD, "time": T + 60_000 * at, "side": "sell"} for at in range(4)])
    rows.to_csv(tmp_path / "a.csv", index=False)
    done = liquidator("zones", "a.csv", "--json", "--venue", "coinbase", "--convention", "taker", cwd=tmp_path)
    assert json.loads(done.stdout)["bars"] == 3
    wrong = {("--convention", "maker"): "convention must be", ("--venue", "coinbas"): "did you mean 'coinbase'"}
    for words, says in wrong.items():
        assert says in liquidator("zones", "a.csv", *words, cwd=tmp_path, code=2).stderr


def test_trade_arrays_stay_as_they_are():
    trades = np.array([(T, 1.0, 1.0, 1)], TRADE)
    assert trades_from_table(trades) is not None
    assert trades_from_table(trades).tobytes() == trades.tobytes()
