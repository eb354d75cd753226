"""Files of Hyperliquid's nodes: two fills are one trade, who was liquidated is told once, and nothing is lost."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from venue_tape import HOUR, Tape, make

from liquidator_core.layout import LONG, SHORT
from liquidator_integrations.market.liquidations import read_liquidations
from liquidator_integrations.market.trades import trades_from_table
from liquidator_integrations.store import Store

pytest.importorskip("filelock")
pytest.importorskip("orjson")
START = 1_748_736_000_000  # 2025-06-01
NAME = "BTC/USDC:USDC"
MAKER, TAKER, VAULT = "0xAA", "0xbb", "0x2e3d"


def fill(user: str, side: str, time: int, tid: int, crossed: bool, **more: Any) -> list[Any]:
    said = {"coin": "BTC", "px": "60000.0", "sz": "0.5", "dir": "Open Long", "startPosition": "0.0", "closedPnl": "0.0"}
    said |= {"hash": "0x0", "oid": tid, "fee": "0.1", "feeToken": "USDC", "cloid": None}
    return [user, {**said, "side": side, "time": time, "tid": tid, "crossed": crossed, **more}]


def pair(time: int, tid: int, side: str, **more: Any) -> list[list[Any]]:
    """The fills of a trade, the maker's first."""
    other = {"A": "B", "B": "A"}[side]
    return [fill(MAKER, other, time, tid, False, **more), fill(TAKER, side, time, tid, True, **more)]


def fills_of(tape: Tape, coin: str = "BTC") -> list[list[list[Any]]]:
    rows = zip(tape.time.tolist(), tape.id.tolist(), tape.price.tolist(), tape.size.tolist(), tape.sell, strict=True)
    return [
        pair(time, one, "A" if sell else "B", px=str(price), sz=str(size), coin=coin)
        for time, one, price, size, sell in rows
    ]


def block(fills: list[list[Any]]) -> dict[str, Any]:
    when = np.datetime64(fills[0][1]["time"], "ms")
    return {"local_time": f"{when + 250}123456", "block_time": f"{when}000000", "block_number": 7, "events": fills}


def trade(fills: list[list[Any]], override: str = "Na") -> dict[str, Any]:
    maker, taker = fills
    said = {name: taker[1][name] for name in ("coin", "side", "px", "sz", "hash")}
    sides = [{"user": one[0], "start_pos": "1", "oid": one[1]["oid"] + at} for at, one in enumerate((maker, taker))]
    time = f"{np.datetime64(taker[1]['time'], 'ms')}123456"
    return {**said, "time": time, "trade_dir_override": override, "side_info": sides}


def write(path: Path, lines: list[Any]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.output_stream(str(path), compression="lz4" if path.suffix == ".lz4" else None) as file:
        file.write("".join(f"{json.dumps(line)}\n" for line in lines).encode())
    return path


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def same(store: Store, tape: Tape) -> None:
    table = store.read("trades", "BTC")
    assert table["time"].to_pylist() == tape.time.tolist()
    assert table["price"].to_pylist() == tape.price.tolist()
    assert table["size"].to_pylist() == tape.size.tolist()
    assert [side == "sell" for side in table["side"].to_pylist()] == tape.sell.tolist()
    assert len(trades_from_table(table)) == len(tape)


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("node_fills_by_block/hourly/20250601/0.lz4", lambda fills: [block(two) for two in fills]),
        ("node_fills/hourly/20250601/0", lambda fills: [one for two in fills for one in two]),
        ("mine.jsonl", lambda fills: [one for two in fills for one in two]),
        ("node_trades/hourly/20250601/0.lz4", lambda fills: [trade(two) for two in fills]),
    ],
)
def test_two_fills_are_one_trade(store, tmp_path, name, lines):
    tape = make(400, hours=1, start=START, hole=False)
    others = make(50, hours=1, start=START, hole=False)
    fills = sorted([*fills_of(tape), *fills_of(others, "ETH")], key=lambda two: two[0][1]["time"])
    done = store.import_(write(tmp_path / "in" / name, lines(fills)), symbol="BTC")
    assert done["problem"].tolist() == done["remark"].tolist() == [""] * len(done)
    same(store, tape)
    if "trades" not in name:
        assert store.read("trades", "BTC")["id"].to_pylist() == [str(one) for one in tape.id]
        assert len(store.read("liquidations", "BTC")) == 0  # looked at, and there was none
    if "block" in name:
        assert store.read("trades", "BTC")["received"].to_pylist() == [time + 250 for time in tape.time.tolist()]
    assert {place.symbol for place in store.places()} == {NAME}


