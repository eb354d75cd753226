"""Timeframes: anchors, closed bars only, and a naive merge."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from liquidator_core import BAR, ZONE
from liquidator_core.alignment import alignment, overlap, share
from liquidator_core.timeframes import TIMEFRAMES, bar_spans, known_from, step_ms, timeframe_ms, to_timeframe

HOUR = 3_600_000


@pytest.mark.parametrize(
    ("hours", "step"),
    [
        ([], 0),
        ([5], 0),
        ([0, 1], 1),
        ([0, 3, 4], 1),  # as often: the shortest
        ([0, 1, 2, 2.5, 3.5, 4.5, 9], 1),  # a venue that came back beside its grid, a hole
        ([0, 2, 4, 5, 7], 2),
    ],
)
def test_the_step_of_bars_is_the_usual_one(hours, step):
    assert step_ms((np.array(hours) * HOUR).astype(np.int64)) == step * HOUR


def test_rows_beside_the_grid_belong_where_they_begin():
    """Binance's spot history of February 2018 has hours that open at 28 minutes and 14 seconds."""
    bars = walk(48, HOUR, ms(2018, 2, 8))
    bars["time"][5:14] += 1_694_000
    higher = to_timeframe(bars, "4h")
    assert len(higher) == 12
    assert higher["time"].tolist() == [ms(2018, 2, 8 + day, hour) for day in (0, 1) for hour in range(0, 24, 4)]
    assert higher["volume"].sum() == bars["volume"].sum()
    shifted = walk(48, HOUR, ms(2018, 2, 8) + 1_694_000)
    with pytest.raises(ValueError, match="would lie in two of them"):
        to_timeframe(shifted, "4h")


def test_a_higher_bar_is_known_once_its_last_row_is():
    """Minutes behind hours: the usual step is an hour, and a minute lasts no hour."""
    hours, minutes = walk(30, HOUR, ms(2024, 1, 1)), walk(91, HOUR // 60, ms(2024, 1, 2, 6))
    bars = np.concatenate([hours, minutes])
    assert step_ms(bars["time"][:40]) == HOUR
    for rows in (40, 61, 89):
        assert to_timeframe(bars[:rows], "1h", HOUR)["time"][-1] == ms(2024, 1, 2, 5)
    assert to_timeframe(bars[:90], "1h", HOUR)["time"][-1] == ms(2024, 1, 2, 6)
    ends = np.array([ms(2024, 1, 2, 6), ms(2024, 1, 2, 7)])
    assert known_from(bars["time"], ends, HOUR).tolist() == [29, 89]
    assert known_from(bars["time"][:60], ends, HOUR).tolist() == [29, 60]


def ms(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp() * 1000)


def walk(rows: int, step: int, start: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    bars = np.zeros(rows, BAR)
    for name in BAR.names:
        bars[name] = math.nan if name != "time" else 0
    bars["time"] = start + step * np.arange(rows)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, rows)))
    bars["open"] = np.r_[100.0, close[:-1]]
    bars["close"] = close
    bars["high"] = np.maximum(bars["open"], close) * 1.003
    bars["low"] = np.minimum(bars["open"], close) * 0.997
    bars["volume"] = rng.integers(1, 100, rows)
    bars["liq_long_usd"] = np.where(rng.random(rows) < 0.5, rng.integers(1, 9, rows), math.nan)
    bars["liq_long_price"] = np.where(np.isnan(bars["liq_long_usd"]), math.nan, bars["low"])
    return bars


@pytest.mark.parametrize(
    ("timeframe", "start", "end"),
    [
        ("1m", (2024, 2, 29, 13, 47), (2024, 2, 29, 13, 48)),
        ("15m", (2024, 2, 29, 13, 45), (2024, 2, 29, 14, 0)),
        ("4h", (2024, 2, 29, 12, 0), (2024, 2, 29, 16, 0)),
        ("1d", (2024, 2, 29, 0, 0), (2024, 3, 1, 0, 0)),
        ("3d", (2024, 2, 29, 0, 0), (2024, 3, 3, 0, 0)),  # 19782 days after the epoch: a multiple of 3
        ("1w", (2024, 2, 26, 0, 0), (2024, 3, 4, 0, 0)),  # Monday
        ("1M", (2024, 2, 1, 0, 0), (2024, 3, 1, 0, 0)),
    ],
)
def test_anchors(timeframe, start, end):
    assert [span.item() for span in bar_spans(np.array([ms(2024, 2, 29, 13, 47)]), timeframe)] == [ms(*start), ms(*end)]


