"""What ``Liquidator.plot`` does with a scene: a figure to work with, files, and the page in a browser."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from liquidator_core import Params
from liquidator_core._atomic import replacing

if TYPE_CHECKING:
    from ..charts.html import Figure

CORE_NAMES = {
    "price_mean": "price",
    "entry_low": "low",
    "entry_high": "high",
    "total_usd": "usd",
    "quality_score": "quality",
    "first_ts": "birth",
    "dominant_side": "side",
}
QUALITIES = ("weak", "medium", "strong")


def plot_zones(
    bars: np.ndarray,
    params: Params,
    zones: pd.DataFrame,
    title: str,
    *,
    show: bool,
    save_path: str | os.PathLike[str] | None,
    script: str | None,
    last: int,
    colors: Mapping[str, str] | None,
    risk: pd.DataFrame | None,
) -> Figure:
    """The figure of ``Liquidator.plot``; ``script`` is the Pine script that goes with it."""
    from ..charts.files import check_path, write_scene
    from ..charts.html import figure
    from ..charts.html import show as show_chart
    from ..charts.scene import make_scene

    check_colors(colors)
    if isinstance(last, bool) or not isinstance(last, int) or last < 1:
        raise ValueError(f"last must be a whole number of bars, 1 or more, got {last!r}")
    target = None if save_path is None else check_path(save_path)
    scene = make_scene(bars, params, name=title, on_bad="skip", risk=risk)
    made = figure(scene, title, last, zones.rename(columns=CORE_NAMES), colors)
    if script is not None:
        made.update_layout(meta={"pine": script})
    if target is not None:
        write_scene(scene, target, colors)
        if script is not None:
            _write_text(target.with_suffix(".pine"), script)
    if show:
        show_chart(made, scene, colors)
    return made


def check_colors(colors: Mapping[str, str] | None) -> None:
    """Raise ValueError for colours of qualities that are none, or that are not #rrggbb."""
    for name, colour in (colors or {}).items():
        if name not in QUALITIES:
            raise ValueError(f"colors: found {name!r}, allowed {', '.join(QUALITIES)}")
        digits = colour[1:] if isinstance(colour, str) and colour.startswith("#") else ""
        if len(digits) != 6 or set(digits.lower()) - set("0123456789abcdef"):
            raise ValueError(f"colors, {name}: found {colour!r}, allowed a colour such as '#0072B2'")


def _write_text(path: Path, text: str) -> None:
    with replacing(path) as file:
        file.write(text.encode())
