"""Speed, as ratios within one run: ``pytest tests/bench --benchmark-only``. Nothing here fails for being slow."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import numpy as np
import pyarrow.parquet
import pytest
import talib
from places import SHARED
from talipp.indicators import ATR
from talipp.ohlcv import OHLCVFactory

from liquidator_core import BAR, TRADE, Params, fold, new_signals, new_state, step, warm_up
from liquidator_core.calls import _fold
from liquidator_core.tape import fold_trades, new_tape
from liquidator_integrations import Liquidator, liquidation_at_risk, risk_columns, sample_bars

MILLION = 1_000_000


def seconds(run: Callable[[], object], rounds: int = 5) -> float:
    """The least time of several runs: what the work takes when nothing disturbs it."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def hourly(rows: int) -> np.ndarray:
    """The embedded sample over and over, as one series in time."""
    bars = np.resize(sample_bars(), rows)
    bars["time"] = np.arange(rows) * 3_600_000
    return bars


def walk(rows: int) -> np.ndarray:
    """A seeded random walk of 0.1 % a bar, like minutes of a coin."""
    rng = np.random.default_rng(0)
    bars = np.resize(sample_bars()[:1], rows)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.001, rows)))
    bars["time"] = np.arange(rows) * 60_000
    bars["close"] = close
    bars["open"] = np.r_[100.0, close[:-1]]
    bars["high"] = np.maximum(bars["open"], close) * (1 + abs(rng.normal(0, 0.0005, rows)))
    bars["low"] = np.minimum(bars["open"], close) * (1 - abs(rng.normal(0, 0.0005, rows)))
    bars["volume"] = rng.lognormal(0, 1, rows)
    bars["taker_buy"] = bars["volume"] / 2
    return bars


def folding(bars: np.ndarray, params: Params | None = None) -> Callable[[], None]:
    record = (params or Params()).to_record()
    out = new_signals(len(bars))
    return lambda: fold(new_state(record), record, bars, out)


@pytest.mark.parametrize("series", [hourly, walk])
def test_fold_beside_ta_lib_and_talipp(benchmark, tell, series):
    bars = series(MILLION)
    run = folding(bars)
    run()
    benchmark.pedantic(run, rounds=3)
    high, low, close = (np.ascontiguousarray(bars[name]) for name in ("high", "low", "close"))
    turns = [(seconds(run, 1), seconds(lambda: talib.ATR(high, low, close, 14))) for _ in range(9)]
    ours, theirs = np.min(turns, axis=0) / MILLION
    ratio = f"{ours / theirs:.0f} times TA-Lib's ATR ({theirs * 1e9:.1f} ns a value)"
    tell(f"fold, 1M bars, {series.__name__}: {ours * 1e9:.0f} ns a bar = {ratio}")
    part = 100_000
    columns = [bars[name][:part].tolist() for name in ("open", "high", "low", "close", "volume")]
    candles = OHLCVFactory.from_matrix2(columns)
    made = seconds(lambda: OHLCVFactory.from_matrix2(columns), 2) / part
    added = seconds(lambda: ATR(14, candles), 2) / part
    ratio = f"1/{added / ours:.1f} of talipp's ATR ({added * 1e9:.0f} ns a value)"
    tell(f"  {ratio}; 1/{(added + made) / ours:.1f} with the candles it needs made")


def test_cost_a_bar_is_flat_in_history_and_in_memory(benchmark, tell):
    costs = {}
    for rows in (10_000, 100_000, MILLION):
        run = folding(hourly(rows))
        run()
        costs[rows] = seconds(run) / rows
    tell("fold, ns a bar: " + ", ".join(f"{rows:,} bars {cost * 1e9:.0f}" for rows, cost in costs.items()))
    bars = hourly(100_000)
    double = Params(ledger_bars=382, flow_bars=192, zone_bars=384)
    run = folding(bars, double)
    run()
    benchmark.pedantic(run, rounds=3)
    tell(f"  with twice the memory: {seconds(run) / 100_000 / costs[100_000]:.2f} times")


