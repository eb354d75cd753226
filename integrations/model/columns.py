"""Candles and a model to columns of hold and break; a Liquidator's zones and a model to theirs."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from liquidator_core import Params
from liquidator_core.timeframes import TIMEFRAMES, step_ms, timeframe_ms

from ..market.candles import Candles, OnBad
from ..tables.checked import checked_bars
from ..tables.zone_schema import Context
from ..tables.zones import category
from .features import approaches_of, close_rate, near_edge_rate, zone_features
from .hold_model import ABSTAIN, BREAK, HOLD, PREDICTIONS, HoldModel

Model: TypeAlias = "HoldModel | str | os.PathLike[str] | None"
COLUMNS = ("hold_probability", "break_probability", "prediction", "geometric_rate")


def hold_columns(
    candles: Candles, model: Model = None, params: Params | None = None, on_bad: OnBad = "raise", market: str = ""
) -> pd.DataFrame:
    """Hold and break of the zone that each candle speaks of, as known at its close.

    ===================================  ===========================================================================
    column
    ===================================  ===========================================================================
    hold_probability, break_probability  0 to 1, they add up to 1; the geometric rate where the model abstains
    prediction                           categorical: "HOLD" (0.5 or more), "BREAK", "ABSTAIN"
    geometric_rate                       the odds of a driftless price between the two barriers
    hold_zone_side                       +1 a support, -1 a resistance, 0 none
    hold_zone_low, hold_zone_high        its edges, quote
    ===================================  ===========================================================================

    A candle that fades a zone speaks of that touch, from its close; any other of the next touch of the zone whose near
    edge lies nearest, from that edge.

    candles   as for ``bars_from_frame``
    model     as from ``train``, ``Liquidator.hold_model``, or the path of a file that ``save_ml_model`` wrote; None:
              as one that abstains
    params    those of the model if None, the defaults without one
    on_bad, market    as for ``bars_from_frame``

    Returns a new frame of the candles' length and index. A row depends on the ``params.memory + 1`` candles up to it;
    those before are NaN and "ABSTAIN". Raises ValueError for a model of other Params or another timeframe, for
    candles without a feed that it learned from, and as ``signal_columns``. Cost: some 2 us a candle, and 2
    to 5 with a model.

    >>> columns = hold_columns(candles)
    >>> columns[["hold_probability", "prediction"]].tail(1).round(3).values.tolist()
    [[0.675, 'ABSTAIN']]
    """
    model = model_of(model)
    if params is None and model is not None:
        params = model.params
    bars, params = checked_bars(candles, params, None, on_bad, market)
    if model is not None and (why := model.why_not(params, timeframe_of(bars), bars)):
        raise ValueError(f"{f'{market}: ' if market else ''}{why}")
    seen = approaches_of(bars, params)
    warm = ~np.isnan(seen.features).any(axis=1)
    geometric = np.where(warm, seen.geometric, np.nan)
    columns = _predicted(model, seen.features, geometric, seen.touched)
    columns["hold_zone_side"] = np.where(warm, seen.side, 0)
    columns["hold_zone_low"] = np.where(warm, seen.low, np.nan)
    columns["hold_zone_high"] = np.where(warm, seen.high, np.nan)
    index = candles.index if isinstance(candles, pd.DataFrame) else pd.RangeIndex(len(bars))
    return pd.DataFrame(columns, index=index)


def model_of(model: Model) -> HoldModel | None:
    """The model given, or that of a file; TypeError for anything else."""
    if model is None or isinstance(model, HoldModel):
        return model
    if isinstance(model, (str, os.PathLike)):
        return HoldModel.load(model)
    raise TypeError(f"model must be a HoldModel, the path of its file or None, got {type(model).__name__}")


def timeframe_of(bars: np.ndarray) -> str | None:
    """The timeframe whose length is the usual step between (n,) BAR; None where there is no such, or no step."""
    step = step_ms(bars["time"])
    return next((name for name in TIMEFRAMES if timeframe_ms(name) == step), None)


def _predicted(
    model: HoldModel | None, features: np.ndarray, geometric: np.ndarray, touched: np.ndarray
) -> dict[str, Any]:
    """``COLUMNS``: where the model abstains, or knows nothing, the geometric rate."""
    hold, prediction = geometric, np.full(len(geometric), PREDICTIONS.index(ABSTAIN))
    if model is not None and not model.abstains:
        found = model.probability(features, geometric, touched)
        known = ~np.isnan(found)
        hold = np.where(known, found, geometric)
        said = np.where(found >= 0.5, PREDICTIONS.index(HOLD), PREDICTIONS.index(BREAK))
        prediction = np.where(known, said, prediction)
    columns: dict[str, Any] = dict.fromkeys(COLUMNS)
    columns["hold_probability"], columns["break_probability"] = hold, 1.0 - hold
    columns["prediction"] = category(prediction, list(PREDICTIONS))
    columns["geometric_rate"] = geometric
    return columns


def with_predictions(
    zones: pd.DataFrame, context: Context, params: Params, model: HoldModel | None, reason: str
) -> pd.DataFrame:
    """A Liquidator's zones with ``COLUMNS``, of the next touch of each; of the touch where the last bar fades it.

    context  what the zones were told from
    model    None: as one that abstains
    reason   why it abstains, "" if it does not: ``attrs["abstains"]``
    """
    count = len(zones)
    features, geometric, touched = np.zeros((count, 0)), np.zeros(count), np.zeros(count, np.bool_)
    if count:
        features, geometric, touched = _of_zones(zones["zone_id"].to_numpy(), context, params)
    made = zones.assign(**_predicted(model, features, geometric, touched))
    made.attrs = {**zones.attrs, "abstains": reason}
    return made


def _of_zones(ids: np.ndarray, context: Context, params: Params) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(features, geometric rates, whether the last bar fades it) of each zone; NaN features of merged zones."""
    bars, last = context.bars, approaches_of(context.bars, params)
    found, known, atr = zone_features(bars, params)
    places = {int(zone_id): place for place, zone_id in enumerate(known["zone_id"])}
    standing = context.zones[[int(np.argmax(context.zones["zone_id"] == zone_id)) for zone_id in ids]]
    low, high = standing["low"], standing["high"]
    features = np.full((len(ids), found.shape[1]), np.nan)
    for row, zone_id in enumerate(ids.tolist()):
        if zone_id in places:
            features[row] = found[places[zone_id]]
    touched = (low == last.low[-1]) & (high == last.high[-1]) & last.touched[-1]
    features[touched] = last.features[-1]
    close = close_rate(bars["close"][-1], low, high, last.side[-1], last.signals["atr"][-1], params)
    return features, np.where(touched, close, near_edge_rate(high - low, atr, params)), touched
