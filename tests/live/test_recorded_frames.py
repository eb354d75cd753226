"""Sides, amounts, prices and times of frames that venues have sent; ``recorded/README.md`` says where they are from."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from liquidator_integrations.exchanges.client import tap_trades
from liquidator_integrations.live.channel import Channel
from liquidator_integrations.live.raw import MODULES
from liquidator_integrations.live.said import Liquidation, Trades

FRAMES = json.loads((Path(__file__).parent / "recorded" / "frames.json").read_text())
SIDES = {"buy": 1, "sell": -1}
CONTRACTS: dict[tuple[str, str], dict[str, Any]] = {
    ("binance", "BTC/USD:BTC"): {"contractSize": 100.0, "inverse": True},
    ("okx", "BTC/USDT:USDT"): {"contractSize": 0.01},
    ("okx", "BTC/USD:BTC"): {"contractSize": 100.0, "inverse": True},
}


def channel_of(one: dict[str, Any]) -> Channel:
    contract = {"contract": ":" in one["symbol"], "contractSize": 1.0, "inverse": False}
    market = {"symbol": one["symbol"], **contract, **CONTRACTS.get((one["venue"], one["symbol"]), {})}
    module = MODULES.get(one["venue"])
    return Channel(one["venue"], market, None, False, module is None or module.NUMBERED, "none", 0)


def by_ccxt(venue: str, symbol: str, frame: dict[str, Any]) -> dict[str, Any]:
    """The trade that ccxt.pro's handler puts into its cache."""
    import ccxt.pro

    instance = getattr(ccxt.pro, venue)()
    base, quote = symbol.split("/")
    market = {"symbol": symbol, "base": base, "quote": quote, "spot": True, "type": "spot", "precision": {}}
    instance.set_markets([instance.safe_market_structure({"id": f"{base}-{quote}", "wsId": symbol, **market})])
    client = SimpleNamespace(resolve=lambda *_: None, subscriptions={}, futures={}, url="")
    heard: list[dict[str, Any]] = []
    with tap_trades(instance, symbol, heard.append):
        instance.handle_message(client, frame)
    (trade,) = heard
    return trade


OURS = [one for one in FRAMES if one["venue"] in MODULES]
OTHERS = [one for one in FRAMES if one["venue"] not in MODULES]


@pytest.mark.parametrize("one", OURS, ids=[f"{one['venue']} {one['says'][0][0]} {one['symbol']}" for one in OURS])
def test_a_frame_of_a_venue_says_what_it_means(one):
    frame = one["frame"]
    if frame.get("arg", {}).get("channel") == "trades":
        frame = {**frame, "arg": {**frame["arg"], "channel": "trades-all"}}
    channel = channel_of(one)
    found: list[list[Any]] = []
    for said in MODULES[one["venue"]].read(frame):
        if isinstance(said, Trades):
            found += [["trade", *row[:3], row.side, row.id] for row in channel.converted(said.rows, 2**41)]
        else:
            assert isinstance(said, Liquidation)
            found.append(["liquidation", said.time, said.price, channel.coins(said.amount, said.price), said.side])
    want = [[*row[:4], SIDES.get(row[4], row[4]), *row[5:]] for row in one["says"]]
    assert [row[:3] + row[4:] for row in found] == [row[:3] + row[4:] for row in want]
    assert [row[3] for row in found] == pytest.approx([row[3] for row in want], rel=1e-15)
    assert channel.counts["dropped"] == 0


@pytest.mark.parametrize("one", OTHERS, ids=[one["venue"] for one in OTHERS])
def test_a_trade_through_ccxt_says_what_it_means(one):
    frame = one["frame"]
    if frame.get("type") == "last_match":
        frame = {**frame, "type": "match"}
    trade = by_ccxt(one["venue"], one["symbol"], frame)
    ((_, *want),) = one["says"]
    assert [trade[name] for name in ("timestamp", "price", "amount", "side")] == want[:4]
    assert str(trade["id"]) == str(want[4])


def test_takers_of_hyperliquid_bought_at_the_ask_and_sold_at_the_bid():
    sides = []
    for one in FRAMES:
        for row in one["says"] if "book" in one else []:
            bid, ask = one["book"]
            assert row[2] >= ask if row[4] == "buy" else row[2] <= bid
            sides.append(row[4])
    assert (sides.count("buy"), sides.count("sell")) == (4, 9)


def test_every_venue_and_both_sides_are_there():
    told = {(one["venue"], row[0]) for one in FRAMES for row in one["says"]}
    assert {(venue, "trade") for venue in ("binance", "bybit", "okx", "hyperliquid")} <= told
    assert {(venue, "liquidation") for venue in ("binance", "bybit", "okx")} <= told
    liquidated = {row[4] for one in FRAMES for row in one["says"] if row[0] == "liquidation"}
    assert liquidated == {"long", "short"}
