"""``liquidator risk``: how many dollars are liquidated if price goes somewhere, for a file or a market."""

from __future__ import annotations

import re
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from liquidator_core import Params

from ..evidence.digits import price_text, usd_text
from ..market.bars import read_bars
from ..market.files import read_candles_or_trades, read_table
from ..market.messages import naming
from ..tables.risk_law import FEEDS, PRIOR
from .options import ParamsOption, check_target, read_params
from .printing import console_for, make_table, print_table, progress_bar

if TYPE_CHECKING:
    import pandas as pd


_MORE_HOURS = 24  # of candles, than the curve depends on
_OBSERVED_HOURS = 31 * 24  # 30 days teach the scale


def risk(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Candles of an hour or less, or trades: CSV, JSON, parquet, feather or HDF; with --exchange a symbol "
            "such as BTC-USDT.",
        ),
    ],
    observed: Annotated[
        str | None,
        typer.Option(
            help="Liquidated USD: a file with columns time, long_usd, short_usd; with --exchange also coinalyze or "
            "coinglass, with your key in COINALYZE_API_KEY or COINGLASS_API_KEY."
        ),
    ] = None,
    exchange: Annotated[str | None, typer.Option(help="Fetch candles from there: binance, okx and others.")] = None,
    market: Annotated[str, typer.Option(help="What the candles are of: perpetual or spot.")] = "perpetual",
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
    from ..tables.risk import liquidation_at_risk, risk_memory

    check_target("--chart", chart, ".html")
    settings = read_params(params)
    known = (name for name in FEEDS if (name, market, horizon) in PRIOR)
    feed = next(known, FEEDS[0]) if feed is None else feed
    if exchange is None:
        candles, name = _read_candles(Path(source), settings), Path(source).name
    else:
        candles, name = _fetch_candles(source, exchange, market, settings, observed), f"{source} {exchange}"
    seen = None if observed is None else _observed(observed, source, exchange)
    frame = liquidation_at_risk(candles, seen, horizon, None, settings, feed, market)
    if isnan(frame.attrs["close"]):
        need = risk_memory(settings, seen)
        raise ValueError(
            f"{name}: holds too few hours: a curve needs {need:,} full ones{' and the feed' * (seen is not None)}"
        )
    out = console_for()
    _print_risk(out, frame, name)
    stem = Path(source).stem if exchange is None else re.sub(r"[^A-Za-z0-9]+", "-", name)
    _write_picture(out, frame, chart or Path(f"liquidator-risk-{stem}.html"), name)


def _read_candles(file: Path, settings: Params) -> Any:
    from ..market.candles import bars_from_frame

    kind, table = read_candles_or_trades(file)
    if kind != "candles":
        return read_bars(file, settings, None)
    with naming(str(file)):
        bars_from_frame(table)
    return table


def _fetch_candles(symbol: str, exchange: str, market: str, settings: Params, observed: str | None) -> Any:
    """The hours that the curve depends on; what is missing of them is told on standard error."""
    from ..exchanges.history import fetch, now_ms
    from ..tables.risk import risk_memory

    hours = risk_memory(settings, observed) + _MORE_HOURS
    since = now_ms() - hours * 3_600_000
    with progress_bar() as tell:
        history = fetch(symbol, exchange, since=since, timeframe="1h", market=market, progress=tell)
    if len(history.gaps):
        console_for(stderr=True).print(f"{len(history.gaps)} gaps in what {exchange} gave: see fetch(...).gaps")
    return history.tables["candles"]


def _observed(observed: str, symbol: str, exchange: str | None) -> pd.DataFrame:
    """What was liquidated, from a file or from a vendor."""
    from ..tables.observed import read_feed

    if Path(observed).exists() or exchange is None or Path(observed).suffix:
        seen = read_table(observed).to_pandas()
    else:
        from ..exchanges.history import fetch_observed

        seen = fetch_observed(symbol, observed, _OBSERVED_HOURS, exchange)
    with naming(observed):
        read_feed(seen)
    return seen


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
