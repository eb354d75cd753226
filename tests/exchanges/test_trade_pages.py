"""Trades of a day from six venues: complete, or what is missing is named; whatever the venue's answers are like."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import venue_wire as wire
from venue_server import Fault, Loopback, serving
from venue_tape import HOUR, START, Tape, in_one_second, make

from liquidator_integrations.exchanges import fetch

DAY = 24 * HOUR
COMPLETE = ("binance", "okx", "kraken", "coinbase")
PATHS = {"binance": "aggTrades", "okx": "history-trades", "kraken": "Trades", "coinbase": "ticker"}
PAGES = {"binance": 1000, "okx": 100, "kraken": 1000, "coinbase": 1000}
STATUS = {"binance": "complete", "okx": "unproven", "kraken": "complete", "coinbase": "complete"}


def day_of(server: Loopback, venue: str, **more: Any) -> Any:
    wanted = {"since": START, "until": START + DAY, **more}
    return fetch("BTC", server.instance(venue), ("trades",), **wanted)


@pytest.fixture
def small():
    """A fifth of the trades, of which every venue needs several pages all the same."""
    with serving(make(2600)) as made:
        yield made


def rows_of(table: Any) -> list[tuple[int, str]]:
    return list(zip(table["time"].to_pylist(), table["id"].to_pylist(), strict=True))


def rows_in(tape: Tape) -> list[tuple[int, str]]:
    return list(zip(tape.time.tolist(), map(str, tape.id.tolist()), strict=True))


@pytest.mark.parametrize("venue", COMPLETE)
def test_a_day_comes_whole(server, venue):
    history = day_of(server, venue)
    table, tape = history.tables["trades"], server.tape
    assert rows_of(table) == rows_in(tape)
    assert table["price"].to_numpy().tolist() == tape.price.tolist()
    np.testing.assert_allclose(table["size"].to_numpy(), tape.size, rtol=1e-15 if venue == "okx" else 0)
    assert (np.array(table["side"].to_pylist()) == np.where(tape.sell, "sell", "buy")).all()
    assert set(history.coverage["status"]) == {STATUS[venue]}
    assert set(history.coverage["proof"]) == ({"none"} if venue == "okx" else {"ids"})
    assert history.coverage["got"].sum() == len(tape)
    assert history.coverage["day"].tolist() == ["2025-06-02", "2025-06-03"]
    assert len(history.gaps) == 0


@pytest.mark.parametrize("venue", COMPLETE)
def test_requests_are_the_pages_one_for_the_start_and_one_an_empty_page(server, venue):
    day_of(server, venue)
    asked = [params for path, params, _ in server.log if PATHS[venue] in path]
    assert len(asked) <= math.ceil(len(server.tape) / PAGES[venue]) + 1 + 2  # two at the end find nothing


@pytest.mark.parametrize("venue", ["bybit", "hyperliquid"])
def test_a_venue_of_the_newest_trades_is_never_called_complete(server, venue):
    history = day_of(server, venue)
    got = {"bybit": 1000, "hyperliquid": 10}[venue]
    table = history.tables["trades"]
    assert table["time"].to_pylist() == server.tape.time[-got:].tolist()
    assert not set(history.coverage["status"]) & {"complete", "empty"}
    assert set(history.coverage["proof"]) == {"none"}
    (gap,) = history.gaps.itertuples()
    assert (gap.since, gap.until) == (START, server.tape.time[-got])
    assert math.isnan(gap.missing)


def test_spot_trades_of_bybit_come_sixty_at_a_time(server):
    history = fetch("BTC", server.instance("bybit"), ("trades",), since=START, until=START + DAY, market="spot")
    assert len(history.tables["trades"]) == 60
    assert set(history.coverage["status"]) == {"gap"}


FAULTS = {
    "html": Fault("", "html"),
    "cut json": Fault("", "cut"),
    "nonsense": Fault("", "nonsense"),
    "dropped": Fault("", "drop"),
    "too many": Fault("", 429, headers={"Retry-After": "0"}, body='{"code":-1003,"msg":"Too many requests"}'),
    "unavailable": Fault("", 503, body="<html>"),
    "null": Fault("", "nonsense", body="null"),
    "rows without a price": Fault("", "nonsense", body='[{"a": 1, "T": 1748865600000}]'),
    "a price of zero": Fault("", "nonsense", body='[{"a":1,"p":"0","q":"1","T":1748865600000,"m":true}]'),
}


MATRIX = [
    pytest.param(venue, name, marks=() if venue == "binance" or name in ("html", "too many") else pytest.mark.slow)
    for venue in COMPLETE
    for name in FAULTS
    if venue == "binance" or name != "a price of zero"  # that is written as Binance writes it
]


@pytest.mark.parametrize(("venue", "name"), MATRIX)
def test_what_asking_again_cures_costs_nothing(small, venue, name):
    fault = FAULTS[name]
    small.faults = [Fault(PATHS[venue], fault.kind, 2, skip, fault.headers, fault.body) for skip in (0, 1, 2)]
    history = day_of(small, venue)
    assert rows_of(history.tables["trades"]) == rows_in(small.tape)
    assert set(history.coverage["status"]) == {STATUS[venue]}
    assert sum(fault.times for fault in small.faults) == 0


@pytest.mark.parametrize("skip", [0, 1, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("venue", COMPLETE)
def test_an_empty_page_is_not_the_end(small, venue, skip):
    small.faults = [Fault(PATHS[venue], "empty", 1, skip, body=str(START * 1_000_000))]
    history = day_of(small, venue)
    assert rows_of(history.tables["trades"]) == rows_in(small.tape)
    assert set(history.coverage["status"]) == {STATUS[venue]}


def test_a_time_out_is_asked_again(small):
    small.faults = [Fault("aggTrades", "slow", 1, 2)]
    assert rows_of(day_of(small, "binance").tables["trades"]) == rows_in(small.tape)


def test_a_limit_of_kraken_comes_at_200(small):
    limited = '{"error":["EAPI:Rate limit exceeded"]}'
    small.faults = [Fault("Trades", "nonsense", 3, 2, body=limited)]
    assert rows_of(day_of(small, "kraken").tables["trades"]) == rows_in(small.tape)


@pytest.mark.parametrize("last_page", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_thousands_of_trades_in_one_millisecond(last_page):
    at = START + 5 * HOUR
    base = make(1000)
    time = np.sort(np.concatenate([base.time, np.full(2500, at)]))
    rows = np.arange(len(time)) % len(base)
    tape = Tape(time, np.arange(len(time)) + 1, base.price[rows], base.size[rows], base.sell[rows])
    with serving(tape) as server:
        server.last_page = last_page
        for venue in ("binance", "okx", "kraken"):
            assert rows_of(day_of(server, venue).tables["trades"]) == rows_in(tape), venue
            for since in (at, at + 1, at - 500) if venue == "binance" else (at,):
                part = day_of(server, venue, since=since)
                assert rows_of(part.tables["trades"]) == rows_in(tape.only(tape.time >= since)), (venue, since)
                assert set(part.coverage["status"]) == {STATUS[venue]}


def test_a_window_that_gives_its_last_page(small):
    small.last_page = True
    for since in (START, START + HOUR, START + 13 * HOUR + 7):
        history = day_of(small, "binance", since=since, until=START + 20 * HOUR)
        inside = (small.tape.time >= since) & (small.tape.time < START + 20 * HOUR)
        assert rows_of(history.tables["trades"]) == rows_in(small.tape.only(inside))
        assert set(history.coverage["status"]) == {"complete"}


def test_a_second_of_coinbase_that_holds_more_than_a_page_is_a_gap_with_its_count():
    at = START + 6 * HOUR
    with serving(in_one_second(make(4000), at, 2600)) as server:
        history = day_of(server, "coinbase")
        missing = len(server.tape) - len(history.tables["trades"])
        assert 1500 <= missing <= 1700  # of 2,600 and what else was traded in that second
        assert history.gaps["missing"].sum() == missing
        assert history.gaps["since"].between(at - HOUR, at + 1000).all()
        assert history.coverage["status"].tolist() == ["gap", "complete"]
        gap_day = history.coverage.iloc[0]
        assert gap_day["expected"] - gap_day["got"] == missing
        assert gap_day["proof"] == "none"


@pytest.mark.parametrize("venue", ["binance", "kraken", "coinbase"])
def test_ids_that_jump_are_a_gap_with_its_count(venue):
    whole = make(2500)
    at = int(np.searchsorted(whole.time, START + 20 * HOUR))
    tape = whole.only(np.r_[0:at, at + 37 : len(whole)])
    with serving(tape) as server:
        history = day_of(server, venue)
        assert rows_of(history.tables["trades"]) == rows_in(tape)
        (gap,) = history.gaps.itertuples()
        assert (gap.since, gap.until, gap.missing) == (whole.time[at - 1], whole.time[at + 37], 37)
        assert history.coverage["status"].tolist() == ["complete", "gap"]


@pytest.mark.parametrize("venue", ["binance", "kraken", "coinbase"])
def test_a_day_whose_ids_begin_anew_is_not_complete(venue):
    whole = make(2500)
    at = int(np.searchsorted(whole.time, START + 20 * HOUR))
    tape = whole.renumbered(np.r_[whole.id[:at], np.arange(1, len(whole) - at + 1)])
    with serving(tape) as server:
        history = day_of(server, venue)
        assert set(rows_of(history.tables["trades"])) == set(rows_in(tape))
        assert len(history.tables["trades"]) == len(tape)
        assert history.coverage["status"].tolist()[1] == "gap"
        assert history.gaps["missing"].isna().all()


def test_trades_with_one_id_at_two_times_are_two():
    whole = make(4000)
    half = len(whole) // 2
    tape = whole.renumbered(np.r_[np.arange(1, half + 1), np.arange(1, half + 1)])
    with serving(tape) as server:
        history = day_of(server, "kraken")
        assert len(history.tables["trades"]) == len(tape)
        assert "complete" not in set(history.coverage["status"][history.coverage["got"] > 0][1:])


@pytest.mark.parametrize("venue", ["binance", "kraken", "coinbase"])
def test_a_day_without_a_trade_is_empty_where_ids_prove_it(venue):
    base = make(3000, hours=12)
    time = np.where(np.arange(3000) < 1500, base.time, base.time + 60 * HOUR)
    tape = Tape(time, base.id, base.price, base.size, base.sell)
    with serving(tape) as server:
        history = day_of(server, venue, until=int(time[-1]) + 1)
        days = history.coverage.set_index("day")
        assert days.loc["2025-06-03", ["expected", "got", "proof", "status"]].tolist() == [0, 0, "ids", "empty"]
        assert days.loc["2025-06-02", "status"] == days.loc["2025-06-05", "status"] == "complete"


def test_no_rows_and_no_proof_is_not_empty(server):
    history = day_of(server, "okx", since=START - 10 * DAY, until=START - 9 * DAY)
    assert len(history.tables["trades"]) == 0
    assert set(history.coverage["status"]) == {"gap"}


def test_silence_before_the_first_trade_that_is_served_is_not_proven(server):
    history = day_of(server, "binance", since=START - 30 * HOUR, until=START + DAY)
    days = history.coverage.set_index("day")["status"]
    assert days["2025-06-01"] == "unproven"
    assert days["2025-06-03"] == "complete"


@pytest.mark.parametrize(("market", "symbol"), [("perpetual", "BTC/USDT:USDT"), ("inverse", "BTC/USD:BTC")])
@pytest.mark.parametrize("venue", ["binance", "bybit"])
def test_inverse_markets_tell_dollars_and_coins(server, venue, market, symbol):
    history = fetch("BTC", server.instance(venue), ("trades",), since=START, until=START + DAY, market=market)
    table = history.tables["trades"]
    tape = server.tape.only(np.arange(len(server.tape))[-len(table) :])
    assert history.symbol == symbol
    assert set(table["symbol"].to_pylist()) == {symbol}
    if market == "perpetual":
        assert "usd" not in table.column_names
        return
    dollars = np.round(tape.size * 1000) * (wire.INVERSE_CONTRACT if venue == "binance" else 1.0)
    assert table["usd"].to_pylist() == dollars.tolist()
    assert table["size"].to_pylist() == (dollars / tape.price).tolist()


def test_swaps_counted_in_contracts_come_in_coins(server):
    history = fetch("BTC-USDT-SWAP", server.instance("okx"), ("trades",), since=START, until=START + HOUR)
    tape = server.tape.only(server.tape.time < START + HOUR)
    np.testing.assert_allclose(history.tables["trades"]["size"].to_numpy(), tape.size, rtol=1e-15)


@pytest.mark.parametrize("venue", ["binanceusdm", "binancecoinm"])
def test_the_classes_of_binance_for_one_margin_each(server, venue):
    history = day_of(server, venue, until=START + HOUR)
    assert set(history.coverage["status"]) == {"complete"}
    assert len(history.tables["trades"]) == len(server.tape.between(START, START + HOUR))


def test_progress_goes_from_nothing_to_all(server):
    heard: list[tuple[str, int, int]] = []
    day_of(server, "binance", progress=lambda *told: heard.append(told))
    done = [one for _, one, _ in heard]
    assert done == sorted(done)
    assert heard[-1] == ("trades", DAY, DAY)


def test_since_is_included_and_until_is_not(small):
    time = small.tape.time
    since, until = int(time[500]), int(time[1500])
    for venue in COMPLETE:
        history = day_of(small, venue, since=since, until=until)
        assert rows_of(history.tables["trades"]) == rows_in(small.tape.only((time >= since) & (time < until))), venue


def test_block_trades_of_bybit_are_left_out_as_in_its_streams(small, monkeypatch):
    make_trade = wire._bybit_trade

    def trade(tape: Tape, category: str, row: int) -> dict[str, Any]:
        return make_trade(tape, category, row) | {"isBlockTrade": row % 2 == 0}

    monkeypatch.setattr(wire, "_bybit_trade", trade)
    history = day_of(small, "bybit")
    want = [(time, wire.uuid(int(ident))) for time, ident in rows_in(small.tape)[-1000:]][1::2]
    assert rows_of(history.tables["trades"]) == want
    assert len(history.gaps) == 1  # a page that was full, whatever is left of it
