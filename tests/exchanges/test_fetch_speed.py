"""Speed, as ratios in one run: a page of trades against ccxt's own parse of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
import venue_wire as wire
from venue_server import serving
from venue_tape import START, make

from liquidator_integrations.exchanges import binance, bybit, client, coinbase, kraken, okx
from liquidator_integrations.exchanges.feed import Feed
from liquidator_integrations.store.kinds import checked

LEAST = 12.0


def best(job: Callable[[], Any], times: int) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        job()
        taken.append(time.perf_counter() - began)
    return min(taken)


PAGES = {
    "binance": ("fapi.binance.com", "fapi/v1/aggTrades", {"symbol": "BTCUSDT", "limit": "1000"}, None),
    "bybit": ("api.bybit.com", "v5/market/recent-trade", {"category": "linear", "limit": "1000"}, "result.list"),
    "okx": ("www.okx.com", "api/v5/market/history-trades", {"instId": "BTC-USDT-SWAP", "limit": "100"}, "data"),
    "coinbase": ("api.coinbase.com", "brokerage/market/products/BTC-USD/ticker", {"limit": "1000"}, "trades"),
    "kraken": ("api.kraken.com", "0/public/Trades", {"pair": "XXBTZUSD", "since": "0"}, "result.XXBTZUSD"),
}


@pytest.mark.parametrize("venue", PAGES)
def test_a_page_is_parsed_many_times_faster_than_by_ccxt(venue, capsys):
    host, path, params, where = PAGES[venue]
    with serving(make(3000)) as server:
        body, _ = wire.answer(server, host, path, params)
        instance = server.instance(venue)
        instance.load_markets()
    rows = body
    for name in where.split(".") if where else ():
        rows = rows[name]
    symbol = "BTC/USDT:USDT" if venue in ("binance", "bybit", "okx") else "BTC/USD"
    market = instance.market(symbol)
    module: Any = {"binance": binance, "bybit": bybit, "okx": okx, "coinbase": coinbase, "kraken": kraken}[venue]
    feed = Feed(client.Client(instance, True), market, "trades", START, START + 10**10, "1m", None, lambda *_: None)
    read = module.trade_columns

    def ours() -> Any:
        return checked("trades", read(feed, body))

    assert len(ours()["time"]) == len(rows)
    theirs, mine = [], []
    for _ in range(12):  # in turns, the least of each: others may need the processor, too
        theirs.append(best(lambda: instance.parse_trades(rows, market), 2))
        mine.append(best(ours, 8))
    ratio = min(theirs) / min(mine)
    with capsys.disabled():
        print(f" {venue}: {ratio:.0f} times", end="")
    assert ratio >= LEAST
