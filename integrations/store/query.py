"""SQL over what a store holds, by DuckDB."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa

from . import layout, parquet
from .kinds import NTH, key_of


def ask(sql: str, places: Iterable[tuple[str, Path]]) -> pa.Table:
    """What a query gives; each kind of ``places``, (kind, its folder), is a view.

    Raises ValueError for a query that DuckDB refuses.
    """
    try:
        import duckdb
    except ImportError:
        raise ImportError('duckdb is missing: pip install "liquidator-core[store]"') from None
    parts: dict[str, list[str]] = {}
    for kind, place in places:
        parts.setdefault(kind.replace("-", "_"), []).extend(_selects(kind, place))
    with duckdb.connect() as connection:
        try:
            for name, selects in parts.items():
                connection.execute(f'CREATE VIEW "{name}" AS {" UNION ALL BY NAME ".join(selects)}')
            return connection.sql(sql).to_arrow_table()
        except duckdb.Error as error:
            raise ValueError(f"query: {str(error).splitlines()[0]}") from None


def _selects(kind: str, place: Path) -> list[str]:
    """The queries that together give a folder's rows, each once: days beside a month may repeat some of it."""
    months, days = [], {}
    for path in parquet.files(place):
        if len(path.stem) == len("2026-11"):
            months.append(path)
        else:
            days[path] = next((month for month in months if month.stem == path.stem[:7]), None)
    plain = [*months, *(path for path, month in days.items() if month is None)]
    selects = [f"SELECT * FROM {_table(plain)}"] if plain else []
    key = key_of(kind)
    numbered, columns = "*", "*"
    if NTH in key:
        alike = ", ".join(name for name in key if name != NTH)
        numbered, columns = f"*, row_number() OVER (PARTITION BY {alike}) AS {NTH}", f"* EXCLUDE ({NTH})"
    for path, month in days.items():
        if month is not None:
            begin, end = layout.begin_of(path.stem), layout.end_of(path.stem)
            held = f"(SELECT {numbered} FROM {_table([month])} WHERE time >= {begin} AND time < {end})"
            mine = f"(SELECT {numbered} FROM {_table([path])})"
            selects.append(f"SELECT {columns} FROM {mine} ANTI JOIN {held} USING ({', '.join(key)})")
    return selects


def _table(paths: list[Path]) -> str:
    """What gives the rows of files; ids that lie there as bytes are text."""
    parts = []
    fixed = {path for path in paths if parquet.has_fixed_ids(path)}
    for some, replaced in ((fixed, " REPLACE (decode(id) AS id)"), ({*paths} - fixed, "")):
        names = ", ".join("'" + str(path).replace("'", "''") + "'" for path in sorted(some))
        if some:
            parts.append(f"SELECT *{replaced} FROM read_parquet([{names}], union_by_name = true)")
    return f"({' UNION ALL BY NAME '.join(parts)})"
