"""A journal beside a day's file: what a full disk, another process and a flush without rows leave."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liquidator_integrations.store import journal, layout, parquet
from liquidator_integrations.store.kinds import empty, key_of, table_of
from liquidator_integrations.store.layout import DAY_MS, Span

pytest.importorskip("filelock")
DAY = 20_240 * DAY_MS
KEY = key_of("trades")


def trades(first: int, *sides: str) -> Any:
    time = [DAY + first + row for row in range(len(sides))]
    columns = {"time": time, "price": [1.0] * len(sides), "size": [1.0] * len(sides), "side": sides}
    return table_of("trades", {**columns, "id": [str(one) for one in time]}, "binance", "BTC/USDT:USDT")


def kept(place: Path) -> list[str]:
    table = parquet.read(place, DAY, DAY + DAY_MS)[1]
    return [] if table is None else table["side"].to_pylist()


@contextlib.contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Within the block the system refuses to write more than so many bytes to a file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", range(0, 800, 100))
def test_what_did_not_fit_is_written_again_as_it_was(tmp_path, room):
    one = journal.Journal(tmp_path, KEY)
    one.append(trades(0, "buy", "sell"), [])
    size = (tmp_path / "live.arrows").stat().st_size
    for _ in range(5):
        with no_file_beyond(size + room), pytest.raises(OSError, match="large"):
            one.append(trades(10, "sell", "buy"), [])
        size = 0 if room == 0 else 1000  # the next begins a file, and does not fit either
    assert len(list(tmp_path.glob("folding-*.arrows"))) == 1
    one.append(trades(10, "sell", "buy"), [])
    one.append(trades(20, "sell", "buy"), [])
    one.close()
    assert kept(tmp_path) == ["buy", "sell"] + 2 * ["sell", "buy"]
    assert not list(tmp_path.glob("*.arrows"))


def test_what_another_process_captures_is_left_to_it(tmp_path):
    one = journal.Journal(tmp_path, KEY)
    one.append(trades(0, "buy"), [])
    journal.recover(tmp_path, KEY)
    one.append(trades(10, "sell"), [])
    assert kept(tmp_path) == []
    one.close()
    assert kept(tmp_path) == ["buy", "sell"]


def test_a_file_that_two_threads_fold_is_folded_once(tmp_path):
    one = journal.Journal(tmp_path, KEY)
    one.append(trades(0, "buy"), [])
    (path,) = one.rotate()
    one.fold()
    journal.fold(path, KEY)
    one.close()
    assert kept(tmp_path) == ["buy"]


def test_what_is_covered_is_kept_without_a_row(tmp_path):
    one = journal.Journal(tmp_path, KEY)
    one.append(empty("trades"), [Span(DAY, DAY + 50, "ids")])
    one.close()
    assert parquet.read(tmp_path, DAY, DAY + DAY_MS)[0] == [Span(DAY, DAY + 50, "ids")]
    assert layout.day_file(tmp_path, DAY).exists()
