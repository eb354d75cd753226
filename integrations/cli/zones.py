"""``liquidator demo`` and ``liquidator zones FILE``: the main job."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from liquidator_core import Params

from ..evidence.result import FLIPPED_RUNS
from ..market.bars import read_bars
from ..market.coins import is_market
from .options import (
    ChartOption,
    ConventionOption,
    FromOption,
    LastOption,
    ParamsOption,
    SeedsOption,
    VenueOption,
    check_target,
    read_params,
    since_of,
)
from .printing import console_for, print_report, progress_bar

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from ..evidence.report import Report
    from ..evidence.result import Result


def demo(seeds: SeedsOption = FLIPPED_RUNS, params: ParamsOption = None, chart: ChartOption = None) -> None:
    """Zones, levels, a backtest and a chart on the embedded sample: hourly BTCUSDT, October 2019 to December 2020."""
    from ..market.sample import sample_bars

    _check_chart(chart)
    report = _run(sample_bars(), read_params(params), seeds)
    out = console_for()
    print_report(out, report, "BTCUSDT 1h, Binance spot (embedded sample)")
    risk = _risk_of(out, report, "spot")
    _write_chart(out, report, chart or Path("liquidator-demo.html"), "BTCUSDT 1h: liquidation zones", risk)


def zones(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE",
            help="Candles or trades: CSV or JSON (also .gz, .zip), parquet, feather or HDF; with --exchange a symbol "
            "such as BTC-USDT.",
        ),
    ],
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object, and no chart.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The zones as CSV, and no chart.")] = False,
    bar: Annotated[str | None, typer.Option(help="For trades: bars to fold them into, 1m to 1d. Default: 1m.")] = None,
    last: LastOption = None,
    begin: FromOption = None,
    venue: VenueOption = "",
    convention: ConventionOption = None,
    seeds: SeedsOption = FLIPPED_RUNS,
    no_backtest: Annotated[bool, typer.Option("--no-backtest", help="Zones and levels alone: the quick way.")] = False,
    params: ParamsOption = None,
    chart: ChartOption = None,
    exchange: Annotated[
        str | None, typer.Option(help="Fetch candles from there: binance, okx, gate-io and others.")
    ] = None,
    hours: Annotated[float | None, typer.Option(help="How many, with --exchange. Default: 24.")] = None,
    market: Annotated[
        str | None,
        typer.Option(
            help="What the candles are of: perpetual or spot, for the curve of liquidation at risk; with --exchange "
            "what to fetch, inverse too. Default: what SYMBOL says, else perpetual."
        ),
    ] = None,
    store: Annotated[Path | None, typer.Option(help="With --exchange: a folder that keeps what was fetched.")] = None,
) -> None:
    """Zones, levels, a backtest and a chart for a file of your own, or for a market of an exchange.

    Candles need a time, open, high, low, close and volume. Used where FILE has them, and printed: taker_buy (or
    taker_buy_volume), open_interest (sum_open_interest), funding_rate, and what was liquidated, long_usd and short_usd
    (liq_long_usd, liq_short_usd, with liq_long_price, liq_short_price). docs/files.md has every name.
    """
    from ..evidence.digits import rounded_frame

    if as_json and as_csv:
        raise ValueError("--json and --csv exclude each other")
    if chart and (as_json or as_csv):
        raise ValueError("--chart goes with neither --json nor --csv: these write no chart")
    _check_chart(chart)
    settings = read_params(params)
    if exchange is None:
        if hours is not None or store is not None:
            raise ValueError("--hours and --store go with --exchange")
        if market not in (None, "perpetual", "spot"):
            raise ValueError(f"--market: found {market!r}, allowed perpetual or spot: what the candles of FILE are of")
        if not Path(source).exists() and is_market(source):
            raise ValueError(f"{source}: no such file; for candles of a market say --exchange")
        title = Path(source).name
        bars = read_bars(Path(source), settings, bar, venue, convention, last, since_of(begin))
    else:
        if venue or convention:
            raise ValueError("--venue and --convention are for the trades of a FILE")
        if last is not None or begin is not None:
            raise ValueError("--last and --from are for a FILE: with --exchange say --hours")
        title = f"{source} {exchange}"
        bars = _fetch_bars(source, exchange, 24 if hours is None else hours, bar or "1m", market, store)
    report = _run(bars, settings, None if as_csv or no_backtest else seeds)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    elif as_csv:
        print(rounded_frame(report.zones).to_csv(index=False, lineterminator="\n"), end="")
    else:
        out = console_for()
        print_report(out, report, title)
        risk = _risk_of(out, report, market or "perpetual")
        _write_chart(out, report, chart or _chart_of(title, exchange), f"{title}: liquidation zones", risk)


def _fetch_bars(
    symbol: str, exchange: str, hours: float, bar: str, market: str | None, store: Path | None
) -> np.ndarray:
    """The last hours of a market as bars; what is missing is told on standard error."""
    from ..liquidator.liquidator import Liquidator

    with progress_bar() as tell:
        made = Liquidator.from_exchange(
            symbol, exchange, hours=hours, market=market, store=store, progress=tell, bar=bar, cutoff_hours=None
        )
    bars = made.bars()
    if len(bars) == 0:
        raise ValueError(f"{exchange} gave no candles of {symbol} for the last {hours:g} hours")
    if made.gaps is not None and len(made.gaps):
        console_for(stderr=True).print(f"{len(made.gaps)} gaps in what {exchange} gave: see fetch(...).gaps")
    return bars


def _chart_of(title: str, exchange: str | None) -> Path:
    stem = Path(title).stem if exchange is None else re.sub(r"[^A-Za-z0-9]+", "-", title)
    return Path(f"liquidator-{stem}.html")


def _check_chart(path: Path | None) -> None:
    from ..charts.files import SUFFIXES

    check_target("--chart", path, *SUFFIXES)


def _run(bars: np.ndarray, params: Params, seeds: int | None) -> Report:
    from ..evidence.account import fade_account
    from ..evidence.report import make_report

    with progress_bar() as tell:
        return make_report(bars, params, seeds or 0, tell, None if seeds is None else _fade, fade_account)


def _fade(bars: np.ndarray, params: Params) -> Result:
    from liquidator_strategies.for_backtrader import run_fade

    return run_fade(bars, params)


def _risk_of(out: Console, report: Report, market: str) -> pd.DataFrame | None:
    """Liquidation at risk as of the last full hour, or None, with the reason printed, where its law does not hold."""
    from ..tables.risk import liquidation_at_risk

    try:
        return liquidation_at_risk(report.bars, params=report.params, market=market)
    except ValueError as error:
        out.print(f"\nNo curve of liquidation at risk: {error}", soft_wrap=True)
        return None


def _write_chart(out: Console, report: Report, path: Path, title: str, risk: pd.DataFrame | None) -> None:
    out.print()
    from ..charts.files import write_scene
    from ..charts.scene import make_scene

    scene = make_scene(report.bars, report.params, report.fade, report.placebos, title, risk=risk)
    try:
        out.print(f"Chart: {write_scene(scene, path)}", soft_wrap=True)
    except ImportError as error:
        out.print(f"No chart: {error}", soft_wrap=True)
