"""The simulated market: its laws, and what is planted is measured there, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest

from liquidator_core import Params
from liquidator_core.bars import good_rows
from liquidator_integrations.evidence.simulator import STEPS, simulate
from liquidator_integrations.model.features import NAMES
from liquidator_integrations.model.touches import bands_of

HOUR = 3_600_000
BARS = 25_000


def rates(**planted) -> dict[str, float]:
    """Hold rates of zones, of supports and resistances among them, of mirrored bands and of bands elsewhere."""
    real, mirrored, elsewhere = bands_of(simulate(BARS, **planted).bars, Params(), HOUR)
    below = real.features[:, NAMES.index("resistance")] == 0.0
    return {
        "zones": real.held.mean(),
        "support": real.held[below].mean(),
        "resistance": real.held[~below].mean(),
        "mirrored": mirrored.held.mean(),
        "elsewhere": elsewhere.held.mean(),
    }


def test_it_is_of_its_seed_and_bar_by_bar():
    market = simulate(900, 0.5, "every", 3)
    again, other = simulate(900, 0.5, "every", 3), simulate(900, 0.5, "every", 4)
    assert market.bars.tobytes() == again.bars.tobytes() != other.bars.tobytes()
    assert good_rows(market.bars).all()
    assert (market.bars["open"][1:] == market.bars["close"][:-1]).all()
    assert not market.met[: Params().memory].any()
    assert (market.met | ~market.tilted).all()


def test_price_is_a_fair_walk_where_nothing_is_planted():
    bars = simulate(BARS).bars
    assert not simulate(BARS).tilted.any()
    moves = np.diff(np.log(bars["close"]))
    assert abs(moves.mean()) < 3 * moves.std() / np.sqrt(len(moves))
    assert abs(np.corrcoef(moves[1:], moves[:-1])[0, 1]) < 0.03
    steps = np.abs(bars["close"] - bars["open"]) / (bars["high"] - bars["low"])
    assert STEPS == 24
    assert 0.3 < np.median(steps) < 0.7


def test_what_cannot_be_planted_is_refused():
    with pytest.raises(ValueError, match=r"tilt must lie in \[-1, 1\]"):
        simulate(10, 1.5)
    with pytest.raises(ValueError, match="where must be one of 'every', 'support'"):
        simulate(10, 0.5, "nowhere")


def test_nothing_is_planted_nothing_is_there():
    found = rates()
    for name in ("support", "resistance", "mirrored", "elsewhere"):
        assert found[name] == pytest.approx(found["zones"], abs=0.05)


def test_every_zone():
    found = rates(tilt=0.6)
    assert found["zones"] > found["elsewhere"] + 0.08
    assert found["zones"] > found["mirrored"] + 0.08


@pytest.mark.slow
def test_every_zone_breaks():
    broken = rates(tilt=-0.6)
    assert broken["zones"] < broken["elsewhere"] - 0.15


@pytest.mark.slow
def test_one_side():
    found = rates(tilt=0.6, where="support")
    assert found["support"] > found["resistance"] + 0.12


@pytest.mark.slow
def test_high_quality():
    market = simulate(BARS, 0.6, "quality")
    real = bands_of(market.bars, Params(), HOUR).real
    high = real.features[:, NAMES.index("quality")] >= 0.5
    assert real.held[high].mean() > real.held[~high].mean() + 0.08


@pytest.mark.slow
def test_the_first_half_only():
    market = simulate(BARS, 0.6, "first half")
    assert market.tilted[: BARS // 2].any()
    assert not market.tilted[BARS // 2 :].any()
    real = bands_of(market.bars, Params(), HOUR).real
    first = real.begin < market.bars["time"][BARS // 2]
    assert real.held[first].mean() > real.held[~first].mean() + 0.1


@pytest.mark.slow
def test_mirrored_bands_only():
    found = rates(tilt=0.6, where="mirrored")
    assert found["mirrored"] > found["zones"] + 0.12
    assert found["zones"] == pytest.approx(rates()["zones"], abs=0.05)


def test_the_share_that_is_tilted_is_that_asked_for():
    market = simulate(BARS, 0.3)
    assert market.tilted.sum() / market.met.sum() == pytest.approx(0.3, abs=0.03)
