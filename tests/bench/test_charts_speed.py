"""Speed of charts: scene, page and frames of 100,000 candles, beside the fold and plotly's own candlestick."""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
import pytest
from chromium import chromium, need_chromium, opened
from test_speed import folding, seconds, walk

from liquidator_integrations import Liquidator, sample_bars
from liquidator_integrations.charts.files import write_scene
from liquidator_integrations.charts.page import page_text
from liquidator_integrations.charts.scene import make_scene

ROWS = 100_000
PAN = """async (bars) => {
  const scale = liquidator.chart.timeScale();
  const all = liquidator.scene.candles.time.length;
  const frames = [];
  let before = 0;
  for (let step = 0; step < 40; step++) {
    const shift = (step * bars) / 200;
    scale.setVisibleLogicalRange({ from: all - bars - shift, to: all + 20 - shift });
    const now = await new Promise(requestAnimationFrame);
    if (before) frames.push(now - before);
    before = now;
  }
  frames.sort((one, other) => one - other);
  return frames[frames.length >> 1];
}"""


def minutes(rows: int) -> np.ndarray:
    """A walk in whole ticks, like a venue's candles."""
    bars = walk(rows)
    bars["time"] += 26_666_667 * 60_000
    for name in ("open", "high", "low", "close"):
        bars[name] = np.round(1000.0 * bars[name], 1)
    return bars


def test_scene_and_page(benchmark, tell):
    bars = minutes(ROWS)
    fold = folding(bars)
    fold()
    page_text(make_scene(bars[:2000]))
    turns = [(seconds(fold, 1), seconds(lambda: page_text(make_scene(bars)), 1)) for _ in range(3)]
    folded, made = np.min(turns, axis=0)
    benchmark.pedantic(lambda: make_scene(bars), rounds=1)
    size = len(page_text(make_scene(bars)).encode()) / 1e6
    allowed = 1.5 * folded + 2.0
    tell(f"scene and page of {ROWS:,} candles: {made:.2f} s, fold {folded:.2f} s (1.5 folds and 2 s: {allowed:.2f} s)")
    tell(f"  page with its library and two tiers of leverage: {size:.2f} MB")


def test_levels_grid(benchmark, tell):
    bars = sample_bars()[-6000:]
    made = Liquidator(bar="1h")
    made.update_candles(bars)
    made.levels_grid(5000)
    fold = folding(bars[-5000:])
    fold()
    benchmark.pedantic(lambda: made.levels_grid(5000), rounds=1)
    turns = [(seconds(fold, 1), seconds(lambda: made.levels_grid(5000), 1)) for _ in range(9)]
    folded, grid = np.min(turns, axis=0)
    tell(f"levels_grid of 5,000 bars: {grid / folded:.1f} folds")


def test_page_in_chromium(benchmark, tell, tmp_path):
    need_chromium()
    path = write_scene(make_scene(minutes(ROWS)), tmp_path / "page.html")
    with chromium() as browser:
        with opened(browser, path, viewport={"width": 1400, "height": 900}) as found:
            painted, ready = found.run(
                "() => [performance.getEntriesByName('first-paint')[0]?.startTime, performance.now()]"
            )
            tell(f"page of {ROWS:,} candles: first paint {painted / 1000:.2f} s, ready {ready / 1000:.2f} s")
            frames = {bars: found.run(PAN, bars) for bars in (500, 5_000, 20_000, ROWS)}
            tell("  a frame while panning, median: " + ", ".join(f"{n:,} bars {ms:.0f} ms" for n, ms in frames.items()))
        benchmark.pedantic(lambda: None, rounds=1)
        tell(f"  plotly's candlestick of 5,000: {plotly_frame(browser, tmp_path):.0f} ms a frame")


def plotly_frame(browser, folder: Path) -> float:
    """Median ms that plotly takes to move the view of its own candlestick."""
    bars = minutes(5_000)
    prices = {name: bars[name] for name in ("open", "high", "low", "close")}
    figure = go.Figure(go.Candlestick(x=bars["time"].astype("M8[ms]"), **prices))
    path = folder / "plotly.html"
    figure.write_html(path, include_plotlyjs=True)
    page = browser.new_context(viewport={"width": 1400, "height": 900}).new_page()
    page.goto(path.as_uri())
    page.wait_for_selector(".main-svg")
    times = []
    for step in range(8):
        start = time.perf_counter()
        page.evaluate(
            "(at) => Plotly.relayout(document.querySelector('.js-plotly-plot'), {'xaxis.range': [at, at + 3e8]})",
            int(bars["time"][0]) + 60_000 * step,
        )
        page.evaluate("() => new Promise(requestAnimationFrame)")
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times)


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
