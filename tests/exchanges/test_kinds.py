"""Candles, funding and open interest of every venue: their values, and what is called complete."""

from __future__ import annotations

import math

import numpy as np
import pytest
import venue_wire as wire
from venue_server import Fault, serving
from venue_tape import HOUR, MINUTE, START, Tape, make

from liquidator_integrations.exchanges import capabilities, fetch
from liquidator_integrations.exchanges.venues import MODULES

DAY = 24 * HOUR
VENUES = ("binance", "bybit", "okx", "coinbase", "kraken", "hyperliquid")
FLAT = ("binance", "bybit", "okx", "hyperliquid")
PATHS = {"binance": "klines", "bybit": "kline", "okx": "history-candles", "hyperliquid": "info"}
MARKETS = [
    *(("binance", market) for market in ("perpetual", "spot", "inverse")),
    *(("bybit", market) for market in ("perpetual", "spot", "inverse")),
    *(("okx", market) for market in ("perpetual", "spot")),
    ("hyperliquid", "perpetual"),
]


@pytest.fixture(scope="module")
def small():
    """A tape of 3,000 trades a day, so that many minutes have none."""
    with serving(make(3000)) as server:
        server.now = START + DAY
        yield server


@pytest.fixture(autouse=True)
def as_it_was(request):
    if "small" in request.fixturenames:
        server = request.getfixturevalue("small")
        server.log.clear()
        server.faults, server.flat, server.oldest_candle = [], True, None


def expected_candles(tape: Tape, since: int, until: int, step: int = MINUTE, flat: bool = True) -> np.ndarray:
    """(n, 6): time, open, high, low, close, volume."""
    return np.array([[time, *one[:5]] for time, one in tape.candles(since, until, step, flat)])


def as_rows(table) -> np.ndarray:
    return np.stack([table[name].to_numpy() for name in ("time", "open", "high", "low", "close", "volume")], 1)


@pytest.mark.parametrize(("venue", "market"), MARKETS)
def test_candles_of_venues_that_send_flat_ones(small, venue, market):
    first = int(small.tape.time[0]) // MINUTE * MINUTE + MINUTE
    history = fetch("BTC", small.instance(venue), since=first, until=START + DAY, market=market)
    table = history.tables["candles"]
    wanted = expected_candles(small.tape, first, START + DAY)
    np.testing.assert_allclose(as_rows(table)[:, :5], wanted[:, :5], rtol=1e-7)
    np.testing.assert_allclose(
        as_rows(table)[:, 5], wanted[:, 5], rtol=1e-6, atol=1e-5 if market == "inverse" else 5e-7
    )
    assert set(history.coverage["status"]) == {"complete"}
    assert set(history.coverage["proof"]) == {"count"}
    assert (history.coverage["expected"] == history.coverage["got"]).all()
    taker_buy = table["taker_buy"].to_numpy()
    if venue == "binance":
        buys = np.array([one[5] for _, one in small.tape.candles(first, START + DAY, MINUTE, True)])
        np.testing.assert_allclose(taker_buy, buys, atol=1e-5)
    else:
        assert np.isnan(taker_buy).all()


@pytest.mark.parametrize("venue", FLAT)
def test_a_minute_that_is_missing_is_a_gap(small, venue):
    small.flat = False
    first = int(small.tape.time[0]) // MINUTE * MINUTE + MINUTE
    history = fetch("BTC", small.instance(venue), since=first, until=START + DAY)
    wanted = expected_candles(small.tape, first, START + DAY, flat=False)
    assert len(history.tables["candles"]) == len(wanted)
    assert set(history.coverage["status"]) == {"gap"}
    hole = history.gaps[history.gaps["until"] - history.gaps["since"] > 2 * HOUR]
    assert len(hole) == 1
    assert history.gaps["missing"].isna().all()
    assert set(history.gaps["since"]) <= {*wanted[:, 0].astype(int), first}


