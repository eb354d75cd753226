"""A scene as one self-contained page: candles, what lies over them, and everything needed to look into it offline."""

from __future__ import annotations

import html
import json
from collections.abc import Mapping
from importlib import resources
from string import Template

from ..scene import Scene

_SCRIPTS = ("scene.js", "heatmap.js", "words.js", "layers.js", "tables.js", "app.js")
_LIBRARY = "vendor/lightweight-charts.standalone.production.js"


def page_text(scene: Scene, colors: Mapping[str, str] | None = None) -> str:
    """A scene as the text of an HTML file that needs no network.

    colors   of zones by quality, such as ``{"strong": "#CC79A7"}``; where none is given their kind decides

    The title is the scene's name. Cost: that of ``Scene.to_json``.
    """
    plain = scene.to_json()
    if colors:
        plain = plain[:-1] + "," + json.dumps({"colors": dict(colors)})[1:]
    return Template(_read("page.html")).substitute(
        title=html.escape(scene.name),
        style=_read("style.css"),
        scene=plain.replace("<", "\\u003c"),
        library=_read(_LIBRARY),
        app="\n".join(map(_read, _SCRIPTS)),
    )


def _read(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text(encoding="utf-8")
