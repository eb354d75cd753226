"""Reports on a terminal."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from ..evidence.digits import price_text, usd_text
from ..evidence.result import ordinal

if TYPE_CHECKING:
    from ..evidence.report import Report
    from ..market.bars import Gaps
LEVELS_SHOWN = 5
COLUMNS_KEPT = 3  # of a table, on the narrowest terminal


@contextlib.contextmanager
def progress_bar(after_s: float = 0.0) -> Iterator[Any]:
    """A bar on standard error while something runs, if a person is watching, and once it has run so many seconds."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    begun = time.monotonic()
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    progress = Progress(*columns, console=console, transient=True)
    task = progress.add_task("starting", total=None)

    def tell(what: str, done: int, total: int) -> None:
        if time.monotonic() - begun >= after_s:
            progress.start()
        progress.update(task, description=what, completed=done, total=total)

    if after_s == 0.0:
        progress.start()
    try:
        yield tell
    finally:
        progress.stop()


def print_table(out: Console, table: Table) -> None:
    """A table with every digit: on a narrow terminal without its last columns, which are named below it."""
    left_out = fit_table(out, table)
    width = out.width
    out.width = max(_width_of(out, table), width)
    out.print(table)
    out.width = width
    if left_out:
        out.print(left_out)


def fit_table(out: Console, table: Table) -> str:
    """Take the last columns off that a terminal is too narrow for; what is to be said of that."""
    left_out: list[str] = []
    if out.is_terminal:
        while len(table.columns) > COLUMNS_KEPT and _width_of(out, table) > out.width:
            left_out.insert(0, str(table.columns.pop().header))
    return f"Too narrow for: {', '.join(left_out)}." if left_out else ""


def _width_of(out: Console, table: Table) -> int:
    return Measurement.get(out, out.options.update(width=10_000), table).maximum


def console_for(stderr: bool = False) -> Console:
    console = Console(highlight=False, markup=False, stderr=stderr)
    return console if console.is_terminal else Console(highlight=False, markup=False, stderr=stderr, width=120)


def make_table(out: Console, title: str, *columns: str) -> Table:
    style = box.SIMPLE_HEAD if out.is_terminal else box.ASCII2
    table = Table(title=title, title_justify="left", box=style, show_edge=False, pad_edge=False)
    for i, column in enumerate(columns):
        table.add_column(column, justify="left" if i == 0 else "right", no_wrap=True)
    return table


def print_report(out: Console, report: Report, name: str) -> None:
    from ..market.messages import iso

    bars = report.bars
    count, verb = (f"{len(bars):,} bars", "are") if len(bars) > 1 else ("1 bar", "is")
    out.print(f"{name}: {count}, {iso(bars['time'][0])} to {iso(bars['time'][-1])}")
    out.print(
        f"Last close {price_text(bars['close'][-1])}. "
        f"Params {report.params.digest}, memory {report.params.memory} bars."
    )
    out.print(f"Read: prices, volume{''.join(f', {name}' for name in report.known)}.", soft_wrap=True)
    if report.gaps.missing:
        out.print(f"{gaps_text(report.gaps)}.")
    if report.why_thin:
        out.print(f"{report.why_thin}.", soft_wrap=True)
    if not report.warm:
        out.print(f"{count} {verb} too few to be warm: zones and levels are those of a short history.")
    _print_zones(out, report)
    _print_levels(out, report)
    _print_backtest(out, report)


def gaps_text(gaps: Gaps) -> str:
    """``100 missing hours in 3 gaps``."""
    names = {60_000: "minute", 3_600_000: "hour", 86_400_000: "day"}
    name = names.get(gaps.step_ms, f"bar of {gaps.step_ms / 60_000:g} minutes")
    first, *rest = name.split(" ", 1)
    missing = " ".join([f"{first}{'' if gaps.missing == 1 else 's'}", *rest])
    return f"{gaps.missing:,} missing {missing} in {gaps.gaps:,} gap{'' if gaps.gaps == 1 else 's'}"


def _print_zones(out: Console, report: Report) -> None:
    out.print()
    if report.zones.empty:
        out.print("No live zone.")
        return
    table = make_table(
        out, "Zones, age in bars", "kind", "low", "high", "ledger USD", "quality", "touched", "held", "age"
    )
    for zone in report.zones.iloc[::-1].itertuples():
        table.add_row(
            zone.kind,
            price_text(zone.low),
            price_text(zone.high),
            usd_text(zone.usd),
            f"{zone.quality:.0f} {zone.quality_label}",
            *map(str, (zone.touches, zone.holds, zone.age)),
        )
    print_table(out, table)


def _print_levels(out: Console, report: Report) -> None:
    out.print()
    if report.levels.empty:
        out.print("No open positions.")
        return
    title = f"Levels ahead, the nearest {LEVELS_SHOWN} a side"
    table = make_table(out, title, "who", "price", "from close", "ledger USD", "by then, of the ledger")
    close = report.bars["close"][-1]
    below = int((report.levels["side"] == "long").sum())  # the longs' come first, upwards by price
    for level in report.levels.iloc[max(0, below - LEVELS_SHOWN) : below + LEVELS_SHOWN][::-1].itertuples():
        away = f"{level.price / close - 1.0:+.2%}"
        table.add_row(
            f"{level.side}s",
            price_text(level.price),
            away,
            usd_text(level.usd),
            f"{level.share:.0%} of {level.side}s",
        )
    print_table(out, table)
    out.print(
        "USD of the ledger are turnover, taken to be leveraged on both sides: relative, no dollars of the market; for "
        "those see liquidator risk. Levels are good for 4 to 8 hours and some 5 % from the close.",
        soft_wrap=True,
    )


def _print_backtest(out: Console, report: Report) -> None:
    out.print()
    if report.fade is None:
        out.print(f"No backtest: {report.why_no_backtest}", soft_wrap=True)
        return
    table = make_table(out, "Backtest: fade the zones", "", "return", "max drawdown", "trades", "won")
    _add_result(table, "zone fade", report.fade)
    table.add_row("buy and hold", f"{report.fade.buy_and_hold:+.1%}", "", "", "")
    runs = sorted(report.placebos, key=lambda placebo: placebo.total_return)
    for name, placebo in zip(
        ("worst", "median", "best"), runs[:1] + runs[len(runs) // 2 :][:1] + runs[-1:], strict=False
    ):
        _add_result(table, f"flipped, {name} of {len(runs)}", placebo)
    print_table(out, table)
    if report.too_few:
        out.print(f"{report.too_few[0].upper()}{report.too_few[1:]}.", soft_wrap=True)
    elif report.rank is not None and runs:
        out.print(
            f"The real run is {ordinal(report.rank)} of {len(runs) + 1}: in a flipped one each mark stays or is "
            "mirrored at the close of its bar by a fair coin. Costs: 0.04 % a fill, no funding.",
            soft_wrap=True,
        )


def _add_result(table: Table, name: str, result: Any) -> None:
    won = f"{result.wins / len(result.trades):.0%}" if result.trades else ""
    table.add_row(name, f"{result.total_return:+.1%}", f"{result.max_drawdown:.1%}", str(len(result.trades)), won)
