"""Stopped, killed, started again: the same zones as if it had never stopped, and nothing half written."""

from __future__ import annotations

import copy
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from live_runs import PATIENCE, SHORT, VENUES, batch, rows, same, until
from venue_streams import Streams

from liquidator_core import layout
from liquidator_integrations import Liquidator
from liquidator_integrations.live import playback, replay
from liquidator_integrations.live import running as live_running
from liquidator_integrations.store import Store, journal, parquet

TRADES = "business"


def run(server: Streams, venue: str, which: range, **arguments: Any) -> tuple[Liquidator, Any]:
    """A stream that took these trades and was stopped."""
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live(venue), **arguments)
    server.connected(venue, 1, TRADES if venue == "okx" else "")
    for some in (which[:1], which[1:]):  # by the second, what was missed before the first is filled
        before = running.health()["trades"].sum()
        server.send(venue, some)
        count = before + len(some)
        until(lambda count=count: (now := running.health())["trades"].sum() >= count and now["queue"].sum() == 0)
    running.stop()
    return made, running


def sent(server: Streams, running: Any, which: range) -> None:
    """Send trades of binance, and wait until they are applied."""
    server.send("binance", which)
    until(lambda: (now := running.health())["trades"].sum() == which.stop and now["queue"].sum() == 0)


@pytest.mark.parametrize("venue", VENUES)
def test_a_restart_goes_on_as_if_it_had_never_stopped(server, venue, tmp_path):
    places = {"store": tmp_path / "store", "state": tmp_path / "state"}
    run(server, venue, range(700), **places)
    lost = 5 if venue == "hyperliquid" else 60
    server.show(700 + lost)
    made, running = run(server, venue, range(700 + lost, 1000), **places)
    same(made, rows(SHORT, venue, range(1000)))
    assert not (running.gaps()["filled"] == False).any()  # noqa: E712
    again = Liquidator("BTC", mode="streaming")
    replay(again, tmp_path / "store")
    same(again, rows(SHORT, venue, range(1000)))
    assert again.bars().tobytes() == made.bars().tobytes()


def test_a_restart_without_a_store_asks_for_what_it_missed(server, tmp_path):
    run(server, "binance", range(700), state=tmp_path / "state")
    server.show(1500)
    made, _ = run(server, "binance", range(1500, 1600), state=tmp_path / "state")
    same(made, rows(SHORT, "binance", range(1600)))


def test_a_process_that_is_killed_within_its_first_minute_goes_on_too(server, tmp_path, monkeypatch):
    places: dict[str, Any] = {"store": tmp_path / "store", "state": tmp_path / "state"}
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), **places)
    server.connected("binance")
    sent(server, running, range(1))
    until(lambda: places["state"].exists() and Liquidator.load(places["state"])._history.closed > 0)
    with monkeypatch.context() as patched:
        patched.setattr(Liquidator, "save", lambda *_: None)  # as a kill leaves the state
        sent(server, running, range(1, 400))
        running.stop()
    made, _ = run(server, "binance", range(400, 700), **places)
    same(made, rows(SHORT, "binance", range(700)))


def test_the_same_object_goes_on_where_it_was_stopped(server, tmp_path):
    made, _ = run(server, "binance", range(700), state=tmp_path / "state")
    server.show(900)
    running = made.start_stream(exchange=server.live("binance"), state=tmp_path / "state")
    server.connected("binance")
    server.send("binance", range(900, 1000))
    until(lambda: (running.health()["last_trade"] == SHORT.time[999]).any())
    until(lambda: running.health()["queue"].sum() == 0)
    running.stop()
    same(made, rows(SHORT, "binance", range(1000)))


def test_what_a_restart_cannot_have_is_told_first(server, tmp_path):
    run(server, "hyperliquid", range(300), state=tmp_path / "state")
    server.show(448)
    told: list[Any] = []
    _, running = run(server, "hyperliquid", range(448, 468), state=tmp_path / "state", on_gap=told.append)
    first, *others = [gap["filled"] for gap in told]
    assert first is False
    assert set(others) <= {True}  # where REST knows the next trade before its frame comes
    assert running.health()["gaps"].tolist() == [len(told)]


