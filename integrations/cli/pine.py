"""``liquidator pine``: write a Pine script."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from liquidator_core._atomic import replacing

from ..market.bars import read_bars
from .options import (
    ConventionOption,
    FromOption,
    LastOption,
    ParamsOption,
    VenueOption,
    check_target,
    read_params,
    since_of,
)


def pine(
    file: Annotated[Path | None, typer.Argument(help="Candles or trades: for --snapshot, which draws them.")] = None,
    live: Annotated[bool, typer.Option("--live", help="An indicator that works on any chart (the default).")] = False,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="The zones and levels of FILE, as of its end.")] = False,
    strategy: Annotated[bool, typer.Option("--strategy", help="The indicator with entries, for the tester.")] = False,
    params: ParamsOption = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .pine file. Default: standard output.")
    ] = None,
    symbol: Annotated[str, typer.Option(help="A name for the script's title.")] = "",
    timeframe: Annotated[list[str] | None, typer.Option(help="A higher timeframe to align with, up to two.")] = None,
    open_interest: Annotated[bool, typer.Option("--open-interest", help="Read the chart's _OI symbol.")] = False,
    bar: Annotated[str | None, typer.Option(help="For trades: bars to fold them into, 1m to 1d. Default: 1m.")] = None,
    last: LastOption = None,
    begin: FromOption = None,
    venue: VenueOption = "",
    convention: ConventionOption = None,
) -> None:
    """A Pine v6 script for TradingView: paste it into the Pine editor."""
    from ..for_tradingview.scripts import to_pine

    forms = [name for name, wanted in (("live", live), ("snapshot", snapshot), ("strategy", strategy)) if wanted]
    if len(forms) > 1:
        raise ValueError(f"--{' and --'.join(forms)} exclude each other")
    form: Any = forms[0] if forms else "live"
    if file is None and form == "snapshot":
        raise ValueError("--snapshot needs a FILE of candles or trades")
    if file is not None and form != "snapshot":
        raise ValueError(f"--{form} takes no FILE, got {file}: the chart has candles of its own")
    of_file, of_trades = {"last": last, "from": begin}, {"bar": bar, "venue": venue, "convention": convention}
    for option, value in (of_file | of_trades).items():
        of = "the FILE" if option in of_file else "the trades"
        if file is None and value:
            raise ValueError(f"--{option} {value} is for {of} of a --snapshot")
    check_target("--output", output, ".pine")
    settings = read_params(params)
    drawn: dict[str, Any] = {}
    if file is not None:
        from ..evidence.digits import rounded_frame
        from ..evidence.report import make_report
        from ..market.messages import iso

        bars = read_bars(file, settings, bar, venue, convention, last, since_of(begin))
        report = make_report(bars, settings, seeds=0)
        zones, levels = rounded_frame(report.zones), rounded_frame(report.levels)
        drawn = {"zones": zones, "levels": levels, "as_of": iso(report.bars["time"][-1])}
    script = to_pine(
        settings, form, symbol=symbol, open_interest=open_interest, timeframes=tuple(timeframe or ()), **drawn
    )
    if output is None:
        print(script, end="")
        return
    with replacing(output) as target:
        target.write(script.encode())
    print(f"{form} script: {output}", file=sys.stderr)
