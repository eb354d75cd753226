"""Exit, for freqtrade: a plain trend entry that leaves at liquidation zones, to show zones as exits alone."""

from __future__ import annotations

from typing import Any

import talib.abstract as ta
from freqtrade.strategy import IntParameter
from pandas import DataFrame

from liquidator_integrations.for_freqtrade import ZoneStrategy


class LiquidatorExit(ZoneStrategy):
    """Enters when the close crosses the middle of the last ``trend_bars`` candles' range, leaves at the zone ahead.

    The stop lies beyond the nearest zone behind and follows it. Spot, or futures with shorts at twice the stake.
    hyperopt: spaces buy and sell.

    Measured by ``tests/figures/freqtrade_table.py`` (futures, fees and funding, hourly, April to December 2020, one
    market twice): it loses. 367 trades, -0.100 % each on average; the same on flipped marks of seeds 0 to 2:
    +0.239, -0.064 and -0.036 %.
    """

    stop_edge = "nearest"

    trend_bars = IntParameter(24, 96, default=48, space="buy")

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        # exact whatever came before its window; TA-Lib's averages and regressions are running sums
        trend = dataframe["close"] - ta.MIDPRICE(dataframe, timeperiod=self.trend_bars.value)
        known = dataframe["lz_atr"].notna()  # without zones there would be neither exits nor stops
        dataframe.loc[known & (trend > 0) & (trend.shift(1) <= 0), ["enter_long", "enter_tag"]] = (1, "trend")
        dataframe.loc[known & (trend < 0) & (trend.shift(1) >= 0), ["enter_short", "enter_tag"]] = (1, "trend")
        return dataframe
