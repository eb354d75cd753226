"""Golden vectors: bars, Params and what the definition says of them, for a port in any language.

``python tests/helpers/golden_vectors.py`` writes tests/golden anew with the naive twin, which was written from
docs/formula.md alone; tests/golden/README.md says what the files hold.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import naive
import numpy as np
from made_bars import (
    AS_OBSERVED,
    EVERY_SIGNAL,
    KINDS,
    bars_of,
    bars_with_feed,
    random_bars,
    random_trades,
    small_params,
)
from places import GOLDEN

from liquidator_core import BAR, TRADE, Params
from liquidator_core.layout import LEVEL, LONG, SIGNAL, ZONE
from liquidator_integrations import sample_bars

FOLDER = GOLDEN
UNOBSERVED = tuple(kind for kind in KINDS if kind not in ("observed", "observed_zero", "unpriced"))
MARCH_2020 = 3_400  # a row of the sample: 480 rows of memory before the crash of 12 March


@dataclass(frozen=True)
class Case:
    """One folder of tests/golden."""

    params: Params
    bars: np.ndarray
    says: str


def with_dojis(bars: np.ndarray) -> np.ndarray:
    """Every seventh bar closes where it opened."""
    bars["close"][::7] = bars["open"][::7]
    return bars


def with_ties(length: int, seed: int) -> np.ndarray:
    """Whole prices, volumes and USD, so that comparisons are ties; volume, open interest and observed flow of every odd
    kind; in the middle prices that leave positions just behind.
    """
    rng = np.random.default_rng(seed)
    bars = bars_of([(96.0,) * 4] * length)
    leaps = {length // 2: 32, length // 2 + 2: 107, length // 2 + 4: 32, length // 2 + 8: 96}
    close = 96
    for row, bar in enumerate(bars):
        opened = close + 4 * int(rng.choice([0, 0, 0, 0, 0, 1, -1, 2, -2]))
        close = opened + 4 * int(rng.integers(-2, 3)) + (4 if opened < 80 else -4 if opened > 120 else 0)
        leap = leaps.get(row)
        if leap:
            opened = close = leap
        bar["open"], bar["close"] = opened, close
        bar["high"], bar["low"] = max(opened, close) + rng.integers(0, 4), min(opened, close) - rng.integers(0, 4)
        volume = rng.choice([0, 4, 8, np.inf, np.nan, -4], p=[0.4, 0.3, 0.2, 0.04, 0.03, 0.03])
        bar["volume"] = 8 if leap else volume
        bar["open_interest"] = np.nan if leap else rng.choice([4, 6, 8, 10, 12, 0, -1, np.inf, np.nan])
        for side in ("long", "short"):
            odd = [0.6, 0.05, 0.15, 0.1, 0.04, 0.03, 0.03]
            bar[f"liq_{side}_usd"] = rng.choice([np.nan, 0, 64, 128, 192, -64, np.inf], p=odd)
            inside = rng.integers(bar["low"], bar["high"] + 1)
            bar[f"liq_{side}_price"] = rng.choice([inside, -1, 0, np.inf, np.nan], p=[0.6, 0.1, 0.1, 0.1, 0.1])
    bars["close"][rng.integers(0, length, length // 20)] = np.nan
    return bars


CALM = (4, 8, 0, 4)
SKIPPED = (math.nan,) * 4
# Each scene plays at a price of its own, 100 above the one before: (open, high, low, close) from there, and what else
# is known; "long" and "short" are observed flows of 64 USD at that price.
SCENES = (
    [CALM] * 27,
    # A broken mark is touched from the near side, which ends it: its touch from the far side is no join any more.
    [
        ((4, 8, 0, 6), {"long": 0}), (6, 12, 4, 10), (3, 3, -5, -5), (10, 12, 6, 10), (10, 10, 0, 6),
        (-10, -6, -12, -10), (-8, 0, -9, -5),
    ],
    # Marks of equal USD break one after the other and are joined on one row: the one that broke first decides.
    [((4, 12, 4, 12), {"long": 0, "short": 12}), (12, 20, 12, 18), (18, 18, 4, 4), (4, 4, -8, -8), (-8, 12, -8, 4)],
    # A touch on the very edge, and a hold that is just reached: no break follows.
    [((4, 8, 0, 4), {"long": 0}), (6, 12, 4, 10), (10, 10, 2, 4), (4, 6, -2, 0), (0, 0, -8, -8)],
    # A bar that opens beyond the far edge has gapped over the band, which disarms it.
    [((4, 8, 0, 4), {"long": 0}), (6, 12, 4, 10), (-4, 0, -8, -3), (-2, 4, -4, 0)],
    # Of zones with equal USD the lower one decides a fade.
    [((4, 12, 4, 12), {"long": 0, "short": 12}), (12, 20, 12, 18), (18, 18, 1, 14)],
    # Two zones at one price: the later one is support, the earlier one resistance.
    [((4, 8, 0, 4), {"long": 0}), (4, 12, -4, 4), ((4, 12, -4, 4), {"long": 0}), (4, 8, 0, 4), (4, 4, -4, -4)],
    # A drop of open interest that is large against what is left, but not against what was there.
    [
        ((4, 8, 0, 4), {"volume": 4, "open_interest": 16}), ((6, 8, 0, 4), {"volume": 4, "open_interest": 12.5}),
        CALM, CALM, CALM,
    ],
    # After three skipped rows the previous close is still known, after four not: no true range to it and no exit.
    [((4, 8, 0, 4), {"long": 12}), CALM, *[SKIPPED] * 3, (-4, 0, -8, -4), CALM, *[SKIPPED] * 4, (8, 12, 4, 8)],
    # Held and broken on one bar is ambiguous.
    [((4, 8, 0, 4), {"long": 0}), (6, 12, 4, 10), (10, 10, 2, 4), (4, 12, -8, -8)],
)  # fmt: skip


def story() -> np.ndarray:
    told = []
    for place, scene in enumerate(SCENES, 1):
        for row in [*[CALM] * 3, *scene]:
            prices, known = row if isinstance(row[0], tuple) else (row, {})
            told.append(([100 * place + price for price in prices], known, 100 * place))
    bars = bars_of([prices for prices, _, _ in told], volume=0.0)
    for bar, (_, known, start) in zip(bars, told, strict=True):
        for name, value in known.items():
            if name in ("long", "short"):
                bar[f"liq_{name}_usd"], bar[f"liq_{name}_price"] = 64.0, start + value
            else:
                bar[name] = value
    return bars


EXACT = {
    "atr_bars": 2, "flow_bars": 2, "outcome_bars": 7, "event_mult": 0.0, "event_share": 0.0, "margin_rate": 0.0,
    "leverages": (4.0, 8.0, 16.0), "leverage_weights": (0.5, 0.25, 0.25), "rearm_atr": 0.25, "hold_atr": 0.5,
    "break_atr": 0.25, "use_open_interest_drops": True, **AS_OBSERVED,
}  # fmt: skip
TAPE = Params(tape_ms=60_000, large_trades=7, large_mult=4.0, large_usd=2000.0)


def trades() -> np.ndarray:
    return random_trades(400, seed=5)


def cases() -> dict[str, Case]:
    sample = sample_bars()
    return {
        "default": Case(Params(), sample[MARCH_2020 : MARCH_2020 + 700], "real hours, the crash of March 2020 in them"),
        "other_windows": Case(
            Params(
                ledger_bars=60, flow_bars=30, zone_bars=50, atr_bars=10, event_mult=2.0, event_share=0.02,
                leverages=(8.0, 20.0, 75.0), leverage_weights=(0.5, 0.3, 0.2), margin_rate=0.005, zone_atr=0.4,
                outcome_bars=10, level_share=0.15,
            ),
            sample[8_000:8_500], "real hours, other windows and leverages",
        ),
        "every_kind_of_row": Case(
            small_params(), with_dojis(random_bars(160, seed=11)),
            "bad rows, gaps, no volume, observed flow beside it, prices that leap, bars that close where they opened",
        ),
        "observed_flow": Case(
            small_params(observed="flow", observed_bars=130), bars_with_feed(400, seed=16),
            "observed flow in the estimate's place, at its scale, learned by the day; an outage of half a month",
        ),
        "inverse": Case(
            small_params(margin="inverse", margin_amount=0.002, leverages=(20.0, 3.0), leverage_weights=(0.25, 0.75)),
            random_bars(160, seed=12, kinds=UNOBSERVED, price=1.234e-5, volume=2e8),
            "inverse contracts at a small price, a maintenance amount, bad rows",
        ),
        "open_interest": Case(
            small_params(max_width_atr=0.5, event_mult=0.0, event_share=0.0),
            random_bars(160, seed=13, open_interest=True),
            "the two-sided ledger; zones that are exactly as wide as a mark",
        ),
        "every_signal": Case(
            small_params(**EVERY_SIGNAL), random_bars(160, seed=14, open_interest=True, tape=True),
            "large trades, cascades, drops of open interest and extreme funding switched on",
        ),
        "far_cascades": Case(
            small_params(
                use_cascades=True, cascade_mult=1.2, flow_bars=13, event_mult=1.0, event_share=0.5, max_width_atr=0.0,
                margin_amount=0.002, margin_rate=0.01, leverages=(2.0, 40.0), leverage_weights=(0.5, 0.5),
            ),
            random_bars(120, seed=15, kinds=UNOBSERVED),
            "cascades that reach further back than the ledger, events by turnover, lone marks, a maintenance amount",
        ),
        "ties": Case(
            Params(
                **EXACT, ledger_bars=5, zone_bars=16, max_width_atr=1.0, use_cascades=True, cascade_mult=2.0,
                open_interest_drop=0.125,
            ),
            with_ties(300, seed=100),
            "whole numbers, so that comparisons are ties; everything odd that a feed may say",
        ),
        "story": Case(
            Params(**EXACT, ledger_bars=3, zone_bars=24, max_width_atr=0.75, open_interest_drop=0.25),
            story(),
            "rules that random rows seldom show, scene by scene",
        ),
    }  # fmt: skip


def expected(case: Case) -> tuple[list[dict], list[dict], list[dict]]:
    """(rows, zones and levels after the last row) by the naive twin."""
    rows, state = naive.fold(case.bars, case.params)
    zones = [
        {
            "zone_id": zone.zone_id, "birth": zone.lead.birth, "last_time": max(mark.birth for mark in zone.members),
            "side": zone.lead.side, "price": zone.price, "low": zone.low, "high": zone.high, "usd": zone.usd,
            "quality": zone.quality, "marks": len(zone.members), "age": zone.age, "touches": zone.lead.touches,
            "holds": zone.lead.holds, "ambiguous": zone.lead.ambiguous, "unresolved": zone.lead.unresolved,
        }
        for zone in state.zones
    ]  # fmt: skip
    levels = [level.__dict__ for level in naive.find_levels(state.cohorts, case.params)]
    longs = [level for level in levels if level["side"] == LONG]
    return rows, zones, longs[::-1] + levels[len(longs) :]


def write(path: Path, names: Sequence[str], rows: Sequence[dict]) -> None:
    """Floats as the shortest text that reads back as the same number; what is unknown is empty."""
    with path.open("w", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(names)
        for row in rows:
            out.writerow(["" if math.isnan(row[name]) else repr(row[name]) for name in names])


def read(path: Path, dtype: np.dtype) -> np.ndarray:
    """A file of ``write`` as a structured array; columns that it lacks are unknown."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    out = np.zeros(len(rows), dtype)
    for name in dtype.names:
        whole = dtype[name].kind == "i"
        if not whole:
            out[name] = np.nan
        if rows and name in rows[0]:
            out[name] = [int(row[name]) if whole else float(row[name] or "nan") for row in rows]
    return out


