"""The main job: bars in; zones, levels, a backtest that trades the zones and the same on placebo marks out."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from liquidator_core import BAR, Params, fold, levels_of, new_signals, new_state, zones_of

from ..market.bars import Gaps, gaps_in
from ..market.candles import warn_of_idle_switches
from ..market.liquidations import why_thin
from ..market.messages import iso
from ..tables.zones import levels_to_frame, zones_to_frame
from .digits import rounded_frame, rounded_price
from .placebo import Placebos
from .result import FLIPPED_RUNS, Result, too_few

if TYPE_CHECKING:
    import pandas as pd

Run = Callable[[np.ndarray, Params], Result]  # a backtest of bars under Params
Progress = Callable[[str, int, int], None]  # what is under way, steps done, steps in all


@dataclass(frozen=True, eq=False)
class Report:
    """What the engine says of a history, as of its last bar, and what trading it gave.

    ``fade`` is None where no backtest could be run, and ``why_no_backtest`` says why. ``placebos`` are the same
    strategy on marks of which each stays or is mirrored at the close of its bar by a fair coin, one a seed.
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

    @property
    def gaps(self) -> Gaps:
        """What is missing between the bars."""
        return gaps_in(self.bars["time"])

    @property
    def known(self) -> list[str]:
        """The fields of BAR beyond prices and volume that any bar has."""
        return [name for name in (BAR.names or ())[6:] if not np.isnan(self.bars[name]).all()]

    @property
    def why_thin(self) -> str:
        """Why the liquidations that the bars observed are too thin a feed; "" if they are not, or there are none."""
        return why_thin(self.bars["liq_long_usd"], self.bars["liq_short_usd"], self.params.flow_bars)

    @property
    def too_few(self) -> str:
        """Why the backtest's trades allow no verdict; "" if they are enough."""
        assert self.fade is not None
        return too_few(len(self.fade.trades))

    @property
    def rank(self) -> int | None:
        """Place of the real run among itself and the placebos, by return: 1 is the best, the worst of ties counts.

        None where there are too few trades for a verdict.
        """
        if self.fade is None or self.too_few:
            return None
        return 1 + sum(placebo.total_return >= self.fade.total_return for placebo in self.placebos)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values, rounded as the tables are: times in ISO 8601, unknown numbers null."""
        return {
            "params": self.params.to_dict(),
            "params_digest": self.params.digest,
            "bars": len(self.bars),
            "first": iso(self.bars["time"][0]),
            "last": iso(self.bars["time"][-1]),
            "close": rounded_price(float(self.bars["close"][-1])),
            "warm": self.warm,
            "missing_bars": self.gaps.missing,
            "gaps": self.gaps.gaps,
            "known": self.known,
            "why_thin": self.why_thin or None,
            "zones": _records(rounded_frame(self.zones)),
            "levels": _records(rounded_frame(self.levels)),
            "backtest": None
            if self.fade is None
            else {
                "zone_fade": _result(self.fade),
                "buy_and_hold": {"total_return": round(self.fade.buy_and_hold, 3)},
                "placebo": [_result(result) for result in self.placebos],
                "rank": self.rank,
                "why_no_rank": self.too_few or None,
            },
            "why_no_backtest": self.why_no_backtest or None,
        }


def make_report(
    bars: np.ndarray,
    params: Params | None = None,
    seeds: int = FLIPPED_RUNS,
    progress: Progress | None = None,
    run: Run | None = None,
    rerun: Run | None = None,
) -> Report:
    """A report on (n,) BAR, checked bars.

    seeds     number of placebo runs: the marks ``flipped`` by seeds 0, 1, 2 and so on
    progress  is told what is under way, the steps done and the steps in all
    run       makes the backtest of bars and Params; None: there is none. What it raises as ImportError or ValueError is
              told in ``why_no_backtest``
    rerun     makes those of the placebo marks; None: ``run`` does. ``account.fade_account`` gives what ``run_fade``
              gives, in a fraction of the time
    """
    params = params or Params()
    warn_of_idle_switches(bars, params)
    tell = progress or (lambda what, done, total: None)
    total = 1 if run is None else seeds + 2
    tell("folding bars", 0, total)
    record = params.to_record()
    state = new_state(record)
    signals = new_signals(len(bars))
    fold(state, record, bars, signals)
    close = float(state["close"][0])
    fade: Result | None = None
    placebos: list[Result] = []
    why = "not asked for"
    if run is not None:
        try:
            tell("backtest", 1, total)
            fade, why = run(bars, params), ""
        except (ImportError, ValueError) as error:
            why = str(error)
    if run is not None and fade is not None:
        fakes = Placebos(bars, params, mode="flipped")
        for seed in range(seeds):
            tell(f"placebo {seed + 1} of {seeds}", seed + 2, total)
            placebos.append((rerun or run)(fakes.bars_of(seed), fakes.params))
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
        "total_return": round(result.total_return, 3),
        "max_drawdown": round(result.max_drawdown, 3),
        "trades": len(result.trades),
        "wins": result.wins,
        "final_value": round(result.final_value, 2),
    }
