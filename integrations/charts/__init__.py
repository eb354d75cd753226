"""Pictures of bars: one scene, drawn as a page, a plotly figure and a picture, and heatmaps in the shape of others."""

from __future__ import annotations

from typing import Any

from .others import coinglass, read_coinglass

__all__ = ["coinglass", "make_scene", "read_coinglass"]


def __getattr__(name: str) -> Any:
    """Load what needs pandas on first use: the palette is for rooms that do without."""
    if name != "make_scene":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .scene import make_scene

    return make_scene
