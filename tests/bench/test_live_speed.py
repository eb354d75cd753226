"""What a frame costs from a socket into engine and store, beside ccxt.pro's handler, and how long it takes."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from venue_server import Loopback
from venue_streams import FRAMES
from venue_tape import make

from liquidator_integrations import Liquidator
from liquidator_integrations.live.capture import Capture
from liquidator_integrations.live.channel import Channel
from liquidator_integrations.live.courier import Courier
from liquidator_integrations.live.limits import Limits
from liquidator_integrations.live.raw import MODULES, Raw
from liquidator_integrations.live.said import Link
from liquidator_integrations.live.session import Session

pytestmark = pytest.mark.slow

TAPE = make(20_000, 6, hole=False)
MARKETS = {"binance": "BTC/USDT:USDT", "bybit": "BTC/USDT:USDT", "okx": "BTC/USDT:USDT", "hyperliquid": "BTC/USDC:USDC"}


class Heard:
    """A connection's listener that hands trades to a session."""

    def __init__(self, session: Session, channels: dict[str, Channel]) -> None:
        self.session, self.channels = session, channels

    def said(self, said: Any, receipt: int) -> None:
        self.session.said(self.channels[said.market], said, receipt, False)

    def nonsense(self, error: Exception) -> None:
        raise error


def path(venue: str, folder: Path | None, coins: int = 1) -> tuple[Raw, list[Liquidator], Session]:
    """A connection without a socket, before as many engines as there are coins."""
    limits = replace(Limits(), now=lambda: int(TAPE.time[-1]))
    capture = None if folder is None else Capture(folder)
    session = Session({}, capture, Courier(), limits, None, None)
    made, channels = [], {}
    name = {"okx": "BTC-USDT-SWAP", "hyperliquid": "BTC"}.get(venue, "BTCUSDT")
    for number in range(coins):
        one = Liquidator("BTC", mode="streaming")
        market = {"symbol": MARKETS[venue], "contract": True, "contractSize": 0.01 if venue == "okx" else 1.0}
        channel = Channel(venue, market, one._stream_sink(None), venue == "binance", venue != "bybit", "full", 0)
        session.add(channel)
        channels[name if coins == 1 else f"{name}{number}"] = channel
        made.append(one)
    return Raw(None, venue, Link("", [], "", True, {}), Heard(session, channels), limits), made, session


def seconds(call: Any, frames: list[Any]) -> float:
    """CPU of a call a frame: the least of three thirds."""
    third = len(frames) // 3
    spent = []
    for start in range(0, 3 * third, third):
        began = time.process_time()
        for frame in frames[start : start + third]:
            call(frame)
        spent.append((time.process_time() - began) / third)
    return min(spent)


@pytest.mark.parametrize("venue", MARKETS)
def test_a_frame_costs_a_quarter_of_what_ccxt_takes(venue, tell):
    import ccxt.pro
    import orjson

    server = Loopback(TAPE).start()
    instance = server.instance(venue, ccxt.pro)
    instance.set_markets(server.instance(venue).load_markets())
    server.stop()
    frames = [FRAMES[venue](TAPE, row) for row in range(6000)]
    raw, _, _ = path(venue, None)

    class Client:
        subscriptions: dict[str, Any]
        url = "wss://fstream.binance.com/market/ws"

        def resolve(self, *what: Any) -> None:
            pass

    client = Client()
    client.subscriptions = {}
    theirs = seconds(lambda frame: instance.handle_message(client, orjson.loads(frame)), frames)
    parsing = seconds(lambda frame: list(MODULES[venue].read(orjson.loads(frame))), frames)
    ours = seconds(lambda frame: raw._take(frame, 1), frames)
    tell(
        f"{venue}: a frame takes ccxt.pro's handler {theirs * 1e6:.1f} us, {theirs / parsing:.1f} times ours "
        f"({parsing * 1e6:.1f}); with the engine {ours * 1e6:.1f}"
    )
    assert theirs > 4 * parsing


def test_ten_thousand_trades_a_second_on_a_fifth_of_a_core(tmp_path, tell):
    raw, made, session = path("binance", tmp_path / "store")
    frames = [FRAMES["binance"](TAPE, row) for row in range(len(TAPE))]
    raw._take(frames[0], 1)
    began = time.process_time()
    for place, frame in enumerate(frames[1:]):
        raw._take(frame, 1)
        if place % 10_000 == 0:
            session._capture.flush()
    session._capture.flush()
    spent = (time.process_time() - began) / (len(frames) - 1)
    tell(f"a frame into engine and store: {spent * 1e6:.1f} us, {spent * 1e4:.0%} of a core at 10,000 trades a second")
    session._capture.close()
    assert len(made[0].bars()) > 300
    assert spent < 50e-6  # some 17 where it was measured


def test_two_hundred_symbols_at_fifty_a_second_on_one_core(tell):
    coins = 200
    raw, made, _ = path("binance", None, coins)
    frames = [
        FRAMES["binance"](TAPE, row).replace("BTCUSDT", f"BTCUSDT{coin}") for row in range(100) for coin in range(coins)
    ]
    spent = seconds(lambda frame: raw._take(frame, 1), frames)
    tell(f"200 symbols: {spent * 1e6:.1f} us a trade, {spent * 200 * 50:.0%} of a core at 50 a second each")
    assert spent * 200 * 50 < 1.0
    assert all(len(one.bars()) for one in made)


def test_latency_from_a_frame_to_a_callback(tell):
    raw, made, session = path("binance", None)
    made[0]._events.courier = session._courier
    heard: list[float] = []
    made[0].on_liquidation(lambda event: heard.append(time.perf_counter()))
    sent = []
    for row in range(2000):
        raw._take(FRAMES["binance"](TAPE, row), 1)
        at = int(TAPE.time[row])
        order = f'"s":"BTCUSDT","S":"SELL","q":"1","p":"1","ap":"50000.{row}","X":"FILLED","T":{at}'
        sent.append(time.perf_counter())
        raw._take(f'{{"e":"forceOrder","E":1,"o":{{{order}}}}}', 1)
    session._courier.close(10.0)
    late = (np.array(heard) - np.array(sent[: len(heard)])) * 1e6
    tell(f"frame to callback: median {np.median(late):.0f} us, 99 % within {np.percentile(late, 99):.0f} us")
    assert len(heard) == len(sent)
