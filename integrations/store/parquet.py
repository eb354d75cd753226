"""Tables added to and read from a store: whole files, replaced atomically under a lock, so that two may write.

A process that is killed leaves a file as it was before or as it is after; rows are told apart by their key, so that
what is written twice is there once.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liquidator_core._atomic import replacing

from . import layout
from .layout import Span

WRITTEN = "written"
_SPANS = b"liquidator.spans"
_LAYOUT = b"liquidator.layout"
_LOCK_SECONDS = 120


def read(place: Path, since: int, until: int) -> tuple[list[Span], pa.Table | None]:
    """What a folder of one kind holds of a span of time: (the spans covered, its rows in order of time or None).

    place   from ``layout.folder``; it need not exist

    Rows have their columns and ``written``. Raises ValueError for a file that cannot be read.
    """
    spans: list[Span] = []
    tables = []
    for path in _files(place, since, until):
        table = _load(path)
        spans += _spans(path, table.schema)
        time_of = table["time"]
        tables.append(table.filter(pc.and_(pc.greater_equal(time_of, since), pc.less(time_of, until))))
    return layout.merged(layout.within(spans, since, until)), pa.concat_tables(tables) if tables else None


def add(place: Path, table: pa.Table, spans: Sequence[Span], key: Sequence[str], written: int | None = None) -> None:
    """Keep rows and the spans that they cover.

    table    rows with ``time`` in ms; those outside of the spans are not kept
    key      the columns that tell rows apart; of rows with one key the one that is there, or came first, stays
    written  the time of writing in ms; None: now

    Raises OSError for a folder that cannot be written to; every file is then as it was, or whole. Cost: that of
    reading and writing the days that the spans touch.
    """
    import filelock

    written = time.time_ns() // 1_000_000 if written is None else written
    place.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(place / ".lock", timeout=_LOCK_SECONDS):
        for stale in place.glob("*.part"):  # of a process that was killed
            stale.unlink(missing_ok=True)
        for day in sorted({since for span in spans for since, _ in layout.days(span.since, span.until)}):
            begin = day // layout.DAY_MS * layout.DAY_MS
            _add_day(place, begin, table, layout.within(list(spans), begin, begin + layout.DAY_MS), key, written)


def _add_day(place: Path, begin: int, table: pa.Table, spans: list[Span], key: Sequence[str], written: int) -> None:
    rows = _inside(table, spans)
    rows = rows.append_column(WRITTEN, pa.array(np.full(len(rows), written, np.int64)))
    path = layout.day_file(place, begin)
    if path.exists():
        there = _load(path)
        spans = _spans(path, there.schema) + spans
        rows = pa.concat_tables(
            [there.replace_schema_metadata(None), rows.replace_schema_metadata(None)], promote_options="default"
        )
    rows = in_order(rows, key)
    said = {
        _LAYOUT: str(layout.LAYOUT).encode(),
        _SPANS: json.dumps([list(span) for span in layout.merged(spans)]).encode(),
    }
    write(path, rows.replace_schema_metadata(said))


def write(path: Path, table: pa.Table) -> None:
    """A parquet file, whole or not at all."""
    import pyarrow.parquet as pa_parquet

    with replacing(path) as file:
        pa_parquet.write_table(table, file, compression="zstd")


def in_order(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows in order of time, each key once: of equals the first. Ids that are numbers order trades of one time."""
    if len(table) == 0:
        return table
    columns = [table[name].to_numpy() if name == "time" else _sortable(table[name]) for name in key]
    order = np.lexsort([column for column in columns[::-1] if column.dtype.kind in "iu"])
    columns = [column[order] for column in columns]
    if all(column.dtype.kind in "iu" for column in columns):
        again = np.zeros(len(order), bool)
        again[1:] = np.logical_and.reduce([column[1:] == column[:-1] for column in columns])
        order = order[~again]
    else:
        seen: set[tuple[object, ...]] = set()
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        order = order[[not (row in seen or seen.add(row)) for row in rows]]  # type: ignore[func-returns-value]
    if len(order) == len(table) and bool((np.diff(order) == 1).all()):
        return table
    return table.take(pa.array(order))


def _sortable(column: pa.ChunkedArray) -> np.ndarray:
    """Whole numbers where a column of text is of them throughout, else the text."""
    try:
        numbers: np.ndarray = column.cast(pa.int64()).to_numpy()
        return numbers
    except pa.ArrowInvalid:
        return np.array(column.to_pylist(), object)


def _inside(table: pa.Table, spans: Sequence[Span]) -> pa.Table:
    when = table["time"].to_numpy()
    keep = np.zeros(len(when), bool)
    for span in spans:
        keep |= (when >= span.since) & (when < span.until)
    return table.filter(pa.array(keep))


def _files(place: Path, since: int, until: int) -> list[Path]:
    """The files that hold something of a span: months before days."""
    months = dict.fromkeys(layout.month_file(place, begin) for begin, _ in layout.days(since, until))
    found = [*months, *(layout.day_file(place, begin) for begin, _ in layout.days(since, until))]
    return [path for path in found if path.exists()]


def _load(path: Path) -> pa.Table:
    import pyarrow.parquet as pa_parquet

    try:
        with pa_parquet.ParquetFile(path) as file:
            return file.read()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def _spans(path: Path, schema: pa.Schema) -> list[Span]:
    said = schema.metadata or {}
    try:
        number = int(said[_LAYOUT])
        spans = [Span(int(since), int(until), str(proof)) for since, until, proof in json.loads(said[_SPANS])]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: not a file of a store: its metadata do not say what it covers") from None
    if number > layout.LAYOUT:
        raise ValueError(f"{path}: of layout {number}, and this version knows {layout.LAYOUT}: take a newer version")
    return spans
