"""The sizer of hold and break: it stakes where the model says hold, and stands aside elsewhere."""

from __future__ import annotations

import backtrader as bt
import numpy as np
import planted_model
import pytest
from planted_model import LATER

from liquidator_core import Params
from liquidator_integrations import hold_columns
from liquidator_integrations.for_backtrader import CandleFeed, HoldSizer


class Fader(bt.Strategy):
    """Notes what the sizer would stake on a buy and a sale at every 200th bar."""

    def __init__(self):
        self.sizes = {}

    def next(self):
        row = len(self.data) - 1
        if row % 200 == 0 and row > Params().memory:
            self.sizes[row] = self.getsizing(isbuy=True), self.getsizing(isbuy=False)


def sizes(**settings) -> dict[int, tuple[float, float]]:
    cerebro = bt.Cerebro()
    cerebro.adddata(CandleFeed(dataname=LATER))
    cerebro.addstrategy(Fader)
    cerebro.addsizer(HoldSizer, **settings)
    return cerebro.run()[0].sizes


def test_it_stakes_on_the_zone_that_the_model_expects_to_hold(tmp_path):
    model = planted_model.used()
    columns = hold_columns(LATER, model)
    path = tmp_path / "model.json"
    model.save(path)
    for given in (model, path):
        found = sizes(model=given, share=0.25)
        for row, (buy, sell) in found.items():
            at = columns.iloc[row]
            stake = 0.25 * 10_000.0 / LATER["close"][row] if at["prediction"] == "HOLD" else 0.0
            wanted = (stake, 0.0) if at["hold_zone_side"] > 0 else (0.0, stake)
            np.testing.assert_allclose((buy, sell), wanted)
    both = np.array(list(found.values()))
    assert (both > 0).any(axis=0).all()


def test_it_stands_aside_where_the_model_abstains():
    for model in (None, planted_model.saying(planted_model.used(), abstains=True)):
        assert set(sizes(model=model).values()) == {(0.0, 0.0)}


def test_what_it_refuses():
    with pytest.raises(ValueError, match="the model is of other Params"):
        sizes(model=planted_model.used(), zone_bars=96)
    with pytest.raises(ValueError, match="share must not be below 0"):
        sizes(share=-1.0)
    with pytest.raises(TypeError, match="HoldSizer has no parameter 'shares': did you mean 'share'"):
        sizes(shares=1.0)
