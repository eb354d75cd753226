"""A scene as a picture that does not move: PNG or SVG, for reports and READMEs (Matplotlib)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np

from liquidator_core.record import cells_at

from .palette import KIND_COLOURS, RESISTANCE, SIDE_COLOURS, SUPPORT
from .scene import Scene, is_known, price_span

try:
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection, PatchCollection
    from matplotlib.colors import BoundaryNorm, ListedColormap
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle
except ImportError as error:
    raise ImportError('pictures need Matplotlib: pip install "liquidator-core[charts]"') from error

_LOOKS: dict[str, dict[str, Any]] = {
    "dark": {
        "back": "#0e1116",
        "text": "#d6dae0",
        "dim": "#8d96a3",
        "rising": "#e8eaed",
        "falling": "#7d8794",
        "heat": ["#1c1730", "#2a1d47", "#412763", "#663181", "#9a4094", "#e27bb0"],
    },
    "light": {
        "back": "#ffffff",
        "text": "#1b1f24",
        "dim": "#5b6470",
        "rising": "#8b939d",
        "falling": "#23272d",
        "heat": ["#f4eef8", "#e6d8f0", "#d0b5e2", "#b184cf", "#8b4fb3", "#5d2187"],
    },
}
_AHEAD = 0.16  # of the bars drawn, to the right of the last one
_OPACITY = {"weak": 0.14, "medium": 0.3, "strong": 0.5}


def picture_bytes(
    scene: Scene,
    form: str = "png",
    last: int = 500,
    theme: str = "light",
    colors: Mapping[str, str] | None = None,
) -> bytes:
    """The last bars of a scene, heatmap, zones, levels ahead and forced flow, as the bytes of a PNG or SVG.

    form     "png" (1500 x 1000) or "svg"
    last     bars
    theme    "light" or "dark"
    colors   of zones by quality; where none is given their kind decides

    The same scene gives the same bytes. Cost: about a second.
    """
    look = _LOOKS[theme]
    figure = Figure(figsize=(12, 8), dpi=125, facecolor=look["back"], layout="constrained")
    FigureCanvasAgg(figure)
    price, flow = figure.subplots(2, 1, height_ratios=[5, 1], sharex=True)
    first = max(0, len(scene.bars) - last)
    for axes in (price, flow):
        _dress(axes, look)
    price.set_title(scene.name, loc="left", color=look["text"], fontsize=12, parse_math=False)
    if len(scene.bars):
        _add_heatmap(price, scene, first, look)
        _add_candles(price, scene.bars[first:], look)
        _add_zones(price, scene, first, look, colors or {})
        _add_levels(price, scene, len(scene.bars) - first, look)
        _add_flow(flow, scene, first, look)
        _add_times(flow, scene.bars["time"][first:])
    out = io.BytesIO()
    metadata = {"Date": None} if form == "svg" else {"Software": None}
    with matplotlib.rc_context({"svg.hashsalt": "liquidator", "svg.fonttype": "none"}):
        figure.savefig(out, format=form, facecolor=look["back"], metadata=metadata)
    return out.getvalue()


def _dress(axes: Any, look: dict[str, Any]) -> None:
    axes.set_facecolor(look["back"])
    axes.tick_params(colors=look["dim"], labelsize=8, length=0)
    axes.yaxis.tick_right()
    for side in axes.spines.values():
        side.set_visible(False)


def _add_heatmap(axes: Any, scene: Scene, first: int, look: dict[str, Any]) -> None:
    usd = cells_at(scene.recorded, first, len(scene.bars))
    filled = np.flatnonzero(usd.any(axis=1))
    if len(filled) == 0:
        return
    cells = slice(filled[0], filled[-1] + 1)
    drawn = np.ma.masked_less(usd[cells], scene.breaks[0])
    edges = scene.recorded.edges[filled[0] : filled[-1] + 2]
    norm = BoundaryNorm([*scene.breaks, np.inf], len(scene.breaks))
    x = np.arange(usd.shape[1] + 1) - 0.5
    mesh = axes.pcolormesh(x, edges, drawn, cmap=ListedColormap(look["heat"]), norm=norm, rasterized=True)
    mesh.set_zorder(1)
    for place, (from_usd, colour) in enumerate(zip(scene.breaks, look["heat"], strict=True)):
        _write(axes, 0.01 + 0.065 * place, "■", colour)
        _write(axes, 0.024 + 0.065 * place, _usd(from_usd), look["dim"])
    _write(axes, 0.01 + 0.065 * len(scene.breaks), "a cell from here on, estimated USD, not scaled", look["dim"])


def _write(axes: Any, x: float, text: str, colour: str) -> None:
    """A word of the legend, along the upper edge."""
    axes.text(x, 0.985, text, color=colour, fontsize=8, va="top", transform=axes.transAxes)


def _add_zones(axes: Any, scene: Scene, first: int, look: dict[str, Any], colors: Mapping[str, str]) -> None:
    bars = len(scene.bars)
    start = np.searchsorted(scene.bars["time"], scene.zones["birth"].to_numpy()) - first
    end = np.searchsorted(scene.bars["time"], scene.zones["end"].fillna(np.inf).to_numpy()) - first
    right = (bars - first) * (1.0 + _AHEAD)
    above = scene.recorded.zones["above"]
    for row, zone in enumerate(scene.zones.itertuples()):
        if end[row] <= 0:
            continue
        label = "weak" if zone.quality < 40 else "medium" if zone.quality < 70 else "strong"
        colour = colors.get(label, RESISTANCE if above[row] else SUPPORT)
        left = max(float(start[row]), 0.0) - 0.5
        width = (right if zone.end != zone.end else end[row] - 0.5) - left
        corner = (left, zone.low)
        height = zone.high - zone.low
        axes.add_patch(Rectangle(corner, width, height, facecolor=colour, alpha=_OPACITY[label], zorder=2))
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=0.8, zorder=2))
    axes.set_xlim(-0.5, right)
    _add_labels(axes, scene, (bars - first) * 1.01, look)


def _add_labels(axes: Any, scene: Scene, x: float, look: dict[str, Any]) -> None:
    """Quality of the standing zones beside them; of two whose labels would overlap, that of the better one."""
    low, high = axes.get_ylim()
    kept: list[float] = []
    for zone in scene.standing.sort_values("quality", ascending=False).itertuples():
        middle = (zone.low + zone.high) / 2
        if not low < middle < high or any(abs(middle - other) < 0.022 * (high - low) for other in kept):
            continue
        kept.append(middle)
        box = {"facecolor": look["back"], "edgecolor": KIND_COLOURS[zone.kind], "pad": 1.2, "linewidth": 0.6}
        words = f"{zone.quality_label} {zone.quality:.0f}"
        axes.text(x, middle, words, color=look["text"], fontsize=7, va="center", zorder=5, bbox=box)


def _add_candles(axes: Any, bars: np.ndarray, look: dict[str, Any]) -> None:
    span = price_span(bars)
    if span is None:
        return
    at = np.flatnonzero(is_known(bars))
    bars = bars[at]
    colours = np.where(bars["close"] >= bars["open"], look["rising"], look["falling"])
    wicks = np.stack([np.column_stack([at, bars[name]]) for name in ("low", "high")], axis=1)
    axes.add_collection(LineCollection(list(wicks), colors=list(colours), linewidths=0.7, zorder=3))
    low, high = np.minimum(bars["open"], bars["close"]), np.maximum(bars["open"], bars["close"])
    bodies = [Rectangle((x - 0.35, y), 0.7, height) for x, y, height in zip(at, low.tolist(), high - low, strict=True)]
    axes.add_collection(PatchCollection(bodies, facecolor=list(colours), linewidth=0, zorder=3))
    bottom, top = span
    room = 0.12 * (top - bottom) or 0.01 * top
    axes.set_ylim(bottom - room, top + 1.5 * room)


def _add_levels(axes: Any, scene: Scene, count: int, look: dict[str, Any]) -> None:
    usd = cells_at(scene.recorded, len(scene.bars) - 1, len(scene.bars))[:, 0]
    if not usd.any():
        return
    edges, close = scene.recorded.edges, scene.bars["close"][-1]
    right, width = count * (1.0 + _AHEAD), 0.6 * _AHEAD * count
    low, high = scene.reach
    for cell in np.flatnonzero(usd):
        middle = np.sqrt(edges[cell] * edges[cell + 1])
        faint = middle < low or middle > high
        axes.add_patch(
            Rectangle(
                (right, edges[cell]),
                -width * usd[cell] / usd.max(),
                0.8 * (edges[cell + 1] - edges[cell]),
                facecolor=SUPPORT if middle <= close else RESISTANCE,
                alpha=0.35 if faint else 0.9,
                linewidth=0,
                zorder=4,
            )
        )


def _add_flow(axes: Any, scene: Scene, first: int, look: dict[str, Any]) -> None:
    signals = scene.signals[first:]
    for side, sign in (("long", -1.0), ("short", 1.0)):
        usd = sign * np.nan_to_num(signals[f"{side}_flow_usd"])
        axes.bar(np.arange(len(usd)), usd, width=1.0, color=SIDE_COLOURS[side], linewidth=0)
    axes.set_title("Forced flow, USD of the ledger: shorts up, longs down", loc="left", color=look["dim"], fontsize=8)
    axes.yaxis.set_major_formatter(lambda value, _: _usd(abs(value)))


def _add_times(axes: Any, time: np.ndarray) -> None:
    places = np.unique(np.linspace(0, len(time) - 1, 9).astype(np.int64))
    stamps = [str(time[place].astype("M8[ms]"))[:16].replace("T", " ") for place in places]
    axes.set_xticks(places.tolist(), [stamp[5:] if place else stamp for place, stamp in enumerate(stamps)])


def _usd(value: float) -> str:
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{name}"
    return f"{value:.3g}"
