"""Times of every form to ms: one rule for digits of dates, for finer units, for text, on every road."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from liquidator_integrations import Liquidator
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.market.bars import read_bars
from liquidator_integrations.market.columns import time_column
from liquidator_integrations.market.files import read_candles_or_trades
from liquidator_integrations.market.times import ms_of
from liquidator_integrations.market.trades import trades_from_table

MINUTE = 60_000


def ms(*moment: int) -> int:
    return round(datetime(*moment, tzinfo=UTC).timestamp() * 1000)


def frame_times(times: Any) -> list[int]:
    prices = dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0)
    return bars_from_frame(pd.DataFrame({"time": times} | prices))["time"].tolist()


def trade_columns(times: Any) -> dict[str, Any]:
    ones = [1.0] * len(times)
    return {"time": times, "price": ones, "size": ones, "side": ["buy"] * len(times)}


def pushed_times(times: Any) -> list[int]:
    """Rows push one by one; the times are those of ms bars, which cannot be had, so the reader's own are taken."""
    return [ms_of(value) for value in times]


def file_times(times: Any, folder: Path) -> list[int]:
    path = folder / "candles.csv"
    lines = (f"{value},1,1,1,1,1\n" for value in times)
    path.write_text("time,open,high,low,close,volume\n" + "".join(lines))
    return read_bars(path)["time"].tolist()


ROADS: dict[str, Callable[..., list[int]]] = {
    "frame": lambda times, _: frame_times(times),
    "index": lambda times, _: bars_from_frame(
        pd.DataFrame(dict.fromkeys(("open", "high", "low", "close", "volume"), 1.0), index=pd.Index(times, name="time"))
    )["time"].tolist(),
    "arrow candles": lambda times, _: frame_times(pa.array(times).to_pandas()),
    "table": lambda times, _: trades_from_table(trade_columns(times))["time"].tolist(),
    "arrow trades": lambda times, _: trades_from_table(pa.table(trade_columns(times)))["time"].tolist(),
    "push": lambda times, _: pushed_times(times),
    "file": file_times,
}
DIGITS = [
    ([20200102, 20200103], [ms(2020, 1, 2), ms(2020, 1, 3)]),
    ([19991231, 20000101], [ms(1999, 12, 31), ms(2000, 1, 1)]),
    ([202001020935, 202001020936], [ms(2020, 1, 2, 9, 35), ms(2020, 1, 2, 9, 36)]),
    ([19760503, 19760504], [ms(1976, 5, 3), ms(1976, 5, 4)]),
    ([20200229235959, 20200301000000], [ms(2020, 2, 29, 23, 59, 59), ms(2020, 3, 1)]),
    ([20200102093500000, 20200102093500001], [ms(2020, 1, 2, 9, 35), ms(2020, 1, 2, 9, 35) + 1]),
    ([20200102093559999, 20200102093600000], [ms(2020, 1, 2, 9, 35, 59) + 999, ms(2020, 1, 2, 9, 36)]),
]
FORMS: dict[str, Callable[[list[int]], Any]] = {
    "int": lambda times: times,
    "text": lambda times: list(map(str, times)),
    "blanks": lambda times: [f" {time} " for time in times],
    "float": lambda times: list(map(float, times)),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("road", ROADS)
@pytest.mark.parametrize(("times", "expected"), DIGITS)
def test_digits_of_dates(times, expected, road, form, tmp_path):
    if form == "float" and times[0] > 2**53:
        pytest.skip("a float cannot hold seventeen digits")
    if road == "file" and form == "float":
        pytest.skip("nobody writes them so")
    assert ROADS[road](FORMS[form](times), tmp_path) == expected


BOTH = (
    "2020010209, allowed one reading: in s this is 2034-01-04T17:56:49 UTC, as yyyymmddHH it is 2020-01-02T09:00:00 UTC"
)


@pytest.mark.parametrize("form", ["int", "text", "float"])
@pytest.mark.parametrize("road", ROADS)
def test_ten_digits_that_may_be_both_are_refused(road, form, tmp_path):
    with pytest.raises(ValueError, match=re.escape(BOTH).replace("2020010209,", r"2020010209(\.0)?,")):
        ROADS[road](FORMS[form]([2020010209, 2020010210]), tmp_path)


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ([20200102, 20201302], "row 1, time: found 20201302, allowed digits of a date, as in 1 of 2 rows"),
        (
            [202001020935, 202001020936, 202001020965],
            "row 2, time: found 202001020965, allowed digits of",
        ),
        (
            [202001020965, 202001020935, 202001020936],
            "row 0, time: found 202001020965, allowed digits of",
        ),
        ([20200102093500, 20200102093560], "row 1, time: found 20200102093560, allowed digits of a"),
        ([20200230093500, 20200230093501], "found 20200230093500, allowed a time from 1973-03-03 on"),
        ([20200102093500000, 20200102096000000], "row 1, time: found 20200102096000000, allowed digits"),
        ([21010102093500, 21010102093501], "before 2500"),
        ([202001020935, 20200102093600], "found 20200102093600"),
        ([20200102, 202001020935], "row 0, time: found 20200102"),
    ],
)
@pytest.mark.parametrize("road", ["frame", "table", "file"])
def test_digits_that_are_not_all_dates_are_no_times_of_1976_or_2610(times, says, road, tmp_path):
    with pytest.raises(ValueError, match=re.escape(says)):
        ROADS[road](times, tmp_path)


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([1_700_000_000, 1_700_000_060], [1_700_000_000_000, 1_700_000_060_000]),  # 1700-00 is no month
        ([2_020_010_209, 2_020_010_269], [2_020_010_209_000, 2_020_010_269_000]),  # in 2034; 69 is no hour
        ([199_929_600_000, 200_016_000_000], [199_929_600_000, 200_016_000_000]),  # days of 1976 in ms
        ([1_700_000_000_000_999, 1_700_000_000_001_000], [1_700_000_000_000, 1_700_000_000_001]),
    ],
)
def test_units_remain_what_they_were(times, expected):
    assert frame_times(times) == trades_from_table(trade_columns(times))["time"].tolist() == expected


