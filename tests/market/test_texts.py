"""Texts as people have them: encodings, delimiters, decimal commas, and JSON of every form."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from liquidator_integrations import read_bars, sample_bars
from liquidator_integrations.frames import bars_from_frame

BARS = sample_bars()[:50]
FRAME = pd.DataFrame({name: BARS[name] for name in ("time", "open", "high", "low", "close", "volume")})
TIMED = FRAME.set_index(pd.DatetimeIndex(pd.to_datetime(FRAME["time"], unit="ms", utc=True))).drop(columns="time")
CSV = FRAME.to_csv(index=False)


def assert_read(path: Any) -> None:
    bars = read_bars(path)
    for name in FRAME:
        np.testing.assert_array_equal(bars[name], FRAME[name])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (CSV.encode("utf-16-le"), "text in UTF-16 without its mark: save it as UTF-8"),
        (CSV.encode("utf-16-be"), "text in UTF-16 without its mark: save it as UTF-8"),
        (CSV.encode("utf-32"), "text in UTF-32: save it as UTF-8"),
        (CSV.replace("time", "Zeit für").encode("latin-1"), "text that is no UTF-8: save it as UTF-8"),
        (CSV.replace("\n", "\r").encode(), "text whose lines end with carriage returns alone"),
        (bytes(range(256)), "something unknown"),
    ],
)
def test_other_encodings_are_named(content, found, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"a\.csv: a \.csv file must hold text, found {re.escape(found)}"):
        read_bars(tmp_path / "a.csv")


@pytest.mark.parametrize("blank", [" ", "  "])
def test_blanks_part_no_cells(blank, tmp_path):
    (tmp_path / "a.csv").write_text(CSV.replace(",", blank))
    with pytest.raises(ValueError, match=r"found columns 'time.*', parted by none of commas, semicolons, tabs, bars"):
        read_bars(tmp_path / "a.csv")


@pytest.mark.parametrize("column", ["volume", "close"])
@pytest.mark.parametrize("cell", ["1.234", "8.200"])
def test_a_point_beside_decimal_commas_is_refused(column, cell, tmp_path):
    """It may part thousands."""
    frame = FRAME.map(lambda value: f"{value:.2f}".replace(".", ",")).assign(time=FRAME["time"])
    frame.loc[3, column] = cell
    frame.to_csv(tmp_path / "a.csv", sep=";", index=False)
    with pytest.raises(ValueError, match=rf"row 3, column '{column}': found '{cell}', allowed a number with a decimal"):
        read_bars(tmp_path / "a.csv")


def test_a_comma_of_thousands_beside_points_is_refused(tmp_path):
    frame = FRAME.assign(volume="1,234")
    frame.to_csv(tmp_path / "a.csv", sep=";", index=False)
    with pytest.raises(
        ValueError, match=r"row 0, column 'open': found '8289.97', allowed a number with a decimal comma"
    ):
        read_bars(tmp_path / "a.csv")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("time", ["time", "date"])
def test_decimal_commas_without_names(encoding, time, tmp_path):
    dates = TIMED.index.strftime("%d.%m.%Y %H:%M")
    frame = FRAME if time == "time" else FRAME.assign(time=dates)
    frame.to_csv(tmp_path / "a.csv", sep=";", decimal=",", index=False, header=False, encoding=encoding)
    assert_read(tmp_path / "a.csv")


@pytest.mark.parametrize("orient", ["split", "records", "index", "columns", "values", "table"])
@pytest.mark.parametrize("index", ["rows", "rows of a part", "times", "numbers", "texts"])
def test_json_of_pandas(orient, index, tmp_path):
    frame = {
        "rows": FRAME,
        "rows of a part": FRAME.set_index(FRAME.index + 7),
        "times": TIMED,
        "numbers": FRAME.set_index("time"),
        "texts": TIMED.set_index(TIMED.index.strftime("%Y-%m-%d %H:%M")),
    }[index]
    frame.to_json(tmp_path / "a.json", orient=orient, date_format="iso")
    if orient in ("records", "values") and index in ("times", "numbers", "texts"):  # which leave out the index
        with pytest.raises(ValueError, match=r"missing column for time|found rows of 5 values"):
            read_bars(tmp_path / "a.json")
    else:
        assert_read(tmp_path / "a.json")


@pytest.mark.parametrize("suffix", ["json", "jsonl", "ndjson"])
def test_json_a_row_a_line(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    text = FRAME.to_json(orient="records", lines=True)
    path.write_text(text + "\n\n")
    assert_read(path)
    path.write_text("\n".join(map(json.dumps, FRAME.to_numpy().tolist())))
    assert_read(path)
    path.write_text(text.replace('"time"', "time", 3).replace("time", '"time"', 2).replace('""time""', '"time"'))
    with pytest.raises(ValueError, match=rf"a\.{suffix}: line 3: cannot be read: Expecting property name"):
        read_bars(path)


def test_json_that_ceases_to_be_text(tmp_path):
    (tmp_path / "a.json").write_bytes(FRAME.to_json(orient="records").encode()[:-2] + b', "\xe9": 1}]')
    with pytest.raises(ValueError, match=r"a\.json: cannot be read: not text"):
        read_bars(tmp_path / "a.json")


@pytest.mark.parametrize("content", ["[]", "{}", "5", "null", '"x"', '{"code": -1121, "msg": "Invalid symbol."}'])
def test_json_without_rows_says_what_it_holds(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=re.escape(f"a.json: holds no rows, found {json.loads(content)!r}")):
        read_bars(tmp_path / "a.json")


@pytest.mark.parametrize(
    "content",
    [
        '{"columns": ["time", "open"], "data": [[1, 2], [3]]}',
        '{"columns": ["time", "open"], "index": null, "data": [[1], [3]]}',
        "[[1, 2, 3, 4, 5, 6], [1, 2]]",
        '[[1, 2, 3, 4, 5, 6], {"a": 1}]',
        "[1, 2]",
    ],
)
def test_json_of_rows_of_several_kinds_is_refused(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json: holds rows of several kinds, allowed lists of one length"):
        read_bars(tmp_path / "a.json")


@pytest.mark.parametrize("names", [("XXBTZUSD", "XETHZUSD"), ("BTC/USD", "ETH/USD")])
@pytest.mark.parametrize("around", ["result", "bars"])
def test_json_of_several_markets_is_refused(names, around, tmp_path):
    rows = FRAME.to_dict("records")
    answer = {"error": [], around: dict.fromkeys(names, rows) | {"last": 1}}
    (tmp_path / "a.json").write_text(json.dumps(answer))
    with pytest.raises(ValueError, match=rf"a\.json: holds several lists \({', '.join(names)}\), allowed one"):
        read_bars(tmp_path / "a.json")


def test_json_beside_a_status(tmp_path):
    answer = {"status": {"code": 0}, "data": FRAME.to_dict("records")}
    (tmp_path / "a.json").write_text(json.dumps(answer))
    assert_read(tmp_path / "a.json")


def test_columns_of_deribit():
    result = {"ticks": FRAME["time"].tolist(), **FRAME.drop(columns="time").to_dict("list"), "status": "ok"}
    bars = bars_from_frame({"jsonrpc": "2.0", "result": {name: result[name] for name in result if name != "status"}})
    np.testing.assert_array_equal(bars["close"], FRAME["close"])


@pytest.mark.parametrize("level", [0, 1])
def test_an_index_of_market_and_time(level, tmp_path):
    frame = TIMED.rename_axis("date").assign(symbol="BTC/USDT").set_index("symbol", append=True)
    frame = frame if level else frame.swaplevel()
    frame.to_parquet(tmp_path / "a.parquet")
    assert bars_from_frame(frame).tobytes() == bars_from_frame(FRAME).tobytes()
    assert_read(tmp_path / "a.parquet")
    both = pd.concat([frame, frame.rename(index={"BTC/USDT": "ETH/USDT"})])
    both.to_parquet(tmp_path / "b.parquet")
    assert pq.read_table(tmp_path / "b.parquet").num_rows == 100
    with pytest.raises(ValueError, match=r"column 'symbol' holds several markets \(BTC/USDT, ETH/USDT\)"):
        read_bars(tmp_path / "b.parquet")


def test_the_opening_goes_before_the_close_of_coinmarketcap(tmp_path):
    close = FRAME["time"] + 3_599_999
    frame = FRAME.rename(columns={"time": "timeOpen"}).assign(timeClose=close, timestamp=close)
    frame.to_csv(tmp_path / "a.csv", sep=";", index=False)
    assert_read(tmp_path / "a.csv")


TRADES = "instrument_name,trade_id,side,price,size,created_time\nBTC-USDT,1,buy,100,1,1700000000000\n"
TRADES += "BTC-USDT,2,sell,100,1,1700000060000\n"


def test_trades_of_okx(tmp_path):
    (tmp_path / "a.csv").write_text(TRADES)
    assert read_bars(tmp_path / "a.csv")["taker_buy"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("text", "wanted", "strange"),
    [
        (CSV, "volume", "vlm"),
        (CSV, "time", "when"),
        (CSV, "high", "hi"),
        (TRADES, "created_time", "when"),
        (TRADES, "side", "who"),
        (TRADES, "price", "cost"),
    ],
)
def test_an_error_of_columns_shows_all_of_them(text, wanted, strange, tmp_path):
    """Those that would not be read too."""
    head, rest = text.replace(wanted, strange, 1).split("\n", 1)
    (tmp_path / "a.csv").write_text(f"{head},mine\n" + rest.replace("\n", ",7\n"))
    found = ", ".join(map(repr, f"{head},mine".split(",")))
    with pytest.raises(ValueError, match=rf"found (columns )?{re.escape(found)}.*, parted by commas"):
        read_bars(tmp_path / "a.csv")


def test_a_candle_that_is_not_complete_is_no_bar(tmp_path):
    FRAME.assign(complete=[True] * 49 + [False]).to_csv(tmp_path / "a.csv", index=False)
    assert len(read_bars(tmp_path / "a.csv")) == 49


def test_a_path_is_no_candles():
    with pytest.raises(TypeError, match="got str: read_bars reads files"):
        bars_from_frame("candles.csv")


@pytest.mark.parametrize("form", ["%Y-%m-%d %H:%M:%S", "%d.%m.%Y %H:%M", "%Y-%m-%d %H:%M:%S+00:00"])
def test_an_index_that_pandas_named(form, tmp_path):
    frame = TIMED.assign(**{"Unnamed: 0": TIMED.index.strftime(form)}).reset_index(drop=True)
    frame = frame[["Unnamed: 0", *TIMED]]
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert_read(tmp_path / "a.csv")
    assert bars_from_frame(frame).tobytes() == bars_from_frame(FRAME).tobytes()
    FRAME.assign(**{"Unnamed: 0": range(50)}).to_csv(tmp_path / "b.csv", index=False)
    assert_read(tmp_path / "b.csv")


ROW = FRAME.iloc[0].to_dict()
OTHER = FRAME.iloc[1].to_dict()


def refused(content: Any, path: Any, says: str) -> None:
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=says):
        read_bars(path)


def test_json_of_several_objects_is_refused(tmp_path):
    rows = FRAME.to_dict("records")
    says = r"a\.json: holds several objects \(BTC, ETH\), allowed one: write one file for each"
    refused({"BTC": {"1h": rows}, "ETH": {"1h": rows}}, tmp_path / "a.json", says)
    (tmp_path / "b.json").write_text(json.dumps({"BTC": {"1h": rows}}))
    assert_read(tmp_path / "b.json")


@pytest.mark.parametrize("names", [("BTC", "ETH"), ("BTC", "1577836800000")])
def test_json_of_rows_under_labels_is_refused(names, tmp_path):
    says = r"a\.json: holds rows under 'BTC', allowed numbers of rows or times: write a list"
    refused(dict(zip(names, (ROW, OTHER), strict=True)), tmp_path / "a.json", says)


def test_json_of_columns_in_several_orders_is_refused(tmp_path):
    columns = {name: {"a": ROW[name], "b": OTHER[name]} for name in FRAME}
    columns["volume"] = dict(reversed(columns["volume"].items()))
    says = r"a\.json: holds 'time' under a, b and 'volume' under b, a: allowed the same keys in one order"
    refused(columns, tmp_path / "a.json", says)


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_json_of_one_row(suffix, tmp_path):
    (tmp_path / f"a.{suffix}").write_text(json.dumps(ROW) + "\n")
    assert read_bars(tmp_path / f"a.{suffix}").tobytes() == bars_from_frame(FRAME[:1]).tobytes()


@pytest.mark.parametrize("unit", [1_000, 10_000_000])
def test_ticks_that_are_no_milliseconds_are_refused(unit, tmp_path):
    """Those of .NET count from the year 1."""
    ticks = FRAME["time"] // 1000 * unit
    ticks += 0 if unit == 1000 else 621_355_968_000_000_000
    frame = FRAME.drop(columns="time").assign(ticks=ticks)
    frame.to_csv(tmp_path / "a.csv", index=False)
    for read, given in ((bars_from_frame, frame), (read_bars, tmp_path / "a.csv")):
        if unit == 1000:
            np.testing.assert_array_equal(read(given)["time"], FRAME["time"])
        else:
            with pytest.raises(ValueError, match=r"time: found 6\.37.*, allowed ms since the epoch"):
                read(given)
