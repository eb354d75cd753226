"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import numpy as np
import pyarrow.parquet as pq
import pytest

from liquidator_core import BAR

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "integrations" / "data" / "btcusdt_1h.parquet"
SHARED = ROOT.parent / "shared" / "data"
FULL = SHARED / "btcusdt_spot_1h_2017_2023.parquet"

hypothesis.settings.register_profile("laws", derandomize=True, deadline=None, database=None, max_examples=120)
hypothesis.settings.load_profile("laws")


def bars_from_parquet(path: Path) -> np.ndarray:
    """BAR rows of a file with columns time (or ts), open, high, low, close, volume, and maybe taker_buy."""
    table = pq.read_table(path)
    bars = np.zeros(len(table), BAR)
    for name in BAR.names[1:]:
        bars[name] = np.nan
    other_names = {"ts": "time", "taker_buy_base_asset_volume": "taker_buy"}
    for column in table.column_names:
        name = other_names.get(column, column)
        if name in BAR.names:
            bars[name] = table[column].to_numpy()
    return bars


@pytest.fixture(scope="session")
def real_bars() -> np.ndarray:
    """Hourly BTCUSDT candles: the embedded sample, or the file it was cut from."""
    for path in (SAMPLE, FULL):
        if path.exists():
            bars = bars_from_parquet(path)
            bars.flags.writeable = False
            return bars
    pytest.skip(f"no candles at {SAMPLE.relative_to(ROOT)}")
