"""A stream is the batch of the same trades, whatever happens to its connections."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import ccxt.async_support
import pytest
from live_runs import PATIENCE, SHORT, VENUES, goes_on, rows, same, took, until
from venue_streams import FRAMES, Streams

from liquidator_integrations import Liquidator
from liquidator_integrations.live import stream

TRADES = "business"  # okx's trades have an address of their own


def word(venue: str) -> str:
    return TRADES if venue == "okx" else ""


def started(server: Streams, venue: str, **arguments: Any) -> tuple[Liquidator, Any]:
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live(venue), **arguments)
    server.connected(venue, 1, word(venue))
    return made, running


@pytest.mark.parametrize("venue", VENUES)
def test_a_stream_is_the_batch_of_its_trades(server, venue):
    made, running = started(server, venue)
    server.send(venue, range(800))
    took(running, 800)
    running.stop()
    same(made, rows(SHORT, venue, range(800)))
    assert running.gaps().empty
    assert running.health()["state"].tolist() == ["LIVE"]


@pytest.mark.parametrize("venue", VENUES)
def test_a_disconnect_leaves_no_trace(server, venue):
    told = []
    made, running = started(server, venue, on_gap=told.append)
    server.send(venue, range(400))
    took(running, 400)
    lost = 5 if venue == "hyperliquid" else 90  # it shows the newest ten alone
    server.outage(venue, 400 + lost)
    server.connected(venue, 1, word(venue))
    server.send(venue, range(400 + lost, 401 + lost))
    took(running, 401 + lost)
    server.send(venue, range(401 + lost, 600))
    took(running, 600)
    running.stop()
    same(made, rows(SHORT, venue, range(600)))
    assert [gap["filled"] for gap in told] == [True]
    if venue == "binance":
        assert running.gaps()[["missing", "filled"]].values.tolist() == [[90.0, True]]


@pytest.mark.parametrize("venue", VENUES)
def test_a_replay_after_a_reconnect_doubles_nothing(server, venue):
    made, running = started(server, venue)
    server.send(venue, range(300))
    took(running, 300)
    server.outage(venue, 300)
    server.connected(venue, 1, word(venue))
    server.send(venue, range(200, 400))
    took(running, 400)
    running.stop()
    same(made, rows(SHORT, venue, range(400)))
    assert all(filled is True for filled in running.gaps()["filled"])  # REST may be quicker than the replay


@pytest.mark.parametrize("venue", VENUES)
def test_malformed_frames_are_counted_and_the_stream_lives(server, venue):
    made, running = started(server, venue)
    server.send(venue, range(100))
    bad = ["{", "[]", "null", '{"e": "aggTrade"}', '{"topic": "publicTrade.BTCUSDT", "data": [{}]}', "\x00"]
    bad += ['{"channel": "trades", "data": [{"coin": 1}]}', '{"arg": {"channel": "trades-all"}, "data": 1}']
    server.text(venue, *bad, word=word(venue))
    goes_on(server, venue, made, running, (100, 105, 200))
    assert running.health()["dropped"].sum() >= 6


def test_a_hole_in_the_ids_is_filled_while_the_connection_stands(server):
    made, running = started(server, "binance")
    server.send("binance", range(100))
    server.send("binance", range(150, 300))
    took(running, 300)
    running.stop()
    same(made, rows(SHORT, "binance", range(300)))
    assert running.gaps()["missing"].tolist() == [50.0]


def test_garbage_while_a_gap_is_filled_is_asked_for_again(server):
    from venue_server import Fault

    made, running = started(server, "binance")
    server.send("binance", range(100))
    took(running, 100)
    server.faults = [Fault("aggTrades", kind, 1) for kind in ("html", "cut", "nonsense", "empty", 502)]
    server.send("binance", range(150, 300))
    took(running, 300)
    running.stop()
    same(made, rows(SHORT, "binance", range(300)))
    assert running.gaps()["filled"].tolist() == [True]


def test_an_old_connection_is_replaced_by_one_that_overlaps(server, quick):
    quick(life_s=0.05)
    made, running = started(server, "binance")
    for start in range(0, 900, 30):
        server.connected("binance")
        server.send("binance", range(start, start + 30))
        if start % 300 == 0:
            server.subscriptions("binance", start // 300 + 2)
    took(running, 900)
    assert len(server.subscribed) > 3
    running.stop()
    same(made, rows(SHORT, "binance", range(900)))
    assert running.gaps().empty


def test_a_silent_socket_is_replaced(server, quick):
    quick(silence_s=0.2)
    made, running = started(server, "binance")
    server.send("binance", range(100))
    server.subscriptions("binance", 3)
    server.connected("binance")
    server.send("binance", range(100, 200))
    took(running, 200)
    running.stop()
    same(made, rows(SHORT, "binance", range(200)))


def test_a_burst_with_a_slow_consumer(server):
    made = Liquidator("BTC", mode="streaming")
    heard = []
    made.on_zone_formed(lambda zone: (heard.append(zone), threading.Event().wait(0.01)))
    running = made.start_stream(exchange=server.live("binance"))
    server.connected("binance")
    server.send("binance", range(3000))
    took(running, 3000)
    running.stop()
    same(made, rows(SHORT, "binance"))


# Gaps that are not filled ---------------------------------------------------------------------------------------------


def test_an_unfilled_gap_is_told_before_the_next_trade_and_mended_from_the_store(server, quick, tmp_path):
    from venue_server import Fault

    quick(hold_s=0.3)
    seen: list[tuple[Any, int]] = []
    made = Liquidator("BTC", mode="streaming")

    def on_gap(gap: dict[str, Any]) -> None:
        seen.append((gap["filled"], int(made.bars()["time"][-1])))

    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store", on_gap=on_gap)
    server.connected("binance")
    server.send("binance", range(1000))
    took(running, 1000)
    closed = int(made.bars()["time"][-1])
    server.faults = [Fault("aggTrades", 502, 12, body="<html></html>")]
    server.send("binance", range(1500, 2000))
    until(lambda: running.gaps()["filled"].tolist() == ["store"])
    took(running, 1500)
    until(lambda: len(seen) == 2)
    assert seen[0] == (False, closed)
    assert [filled for filled, _ in seen] == [False, "store"]
    assert running.health()["state"].tolist() == ["PARTIAL"]
    assert len(made.bars()) > 0
    made.rebuild(tmp_path / "store")
    same(made, rows(SHORT, "binance", range(2000)))
    server.send("binance", range(2000, 3000))
    took(running, 2500)
    running.stop()
    same(made, rows(SHORT, "binance"))


def test_a_queue_that_is_full_ends_the_wait(server, quick):
    from venue_server import Fault

    quick(most_held=100)
    told: list[Any] = []
    _, running = started(server, "binance", on_gap=told.append)
    server.send("binance", range(100))
    took(running, 100)
    server.faults = [Fault("aggTrades", 502, 10_000, body="<html></html>")]
    server.send("binance", range(150, 500))
    took(running, 450)
    running.stop()
    assert [gap["filled"] for gap in told] == [False]
    assert told[0]["missing"] == 50.0


def test_what_bybit_shows_no_more_is_a_gap_with_its_name(server, quick):
    quick(hold_s=0.2)
    _, running = started(server, "bybit")
    server.send("bybit", range(100))
    took(running, 100)
    server.outage("bybit", 1500)  # of which REST shows the last thousand
    server.connected("bybit")
    server.send("bybit", range(1500, 1501))
    took(running, 1100)
    running.stop()
    gaps = running.gaps()
    assert gaps[["since", "until", "filled"]].values.tolist() == [[SHORT.time[99], SHORT.time[501], False]]


# Several venues and coins ---------------------------------------------------------------------------------------------


def test_trades_of_all_venues_wait_while_one_is_filled(server):
    made = Liquidator("BTC", mode="streaming")
    both = [server.live("binance"), server.live("okx")]
    running = made.start_stream(exchange=both)
    server.connected("binance")
    server.connected("okx", 1, TRADES)
    for row in range(30):
        for place, venue in enumerate(("binance", "okx")):
            server.send(venue, range(row, row + 1))
            took(running, 2 * row + place + 1)
    server.refuse.add("okx")
    server.drop("okx")
    server.show(800)
    server.text("binance", *(FRAMES["binance"](SHORT, row) for row in range(30, 800)))
    server.refuse.clear()
    server.connected("okx", 1, TRADES)
    server.send("okx", range(800, 801))
    server.send("binance", range(800, 801))
    took(running, 1602)
    running.stop()
    same(made, rows(SHORT, "binance", range(801)) + rows(SHORT, "okx", range(801)))
    assert made.counts["late_trades"] == 0


def test_many_coins_share_connections(server):
    coins = {"BTC": Liquidator("BTC", mode="streaming"), "ETH": Liquidator("ETH", mode="streaming")}
    running = stream(coins, exchange=server.live("binance"))
    server.connected("binance")
    eth = [FRAMES["binance"](SHORT, row).replace("BTCUSDT", "ETHUSDT") for row in range(500)]
    server.send("binance", range(500))
    server.text("binance", *eth)
    took(running, 1000)
    assert len(server.sockets["binance"]) == 1
    running.stop()
    same(coins["BTC"], rows(SHORT, "binance", range(500)))
    assert coins["ETH"].bars().tobytes() == coins["BTC"].bars().tobytes()


# How it is run --------------------------------------------------------------------------------------------------------


def test_binance_is_asked_for_intervals_of_funding(server):
    pepe = Liquidator("1000PEPE", mode="streaming")
    btc = Liquidator("BTC", mode="streaming")
    running = stream({"1000PEPE": pepe, "BTC": btc}, exchange=server.live("binance"))
    until(lambda: all(one.funding_hours for one in running._session.channels) and len(running._session.channels) == 2)
    assert [one.funding_hours for one in running._session.channels] == [4.0, 8.0]
    running.stop()


@pytest.mark.parametrize(
    ("kind", "body"), [("html", ""), ("cut", ""), ("other", "[null]"), ("other", "[{}]"), ("other", '{"symbol": []}')]
)
def test_nonsense_about_intervals_of_funding_is_asked_for_again_and_ends_nothing(server, kind, body):
    from venue_server import Fault

    server.faults = [Fault("fundingInfo", kind, 2, body=body)]
    pepe = Liquidator("1000PEPE", mode="streaming")
    running = pepe.start_stream(exchange=server.live("binance"))
    until(lambda: any(one.funding_hours for one in running._session.channels))
    assert [one.funding_hours for one in running._session.channels] == [4.0]
    running.stop()


def test_on_the_callers_loop(server):
    made = Liquidator("BTC", mode="streaming")

    async def main() -> None:
        instance = server.live("binance")
        running = await made.astart_stream(exchange=instance)
        await asyncio.to_thread(server.connected, "binance")
        await asyncio.to_thread(server.send, "binance", range(500))
        await asyncio.to_thread(took, running, 500)
        with pytest.raises(RuntimeError, match="await the stream"):
            running.wait()
        made.stop_stream()
        await running
        await instance.close()

    asyncio.run(main())
    same(made, rows(SHORT, "binance", range(500)))


@contextlib.asynccontextmanager
async def on_this_loop(server: Any, made: Liquidator, store: Any = None, **config: Any) -> AsyncIterator[Any]:
    """What has a stream of binance on the caller's loop take trades; it ends with the block."""
    instance = server.live("binance", **config)
    running = await made.astart_stream(exchange=instance, store=store)
    await asyncio.to_thread(server.connected, "binance")

    async def take(which: range) -> None:
        await asyncio.to_thread(server.send, "binance", which)
        await asyncio.to_thread(took, running, which.stop)

    yield take
    made.stop_stream()
    await running
    await instance.close()


