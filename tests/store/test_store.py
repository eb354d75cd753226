"""A store's layout, and that a write is whole or not at all, whoever is killed and however many write."""

from __future__ import annotations

import itertools
import json
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from kept_tables import cut_at, left_in, steps_of
from places import ROOT

from liquidator_integrations.store import layout, parquet
from liquidator_integrations.store.layout import DAY_MS, Span

pytest.importorskip("filelock")
DAY = 20_240 * DAY_MS
KEY = ("time", "id")


def trades(first: int, count: int, start: int = DAY, step: int = 1000) -> pa.Table:
    ids = np.arange(first, first + count)
    time = start + (ids - 1) * step
    return pa.table({"time": time, "price": np.full(count, 100.0), "id": pa.array(map(str, ids.tolist()))})


def span_of(table: pa.Table, proof: str = "ids") -> Span:
    time = table["time"].to_numpy()
    return Span(int(time[0]), int(time[-1]) + 1, proof)


def ids_in(place: Path, since: int = DAY, until: int = DAY + 2 * DAY_MS) -> list[str]:
    table = parquet.read(place, since, until)[1]
    return [] if table is None else table["id"].to_pylist()


@pytest.mark.parametrize(
    ("ids", "kind"),
    [
        (["7", "8", "9"], pa.binary(1)),
        (["9", "10", "11"], pa.string()),
        (["a-é", "b-é", "c-é"], pa.binary(4)),
        (["x" * 65, "y" * 65, "z" * 65], pa.string()),
        (["", "", ""], pa.string()),
        (["7", None, "8"], pa.string()),
    ],
)
def test_ids_are_text_however_they_lie_in_a_file(tmp_path, ids, kind):
    table = pa.table({"time": [DAY, DAY + 1, DAY + 2], "id": pa.array(ids)})
    parquet.write(tmp_path / "a.parquet", table)
    assert pq.read_schema(tmp_path / "a.parquet").field("id").type == kind
    assert parquet._load(tmp_path / "a.parquet").equals(table)
    assert parquet.has_fixed_ids(tmp_path / "a.parquet") == (kind != pa.string())


def test_files_of_before_are_read_beside_those_of_now(tmp_path, monkeypatch):
    before, now = trades(100, 50), trades(150, 50, start=DAY + DAY_MS)
    with monkeypatch.context() as patch:
        patch.setattr(parquet, "_fixed", lambda table: table)
        parquet.add(tmp_path, before, [span_of(before)], KEY)
    parquet.add(tmp_path, now, [span_of(now)], KEY)
    old, new = parquet.files(tmp_path)
    assert [parquet.has_fixed_ids(path) for path in (old, new)] == [False, True]
    assert ids_in(tmp_path) == [str(one) for one in range(100, 200)]
    assert parquet.problems(old, "trades")[:1] == ["has no column size"]
    more = trades(50, 50, start=DAY + 1)
    parquet.add(tmp_path, more, [Span(DAY, DAY + DAY_MS, "none")], KEY)
    assert ids_in(tmp_path, until=DAY + DAY_MS) == [str(one) for one in range(50, 150)]


@pytest.mark.parametrize("rows", [1, 300])
def test_columns_of_one_value_are_as_if_they_were_read(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(parquet, "_GROUP", 100)
    named = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array(["okx"]))
    side = pa.DictionaryArray.from_arrays(np.arange(rows, dtype=np.int32) % 2, pa.array(["buy", "sell"]))
    columns = {"time": DAY + np.arange(rows), "price": np.full(rows, 5.0), "side": side, "venue": named}
    table = pa.table({**columns, "written": np.full(rows, 7), "received": pa.array([None] * rows, pa.int64())})
    parquet.write(tmp_path / "a.parquet", table)
    for names in (None, ["time", "venue"]):
        wanted, read = table.select(names or table.column_names), parquet._load(tmp_path / "a.parquet", names)
        assert read.schema == wanted.schema
        assert read.to_pydict() == wanted.to_pydict()
    with pq.ParquetFile(tmp_path / "a.parquet") as file:
        same = parquet._same(file, range(file.metadata.num_row_groups))
    assert {**same} | {"time": DAY, "side": "buy"} == {"time": DAY, "side": "buy", "venue": "okx", "written": 7}
    assert ("time" in same) == (rows == 1)


