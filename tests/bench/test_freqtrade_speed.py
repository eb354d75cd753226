"""Speed of the freqtrade helpers, as ratios within one run: ``pytest tests/bench --benchmark-only``."""

from __future__ import annotations

import statistics
import time

import numpy as np
import pandas as pd
import pytest
import talib.abstract as ta
from test_speed import hourly, walk

from liquidator_core import Params
from liquidator_integrations.for_freqtrade import add_features, add_zones

ROWS = 100_000


def candles(series) -> pd.DataFrame:
    bars = series(ROWS)
    frame = pd.DataFrame({name: bars[name] for name in ("open", "high", "low", "close", "volume")})
    frame.insert(0, "date", pd.to_datetime(1_600_000_000_000 + bars["time"], unit="ms", utc=True).as_unit("us"))
    return frame


def with_ta_lib(frame: pd.DataFrame) -> pd.DataFrame:
    columns = ta.BBANDS(frame, timeperiod=20).assign(atr=ta.ATR(frame, timeperiod=14), rsi=ta.RSI(frame, timeperiod=14))
    return frame.join(columns)


def interleaved(ones, others, rounds: int = 9) -> tuple[float, float, float]:
    """(seconds of one, seconds of the other, median ratio): run in turns, so that a disturbance hits both."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        ones()
        middle = time.perf_counter()
        others()
        times.append((middle - start, time.perf_counter() - middle))
    return *np.median(times, axis=0), statistics.median(one / other for one, other in times)


@pytest.mark.parametrize("series", [hourly, walk])
def test_add_zones_beside_ta_lib(benchmark, tell, series):
    frame = candles(series)
    add_zones(frame)
    benchmark.pedantic(add_zones, (frame,), rounds=3)
    ours, theirs, ratio = interleaved(lambda: add_zones(frame), lambda: with_ta_lib(frame))
    tell(
        f"freqtrade add_zones, 100k candles, {series.__name__}: {ours * 1e3:.0f} ms = {ratio:.1f} times TA-Lib's "
        f"ATR + BBANDS + RSI joined to the same frame ({theirs * 1e3:.1f} ms)"
    )
    ours, _, ratio = interleaved(lambda: add_features(frame), lambda: add_zones(frame))
    tell(f"  with FreqAI's features: {ratio:.2f} times add_zones")


def test_params_cost_no_compilation(benchmark, tell):
    frame = candles(hourly)
    add_zones(frame)
    some = [Params(event_mult=mult) for mult in np.linspace(2, 12, 9)]
    benchmark.pedantic(add_zones, (frame, some[0]), rounds=1)
    searched = iter(some)
    _, _, ratio = interleaved(lambda: add_zones(frame, next(searched)), lambda: add_zones(frame))
    tell(f"freqtrade add_zones under other Params each time: {ratio:.2f} times that under the same")
