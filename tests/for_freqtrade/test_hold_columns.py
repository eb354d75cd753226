"""Hold and break in a freqtrade frame, and the filter of entries that stands aside."""

from __future__ import annotations

import pandas as pd
import planted_model
import pytest
from freqtrade_setup import candle_frame
from planted_model import LATER

from liquidator_core import Params
from liquidator_integrations import hold_columns
from liquidator_integrations.for_freqtrade import add_hold, add_zones, expected_to_hold, startup_candle_count

FRAME = candle_frame(LATER)


def test_the_columns_are_those_of_hold_columns(tmp_path):
    path = tmp_path / "model.json"
    planted_model.used().save(path)
    frame = add_hold(FRAME, path, metadata={"pair": "BTC/USDT"})
    wanted = hold_columns(LATER, planted_model.used())
    assert list(frame) == [*FRAME, *(f"lz_{name}" for name in wanted)]
    for name in ("hold_probability", "break_probability", "geometric_rate", "hold_zone_side", "hold_zone_low"):
        pd.testing.assert_series_equal(frame[f"lz_{name}"], wanted[name], check_names=False, check_index=False)
    said = wanted["prediction"].astype(object).map({"HOLD": 1, "BREAK": -1, "ABSTAIN": 0})
    assert frame["lz_prediction"].tolist() == said.tolist()


def test_entries_stand_aside_where_the_model_does():
    frame = add_hold(add_zones(FRAME), planted_model.used())
    for side in (1, -1):
        entered = (frame["lz_fade"] == side) & expected_to_hold(frame, side)
        assert entered.any()
        assert (frame["lz_prediction"][entered] == 1).all()
        assert (frame["lz_hold_probability"][entered] >= 0.5).all()
    for model in (None, planted_model.saying(planted_model.used(), abstains=True)):
        silent = add_hold(FRAME, model)
        assert not expected_to_hold(silent, 1).any()
        assert not expected_to_hold(silent, -1).any()


def test_a_bot_sees_what_a_backtest_saw():
    model = planted_model.used()
    whole = add_hold(FRAME, model)
    rows = startup_candle_count(Params(), extra=1)
    live = add_hold(FRAME.iloc[1500 - rows : 1500].reset_index(drop=True), model)
    pd.testing.assert_series_equal(live.iloc[-1], whole.iloc[1499], check_names=False)


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"BTC/USDT 1h: the model is of other Params"):
        add_hold(FRAME, planted_model.used(), Params(zone_bars=96), metadata={"pair": "BTC/USDT"})
    with pytest.raises(ValueError, match="column 'lz_hold_probability' is there already"):
        add_hold(add_hold(FRAME))
    with pytest.raises(ValueError, match="missing column 'lz_prediction': add_hold makes it"):
        expected_to_hold(FRAME, 1)
