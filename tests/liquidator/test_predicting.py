"""A Liquidator that says whether zones hold: columns always there, training, files, the names of 0.1.2."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from planted_model import MARKET, saying

from liquidator_core import Params
from liquidator_integrations import Liquidator, hold_columns
from liquidator_integrations.model import HoldModel

COLUMNS = ["hold_probability", "break_probability", "prediction", "geometric_rate"]


@pytest.fixture(scope="module")
def trained() -> Liquidator:
    made = Liquidator("BTC", ml_enabled=True, bar="1h")
    made.update_candles(MARKET)
    made.train_ml_predictor()
    return made


def using(liquidator: Liquidator) -> HoldModel:
    """Its model, as one that does not abstain."""
    return saying(liquidator.hold_model, abstains=False)


def filled(model: HoldModel | None = None, bars=MARKET, **settings) -> Liquidator:
    made = Liquidator("BTC", ml_enabled=True, bar="1h", **settings)
    made.update_candles(bars)
    if model is not None:
        made.enable_ml_predictions(model)
    return made


def test_the_columns_are_always_there():
    for made in (Liquidator("BTC", ml_enabled=True), Liquidator("BTC", enable_ml=True), filled()):
        zones = made.compute_zones()
        assert list(zones)[-4:] == COLUMNS
        assert [str(dtype) for dtype in zones.dtypes.iloc[-4:]] == ["float64", "float64", "category", "float64"]
        assert zones.attrs["abstains"].startswith("not trained")
        assert (zones["prediction"] == "ABSTAIN").all()
        assert (zones["hold_probability"] == zones["geometric_rate"]).all()
    assert len(zones) > 0
    assert list(filled().compute_zones(min_quality="strong"))[-4:] == COLUMNS
    assert "prediction" not in Liquidator("BTC").compute_zones()


def test_the_geometric_rate_is_that_of_the_near_edge_or_of_the_close_of_a_touch():
    seen = 0
    signals = hold_columns(MARKET)
    for end in range(13_000, 13_060):
        zones = filled(bars=MARKET[end - 600 : end]).compute_zones()
        bars = filled(bars=MARKET[end - 600 : end]).bars()
        high, low, close = bars["high"], bars["low"], np.r_[np.nan, bars["close"][:-1]]
        atr = (np.fmax(high, close) - np.fmin(low, close))[-14:].mean()
        width = zones["entry_high"] - zones["entry_low"]
        near = (width + atr) / (width + 2 * atr)
        row = signals.iloc[end - 1]
        touched = (zones["entry_low"] == row["hold_zone_low"]) & ~np.isclose(zones["geometric_rate"], near, rtol=1e-9)
        np.testing.assert_allclose(zones["geometric_rate"][~touched], near[~touched], rtol=1e-9)
        if touched.any():
            seen += 1
            assert touched.sum() == 1
            assert zones["geometric_rate"][touched].item() == pytest.approx(row["geometric_rate"])
    assert seen > 0


def test_training_gives_the_metrics(trained):
    metrics = trained.get_ml_metrics()
    wanted = {"touches", "skill", "skill_low", "skill_high", "slope", "intercept", "abstains", "attempts"}
    assert wanted | {"win_rate", "expectancy", "sqn_score", "reason", "left_out"} <= metrics.keys()
    assert metrics["abstains"] is (not metrics["skill_low"] > 0.0)
    assert metrics["touches"] > 200
    assert 0 < metrics["win_rate"] < 100
    assert metrics["expectancy"] == pytest.approx(2 * metrics["win_rate"] / 100 - 1)
    metrics.clear()  # a copy
    assert trained.get_ml_metrics()
    untrained = Liquidator("BTC", ml_enabled=True).get_ml_metrics()
    assert untrained["abstains"] is True
    assert untrained["attempts"] == 0
    assert wanted <= untrained.keys()


def test_a_model_that_is_used(trained):
    model = using(trained)
    made = filled(model)
    zones = made.compute_zones()
    assert zones.attrs["abstains"] == ""
    assert set(zones["prediction"]) <= {"HOLD", "BREAK"}
    assert (zones["hold_probability"] != zones["geometric_rate"]).all()
    np.testing.assert_allclose(zones["hold_probability"] + zones["break_probability"], 1.0)
    row = hold_columns(MARKET, model).iloc[-1]
    same = zones[(zones["entry_low"] == row["hold_zone_low"]) & (zones["entry_high"] == row["hold_zone_high"])]
    assert same["hold_probability"].item() == pytest.approx(row["hold_probability"], rel=1e-12)
    pd.testing.assert_frame_equal(filled(model, bars=MARKET[-481:]).compute_zones()[COLUMNS], zones[COLUMNS])


def test_what_the_model_knows_nothing_of_abstains(trained):
    made = filled(using(trained))
    for zones, why in (
        (made.compute_zones(pct_merge=0.01), "zones merged by pct_merge"),
        (made.compute_zones(window_minutes=60 * 180), "the model is of other Params"),
        (filled(using(trained), bars=MARKET[9000:9400]).compute_zones(), "fewer bars than a zone depends on"),
    ):
        assert why in zones.attrs["abstains"]
        assert len(zones)
        assert (zones["prediction"] == "ABSTAIN").all()
        np.testing.assert_array_equal(zones["hold_probability"], zones["geometric_rate"])
    past = made.compute_zones(as_of=int(MARKET["time"][-200]))
    assert past.attrs["abstains"] == ""


def test_streaming_has_the_same(trained):
    model = using(trained)
    made = filled(model, bars=MARKET[-1000:], mode="streaming")
    wanted = filled(model, bars=MARKET[-1000:])
    pd.testing.assert_frame_equal(
        made.compute_zones()[COLUMNS], wanted.compute_zones(as_of=made.compute_zones().attrs["as_of"])[COLUMNS]
    )


def test_training_on_candles_given(trained):
    made = Liquidator("BTC", bar="1h")
    assert made.train_ml_predictor(MARKET) == trained.get_ml_metrics()
    assert made.ml_enabled
    assert made.get_ml_metrics()["attempts"] == 1
    assert made.train_ml_predictor(MARKET)["attempts"] == 2
    other = MARKET.copy()
    other["time"] = MARKET["time"][0] + 300_000 * np.arange(len(other))
    with pytest.raises(ValueError, match=r"candles: found those of timeframe 5m .*, allowed 1h"):
        made.train_ml_predictor(other)
    with pytest.raises(ValueError, match="needs at least 400"):
        made.train_ml_predictor(MARKET[:1000])
    with pytest.raises(ValueError, match="training: found no bars"):
        Liquidator("BTC").train_ml_predictor()
    assert made.get_ml_metrics()["attempts"] == 2


def test_models_in_files(trained, tmp_path):
    path = tmp_path / "model.json"
    trained.save_ml_model(path)
    made = filled()
    made.load_ml_model(path)
    assert made.get_ml_metrics() == trained.get_ml_metrics()
    pd.testing.assert_frame_equal(made.compute_zones(), trained.compute_zones())
    assert made.train_ml_predictor()["attempts"] == 2  # a file's attempts count
    for settings in ({"params": Params(zone_bars=96)}, {"timeframe": "4h"}, {"window_minutes": 600}):
        with pytest.raises(ValueError, match=r"model\.json: the model is of"):
            filled(**settings).load_ml_model(path)
    with pytest.raises(ValueError, match="not trained"):
        Liquidator("BTC").save_ml_model(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged"):
        filled().load_ml_model(path)


def test_without_lightgbm_it_abstains(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightgbm", None)
    made = filled()
    assert (made.compute_zones()["prediction"] == "ABSTAIN").all()
    with pytest.raises(ImportError, match="liquidator-core"):
        made.train_ml_predictor()


def test_lightgbm_is_imported_at_train_and_load_alone():
    code = (
        "import sys; from liquidator_integrations import Liquidator, hold_columns, sample_bars; "
        "Liquidator('BTC', ml_enabled=True).compute_zones(); hold_columns(sample_bars()[:600]); "
        "assert 'lightgbm' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_saved_liquidator_knows_that_it_was_enabled(tmp_path):
    filled(bars=MARKET[-600:]).save(tmp_path / "saved")
    assert list(Liquidator.load(tmp_path / "saved").compute_zones())[-4:] == COLUMNS


def test_the_names_and_scales_of_0_1_2(trained):
    made = filled(bars=MARKET[-700:])
    made.enable_ml_predictions()
    zones = made.compute_zones_with_prediction(None, None, True, None, current_price=100.0)
    assert (zones["prediction_confidence"] == 0).all()
    assert set(zones["ml_prediction"]) == {"ABSTAIN"}
    made.enable_ml_predictions(using(trained))
    zones = made.compute_zones_with_prediction()
    ours = made.compute_zones()
    np.testing.assert_allclose(zones["hold_probability"], 100 * ours["hold_probability"])
    np.testing.assert_allclose(zones["hold_probability"] + zones["break_probability"], 100.0)
    np.testing.assert_allclose(zones["prediction_confidence"], 2 * (zones["hold_probability"] - 50).abs())
    assert set(zones["ml_prediction"]) <= {"HOLD", "BREAK"}
    made.record_zone_outcome(100.0, "HOLD", 101.0, pd.Timestamp("2020-01-01"))
    assert len(made.recorded_outcomes) == 1
    assert made.update_zone_touches(100.0, tolerance=0.01) is None


@pytest.mark.parametrize(
    ("call", "error", "says"),
    [
        (lambda made: made.train_ml_predictor(use_synthetic=True, n_synthetic=200), ValueError, "invented outcomes"),
        (lambda made: made.train_ml_predictor(True, 200), ValueError, "use_synthetic=True is refused"),
        (lambda made: made.enable_ml_predictions("model"), TypeError, "predictor must be a HoldModel or None"),
        (lambda made: made.compute_zones_with_prediction(), ValueError, "predictions are not enabled"),
        (lambda made: made.record_zone_outcome(1.0, "hold", 1.0, 0), ValueError, "outcome must be one of HOLD, BREAK"),
        (lambda made: made.update_zone_touches(-1.0), ValueError, "current_price must be a finite number above 0"),
    ],
)
def test_bad_calls(call, error, says):
    with pytest.raises(error, match=says):
        call(Liquidator("BTC"))