NOON = ms(2023, 1, 1, 12)
LAST = 1_672_574_399_999_768_000  # 11:59:59.999768 in ns
ROUNDED = {
    "ns": LAST,
    "us": LAST // 1000,
    "float ns": float(LAST),
    "float us": LAST / 1e3,
    "float ms": LAST / 1e6,
    "float s": LAST / 1e9,
    "text s": "1672574399.999768",
    "text us": "1672574399999768",
    "iso": "2023-01-01T11:59:59.999768Z",
    "iso of ns": "2023-01-01T11:59:59.999768000",
    "bitmex": "2023-01-01D11:59:59.999768123",
    "iso elsewhere": "2023-01-01T13:59:59.999768+02:00",
    "datetime": datetime(2023, 1, 1, 11, 59, 59, 999768, tzinfo=UTC),
    "naive": datetime(2023, 1, 1, 11, 59, 59, 999768),
    "datetime elsewhere": datetime(2023, 1, 1, 6, 59, 59, 999768, tzinfo=timezone(timedelta(hours=-5))),
    "datetime64": np.datetime64(LAST, "ns"),
    "Timestamp": pd.Timestamp(LAST, tz="UTC"),
    "Decimal": Decimal("1672574399.999768"),
}


@pytest.mark.parametrize("road", ["frame", "table", "arrow trades", "push"])
@pytest.mark.parametrize("form", ROUNDED)
def test_finer_times_go_down_to_the_ms(form, road, tmp_path):
    value = ROUNDED[form]
    values = np.array([value]) if form == "datetime64" else [value]
    assert ROADS[road](values, tmp_path) == [NOON - 1]


@pytest.mark.parametrize("road", ["frame", "table", "push"])
def test_floats_that_mean_a_whole_ms_are_that_ms(road, tmp_path):
    """0.001 has no binary form: without rounding to microseconds first a third of all ms would be the one before."""
    whole = 1_700_000_000_000 + np.arange(0, 3000, 7)
    for divisor in (1e3, 1.0, 1e-3, 1e-6):
        assert ROADS[road]((whole / divisor).tolist(), tmp_path) == whole.tolist()
        assert ROADS[road]((whole.astype(np.float64) / divisor).tolist(), tmp_path) == whole.tolist()


def test_pushed_and_given_at_once_make_the_same_bars():
    rows = [
        {"time": f"2023-01-01T00:{at}Z", "price": price, "size": 1.0, "side": "buy", "id": number}
        for number, (at, price) in enumerate(
            [("00:10.0", 100.0), ("00:59.999768", 110.0), ("01:30", 101.0), ("02:30", 101.0)]
        )
    ]
    at_once, pushed, tabled = Liquidator("BTC"), Liquidator("BTC"), Liquidator("BTC")
    at_once.ingest_trades(rows)
    tabled.ingest_trades(pd.DataFrame(rows))
    for row in rows:
        pushed.push(row)
    assert at_once.bars()["high"].tolist() == [110.0, 101.0]
    assert pushed.bars()["high"][:2].tolist() == [110.0, 101.0]
    assert at_once.bars().tobytes() == tabled.bars().tobytes()


