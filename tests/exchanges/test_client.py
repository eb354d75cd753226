"""How an exchange is asked: again when it falters, not at all when it forbids, by whatever instance is given."""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Any

import ccxt
import ccxt.async_support
import pytest
from venue_server import Fault, serving
from venue_tape import HOUR, START, make

from liquidator_integrations.exchanges import afetch, client, fetch

SPAN = {"since": START, "until": START + 6 * HOUR}


@pytest.fixture(scope="module")
def small():
    with serving(make(3000)) as made:
        yield made


@pytest.fixture(autouse=True)
def as_it_was(request):
    if "small" in request.fixturenames:
        server = request.getfixturevalue("small")
        server.log.clear()
        server.faults = []


def trades_of(history: Any) -> list[int]:
    return history.tables["trades"]["time"].to_pylist()


def told(small: Any) -> list[int]:
    return small.tape.time[small.tape.time < SPAN["until"]].tolist()


def test_retry_after_is_waited_for(small):
    small.faults = [Fault("aggTrades", 429, 1, 1, {"Retry-After": "0.4"}, '{"code":-1003,"msg":"Too many requests"}')]
    began = time.monotonic()
    assert trades_of(fetch("BTC", small.instance("binance"), ("trades",), **SPAN)) == told(small)
    assert time.monotonic() - began > 0.4


@pytest.mark.parametrize("asynchronous", [False, True])
def test_at_a_ban_it_stops(small, asynchronous):
    small.faults = [Fault("aggTrades", 418, 1, 2, {"Retry-After": "120"}, "<html>banned</html>")]
    instance = small.instance("binance", ccxt.async_support if asynchronous else None)
    with pytest.raises(ConnectionError, match=r"binance has banned this address, for 120 s \(HTTP 418\)"):
        fetch("BTC", instance, ("trades",), **SPAN)
    assert len(small.asked("aggTrades")) == 3
    if asynchronous:
        asyncio.run(instance.close())


def test_a_rest_that_is_too_long_is_an_error(small):
    small.faults = [Fault("aggTrades", 429, 1, 0, {"Retry-After": "86400"}, "{}")]
    with pytest.raises(ConnectionError, match="wants 86400 s of rest"):
        fetch("BTC", small.instance("binance"), ("trades",), **SPAN)


@pytest.mark.parametrize(("status", "said"), [(451, "not from where you are"), (403, "HTTP 403"), (404, "HTTP 404")])
def test_what_is_forbidden_is_asked_for_once(small, status, said):
    small.faults = [Fault("klines", status, 9, body="<html>\n<body>no</body></html>")]
    with pytest.raises(ConnectionError, match=said) as caught:
        fetch("BTC", small.instance("binance"), **SPAN)
    assert len(small.asked("klines")) == 1
    assert "\n" not in str(caught.value)


def test_a_venue_that_stays_away_is_an_error_and_no_gap(small):
    small.faults = [Fault("aggTrades", 502, 99, 2, body="<html>bad gateway</html>")]
    with pytest.raises(ConnectionError, match="binance does not answer"):
        fetch("BTC", small.instance("binance"), ("trades",), **SPAN)
    assert len(small.asked("aggTrades")) == 2 + client._ATTEMPTS


@pytest.mark.parametrize(
    "body", ['{"a": [1]}', "[[1]]", '{"code": 1}', "[null]", '[{"T": "x", "p": "1", "q": "1", "a": 1}]']
)
def test_a_venue_that_keeps_answering_nonsense_is_an_error_in_one_line(small, body):
    small.faults = [Fault("aggTrades", "nonsense", 99, body=body)]
    with pytest.raises(ValueError, match="binance answers nonsense to fapiPublicGetAggTrades") as caught:
        fetch("BTC", small.instance("binance"), ("trades",), **SPAN)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "kind", ["html", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("cut", "nonsense", "drop", 503))]
)
@pytest.mark.parametrize("venue", ["binance", "okx", "kraken", "coinbase", "bybit", "hyperliquid"])
def test_markets_are_asked_for_again(small, venue, kind):
    small.faults = [Fault("", kind, 1)]
    history = fetch("BTC", small.instance(venue), ("trades",), **SPAN)
    assert history.symbol.startswith("BTC/")


def test_without_a_network_it_says_so_soon():
    with serving(make(100)) as server:
        instance = server.instance("binance")
    began = time.monotonic()
    with pytest.raises(ConnectionError, match=r"binance does not answer: .*: is there a network\?") as caught:
        fetch("BTC", instance, **SPAN)
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 3.0


