"""A Liquidator's settings, history and counts in one file, and back."""

from __future__ import annotations

import json
import os
import zipfile
from typing import Any

import numpy as np

from liquidator_core import BAR
from liquidator_core._atomic import replacing
from liquidator_core.layout import SCHEMA

from .timeframes import Higher, Timeframes


def write_file(path: str | os.PathLike[str], about: dict[str, Any], frames: Timeframes) -> None:
    """Write what is known of one coin, whole or not at all; ``about`` are JSON values to find beside it."""
    history = frames.history
    about = {"schema": SCHEMA, **about, "history": history.numbers(), "higher": {}}
    arrays: dict[str, Any] = dict(history.arrays())
    for name, higher in frames.higher.items():
        arrays[f"higher {name}"] = higher.update(history.rows).rows
        about["higher"][name] = higher.rows.first
    about["arrays"] = sorted(arrays)
    with replacing(path) as file:
        np.savez(file, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)


def read_file(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """(JSON values, arrays) that ``write_file`` wrote; ValueError for anything else."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as saved:
            about = json.loads(saved["about"].tobytes())
            arrays = {name: saved[name] for name in saved.files if name != "about"}
    except (ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        raise ValueError(f"{path}: not a file that Liquidator.save wrote, or damaged") from None
    if about.get("schema") != SCHEMA or about.get("arrays") != sorted(arrays):
        raise ValueError(f"{path}: of schema {about.get('schema')}, allowed {SCHEMA}, or incomplete")
    return about, arrays


def restore(frames: Timeframes, step: int, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> None:
    """Put what ``read_file`` gave into a new Liquidator's history and timeframes."""
    frames.history.restore(about["history"], arrays)
    for name, first in about["higher"].items():
        frames.higher[name] = Higher(name, step)
        frames.higher[name].restore(arrays[f"higher {name}"].view(BAR), first, frames.history.rows)
