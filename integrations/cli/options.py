"""Options that commands share, and their checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from liquidator_core import Params

SeedsOption = Annotated[int, typer.Option(min=0, max=1000, help="Runs on flipped marks to set beside the backtest.")]
ParamsOption = Annotated[
    Path | None, typer.Option("--params", help="JSON file of parameters; those left out keep defaults.")
]
ChartOption = Annotated[
    Path | None,
    typer.Option(help="Where the chart goes: .html, .png, .svg or .json. Default: a page in the current folder."),
]
VenueOption = Annotated[str, typer.Option(help="Whose the trades are, where the file does not say it.")]
ConventionOption = Annotated[
    str | None, typer.Option(help="Of the sides of trades: venue (its own words) or taker (made so by a tool).")
]


def read_params(path: Path | None) -> Params:
    if path is None:
        return Params()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected an object of parameters, found {type(values).__name__}")
    return Params.from_dict(values)


def check_target(option: str, path: Path | None, *suffixes: str) -> None:
    """Whether a file can be written there, with one of these suffixes if any: before the work, not after it."""
    if path is None:
        return
    if path.is_dir() or not path.resolve().parent.is_dir() or (suffixes and path.suffix.lower() not in suffixes):
        kind = f"{' or '.join(suffixes)} " if suffixes else ""
        raise ValueError(f"{option} {path}: not a {kind}file in a folder that exists")


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be numbers with commas between them, got {text!r}") from None
