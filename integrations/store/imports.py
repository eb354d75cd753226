"""Files as people have them to tables that are kept: whose they are, which kind they hold, which spans they cover."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from liquidator_core.layout import LONG
from liquidator_core.timeframes import step_ms

from ..market.candles import bars_from_frame
from ..market.coins import market_of
from ..market.columns import different_values, time_column
from ..market.files import read_table
from ..market.funding import UNIT_HOURS
from ..market.liquidations import read_liquidations, read_rates
from ..market.messages import moment, naming
from ..market.names import MARKET_NAMES, RATE_NAMES, TRADE_NAMES, normal_name
from ..market.trades import read_trades
from ..market.venues import find_names, venue_of
from . import fills, kraken, vision
from .kinds import COLUMNS, KINDS, checked, table_of
from .layout import DAY_MS, Span, begin_of

_SUFFIXES = (".csv", ".csv.gz", ".tsv", ".json", ".json.gz", ".parquet", ".feather", ".zip", *fills.SUFFIXES)
_FREQTRADE = re.compile(r"(?P<symbol>.+?)-((?P<timeframe>\d+[mhdw])(-(?P<type>[a-zA-Z_]+))?|trades)\.feather")
_TARDIS = re.compile(r"(?P<venue>[a-z-]+)_(?P<kind>[a-z_]+)_(?P<day>\d{4}-\d\d-\d\d)_(?P<symbol>[^.]+)\.csv(\.gz)?")
_TARDIS_KINDS = {"trades": "trades", "liquidations": "liquidations", "derivative_ticker": ""}
#: What tardis' names mean of which the word alone does not say what is traded there.
_TARDIS_TYPES = dict.fromkeys(("binance", "okex", "coinbase", "kraken", "bitstamp", "gemini", "huobi"), "spot")
_TARDIS_TYPES |= dict.fromkeys(("bybit", "bitmex", "deribit", "phemex"), "derivative")
_ENDING = re.compile(r"[A-Z0-9]+_(\d{6})")
_RECEIVED = ("local_timestamp", "localtimestamp", "receipt_timestamp")
#: Venues that leave candles without trades out, so that one that is missing tells nothing.
_SPARSE = ("bitfinex", "bitstamp", "coinbase", "gemini", "kraken")


_NO_MARKET = "nothing says which market it is of: say symbol (--symbol), such as BTC/USDT:USDT"


class Found(NamedTuple):
    """What a file holds."""

    venue: str
    symbol: str  # as ccxt names it
    kind: str  # of candles with their timeframe
    table: pa.Table
    spans: list[Span]  # that it covers, in order
    problem: str = ""  # what is wrong with it, though what is here is right
    remark: str = ""  # what was made of it that its name does not say
    near_ms: int = 0  # within which what was kept before reaches to it: nothing lies between


class Said(NamedTuple):
    """What a file's name and folder say of it; "" is unsaid."""

    venue: str = ""
    symbol: str = ""
    kind: str = ""
    type: str = ""  # of the market: spot, linear, inverse or derivative
    day: str = ""


def files_in(folder: Path) -> list[Path]:
    """The files below a folder whose names end as those that are read, in order; hidden ones are left out."""
    named = (path for path in folder.rglob("*") if path.name.lower().endswith(_SUFFIXES) or fills.is_fills(path))
    found = (path for path in named if path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))


