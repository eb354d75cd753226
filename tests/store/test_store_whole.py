"""The object Store: in and out, what it proves, what it refuses; killed, crowded, compacted twice."""

from __future__ import annotations

import gzip
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather as pa_feather
import pyarrow.parquet as pq
import pytest
from kept_tables import DAY, SYMBOL, candle_table, kept, tape_table
from venue_tape import HOUR, MINUTE, Tape, make

from liquidator_core.timeframes import to_timeframe
from liquidator_integrations import Liquidator
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.live import replay
from liquidator_integrations.store import Store, exports, parquet
from liquidator_integrations.store.kinds import key_of, table_of
from liquidator_integrations.store.layout import DAY_MS, Span, folder

pytest.importorskip("filelock")
FUNDED = {"time": [DAY], "funding_rate": [1e-4]}


# Reading --------------------------------------------------------------------------------------------------------------


def test_rows_come_back_with_the_time_of_writing(traded):
    store, tape = traded
    table = store.read("trades", "BTC")
    assert table["id"].to_pylist() == [str(one) for one in tape.id]
    assert set(table["written"].to_pylist()) == {1}
    assert table.schema.metadata[b"liquidator"] == b"normalised"
    part = store.read("trades", SYMBOL, "binance", "2025-06-02", DAY + 2 * DAY_MS)["time"].to_numpy()
    assert np.array_equal(part, tape.time[(tape.time >= DAY + DAY_MS) & (tape.time < DAY + 2 * DAY_MS)])
    assert len(store.read("trades", "BTC", since=DAY + 9 * DAY_MS)) == 0


def test_a_month_is_read_whole_beside_parts_of_its_days(store):
    since, until = DAY + 23 * HOUR, DAY + 30 * DAY_MS  # an hour of the first day, and of the second
    hours = np.r_[since, DAY + 2 * DAY_MS - HOUR, np.arange(DAY + 2 * DAY_MS, until, HOUR)]
    rows = [candle_table(int(first), 1, HOUR) for first in hours]
    kept(store, "candles-1h", rows[0], "count", since, DAY + DAY_MS)
    kept(store, "candles-1h", rows[1], "count", DAY + 2 * DAY_MS - HOUR, DAY + 2 * DAY_MS)
    kept(store, "candles-1h", pa.concat_tables(rows[2:]), "count", DAY + 2 * DAY_MS, until)
    days = len(store.coverage())
    assert [path.stem for path in store.compact()] == ["2025-06"]
    assert np.array_equal(store.read("candles", "BTC")["time"].to_numpy(), hours)
    assert len(store.coverage()) == days == 30


@pytest.mark.parametrize("symbol", ["BTC", "btcusdt", "BTC-USD", "BTC/USDT:USDT", "BTC-PERP", "XBT"])
def test_symbols_as_people_write_them(traded, symbol):
    assert len(traded[0].read("trades", symbol, "binance-futures")) == 4000


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trades", "ETH"), "symbol: found 'ETH', which is none that is kept; there is BTC/USDT:USDT of binance"),
        (("trades", "BTC/USDT"), "none that is kept"),
        (("trades", "BTC", "okx"), "found 'BTC' of 'okx'"),
        (("ticks", "BTC"), "kind: found 'ticks', allowed candles, trades"),
        (("funding", "BTC"), "kind: found 'funding', allowed trades: what is kept of BTC/USDT:USDT"),
        (("trades", "BTC", None, 2 * DAY, DAY), "since: found 2080.*, allowed a time up to until, 2025"),
    ],
)
def test_what_it_does_not_hold_is_told(traded, words, said):
    with pytest.raises(ValueError, match=said):
        traded[0].read(*words)


def test_two_markets_of_a_coin_must_be_told_apart(traded):
    store, tape = traded
    place = folder(store.path, "okx", "BTC/USDT", "trades")
    parquet.add(place, tape_table(tape), [Span(DAY, DAY + DAY_MS, "none")], key_of("trades"))
    with pytest.raises(ValueError, match="which is several: say symbol and venue; there is"):
        store.read("trades", "BTC")
    assert store.read("trades", "BTC", "okx")["symbol"][0].as_py() == "BTC/USDT:USDT"  # as it was written


