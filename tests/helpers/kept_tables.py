"""Tables of a made market, how they come into a store, and what a process leaves that is killed meanwhile."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from venue_tape import MINUTE, Tape

from liquidator_integrations.store import Store, parquet
from liquidator_integrations.store.kinds import key_of, table_of
from liquidator_integrations.store.layout import DAY_MS, Span, folder

SYMBOL = "BTC/USDT:USDT"
DAY = 20_240 * DAY_MS  # 2025-06-01


def tape_table(tape: Tape) -> pa.Table:
    side = np.where(tape.sell, "sell", "buy")
    columns = {"time": tape.time, "price": tape.price, "size": tape.size, "side": side, "id": tape.id}
    return table_of("trades", columns, "binance", SYMBOL)


def candle_table(first: int, count: int, step: int = MINUTE) -> pa.Table:
    rng = np.random.default_rng(1)
    close = np.round(60_000 * np.exp(np.cumsum(rng.normal(0, 1e-3, count))), 1)
    opened = np.r_[60_000.0, close[:-1]]
    columns = {"time": first + np.arange(count) * step, "open": opened, "close": close}
    columns |= {"high": np.maximum(opened, close) + 1, "low": np.minimum(opened, close) - 1}
    columns["volume"] = rng.lognormal(0, 1, count)
    columns["taker_buy"] = columns["volume"] / 2
    return table_of("candles", columns, "binance", SYMBOL)


def kept(store: Store, kind: str, table: pa.Table, proof: str, since: int, until: int, written: int = 1) -> None:
    place = folder(store.path, "binance", SYMBOL, kind)
    parquet.add(place, table, [Span(since, until, proof)], key_of(kind), written)


def _apart(work: Callable[[], object], at_call: Callable[[int], object]) -> int:
    """Do work in a process of its own, with a look before each call of a builtin: how that ended."""
    process = os.fork()
    if process == 0:
        calls = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal calls
            if event == "c_call":
                calls += 1
                at_call(calls)

        try:
            sys.setprofile(count)
            work()
        finally:
            os._exit(0)
    return os.waitpid(process, 0)[1]


def cut_at(step: int, work: Callable[[], object]) -> bool:
    """Do work in a process that is killed at its n-th call of a builtin; whether it came that far."""
    return os.WIFSIGNALED(_apart(work, lambda call: call == step and os.kill(os.getpid(), signal.SIGKILL)))


def left_in(place: Path) -> frozenset[tuple[str, bytes]]:
    """The files of a store below a folder, and what they hold; one that is written has any name."""
    files = (path for path in place.rglob("*") if path.suffix in (".parquet", ".part"))
    return frozenset((path.name if path.suffix == ".parquet" else "", path.read_bytes()) for path in files)


def steps_of(place: Path, work: Callable[[], object]) -> list[int]:
    """The calls of a builtin at which the files below a folder are not as at any before, and one behind the last.

    What a process leaves that is killed at a call is what lies there then: a kill at these is one at every call.
    """
    told = place.with_name(f"{place.name}.steps")
    found: dict[frozenset[tuple[str, bytes]], int] = {}
    calls = 0

    def look(call: int) -> None:
        nonlocal calls
        calls = call
        found.setdefault(left_in(place), call)

    def do_and_tell() -> None:
        work()
        told.write_text(" ".join(map(str, (*found.values(), calls + 1))))

    _apart(do_and_tell, look)
    return [int(one) for one in told.read_text().split()]
