"""Delimited text as people have it to Arrow tables: the head is looked at, then pyarrow parses all of it, once.

Read are commas, semicolons, tabs and bars between cells, quoted cells, a line ``sep=;``, lines of titles and comments
before the names, further lines of names below them (yfinance), decimal commas, UTF-8 and UTF-16.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable, Sequence
from typing import IO, NamedTuple, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from .columns import cell_kind
from .messages import describe_row, first_line

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
#: The names of the columns of rows that come without, told by the first rows; None if it does not know any.
NamesOf: TypeAlias = Callable[[list[list[str]]], list[str] | None]
_HEAD = 2**16  # bytes that are looked at
_BLOCK = 2**20  # bytes that are parsed at once; a text within one needs no threads, which may outlive the interpreter
_TITLES = 30  # lines in which the names of columns may be
_SEP = re.compile(r"sep=(.)", re.IGNORECASE)
_DATE = re.compile(r"\d{1,4}[-./]\d{1,2}[-./]\d{1,4}\b.*")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(:\d{2}(\.\d+)?)?")
_ROW = re.compile(r"Row #\d+: ")
_COMMA = re.compile(r"[+-]?\d+,\d+")


class Layout(NamedTuple):
    """How a text is laid out."""

    names: list[str]
    has_names: bool  # whether the text has them, or they were told by the shape of its rows
    start: int  # bytes before the first row
    delimiter: str
    rows: list[list[str]]  # the cells of the first ones


def cell_shape(cell: str) -> str:
    """What a cell looks like: n a number, b a truth value, d a date, t a time of day, ? anything else."""
    cell = cell.strip()
    kind = cell_kind(cell)
    if kind != "?":
        return kind
    if _COMMA.fullmatch(cell):
        return "n"
    return "d" if _DATE.fullmatch(cell) else "t" if _CLOCK.fullmatch(cell) else "?"


def layout_of(head: bytes, is_header: Callable[[Sequence[str]], bool], names_of: NamesOf) -> Layout:
    """Where names and rows of a text are.

    head        the first bytes of the text, UTF-8
    is_header   whether these are the names of the columns that are looked for
    names_of    what the columns of rows are called that come without names

    Raises UnicodeDecodeError for what is no text; names that are not those looked for are for the caller to refuse.
    """
    ends_whole = len(head) < _HEAD
    lines = head.removeprefix(codecs.BOM_UTF8).split(b"\n")
    if not ends_whole and len(lines) > 1:
        lines.pop()  # cut short
    skipped = len(head) - len(head.removeprefix(codecs.BOM_UTF8))
    texts = [line.decode().strip("\r") for line in lines]
    starts = [skipped]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    said = _SEP.fullmatch(texts[0].strip().strip('"'))
    delimiters = said[1] if said else "".join(DELIMITERS)
    there = [at for at, text in enumerate(texts) if text.strip() and not (said and at == 0)]
    for at in there[:_TITLES]:
        for delimiter in delimiters:
            names = _names(texts[at], delimiter)
            if is_header(names):
                return _below(texts, starts, at, delimiter, names)
    rows = [at for at in there if not texts[at].startswith(("#", "//"))] or [0]
    delimiter = max(delimiters, key=lambda one: _fitness(_cells(texts[rows[0]], one)))
    cells = [_cells(texts[at], delimiter) for at in rows]
    names_found = names_of(cells)
    if names_found is None:
        return _below(texts, starts, rows[0], delimiter, _names(texts[rows[0]], delimiter))
    return Layout(names_found, False, starts[rows[0]], delimiter, cells)


def _fitness(cells: list[str]) -> tuple[bool, int]:
    """How well a row is parted: into several cells that all look like something, then into as many as there are."""
    return len(cells) > 1 and "?" not in map(cell_shape, cells), len(cells)


def _below(texts: list[str], starts: list[int], at: int, delimiter: str, names: list[str]) -> Layout:
    """The layout of a text whose names are in line ``at``, and in lines below it that hold nothing else."""
    at += 1
    while at < len(texts) and texts[at].strip():
        cells = _cells(texts[at], delimiter)
        words = "".join(map(cell_shape, cells))
        if set(words) != {"?"} or len(cells) < 2 or not any(cells):
            break
        if not any(cells[1:]):
            names = [cells[0], *names[1:]]
        at += 1
    rows = [_cells(text, delimiter) for text in texts[at : at + _TITLES] if text.strip()]
    return Layout(names, True, starts[min(at, len(starts) - 1)], delimiter, rows)


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        cells = next(csv.reader([text], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:  # a carriage return within a line: no line of names
        cells = text.split(delimiter)
    return [cell.strip() for cell in cells] or [""]


def _names(text: str, delimiter: str) -> list[str]:
    """The names in a line; MetaTrader puts them between angle brackets, others a # before the first."""
    return [cell.strip().removeprefix("<").removesuffix(">") for cell in _cells(text.lstrip("#"), delimiter)]


