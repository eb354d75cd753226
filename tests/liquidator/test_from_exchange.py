"""A Liquidator of a market's last hours, fetched on loopback by genuine ccxt."""

from __future__ import annotations

import numpy as np
import pytest
from venue_server import serving
from venue_tape import HOUR, START, make
from venue_wire import funding_rate

from liquidator_integrations import Liquidator
from liquidator_integrations.exchanges import client, fetch

DAY = 24 * HOUR
END = START + DAY


@pytest.fixture(scope="module")
def server():
    with serving(make(6000)) as made:
        made.now = END
        yield made


@pytest.fixture(autouse=True)
def quick_backoff(monkeypatch):
    monkeypatch.setattr(client, "_FIRST_WAIT", 0.005)


def test_the_roadmaps_line(server, monkeypatch, capsys):
    monkeypatch.setitem(client._SHARED, "binance", server.instance("binance"))
    made = Liquidator.from_exchange("BTC-USD", exchange="binance", hours=24, until=END)
    assert made.coin == "BTC"
    assert capsys.readouterr().err == "BTC-USD on binance: BTC/USDT:USDT (linear perpetual)\n"
    assert set(made.coverage["kind"]) == {"candles", "open_interest", "funding"}
    assert len(made.compute_zones()) > 0
    bars = made.bars()
    assert len(bars) == 1437  # from the first trade's minute on
    assert np.isfinite(bars["taker_buy"]).all()
    assert np.isfinite(bars["open_interest"]).sum() > 280
    assert np.isfinite(bars["funding_rate"]).any()


def test_a_thousand_coins_at_a_time(server, capsys):
    made = Liquidator.from_exchange("PEPE", server.instance("binance"), until=END)
    assert made.coin == "1000PEPE"
    assert capsys.readouterr().err == "PEPE on binance: 1000PEPE/USDT:USDT (linear perpetual)\n"


def test_few_requests(server):
    server.log.clear()
    Liquidator.from_exchange("BTC", server.instance("binance"), until=END)
    words = ("klines", "openInterestHist", "fundingRate")
    assert len([path for path, _, _ in server.log if path.endswith(words)]) <= 5


@pytest.mark.parametrize("market", ["spot", "inverse", "perpetual"])
def test_markets_and_bars(server, market):
    settings = {"bar": "5m", "timeframe": "1h"}
    made = Liquidator.from_exchange("BTC", server.instance("binance"), until=END, market=market, **settings)
    assert made.timeframe == "1h"
    assert len(made.bars()) == 288
    kinds = {"candles"} if market == "spot" else {"candles", "open_interest", "funding"}
    assert set(made.coverage["kind"]) == kinds
    assert list(made.gaps.columns) == ["venue", "symbol", "kind", "since", "until", "missing"]


@pytest.mark.parametrize(
    ("venue", "market"),
    [
        *(("binance", market) for market in ("perpetual", "spot", "inverse")),
        *(("okx", None), ("kraken", None), ("coinbase", None), ("bybit", "inverse")),
    ],
)
def test_zones_of_fetched_trades_are_those_of_the_trades(server, venue, market, capsys):
    made = Liquidator.from_exchange("BTC", server.instance(venue), data="trades", until=END, market=market)
    assert "some " in capsys.readouterr().err
    table = fetch("BTC", server.instance(venue), ("trades",), since=START, until=END, market=market).tables["trades"]
    again = Liquidator("BTC")
    again.ingest_trades(table)
    tape = server.tape.only(np.arange(len(server.tape))[-len(table) :])
    plain = Liquidator("BTC")
    sides = np.where(tape.sell, "sell", "buy")
    columns = {"time": tape.time, "price": tape.price, "size": table["size"].to_numpy(), "side": sides, "id": tape.id}
    if venue == "bybit":
        columns["id"] = table["id"].to_pylist()
    plain.ingest_trades(columns, venue="elsewhere")
    assert made.bars().tobytes() == again.bars().tobytes() == plain.bars().tobytes()
    assert made.compute_zones().equals(again.compute_zones())
    assert made.compute_zones().equals(plain.compute_zones())


@pytest.mark.parametrize(("venue", "hours"), [("hyperliquid", 1), ("binance", 8)])
def test_funding_is_of_eight_hours_from_every_venue(server, venue, hours):
    made = Liquidator.from_exchange("BTC", server.instance(venue), bar="1h", until=END)
    rates = made.bars()["funding_rate"]
    ends = made.bars()["time"] + HOUR
    want = [funding_rate(int(end) // (hours * HOUR) * hours * HOUR) * 8 / hours for end in ends]
    known = np.isfinite(rates)
    assert known.sum() > 15
    np.testing.assert_allclose(rates[known][:-1], np.array(want)[known][:-1])


def test_a_fetched_table_is_read_by_ingest_liquidations_and_rates(server):
    history = fetch(
        "BTC", server.instance("binance"), ("funding", "open_interest", "liquidations"), since=START, until=END
    )
    made = Liquidator("BTC")
    made.ingest_liquidations(history.tables["liquidations"])
    made.ingest_funding_rates(history.tables["funding"])
    made.ingest_open_interest(history.tables["open_interest"])


def test_what_an_api_returned_is_taken_as_before(server):
    server.log.clear()
    trade = {"time": START, "price": 100.0, "size": 1.0, "side": "buy"}
    assert Liquidator.from_exchange("BTC-USD", "binance", [trade]).coverage is None
    assert server.log == []


def test_a_store_spares_the_second_fetch(server, tmp_path):
    one = Liquidator.from_exchange("BTC", server.instance("binance"), until=END, hours=23, store=tmp_path / "s")
    server.log.clear()
    two = Liquidator.from_exchange("BTC", server.instance("binance"), until=END, hours=23, store=tmp_path / "s")
    assert not [path for path, _, _ in server.log if path.endswith("klines")]
    assert one.bars().tobytes() == two.bars().tobytes()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"hours": 0}, "hours: found 0, allowed a number above 0"),
        ({"hours": -3}, "hours: found -3"),
        ({"hours": float("nan")}, "hours: found nan"),
        ({"hours": "24"}, "hours: found '24'"),
        ({"hours": True}, "hours: found True"),
        ({"data": "ticks"}, "data: found 'ticks', allowed 'candles' or 'trades'"),
        ({"market": "swap"}, "market: found 'swap'"),
        ({"bar": "7m"}, "bar"),
        ({"until": "2100-01-01", "hours": 1}, "since: found 2099-12-31T23:00:00 UTC, allowed a time before now"),
    ],
)
def test_bad_arguments(server, arguments, said):
    with pytest.raises((ValueError, TypeError), match=said):
        Liquidator.from_exchange("BTC", server.instance("binance"), **{"until": END, **arguments})


def test_no_network():
    with serving(make(10)) as gone:
        instance = gone.instance("binance")
    with pytest.raises(ConnectionError, match="is there a network"):
        Liquidator.from_exchange("BTC", instance, until=END)
