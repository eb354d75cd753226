"""The command line: ``liquidator demo``, ``zones FILE``, ``risk FILE``, ``fit``, ``pine`` and ``audit``."""

from __future__ import annotations

import sys
import warnings

import typer

from . import freqtrade
from .audit import audit
from .fit import fit
from .pine import pine
from .risk import risk
from .zones import demo, zones

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Liquidation zones and levels from public market data, one closed bar at a time.",
)
app.add_typer(freqtrade.app, name="freqtrade")
for _command in (demo, zones, risk, fit, pine, audit):
    app.command()(_command)


def main() -> None:
    """Entry point: errors that a user can mend are one line on standard error, and exit code 2; a warning is a line."""
    warnings.showwarning = lambda message, *_: print(f"liquidator: {message}", file=sys.stderr)
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"liquidator: {error}", file=sys.stderr)
        raise SystemExit(2) from None
