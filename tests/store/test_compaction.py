"""Days become months: the same rows, killed, crowded, on a full disk, in little memory."""

from __future__ import annotations

import os
import shutil
import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kept_tables import DAY, SYMBOL, candle_table, cut_at, kept, left_in, steps_of, tape_table
from venue_tape import HOUR, make

from liquidator_integrations.market.files import read_table
from liquidator_integrations.market.trades import trades_from_table
from liquidator_integrations.store import Store, parquet
from liquidator_integrations.store.kinds import table_of
from liquidator_integrations.store.layout import DAY_MS

pytest.importorskip("filelock")


def test_compacted_twice_it_is_the_same(traded):
    store, _ = traded
    before, covered = store.read("trades", "BTC"), store.coverage()
    (month,) = store.compact()
    assert [path.name for path in parquet.files(month.parent)] == ["2025-06.parquet"]
    data = month.read_bytes()
    assert pq.read_schema(month).field("id").type == pa.binary(7)
    trades = trades_from_table(read_table(month))  # as any other file
    assert trades.tobytes() == trades_from_table(before).tobytes()
    assert store.compact() == []
    assert month.read_bytes() == data
    assert store.read("trades", "BTC").equals(before)
    assert store.coverage().equals(covered)
    assert len(store.check()) == 0


@pytest.mark.parametrize("group", [7, 100, 10_000])
def test_a_month_is_the_same_however_it_came_about(tmp_path, monkeypatch, group):
    monkeypatch.setattr(parquet, "_GROUP", group)
    tape = make(400, hours=96, start=DAY, hole=False)
    months = []
    for name, turns in (("once", [[0, 1, 2, 3]]), ("in turn", [[3], [0], [1, 2]]), ("twice", [[0, 1, 2, 3], [1]])):
        store = Store(tmp_path / name)
        for days in turns:
            for day in days:
                rows = (tape.time >= DAY + day * DAY_MS) & (tape.time < DAY + (day + 1) * DAY_MS)
                kept(store, "trades", tape_table(tape.only(rows)), "ids", DAY + day * DAY_MS, DAY + (day + 1) * DAY_MS)
            store.compact()
        assert store.read("trades", "BTC")["id"].to_pylist() == [str(one) for one in tape.id]
        months.append(next(store.path.rglob("2025-06.parquet")).read_bytes())
    assert months[0] == months[1] == months[2]


def test_a_compaction_has_no_more_than_a_day_in_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet, "_GROUP", 50)
    store, load, most = Store(tmp_path / "store"), parquet._load, []
    tape = make(2000, hours=20 * 24, start=DAY, hole=False)
    kept(store, "trades", tape_table(tape), "ids", DAY, DAY + 20 * DAY_MS)
    monkeypatch.setattr(parquet, "_load", lambda *words: most.append(load(*words)) or most[-1])
    store.compact()
    kept(store, "trades", tape_table(tape.only(tape.time < DAY + DAY_MS)), "ids", DAY, DAY + DAY_MS)
    store.compact()
    assert max(map(len, most)) < 2 * 200  # of a day there are some 100, and of a month its groups


def test_days_without_rows_become_a_month_too(store):
    events = {"time": [DAY + 2 * DAY_MS + 1], "price": [1.0], "size": [1.0], "side": ["long"], "usd": [1.0]}
    table = table_of("liquidations", events, "binance", SYMBOL)
    kept(store, "liquidations", table, "none", DAY, DAY + 2 * DAY_MS)
    (month,) = store.compact()
    assert len(store.read("liquidations", "BTC")) == len(store.check()) == 0
    assert store.query("SELECT count(*) AS n FROM liquidations").to_pydict() == {"n": [0]}
    kept(store, "liquidations", table.drop_columns(["usd"]), "none", DAY + 2 * DAY_MS, DAY + 3 * DAY_MS)
    assert store.compact() == [month]
    assert store.read("liquidations", "BTC").select(["price", "usd"]).to_pylist() == [{"price": 1.0, "usd": None}]


def test_rows_outside_of_their_day_are_not_lost_in_a_compaction(traded):
    store, _ = traded
    first, second, _ = parquet.files(next(store.places()).path)
    table = pq.read_table(first)
    parquet.write(second, table.replace_schema_metadata(pq.read_schema(second).metadata))
    with pytest.raises(ValueError, match=r"2025-06\.parquet: [\d,]+ rows lie outside of the days that their files"):
        store.compact()
    assert len(parquet.files(first.parent)) == 3
    assert not list(first.parent.glob("*.part"))


