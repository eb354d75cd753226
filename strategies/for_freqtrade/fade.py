"""Fade, for freqtrade: buy the touch of a support zone that held the close, sell short that of a resistance zone."""

from __future__ import annotations

from typing import Any

import talib.abstract as ta
from freqtrade.strategy import BooleanParameter, DecimalParameter
from pandas import DataFrame

from liquidator_integrations.for_freqtrade import ZoneStrategy, add_zones, parameter, params_of


class LiquidatorFade(ZoneStrategy):
    """Enters on ``fade``, leaves when the nearest zone ahead is touched, stops beyond the zone that was faded.

    ``min_room``: the zone ahead must be this far away, in ATR. ``with_trend``: longs only above the middle of the last
    200 candles' range, shorts below it. Spot, or futures with shorts at twice the stake. hyperopt: spaces buy and sell;
    space zones with ``--analyze-per-epoch``.

    Measured by ``tests/figures/freqtrade_table.py`` (futures, fees and funding, hourly, April to December 2020, one
    market twice): 670 trades, +0.147 % each on average; the same on flipped marks of seeds 0 to 2: -0.183, -0.201
    and +0.177 %. One market and nine months in which it rose: no evidence that zones hold.
    """

    event_mult = parameter("event_mult", decimals=1, space="zones")
    zone_atr = parameter("zone_atr", decimals=2, space="zones")
    min_room = DecimalParameter(0, 4, default=0.5, decimals=1, space="buy")
    with_trend = BooleanParameter(default=False, space="buy")

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        # exact whatever came before its window; TA-Lib's averages and regressions are running sums
        middle = ta.MIDPRICE(dataframe, timeperiod=200)
        params = params_of(self)
        marks = self.zone_marks(dataframe, params)
        return add_zones(dataframe.assign(middle=middle), params, metadata=metadata, marks=marks)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        up = (dataframe["lz_resistance_low"] - dataframe["close"]) / dataframe["lz_atr"]
        down = (dataframe["close"] - dataframe["lz_support_high"]) / dataframe["lz_atr"]
        enter_long = (dataframe["lz_fade"] > 0) & ~(up < self.min_room.value)
        enter_short = (dataframe["lz_fade"] < 0) & ~(down < self.min_room.value)
        if self.with_trend.value:
            enter_long &= dataframe["close"] > dataframe["middle"]
            enter_short &= dataframe["close"] < dataframe["middle"]
        dataframe.loc[enter_long, ["enter_long", "enter_tag"]] = (1, "fade")
        dataframe.loc[enter_short, ["enter_short", "enter_tag"]] = (1, "fade")
        return dataframe