def test_zones_from_the_store_are_those_of_the_trades_themselves(traded):
    store, tape = traded
    one, two = Liquidator("BTC", cutoff_hours=None), Liquidator("BTC", cutoff_hours=None)
    one.ingest_trades(tape_table(tape).replace_schema_metadata({"liquidator": "normalised"}))
    two.ingest_trades(store.read("trades", "BTC"))
    assert one.bars().tobytes() == two.bars().tobytes()
    pd.testing.assert_frame_equal(one.compute_zones(), two.compute_zones(), check_exact=True)
    store.compact()
    three = Liquidator("BTC", cutoff_hours=None)
    three.ingest_trades(store.read("trades", "BTC"))
    assert three.bars().tobytes() == one.bars().tobytes()


# Candles --------------------------------------------------------------------------------------------------------------


def test_longer_candles_are_made_of_shorter_ones(store):
    table = candle_table(DAY, 3000)
    kept(store, "candles-1m", table, "count", DAY, DAY + 3000 * MINUTE)
    assert store.candles("BTC", "1m")["close"].equals(table["close"])
    wanted = to_timeframe(bars_from_frame(table), "1h")
    made = store.candles("BTC", "1h")
    for name in ("time", "open", "high", "low", "close", "volume"):
        assert np.array_equal(made[name].to_numpy(), wanted[name]), name
    with pytest.raises(ValueError, match="timeframe must be one of"):
        store.candles("BTC", "7m")


def test_a_candle_that_a_gap_touches_is_left_out(store):
    table = candle_table(DAY, 600)
    kept(store, "candles-1m", table.slice(0, 120), "count", DAY, DAY + 2 * HOUR)
    kept(store, "candles-1m", table.slice(250), "count", DAY + 250 * MINUTE, DAY + 10 * HOUR)
    hours = (store.candles("BTC", "1h")["time"].to_numpy() - DAY) // HOUR
    assert hours.tolist() == [0, 1, 5, 6, 7, 8, 9]
    assert store.gaps()[["since", "until"]].values.tolist() == [[DAY + 119 * MINUTE, DAY + 250 * MINUTE]]


def test_candles_are_made_of_trades_where_there_are_no_others(traded):
    store, tape = traded
    made = store.candles("BTC", "1h")
    wanted = tape.candles(DAY, DAY + 3 * DAY_MS, HOUR, flat=True)
    assert made["time"].to_pylist() == [time for time, _ in wanted]
    assert made["close"].to_pylist() == [row[3] for _, row in wanted]


# Coverage and check ---------------------------------------------------------------------------------------------------


def test_what_is_there_and_what_is_missing(traded):
    store, tape = traded
    assert store.coverage()["status"].tolist() == ["complete"] * 3
    assert store.coverage()["got"].sum() == 4000
    assert len(store.gaps()) == len(store.check()) == 0
    other = Store(store.path.parent / "other")
    holed = tape_table(tape).filter(pa.array((tape.id < tape.id[1000]) | (tape.id >= tape.id[1050])))
    kept(other, "trades", holed, "ids", DAY, DAY + 3 * DAY_MS)
    (gap,) = other.gaps().itertuples()
    assert gap.missing == 50
    (issue,) = other.check().itertuples()
    assert issue.problem == "50 rows are missing"
    assert (issue.since, issue.until) == (gap.since, gap.until)


def test_an_empty_store_has_nothing_and_lacks_nothing(store):
    assert len(store.coverage()) == len(store.gaps()) == len(store.check()) == 0
    assert store.compact() == []


def test_broken_files_are_found(traded):
    store, _ = traded
    first, second, third = parquet.files(next(store.places()).path)
    first.write_bytes(first.read_bytes()[:500])
    table = pq.read_table(second)
    parquet.write(second, pa.concat_tables([table, table]).replace_schema_metadata(table.schema.metadata))
    table = pq.read_table(third)
    prices = pa.array(-table["price"].to_numpy())
    parquet.write(third, table.set_column(1, "price", prices))
    problems = store.check()["problem"].tolist()
    assert "cannot be read" in problems[0]
    assert problems[1] == "has rows that repeat, or out of order"
    assert problems[2].startswith("price: found -")


# Import ---------------------------------------------------------------------------------------------------------------


