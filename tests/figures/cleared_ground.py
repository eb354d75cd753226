"""Do zones hold, and where do large flushes happen? Prints both beside controls.

Hold rates: of the touches of marks that were decided, the share that held, beside that of the marks mirrored at the
close of their bar; and the difference with its 95 % interval from resampled days of birth. On the embedded sample, on
whatever else is there, and on the candles of files that are named. A difference of nothing is what is found.

Cleared ground: of the hours in the top tenth of observed liquidations of a side, on how many the hour's extreme lies
inside a zone as of the hour before, beside the zones of mirrored and of transplanted marks (of five seeds), with the
95 % interval of the difference from resampled days. What is found depends on the control: fewer than of mirrored ones,
more than of transplanted ones, which lie where price was not.

    python tests/figures cleared_ground [FILE ...]
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import truth
from places import SHARED

from liquidator_core import Params, fold, new_signals, new_state, zones_of
from liquidator_integrations import sample_bars
from liquidator_integrations.evidence.placebo import Placebos
from liquidator_integrations.frames import bars_from_frame, marks_frame
from liquidator_integrations.market.files import read_candles_or_trades

DAY = 86_400_000
SIDES = ("long", "short")
HOURS = SHARED / "btcusdt_spot_1h_2017_2023.parquet"
FIVE_MINUTES = SHARED / "btcusdt_perp_5m_2023h1.parquet"
SEEDS = 5


def series() -> Iterator[tuple[str, np.ndarray]]:
    """Every series of candles that is there."""
    yield "BTC 1h, the embedded sample", sample_bars()
    for name, path in (("BTC 1h, 2017 to 2023", HOURS), ("BTC 5m, the first half of 2023", FIVE_MINUTES)):
        if path.exists():
            yield name, bars_from_frame(pd.read_parquet(path))
        else:
            print(f"{name}: skipped, {path.name} is not there")
    for path in map(Path, sys.argv[1:]):
        yield path.stem, bars_from_frame(read_candles_or_trades(path)[1])


def decided(marks: pd.DataFrame) -> np.ndarray:
    """(n, 3): day of birth, touches that held, touches that were decided, of each mark."""
    decisions = marks["touches"] - marks["ambiguous"] - marks["unresolved"]
    days = marks["time"].astype("int64") // DAY
    return np.column_stack([days, marks["holds"], decisions])


def hold_rates(bars: np.ndarray, draws: int = 400) -> tuple[float, float, tuple[float, float, float], int]:
    """(of marks, of mirrored ones, (difference, its interval), touches decided)."""
    placebos = Placebos(bars, mode="mirrored")
    real, fake = decided(marks_frame(bars)), decided(marks_frame(placebos.bars_of(0), placebos.params))
    rate = [float(some[:, 1].sum() / some[:, 2].sum()) for some in (real, fake)]
    days = np.unique(real[:, 0])
    sums = [np.array([some[some[:, 0] == day, 1:].sum(axis=0) for day in days]) for some in (real, fake)]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        at = rng.integers(0, len(days), len(days))
        one, other = (some[at].sum(axis=0) for some in sums)
        drawn.append(one[0] / one[1] - other[0] / other[1])
    low, high = np.quantile(drawn, [0.025, 0.975])
    return rate[0], rate[1], (rate[0] - rate[1], float(low), float(high)), int(real[:, 2].sum())


def inside(bars: np.ndarray, params: Params) -> dict[str, np.ndarray]:
    """Whether each bar's extreme lies inside a zone as of the bar before: lows for longs, highs for shorts."""
    record = params.to_record()
    state, out = new_state(record), new_signals(1)
    found = {side: np.zeros(len(bars), np.bool_) for side in SIDES}
    for row in range(len(bars)):
        zones = zones_of(state, record)
        for side, extreme in zip(SIDES, (bars["low"][row], bars["high"][row]), strict=True):
            found[side][row] = ((zones["low"] <= extreme) & (extreme <= zones["high"])).any()
        fold(state, record, bars[row : row + 1], out)
    return found


def cleared(bars: np.ndarray, observed: dict[str, np.ndarray], mode: str, seeds: int) -> Iterator[str]:
    """A line a side: of the hours with the largest liquidations, inside a zone, inside a placebo's, the difference."""
    params = Params()
    real, placebos = inside(bars, params), Placebos(bars, mode=mode)
    fakes = [inside(placebos.bars_of(seed), placebos.params) for seed in range(seeds)]
    for side in SIDES:
        usd = np.where(np.arange(len(bars)) >= params.memory, observed[side], np.nan)
        rows = np.flatnonzero(usd >= np.nanquantile(usd, 0.9))
        ours, theirs = real[side][rows], np.mean([fake[side][rows] for fake in fakes], axis=0)
        days = bars["time"][rows] // DAY
        blocks = [np.flatnonzero(days == day) for day in np.unique(days)]
        rng = np.random.default_rng(0)
        drawn = []
        for _ in range(400):
            at = np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])
            drawn.append(ours[at].mean() - theirs[at].mean())
        low, high = np.quantile(drawn, [0.025, 0.975])
        difference = f"{ours.mean() - theirs.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
        yield f"{side}s: {ours.mean():.3f}, {mode} {theirs.mean():.3f}, {difference}, {len(rows)} hours"


def main() -> int:
    print("decided touches that held: of marks, of mirrored ones, the difference")
    for name, bars in series():
        real, fake, (difference, low, high), touches = hold_rates(bars)
        print(f"  {name}: {real:.3f}, {fake:.3f}, {difference:+.3f} [{low:+.3f}, {high:+.3f}], {touches:,} touches")
    if not (truth.CANDLES.exists() and truth.OBSERVED.exists()):
        print("cleared ground: skipped, hours of observed liquidations are not there")
        return 0
    print("hours in the top tenth of liquidations whose extreme lies inside a zone, beside those of placebo marks")
    bars = truth.observed_bars()
    observed = {side: bars[f"liq_{side}_usd"].copy() for side in SIDES}
    for side in SIDES:
        bars[f"liq_{side}_usd"] = np.nan
    for mode, seeds in (("mirrored", 1), ("transplanted", SEEDS)):
        for line in cleared(bars, observed, mode, seeds):
            print(f"  BTC 1h, {line}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
