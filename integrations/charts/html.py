"""A scene as a plotly figure: candles, zones, levels, entries, forced flow and accounts."""

from __future__ import annotations

import html
import logging
import os
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from liquidator_core._atomic import replacing
from liquidator_core.zones import QUALITY_LABELS, quality_band

from ..tables.zones import zone_runs
from .files import temporary_page
from .palette import FALLING, KIND_COLOURS, RESISTANCE, RISING, SIDE_COLOURS, SUPPORT, faded
from .scene import Scene, price_span

if TYPE_CHECKING:
    import pandas as pd


try:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots
except ImportError as error:
    raise ImportError('charts need plotly: pip install "liquidator-core[charts]"') from error

Figure: TypeAlias = go.Figure

_LOG = logging.getLogger("liquidator")
_ACCOUNT_LINES = {
    "backtest": {"color": "#009E73", "width": 2},
    "buy and hold": {"color": RISING, "dash": "dot"},
    "placebo marks": {"color": faded(RISING, 0.5), "width": 1},
}


def figure(
    scene: Scene,
    title: str = "",
    last: int = 500,
    zones: pd.DataFrame | None = None,
    colors: Mapping[str, str] | None = None,
) -> go.Figure:
    """Candles of the last ``last`` bars with everything the engine said of them, row by row as it was known then.

    Bands: the nearest support and resistance zone at each bar. Boxes: ``zones``, those standing at the last bar if
    None, from their birth on, the stronger the more solid. Lines right of the last bar: levels ahead, faint beyond 5 %.
    Triangles: fade entries. Below: forced flow, longs downwards; and, if there was a backtest, the accounts over the
    whole history.

    title    the scene's name if none is given
    colors   of zones by quality; where none is given their kind decides

    The wheel zooms if the figure is shown with ``config={"scrollZoom": True}``, as ``show`` does.
    """
    rows = 3 if scene.accounts else 2
    fig = make_subplots(
        rows=rows,
        cols=1,
        row_heights=[0.62, 0.16, 0.22][:rows],
        vertical_spacing=0.05,
        subplot_titles=["Price, zones and levels", "Forced flow, USD of the ledger", "Account, start = 1"][:rows],
    )
    bars, signals = scene.bars[-last:], scene.signals[-last:]
    time = bars["time"].astype("M8[ms]")
    ends = (time[0], time[-1] + 40 * _step(time)) if len(time) else (None, None)
    fig.add_trace(_candles(time, bars), row=1, col=1)
    for kind, colour in KIND_COLOURS.items():
        _add_band(fig, time, signals, kind, colour)
    _add_entries(fig, time, bars, signals)
    for zone in (scene.standing if zones is None else zones).itertuples():
        label = QUALITY_LABELS[int(quality_band(zone.quality))]
        _add_zone(fig, zone, ends, (colors or {}).get(label, KIND_COLOURS[zone.kind]))
    nearest, farthest = scene.reach
    for level in scene.levels.itertuples():
        near = nearest <= level.price <= farthest
        line = {"width": 1, "color": faded(SIDE_COLOURS[level.side], 1.0 if near else 0.25)}
        across = {"x0": time[-1] + 2 * _step(time), "x1": ends[1], "y0": level.price, "y1": level.price}
        fig.add_shape(type="line", line=line, **across, row=1, col=1)
    for side, sign in (("long", -1.0), ("short", 1.0)):
        label = f"{side}s liquidated"
        flow = sign * signals[f"{side}_flow_usd"]
        fig.add_trace(
            go.Bar(x=time, y=flow, name=label, marker_color=SIDE_COLOURS[side], marker_line_width=0), row=2, col=1
        )
    for account in scene.accounts:
        fig.add_trace(
            go.Scatter(
                x=account.time.astype("M8[ms]"),
                y=account.value,
                name=account.name,
                line=_ACCOUNT_LINES[account.name],
                legendgroup=account.name,
                showlegend=account.name not in [trace.name for trace in fig.data],
            ),
            row=3,
            col=1,
        )
    if span := price_span(bars):
        low, high = span
        room = 0.25 * (high - low)  # levels may lie far off
        fig.update_yaxes(range=[low - room, high + room], row=1, col=1)
    fig.update_xaxes(rangeslider_visible=False, showgrid=False)
    fig.update_xaxes(matches="x", row=2, col=1)
    fig.update_layout(
        template="plotly_white",
        title={"text": html.escape(title or scene.name), "y": 0.985, "yanchor": "top"},
        height=980 if scene.accounts else 800,
        margin={"l": 60, "r": 90, "t": 90, "b": 30},
        bargap=0,
        barmode="relative",
        hovermode="x",
        dragmode="pan",
        legend={"orientation": "h", "y": 1.03, "yanchor": "bottom", "x": 0},
    )
    return fig


