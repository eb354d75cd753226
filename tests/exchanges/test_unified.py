"""A venue without a module of its own, by ccxt's unified methods: what comes is taken, and never called complete."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import venue_wire as wire
from venue_server import Fault, serving
from venue_tape import HOUR, START, make

from liquidator_integrations.exchanges import fetch
from liquidator_integrations.exchanges.feed import Feed
from liquidator_integrations.store import layout, parquet
from liquidator_integrations.store.kinds import key_of

END = START + 6 * HOUR


@pytest.fixture(scope="module")
def server():
    with serving(make(3000)) as made:
        made.now = END
        yield made


@pytest.fixture
def other(server):
    """An exchange that we do not know; that it speaks like Binance is ccxt's affair."""
    server.faults = []
    instance = server.instance("binance")
    instance.id = "elsewhere"
    return instance


KINDS = ("candles", "trades", "funding", "open_interest", "liquidations")


def test_every_kind_by_unified_methods(server, other):
    history = fetch("BTC", other, KINDS, since=START, until=END)
    tape = server.tape.only(server.tape.time < END)
    trades = history.tables["trades"]
    assert set(trades["id"].to_pylist()) <= set(map(str, tape.id.tolist()))
    assert len(trades) > 0.9 * len(tape)
    row = {str(number): place for place, number in enumerate(tape.id.tolist())}
    at = [row[one] for one in trades["id"].to_pylist()]
    assert trades["size"].to_pylist() == tape.size[at].tolist()
    assert (np.array(trades["side"].to_pylist()) == np.where(tape.sell[at], "sell", "buy")).all()
    assert len(history.tables["candles"]) == len(tape.candles(START, END, 60_000, True))
    assert history.tables["funding"]["funding_rate"].to_pylist() == [wire.funding_rate(START + 4 * HOUR)]
    assert history.tables["open_interest"]["open_interest"][0].as_py() == wire.open_interest(START)
    assert len(history.tables["liquidations"]) == 0
    assert not set(history.coverage["status"]) & {"complete", "empty"}
    assert set(history.coverage["proof"]) == {"none"}


def test_pages_of_liquidations_that_overlap_are_kept_once(tmp_path):
    """Of what is alike a page has told: two at 7 are two, and the next page repeats them."""
    market, client = {"symbol": "BTC/USDT:USDT"}, SimpleNamespace(venue="elsewhere", clock_ms=None)
    place = layout.folder(layout.open_root(tmp_path), "elsewhere", "BTC/USDT:USDT", "liquidations")
    feed = Feed(client, market, "liquidations", START, END, "1h", place, lambda *_: None)
    for times in ((5, 7, 7), (7, 7, 9)):
        side = {"side": ["long"] * 3, "price": [9.0] * 3, "size": [1.0] * 3, "usd": [9.0] * 3}
        feed.take({"time": [START + time for time in times], **side})
    feed.cover(START, END, "none")
    feed.keep()
    kept = parquet.rows(place, "liquidations", START, END)["time"].to_pylist()
    assert kept == [START + time for time in (5, 7, 7, 9)]
    assert parquet.joined(feed.tables, key_of("liquidations"))["time"].to_pylist() == kept


def test_inverse_contracts_by_unified_methods(server, other):
    history = fetch("BTC", other, ("trades",), since=START, until=START + HOUR, market="inverse")
    table = history.tables["trades"]
    usd = np.round(server.tape.size[: len(table)] * 1000) * wire.INVERSE_CONTRACT
    assert table["usd"].to_pylist() == usd.tolist()
    assert table["size"].to_pylist() == (usd / server.tape.price[: len(table)]).tolist()


@pytest.mark.parametrize("kind", ["html", "cut", "drop"])
def test_faults_are_cured_by_unified_methods_too(server, other, kind):
    want = fetch("BTC", other, ("trades", "candles"), since=START, until=END)
    server.faults = [Fault("aggTrades", kind), Fault("klines", kind)]
    got = fetch("BTC", other, ("trades", "candles"), since=START, until=END)
    for name, table in want.tables.items():
        assert got.tables[name].to_pandas().equals(table.to_pandas())
