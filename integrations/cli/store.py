"""``liquidator store``: what a folder of market data holds and lacks, files in and out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .options import StoreOption
from .printing import console_for, make_table, print_table, progress_bar

if TYPE_CHECKING:
    from ..store import Store

app = typer.Typer(no_args_is_help=True, help="A folder of market data, in and out.")

VenueOption = Annotated[str | None, typer.Option(help="The exchange, where nothing else says it.")]


@app.command("ls", short_help="What it holds.")
def list_(store: StoreOption = None) -> None:
    """List what a store holds: every kind of every market, from when to when, and how much."""
    from ..market.messages import moment

    kept = _open(store)
    out = console_for()
    table = make_table(out, str(kept.path), "venue", "symbol", "kind", "from", "to", "rows", "files", "MB")
    contents = kept.contents()
    for row in contents.itertuples():
        counts = f"{row.rows:,}", f"{row.files:,}", f"{row.bytes / 1e6:,.1f}"
        table.add_row(row.venue, row.symbol, row.kind, moment(row.since), moment(row.until), *counts)
    if len(contents):
        print_table(out, table)
    else:
        out.print(f"{kept.path}: holds nothing yet: liquidator fetch, or liquidator store import", soft_wrap=True)


@app.command(short_help="What is wrong or missing.")
def check(store: StoreOption = None) -> None:
    """Read every file and name what is wrong and what is missing. Exits with 1 if anything is, else with 0."""
    from ..market.messages import moment

    kept = _open(store)
    out = console_for()
    issues = kept.check()
    for row in issues.itertuples():
        where = row.file or f"{row.venue} {row.symbol} {row.kind} from {moment(row.since)} to {moment(row.until)}"
        out.print(f"{where}: {row.problem}", soft_wrap=True)
    if len(issues):
        raise typer.Exit(1)
    out.print(f"{kept.path}: nothing is wrong, and nothing is missing between what is there", soft_wrap=True)


@app.command("import", short_help="Keep files.")
def import_(
    path: Annotated[Path, typer.Argument(help="A file, or a folder of them.")],
    venue: VenueOption = None,
    symbol: Annotated[
        str | None, typer.Option(help="The market, where nothing else says it: BTC/USDT, BTC/USDT:USDT.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="candles, trades, funding, open_interest or liquidations, if not told.")
    ] = None,
    store: StoreOption = None,
) -> None:
    """Keep files of freqtrade, tardis, cryptofeed, Binance Vision, Kraken, Hyperliquid, parquet and others in a store.

    What is covered already is not kept again. Exits with 1 if something is wrong with a file.
    """
    from ..store import Store

    kept = Store(store)
    out = console_for()
    with progress_bar() as bar:
        done = kept.import_(path, kind, venue, symbol, progress=bar)
    for row in done.itertuples():
        if row.venue == row.venue:
            out.print(
                f"{row.file}: {row.venue} {row.symbol} {row.kind}: {row.kept:,} of {row.rows:,} rows kept",
                soft_wrap=True,
            )
        if row.remark:
            out.print(f"{row.file}: {row.remark}", soft_wrap=True)
        if row.problem:
            out.print(f"{row.file}: {row.problem.removeprefix(f'{row.file}: ')}", soft_wrap=True)
    if done["problem"].any():
        raise typer.Exit(1)


@app.command(short_help="Write for freqtrade or backtrader.")
def export(
    kind: Annotated[str, typer.Argument(help="candles-1h (made of shorter ones where need be), trades or funding.")],
    symbol: Annotated[str, typer.Argument(help="The market: BTC, BTC-USDT.")],
    path: Annotated[Path, typer.Argument(help="Of freqtrade its user_data/data, of backtrader the csv file.")],
    to: Annotated[str, typer.Option(help="freqtrade or backtrader.")] = "freqtrade",
    venue: VenueOption = None,
    since: Annotated[str | None, typer.Option(help="From when on, such as 2025-01-01 (UTC).")] = None,
    until: Annotated[str | None, typer.Option(help="Up to when.")] = None,
    store: StoreOption = None,
) -> None:
    """Write what is kept for another program, and print the file."""
    print(_open(store).export(kind, symbol, path, to, venue, since, until))


@app.command(short_help="Turn whole days into months.")
def compact(store: StoreOption = None) -> None:
    """Turn the days that are covered whole into a file a month. Nothing is lost, and a second time nothing changes."""
    made = _open(store).compact()
    for path in made:
        print(path)
    console_for(stderr=True).print(f"{len(made):,} months written", soft_wrap=True)


def _open(path: Path | None) -> Store:
    """A store that is there: a name that is misspelt must not pass for one that lacks nothing."""
    from ..store import Store

    if path is not None and not path.exists():
        raise ValueError(
            f"--store {path}: there is no such folder; liquidator fetch and liquidator store import make one"
        )
    return Store(path)