def tardis_csv(tape: Tape, path: Path, kind: str = "trades") -> Path:
    lines = ["exchange,symbol,timestamp,local_timestamp,id,side,price,amount"]
    for time, id_, price, size, sell in zip(tape.time, tape.id, tape.price, tape.size, tape.sell, strict=True):
        side = "sell" if sell else "buy"
        lines.append(f"binance-futures,BTCUSDT,{time}123,{time + 25}000,{id_},{side},{price},{size}")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    return path


def test_tardis(store, tmp_path):
    tape = make(500, hours=20, start=DAY, hole=False)
    path = tardis_csv(tape, tmp_path / "binance-futures_trades_2025-06-01_BTCUSDT.csv.gz")
    (row,) = store.import_(path).itertuples()
    assert (row.venue, row.symbol, row.kind, row.kept) == ("binance", SYMBOL, "trades", 500)
    table = store.read("trades", "BTC")
    assert np.array_equal(table["received"].to_numpy(), tape.time + 25)
    assert np.array_equal(table["time"].to_numpy(), tape.time)
    assert store.coverage()["status"].tolist() == ["unproven"]
    assert store.import_(path)["kept"].tolist() == [0]  # what is covered is not kept again
    with pytest.raises(ValueError, match="row 0: found a time of 2025-06-01"):
        store.import_(path.rename(tmp_path / "binance-futures_trades_2025-06-02_BTCUSDT.csv.gz"))
    with pytest.raises(ValueError, match="of tardis trades and liquidations are kept, found quotes"):
        store.import_(tardis_csv(tape, tmp_path / "binance-futures_quotes_2025-06-01_BTCUSDT.csv.gz"))


def test_tardis_liquidations_are_no_trades(store, tmp_path):
    tape = make(50, hours=20, start=DAY, hole=False)
    store.import_(tardis_csv(tape, tmp_path / "binance-futures_liquidations_2025-06-01_BTCUSDT.csv.gz"))
    table = store.read("liquidations", "BTC")
    assert table["side"].to_pylist() == ["long" if sell else "short" for sell in tape.sell]
    assert np.allclose(table["usd"].to_numpy(), tape.size * tape.price)


def test_cryptofeed(store, tmp_path):
    tape = make(200, hours=3, start=DAY, hole=False)
    columns = {"exchange": ["OKX"] * 200, "symbol": ["BTC-USDT-PERP"] * 200, "price": tape.price, "amount": tape.size}
    columns |= {"side": np.where(tape.sell, "sell", "buy"), "id": [f"t{one}" for one in tape.id]}
    columns |= {"timestamp": tape.time / 1000, "receipt_timestamp": tape.time / 1000 + 0.5}
    pq.write_table(pa.table({**columns, "base_size": tape.size}), tmp_path / "capture.parquet")
    store.import_(tmp_path / "capture.parquet")
    table = store.read("trades", "BTC", "okx")
    assert table["id"].to_pylist() == [f"t{one}" for one in tape.id]
    assert np.array_equal(table["received"].to_numpy(), tape.time + 500)


def test_trades_without_ids_are_told_apart_and_once(store, tmp_path):
    rows = {"time": [DAY, DAY, DAY + 1], "price": [1.0, 1.0, 2.0], "size": [3.0, 3.0, 3.0], "side": ["buy"] * 3}
    pq.write_table(pa.table(rows), tmp_path / "mine.parquet")
    for _ in range(2):
        store.import_(tmp_path / "mine.parquet", venue="kraken", symbol="BTC/USD")
    assert store.read("trades", "BTC")["price"].to_pylist() == [1.0, 1.0, 2.0]


def test_candles_with_a_hole(store, tmp_path):
    table = candle_table(DAY, 300)
    holed = pa.concat_tables([table.slice(0, 100), table.slice(110)]).drop_columns(["venue", "symbol"])
    pq.write_table(holed, tmp_path / "mine.parquet")
    store.import_(tmp_path / "mine.parquet", venue="binance", symbol=SYMBOL)
    assert [place.kind for place in store.places()] == ["candles-1m"]
    (gap,) = store.gaps().itertuples()
    assert (gap.since, gap.until) == (DAY + 99 * MINUTE, DAY + 110 * MINUTE)


