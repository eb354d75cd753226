"""Does a zone's quality say that it will hold, or that flow will follow? Prints both by thirds of quality.

For each fade (a zone that was touched and held the close) the quality that its zone had on the bar before: known before
the touch. What became of it: held or broke (``outcome_bars``, undecided ones left out); and what forced flow followed,
of both sides over the 24 bars after the touch, over that of the 24 bars before it. A fade whose zone was another one on
the bar before, because marks came or went, is left out.

Prints the share that held and the median of the flow after over before, by thirds of quality, with the rank correlation
of each with quality and its 95 % interval from resampled days. On the embedded sample, and on whatever else is there.

    python tests/figures quality [FILE ...]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cleared_ground
import numpy as np
import pandas as pd
from places import SHARED
from scipy.stats import spearmanr

from liquidator_core import Params, fold, new_signals, new_state
from liquidator_integrations.evidence.outcomes import outcome_column
from liquidator_integrations.frames import bars_from_frame

DAY = 86_400_000
AFTER = 24  # bars
COINS = SHARED / "perp_1h_4_coins_2025_2026.parquet"


def series() -> Iterator[tuple[str, np.ndarray]]:
    """Every series of candles that is there."""
    yield from cleared_ground.series()
    if not COINS.exists():
        print(f"ETH, SOL and DOGE 1h: skipped, {COINS.name} is not there")
        return
    candles = pd.read_parquet(COINS)
    for coin in ("ETH", "SOL", "DOGE"):
        own = candles[(candles["coin"] == coin) & (candles["venue"] == "binance")]
        yield f"{coin} 1h, 2025 to 2026", bars_from_frame(own.drop(columns=["coin", "venue"]))


@dataclass(frozen=True)
class Fades:
    """(n,) each, of the fades of a series."""

    day: np.ndarray
    quality: np.ndarray  # of the zone on the bar before
    held: np.ndarray  # 1.0, 0.0; NaN is undecided
    flow: np.ndarray  # after over before


def fades(bars: np.ndarray) -> Fades:
    record = Params().to_record()
    signals = new_signals(len(bars))
    fold(new_state(record), record, bars, signals)
    rows = np.flatnonzero(signals["fade"])
    rows = rows[(rows > AFTER) & (rows + AFTER < len(bars))]
    at, before = signals[rows], signals[rows - 1]
    kind = np.where(at["fade"] > 0, "support", "resistance")
    edges = [np.where(kind == "support", before[f"support_{x}"], before[f"resistance_{x}"]) for x in ("low", "high")]
    quality = np.where(kind == "support", before["support_quality"], before["resistance_quality"])
    same = (edges[0] == at["fade_low"]) & (edges[1] == at["fade_high"])
    flow = np.concatenate([[0.0], np.nancumsum(signals["long_flow_usd"] + signals["short_flow_usd"])])
    after, earlier = flow[rows + 1 + AFTER] - flow[rows + 1], flow[rows + 1] - flow[rows + 1 - AFTER]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(earlier > 0.0, after / earlier, np.nan)
    held = outcome_column(bars)[rows]
    return Fades(bars["time"][rows[same]] // DAY, quality[same], held[same], ratio[same])


def correlation(found: Fades, values: np.ndarray, draws: int = 400) -> tuple[float, float, float]:
    """(Spearman's of quality and values that are known, its 95 % interval from resampled days)."""
    known = np.isfinite(values)
    pairs, days = np.column_stack([found.quality[known], values[known]]), found.day[known]
    blocks = [pairs[days == day] for day in np.unique(days)]
    rng = np.random.default_rng(0)
    drawn = []
    for _ in range(draws):
        some = np.concatenate([blocks[i] for i in rng.integers(0, len(blocks), len(blocks))])
        drawn.append(spearmanr(*some.T).statistic)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(spearmanr(*pairs.T).statistic), float(low), float(high)


def thirds(found: Fades, values: np.ndarray, middle: str) -> list[float]:
    """The mean or median of values that are known in each third of quality, the lowest first."""
    edges = np.quantile(found.quality, [1 / 3, 2 / 3])
    third = np.searchsorted(edges, found.quality, side="right")
    return [float(getattr(np, f"nan{middle}")(values[third == at])) for at in range(3)]


def line(found: Fades, values: np.ndarray, middle: str) -> str:
    three = ", ".join(f"{value:.3f}" for value in thirds(found, values, middle))
    return "{}; {:+.3f} [{:+.3f}, {:+.3f}]".format(three, *correlation(found, values))


def main() -> int:
    print("by thirds of quality, the lowest first; rank correlation with quality")
    for name, bars in series():
        found = fades(bars)
        print(f"{name}: {len(found.day):,} fades")
        print(f"  held: {line(found, found.held, 'mean')}")
        print(f"  flow after over before: {line(found, found.flow, 'median')}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