def test_rows_lie_by_day_with_the_time_of_writing_and_the_layouts_number(tmp_path):
    root = layout.open_root(tmp_path / "store")
    assert json.loads((root / "layout.json").read_text()) == {"layout": 1}
    place = layout.folder(root, "binance", "BTC/USDT:USDT", "trades")
    assert place.relative_to(root).as_posix() == "binance/BTC%2FUSDT%3AUSDT/trades"
    table = trades(1, 100_000)  # more than a day of seconds
    parquet.add(place, table, [span_of(table)], KEY, written=7)
    assert sorted(path.name for path in place.glob("*.parquet")) == ["2025-06-01.parquet", "2025-06-02.parquet"]
    file = pq.read_table(place / "2025-06-01.parquet")
    assert set(file["written"].to_pylist()) == {7}
    assert file.schema.metadata[b"liquidator.layout"] == b"1"
    assert json.loads(file.schema.metadata[b"liquidator.spans"]) == [[DAY, DAY + DAY_MS, "ids"]]
    spans, rows = parquet.read(place, DAY, DAY + 2 * DAY_MS)
    assert spans == [span_of(table)]
    assert rows.drop_columns(["written"]).replace_schema_metadata(None).equals(table)


def test_what_is_written_twice_is_there_once_and_keeps_its_first_time(tmp_path):
    place = tmp_path / "x"
    parquet.add(place, trades(1, 60), [span_of(trades(1, 60))], KEY, written=1)
    parquet.add(place, trades(40, 60), [span_of(trades(40, 60))], KEY, written=2)
    spans, rows = parquet.read(place, DAY, DAY + DAY_MS)
    assert rows["id"].to_pylist() == [str(number) for number in range(1, 100)]
    assert rows["written"].to_pylist() == [1] * 60 + [2] * 39
    assert spans == [Span(DAY, DAY + 98_001, "ids")]


def test_rows_outside_of_the_spans_are_not_kept(tmp_path):
    parquet.add(tmp_path / "x", trades(1, 100), [Span(DAY + 10_000, DAY + 20_000, "none")], KEY)
    assert ids_in(tmp_path / "x") == [str(number) for number in range(11, 21)]


def test_a_month_of_whole_days_is_read_like_its_days(tmp_path):
    place = tmp_path / "x"
    table = trades(1, 500, step=400_000)
    parquet.add(place, table, [span_of(table)], KEY, written=1)
    days = sorted(place.glob("*.parquet"))
    before = parquet.read(place, DAY, DAY + 3 * DAY_MS)
    said = {b"liquidator.layout": b"1", b"liquidator.spans": json.dumps([list(one) for one in before[0]]).encode()}
    parquet.write(place / "2025-06.parquet", before[1].replace_schema_metadata(said))
    for path in days[:-1]:
        path.unlink()
    spans, rows = parquet.read(place, DAY, DAY + 3 * DAY_MS)
    assert spans == before[0]
    assert parquet.in_order(rows, KEY)["id"].to_pylist() == before[1]["id"].to_pylist()


@pytest.mark.parametrize(
    "name", ["BTC/USDT:USDT", "..", ".", "a\\b", "con", "NUL.x", "trailing.", " ", "名", "a\0b", "-", "~", "*?<>|"]
)
def test_a_name_from_a_venue_is_a_folder_and_nothing_else(tmp_path, name):
    root = tmp_path / "root"
    place = layout.folder(root, name, name, "trades")
    assert place.resolve().parent.parent.parent == root.resolve()
    place.mkdir(parents=True)
    assert layout.folder_name(name) not in ("", ".", "..")
    assert layout.folder_name(name).split(".")[0].lower() not in ("con", "nul")


def test_names_that_differ_have_folders_that_differ():
    names = ["BTC/USDT", "BTC%2FUSDT", "..", "%2E%2E", "con", "%63on", ".a", "%2Ea"]
    assert len({layout.folder_name(name) for name in names}) == len(names)
    with pytest.raises(ValueError, match="cannot name a folder"):
        layout.folder_name("x" * 300)
    with pytest.raises(ValueError, match="cannot name a folder"):
        layout.folder_name("")


def test_a_folder_that_is_no_store_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"not a store: the folder is not empty and has no layout\.json"):
        layout.open_root(tmp_path)
    with pytest.raises(ValueError, match="a store is a folder"):
        layout.open_root(tmp_path / "notes.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ('{"layout": 2}', "a store of layout 2, and this version knows 1: take a newer version"),
        ('{"layout": "one"}', "found layout 'one', allowed a number from 1 to 1"),
        ("[]", "found layout None"),
        ("{", "not JSON"),
    ],
)
def test_a_store_of_another_layout_is_refused(tmp_path, said, error):
    (tmp_path / "layout.json").write_text(said)
    with pytest.raises(ValueError, match=error):
        layout.open_root(tmp_path)


