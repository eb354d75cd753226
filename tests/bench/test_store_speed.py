"""What a store saves, as ratios within one run: ``pytest tests/bench --benchmark-only``. Slowness fails nothing."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pytest
from test_speed import seconds

from liquidator_core import Params, new_signals, new_state, warm_up
from liquidator_core.calls import fold
from liquidator_core.tape import bars_from_trades
from liquidator_integrations.frames import bars_from_frame, signal_columns
from liquidator_integrations.market.trades import trades_from_table
from liquidator_integrations.store import Store, parquet
from liquidator_integrations.store.kinds import key_of, table_of
from liquidator_integrations.store.layout import DAY_MS, Span, folder

pytest.importorskip("filelock")
TRADES = 500_000
DAY = 20_240 * DAY_MS
MINUTES = 365 * 1440
SYMBOL = "BTC/USDT:USDT"
PARAMS = Params().to_record()


def columns_of_a_day() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    price = np.round(60_000 * np.exp(np.cumsum(rng.normal(0, 1e-5, TRADES))), 1)
    size = np.round(rng.lognormal(-4, 2, TRADES), 3) + 0.001
    side = np.where(rng.random(TRADES) < 0.5, "buy", "sell")
    when = DAY + np.sort(rng.integers(0, DAY_MS, TRADES))
    return {"time": when, "price": price, "size": size, "side": side, "id": np.arange(TRADES) + 2_000_000_000}


def tardis_file(columns: dict[str, Any], path: Path) -> Path:
    names = ("exchange", "symbol", "timestamp", "local_timestamp", "id", "side", "price", "amount")
    us = columns["time"] * 1000
    values = ["binance-futures"] * TRADES, ["BTCUSDT"] * TRADES, us, us + 20_000
    rest = (columns[name] for name in ("id", "side", "price", "size"))
    out = pa.BufferOutputStream()
    pa_csv.write_csv(pa.table(dict(zip(names, (*values, *rest), strict=True))), out)
    path.write_bytes(gzip.compress(out.getvalue(), 6))
    return path


def kept(store: Store, kind: str, table: pa.Table, proof: str, since: int, until: int) -> None:
    parquet.add(folder(store.path, "binance", SYMBOL, kind), table, [Span(since, until, proof)], key_of(kind))


def times_as_fast(run: Callable[[], object], other: Callable[[], object], rounds: int = 9) -> float:
    """How often one runs in the time of the other: the median of pairs, each in one spell of the machine."""
    return float(np.median([seconds(other, 1) / np.median([seconds(run, 1) for _ in range(5)]) for _ in range(rounds)]))


def test_a_day_of_trades(benchmark, tell, tmp_path):
    columns = columns_of_a_day()
    path = tardis_file(columns, tmp_path / "binance-futures_trades_2025-06-01_BTCUSDT.csv.gz")
    store = Store(tmp_path / "store")
    kept(store, "trades", table_of("trades", columns, "binance", SYMBOL), "ids", DAY, DAY + DAY_MS)
    store.compact()
    warm_up()

    def from_store() -> pa.Table:
        return store.read("trades", "BTC")

    def from_csv() -> pa.Table:
        return pa_csv.read_csv(path)

    def zones(read: Callable[[], pa.Table]) -> np.ndarray:
        bars = bars_from_trades(trades_from_table(read(), sort=True))
        signals = new_signals(len(bars))
        fold(new_state(PARAMS), PARAMS, bars, signals)
        return signals

    assert zones(from_store).tobytes() == zones(from_csv).tobytes()
    benchmark.pedantic(from_store, rounds=3)
    ratio = times_as_fast(from_store, from_csv)
    tell(f"store: a day of {TRADES:,} trades read {ratio:.1f} times as fast as tardis csv.gz by pyarrow.csv (8)")
    ratio = times_as_fast(lambda: zones(from_store), lambda: zones(from_csv))
    tell(f"store: and to zones {ratio:.1f} times as fast (2.5)")


def test_a_year_of_minutes(benchmark, tell, tmp_path):
    rng = np.random.default_rng(1)
    close = 60_000 * np.exp(np.cumsum(rng.normal(0, 1e-3, MINUTES)))
    opened = np.r_[60_000.0, close[:-1]]
    columns = {"time": DAY + np.arange(MINUTES) * 60_000, "open": opened, "close": close}
    columns |= {"high": np.maximum(opened, close) * 1.0005, "low": np.minimum(opened, close) * 0.9995}
    columns |= {"volume": rng.lognormal(0, 1, MINUTES)}
    columns["taker_buy"] = columns["volume"] / 2
    store = Store(tmp_path / "store")
    table = table_of("candles", columns, "binance", SYMBOL)
    for month in range(12):
        since, until = DAY + month * 31 * DAY_MS, min(DAY + (month + 1) * 31 * DAY_MS, DAY + 365 * DAY_MS)
        if since < until:
            kept(store, "candles-1m", table, "count", since, until)
    store.compact()
    warm_up()
    bars = bars_from_frame(store.candles("BTC", "1m"))
    signals = new_signals(len(bars))

    def folding() -> None:
        fold(new_state(PARAMS), PARAMS, bars, signals)

    def to_columns() -> Any:
        return signal_columns(store.candles("BTC", "1m"))

    to_columns()
    benchmark.pedantic(to_columns, rounds=1)
    ratio = seconds(to_columns, 3) / seconds(folding, 3)
    tell(f"store: a year of 1m candles to signal columns in {ratio:.2f} times the fold's own time (2.5)")
