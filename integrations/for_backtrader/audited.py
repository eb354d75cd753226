"""A backtrader indicator as a function of candles: what stands in its lines when a run has ended."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from ..market.candles import bars_from_frame
from .feeds import lean_feed
from .library import bt

__all__ = ["check_candles", "indicator_lines"]


def check_candles(candles: pd.DataFrame) -> None:
    """Raises as ``bars_from_frame`` for candles that no feed can be made of."""
    bars_from_frame(candles)


def indicator_lines(indicator: type[bt.Indicator], candles: pd.DataFrame) -> pd.DataFrame:
    """A frame of an indicator's lines, one row a candle, after cerebro ran it over the candles in its default mode.

    indicator   made anew, with its default parameters
    candles     as for ``bars_from_frame``; lines that they know beyond the standard ones are in the feed
    """
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(lean_feed(bars_from_frame(candles)))
    cerebro.addstrategy(_Carrier, indicator=indicator)
    lines = cerebro.run()[0].carried.lines
    columns = {}
    for name in lines.getlinealiases():
        found = np.array(getattr(lines, name).array, np.float64)[: len(candles)]
        columns[name] = np.pad(found, (0, len(candles) - len(found)), constant_values=np.nan)
    return pd.DataFrame(columns)


class _Carrier(bt.Strategy):
    """A strategy that has the indicator and does nothing."""

    params: Any = (("indicator", None),)

    def __init__(self) -> None:
        self.carried = self.p.indicator(self.data)
