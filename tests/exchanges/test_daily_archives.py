"""Archives of trades by day on loopback: Bybit's csv.gz and OKX's days of UTC+8, whole and with planted defects."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from venue_server import serving
from venue_tape import HOUR, Tape, make
from venue_wire import OKX_CONTRACT, uuid
from vision_files import DAY, START

from liquidator_integrations.exchanges import fetch
from liquidator_integrations.store import Store
from liquidator_integrations.store.layout import day_name

BYBIT = "timestamp,symbol,side,size,price,tickDirection,trdMatchID,grossValue,homeNotional,foreignNotional"
OKX = "instrument_name,trade_id/\u53f7,side/\u65b9\u5411,size/\u6570\u91cf,price/\u4ef7\u683c,created_time/\u65f6\u95f4"


@pytest.fixture(scope="module")
def served():
    with serving(make(1500, hours=72, start=START, hole=False)) as made:
        made.now = START + 4 * DAY
        yield made


@pytest.fixture(autouse=True)
def fresh(served):
    served.files = {}
    served.log.clear()


def rows_of(tape: Tape, since: int, until: int) -> Any:
    rows = tape.between(since, until)
    return (
        (row, int(tape.time[row]), float(tape.price[row]), float(tape.size[row]), bool(tape.sell[row])) for row in rows
    )


def bybit_lines(tape: Tape, since: int, market: str) -> list[str]:
    """Of inverse markets a contract is a dollar."""
    inverse = market.endswith("USD")
    lines = []
    for row, time, price, size, sell in rows_of(tape, since, since + DAY):
        amount = round(size * price) if inverse else size
        side = "Sell" if sell else "Buy"
        lines.append(f"{time / 1000:.4f},{market},{side},{amount},{price},PlusTick,{uuid(int(tape.id[row]))},1,1,1")
    return lines


def bybit_spot_lines(tape: Tape, since: int) -> list[str]:
    rows = enumerate(rows_of(tape, since, since + DAY), 1)
    return [f"{n},{time},{price},{size},{'sell' if sell else 'buy'},0" for n, (_, time, price, size, sell) in rows]


def packed(head: str, lines: list[str]) -> bytes:
    return gzip.compress("\n".join([head, *lines]).encode())


def put_bybit(server: Any, market: str = "BTCUSDT", change: Any = None, data: Any = None) -> None:
    for day in range(3):
        since = START + day * DAY
        lines = bybit_lines(server.tape, since, market)
        lines = change(lines) if change and day == 1 else lines
        body = packed(BYBIT, lines)
        server.files[f"trading/{market}/{market}{day_name(since)}.csv.gz"] = data(body) if data and day == 1 else body


def get(server: Any, venue: str, **more: Any) -> Any:
    span = {"since": START, "until": START + 3 * DAY, "archive": True, **more}
    return fetch("BTC", server.instance(venue), ("trades",), **span)


def test_bybit(served, tmp_path):
    put_bybit(served, change=lambda lines: lines[::-1])  # as files once were
    history = get(served, "bybit", store=tmp_path / "s")
    table, tape = history.tables["trades"], served.tape
    assert np.array_equal(table["time"].to_numpy(), tape.time)
    assert sorted(table["id"].to_pylist()) == sorted(uuid(int(one)) for one in tape.id)
    assert np.isclose(table["size"].to_numpy().sum(), tape.size.sum())
    assert history.coverage["status"].tolist() == ["unproven"] * 3
    assert len(history.gaps) == len(history.defects) == 0
    assert not served.asked("recent-trade")
    assert len(Store(tmp_path / "s").check()) == 0


def test_bybit_inverse_counts_dollars(served):
    put_bybit(served, "BTCUSD")
    table, tape = get(served, "bybit", market="inverse").tables["trades"], served.tape
    assert table["usd"].to_pylist() == [
        float(round(size * price)) for size, price in zip(tape.size, tape.price, strict=True)
    ]
    assert np.allclose(table["size"].to_numpy() * table["price"].to_numpy(), table["usd"].to_numpy())


def test_bybit_spot(served):
    for day in range(3):
        since = START + day * DAY
        body = packed("id,timestamp,price,volume,side,rpi", bybit_spot_lines(served.tape, since))
        served.files[f"spot/BTCUSDT/BTCUSDT_{day_name(since)}.csv.gz"] = body
    table = get(served, "bybit", market="spot").tables["trades"]
    assert table["size"].to_pylist() == served.tape.size.tolist()
    assert (np.array(table["side"].to_pylist()) == "sell").tolist() == served.tape.sell.tolist()


def _cell(lines: list[str], row: int, place: int, value: str) -> list[str]:
    cells = lines[row].split(",")
    return [*lines[:row], ",".join([*cells[:place], value, *cells[place + 1 :]]), *lines[row + 1 :]]


DEFECTS: dict[str, tuple[str, Any, Any]] = {
    "cut": ("is no whole archive", None, lambda data: data[: len(data) // 2]),
    "no gzip": ("is no whole archive", None, lambda data: b"<html>not today</html>"),
    "bomb": ("a bomb", None, lambda data: gzip.compress(b"1" * 60_000_000)),
    "negative price": ("price is none", lambda lines: _cell(lines, 5, 4, "-1"), None),
    "repeated ids": ("1 ids repeat", lambda lines: [*lines, lines[-1]], None),
    "another market": ("symbol is none, allowed BTCUSDT", lambda lines: _cell(lines, 5, 1, "ETHUSDT"), None),
    "another day": ("found a time of", lambda lines: _cell(lines, 0, 0, f"{START / 1000:.3f}"), None),
    "milliseconds": ("found a time of", lambda lines: [line.replace(".", "", 1) for line in lines], None),
    "a side that is none": ("side is none", lambda lines: _cell(lines, 5, 2, "Up"), None),
    "empty": ("holds no rows", lambda lines: [], None),
    "time goes back": ("time goes back", lambda lines: [lines[1], lines[-2], *lines[2:-2], lines[-1]], None),
    "no number": ("cannot be read", lambda lines: _cell(lines, 5, 3, "x"), None),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_no_defect_goes_unreported(served, tmp_path, name):
    said, change, data = DEFECTS[name]
    put_bybit(served, change=change, data=data)
    history = get(served, "bybit", store=tmp_path / "s")
    (row,) = history.defects.itertuples()
    assert row.file == "trading/BTCUSDT/BTCUSDT2025-06-03.csv.gz"
    assert said in row.problem
    assert Path(row.kept).exists()
    ids = sorted(history.tables["trades"]["id"].to_pylist())
    assert ids == sorted(uuid(int(one)) for one in served.tape.id)  # REST's newest trades reach that far here


def okx_file(tape: Tape, day: int, change: Any = None) -> tuple[str, bytes]:
    """A day of UTC+8, as old files are: names of two languages, in GBK."""
    begin = START + day * DAY - 8 * HOUR
    rows = rows_of(tape, begin, begin + DAY)
    lines = [
        f"BTC-USDT-SWAP,{tape.id[row]},{'SELL' if sell else 'BUY'},{size / OKX_CONTRACT:.1f},{price},{time}"
        for row, time, price, size, sell in rows
    ]
    name = day_name(START + day * DAY)
    stem = f"BTC-USDT-SWAP-trades-{name}"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"{stem}.csv", "\n".join([OKX, *(change(lines) if change else lines)]).encode("gbk"))
    return f"trades/daily/{name.replace('-', '')}/{stem}.zip", out.getvalue()


def test_okx_by_days_of_utc_plus_8(served):
    served.files = dict(okx_file(served.tape, day) for day in range(4))
    history = get(served, "okx")
    table, tape = history.tables["trades"], served.tape
    assert table["id"].to_pylist() == [str(one) for one in tape.id]
    assert np.allclose(table["size"].to_numpy(), tape.size)
    assert len(history.defects) == 0
    assert not served.asked("history-trades")


def test_okx_with_both_sides_of_a_trade_comes_by_rest(served, tmp_path):
    twice = lambda lines: [one for line in lines for one in (line, line.replace("SELL", "BUY"))]  # noqa: E731
    served.files = dict(okx_file(served.tape, day, twice if day == 1 else None) for day in range(4))
    history = get(served, "okx", store=tmp_path / "s")
    assert "ids repeat" in history.defects["problem"][0]
    assert history.tables["trades"]["id"].to_pylist() == [str(one) for one in served.tape.id]
    assert served.asked("history-trades")
