"""Files of Binance Vision, with or without a header, in ms or us, whole or not: read, and nothing of them trusted."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
import zlib
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from liquidator_core.timeframes import BAR_LENGTHS, timeframe_ms

from ..market.messages import first_line, moment
from ..market.names import KLINE_COLUMNS
from .layout import Span, begin_of, end_of

#: The timeframe of each length in ms.
NAMES = {timeframe_ms(name): name for name in BAR_LENGTHS}

_NAME = re.compile(r"(?P<symbol>[A-Z0-9_]+)-(?P<what>[A-Za-z0-9]+)-(?P<span>\d{4}-\d\d(-\d\d)?)\.(zip|csv)")
_FOLDERS = {"um": "linear", "cm": "inverse", "spot": "spot"}
_KINDS = {"aggTrades": "trades", "trades": "trades-single", "metrics": "open_interest", "fundingRate": "funding"}
_COLUMNS = {
    "trades": ("id", "price", "quantity", "first", "last", "time", "maker", "best"),
    "trades-single": ("id", "price", "quantity", "quote", "time", "maker", "best"),
    "candles": KLINE_COLUMNS,
    "open_interest": ("create_time", "symbol", "sum_open_interest", "sum_open_interest_value"),
    "funding": ("time", "hours", "funding_rate"),
}
_COIN_MARGINED = re.compile(r"([A-Z0-9]+)USD_")
_DOLLARS, _OTHERS_DOLLARS = {"BTC": 100.0}, 10.0  # that a coin-margined contract is worth
_READING = 300_000
_LARGEST, _MOST_PACKED = 1 << 33, 200  # bytes of a member, and how many times what they are packed into
_ALWAYS = 1 << 22  # bytes that any member may have
_CHUNK = 1 << 20  # bytes that are unpacked at once
_MICROSECONDS = begin_of("2025-01-01")  # from which on spot files count them


class Named(NamedTuple):
    """What a file's name and folder say."""

    symbol: str
    market: str  # linear, inverse, spot or "": unsaid
    kind: str  # trades (aggregated), trades-single, candles-1m, open_interest, funding
    since: int
    until: int
    dollars: float = float("nan")  # of a coin-margined contract


class Archive(NamedTuple):
    """What a file holds."""

    columns: dict[str, Any] | None  # of its kind; None: nothing of it can be trusted
    spans: list[Span]
    problem: str  # what is wrong with it


class Untrusted(ValueError):  # noqa: N818
    """Nothing of a file can be trusted."""


def named(path: Path) -> Named | None:
    """What the name of a file says; None if it is none of Binance Vision's. Raises ValueError for a kind not kept."""
    found = _NAME.fullmatch(path.name)
    if found is None:
        return None
    what = found["what"]
    kind = f"candles-{what}" if what in BAR_LENGTHS else _KINDS.get(what)
    if kind is None:
        raise ValueError(f"{path}: found {what}, allowed klines, {', '.join(_KINDS)}")
    market = next((_FOLDERS[part] for part in reversed(path.parts) if part in _FOLDERS), "")
    coin = _COIN_MARGINED.match(found["symbol"])
    dollars = _DOLLARS.get(coin[1], _OTHERS_DOLLARS) if coin else float("nan")
    return Named(found["symbol"], market, kind, begin_of(found["span"]), end_of(found["span"]), dollars)


def read_archive(path: Path, said: Named, inverse: bool) -> Archive:
    """The rows of a zip or csv, all checked; where ``path``.CHECKSUM lies beside it the bytes, too.

    inverse   of a coin-margined market, whose klines and readings count contracts beside coins; its trades count
              contracts, and so do the sizes here

    Nothing is taken of a file whose checksum, archive, times, units or values are wrong; of one with a hole or repeats
    the rest is. Cost: that of reading it; a member is never unpacked beyond what its kind can hold.
    """
    try:
        table = _parse(_text(path), said.kind if said.kind in _COLUMNS else said.kind.partition("-")[0])
        time = _times(table, said)
        columns, spans, problem = _READERS[said.kind.partition("-")[0]](table, time, said, inverse)
    except Untrusted as error:
        return Archive(None, [], str(error))
    return Archive(columns, spans, problem)


