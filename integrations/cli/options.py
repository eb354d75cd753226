"""Options that commands share, and their checks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from liquidator_core import Params

from ..market.messages import naming

SeedsOption = Annotated[int, typer.Option(min=0, max=1000, help="Runs on flipped marks to set beside the backtest.")]
ParamsOption = Annotated[
    Path | None, typer.Option("--params", help="JSON file of parameters; those left out keep defaults.")
]
ChartOption = Annotated[
    Path | None,
    typer.Option(help="Where the chart goes: .html, .png, .svg or .json. Default: a page in the current folder."),
]
LastOption = Annotated[
    int | None, typer.Option("--last", min=1, help="Of FILE only the last so many bars, closed ones of trades.")
]
FromOption = Annotated[
    str | None, typer.Option("--from", help="Of FILE only the bars from a date on, such as 2020-03-01 (UTC).")
]
VenueOption = Annotated[str, typer.Option(help="Whose the trades are, where the file does not say it.")]
ConventionOption = Annotated[
    str | None, typer.Option(help="Of the sides of trades: venue (its own words) or taker (made so by a tool).")
]
StoreOption = Annotated[
    Path | None, typer.Option("--store", help="The store's folder. Default: that of this user's data.")
]


def read_params(path: Path | None) -> Params:
    if path is None:
        return Params()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"--params {path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected an object of parameters, found {type(values).__name__}")
    with naming(str(path)):
        return Params.from_dict(values)


def check_target(option: str, path: Path | None, *suffixes: str) -> None:
    """Whether a file can be written there, with one of these suffixes if any: before the work, not after it."""
    if path is None:
        return
    kind, why = "file", ""
    if path.is_dir():
        why = "it is a folder"
    elif not path.resolve().parent.is_dir():
        why = f"there is no folder {path.parent}"
    elif suffixes and path.suffix.lower() not in suffixes:
        kind = f"{' or '.join(suffixes)} file"
        why = f"{path.suffix} is not written" if path.suffix else "its name has no ending"
    if why:
        raise ValueError(f"{option} {path}: not a {kind} in a folder that exists: {why}")


def since_of(begin: str | None) -> int | None:
    """The time in ms that --from says."""
    if begin is None:
        return None
    from ..market.times import ms_of

    try:
        return ms_of(begin)
    except (ValueError, TypeError) as error:
        allowed = str(error).partition("allowed ")[2]
        raise ValueError(
            f"--from must be a date such as 2020-03-01 or 2020-03-01T12:00, got {begin!r}: allowed is {allowed}"
        ) from None


def parse_numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be numbers with commas between them, got {text!r}") from None