WRITTEN = [
    "2020-12-31 23:59:00",
    "2020-12-31T23:59Z",
    "2020-12-31 23:59:00+00:00",
    "2020-12-31 23:59:00 +0000",
    "2020-12-31 23:59:00 UTC",
    "2021-01-01T01:59:00+02:00",
    "2020/12/31 23:59",
    "2020.12.31 23:59",
    "31.12.2020 23:59",
    "31/12/2020 23:59",
    "12/31/2020 23:59",
    "31-12-2020 23:59",
    "12-31-2020 23:59",
    "12/31/2020 11:59:00 PM",
    "2020-12-31 11:59 PM",
    "2020-12-31D23:59:00.000000000",
]


@pytest.mark.parametrize("road", ["frame", "table", "push", "file"])
@pytest.mark.parametrize("text", WRITTEN)
def test_dates_as_people_write_them(text, road, tmp_path):
    assert ROADS[road]([text], tmp_path) == [ms(2020, 12, 31, 23, 59)]


def test_hours_of_am_and_pm():
    times = ["2020-03-26 11-AM", "2020-03-26 12-PM"]
    assert frame_times(times) == [ms(2020, 3, 26, 11), ms(2020, 3, 26, 12)]


def test_one_digit_is_enough():
    assert frame_times(["1/31/2020 9:05", "2/1/2020 10:05"]) == [ms(2020, 1, 31, 9, 5), ms(2020, 2, 1, 10, 5)]


@pytest.mark.parametrize(
    "times", [["03/04/2020"], ["03-04-2020"], ["01/02/2020", "01/03/2020"], ["13/01/2020", "01/13/2020"]]
)
def test_days_that_may_be_months_are_refused(times):
    with pytest.raises(
        ValueError, match=r"row 0, time: found '\d\d[/-]\d\d[/-]2020', allowed a date of which one can tell"
    ):
        frame_times(times)


NO_TIMES = [
    True,
    None,
    [1],
    {"a": 1},
    b"2020",
    float("nan"),
    np.datetime64("NaT", "ns"),
    pd.NaT,
    timedelta(1),
    Decimal("sNaN"),
]
NO_TIMES += ["noon", "", "1_700_000_000", "\uff11\uff17" + 8 * "\uff10", 10**30, -5, 1e300, np.array(1_700_000_000)]


@pytest.mark.parametrize("value", NO_TIMES, ids=repr)
def test_what_is_no_time_is_named(value):
    with pytest.raises((ValueError, TypeError), match="time: found"):
        ms_of(value)


ARROW = [
    *(pa.timestamp(unit, zone) for unit in ("s", "ms", "us", "ns") for zone in (None, "UTC", "+05:30", "Asia/Tokyo")),
    *(pa.date32(), pa.date64(), pa.int64(), pa.uint64(), pa.float64(), pa.string(), pa.large_string()),
    *(pa.string_view(), pa.decimal128(20, 0), pa.dictionary(pa.uint8(), pa.int64())),
]


@pytest.mark.parametrize("kind", ARROW, ids=str)
def test_arrow_types(kind):
    day = ms(2023, 1, 1)
    plain = pa.array([day], pa.int64())
    if pa.types.is_timestamp(kind):
        column = (
            plain.cast(pa.timestamp("ms"))
            .cast(pa.timestamp(kind.unit))
            .cast(pa.timestamp(kind.unit, kind.tz), safe=False)
        )
    elif pa.types.is_date(kind):
        column = pa.array([date(2023, 1, 1)], kind)
    elif pa.types.is_dictionary(kind):
        column = pa.DictionaryArray.from_arrays(pa.array([0], pa.uint8()), plain)
    else:
        column = plain.cast(kind) if not pa.types.is_string_view(kind) else pa.array([str(day)], kind)
    assert time_column(column).tolist() == [day]
    prices = {name: [1.0] for name in ("open", "high", "low", "close", "volume")}
    assert bars_from_frame(pa.table({"time": column} | prices))["time"].tolist() == [day]


@pytest.mark.parametrize("kind", [pa.duration("ms"), pa.time32("ms"), pa.bool_(), pa.binary()], ids=str)
def test_arrow_types_that_are_no_times(kind):
    column = pa.array([b"x" if kind == pa.binary() else True if kind == pa.bool_() else 5], kind)
    with pytest.raises(TypeError, match="time must be numbers, timestamps or ISO text, got a column of"):
        time_column(column)


def test_digits_in_a_file_of_trades(tmp_path):
    path = tmp_path / "trades.csv"
    path.write_text("time,price,size,side\n20200102093500000,1,1,buy\n20200102093500250,1,1,sell\n")
    trades = trades_from_table(read_candles_or_trades(path)[1])
    assert trades["time"].tolist() == [ms(2020, 1, 2, 9, 35), ms(2020, 1, 2, 9, 35) + 250]
