"""Candles as venues and tools write them: whose volume counts base units, which rows are closed, which time opens."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from liquidator_integrations import Liquidator, read_bars
from liquidator_integrations.frames import bars_from_frame, signal_columns

START = 1_614_556_800_000
ROWS = 300
MINUTE = 60_000


def candles(price: float = 100.0) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    close = (price * np.exp(np.cumsum(rng.normal(size=ROWS)) * 0.01)).round(4)
    opened = np.r_[price, close[:-1]]
    frame = pd.DataFrame({"time": START + MINUTE * np.arange(ROWS), "open": opened})
    frame["high"], frame["low"] = np.maximum(opened, close) + 0.5, np.minimum(opened, close) - 0.5
    frame["close"], frame["volume"] = close, rng.lognormal(size=ROWS).round(4)
    return frame


PRICES = ["open", "high", "low", "close"]
FRAME = candles()
BASE = FRAME["volume"]
QUOTE = (BASE * (FRAME["open"] + FRAME["close"]) / 2).round(6)
CONTRACTS = (BASE * 100).round()  # of a hundredth of a coin each
QUIET = FRAME.index % 3 > 0
NOTHING = FRAME.drop(columns="volume")


def put(volumes: dict[str, Any]) -> pd.DataFrame:
    return NOTHING.assign(**volumes)


WRITTEN: dict[str, dict[str, Any]] = {
    "Binance": {"volume": BASE, "quote_volume": QUOTE},
    "Binance's names": {"Volume": BASE, "Quote asset volume": QUOTE},
    "CryptoDataDownload": {"Volume BTC": BASE, "Volume USDT": QUOTE},
    "CryptoDataDownload, newer": {"Volume USD": QUOTE, "Volume BTC": BASE},
    "Kaggle": {"Volume_(BTC)": BASE, "Volume_(Currency)": QUOTE, "Weighted_Price": FRAME["close"]},
    "a cross": {"Volume ETH": BASE, "Volume BTC": QUOTE},
    "a cross, turned": {"Volume BTC": QUOTE, "Volume ETH": BASE},
    "CryptoCompare": {"volumefrom": BASE, "volumeto": QUOTE},
    "OKX spot": {"vol": BASE, "volCcy": QUOTE, "volCcyQuote": QUOTE, "confirm": "1"},
    "OKX swap": {"vol": CONTRACTS, "volCcy": BASE, "volCcyQuote": QUOTE},
    "OKX, nothing beside": {"vol": BASE},
    "HTX": {"amount": BASE, "vol": QUOTE, "count": 5},
    "HTX, turned": {"vol": QUOTE, "amount": BASE},
    "Bybit": {"volume": BASE, "turnover": QUOTE},
    "MetaTrader 5": {"TICKVOL": 9, "VOL": BASE, "SPREAD": 1},
    "MetaTrader 5, no volume": {"TICKVOL": BASE, "VOL": 0, "SPREAD": 1},
    "MetaTrader 5 in Python": {"tick_volume": 9, "spread": 1, "real_volume": BASE},
    "ticks alone": {"tick_volume": BASE},
    "rounded": {"volume": BASE.round(2), "quote_volume": QUOTE.round(0)},
    "quiet minutes": {
        "volume": BASE.where(FRAME.index % 3 > 0, 0.0),
        "quote_volume": QUOTE.where(FRAME.index % 3 > 0, 0.0),
    },
    "unknown minutes": {"volume": BASE.where(FRAME.index % 3 > 0), "quote_volume": QUOTE.where(FRAME.index % 5 > 0)},
    "a filler": {"volume": BASE, "quote_volume": 0.0},
    "two faults": {"volume": BASE, "quote_volume": QUOTE.where(FRAME.index > 1, 5 * QUOTE)},
    "own indicator": {"volume": BASE, "vol": 0.3, "amount": 7.0, "volume_20": BASE.rolling(20).mean()},
}


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("road", ["frame", "file", "newest first"])
def test_the_volume_is_in_base_units(name, road, tmp_path):
    frame = put(WRITTEN[name])
    expected = BASE.round(2) if name == "rounded" else WRITTEN[name].get("volume", BASE)
    if road == "frame":
        bars = bars_from_frame(frame)
    else:
        frame[:: -1 if road == "newest first" else 1].to_csv(tmp_path / "candles.csv", index=False)
        bars = read_bars(tmp_path / "candles.csv")
    np.testing.assert_array_equal(bars["volume"], expected)
    np.testing.assert_array_equal(bars["time"], frame["time"])


CONTRACTED = {
    "a hundredth of a coin": (CONTRACTS, QUOTE),
    "ten coins": (BASE / 10, QUOTE),
    "of a dollar, quoted in coins": ((BASE * FRAME["close"]).round(), BASE),
    "USD for both": (QUOTE, QUOTE),
    "two in a hundred": (BASE, QUOTE.where(FRAME.index % 50 > 0, 3 * QUOTE)),
}


@pytest.mark.parametrize(
    "names", [("volume", "quote_volume"), ("Volume", "turnover"), ("Volume_(BTC)", "Volume_(Currency)")]
)
@pytest.mark.parametrize("what", CONTRACTED)
def test_volumes_that_count_something_else_are_refused(what, names):
    volume, quote = CONTRACTED[what]
    with pytest.raises(ValueError, match=re.escape(f"{names[1]} / {names[0]}: found ")) as caught:
        bars_from_frame(put(dict(zip(names, (volume, quote), strict=True))))
    assert f"{names[0]} seems to count contracts: give it in base units" in str(caught.value)


@pytest.mark.parametrize("columns", [{"vol": CONTRACTS, "amount": CONTRACTS}, {"vol": CONTRACTS, "volCcy": BASE * 7}])
def test_of_volumes_that_cannot_be_told_both_are_named(columns):
    said = re.escape(f"columns {' and '.join(map(repr, columns))} may each be the volume, and it cannot be told which")
    with pytest.raises(ValueError, match=said):
        bars_from_frame(put(columns))


KLINE = {"t": START, "T": START + MINUTE - 1, "s": "BTCUSDT", "i": "1m", "f": 1, "L": 9, "o": "100", "c": "101"}
KLINE |= {"h": "102", "l": "99", "v": "2", "n": 9, "x": True, "q": "201", "V": "1.5", "Q": "151", "B": "0"}


@pytest.mark.parametrize(
    "row",
    [
        KLINE,
        {"v": 2, "vw": 100.5, "o": 100, "c": 101, "h": 102, "l": 99, "t": START, "n": 9},  # Polygon
        {"ts": str(START), "o": "100", "h": "102", "l": "99", "c": "101", "vol": "2", "confirm": "1"},
        {"id": START // 1000, "open": 100, "close": 101, "low": 99, "high": 102, "amount": 2, "vol": 201, "count": 9},
        {"start": str(START // 1000), "low": "99", "high": "102", "open": "100", "close": "101", "volume": "2"},
        {"openTime": START, "open": 100, "high": 102, "low": 99, "close": 101, "volume": 2},
        {
            "window_start": START * 10**6,
            "open": 100,
            "high": 102,
            "low": 99,
            "close": 101,
            "volume": 2,
        },  # Polygon's files
        {
            "startedAt": "2021-03-01T00:00:00.000Z",
            "ticker": "BTC-USD",
            "open": "100",
            "high": "102",
            "low": "99",
            "close": "101",
            "baseTokenVolume": "2",
            "usdVolume": "201",
        },  # dYdX
        {"ticks": START, "open": 100, "high": 102, "low": 99, "close": 101, "volume": 2, "cost": 201},  # Deribit
        {"t": START // 1000, "v": 2, "c": "101", "h": "102", "l": "99", "o": "100", "sum": "201"},  # Gate's futures
        {"T": START, "O": 100, "H": 102, "L": 99, "C": 101, "V": 2},
        {"unix": START // 1000, "open": 100, "high": 102, "low": 99, "close": 101, "Volume BTC": 2, "Volume USD": 201},
    ],
)
def test_messages_and_rows_of_venues(row):
    bar = bars_from_frame([row])[0]
    assert [bar[name] for name in ("time", *PRICES, "volume")] == [START, 100.0, 102.0, 99.0, 101.0, 2.0]
    assert bar["taker_buy"] == 1.5 if "V" in row and "v" in row else np.isnan(bar["taker_buy"])


def test_contracts_of_gate_are_refused():
    row = {"t": START // 1000, "v": 20_000, "c": "101", "h": "102", "l": "99", "o": "100", "sum": "201"}
    with pytest.raises(ValueError, match=r"sum / v: found 0.01005, .* v seems to count contracts"):
        bars_from_frame([row])


def cryptofeed(closed: list[Any], name: str = "closed") -> pd.DataFrame:
    rows = [
        {"start": START / 1000, "stop": START / 1000 + 59.999, **dict.fromkeys(PRICES, 1.0)}
        | {"volume": row + 1.0, name: word, "timestamp": START / 1000 + 20.05 * (row + 1)}
        for row, word in enumerate(closed)
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("name", ["closed", "is_closed", "isFinal", "confirm"])
@pytest.mark.parametrize("words", [(False, True), (0, 1), ("0", "1"), ("false", "true"), ("False", "True")])
@pytest.mark.parametrize("road", ["frame", "rows", "Liquidator", "file"])
def test_an_open_candle_is_no_bar(name, words, road, tmp_path):
    frame = cryptofeed([words[0], words[0], words[1]], name)
    if road == "Liquidator":
        liquidator = Liquidator("BTC", bar="1m")
        liquidator.update_candles(frame)
        bars = liquidator.bars()
    elif road == "file":
        frame.to_csv(tmp_path / "candles.csv", index=False)
        bars = read_bars(tmp_path / "candles.csv")
    else:
        bars = bars_from_frame(frame if road == "frame" else frame.to_dict("records"))
    assert bars[["time", "volume"]].tolist() == [(START, 3.0)]


@pytest.mark.parametrize("form", [pd.DataFrame, pl.DataFrame, pa.table, dict])
def test_a_table_of_another_coin_is_refused(form):
    columns = FRAME.assign(symbol="BTC/USDT").to_dict("list")
    made = Liquidator("BTC", bar="1m")
    made.update_candles(form(columns))
    assert len(made.bars()) == ROWS
    with pytest.raises(ValueError, match="symbol: found 'BTC/USDT', allowed 'ETH': one Liquidator a coin"):
        Liquidator("ETH", bar="1m").update_candles(form(columns))


@pytest.mark.parametrize("levels", [["symbol", "date"], ["date", "symbol"], ["symbol"]])
def test_a_market_in_the_index_is_checked_as_one_in_a_column(levels):
    dates = pd.to_datetime(FRAME["time"], unit="ms", utc=True)
    frame = FRAME.drop(columns="time").assign(symbol="ETH/USDT", date=dates).set_index(levels)
    made = Liquidator(bar="1m")
    made.update_candles(frame)
    assert (made.coin, len(made.bars())) == ("ETH", ROWS)
    refused = re.escape("row 0, symbol: found 'ETH/USDT', allowed 'BTC'")
    with pytest.raises(ValueError, match=refused):
        Liquidator("BTC", bar="1m").update_candles(frame)
    if len(levels) == 1:
        return
    both = frame.rename({"ETH/USDT": "BTC/USDT"}).iloc[:3], frame.iloc[3:6]
    with pytest.raises(ValueError, match=re.escape("row 3, symbol: found 'ETH/USDT', allowed 'BTC'")):
        Liquidator(bar="1m").update_candles(pd.concat(both))
    with pytest.raises(ValueError, match=r"level . of the index: found no name and values such as 'ETH/USDT'"):
        Liquidator(bar="1m").update_candles(frame.rename_axis([None if one == "symbol" else one for one in levels]))
    assert len(bars_from_frame(frame.rename_axis([None if one == "date" else one for one in levels]))) == ROWS


def test_candles_that_are_all_open():
    with pytest.raises(ValueError, match="no candles: all 2 say that they are open yet"):
        bars_from_frame(cryptofeed([False, False]))
    with pytest.raises(ValueError, match=re.escape("row 1, closed: found 'maybe', allowed true or false")):
        bars_from_frame(cryptofeed(["true", "maybe"]))


def test_tables_keep_their_rows_and_refuse_open_candles():
    with pytest.raises(ValueError, match="row 0: found a candle that is open yet"):
        signal_columns(cryptofeed([False, True]))
    frame = FRAME.assign(confirm=FRAME["close"] > FRAME["open"])  # somebody's indicator
    assert len(signal_columns(frame)) == ROWS
    with pytest.raises(ValueError, match="goes back"):
        signal_columns(FRAME[::-1])


def test_newest_first_is_turned_round_and_told(caplog):
    with caplog.at_level(logging.WARNING, "liquidator"):
        bars = bars_from_frame(FRAME[::-1])
    assert bars.tobytes() == bars_from_frame(FRAME).tobytes()
    assert [record.message for record in caplog.records] == ["candles are newest first: turned round"]
    with pytest.raises(ValueError, match=r"row 3 .* goes back to .*: sort the rows by time"):
        bars_from_frame(FRAME.iloc[[5, 6, 7, 4, 8]])


@pytest.mark.parametrize(
    ("name", "rows"),
    [
        ("BTC_USDT-1m.json", FRAME.to_numpy().tolist()),
        ("coinbase.json", FRAME[["time", "low", "high", "open", "close", "volume"]][::-1].to_numpy().tolist()),
        ("bitfinex.json", FRAME[["time", "open", "close", "high", "low", "volume"]].to_numpy().tolist()),
        (
            "kucoin.json",
            {
                "code": "200000",
                "data": FRAME.assign(time=FRAME["time"] // 1000, turnover=QUOTE)[
                    ["time", "open", "close", "high", "low", "volume", "turnover"]
                ]
                .astype(str)
                .to_numpy()
                .tolist(),
            },
        ),
        ("columns.json", FRAME.to_dict("list")),
        ("pandas.json", FRAME.to_dict()),
        ("udf.json", {"s": "ok", **FRAME.set_axis(["t", "o", "h", "l", "c", "v"], axis=1).to_dict("list")}),
        ("okx.json", {"code": "0", "data": FRAME.astype(str).to_dict("records")}),
        (
            "polygon.json",
            {
                "ticker": "X:BTCUSD",
                "results": FRAME.set_axis(["t", "o", "h", "l", "c", "v"], axis=1).to_dict("records"),
            },
        ),
    ],
)
def test_json(tmp_path, name, rows):
    (tmp_path / name).write_text(json.dumps(rows))
    np.testing.assert_array_equal(read_bars(tmp_path / name)["close"], FRAME["close"])
    np.testing.assert_array_equal(read_bars(tmp_path / name)["volume"], FRAME["volume"])


def zipped(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("_", "."), text)
    return path


@pytest.mark.parametrize("name", ["BTCUSDT-1m-2021-03.zip", "BTCUSDT-1m-2021-03.csv.zip"])
def test_zip(tmp_path, name):
    text = FRAME.to_csv(index=False)
    assert len(read_bars(zipped(tmp_path / name, a_csv=text))) == ROWS
    with pytest.raises(ValueError, match=r"holds 2 files \(a\.csv, b\.csv\), allowed one: unpack it"):
        read_bars(zipped(tmp_path / name, a_csv=text, b_csv=text))
    with pytest.raises(ValueError, match=r"holds a\.exe, allowed \.csv, \.tsv or \.json"):
        read_bars(zipped(tmp_path / name, a_exe=text))
    (tmp_path / name).write_bytes(b"PK\x03\x04" + bytes(100))
    with pytest.raises(ValueError, match="cannot be read: "):
        read_bars(tmp_path / name)


def test_a_quoted_comma_in_a_name(tmp_path):
    path = tmp_path / "basis.csv"
    path.write_text(
        'time,open,high,low,close,"Basis, 20",Upper,Volume\n1700000000,10,12,9,11,10.5,,500\n'
        "1700014400,11,13,10,12,11.5,13.1,\n1700028800,12,14,11,13,12.5,14.2,700\n"
    )
    bars = read_bars(path)
    np.testing.assert_array_equal(bars["volume"], [500.0, np.nan, 700.0])
    assert bars["close"].tolist() == [11.0, 12.0, 13.0]


@pytest.mark.parametrize("levels", [(0, 1), (1, 0)])
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_one_symbol_of_yfinance(suffix, levels, tmp_path):
    frame = FRAME.set_index(pd.DatetimeIndex(pd.to_datetime(FRAME["time"], unit="ms", utc=True), name="Datetime"))
    frame = frame.drop(columns="time").rename(columns=str.title)
    frame.columns = pd.MultiIndex.from_product([frame.columns, ["BTC-USD"]]).reorder_levels(list(levels))
    assert bars_from_frame(frame).tobytes() == bars_from_frame(FRAME).tobytes()
    if suffix == "csv" and levels == (1, 0):
        return  # yfinance writes it with the prices first
    getattr(frame, f"to_{suffix}")(tmp_path / f"a.{suffix}")
    assert read_bars(tmp_path / f"a.{suffix}").tobytes() == bars_from_frame(FRAME).tobytes()


def test_several_symbols_of_yfinance_in_parquet_are_refused(tmp_path):
    frame = pd.concat({"A": FRAME, "B": FRAME}, axis=1)
    frame.to_parquet(tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"neither candles .* found columns \"\('A', 'time'\)\", "):
        read_bars(tmp_path / "a.parquet")


def test_several_symbols_of_yfinance_are_refused(tmp_path):
    path = tmp_path / "two.csv"
    path.write_text(
        "Price,Close,Close,High,High,Low,Low,Open,Open,Volume,Volume\nTicker,A,B,A,B,A,B,A,B,A,B\nDate,,,,,,,,,,\n"
        "2020-01-01,1,1,1,1,1,1,1,1,1,1\n"
    )
    with pytest.raises(ValueError, match="columns 'Open' and 'Open' both mean open: keep one"):
        read_bars(path)


def test_minutes_without_trades_are_read_and_counted(tmp_path, caplog):
    """Kaggle's file has rows of NaN for them."""
    frame = FRAME.copy()
    frame.loc[5:9, [*PRICES, "volume"]] = np.nan
    frame.to_csv(tmp_path / "kaggle.csv", index=False)
    with caplog.at_level(logging.WARNING, "liquidator"):
        bars = read_bars(tmp_path / "kaggle.csv")
    assert np.isnan(bars["close"][5:10]).all()
    assert "5 of 300 candles hold nothing but a time: skipped" in caplog.text
    frame.loc[20, "close"] = np.nan
    with pytest.raises(ValueError, match=r"row 20 .*, close: found nan"):
        bars_from_frame(frame)
