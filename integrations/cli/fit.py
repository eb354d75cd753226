"""``liquidator fit``: learn the leverage mix from observed liquidations."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from liquidator_core._atomic import replacing

from ..market.bars import read_bars
from .options import ParamsOption, check_target, parse_numbers, read_params
from .printing import console_for, make_table, print_table, progress_bar

if TYPE_CHECKING:
    from ..evidence.leverage_mix import MixFit


def fit(
    candles: Annotated[Path, typer.Argument(help="Candles: CSV or JSON (also .gz, .zip), parquet, feather or HDF.")],
    observed: Annotated[
        Path, typer.Argument(help="Liquidated USD a bar: columns time, long_usd, short_usd; the same kinds of file.")
    ],
    out: Annotated[Path | None, typer.Option(help="Where the learned parameters go, as JSON for --params.")] = None,
    leverages: Annotated[
        str | None, typer.Option(help="To mix, such as 10,25,50,100. Default: those of --params.")
    ] = None,
    margin_rates: Annotated[
        str, typer.Option(help="Maintenance margin rates to choose from.")
    ] = "0.003,0.004,0.005,0.006",
    spans: Annotated[int, typer.Option(min=1, max=100, help="Spans that are predicted from what came before.")] = 4,
    window: Annotated[
        int | None, typer.Option(min=1, help="Bars before a span that it is learned from. Default: all before it.")
    ] = None,
    params: ParamsOption = None,
) -> None:
    """Learn the leverage mix and the margin rate from observed liquidations. Bars that OBSERVED lacks are unknown.

    Intervals are 95 % intervals from resampled days, which hold about nine times in ten; the margin rate is chosen anew
    in each, and before every span. A span is predicted from the bars before it, less those next to it that its own flow
    follows from.

    The verdict says which mix predicted better. The parameters come with the scale, USD observed a USD implied.

    Without --out standard output holds the parameters alone, and the tables go to standard error.
    """
    from dataclasses import replace

    import numpy as np

    from ..evidence.leverage_mix import fit_mix, observe
    from ..market.files import read_liquidations
    from ..market.liquidations import why_thin

    check_target("--out", out, ".json")
    settings = read_params(params)
    if leverages is not None:
        found = parse_numbers("--leverages", leverages)
        settings = replace(settings, leverages=found, leverage_weights=tuple(1.0 / len(found) for _ in found))
    rates = parse_numbers("--margin-rates", margin_rates)
    time, usd = read_liquidations(observed)
    bars = observe(read_bars(candles, settings, None), time, usd)
    with progress_bar() as tell:
        learned = fit_mix(bars, settings, rates, spans, window, tell=tell)
    console = console_for(stderr=out is None)
    if unused := int(np.isin(time, bars["time"], invert=True).sum()):
        console.print(f"{unused:,} of {len(time):,} observations open no bar: not used.")
    if thin := why_thin(bars["liq_long_usd"], bars["liq_short_usd"], settings.flow_bars):
        console.print(f"{thin}.", soft_wrap=True)
    _print_fit(console, learned)
    text = json.dumps(learned.params.to_dict() | {"scale": float(_scale_of(learned))}, indent=2) + "\n"
    if out is None:
        print(text, end="")
        return
    console.print()
    with replacing(out) as file:
        file.write(text.encode())
    console.print(f"Parameters: {out}", soft_wrap=True)


def _print_fit(out: Console, fit: MixFit) -> None:
    from ..market.messages import iso

    out.print(f"{fit.rows:,} bars with observed liquidations; {_scale_of(fit)} USD observed a USD implied.")
    out.print()
    table = make_table(out, "Leverage mix", "leverage", "share", "95 %")
    rows = zip(fit.params.leverages, fit.params.leverage_weights, fit.low, fit.high, strict=True)
    for leverage, weight, low, high in rows:
        table.add_row(f"{leverage:g}x", f"{weight:.3f}", f"{low:.3f} to {high:.3f}")
    print_table(out, table)
    out.print()
    table = make_table(out, "Margin rate", "rate", "deviance", "likeliest in resamples")
    for rate, deviance in fit.deviance.items():
        chosen = " *" if rate == fit.params.margin_rate else ""
        table.add_row(f"{rate:.2%}{chosen}", f"{deviance:.5g}", f"{fit.chosen[rate]:.0%}")
    print_table(out, table)
    out.print()
    leverages = (f"{leverage:g}x" for leverage in fit.params.leverages)
    table = make_table(out, "What the bars before each span taught", "from", "margin rate", *leverages)
    for span in fit.spans:
        shares = ("not reached" if share != share else f"{share:.3f}" for share in span.weights)
        table.add_row(iso(span.start), f"{span.margin_rate:.2%}", *shares)
    print_table(out, table)
    out.print()
    table = make_table(
        out,
        "Rank correlation on each span, by what it was predicted from",
        "from",
        "bars",
        "long: learned",
        "given",
        "short: learned",
        "given",
    )
    for span in fit.spans:
        pairs = (f"{value:.3f}" for pair in zip(span.learned, span.given, strict=True) for value in pair)
        table.add_row(iso(span.start), str(span.rows), *pairs)
    print_table(out, table)
    out.print()
    out.print(f"Verdict: {fit.verdict}.", soft_wrap=True)


def _scale_of(fit: MixFit) -> str:
    return f"{fit.scale:.3g}"
