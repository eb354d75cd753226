"""Tables added to and read from a store: whole files, replaced atomically under a lock, so that two may write.

A process that is killed leaves a file as it was before or as it is after; rows are told apart by their key, so that
what is written twice is there once.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from liquidator_core._atomic import replacing

from . import kinds, layout
from .layout import Span

WRITTEN = "written"
_SPANS = b"liquidator.spans"
_LAYOUT = b"liquidator.layout"
_LOCK_SECONDS = 120
_ATTEMPTS = 5
_WIDEST = 64  # bytes of an id that are kept as such
_PART = 1 << 24  # ids that are made text at once: Arrow counts their bytes in 31 bits
_FEW = 16_384  # rows that are read without threads, which may outlive the interpreter
_GROUP = 131_072  # rows; of a month only those groups are read that a span touches


def read(
    place: Path, since: int, until: int, key: Sequence[str] = (), columns: Sequence[str] | None = None
) -> tuple[list[Span], pa.Table | None]:
    """What a folder of one kind holds of a span of time: (the spans covered, its rows in order of time or None).

    place    from ``layout.folder``; it need not exist
    key      the columns that tell rows apart: each comes once. Without them a row may come twice, where a compaction
             was cut short or rows were added to a month
    columns  those that are wanted, ``time`` among them; None: all, and ``written``

    Raises ValueError for a file that cannot be read.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _read(place, since, until, key, columns)
        except FileNotFoundError:  # compacted since it was listed
            if attempt == _ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def rows(place: Path, kind: str, since: int, until: int) -> pa.Table:
    """The rows of a folder of a kind in order, each once, as it is handed out. Errors as for ``read``."""
    _, table = read(place, since, until, kinds.key_of(kind))
    return kinds.finished(kinds.empty(kind.partition("-")[0]) if table is None else table)


def _read(
    place: Path, since: int, until: int, key: Sequence[str], columns: Sequence[str] | None
) -> tuple[list[Span], pa.Table | None]:
    spans: list[Span] = []
    tables = []
    for path in files(place, since, until):
        table = _load(path, columns, since, until)
        spans += _spans(path, table.schema)
        first, last = np.searchsorted(table["time"].to_numpy(), [since, until])
        tables.append(table.slice(first, last - first).replace_schema_metadata(None))
    covered = layout.merged(layout.within(spans, since, until))
    if not tables:
        return covered, None
    filled = sorted((table for table in tables if len(table)), key=_first)
    overlap = any(_last(one) >= _first(two) for one, two in itertools.pairwise(filled))
    if key and overlap:
        return covered, joined(filled, key)
    return covered, pa.concat_tables(filled or tables[:1], promote_options="default")  # each file is in order itself


def _first(table: pa.Table) -> int:
    return int(table["time"][0].as_py())


def _last(table: pa.Table) -> int:
    return int(table["time"][-1].as_py())


def add(place: Path, table: pa.Table, spans: Sequence[Span], key: Sequence[str], written: int | None = None) -> int:
    """Keep rows and the spans that they cover: how many rows are new.

    table    rows with ``time`` in ms; those outside of the spans are not kept
    key      the columns that tell rows apart; of rows with one key the one that is there, or came first, stays
    written  the time of writing in ms; None: now

    Raises OSError for a folder that cannot be written to; every file is then as it was, or whole. Cost: that of
    reading and writing the days that the spans touch.
    """
    written = time.time_ns() // 1_000_000 if written is None else written
    place.mkdir(parents=True, exist_ok=True)
    with _alone(place):
        begins = _days(spans)
        parts = [layout.within(list(spans), begin, begin + layout.DAY_MS) for begin in begins]
        return sum(_add_day(place, day, table, part, key, written) for day, part in zip(begins, parts, strict=True))


