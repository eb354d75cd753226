"""Files and tables of candles with anything in them: read, or refused by ValueError or TypeError that is ours."""

from __future__ import annotations

import gzip
import io
import json
import math
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from liquidator_core.layout import BAR
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.market.bars import read_bars
from liquidator_integrations.market.candle_columns import candle_names
from liquidator_integrations.market.columns import (
    ColumnError,
    columns_of,
    id_column,
    number_column,
    side_column,
    time_column,
)
from liquidator_integrations.market.messages import TableError
from liquidator_integrations.market.times import ms_of

pytestmark = pytest.mark.slow
OFTEN = settings(max_examples=300, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

WORDS = ("", " ", "0", "1", "-1", "1.5", "1,5", "1e9", "nan", "inf", "true", "x", '"', '""', "'", "#", "//", "1_000")
TIMES = ("1700000000", "1700000000000", "20200102", "2020010209", "202001020935", "2020-01-02", "31.12.2020")
MORE = ("2020-01-02T09:35:00Z", "01/02/2020", "09:30", "2020.01.02", "\U0001f600", "\uff15", "\x00")
CELLS = st.one_of(
    st.sampled_from((*WORDS, *TIMES, *MORE)),
    st.text(max_size=4),
    st.integers(-(10**20), 10**20).map(str),
    st.floats().map(str),
)
FIELDS = ("time", "date", "timestamp", "start", "unix", "id", "open", "high", "low", "close", "volume", "vol", "amount")
OTHERS = ("o", "h", "l", "c", "v", "t", "q", "x", "quote_volume", "turnover", "volume_btc", "volume_usdt", "confirm")
REST = ("closed", "tickvol", "symbol", "side", "price", "size", "<DATE>", "<TIME>", "is_buyer_maker", "oi")
NAMES = st.one_of(st.sampled_from((*FIELDS, *OTHERS, *REST)), st.text(max_size=4))
CANDLES = ["time,open,high,low,close,volume", *(f"{1_700_000_000_000 + 60_000 * row},2,3,1,2,5" for row in range(6))]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Candles of which some cells, names, delimiters and lines were changed."""
    rows = [line.split(",") for line in CANDLES]
    for _ in range(draw(st.integers(0, 4))):
        row = draw(st.integers(0, len(rows) - 1))
        cell = draw(st.integers(0, len(rows[row]) - 1))
        rows[row][cell] = draw(NAMES if row == 0 else CELLS)
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(rows)))
        rows.insert(at, draw(st.lists(st.one_of(CELLS, NAMES), max_size=8)))
    delimiter = draw(st.sampled_from([",", ";", "\t", "|", "", " "]))
    return draw(st.sampled_from(["", "sep=;\n", "\ufeff", "# x\n"])) + "\n".join(map(delimiter.join, rows))


def is_ours(error: Exception) -> bool:
    """Whether an error is one that a caller may expect: ValueError or TypeError themselves, with a text."""
    return type(error) in (ValueError, TypeError, TableError, ColumnError) and str(error) != ""


def check_bars(make: Callable[[], np.ndarray]) -> None:
    try:
        bars = make()
    except Exception as error:
        if not is_ours(error):
            raise
        return
    assert bars.dtype == BAR
    assert (np.diff(bars["time"]) > 0).all()
    known = ~np.isnan(bars["close"])
    assert (bars["low"][known] <= bars["close"][known]).all()
    assert (bars["close"][known] <= bars["high"][known]).all()


@OFTEN
@given(text=texts(), suffix=st.sampled_from([".csv", ".csv.gz", ".zip", ".tsv", ".json"]), cut=st.integers(0, 400))
def test_texts(tmp_path_factory, text, suffix, cut):
    content = text.encode("utf-8", "surrogatepass")
    content = content if cut < 200 else content[: cut - 200]
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    if suffix == ".zip":
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("a.csv", content)
        content = buffer.getvalue()
    path.write_bytes(gzip.compress(content) if suffix.endswith(".gz") else content)
    check_bars(lambda: read_bars(path))


@OFTEN
@given(
    content=st.binary(max_size=300),
    start=st.sampled_from([b"", b"PAR1", b"ARROW1\0\0", b"PK\x03\x04", b"\x1f\x8b", b"\xff\xfe"]),
)
@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".feather", ".json", ".json.gz", ".zip"])
def test_bytes(tmp_path_factory, content, start, suffix):
    path: Path = tmp_path_factory.getbasetemp() / f"bytes{suffix}"
    path.write_bytes(start + content)
    check_bars(lambda: read_bars(path))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-(10**20), 10**20), st.floats(), CELLS),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(NAMES, inner, max_size=7),
    max_leaves=30,
)


@OFTEN
@given(value=st.one_of(JSON, st.lists(st.lists(st.one_of(CELLS, st.floats()), min_size=6, max_size=6), max_size=4)))
def test_json(tmp_path_factory, value):
    path = tmp_path_factory.getbasetemp() / "fuzz.json"
    path.write_text(json.dumps(value))
    check_bars(lambda: read_bars(path))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    CELLS,
    st.binary(max_size=3),
    st.sampled_from(
        [pd.NaT, pd.NA, np.datetime64("NaT", "ns"), np.datetime64(5, "D"), np.int8(3), np.float16(2), np.True_]
    ),
    st.sampled_from([Decimal("sNaN"), Decimal("1.5"), date(2020, 1, 2), time(9, 30), timedelta(1), "\ud800", 1j]),
    st.sampled_from(
        [datetime(2020, 1, 2), datetime(2020, 1, 2, tzinfo=UTC), pd.Timestamp(5), [1], {"a": 1}, np.zeros(())]
    ),
    st.sampled_from([1_700_000_000_000, 1_700_000_060_000, "2020-01-02", 10**400, math.nan]),
)


@OFTEN
@given(values=st.dictionaries(NAMES, st.lists(VALUES, min_size=1, max_size=3), max_size=8), data=st.data())
def test_columns(values, data):
    columns = {"time": [1_700_000_000_000, 1_700_000_060_000], "open": [2.0, 2], "high": [3.0, 3], "low": [1.0, 1]}
    columns |= {"close": [2.0, 2.0], "volume": [5.0, 5.0]}
    for name in data.draw(st.lists(st.sampled_from([*columns]), max_size=2)):
        columns[name] = data.draw(st.lists(VALUES, min_size=2, max_size=2))
    columns |= values
    for on_bad in ("raise", "skip"):
        check_bars(lambda on_bad=on_bad: bars_from_frame(columns, on_bad))
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=False)]
        check_bars(lambda rows=rows, on_bad=on_bad: bars_from_frame(rows, on_bad))


@OFTEN
@given(value=VALUES)
def test_single_times(value: Any):
    try:
        time = ms_of(value)
    except Exception as error:
        if not (is_ours(error) and str(error).startswith("time: ")):
            raise
    else:
        assert 10**11 <= time < 2 * 10**13


@OFTEN
@given(values=st.lists(VALUES, max_size=4), names=st.lists(NAMES, max_size=6))
def test_arrow_columns(values, names):
    candle_names(names)
    try:
        column = columns_of({"x": values})[1]("x")
    except Exception as error:
        if not is_ours(error):
            raise
        return
    for read in (
        lambda: time_column(column),
        lambda: number_column(column, "price"),
        lambda: side_column(column, "side"),
        lambda: id_column(column),
    ):
        try:
            read()
        except Exception as error:
            if not is_ours(error):
                raise
