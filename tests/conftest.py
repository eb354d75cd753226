"""Fixtures that several test files share."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import numpy as np
import pyarrow.parquet as pq
import pytest
from places import SAMPLE

from liquidator_core import BAR

hypothesis.settings.register_profile("laws", derandomize=True, deadline=None, database=None, max_examples=120)
hypothesis.settings.load_profile("laws")


def bars_from_parquet(path: Path) -> np.ndarray:
    """BAR rows of a file whose columns are fields of BAR."""
    table = pq.read_table(path)
    bars = np.zeros(len(table), BAR)
    for name in BAR.names[1:]:
        bars[name] = np.nan
    for name in table.column_names:
        bars[name] = table[name].to_numpy()
    return bars


@pytest.fixture(scope="session")
def real_bars() -> np.ndarray:
    """Hourly BTCUSDT candles: the embedded sample."""
    bars = bars_from_parquet(SAMPLE)
    bars.flags.writeable = False
    return bars