def read(path: Path, kind: str | None, venue: str | None, symbol: str | None) -> list[Found]:
    """What a file holds, a kind each; the arguments stand before what it says itself.

    Raises ValueError or TypeError naming it.
    """
    if kind is not None and kind.partition("-")[0] not in KINDS:
        raise ValueError(f"kind: found {kind!r}, allowed {', '.join(KINDS)}")
    if (named := vision.named(path)) is not None:
        return [_archived(path, named, symbol)]
    if fills.is_fills(path) and (not venue or venue_of(venue).name == "hyperliquid"):
        return _filled(path, kind, symbol)
    said = _said(path)
    if (venue_of(venue).name if venue else said.venue) == "kraken" and kraken.holds_trades(path):
        return [_dumped(path, kind, symbol or said.symbol)]
    table = read_table(path)
    with naming(str(path)):
        whose = venue or said.venue or _only(table, TRADE_NAMES["venue"])
        if not whose:
            raise ValueError("nothing says which exchange it is of: say venue (--venue)")
        if not (name := symbol or said.symbol or _only(table, MARKET_NAMES)):
            raise ValueError(_NO_MARKET)
        named_venue = venue_of(whose)
        market = _symbol(name, said.type or named_venue.kind)
        what = kind or said.kind or _kind_of(table)
        columns, spans, what, problem = _READERS[what.partition("-")[0]](table, what, whose)
        if seen := next((one for one in table.column_names if normal_name(one) in _RECEIVED), None):
            columns["received"] = time_column(table[seen].combine_chunks())
        if said.day:
            begin = begin_of(said.day)
            _check_day(columns["time"], begin, said.day)
            spans = [Span(begin, begin + DAY_MS, spans[0].proof if spans else "none")]
        base = what.partition("-")[0]
        rows = table_of(base, checked(base, columns), named_venue.name, market)
        if "received" in columns:
            rows = rows.append_column("received", pa.array(columns["received"]))
    return [Found(named_venue.name, market, what, rows, spans, problem)]


def _archived(path: Path, named: vision.Named, symbol: str | None) -> Found:
    """A file of Binance Vision."""
    with naming(str(path)):
        if symbol is None and (ending := _ENDING.fullmatch(named.symbol)):
            raise ValueError(f"is of a contract that ends: say symbol, such as BTC/USD:BTC-{ending[1]}")
        market = _symbol(symbol or named.symbol, named.market)
        coin, settled = market.partition("/")[0], market.partition(":")[2].partition("-")[0]
        base = named.kind.partition("-")[0]
        if (inverse := coin == settled) and base in ("trades", "open_interest") and np.isnan(named.dollars):
            raise ValueError("counts contracts, and its name does not say how large one is (BTCUSD_PERP does)")
        done = vision.read_archive(path, named, inverse)
        if done.columns is None:
            raise ValueError(done.problem)
    columns = done.columns
    if inverse and base == "trades":
        usd = columns["size"] * named.dollars
        columns = {**columns, "size": usd / columns["price"], "usd": usd}
    return Found("binance", market, named.kind, table_of(base, columns, "binance", market), *done[1:])


def _filled(path: Path, kind: str | None, symbol: str | None) -> list[Found]:
    """What a node of Hyperliquid wrote of one perpetual: its trades and its liquidations."""
    with naming(str(path)):
        if kind not in (None, *fills.KINDS):
            raise ValueError(f"kind: found {kind!r}, allowed {', '.join(fills.KINDS)}")
        said = market_of(symbol or "")
        if not said.coin or said.kind not in ("", "linear", "derivative") or said.quote not in ("", "USD", "USDC"):
            raise ValueError(f"symbol: found {symbol!r}, allowed one perpetual of Hyperliquid's, such as BTC/USDC:USDC")
        held = fills.read(path, said.coin)
        if kind == "liquidations" and held.liquidations is None:
            raise ValueError("kind: found 'liquidations', allowed trades: node_trades do not tell who was liquidated")
        market = f"{said.coin}/USDC:USDC"
        span = Span(held.since, held.until, "none")
        found = []
        for what, columns in (("trades", held.trades), ("liquidations", held.liquidations)):
            if columns is None or kind not in (None, what):
                continue
            rows = table_of(what, checked(what, columns), "hyperliquid", market)
            if "received" in columns:
                rows = rows.append_column("received", pa.array(columns["received"], pa.int64()))
            remark = held.remark if what == "trades" else ""
            found.append(Found("hyperliquid", market, what, rows, [span], held.problem, remark, fills.NEAR_MS))
    return found


