"""Files as Binance Vision publishes them, of a tape, and the same with planted defects."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from venue_tape import Tape, make

DAY = 24 * 3_600_000
START = 1_748_822_400_000  # 2025-06-02
HEAD = {
    "aggTrades": "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker",
    "1m": "open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,"
    "taker_buy_quote_volume,ignore",
    "metrics": "create_time,symbol,sum_open_interest,sum_open_interest_value,count_toptrader_long_short_ratio,"
    "sum_toptrader_long_short_ratio,count_long_short_ratio,sum_taker_long_short_vol_ratio",
    "fundingRate": "calc_time,funding_interval_hours,last_funding_rate",
}


def day_of(seed: int = 7, days: int = 1, trades: int = 3000) -> Tape:
    return make(trades, hours=24 * days, seed=seed, start=START, hole=False)


def agg_lines(tape: Tape, unit: int = 1) -> list[str]:
    rows = zip(tape.id.tolist(), tape.price.tolist(), tape.size.tolist(), tape.time.tolist(), tape.sell, strict=True)
    return [
        f"{id_},{price},{size},{id_},{id_},{time * unit},{str(bool(sell)).lower()}"
        for id_, price, size, time, sell in rows
    ]


def kline_lines(tape: Tape, since: int = START, unit: int = 1, step: int = 60_000) -> list[str]:
    lines = []
    for time, (opened, high, low, close, volume, buy, count) in tape.candles(since, since + DAY, step, flat=True):
        end = (time + step) * unit - 1
        lines.append(
            f"{time * unit},{opened},{high},{low},{close},{volume:.3f},{end},{volume * close:.3f},{count},"
            f"{buy:.3f},{buy * close:.3f},0"
        )
    return lines


def metric_lines(times: list[int] | None = None, prices: list[float] | None = None) -> list[str]:
    times = [START + n * 300_000 for n in range(1, 289)] if times is None else times
    prices = [60_000.0] * len(times) if prices is None else prices
    texts = np.datetime_as_string(np.array(times, "M8[ms]"), unit="s").tolist()
    rows = enumerate(zip(texts, prices, strict=True))
    return [
        f"{text.replace('T', ' ')},BTCUSDT,{80_000 + n},{(80_000 + n) * price},1,1,1,1" for n, (text, price) in rows
    ]


def zipped(stem: str, lines: list[str], head: str | None, member: str | None = None) -> bytes:
    text = "\n".join(([head] if head else []) + lines) + "\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member or f"{stem}.csv", text)
    return out.getvalue()


def checksum(data: bytes, name: str) -> bytes:
    return f"{hashlib.sha256(data).hexdigest()}  {name}\n".encode()


@dataclass
class Defect:
    """What is done to a day's file: its lines, then its bytes."""

    said: str  # what must be said of it
    lines: Callable[[list[str]], list[str]] = field(default=lambda lines: lines)
    data: Callable[[bytes], bytes] = field(default=lambda data: data)
    head: bool = True
    member: str | None = None
    check: Callable[[bytes], bytes] = field(default=lambda check: check)
    kept: bool = False  # whether what is right of it is kept


def _with(lines: list[str], row: int, column: int, value: Callable[[str], str]) -> list[str]:
    cells = lines[row].split(",")
    cells[column] = value(cells[column])
    return [*lines[:row], ",".join(cells), *lines[row + 1 :]]


def _shifted(lines: list[str], by: int) -> list[str]:
    return [
        ",".join([*cells[:5], str(int(cells[5]) + by), *cells[6:]]) for cells in (line.split(",") for line in lines)
    ]


def _scaled(lines: list[str], unit: float) -> list[str]:
    return [",".join([*c[:5], str(int(int(c[5]) * unit)), *c[6:]]) for c in (line.split(",") for line in lines)]


def bomb() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("BTCUSDT-aggTrades-2025-06-02.csv", b"1" * 50_000_000)
    return out.getvalue()


#: Of a day of aggTrades.
AGG_DEFECTS = {
    "hole": Defect("100 trades are missing", lambda lines: lines[:500] + lines[600:], kept=True),
    "repeated ids": Defect("10 ids repeat", lambda lines: lines[:50] + lines[40:], kept=True),
    "an id of two trades": Defect(
        "ids repeat with another trade", lambda lines: [*lines, _with(lines, 9, 1, lambda _: "1")[9]]
    ),
    "microseconds": Defect("allowed 2025-06-02", lambda lines: _scaled(lines, 1000)),
    "seconds": Defect("allowed 2025-06-02", lambda lines: _scaled(lines, 0.001)),
    "cut zip": Defect("is no whole archive", data=lambda data: data[: len(data) // 2]),
    "broken zip": Defect("is no whole archive", data=lambda data: data[:200] + b"\0\0\0\0" + data[204:]),
    "wrong checksum": Defect("its SHA-256 is not that of its CHECKSUM", check=lambda check: b"0" * 64 + check[64:]),
    "negative price": Defect("price is none", lambda lines: _with(lines, 7, 1, lambda cell: f"-{cell}")),
    "zero size": Defect("quantity is none", lambda lines: _with(lines, 7, 2, lambda _: "0")),
    "no number": Defect("cannot be read", lambda lines: _with(lines, 7, 2, lambda _: "x")),
    "no maker": Defect("is_buyer_maker is none", lambda lines: _with(lines, 7, 6, lambda _: "maybe")),
    "stamps an hour ahead": Defect("allowed 2025-06-02", lambda lines: _shifted(lines, 3_600_000)),
    "time goes back": Defect("time goes back", lambda lines: _with(lines, 700, 5, lambda cell: str(int(cell) - 10**7))),
    "zip bomb": Defect("a bomb", data=lambda data: bomb()),
    "member ../x": Defect("holds '../x'", member="../x"),
    "empty": Defect("holds no rows", lambda lines: []),
    "cut line": Defect("cannot be read", lambda lines: [*lines[:-1], lines[-1][:20]]),
}


def agg_file(
    defect: Defect | None = None, tape: Tape | None = None, stem: str = "BTCUSDT-aggTrades-2025-06-02"
) -> tuple[bytes, bytes]:
    """(the zip, its CHECKSUM)."""
    defect = defect or Defect("")
    lines = defect.lines(agg_lines(tape or day_of()))
    data = defect.data(zipped(stem, lines, HEAD["aggTrades"] if defect.head else None, defect.member))
    return data, defect.check(checksum(data, f"{stem}.zip"))


def write(folder: Path, name: str, data: bytes, check: bytes | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    if check is not None:
        (folder / f"{name}.CHECKSUM").write_bytes(check)
    return path