def test_unknown_timeframe_names_the_known_ones():
    with pytest.raises(ValueError, match=r"one of 1m, 3m, .*got '7m'"):
        timeframe_ms("7m")


@pytest.mark.parametrize("timeframe", [timeframe for timeframe in TIMEFRAMES if timeframe_ms(timeframe) >= HOUR])
def test_merge_equals_a_naive_one(timeframe):
    bars = walk(24 * 100, HOUR, ms(2024, 1, 10, 5))
    merged = {int(bar["time"]): bar for bar in to_timeframe(bars, timeframe)}
    groups: dict[int, list] = {}
    for bar in bars:
        groups.setdefault(naive_start(int(bar["time"]), timeframe), []).append(bar)
    last_end = int(bars["time"][-1]) + HOUR
    whole = {}
    for start, group in groups.items():
        end = naive_end(start, timeframe)
        if int(group[0]["time"]) == start and end <= last_end:
            whole[start] = group
    assert merged.keys() == whole.keys()
    assert merged or timeframe == "1M"
    for start, group in whole.items():
        bar = merged[start]
        assert bar["open"] == group[0]["open"]
        assert bar["close"] == group[-1]["close"]
        assert bar["high"] == max(row["high"] for row in group)
        assert bar["low"] == min(row["low"] for row in group)
        assert bar["volume"] == sum(row["volume"] for row in group)
        known = [row for row in group if row["liq_long_usd"] > 0]
        if known:
            usd = sum(row["liq_long_usd"] for row in known)
            assert bar["liq_long_usd"] == usd
            price = sum(row["liq_long_usd"] * row["liq_long_price"] for row in known) / usd
            assert bar["liq_long_price"] == pytest.approx(price, rel=1e-12)
        else:
            assert math.isnan(bar["liq_long_usd"])


def naive_start(time_ms: int, timeframe: str) -> int:
    moment = datetime.fromtimestamp(time_ms / 1000, UTC)
    midnight = moment.replace(hour=0, minute=0, second=0, microsecond=0)
    if timeframe == "1M":
        return int(midnight.replace(day=1).timestamp() * 1000)
    if timeframe == "1w":
        return int((midnight - timedelta(days=midnight.weekday())).timestamp() * 1000)
    return time_ms - time_ms % timeframe_ms(timeframe)


