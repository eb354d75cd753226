"""Kraken's dumps: trades without a side are kept as candles, and no side is made up."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.command import liquidator

from liquidator_core.timeframes import to_timeframe
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.store import Store, kraken

pytest.importorskip("filelock")
START = 1_748_736_000  # 2025-06-01


def trades_of(count: int = 5000, seconds: int = 90_000) -> list[str]:
    rng = np.random.default_rng(3)
    when = START + np.sort(rng.integers(0, seconds, count))
    price = np.round(100_000 * np.exp(np.cumsum(rng.normal(0, 1e-4, count))), 1)
    size = np.round(rng.lognormal(-4, 2, count), 8) + 1e-8
    return [f"{one},{at:.5f},{much:.8f}" for one, at, much in zip(when, price, size, strict=True)]


def dump(folder, lines, name="XBTUSD.csv"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def naive(lines, step):
    """Candles one trade at a time: {open time in ms: [open, high, low, close, volume]}."""
    out = {}
    for line in lines:
        when, price, size = map(float, line.split(","))
        candle = out.setdefault(int(when) // step * step * 1000, [price, price, price, price, 0.0])
        candle[1:4] = max(candle[1], price), min(candle[2], price), price
        candle[4] += size
    return out


@pytest.mark.parametrize("read", [None, 5000])
def test_trades_without_a_side_are_candles(tmp_path, monkeypatch, read):
    if read:
        monkeypatch.setattr(kraken, "_READ", read)  # a candle in two parts of the file is one
    lines = trades_of()
    dump(tmp_path / "Kraken_Trading_History", lines)
    store = Store(tmp_path / "store")
    (row,) = store.import_(tmp_path / "Kraken_Trading_History").itertuples()
    assert (row.venue, row.symbol, row.kind, row.problem) == ("kraken", "BTC/USD", "candles-1m", "")
    assert row.remark == "its trades have no side: kept as candles-1m, of which nothing tells how much was bought"
    table, wanted = store.read("candles", "BTC"), naive(lines, 60)
    assert table["time"].to_pylist() == list(wanted)  # none where nothing was traded
    for place, name in enumerate(("open", "high", "low", "close")):
        assert table[name].to_pylist() == [candle[place] for candle in wanted.values()]
    assert np.allclose(table["volume"], [candle[4] for candle in wanted.values()], rtol=1e-12)
    assert np.isnan(table["taker_buy"]).all()
    assert store.coverage()["proof"].tolist() == ["none", "none"]
    bars = bars_from_frame(table)
    assert np.isnan(bars["taker_buy"]).all()
    hours = store.candles("BTC", "1h")
    assert hours["close"].to_pylist() == to_timeframe(bars, "1h")["close"].tolist()
    assert len(store.check()) == 0


def test_another_timeframe_may_be_said_but_no_trades(tmp_path):
    lines = trades_of()
    path = dump(tmp_path, lines, "mine.csv")
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=r"mine\.csv: nothing says which market it is of: say symbol"):
        store.import_(path, venue="kraken")
    with pytest.raises(ValueError, match="kind: found 'trades', allowed candles-1m and others: no row says who bought"):
        store.import_(path, venue="kraken", symbol="XBTUSD", kind="trades")
    store.import_(path, venue="kraken", symbol="XBTUSD", kind="candles-1h")
    assert store.read("candles-1h", "BTC")["time"].to_pylist() == list(naive(lines, 3600))


def test_kraken_s_candles_say_what_they_are(tmp_path):
    candles = naive(trades_of(), 3600)
    lines = [f"{time // 1000},{','.join(map(str, candle))},7" for time, candle in candles.items()]
    path = dump(tmp_path / "Kraken_OHLCVT", lines, "ETHUSD_60.csv")
    store = Store(tmp_path / "store")
    (row,) = store.import_(path).itertuples()
    assert (row.symbol, row.kind, row.rows, row.remark) == ("ETH/USD", "candles-1h", len(lines), "")
    assert store.read("candles", "ETH")["volume"].to_pylist() == [candle[4] for candle in candles.values()]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: [lines[1], lines[4000], lines[2]], "row 2: time is none, allowed one not before the row above"),
        (lambda lines: [*lines[:3], f"{START * 1000},1,1"], "row 3: time is none, allowed seconds"),
        (lambda lines: [*lines[:3], lines[3].replace(",", ",-", 1)], "row 3: price is none, allowed a finite number"),
        (lambda lines: [*lines[:3], f"{lines[3].rsplit(',', 1)[0]},"], "row 3: volume is none, allowed a finite"),
        (lambda lines: [*lines[:3], "x,1,1"], "cannot be read: In CSV column #0"),
    ],
)
def test_dumps_with_something_wrong(tmp_path, monkeypatch, change, said):
    path = dump(tmp_path, change(trades_of()))
    store = Store(tmp_path / "store")
    with pytest.raises(ValueError, match=f"XBTUSD.csv: {said}"):
        store.import_(path, venue="kraken", symbol="XBTUSD")
    assert list(store.places()) == []


def test_rows_in_errors_are_those_of_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(kraken, "_READ", 1000)
    lines = trades_of()
    path = dump(tmp_path, [*lines[:4000], lines[0], *lines[4001:]])
    with pytest.raises(ValueError, match="row 4000: time is none"):
        Store(tmp_path / "store").import_(path, venue="kraken", symbol="XBTUSD")


def test_the_command_says_what_was_made_of_it(tmp_path):
    path = dump(tmp_path / "kraken", trades_of(100))
    said = liquidator("store", "import", str(path), "--store", "kept", cwd=tmp_path)
    assert "its trades have no side: kept as candles-1m" in said.stdout
