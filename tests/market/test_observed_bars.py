"""Single liquidations to sums a bar: a zero where the feed was heard, no row where it was not."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest

from liquidator_integrations import observed_bars
from liquidator_integrations.tables.observed import read_feed

MINUTE, HOUR = 60_000, 3_600_000
START = 1_700_006_400_000  # a whole hour


def event(minute: float, usd: float = 1000.0, side: str = "long", **more):
    return {"time": START + round(minute * MINUTE), "price": 100.0, "usd": usd, "side": side, **more}


def rows(frame: pd.DataFrame) -> list[tuple[int, float, float]]:
    return [
        ((row.time - START) // MINUTE, row.long_usd, row.short_usd) for row in frame.itertuples(index=False, name="Row")
    ]


def test_a_bar_heard_whole_has_a_row_and_no_other():
    alive = [(START + 90_000, START + 5 * MINUTE), (START + 8 * MINUTE, START + 9 * MINUTE)]
    events = [event(3.5), event(3.2, 500.0), event(4.0, 7.0, "short")]
    frame = observed_bars(events, "1m", alive)
    assert rows(frame) == [(2, 0.0, 0.0), (3, 1500.0, 0.0), (4, 0.0, 7.0), (8, 0.0, 0.0)]
    assert frame.dtypes.astype(str).tolist() == ["int64", "float64", "float64"]
    assert len(observed_bars(events, "5m", alive)) == 0


def test_spans_join_whatever_their_form_and_order():
    at = datetime.fromtimestamp(START / 1000, UTC)
    alive = [(START + HOUR // 2, START + HOUR), (at, "2023-11-15T00:40:00Z")]
    assert len(observed_bars([], "1h", alive)) == 1
    assert observed_bars([], "1h", []).columns.tolist() == ["time", "long_usd", "short_usd"]


def test_what_is_left_out_is_told(caplog):
    events = [event(0.5, id=1), event(0.5, id=1), event(7.0, id=2)]
    with caplog.at_level(logging.WARNING, "liquidator"):
        frame = observed_bars(events, "1m", [(START, START + MINUTE)])
    assert rows(frame) == [(0, 1000.0, 0.0)]
    assert caplog.messages == ["1 events repeat an id, 1 lie in bars not heard whole: left out"]


def test_an_id_of_another_venue_is_another_event():
    events = [event(0.5, id=1, venue="binance"), event(0.5, id=1, venue="okx")]
    assert rows(observed_bars(events, "1m", [(START, START + MINUTE)])) == [(0, 2000.0, 0.0)]


def test_the_order_of_events_does_not_show():
    rng = np.random.default_rng(3)
    events = [
        event(float(at), float(usd)) for at, usd in zip(rng.random(200) * 3, rng.lognormal(8, 3, 200), strict=True)
    ]
    one = observed_bars(events, "1m", [(START, START + 3 * MINUTE)])
    two = observed_bars([events[row] for row in rng.permutation(200)], "1m", [(START, START + 3 * MINUTE)])
    assert one.equals(two)


def test_a_venues_sides_are_its_own():
    said = [event(0.5, side="Buy")]
    assert rows(observed_bars(said, "1m", [(START, START + MINUTE)], venue="bybit")) == [(0, 1000.0, 0.0)]
    assert rows(observed_bars(said, "1m", [(START, START + MINUTE)], venue="binance")) == [(0, 0.0, 1000.0)]


def test_it_is_what_liquidation_at_risk_observes():
    frame = observed_bars([event(30.0), event(70.0, 5.0, "short")], "1h", [(START, START + 3 * HOUR)])
    feed = read_feed(frame)
    assert feed.step == HOUR
    assert feed.usd.tolist() == [[1000.0, 0.0, 0.0], [0.0, 5.0, 0.0]]


@pytest.mark.parametrize(
    ("alive", "error", "said"),
    [
        ([(START, START)], ValueError, "alive, span 0: found 2023-11-15T00:00"),
        ([(START, START + 1), (START,)], TypeError, r"alive, span 1: found .*, allowed \(since, until\)"),
        (["ab"], TypeError, "alive, span 0"),
        ([("a", "b")], ValueError, "time: found 'a'"),
    ],
)
def test_spans_that_are_none(alive, error, said):
    with pytest.raises(error, match=said):
        observed_bars([event(0)], "1m", alive)


def test_events_and_timeframes_that_are_none():
    with pytest.raises(ValueError, match="timeframe must be one of"):
        observed_bars([event(0)], "7m", [(START, START + MINUTE)])
    with pytest.raises(ValueError, match=r"row 1 .*usd: found -1"):
        observed_bars([event(0), event(0, -1.0)], "1m", [(START, START + MINUTE)])