def write_html(fig: go.Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as one HTML file that needs no network; whole or not at all. Returns its full path."""
    target = Path(path).resolve()
    with replacing(target) as file:
        file.write(fig.to_html(include_plotlyjs=True, full_html=True).encode())
    return target


def risk_figure(curves: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> go.Figure:
    """USD that are liquidated if price goes so far, of both sides, with their bands.

    curves   "long" and "short": ``move`` (share of the close), ``expected_usd``, ``low_usd`` and ``high_usd``, and
             ``rival_usd``, what the move alone says (NaN: not known)
    """
    fig = go.Figure()
    for side, curve in curves.items():
        colour = SIDE_COLOURS[side]
        percent = [100.0 * move for move in curve["move"]]
        edge = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", "showlegend": False}
        fig.add_scatter(x=percent, y=curve["low_usd"], **edge)
        fig.add_scatter(x=percent, y=curve["high_usd"], fill="tonexty", fillcolor=faded(colour, 0.2), **edge)
        line = {"color": colour, "width": 2}
        fig.add_scatter(x=percent, y=curve["expected_usd"], mode="lines+markers", line=line, name=f"{side}s, 80 % band")
        if not np.isnan(curve["rival_usd"]).all():
            dots = {"color": colour, "width": 1, "dash": "dot"}
            fig.add_scatter(
                x=percent, y=curve["rival_usd"], mode="lines", line=dots, name=f"{side}s, by the move alone"
            )
    fig.update_xaxes(title="if price goes, %", zeroline=True)
    fig.update_yaxes(title="liquidated, USD", rangemode="tozero")
    fig.update_layout(template="plotly_white", title=title, height=560, hovermode="x")
    return fig


def show(fig: go.Figure, scene: Scene, colors: Mapping[str, str] | None = None) -> bool:
    """Show a figure in the notebook this runs in, else the scene's page in a browser; returns whether there was one.

    Nothing is waited for: a browser gets a file, not a server that it would have to call.
    """
    if "ipykernel" in sys.modules:
        fig.show(config={"scrollZoom": True})
        return True
    if sys.platform not in ("win32", "darwin") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        _LOG.info("no browser to show the chart in: give save_path to keep it")
        return False
    return webbrowser.open(temporary_page(scene, colors).as_uri())


def _candles(time: np.ndarray, bars: np.ndarray) -> go.Candlestick:
    return go.Candlestick(
        x=time,
        **{name: bars[name] for name in ("open", "high", "low", "close")},
        name="candles",
        increasing={"line": {"color": RISING}, "fillcolor": "white"},
        decreasing={"line": {"color": FALLING}, "fillcolor": FALLING},
        line_width=1,
    )


def _step(time: np.ndarray) -> np.timedelta64:
    step: np.timedelta64 = time[-1] - time[-2] if len(time) > 1 else np.timedelta64(60_000, "ms")
    return step


def _add_band(fig: go.Figure, time: np.ndarray, signals: np.ndarray, kind: str, colour: str) -> None:
    """One box for each run of bars with the same nearest zone."""
    low, high = signals[f"{kind}_low"], signals[f"{kind}_high"]
    if len(time) == 0:
        return
    x: list[Any] = []
    y: list[Any] = []
    for first, end in zone_runs(low, high):
        left, right = time[first].item(), (time[end - 1] + _step(time)).item()
        x += [left, right, right, left, left, None]
        y += [low[first], low[first], high[first], high[first], low[first], None]
    fig.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            line_width=0,
            fill="toself",
            fillcolor=faded(colour, 0.25),
            name=f"nearest {kind}",
            hoverinfo="skip",
        ),
        row=1,
        col=1,
    )


def _add_entries(fig: go.Figure, time: np.ndarray, bars: np.ndarray, signals: np.ndarray) -> None:
    away = 0.015 * np.ptp(price_span(bars) or 0.0)
    for side, symbol, colour, price in ((1, "triangle-up", SUPPORT, "low"), (-1, "triangle-down", RESISTANCE, "high")):
        at = signals["fade"] == side
        fig.add_trace(
            go.Scatter(
                x=time[at],
                y=bars[price][at] - side * away,
                mode="markers",
                marker={"symbol": symbol, "size": 9, "color": colour, "line": {"width": 1, "color": "black"}},
                name="fade: buy" if side > 0 else "fade: sell",
            ),
            row=1,
            col=1,
        )


def _add_zone(fig: go.Figure, zone: Any, ends: tuple[Any, Any], colour: str) -> None:
    """A box from birth on, with its price and quality beside it; who was liquidated is in the hover."""
    first, end = ends
    fig.add_shape(
        type="rect",
        x0=max(zone.birth.tz_localize(None).to_datetime64(), first),
        x1=end,
        y0=zone.low,
        y1=zone.high,
        line={"width": 1, "color": colour},
        fillcolor=faded(colour, round(0.1 + zone.quality / 250, 3)),
        layer="below",
        row=1,
        col=1,
    )
    fig.add_annotation(
        x=end,
        y=zone.price,
        text=f"{zone.price:.6g} · {zone.quality:.0f}",
        hovertext=f"{zone.side}s liquidated: {zone.usd:,.0f} USD<br>quality {zone.quality:.0f}, touched {zone.touches}",
        showarrow=False,
        xanchor="left",
        font={"size": 10, "color": colour},
        row=1,
        col=1,
    )