def read_params(folder: Path) -> Params:
    return Params.from_dict(json.loads((folder / "params.json").read_text(encoding="utf-8")))


def write_params(folder: Path, params: Params) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.json").write_text(json.dumps(params.to_dict(), indent=2) + "\n", encoding="utf-8")


def main() -> None:
    for name, case in cases().items():
        folder = FOLDER / name
        write_params(folder, case.params)
        rows, zones, levels = expected(case)
        known = [name for name in BAR.names if name == "time" or not np.isnan(case.bars[name]).all()]
        write(folder / "bars.csv", known, naive.as_dicts(case.bars))
        write(folder / "rows.csv", SIGNAL.names, rows)
        write(folder / "zones.csv", ZONE.names, zones)
        write(folder / "levels.csv", LEVEL.names, levels)
        warm = sum(not math.isnan(row["atr"]) for row in rows)
        print(f"{name}: {len(rows)} rows, {warm} of them warm; {len(zones)} zones, {len(levels)} levels; {case.says}")
    made = naive.bars_from_trades(naive.as_dicts(trades()), TAPE)
    write_params(FOLDER / "trades", TAPE)
    write(FOLDER / "trades" / "trades.csv", TRADE.names, naive.as_dicts(trades()))
    write(FOLDER / "trades" / "bars.csv", [name for name in BAR.names if name in made[0]], made)
    print(f"trades: {len(trades())} trades, {len(made)} bars; quiet minutes, unknown aggressors, large trades")


if __name__ == "__main__":
    main()
