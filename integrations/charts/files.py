"""A scene as a file: a page, a picture, or the scene itself."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from liquidator_core._atomic import replacing

from .page import page_text
from .scene import Scene

SUFFIXES = (".html", ".png", ".svg", ".json")


def check_path(path: str | os.PathLike[str], name: str = "save_path") -> Path:
    """The full path of a file that a scene can be written to.

    Raises ValueError for another suffix than ``SUFFIXES``, and FileNotFoundError or IsADirectoryError where no file
    can be: before the work, not after it.
    """
    target = Path(path).resolve()
    if target.suffix.lower() not in SUFFIXES:
        raise ValueError(f"{name}: found {str(path)!r}, allowed a name that ends in {', '.join(SUFFIXES)}")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{name}: found {str(path)!r}, allowed a file in a folder that exists")
    if target.is_dir():
        raise IsADirectoryError(f"{name}: found {str(path)!r}, which is a folder, allowed a file")
    return target


def write_scene(scene: Scene, path: str | os.PathLike[str], colors: Mapping[str, str] | None = None) -> Path:
    """Write a scene as its suffix says, whole or not at all: the page, a picture (light), or JSON.

    colors   of zones by quality, for page and pictures

    Returns the full path. Raises as ``check_path``. Pictures need Matplotlib: pip install "liquidator-core[charts]".
    """
    target = check_path(path)
    suffix = target.suffix.lower()
    if suffix == ".html":
        content = page_text(scene, colors).encode()
    elif suffix == ".json":
        content = scene.to_json().encode()
    else:
        from .picture import picture_bytes

        content = picture_bytes(scene, suffix[1:], colors=colors)
    with replacing(target) as file:
        file.write(content)
    return target


def temporary_page(scene: Scene, colors: Mapping[str, str] | None = None) -> Path:
    """The page in a folder of its own among the temporary files, for a browser to open."""
    return write_scene(scene, Path(tempfile.mkdtemp(prefix="liquidator-")) / "chart.html", colors)
