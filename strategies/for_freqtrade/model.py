"""Model, for freqtrade's FreqAI: fade only those zones that LightGBM expects to hold."""

from __future__ import annotations

from typing import Any

from freqtrade.strategy import DecimalParameter
from pandas import DataFrame

from liquidator_integrations.for_freqtrade import ZoneStrategy, add_features, add_targets, add_zones


class LiquidatorModel(ZoneStrategy):
    """The fade strategy where the model gives the zone at least ``min_hold`` to hold; trained on past fades alone.

    For ``--freqaimodel LightGBMRegressor`` (target: held 1, broke 0) or ``LightGBMClassifier`` (hold, break). Spot, or
    futures with shorts at twice the stake. hyperopt: spaces buy and sell.

    One timeframe: under pandas 3.1 freqtrade 2026.9 cannot train a live bot on two once a candle has come in.

    Measured by ``tests/figures/freqtrade_table.py`` (futures, fees and funding, hourly, August to December 2020,
    one market twice): regressor 336 trades, +0.479 % each on average, classifier 366, +0.403 %; the fade strategy
    without a model 360, +0.634 %. The model adds nothing.
    """

    min_hold = DecimalParameter(0.5, 0.95, default=0.8, decimals=2, space="buy")

    @property
    def _classes(self) -> bool:
        return str(self.config.get("freqaimodel")).endswith("Classifier")

    def feature_engineering_expand_basic(
        self, dataframe: DataFrame, metadata: dict[str, Any], **kwargs: Any
    ) -> DataFrame:
        return add_features(dataframe, metadata=metadata)

    def set_freqai_targets(self, dataframe: DataFrame, metadata: dict[str, Any], **kwargs: Any) -> DataFrame:
        if self._classes:
            self.freqai.class_names = ["break", "hold"]
        return add_targets(dataframe, classes=self._classes, metadata=metadata)

    def populate_indicators(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        if self.placebo_seed is not None:
            raise ValueError("LiquidatorModel learns from what real zones did: it has no placebo run")
        return add_zones(self.freqai.start(dataframe, metadata, self), metadata=metadata)

    def populate_entry_trend(self, dataframe: DataFrame, metadata: dict[str, Any]) -> DataFrame:
        hold = dataframe["hold" if self._classes else "&-lz_hold"]
        expected = (dataframe["do_predict"] == 1) & (hold >= self.min_hold.value)
        dataframe.loc[expected & (dataframe["lz_fade"] > 0), ["enter_long", "enter_tag"]] = (1, "fade")
        dataframe.loc[expected & (dataframe["lz_fade"] < 0), ["enter_short", "enter_tag"]] = (1, "fade")
        return dataframe