@pytest.mark.parametrize("venue", FLAT)
@pytest.mark.parametrize("kind", ["empty", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("html", "cut"))])
def test_a_fault_among_candles_costs_nothing(small, venue, kind):
    first = int(small.tape.time[0]) // MINUTE * MINUTE + MINUTE
    fault = Fault(PATHS[venue], kind, 1, 0)
    if venue == "hyperliquid":
        fault = Fault("candleSnapshot", kind, 1, 0)
    small.faults = [fault]
    history = fetch("BTC", small.instance(venue), since=first, until=START + DAY)
    assert set(history.coverage["status"]) == {"complete"}
    assert fault.times == 0


def test_minutes_without_trades_are_left_out_by_coinbase_and_prove_nothing(small):
    history = fetch("BTC", small.instance("coinbase"), since=START, until=START + DAY)
    wanted = expected_candles(small.tape, START, START + DAY, flat=False)
    np.testing.assert_allclose(as_rows(history.tables["candles"]), wanted, rtol=1e-9)
    assert set(history.coverage["status"]) == {"unproven"}
    assert set(history.coverage["proof"]) == {"none"}


def test_candles_that_kraken_no_longer_has_are_made_from_its_trades(small):
    history = fetch("BTC", small.instance("kraken"), since=START, until=START + DAY)
    table = history.tables["candles"]
    first = int(small.tape.time[0]) // MINUTE * MINUTE
    wanted = expected_candles(small.tape, first, START + DAY)
    np.testing.assert_allclose(as_rows(table), wanted, rtol=1e-9)
    taker_buy = table["taker_buy"].to_numpy()
    assert np.isfinite(taker_buy[:600]).all()
    assert np.isnan(taker_buy[-700:]).all()
    assert set(history.coverage["status"]) == {"unproven"}


def test_kraken_candles_in_a_hole_of_its_trades_are_a_gap():
    base = make(3000)
    at = 700
    with serving(base.only(np.r_[0:at, at + 50 : 3000])) as server:
        history = fetch("BTC", server.instance("kraken"), since=START, until=START + DAY)
    (gap,) = history.gaps.itertuples()
    assert gap.since <= base.time[at] <= gap.until
    assert history.coverage["status"].tolist() == ["gap", "unproven"]


@pytest.mark.parametrize("venue", VENUES)
def test_an_open_candle_is_left_out(small, venue):
    history = fetch("BTC", small.instance(venue), since=START + HOUR, until=START + 3 * HOUR + 30_000)
    time = history.tables["candles"]["time"].to_numpy()
    assert time.min() >= START + HOUR
    assert time.max() + MINUTE <= START + 3 * HOUR + 30_000