def _dumped(path: Path, kind: str | None, symbol: str) -> Found:
    """A dump of Kraken's trades: no row says who bought, so that they are no trades here but candles."""
    with naming(str(path)):
        if not symbol:
            raise ValueError(_NO_MARKET)
        kind = "candles-1m" if kind in (None, "candles") else kind
        if not kind.startswith("candles-"):
            raise ValueError(
                f"kind: found {kind!r}, allowed candles-1m and others: no row says who bought, and who sold"
            )
        market = _symbol(symbol, "spot")
        columns = checked("candles", kraken.read_trades(path, kind))
        span = Span(int(columns["time"][0]), int(columns["time"][-1]) + vision.step_of(kind), "none")
        remark = f"its trades have no side: kept as {kind}, of which nothing tells how much was bought"
        return Found("kraken", market, kind, table_of("candles", columns, "kraken", market), [span], remark=remark)


def _said(path: Path) -> Said:
    if found := _TARDIS.fullmatch(path.name):
        kind = _TARDIS_KINDS.get(found["kind"])
        if not kind:
            raise ValueError(f"{path}: of tardis trades and liquidations are kept, found {found['kind']}")
        return Said(found["venue"], found["symbol"], kind, _TARDIS_TYPES.get(found["venue"], ""), found["day"])
    if found := _FREQTRADE.fullmatch(path.name):
        of_swaps = path.parent.name == "futures"
        kinds = {None: "candles", "futures": "candles", "spot": "candles", "funding_rate": "funding"}
        kind = kinds.get(found["type"]) if found["timeframe"] else "trades"
        if kind is None:
            raise ValueError(f"{path}: of freqtrade candles, trades and funding rates are kept, found {found['type']}")
        venue = path.parents[1].name if of_swaps else path.parent.name
        kind = f"candles-{found['timeframe']}" if kind == "candles" else kind
        return Said(venue, found["symbol"].replace("_", "-"), kind, "derivative" if of_swaps else "spot")
    symbol, minutes = kraken.named(path)
    if symbol and kraken.is_folder(path):
        timeframe = vision.NAMES.get(minutes * 60_000)
        return Said("kraken", symbol, f"candles-{timeframe}" if timeframe else "", "spot")
    return Said(kind="liquidations" if "liquidation" in path.name.lower() else "")


def _only(table: pa.Table, names: tuple[str, ...]) -> str:
    """The one value of a column that has one of these names; "" without such a column."""
    for name in table.column_names:
        if normal_name(name) in names and table.num_rows:
            values = different_values(table[name])
            if len(values) > 1:
                raise ValueError(f"column {name!r} holds several ({values[0]}, {values[1]}): write one file for each")
            return str(values[0])
    return ""


def _symbol(name: str, kind: str) -> str:
    """ccxt's name of a market. Raises ValueError where its name does not say which of several it is."""
    if "/" in name:
        return name
    said = market_of(name)
    kind = said.kind or kind
    quote = said.quote or ("USD" if kind == "derivative" else "")
    if not quote or kind in ("", "option"):
        other = quote or "USDT"
        raise ValueError(
            f"symbol: {name!r} does not say which market it is: say "
            f"symbol='{said.coin}/{other}' (spot) or '{said.coin}/{other}:{other}' (perpetual)"
        )
    if kind == "derivative":
        kind = "inverse" if quote == "USD" else "linear"
    settled = {"spot": "", "linear": f":{quote}", "inverse": f":{said.coin}"}[kind]
    return f"{said.coin}/{quote}{settled}"


def _kind_of(table: pa.Table) -> str:
    names = {normal_name(name) for name in table.column_names}
    if {"open", "high", "low", "close"} <= names:
        return "candles"
    if names & {*TRADE_NAMES["price"]} and names & {*TRADE_NAMES["size"]}:
        return "trades"
    for kind, field in (("funding", "funding_rate"), ("open_interest", "open_interest")):
        if names & {*RATE_NAMES[field]}:
            return kind
    raise ValueError(f"nothing says which kind it holds: found columns {', '.join(table.column_names)}; say kind")


def _check_day(time: np.ndarray, begin: int, day: str) -> None:
    wrong = (time < begin) | (time >= begin + DAY_MS)
    if wrong.any():
        row = int(wrong.argmax())
        raise ValueError(f"row {row}: found a time of {pd.Timestamp(int(time[row]), unit='ms')}, allowed within {day}")


