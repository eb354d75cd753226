"""Print the figures that the README gives of the Pine scripts: ``python tests/figures pine_figures``."""

from __future__ import annotations

import re
import time

import numpy as np
from pine_check import MOST_PLOTS, MOST_TOKENS, check
from pine_run import run_pine

from liquidator_core import SIGNAL, Params, fold, new_signals, new_state
from liquidator_integrations import sample_bars
from liquidator_integrations.for_tradingview import to_pine
from liquidator_integrations.for_tradingview.scripts import loop_steps


def loop_passes(bars: np.ndarray, params: Params) -> np.ndarray:
    """Passes through the loops of the live script on each bar but the last, which draws; counted as it runs."""
    counted = re.sub(
        r"^( *)(?:for|while) .*$",
        lambda match: f"{match[0]}\n{match[1]}    array.set(PASSES, 0, array.get(PASSES, 0) + 1)",
        to_pine(params),
        flags=re.MULTILINE,
    )
    counted = counted.replace("float NEVER", "var array<int> PASSES = array.new<int>(1, 0)\nfloat NEVER", 1)
    ran = run_pine(counted + 'plot(array.get(PASSES, 0), "passes")\n', bars)
    if ran.error:
        raise RuntimeError(ran.error)
    return np.diff(ran.plots["passes"], prepend=0.0)[:-1]


def largest_difference(bars: np.ndarray, params: Params) -> tuple[int, float]:
    """(values that the live script plotted, the largest relative difference of one from the engine's)."""
    ran = run_pine(to_pine(params), bars)
    record = params.to_record()
    rows = new_signals(len(bars))
    fold(new_state(record), record, bars, rows)
    values, largest = 0, 0.0
    for name in SIGNAL.names:
        plotted, expected = ran.plots[name][params.memory - 1 :], rows[name][params.memory - 1 :].astype(float)
        if (np.isnan(plotted) != np.isnan(expected)).any():
            raise RuntimeError(f"{name} is known on other rows")
        known = np.isfinite(expected) & (expected != 0.0)
        values += len(plotted)
        largest = max(largest, float(np.abs(plotted[known] / expected[known] - 1.0).max(initial=0.0)))
    return values, largest


def main() -> None:
    bars = sample_bars()
    found = check(to_pine(timeframes=("4h", "1d"), open_interest=True))
    print(f"at its largest: {found.plots} plots of {MOST_PLOTS}, {found.boxes} boxes of 500, ", end="")
    print(f"{found.tokens:,} tokens of {MOST_TOKENS:,}")
    passes = loop_passes(bars[2500:6000], Params())
    print(f"loop steps a bar: {passes.mean():.0f} on average, {passes.max():,.0f} at most on 3,500 hours, ", end="")
    print(f"{loop_steps(Params()):,} by construction")
    values, largest = largest_difference(bars[2500:6000], Params())
    print(f"executed on 3,500 hours: {values:,} plotted values, largest relative difference {largest:.1e}")
    ran = run_pine(to_pine(form="strategy"), bars[2500:6000])
    profits = np.array([trade["profit"] for trade in ran.trades])
    print(f"strategy on these hours: {len(profits)} trades, {(profits > 0).mean():.0%} won, ", end="")
    print(f"{profits.sum() / 10_000:+.1%} of the account at a tenth of it a trade")
    started = time.perf_counter()
    for _ in range(20):
        to_pine()
    print(f"export: {(time.perf_counter() - started) / 20 * 1e3:.1f} ms")


if __name__ == "__main__":
    main()
