"""``liquidator fetch SYMBOL... --exchange X --since D``: history into a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .options import StoreOption
from .printing import console_for, make_table, print_table, progress_bar

if TYPE_CHECKING:
    from ..exchanges.history import History


def fetch(
    symbols: Annotated[list[str], typer.Argument(metavar="SYMBOL", help="Markets: BTC, ETH-USDT, BTC/USDT:USDT.")],
    exchange: Annotated[str, typer.Option(help="binance, okx, bybit, kraken and others.")],
    since: Annotated[str, typer.Option(help="From when on: 2025-01-01 or 2025-01-01T12:00, UTC.")],
    until: Annotated[str | None, typer.Option(help="Up to when. Default: now.")] = None,
    kinds: Annotated[
        str, typer.Option(help="Of candles, trades, funding, open_interest, liquidations, with commas between.")
    ] = "candles",
    timeframe: Annotated[str, typer.Option(help="Of candles, 1m to 1d.")] = "1m",
    market: Annotated[
        str | None, typer.Option(help="perpetual, inverse or spot. Default: what SYMBOL says, else perpetual.")
    ] = None,
    archive: Annotated[
        bool,
        typer.Option(
            "--archive", help="Take whole days from the exchange's archive, where it has one (Binance, Bybit, OKX)."
        ),
    ] = False,
    store: StoreOption = None,
) -> None:
    """Fetch the history of markets into a store, and print what came, what proves it and what is missing.

    What the store has is not fetched again; what was fetched before an error is kept. As an example:
    liquidator fetch BTC ETH --exchange binance --since 2026-01-01 --kinds candles,funding
    """
    from ..exchanges import fetch as fetch_history
    from ..store import Store

    kept = Store(store)
    wanted = tuple(kind.strip() for kind in kinds.split(","))
    out = console_for()
    for symbol in symbols:
        with progress_bar() as bar:

            def tell(kind: str, done: int, total: int, symbol: str = symbol, bar: Any = bar) -> None:
                bar(f"{symbol} {kind}", done, total)

            history = fetch_history(
                symbol,
                exchange,
                wanted,
                since=since,
                until=until,
                timeframe=timeframe,
                market=market,
                store=kept,
                archive=archive,
                progress=None if bar is None else tell,
            )
        _print_history(out, history)
    out.print(f"Kept in {kept.path}", soft_wrap=True)


def _print_history(out: Console, history: History) -> None:
    from ..market.messages import moment

    table = make_table(
        out, f"{history.symbol} of {history.venue}", "kind", "rows", "days", "complete", "unproven", "gaps"
    )
    for kind, days in history.coverage.groupby("kind", sort=False):
        status = days["status"].value_counts()
        whole = status.get("complete", 0) + status.get("empty", 0)
        counts = len(history.tables[kind]), len(days), whole, status.get("unproven", 0)
        table.add_row(str(kind), *(f"{count:,}" for count in counts), f"{(history.gaps['kind'] == kind).sum():,}")
    print_table(out, table)
    for gap in history.gaps.itertuples():
        many = "rows" if gap.missing != gap.missing else f"{gap.missing:,.0f} rows"
        out.print(f"{gap.kind}: {many} missing from {moment(gap.since)} to {moment(gap.until)}", soft_wrap=True)
    for defect in history.defects.itertuples():
        where = f"; the original is {defect.kept}" if defect.kept else ""
        out.print(f"{defect.file}: {defect.problem}{where}", soft_wrap=True)
    out.print()
