"""When readings of open interest were known: the shift at which the price that they imply is the market's.

A reading tells coins and dollars, so that it tells the price of its moment. An end point that stamped the beginning of
an interval would agree with the market an interval later than its stamp.
"""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from places import SHARED

FIVE_MINUTES = 300_000


def read(name: str, *columns: str) -> list[np.ndarray]:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"needs {name}")
    table = pq.read_table(path)
    return [table[column].to_numpy() for column in columns]


def spread(price: np.ndarray, market: np.ndarray) -> float:
    """How far a price strays from the market's, less what is always between them (a perpetual's basis)."""
    ratio = np.log(price / market)
    return float(np.std(ratio - np.median(ratio)))


def test_binance_five_minute_readings_are_of_the_moment_of_their_stamp():
    time, coins, usd = read("truth_btcusdt_perp_oi_5m_to_2026-02.parquet", "ts", "oi", "oi_usd")
    hours, opens = read("truth_btcusdt_spot_1h_to_2026-02.parquet", "ts", "open")
    spreads = {}
    for shift in range(-3, 4):
        known, at, row = np.intersect1d(time, hours + shift * FIVE_MINUTES, return_indices=True)
        assert len(known) > 2000
        spreads[shift] = spread(usd[at] / coins[at], opens[row])
    assert min(spreads, key=spreads.__getitem__) == 0
    assert spreads[0] * 5 < min(spreads[-1], spreads[1])


def test_hyperliquid_readings_are_of_the_seconds_before_their_stamp():
    time, mark = read("hyperliquid_btc_oi_funding_1m_3d.parquet", "ts", "mark")
    moments, prices = read("hyperliquid_btc_trades_3d.parquet", "ts", "price")
    spreads = {}
    for shift in (-60_000, -30_000, -3_000, 30_000, 60_000):
        row = np.searchsorted(moments, time + shift) - 1
        spreads[shift] = spread(mark[row >= 0], prices[row[row >= 0]])
    assert min(spreads, key=spreads.__getitem__) == -3_000