def test_in_asyncio_it_is_rebuilt_in_a_thread_or_on_the_loop(server, tmp_path):
    made = Liquidator("BTC", mode="streaming")

    async def main() -> None:
        async with on_this_loop(server, made, tmp_path) as take:
            await take(range(500))
            await asyncio.to_thread(made.rebuild)
            await take(range(500, 1000))
            made.rebuild()
            await take(range(1000, 1500))

    asyncio.run(main())
    same(made, rows(SHORT, "binance", range(1500)))


def test_while_a_stream_runs_nobody_else_feeds(server):
    made, running = started(server, "binance")
    trade = {"time": 1_700_000_000_000, "price": 1.0, "size": 1.0, "side": "buy"}
    for call in (lambda: made.push(trade), lambda: made.ingest_trades([trade])):
        with pytest.raises(RuntimeError, match="while a stream feeds this Liquidator"):
            call()
    with pytest.raises(RuntimeError, match="a stream feeds this Liquidator already"):
        made.start_stream(exchange=server.live("binance"))
    assert not running.wait(0.0)
    made.stop_stream()
    assert running.wait()
    made.push(trade)


def test_callbacks_may_call_anything_and_are_called_in_order(server):
    made = Liquidator("BTC", mode="streaming", bar="1m")
    heard: list[tuple[str, Any]] = []
    over = threading.Event()

    def formed(zone: dict[str, Any]) -> None:
        heard.append((threading.current_thread().name, zone["event_time"]))
        made.compute_zones()
        made.levels()
        if len(heard) == 3:
            made.stop_stream()
            over.set()
        raise ZeroDivisionError

    made.on_zone_formed(formed)
    running = made.start_stream(exchange=server.live("binance"))
    server.connected("binance")
    trades = [json.loads(FRAMES["binance"](SHORT, row)) for row in range(3000)]
    for row, trade in enumerate(trades):
        if row % 100 == 0:
            trade["q"] = "900.0"
    server.text("binance", *map(json.dumps, trades))
    if over.wait(PATIENCE):
        running.wait()
    times = [when for _, when in heard]
    assert times == sorted(times)
    assert {name for name, _ in heard} == {"liquidator-callbacks"}
    assert made.callback_errors >= 3


