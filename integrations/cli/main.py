"""The command line: a file for each command, ``liquidator demo``, ``zones FILE``, ``fetch``, ``store`` and others."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Annotated

import typer

from liquidator_core.layout import VERSION

from . import freqtrade, store
from .audit import audit
from .fetch import fetch
from .fit import fit
from .pine import pine
from .risk import risk
from .stream import replay, stream
from .train import train
from .zones import demo, zones

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(freqtrade.app, name="freqtrade")
app.add_typer(store.app, name="store")
#: What the list of commands says of each: typer would cut its first sentence off.
_SHORT: dict[Callable[..., None], str] = {
    demo: "The sample: zones, levels, a backtest, a chart.",
    zones: "The same for a file or a market of your own.",
    risk: "USD liquidated if price goes somewhere.",
    train: "Does anything tell whether zones hold?",
    fit: "Learn the leverage mix from liquidations.",
    pine: "A Pine v6 script for TradingView.",
    fetch: "History of an exchange into a store.",
    stream: "Zones and liquidations of a coin, live.",
    replay: "A store played through the live path.",
    audit: "Does an indicator look ahead or repaint?",
}
for _command, _short in _SHORT.items():
    app.command(short_help=_short)(_command)


def _print_version(asked: bool) -> None:
    if asked:
        print(f"liquidator {VERSION}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Liquidation zones and levels from public market data, one closed bar at a time."""


def main() -> None:
    """Entry point: errors that a user can mend are one line on standard error, and exit code 2; a warning is a line."""
    warnings.showwarning = lambda message, *_: print(f"liquidator: {message}", file=sys.stderr)
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"liquidator: {error}", file=sys.stderr)
        raise SystemExit(2) from None
