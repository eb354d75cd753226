"""Files as people have them, and the trades in them."""

from __future__ import annotations

import gzip
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet
import pytest

from liquidator_core import TRADE
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.market.files import read_candles_or_trades, read_liquidations
from liquidator_integrations.market.names import MARKET_NAMES
from liquidator_integrations.market.trades import trades_from_table

START = 1_672_531_200_000  # 2023-01-01
STEP = 300_000
ROWS = 50


def candles() -> pd.DataFrame:
    """ccxt's columns, with prices that a CSV keeps."""
    rng = np.random.default_rng(1)
    close = (100 + np.cumsum(rng.normal(size=ROWS))).round(2)
    opened = np.concatenate(([100.0], close[:-1]))
    return pd.DataFrame(
        {
            "time": START + STEP * np.arange(ROWS),
            "open": opened,
            "high": np.maximum(opened, close) + 1,
            "low": np.minimum(opened, close) - 1,
            "close": close,
            "volume": rng.lognormal(size=ROWS).round(4),
        }
    )


def freqtrade() -> pd.DataFrame:
    frame = candles()
    frame.insert(0, "date", pd.to_datetime(frame.pop("time"), unit="ms", utc=True))
    return frame


def indexed(name: str | None) -> pd.DataFrame:
    return freqtrade().set_index("date").rename_axis(name)


def two_columns(day: str, clock: str) -> pd.DataFrame:
    """A day and a time of day."""
    frame = freqtrade()
    frame.insert(0, "Date", frame["date"].dt.strftime(day))
    frame.insert(1, "Time", frame.pop("date").dt.strftime(clock))
    return frame


def metatrader5() -> str:
    frame = two_columns("%Y.%m.%d", "%H:%M:%S").rename(columns={"volume": "VOL"})
    frame.insert(6, "TICKVOL", 5)
    frame["SPREAD"] = 1
    return frame.rename(columns=lambda name: f"<{name.upper()}>").to_csv(index=False, sep="\t")


def klines(header: str = "") -> str:
    """As Binance Vision publishes them since 2025: microseconds."""
    lines = (
        f"{row.time * 1000},{row.open},{row.high},{row.low},{row.close},{row.volume},"
        f"{(row.time + STEP) * 1000 - 1},{row.volume * row.close!r},3,{row.volume / 2!r},0.7,0\n"
        for row in candles().itertuples()
    )
    return header + "".join(lines)


def csv(**options: object) -> str:
    return candles().to_csv(**{"index": False} | options)


def arrow_bytes(write: Callable[[str], None], tmp_path: Path, name: str) -> bytes:
    write(str(tmp_path / name))
    return (tmp_path / name).read_bytes()