def test_candles_of_another_timeframe(small):
    first = -(-int(small.tape.time[0]) // HOUR) * HOUR
    history = fetch("BTC", small.instance("okx"), since=first - 1, until=START + DAY, timeframe="1h")
    np.testing.assert_allclose(
        as_rows(history.tables["candles"])[:, :5], expected_candles(small.tape, first, START + DAY, HOUR)[:, :5]
    )
    assert history.coverage["expected"].sum() == len(history.tables["candles"])


@pytest.mark.parametrize(("venue", "limit"), [("binance", 1500), ("bybit", 1000), ("okx", 100), ("hyperliquid", 5000)])
def test_candles_take_a_request_a_page(small, venue, limit):
    first = int(small.tape.time[0]) // MINUTE * MINUTE + MINUTE
    fetch("BTC", small.instance(venue), since=first, until=START + DAY)
    word = "candleSnapshot" if venue == "hyperliquid" else PATHS[venue]
    asked = [path for path, params, _ in small.log if word in f"{path} {params}"]
    assert len(asked) == math.ceil((START + DAY - first) / MINUTE / limit)


def test_older_candles_than_the_venue_keeps_are_a_gap(small):
    small.oldest_candle = START + 6 * HOUR
    first = int(small.tape.time[0]) // MINUTE * MINUTE + MINUTE
    history = fetch("BTC", small.instance("binance"), since=first, until=START + DAY)
    (gap,) = history.gaps.itertuples()
    assert (gap.since, gap.until) == (first, START + 6 * HOUR)


@pytest.mark.parametrize(("venue", "market"), [one for one in MARKETS if one[1] != "spot"])
def test_funding(small, venue, market):
    history = fetch("BTC", small.instance(venue), ("funding",), since=START, until=START + DAY, market=market)
    table = history.tables["funding"]
    every = HOUR if venue == "hyperliquid" else 8 * HOUR
    times = list(range(-(-START // every) * every, START + DAY, every))
    assert table["time"].to_pylist() == times
    assert table["funding_rate"].to_pylist() == [wire.funding_rate(time) for time in times]
    assert set(history.coverage["status"]) == {"unproven"}


@pytest.mark.parametrize(("venue", "market"), [one for one in MARKETS if one[1] != "spot" and one[0] != "hyperliquid"])
def test_open_interest_comes_in_coins(small, venue, market):
    history = fetch(
        "BTC", small.instance(venue), ("open_interest",), since=START + HOUR, until=START + DAY, market=market
    )
    table = history.tables["open_interest"]
    times = list(range(START + HOUR, START + DAY, wire.READING))
    assert table["time"].to_pylist() == times
    coins = np.array([wire.open_interest(time) for time in times])
    if (venue, market) == ("bybit", "inverse"):  # made from dollars with the price of that moment
        closes = [small.tape.candles(time - wire.READING, time, wire.READING, True)[0][1][3] for time in times]
        np.testing.assert_allclose(table["open_interest"].to_numpy(), coins * 60_000 / closes, rtol=1e-6)
    else:
        np.testing.assert_allclose(table["open_interest"].to_numpy(), coins, rtol=1e-6)
    if "usd" in table.column_names:
        np.testing.assert_allclose(table["usd"].to_numpy(), coins * 60_000, rtol=1e-5)


def test_kinds_that_cannot_be_had_are_empty_tables_and_unproven(small):
    kinds = ("candles", "funding", "open_interest", "liquidations")
    history = fetch("BTC", small.instance("kraken"), kinds, since=START + 20 * HOUR, until=START + DAY)
    assert tuple(history.tables) == kinds
    for kind in kinds[1:]:
        assert len(history.tables[kind]) == 0
        rows = history.coverage[history.coverage["kind"] == kind]
        assert set(rows["status"]) <= {"unproven", "gap"}
        assert set(rows["proof"]) == {"none"}


def test_tables_say_what_they_are(small):
    kinds = ("candles", "trades", "funding", "open_interest", "liquidations")
    history = fetch("BTC", small.instance("binance"), kinds, since=START + HOUR, until=START + 3 * HOUR)
    for kind, table in history.tables.items():
        assert table.schema.metadata[b"liquidator"] == b"normalised"
        assert {"venue", "symbol"} <= set(table.column_names)
        if len(table):
            assert set(table["venue"].to_pylist()) == {"binance"}
            assert set(table["symbol"].to_pylist()) == {"BTC/USDT:USDT"}
        assert table["time"].type == "int64", kind


def test_capabilities_agree_with_what_is_fetched():
    table = capabilities()
    known = table[table["verified"]]
    assert set(known["venue"]) == set(MODULES)
    of = {(row.venue, row.kind): row for row in known.itertuples()}
    assert of["binance", "trades"].proof == of["kraken", "trades"].proof == of["coinbase", "trades"].proof == "ids"
    for venue in ("okx", "bybit", "hyperliquid"):
        assert of[venue, "trades"].proof == "none"
    for venue in VENUES:
        assert of[venue, "candles"].proof == ("count" if venue in FLAT else "none")
    assert set(table["proof"]) == {"ids", "count", "none"}
    others = table[~table["verified"]]
    assert set(others["proof"]) == {"none"}
    assert {"gate", "htx", "bitfinex"} <= set(others[(others["kind"] == "liquidations") & others["available"]]["venue"])


def test_the_table_of_the_docs_is_made_from_it():
    import exchange_capabilities as figures

    text = figures.PAGE.read_text(encoding="utf-8")
    assert figures.page_with(text, figures.tables()) == text
