"""The main job: bars in; zones, levels, a backtest that trades the zones and the same on placebo marks out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from liquidator_core import Params, fold, levels_of, new_signals, new_state, zones_of

from .frames import (
    bars_with_marks,
    levels_to_frame,
    marks_params,
    placebo_marks,
    warn_of_idle_switches,
    zones_to_frame,
)

if TYPE_CHECKING:
    from .for_backtrader import Result
    from .frames import pd

Progress = Callable[[str, int, int], None]  # what is under way, steps done, steps in all


@dataclass(frozen=True, eq=False)
class Report:
    """What the engine says of a history, as of its last bar, and what trading it gave.

    ``fade`` is None where no backtest could be run, and ``why_no_backtest`` says why. ``placebos`` are the same
    strategy on marks that share everything with the real ones but the event, one a seed.
    """

    bars: np.ndarray
    params: Params
    signals: np.ndarray
    zones: pd.DataFrame
    levels: pd.DataFrame
    fade: Result | None
    placebos: list[Result]
    why_no_backtest: str

    @property
    def warm(self) -> bool:
        """Whether the history holds the rows that a signal depends on."""
        return len(self.bars) >= self.params.memory

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: times in ISO 8601, unknown numbers null."""
        return {
            "params": self.params.to_dict(),
            "params_digest": self.params.digest,
            "bars": len(self.bars),
            "first": iso(self.bars["time"][0]),
            "last": iso(self.bars["time"][-1]),
            "close": float(self.bars["close"][-1]),
            "warm": self.warm,
            "zones": _records(self.zones),
            "levels": _records(self.levels),
            "backtest": None
            if self.fade is None
            else {
                "zone_fade": _result(self.fade),
                "buy_and_hold": {"total_return": self.fade.buy_and_hold},
                "placebo": [_result(result) for result in self.placebos],
            },
            "why_no_backtest": self.why_no_backtest or None,
        }


def make_report(
    bars: np.ndarray, params: Params | None = None, seeds: int | None = 5, progress: Progress | None = None
) -> Report:
    """Run the main job on (n,) BAR, checked bars, with ``seeds`` placebo runs, of seeds 0, 1, 2 and so on.

    Without ``seeds`` (None) there is no backtest.
    ``progress`` is told what is under way, the steps done and the steps in all.
    """
    params = params or Params()
    warn_of_idle_switches(bars, params)
    tell = progress or (lambda what, done, total: None)
    total = 1 if seeds is None else seeds + 2
    tell("folding bars", 0, total)
    record = params.to_record()
    state = new_state(record)
    signals = new_signals(len(bars))
    fold(state, record, bars, signals)
    close = float(state["close"][0])
    fade: Result | None = None
    placebos: list[Result] = []
    why = "not asked for"
    if seeds is not None:
        try:
            from liquidator_strategies.for_backtrader.fade import run_fade

            tell("backtest", 1, total)
            fade, why = run_fade(bars, params), ""
        except (ImportError, ValueError) as error:
            why = str(error)
    for seed in range(seeds if fade and seeds else 0):
        tell(f"placebo {seed + 1} of {seeds}", seed + 2, total)
        fakes = placebo_marks(bars, params, seed)
        placebos.append(run_fade(bars_with_marks(bars, fakes), marks_params(params)))
    tell("done", total, total)
    return Report(
        bars,
        params,
        signals,
        zones_to_frame(zones_of(state, record), close),
        levels_to_frame(levels_of(state, record), close),
        fade,
        placebos,
        why,
    )


def sample_bars() -> np.ndarray:
    """The embedded sample: hourly BTCUSDT candles of Binance spot, October 2019 to December 2020, as (n,) BAR."""
    from .files import read_candles_or_trades
    from .frames import bars_from_frame

    with resources.as_file(resources.files(__package__) / "data" / "btcusdt_1h.parquet") as path:
        return bars_from_frame(read_candles_or_trades(path)[1])


def iso(time_ms: int) -> str:
    """A time in ms as ISO 8601 in UTC, to the second."""
    return f"{np.datetime64(int(time_ms), 'ms').astype('M8[s]')}Z"


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [{name: _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:
    if hasattr(value, "isoformat"):
        return iso(value.value // 1_000_000)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value.item() if isinstance(value, np.generic) else value


def _result(result: Result) -> dict[str, Any]:
    return {
        "total_return": result.total_return,
        "max_drawdown": result.max_drawdown,
        "trades": len(result.trades),
        "wins": result.wins,
        "final_value": result.final_value,
    }
