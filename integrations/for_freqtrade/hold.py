"""Hold and break as columns of a freqtrade strategy, and entries that stand aside where the model does."""

from __future__ import annotations

import numpy as np
import pandas as pd

from liquidator_core import Params

from ..market.candles import OnBad
from ..model.columns import Model, hold_columns, model_of
from .columns import Frame, Metadata, check_length, feed_candles, joined_columns, market_of

_CODES = {"HOLD": 1, "BREAK": -1, "ABSTAIN": 0}


def add_hold(
    dataframe: Frame,
    model: Model = None,
    params: Params | None = None,
    prefix: str = "lz_",
    on_bad: OnBad = "skip",
    metadata: Metadata = None,
) -> Frame:
    """The frame with the columns of ``hold_columns``: ``lz_hold_probability``, ``lz_geometric_rate`` and so on.

    ``lz_prediction`` is a number here, which merging informative frames leaves one: 1 hold, -1 break, 0 abstain.

    model    the path of a file that ``save_ml_model`` or ``liquidator train`` wrote, or what it holds; read it once, in
             ``bot_start``. None: one that abstains
    params   those of the model if None, the defaults without one
    prefix, on_bad, metadata    as for ``add_zones``

    A row depends on ``params.memory + 1`` candles: ``startup_candle_count(params, extra=1)``. Returns a new frame.
    Raises as ``hold_columns``, naming the pair, and ValueError where a column of that name is there already.

    >>> add_hold(candles)[["lz_hold_probability", "lz_prediction"]].tail(1).round(3).values.tolist()
    [[0.675, 0.0]]
    """
    model = model_of(model)
    if params is None:
        params = Params() if model is None else model.params
    market = market_of(dataframe, metadata)
    columns = hold_columns(feed_candles(dataframe, market), model, params, on_bad, market)
    check_length(dataframe, params, on_bad, market)
    columns["prediction"] = columns["prediction"].astype(object).map(_CODES).astype(np.int64)
    return joined_columns(dataframe, columns.add_prefix(prefix), metadata)


def expected_to_hold(dataframe: Frame, side: int, prefix: str = "lz_") -> pd.Series:
    """(n,) bool, where a fade may be entered: the model says that the zone holds, and it is of that side.

    side   +1 a support, to buy; -1 a resistance, to sell

    False wherever the model abstains. ``dataframe`` holds the columns of ``add_hold``.

    >>> frame = add_hold(add_zones(candles))
    >>> int(((frame["lz_fade"] > 0) & expected_to_hold(frame, 1)).sum())  # without a model it abstains
    0
    """
    missing = [name for name in ("prediction", "hold_zone_side") if prefix + name not in dataframe.columns]
    if missing:
        raise ValueError(f"expected_to_hold: missing column {prefix + missing[0]!r}: add_hold makes it")
    return (dataframe[f"{prefix}prediction"] > 0) & (dataframe[f"{prefix}hold_zone_side"] == side)
