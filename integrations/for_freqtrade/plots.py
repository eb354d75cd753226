"""Zones in FreqUI and plot-dataframe."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pandas as pd

from ..charts.palette import RESISTANCE, SUPPORT, faded
from ..tables.zones import zone_runs
from .columns import Frame


def plot_config(prefix: str = "lz_") -> dict[str, Any]:
    """A ``plot_config``: the edges of the nearest zones and the levels as lines, forced flow and quality below.

    Not filled between the edges: where there is no zone a fill would go on from the last one to the next.
    ``plot_annotations`` fills zones, in FreqUI.

    >>> sorted(plot_config()["subplots"])
    ['forced flow', 'quality']
    """
    main: dict[str, Any] = {}
    for kind, colour in (("support", SUPPORT), ("resistance", RESISTANCE)):
        main |= {f"{prefix}{kind}_{edge}": {"color": faded(colour, 0.5)} for edge in ("low", "high")}
    main[f"{prefix}level_below"] = {"color": SUPPORT}
    main[f"{prefix}level_above"] = {"color": RESISTANCE}
    flow = {
        f"{prefix}long_flow_usd": {"color": SUPPORT, "type": "bar"},
        f"{prefix}short_flow_usd": {"color": RESISTANCE, "type": "bar"},
    }
    quality = {
        f"{prefix}support_quality": {"color": SUPPORT},
        f"{prefix}resistance_quality": {"color": RESISTANCE},
    }
    return {"main_plot": main, "subplots": {"forced flow": flow, "quality": quality}}


def plot_annotations(
    dataframe: Frame, start_date: datetime, end_date: datetime, prefix: str = "lz_"
) -> list[dict[str, Any]]:
    """Boxes and lines for FreqUI's ``plot_annotations``, from the columns of ``add_zones``.

    A box wherever the nearest support or resistance stayed the same from candle to candle, as it was known then: a box
    is never redrawn. A dashed line for each nearest level as of the last candle. Cost: a few us a box.

    >>> frame = add_zones(candles)
    >>> sorted({one["type"] for one in plot_annotations(frame, frame["date"].iloc[600], frame["date"].iloc[-1])})
    ['area', 'line']
    """
    dates = pd.to_datetime(dataframe["date"], utc=True)
    inside = ((dates >= pd.Timestamp(start_date)) & (dates <= pd.Timestamp(end_date))).to_numpy()
    frame, times = dataframe[inside], dates[inside].tolist()
    if len(frame) == 0:
        return []
    found: list[dict[str, Any]] = []
    for kind, colour in (("support", SUPPORT), ("resistance", RESISTANCE)):
        low, high = (frame[f"{prefix}{kind}_{edge}"].to_numpy() for edge in ("low", "high"))
        for begin, end in zone_runs(low, high):
            found.append(
                {
                    "type": "area",
                    "label": kind,
                    "start": times[begin],
                    "end": times[min(end, len(times) - 1)],
                    "y_start": float(low[begin]),
                    "y_end": float(high[begin]),
                    "color": faded(colour, 0.2),
                }
            )
    for name, colour in (("level_below", SUPPORT), ("level_above", RESISTANCE)):
        price = float(frame[prefix + name].iloc[-1])
        if price == price:
            found.append(
                {
                    "type": "line",
                    "label": name.replace("_", " "),
                    "start": times[0],
                    "end": times[-1],
                    "y_start": price,
                    "y_end": price,
                    "color": colour,
                    "line_style": "dashed",
                }
            )
    return found
