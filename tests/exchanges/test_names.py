"""Exchanges as people write them, against the ids of genuine ccxt."""

from __future__ import annotations

import ccxt
import pytest
from venue_server import serving
from venue_tape import HOUR, START, make

from liquidator_integrations import Liquidator
from liquidator_integrations.exchanges import client, fetch
from liquidator_integrations.exchanges.names import find_exchange


@pytest.mark.parametrize(
    ("text", "found", "market"),
    [
        *((text, "okx", None) for text in ("okx", "OKEx", " okex ", "okex-swap", "OKEX_FUTURES")),
        *((text, "htx", None) for text in ("htx", "huobi", "huobipro", "Huobi Global", "huobi-dm", "HUOBI_SWAP")),
        *((text, "gate", None) for text in ("gate", "gate-io", "gateio", "Gate.io", "gate-io-futures")),
        *((text, "binance", None) for text in ("binance", "BINANCE", "binance-futures", "BINANCE_FUTURES")),
        *((text, "binance", "inverse") for text in ("binance-delivery", "BINANCE_DELIVERY", "binance-coin-margined")),
        *((text, "binanceusdm", None) for text in ("binanceusdm", "binance-usdm", "Binance USDM")),
        *((text, "binancecoinm", None) for text in ("binancecoinm", "binance_coinm")),
        *((text, "coinbase", None) for text in ("coinbase", "coinbasepro", "coinbase-pro", "COINBASE_PRO", "gdax")),
        *((text, "krakenfutures", None) for text in ("krakenfutures", "KRAKEN_FUTURES", "cryptofacilities")),
        ("bybit-spot", "bybit", "spot"),
        ("bybit-linear", "bybit", "perpetual"),
        ("kraken-spot", "kraken", "spot"),
        ("kucoin-futures", "kucoinfutures", None),
        ("binance-us", "binanceus", None),
        ("crypto.com", "cryptocom", None),
        ("CRYPTODOTCOM", "cryptocom", None),
        ("bitfinex2", "bitfinex", None),
        ("dydx-v4", "dydx", None),
        ("woo-x", "woo", None),
        ("mxc", "mexc", None),
        ("hyperliquid-perp", "hyperliquid", None),
    ],
)
def test_an_exchange_is_found(text, found, market):
    assert find_exchange(text, ccxt.exchanges) == (found, market)


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("binanse", "did you mean 'binance'"),
        ("huobbi", "did you mean 'huobi'"),
        ("oxk", "did you mean 'okx'"),
        ("krakn", "did you mean 'kraken'"),
        ("coinbase-por", "did you mean 'coinbase'"),
        ("hyperliqid", "did you mean 'hyperliquid'"),
        ("binance-tr", "did you mean"),  # an exchange of its own
        ("binance-jersey", "did you mean 'binance"),
        ("nosuchplace", "one of ccxt's"),
        ("uniswap", "allowed the name of an exchange"),  # known as a venue of trades, not to ccxt
        ("", "one of ccxt's"),
        ("binance-options", "options are not fetched"),
    ],
)
def test_an_exchange_that_is_not_there_is_not_found(text, near):
    with pytest.raises(ValueError, match="exchange: found") as caught:
        find_exchange(text, ccxt.exchanges)
    assert near in str(caught.value)


def test_what_the_name_says_of_the_market_counts_where_nothing_else_does(monkeypatch):
    span = {"since": START + HOUR, "until": START + 2 * HOUR}
    with serving(make(500)) as server:
        monkeypatch.setitem(client._SHARED, "binance", server.instance("binance"))
        assert fetch("BTC", "binance-delivery", **span).symbol == "BTC/USD:BTC"
        assert fetch("BTC", "binance-delivery", market="spot", **span).symbol == "BTC/USDT"
        assert fetch("BTC", "BINANCE_FUTURES", **span).symbol == "BTC/USDT:USDT"
        made = Liquidator.from_exchange("BTC", "binance-futures", hours=1, until=START + 12 * HOUR)
        assert set(made.coverage["venue"]) == {"binance"}
