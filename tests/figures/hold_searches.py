"""Searches for anything that tells whether a zone holds, failures included, each beside bands that are no zones.

Every row is an attempt, and the intervals are those of so many: 1 - 5 % / rows. All features; cleared ground alone (how
far a zone lies beyond the extreme of flow_bars, what was swept, the ledger that is left around it); several coins
pooled; and the order flow of the tape at the touch: what aggressors did from the first trade inside the band to the end
of that bar, on bars of 15 seconds and a minute, learned on the first 60 % of the touches and tried on the rest, with
intervals from resampled hours, as the tape has two days.

    python tests/figures hold_searches
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from places import SHARED

from liquidator_core import BAR, TRADE, Params
from liquidator_core.bars import good_rows
from liquidator_core.marks import BROKE, HELD
from liquidator_core.outcomes import fade_trials
from liquidator_core.tape import fold_trades, new_tape
from liquidator_integrations import sample_bars
from liquidator_integrations.frames import bars_from_frame
from liquidator_integrations.model.features import NAMES, approaches_of
from liquidator_integrations.model.scores import brier, from_log_odds, log_odds, logistic
from liquidator_integrations.model.standing import standing_touches
from liquidator_integrations.model.touches import Bands, Touches, bands_of, pooled
from liquidator_integrations.model.training import slice_times, train_on

HOUR = 3_600_000
GROUND = ("new_ground", "mass_before", "mass_behind", "mass_against", "swept_toward", "swept_away")
COINS = SHARED / "perp_1h_4_coins_2025_2026.parquet"
TRADES = SHARED / "hyperliquid_btc_trades_3d.parquet"
SERIES = {
    "BTC 1h 2017-23": (SHARED / "btcusdt_spot_1h_2017_2023.parquet", "1h", HOUR),
    "BTC 5m 2023": (SHARED / "btcusdt_perp_5m_2023h1.parquet", "5m", 300_000),
}


class Search(NamedTuple):
    """What was looked for, in what."""

    what: str
    where: str
    bands: Bands
    timeframe: str
    standing: Touches | None = None


def searches() -> Iterator[Search]:
    """Those in candles that are there."""
    series = {"BTC 1h, the sample": of_bars(sample_bars(), "1h", HOUR)}
    for name, (path, timeframe, step) in SERIES.items():
        if path.exists():
            series[name] = of_bars(bars_from_frame(pd.read_parquet(path)), timeframe, step)
    if COINS.exists():
        coins = pd.read_parquet(COINS)
        parts = [bands_of(bars_from_frame(of.drop(columns="venue")), Params(), HOUR) for _, of in coins.groupby("coin")]
        both = Bands(*(pooled(kind) for kind in zip(*parts, strict=True)))
        series[f"{len(parts)} coins 1h pooled"] = both, "1h", None
    for name, (bands, timeframe, standing) in series.items():
        yield Search("every feature", name, bands, timeframe, standing)
        yield Search("cleared ground", name, only(bands, GROUND), timeframe)


def of_bars(bars: np.ndarray, timeframe: str, step_ms: int) -> tuple[Bands, str, Touches | None]:
    """Touches of a market, and those of its standing zones in the last slice."""
    bands = bands_of(bars, Params(), step_ms)
    return bands, timeframe, standing_touches(bars, Params(), step_ms, slice_times(bands.real)[0])


def only(bands: Bands, names: tuple[str, ...]) -> Bands:
    """The same touches, with some features and no others."""
    kept = np.isin(NAMES, names)
    return Bands(*(replace(some, features=np.where(kept, some.features, 0.0)) for some in bands))


def tape_bars(trades: np.ndarray, step_ms: int) -> np.ndarray:
    """The bars of the tape."""
    record, tape = Params(tape_ms=step_ms).to_record(), new_tape()
    bars = np.zeros(int(trades["time"][-1] - trades["time"][0]) // step_ms + 2, BAR)
    _, count = fold_trades(tape, record, trades, bars)
    return bars[:count]


def flow_at_touches(trades: np.ndarray, step_ms: int) -> tuple[np.ndarray, ...]:
    """(time, held, geometric, features) of the touches on bars of the tape: ours to the close before, and the flow.

    Flow is taken toward the zone: net taker volume / volume from the first trade inside the band to the bar's end, its
    share of the bar's volume, and that of the largest tenth of its trades.
    """
    params = Params(tape_ms=step_ms)
    bars = tape_bars(trades, step_ms)
    seen = approaches_of(bars, params)
    found, _ = fade_trials(bars, good_rows(bars), seen.signals, params)
    known = seen.touched & np.isin(found, (HELD, BROKE)) & ~np.isnan(seen.features).any(axis=1)
    rows = np.flatnonzero(known)
    flows = np.zeros((len(rows), 3))
    for place, row in enumerate(rows):
        first, end = np.searchsorted(trades["time"], [bars["time"][row], bars["time"][row] + step_ms])
        some, side = trades[first:end], seen.side[row]
        inside = some["price"] <= seen.high[row] if side > 0 else some["price"] >= seen.low[row]
        some = some[int(inside.argmax()) :]
        sizes = some["size"]
        flows[place] = (
            -side * (sizes * some["side"]).sum() / sizes.sum(),
            sizes.sum() / trades["size"][first:end].sum(),
            np.sort(sizes)[-max(1, len(sizes) // 10) :].sum() / sizes.sum(),
        )
    return bars["time"][rows], (found[rows] == HELD).astype(float), seen.geometric[rows], flows


def skill_of_flow(time: np.ndarray, held: np.ndarray, geometric: np.ndarray, flows: np.ndarray, level: float) -> str:
    """Skill of odds and flow beyond odds alone, both learned on the first 60 %, on the rest."""
    cut = int(0.6 * len(held))
    base = np.column_stack([np.ones(len(held)), log_odds(geometric)])
    flows = (flows - flows[:cut].mean(axis=0)) / flows[:cut].std(axis=0)
    losses = []
    for columns in (np.column_stack([base, flows]), base):
        rate = from_log_odds(columns[cut:] @ logistic(columns[:cut], held[:cut], ridge=1.0))
        losses.append(brier(rate, held[cut:]))
    _, hour = np.unique(time[cut:] // HOUR, return_inverse=True)
    hours = int(hour.max()) + 1
    draws = np.random.default_rng(0).multinomial(hours, np.full(hours, 1 / hours), 2000)
    ours, theirs = (draws @ np.bincount(hour, loss) for loss in losses)
    low, high = np.quantile(1 - ours / theirs, [(1 - level) / 2, (1 + level) / 2])
    return f"{len(held) - cut:8,} {1 - losses[0].sum() / losses[1].sum():+9.4f} [{low:+.4f}, {high:+.4f}]"


def main() -> None:
    found = list(searches())
    steps = {"bars of 15 s": 15_000, "bars of 1m": 60_000} if TRADES.exists() else {}
    rows = len(found) + len(steps)
    level = 1 - 0.05 / rows
    print(f"{rows} searches, so intervals of {level:.2%}; positive above zero is what would be used")
    print(f"{'searched':18} {'in':22} {'touches':>8} {'skill':>9} {'interval':20} verdict, slope, best rival")
    for search in found:
        told = train_on(search.bands, Params(), search.timeframe, rows, standing=search.standing).metrics
        interval = f"[{told['skill_low']:+.4f}, {told['skill_high']:+.4f}]"
        verdict = "abstains" if told["abstains"] else "USED"
        print(
            f"{search.what:18} {search.where:22} {told['touches']:8,} {told['skill']:+9.4f} {interval:20} "
            f"{verdict}, {told['slope']:.2f}, {told['rival']}",
            flush=True,
        )
        if search.standing is not None:
            interval = f"[{told['next_skill_low']:+.4f}, {told['next_skill_high']:+.4f}]"
            print(
                f"{'  the next touch of zones that stand':41} {told['next_touches']:8,} {told['next_skill']:+9.4f} "
                f"{interval:20} {told['next_slope']:.2f}, {told['next_rival']}",
                flush=True,
            )
    if not steps:
        print("order flow: skipped, no tape")
        return
    table = pd.read_parquet(TRADES)
    trades = np.zeros(len(table), TRADE)
    trades["time"], trades["price"], trades["size"] = table["ts"], table["price"], table["size"]
    trades["side"] = np.where(table["side"] == "buy", 1, -1)
    for name, step in steps.items():
        print(
            f"{'flow at the touch':18} {f'BTC tape, {name}':22} {skill_of_flow(*flow_at_touches(trades, step), level)}"
        )


if __name__ == "__main__":
    main()