def _days(spans: Sequence[Span]) -> list[int]:
    """When the days begin that spans touch, in order."""
    found = {since // layout.DAY_MS for span in spans for since, _ in layout.days(span.since, span.until)}
    return [day * layout.DAY_MS for day in sorted(found)]


@contextlib.contextmanager
def _alone(place: Path) -> Iterator[None]:
    """Within the block nobody else writes to a folder; what a process that was killed left there is gone."""
    import filelock

    with filelock.FileLock(place / ".lock", timeout=_LOCK_SECONDS):
        for stale in place.glob("*.part"):
            stale.unlink(missing_ok=True)
        yield


def compact(place: Path, key: Sequence[str]) -> list[Path]:
    """Turn the days of a folder that are covered whole into months: the files that were written.

    Rows, spans and times of writing stay as they are, and a second time changes nothing. A process that is killed
    leaves days beside a month that holds them already; the next compaction takes them away. Raises as ``add``, and
    ValueError for files that ``problems`` finds something in. Cost: a pass; a day's rows are in memory.
    """
    made = []
    with _alone(place):
        by_month: dict[str, list[Path]] = {}
        for path in _named(place, 10):
            if _is_whole(path):
                by_month.setdefault(path.stem[:7], []).append(path)
        for month, days in by_month.items():
            target = place / f"{month}.parquet"
            _write_month(target, [target, *days] if target.exists() else days, key)
            made.append(target)
            for path in days:
                path.unlink()
    return made


def _write_month(target: Path, parts: Sequence[Path], key: Sequence[str]) -> None:
    """Put the rows of a month and of its days into one file, a day at a time."""
    schemas, spans, rows = [], [], 0
    for path in parts:
        with _opened(path) as file:
            schemas.append(file.schema_arrow)
            rows += file.metadata.num_rows
        spans += _spans(path, schemas[-1])
    plain = pa.unify_schemas([_texts(one.empty_table()).schema.remove_metadata() for one in schemas])
    kinds_of_ids = {one.field("id").type for one in schemas if "id" in one.names}
    schema = _with_id_type(plain, kinds_of_ids.pop()) if len(kinds_of_ids) == 1 else plain
    waiting = plain.empty_table()
    with replacing(target) as file, _writer(file, schema.with_metadata(_said(spans))) as writer:
        for begin in _days(spans):
            mine = [path for path in parts if path.stem in (target.stem, layout.day_name(begin))]
            tables = [_between(_load(path, None, begin, begin + layout.DAY_MS), begin) for path in mine]
            rows -= sum(map(len, tables))
            waiting = pa.concat_tables([waiting, joined([plain.empty_table(), *tables], key)])
            while len(waiting) >= _GROUP:
                writer.write_table(_as(schema, waiting.slice(0, _GROUP)))
                waiting = waiting.slice(_GROUP)
        if len(waiting):
            writer.write_table(_as(schema, waiting))
        if rows:
            raise ValueError(f"{target}: {rows:,} rows lie outside of the days that their files are named for")


def _between(table: pa.Table, begin: int) -> pa.Table:
    """The rows of a day, of rows in order."""
    first, last = np.searchsorted(table["time"].to_numpy(), [begin, begin + layout.DAY_MS])
    return table.slice(first, last - first).replace_schema_metadata(None)


def _as(schema: pa.Schema, rows: pa.Table) -> pa.Table:
    """Rows as they are written, told by the rows alone: a dictionary begins with what comes first."""
    columns = [
        rows[field.name].cast(pa.string()).combine_chunks().dictionary_encode()
        if pa.types.is_dictionary(field.type)
        else rows[field.name].cast(field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _is_whole(path: Path) -> bool:
    begin = layout.begin_of(path.stem)
    return not layout.without([(begin, begin + layout.DAY_MS)], spans_in(path))


def _add_day(place: Path, begin: int, table: pa.Table, spans: list[Span], key: Sequence[str], written: int) -> int:
    rows = _inside(table, spans)
    rows = rows.append_column(WRITTEN, pa.array(np.full(len(rows), written, np.int64)))
    path = layout.day_file(place, begin)
    tables, known = [rows.replace_schema_metadata(None)], 0
    if path.exists():
        there = _load(path)
        known = len(there)
        spans = _spans(path, there.schema) + spans
        tables.insert(0, there.replace_schema_metadata(None))
    rows = joined(tables, key)
    _write_rows(path, rows, spans)
    return len(rows) - known


def _write_rows(path: Path, rows: pa.Table, spans: list[Span]) -> None:
    write(path, rows.unify_dictionaries().replace_schema_metadata(_said(spans)))


def _said(spans: list[Span]) -> dict[bytes, bytes]:
    """The metadata of a file that covers spans."""
    told = json.dumps([list(span) for span in layout.merged(spans)])
    return {_LAYOUT: str(layout.LAYOUT).encode(), _SPANS: told.encode()}


def write(path: Path, table: pa.Table) -> None:
    """A parquet file, whole or not at all."""
    table = _fixed(table)
    with replacing(path) as file, _writer(file, table.schema) as writer:
        writer.write_table(table, _GROUP)


def _writer(file: IO[bytes], schema: pa.Schema) -> pa.parquet.ParquetWriter:
    import pyarrow.parquet as pa_parquet

    rising = [name for name in ("time", WRITTEN, "received") if name in schema.names]
    others = [name for name in schema.names if name not in (*rising, "id")]  # a dictionary of ids is as long
    how: dict[str, Any] = {"compression": "zstd", "use_dictionary": others}
    how["column_encoding"] = dict.fromkeys(rising, "DELTA_BINARY_PACKED")
    return pa_parquet.ParquetWriter(file, schema, **how)


def _fixed(table: pa.Table) -> pa.Table:
    """A table whose ids are bytes where all are as long as each other: text is read a third as fast."""
    if "id" not in table.column_names or not pa.types.is_string(table["id"].type):
        return table
    said = pc.min_max(pc.binary_length(table["id"])).as_py()
    width = said["min"]
    if not width or width != said["max"] or width > _WIDEST or table["id"].null_count:
        return table
    return _with_ids(table, table["id"].cast(pa.binary(width)))


def _with_ids(table: pa.Table, ids: pa.ChunkedArray) -> pa.Table:
    return table.set_column(table.column_names.index("id"), pa.field("id", ids.type), ids)


def _with_id_type(schema: pa.Schema, kind: pa.DataType) -> pa.Schema:
    return schema.set(schema.get_field_index("id"), pa.field("id", kind))


def _is_fixed(schema: pa.Schema) -> bool:
    return "id" in schema.names and pa.types.is_fixed_size_binary(schema.field("id").type)


def _texts(table: pa.Table) -> pa.Table:
    """A table as it was before ``_fixed``."""
    if not _is_fixed(table.schema):
        return table
    parts = [_text(chunk.slice(at, _PART)) for chunk in table["id"].chunks for at in range(0, len(chunk), _PART)]
    return _with_ids(table, pa.chunked_array(parts, pa.string()))


def _text(ids: pa.FixedSizeBinaryArray) -> pa.StringArray:
    """Text whose bytes are those of ids, without a copy."""
    width = ids.type.byte_width
    ends = np.arange(len(ids) + 1, dtype=np.int32) * width
    return pa.StringArray.from_buffers(
        len(ids), pa.py_buffer(ends), ids.buffers()[1].slice(ids.offset * width, len(ids) * width)
    )


def joined(tables: Sequence[pa.Table], key: Sequence[str]) -> pa.Table:
    """Tables as one, in order of time, each key once: of equals the first."""
    if kinds.NTH not in key:
        return in_order(pa.concat_tables(tables, promote_options="default"), key)
    numbered = [table.append_column(kinds.NTH, pa.array(_numbers(table, key))) for table in tables]
    return in_order(pa.concat_tables(numbered, promote_options="default"), key).drop_columns([kinds.NTH])


def in_order(table: pa.Table, key: Sequence[str]) -> pa.Table:
    """Rows in order of time, each key once: of equals the first. Ids that are numbers order trades of one time."""
    if len(table) == 0:
        return table
    columns = {name: _codes(table[name]) for name in key if name in table.column_names}
    if _rise([column for column, _ in columns.values()]):
        return table
    order = np.lexsort([columns[name][0] for name in ("id", "time") if name in columns and columns[name][1]])
    if key[-1] != kinds.NTH or kinds.NTH in table.column_names:
        sorted_, again = _sorted([column for column, _ in columns.values()])
        repeated = np.zeros(len(order), bool)
        repeated[sorted_] = again
        order = order[~repeated[order]]
    if len(order) == len(table) and bool((np.diff(order) == 1).all()):
        return table
    return table.take(pa.array(order))


def _sorted(columns: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """(an order in which rows that are alike lie together, which of these are like the one before)."""
    order = np.lexsort(columns[::-1])
    again = np.zeros(len(order), bool)
    again[1:] = np.logical_and.reduce([column[order[1:]] == column[order[:-1]] for column in columns])
    return order, again


def _numbers(table: pa.Table, key: Sequence[str]) -> np.ndarray:
    """The ``kinds.NTH`` of each row of a table, from 0 on."""
    order, again = _sorted([_codes(table[name])[0] for name in key if name != kinds.NTH])
    places = np.arange(len(order))
    numbers = np.empty(len(order), np.int64)
    numbers[order] = places - np.maximum.accumulate(np.where(again, 0, places))
    return numbers


def _codes(column: pa.ChunkedArray) -> tuple[np.ndarray, bool]:
    """(whole numbers that tell a column's values apart, whether they are these values)."""
    try:
        return column.cast(pa.int64()).to_numpy(), True
    except pa.ArrowInvalid:
        return column.combine_chunks().dictionary_encode().indices.to_numpy(), False


def _rise(columns: list[np.ndarray]) -> bool:
    """Whether rows are in order and none comes twice, told by the first column, and by the second where that stays."""
    steps = np.diff(columns[0])
    if (steps > 0).all():
        return True
    if len(columns) != 2 or (steps < 0).any():
        return False
    return bool((np.diff(columns[1])[steps == 0] > 0).all())


def problems(path: Path, kind: str) -> list[str]:
    """What is wrong with a file of a kind, read whole: its metadata, order, repeats, times and values."""
    try:
        with _opened(path) as file:
            table = _texts(file.read())
        spans = _spans(path, table.schema)
        missing = [name for name in kinds.COLUMNS[kind.partition("-")[0]] if name not in table.column_names]
        if missing:
            return [f"has no column {missing[0]}"]
        numbers = {one.name: table[one.name].to_numpy() for one in table.schema if pa.types.is_primitive(one.type)}
        kinds.checked(kind.partition("-")[0], {name: table[name] for name in table.column_names} | numbers)
    except (ValueError, OSError) as error:
        return [str(error).removeprefix(f"{path}: ")]
    found = []
    begin, end = layout.begin_of(path.stem), layout.end_of(path.stem)
    if layout.without([(span.since, span.until) for span in spans], [Span(begin, end, "none")]):
        found.append("says that it covers more than its name")
    if len(_inside(table, spans)) < len(table):
        found.append("has rows outside of what it covers")
    if in_order(table, kinds.key_of(kind)) is not table:
        found.append("has rows that repeat, or out of order")
    return found


def _inside(table: pa.Table, spans: Sequence[Span]) -> pa.Table:
    when = table["time"].to_numpy()
    keep = np.zeros(len(when), bool)
    for span in spans:
        keep |= (when >= span.since) & (when < span.until)
    return table.filter(pa.array(keep))


def files(place: Path, since: int | None = None, until: int | None = None) -> list[Path]:
    """The files that may hold something of a span of time: months, then days. None: since, or until, ever."""
    days = _named(place, 10)
    months = _named(place, 7)  # after the days: what a compaction takes from these it has written before
    first = layout.day_name(since) if since is not None else ""
    last = layout.day_name(until - 1) if until is not None else "~"
    return [path for path in (*months, *days) if first[: len(path.stem)] <= path.stem <= last[: len(path.stem)]]


def _named(place: Path, length: int) -> list[Path]:
    """The files named for a day or a month, which their names tell by length, in order."""
    return sorted(path for path in place.glob("*.parquet") if len(path.stem) == length)


def _load(path: Path, columns: Sequence[str] | None = None, since: int = 0, until: int = 2**62) -> pa.Table:
    """The rows of a file, all of those of a span among them."""
    with _opened(path) as file:
        groups = _groups(file, since, until)
        rows = sum(file.metadata.row_group(group).num_rows for group in groups)
        same = _same(file, groups)
        wanted = [name for name in file.schema_arrow.names if columns is None or name in columns]
        read = [name for name in wanted if name not in same]
        table = file.read_row_groups(groups, read, use_threads=rows > _FEW)
        schema = file.schema_arrow
    arrays = [_repeated(same[name], schema.field(name), rows) if name in same else table[name] for name in wanted]
    return _texts(pa.table(arrays, pa.schema([schema.field(name) for name in wanted], schema.metadata)))


def _same(file: pa.parquet.ParquetFile, groups: Sequence[int]) -> dict[str, Any]:
    """The columns that hold one value throughout, by what the file says of them: these need no reading."""
    schema = file.schema_arrow
    found = {}
    for place, field in enumerate(schema):
        if not (pa.types.is_dictionary(field.type) or pa.types.is_integer(field.type)):
            continue
        said = [file.metadata.row_group(group).column(place).statistics for group in groups]
        if all(one is not None and one.has_min_max and one.null_count == 0 for one in said):
            values = {value for one in said for value in (one.min, one.max)}
            if len(values) == 1:
                found[field.name] = values.pop()
    return found


def _repeated(value: Any, field: pa.Field, rows: int) -> pa.Array:
    if pa.types.is_dictionary(field.type):
        return pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), pa.array([value], field.type.value_type))
    return pa.array(np.full(rows, value, np.int64), field.type)


def _groups(file: pa.parquet.ParquetFile, since: int, until: int) -> list[int]:
    """The row groups that may hold rows of a span, by what the file says of their times."""
    place = file.schema_arrow.get_field_index("time")
    found = []
    for group in range(file.metadata.num_row_groups):
        said = file.metadata.row_group(group).column(place).statistics
        if said is None or not said.has_min_max or (said.max >= since and said.min < until):
            found.append(group)
    return found


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pa.parquet.ParquetFile]:
    import pyarrow.parquet as pa_parquet

    try:
        with pa_parquet.ParquetFile(path) as file:
            yield file
    except FileNotFoundError:
        raise
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path}: cannot be read: {str(error).splitlines()[0]}") from None


def spans_in(path: Path) -> list[Span]:
    """The spans that a file says it covers. Raises ValueError for one that cannot be read."""
    with _opened(path) as file:
        return _spans(path, file.schema_arrow)


def has_fixed_ids(path: Path) -> bool:
    """Whether ids lie in a file as bytes of one length. Raises ValueError for one that cannot be read."""
    with _opened(path) as file:
        return _is_fixed(file.schema_arrow)


def count(path: Path) -> int:
    """How many rows a file has. Raises ValueError for one that cannot be read."""
    with _opened(path) as file:
        return int(file.metadata.num_rows)


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
