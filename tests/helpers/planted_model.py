"""A model of a simulated market in which zones hold, and bars of another such; each is made once a process."""

from __future__ import annotations

import functools

from liquidator_core import Params
from liquidator_integrations.evidence.simulator import simulate
from liquidator_integrations.model import HoldModel, train

MARKET = simulate(14_000, 0.8, seed=5).bars
LATER = simulate(3_000, 0.8, seed=6).bars


@functools.cache
def trained() -> HoldModel:
    return train(MARKET, Params(), "1h")


def saying(model: HoldModel, abstains: bool) -> HoldModel:
    """The same model, as one that abstains or does not."""
    said = {"abstains": abstains, "skill_low": -0.01 if abstains else 0.01, "reason": "so the test" if abstains else ""}
    return HoldModel(
        model.trees, model.calibration, model.params, model.timeframe, model.metrics | said, model.span, model.feeds
    )


@functools.cache
def used() -> HoldModel:
    return saying(trained(), abstains=False)
