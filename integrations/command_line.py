"""The command line: ``liquidator demo``, ``zones FILE``, ``fit CANDLES OBSERVED`` and ``pine``."""

from __future__ import annotations

import contextlib
import json
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from liquidator_core import Params
from liquidator_core._atomic import replacing

from . import freqtrade_command

if TYPE_CHECKING:
    import numpy as np

    from .learn import MixFit
    from .report import Report

LEVELS_SHOWN = 5

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Liquidation zones and levels from public market data, one closed bar at a time.",
)

app.add_typer(freqtrade_command.app, name="freqtrade")

_Seeds = Annotated[int, typer.Option(min=0, max=1000, help="Placebo runs to set beside the backtest.")]
_Params = Annotated[
    Path | None, typer.Option("--params", help="JSON file of parameters; those left out keep defaults.")
]
_Chart = Annotated[Path | None, typer.Option(help="Where the chart goes. Default: a file in the current folder.")]


@app.command()
def demo(seeds: _Seeds = 5, params: _Params = None, chart: _Chart = None) -> None:
    """Zones, levels, a backtest and a chart on the embedded sample: hourly BTCUSDT, October 2019 to December 2020."""
    from .report import sample_bars

    _check_target("--chart", chart)
    report = _run(sample_bars(), _read_params(params), seeds)
    out = _console()
    _print_report(out, report, "BTCUSDT 1h, Binance spot (embedded sample)")
    _write_chart(out, report, chart or Path("liquidator-demo.html"), "BTCUSDT 1h: liquidation zones")


@app.command()
def zones(
    file: Annotated[Path, typer.Argument(help="Candles or trades: CSV (also .gz), parquet or feather.")],
    as_json: Annotated[bool, typer.Option("--json", help="Everything as one JSON object, and no chart.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="The zones as CSV, and no chart.")] = False,
    bar: Annotated[str | None, typer.Option(help="For trades: bars to fold them into, 1m to 1d. Default: 1m.")] = None,
    seeds: _Seeds = 5,
    params: _Params = None,
    chart: _Chart = None,
) -> None:
    """Zones, levels, a backtest and a chart for a file of your own."""
    if as_json and as_csv:
        raise ValueError("--json and --csv exclude each other")
    if chart and (as_json or as_csv):
        raise ValueError("--chart goes with neither --json nor --csv: these write no chart")
    _check_target("--chart", chart)
    settings = _read_params(params)
    bars = _read_bars(file, settings, bar)
    report = _run(bars, settings, None if as_csv else seeds)
    if as_json:
        print(json.dumps(report.to_dict(), indent=2))
    elif as_csv:
        print(report.zones.to_csv(index=False, lineterminator="\n"), end="")
    else:
        out = _console()
        _print_report(out, report, file.name)
        _write_chart(out, report, chart or Path(f"liquidator-{file.stem}.html"), f"{file.name}: liquidation zones")


@app.command()
def fit(
    candles: Annotated[Path, typer.Argument(help="Candles: CSV (also .gz), parquet or feather.")],
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
    params: _Params = None,
) -> None:
    """Learn the leverage mix and the margin rate from observed liquidations. Bars that OBSERVED lacks are unknown.

    Intervals are 95 % intervals from resampled days, which hold about nine times in ten; the margin rate is chosen anew
    in each, and before every span. A span is predicted from the bars before it, less those next to it that its own flow
    follows from.

    Without --out standard output holds the parameters alone, and the tables go to standard error.
    """
    from dataclasses import replace

    import numpy as np

    from .files import read_liquidations
    from .learn import fit_mix, observe

    _check_target("--out", out)
    settings = _read_params(params)
    if leverages is not None:
        found = _numbers("--leverages", leverages)
        settings = replace(settings, leverages=found, leverage_weights=tuple(1.0 / len(found) for _ in found))
    rates = _numbers("--margin-rates", margin_rates)
    time, usd = read_liquidations(observed)
    bars = observe(_read_bars(candles, settings, None), time, usd)
    with _progress() as tell:
        learned = fit_mix(bars, settings, rates, spans, window, tell=tell)
    console = _console(stderr=out is None)
    if unused := int(np.isin(time, bars["time"], invert=True).sum()):
        console.print(f"{unused:,} of {len(time):,} observations open no bar: not used.")
    _print_fit(console, learned)
    text = json.dumps(learned.params.to_dict(), indent=2) + "\n"
    if out is None:
        print(text, end="")
        return
    console.print()
    with replacing(out) as file:
        file.write(text.encode())
    console.print(f"Parameters: {out}", soft_wrap=True)


@app.command()
def pine(
    file: Annotated[Path | None, typer.Argument(help="Candles or trades: for --snapshot, which draws them.")] = None,
    live: Annotated[bool, typer.Option("--live", help="An indicator that works on any chart (the default).")] = False,
    snapshot: Annotated[bool, typer.Option("--snapshot", help="The zones and levels of FILE, as of its end.")] = False,
    strategy: Annotated[bool, typer.Option("--strategy", help="The indicator with entries, for the tester.")] = False,
    params: _Params = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .pine file. Default: standard output.")
    ] = None,
    symbol: Annotated[str, typer.Option(help="A name for the script's title.")] = "",
    timeframe: Annotated[list[str] | None, typer.Option(help="A higher timeframe to align with, up to two.")] = None,
    open_interest: Annotated[bool, typer.Option("--open-interest", help="Read the chart's _OI symbol.")] = False,
    bar: Annotated[str | None, typer.Option(help="For trades: bars to fold them into, 1m to 1d. Default: 1m.")] = None,
) -> None:
    """A Pine v6 script for TradingView: paste it into the Pine editor."""
    from .pine import to_pine

    forms = [name for name, wanted in (("live", live), ("snapshot", snapshot), ("strategy", strategy)) if wanted]
    if len(forms) > 1:
        raise ValueError(f"--{' and --'.join(forms)} exclude each other")
    form: Any = forms[0] if forms else "live"
    if file is None and form == "snapshot":
        raise ValueError("--snapshot needs a FILE of candles or trades")
    if file is not None and form != "snapshot":
        raise ValueError(f"--{form} takes no FILE, got {file}: the chart has candles of its own")
    if file is None and bar is not None:
        raise ValueError(f"--bar {bar} is for the trades of a --snapshot")
    _check_target("--output", output, ".pine")
    settings = _read_params(params)
    drawn: dict[str, Any] = {}
    if file is not None:
        from .report import iso, make_report

        report = make_report(_read_bars(file, settings, bar), settings, seeds=None)
        drawn = {"zones": report.zones, "levels": report.levels, "as_of": iso(report.bars["time"][-1])}
    script = to_pine(
        settings, form, symbol=symbol, open_interest=open_interest, timeframes=tuple(timeframe or ()), **drawn
    )
    if output is None:
        print(script, end="")
        return
    with replacing(output) as target:
        target.write(script.encode())
    print(f"{form} script: {output}", file=sys.stderr)


def main() -> None:
    """Entry point: errors that a user can mend are one line on standard error, and exit code 2; a warning is a line."""
    warnings.showwarning = lambda message, *_: print(f"liquidator: {message}", file=sys.stderr)
    try:
        app()
    except (ValueError, TypeError, OSError, ImportError) as error:
        print(f"liquidator: {error}", file=sys.stderr)
        raise SystemExit(2) from None


def _read_params(path: Path | None) -> Params:
    if path is None:
        return Params()
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not JSON: {error}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path}: expected an object of parameters, found {type(values).__name__}")
    return Params.from_dict(values)


