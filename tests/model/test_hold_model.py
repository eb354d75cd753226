"""Models in files, and columns of candles: whole or refused, lawful, and silent where they know nothing."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pandas as pd
import planted_model
import pytest
from freqtrade_setup import candle_frame
from planted_model import LATER, saying

from liquidator_core import BAR, Params
from liquidator_integrations import hold_columns
from liquidator_integrations.model import HoldModel, train
from liquidator_integrations.model.columns import timeframe_of
from liquidator_integrations.model.features import NAMES


@pytest.fixture(scope="module")
def used() -> HoldModel:
    return planted_model.used()


@pytest.fixture
def file(used, tmp_path):
    path = tmp_path / "model.json"
    used.save(path)
    return path


def test_a_model_comes_back_to_the_bit(used, file):
    again = HoldModel.load(file)
    assert repr(again) == repr(used)
    assert again.metrics == used.metrics
    assert again.attempts == 1
    assert [path.name for path in file.parent.iterdir()] == ["model.json"]
    pd.testing.assert_frame_equal(hold_columns(LATER, again), hold_columns(LATER, used))
    pd.testing.assert_frame_equal(hold_columns(LATER, file), hold_columns(LATER, used))
    about = json.loads(file.read_text())
    assert about["features"] == list(NAMES)
    assert about["trees"].startswith("tree\n")
    assert {"params_digest", "timeframe", "schema", "span", "sha256"} <= about.keys()


def test_candles_beside_the_grid_are_of_the_usual_timeframe():
    bars = np.zeros(50, BAR)
    bars["time"] = np.arange(50) * 3_600_000
    bars["time"][10:20] += 1_694_000
    assert timeframe_of(bars) == "1h"


def sealed(about: dict) -> dict:
    """With a SHA-256 that fits."""
    rest = {name: value for name, value in about.items() if name != "sha256"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"))
    return {"sha256": hashlib.sha256(text.encode()).hexdigest(), **rest}


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9, 0.999])
def test_a_cut_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match="not a file that save_ml_model wrote, or damaged"):
        HoldModel.load(file)


def test_any_byte_that_changed_is_told(file):
    content = file.read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(0, len(content), 60).tolist():
        changed = bytearray(content)
        changed[place] ^= 1 << int(rng.integers(0, 7))
        file.write_bytes(bytes(changed))
        try:
            whole = json.loads(bytes(changed)) == json.loads(content)  # a blank for another
        except ValueError:
            whole = False
        if not whole:
            with pytest.raises(ValueError, match=r"model\.json"):
                HoldModel.load(file)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"kind": "another"}, "of kind 'another'"),
        ({"schema": 2}, "of schema 2, this version reads schema 1"),
        ({"features": ["width"]}, "of other features than this version's: train anew"),
        ({"timeframe": "7m"}, "damaged: params or timeframe"),
        ({"params_digest": "0"}, "damaged: params or timeframe"),
        ({"calibration": {"touch": [0, 1, float("nan")], "before": [0, 1, 1]}}, "damaged: calibration"),
        ({"metrics": {"abstains": False, "skill_low": -0.1}}, "damaged: metrics"),
        ({"trees": "tree\nversion=v4\n"}, "damaged"),
        ({"trees": None}, "damaged"),
        ({"feeds": ["tea leaves"]}, "damaged: feeds"),
    ],
)
def test_what_a_file_says_is_held_against_itself(file, change, says):
    file.write_text(json.dumps(sealed(json.loads(file.read_text()) | change)))
    with pytest.raises(ValueError, match=says):
        HoldModel.load(file)


def test_others_files_are_refused(tmp_path):
    for name, content in (("list", b"[]"), ("pickle", b"\x80\x04K\x01."), ("text", b"hello"), ("number", b"1")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match="not a file that save_ml_model wrote"):
            HoldModel.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        HoldModel.load(tmp_path / "nothing")


def test_columns_without_a_model_are_the_geometric_rate():
    columns = hold_columns(LATER)
    warm = columns["geometric_rate"].notna()
    assert warm.iloc[Params().memory :].mean() > 0.9
    assert not warm.iloc[: Params().memory - 1].any()
    assert (columns["prediction"] == "ABSTAIN").all()
    np.testing.assert_array_equal(columns["hold_probability"], columns["geometric_rate"])


def test_an_abstaining_model_says_what_none_says(used):
    silent = saying(used, abstains=True)
    pd.testing.assert_frame_equal(hold_columns(LATER, silent), hold_columns(LATER))


def test_columns_of_a_model(used):
    columns = hold_columns(LATER, used)
    known = columns["prediction"] != "ABSTAIN"
    assert known.sum() > 2000
    hold = columns["hold_probability"][known]
    assert ((hold > 0) & (hold < 1)).all()
    np.testing.assert_allclose(columns["hold_probability"] + columns["break_probability"], np.where(known, 1, np.nan))
    assert ((hold >= 0.5) == (columns["prediction"][known] == "HOLD")).all()
    assert columns["prediction"].cat.categories.tolist() == ["ABSTAIN", "BREAK", "HOLD"]


def test_columns_are_lawful(used):
    """No later candle changes a row, and a row follows from the memory + 1 candles that end with it."""
    whole = hold_columns(LATER, used)
    memory = Params().memory + 1
    for end in (700, 1499, 2600):
        pd.testing.assert_frame_equal(hold_columns(LATER[:end], used), whole.iloc[:end])
        alone = hold_columns(LATER[end - memory : end], used)
        pd.testing.assert_series_equal(alone.iloc[-1], whole.iloc[end - 1], check_names=False)


def test_frames_keep_their_index_and_are_not_changed(used):
    frame = candle_frame(LATER)
    frame.index = frame.index + 7
    before = frame.copy()
    columns = hold_columns(frame, used)
    assert columns.index.equals(frame.index)
    pd.testing.assert_frame_equal(frame, before)
    np.testing.assert_array_equal(columns["hold_probability"], hold_columns(LATER, used)["hold_probability"])


def test_a_model_of_something_else_is_refused(used):
    with pytest.raises(ValueError, match="the model is of other Params"):
        hold_columns(LATER, used, Params(zone_bars=96))
    other = LATER.copy()
    other["time"] = other["time"][0] + 300_000 * np.arange(len(other))
    with pytest.raises(ValueError, match="BTC: the model is of candles of 1h, these are of 5m"):
        hold_columns(other, used, market="BTC")
    with pytest.raises(TypeError, match="model must be a HoldModel, the path of its file or None, got int"):
        hold_columns(LATER, 3)


def test_a_model_is_not_used_without_the_feeds_that_it_learned_from(used):
    model = HoldModel(used.trees, used.calibration, used.params, "1h", used.metrics, used.span, ["taker_buy"])
    with pytest.raises(ValueError, match="the model learned from taker_buy, of which these candles know nothing"):
        hold_columns(LATER, model)
    known = LATER.copy()
    known["taker_buy"][7] = 1.0
    assert len(hold_columns(known, model)) == len(known)


def test_training_notes_the_feeds(real_bars):
    bars = real_bars[:6000].copy()
    assert train(bars, Params(), "1h").feeds == ("taker_buy",)
    bars["taker_buy"] = np.nan
    bars["funding_rate"] = 1e-4
    assert train(bars, Params(), "1h").feeds == ("funding_rate",)