@pytest.mark.parametrize("catch_up_ms", [86_400_000, 0])
def test_a_venue_that_joins_late_after_a_restart_is_a_gap_since_the_state(server, quick, tmp_path, catch_up_ms):
    from venue_server import Fault

    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=[server.live("binance"), server.live("bybit")], state=tmp_path / "state")
    server.connected("binance")
    server.connected("bybit")
    for venue in ("binance", "bybit"):
        server.send(venue, range(500))
    until(lambda: running.health()["trades"].tolist() == [500, 500])
    running.stop()
    closed = int(made.bars()["time"][-1]) + 60_000
    quick(hold_s=0.3, catch_up_ms=catch_up_ms)
    server.show(1500)
    server.faults = [Fault("instruments-info", 503, 10_000)]
    subscribed = sum(venue == "bybit" for venue, *_ in server.subscribed)
    told: list[tuple[int, bool]] = []  # since when, and whether a connection stood by then

    def on_gap(gap: dict[str, Any]) -> None:
        if gap["venue"] == "bybit":
            told.append((gap["since"], sum(venue == "bybit" for venue, *_ in server.subscribed) > subscribed))

    made = Liquidator("BTC", mode="streaming")
    exchanges = [server.live("binance"), server.live("bybit")]
    running = made.start_stream(exchange=exchanges, state=tmp_path / "state", on_gap=on_gap)
    server.connected("binance")
    server.send("binance", range(1500, 1600))
    until(lambda: made.bars()["time"][-1] > closed + 600_000)
    server.faults = []
    server.connected("bybit")
    server.send("bybit", range(1500, 1600))
    until(lambda: "bybit" in running.gaps()["venue"].tolist())
    until(lambda: running.health()["trades"].tolist()[1] >= 100)
    running.stop()
    gaps, health = running.gaps(), running.health()
    assert told[0][0] == closed
    assert catch_up_ms or not told[0][1]  # what is too old to be asked for is told before anything comes
    assert gaps[gaps["venue"] == "bybit"]["since"].tolist()[0] == closed
    assert not (gaps[gaps["venue"] == "bybit"]["filled"] == True).any()  # noqa: E712
    assert health["state"].tolist()[1] == "PARTIAL"


def test_a_state_that_does_not_fit_is_refused(server, tmp_path):
    path = tmp_path / "state"
    Liquidator("BTC", mode="streaming", bar="5m").save(path)
    with pytest.raises(ValueError, match="a state of bar='5m', and this Liquidator has bar='1m'"):
        Liquidator("BTC", mode="streaming").start_stream(exchange=server.live("binance"), state=path)
    Liquidator("BTC", mode="streaming").save(path)
    old = b"schema %d" % layout.SCHEMA
    path.write_bytes(path.read_bytes().replace(old, b"schema %d" % (layout.SCHEMA - 1), 1))
    with pytest.raises(ValueError, match="this version reads schema"):
        Liquidator("BTC", mode="streaming").start_stream(exchange=server.live("binance"), state=path)