def test_files_of_hours_in_any_order_leave_no_gap_and_lose_nothing(store, tmp_path):
    tape = make(3000, hours=3, start=START, hole=False)
    folder = tmp_path / "node_fills_by_block" / "hourly" / "20250601"
    for hour in range(3):  # a file begins with a block of the hour before
        edges = START + hour * HOUR - 200, START + (hour + 1) * HOUR - 200
        rows = (tape.time >= edges[0]) & (tape.time < edges[1])
        quiet = pair(edges[0] + 100, 10**12 + hour, "A", coin="ETH"), pair(edges[1] - 1, 10**12 + hour, "A", coin="ETH")
        write(folder / f"{8 + hour}.lz4", [block(two) for two in (quiet[0], *fills_of(tape.only(rows)), quiet[1])])
    kept = tape.only(tape.time < START + 3 * HOUR - 200)
    done = store.import_(tmp_path / "node_fills_by_block", symbol=NAME, kind="trades")
    assert [Path(file).name for file in done["file"]] == ["10.lz4", "8.lz4", "9.lz4"]
    assert done["kept"].sum() == len(kept)
    same(store, kept)
    assert len(store.gaps()) == len(store.check()) == 0
    assert store.import_(tmp_path / "node_fills_by_block", symbol=NAME, kind="trades")["kept"].tolist() == [0, 0, 0]


def test_lines_of_others_are_refused_by_row_and_read_as_others(store, tmp_path):
    row = {"time": START, "price": 100.0, "size": 1.0, "side": "buy", "tradeId": 7, "coin": "BTC"}
    (tmp_path / "mine.jsonl").write_text(
        "".join(json.dumps(row | {"time": START + at, "tradeId": at}) + "\n" for at in (1, 2))
    )
    with pytest.raises(ValueError, match=r"row 0: found .*allowed fills"):
        store.import_(tmp_path / "mine.jsonl", symbol=NAME)
    (done,) = store.import_(tmp_path / "mine.jsonl", venue="okx", symbol="BTC/USDT").itertuples()
    assert (done.venue, done.kind, done.kept) == ("okx", "trades", 2)


def test_a_liquidation_is_told_once_with_the_side_of_who_was_closed(store, tmp_path):
    long, short, other = (
        {"liquidation": {"liquidatedUser": who, "markPx": mark, "method": method}}
        for who, mark, method in (("0xBB", "60100", "market"), ("0xbb", "61000", "market"), ("0xaa", "59000", "market"))
    )
    taken_over = {"liquidation": {"liquidatedUser": "0xbb", "markPx": "58000", "method": "backstop"}}
    lines = [
        *pair(START + 1, 1, "A", **long, dir="Close Long"),  # both fills say so: the taker sold what it was long
        *pair(START + 1, 2, "A", **long, sz="0.25"),  # the rest of it, from another maker
        *pair(START + 2, 3, "B", **short, dir="Close Short"),
        fill(MAKER, "A", START + 3, 4, False, **short),  # the other fill alone: the liquidated one bought
        *pair(START + 4, 5, "A", **other),  # the maker was liquidated, who bought
        fill(VAULT, "B", START + 5, 6, True, **taken_over, dir="Liquidated Cross Long"),
        fill(TAKER, "A", START + 5, 6, True, **taken_over, dir="Liquidated Cross Long"),
        fill(MAKER, "A", START + 6, 7, True, dir="Auto-Deleveraging"),
        fill(TAKER, "B", START + 6, 7, True, dir="Auto-Deleveraging"),
        *pair(START + 7, 8, "A"),
        *pair(START + 7, 8, "A"),  # again
    ]
    path = write(tmp_path / "node_fills" / "0", lines)
    done = store.import_(path, symbol="BTC")
    assert done["kind"].tolist() == ["trades", "liquidations"]
    assert set(done["problem"]) == {"1 trades have one of their two fills; 2 fills repeat"}
    assert done["remark"].tolist() == ["2 backstops, deleveragings and nettings are no trades", ""]
    table = store.read("liquidations", "BTC").select(["time", "price", "size", "side", "usd"]).to_pylist()
    assert [tuple(row.values()) for row in table] == [
        (START + 1, 60_100.0, 0.75, "long", 45_000.0),
        (START + 2, 61_000.0, 0.5, "short", 30_000.0),
        (START + 3, 61_000.0, 0.5, "short", 30_000.0),
        (START + 4, 59_000.0, 0.5, "short", 30_000.0),
        (START + 5, 58_000.0, 0.5, "long", 30_000.0),
    ]
    events = read_liquidations(store.read("liquidations", "BTC"), None, lambda name: 0).events
    assert events["usd"].tolist() == [row["usd"] for row in table]
    assert events["side"].tolist() == [{"long": LONG, "short": SHORT}[row["side"]] for row in table]
    trades = store.read("trades", "BTC")
    assert trades["id"].to_pylist() == ["1", "2", "3", "4", "5", "8"]
    assert trades["side"].to_pylist() == ["sell", "sell", "buy", "buy", "sell", "sell"]
    assert store.import_(path, symbol="BTC")["kept"].tolist() == [0, 0]


