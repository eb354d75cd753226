"""Zones in FreqUI and plot-dataframe."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd

from .columns import RESISTANCE_COLOUR, SUPPORT_COLOUR, Frame


def plot_config(prefix: str = "lz_") -> dict[str, Any]:
    """A ``plot_config``: the nearest zones as bands, levels as lines, forced flow and quality below."""
    main: dict[str, Any] = {}
    for kind, colour in (("support", SUPPORT_COLOUR), ("resistance", RESISTANCE_COLOUR)):
        main[f"{prefix}{kind}_low"] = {
            "color": f"rgba({colour}, 0.5)",
            "fill_to": f"{prefix}{kind}_high",
            "fill_label": kind,
            "fill_color": f"rgba({colour}, 0.2)",
        }
        main[f"{prefix}{kind}_high"] = {"color": f"rgba({colour}, 0.5)"}
    main[f"{prefix}level_below"] = {"color": f"rgb({SUPPORT_COLOUR})"}
    main[f"{prefix}level_above"] = {"color": f"rgb({RESISTANCE_COLOUR})"}
    flow = {
        f"{prefix}long_flow_usd": {"color": f"rgb({RESISTANCE_COLOUR})", "type": "bar"},
        f"{prefix}short_flow_usd": {"color": f"rgb({SUPPORT_COLOUR})", "type": "bar"},
    }
    quality = {
        f"{prefix}support_quality": {"color": f"rgb({SUPPORT_COLOUR})"},
        f"{prefix}resistance_quality": {"color": f"rgb({RESISTANCE_COLOUR})"},
    }
    return {"main_plot": main, "subplots": {"forced flow": flow, "quality": quality}}


def plot_annotations(
    dataframe: Frame, start_date: datetime, end_date: datetime, prefix: str = "lz_"
) -> list[dict[str, Any]]:
    """Boxes and lines for FreqUI's ``plot_annotations``, from the columns of ``add_zones``.

    A box wherever the nearest support or resistance stayed the same from candle to candle, as it was known then: a box
    is never redrawn. A dashed line for each nearest level as of the last candle. Cost: a few us a box.
    """
    dates = pd.to_datetime(dataframe["date"], utc=True)
    inside = ((dates >= pd.Timestamp(start_date)) & (dates <= pd.Timestamp(end_date))).to_numpy()
    frame, times = dataframe[inside], dates[inside].tolist()
    if len(frame) == 0:
        return []
    found: list[dict[str, Any]] = []
    for kind, colour in (("support", SUPPORT_COLOUR), ("resistance", RESISTANCE_COLOUR)):
        low, high = (frame[f"{prefix}{kind}_{edge}"].to_numpy() for edge in ("low", "high"))
        first = np.flatnonzero(np.r_[True, (low[1:] != low[:-1]) | (high[1:] != high[:-1])])
        last = np.r_[first[1:], len(low)] - 1
        for begin, end in zip(first.tolist(), last.tolist(), strict=True):
            if low[begin] == low[begin]:
                found.append(
                    {
                        "type": "area",
                        "label": kind,
                        "start": times[begin],
                        "end": times[min(end + 1, len(times) - 1)],
                        "y_start": float(low[begin]),
                        "y_end": float(high[begin]),
                        "color": f"rgba({colour}, 0.2)",
                    }
                )
    for name, colour in (("level_below", SUPPORT_COLOUR), ("level_above", RESISTANCE_COLOUR)):
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
                    "color": f"rgb({colour})",
                    "line_style": "dashed",
                }
            )
    return found
