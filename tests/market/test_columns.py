"""Columns of the types that people's tools make: numbers, sides and ids are read, or refused by name."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import polars
import pyarrow as pa
import pytest

from liquidator_core import TRADE
from liquidator_integrations import Liquidator
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.market.columns import id_column, number_column, side_column
from liquidator_integrations.market.trades import trades_from_table

START = 1_700_000_000_000
INDICES = [getattr(pa, f"{sign}int{bits}")() for sign in ("", "u") for bits in (8, 16, 32, 64)]


def coded(values: list[Any], index: pa.DataType, kind: pa.DataType | None = None) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(range(len(values)), index), pa.array(values, kind))


NUMBERS = [
    *(pa.array([2, 3], kind) for kind in (pa.int8(), pa.uint8(), pa.int16(), pa.uint32(), pa.int64(), pa.uint64())),
    *(pa.array([2, 3], kind) for kind in (pa.float32(), pa.float64(), pa.decimal128(9, 2), pa.decimal256(40, 2))),
    pa.array(np.array([2, 3], np.float16)),
    *(pa.array(["2", "3"], kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    pa.array([" 2 ", "3\t"]),
    pa.array(["2.", "+3"]),
    *(coded([2.0, 3.0], index) for index in INDICES),
    *(coded(["2", "3"], index, kind) for index in INDICES for kind in (pa.string(), pa.large_string())),
    pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array([2.0, 3.0])),
    pa.chunked_array([[2.0], [3.0]]),
    pa.chunked_array([coded([2.0], pa.uint32()), coded([3.0], pa.uint32())]),
]


@pytest.mark.parametrize("column", NUMBERS, ids=lambda column: str(column.type))
def test_numbers(column):
    assert number_column(column, "price").tolist() == [2.0, 3.0]
    whole = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    assert trades_from_table(pa.table({**TABLE, "price": whole}))["price"].tolist() == [2.0, 3.0]
    assert bars_from_frame(pa.table({**CANDLES, "volume": column}))["volume"].tolist() == [2.0, 3.0]


def test_whole_numbers_beyond_what_a_float_holds_are_rounded():
    assert number_column(pa.array([2**53 + 1, 2**63 - 1]), "size").tolist() == [2.0**53, 2.0**63]
    assert number_column(pa.array([2**64 - 1], pa.uint64()), "size").tolist() == [2.0**64]


def test_missing_numbers_are_unknown():
    for kind in (pa.float64(), pa.int64(), pa.string(), pa.decimal128(9, 2), pa.null()):
        assert np.isnan(number_column(pa.array([None, None], kind), "volume")).all()


@pytest.mark.parametrize(
    ("column", "says"),
    [
        (pa.array(["2", "1_000"]), "row 1, price: found '1_000', allowed a number"),
        (pa.array(["2", "\uff15"]), "row 1, price: found '\uff15', allowed a number"),
        (pa.array(["", "2", ""]), "row 0, price: found '', allowed a number (1 more row is bad)"),
        (pa.array(["1,5"]), "row 0, price: found '1,5', allowed a number"),
        (pa.array(["x"], pa.string_view()), "row 0, price: found 'x', allowed a number"),
        (coded(["2", "x"], pa.uint8()), "row 1, price: found 'x', allowed a number"),
        (pa.array([True]), "price must be numbers, got a column of bool"),
        (pa.array([5], pa.duration("ms")), "price must be numbers, got a column of duration[ms]"),
        (pa.array([5], pa.timestamp("ms")), "price must be numbers, got a column of timestamp[ms]"),
        (pa.array([b"2"]), "price must be numbers, got a column of binary"),
        (pa.array([[2.0]]), "price must be numbers, got a column of list<"),
        (pa.array([{"a": 2.0}]), "price must be numbers, got a column of struct<"),
    ],
)
def test_what_is_no_number_is_named(column, says):
    with pytest.raises(TypeError) as caught:
        number_column(column, "price")
    assert says in str(caught.value)


TABLE = {"time": [START, START + 1], "price": [1.0, 1.0], "size": [1.0, 1.0], "side": ["buy", "sell"]}
CANDLES = {"time": [START, START + 1], **{name: [1.0, 1.0] for name in ("open", "high", "low", "close", "volume")}}
SIDES = [
    *(pa.array(["buy", "sell"], kind) for kind in (pa.string(), pa.large_string(), pa.string_view())),
    *(coded(["buy", "sell"], index) for index in INDICES),
    *(coded(["buy", "sell"], pa.uint32(), kind) for kind in (pa.large_string(), pa.string_view())),
    pa.RunEndEncodedArray.from_arrays(pa.array([1, 2], pa.int32()), pa.array(["buy", "sell"])),
    pa.chunked_array([coded(["buy"], pa.uint8()), coded(["sell"], pa.uint8())]),
    pa.array([1, -1], pa.int8()),
    pa.array([1.0, -1.0]),
]


@pytest.mark.parametrize("side", SIDES, ids=lambda side: str(side.type))
def test_sides(side):
    assert side_column(side, "side").tolist() == [1, -1]
    table = pa.table({**TABLE, "side": side})
    assert trades_from_table(table)["side"].tolist() == [1, -1]
    Liquidator("BTC").ingest_trades(table)


def test_a_side_that_is_missing_is_named():
    side = pa.DictionaryArray.from_arrays(pa.array([0, None], pa.uint32()), pa.array(["buy", "sell"]))
    with pytest.raises(ValueError, match=r"row 1, side .*: found None, allowed A, B"):
        side_column(side, "side")


@pytest.mark.parametrize("index", INDICES, ids=str)
def test_ids(index):
    assert id_column(coded(["7", "9"], index))[0].tolist() == [7, 9]
    assert id_column(coded([7, 9], index))[0].tolist() == [7, 9]


def frames_of_tools() -> dict[str, Any]:
    """The same two trades as frames of pandas, polars and duckdb with categories in them."""
    tools: dict[str, Any] = {
        "pandas": pd.DataFrame(TABLE).astype({"side": "category"}),
        "pandas of arrow": pd.DataFrame(TABLE).convert_dtypes(dtype_backend="pyarrow"),
        "pandas of decimals": pd.DataFrame({**TABLE, "price": [Decimal(1), Decimal("1.0")]}),
    }
    tools["polars"] = polars.DataFrame(TABLE).with_columns(polars.col("side").cast(polars.Categorical))
    tools["polars Enum"] = polars.DataFrame(TABLE).with_columns(polars.col("side").cast(polars.Enum(["buy", "sell"])))
    tools["polars Datetime"] = polars.DataFrame(TABLE).with_columns(polars.from_epoch("time", time_unit="ms"))
    tools["polars Decimal"] = polars.DataFrame(TABLE).with_columns(polars.col("price").cast(polars.Decimal(12, 2)))
    rows = ", ".join(map(str, zip(*TABLE.values(), strict=True)))
    with duckdb.connect() as connection:
        connection.execute("create type way as enum ('buy', 'sell')")
        columns = "time, price::decimal(9, 2) price, size::real size, side::way side"
        query = f"select {columns} from (values {rows}) as trades(time, price, size, side)"
        tools["duckdb"] = connection.sql(query).to_arrow_table()
    return tools


def test_frames_of_other_tools():
    expected = np.array([(START, 1.0, 1.0, 1), (START + 1, 1.0, 1.0, -1)], TRADE)
    for name, frame in frames_of_tools().items():
        assert trades_from_table(frame).tobytes() == expected.tobytes(), name
        Liquidator("BTC").ingest_trades(frame)


@pytest.mark.parametrize("name", ["open", "close", "volume", "time"])
@pytest.mark.parametrize("value", [1.0, [1.0], [1.0, 1.0, 1.0], "1", np.float64(1.0), pd.Series([1.0])])
def test_columns_of_candles_have_one_length(name, value):
    with pytest.raises(ValueError, match=r"columns must be of one length, found|allowed as many values as the other"):
        bars_from_frame({**CANDLES, name: value})


def test_series_go_by_place():
    shifted = {name: pd.Series(values, index=[5, 6]) for name, values in CANDLES.items() if name != "volume"}
    bars = bars_from_frame({**shifted, "volume": pd.Series([3.0, 4.0])})
    assert bars["volume"].tolist() == [3.0, 4.0]


def test_a_market_that_is_no_unicode_is_told_of():
    row = {"time": 1_700_000_040_000, "open": 1.0, "high": 1.0, "low": 1.0, "close": 1.0, "volume": 1.0}
    with pytest.raises(TypeError, match="candles cannot be read as a table"):
        Liquidator().update_candles([{**row, "symbol": "\ud800"}])
