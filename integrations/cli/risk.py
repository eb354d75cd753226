"""``liquidator risk FILE``: how many dollars are liquidated if price goes somewhere."""

from __future__ import annotations

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from ..evidence.digits import price_text, usd_text
from ..market.bars import read_bars
from ..market.files import read_candles_or_trades, read_table
from ..market.messages import naming
from ..tables.risk_law import FEEDS, PRIOR
from .options import ParamsOption, check_target, read_params
from .printing import console_for, make_table, print_table

if TYPE_CHECKING:
    import pandas as pd


def risk(
    file: Annotated[
        Path, typer.Argument(help="Candles of an hour or less, or trades: CSV, JSON, parquet, feather or HDF.")
    ],
    observed: Annotated[
        Path | None, typer.Option(help="Liquidated USD: columns time, long_usd, short_usd; the same kinds of file.")
    ] = None,
    market: Annotated[str, typer.Option(help="What FILE is of: perpetual or spot.")] = "perpetual",
    horizon: Annotated[str, typer.Option(help="In which price is supposed to go so far: 1h or 4h.")] = "4h",
    feed: Annotated[
        str | None, typer.Option(help="Whose dollars: binance or three_venues. Default: the first that is known.")
    ] = None,
    params: ParamsOption = None,
    chart: Annotated[
        Path | None, typer.Option(help="Where the chart goes: .html. Default: a page in the current folder.")
    ] = None,
) -> None:
    """USD that are liquidated if price goes so far within the horizon, with an 80 % band, as of the last full hour.

    It does not say that price gets there.
    """
    from ..market.candles import bars_from_frame
    from ..tables.observed import read_feed
    from ..tables.risk import liquidation_at_risk, risk_memory

    check_target("--chart", chart, ".html")
    settings = read_params(params)
    known = (name for name in FEEDS if (name, market, horizon) in PRIOR)
    feed = next(known, FEEDS[0]) if feed is None else feed
    kind, table = read_candles_or_trades(file)
    candles = table if kind == "candles" else read_bars(file, settings, None)
    if kind == "candles":
        with naming(str(file)):
            bars_from_frame(table)
    seen = None if observed is None else read_table(observed).to_pandas()
    if seen is not None:
        with naming(str(observed)):
            read_feed(seen)
    frame = liquidation_at_risk(candles, seen, horizon, None, settings, feed, market)
    if isnan(frame.attrs["close"]):
        need = risk_memory(settings, seen)
        raise ValueError(
            f"{file}: holds too few hours: a curve needs {need:,} full ones{' and the feed' * (seen is not None)}"
        )
    out = console_for()
    _print_risk(out, frame, file.name)
    _write_picture(out, frame, chart or Path(f"liquidator-risk-{file.stem}.html"), file.name)


def _print_risk(out: Console, frame: pd.DataFrame, name: str) -> None:
    known = frame.attrs
    out.print(
        f"{name}: as of {known['as_of']}Z, close {price_text(known['close'])}. Dollars of {known['feed']}, "
        f"{known['market']} candles, within {known['horizon']}.",
        soft_wrap=True,
    )
    for text in known["remarks"]:
        out.print(f"{text[0].upper()}{text[1:]}.", soft_wrap=True)
    out.print()
    columns = "if price goes", "to", "liquidated", "80 % band", "by the move alone", "of the ledger"
    table = make_table(out, "Liquidation at risk, USD", *columns)
    for row, rival in zip(frame.iloc[::-1].itertuples(), reversed(known["rival_usd"]), strict=True):
        band = f"{usd_text(row.low_usd)} to {usd_text(row.high_usd)}"
        usd = (f"{usd_text(row.expected_usd)} of {row.side}s", band, usd_text(rival) if rival == rival else "")
        table.add_row(f"{row.move:+.1%}", price_text(row.price), *usd, f"{row.share_of_ledger:.1%}")
    print_table(out, table)
    out.print()
    for side in ("long", "short"):
        _print_evidence(out, side, known[side])
    out.print(
        "It does not say that price gets there. Metals and other markets without crypto's leverage do not follow this "
        "law; beyond moves of 8 % it understates.",
        soft_wrap=True,
    )


def _print_evidence(out: Console, side: str, evidence: dict[str, float]) -> None:
    text = f"Scale of {side}s: {evidence['source']}"
    if evidence["n"]:
        text += f", from {evidence['n']:,} moves of 30 days"
    if evidence["moves"]:
        text += f". The band held {evidence['coverage']:.0%} of {evidence['moves']:,} moves"
    else:
        text += "; no feed of your own shows how often the band holds here (where it was measured, 77 % to 83 %)"
    if evidence["gain"] == evidence["gain"]:
        text += f", the gain over the move alone is {evidence['gain']:+.2f}"
    out.print(f"{text}.", soft_wrap=True)


def _write_picture(out: Console, frame: pd.DataFrame, path: Path, name: str) -> None:
    out.print()
    try:
        from ..charts.html import risk_figure, write_html
    except ImportError as error:
        out.print(f"No chart: {error}", soft_wrap=True)
        return
    drawn = frame.assign(rival_usd=frame.attrs["rival_usd"])
    curves = {side: drawn[drawn["side"] == side].to_dict("list") for side in ("long", "short")}
    title = f"{name}: liquidated if price goes so far within {frame.attrs['horizon']}"
    out.print(f"Chart: {write_html(risk_figure(curves, title), path)}", soft_wrap=True)
