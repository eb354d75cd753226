"""Liquidations, funding and open interest through ccxt.pro and REST, and whose fault an error is."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from live_runs import PATIENCE, SHORT, rows, until
from venue_server import Fault
from venue_streams import FRAMES, Streams
from venue_wire import OKX_CONTRACT

from liquidator_integrations import Liquidator
from liquidator_integrations.exchanges.tables import open_amount
from liquidator_integrations.live import raw, running, venue
from liquidator_integrations.live.polled import unstreamed
from liquidator_integrations.store import Store

BTC = "BTC/USDT:USDT"
T = int(SHORT.time[50])


def bybit_frame(first: int) -> str:
    """Four liquidations of a frame: two longs, two shorts; Bybit tells the position's side."""
    sides = ("Buy", "Sell", "Buy", "Sell")
    data = [{"T": T + first + n, "s": "BTCUSDT", "S": side, "v": "2.5", "p": "50"} for n, side in enumerate(sides)]
    return json.dumps({"topic": "allLiquidation.BTCUSDT", "type": "snapshot", "ts": T, "data": data})


def okx_frame(first: int) -> str:
    """The same in contracts, in one row, of which ccxt keeps the first; OKX tells the closing order's side."""
    sides = (("long", "sell"), ("short", "buy"), ("long", "sell"), ("short", "buy"))
    details = [
        {"bkLoss": "0", "bkPx": "50", "ccy": "", "posSide": who, "side": side, "sz": "250", "ts": str(T + first + n)}
        for n, (who, side) in enumerate(sides)
    ]
    row = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "instFamily": "BTC-USDT", "uly": "BTC-USDT"}
    return json.dumps(
        {"arg": {"channel": "liquidation-orders", "instType": "SWAP"}, "data": [{**row, "details": details}]}
    )


def binance_frames(first: int) -> list[str]:
    orders = [
        {"s": "BTCUSDT", "S": side, "o": "LIMIT", "f": "IOC", "q": "2.5", "p": "49", "ap": "50", "X": "FILLED",
            "l": "2.5", "z": "2.5", "T": T + first + n}
        for n, side in enumerate(("SELL", "BUY", "SELL", "BUY"))
    ]  # fmt: skip
    return [json.dumps({"e": "forceOrder", "E": T, "o": order}) for order in orders]


LIQUIDATIONS: dict[str, tuple[str, str, Any]] = {  # ccxt's id -> the venue that it is a branch of, feed, frames
    "bybit": ("bybit", "full", lambda first: [bybit_frame(first)]),
    "okxus": ("okx", "sampled", lambda first: [okx_frame(first)]),
    "binance": ("binance", "sampled", binance_frames),
}


@pytest.fixture
def by_ccxt(monkeypatch):
    """Binance and Bybit without readers of our own."""
    for module in (running, venue):
        monkeypatch.setattr(module, "MODULES", {k: v for k, v in raw.MODULES.items() if k not in ("binance", "bybit")})


def started(server: Streams, name: str, **arguments: Any) -> tuple[Liquidator, Any, str]:
    """A stream through ccxt.pro that has one trade and everything subscribed to."""
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=server.live(name), **arguments)
    parent = LIQUIDATIONS[name][0]
    server.subscriptions(parent, 2)
    server.text(parent, FRAMES[parent](SHORT, 0))
    until(lambda: stream.health()["trades"].sum() == 1, "no trade")
    return made, stream, parent


@pytest.mark.parametrize("name", LIQUIDATIONS)
def test_every_liquidation_of_a_burst_is_taken_at_the_cache(server, by_ccxt, name, tmp_path):
    _, feed, frames = LIQUIDATIONS[name]
    made, stream, parent = started(server, name, store=tmp_path / "store")
    burst = [text for place in range(0, 400, 4) for text in frames(place)]
    server.text(parent, *burst, word="market" if name == "binance" else "")
    until(lambda: stream.health()["liquidations"].sum() == 400, "liquidations are lost")
    row = stream.health().iloc[0]
    stream.stop()
    price = 50.0 if name == "binance" else float(f"{SHORT.price[0]:.1f}")  # of bankruptcy: at the last trade's
    assert row["liquidation_feed"] == feed
    assert (row["raw_long_usd"], row["raw_short_usd"]) == pytest.approx((500 * price, 500 * price))
    assert row["dropped"] == 0
    assert len(made._history.liquidations.rows) == 400
    kept = Store(tmp_path / "store").read("liquidations", BTC, name).to_pylist()
    assert [one["side"] for one in kept[:4]] == ["long", "short", "long", "short"]
    assert {one["received"] for one in kept} == {int(SHORT.time[-1]) + 5}
    assert {one["size"] for one in kept} == {2.5 if name != "okxus" else 250 * OKX_CONTRACT}


def test_a_liquidation_that_cannot_be_read_is_counted(server, by_ccxt):
    _, stream, parent = started(server, "bybit")
    server.text(parent, bybit_frame(0).replace('"Buy"', '"Bye"'), bybit_frame(10))
    until(lambda: stream.health()["liquidations"].sum() == 4, "liquidations")
    assert stream.running
    stream.stop()
    assert stream.health()["dropped"].sum() == 1


def test_funding_comes_by_the_stream_that_ccxt_has(server):
    made, stream, parent = started(server, "okxus")
    server.subscriptions(parent, 3)
    said = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "fundingRate": "0.0003", "fundingTime": str(T + 1000)}
    server.text(parent, json.dumps({"arg": {"channel": "funding-rate"}, "data": [{**said, "ts": str(T)}]}))
    rates = made._history.rates
    until(lambda: len(rates["funding_rate"].rows), "no rate")
    stream.stop()
    assert rates["funding_rate"].rows["value"].tolist() == [0.0003]


