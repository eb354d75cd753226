"""Scenes: what is in them, what their JSON gives back, what is refused."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import json

import numpy as np
import pandas as pd
import pytest
from made_bars import random_bars

from liquidator_core import BAR, Params, new_state, zones_of
from liquidator_core.calls import fold
from liquidator_core.record import cells_at
from liquidator_core.record import record as record_fold
from liquidator_core.state import new_signals
from liquidator_integrations import Liquidator, sample_bars
from liquidator_integrations.charts import coinglass, make_scene, read_coinglass
from liquidator_integrations.charts.files import write_scene
from liquidator_integrations.charts.html import figure
from liquidator_integrations.charts.pack import packed, rounded
from liquidator_integrations.charts.page import page_text
from liquidator_integrations.evidence.result import Result

BARS = sample_bars()[-1500:]
EVEN = BARS[-100:]  # hours without a gap
KINDS = ["quiet", "up", "down", "wick_up", "wick_down", "observed"]


@pytest.fixture(scope="module")
def scene():
    return make_scene(BARS, name="BTCUSDT 1h")


def unpacked(field) -> np.ndarray:
    planes = np.frombuffer(gzip.decompress(base64.b64decode(field["data"])), np.uint8)
    width = np.dtype(field["type"]).itemsize
    return np.ascontiguousarray(planes.reshape(width, -1).T).view(field["type"]).ravel()


def prices_in(plain) -> dict[str, np.ndarray]:
    """Prices as the page reads them."""
    candles = {name: unpacked(field) for name, field in plain["candles"].items() if name != "decimals"}
    if plain["candles"]["decimals"] is None:
        return candles
    unit = 10.0 ** plain["candles"]["decimals"]
    close = np.cumsum(candles["open"].astype(np.int64) + candles["close"])
    first = close - candles["close"]
    high, low = np.maximum(first, close) + candles["high"], np.minimum(first, close) - candles["low"]
    return {"open": first / unit, "high": high / unit, "low": low / unit, "close": close / unit}


# What is in a scene -------------------------------------------------------------------------------------------------


def test_zones_have_their_columns_and_those_that_stand_are_the_engines(scene):
    zones = scene.zones
    names = ["birth", "end", "low", "high", "side", "usd", "touches", "quality", "source", "reason"]
    assert zones.columns.tolist() == names
    state, record = new_state(Params()), Params().to_record()
    fold(state, record, BARS, new_signals(len(BARS)))
    engine = zones_of(state, record)
    standing = zones[zones["end"].isna()].sort_values("low")
    for name in ("birth", "low", "high", "usd", "touches", "quality"):
        assert standing[name].tolist() == engine[np.argsort(engine["low"])][name].tolist()
    assert standing["reason"].tolist() == [None] * len(engine)
    assert set(zones["reason"]) == {None, "broken", "expired", "merged"}
    ended = zones.dropna(subset="end")
    assert (ended["end"] > ended["birth"]).all()
    assert set(zones["source"]) == {"estimated"}


def test_the_heatmap_is_the_ledger_at_every_bar(scene):
    found = scene.heatmap()
    assert found["usd"].shape == (len(found["price"]), len(BARS))
    np.testing.assert_array_equal(found["time"], BARS["time"])
    made = Liquidator(bar="1h")
    made.update_candles(BARS)
    grid = made.levels_grid(900)
    np.testing.assert_allclose(found["usd"].sum(axis=0)[-900:], grid.to_numpy().sum(axis=0), rtol=1e-9)
    some = scene.heatmap(BARS["time"][200], BARS["time"][299])
    np.testing.assert_array_equal(some["time"], BARS["time"][200:300])
    np.testing.assert_array_equal(some["usd"], found["usd"][:, 200:300])
    assert found["breaks"] == sorted(found["breaks"])
    with pytest.raises(ValueError, match="last: found 5, allowed a time in ms from first, 9, on"):
        scene.heatmap(9, 5)


def test_larger_timeframes_have_the_zones_of_their_bars(scene):
    made = Liquidator(bar="1h")
    made.update_candles(BARS)
    for name, recorded in scene.higher.items():
        expected = make_scene(made.bars(name)).zones if len(made.bars(name)) > 1 else []
        assert len(recorded.zones) == len(expected)
    assert set(scene.higher) == {"4h", "1d", "1w"}


def test_candles_that_fit_into_no_larger_timeframe_are_drawn_alone():
    shifted = BARS.copy()
    shifted["time"] += 60_000
    assert make_scene(shifted).higher == {}


# Its JSON -----------------------------------------------------------------------------------------------------------


def test_json_is_plain_and_says_what_it_is(scene):
    plain = json.loads(scene.to_json())
    assert plain["schema"] == 1
    assert (plain["name"], plain["bars"], plain["digest"]) == ("BTCUSDT 1h", len(BARS), Params().digest)
    assert json.loads(make_scene(EVEN).to_json())["time"] == {"first": int(EVEN["time"][0]), "step": 3_600_000}
    assert scene.to_json() == make_scene(BARS, name="BTCUSDT 1h").to_json()


TINY = BARS.copy()
for _name in ("open", "high", "low", "close"):
    TINY[_name] = np.round(BARS[_name] * 1e-13, 12)
GAPS = np.delete(BARS, slice(300, 340))


@pytest.mark.parametrize(
    "bars",
    [BARS, EVEN, TINY, GAPS, random_bars(300, seed=5, kinds=KINDS), BARS[:1]],
    ids=["real", "even", "1e-9", "gaps", "no tick", "one candle"],
)
def test_prices_and_times_survive_the_packing(bars):
    plain = json.loads(make_scene(bars).to_json())
    for name, values in prices_in(plain).items():
        np.testing.assert_array_equal(values, bars[name])
    time = plain["time"]
    times = unpacked(time["all"]) if "all" in time else time["first"] + time["step"] * np.arange(len(bars))
    np.testing.assert_array_equal(times, bars["time"])


@pytest.mark.parametrize("tier", ["all", "high", "low"])
def test_runs_are_the_classes_of_every_cell_and_bar(scene, tier):
    plain = json.loads(scene.to_json())
    runs = {name: unpacked(field).astype(np.int64) for name, field in plain["heatmap"]["tiers"][tier].items()}
    usd = scene.heatmap()["usd"]
    if tier != "all":
        record = Params().to_record()
        record["weight"][0, :5] *= (record["factor"][0, 0, :5] > 0.97) == (tier == "high")
        usd = cells_at(record_fold(BARS, record, 4), 0, len(BARS))
    drawn = np.zeros(usd.shape, np.int64)
    for start, length, cell, rank in zip(
        np.cumsum(runs["start"]), runs["length"], runs["cell"], runs["rank"], strict=True
    ):
        assert (drawn[cell, start : start + length] == 0).all()
        drawn[cell, start : start + length] = rank
    np.testing.assert_array_equal(drawn, np.searchsorted(plain["heatmap"]["breaks"], usd, side="right"))


def test_numbers_of_pictures_have_three_digits():
    values = np.array([0.0, np.nan, 1234567.0, 3.3e-7, np.inf])
    np.testing.assert_allclose(rounded(values), values, rtol=3e-4)
    assert packed(np.zeros(0))["type"] == "float64"


# A backtest in it ---------------------------------------------------------------------------------------------------


def test_accounts_are_of_the_bars_they_are_drawn_with():
    equity = np.linspace(10_000.0, 12_000.0, 100)
    result = Result(10_000.0, 12_000.0, 0.1, [], BARS["time"][-100:], equity, 0.2)
    backtest, held, placebo = make_scene(BARS, None, result, [result]).accounts
    assert (backtest.value[0], backtest.value[-1], held.value[0]) == (1.0, 1.2, 1.0)
    assert placebo.name == "placebo marks"
    with pytest.raises(ValueError, match="result: found times of equity that no bar has"):
        make_scene(BARS[:-50], None, result)
    with pytest.raises(ValueError, match="result: found times of equity that no bar has"):
        make_scene(BARS, None, dataclasses.replace(result, equity_ms=BARS["time"][-100:] + 1))


# What is refused, and what is not -----------------------------------------------------------------------------------


def test_nothing_is_a_scene_of_nothing(tmp_path):
    for bars in (BARS[:0], BARS[:1], BARS[:50]):
        scene = make_scene(bars)
        assert len(scene.zones) == 0
        assert scene.heatmap()["usd"].shape[1] == len(bars)
        for suffix in ("html", "json", "png", "svg"):
            assert write_scene(scene, tmp_path / f"chart.{suffix}").stat().st_size > 100


def test_bad_candles_are_named_or_gaps(tmp_path):
    spoilt = BARS.copy()
    spoilt["close"][7] = np.nan
    with pytest.raises(ValueError, match=r"row 7 .*close: found nan"):
        make_scene(spoilt)
    scene = make_scene(spoilt, on_bad="skip")
    plain = json.loads(scene.to_json())
    assert unpacked(plain["skipped"]).tolist() == [7]
    expected = np.where(np.arange(len(BARS)) == 7, BARS["close"][6], BARS["close"])
    np.testing.assert_array_equal(prices_in(plain)["close"], expected)
    write_scene(scene, tmp_path / "chart.png")
    assert figure(scene).layout.yaxis.range[0] > 0.0
    with pytest.raises(TypeError, match="params must be Params or None, got dict"):
        make_scene(BARS, {})
    with pytest.raises(ValueError, match="missing column"):
        make_scene(pd.DataFrame({"open": [1.0]}))


@pytest.mark.slow
def test_thousands_of_zones(tmp_path):
    params = Params(zone_bars=256, event_mult=0.0, event_share=0.0, zone_atr=0.01, max_width_atr=0.0)
    scene = make_scene(random_bars(2000, seed=2, kinds=KINDS), params)
    assert len(scene.zones) > 2000
    assert len(unpacked(json.loads(scene.to_json())["zones"][""]["low"])) == len(scene.zones)
    write_scene(scene, tmp_path / "chart.png")


def test_a_name_is_text_and_nothing_else():
    name = '</script><script>alert("x")</script>&<b>'
    page = page_text(make_scene(BARS[:60], name=name))
    assert "<script>alert" not in page
    assert "&lt;/script&gt;&lt;script&gt;alert(&quot;x&quot;)" in page
    held = page.split('id="scene">')[1].split("</script>")[0]
    assert json.loads(held)["name"] == name


@pytest.mark.parametrize(
    ("path", "error", "says"),
    [
        ("chart.gif", ValueError, "allowed a name that ends in .html, .png, .svg, .json"),
        ("nowhere/chart.html", FileNotFoundError, "allowed a file in a folder that exists"),
        ("folder.html", IsADirectoryError, "which is a folder"),
    ],
)
def test_a_path_that_cannot_be_written_to_leaves_nothing(tmp_path, path, error, says):
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(error, match=says):
        write_scene(make_scene(BARS[:5]), tmp_path / path)
    assert [found.name for found in tmp_path.iterdir()] == ["folder.html"]


def test_what_fails_on_the_way_leaves_the_old_file(tmp_path, monkeypatch):
    target = tmp_path / "chart.html"
    target.write_text("old")
    monkeypatch.setattr("liquidator_core._atomic.os.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OSError, match="disk full"):
        write_scene(make_scene(BARS[:5]), target)
    assert [(found.name, found.read_text()) for found in tmp_path.iterdir()] == [("chart.html", "old")]


# In the shape of others ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def market() -> Liquidator:
    made = Liquidator(bar="1h")
    made.update_candles(BARS)
    return made


def test_coinglass_version_4(market):
    found = json.loads(json.dumps(coinglass(market)))
    grid = market.levels_grid()
    assert found["y_axis"] == grid.index.tolist()
    assert [candle[0] for candle in found["price_candlesticks"]] == (BARS["time"][-240:] // 1000).tolist()
    assert [float(candle[4]) for candle in found["price_candlesticks"]] == BARS["close"][-240:].tolist()
    read = read_coinglass({"code": "0", "data": found})
    np.testing.assert_array_equal(read["usd"], grid.to_numpy())
    np.testing.assert_array_equal(read["time"], BARS["time"][-240:])
    assert coinglass(Liquidator()) == {"y_axis": [], "liquidation_leverage_data": [], "price_candlesticks": []}


def test_coinglass_version_3_is_read():
    sent = {"y": [99.0, 101.0], "liq": [[1, 0, 7.0], [1, 1, 5.0]], "prices": [[1700000000], [1700003600]]}
    read = read_coinglass(sent)
    assert read["usd"].tolist() == [[0.0, 7.0], [0.0, 5.0]]
    assert read["time"].tolist() == [1700000000000, 1700003600000]


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        ({"y": [1.0], "liq": []}, "missing prices: found 'y', 'liq'"),
        ({}, "missing y_axis, liquidation_leverage_data, price_candlesticks: found nothing"),
        ({"data": []}, "data: found list, allowed an object"),
        ({"y": [1.0], "liq": [[0, 1, 5.0]], "prices": [[1]]}, r"liq, row 0: found \[0, 1\], allowed below \[1, 1\]"),
    ],
)
def test_heatmaps_that_are_none(sent, says):
    with pytest.raises(ValueError, match=says):
        read_coinglass(sent)


def test_bars_are_not_changed():
    before = BARS.copy()
    make_scene(BARS).to_json()
    assert before.tobytes() == BARS.tobytes()
    assert before.dtype == BAR