def test_step_from_python(benchmark, tell):
    bars = hourly(20_000)
    params = Params().to_record()
    warm_up()
    rows = [bars[i : i + 1] for i in range(len(bars))]
    out = new_signals(1)

    def stepping() -> None:
        state = new_state(params)
        for row in rows:
            step(state, params, row, out)

    benchmark.pedantic(stepping, rounds=3)
    signals = new_signals(len(bars))
    turns = [
        (seconds(stepping, 1), seconds(lambda: _fold(new_state(params), params, bars, signals), 1)) for _ in range(20)
    ]
    called, kernel = np.min(turns, axis=0) / len(bars)
    tell(f"step: {called * 1e6:.2f} us a call, {(called - kernel) * 1e6:.2f} us over the kernel's own time")


def test_liquidation_at_risk(benchmark, tell):
    bars = hourly(100_000)
    bars["time"] += 1_500_001_200_000 // 3_600_000 * 3_600_000
    rng = np.random.default_rng(0)
    feed = {"time": bars["time"], **{name: rng.lognormal(12, 2, len(bars)) for name in ("long_usd", "short_usd")}}
    reached = {"low": 0.98 * bars["close"], "high": 1.02 * bars["close"]}
    for name, asked in (
        ("", {}),
        (", reached", {"reached": reached}),
        (", observed", {"observed": feed}),
        (", observed, reached", {"observed": feed, "reached": reached}),
    ):
        run, columns = folding(bars), partial(risk_columns, bars, market="spot", **asked)
        run(), columns()
        turns = [(seconds(run, 1), seconds(columns, 1)) for _ in range(7)]
        fold_takes, columns_take = np.min(turns, axis=0)
        tell(f"risk columns of 100k hours{name}: {columns_take / fold_takes:.1f} times the fold")
    last = bars[-648:]
    engine = Liquidator("BTC", bar="1h")
    engine.update_candles({name: last[name] for name in ("time", "open", "high", "low", "close", "volume")})
    fold_takes = seconds(folding(last), 30)
    for name, at_risk in (
        ("liquidation_at_risk", partial(liquidation_at_risk, last, market="spot")),
        ("Liquidator.at_risk", partial(engine.at_risk, market="spot")),
    ):
        at_risk()
        tell(f"  {name} of a bar: {1000 * (seconds(at_risk, 30) - fold_takes):.2f} ms beyond the fold of its hours")
    benchmark.pedantic(at_risk, rounds=3)


def test_tape(benchmark, tell):
    path = SHARED / "hyperliquid_btc_trades_3d.parquet"
    if path.exists():
        table = pyarrow.parquet.read_table(path)
        trades = np.zeros(table.num_rows, TRADE)
        for name, column in (("time", "ts"), ("price", "price"), ("size", "size")):
            trades[name] = table[column].to_numpy()
        trades["side"] = np.where(table["side"].to_numpy(zero_copy_only=False) == "buy", 1, -1)
    else:
        rng = np.random.default_rng(0)
        trades = np.zeros(600_000, TRADE)
        trades["time"] = np.cumsum(rng.integers(0, 600, len(trades)))
        trades["price"] = 100 * np.exp(np.cumsum(rng.normal(0, 1e-5, len(trades))))
        trades["size"] = rng.lognormal(0, 2, len(trades))
        trades["side"] = rng.choice([-1, 1], len(trades))
    params = Params().to_record()
    bars = np.zeros(20_000, BAR)

    def taping() -> None:
        fold_trades(new_tape(), params, trades, bars)

    taping()
    benchmark.pedantic(taping, rounds=3)
    kind = "real" if path.exists() else "made"
    tell(f"tape: {seconds(taping) / len(trades) * 1e9:.1f} ns a trade, {len(trades):,} {kind} trades")


def test_state_size_and_process_start(benchmark, tell):
    tell(f"state: {new_state(Params()).nbytes / 1000:.0f} kB a symbol")
    warm_up()
    first = (
        "import time; start = time.perf_counter(); import numpy as np; from liquidator_core import *; "
        "p = Params().to_record(); fold(new_state(p), p, np.zeros(9, BAR), new_signals(9)); "
        "print(time.perf_counter() - start)"
    )
    timed = "import time; start = time.perf_counter(); import {}; print(time.perf_counter() - start)"

    def inside(code: str) -> float:
        return float(
            subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, env=os.environ).stdout
        )

    benchmark.pedantic(lambda: inside(timed.format("liquidator_core")), rounds=1)
    core, numpy = (
        statistics.median(inside(timed.format(name)) for _ in range(7)) for name in ("liquidator_core", "numpy")
    )
    tell(f"import: {core - numpy:.2f} s over NumPy's; first fold of a process, cache warm: {inside(first):.2f} s")
