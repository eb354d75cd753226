"""The tape against a naive twin, and its laws."""

from __future__ import annotations

import math

import numpy as np
import pytest

from liquidator_core import BAR, TRADE, Params
from liquidator_core.tape import bars_from_trades, fold_trades, new_tape

PARAMS = Params(tape_ms=1000, large_trades=7, large_mult=4.0)


def made_trades(count: int, seed: int, step: int = 300) -> np.ndarray:
    rng = np.random.default_rng(seed)
    trades = np.zeros(count, TRADE)
    trades["time"] = 1_700_000_000_123 + np.cumsum(rng.integers(0, step, count) * (1 + 20 * (rng.random(count) < 0.01)))
    trades["price"] = 50 * np.exp(np.cumsum(rng.normal(0, 0.001, count)))
    trades["size"] = rng.lognormal(0, 1.5, count)
    trades["side"] = rng.choice([-1, 1], count)
    return trades


def naive_bars(trades: np.ndarray, params: Params) -> list[dict]:
    """Every interval from the first trade's to the last's, the last left out, from the definition."""
    length = params.tape_ms
    usd = [float(trade["price"] * trade["size"]) for trade in trades]
    large = []
    for i, amount in enumerate(usd):
        before = usd[max(0, i - params.large_trades) : i]
        enough = len(before) == params.large_trades and amount >= params.large_usd
        large.append(enough and amount >= params.large_mult * math.fsum(before) / params.large_trades)
    start = int(trades["time"][0]) // length
    bars = []
    close = math.nan
    for interval in range(start, int(trades["time"][-1]) // length):
        rows = [i for i, trade in enumerate(trades) if int(trade["time"]) // length == interval]
        prices = [float(trades["price"][i]) for i in rows] or [close]
        bar = {"time": interval * length, "open": prices[0], "close": prices[-1]}
        bar |= {"high": max(prices), "low": min(prices)}
        bar["volume"] = math.fsum(trades["size"][i] for i in rows)
        bar["taker_buy"] = math.fsum(trades["size"][i] for i in rows if trades["side"][i] > 0)
        for name, side in (("large_sell", -1), ("large_buy", 1)):
            hits = [i for i in rows if large[i] and trades["side"][i] == side]
            total = math.fsum(usd[i] for i in hits)
            bar[f"{name}_usd"] = total
            weighted = math.fsum(usd[i] * float(trades["price"][i]) for i in hits)
            bar[f"{name}_price"] = weighted / total if hits else math.nan
        close = bar["close"]
        bars.append(bar)
    return bars


@pytest.mark.parametrize("seed", range(4))
def test_equals_the_naive_twin(seed):
    trades = made_trades(3000, seed)
    bars = bars_from_trades(trades, PARAMS)
    expected = naive_bars(trades, PARAMS)
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
