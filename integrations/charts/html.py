"""Charts: candles with zones, levels, entries and forced flow, and the account, as one HTML file (plotly)."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from liquidator_core._atomic import replacing

from .palette import RESISTANCE, SUPPORT

if TYPE_CHECKING:
    import pandas as pd


try:
    import plotly.graph_objects as go
    from plotly.subplots import make_subplots
except ImportError as error:
    raise ImportError('charts need plotly: pip install "liquidator-core[charts]"') from error

Figure: TypeAlias = go.Figure

_LOG = logging.getLogger("liquidator")
_LINE = "rgba(120, 120, 120, 0.9)"


def figure(report: Any, last: int = 500) -> go.Figure:
    """Candles of the last ``last`` bars with everything the engine said of them, row by row as it was known then.

    Bands: the nearest support and resistance zone at each bar. Boxes: the zones as of the last bar, from their birth
    on, the stronger the more solid. Lines right of the last bar: levels ahead. Triangles: fade entries. Below: forced
    flow, longs downwards; and, if there was a backtest, the account over the whole history.
    """
    tested = report.fade is not None
    rows = 3 if tested else 2
    fig = make_subplots(
        rows=rows,
        cols=1,
        row_heights=[0.62, 0.16, 0.22][:rows],
        vertical_spacing=0.05,
        subplot_titles=["Price, zones and levels", "Forced flow, USD", "Account, start = 1"][:rows],
    )
    first = max(0, len(report.bars) - last)
    bars, signals = report.bars[first:], report.signals[first:]
    time = bars["time"].astype("M8[ms]")
    _add_band(fig, time, signals, "support", SUPPORT)
    _add_band(fig, time, signals, "resistance", RESISTANCE)
    fig.add_trace(_candles(time, bars), row=1, col=1)
    _add_entries(fig, time, bars, signals)
    _add_zones(fig, report, time)
    _add_levels(fig, report, time)
    for name, sign, colour in (("long_flow_usd", -1.0, RESISTANCE), ("short_flow_usd", 1.0, SUPPORT)):
        label = "longs liquidated" if sign < 0 else "shorts liquidated"
        fig.add_trace(
            go.Bar(x=time, y=sign * signals[name], name=label, marker_color=f"rgb({colour})", marker_line_width=0),
            row=2,
            col=1,
        )
    if tested:
        _add_accounts(fig, report)
    low, high = np.nanmin(bars["low"]), np.nanmax(bars["high"])
    fig.update_yaxes(
        range=[low - 0.25 * (high - low), high + 0.25 * (high - low)], row=1, col=1
    )  # levels may lie far off
    fig.update_xaxes(rangeslider_visible=False, showgrid=False)
    fig.update_xaxes(matches="x", row=2, col=1)
    fig.update_layout(
        template="plotly_white",
        height=980,
        margin={"l": 60, "r": 90, "t": 90, "b": 30},
        bargap=0,
        barmode="relative",
        hovermode="x",
        legend={"orientation": "h", "y": 1.03, "yanchor": "bottom", "x": 0},
    )
    return fig


def save_chart(report: Any, path: str | os.PathLike[str], title: str = "Liquidation zones") -> Path:
    """Write ``figure(report)`` as one HTML file that needs no network; whole or not at all. Returns its full path."""
    fig = figure(report)
    fig.update_layout(title={"text": title, "y": 0.985, "yanchor": "top"})
    return write_html(fig, path)


def write_html(fig: go.Figure, path: str | os.PathLike[str]) -> Path:
    """Write a figure as one HTML file that needs no network; whole or not at all. Returns its full path."""
    target = Path(path).resolve()
    with replacing(target) as file:
        file.write(fig.to_html(include_plotlyjs=True, full_html=True).encode())
    return target


def zones_figure(bars: np.ndarray, zones: pd.DataFrame, levels: pd.DataFrame, title: str) -> go.Figure:
    """Candles (n,) BAR with the zones and levels of a ``Liquidator``, the stronger a zone the more solid."""
    fig = go.Figure()
    time = bars["time"].astype("M8[ms]")
    fig.add_trace(_candles(time, bars))
    step = time[-1] - time[-2] if len(time) > 1 else np.timedelta64(60_000, "ms")
    end = time[-1] + 40 * step if len(time) else None
    for zone in zones.itertuples():
        colour = SUPPORT if zone.kind == "support" else RESISTANCE
        start = zone.first_ts.tz_localize(None).to_datetime64()
        fig.add_shape(
            type="rect",
            x0=start if len(time) == 0 else max(start, time[0]),
            x1=start if end is None else end,
            y0=zone.entry_low,
            y1=zone.entry_high,
            line={"width": 1, "color": f"rgb({colour})"},
            fillcolor=f"rgba({colour}, {0.1 + zone.quality_score / 250:.3f})",
            layer="below",
        )
        fig.add_annotation(
            x=start if end is None else end,
            y=zone.price_mean,
            text=f"{zone.price_mean:.6g} · {zone.quality_label}",
            showarrow=False,
            xanchor="left",
            font={"size": 10, "color": f"rgb({colour})"},
        )
    for level in levels.itertuples():
        colour = SUPPORT if level.side == "short" else RESISTANCE
        fig.add_hline(y=level.price, line={"width": 1, "dash": "dot", "color": f"rgb({colour})"}, opacity=0.4)
    fig.update_xaxes(rangeslider_visible=False, showgrid=False)
    if len(bars):
        low, high = np.nanmin(bars["low"]), np.nanmax(bars["high"])
        fig.update_yaxes(range=[low - 0.25 * (high - low), high + 0.25 * (high - low)])  # levels may lie far off
    fig.update_layout(template="plotly_white", title=title, height=800, showlegend=False)
    return fig


def risk_figure(curves: Mapping[str, Mapping[str, Sequence[float]]], title: str) -> go.Figure:
    """USD that are liquidated if price goes so far, of both sides, with their bands.

    curves   "long" and "short": ``move`` (share of the close), ``expected_usd``, ``low_usd`` and ``high_usd``, and
             ``rival_usd``, what the move alone says (NaN: not known)
    """
    fig = go.Figure()
    for (side, curve), colour in zip(curves.items(), (RESISTANCE, SUPPORT), strict=True):
        percent = [100.0 * move for move in curve["move"]]
        edge = {"mode": "lines", "line_width": 0, "hoverinfo": "skip", "showlegend": False}
        fig.add_scatter(x=percent, y=curve["low_usd"], **edge)
        fig.add_scatter(x=percent, y=curve["high_usd"], fill="tonexty", fillcolor=f"rgba({colour}, 0.2)", **edge)
        line = {"color": f"rgb({colour})", "width": 2}
        fig.add_scatter(x=percent, y=curve["expected_usd"], mode="lines+markers", line=line, name=f"{side}s, 80 % band")
        if not np.isnan(curve["rival_usd"]).all():
            dots = {"color": f"rgb({colour})", "width": 1, "dash": "dot"}
            fig.add_scatter(
                x=percent, y=curve["rival_usd"], mode="lines", line=dots, name=f"{side}s, by the move alone"
            )
    fig.update_xaxes(title="if price goes, %", zeroline=True)
    fig.update_yaxes(title="liquidated, USD", rangemode="tozero")
    fig.update_layout(template="plotly_white", title=title, height=560, hovermode="x")
    return fig


def show(fig: go.Figure) -> bool:
    """Show a figure in the notebook this runs in, else in a browser with windows; returns whether there was one.

    Nothing is waited for: a browser gets a file, not a server that it would have to call.
    """
    if "ipykernel" in sys.modules:
        fig.show()
        return True
    if sys.platform not in ("win32", "darwin") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        _LOG.info("no browser to show the chart in: give save_path to keep it")
        return False
    path = write_html(fig, Path(tempfile.mkdtemp(prefix="liquidator-")) / "chart.html")
    return webbrowser.open(path.as_uri())


def _candles(time: np.ndarray, bars: np.ndarray) -> go.Candlestick:
    return go.Candlestick(
        x=time,
        open=bars["open"],
        high=bars["high"],
        low=bars["low"],
        close=bars["close"],
        name="candles",
        increasing_line_color=f"rgb({SUPPORT})",
        decreasing_line_color=f"rgb({RESISTANCE})",
        line_width=1,
    )


def _add_band(fig: go.Figure, time: np.ndarray, signals: np.ndarray, kind: str, colour: str) -> None:
    """One box for each run of bars with the same nearest zone."""
    low, high = signals[f"{kind}_low"], signals[f"{kind}_high"]
    change = np.flatnonzero((low[1:] != low[:-1]) | (high[1:] != high[:-1])) + 1
    step = time[-1] - time[-2] if len(time) > 1 else np.timedelta64(60_000, "ms")
    x: list[Any] = []
    y: list[Any] = []
    for first, end in zip(np.r_[0, change], np.r_[change, len(time)], strict=True):
        if low[first] == low[first]:
            left, right = time[first].item(), (time[end - 1] + step).item()
            x += [left, right, right, left, left, None]
            y += [low[first], low[first], high[first], high[first], low[first], None]
    fig.add_trace(
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            line_width=0,
            fill="toself",
            fillcolor=f"rgba({colour}, 0.25)",
            name=f"nearest {kind}",
            hoverinfo="skip",
        ),
        row=1,
        col=1,
    )


def _add_entries(fig: go.Figure, time: np.ndarray, bars: np.ndarray, signals: np.ndarray) -> None:
    away = 0.015 * (np.nanmax(bars["high"]) - np.nanmin(bars["low"]))
    for side, symbol, colour, price in ((1, "triangle-up", SUPPORT, "low"), (-1, "triangle-down", RESISTANCE, "high")):
        at = signals["fade"] == side
        fig.add_trace(
            go.Scatter(
                x=time[at],
                y=bars[price][at] - side * away,
                mode="markers",
                marker={"symbol": symbol, "size": 9, "color": f"rgb({colour})", "line": {"width": 1, "color": "black"}},
                name="fade: buy" if side > 0 else "fade: sell",
            ),
            row=1,
            col=1,
        )


def _step(time: np.ndarray) -> np.timedelta64:
    step: np.timedelta64 = time[-1] - time[-2] if len(time) > 1 else np.timedelta64(60_000, "ms")
    return step


def _add_zones(fig: go.Figure, report: Any, time: np.ndarray) -> None:
    step = _step(time)
    for zone in report.zones.itertuples():
        colour = SUPPORT if zone.kind == "support" else RESISTANCE
        fig.add_shape(
            type="rect",
            x0=max(zone.birth.to_datetime64(), time[0]),
            x1=time[-1] + 40 * step,
            y0=zone.low,
            y1=zone.high,
            line={"width": 1, "color": f"rgb({colour})"},
            fillcolor=f"rgba({colour}, {0.1 + zone.quality / 250:.3f})",
            layer="below",
            row=1,
            col=1,
        )
        fig.add_annotation(
            x=time[-1] + 40 * step,
            y=zone.price,
            text=f"{zone.price:.6g} · {zone.quality:.0f}",
            showarrow=False,
            xanchor="left",
            font={"size": 10, "color": f"rgb({colour})"},
            row=1,
            col=1,
        )


def _add_levels(fig: go.Figure, report: Any, time: np.ndarray) -> None:
    step = _step(time)
    for level in report.levels.itertuples():
        fig.add_shape(
            type="line",
            x0=time[-1] + 2 * step,
            x1=time[-1] + 40 * step,
            y0=level.price,
            y1=level.price,
            line={"width": 1, "color": f"rgb({SUPPORT if level.side == 'short' else RESISTANCE})"},
            row=1,
            col=1,
        )


def _add_accounts(fig: go.Figure, report: Any) -> None:
    fade = report.fade
    assert fade is not None
    for seed, placebo in enumerate(report.placebos):
        fig.add_trace(
            go.Scatter(
                x=placebo.equity_ms.astype("M8[ms]"),
                y=placebo.equity / placebo.cash,
                line={"width": 1, "color": "rgba(150, 150, 150, 0.6)"},
                name="placebo marks",
                legendgroup="placebo",
                showlegend=seed == 0,
            ),
            row=3,
            col=1,
        )
    time = fade.equity_ms.astype("M8[ms]")
    close = report.bars["close"][-len(time) :]
    fig.add_trace(
        go.Scatter(x=time, y=close / close[0], line={"color": _LINE, "dash": "dot"}, name="buy and hold"), row=3, col=1
    )
    fig.add_trace(
        go.Scatter(x=time, y=fade.equity / fade.cash, line={"color": "#1f3d7a"}, name="zone fade"), row=3, col=1
    )