def test_of_a_month_only_what_a_span_touches_is_read(traded, monkeypatch):
    store, tape = traded
    monkeypatch.setattr(parquet, "_GROUP", 500)
    (month,) = store.compact()
    with pq.ParquetFile(month) as file:
        assert file.metadata.num_row_groups == 8
        read = parquet._groups(file, int(tape.time[1200]), int(tape.time[1300]))
    assert read == [2]
    part = store.read("trades", "BTC", since=int(tape.time[1200]), until=int(tape.time[1300]))
    assert part["id"].to_pylist() == [
        str(one) for one in tape.id[(tape.time >= tape.time[1200]) & (tape.time < tape.time[1300])]
    ]


def test_only_whole_days_become_months(store):
    table = candle_table(DAY - 12 * HOUR, 3 * 1440)
    kept(store, "candles-1m", table, "count", DAY - 12 * HOUR, DAY + 60 * HOUR)
    before = store.read("candles", "BTC")
    store.compact()
    names = [path.stem for path in parquet.files(next(store.places()).path)]
    assert names == ["2025-06", "2025-05-31", "2025-06-03"]
    assert store.read("candles", "BTC").equals(before)
    kept(store, "candles-1m", candle_table(DAY + 60 * HOUR, 12 * 60), "count", DAY + 60 * HOUR, DAY + 3 * DAY_MS)
    store.compact()
    assert [path.stem for path in parquet.files(next(store.places()).path)] == ["2025-06", "2025-05-31"]
    assert len(store.read("candles", "BTC")) == 3 * 1440 + 12 * 60
    assert len(store.check()) == 0


@pytest.mark.parametrize("each", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_killed_at_every_step_of_a_compaction(tmp_path, each):
    tape = make(60, hours=60, start=DAY + HOUR, hole=False)
    ids = [str(one) for one in tape.id]
    kept(Store(tmp_path / "days"), "trades", tape_table(tape), "ids", DAY, DAY + 3 * DAY_MS)
    Store(shutil.copytree(tmp_path / "days", tmp_path / "warm")).compact()  # what is imported first is no step
    whole = Store(shutil.copytree(tmp_path / "days", tmp_path / "whole"))
    steps = steps_of(whole.path, whole.compact)
    data = left_in(whole.path)
    assert [name for name, _ in data] == ["2025-06.parquet"]
    assert len(steps) > 5
    seen = set()
    for step in range(1, steps[-1] + 1) if each else steps:
        store = Store(shutil.copytree(tmp_path / "days", tmp_path / "killed"))
        assert cut_at(step, store.compact) or step == steps[-1]
        left = left_in(store.path)
        if left not in seen:
            seen.add(left)
            assert store.read("trades", "BTC")["id"].to_pylist() == ids, step  # missing 0, doubled 0
            assert len(store.check()) == 0
            store.compact()
            assert left_in(store.path) == data
        shutil.rmtree(store.path)
    assert len(seen) == len(steps) - 1


def _add_hours(path: str, first: int, seed: int) -> None:
    tape = make(600, hours=48, start=DAY, hole=False)
    store = Store(path)
    for hour in range(first, 48, 4):
        rows = (tape.time >= DAY + hour * HOUR) & (tape.time < DAY + (hour + 6) * HOUR)
        kept(store, "trades", tape_table(tape.only(rows)), "ids", DAY + hour * HOUR, DAY + (hour + 6) * HOUR, seed)
        store.compact()


@pytest.mark.slow
def test_two_that_write_and_compact_while_one_reads(tmp_path):
    tape = make(600, hours=48, start=DAY, hole=False)
    Store(tmp_path / "s")
    processes = []
    for first in (0, 2):
        process = os.fork()
        if process == 0:
            code = 1
            try:
                _add_hours(str(tmp_path / "s"), first, first)
                code = 0
            finally:
                os._exit(code)
        processes.append(process)
    store, seen = Store(tmp_path / "s"), set()
    while processes:
        done, status = os.waitpid(-1, os.WNOHANG)
        if done in processes:
            processes.remove(done)
            assert status == 0
        if list(store.places()):
            ids = store.read("trades", "BTC")["id"].to_pylist()
            assert len(ids) == len(set(ids))
            assert seen <= set(ids)  # nothing that was there is gone
            seen = set(ids)
    rows = store.read("trades", "BTC", until=DAY + 2 * DAY_MS)["id"].to_pylist()
    assert rows == [str(one) for one in tape.id]


@pytest.mark.skipif(not hasattr(__import__("resource"), "RLIMIT_FSIZE"), reason="no limits of file sizes here")
def test_a_disk_that_fills_during_a_compaction(traded):
    import resource

    store, tape = traded
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            store.compact()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    assert not list(store.path.rglob("*.part"))
    assert len(parquet.files(next(store.places()).path)) == 3
    assert len(store.read("trades", "BTC")) == len(tape)
