"""``liquidator demo`` and ``liquidator zones FILE``: the main job."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from liquidator_core import Params

from ..market.bars import read_bars
from .options import ChartOption, ParamsOption, SeedsOption, check_target, read_params
from .printing import console_for, print_report, progress_bar

if TYPE_CHECKING:
    import numpy as np

    from ..evidence.report import Report
    from ..evidence.result import Result


def demo(seeds: SeedsOption = 20, params: ParamsOption = None, chart: ChartOption = None) -> None:
    """Zones, levels, a backtest and a chart on the embedded sample: hourly BTCUSDT, October 2019 to December 2020."""
    from ..market.sample import sample_bars

    check_target("--chart", chart)
    report = _run(sample_bars(), read_params(params), seeds)
    out = console_for()
    print_report(out, report, "BTCUSDT 1h, Binance spot (embedded sample)")
    _write_chart(out, report, chart or Path("liquidator-demo.html"), "BTCUSDT 1h: liquidation zones")


def zones(
    file: Annotated[Path, typer.Argument(help="Candles or trades: CSV (also .gz), parquet or feather.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object, and no chart.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The zones as CSV, and no chart.")] = False,
    bar: Annotated[str | None, typer.Option(help="For trades: bars to fold them into, 1m to 1d. Default: 1m.")] = None,
    seeds: SeedsOption = 20,
    params: ParamsOption = None,
    chart: ChartOption = None,
) -> None:
    """Zones, levels, a backtest and a chart for a file of your own."""
    if as_json and as_csv:
        raise ValueError("--json and --csv exclude each other")
    if chart and (as_json or as_csv):
        raise ValueError("--chart goes with neither --json nor --csv: these write no chart")
    check_target("--chart", chart)
    settings = read_params(params)
    bars = read_bars(file, settings, bar)
    report = _run(bars, settings, None if as_csv else seeds)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    elif as_csv:
        print(report.zones.to_csv(index=False, lineterminator="\n"), end="")
    else:
        out = console_for()
        print_report(out, report, file.name)
        _write_chart(out, report, chart or Path(f"liquidator-{file.stem}.html"), f"{file.name}: liquidation zones")


def _run(bars: np.ndarray, params: Params, seeds: int | None) -> Report:
    from ..evidence.report import make_report

    with progress_bar() as tell:
        return make_report(bars, params, seeds or 0, tell, None if seeds is None else _fade)


def _fade(bars: np.ndarray, params: Params) -> Result:
    from liquidator_strategies.for_backtrader import run_fade

    return run_fade(bars, params)


def _write_chart(out: Console, report: Report, path: Path, title: str) -> None:
    out.print()
    try:
        from ..charts.html import save_chart
    except ImportError as error:
        out.print(f"No chart: {error}", soft_wrap=True)
        return
    out.print(f"Chart: {save_chart(report, path, title)}", soft_wrap=True)
