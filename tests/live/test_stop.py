"""A stream that is stopped, however often, by whom and at what moment: all that came is in state and store."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from live_runs import PATIENCE, SHORT, rows, same, until

from liquidator_integrations import Liquidator
from liquidator_integrations.live import replay
from liquidator_integrations.live import running as live_running
from liquidator_integrations.live.courier import Courier
from liquidator_integrations.live.tasks import Tasks


def kept(tmp_path: Path, made: Liquidator) -> None:
    """The state is there, and the store has the 500."""
    assert Liquidator.load(tmp_path / "state").bars().tobytes() == made.bars().tobytes()
    again = Liquidator("BTC", mode="streaming")
    replay(again, tmp_path / "store")
    same(again, rows(SHORT, "binance", range(500)))


def test_it_may_be_stopped_again_while_it_stops(server, quick, tmp_path, monkeypatch):
    """At every step of its loop, up to the last."""
    quick(flush_s=60.0)
    instance, real, begun = server.live("binance"), Tasks.end, []
    monkeypatch.setattr(live_running, "streaming_instance", lambda _: (instance, None))
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange="binance", store=tmp_path / "store", state=tmp_path / "state")
    server.connected("binance")
    server.send("binance", range(500))
    until(lambda: running.health()["trades"].sum() == 500)

    def again() -> None:
        if running.running:
            running.request_stop()
            asyncio.get_running_loop().call_soon(again)

    async def end(self: Tasks) -> None:
        begun.append(self)
        again()
        await real(self)

    monkeypatch.setattr(Tasks, "end", end)
    made.stop_stream()
    assert len(begun) == 1
    assert (instance.session, instance.tcp_connector) == (None, None)
    kept(tmp_path, made)


def test_a_loop_that_ends_at_once_after_a_stop_loses_nothing(server, quick, tmp_path):
    quick(flush_s=60.0)
    made = Liquidator("BTC", mode="streaming")

    async def main() -> None:
        instance = server.live("binance")
        places = {"store": tmp_path / "store", "state": tmp_path / "state"}
        running = await made.astart_stream(exchange=instance, **places)
        await asyncio.to_thread(server.connected, "binance")
        await asyncio.to_thread(server.send, "binance", range(500))
        await asyncio.to_thread(until, lambda: running.health()["trades"].sum() == 500)
        await instance.close()
        made.stop_stream()
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(main())
    kept(tmp_path, made)


def test_a_process_that_changes_its_folder_keeps_store_and_state_where_they_were(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store="store", state="state")
    server.connected("binance")
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    server.send("binance", range(500))
    until(lambda: running.health()["trades"].sum() == 500)
    running.stop()
    assert not list((tmp_path / "other").iterdir())
    kept(tmp_path, made)


def test_a_stop_by_another_thread_waits_for_a_stream_on_the_callers_loop(server, tmp_path):
    made = Liquidator("BTC", mode="streaming")

    async def main() -> None:
        instance = server.live("binance")
        running = await made.astart_stream(exchange=instance, store=tmp_path / "store", state=tmp_path / "state")
        await asyncio.to_thread(server.connected, "binance")
        await asyncio.to_thread(server.send, "binance", range(500))
        await asyncio.to_thread(until, lambda: running.health()["trades"].sum() == 500)
        await asyncio.to_thread(made.stop_stream)
        assert not running.running
        await instance.close()

    asyncio.run(main())
    made.stop_stream()
    kept(tmp_path, made)


def test_a_stop_by_another_thread_does_not_wait_for_a_loop_that_pauses(server):
    made, loop, halted = Liquidator("BTC", mode="streaming"), asyncio.new_event_loop(), threading.Event()
    instance = server.live("binance")
    running = loop.run_until_complete(made.astart_stream(exchange=instance))
    stopping = threading.Thread(target=made.stop_stream)

    async def halts() -> None:
        stopping.start()
        until(lambda: running._stopping)
        loop.stop()  # before the stream has ended
        halted.set()

    loop.create_task(halts())
    loop.run_forever()
    assert halted.is_set()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    loop.run_until_complete(running._ended())
    loop.run_until_complete(instance.close())
    loop.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_a_loop_that_was_closed_has_ended_the_stream_on_it(server, quick, tmp_path):
    """Its rest is done by ``stop``; ``wait`` and ``rebuild`` waited for that loop for ever."""
    quick(flush_s=60.0)
    made, loop = Liquidator("BTC", mode="streaming"), asyncio.new_event_loop()
    instance = server.live("binance")
    places = {"store": tmp_path / "store", "state": tmp_path / "state"}

    async def main() -> Any:
        running = await made.astart_stream(exchange=instance, **places)
        await asyncio.to_thread(server.connected, "binance")
        await asyncio.to_thread(server.send, "binance", range(500))
        await asyncio.to_thread(until, lambda: running.health()["trades"].sum() == 500)
        await instance.close()
        return running

    running = loop.run_until_complete(main())
    assert not running.wait(0.0)
    loop.close()
    assert running.wait()
    made.stop_stream()
    kept(tmp_path, made)
    bars = made.bars()
    made.rebuild()
    assert made.bars().tobytes() == bars.tobytes()
    made.start_stream(exchange=server.live("binance"), **places).stop()
    gc.collect()  # here, what was left on that loop is told of as an error
    kept(tmp_path, made)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_of_two_that_stop_a_stream_whose_loop_was_closed_none_returns_before_it_is_saved(server, tmp_path, monkeypatch):
    made, loop, order = Liquidator("BTC", mode="streaming"), asyncio.new_event_loop(), []
    begun, free, real = threading.Event(), threading.Event(), Liquidator.save
    instance = server.live("binance")

    def save(self: Liquidator, path: str) -> None:
        begun.set()
        assert free.wait(PATIENCE)
        real(self, path)
        order.append("saved")

    async def main() -> None:
        await made.astart_stream(exchange=instance, state=tmp_path / "state")
        await asyncio.to_thread(server.connected, "binance")
        await instance.close()

    def stop() -> None:
        made.stop_stream()
        order.append("stopped")

    loop.run_until_complete(main())
    loop.close()
    monkeypatch.setattr(Liquidator, "save", save)
    threads = [threading.Thread(target=stop) for _ in range(2)]
    threads[0].start()
    assert begun.wait(PATIENCE)
    threads[1].start()
    threads[1].join(0.5)
    free.set()
    for thread in threads:
        thread.join()
    gc.collect()  # here, what was left on that loop is told of as an error
    assert order == ["saved", "stopped", "stopped"]


def test_a_stream_on_a_thread_of_its_own_is_not_awaited(server):
    running = Liquidator("BTC", mode="streaming").start_stream(exchange=server.live("binance"))

    async def main() -> None:
        await running

    with pytest.raises(RuntimeError, match=r"await: .* another loop: wait\(\)"):
        asyncio.run(asyncio.wait_for(main(), PATIENCE))
    running.stop()
    asyncio.run(main())


def test_a_save_of_the_minute_does_not_take_the_place_of_the_last_one(server, quick, tmp_path, monkeypatch):
    begun, free, real = threading.Event(), threading.Event(), Liquidator.save

    def slow(self: Liquidator, path: Path) -> None:
        if begun.is_set():
            real(self, path)
            return
        real(self, tmp_path / "first")
        begun.set()
        free.wait(PATIENCE)
        os.replace(tmp_path / "first", path)

    monkeypatch.setattr(Liquidator, "save", slow)
    quick(save_s=0.01)
    made = Liquidator("BTC", mode="streaming")
    running = made.start_stream(exchange=server.live("binance"), store=tmp_path / "store", state=tmp_path / "state")
    assert begun.wait(PATIENCE)
    server.connected("binance")
    server.send("binance", range(500))
    until(lambda: running.health()["trades"].sum() == 500)
    threading.Timer(0.2, free.set).start()
    running.stop()
    kept(tmp_path, made)


def test_a_callback_that_wants_to_exit_is_counted_and_the_next_is_called():
    courier, called = Courier(), threading.Event()
    courier.call(sys.exit)
    courier.call(called.set)
    assert called.wait(PATIENCE)
    courier.close(PATIENCE)
    assert courier.errors == 1