def _check_target(option: str, path: Path | None, suffix: str = "") -> None:
    """Whether a file can be written there: before the work, not after it."""
    if path is None:
        return
    if path.is_dir() or not path.resolve().parent.is_dir() or (suffix and path.suffix != suffix):
        raise ValueError(f"{option} {path}: not a {suffix}{' ' if suffix else ''}file in a folder that exists")


def _read_bars(path: Path, params: Params, bar: str | None) -> np.ndarray:
    from dataclasses import replace

    from liquidator_core.tape import bars_from_trades
    from liquidator_core.timeframes import timeframe_ms

    from .files import read_candles_or_trades, trades_from_table
    from .frames import bars_from_frame

    kind, table = read_candles_or_trades(path)
    if kind == "candles":
        if bar is not None:
            raise ValueError(f"--bar {bar} is for trades, and {path} holds candles")
        return bars_from_frame(table)
    if bar is not None:
        if timeframe_ms(bar) > timeframe_ms("1d"):
            raise ValueError(f"--bar must be 1m to 1d, got {bar}")
        params = replace(params, tape_ms=timeframe_ms(bar))
    return bars_from_trades(trades_from_table(table, sort=True), params)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in text.split(","))
    except ValueError:
        raise ValueError(f"{option} must be numbers with commas between them, got {text!r}") from None


def _run(bars: np.ndarray, params: Params, seeds: int | None) -> Report:
    from .report import make_report

    with _progress() as tell:
        return make_report(bars, params, seeds, tell)