def put(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


class TestCandles:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("a.csv", csv()),
            ("A.CSV", csv()),
            ("no_names.csv", csv(header=False)),
            ("numbered.csv", csv(index=True)),
            ("crlf.csv", csv(lineterminator="\r\n")),
            ("crlf_no_names.csv", csv(lineterminator="\r\n", header=False)),
            ("semicolons.csv", csv(sep=";")),
            ("tabs.csv", csv(sep="\t")),
            ("bars.csv", csv(sep="|")),
            ("decimal_commas.csv", csv(sep=";", decimal=",")),
            ("sep.csv", "sep=;\n" + csv(sep=";")),
            ("sep_tab.csv", '"sep=\t"\r\n' + csv(sep="\t")),
            ("title.csv", "https://www.CryptoDataDownload.com\n" + csv()),
            ("titles.csv", "BTC/USDT, hourly, exported 2023\n\n# from a terminal\n" + csv()),
            ("comment_names.csv", "#" + csv()),
            ("comments.csv", "# a\n# b\n" + csv() + "# end\n"),
            ("newest_first.csv", candles()[::-1].to_csv(index=False)),
            ("all_quoted.csv", csv(quoting=1)),
            ("comma_in_name.csv", csv().replace("\n", ",1\n").replace("volume,1", 'volume,"Basis, 20"', 1)),
            ("spaces.csv", csv().replace(",", ", ")),
            ("utf16.csv", csv().encode("utf-16")),
            ("utf16be.csv", b"\xfe\xff" + csv(sep="\t").encode("utf-16-be")),
            (
                "yfinance.csv",
                "Price,Close,High,Low,Open,Volume\nTicker,BTC-USD,BTC-USD,BTC-USD,BTC-USD,BTC-USD\nDate,,,,,\n"
                + freqtrade()[["date", "close", "high", "low", "open", "volume"]].to_csv(index=False, header=False),
            ),
            (
                "coinbase.csv",
                candles()[["time", "low", "high", "open", "close", "volume"]][::-1].to_csv(index=False, header=False),
            ),
            ("kraken.csv", candles().assign(trades=3).to_csv(index=False, header=False)),
            (
                "kraken8.csv",
                candles()
                .assign(vwap=100.0, trades=3)[["time", "open", "high", "low", "close", "vwap", "volume", "trades"]]
                .to_csv(index=False, header=False),
            ),
            ("metatrader4.csv", two_columns("%Y.%m.%d", "%H:%M").to_csv(index=False, header=False)),
            ("metatrader5.csv", metatrader5()),
            ("backtrader.csv", two_columns("%Y-%m-%d", "%H:%M:%S").to_csv(index=False)),
            ("stooq.csv", two_columns("%Y%m%d", "%H%M%S").to_csv(index=False)),
            ("shuffled_time.csv", two_columns("%d.%m.%Y", "%H:%M").to_csv(index=False, sep=";")),
            ("bom.csv", "\ufeff" + csv()),
            ("bom_no_names.csv", "\ufeff" + csv(header=False)),
            ("quoted.csv", re.sub(r"\w+", r'"\g<0>"', csv(), count=6)),
            ("zone.csv", freqtrade().to_csv(index=False)),
            ("index.csv", indexed("date").to_csv()),
            ("unnamed_index.csv", indexed(None).to_csv()),
            ("naive_index.csv", indexed("Datetime").tz_localize(None).to_csv()),
            ("a.csv.gz", gzip.compress(csv().encode())),
            ("no_names.csv.gz", gzip.compress(csv(header=False).encode())),
        ],
    )
    def test_csv(self, tmp_path: Path, name: str, content: str | bytes) -> None:
        kind, table = read_candles_or_trades(put(tmp_path / name, content))
        assert kind == "candles"
        assert bars_from_frame(table).tobytes() == bars_from_frame(candles()).tobytes()

    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("a.parquet", lambda path: candles().to_parquet(path)),
            ("index.parquet", lambda path: indexed("date").to_parquet(path)),
            ("unnamed_index.parquet", lambda path: indexed(None).to_parquet(path)),
            ("BTC_USDT-5m.feather", lambda path: freqtrade().to_feather(path, compression="lz4", compression_level=9)),
        ],
    )
    def test_arrow(self, tmp_path: Path, name: str, write: Callable[[str], None]) -> None:
        write(str(tmp_path / name))
        kind, table = read_candles_or_trades(tmp_path / name)
        assert kind == "candles"
        assert bars_from_frame(table).tobytes() == bars_from_frame(candles()).tobytes()

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
            "taker_buy_quote_volume,ignore\n",
            "Open time,Open,High,Low,Close,Volume,Close time,Quote asset volume,Number of trades,"
            "Taker buy base asset volume,Taker buy quote asset volume,Ignore\n",
        ],
    )
    def test_binance_vision_klines(self, tmp_path: Path, header: str) -> None:
        kind, table = read_candles_or_trades(str(put(tmp_path / "BTCUSDT-5m-2025-01.csv", klines(header))))
        assert kind == "candles"
        expected = candles().assign(taker_buy=lambda frame: frame["volume"] / 2)
        assert bars_from_frame(table).tobytes() == bars_from_frame(expected).tobytes()

    def test_numbers_that_start_whole(self, tmp_path: Path) -> None:
        """The type of a column is not guessed from its first block."""
        rows = 30_000
        lines = [f"{START + 60_000 * row},1,1,1,1,{1.5 if row == rows - 1 else 1}" for row in range(rows)]
        path = put(tmp_path / "a.csv", "time,open,high,low,close,volume\n" + "\n".join(lines))
        assert bars_from_frame(read_candles_or_trades(path)[1])["volume"][-1] == 1.5


