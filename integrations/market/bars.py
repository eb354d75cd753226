"""A file of candles or of trades to checked bars."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from liquidator_core import Params

if TYPE_CHECKING:
    import numpy as np


def read_bars(path: Path, params: Params, bar: str | None) -> np.ndarray:
    from dataclasses import replace

    from liquidator_core.tape import bars_from_trades
    from liquidator_core.timeframes import timeframe_ms

    from .candles import bars_from_frame
    from .files import read_candles_or_trades
    from .trades import trades_from_table

    kind, table = read_candles_or_trades(path)
    if kind == "candles":
        if bar is not None:
            raise ValueError(f"--bar {bar} is for trades, and {path} holds candles")
        return bars_from_frame(table)
    if bar is not None:
        if timeframe_ms(bar) > timeframe_ms("1d"):
            raise ValueError(f"--bar must be 1m to 1d, got {bar}")
        params = replace(params, tape_ms=timeframe_ms(bar))
    return bars_from_trades(trades_from_table(table, sort=True), params)
