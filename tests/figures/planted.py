"""What the model of hold and break says of simulated markets: found where something is planted, silent elsewhere.

``python tests/figures planted --seeds 20``; 200 seeds by default, some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np

from liquidator_core import Params
from liquidator_integrations.evidence.outcomes import outcome_column
from liquidator_integrations.evidence.simulator import Where, simulate
from liquidator_integrations.model import hold_columns, train
from liquidator_integrations.model.scores import calibration, log_odds, logistic

TRAINED, LATER = 30_000, 10_000  # so that the first half ends before the last slice
CASES: dict[str, tuple[float, Where]] = {
    "every zone": (0.8, "every"),
    "one side": (0.8, "support"),
    "high quality": (0.8, "quality"),
    "nothing": (0.0, "every"),
    "first half only": (0.8, "first half"),
    "mirrored bands only": (0.8, "mirrored"),
}


class Run(NamedTuple):
    """One market: what training said, and how its probabilities did on bars that came later."""

    abstains: bool
    skill: float
    skill_low: float
    later: dict[str, float]  # calibration there
    rate: np.ndarray
    held: np.ndarray


def run(case: str, seed: int) -> Run:
    tilt, where = CASES[case]
    bars = simulate(TRAINED + LATER, tilt, where, 1000 + seed).bars
    model = train(bars[:TRAINED], Params(), "1h")
    part = bars[TRAINED - Params().memory :]
    outcomes = outcome_column(part)
    touched = np.isfinite(outcomes)
    touched[: Params().memory] = False
    columns = hold_columns(part, model)
    rate, held = columns["hold_probability"].to_numpy()[touched], outcomes[touched]
    known = np.isfinite(rate)
    rate, held = rate[known], held[known]
    told = model.metrics
    return Run(
        told["abstains"],
        told["skill"],
        told["skill_low"],
        calibration(rate, held, part["time"][touched][known], 100),
        rate,
        held,
    )


def is_calibrated(later: dict[str, float]) -> bool:
    """Whether slope and intercept lie within their intervals."""
    return later["slope_low"] <= 1.0 <= later["slope_high"] and later["intercept_low"] <= 0.0 <= later["intercept_high"]


def pooled_slope(runs: list[Run]) -> tuple[float, float]:
    """(slope, intercept) of all runs together."""
    rate, held = (np.concatenate([getattr(one, name) for one in runs]) for name in ("rate", "held"))
    slope, intercept = logistic(np.column_stack([log_odds(rate), np.ones(len(rate))]), held)
    return float(slope), float(intercept)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    print(f"{seeds} markets each: {TRAINED:,} hours trained on, {LATER:,} later ones to look at calibration")
    print(f"{'planted':20} {'used':>5} {'skill':>7} {'low':>7}   later, of those used: slope, intercept, both within")
    with ProcessPoolExecutor(2) as pool:
        for case in CASES:
            runs = list(pool.map(run, [case] * seeds, range(seeds)))
            used = [one for one in runs if not one.abstains]
            text = ""
            if used:
                slope, intercept = pooled_slope(used)
                text = f"{slope:.2f}, {intercept:+.2f}, {sum(is_calibrated(one.later) for one in used)} of {len(used)}"
            skill, low = (np.median([getattr(one, name) for one in runs]) for name in ("skill", "skill_low"))
            print(f"{case:20} {len(used):5} {skill:+7.3f} {low:+7.3f}   {text}", flush=True)


if __name__ == "__main__":
    main()
