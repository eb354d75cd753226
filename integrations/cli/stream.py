"""``liquidator stream COIN`` and ``liquidator replay STORE COIN``."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ..evidence.digits import price_text, usd_text
from ..live.alerts import Alerts
from ..tables.risk import risk_memory
from ..tables.signals import signal_columns
from .options import ParamsOption, read_params
from .printing import console_for, fit_table, make_table, print_table

if TYPE_CHECKING:
    from ..liquidator import Liquidator
    from ..live import Stream

_ROWS = 8
_RISK_MOVES = (-0.02, -0.01, 0.01, 0.02)
_LAST_ALERTS_S = 60.0
_LOOK_S = 1.0  # between two looks at whether events are read
_EVENTS = ("zone_formed", "zone_broken", "zone_touched", "zone_held", "liquidation")

BarOption = Annotated[str, typer.Option(help="Bars to fold trades into, 1m to 1d.")]


def stream(
    coin: Annotated[str, typer.Argument(help="Such as BTC, or a market of it: BTC-USDT.")],
    exchange: Annotated[
        list[str] | None,
        typer.Option(help="binance, bybit, okx, hyperliquid or another of ccxt.pro; repeatable. Default: hyperliquid."),
    ] = None,
    bar: BarOption = "1m",
    store: Annotated[Path | None, typer.Option(help="A folder that keeps what comes.")] = None,
    state: Annotated[Path | None, typer.Option(help="A file that keeps the engine over a restart.")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="A line of JSON an event, for pipes.")] = False,
    alert_url: Annotated[str | None, typer.Option(help="Post each event there as JSON.")] = None,
    alert_template: Annotated[str | None, typer.Option(help="JSON to post, with $text or names of fields.")] = None,
    params: ParamsOption = None,
) -> None:
    """Zones, levels and liquidations of a coin as they happen, until Ctrl-C or SIGTERM.

    Alerts are signed with the secret in LIQUIDATOR_ALERT_SECRET, if it is set.
    """
    from ..liquidator import Liquidator
    from ..market.coins import coin_of

    if alert_template is not None and alert_url is None:
        raise ValueError("--alert-template: found without --alert-url, where it would be posted")
    made = Liquidator(coin_of(coin), mode="streaming", bar=bar, params=read_params(params))
    tellers: list[Any] = [_print_line] if jsonl else []
    alerts = None
    if alert_url is not None:
        secret = os.environ.get("LIQUIDATOR_ALERT_SECRET")
        alerts = Alerts(alert_url, alert_template, secret, None if state is None else Path(f"{state}.alerts"))
        tellers.append(alerts)
    told: dict[str, Any] = {}
    if tellers:
        _tell(made, tellers)
        told = {f"on_{name}": _teller(name, made.coin, tellers) for name in ("gap", "health")}
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        running = made.start_stream(exchange or ["hyperliquid"], [coin], store, state, **told)
        try:
            if jsonl:
                _wait(running)
            elif not sys.stdout.isatty():
                running.wait()
            else:
                _watch(made, running)
        except KeyboardInterrupt:
            pass
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it ends, and saves
            running.stop()
    finally:
        signal.signal(signal.SIGTERM, before)
        if alerts is not None:
            _end(alerts)


def replay(
    store: Annotated[Path, typer.Argument(help="A folder that a stream or a fetch has kept.")],
    coin: Annotated[str, typer.Argument(help="Such as BTC.")],
    bar: BarOption = "1m",
    begin: Annotated[str | None, typer.Option("--from", help="An ISO time.")] = None,
    until: Annotated[str | None, typer.Option(help="An ISO time.")] = None,
    speed: Annotated[float | None, typer.Option(help="Seconds of tape a second. Default: as fast as it goes.")] = None,
    jsonl: Annotated[bool, typer.Option("--jsonl", help="A line of JSON an event, for pipes.")] = False,
    params: ParamsOption = None,
) -> None:
    """Play what a store holds of a coin through the path of a live stream, and print where its zones are."""
    from ..liquidator import Liquidator
    from ..live import replay as play

    made = Liquidator(coin, mode="streaming", bar=bar, params=read_params(params))
    if jsonl:
        _tell(made, [_print_line])
    play(made, store, since=begin, until=until, speed=speed)
    if not jsonl:
        out = console_for()
        for shown in [_title(made), *_tables(out, made)]:
            if isinstance(shown, Text):
                out.print(shown, soft_wrap=True)
            else:
                print_table(out, shown)


def _terminated(*_: Any) -> None:
    raise KeyboardInterrupt


def _end(alerts: Alerts) -> None:
    """Post the alerts that wait, and say how many could not be."""
    if alerts.waiting:
        about = f"{alerts.waiting:,} alerts are to be posted yet, {_LAST_ALERTS_S:g} s at most"
        print(f"{about}; Ctrl-C leaves them", file=sys.stderr)
    with contextlib.suppress(KeyboardInterrupt):
        alerts.close(_LAST_ALERTS_S)
    if alerts.failed:
        print(f"{alerts.failed:,} alerts could not be delivered", file=sys.stderr)


def _tell(made: Liquidator, tellers: list[Any]) -> None:
    """Have events told of to each of these, as mappings of JSON values."""
    for event in _EVENTS:
        getattr(made, f"on_{event}")(_teller(event, made.coin, tellers))


def _teller(event: str, coin: str | None, tellers: list[Any]) -> Any:
    def tell(row: Any) -> None:
        said = {"event": event, "coin": coin, **{name: _plain(value) for name, value in dict(row).items()}}
        for one in tellers:
            one(said)

    return tell


def _print_line(event: dict[str, Any]) -> None:
    """Print an event; where nobody reads on, the command ends."""
    try:
        print(json.dumps(event), flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if threading.current_thread() is threading.main_thread():
            raise SystemExit from None
        os.kill(os.getpid(), signal.SIGTERM)


def _wait(running: Stream) -> None:
    """Until a stream ends, or nobody reads its events any more, though none comes."""
    while not (running.wait(_LOOK_S) or _is_unread()):
        pass


def _is_unread() -> bool:
    """Whether standard output is a pipe that nobody reads; a system that does not say so tells at the next event."""
    if sys.stdout is None or not hasattr(select, "poll"):
        return False
    asked = select.poll()
    try:
        asked.register(sys.stdout.fileno(), 0)
    except ValueError:  # it is closed, or no file
        return False
    return any(event & (select.POLLERR | select.POLLHUP) for _, event in asked.poll(0))


def _plain(value: Any) -> Any:
    """A value of an event as JSON has it."""
    if hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.datetime64):
        return str(value)
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and value != value else value


def _watch(made: Liquidator, running: Stream) -> None:
    """The view of a terminal, once a second."""
    out = Console()
    pause = threading.Event()
    with Live(console=out, auto_refresh=False, screen=False) as view:
        while not running.wait(0.0):
            shown = [_title(made), _health(out, running), *_tables(out, made)]  # a low terminal shows the first of it
            view.update(Group(*(part for one in shown for part in _fitted(out, one))), refresh=True)
            pause.wait(1.0)


def _fitted(out: Console, shown: Any) -> list[Any]:
    """What is shown, as wide as the terminal."""
    left_out = fit_table(out, shown) if isinstance(shown, Table) else ""
    return [shown, Text(left_out)] if left_out else [shown]


def _title(made: Liquidator) -> Text:
    bars = made.bars()
    if len(bars) == 0:
        return Text(f"{made.coin}: no bar has closed yet")
    last = bars[-1]
    flow = signal_columns(bars[-made.params.memory :], made.params).iloc[-1]
    forced = " and ".join(f"{usd_text(flow[f'{side}_flow_usd'])} of {side}s" for side in ("long", "short"))
    known = "too few bars to tell" if np.isnan(flow["long_flow_usd"]) else f"{forced} (USD of the ledger)"
    when = np.datetime64(int(last["time"]), "ms")
    return Text(f"{made.coin} {price_text(float(last['close']))}, bar of {when}Z, forced flow: {known}")


def _tables(out: Console, made: Liquidator) -> list[Any]:
    """Zones, levels and, once there are hours enough, what is at risk."""
    zones = make_table(out, "Zones", "kind", "low", "high", "ledger USD", "quality")
    for _, zone in made.compute_zones().head(_ROWS).iterrows():
        edges = price_text(zone["entry_low"]), price_text(zone["entry_high"])
        zones.add_row(str(zone["kind"]), *edges, usd_text(zone["total_usd"]), f"{zone['quality_score']:.0f}")
    levels = make_table(out, "Levels", "side", "price", "ledger USD")
    bars = made.bars()
    known = made.levels()
    if len(bars) and len(known):
        near = known.assign(away=(known["price"] - bars["close"][-1]).abs()).nsmallest(_ROWS, "away")
        for _, level in near.sort_values("price", ascending=False).iterrows():
            levels.add_row(str(level["side"]), price_text(level["price"]), usd_text(level["usd"]))
    return [zones, levels, *_risk(out, made)]


def _risk(out: Console, made: Liquidator) -> list[Any]:
    hours, needed = len(made.bars("1h")), risk_memory(made.params)
    if hours < needed:
        return [Text(f"Liquidation at risk is known after {needed:,} full hours: there are {hours:,}.")]
    table = make_table(out, "Liquidation at risk, 4h", "if price goes", "to", "liquidated, USD")
    for row in made.at_risk(moves=_RISK_MOVES).itertuples():
        table.add_row(f"{row.move:+.0%}", price_text(row.price), usd_text(row.expected_usd))
    return [table]


def _health(out: Console, running: Stream) -> Any:
    names = ("venue", "state", "trades", "gaps", "waiting", "liquidations", "feed", "of USD traded in an hour")
    table = make_table(out, "Health", *names)
    brought = running.shares().set_index(["venue", "symbol"])["share"]
    health = running.health()
    for error in health["store_error"].dropna().unique():
        table.caption = f"The store cannot be written to: {error}"
    for row in health.itertuples():
        share = brought.get((row.venue, row.symbol), np.nan)
        counts = f"{row.trades:,}", f"{row.gaps:,}", f"{row.queue:,}", f"{row.liquidations:,}"
        table.add_row(row.venue, row.state, *counts, row.liquidation_feed, "" if np.isnan(share) else f"{share:.0%}")
    return table
