"""A Liquidator's settings, history and counts in one file, and back.

A checksum tells a file that was damaged; what a file says is held against itself all the same before it is used,
because kernels write where a tape's places point.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from liquidator_core import BAR, TRADE
from liquidator_core.layout import LONG, SHORT
from liquidator_core.tape import TAPE
from liquidator_core.timeframes import TIMEFRAMES

from ..market.liquidations import LIQUIDATION
from .ahead import WAITING
from .bars import RUN, Bars
from .feeds import READING
from .queue import ORDER
from .row_buffer import SEEN
from .sealed import OtherSchemaError, array_of, read_sealed
from .timeframes import Higher, Timeframes

_DTYPES = {
    **dict.fromkeys(("rows", "traded", "candles"), BAR),
    **dict.fromkeys(("runs", "traded_runs"), RUN),
    **dict.fromkeys(("queue_trades", "kept_trades", "ahead_trades"), TRADE),
    **dict.fromkeys(("queue_order", "kept_order", "ahead_order"), ORDER),
    **dict.fromkeys(("tape", "base"), TAPE),
    **dict.fromkeys(("funding_rate", "open_interest"), READING),
    "liquidations": LIQUIDATION,
    "waiting": WAITING,
}
_MAY_BE_MISSING = ("queue_order", "kept_order", "ahead_order")
_NUMBERS = ("clock", "closed", "made", "base_time", "base_last", "given_up", "first", "let_go", "left_out", "repeated")
_LATE = {"trades", "liquidations", "rates", "candles"}
_MOST = 1 << 62


@contextlib.contextmanager
def refusing(path: str | os.PathLike[str]) -> Iterator[None]:
    """Make a ValueError of whatever a file gives rise to that is not of ``file_of``."""
    try:
        yield
    except (OSError, OtherSchemaError):
        raise
    except Exception:
        raise ValueError(f"{path}: not a file that Liquidator.save wrote, or damaged") from None


def file_of(about: Mapping[str, Any], frames: Timeframes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What is known of one coin by now, for ``write_sealed``; ``about`` are JSON values to find beside it."""
    history = frames.history
    arrays = dict(history.arrays())
    higher = {}
    for name, made in frames.higher.items():
        bars = made.update(history.bars)
        arrays |= {f"higher {name}": bars.rows.lasting(), f"higher runs {name}": bars.runs.lasting()}
        higher[name] = [bars.rows.first, bars.let_go]
    return {**about, "history": history.numbers(), "higher": higher}, arrays


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(JSON values, arrays) of a file of ``file_of``. Errors as for ``read_sealed``."""
    about, parts = read_sealed(path)
    arrays = {}
    for name, part in parts.items():
        kind = name.split(" ")
        if kind[0] == "higher":
            dtype = RUN if kind[1:2] == ["runs"] else BAR
        else:
            dtype = SEEN if name.startswith("seen_") else _DTYPES[name]
        arrays[name] = array_of(part, dtype)
    return about, arrays


def restore(frames: Timeframes, memory: int, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Put what ``read_file`` gave into a new Liquidator's history and timeframes.

    Raises ValueError, KeyError or TypeError for what ``file_of`` does not give.
    """
    history, numbers = frames.history, about["history"]
    for fault in _faults(numbers, arrays, int(history.step)):
        raise ValueError(fault)
    history.restore(numbers, arrays)
    for name, (first, let_go) in about["higher"].items():
        if not (_is_count(first) and _is_count(let_go)) or name not in TIMEFRAMES:
            raise ValueError("higher")
        rows, runs = arrays[f"higher {name}"], arrays[f"higher runs {name}"]
        if not (_rises(rows["time"]) and _are_runs(runs, rows["time"])):
            raise ValueError("higher")
        frames.higher[name] = Higher(name, memory)
        frames.higher[name].restore(Bars(name, rows, runs, first, let_go), history.bars)


