"""``liquidator train``: the verdict, the file, and attempts that are counted in it."""

from __future__ import annotations

import pandas as pd
import pytest
from command import said_here
from planted_model import MARKET

from liquidator_integrations.model import HoldModel, training


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("train")
    names = ["time", "open", "high", "low", "close", "volume"]
    frame = pd.DataFrame({name: MARKET[name] for name in names})
    frame.to_parquet(place / "candles.parquet")
    frame.head(1000).to_parquet(place / "few.parquet")
    return place


def test_it_says_what_the_model_is_worth_and_counts_attempts(folder):
    for attempt in (1, 2):
        said = said_here("train", "candles.parquet", "--out", "model.json", cwd=folder)
        assert said.code == 0, said.stderr
        assert "candles.parquet: 14,000 candles of 1h" in said.stdout
        assert "Brier score of the last slice" in said.stdout
        assert "Of the next touch of a zone that stands +0." in said.stdout
        assert "Verdict: it" in said.stdout
        assert f"after {attempt} attempts" in said.stdout
        assert HoldModel.load(folder / "model.json").attempts == attempt


def test_it_says_where_nothing_is_known_of_standing_zones(folder, monkeypatch):
    monkeypatch.setattr(training, "_standing_slices", lambda *_: (None, None))
    said = said_here("train", "candles.parquet", cwd=folder)
    assert "Of the next touch of a zone that stands nothing is known, too few of them were seen." in said.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("few.parquet",), "needs at least 400: some"),
        (("candles.parquet", "--out", "model.txt"), "--out model.txt: not a .json file"),
        (("candles.parquet", "--last", "1"), "its 1 candles are of no timeframe, such as 5m or 1h"),
    ],
)
def test_what_it_refuses(folder, words, says):
    said = said_here("train", *words, cwd=folder)
    assert said.code == 2
    assert says in said.stderr