def _text(path: Path) -> bytes:
    data = path.read_bytes()
    check = path.with_name(f"{path.name}.CHECKSUM")
    if check.exists():
        wanted = check.read_text(encoding="utf-8", errors="replace").split()[:1]
        if wanted != [hashlib.sha256(data).hexdigest()]:
            raise Untrusted("its SHA-256 is not that of its CHECKSUM")
    return data if path.suffix == ".csv" else unzipped(data, f"{path.stem}.csv")


def unzipped(data: bytes, name: str) -> bytes:
    """The one member of a zip, of this name. Raises Untrusted for any other archive, and for a bomb."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if [member.filename for member in members] != [name]:
                held = ", ".join(repr(member.filename) for member in members[:3]) or "nothing"
                raise Untrusted(f"holds {held}, allowed {name} alone")
            member = members[0]
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise Untrusted(f"is packed by method {member.compress_type}, allowed stored and deflated")
            check_size(member.file_size, member.compress_size)
            with archive.open(member) as file:  # which ends at the size that is declared, and then checks its CRC
                return b"".join(iter(lambda: file.read(_CHUNK), b""))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        if isinstance(error, Untrusted):
            raise
        raise Untrusted(f"is no whole archive: {first_line(error)}") from None


def check_size(size: int, packed: int) -> None:
    """Raise Untrusted for so many bytes from so few, which no market data are."""
    if size > _LARGEST or size > max(_ALWAYS, _MOST_PACKED * max(1, packed)):
        raise Untrusted(f"unpacks to {size:,} bytes from {packed:,}: a bomb")


def _parse(text: bytes, kind: str) -> pa.Table:
    head = text[:4096].split(b"\n", 1)[0].strip().split(b",")
    if not text.strip():
        raise Untrusted("holds no rows")
    names = [*_COLUMNS[kind], *(f"more{place}" for place in range(len(head)))][: len(head)]
    has_header = not re.match(rb'"?\d', head[0])
    options = pa_csv.ReadOptions(column_names=names, skip_rows=int(has_header))
    strings = {"create_time": pa.string(), "symbol": pa.string(), "maker": pa.string()}
    numbers = {"price", "quantity", "open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"}
    numbers |= {"taker_buy_quote_volume", "sum_open_interest", "sum_open_interest_value", "funding_rate", "hours"}
    whole = {"id", "time", "open_time", "close_time"}
    types = strings | dict.fromkeys(numbers, pa.float64()) | dict.fromkeys(whole, pa.int64())
    wanted = [name for name in names if name in types]
    missing = {"trades": 7, "trades-single": 6, "candles": 11, "open_interest": 4, "funding": 3}[kind]
    if len(head) < missing:
        raise Untrusted(f"has {len(head)} columns, allowed {missing} or more")
    convert = pa_csv.ConvertOptions(column_types=types, include_columns=wanted)
    try:
        table = pa_csv.read_csv(pa.BufferReader(text), options, convert_options=convert)
    except pa.ArrowException as error:
        raise Untrusted(f"cannot be read: {first_line(error)}") from None
    if table.num_rows == 0:
        raise Untrusted("holds no rows")
    if empty := next((name for name in wanted if table[name].null_count), None):
        raise Untrusted(f"row {table[empty].is_null().index(True).as_py()}: no {empty}")
    return table


def _times(table: pa.Table, said: Named) -> np.ndarray:
    """(n,) ms, each within the span of the file's name. Raises for another unit than the one that is due then."""
    name = next(name for name in ("time", "open_time", "create_time") if name in table.column_names)
    time: np.ndarray
    if name == "create_time":
        try:
            time = table[name].cast(pa.timestamp("ms")).cast(pa.int64()).to_numpy()
        except pa.ArrowException as error:
            raise Untrusted(f"cannot be read: {first_line(error)}") from None
    else:
        raw = table[name].to_numpy()
        time = raw // 1000 if said.market in ("spot", "") and raw[0] >= 10**14 and said.since >= _MICROSECONDS else raw
    end = said.until + (said.kind == "open_interest")  # whose last reading stands at the end of the day
    wrong = np.flatnonzero((time < said.since) | (time >= end))
    if len(wrong):
        unit = "ms" if said.market not in ("spot", "") or said.since < _MICROSECONDS else "us"
        raise Untrusted(
            f"row {int(wrong[0])}: found a time of {int(time[wrong[0]])}, allowed {moment(said.since)} to "
            f"{moment(said.until)} in {unit} ({len(wrong):,} rows are wrong)"
        )
    return time


