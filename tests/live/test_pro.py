"""Trades through ccxt.pro, taken where they enter its cache."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest
from live_runs import SHORT, goes_on, rows, same, took, until

from liquidator_integrations import Liquidator
from liquidator_integrations.live import raw, running, venue


@pytest.fixture(params=["kraken", "bybit", "hyperliquid"])
def name(request, monkeypatch) -> Any:
    """A venue whose trades are watched through ccxt.pro, with a reader of our own or without."""
    monkeypatch.setattr(venue, "unstreamed", lambda *_: [])
    for module in (running, venue):
        others = {key: value for key, value in raw.MODULES.items() if key != request.param}
        monkeypatch.setattr(module, "MODULES", others)
    return request.param


def test_it_is_the_batch_of_its_trades_whatever_the_burst(server, name):
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=server.live(name))
    server.connected(name)
    server.send(name, range(3000))
    took(stream, 3000)
    stream.stop()
    same(made, rows(SHORT, name))


def test_an_instance_is_as_it_was_once_the_stream_has_ended(server, name):
    instance = server.live(name)
    stream = Liquidator("BTC", mode="streaming").start_stream(exchange=instance)
    server.connected(name)
    server.send(name, range(10))
    took(stream, 10)
    clients = list(instance.clients.values())
    assert clients
    stream.stop()
    assert "client" not in vars(instance)
    assert not any("handle_message" in vars(one) for one in clients)
    assert not any(type(cache).__name__ == "Tapped" for cache in instance.trades.values())


def test_malformed_frames_do_not_end_it(server, name):
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=server.live(name))
    server.connected(name)
    server.send(name, range(100))
    took(stream, 100)
    bad = ['{"channel": "trade", "data": [1]}', '{"topic": "publicTrade.BTCUSDT", "data": [1]}', "{", '{"a": ']
    server.text(name, *bad, '{"channel": "trades", "data": [{"coin": {}}]}')
    goes_on(server, name, made, stream, (100, 105, 200))
    assert stream.health()["dropped"].sum() >= 1


def test_a_disconnect_leaves_no_trace(server, name):
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=server.live(name))
    server.connected(name)
    server.send(name, range(400))
    took(stream, 400)
    server.outage(name, 405)
    server.connected(name)
    goes_on(server, name, made, stream, (405, 406, 600))


def test_a_disconnect_while_nothing_is_watched_is_a_gap_all_the_same(server, name):
    """ccxt tells it to nobody then, and connects anew at the next call."""
    instance, may_watch = server.live(name), threading.Event()
    watch = instance.watch_trades

    async def watch_late(symbol: str) -> Any:
        trades = await watch(symbol)
        await asyncio.to_thread(may_watch.wait)
        return trades

    instance.watch_trades = watch_late
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=instance)
    server.connected(name)
    server.send(name, range(400))
    took(stream, 400)
    server.outage(name, 405)
    until(lambda: not instance.clients, "ccxt to have seen it")
    may_watch.set()
    server.connected(name)
    goes_on(server, name, made, stream, (405, 406, 600))


def test_a_silent_socket_is_replaced(server, quick, name):
    quick(silence_s=0.5, ping_s=0.05)
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=server.live(name))
    server.connected(name)
    server.send(name, range(400))
    took(stream, 400)
    server.silence(name)
    server.show(405)
    server.connected(name, 2)
    goes_on(server, name, made, stream, (405, 406, 600))


def counted(client: Any) -> list[Any]:
    """What a connection of ccxt.pro reads from here on."""
    messages, read = [], client.handle_message

    def handle_message(message: Any) -> None:
        messages.append(message)
        read(message)

    client.handle_message = handle_message
    return messages


@pytest.mark.parametrize("worded", [True, False])
def test_a_quiet_socket_that_answers_stays(server, quick, name, worded):
    quick(silence_s=0.3, ping_s=0.05)
    server.worded |= {name} if worded else set()
    instance = server.live(name)
    if not worded:
        instance.ping = None
    stream = Liquidator("BTC", mode="streaming").start_stream(exchange=instance)
    server.connected(name)
    server.send(name, range(10))
    took(stream, 10)
    (client,) = instance.clients.values()
    answers = counted(client)
    until(lambda: len(answers) > 10, "answers")
    assert list(instance.clients.values()) == [client]
    stream.stop()


def test_a_quiet_connection_of_before_the_stream_stays(server, quick, monkeypatch):
    """The user's own, in asyncio."""
    monkeypatch.setattr(venue, "unstreamed", lambda *_: [])
    for module in (running, venue):
        monkeypatch.setattr(module, "MODULES", {key: one for key, one in raw.MODULES.items() if key != "bybit"})
    quick(silence_s=0.3, ping_s=0.05)
    instance, made = server.live("bybit"), Liquidator("BTC", mode="streaming")

    async def main() -> None:
        watched = asyncio.create_task(instance.watch_trades("BTC/USDT"))
        await asyncio.to_thread(server.connected, "bybit")
        (before,) = instance.clients.values()
        stream = await made.astart_stream(exchange=instance)
        await asyncio.to_thread(server.connected, "bybit", 2)
        other = next(one for one in instance.clients.values() if one is not before)
        answers = counted(other)
        await asyncio.to_thread(until, lambda: len(answers) > 10, "answers")
        assert before in instance.clients.values()
        made.stop_stream()
        await stream
        await instance.close()
        await asyncio.gather(watched, return_exceptions=True)

    asyncio.run(main())


def test_a_loop_that_pauses_takes_no_connection_for_dead(server, quick, name):
    """As a ``rebuild`` in asyncio has it pause; what came meanwhile is there, and not read yet."""
    quick(silence_s=0.3, ping_s=0.1)
    instance, made = server.live(name), Liquidator("BTC", mode="streaming")

    async def main() -> None:
        stream = await made.astart_stream(exchange=instance)
        await asyncio.to_thread(server.connected, name)
        await asyncio.to_thread(server.send, name, range(10))
        await asyncio.to_thread(took, stream, 10)
        standing = list(instance.clients.values())
        server.send(name, range(10, 20))
        time.sleep(0.5)
        await asyncio.to_thread(took, stream, 20)
        assert list(instance.clients.values()) == standing
        made.stop_stream()
        await stream
        await instance.close()

    asyncio.run(main())


def test_a_venue_without_a_stream_is_refused(server):
    instance = server.live("kraken")
    instance.has["watchTrades"] = False
    with pytest.raises(ValueError, match="kraken has no stream of trades"):
        Liquidator("BTC", mode="streaming").start_stream(exchange=instance)
