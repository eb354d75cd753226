"""The ledger and the liquidation price against numbers worked out by hand and an exchange's own figures."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_bars import AS_OBSERVED, bars_of, rounded_nearer

from liquidator_core import Params, fold, levels_of, new_signals, new_state
from liquidator_core.layout import BINS, BINS_PER_LOG, LEFT_BEHIND, LONG, MAX_FACTOR, SHORT
from liquidator_core.levels import cells_of
from liquidator_core.margin import liquidation_factor, liquidation_price
from liquidator_core.zones import marks_of

HALF_BIN = math.log(2.0) / 1386 / 2  # to which levels are told, relative
LONG_10X = 90.36144578313254  # 100 * 0.9 / 0.996
SHORT_10X = 109.56175298804781  # 100 * 1.1 / 1.004
FLAT = (100.0,) * 4


def ledger_params(**changes) -> Params:
    """One position a side, at 10x; every flow is an event, so that its price can be read off the mark."""
    values = {
        "leverages": (10.0,), "leverage_weights": (1.0,), "margin_rate": 0.004, "ledger_bars": 5, "flow_bars": 1,
        "zone_bars": 1, "atr_bars": 1, "event_mult": 0.0, "event_share": 0.0, "level_share": 1.0,
        **AS_OBSERVED,
    }  # fmt: skip
    return Params(**{**values, **changes})


def run(story, volume, params=None, **columns):
    """Signals, marks and levels after bars at 100 without volume and then the story."""
    out, state, record = fold_story(story, volume, params or ledger_params(), **columns)
    return out, marks_of(state, record), levels_of(state, record)


def cells_after(story, volume):
    _, state, record = fold_story(story, volume, ledger_params())
    return cells_of(state, record)


def fold_story(story, volume, params, **columns):
    calm = params.memory
    bars = bars_of([FLAT] * calm + list(story), volume=[0.0] * calm + list(volume))
    for name, values in columns.items():
        bars[name][calm:] = values
    record = params.to_record()
    state, out = new_state(record), new_signals(len(bars))
    fold(state, record, bars, out)
    return out[calm:], state, record


# --- one long and one short -------------------------------------------------------------------------------------------


def test_a_10x_long_entered_at_100_is_liquidated_at_90_36():
    """Two coins a side are opened at 100. The long goes at 90.3614..., and not a hair above."""
    for low, swept in ((LONG_10X + 1e-9, 0.0), (LONG_10X - 1e-9, 2.0 * LONG_10X), (89.0, 2.0 * LONG_10X)):
        out, marks, _ = run([FLAT, (100.0, 100.0, low, 95.0)], [2.0, 0.0])
        assert out["long_flow_usd"].tolist() == pytest.approx([0.0, swept], rel=1e-12)
        assert out["short_flow_usd"].tolist() == [0.0, 0.0]
        assert marks["price"].tolist() == pytest.approx([LONG_10X] if swept else [], rel=1e-12)
        assert marks["side"].tolist() == ([LONG] if swept else [])


def test_a_10x_short_entered_at_100_is_liquidated_at_109_56():
    for high, swept in ((SHORT_10X - 1e-9, 0.0), (SHORT_10X + 1e-9, 2.0 * SHORT_10X), (112.0, 2.0 * SHORT_10X)):
        out, marks, _ = run([FLAT, (100.0, high, 100.0, 105.0)], [2.0, 0.0])
        assert out["short_flow_usd"].tolist() == pytest.approx([0.0, swept], rel=1e-12)
        assert out["long_flow_usd"].tolist() == [0.0, 0.0]
        assert marks["price"].tolist() == pytest.approx([SHORT_10X] if swept else [], rel=1e-12)


@pytest.mark.parametrize(("side", "price"), [(LONG, "low"), (SHORT, "high")])
def test_a_bar_that_just_reaches_the_price_sweeps(side, price):
    exact = 100.0 * liquidation_factor(10.0, side, 0.004)
    for limit, reached in ((exact, True), (math.nextafter(exact, 100.0), False)):
        bar = (100.0, 100.0, limit, 100.0) if price == "low" else (100.0, limit, 100.0, 100.0)
        out, _, _ = run([FLAT, bar], [1.0, 0.0])
        assert (out["long_flow_usd"] + out["short_flow_usd"])[-1] == (exact if reached else 0.0)


def test_a_position_closes_once():
    out, _, levels = run([FLAT, (100.0, 100.0, 89.0, 100.0), (100.0, 100.0, 80.0, 100.0)], [1.0, 0.0, 0.0])
    assert out["long_flow_usd"].tolist() == pytest.approx([0.0, LONG_10X, 0.0])
    assert levels["side"].tolist() == [SHORT]


def test_its_own_bar_does_not_sweep_a_cohort():
    out, _, _ = run([(100.0, 130.0, 70.0, 100.0), (100.0, 100.0, 80.0, 100.0)], [1.0, 0.0])
    assert out["long_flow_usd"][1] == pytest.approx(LONG_10X)


def test_a_sweep_adds_up_leverages_and_weighs_their_prices():
    """5x and 20x with 0.75 and 0.25 of 8 coins: 6 coins at 80.3213 and 2 at 95.3815."""
    params = ledger_params(leverages=(20.0, 5.0), leverage_weights=(0.25, 0.75))
    low, high = 100 * 0.8 / 0.996, 100 * 0.95 / 0.996
    assert (low, high) == pytest.approx((80.3213, 95.3815), abs=1e-4)
    out, marks, levels = run([FLAT, (100.0, 100.0, 95.0, 96.0)], [8.0, 0.0], params)
    assert out["long_flow_usd"][-1] == pytest.approx(2 * high)
    assert levels[levels["side"] == LONG]["price"].tolist() == pytest.approx([low], rel=HALF_BIN)
    assert levels[levels["side"] == LONG]["usd"].tolist() == pytest.approx([6 * low], rel=HALF_BIN)
    out, marks, _ = run([FLAT, (100.0, 100.0, 80.0, 82.0)], [8.0, 0.0], params)
    assert out["long_flow_usd"][-1] == pytest.approx(2 * high + 6 * low)
    assert marks["price"][0] == pytest.approx((2 * high * high + 6 * low * low) / (2 * high + 6 * low))


# --- age, open interest, profit ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("later", "swept"), [(1, True), (4, True), (5, True), (6, False), (7, False)])
def test_a_cohort_can_be_swept_for_ledger_bars(later, swept):
    """With ledger_bars = 5: on rows j+1 to j+5, and no longer."""
    out, _, _ = run([FLAT] * later + [(100.0, 100.0, 89.0, 95.0)], [1.0] + [0.0] * later)
    assert out["long_flow_usd"][-1] == pytest.approx(LONG_10X if swept else 0.0)


def test_skipped_rows_age_a_cohort():
    bad = (math.nan,) * 4
    for skipped, swept in ((4, True), (5, False)):
        out, _, _ = run([FLAT] + [bad] * skipped + [(100.0, 100.0, 89.0, 95.0)], [1.0] + [0.0] * (skipped + 1))
        assert out["long_flow_usd"][-1] == pytest.approx(LONG_10X if swept else 0.0)


@pytest.mark.parametrize(
    ("before", "after", "volume", "kept", "opened"),
    [
        (1000.0, 1010.0, 30.0, 0.99, 20.0),  # 20 coins opened, 10 closed of 2 * 1000 halves
        (1000.0, 990.0, 30.0, 0.98, 10.0),
        (1000.0, 1030.0, 30.0, 1.0, 30.0),  # every trade opened
        (1000.0, 970.0, 30.0, 0.97, 0.0),  # every trade closed: opens nothing
        (1000.0, 1030.1, 30.0, 1.0, 30.0),  # a change beyond the volume is not used
        (1000.0, 969.9, 30.0, 1.0, 30.0),
        (10.0, 10.0, 30.0, 0.0, 15.0),  # more was closed than there was
        (math.nan, 1000.0, 30.0, 1.0, 30.0),
        (1000.0, math.nan, 30.0, 1.0, 30.0),
        (0.0, 10.0, 30.0, 1.0, 30.0),
        (1000.0, -5.0, 30.0, 1.0, 30.0),
        (1000.0, math.inf, 30.0, 1.0, 30.0),
    ],
)
def test_open_interest_says_what_was_opened_and_closed(before, after, volume, kept, opened):
    """100 coins a side were opened before, at 100; then a bar at 200 with open interest; then both are swept."""
    params = ledger_params(ledger_bars=3)
    up = (200.0,) * 4
    story = [FLAT, FLAT, up, (200.0, 200.0, 60.0, 60.0)]
    out, _, _ = run(story, [100.0, 0.0, volume, 0.0], params, open_interest=[math.nan, before, after, math.nan])
    older, younger = 100.0 * kept * LONG_10X, opened * 2.0 * LONG_10X
    assert out["long_flow_usd"][-1] == pytest.approx(older + younger, rel=1e-12)


def test_profit_left_far_behind_is_taken():
    """A long entered at 100 is let go once a close reaches 330, a short once a close falls to 30.30."""
    for close, kept in ((329.9, True), (330.1, False)):
        story = [FLAT, (100.0, 100.0, 100.0, 100.0), (close,) * 4, (close, close, 80.0, 90.0)]
        out, _, _ = run(story, [1.0, 0.0, 0.0, 0.0])
        assert out["long_flow_usd"][-1] == pytest.approx(LONG_10X if kept else 0.0)
    for close, kept in ((30.31, True), (30.29, False)):
        story = [FLAT, (close,) * 4, (close, 120.0, close, 90.0)]
        out, _, _ = run(story, [1.0, 0.0, 0.0])
        assert out["short_flow_usd"][-1] == pytest.approx(SHORT_10X if kept else 0.0)


def test_levels_lie_where_positions_will_be_liquidated():
    out, _, levels = run([FLAT], [3.0])
    assert out["level_below"][0] == pytest.approx(LONG_10X, rel=HALF_BIN)
    assert out["level_below_usd"][0] == pytest.approx(3 * out["level_below"][0])
    assert out["level_above"][0] == pytest.approx(SHORT_10X, rel=HALF_BIN)
    assert out["level_above_usd"][0] == pytest.approx(3 * out["level_above"][0])
    assert levels["share"].tolist() == [1.0, 1.0]


def test_positions_leave_room_in_the_ring_of_bins():
    """For the bin of the close and the one before it."""
    assert math.log(LEFT_BEHIND * MAX_FACTOR) * BINS_PER_LOG < BINS - 2


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_position_just_beyond_the_close_is_the_nearest_level(side):
    """Its bin may be the one before that of the close, which is not a whole turn of the ring away."""
    entry, price, close = rounded_nearer(side)
    turn = (entry, max(entry, close), min(entry, close), close)
    out, _, levels = run([(entry,) * 4, turn], [5.0, 0.0])
    name = "level_below" if side == LONG else "level_above"
    assert out[name][-1] == pytest.approx(price, rel=2 * HALF_BIN)
    assert levels["price"][levels["side"] == side].tolist() == [out[name][-1]]
    cells = cells_after([(entry,) * 4, turn], [5.0, 0.0])
    assert cells["price"][cells["side"] == side].tolist() == pytest.approx([price], rel=2 * HALF_BIN)


def test_a_position_may_lie_in_two_levels():
    """Longs of 1 at 100 and 3 at 99, in levels of 1.6: the nearest is all of the first and 0.6 of the second."""
    out, _, levels = run([FLAT, (100.0, 100.0, 99.0, 99.0)], [1.0, 3.0], ledger_params(level_share=0.4))
    longs = levels[levels["side"] == LONG][::-1]
    low, high = 0.99 * LONG_10X, LONG_10X
    mixed = math.exp((math.log(high) + 0.6 * math.log(low)) / 1.6)
    assert longs["price"].tolist() == pytest.approx([mixed, low, low], rel=HALF_BIN)
    assert longs["share"].tolist() == pytest.approx([0.4, 0.8, 1.0])
    assert longs["usd"].tolist() == pytest.approx([1.6 * mixed, 1.6 * low, 0.8 * low], rel=HALF_BIN)
    assert out["level_below"][-1] == longs["price"][0]


# --- liquidation prices -----------------------------------------------------------------------------------------------


def exchange_liquidation_price(wallet, amount, side, size, entry, rate):
    """Binance, USD-M, one-way: ``(WB + cum - side * size * entry) / (size * rate - side * size)``."""
    return (wallet + amount - side * size * entry) / (size * rate - side * size)


@pytest.mark.parametrize(
    ("wallet", "amount", "size", "entry", "rate", "price"),
    [
        # the exchange's own example: two cross positions, of which each sees the other's margin and loss
        (1_535_443.01 - 356_512.508 - 448_192.89, 16_300.0, 109.488, 32_481.98, 0.025, 26_316.89),
        (1_535_443.01 - 71_200.81144 - 56_354.57, 135_365.0, 3_683.979, 1_456.84, 0.10, 1_153.26),
    ],
)
def test_the_exchange_s_own_example(wallet, amount, size, entry, rate, price):
    """Its figures, reached through the leverage and the share that the wallet and the amount come to."""
    assert exchange_liquidation_price(wallet, amount, 1, size, entry, rate) == pytest.approx(price, abs=0.005)
    notional = size * entry
    ours = liquidation_price(entry, notional / wallet, LONG, rate, amount / notional)
    assert ours == pytest.approx(price, abs=0.005)


@pytest.mark.parametrize("leverage", [2.0, 10.0, 33.0, 125.0])
@pytest.mark.parametrize(("rate", "amount"), [(0.0, 0.0), (0.004, 0.0), (0.005, 50.0), (0.01, 1300.0)])
@pytest.mark.parametrize(("side", "sign"), [(LONG, 1), (SHORT, -1)])
def test_linear_factor_is_the_exchange_s_formula(leverage, rate, amount, side, sign):
    """Isolated margin is notional / leverage; the amount is a share of the notional."""
    size, entry = 7.5, 41_234.5
    notional = size * entry
    expected = exchange_liquidation_price(notional / leverage, amount, sign, size, entry, rate)
    assert entry * liquidation_factor(leverage, side, rate, amount / notional) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("leverage", [2.0, 10.0, 125.0])
@pytest.mark.parametrize("amount", [0.0, 0.0003])
@pytest.mark.parametrize(("side", "sign"), [(LONG, 1), (SHORT, -1)])
def test_at_the_liquidation_price_margin_is_maintenance_margin(inverse, leverage, amount, side, sign):
    """Margin and profit in quote currency (linear) or in coins (inverse); no formula for the price is used."""
    entry, rate, contracts = 250.0, 0.005, 4.0
    price = entry * liquidation_factor(leverage, side, rate, amount, inverse)

    def value(at):
        return contracts / at if inverse else contracts * at

    margin = value(entry) / leverage + sign * (value(entry) - value(price)) * (1 if inverse else -1)
    maintenance = value(price) * rate - amount * value(entry)
    assert margin == pytest.approx(maintenance, rel=1e-12, abs=1e-15)


def test_known_prices():
    assert liquidation_price(100.0, 10.0, LONG) == pytest.approx(LONG_10X, rel=1e-15)
    assert liquidation_price(100.0, 10.0, SHORT) == pytest.approx(SHORT_10X, rel=1e-15)
    assert liquidation_price(100.0, 100.0, LONG, 0.004) == pytest.approx(99.397590361)  # not 99
    assert liquidation_price(100.0, 10.0, LONG, 0.004, inverse=True) == pytest.approx(100 * 1.004 / 1.1)
    assert liquidation_price(100.0, 10.0, SHORT, 0.004, inverse=True) == pytest.approx(100 * 0.996 / 0.9)


def test_inverse_margin_reaches_the_ledger():
    price = 100 * 1.004 / 1.1
    params = ledger_params(margin="inverse")
    for low, swept in ((price + 1e-9, 0.0), (price - 1e-9, price)):
        out, _, _ = run([FLAT, (100.0, 100.0, low, 95.0)], [1.0, 0.0], params)
        assert out["long_flow_usd"][-1] == pytest.approx(swept, rel=1e-12)


def test_observed_flow_takes_the_place_of_the_estimate():
    """At its own price, else at the swept price, else at the bar's low."""
    fall, dip = (100.0, 100.0, 89.0, 95.0), (100.0, 100.0, 97.0, 98.0)
    for bar, price, expected in (
        (fall, 93.0, 93.0),
        (fall, math.nan, LONG_10X),
        (dip, math.nan, 97.0),
        (dip, 0.0, 97.0),
    ):
        out, marks, levels = run([FLAT, bar], [1.0, 0.0], liq_long_usd=[math.nan, 777.0], liq_long_price=price)
        assert out["long_flow_usd"].tolist() == [0.0, 777.0]
        assert marks["price"].tolist() == pytest.approx([expected])
        assert marks["usd"].tolist() == [777.0]
        assert (LONG in levels["side"].tolist()) == (bar is dip)  # what was swept is gone all the same
    out, marks, _ = run([FLAT, fall], [1.0, 0.0], liq_long_usd=[math.nan, 0.0])
    assert out["long_flow_usd"].tolist() == [0.0, 0.0]
    assert len(marks) == 0
    out, _, _ = run([FLAT, fall], [1.0, 0.0], liq_long_usd=[math.nan, -1.0])
    assert out["long_flow_usd"].tolist() == pytest.approx([0.0, LONG_10X])