@contextlib.contextmanager
def _progress() -> Iterator[Any]:
    """A bar on standard error while something runs, if a person is watching."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=None)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield tell


def _console(stderr: bool = False) -> Console:
    console = Console(highlight=False, markup=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, markup=False, stderr=stderr, width=120)


def _table(out: Console, title: str, *columns: str) -> Table:
    style = box.SIMPLE_HEAD if out.is_terminal else box.ASCII2
    table = Table(title=title, title_justify="left", box=style, show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def _print_report(out: Console, report: Report, name: str) -> None:
    from .report import iso

    bars = report.bars
    out.print(f"{name}: {len(bars):,} bars, {iso(bars['time'][0])} to {iso(bars['time'][-1])}")
    out.print(
        f"Last close {_price(bars['close'][-1])}. Params {report.params.digest}, memory {report.params.memory} bars."
    )
    if not report.warm:
        out.print(f"{len(bars)} bars are too few to be warm: zones and levels are those of a short history.")
    _print_zones(out, report)
    _print_levels(out, report)
    _print_backtest(out, report)


def _print_zones(out: Console, report: Report) -> None:
    out.print()
    if report.zones.empty:
        out.print("No live zone.")
        return
    table = _table(out, "Zones", "kind", "low", "high", "USD", "quality", "touched", "held", "age")
    for zone in report.zones.iloc[::-1].itertuples():
        table.add_row(
            zone.kind,
            _price(zone.low),
            _price(zone.high),
            _usd(zone.usd),
            f"{zone.quality:.0f} {zone.quality_label}",
            *map(str, (zone.touches, zone.holds, zone.age)),
        )
    out.print(table)


def _print_levels(out: Console, report: Report) -> None:
    out.print()
    if report.levels.empty:
        out.print("No open positions.")
        return
    title = f"Levels ahead, the nearest {LEVELS_SHOWN} a side"
    table = _table(out, title, "who", "price", "from close", "USD", "liquidated by then")
    close = report.bars["close"][-1]
    below = int((report.levels["side"] == "long").sum())  # the longs' come first, upwards by price
    for level in report.levels.iloc[max(0, below - LEVELS_SHOWN) : below + LEVELS_SHOWN][::-1].itertuples():
        away = f"{level.price / close - 1.0:+.2%}"
        table.add_row(f"{level.side}s", _price(level.price), away, _usd(level.usd), f"{level.share:.0%} of the side")
    out.print(table)


def _print_backtest(out: Console, report: Report) -> None:
    out.print()
    if report.fade is None:
        out.print(f"No backtest: {report.why_no_backtest}", soft_wrap=True)
        return
    table = _table(out, "Backtest: fade the zones", "", "return", "max drawdown", "trades", "won")
    _add_result(table, "zone fade", report.fade)
    table.add_row("buy and hold", f"{report.fade.buy_and_hold:+.1%}", "", "", "")
    for seed, placebo in enumerate(report.placebos):
        _add_result(table, f"placebo, seed {seed}", placebo)
    out.print(table)
    if report.placebos:
        better = sum(report.fade.total_return > placebo.total_return for placebo in report.placebos)
        out.print(f"The zones beat {better} of {len(report.placebos)} placebo runs. Costs: 0.04 % a fill, no funding.")


def _add_result(table: Table, name: str, result: Any) -> None:
    won = f"{result.wins / len(result.trades):.0%}" if result.trades else ""
    table.add_row(name, f"{result.total_return:+.1%}", f"{result.max_drawdown:.1%}", str(len(result.trades)), won)


def _print_fit(out: Console, fit: MixFit) -> None:
    from .report import iso

    out.print(f"{fit.rows:,} bars with observed liquidations; {fit.scale:.3g} USD observed a USD implied.")
    out.print()
    table = _table(out, "Leverage mix", "leverage", "share", "95 %")
    rows = zip(fit.params.leverages, fit.params.leverage_weights, fit.low, fit.high, strict=True)
    for leverage, weight, low, high in rows:
        table.add_row(f"{leverage:g}x", f"{weight:.3f}", f"{low:.3f} to {high:.3f}")
    out.print(table)
    out.print()
    table = _table(out, "Margin rate", "rate", "deviance", "likeliest in resamples")
    for rate, deviance in fit.deviance.items():
        chosen = " *" if rate == fit.params.margin_rate else ""
        table.add_row(f"{rate:.2%}{chosen}", f"{deviance:.5g}", f"{fit.chosen[rate]:.0%}")
    out.print(table)
    out.print()
    leverages = (f"{leverage:g}x" for leverage in fit.params.leverages)
    table = _table(out, "What the bars before each span taught", "from", "margin rate", *leverages)
    for span in fit.spans:
        shares = ("not reached" if share != share else f"{share:.3f}" for share in span.weights)
        table.add_row(iso(span.start), f"{span.margin_rate:.2%}", *shares)
    out.print(table)
    out.print()
    table = _table(
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
    out.print(table)


def _write_chart(out: Console, report: Report, path: Path, title: str) -> None:
    out.print()
    try:
        from .charts import save_chart
    except ImportError as error:
        out.print(f"No chart: {error}", soft_wrap=True)
        return
    out.print(f"Chart: {save_chart(report, path, title)}", soft_wrap=True)


def _price(value: float) -> str:
    return f"{value:,.2f}" if value >= 100.0 else f"{value:.6g}"


def _usd(value: float) -> str:
    for unit, name in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:,.1f}{name}"
    return f"{value:,.3g}"
