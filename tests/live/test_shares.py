"""What each venue brings to the bars of a coin."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from live_runs import SHORT, rows, until

from liquidator_integrations import Liquidator
from liquidator_integrations.live.channel import MINUTES, Channel
from liquidator_integrations.live.said import Row
from liquidator_integrations.live.shares import shares_of

MINUTE = 60_000
T = 1_700_000_040_000  # a minute begins


def market(venue: str, sink: Any) -> Channel:
    return Channel(venue, {"symbol": "BTC/USDT:USDT"}, sink, False, False, "none", T)


def row(minute: float, price: float, amount: float) -> Row:
    return Row(T + int(minute * MINUTE), price, amount, 1, str(minute))


def trade(channel: Channel, *some: Row) -> None:
    channel.sift(list(some), T)
    channel.count(some)


def test_a_share_is_one_of_the_usd_traded_at_the_markets_of_a_coin():
    btc, eth = SimpleNamespace(), SimpleNamespace()
    one, two, quiet, other = (market(v, s) for v, s in (("a", btc), ("b", btc), ("c", btc), ("a", eth)))
    trade(one, row(0, 100.0, 9.0), row(9.99, 100.0, 2.0))
    trade(two, row(5, 50.0, 12.0), row(0.5, 50.0, 2.0))
    trade(other, row(700, 3.0, 1.0))
    ten = shares_of([one, two, quiet, other], 10)
    assert ten.columns.tolist() == ["venue", "symbol", "usd", "share"]
    assert ten["usd"].tolist() == [1100.0, 700.0, 0.0, 3.0]
    assert ten["share"].tolist() == [1100 / 1800, 700 / 1800, 0.0, 1.0]
    assert shares_of([one, two, quiet, other], 5)["usd"].tolist() == [200.0, 600.0, 0.0, 3.0]
    assert np.isnan(shares_of([quiet], 5)["share"][0])
    assert shares_of([], 5).empty


def test_a_trade_of_a_time_to_come_hides_no_other():
    one = market("a", None)
    trade(one, row(1, 100.0, 9.0), row(1200, 100.0, 5.0), row(2, 100.0, 2.0))
    assert shares_of([one], 10)["usd"].tolist() == [1100.0]


def test_a_day_is_remembered():
    one = market("a", None)
    trade(one, *(row(minute, 1.0, 1.0) for minute in range(2 * MINUTES)))
    assert len(one.traded) == MINUTES
    assert shares_of([one], MINUTES)["usd"].tolist() == [MINUTES]
    for minutes in (0, MINUTES + 1):
        with pytest.raises(ValueError, match=f"minutes: found {minutes}, allowed 1 to 1440"):
            shares_of([one], minutes)


def test_a_stream_tells_them_gaps_included(server):
    made = Liquidator("BTC", mode="streaming")
    stream = made.start_stream(exchange=[server.live("binance"), server.live("bybit")])
    server.connected("binance")
    server.connected("bybit")
    server.show(800)
    server.send("binance", [*range(300), *range(400, 800)])
    server.send("bybit", range(0, 800, 2))
    until(lambda: stream.health()["trades"].sum() == 1200 and stream.health()["queue"].sum() == 0, "trades")
    told = stream.shares(MINUTES).set_index("venue")
    stream.stop()
    usd = {
        venue: sum(one["price"] * one["base_size"] for one in rows(SHORT, venue, which))
        for venue, which in (("binance", range(800)), ("bybit", range(0, 800, 2)))
    }
    for venue, mine in usd.items():
        assert told.loc[venue, "usd"] == pytest.approx(mine)
        assert told.loc[venue, "share"] == pytest.approx(mine / sum(usd.values()))