# A kind each ----------------------------------------------------------------------------------------------------------


class Read(NamedTuple):
    """The rows of a table."""

    columns: dict[str, Any]
    spans: list[Span]
    kind: str  # in full
    problem: str = ""


def _trades(table: pa.Table, kind: str, venue: str) -> Read:
    said = read_trades(table, venue=venue)
    if said.others:
        raise ValueError(f"holds {said.others} rows that say they are no trades: take them out first")
    rows = np.concatenate([part.trades for part in said.parts])
    side = np.where(rows["side"] > 0, "buy", "sell")
    names = find_names(table.column_names, TRADE_NAMES, venue_of(venue).venue)
    columns = {"time": rows["time"], "price": rows["price"], "size": rows["size"], "side": side}
    columns["id"] = table[names["id"]].cast(pa.string()).combine_chunks() if "id" in names else _ids(columns)
    return Read(columns, _around(rows["time"]), kind)


def _ids(columns: dict[str, Any]) -> pa.Array:
    """What tells trades without an id from all others, the same in every file that holds them."""
    seen: Counter[tuple[Any, ...]] = Counter()
    ids = []
    for what in zip(*(columns[name].tolist() for name in ("time", "side", "size", "price")), strict=True):
        seen[what] += 1
        ids.append("{} {} {!r} at {!r}, {}".format(*what, seen[what]))
    return pa.array(ids)


def _candles(table: pa.Table, kind: str, venue: str) -> Read:
    bars = bars_from_frame(table)
    time = bars["time"]
    step = vision.step_of(kind) if "-" in kind else (step_ms(time) or DAY_MS)
    if "-" not in kind:
        if (name := vision.NAMES.get(step)) is None or len(time) < 2:
            raise ValueError(f"candles of {step} ms are of no timeframe: allowed {', '.join(vision.NAMES.values())}")
        kind = f"candles-{name}"
    astray, problem = time % step != 0, ""
    if astray.any():
        row = int(astray.argmax())
        problem = f"row {row}: found a candle of {moment(time[row])}, allowed the opening of one of {kind[8:]}"
        if 2 * np.count_nonzero(astray) > len(time):
            raise ValueError(problem)
        problem += f"; {np.count_nonzero(astray):,} such rows are left out"
        bars, time = bars[~astray], time[~astray]
    spans = vision.runs(time, step)
    if venue_of(venue).name in _SPARSE:
        spans = [Span(spans[0].since, spans[-1].until, "none")]
    return Read({name: bars[name].copy() for name in COLUMNS["candles"]}, spans, kind, problem)


def _funding(table: pa.Table, kind: str, venue: str) -> Read:
    if "funding_rate" not in table.column_names and "open" in table.column_names:  # freqtrade before 2026
        table = pa.table({"time": table["date"], "funding_rate": table["open"]})
    return _rates(table, kind, venue)


def _rates(table: pa.Table, kind: str, venue: str) -> Read:
    field = "funding_rate" if kind == "funding" else kind
    said = read_rates(table)
    if field not in said.series:
        raise ValueError(f"no column of {field}: found {', '.join(table.column_names)}")
    time, values = said.series[field]
    columns = {"time": time, field: values}
    if kind == "funding" and said.hours_told:
        columns["interval_hours"] = np.full(len(time), float(UNIT_HOURS))
    return Read(columns, _around(time), kind)


def _liquidations(table: pa.Table, kind: str, venue: str) -> Read:
    events = read_liquidations(table, None, lambda name: 0, venue).events
    side = np.where(events["side"] == LONG, "long", "short")
    columns = {"time": events["time"], "price": events["price"], "size": events["usd"] / events["price"]}
    return Read({**columns, "side": side, "usd": events["usd"]}, _around(events["time"]), kind)


def _around(time: np.ndarray) -> list[Span]:
    return [Span(int(time.min()), int(time.max()) + 1, "none")] if len(time) else []


_READERS: dict[str, Callable[[pa.Table, str, str], Read]] = {
    "candles": _candles,
    "trades": _trades,
    "funding": _funding,
    "open_interest": _rates,
    "liquidations": _liquidations,
}
