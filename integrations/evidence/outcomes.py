"""Candles to what became of each one's fade."""

from __future__ import annotations

import numpy as np

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_core.bars import good_rows
from liquidator_core.outcomes import fade_outcomes

from ..market.candles import Candles, OnBad
from ..tables.checked import checked_bars


def outcome_column(
    candles: Candles, params: Params | None = None, on_bad: OnBad = "raise", market: str = ""
) -> np.ndarray:
    """(n,) float64, what became of each candle's fade: 1.0 its zone held, 0.0 it broke, NaN neither or no fade.

    The zone is put to trial as a mark is, see ``liquidator_core.marks``, from the candle of the fade on: a value looks
    ahead by up to ``outcome_bars`` good candles. Arguments and errors as for ``signal_columns``, cost as for ``fold``.

    >>> outcomes = outcome_column(candles)
    >>> int((outcomes == 1.0).sum()), int((outcomes == 0.0).sum())  # held, broke
    (100, 23)
    """
    bars, params = checked_bars(candles, params, None, on_bad, market)
    record = params.to_record()
    signals = new_signals(len(bars))
    fold(new_state(record), record, bars, signals)
    return fade_outcomes(bars, good_rows(bars), signals, params)
