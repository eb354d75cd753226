"""Is the yardstick of an account fair? Prints the rank of the real run among its flipped ones, on random walks.

On a walk no zone is worth anything, so that the real run's rank by return, of 21, is uniform: the first place falls to
it on one walk in twenty-one. Prints how often it does, and how the ranks lie.

    python tests/figures random_walks [WALKS]
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import ProcessPoolExecutor

import numpy as np

from liquidator_core import BAR, Params
from liquidator_integrations.evidence.account import fade_account
from liquidator_integrations.evidence.report import make_report
from liquidator_integrations.evidence.result import FLIPPED_RUNS
from liquidator_strategies.for_backtrader import run_fade

BARS = 600
HOUR = 3_600_000
START = 1_577_836_800_000
PARAMS = Params(ledger_bars=48, flow_bars=24, zone_bars=48, event_mult=2.0, event_share=0.01)


def walk(seed: int, length: int = BARS) -> np.ndarray:
    """(n,) BAR of a random walk: 60 steps a bar, a volume that grows with the range."""
    rng = np.random.default_rng((7, seed))
    path = 100.0 * np.exp(np.cumsum(rng.normal(0.0, 0.0012, 60 * length)).reshape(length, 60))
    bars = np.zeros(length, BAR)
    for name in BAR.names[1:]:
        bars[name] = np.nan
    bars["time"] = START + HOUR * np.arange(length)
    bars["close"] = path[:, -1]
    bars["open"] = np.r_[100.0, path[:-1, -1]]
    bars["high"] = np.maximum(path.max(axis=1), bars["open"])
    bars["low"] = np.minimum(path.min(axis=1), bars["open"])
    bars["volume"] = 1000.0 * (bars["high"] - bars["low"]) * rng.lognormal(0.0, 0.3, length)
    return bars


def rank(seed: int) -> int:
    """Of the real run, 1 the best of 21; where ties are, drawn among them."""
    report = make_report(walk(seed), PARAMS, run=run_fade, rerun=fade_account)
    assert report.fade is not None
    assert report.fade.trades, f"walk {seed} was not traded"
    returns = [placebo.total_return for placebo in report.placebos]
    better = sum(value > report.fade.total_return for value in returns)
    ties = sum(value == report.fade.total_return for value in returns)
    return 1 + better + int(np.random.default_rng((8, seed)).integers(0, ties, endpoint=True))


def ranks(walks: int, first: int = 0) -> np.ndarray:
    """(walks,) ranks, worked out by a process a processor."""
    import random_walks  # by the name under which another process finds it

    with ProcessPoolExecutor(os.cpu_count()) as pool:
        return np.array(list(pool.map(random_walks.rank, range(first, first + walks), chunksize=4)))


def main() -> int:
    found = ranks(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
    counts = np.bincount(found, minlength=FLIPPED_RUNS + 2)[1:]
    print(f"{len(found)} walks, the real run and {FLIPPED_RUNS} flipped ones")
    print(f"it is first on {counts[0]}, last on {counts[-1]}")
    thirds = [int(counts[at : at + 7].sum()) for at in (0, 7, 14)]
    print(
        f"in the first, second and last third of the ranks: {', '.join(map(str, thirds))}; mean rank {found.mean():.1f}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
