"""Draw docs/pine.png: what the live script leaves on a chart, run on the embedded sample.

Boxes, lines, labels and the table are those of the executed script; candles are the sample's, arrows its plots of fade
and join. TradingView's own look differs.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
from places import ROOT

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.patches import Rectangle
from pine_run import Ran, run_pine

from liquidator_integrations import sample_bars
from liquidator_integrations.charts.palette import FALLING, RESISTANCE, RISING, SUPPORT
from liquidator_integrations.for_tradingview import to_pine

HOUR = 3_600_000
BARS = 1500  # run
SHOWN = 200
AHEAD = 45  # bars to the right of the last one
DARK, BRIGHT = "#131722", "#d1d4dc"


def draw(path: Path) -> None:
    bars = sample_bars()[-BARS:]
    ran = run_pine(to_pine(symbol="BTCUSDT"), bars, tick=0.01)
    if ran.error:
        raise RuntimeError(ran.error)
    figure, axes = plt.subplots(figsize=(10, 5.4), dpi=100, facecolor=DARK)
    draw_candles(axes, bars[-SHOWN:])
    draw_script(axes, ran, bars)
    axes.set_facecolor(DARK)
    axes.tick_params(colors=BRIGHT, labelsize=8)
    axes.yaxis.tick_right()
    axes.set_xlim(-1, SHOWN + AHEAD)
    low, high = bars["low"][-SHOWN:].min(), bars["high"][-SHOWN:].max()
    axes.set_ylim(low - 0.02 * (high - low), high + 0.2 * (high - low))
    days = [i for i, time in enumerate(bars["time"][-SHOWN:]) if time % (24 * HOUR) == 0]
    axes.set_xticks(days, [str(bars["time"][-SHOWN:][i].astype("M8[ms]"))[5:10] for i in days])
    for side in axes.spines.values():
        side.set_visible(False)
    figure.tight_layout(pad=0.6)
    figure.savefig(path, facecolor=DARK, pil_kwargs={"optimize": True})
    plt.close(figure)


def draw_candles(axes: Axes, bars: np.ndarray) -> None:
    colours = np.where(bars["close"] >= bars["open"], RISING, FALLING)
    at = np.arange(len(bars))
    for names, width in ((("low", "high"), 0.7), (("open", "close"), 2.2)):
        ends = np.stack([np.column_stack([at, bars[name]]) for name in names], axis=1)
        axes.add_collection(LineCollection(ends, colors=colours, linewidths=width, zorder=3))


def draw_script(axes: Axes, ran: Ran, bars: np.ndarray) -> None:
    first = bars["time"][-SHOWN]
    right = SHOWN + AHEAD

    def place(time: float) -> float:
        return (time - first) / HOUR

    for box in ran.boxes:
        start = max(place(box["left"]), -1)
        corner, height = (start, box["bottom"]), box["top"] - box["bottom"]
        fill = box["bgcolor"][len('Color("') : -len('")')]
        axes.add_patch(Rectangle(corner, right - start, height, facecolor=fill, zorder=1))
        axes.add_patch(Rectangle(corner, right - start, height, fill=False, edgecolor=box["border_color"], zorder=2))
    for line in ran.lines:
        axes.plot([place(line["x1"]), right], [line["y1"]] * 2, ":", color=line["color"], linewidth=1.4, zorder=2)
    low, high = bars["low"][-SHOWN:].min(), bars["high"][-SHOWN:].max()
    for label in ran.labels:
        if low < label["y"] < high * 1.02:
            axes.text(place(label["x"]), label["y"], label["text"], color=BRIGHT, fontsize=7, va="center", zorder=5)
    for title, marker, edge, away, colour in (
        ("Fade up", "^", "low", -0.006, SUPPORT),
        ("Fade down", "v", "high", 0.006, RESISTANCE),
        ("Join up", "D", "low", -0.01, SUPPORT),
        ("Join down", "D", "high", 0.01, RESISTANCE),
    ):
        at = np.flatnonzero(ran.plots[title][-SHOWN:] == 1)
        axes.scatter(at, bars[edge][-SHOWN:][at] * (1 + away), marker=marker, s=22, color=colour, zorder=4)
    rows = "\n".join(f"{name:<18}{value:>26}" for name, value in ran.table)
    frame = {"facecolor": DARK, "edgecolor": "#434651", "alpha": 0.8}
    axes.text(
        0.01, 0.98, rows, color=BRIGHT, fontsize=7, family="monospace", va="top", transform=axes.transAxes, bbox=frame
    )


if __name__ == "__main__":
    draw(ROOT / "docs" / "pine.png")
