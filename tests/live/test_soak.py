"""Tape at thousands of times its speed, with breaks: memory and tasks stay flat. Seconds by LIQUIDATOR_SOAK_S."""

from __future__ import annotations

import asyncio
import os
import time
import tracemalloc
from typing import Any

import pytest
from live_runs import same, until
from venue_streams import streaming
from venue_tape import make

from liquidator_integrations import Liquidator

SECONDS = float(os.environ.get("LIQUIDATOR_SOAK_S", "20"))
TAPE = make(int(3000 * SECONDS), int(24 * SECONDS), hole=False)


@pytest.mark.slow
def test_memory_and_tasks_are_flat(quick, tmp_path):
    from live_runs import rows

    quick(now=lambda: int(TAPE.time[-1]) + 5, save_s=2.0, life_s=5.0)
    made = Liquidator("BTC", mode="streaming")
    with streaming(TAPE) as server:
        places: dict[str, Any] = {"store": tmp_path / "store", "state": tmp_path / "state"}
        running = made.start_stream(exchange=server.live("binance"), **places)
        server.connected("binance")
        tracemalloc.start()
        sizes: list[int] = []
        end, row = time.monotonic() + SECONDS, 0
        while time.monotonic() < end and row < len(TAPE) - 1000:
            server.connected("binance")
            server.send("binance", range(row, row + 500))
            row += 500
            until(lambda row=row: (now := running.health())["trades"].sum() == row and now["queue"].sum() == 0)
            if row % 2000 == 0:
                until(lambda: len(asyncio.all_tasks(running._loop)) <= 10, "tasks are left behind")
                server.outage("binance", row)
                sizes.append(tracemalloc.get_traced_memory()[0])
        running.stop()
    tracemalloc.stop()
    assert len(sizes) >= 3
    assert max(sizes[2:]) < sizes[1] + 20_000_000
    same(made, rows(TAPE, "binance", range(row)))
    assert running.gaps().empty