VISION = "1,100.5,0.1,5,6,{},True{}\n2,100.6,0.2,7,7,{},False{}\n"
TARDIS = (
    "exchange,symbol,timestamp,local_timestamp,id,side,price,amount\n"
    "binance,BTCUSDT,1672531200000123,1672531200000999,abc,sell,100.5,0.1\n"
    "binance,{},1672531200001923,1672531200002999,12,buy,100.6,0.2\n"
)
TRADES = np.array([(START, 100.5, 0.1, -1), (START + 1, 100.6, 0.2, 1)], TRADE)


def columns(**changed: object) -> dict[str, object]:
    time = [START, START + 1]
    return {"time": time, "price": [100.5, 100.6], "size": [0.1, 0.2], "side": ["sell", "buy"]} | changed


def named(**names: str) -> dict[str, object]:
    return {names.get(name, name): values for name, values in columns().items()}


class TestTradeFiles:
    @pytest.mark.parametrize(
        ("name", "content"),
        [
            ("spot-aggTrades.csv", VISION.format(START * 1000, ",True", START * 1000 + 1999, ",True")),
            ("um-aggTrades.csv", VISION.format(START, "", START + 1, "")),
            (
                "um-aggTrades-names.csv",
                "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker\n"
                + VISION.format(START, "", START + 1, ""),
            ),
            ("um-trades.csv", f"1,100.5,0.1,10.05,{START},true\n2,100.6,0.2,20.12,{START + 1},false\n"),
            ("spot-trades.csv", f"1,100.5,0.1,1.0,{START},True,True\n2,100.6,0.2,2.0,{START + 1},False,True\n"),
            ("tardis.csv.gz", gzip.compress(TARDIS.format("BTCUSDT").encode())),
            ("typed.csv", f"ts,px,sz,type\n{START},100.5,0.1,s\n{START + 1},100.6,0.2,b\n"),
        ],
    )
    def test_csv(self, tmp_path: Path, name: str, content: str | bytes) -> None:
        kind, table = read_candles_or_trades(put(tmp_path / name, content))
        assert kind == "trades"
        assert trades_from_table(table).tolist() == TRADES.tolist()

    def test_freqtrade(self, tmp_path: Path) -> None:
        frame = pd.DataFrame(
            {
                "timestamp": [START, START + 1],
                "id": ["1", "2"],
                "type": [None, "limit"],
                "side": ["sell", "buy"],
                "price": [100.5, 100.6],
                "amount": [0.1, 0.2],
                "cost": [10.05, 20.12],
            }
        )
        frame.to_feather(tmp_path / "BTC_USDT-trades.feather", compression="lz4", compression_level=9)
        kind, table = read_candles_or_trades(tmp_path / "BTC_USDT-trades.feather")
        assert kind == "trades"
        assert trades_from_table(table).tolist() == TRADES.tolist()

    @pytest.mark.parametrize("name", MARKET_NAMES)
    def test_several_markets_under_any_name(self, tmp_path: Path, name: str) -> None:
        table = pa.table({**columns(), name: ["BTC-USDT", "ETH-USDT"]})
        pa.parquet.write_table(table, tmp_path / "a.parquet")
        with pytest.raises(ValueError, match=rf"column '{name}' holds several markets \(BTC-USDT, ETH-USDT\)"):
            read_candles_or_trades(tmp_path / "a.parquet")

    def test_several_markets(self, tmp_path: Path) -> None:
        path = put(tmp_path / "a.csv.gz", gzip.compress(TARDIS.format("ETHUSDT").encode()))
        message = f"{path}: column 'symbol' holds several markets (BTCUSDT, ETHUSDT): write one file for each"
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            read_candles_or_trades(path)

    @pytest.mark.parametrize("index", [pa.int8(), pa.uint8(), pa.uint32()], ids=str)
    def test_several_markets_in_a_dictionary(self, tmp_path: Path, index: pa.DataType) -> None:
        """As polars and duckdb write categories."""
        for markets in (["BTC", "BTC"], ["BTC", "ETH"]):
            coded = pa.DictionaryArray.from_arrays(pa.array([0, len(set(markets)) - 1], index), pa.array(markets))
            pa_feather.write_feather(pa.table({**columns(), "symbol": coded}), tmp_path / "a.feather")
            if len(set(markets)) == 1:
                assert read_candles_or_trades(tmp_path / "a.feather")[0] == "trades"
            else:
                with pytest.raises(ValueError, match=r"column 'symbol' holds several markets \(BTC, ETH\)"):
                    read_candles_or_trades(tmp_path / "a.feather")