def test_an_interval_of_funding_is_seen_as_its_times_lie_apart(server, quick):
    """OKX's rates have no time of their own in ccxt: they are of their receipt."""
    begin = int(SHORT.time[-1]) + 5
    clock = [begin]
    quick(now=lambda: clock[0])
    made, stream, parent = started(server, "okxus")
    server.subscriptions(parent, 3)
    rates = made._history.rates["funding_rate"]
    for count in (1, 2):
        said = {"instId": "BTC-USDT-SWAP", "instType": "SWAP", "fundingRate": "0.0003", "ts": str(T)}
        said |= {"fundingTime": str(begin + (count - 1) * 4 * 3_600_000)}
        server.text(parent, json.dumps({"arg": {"channel": "funding-rate"}, "data": [said]}))
        until(lambda count=count: len(rates.rows) == count, "no rate")
        clock[0] += 12_000
    stream.stop()
    assert rates.rows["value"].tolist() == [0.0003, 0.0006]


@pytest.mark.parametrize("method", ["trades", "liquidation"])
def test_what_an_engine_raises_ends_the_stream_and_counts_as_no_frame(server, by_ccxt, monkeypatch, method):
    made, stream, parent = started(server, "bybit")

    def fail(*_: Any) -> None:
        raise ValueError("engine")

    (sink,) = stream._wanted
    monkeypatch.setattr(sink, method, fail)
    server.text(parent, FRAMES[parent](SHORT, 1) if method == "trades" else bybit_frame(0))
    with pytest.raises(ValueError, match="engine"):
        stream.wait(PATIENCE)
    assert stream.health()["dropped"].sum() == 0
    assert made.coin == "BTC"


# What is not streamed -------------------------------------------------------------------------------------------------


def test_open_interest_of_binance_is_asked_for(server, quick):
    quick(poll_s=0.01)
    server.interest = ((T + 10_000 * n, 20_000.5 + n) for n in itertools.count())
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=server.live("binance"))
    interest = made._history.rates["open_interest"]
    until(lambda: len(interest.rows) > 2, "it is not asked for")
    stream.stop()
    assert interest.rows["value"][:3].tolist() == [20_000.5, 20_001.5, 20_002.5]


def test_funding_that_ccxt_has_no_stream_of_is_asked_for(server, by_ccxt):
    said = {"symbol": "BTCUSDT", "markPrice": "60000", "indexPrice": "60000", "lastFundingRate": "0.0002"}
    body = json.dumps({**said, "nextFundingTime": T + 1000, "time": T})
    server.faults = [Fault("fapi/v1/premiumIndex", "nonsense", 1, body=body)]
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=server.live("binance"))
    rates = made._history.rates["funding_rate"]
    until(lambda: len(rates.rows), "it is not asked for")
    stream.stop()
    assert rates.rows[["time", "value"]].tolist() == [(T, 0.0002)]


def test_a_reading_of_a_bar_that_is_over_counts_as_it_comes(server):
    made = Liquidator("BTC", mode="streaming")
    made.ingest_trades(rows(SHORT, "binance", range(3000)))
    server.interest = iter([(int(SHORT.time[0]), 20_000.5)])
    stream = made.start_stream(exchange=server.live("binance"))
    interest = made._history.rates["open_interest"]
    until(lambda: len(interest.rows), "it is not applied")
    stream.stop()
    assert interest.rows["time"].tolist() == [int(SHORT.time[-1]) + 5]
    assert made._history.late["rates"] == 0


def test_what_does_not_answer_is_told_once(server, quick, caplog):
    quick(poll_s=0.001)
    server.faults = [Fault("fapi/v1/openInterest ", 404, 10_000)]
    stream = Liquidator("BTC", mode="streaming").start_stream(exchange=server.live("binance"))
    until(lambda: len(server.asked("v1/openInterest")) > 5, "it is not asked for again")
    assert stream.running
    stream.stop()
    assert caplog.text.count("fetchOpenInterest is not known yet") == 1


def test_open_interest_is_that_of_one_side():
    """Bybit's branches and HTX tell the sum of both."""
    answer = {"openInterestAmount": 900.0}
    assert [open_amount(answer, venue) for venue in ("bybiteu", "bybitid", "htx", "bitget")] == [450.0] * 3 + [900.0]


class Instance:
    def __init__(self, *has: str) -> None:
        self.has = dict.fromkeys(has, True)


@pytest.mark.parametrize(
    ("has", "market", "kinds"),
    [
        (("fetchOpenInterest", "fetchFundingRate"), {}, ["funding", "open_interest"]),
        (("fetchOpenInterest", "fetchFundingRate", "watchFundingRate"), {}, ["open_interest"]),
        (("fetchFundingRate",), {}, ["funding"]),
        ((), {}, []),
        (("fetchOpenInterest",), {"contractSize": 0.01}, []),  # contracts or coins: not known
        (("fetchOpenInterest",), {"linear": False}, []),
        (("fetchOpenInterest", "fetchFundingRate"), {"swap": False}, []),
    ],
)
def test_what_is_asked_for_is_what_is_not_streamed_and_is_known_to_be_coins(has, market, kinds):
    from types import SimpleNamespace

    channel: Any = SimpleNamespace(market={"swap": True, "linear": True, "contractSize": 1.0, **market})
    assert [kind for _, kind in unstreamed(Instance(*has), [channel], None)] == kinds
