"""Prints how many marks and zones live at a time with default Params: ``python tests/live_marks.py [FILE ...]``.

The embedded hourly sample and what it folds to, the 5-minute and hourly series of ../shared/data where these exist, all
of BTC, and candles of other coins in the files named.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from liquidator_integrations.files import read_candles_or_trades
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.report import sample_bars

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.timeframes import to_timeframe

SHARED = Path(__file__).parents[2] / "shared" / "data"


def counts(bars: np.ndarray, every: int = 12) -> np.ndarray:
    """(n, 2) live marks and zones, looked at every so many bars once warm."""
    params = Params()
    record = params.to_record()
    state = new_state(record)
    rows = []
    for start in range(0, len(bars), every):
        part = bars[start : start + every]
        fold(state, record, part, new_signals(len(part)))
        if start >= params.memory:
            rows.append((int(state["whole_count"][0]), int(state["zone_count"][0])))
    return np.array(rows)


def series() -> Iterator[tuple[str, np.ndarray]]:
    sample = sample_bars()
    yield "sample, BTC 1h", sample
    for timeframe in ("2h", "4h"):
        yield f"sample, BTC {timeframe}", to_timeframe(sample, timeframe)
    for name in ("btcusdt_perp_5m_2023h1", "btcusdt_spot_1h_2017_2023"):
        path = SHARED / f"{name}.parquet"
        if path.exists():
            bars = bars_from_frame(read_candles_or_trades(path)[1])
            yield name, bars
            if "5m" in name:
                for timeframe in ("15m", "30m"):
                    yield f"{name} as {timeframe}", to_timeframe(bars, timeframe)
    for file in sys.argv[1:]:
        yield Path(file).name, bars_from_frame(read_candles_or_trades(file)[1])


def main() -> None:
    print(f"{'series':34} {'bars':>7}   live marks: mean (10 % to 90 % of the time)   zones: mean")
    for name, bars in series():
        found = counts(bars)
        low, high = np.percentile(found[:, 0], [10, 90])
        marks, zones = found.mean(axis=0)
        print(f"{name:34} {len(bars):7,}   {marks:16.1f} ({low:.0f} to {high:.0f}) {zones:34.1f}")


if __name__ == "__main__":
    main()