def test_candles_of_a_venue_that_leaves_some_out_lack_nothing_for_certain(store, tmp_path):
    table = candle_table(DAY, 300)
    holed = pa.concat_tables([table.slice(0, 100), table.slice(110)]).drop_columns(["venue", "symbol"])
    pq.write_table(holed, tmp_path / "mine.parquet")
    store.import_(tmp_path / "mine.parquet", venue="kraken", symbol="BTC/USD")
    assert len(store.check()) == 0
    assert store.coverage()["status"].tolist() == ["unproven"]


def test_a_folder_with_what_cannot_be_kept(store, tmp_path):
    folder_ = tmp_path / "in" / "binance"
    folder_.mkdir(parents=True)
    table = candle_table(DAY, 50)
    pa_feather.write_feather(
        pa.table(
            {"date": table["time"].cast(pa.timestamp("ms", "UTC"))} | {n: table[n] for n in table.column_names[1:6]}
        ),
        folder_ / "BTC_USDT-1m.feather",
    )
    pq.write_table(pa.table({"a": [1]}), folder_ / "other.parquet")
    (folder_ / "notes.txt").write_text("mine")
    done = store.import_(tmp_path / "in")
    assert done["kept"].tolist() == [50, 0]
    assert "nothing says which exchange" in done["problem"][1]
    assert next(store.places())[:3] == ("binance", "BTC/USDT", "candles-1m")
    with pytest.raises(FileNotFoundError, match="there is no such file or folder"):
        store.import_(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"venue": "binance"}, "nothing says which market it is of: say symbol"),
        ({"symbol": SYMBOL}, "nothing says which exchange it is of: say venue"),
        ({"venue": "binance", "symbol": "BTCUSDT"}, r"say symbol='BTC/USDT' \(spot\)"),
        ({"venue": "binanse", "symbol": SYMBOL}, "venue: found 'binanse'"),
        ({"kind": "ticks"}, "kind: found 'ticks', allowed candles"),
        ({"kind": "funding", "venue": "binance", "symbol": SYMBOL}, "neither funding_rate nor open_interest"),
    ],
)
def test_what_a_file_does_not_say(store, tmp_path, said, error):
    rows = {"time": [DAY], "price": [1.0], "size": [3.0], "side": ["buy"]}
    pq.write_table(pa.table(rows), tmp_path / "mine.parquet")
    with pytest.raises(ValueError, match=error):
        store.import_(tmp_path / "mine.parquet", **said)
    assert list(store.places()) == []


def test_trades_without_ids_are_all_kept_apart(store, tmp_path):
    """The same trade a second later, and once more in its moment, is no repetition."""
    count = 5000
    rng = np.random.default_rng(3)
    rows = {
        "time": DAY + np.sort(rng.integers(0, 3_600_000, count)),
        "price": 100.0 + rng.integers(0, 3, count),
        "size": 0.5 + rng.integers(0, 2, count),
        "side": np.where(rng.random(count) < 0.5, "buy", "sell"),
    }
    rows["time"][1::2] = rows["time"][::2]
    table = pa.table(rows)
    pq.write_table(table, tmp_path / "mine.parquet")
    for new in (count, 0):
        (done,) = store.import_(tmp_path / "mine.parquet", venue="binance", symbol=SYMBOL).itertuples()
        assert done.kept == new
    direct, stored, played = (Liquidator("BTC", **more) for more in ({}, {}, {"mode": "streaming"}))
    direct.ingest_trades(table.to_pandas(), "binance")
    stored.ingest_trades(store.read("trades", SYMBOL), "binance")
    replay(played, store.path)
    assert direct.bars()["volume"].sum() > 0.97 * rows["size"].sum()  # but for the bar that is open
    assert stored.bars().tobytes() == played.bars().tobytes() == direct.bars().tobytes()


def test_candles_beside_the_grid_are_left_out_and_told(store, tmp_path):
    time = DAY + 60_000 * np.arange(20)
    time[5:9] += 14_000
    table = candle_table(DAY, 20).set_column(0, "time", pa.array(time))
    pq.write_table(table, tmp_path / "mine.parquet")
    (done,) = store.import_(tmp_path / "mine.parquet", venue="binance", symbol=SYMBOL).itertuples()
    assert (done.kept, done.rows) == (16, 16)
    assert re.match(r"row 5: found a candle of .*:05:14.*, allowed the opening of one of 1m; 4 such rows", done.problem)
    assert [(gap.since, gap.until) for gap in store.gaps().itertuples()] == [(DAY + 240_000, DAY + 540_000)]
    pq.write_table(table.slice(5, 4), tmp_path / "mine.parquet")
    with pytest.raises(ValueError, match="row 0: found a candle of"):
        store.import_(tmp_path / "mine.parquet", venue="binance", symbol=SYMBOL)