def test_a_state_that_can_be_kept_nowhere_is_refused_at_once(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no folder .*missing, make it first"):
        Liquidator("BTC", mode="streaming").start_stream(exchange="binance", state=tmp_path / "missing" / "btc.state")


def test_a_state_of_one_that_was_trained_since_is_taken(server, tmp_path):
    trained = Liquidator("BTC", mode="streaming", ml_enabled=True)
    trained.save(tmp_path / "state")
    made = Liquidator("BTC", mode="streaming")
    made.start_stream(exchange=server.live("binance"), state=tmp_path / "state").stop()
    assert not made.ml_enabled


def test_one_that_was_streamed_is_copied_without_its_stream(server, tmp_path):
    made, running = run(server, "binance", range(300))
    assert copy.deepcopy(made).bars().tobytes() == made.bars().tobytes()
    with pytest.raises(ValueError, match=r"store: found none, and no stream kept one: rebuild\(store=...\)"):
        made.rebuild()
    assert running.store is None


def test_it_has_ended_once_its_callbacks_have(server, monkeypatch):
    running = Liquidator("BTC", mode="streaming").start_stream(exchange=server.live("binance"))
    seen, close = [], running.courier.close

    def closed(seconds: float) -> None:
        seen.append(running.running)
        close(seconds)

    monkeypatch.setattr(running.courier, "close", closed)
    running.stop()
    assert seen == [True]


def test_it_is_rebuilt_from_the_store_of_its_stream(server, tmp_path):
    made, _ = run(server, "binance", range(300), store=tmp_path / "store")
    bars = made.bars()
    made.rebuild()
    assert made.bars().tobytes() == bars.tobytes()
    with pytest.raises(ValueError, match="store: found none"):
        Liquidator("BTC", mode="streaming").rebuild()


@pytest.mark.parametrize("reads_first", [True, False])
def test_a_stream_goes_on_while_it_is_rebuilt(server, tmp_path, monkeypatch, reads_first):
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    sent(server, running, range(1000))
    begun, free, real = threading.Event(), threading.Event(), playback.play

    def slow(*arguments: Any, **more: Any) -> None:
        if reads_first:
            real(*arguments, **more)
        begun.set()
        assert free.wait(PATIENCE)
        if not reads_first:
            real(*arguments, **more)

    monkeypatch.setattr(playback, "play", slow)
    rebuilding = threading.Thread(target=made.rebuild)
    rebuilding.start()
    assert begun.wait(PATIENCE)
    sent(server, running, range(1000, 2000))
    assert len(made.compute_zones()) > 0
    free.set()
    rebuilding.join(PATIENCE)
    sent(server, running, range(2000, 3000))
    running.stop()
    same(made, rows(SHORT, "binance"))


def test_a_stream_that_is_stopped_while_it_is_rebuilt_ends_after_that(server, tmp_path, monkeypatch):
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    sent(server, running, range(1000))
    stopping, real = threading.Thread(target=made.stop_stream), playback.play

    def stopped(*arguments: Any, **more: Any) -> None:
        stopping.start()
        stopping.join(0.2)
        assert running.running
        real(*arguments, **more)

    monkeypatch.setattr(playback, "play", stopped)
    made.rebuild()
    stopping.join(PATIENCE)
    assert not running.running
    same(made, rows(SHORT, "binance", range(1000)))


@pytest.mark.parametrize("who", ["flush", "rebuild of another coin"])
def test_what_comes_while_it_is_rebuilt_is_not_folded_twice(server, tmp_path, monkeypatch, who):
    made, real = Liquidator("BTC", mode="streaming"), playback.play
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    sent(server, running, range(1000))

    def other() -> None:
        if who == "flush":
            running.flush()
        else:
            with running.frozen(lambda: None):
                pass

    folding, now = threading.Thread(target=other), int(SHORT.time[999])
    order = f'"s":"BTCUSDT","S":"SELL","q":"2.0","ap":"100.0","X":"FILLED","T":{now}'

    def slow(*arguments: Any, **more: Any) -> None:
        server.text("binance", f'{{"e":"forceOrder","E":{now},"o":{{{order}}}}}')
        until(lambda: running.health()["liquidations"].sum() == 1)
        folding.start()
        folding.join(0.3)
        real(*arguments, **more)

    monkeypatch.setattr(playback, "play", slow)
    made.rebuild()
    folding.join(PATIENCE)
    sent(server, running, range(1000, 1500))
    running.stop()
    assert np.nansum(made.bars()["liq_long_usd"]) == 200.0
    stored = Store(tmp_path / "store").read("liquidations", "BTC")
    assert (len(stored), len(running.gaps())) == (1, 0)


def test_what_waits_for_a_gap_is_not_folded_before_it(server, tmp_path, quick):
    from venue_server import Fault

    quick(hold_s=60.0, longest_wait=0.05)
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    sent(server, running, range(500))
    server.faults = [Fault("aggTrades", 502, 10_000, body="<html></html>")]
    server.send("binance", range(1000, 1500))
    until(lambda: running.health()["queue"].sum() == 500)
    made.rebuild()
    server.faults = []
    until(lambda: running.health()["queue"].sum() == 0)
    running.stop()
    same(made, rows(SHORT, "binance", range(1500)))


def test_a_rebuild_that_is_interrupted_while_it_waits_holds_nothing(server, tmp_path, monkeypatch):
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    real = live_running.wait

    def interrupted(*_: Any) -> None:
        monkeypatch.setattr(live_running, "wait", real)
        raise KeyboardInterrupt

    monkeypatch.setattr(live_running, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        made.rebuild()
    running.request_stop()
    assert running.wait(PATIENCE)


def test_a_rebuild_that_fails_leaves_all_as_it_was(server, tmp_path):
    def begun() -> None:
        raise OSError("no room")

    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    sent(server, running, range(500))
    with pytest.raises(ValueError, match="no trades of BTC"):
        made.rebuild(tmp_path / "none")
    with pytest.raises(OSError, match="no room"), running.frozen(begun):
        pass
    sent(server, running, range(500, 1000))
    running.stop()
    same(made, rows(SHORT, "binance", range(1000)))


def test_two_streams_cannot_capture_the_same(server, tmp_path):
    first = Liquidator("BTC", mode="streaming")
    running = first.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    second = Liquidator("BTC", mode="streaming")
    other = second.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    with pytest.raises(TimeoutError, match="another stream captures this"):
        other.wait(PATIENCE)
    running.stop()


# Killed ---------------------------------------------------------------------------------------------------------------

CHILD = """
    import os, signal, sys
    sys.path[:0] = [{helpers!r}]
    import ccxt.pro
    from dataclasses import replace
    from venue_server import Loopback
    from liquidator_core import _atomic
    from liquidator_integrations import Liquidator
    from liquidator_integrations.live import limits

    limits.LIMITS = replace(limits.LIMITS, save_s=0.2, flush_s=0.05, quiet_s=0.0, now=lambda: {now})
    server = Loopback()
    server.port = {port}
    real = os.replace

    full = {full}

    def killed(source, target):
        global full
        if str(target).endswith({target!r}):
            if not full:
                os.kill(os.getpid(), signal.SIGKILL)
            full -= 1
            raise OSError(28, "No space left on device")
        real(source, target)

    L = Liquidator("BTC", mode="streaming")
    stream = L.start_stream(exchange=server.instance("binance", ccxt.pro), store={store!r}, state={state!r})
    while stream.health()["trades"].sum() < {kill_at}:
        stream.wait(0.01)
    os.replace = killed
    while {target!r} == ".parquet":
        try:
            stream.flush()
        except OSError:
            assert "No space left" in stream.health()["store_error"][0]
    stream.wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize(("target", "full"), [("state", 0), (".parquet", 0), (".parquet", 2)])
def test_killed_while_a_file_takes_its_place(server, tmp_path, target, full):
    """Of a disk that is ``full`` so many times before that, too."""
    places = {"store": str(tmp_path / "store"), "state": str(tmp_path / "state")}
    run(server, "binance", range(300), **places)
    about = {"helpers": str(Path(__file__).parent.parent / "helpers"), "port": server.port, "target": target}
    about["full"] = full
    about |= {**places, "kill_at": 300, "now": int(SHORT.time[-1]) + 5}
    code = textwrap.dedent(CHILD.format(**about))
    with subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True) as process:
        server.connected("binance")
        server.send("binance", range(300, 700))
        assert process.wait(60) == -signal.SIGKILL, process.stderr.read()
    server.show(800)
    made, _ = run(server, "binance", range(800, 1000), **places)
    same(made, rows(SHORT, "binance", range(1000)))
    again = Liquidator("BTC", mode="streaming")
    replay(again, tmp_path / "store")
    same(again, rows(SHORT, "binance", range(1000)))
    for path in (tmp_path / "store").rglob("trades/*.parquet"):
        assert len(pq.read_table(path)) == 1000  # each once


# The store ------------------------------------------------------------------------------------------------------------


def test_what_a_killed_process_wrote_is_there_up_to_its_last_whole_batch(tmp_path):
    from liquidator_integrations.store.kinds import key_of, table_of
    from liquidator_integrations.store.layout import Span

    def table(first: int) -> Any:
        time = [1_700_000_000_000 + first + row for row in range(10)]
        columns = {"time": time, "price": [1.0] * 10, "size": [1.0] * 10, "side": ["buy"] * 10}
        return table_of("trades", {**columns, "id": [str(one) for one in time]}, "binance", "BTC/USDT:USDT")

    place = tmp_path / "trades"
    key = key_of("trades")
    first = journal.Journal(place, key)
    first.append(table(0), [Span(1_700_000_000_000, 1_700_000_000_005, "ids")])
    whole = (place / "live.arrows").stat().st_size
    first.append(table(10), [])
    with open(place / "live.arrows", "r+b") as file:
        file.truncate(whole + 100)
    first._file.close()
    first._lock.release()
    journal.Journal(place, key).close()
    read = parquet.rows(place, "trades", 0, 2 * 10**12)
    assert read["id"].to_pylist() == table(0)["id"].to_pylist()
    assert not list(place.glob("*.arrows"))


def test_a_full_disk_loses_nothing_and_is_told(server, tmp_path, monkeypatch, caplog):
    real, full = journal.Journal.append, [True]

    def append(self: Any, *arguments: Any) -> None:
        if full[0]:
            raise OSError(28, "No space left on device")
        real(self, *arguments)

    monkeypatch.setattr(journal.Journal, "append", append)
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store")
    server.connected("binance")
    server.send("binance", range(500))
    until(lambda: "the store cannot be written to" in caplog.text)
    full[0] = False
    until(lambda: running.health()["trades"].sum() == 500)
    running.stop()
    again = Liquidator("BTC", mode="streaming")
    replay(again, tmp_path / "store")
    assert again.bars().tobytes() == made.bars().tobytes()
    assert len(made.bars())


def test_a_replay_is_the_batch_to_the_byte_for_several_venues(server, tmp_path):
    for venue in ("binance", "okx"):
        run(server, venue, range(400), store=tmp_path / "store")
    made = Liquidator("BTC", mode="streaming")
    replay(made, tmp_path / "store")
    want = batch(rows(SHORT, "binance", range(400)) + rows(SHORT, "okx", range(400)))
    bars = want.bars()
    assert made.bars().tobytes() == bars[: len(made.bars())].tobytes()
    one = Liquidator("BTC", mode="streaming")
    replay(one, tmp_path / "store", symbols=["BTC/USDT:USDT"], until=int(SHORT.time[200]), speed=1e9)
    assert len(one.bars()) < len(made.bars())
    with pytest.raises(ValueError, match="speed: found 0, allowed a number above 0"):
        replay(one, tmp_path / "store", speed=0)
    with pytest.raises(ValueError, match="no trades of ETH"):
        replay(Liquidator("ETH", mode="streaming"), tmp_path / "store")
