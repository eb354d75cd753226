"""Funding rates of whatever interval are rates of eight hours for the engine."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from liquidator_integrations import Liquidator
from liquidator_integrations.market.funding import hours_between, hours_of, intervals, per_unit, told_hours
from liquidator_integrations.market.liquidations import read_rates
from liquidator_integrations.store.kinds import finished, table_of

HOUR = 3_600_000
T = 1_700_006_400_000


def test_a_rate_of_eight_hours_is_as_it_was_to_the_byte():
    assert per_unit(0.0001, 8) == 0.0001
    assert per_unit(np.array([0.0001, 0.0001]), np.array([1.0, 4.0])).tolist() == [0.0008, 0.0002]


@pytest.mark.parametrize(
    ("info", "hours"),
    [
        ({"fundingInterval": 480}, 8.0),  # Bybit's instruments
        ({"fundingInterval": "60"}, 1.0),
        ({"fundingIntervalHour": "4"}, 4.0),  # its tickers
        ({"symbol": "A", "fundingIntervalHours": 4}, 4.0),  # Binance
        ({"interval": "8h"}, 8.0),  # ccxt
        ({"fundingInterval": "2000-01-01T08:00:00.000Z"}, 8.0),  # BitMEX
        ({"interval": None, "info": {}}, None),
        ({"fundingInterval": "weekly"}, None),
    ],
)
def test_what_a_description_tells(info, hours):
    assert told_hours(info) == hours


@pytest.mark.parametrize(
    ("said", "hours"), [("2h", 2.0), ("4H", 4.0), (4, 4.0), ("0", None), (480, None), (None, None), ("h", None)]
)
def test_hours_as_they_are_said(said, hours):
    assert hours_of(said) == hours or (hours is None and np.isnan(hours_of(said)))


def test_times_that_are_an_interval_apart():
    assert hours_between(T, T + 4 * HOUR + 7) == 4.0
    assert hours_between(T, T + 3 * HOUR) is None
    assert hours_between(T, T) is None


@pytest.mark.parametrize(
    ("hours", "told", "want"),
    [
        ([0, 8, 16], None, [8, 8, 8]),
        ([0, 1, 2], None, [1, 1, 1]),
        ([0, 8, 16, 24, 28, 32, 36], None, [8, 8, 8, 8, 4, 4, 4]),  # from 8 to 4
        ([0, 4, 8, 12, 20, 28, 36], None, [4, 4, 4, 4, 8, 8, 8]),
        ([0, 4, 20, 24], None, [4, 4, 4, 4]),  # rates are missing
        ([0, 1, 2, 4, 5], None, [1, 1, 1, 1, 1]),
        ([0, 1, 2, 4, 6, 7, 8], None, [1, 1, 1, 1, 1, 1, 1]),
        ([0, 2, 3], None, [1, 1, 1]),
        ([0], None, [8]),
        ([0, 8, 9, 16], [np.nan, np.nan, 1, np.nan], [8, 8, 1, 8]),
    ],
)
def test_what_no_venue_tells_is_the_time_between_rates_near_by(hours, told, want):
    said = np.full(len(hours), np.nan) if told is None else np.array(told, float)
    assert intervals(T + HOUR * np.array(hours), said, 8.0).tolist() == want


@pytest.mark.parametrize(
    ("rows", "want"),
    [
        ([{"time": T, "funding_rate": 1e-4}], [1e-4]),
        ([{"time": T, "funding_rate": 1e-4, "interval_hours": 1}], [8e-4]),
        ([{"timestamp": T, "fundingRate": 1e-4, "interval": "4h"}], [2e-4]),
        ([{"timestamp": T, "fundingRate": 1e-4, "interval": "4H"}], [2e-4]),
        ([{"timestamp": T, "fundingRate": 1e-4, "fundingInterval": 240}], [2e-4]),
        ([{"timestamp": T, "fundingRate": 1e-4, "interval": ""}], [1e-4]),
        ([{"timestamp": T, "fundingRate": 1e-4, "interval": float("nan")}], [1e-4]),
        ([{"fundingTime": T, "nextFundingTime": T + 2 * HOUR, "fundingRate": 1e-4}], [4e-4]),
        ([{"time": T + at * HOUR, "funding_rate": 1e-4, "interval_hours": None} for at in (0, 1)], [8e-4, 8e-4]),
    ],
)
def test_rates_that_are_read(rows, want):
    assert read_rates(rows).series["funding_rate"][1].tolist() == pytest.approx(want)


@pytest.mark.parametrize("said", ["240", "PT4H", "4 hours", 14400, "0"])
def test_an_interval_that_is_not_understood_is_refused(said):
    rows = [{"time": T, "funding_rate": 1e-4, "interval": one} for one in (type(said)(8), said)]
    with pytest.raises(ValueError, match=f"row 1, interval: found {said!r}, allowed hours, a day at most"):
        read_rates(rows)


@pytest.mark.parametrize(("venue", "hours"), [("hyperliquid", 1), ("binance", 8), ("bybit", 2)])
def test_the_engine_gets_one_unit_from_every_venue(venue, hours):
    """That of a day's history as it is fetched and kept."""
    time = T + HOUR * np.arange(hours, 25, hours)
    columns: dict[str, Any] = {"time": time, "funding_rate": np.full(len(time), 1e-4 * hours / 8)}
    table = finished(table_of("funding", columns, venue, "BTC/USDT:USDT"))
    assert table["funding_rate"].to_pylist() == columns["funding_rate"].tolist()  # as the venue tells it
    assert set(table["interval_hours"].to_pylist()) == {float(hours)}
    made = Liquidator("BTC", bar="1h")
    trades = {"time": T + HOUR * np.arange(26), "price": np.full(26, 9.0), "size": np.ones(26), "side": ["buy"] * 26}
    made.ingest_trades(pa.table(trades))
    made.ingest_funding_rates(table)
    assert made.bars()["funding_rate"][9:24] == pytest.approx(1e-4)