def check_rows(ok: np.ndarray, what: str, allowed: str, first: int = 0) -> None:
    """Untrusted, naming the first row, where not all of (n,) bool are true; ``first`` is the file's row of ok[0]."""
    if not ok.all():
        raise Untrusted(
            f"row {first + int(ok.argmin())}: {what} is none, allowed {allowed} ({int((~ok).sum()):,} rows are wrong)"
        )


def positive(table: pa.Table, *names: str, first: int = 0) -> list[np.ndarray]:
    """Columns of a table, each (n,); Untrusted where a value is not finite and above 0."""
    columns = [table[name].to_numpy() for name in names]
    for name, values in zip(names, columns, strict=True):
        check_rows((values > 0.0) & (values < np.inf), name, "a finite number above 0", first)
    return columns


def amounts(table: pa.Table, *names: str, first: int = 0) -> list[np.ndarray]:
    columns = [table[name].to_numpy() for name in names]
    for name, values in zip(names, columns, strict=True):
        check_rows((values >= 0.0) & (values < np.inf), name, "a finite number not below 0", first)
    return columns


Read = tuple[dict[str, Any], list[Span], str]


def _trades(table: pa.Table, time: np.ndarray, said: Named, inverse: bool) -> Read:
    price, size = positive(table, "price", "quantity")
    ids = table["id"].to_numpy()
    maker = pc.utf8_lower(table["maker"])
    known = pc.is_in(maker, pa.array(["true", "false", "1", "0"])).to_numpy()
    check_rows(known, "is_buyer_maker", "true or false")
    sold = pc.is_in(maker, pa.array(["true", "1"])).to_numpy()
    order = np.argsort(ids, kind="stable")
    problems = [] if (np.diff(order) > 0).all() else ["its ids are not in order"]
    again = np.zeros(len(ids), bool)
    again[order[1:]] = ids[order[1:]] == ids[order[:-1]]
    if again.any():
        same = all((values[order[1:]] == values[order[:-1]])[again[order[1:]]].all() for values in (time, price, size))
        if not same:
            raise Untrusted(f"{int(again.sum()):,} ids repeat with another trade, the first {int(ids[again][0])}")
        problems.append(f"{int(again.sum()):,} ids repeat")
    rows = order[~again[order]]
    ids, time = ids[rows], time[rows]
    if (np.diff(time) < 0).any():
        raise Untrusted(f"row {int((np.diff(time) < 0).argmax()) + 1}: time goes back while ids go on")
    jumps = np.flatnonzero(np.diff(ids) != 1)
    if len(jumps):
        missing = int((np.diff(ids)[jumps] - 1).sum())
        problems.append(f"{missing:,} trades are missing, the first after id {int(ids[jumps[0]])}")
    first, last = int(time[0]), int(time[-1])  # before and behind which the ids of neighbours prove, or do not
    parts = [(said.since, first, "none"), (first, last, "ids"), (last, said.until, "none")]
    spans = [Span(*part) for part in parts if part[0] < part[1]]
    columns = {"time": time, "price": price[rows], "size": size[rows], "id": ids}
    side = np.where(sold[rows], "sell", "buy")
    return {**columns, "side": side}, spans, "; ".join(problems)


