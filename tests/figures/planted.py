"""What the model of hold and break says of simulated markets: found where something is planted, silent elsewhere.

``python tests/figures planted --seeds 20``; 200 seeds by default, some ten minutes on two cores.
"""

from __future__ import annotations

import argparse
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from liquidator_core import Params
from liquidator_integrations.evidence.simulator import HOUR_MS, Where, simulate
from liquidator_integrations.model.scores import logistic
from liquidator_integrations.model.standing import standing_touches
from liquidator_integrations.model.touches import bands_of, touches_of
from liquidator_integrations.model.training import DISTANCES, calibration_later, slice_times, train_on

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

    told: dict[str, Any]  # metrics
    later: dict[str, float]  # calibration there
    rate: np.ndarray
    held: np.ndarray


def run(case: str, seed: int) -> Run:
    tilt, where = CASES[case]
    params = Params()
    bars = simulate(TRAINED + LATER, tilt, where, 1000 + seed).bars
    bands = bands_of(bars[:TRAINED], params, HOUR_MS)
    standing = standing_touches(bars[:TRAINED], params, HOUR_MS, slice_times(bands.real)[0])
    model = train_on(bands, params, "1h", standing=standing)
    later = touches_of(bars[TRAINED - params.memory :], params, HOUR_MS)
    later = later.taken(np.flatnonzero(later.begin >= bars["time"][TRAINED]))
    rate = model.probability(later.features, later.geometric, np.ones(len(later), np.bool_))
    return Run(model.metrics, calibration_later(bands, later), rate, later.held)


def is_calibrated(told: dict[str, float], of: str = "") -> bool:
    """Whether slope and intercept lie within their intervals: 1 and 0 do."""
    slope, intercept = ([told[f"{of}{name}_{end}"] for end in ("low", "high")] for name in ("slope", "intercept"))
    return slope[0] <= 1.0 <= slope[1] and intercept[0] <= 0.0 <= intercept[1]


def pooled_slope(runs: list[Run]) -> tuple[float, float]:
    """(slope, intercept) of all runs together."""
    rate, held = (np.concatenate([getattr(one, name) for one in runs]) for name in ("rate", "held"))
    slope, intercept = logistic(np.column_stack([np.log(rate / (1.0 - rate)), np.ones(len(rate))]), held)
    return float(slope), float(intercept)


def far_away(runs: list[Run], name: str) -> tuple[float, float, float, float]:
    """(touches a market, mean of what was said of them, share that held, median skill) at a distance of the zone."""
    some = [one.told["next_by_distance"][name] for one in runs if name in one.told["next_by_distance"]]
    touches = np.array([one["touches"] for one in some])
    said, held = (float(np.average([one[what] for one in some], weights=touches)) for what in ("said", "held"))
    return float(touches.mean()), said, held, float(np.median([one["skill"] for one in some]))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=200)
    seeds = parser.parse_args().seeds
    print(f"{seeds} markets each: {TRAINED:,} hours trained on, {LATER:,} later ones to look at calibration")
    print("skill and its lower end at the touch, then of the next touch of zones that stand at a close: medians")
    print(f"{'planted':20} {'used':>5} {'skill':>7} {'low':>7} {'next':>7} {'low':>7}   ", end="")
    print("those used: later slope, intercept, both within; of the next touch, on the last slice")
    by_distance = []
    with ProcessPoolExecutor(2) as pool:
        for case in CASES:
            runs = list(pool.map(run, [case] * seeds, range(seeds)))
            used = [one for one in runs if not one.told["abstains"]]
            text = ""
            if used:
                slope, intercept = pooled_slope(used)
                within = sum(is_calibrated(one.later) for one in used)
                next_within = sum(is_calibrated(one.told, "next_") for one in used)
                text = f"{slope:.2f}, {intercept:+.2f}, {within} of {len(used)}; {next_within}"
            names = ("skill", "skill_low", "next_skill", "next_skill_low")
            told = " ".join(f"{np.median([one.told[name] for one in runs]):+7.3f}" for name in names)
            print(f"{case:20} {len(used):5} {told}   {text}", flush=True)
            by_distance += [(case, name, *far_away(runs, name)) for name in DISTANCES]
    print("of the next touch, by distance of the zone when it was said: touches a market, said, held, median skill")
    for case, name, touches, said, held, skill in by_distance:
        print(f"{case:20} {name:12} {touches:5.0f} {said:.3f} {held:.3f} {skill:+.3f}")


if __name__ == "__main__":
    main()
