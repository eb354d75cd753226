"""The plotly figure of a scene: every colour says which side of the close a thing lies on."""

from __future__ import annotations

import numpy as np
import pytest

from liquidator_integrations import sample_bars
from liquidator_integrations.charts.html import figure
from liquidator_integrations.charts.scene import make_scene

BLUE, ORANGE = "#0072B2", "#E69F00"
FAINT_BLUE, FAINT_ORANGE = "rgba(0, 114, 178, 0.25)", "rgba(230, 159, 0, 0.25)"


@pytest.fixture(scope="module")
def scene():
    return make_scene(sample_bars()[-700:])


def test_what_lies_below_the_close_is_blue_and_what_lies_above_orange(scene):
    drawn = figure(scene)
    close = scene.bars["close"][-1]
    blue, orange = (BLUE, "rgba(0, 114, 178, 1)", FAINT_BLUE), (ORANGE, "rgba(230, 159, 0, 1)", FAINT_ORANGE)
    assert len(drawn.layout.shapes) == len(scene.standing) + len(scene.levels)
    for shape in drawn.layout.shapes:
        middle = (shape.y0 + shape.y1) / 2
        assert shape.line.color in (orange if middle > close else blue)
    colours = {bar.name: bar.marker.color for bar in drawn.data if bar.type == "bar"}
    assert colours == {"longs liquidated": BLUE, "shorts liquidated": ORANGE}
    bands = {trace.name: trace.fillcolor for trace in drawn.data if trace.name.startswith("nearest")}
    assert bands == {"nearest support": FAINT_BLUE, "nearest resistance": FAINT_ORANGE}


def test_the_hover_names_the_side(scene):
    texts = [note.hovertext for note in figure(scene).layout.annotations if note.hovertext]
    assert [text.split()[0] for text in texts] == [f"{side}s" for side in scene.standing["side"]]


def test_the_last_bars_are_drawn(scene):
    assert len(figure(scene).data[0].x) == 500
    assert len(figure(scene, last=9999).data[0].x) == 700


def test_no_candles_are_drawn_as_nothing():
    drawn = figure(make_scene(np.zeros(0, sample_bars().dtype)))
    assert len(drawn.layout.shapes) == 0