def _candles(table: pa.Table, time: np.ndarray, said: Named, inverse: bool) -> Read:
    step = step_of(said.kind)
    check_rows(time % step == 0, "open_time", f"a multiple of {step} ms")
    opened, high, low, close = positive(table, "open", "high", "low", "close")
    check_rows(
        (low <= np.minimum(opened, close)) & (high >= np.maximum(opened, close)), "high or low", "around the others"
    )
    names = ("quote_volume", "taker_buy_quote_volume") if inverse else ("volume", "taker_buy_volume")
    volume, taker_buy = amounts(table, *names)
    check_rows(taker_buy <= volume * (1.0 + 1e-9), "taker_buy_volume", "at most the volume")
    problems = []
    time, rows = np.unique(time, return_index=True)
    if len(rows) < len(opened):
        problems.append(f"{len(opened) - len(rows):,} candles repeat")
    elif (np.diff(rows) < 0).any():
        problems.append("its candles are not in order")
    columns = {"time": time, "open": opened[rows], "high": high[rows], "low": low[rows], "close": close[rows]}
    columns |= {"volume": volume[rows], "taker_buy": taker_buy[rows]}
    expected = (said.until - said.since) // step
    if len(time) < expected:
        problems.append(f"{expected - len(time):,} candles are missing")
    return columns, runs(time, step), "; ".join(problems)


def _open_interest(table: pa.Table, time: np.ndarray, said: Named, inverse: bool) -> Read:
    amount, value = amounts(table, "sum_open_interest", "sum_open_interest_value")
    coins, usd = (value, amount * said.dollars) if inverse else (amount, value)
    time, rows = np.unique(time, return_index=True)
    problems = [f"{len(amount) - len(rows):,} readings repeat"] if len(rows) < len(amount) else []
    expected = (said.until - said.since) // _READING
    if len(time) < expected:
        problems.append(f"{expected - len(time):,} readings are missing")
    spans = [Span(*span[:2], "none") for span in runs(time, _READING)]
    return {"time": time, "open_interest": coins[rows], "usd": usd[rows]}, spans, "; ".join(problems)


def _funding(table: pa.Table, time: np.ndarray, said: Named, inverse: bool) -> Read:
    rate = table["funding_rate"].to_numpy()
    check_rows(np.abs(rate) < 1.0, "last_funding_rate", "a share between -1 and 1")
    time, rows = np.unique(time, return_index=True)
    problem = f"{len(rate) - len(rows):,} rates repeat" if len(rows) < len(rate) else ""
    hours = table["hours"].to_numpy()
    check_rows((hours > 0.0) & (hours <= 24.0), "funding_interval_hours", "hours above 0, a day at most")
    columns = {"time": time, "funding_rate": rate[rows], "interval_hours": hours[rows]}
    return columns, [Span(said.since, said.until, "none")], problem


_READERS = {"trades": _trades, "candles": _candles, "open_interest": _open_interest, "funding": _funding}


def step_of(kind: str) -> int:
    """The length in ms of a kind's candles: ``candles-1m``."""
    return timeframe_ms(kind.partition("-")[2])


def runs(time: np.ndarray, step: int) -> list[Span]:
    """The spans of candles that follow each other, (n,) rising opens in ms."""
    if len(time) == 0:
        return []
    breaks = np.flatnonzero(np.diff(time) != step)
    firsts, lasts = time[np.r_[0, breaks + 1]], time[np.r_[breaks, len(time) - 1]]
    return [Span(int(first), int(last) + step, "count") for first, last in zip(firsts, lasts, strict=True)]