def test_flow_of_many_cohorts_is_their_sum():
    """Fifty cohorts at different closes, swept together; no bin, block or ring shows."""
    params = ledger_params(ledger_bars=60)
    closes = 100.0 + np.random.default_rng(0).normal(0, 1.0, 50)
    masses = np.random.default_rng(1).lognormal(0, 2, 50)
    story = [(close,) * 4 for close in closes] + [(100.0, 100.0, 60.0, 60.0)]
    out, _, _ = run(story, [*masses, 0.0], params)
    assert out["long_flow_usd"][-1] == pytest.approx(math.fsum(masses * closes * 0.9 / 0.996), rel=1e-13)


def test_levels_and_cells_add_up_to_the_ledger(real_bars):
    record = Params().to_record()
    state = new_state(record)
    fold(state, record, real_bars[:700], new_signals(700))
    cells, levels = cells_of(state, record), levels_of(state, record)
    for side in (LONG, SHORT):
        mine, own_cells = levels[levels["side"] == side], cells[cells["side"] == side]
        assert len(mine) == 20
        assert sorted(mine["share"]) == pytest.approx(np.arange(1, 21) / 20)
        assert (mine["usd"] / mine["price"]).sum() == pytest.approx((own_cells["usd"] / own_cells["price"]).sum())
        assert (np.diff(own_cells["distance"]) > 0).all()
    assert (cells["usd"] > 0.0).all()
    close = state["close"][0]
    assert (levels["price"] < close).tolist() == (levels["side"] == LONG).tolist()