def test_a_file_of_another_layout_or_none_is_refused(tmp_path):
    for number, said in enumerate([{b"liquidator.layout": b"9", b"liquidator.spans": b"[]"}, {}, None]):
        place = tmp_path / str(number)
        place.mkdir()
        parquet.write(place / "2025-06-01.parquet", trades(1, 3).replace_schema_metadata(said))
        with pytest.raises(ValueError, match=r"of layout 9|not a file of a store"):
            parquet.read(place, DAY, DAY + DAY_MS)
    (tmp_path / "2" / "2025-06-01.parquet").write_bytes(b"PAR1 cut")
    with pytest.raises(ValueError, match=r"2025-06-01\.parquet: cannot be read"):
        parquet.read(tmp_path / "2", DAY, DAY + DAY_MS)


# Spans, against sets of their instants --------------------------------------------------------------------------------


def instants(spans: Any) -> set[int]:
    return {time for since, until, *_ in spans for time in range(since, until)}


def test_spans_are_sets_of_instants():
    draw = random.Random(5)
    for _ in range(300):
        spans = [
            Span(start, start + draw.randint(1, 6), draw.choice(["ids", "none"]))
            for start in (draw.randint(0, 30) for _ in range(draw.randint(0, 6)))
        ]
        joined = layout.merged(spans)
        assert instants(joined) == instants(spans)
        assert all(one.until <= two.since for one, two in itertools.pairwise(joined))
        proven = instants(span for span in spans if span.proof == "ids")
        assert instants(span for span in joined if span.proof == "ids") == proven
        left = layout.without([(3, 25)], spans)
        assert instants(left) == set(range(3, 25)) - instants(spans)
        assert instants(layout.within(spans, 5, 20)) == instants(spans) & set(range(5, 20))


def test_many_spans_are_as_quick_as_they_are_many():
    spans = [Span(2 * place, 2 * place + 1, "none") for place in range(50_000)]
    assert layout.merged([*spans, Span(0, 10, "ids")])[:2] == [Span(0, 10, "ids"), spans[5]]
    assert len(layout.without([span[:2] for span in spans], spans[1:])) == 1


# Killed, crowded and full ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("each", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_killed_at_every_step_of_a_write(tmp_path, each):
    old, new = [str(n) for n in range(1, 101)], [str(n) for n in range(1, 151)]
    before, table = trades(1, 100), trades(51, 100)
    parquet.add(tmp_path / "before", before, [span_of(before)], KEY, written=1)

    def add(name: str) -> int:
        return parquet.add(tmp_path / name, table, [span_of(table)], KEY, written=2)

    shutil.copytree(tmp_path / "before", tmp_path / "whole")
    add("warm")  # what is imported first is no step
    steps = steps_of(tmp_path / "whole", lambda: add("whole"))
    data = left_in(tmp_path / "whole")
    seen, found = set(), set()
    for step in range(1, steps[-1] + 1) if each else steps:
        place = shutil.copytree(tmp_path / "before", tmp_path / "killed")
        assert cut_at(step, lambda: add("killed")) or step == steps[-1]
        left = left_in(place)
        if left not in seen:
            seen.add(left)
            ids = ids_in(place)
            assert ids in (old, new), step
            spans = parquet.read(place, DAY, DAY + DAY_MS)[0]
            assert spans == [Span(DAY, DAY + (99_001 if ids == old else 149_001), "ids")]
            add("killed")
            assert left_in(place) == data  # missing 0, doubled 0
            found.add(len(ids))
        shutil.rmtree(place)
    assert found == {100, 150}
    assert len(seen) == len(steps) - 1


FULL = """
import resource, sys
sys.path[:0] = sys.argv[2:]
from pathlib import Path
from test_store import *
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
table = trades(1, 50_000)
try:
    parquet.add(Path(sys.argv[1]), table, [span_of(table)], KEY)
except OSError as error:
    print(type(error).__name__, error)
"""


def test_a_disk_that_fills_leaves_what_was_there(tmp_path):
    place = tmp_path / "x"
    parquet.add(place, trades(1, 100), [span_of(trades(1, 100))], KEY)
    command = [sys.executable, "-c", FULL, str(place), str(Path(__file__).parent), str(ROOT / "tests" / "helpers")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("OSError"), done.stdout + done.stderr
    assert ids_in(place) == [str(number) for number in range(1, 101)]
    assert not list(place.glob("*.part"))
