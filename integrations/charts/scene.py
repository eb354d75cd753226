"""Candles and Params to a scene: everything that charts draw, as plain values, whatever draws it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from liquidator_core import BAR, Params, fold, levels_of, new_signals, new_state, zones_of

from ..market.candles import Candles, bars_from_frame, warn_of_idle_switches
from ..tables.zones import levels_to_frame, zones_to_frame

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False)
class Account:
    """An account over time, the start being 1."""

    name: str
    time: np.ndarray  # ms, opens of bars
    value: np.ndarray


@dataclass(frozen=True, eq=False)
class Scene:
    """What is drawn of a history: its candles, what the engine said at each, what it says now, and accounts.

    bars      (n,) BAR
    signals   (n,) SIGNAL, a row a bar, as known at its close
    standing  the zones as of the last bar: a frame as of ``frames.zones_to_frame``
    levels    the levels ahead of it: a frame as of ``frames.levels_to_frame``
    accounts  of backtests, the one that is meant first
    """

    bars: np.ndarray
    params: Params
    signals: np.ndarray
    standing: pd.DataFrame
    levels: pd.DataFrame
    accounts: list[Account] = field(default_factory=list)


def make_scene(bars: Candles, params: Params | None = None, result: Any = None, placebos: Sequence[Any] = ()) -> Scene:
    """A Scene of candles, given as to ``frames.bars_from_frame``, under Params.

    result    of a backtest of these bars (``evidence.result.Result``): its account is drawn, beside buy and hold
    placebos  results to set beside it

    Raises as ``bars_from_frame``, but for no candles: their scene is empty. Cost: a fold.
    """
    bars = bars_from_frame(bars) if len(bars) else np.zeros(0, BAR)
    params = params or Params()
    warn_of_idle_switches(bars, params)
    record = params.to_record()
    state = new_state(record)
    signals = new_signals(len(bars))
    fold(state, record, bars, signals)
    close = float(state["close"][0])
    accounts = []
    if result is not None:
        held = bars[np.searchsorted(bars["time"], result.equity_ms)]["close"]
        accounts = [
            Account("backtest", result.equity_ms, result.equity / result.cash),
            Account("buy and hold", result.equity_ms, held / held[:1]),
            *(Account("placebo marks", each.equity_ms, each.equity / each.cash) for each in placebos),
        ]
    return Scene(
        bars,
        params,
        signals,
        zones_to_frame(zones_of(state, record), close),
        levels_to_frame(levels_of(state, record), close),
        accounts,
    )