def _faults(numbers: dict[str, Any], arrays: dict[str, np.ndarray], step: int) -> Iterator[str]:
    """What no history writes."""
    if not all(_is_count(numbers[name]) for name in _NUMBERS):
        yield "numbers"
    late, venues, seen = numbers["late"], numbers["venues"], numbers["seen"]
    if late.keys() != _LATE or not all(map(_is_count, late.values())):
        yield "late"
    if not all(isinstance(name, str) for name in [*venues, *seen]) or len(set(venues)) != len(venues):
        yield "venues"
    if not (_DTYPES.keys() - set(_MAY_BE_MISSING) <= arrays.keys()):
        yield "arrays"
    if any(len(arrays[name]) != 1 for name in ("tape", "base")):
        yield "tape"
    closed, base = numbers["closed"], numbers["base_time"]
    for name, at in (("tape", closed), ("base", base)):
        tape = arrays[name][0]
        room = len(tape["usd"]) // 2
        if not (0 <= tape["now"] < room and 0 <= tape["trades"] <= room and 0 <= tape["started"] <= 2):
            yield name
        if tape["started"] and tape["bar"]["time"] != at:
            yield name
    if closed % step or base % step or numbers["made"] > closed or base > closed:
        yield "closed"
    for name in ("rows", "traded", "candles"):
        time = arrays[name]["time"]
        if not _rises(time) or (time % step).any() or (name != "candles" and len(time) and time[-1] >= closed):
            yield name
    for name, runs in (("rows", "runs"), ("traded", "traded_runs")):
        if not _are_runs(arrays[runs], arrays[name]["time"], step, closed):
            yield runs
    for name, first, end in (("kept", base, closed), ("queue", closed, _MOST), ("ahead", 0, _MOST)):
        yield from _faults_of_queue(name, arrays, first, end, len(venues))
    some = arrays["liquidations"]
    if not (
        _grows(some["time"])
        and _are_numbers(some, "venue", len(venues))
        and np.isin(some["side"], [LONG, SHORT]).all()
        and all(((some[name] > 0.0) & (some[name] < np.inf)).all() for name in ("price", "usd"))
    ):
        yield "liquidations"
    if not _are_trades(arrays["waiting"]) or not _are_numbers(arrays["waiting"], "venue", len(venues)):
        yield "waiting"
    ordered = [arrays[name]["time"] for name in ("funding_rate", "open_interest")]
    ordered += [arrays[f"seen_{place}"]["time"] for place in range(len(seen))]
    if not all(map(_grows, ordered)):
        yield "times"


def _faults_of_queue(name: str, arrays: Mapping[str, np.ndarray], first: int, end: int, venues: int) -> Iterator[str]:
    trades, order = arrays[f"{name}_trades"], arrays.get(f"{name}_order")
    time = trades["time"]
    if not _grows(time) or not _are_trades(trades) or (len(time) and not first <= time[0] <= time[-1] < end):
        yield name
    if order is not None and (len(order) != len(trades) or not _are_numbers(order, "venue", venues)):
        yield name


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < _MOST


def _are_numbers(rows: np.ndarray, name: str, count: int) -> bool:
    return bool(((rows[name] >= 0) & (rows[name] < count)).all())


def _are_trades(trades: np.ndarray) -> bool:
    right = (np.abs(trades["side"]) == 1) & (trades["time"] >= 0)
    for name in ("price", "size"):
        right &= (trades[name] > 0.0) & (trades[name] < np.inf)
    return bool(right.all())


def _grows(time: np.ndarray) -> bool:
    return bool(len(time) == 0 or (time[0] >= 0 and time[-1] < _MOST and (time[1:] >= time[:-1]).all()))


def _rises(time: np.ndarray) -> bool:
    return _grows(time) and bool((time[1:] > time[:-1]).all())


def _are_runs(runs: np.ndarray, time: np.ndarray, step: int = 0, end: int = _MOST) -> bool:
    """Whether runs of more than one bar begin at bars and, of a known step, end by the next one."""
    if not (_rises(runs["time"]) and (runs["bars"] > 1).all() and np.isin(runs["time"], time).all()):
        return False
    after = np.searchsorted(time, runs["time"], side="right")
    upto = np.append(time, end)[after]
    return bool((runs["bars"] <= (upto - runs["time"]) // (step or 1)).all())