def naive_end(start: int, timeframe: str) -> int:
    if timeframe != "1M":
        return start + timeframe_ms(timeframe)
    moment = datetime.fromtimestamp(start / 1000, UTC)
    return ms(moment.year + moment.month // 12, moment.month % 12 + 1, 1)


def test_the_length_of_a_row_may_be_given():
    bars = walk(13, HOUR, ms(2024, 1, 10))[[0, 1, 2, 3, 9]]  # a hole, which says nothing of how long a row is
    assert to_timeframe(bars, "4h", HOUR).tobytes() == to_timeframe(bars, "4h").tobytes()
    assert len(to_timeframe(bars[:1], "1h", HOUR)) == 1
    assert len(to_timeframe(bars[[0, 4]], "4h", HOUR)) == 1
    assert len(to_timeframe(bars[:1], "1h")) == 0


def test_rows_without_prices_add_none():
    bars = walk(8, HOUR, ms(2024, 1, 10, 0))
    for name in ("open", "high", "low", "close"):
        bars[name][0] = math.nan
    merged = to_timeframe(bars, "4h")[0]
    assert merged["open"] == bars["open"][1]
    assert merged["close"] == bars["close"][3]


@pytest.mark.parametrize("unknown", [math.nan, -1.0, math.inf])
@pytest.mark.parametrize("rows", [[0], [2], [3], [0, 3], [0, 1, 2, 3]])
def test_a_volume_is_the_sum_of_what_is_known(rows, unknown):
    """As on the base timeframe, where a row of unknown volume is a row without turnover and hides no other's."""
    bars = walk(8, HOUR, ms(2024, 1, 10, 0))
    bars["taker_buy"] = bars["volume"] / 2
    expected = to_timeframe(bars, "4h")
    known = [volume for row, volume in enumerate(bars["volume"][:4]) if row not in rows]
    bars["volume"][rows] = unknown
    merged = to_timeframe(bars, "4h")
    np.testing.assert_equal(merged["volume"][0], sum(known) if known else math.nan)
    expected["volume"][0] = merged["volume"][0]
    assert merged.tobytes() == expected.tobytes()


@pytest.mark.parametrize("row", [0, 2, 3])
@pytest.mark.parametrize(("field", "value"), [("close", math.nan), ("high", math.inf), ("low", 1e9), ("open", -1.0)])
def test_a_row_that_the_engine_skips_adds_nothing(row, field, value):
    bars = walk(8, HOUR, ms(2024, 1, 10, 0))
    bars["open_interest"], bars["liq_long_usd"], bars["liq_long_price"] = np.arange(8.0), 5.0, bars["low"]
    others = np.delete(bars, row)
    bars[field][row] = value
    bars["volume"][row] = -3.0
    assert to_timeframe(bars, "4h", HOUR)[int(row == 0) :].tobytes() == to_timeframe(others, "4h", HOUR).tobytes()
    bars["close"][4:] = math.nan
    empty = to_timeframe(bars, "4h", HOUR)[1]
    assert (empty["volume"], empty["taker_buy"]) == (0.0, 0.0)
    assert all(math.isnan(empty[name]) for name in BAR.names[1:] if name not in ("volume", "taker_buy"))


def test_alignment_is_the_share_of_timeframes_that_overlap():
    zone = np.zeros(1, ZONE)
    zone["low"], zone["high"] = 100.0, 101.0
    none = np.zeros(0, ZONE)
    assert alignment(100.5, 102.0, [zone, none]) == 50.0
    assert alignment(101.0, 102.0, [zone]) == 100.0
    assert alignment(101.1, 102.0, [zone]) == 0.0
    assert math.isnan(alignment(1.0, 2.0, []))
    assert math.isnan(alignment(math.nan, math.nan, [zone]))


def test_overlap_takes_rows_with_zones_of_their_own():
    low, high = np.array([1.0, 1.0, math.nan, 1.0]), np.array([2.0, 2.0, math.nan, 2.0])
    lows = np.array([[0.0, 2.0], [0.0, 2.1], [1.0, 1.0], [1.0, math.nan]])
    rows = overlap(low, high, {"low": lows, "high": lows + 0.5})
    np.testing.assert_array_equal(rows, [1.0, 0.0, math.nan, math.nan])
    same = overlap(low, high, {"low": lows[0], "high": lows[0] + 0.5})
    np.testing.assert_array_equal(same, [1.0, 1.0, math.nan, 1.0])
    np.testing.assert_array_equal(share([rows, same]), [100.0, 50.0, math.nan, math.nan])


@pytest.mark.parametrize(("step", "timeframe"), [(8, "12h"), (4, "6h"), (72, "1w"), (168, "1M"), (2, "1h")])
def test_rows_that_do_not_fit_are_refused(step, timeframe):
    with pytest.raises(ValueError, match=rf"cannot be made into bars of {timeframe}: row \d+ would lie in two"):
        to_timeframe(walk(40, step * HOUR, ms(2024, 1, 1)), timeframe)


def test_times_that_go_back_are_refused():
    with pytest.raises(ValueError, match=r"row 1: time is \d+ after \d+ ms, allowed are times that rise"):
        to_timeframe(walk(8, HOUR, 0)[::-1].copy(), "4h")