def read_delimited(
    open_stream: Callable[[], IO[bytes]],
    is_header: Callable[[Sequence[str]], bool],
    names_of: NamesOf,
    plan: Callable[[Layout], dict[int, pa.DataType | None]],
) -> pa.Table:
    """Read a text once its head is known.

    open_stream   opens it anew at its first byte
    plan          the places of the columns to read, each with its type (None: as pyarrow finds it); raises for a layout
                  that will not do

    A column of numbers or times that holds anything else is read as text, for the reader of its rows to refuse by row.
    Raises UnicodeDecodeError, or ArrowException. Cost: one pass, and one more for each such column.
    """
    with _utf8(open_stream) as stream:
        layout = layout_of(stream.read(_HEAD), is_header, names_of)
    columns = plan(layout)
    if not layout.rows:
        return pa.table([pa.nulls(0)] * len(columns), names=[layout.names[at] for at in columns])
    comma = layout.delimiter != "," and any(_COMMA.fullmatch(cell) for row in layout.rows for cell in row)
    numbers: list[str] = []  # columns of them that hold other text too
    for _ in range(len(columns) + 1):
        try:
            table = _parse(open_stream, layout, columns, comma)
        except pa.ArrowInvalid as error:
            place = re.match(r"In CSV column #(\d+)", first_line(error))
            if place is None:
                raise
            kind = columns.get(at := int(place[1]))
            if kind is None or not (pa.types.is_primitive(kind) or pa.types.is_timestamp(kind)):
                name = layout.names[at]
                raise pa.ArrowInvalid(first_line(error).replace(place[0], f"column {name!r}")) from None
            numbers += [str(at)] if comma and pa.types.is_floating(kind) else []
            columns[at] = pa.string()
        else:
            for name in numbers:
                place = table.column_names.index(name)
                _check_points(table[name], layout.names[int(name)])
                table = table.set_column(place, name, pc.replace_substring(table[name], ",", "."))
            return table.unify_dictionaries().rename_columns([layout.names[at] for at in columns])
    raise AssertionError("every column has been read as text")


def _check_points(texts: pa.ChunkedArray, name: str) -> None:
    """Raise for a number with a point where others have a decimal comma: it may part thousands."""
    row = pc.index(pc.match_substring_regex(texts, r"^\s*[+-]?\d+\.\d+\s*$"), True).as_py()
    if row >= 0:
        allowed = "a number with a decimal comma, as other cells here have it"
        raise pa.ArrowInvalid(describe_row(row, None, f"column {name!r}", texts[row].as_py(), allowed))


def _parse(
    open_stream: Callable[[], IO[bytes]], layout: Layout, columns: dict[int, pa.DataType | None], comma: bool
) -> pa.Table:
    with _utf8(open_stream) as stream:
        stream.read(layout.start)
        text = stream.read(_BLOCK)
        is_small = not stream.read(1)
    read = pa_csv.ReadOptions(
        column_names=list(map(str, range(len(layout.names)))), block_size=_BLOCK, use_threads=not is_small
    )
    parse = pa_csv.ParseOptions(delimiter=layout.delimiter, invalid_row_handler=_is_comment)
    convert = pa_csv.ConvertOptions(
        include_columns=list(map(str, columns)),
        column_types={str(at): kind for at, kind in columns.items() if kind is not None},
        strings_can_be_null=True,
        decimal_point="," if comma else ".",
    )
    with pa.BufferReader(text) if is_small else _utf8(open_stream) as stream:
        stream.read(0 if is_small else layout.start)
        try:
            return pa_csv.read_csv(stream, read, parse, convert)
        except pa.ArrowInvalid as error:  # without threads it counts rows, comments among them
            raise pa.ArrowInvalid(_ROW.sub("", first_line(error), count=1)) from None


def _is_comment(row: pa_csv.InvalidRow) -> str:
    return "skip" if row.text.startswith(("#", "//")) else "error"


def _utf8(open_stream: Callable[[], IO[bytes]]) -> IO[bytes]:
    """A text from its first byte, as UTF-8."""
    with open_stream() as stream:
        mark = stream.read(2)
        if mark in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            text: IO[bytes] = pa.BufferReader((mark + stream.read()).decode("utf-16").encode())
            return text
    return open_stream()
