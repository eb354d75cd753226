"""The record of a fold beside a naive one: states looked at after every step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from made_bars import AS_OBSERVED, random_bars

from liquidator_core import Params, fold, new_signals, new_state, step, zones_of
from liquidator_core.layout import BINS, BINS_PER_LOG, LONG
from liquidator_core.levels import cells_of, nearest_bin
from liquidator_core.record import BROKEN, EXPIRED, MERGED, cells_at, record
from liquidator_core.zones import marks_of
from liquidator_integrations import sample_bars

SHORT_PARAMS = Params(ledger_bars=40, flow_bars=20, zone_bars=60, outcome_bars=12, event_mult=2.0, event_share=0.02)


def with_everything(rows: int) -> np.ndarray:
    """Bars of which some are skipped, some have open interest and some observed liquidations."""
    bars = random_bars(rows, seed=3)
    rng = np.random.default_rng(0)
    bars["open_interest"] = 1000.0 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    bars["open_interest"][::7] = np.nan
    for side in ("long", "short"):
        usd = rng.lognormal(8, 2, rows)
        bars[f"liq_{side}_usd"][rows // 2 :] = usd[rows // 2 :]
    bars["close"][50] = np.nan
    return bars


SERIES = {
    "hours": (sample_bars()[:900], Params()),
    "made": (random_bars(700, seed=1), SHORT_PARAMS),
    "everything": (with_everything(700), replace(SHORT_PARAMS, **AS_OBSERVED)),
}
EACH = pytest.mark.parametrize(("bars", "params"), list(SERIES.values()), ids=list(SERIES))


def cells_of_state(state: np.ndarray, first_bin: int, cell_bins: int, count: int) -> np.ndarray:
    """USD by cell, bin by bin from the state."""
    usd = np.zeros(count)
    close = float(state["close"][0])
    if not close > 0.0:
        return usd
    for side in range(2):
        nearest = nearest_bin(side, math.log(close) * BINS_PER_LOG)
        for distance in range(BINS):
            lots = int(state["lots"][0, side, (nearest - distance) % BINS])
            if lots:
                place = nearest - distance if side == LONG else -(nearest - distance) - 1
                price = math.exp((place + 0.5) / BINS_PER_LOG)
                usd[(place - first_bin) // cell_bins] += lots / float(state["lots_a_unit"][0]) * price
    return usd


@EACH
def test_zones_are_those_of_every_step(bars, params):
    recorded = record(bars, params)
    settings, state, out = params.to_record(), new_state(params), new_signals(1)
    seen, before = {}, set()
    for i in range(len(bars)):
        step(state, settings, bars[i : i + 1], out)
        now = {int(zone["zone_id"]): zone for zone in zones_of(state, settings)}
        leads = {2 * int(mark["birth"]) + int(mark["side"]): mark for mark in marks_of(state, settings)}
        for key in before - now.keys():
            reason = EXPIRED if key not in leads else BROKEN if leads[key]["broken"] else MERGED
            seen[key] = (seen[key][0], int(bars["time"][i]), reason)
        seen |= {key: (zone, -1, 0) for key, zone in now.items()}
        before = set(now)
    assert [int(key) for key in recorded.zones["zone_id"]] == sorted(seen, key=list(seen).index)
    for entry in recorded.zones:
        zone, end, reason = seen[int(entry["zone_id"])]
        assert (int(entry["end"]), int(entry["reason"])) == (end, reason)
        for name in ("birth", "side", "price", "low", "high", "usd", "quality", "marks", "touches", "holds"):
            assert entry[name] == zone[name]
    assert len(seen) > 10


@EACH
@pytest.mark.parametrize("cell_bins", [4, 8])
def test_cells_are_those_of_every_step(bars, params, cell_bins):
    recorded = record(bars, params, cell_bins)
    usd = cells_at(recorded, 0, len(bars))
    settings, state, out = params.to_record(), new_state(params), new_signals(1)
    for i in range(len(bars)):
        step(state, settings, bars[i : i + 1], out)
        if i % 41 == 0 or i == len(bars) - 1:
            expected = cells_of_state(state, recorded.first_bin, cell_bins, len(usd))
            np.testing.assert_allclose(usd[:, i], expected, rtol=1e-12, atol=0.0)
            assert usd[:, i].sum() == pytest.approx(cells_of(state, settings)["usd"].sum(), rel=1e-5)
    np.testing.assert_array_equal(cells_at(recorded, 300, 400), usd[:, 300:400])
    assert usd.max() > 0.0


@EACH
def test_the_fold_is_the_fold(bars, params):
    """Recording changes nothing: the same rows, the same state, and bars as they were."""
    untouched = bars.copy()
    recorded = record(bars, params)
    state, out = new_state(params), new_signals(len(bars))
    fold(state, params.to_record(), bars, out)
    assert recorded.signals.tobytes() == out.tobytes()
    assert recorded.state.tobytes() == state.tobytes()
    assert bars.tobytes() == untouched.tobytes()


def test_later_bars_change_nothing_before():
    bars, params = SERIES["everything"]
    whole, part = record(bars, params), record(bars[:500], params)
    count = part.until[-1]
    shift = (part.first_bin - whole.first_bin) // 8
    assert count == whole.until[499]
    np.testing.assert_array_equal(part.changes["usd"], whole.changes["usd"][:count])
    np.testing.assert_array_equal(part.changes["cell"] + shift, whole.changes["cell"][:count])
    ended = part.zones[part.zones["reason"] != MERGED]
    ended = ended[ended["end"] >= 0]
    same = whole.zones[: len(part.zones)]
    assert (part.zones["zone_id"] == same["zone_id"]).all()
    finished = np.isin(part.zones["zone_id"], ended["zone_id"])
    assert part.zones[finished].tobytes() == same[finished].tobytes()


def test_sources_of_zones():
    bars, params = SERIES["everything"]
    zones = record(bars, params).zones
    middle = bars["time"][len(bars) // 2]
    assert (zones["observed"][zones["birth"] < middle - 60 * 60_000] == 0).all()
    assert (zones["observed"] <= zones["marks"]).all()
    assert (zones["observed"] > 0).any()


def test_leverages_add_up():
    """Lots are counted by leverage, so that parts of the mix add up to the whole, cell by cell."""
    bars, params = SERIES["hours"]
    parts = []
    for kept in ([1, 1, 0, 0, 0], [0, 0, 1, 1, 1]):
        settings = params.to_record()
        settings["weight"][0, :5] *= kept
        parts.append(cells_at(record(bars, settings), 0, len(bars)))
    np.testing.assert_allclose(sum(parts), cells_at(record(bars, params), 0, len(bars)), rtol=1e-12)


def test_room_for_changes_runs_out_and_is_made(monkeypatch):
    bars, params = SERIES["everything"]
    whole = record(bars, params)
    monkeypatch.setattr("liquidator_core.record._ROOM", 1)
    small = record(bars, params)
    assert small.changes.tobytes() == whole.changes.tobytes()
    np.testing.assert_array_equal(small.until, whole.until)


def test_no_bars_and_no_cells():
    recorded = record(sample_bars()[:0], Params())
    assert len(recorded.zones) == len(recorded.changes) == 0
    assert cells_at(recorded, 0, 0).shape[1] == 0
    with pytest.raises(ValueError, match=r"cell_bins must lie in \[1, 64\], got 0"):
        record(sample_bars()[:5], Params(), 0)
