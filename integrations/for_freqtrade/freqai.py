"""Features and targets for FreqAI."""

from __future__ import annotations

import numpy as np
import pandas as pd

from liquidator_core import Params

from ..evidence.outcomes import outcome_column
from ..market.candles import OnBad
from ..model.features import NAMES, approaches_of
from ..tables.checked import checked_bars
from .columns import (
    FARTHEST_ATR,
    KINDS,
    PLACES,
    Frame,
    Metadata,
    check_length,
    feed_candles,
    joined_columns,
    market_of,
    zone_signals,
)


def add_features(
    dataframe: Frame,
    params: Params | None = None,
    prefix: str = "%-lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with features for FreqAI, for ``feature_engineering_expand_basic`` and its relatives.

    ==============================================================  ==================================================
    column (behind the prefix)
    ==============================================================  ==================================================
    support_distance, resistance_distance, level_below_distance,    from the close, in ATR, not below 0, clipped at 10;
    level_above_distance                                            10 if there is none
    has_support, has_resistance, has_level_below, has_level_above   1 or 0
    support_quality, resistance_quality                             0 to 1; 0 if there is none
    support_age, resistance_age                                     bars / zone_bars; 1 if there is none
    long_flow, short_flow                                           forced flow / the candle's turnover, clipped at 10
    touch, broke, fade, join                                        as in SIGNAL
    ==============================================================  ==================================================

    Finite from row ``params.memory - 1`` on, NaN before, so that FreqAI leaves these rows out. Arguments, errors and
    cost as for ``add_zones``.

    >>> add_features(candles)["%-lz_has_support"].tail(1).tolist()
    [1.0]
    """
    params = Params() if params is None else params
    columns = zone_signals(dataframe, params, on_bad, metadata)
    signal = {name: columns[name].to_numpy() for name in columns}
    close = dataframe["close"].to_numpy(np.float64)
    features: dict[str, np.ndarray] = {}
    with np.errstate(divide="ignore", invalid="ignore"):
        for name in PLACES:
            distance = np.abs(signal[name] - close) / signal["atr"]
            features[f"{name}_distance"] = np.where(distance <= FARTHEST_ATR, distance, FARTHEST_ATR)
            features[f"has_{name}"] = ~np.isnan(signal[name]) * 1.0
        for name in KINDS:
            features[f"{name}_quality"] = np.nan_to_num(signal[f"{name}_quality"]) / 100.0
            features[f"{name}_age"] = np.nan_to_num(signal[f"{name}_age"] / params.zone_bars, nan=1.0)
        turnover = close * dataframe["volume"].to_numpy(np.float64)
        for name in ("long_flow", "short_flow"):
            flow = np.nan_to_num(signal[f"{name}_usd"])
            features[name] = np.where(flow > 0.0, np.fmin(flow / turnover, FARTHEST_ATR), 0.0)
    for name in ("touch", "broke", "fade", "join"):
        features[name] = signal[name].astype(np.float64)
    cold = np.arange(len(dataframe)) < params.memory - 1
    for values in features.values():
        values[cold] = np.nan
    return joined_columns(dataframe, pd.DataFrame(features, index=dataframe.index).add_prefix(prefix), metadata)


def add_touch_features(
    dataframe: Frame,
    params: Params | None = None,
    prefix: str = "%-lz_next_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with the features that the model of hold and break learns from, for FreqAI: ``model.features``.

    Of the zone that a candle speaks of, see ``hold_columns``; NaN where there is none, which FreqAI leaves out. A row
    depends on ``params.memory + 1`` candles: ``startup_candle_count(params, extra=1)``. Arguments, errors and cost as
    for ``add_zones``.

    >>> add_touch_features(candles)["%-lz_next_touches"].tail(1).tolist()
    [4.0]
    """
    params = Params() if params is None else params
    market = market_of(dataframe, metadata)
    bars, _ = checked_bars(feed_candles(dataframe, market), params, None, on_bad, market)
    check_length(dataframe, params, on_bad, market)
    features = pd.DataFrame(approaches_of(bars, params).features, dataframe.index, list(NAMES))
    return joined_columns(dataframe, features.add_prefix(prefix), metadata)


def add_targets(
    dataframe: Frame,
    params: Params | None = None,
    classes: bool = False,
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with a target for FreqAI, for ``set_freqai_targets``: whether the zone of a fade held or broke.

    classes   False: ``&-lz_hold``, 1.0 held, 0.0 broke, for a regressor; True: ``&s-lz_outcome``, "hold" or "break",
              for a classifier

    Known on rows with a fade, and missing on all others, which FreqAI leaves out of training. The zone is put to trial
    as a mark is, by the core: it held if within ``outcome_bars`` candles price left it on the side it came from by
    ``hold_atr`` times that row's ATR before a close beyond its far edge by ``break_atr`` times that ATR; both on one
    candle and neither are missing. A target looks ahead: never trade on it. Arguments, errors and cost as for
    ``add_zones``.

    >>> sorted(add_targets(candles, classes=True)["&s-lz_outcome"].dropna().unique())
    ['break', 'hold']
    """
    params = Params() if params is None else params
    market = market_of(dataframe, metadata)
    outcomes = outcome_column(feed_candles(dataframe, market), params, on_bad, market)
    check_length(dataframe, params, on_bad, market)
    if classes:
        words = np.full(len(outcomes), None, object)
        words[outcomes == 1.0] = "hold"
        words[outcomes == 0.0] = "break"
        column = {"&s-lz_outcome": words}
    else:
        column = {"&-lz_hold": outcomes}
    return joined_columns(dataframe, pd.DataFrame(column, index=dataframe.index), metadata)
