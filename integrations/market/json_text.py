"""JSON as tools keep it and venues send it to columns: rows, objects, messages, columns, a row a line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any, TypeAlias

from .bare_rows import ROWS_LOOKED_AT
from .candle_columns import candle_names, time_places
from .delimited import NamesOf
from .envelopes import wrapped_in
from .messages import first_line
from .streams import candles_in, told_by
from .times import ms_of

Columns: TypeAlias = dict[str, list[Any]]
_SEVERAL = "holds rows of several kinds, allowed lists of one length, or objects"


def columns_of_json(content: bytes, is_wanted: Callable[[Sequence[str]], bool], names_of: NamesOf) -> Columns:
    """The columns of what a text of JSON holds, be it in an envelope.

    is_wanted   whether these are names of columns that are looked for
    names_of    as for ``delimited.read_delimited``

    Raises ValueError for what is no JSON, holds no rows, several lists of them, or rows of several kinds.
    """
    data = whole = _parsed(content)
    if told_by(data) == "candles":
        data = [data]
    while isinstance(data, dict):
        columns = _columns_in(data, is_wanted)
        if columns is not None:
            return columns
        is_row = not any(isinstance(value, (dict, list)) for value in data.values())
        data = [data] if is_row and is_wanted(list(data)) else _inner(data)
    if not data or not isinstance(data, list):
        raise ValueError(f"holds no rows, found {whole!r:.80}")
    rows = candles_in(data)
    if isinstance(rows, dict):
        return _columns_in(rows, is_wanted) or _columns_of_objects([rows])
    if all(isinstance(row, dict) for row in rows):
        return _columns_of_objects(rows)
    if not isinstance(rows[0], list):
        raise ValueError(_SEVERAL)
    cells = [list(map(str, row)) for row in rows[:ROWS_LOOKED_AT] if isinstance(row, list)]
    names = names_of(cells)
    if names is None:
        raise ValueError(f"holds rows of {len(cells[0])} values ({', '.join(cells[0])}), whose names are unknown")
    return _columns_of_lists(names, rows)


def _parsed(content: bytes) -> Any:
    try:
        text = content.decode(json.detect_encoding(content)).removeprefix("\ufeff")
    except UnicodeDecodeError:
        raise ValueError("cannot be read: not text") from None
    try:
        return json.loads(text)
    except ValueError as error:
        whole = ValueError(f"cannot be read: {first_line(error)}")
    lines = {at: line for at, line in enumerate(text.splitlines(), 1) if line.strip()}
    rows = []
    for at, line in lines.items():
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if not rows or len(lines) == 1:
                raise whole from None
            raise ValueError(f"line {at}: cannot be read: {first_line(error)}") from None
    return rows


def _columns_in(data: dict[str, Any], is_wanted: Callable[[Sequence[str]], bool]) -> Columns | None:
    """The columns that an object holds, as pandas, TradingView's UDF and Deribit write them; None for another one."""
    if isinstance(data.get("columns"), list) and isinstance(data.get("data"), list):
        columns = _columns_of_lists(list(map(str, data["columns"])), data["data"])
        return _with_time(columns, data.get("index") or ())
    lists = {name: list(value.values()) if isinstance(value, dict) else value for name, value in data.items()}
    columns = {
        name: values
        for name, values in lists.items()
        if isinstance(values, list) and values and not isinstance(values[0], (list, dict))
    }
    if len(columns) > 1 and is_wanted(list(columns)):
        return _with_time(columns, _keys_of({name: data[name] for name in columns if isinstance(data[name], dict)}))
    rows = list(data.values())
    if all(isinstance(row, dict) for row in rows):
        columns = _columns_of_objects(rows)
        if is_wanted(list(columns)):
            return _with_time(columns, data)
    return None


def _keys_of(columns: dict[str, dict[str, Any]]) -> list[str]:
    """The keys that all of these columns have; ValueError where they do not have the same ones in one order."""
    keys = {name: list(column) for name, column in columns.items()}
    first = next(iter(keys), "")
    for name in keys:
        if keys[name] != keys[first]:
            found = " and ".join(f"{one!r} under {', '.join(keys[one])}"[:80] for one in (first, name))
            raise ValueError(f"holds {found}: allowed the same keys in one order for all columns")
    return keys.get(first, [])


def _with_time(columns: Columns, labels: Iterable[Any]) -> Columns:
    """Columns, and the labels of their rows as their time unless these are mere numbers of rows or there is a time."""
    labels = list(map(str, labels))
    if labels == list(map(str, range(len(labels)))):
        return columns
    if time_places(candle_names(list(columns)), False):
        _check_labels(labels)
        return columns
    return {"time": labels, **columns}


def _check_labels(labels: Sequence[str]) -> None:
    """Raise ValueError for labels of rows that are neither numbers nor times: they may be those of markets."""
    for label in labels:
        if not label.isdecimal():
            try:
                ms_of(label)
            except ValueError:
                raise ValueError(
                    f"holds rows under {label!r}, allowed numbers of rows or times: write a list for each market"
                ) from None


def _columns_of_objects(rows: Sequence[dict[str, Any]]) -> Columns:
    return {name: [row.get(name) for row in rows] for name in dict.fromkeys(chain.from_iterable(rows))}


def _columns_of_lists(names: Sequence[str], rows: Sequence[Any]) -> Columns:
    if not all(isinstance(row, list) and len(row) == len(names) for row in rows):
        raise ValueError(_SEVERAL)
    return dict(zip(names, map(list, zip(*rows, strict=True)), strict=True))


def _inner(data: dict[str, Any]) -> Any:
    """What an object is an envelope of."""
    inner = wrapped_in(data)[1]
    if inner:
        return inner
    lists = [
        name for name, value in data.items() if isinstance(value, list) and value and isinstance(value[0], (list, dict))
    ]
    if len(lists) > 1:
        raise ValueError(f"holds several lists ({', '.join(lists)}), allowed one: write one file for each")
    if lists:
        return data[lists[0]]
    objects = [name for name, value in data.items() if isinstance(value, dict) and value]
    if len(objects) > 1:
        raise ValueError(f"holds several objects ({', '.join(objects)}), allowed one: write one file for each")
    return data[objects[0]] if objects else None