# Export ---------------------------------------------------------------------------------------------------------------


def test_freqtrade_reads_what_is_written_for_it(traded, tmp_path):
    pytest.importorskip("freqtrade")
    from freqtrade.data.history import get_datahandler
    from freqtrade.enums import CandleType, TradingMode

    store, tape = traded
    table = candle_table(DAY, 1440)
    kept(store, "candles-1m", table, "count", DAY, DAY + DAY_MS)
    rates = table_of(
        "funding", {"time": DAY + np.arange(3) * 8 * HOUR, "funding_rate": [1e-4, 2e-4, 3e-4]}, "binance", SYMBOL
    )
    kept(store, "funding", rates, "none", DAY, DAY + DAY_MS)
    data = tmp_path / "data"
    written = [store.export(kind, "BTC", data) for kind in ("candles-1m", "candles-1h", "trades", "funding")]
    assert [path.relative_to(data).as_posix() for path in written] == [
        "binance/futures/BTC_USDT_USDT-1m-futures.feather",
        "binance/futures/BTC_USDT_USDT-1h-futures.feather",
        "binance/futures/BTC_USDT_USDT-trades.feather",
        "binance/futures/BTC_USDT_USDT-1h-funding_rate.feather",
    ]
    assert store.export("candles", "BTC", data) == written[0]
    handler = get_datahandler(data / "binance", "feather")
    frame = handler.ohlcv_load(SYMBOL, "1m", CandleType.FUTURES)
    assert frame["close"].tolist() == table["close"].to_pylist()
    assert frame["date"].iloc[0] == pd.Timestamp(DAY, unit="ms", tz="UTC")
    trades = handler.trades_load(SYMBOL, TradingMode.FUTURES)
    assert trades["id"].tolist() == [str(one) for one in tape.id]
    again = Store(tmp_path / "again")
    again.import_(data)
    for kind in ("candles-1m", "trades", "funding"):
        one, two = (each.read(kind, "BTC").to_pandas() for each in (again, store))
        for name in set(one.columns) - {"written", "taker_buy"}:  # which freqtrade does not keep
            assert one[name].tolist() == two[name].tolist(), (kind, name)
    assert again.read("candles-1h", "BTC")["close"].equals(store.candles("BTC", "1h")["close"])


def test_backtrader_reads_what_is_written_for_it(store, tmp_path):
    bt = pytest.importorskip("backtrader")
    table = candle_table(DAY, 120)
    kept(store, "candles-1m", table, "count", DAY, DAY + 2 * HOUR)
    path = store.export("candles-1m", "BTC", tmp_path / "btc.csv", to="backtrader")
    feed = bt.feeds.GenericCSVData(dataname=str(path), timeframe=bt.TimeFrame.Minutes)
    cerebro = bt.Cerebro()
    cerebro.adddata(feed)
    cerebro.run()
    assert list(feed.close.array) == table["close"].to_pylist()
    assert bt.num2date(feed.datetime.array[0]) == pd.Timestamp(DAY, unit="ms").to_pydatetime()


@pytest.mark.parametrize("venue", ["../../evil", "..", "a/b", "a\\b", "c:", ""])
def test_a_venue_that_names_no_folder_is_refused(tmp_path, venue):
    with pytest.raises(ValueError, match=r"venue: found .*, allowed letters, digits, _ and -, as it names a folder"):
        exports.to_freqtrade(table_of("funding", FUNDED, venue, SYMBOL), "funding", tmp_path / "data")
    assert list(tmp_path.iterdir()) == []


def test_exports_that_cannot_be(traded, tmp_path):
    store, _ = traded
    with pytest.raises(ValueError, match="to: found 'nautilus', allowed freqtrade, backtrader"):
        store.export("trades", "BTC", tmp_path, to="nautilus")
    with pytest.raises(ValueError, match="kind: found 'trades', allowed for backtrader candles"):
        store.export("trades", "BTC", tmp_path / "x.csv", to="backtrader")
    with pytest.raises(ValueError, match="BTC: no trades between these times"):
        store.export("trades", "BTC", tmp_path, since=DAY + 9 * DAY_MS)


