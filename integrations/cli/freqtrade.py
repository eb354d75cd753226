"""``liquidator freqtrade``: put the ready strategies where freqtrade finds them."""

from __future__ import annotations

import re
import shlex
import sys
from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from liquidator_core import Params
from liquidator_core._atomic import replacing

TIMEFRAME = "1h"  # of ZoneStrategy, and so of each
app = typer.Typer(no_args_is_help=True, help="Ready strategies for freqtrade.")


@app.callback()
def commands() -> None:
    """Keeps ``install`` a word of its own, as typer would drop the name of an only command."""


@app.command(short_help="Copy the strategies and configs.")
def install(
    userdir: Annotated[Path, typer.Option(help="freqtrade's folder of user data.")] = Path("user_data"),
    overwrite: Annotated[bool, typer.Option(help="Replace files that are there already and differ.")] = False,
) -> None:
    """Copy the strategies into DIR/strategies, and configs to try them with into DIR."""
    if not userdir.is_dir():
        raise ValueError(f"--userdir {userdir}: no such folder; make it with: freqtrade create-userdir -d {userdir}")
    files = {userdir / "strategies" / name: content for name, content in _files(".py")}
    files |= {userdir / name: content for name, content in _files(".json")}
    changed = [path for path, content in files.items() if path.exists() and path.read_bytes() != content]
    if changed and not overwrite:
        raise ValueError(f"{changed[0]}: is there already and differs; --overwrite replaces it, nothing was copied")
    (userdir / "strategies").mkdir(exist_ok=True)
    for path, content in files.items():
        with replacing(path) as file:
            file.write(content)
        print(path)
    _print_needs(userdir, {path: content.decode() for path, content in files.items() if path.suffix == ".py"})


def _print_needs(userdir: Path, sources: dict[Path, str]) -> None:
    """Say on standard error which candles each strategy needs, and the command that downloads them."""
    every = {TIMEFRAME: None}
    for source in sources.values():
        timeframes = [TIMEFRAME, *re.findall(r"@informative\(\"(\w+)\"\)", source)]
        every |= dict.fromkeys(timeframes)
        for name in re.findall(r"^class (\w+)\(ZoneStrategy\)", source, re.MULTILINE):
            print(f"{name} needs candles of {' and '.join(timeframes)}", file=sys.stderr)
    print(
        f"Before the time to test there must be {Params().memory} candles of each. To download a year of them:\n"
        f"freqtrade download-data --userdir {shlex.quote(str(userdir))} "
        f"--config {shlex.quote(str(userdir / 'liquidator_dry_run.json'))} --days 365 --timeframes {' '.join(every)}",
        file=sys.stderr,
    )


def _files(suffix: str) -> list[tuple[str, bytes]]:
    """(name under which it is installed, content) of each file beside the strategies, in order of name."""
    found = sorted(resources.files("liquidator_strategies.for_freqtrade").iterdir(), key=lambda file: file.name)
    return [
        (f"liquidator_{file.name}", file.read_bytes())
        for file in found
        if file.name.endswith(suffix) and not file.name.startswith("_")
    ]
