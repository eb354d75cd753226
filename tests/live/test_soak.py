"""Tape at 7,200 times its speed, with breaks: memory, tasks, threads and files stay as they are.

Seconds by LIQUIDATOR_SOAK_S. RSS is that of the whole process, the server of the venues and their tape in it; it is
warm once each of the stream's threads has folded a journal. Engines keep 2,000 to 4,000 bars here instead of 50,000 to
100,000, and of longer timeframes one, so that they begin to let go of bars within the first half minute instead of the
second month.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from live_runs import rows, same_as, until
from venue_streams import streaming
from venue_tape import make

from liquidator_integrations import Liquidator

SECONDS = float(os.environ.get("LIQUIDATOR_SOAK_S", "60"))
RATE = 2500  # trades a second of each venue
TAPE = make(int(RATE * SECONDS) + 4000, int(2 * SECONDS), hole=False)
VENUES = ("binance", "bybit")  # ids that chain, and ids that do not
MOST_RSS, MOST_BLOCKS = 12_000_000, 30_000  # by which the last quarter may lie above the third
KEPT = 2000  # bars
MOST_TASKS = 12
PROCESS = Path("/proc/self")


class Seen(NamedTuple):
    """What a process holds after so many seconds."""

    seconds: float
    rss: int
    blocks: int  # of Python's allocator
    tasks: int
    threads: int
    files: int

    def __str__(self) -> str:
        held = f"{self.rss / 1e6:.0f} MB, {self.blocks:,} blocks, {self.tasks} tasks, {self.threads} threads"
        return f"{self.seconds:.0f} s: {held}, {self.files} files"


def seen(began: float, tasks: int) -> Seen:
    rss = int((PROCESS / "statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    files = len(os.listdir(PROCESS / "fd"))
    return Seen(time.monotonic() - began, rss, sys.getallocatedblocks(), tasks, threading.active_count(), files)


class Run:
    """One venue's stream into an engine, a store and a state, fed a tape."""

    def __init__(self, server: Any, venue: str, folder: Path) -> None:
        self.venue, self.server, self.row = venue, server, 0
        self.made = Liquidator("BTC", mode="streaming", timeframes=["1m", "1h"])
        places: dict[str, Any] = {"store": folder / venue, "state": folder / f"{venue}.state"}
        self.stream = self.made.start_stream(exchange=server.live(venue), **places)

    def play(self, count: int) -> None:
        """Send trades, and wait until all of them are applied."""
        self.server.connected(self.venue)
        self.server.send(self.venue, range(self.row, self.row + count))
        self.row += count
        until(self._is_whole, "trades")

    def _is_whole(self) -> bool:
        health = self.stream.health()
        return bool(health["trades"].sum() == self.row and health["queue"].sum() == 0)

    def tasks(self) -> int:
        assert self.stream._loop is not None
        return len(asyncio.all_tasks(self.stream._loop))

    def batch(self) -> Liquidator:
        want = Liquidator("BTC")
        for start in range(0, self.row, 20_000):
            want.ingest_trades(rows(TAPE, self.venue, range(start, min(self.row, start + 20_000))))
        return want


@pytest.mark.slow
@pytest.mark.skipif(not PROCESS.exists(), reason="RSS and open files are read from /proc")
def test_memory_tasks_threads_and_files_are_flat(quick, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr("liquidator_integrations.liquidator.history.STREAMED_ROWS", KEPT)
    monkeypatch.setattr("liquidator_integrations.liquidator.timeframes._CATCH_UP", KEPT // 10)
    caplog.set_level(logging.ERROR, "liquidator")  # each break is a warning, which pytest keeps
    runs: list[Run] = []
    quick(
        now=lambda: int(TAPE.time[max((run.row for run in runs), default=0)]) + 5, save_s=2.0, life_s=5.0, hold_s=60.0
    )
    told: list[Seen] = []
    with streaming(TAPE) as server:
        before = seen(0.0, 0)
        runs += [Run(server, venue, tmp_path) for venue in VENUES]
        began = time.monotonic()
        while time.monotonic() < began + SECONDS:
            until(lambda: time.monotonic() >= began + runs[0].row / RATE)
            for _ in range(4):
                for run in runs:
                    run.play(500)
            for run in runs:
                until(lambda run=run: run.tasks() <= MOST_TASKS, "tasks are left behind")
            told.append(seen(began, sum(run.tasks() for run in runs)))
            for run in runs:
                server.outage(run.venue, run.row)
            server.log.clear()
            server.subscribed.clear()
        for run in runs:
            run.play(500)
            run.stream.stop()
        after = seen(began, 0)
    for minute in range(int(SECONDS // 60) + 1):
        print(min(told, key=lambda one, minute=minute: abs(one.seconds - 60 * minute)))
    print(f"{sum(run.row for run in runs):,} trades, {len(told)} breaks of each venue")
    assert after.threads <= before.threads  # what earlier tests left may have ended
    assert after.files <= before.files
    quarter = len(told) // 4

    def usual(name: str, part: int) -> float:
        """The median over a quarter of the time; a fold holds more for a moment."""
        return float(np.median([getattr(one, name) for one in told[part * quarter : (part + 1) * quarter]]))

    assert usual("rss", 3) - usual("rss", 2) < MOST_RSS
    assert usual("blocks", 3) - usual("blocks", 2) < MOST_BLOCKS
    assert usual("threads", 3) <= usual("threads", 0)
    assert usual("files", 3) <= usual("files", 0)
    for run in runs:
        seen_bars, kept = run.made.compute_zones().attrs["bars_seen"], len(run.made.bars())
        assert KEPT <= kept < 2.2 * KEPT
        same_as(run.made, run.batch(), forgotten=seen_bars - kept)
        assert all(filled is True for filled in run.stream.gaps()["filled"])
