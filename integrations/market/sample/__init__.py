"""The embedded sample of candles."""

from __future__ import annotations

from importlib import resources

import numpy as np

from ..candles import bars_from_frame
from ..files import read_candles_or_trades


def sample_bars() -> np.ndarray:
    """The embedded sample: hourly BTCUSDT candles of Binance spot, October 2019 to December 2020, as (n,) BAR.

    >>> len(sample_bars())
    10971
    """
    with resources.as_file(resources.files(__package__) / "btcusdt_1h.parquet") as path:
        return bars_from_frame(read_candles_or_trades(path)[1])
