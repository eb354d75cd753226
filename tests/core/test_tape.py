"""The tape against a naive twin, and its laws."""

from __future__ import annotations

import math

import naive
import numpy as np
import pytest

from liquidator_core import BAR, TRADE, Params
from liquidator_core.tape import bars_from_trades, close_bars, fold_trades, new_tape

PARAMS = Params(tape_ms=1000, large_trades=7, large_mult=4.0)


def made_trades(count: int, seed: int, step: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    trades = np.zeros(count, TRADE)
    trades["time"] = 1_700_000_000_123 + np.cumsum(rng.integers(0, step, count) * (1 + 20 * (rng.random(count) < 0.01)))
    trades["price"] = 50 * np.exp(np.cumsum(rng.normal(0, 0.001, count)))
    trades["size"] = rng.lognormal(0, 1.5, count)
    trades["side"] = rng.choice([-1, 1], count)
    return trades


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_naive_twin(seed):
    trades = made_trades(3000, seed)
    bars = bars_from_trades(trades, PARAMS)
    expected = naive.bars_from_trades(naive.as_dicts(trades), PARAMS)
    assert len(bars) == len(expected)
    assert np.nansum(bars["large_buy_usd"]) > 0
    assert (bars["volume"] == 0).any()
    for bar, twin in zip(bars, expected, strict=True):
        for name, value in twin.items():
            assert bar[name] == pytest.approx(value, rel=1e-12, nan_ok=True), name
        assert math.isnan(bar["liq_long_usd"])


@pytest.mark.parametrize("pieces", [1, 2, 50])
def test_chunks_and_a_full_output_change_nothing(pieces):
    trades = made_trades(800, 5)
    whole = bars_from_trades(trades, PARAMS)
    record = PARAMS.to_record()
    tape = new_tape()
    room = np.zeros(3, BAR)
    got = []
    for piece in np.array_split(trades, pieces):
        left = piece
        while len(left):
            used, made = fold_trades(tape, record, left, room)
            got.append(room[:made].copy())
            left = left[used:]
    assert np.concatenate(got).tobytes() == whole.tobytes()


def test_a_bar_depends_on_its_trades_and_the_ones_just_before():
    trades = made_trades(900, 6)
    whole = bars_from_trades(trades, PARAMS)
    cut = 400
    while trades["time"][cut] // 1000 == trades["time"][cut - 1] // 1000:
        cut += 1
    late = bars_from_trades(trades[cut - PARAMS.large_trades :], PARAMS)
    first = int(trades["time"][cut]) // 1000 * 1000
    assert late[late["time"] >= first].tobytes() == whole[whole["time"] >= first].tobytes()


def test_trades_are_not_changed_and_unknown_sides_make_taker_volume_unknown():
    trades = made_trades(100, 7)
    trades["side"][50] = 0
    before = trades.tobytes()
    bars = bars_from_trades(trades, PARAMS)
    assert trades.tobytes() == before
    at = np.searchsorted(bars["time"], trades["time"][50], side="right") - 1
    assert math.isnan(bars["taker_buy"][at])
    assert np.isnan(bars["taker_buy"]).sum() == 1


def test_a_wrong_time_unit_and_no_trades_are_refused():
    trades = made_trades(1000, 8)
    trades["time"] *= 1_000_000
    with pytest.raises(ValueError, match=r"make \d+ bars of 1000 ms; 1 to 20,000,000 are allowed"):
        bars_from_trades(trades, PARAMS)
    with pytest.raises(ValueError, match="no trades"):
        bars_from_trades(trades[:0], PARAMS)


def test_other_arrays_are_refused():
    with pytest.raises(TypeError, match="fold_trades takes"):
        fold_trades(new_tape(), PARAMS.to_record(), np.zeros(3), np.zeros(3, BAR))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("time", 0, "row 50: time is 0 after"),
        ("price", -1.0, "row 50: price is -1.0, allowed is a finite number above 0"),
        ("price", math.nan, "row 50: price is nan"),
        ("size", 0.0, "row 50: size is 0.0"),
    ],
)
def test_bad_rows_are_named(field, value, says):
    trades = made_trades(100, 9)
    trades[field][50] = value
    with pytest.raises(ValueError, match=says):
        bars_from_trades(trades, PARAMS)


@pytest.mark.parametrize("seed", range(3))
def test_bars_closed_by_the_clock_are_those_that_trades_would_close(seed):
    trades = made_trades(1500, seed, step=900)
    whole = bars_from_trades(trades, PARAMS)
    assert (whole["volume"] == 0).any()
    record = PARAMS.to_record()
    tape = new_tape()
    assert close_bars(tape, record, int(trades["time"][-1]), np.zeros(9, BAR)) == 0  # no trade, no bar
    got = []
    edges = np.unique(np.random.default_rng(seed).choice(whole["time"], 200))
    first = 0
    for until in edges.tolist():
        room = np.zeros(len(whole) + 1, BAR)
        last = int(np.searchsorted(trades["time"], until))
        used, made = fold_trades(tape, record, trades[first:last], room)
        assert used == last - first
        made += close_bars(tape, record, until, room[made:])
        assert close_bars(tape, record, until, room) == 0
        got.append(room[:made].copy())
        first = last
    got = np.concatenate(got)
    assert got.tobytes() == whole[: len(got)].tobytes()
    assert got["time"][-1] + PARAMS.tape_ms == edges[-1]


def test_closing_stops_where_there_is_no_room():
    trades = made_trades(10, 1, step=10)
    record, tape, room = PARAMS.to_record(), new_tape(), np.zeros(2, BAR)
    fold_trades(tape, record, trades, room)
    until = int(trades["time"][-1]) + 5000
    assert [close_bars(tape, record, until, room) for _ in range(4)] == [2, 2, 1, 0]
    with pytest.raises(TypeError, match="close_bars takes"):
        close_bars(tape, record, until, np.zeros(3))
