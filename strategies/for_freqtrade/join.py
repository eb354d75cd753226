"""Join, for freqtrade: buy the first return to a liquidation mark that broke upwards, sell short the mirror of it."""

from __future__ import annotations

from typing import Any, ClassVar

import talib.abstract as ta
from freqtrade.strategy import BooleanParameter, DecimalParameter, IntParameter, informative
from pandas import DataFrame

from liquidator_integrations.for_freqtrade import ZoneStrategy, add_alignment, add_informative_zones, add_zones


class LiquidatorJoin(ZoneStrategy):
    """Enters on ``join``, takes a fixed profit or leaves at the zone ahead, stops beyond the mark that was broken.

    ``with_trend``: longs only above the middle of the last 200 candles' range, shorts below it. ``min_room``: the
    nearest four-hour zone ahead must be this far away, in ATR of this timeframe. ``min_alignment``: 100 asks that the
    zone behind overlaps a four-hour zone, 0 does not. Spot, or futures with shorts at twice the stake. hyperopt: spaces
    buy, sell and roi.

    Measured by ``tests/figures/freqtrade_table.py`` (futures, fees and funding, hourly, April to December 2020, one
    market twice): 129 trades, +0.129 % each on average; the same on flipped marks of seeds 0 to 2: -0.181, +0.308
    and +0.385 %. Too few to tell from chance.
    """

    minimal_roi: ClassVar[dict[str, float]] = {"0": 0.06, "1440": 0.02}
    stop_edge = "join"

    min_room = DecimalParameter(0, 4, default=1, decimals=1, space="buy")
    min_alignment = IntParameter(0, 100, default=0, space="buy")
    with_trend = BooleanParameter(default=True, space="buy")

    @informative("4h")
    def populate_indicators_4h(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        return add_informative_zones(dataframe, metadata=metadata, marks=self.zone_marks(dataframe))

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        # exact whatever came before its window; TA-Lib's averages and regressions are running sums
        middle = ta.MIDPRICE(dataframe, timeperiod=200)
        marks = self.zone_marks(dataframe)
        return add_alignment(add_zones(dataframe.assign(middle=middle), metadata=metadata, marks=marks), ["4h"])

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        up = (dataframe["lz_resistance_low_4h"] - dataframe["close"]) / dataframe["lz_atr"]
        down = (dataframe["close"] - dataframe["lz_support_high_4h"]) / dataframe["lz_atr"]
        enter_long = (dataframe["lz_join"] > 0) & ~(up < self.min_room.value)
        enter_short = (dataframe["lz_join"] < 0) & ~(down < self.min_room.value)
        if self.with_trend.value:
            enter_long &= dataframe["close"] > dataframe["middle"]
            enter_short &= dataframe["close"] < dataframe["middle"]
        if self.min_alignment.value > 0:
            enter_long &= dataframe["lz_support_agreement"] >= self.min_alignment.value
            enter_short &= dataframe["lz_resistance_agreement"] >= self.min_alignment.value
        dataframe.loc[enter_long, ["enter_long", "enter_tag"]] = (1, "join")
        dataframe.loc[enter_short, ["enter_short", "enter_tag"]] = (1, "join")
        return dataframe