class TestTrades:
    @pytest.mark.parametrize(
        "trades",
        [
            columns(),
            pa.table(columns()),
            pa.concat_tables([pa.table(columns()).slice(0, 1), pa.table(columns()).slice(1)]),
            pd.DataFrame(columns()),
            pd.DataFrame(columns()).convert_dtypes(),
            [dict(zip(columns(), row, strict=True)) for row in zip(*columns().values(), strict=True)],
            TRADES,
            named(time="timestamp", price="px", size="sz"),
            named(time="TS", size="Amount", price="PRICE"),
            named(time="transact_time", size="qty"),
            named(size="quantity", side="type"),
            {**columns(), "date": ["x", "y"], "type": [None, None], "t": [1, 2]},
            {"E": [1, 2], "T": columns()["time"], "t": [7, 8], "p": ["100.5", "100.6"], "q": ["0.1", "0.2"]}
            | {"m": [True, False], "M": [True, True]},
            columns(price=["100.5", "100.6"], size=["0.1", "0.2"]),
            columns(price=pa.array(["100.5", "100.6"]).dictionary_encode()),
            columns(time=[START / 1000, START / 1000 + 0.001]),
            columns(time=[START * 1000 + 5, START * 1000 + 1005]),
            columns(time=[START * 10**6, START * 10**6 + 1_500_000]),
            columns(time=[str(START), str(START + 1)]),
            columns(time=["2023-01-01T00:00:00Z", "2023-01-01T00:00:00.001999+00:00"]),
            columns(time=["2023-01-01", "2023-01-01 00:00:00.001"]),
            columns(time=pa.array([START, START + 1], pa.timestamp("ms"))),
            columns(time=pa.array([START * 1000, START * 1000 + 1001], pa.timestamp("us", "UTC"))),
        ],
    )
    def test_shapes(self, trades: object) -> None:
        out = trades_from_table(trades)
        assert out.dtype == TRADE
        assert out.tobytes() == TRADES.tobytes()

    @pytest.mark.parametrize(
        "sides",
        [
            {"side": ["A", "B"]},
            {"side": ["a", "b"]},
            {"side": ["S", "B"]},
            {"side": ["Sell", "BUY"]},
            {"side": ["ask", "bid"]},
            {"side": [-1, 1]},
            {"side": [-1.0, 1.0]},
            {"side": ["-1", "+1"]},
            {"side": pa.array(["sell", "buy"]).dictionary_encode()},
            {"is_buyer_maker": [True, False]},
            {"isBuyerMaker": [True, False]},
            {"m": [1, 0]},
            {"is_buyer_maker": ["true", "False"]},
        ],
    )
    def test_sides_are_the_aggressors(self, sides: dict[str, object]) -> None:
        trades = {name: values for name, values in columns().items() if name != "side"} | sides
        assert trades_from_table(trades)["side"].tolist() == [-1, 1]

    def test_sort_keeps_the_order_of_equal_times(self) -> None:
        trades = columns(time=[START + 1, START, START + 1, START], price=[1.0, 2.0, 3.0, 4.0])
        trades |= {"size": [1.0] * 4, "side": [1] * 4}
        with pytest.raises(ValueError, match="goes back"):
            trades_from_table(trades)
        out = trades_from_table(trades, sort=True)
        assert out["price"].tolist() == [2.0, 4.0, 1.0, 3.0]
        assert trades["price"] == [1.0, 2.0, 3.0, 4.0]

    def test_equal_times_are_allowed(self) -> None:
        assert len(trades_from_table(columns(time=[START, START]))) == 2

    @pytest.mark.parametrize(
        ("trades", "error", "message"),
        [
            *(
                (
                    columns(**{field: [1.0, value]}),
                    ValueError,
                    f"row 1 (2023-01-01T00:00:00.001 UTC), {field}: found {value}, allowed a finite number above 0",
                )
                for field in ("price", "size")
                for value in (0.0, -2.5, np.nan, np.inf)
            ),
            (
                columns(price=[None, None]),
                ValueError,
                "row 0 (2023-01-01T00:00:00 UTC), price: found nan, allowed a fin",
            ),
            (columns(price=["1", "x"]), TypeError, "row 1, price: found 'x', allowed a number"),
            (columns(size=[True, True]), TypeError, "size must be numbers, got a column of bool"),
            (
                columns(side=["buy", "unknown"]),
                ValueError,
                "row 1, side (column 'side'): found 'unknown', allowed A, B, buy, sell, b, s, bid, ask, +1 or -1",
            ),
            (columns(side=["buy", None]), ValueError, "row 1, side (column 'side'): found None, allowed A, B"),
            (columns(side=[None, None]), ValueError, "row 0, side: found None, allowed A, B, buy, sell"),
            (columns(side=[0, 1]), ValueError, "row 0, side (column 'side'): found 0, allowed A, B, buy, sell"),
            (columns(side=[True, False]), TypeError, "side must be A, B, buy, sell"),
            (
                {"time": [START], "price": [1.0], "size": [1.0], "m": ["maker"]},
                ValueError,
                "row 0, side (column 'm'): found 'maker', allowed true or false",
            ),
            (
                columns(time=[START + 1, START]),
                ValueError,
                "row 1 (2023-01-01T00:00:00 UTC), time: found a time that goes back to 2023-01-01T00:00:00 UTC, "
                "allowed not before row 0 (2023-01-01T00:00:00.001 UTC)",
            ),
            (columns(time=[START, None]), ValueError, "row 1, time: found None, allowed a time from 1973-03-03 on"),
            (
                columns(time=[START, 7]),
                ValueError,
                "row 1, time: found 7, allowed a time from 1973-03-03 on in s [1e8,",
            ),
            (columns(time=[START, START // 1000]), ValueError, "allowed ms, as in row 0: this is a time in s"),
            (
                columns(time=["2023-01-01", "noon"]),
                ValueError,
                "row 1, time: found 'noon', allowed a datetime, a number or ISO 8601 text",
            ),
            (
                columns(time=["2023-01-01", "2023-01-01T00:00:00Z"]),
                ValueError,
                "time: found text with and without a zone",
            ),
            (
                columns(time=[True, True]),
                TypeError,
                "time must be numbers, timestamps or ISO text, got a column of bool",
            ),
            (
                columns(time=pa.array([1, 2], pa.timestamp("ms"))),
                ValueError,
                "row 0, time: found 1, allowed ms since the epoch, from 1973-03-03 on [1e11, 1e14)",
            ),
            (
                named(price="worth"),
                ValueError,
                "missing column for price: found 'time', 'worth', 'size', 'side'; "
                "accepted names (any case): price, px, p",
            ),
            ({**columns(), "Price": [1, 2]}, ValueError, "columns 'price' and 'Price' both mean price: keep one"),
            ({**columns(), "qty": [1, 2]}, ValueError, "columns 'size' and 'qty' both mean size: keep one"),
            (columns(time=[], price=[], size=[], side=[]), ValueError, "no trades: the table has no rows"),
            (TRADES[:0], ValueError, "no trades: the table has no rows"),
            ("trades.csv", TypeError, "expected rows with names, columns or a table, got str"),
            ([1, 2], TypeError, "row 0: found 1, allowed a mapping"),
            (columns(price=[1.0, "x"]), TypeError, "row 1, price: found 'x', allowed one type throughout"),
            (np.zeros(3), TypeError, "row 0: found np.float64(0.0), allowed a mapping"),
            (
                np.array([(START // 1000, 1.0, 1.0, 1)], TRADE),
                ValueError,
                "found 1672531200, allowed ms .*seconds where",
            ),
            (np.array([(START, 1.0, 1.0, 0)], TRADE), ValueError, "side: found 0, allowed +1 or -1"),
        ],
    )
    def test_errors(self, trades: object, error: type[Exception], message: str) -> None:
        pattern = ".*".join(map(re.escape, message.split(".*")))
        for sort in (False, True):
            if sort and "goes back" in message:
                continue
            with pytest.raises(error, match=pattern):
                trades_from_table(trades, sort=sort)


NEITHER = "neither candles (time, open, high, low, close, volume) nor trades (time, price, size, side): found columns "


class TestBadFiles:
    @pytest.mark.parametrize(
        ("name", "content", "reason"),
        [
            ("a.csv", b"", "the file is empty"),
            ("a.parquet", b"", "the file is empty"),
            ("a.csv", "\n\n", NEITHER + "''"),
            ("a.csv", "time,open,high,low,close,volume\n", "holds no rows, only the names of 6 columns"),
            ("a.csv", "alpha,beta\n1,2\n", NEITHER + "'alpha', 'beta'"),
            ("a.csv", "alpha;beta\n1;2\n", NEITHER + "'alpha', 'beta', parted by semicolons"),
            ("a.csv", "1,2,3,4,5\n", "found rows of 5 values (1, 2, 3, 4, 5) in no order that is known"),
            ("a.csv", csv()[:-15], "cannot be read: CSV parse error: Expected 6 columns, got"),
            ("a.csv", csv().replace("\n", ",\n", 3), "cannot be read: CSV parse error: Expected 7 columns, got 6"),
            ("a.csv", np.random.default_rng(0).bytes(500), "a .csv file must hold text, found something unknown"),
            ("a.csv", b"time,open\0\0", "a .csv file must hold text, found something unknown"),
            ("a.csv", gzip.compress(csv().encode()), "a .csv file must hold text, found gzip"),
            ("a.csv", b"PK\x03\x04rest", "a .csv file must hold text, found a zip archive"),
            ("a.csv", b"a" * 5000 + b"\xff\xff\n", "cannot be read: not text"),
            ("a.csv.gz", csv(), "a .csv.gz file must hold gzip, found text"),
            ("a.csv.gz", gzip.compress(csv().encode())[:-200], "cannot be read: Truncated compressed stream"),
            ("a.csv.gz", b"\x1f\x8bnonsense", "cannot be read: "),
            ("a.parquet", csv(), "a .parquet file must hold parquet, found text"),
            (
                "a.parquet",
                np.random.default_rng(0).bytes(500),
                "a .parquet file must hold parquet, found something unknown",
            ),
            ("a.parquet", b"PAR1", "cannot be read: Parquet file size is 4 bytes"),
            ("a.feather", b"ARROW1\0\0rest", "cannot be read: "),
            ("a.feather", b"FEA1rest", "a .feather file must hold feather, found feather of version 1"),
            ("a.feather", b"PAR1rest", "a .feather file must hold feather, found parquet"),
            ("a.txt", csv(), "its name must end with one of .csv, .csv.gz, .parquet, .feather"),
            ("a", csv(), "its name must end with one of .csv, .csv.gz, .parquet, .feather"),
        ],
    )
    def test_content(self, tmp_path: Path, name: str, content: str | bytes, reason: str) -> None:
        path = put(tmp_path / name, content)
        with pytest.raises(ValueError, match=f"^{re.escape(f'{path}: {reason}')}") as caught:
            read_candles_or_trades(path)
        assert "\n" not in str(caught.value)

    @pytest.mark.parametrize(
        ("name", "write"),
        [
            ("a.parquet", lambda path: candles().to_parquet(path)),
            ("a.feather", lambda path: candles().to_feather(path)),
        ],
    )
    @pytest.mark.parametrize("kept", [0.5, 0.99])
    def test_cut_short(self, tmp_path: Path, name: str, write: Callable[[str], None], kept: float) -> None:
        content = arrow_bytes(write, tmp_path, name)
        path = put(tmp_path / name, content[: int(kept * len(content))])
        with pytest.raises(ValueError, match=f"^{re.escape(str(path))}: cannot be read: "):
            read_candles_or_trades(path)

    @pytest.mark.parametrize("name", ["a.parquet", "a.feather"])
    def test_neither(self, tmp_path: Path, name: str) -> None:
        frame = pd.DataFrame({"alpha": [1], "beta": [2]})
        getattr(frame, "to_parquet" if name.endswith("parquet") else "to_feather")(tmp_path / name)
        with pytest.raises(ValueError, match=re.escape(f"{tmp_path / name}: {NEITHER}'alpha', 'beta'")):
            read_candles_or_trades(tmp_path / name)

    def test_missing_file_and_folder(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match=r"none\.csv: cannot be read: No such file or directory$"):
            read_candles_or_trades(tmp_path / "none.csv")
        (tmp_path / "folder.csv").mkdir()
        with pytest.raises(ValueError, match=r"folder\.csv: cannot be read: "):
            read_candles_or_trades(tmp_path / "folder.csv")


def test_pandas_is_not_imported() -> None:
    code = "import sys, liquidator_integrations.market.files; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ("1569888000000,0,1\n1569891600000,,1", "row 1 (2019-10-01T01:00:00 UTC), liq_long_usd: found nan, allowed"),
        ("1569888000000,0,inf", "row 0 (2019-10-01T00:00:00 UTC), liq_short_usd: found inf, allowed a finite number"),
        ("1569888000000,0,1\n1569888000000,0,1", "row 1 (2019-10-01T00:00:00 UTC), time: found a time that repeats"),
        ("1569891600000,0,1\n1569888000000,0,1", "row 1 (2019-10-01T00:00:00 UTC), time: found a time that goes back"),
        (",0,1", "row 0, time: found None"),
        ("1569888000000,0,much", "row 0, liq_short_usd: found 'much', allowed a number"),
    ],
)
def test_liquidations_with_a_mistake(tmp_path, rows, says):
    path = tmp_path / "observed.csv"
    path.write_text(f"time,longUsd,short_usd\n{rows}\n")
    with pytest.raises((ValueError, TypeError), match=re.escape(f"{path}: {says}")):
        read_liquidations(path)


@pytest.mark.parametrize("time", ["1569888000000", "1569888000", "2019-10-01T00:00:00Z"])
def test_liquidations(tmp_path, time):
    path = tmp_path / "observed.csv"
    path.write_text(f"shortUsd,ts,liq_long_usd\n2,{time},1\n")
    times, usd = read_liquidations(path)
    assert times.tolist() == [1_569_888_000_000]
    assert usd.tolist() == [[1.0], [2.0]]