def test_an_instance_is_left_as_it_was(small):
    instance = small.instance("binance")
    fetch("BTC", instance, ("trades",), **SPAN)
    assert not {"parse_json", "on_rest_response"} & vars(instance).keys()
    small.faults = [Fault("aggTrades", "html", 99)]
    with pytest.raises(ValueError, match="nonsense"):
        fetch("BTC", instance, ("trades",), **SPAN)
    assert not {"parse_json", "on_rest_response"} & vars(instance).keys()


def test_the_pace_of_an_instance_is_kept(small):
    instance = small.instance("kraken", enableRateLimit=True, rateLimit=40)
    began = time.monotonic()
    fetch("BTC", instance, ("trades",), since=START, until=START + 24 * HOUR)
    assert time.monotonic() - began > (len(small.log) - 2) * 0.040 * 1.2


def test_fetches_by_name_share_one_instance(small, monkeypatch):
    assert client.shared("kraken") == client.shared(" Kraken ")
    assert client.shared("kraken")[0].enableRateLimit
    monkeypatch.setitem(client._SHARED, "kraken", small.instance("kraken"))
    assert trades_of(fetch("BTC", "kraken", ("trades",), **SPAN)) == told(small)
    assert trades_of(asyncio.run(afetch("BTC", "kraken", ("trades",), **SPAN))) == told(small)
    assert len([path for path, _, _ in small.log if path.endswith("AssetPairs")]) == 1


# Asynchronous instances -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("venue", ["binance", "okx", "kraken", "coinbase"])
def test_an_asynchronous_instance_gives_the_same(small, venue):
    want = fetch("BTC", small.instance(venue), ("trades", "candles"), **SPAN)
    instance = small.instance(venue, ccxt.async_support)
    got = fetch("BTC", instance, ("trades", "candles"), **SPAN)
    again = fetch("BTC", instance, ("trades",), **SPAN)
    assert got.tables["trades"].equals(want.tables["trades"])
    assert got.tables["candles"].to_pydict().keys() == want.tables["candles"].to_pydict().keys()
    assert again.tables["trades"].equals(want.tables["trades"])
    assert got.coverage.equals(want.coverage)
    assert not instance.closed_by_user
    asyncio.run(instance.close())


def test_faults_of_an_asynchronous_instance_are_cured_too(small):
    kinds: list[str | int] = ["html", "cut", "drop", 503, "slow"]
    small.faults = [Fault("aggTrades", kind, 1, skip) for skip, kind in enumerate(kinds)]
    small.faults.append(Fault("aggTrades", 429, 1, 3, {"Retry-After": "0"}, '{"code":-1003,"msg":"Too many"}'))
    instance = small.instance("binance", ccxt.async_support)
    assert trades_of(fetch("BTC", instance, ("trades",), **SPAN)) == told(small)
    asyncio.run(instance.close())


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")  # what that loop left open; raised, it would stay so
def test_an_instance_whose_loop_is_closed_is_moved_to_ours(small):
    instance = small.instance("binance", ccxt.async_support)
    asyncio.run(instance.load_markets())
    assert trades_of(fetch("BTC", instance, ("trades",), **SPAN)) == told(small)
    asyncio.run(instance.close())
    del instance
    gc.collect()


def test_afetch_takes_both_kinds_of_instance_and_several_at_once(small):
    async def both() -> list[Any]:
        instance = small.instance("binance", ccxt.async_support)
        other = small.instance("kraken")
        try:
            return await asyncio.gather(
                afetch("BTC", instance, ("trades",), **SPAN),
                afetch("BTC", instance, ("candles",), **SPAN),
                afetch("BTC", other, ("trades",), **SPAN),
                afetch("BTC", other, ("trades",), **SPAN),
            )
        finally:
            await instance.close()

    one, candles, two, three = asyncio.run(both())
    assert trades_of(one) == trades_of(two) == trades_of(three) == told(small)
    assert len(candles.tables["candles"]) > 300


def test_within_a_running_loop_fetch_takes_synchronous_instances_only(small):
    async def inside() -> Any:
        assert trades_of(fetch("BTC", small.instance("kraken"), ("trades",), **SPAN)) == told(small)
        instance = small.instance("binance", ccxt.async_support)
        with pytest.raises(RuntimeError, match=r"within a running loop: await afetch\(\.\.\.\)"):
            fetch("BTC", instance, ("trades",), **SPAN)
        await instance.close()

    asyncio.run(inside())
