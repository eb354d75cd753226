"""Prints how many marks and zones live at a time with default Params: ``python tests/figures live_marks [FILE ...]``.

The embedded hourly sample, the 5-minute and hourly series of ../shared/data where these exist, all of BTC, and candles
in the files named (any that ``liquidator zones`` reads), each also folded to two higher timeframes. Candles of other
coins lie in the test data of freqtrade, which is GPL and not copied here:

    git clone --depth 1 https://github.com/freqtrade/freqtrade ../freqtrade
    python tests/figures live_marks ../freqtrade/tests/testdata/[!U]*_BTC-5m.feather
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from places import SHARED

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.timeframes import to_timeframe
from liquidator_integrations import sample_bars
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.market.files import read_candles_or_trades

FIVE_MINUTES = SHARED / "btcusdt_perp_5m_2023h1.parquet"
HOURS = SHARED / "btcusdt_spot_1h_2017_2023.parquet"
HIGHER = {60_000: ("5m", "15m"), 300_000: ("15m", "30m"), 3_600_000: ("2h", "4h")}  # by the length of a bar in ms


def counts(bars: np.ndarray, every: int = 12) -> np.ndarray:
    """(n, 2) live marks and zones, looked at every so many bars once warm; none of a series that is too short."""
    params = Params()
    record = params.to_record()
    state = new_state(record)
    rows = []
    for start in range(0, len(bars), every):
        part = bars[start : start + every]
        fold(state, record, part, new_signals(len(part)))
        if start >= params.memory:
            rows.append((int(state["whole_count"][0]), int(state["zone_count"][0])))
    return np.array(rows).reshape(-1, 2)


def read(path: Path) -> np.ndarray:
    return bars_from_frame(read_candles_or_trades(path)[1])


def series() -> Iterator[tuple[str, np.ndarray]]:
    yield "BTCUSDT-1h, the sample", sample_bars()
    own = [path for path in (FIVE_MINUTES, HOURS) if path.exists()]
    for path in (*own, *map(Path, sys.argv[1:])):
        yield path.stem, read(path)


def with_higher(name: str, bars: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    yield name, bars
    for timeframe in HIGHER.get(int(np.diff(bars["time"]).min()), ()):
        yield f"  as {timeframe}", to_timeframe(bars, timeframe)


def main() -> None:
    print(f"{'series':34} {'bars':>7}   live marks: mean (10 % to 90 % of the time)   zones: mean")
    for name, bars in (one for whole in series() for one in with_higher(*whole)):
        found = counts(bars)
        if not len(found):
            print(f"{name:34} {len(bars):7,}   too few to be warm")
            continue
        low, high = np.percentile(found[:, 0], [10, 90])
        marks, zones = found.mean(axis=0)
        print(f"{name:34} {len(bars):7,}   {marks:16.1f} ({low:.0f} to {high:.0f}) {zones:34.1f}")


if __name__ == "__main__":
    main()