def test_a_callback_that_blocks_is_reported(server, quick):
    from venue_server import Fault

    quick(hold_s=0.05, callback_s=0.1)
    free = threading.Event()
    _, running = started(server, "binance", on_gap=lambda gap: free.wait(PATIENCE))
    server.send("binance", range(100))
    server.faults = [Fault("aggTrades", 502, 10_000, body="<html></html>")]
    server.send("binance", range(150, 300))
    took(running, 250)
    assert running._session.tasks.faults == ["on_gap blocks"]
    assert running.counts == {"callbacks_waiting": 1, "callbacks_lost": 0, "callback_errors": 0, "faults": 1}
    free.set()
    running.stop()


@pytest.mark.slow
def test_the_three_lines_run_until_ctrl_c(server, tmp_path):
    code = f"""
        import sys
        sys.path[:0] = {[str(Path(__file__).parent.parent / "helpers")]!r}
        import ccxt.pro
        from venue_server import Loopback
        from dataclasses import replace
        from liquidator_integrations import Liquidator
        from liquidator_integrations.live import limits

        server = Loopback()
        server.port = {server.port}
        limits.LIMITS = replace(limits.LIMITS, save_s=0.05, flush_s=0.05)
        L = Liquidator("BTC", mode="streaming")
        L.on_zone_formed(print)
        L.start_stream(exchange=server.instance("binance", ccxt.pro), state={str(tmp_path / "state")!r})
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(code)], stderr=subprocess.PIPE, text=True)
    server.connected("binance")
    server.send("binance", range(500))
    saved = tmp_path / "state"
    until(saved.exists)
    before = saved.stat().st_mtime_ns
    until(lambda: saved.stat().st_mtime_ns > before)
    assert process.poll() is None
    process.send_signal(2)
    with process:
        assert process.wait(PATIENCE) == 0, process.stderr.read()
    assert Liquidator.load(tmp_path / "state").coin == "BTC"


# What is refused ------------------------------------------------------------------------------------------------------


def test_what_cannot_be_streamed_is_refused(server, caplog):
    made = Liquidator("BTC", mode="streaming")
    with pytest.raises(ValueError, match=r"mode='batch' has no start_stream: Liquidator\(mode='streaming'\)"):
        Liquidator("BTC").start_stream(exchange="binance")
    with pytest.raises(ValueError, match="found 'binanse', allowed the name of an exchange"):
        made.start_stream(exchange="binanse")
    with pytest.raises(TypeError, match="must be a name or an instance"):
        made.start_stream(exchange=3)
    with pytest.raises(ValueError, match="exchange: found none"):
        made.start_stream(exchange=[])
    with pytest.raises(ValueError, match="symbols: found none"):
        made.start_stream(exchange=server.live("binance"), symbols=[])
    with pytest.raises(TypeError, match="symbols must be names of markets, got int"):
        made.start_stream(exchange=server.live("binance"), symbols=5)
    with pytest.raises(TypeError, match=r"an instance of ccxt\.pro, got one of ccxt\.async_support\.gate"):
        made.start_stream(exchange=ccxt.async_support.gate())
    with pytest.raises(TypeError, match="liquidators: found int for 'ETH', allowed a Liquidator"):
        stream({"BTC": made, "ETH": 5}, exchange=server.live("binance"))
    for name in ("on_gap", "on_health"):
        with pytest.raises(TypeError, match=f"{name} must be callable, got int"):
            made.start_stream(exchange=server.live("binance"), **{name: 5})
    with pytest.raises(ValueError, match="does not know its coin"):
        Liquidator(mode="streaming").start_stream(exchange=server.live("binance"))
    with pytest.raises(RuntimeError, match="no stream was started"):
        made.stream_health()
    for symbols, what in ((["ETH"], "ETH"), (["NONE-USDT"], "symbol: found 'NONE-USDT'")):
        running = made.start_stream(exchange=server.live("binance"), symbols=symbols)
        with pytest.raises(ValueError, match=what):
            running.wait(PATIENCE)
    assert "the stream has ended: symbol: found 'NONE-USDT'" in caplog.text
    assert "Traceback" not in caplog.text


def test_on_the_loop_a_rebuild_does_not_wait_for_one_that_waits_for_the_loop(server, tmp_path):
    made = Liquidator("BTC", mode="streaming")

    async def main() -> None:
        async with on_this_loop(server, made, tmp_path) as take:
            await take(range(500))
            other = asyncio.get_running_loop().run_in_executor(None, made.rebuild)
            until(made._guard.rebuilding.locked)
            with pytest.raises(RuntimeError, match="another thread rebuilds this Liquidator"):
                made.rebuild()
            await other

    asyncio.run(main())
    same(made, rows(SHORT, "binance", range(500)))


def test_connections_go_through_the_proxy_of_an_instance(server):
    """One that hands on bytes, and counts who comes."""
    made, came = Liquidator("BTC", mode="streaming"), []

    async def hand_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while some := await source.read(1 << 16):
                target.write(some)
        target.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)
        onward, back = await asyncio.open_connection("127.0.0.1", server.port)
        await asyncio.gather(hand_on(reader, back), hand_on(onward, writer))

    async def main() -> None:
        proxy = await asyncio.start_server(connected, "127.0.0.1", 0)
        address = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}"
        async with on_this_loop(server, made, wsProxy=address) as take:
            await take(range(100))
        proxy.close()

    asyncio.run(main())
    assert len(came) == 1


def test_markets_of_one_liquidator_are_one_coins(server, tmp_path):
    made = Liquidator("BTC", mode="streaming")
    wanted = {"BTC/USDT:USDT": made, "BTC/USD:BTC": made}
    running = stream(wanted, exchange=server.live("bybit"), state=tmp_path)
    server.connected("bybit", 2)
    for market, amount in (("BTCUSDT", "100"), ("BTCUSD", "3000000")):
        data = {"symbol": market, "markPrice": "60000", "singleOpenInterest": amount}
        server.text("bybit", json.dumps({"topic": f"tickers.{market}", "ts": int(SHORT.time[0]), "data": data}))
    interest = made._history.rates["open_interest"]
    until(lambda: len(interest.rows))
    running.stop()
    assert interest.rows["value"].tolist() == [150.0]  # coins: 100, and 3,000,000 dollars
    assert [path.name for path in tmp_path.glob("*.state")] == ["BTC-USDT-USDT.state"]


def test_a_market_that_two_liquidators_want_is_refused(server):
    coins = {name: Liquidator("BTC", mode="streaming") for name in ("BTC", "BTC-USDT")}
    running = stream(coins, exchange=server.live("binance"))
    with pytest.raises(ValueError, match="found 'BTC' and 'BTC-USDT', which are both BTC/USDT:USDT of binance"):
        running.wait(PATIENCE)


@pytest.mark.parametrize(
    ("venue", "match", "times", "body"),
    [
        ("binance", "fapi/v1/exchangeInfo", 1, "{}"),
        ("binance", "exchangeInfo", 3, "{}"),
        ("bybit", '"category": "linear"', 1, '{"retCode": 0, "retMsg": "OK", "result": {"list": []}}'),
        ("okx", '"instType": "SWAP"', 1, '{"code": "0", "data": []}'),
        ("hyperliquid", "metaAndAssetCtxs", 1, "[]"),
    ],
)
def test_markets_are_asked_for_again_where_an_answer_is_empty(server, venue, match, times, body):
    """A perpetual that is not there is not taken for spot."""
    from venue_server import Fault

    server.faults = [Fault(match, "other", times, body=body)]
    running = Liquidator("BTC", mode="streaming").start_stream(exchange=server.live(venue))
    server.connected(venue)
    assert ":" in running.health()["symbol"][0]
    running.stop()


def test_a_venue_that_never_answers_holds_nobody_up(server, quick, caplog):
    from venue_server import Fault

    quick(hold_s=0.3)
    server.faults = [Fault("okx", 503, 10_000)]
    server.refuse.add("bybit")
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=[server.live("binance"), server.live("okx"), server.live("bybit")])
    server.connected("binance")
    server.send("binance", range(100))
    took(running, 100)
    health = running.health().set_index("venue")
    assert set(health.index) == {"binance", "okx", "bybit"}
    assert health.loc["okx", "state"] == "STALE"
    said = ("okx: attempt 1 at its markets failed", "bybit: attempt 1 to connect failed")
    until(lambda: all(one in caplog.text for one in said), "attempts")
    server.faults, server.refuse = [], set()
    server.connected("okx", 1, TRADES)
    server.connected("bybit")
    running.stop()


def test_trades_go_on_up_to_the_first_gap_that_is_open(server):
    """A venue whose stream leaves one trade in four out is not held up by the next hole."""
    made, running = started(server, "binance")
    left = [row for row in range(200) if row % 4 or row in (0, 199)]
    for start in range(0, len(left), 50):
        server.send("binance", left[start : start + 50])
    took(running, 200)
    running.stop()
    same(made, rows(SHORT, "binance", range(200)))
    assert running.gaps()["filled"].all()
    assert running.health()["state"].tolist() == ["LIVE"]


def test_a_trade_of_a_market_that_is_none_is_told(server):
    made, running = started(server, "hyperliquid")
    server.send("hyperliquid", range(300))
    server.show(301)
    server.text("hyperliquid", FRAMES["hyperliquid"](SHORT, 300).replace('"BTC"', "null"))
    server.send("hyperliquid", range(301, 305))
    took(running, 305)
    running.stop()
    same(made, rows(SHORT, "hyperliquid", range(305)))
    assert running.health()["dropped"].tolist() == [1]
