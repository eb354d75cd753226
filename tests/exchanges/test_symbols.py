"""Symbols as people write them, against the markets of genuine ccxt."""

from __future__ import annotations

import pytest
from venue_server import serving
from venue_tape import make

from liquidator_integrations.exchanges.symbols import find_market


@pytest.fixture(scope="module")
def markets():
    with serving(make(10)) as server:
        yield {
            venue: server.instance(venue).load_markets()
            for venue in ("binance", "bybit", "okx", "kraken", "coinbase", "hyperliquid")
        }


LINEAR, INVERSE, SPOT = "BTC/USDT:USDT", "BTC/USD:BTC", "BTC/USDT"


@pytest.mark.parametrize(
    ("venue", "text", "market", "found"),
    [
        *(
            ("binance", text, None, LINEAR)
            for text in ("BTC", "btc", "BTCUSDT", "BTC-USD", "BTC/USD", "BTC_USDT", "XBT")
        ),
        *(("binance", text, None, LINEAR) for text in ("BTC-PERP", "BTC-PERPETUAL", "XBT/USD", "BTC/USDT", LINEAR)),
        *(("binance", text, "inverse", INVERSE) for text in ("BTC", "BTCUSD", "BTC-USDT", "BTCUSD_PERP", INVERSE)),
        *(("binance", text, None, INVERSE) for text in ("BTCUSD_PERP", INVERSE)),
        *(("binance", text, "spot", SPOT) for text in ("BTC", "BTCUSDT", "BTC-USDT", "BTC/USDT")),
        *(("binance", text, None, "1000PEPE/USDT:USDT") for text in ("1000PEPE", "PEPE", "1000PEPEUSDT", "kPEPE")),
        ("binance", "ONLYSPOT", None, "ONLYSPOT/USDT"),
        ("okx", "BTC-USDT-SWAP", None, LINEAR),
        ("okx", "BTC-USDT", None, LINEAR),
        ("okx", "BTC-USDT", "spot", SPOT),
        ("bybit", "BTCUSD", "inverse", INVERSE),
        ("kraken", "XBT/USD", None, "BTC/USD"),
        ("kraken", "XXBTZUSD", None, "BTC/USD"),
        ("kraken", "BTC", None, "BTC/USD"),
        ("coinbase", "BTC-USD", None, "BTC/USD"),
        ("hyperliquid", "BTC", None, "BTC/USDC:USDC"),
        ("hyperliquid", "BTC-USD", None, "BTC/USDC:USDC"),
        ("hyperliquid", "1000PEPE", None, "KPEPE/USDC:USDC"),
        ("hyperliquid", "kPEPE", None, "KPEPE/USDC:USDC"),
        ("hyperliquid", "PURR", None, "PURR/USDC"),
    ],
)
def test_a_symbol_is_found(markets, venue, text, market, found):
    one, chosen = find_market(markets[venue], text, market)
    assert one["symbol"] == found
    assert not (chosen and market)


def test_what_the_symbol_says_is_no_choice(markets):
    for text in (LINEAR, INVERSE, "BTCUSD_PERP"):
        assert not find_market(markets["binance"], text)[1]
    assert find_market(markets["binance"], "BTC-USD")[1]


@pytest.mark.parametrize("text", ["EPE", "KAVA", "100PEPE", "USDT", "BTCBTC", "BTC/EUR", "BTC-USDT-261225"])
def test_what_is_not_there_is_not_found(markets, text):
    with pytest.raises(ValueError, match="symbol: found"):
        find_market(markets["binance"], text)


def test_spot_must_have_the_quote_that_was_asked_for(markets):
    with pytest.raises(ValueError, match="'BTC-USD' has no spot market there, found BTC/USD:BTC, BTC/USDT"):
        find_market(markets["binance"], "BTC-USD", "spot")
