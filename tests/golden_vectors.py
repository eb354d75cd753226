"""Golden vectors: bars, Params and what the definition says of them, for a port in any language.

``python tests/golden_vectors.py`` writes tests/golden anew with the naive twin, which was written from docs/formula.md
alone; tests/golden/README.md says what the files hold.
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
from liquidator_integrations.report import sample_bars
from made_bars import EVERY_SIGNAL, KINDS, random_bars, small_params

from liquidator_core import BAR, Params
from liquidator_core.layout import LEVEL, LONG, SIGNAL, ZONE

FOLDER = Path(__file__).parent / "golden"
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
            "bad rows, gaps, no volume, observed flow, prices that leap, bars that close where they opened",
        ),
        "inverse": Case(
            small_params(margin="inverse", leverages=(20.0, 3.0), leverage_weights=(0.25, 0.75)),
            random_bars(160, seed=12, kinds=UNOBSERVED, price=1.234e-5, volume=2e8),
            "inverse contracts at a small price, bad rows",
        ),
        "open_interest": Case(small_params(), random_bars(160, seed=13, open_interest=True), "the two-sided ledger"),
        "every_signal": Case(
            small_params(**EVERY_SIGNAL), random_bars(160, seed=14, open_interest=True, tape=True),
            "large trades, cascades, drops of open interest and extreme funding switched on",
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


def main() -> None:
    for name, case in cases().items():
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        rows, zones, levels = expected(case)
        text = json.dumps(case.params.to_dict(), indent=2) + "\n"
        (folder / "params.json").write_text(text, encoding="utf-8")
        known = [name for name in BAR.names if name == "time" or not np.isnan(case.bars[name]).all()]
        write(folder / "bars.csv", known, naive.as_dicts(case.bars))
        write(folder / "rows.csv", SIGNAL.names, rows)
        write(folder / "zones.csv", ZONE.names, zones)
        write(folder / "levels.csv", LEVEL.names, levels)
        warm = sum(not math.isnan(row["atr"]) for row in rows)
        print(f"{name}: {len(rows)} rows, {warm} of them warm; {len(zones)} zones, {len(levels)} levels; {case.says}")


if __name__ == "__main__":
    main()
