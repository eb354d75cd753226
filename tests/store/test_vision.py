"""Files of Binance Vision: what is right is kept, and of planted defects none goes unreported."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from venue_tape import MINUTE
from vision_files import (
    AGG_DEFECTS,
    DAY,
    HEAD,
    START,
    agg_file,
    agg_lines,
    day_of,
    kline_lines,
    metric_lines,
    write,
    zipped,
)

from liquidator_integrations.store import Store, vision

pytest.importorskip("filelock")
FOLDER = "data/futures/um/daily/aggTrades/BTCUSDT"
NAME = "BTCUSDT-aggTrades-2025-06-02.zip"


@pytest.mark.parametrize("defect", AGG_DEFECTS.values(), ids=AGG_DEFECTS)
def test_no_defect_goes_unreported(tmp_path, defect):
    path = write(tmp_path / FOLDER, NAME, *agg_file(defect))
    store = Store(tmp_path / "store")
    if not defect.kept:
        with pytest.raises(ValueError, match=defect.said):
            store.import_(path)
        assert list(store.places()) == []
        return
    (row,) = store.import_(path).itertuples()
    assert defect.said in row.problem
    assert row.kept == row.rows == len(store.read("trades", "BTC"))
    assert len(store.check()) == ("missing" in defect.said)


@pytest.mark.parametrize("head", [True, False])
def test_trades_with_and_without_a_header(tmp_path, head):
    tape = day_of()
    data = zipped(NAME[:-4], agg_lines(tape), HEAD["aggTrades"] if head else None)
    write(tmp_path / FOLDER, NAME, data)
    store = Store(tmp_path / "store")
    assert store.import_(tmp_path / "data")["problem"].tolist() == [""]
    table = store.read("trades", "BTC-USDT")
    assert table["id"].to_pylist() == [str(one) for one in tape.id]
    assert np.array_equal(table["time"].to_numpy(), tape.time)
    assert np.array_equal(np.array(table["side"].to_pylist()) == "sell", tape.sell)
    assert table["symbol"][0].as_py() == "BTC/USDT:USDT"


def test_days_prove_each_other_by_their_ids(tmp_path):
    tape = day_of(days=2, trades=4000)
    store = Store(tmp_path / "store")
    for day, name in enumerate(("2025-06-02", "2025-06-03")):
        stem = f"BTCUSDT-aggTrades-{name}"
        rows = (tape.time >= START + day * DAY) & (tape.time < START + (day + 1) * DAY)
        write(tmp_path / FOLDER, f"{stem}.zip", *agg_file(tape=tape.only(rows), stem=stem))
    store.import_(tmp_path / "data")
    assert store.coverage()["status"].tolist() == ["unproven", "unproven"]  # its first and its last hours
    assert store.coverage()["proof"].tolist() == ["none", "none"]
    assert len(store.gaps()) == 0


@pytest.mark.parametrize(
    ("market", "since", "unit"), [("spot", START, 1000), ("spot", START, 1), ("futures/um", START, 1)]
)
def test_klines_in_both_units(tmp_path, market, since, unit):
    lines = kline_lines(day_of(), unit=unit)
    folder = tmp_path / f"data/{market}/daily/klines/BTCUSDT/1m"
    write(folder, "BTCUSDT-1m-2025-06-02.zip", zipped("BTCUSDT-1m-2025-06-02", lines, None))
    store = Store(tmp_path / "store")
    (row,) = store.import_(tmp_path / "data").itertuples()
    table = store.read("candles", "BTC")
    assert table["time"].to_numpy()[-1] == START + DAY - MINUTE
    assert row.problem == ("" if len(lines) == 1440 else f"{1440 - len(lines)} candles are missing")
    assert set(store.coverage()["proof"]) == {"count"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:100] + lines[200:], "103 candles are missing"),  # the first trade comes after 3 minutes
        (lambda lines: [*lines, lines[-1]], "1 candles repeat"),
        (lambda lines: [lines[0].replace(lines[0].split(",")[3], "1e9"), *lines[1:]], "high or low is none"),
        (lambda lines: [line.replace("0000,", "7000,", 1) for line in lines], "open_time is none"),
    ],
)
def test_defects_of_klines(tmp_path, change, said):
    lines = change([line for line in kline_lines(day_of()) if line])
    folder = tmp_path / "data/futures/um/daily/klines/BTCUSDT/1m"
    path = write(folder, "BTCUSDT-1m-2025-06-02.zip", zipped("BTCUSDT-1m-2025-06-02", lines, HEAD["1m"]))
    store = Store(tmp_path / "store")
    try:
        problem = store.import_(path)["problem"][0]
    except ValueError as error:
        problem = str(error)
    assert said in problem


def test_metrics_and_funding(tmp_path):
    folder = tmp_path / "data/futures/um/daily/metrics/BTCUSDT"
    stem = "BTCUSDT-metrics-2025-06-02"
    write(folder, f"{stem}.zip", zipped(stem, metric_lines(), HEAD["metrics"]))
    stem = "BTCUSDT-fundingRate-2025-06"
    rates = [f"{START + n * 8 * 3_600_000 + 3},8,0.0001" for n in range(9)]
    write(
        tmp_path / "data/futures/um/monthly/fundingRate/BTCUSDT",
        f"{stem}.zip",
        zipped(stem, rates, HEAD["fundingRate"]),
    )
    store = Store(tmp_path / "store")
    assert store.import_(tmp_path / "data")["problem"].tolist() == ["", ""]
    table = store.read("open_interest", "BTC")
    assert table["open_interest"].to_pylist()[:2] == [80_000.0, 80_001.0]
    assert table["time"][0].as_py() == START + 300_000
    assert store.read("funding", "BTC")["funding_rate"].to_pylist() == [0.0001] * 9


@pytest.mark.parametrize(("symbol", "dollars"), [("BTCUSD_PERP", 100), ("ETHUSD_PERP", 10), ("1INCHUSD_PERP", 10)])
def test_coin_margined_files_count_contracts(tmp_path, symbol, dollars):
    tape, rng = day_of(), np.random.default_rng(5)
    contracts = rng.integers(1, 500, len(tape))
    lines = [
        ",".join([*line.split(",")[:2], str(count), *line.split(",")[3:]])
        for line, count in zip(agg_lines(tape), contracts.tolist(), strict=True)
    ]
    stem, folder = f"{symbol}-aggTrades-2025-06-02", tmp_path / "data/futures/cm/daily"
    write(folder / "aggTrades" / symbol, f"{stem}.zip", zipped(stem, lines, HEAD["aggTrades"]))
    stem = f"{symbol}-metrics-2025-06-02"
    write(folder / "metrics" / symbol, f"{stem}.zip", zipped(stem, metric_lines(), HEAD["metrics"]))
    store = Store(tmp_path / "store")
    assert store.import_(tmp_path / "data")["problem"].tolist() == ["", ""]
    coin = symbol.removesuffix("USD_PERP")
    table = store.read("trades", coin)
    assert table["symbol"][0].as_py() == f"{coin}/USD:{coin}"
    assert table["usd"].to_pylist() == (contracts * float(dollars)).tolist()
    assert table["size"].to_pylist() == (contracts * float(dollars) / tape.price).tolist()
    readings = store.read("open_interest", coin)
    assert readings["usd"][0].as_py() == 80_000.0 * dollars
    assert readings["open_interest"][0].as_py() == 80_000 * 60_000  # coins, as the file has them


def test_coin_margined_contracts_that_are_not_known_or_that_end(tmp_path):
    folder = tmp_path / "data/futures/cm/daily/aggTrades"
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=r"2\.zip: counts contracts, and its name does not say how large one is"):
        store.import_(write(folder, "BTC-aggTrades-2025-06-02.zip", b"x"), symbol="BTC/USD:BTC")
    stem = "BTCUSD_250627-aggTrades-2025-06-02"
    path = write(folder, f"{stem}.zip", zipped(stem, agg_lines(day_of()), HEAD["aggTrades"]))
    with pytest.raises(ValueError, match="is of a contract that ends: say symbol, such as BTC/USD:BTC-250627"):
        store.import_(path)
    store.import_(path, symbol="BTC/USD:BTC-250627")
    assert store.read("trades", "BTC/USD:BTC-250627")["usd"][0].as_py() == day_of().size[0] * 100


def test_a_file_without_its_folder_does_not_say_its_market(tmp_path):
    path = write(tmp_path, NAME, *agg_file())
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=r"say symbol='BTC/USDT' \(spot\) or 'BTC/USDT:USDT' \(perpetual\)"):
        store.import_(path)
    assert store.import_(path, symbol="BTC/USDT:USDT")["kept"].tolist() == [3000]
    with pytest.raises(ValueError, match="found bookTicker, allowed klines, aggTrades, trades, metrics, fundingRate"):
        store.import_(write(tmp_path, "BTCUSDT-bookTicker-2025-06-02.zip", b"x"))


@pytest.mark.parametrize("head", ["id,price,qty,quote_qty,time,is_buyer_maker,is_best_match", None])
def test_single_trades_are_a_kind_of_their_own(tmp_path, head):
    tape, stem = day_of(), "BTCUSDT-trades-2025-06-02"
    rows = zip(tape.id.tolist(), tape.price.tolist(), tape.size.tolist(), tape.time.tolist(), tape.sell, strict=True)
    lines = [
        f"{one},{price},{size},{price * size},{time}000,{bool(sell)},True" for one, price, size, time, sell in rows
    ]
    write(tmp_path / "data/spot/daily/trades/BTCUSDT", f"{stem}.zip", zipped(stem, lines[:400] + lines[420:], head))
    store = Store(tmp_path / "store")
    assert store.import_(tmp_path / "data")["problem"].tolist() == ["20 trades are missing, the first after id 1000400"]
    assert len(store.read("trades-single", "BTC")) == len(store.read("trades", "BTC")) == 2980
    assert store.gaps()["missing"].tolist() == [20.0]
    write(tmp_path / FOLDER, NAME, *agg_file())
    store.import_(tmp_path / FOLDER / NAME, symbol="BTC/USDT")
    assert [place.kind for place in store.places()] == ["trades", "trades-single"]
    assert len(store.read("trades", "BTC")) == 3000


def test_a_size_that_is_declared_too_small_is_no_way_around():
    data = bytearray(zipped("x", ["0" * 50_000_000], None))
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = (1000).to_bytes(4, "little")
    tracemalloc.start()
    try:
        with pytest.raises(vision.Untrusted, match="is no whole archive: Bad CRC-32"):
            vision.unzipped(bytes(data), "x.csv")
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_packing_that_cannot_be_cut_off_is_refused(method):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as made:
        made.writestr("x.csv", "1,2,3")
    with pytest.raises(vision.Untrusted, match=f"is packed by method {method}, allowed stored and deflated"):
        vision.unzipped(out.getvalue(), "x.csv")
