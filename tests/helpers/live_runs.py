"""Streams of the loopback venues against a batch over the same trades."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from venue_tape import Tape, make
from venue_wire import OKX_CONTRACT, uuid

from liquidator_integrations import Liquidator

VENUES = ("binance", "bybit", "okx", "hyperliquid")
PATIENCE = 20.0  # seconds for what should happen at once
SHORT = make(3000, 6, hole=False)  # six hours


def until(done: Callable[[], Any], what: str = "") -> None:
    """Wait for something that another thread brings about."""
    moment, end = threading.Event(), time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, what or "it does not happen"
        moment.wait(0.005)


def rows(tape: Tape, venue: str, which: range | np.ndarray | None = None) -> list[dict[str, Any]]:
    """Trades of a tape as a batch takes them."""
    made = []
    for row in range(len(tape)) if which is None else which:
        number, size = int(tape.id[row]), float(f"{tape.size[row]:.3f}")
        if venue == "okx":
            size = float(f"{tape.size[row] / OKX_CONTRACT:.1f}") / round(1 / OKX_CONTRACT)
        made.append(
            {
                "time": int(tape.time[row]),
                "price": float(f"{tape.price[row]:.1f}"),
                "base_size": size,
                "side": "sell" if tape.sell[row] else "buy",
                "id": uuid(number) if venue == "bybit" else number,
                "venue": venue,
            }
        )
    return made


def batch(trades: list[dict[str, Any]]) -> Liquidator:
    made = Liquidator("BTC")
    made.ingest_trades(trades)
    return made


def same(streamed: Liquidator, trades: list[dict[str, Any]]) -> None:
    """Bars and zones are those of a batch, to the byte, but for the last bars, that event time has not closed."""
    same_as(streamed, batch(trades))


def same_as(streamed: Liquidator, want: Liquidator, forgotten: int = 0) -> None:
    """``same``, for a batch that was made already; so many bars in front were let go of."""
    got, bars = streamed.bars(), want.bars()[forgotten:]
    assert len(bars) - 1 <= len(got) <= len(bars)
    for name in bars.dtype.names:
        np.testing.assert_array_equal(got[name], bars[name][: len(got)], name)
    assert got.tobytes() == bars[: len(got)].tobytes()
    as_of = int(got["time"][-1]) + 60_000
    one, other = streamed.compute_zones(as_of=as_of), want.compute_zones(as_of=as_of)
    assert one.equals(other)
    assert not any(count for name, count in streamed.counts.items() if name.startswith("late"))


def took(stream: Any, count: int) -> None:
    """Wait until so many trades came, and none waits."""
    until(lambda: (now := stream.health())["trades"].sum() == count and now["queue"].sum() == 0, "trades")


def goes_on(server: Any, venue: str, made: Liquidator, stream: Any, trades: tuple[int, int, int]) -> None:
    """A stream is the batch of all: after the first of the next trades, which shows what is missing, and after others.

    trades   the numbers of the first that is sent, of the first of the others, and of the end
    """
    since, others, end = trades
    server.send(venue, range(since, others))
    took(stream, others)
    server.send(venue, range(others, end))
    took(stream, end)
    stream.stop()
    same(made, rows(SHORT, venue, range(end)))