# Query, places, errors ------------------------------------------------------------------------------------------------


def test_sql_sees_every_row_once(traded):
    pytest.importorskip("duckdb")
    store, tape = traded
    sql = "SELECT count(*) AS n, count(DISTINCT id) AS ids, max(price) AS high FROM trades"
    wanted = {"n": [4000], "ids": [4000], "high": [float(tape.price.max())]}
    assert store.query(sql).to_pydict() == wanted
    days = {path: path.read_bytes() for path in parquet.files(next(store.places()).path)}
    store.compact()
    assert store.query(sql).to_pydict() == wanted
    for path, data in days.items():  # as a compaction leaves them that was cut short
        path.write_bytes(data)
    assert store.query(sql).to_pydict() == wanted
    place = next(store.places()).path
    late = tape_table(tape.only(tape.time < DAY + DAY_MS)).slice(0, 1)
    late = late.set_column(late.column_names.index("id"), "id", pa.array(["late"]))  # of another length
    parquet.add(place, late, [Span(DAY, DAY + DAY_MS, "ids")], key_of("trades"))
    assert len({parquet.has_fixed_ids(path) for path in parquet.files(place)}) == 2
    assert store.query("SELECT count(*) AS n FROM trades WHERE id IN ('late', '1000007')").to_pydict() == {"n": [2]}
    with pytest.raises(ValueError, match="query: "):
        store.query("SELECT nothing FROM nowhere")


def liquidation_table(*rows: tuple[int, float]) -> pa.Table:
    """Liquidations of a (time, price) each, of one size."""
    columns: dict[str, Any] = {"time": [time for time, _ in rows], "price": [price for _, price in rows]}
    columns |= {"size": [2.0] * len(rows), "side": ["long"] * len(rows), "usd": [2.0 * price for _, price in rows]}
    return table_of("liquidations", columns, "bybit", SYMBOL)


def test_liquidations_that_are_alike_all_count_and_what_is_told_twice_once(store):
    a, b, c = (DAY + 5, 100.5), (DAY + 5, 99.0), (DAY + 7, 100.5)

    def rows() -> list[tuple[int, float]]:
        table = store.read("liquidations", "BTC")
        assert len(store.check()) == 0
        return list(zip(table["time"].to_pylist(), table["price"].to_pylist(), strict=True))

    def add(*some: tuple[int, float]) -> None:
        kept(store, "liquidations", liquidation_table(*some), "none", DAY, DAY + DAY_MS)

    add(a, b, a)
    assert rows() == [a, b, a]
    add(a, b, a)
    assert rows() == [a, b, a]
    add(a, c, c)
    assert rows() == [a, b, a, c, c]
    day = next(store.places()).path / "2025-06-01.parquet"
    before = day.read_bytes()
    store.compact()
    assert rows() == [a, b, a, c, c]
    add(c, c, c, b)  # beside the month
    assert rows() == [a, b, a, c, c, c]
    pytest.importorskip("duckdb")
    sql = "SELECT count(*) AS n, max(price) AS high FROM liquidations"
    assert store.query(sql).to_pydict() == {"n": [6], "high": [100.5]}
    day.write_bytes(before)  # as a compaction leaves it that was cut short
    assert store.query(sql).to_pydict() == {"n": [5], "high": [100.5]}
    store.compact()
    assert rows() == [a, b, a, c, c]


def test_a_store_is_taken_where_a_folder_is(traded):
    store, _ = traded
    assert Path(store) == store.path
    assert repr(Store(store)) == f"<Store {store.path}>"


def test_the_default_is_the_users_own(monkeypatch, tmp_path):
    pytest.importorskip("platformdirs")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert tmp_path in Store().path.parents


def test_stores_that_are_none(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not a store: the folder is not empty"):
        Store(tmp_path)
    (tmp_path / "layout.json").write_text('{"layout": 9}')
    with pytest.raises(ValueError, match="a store of layout 9, and this version knows 1"):
        Store(tmp_path)
