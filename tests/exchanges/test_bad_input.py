"""What is asked for in error: told at once, by name, with what is allowed."""

from __future__ import annotations

import datetime

import pytest
from venue_server import serving
from venue_tape import HOUR, START, make

from liquidator_integrations.exchanges import client, fetch


@pytest.fixture(scope="module")
def small():
    with serving(make(500)) as made:
        yield made


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"symbol": "BTX"}, r"symbol: found 'BTX', allowed a market of the venue: did you mean BTC/"),
        ({"symbol": "NOSUCHCOIN"}, "symbol: found 'NOSUCHCOIN', allowed a market of the venue: one of"),
        ({"symbol": ""}, "symbol: found ''"),
        ({"symbol": "BTC-EUR"}, "symbol: found 'BTC-EUR'.*did you mean BTC/"),
        ({"symbol": "ETH", "market": "inverse"}, "symbol: 'ETH' has no inverse market there, found ETH/"),
        ({"market": "swap"}, "market: found 'swap', allowed perpetual, inverse, spot or None"),
        ({"kinds": ("ticks",)}, "kinds: found 'ticks', allowed candles, trades,"),
        ({"kinds": ()}, "kinds: found none"),
        ({"timeframe": "7m"}, "timeframe: found '7m', allowed 1m, 3m,"),
        ({"timeframe": "1w"}, "timeframe: found '1w', allowed 1m, 3m,"),
        ({"since": START + HOUR, "until": START}, "since: found 2025-06-02T13:00:00 UTC, allowed a time before"),
        ({"since": "yesterday"}, "since: found 'yesterday', allowed a datetime, a number or ISO 8601 text"),
        ({"since": 1}, "since: found 1, allowed a time"),
        ({"since": "2100-01-01"}, "it lies in the future"),
        ({"since": "2100-01-01", "until": "2100-01-02"}, "allowed a time before now"),
        (
            {"since": "2015-01-01", "until": "2015-01-02"},
            "allowed from 2019-09-25T08:00:00 UTC on, when binance listed",
        ),
    ],
)
def test_an_argument_that_is_not_allowed(small, arguments, said):
    wanted = {"symbol": "BTC", "since": START, "until": START + HOUR, **arguments}
    if "since" in arguments and "until" not in arguments:
        del wanted["until"]
    with pytest.raises(ValueError, match=said) as caught:
        fetch(wanted.pop("symbol"), small.instance("binance"), **wanted)
    assert "\n" not in str(caught.value)


def test_an_exchange_that_is_not_known():
    with pytest.raises(
        ValueError, match="exchange: found 'krakn', allowed the name of an exchange: did you mean 'kraken'"
    ):
        fetch("BTC", "krakn", since=START)
    with pytest.raises(TypeError, match="exchange must be a name or a ccxt instance, got int"):
        fetch("BTC", 7, since=START)


def test_a_timeframe_that_the_venue_does_not_have(small):
    with pytest.raises(ValueError, match="timeframe: found '3m', allowed on kraken 1m, 5m"):
        fetch("BTC", small.instance("kraken"), since=START, until=START + HOUR, timeframe="3m")


def test_times_may_be_written_in_any_way(small):
    moment = datetime.datetime.fromtimestamp(START / 1000, datetime.UTC)
    span = START + HOUR
    tables = [
        fetch("BTC", small.instance("binance"), ("trades",), since=since, until=span).tables["trades"]
        for since in (START, START // 1000, moment, moment.replace(tzinfo=None), moment.isoformat())
    ]
    assert all(table.equals(tables[0]) for table in tables)


def test_a_broken_listener_does_not_stay_behind(small):
    instance = small.instance("binance")
    with pytest.raises(ValueError, match="symbol"):
        fetch("NOSUCHCOIN", instance, since=START, until=START + HOUR)
    assert len(client._LISTENERS) == 0
