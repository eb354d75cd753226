"""How well does forced flow estimated from candles rank observed liquidations? Prints it, side by side.

Spearman rank correlation of per-bar forced flow (default Params, hourly spot candles, nothing else known) with observed
liquidation USD, over the hours from 2025-12-01 on that have observed flow; intervals from resampled days. And how many
USD of the ledger were swept a USD that was reported.

    python tests/figures truth
"""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import pyarrow.parquet as pq
from places import SHARED
from scipy.stats import spearmanr

from liquidator_core import BAR, Params, fold, new_signals, new_state

DATA = SHARED
CANDLES = DATA / "truth_btcusdt_spot_1h_to_2026-02.parquet"
OBSERVED = DATA / "truth_btc_liquidation_usd_1h_to_2026-02.parquet"
FROM = 1_764_547_200_000  # 2025-12-01
DAY = 86_400_000
SIDES = ("long", "short")
MIXES = {
    "5/10/25/50/100 weighted .1/.3/.3/.2/.1, m = 0.5 %": Params(
        leverages=(5, 10, 25, 50, 100), leverage_weights=(0.1, 0.3, 0.3, 0.2, 0.1), margin_rate=0.005
    ),
    "5/10/25/50/75/100/125 weighted .3/.2/.1/.1/.1/.1/.1, m = 0.4 %": Params(
        leverages=(5, 10, 25, 50, 75, 100, 125), leverage_weights=(0.3, 0.2, 0.1, 0.1, 0.1, 0.1, 0.1)
    ),
    "10/25/50/100/150 weighted .29/.28/.16/.16/.11, m = 0.4 % (the default)": Params(),
}


@dataclass(frozen=True)
class Score:
    """One side's agreement with the truth."""

    hours: int
    correlation: float
    low: float  # the 95 % interval
    high: float
    zero: float  # share of hours with no estimated flow


def observed_bars() -> np.ndarray:
    """Hourly candles as (n,) BAR with what was observed; hours on which nothing was are unknown."""
    candles, observed = pq.read_table(CANDLES), pq.read_table(OBSERVED)
    bars = np.zeros(len(candles), BAR)
    for name in BAR.names[1:]:
        bars[name] = np.nan
    bars["time"] = candles["ts"].to_numpy()
    for name in ("open", "high", "low", "close", "volume"):
        bars[name] = candles[name].to_numpy()
    time = observed["ts"].to_numpy()
    usd = np.stack([observed[f"{side}Usd"].to_numpy() for side in SIDES])
    known = (time >= FROM) & (usd.sum(axis=0) > 0.0)
    _, ours, theirs = np.intersect1d(bars["time"], time[known], return_indices=True)
    for side, values in zip(SIDES, usd[:, known], strict=True):
        bars[f"liq_{side}_usd"][ours] = values[theirs]
    return bars


def hours(params: Params | None = None) -> dict[str, np.ndarray]:
    """Time, and per side estimated and observed flow, of the hours that are compared."""
    bars = observed_bars()
    columns = {"time": bars["time"]}
    for side in SIDES:
        columns[f"{side} observed"] = bars[f"liq_{side}_usd"].copy()
        bars[f"liq_{side}_usd"] = np.nan
    record = (params or Params()).to_record()
    out = new_signals(len(bars))
    fold(new_state(record), record, bars, out)
    for side in SIDES:
        columns[f"{side} estimated"] = out[f"{side}_flow_usd"]
    used = ~np.isnan(columns["long observed"]) & ~np.isnan(columns["long estimated"])
    return {name: values[used] for name, values in columns.items()}


def score(columns: dict[str, np.ndarray], side: str, resamples: int = 1000, seed: int = 0) -> Score:
    """Rank correlation of one side, with a day-block bootstrap interval."""
    estimated, observed = columns[f"{side} estimated"], columns[f"{side} observed"]
    days = columns["time"] // DAY
    blocks = [np.flatnonzero(days == day) for day in np.unique(days)]
    rng = np.random.default_rng(seed)
    drawn = []
    for _ in range(resamples):
        rows = np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])
        drawn.append(spearmanr(estimated[rows], observed[rows]).statistic)
    low, high = np.quantile(drawn, [0.025, 0.975])
    correlation = spearmanr(estimated, observed).statistic
    return Score(len(observed), float(correlation), float(low), float(high), float((estimated == 0.0).mean()))


def main() -> int:
    if not (CANDLES.exists() and OBSERVED.exists()):
        print(f"no data in {DATA}", file=sys.stderr)
        return 1
    for name, params in MIXES.items() if "--mixes" in sys.argv else [("", Params())]:
        columns = hours(params)
        if name:
            print(name)
        for side in SIDES:
            it = score(columns, side)
            print(
                f"{side:5}  Spearman {it.correlation:.3f} [{it.low:.3f}, {it.high:.3f}]  "
                f"{it.hours} hours, {100 * it.zero:.0f} % without estimated flow"
            )
        times = (columns[f"{side} estimated"].sum() / columns[f"{side} observed"].sum() for side in SIDES)
        print(
            "USD of the ledger a USD reported: "
            + ", ".join(f"{side}s {n:.0f}" for side, n in zip(SIDES, times, strict=True))
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