def test_trades_of_a_node_do_not_tell_liquidations(store, tmp_path):
    lines = [trade(pair(START, 1, "A"), "LiquidatedMarket"), trade(pair(START, 2, "B"), "NetChildVaultPositions")]
    path = write(tmp_path / "node_trades" / "5.lz4", lines)
    with pytest.raises(ValueError, match="allowed trades: node_trades do not tell who was liquidated"):
        store.import_(path, symbol="BTC", kind="liquidations")
    (row,) = store.import_(path, symbol="BTC").itertuples()
    assert (row.rows, row.remark) == (1, "1 backstops, deleveragings and nettings are no trades")


@pytest.mark.parametrize(
    ("lines", "said", "error"),
    [
        (pair(START, 1, "A"), {"symbol": "BTC/USDC"}, "allowed one perpetual of Hyperliquid's"),
        (pair(START, 1, "A"), {}, "symbol: found None, allowed one perpetual of Hyperliquid's, such as BTC/USDC:USDC"),
        (pair(START, 1, "A"), {"symbol": "ETH"}, "has no trade of ETH: found BTC"),
        (pair(START, 1, "A"), {"symbol": "BTC", "kind": "funding"}, "found 'funding', allowed trades, liquidations"),
        ([*pair(START, 1, "A"), {"a": 1}], {"symbol": "BTC"}, "row 2: found .*a.*1.*, allowed fills"),
        ([7], {"symbol": "BTC"}, r"row 0: found b'7\\n', allowed fills"),
        (pair(START, 1, "A", px="-1"), {"symbol": "BTC"}, "row 0: found '-1', allowed a finite number above 0"),
        (
            [pair(START, 1, "A")[0], pair(START, 1, "A", px="9")[1]],
            {"symbol": "BTC"},
            "row 1: the fills of trade 1 differ in price or size",
        ),
        (pair(1, 1, "A"), {"symbol": "BTC"}, "time: found 1 to 1, allowed ms since the epoch"),
    ],
)
def test_files_that_are_none(store, tmp_path, lines, said, error):
    path = write(tmp_path / "in.jsonl", lines)
    with pytest.raises(ValueError, match=rf"in\.jsonl: .*{error}"):
        store.import_(path, **said)
    assert list(store.places()) == []


def test_without_what_reads_it_the_extra_is_named(store, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "orjson", None)
    with pytest.raises(ImportError, match=r'orjson is missing: pip install "liquidator-core\[store\]"'):
        store.import_(write(tmp_path / "in.jsonl", pair(START, 1, "A")), symbol="BTC")


def test_a_file_that_is_cut(store, tmp_path):
    path = write(tmp_path / "0.lz4", [block(two) for two in fills_of(make(500, hours=1, start=START, hole=False))])
    data = path.read_bytes()
    for cut in (data[: len(data) // 2], b"not lz4 at all"):
        path.write_bytes(cut)
        with pytest.raises(ValueError, match=r"0\.lz4: "):
            store.import_(path, symbol="BTC")
    path = write(tmp_path / "1.jsonl", [])
    path.write_text('{"events": [')
    with pytest.raises(ValueError, match=r"1\.jsonl: row 0: found b'{\"events\": \[', allowed fills"):
        store.import_(path, symbol="BTC")
    assert list(store.places()) == []
