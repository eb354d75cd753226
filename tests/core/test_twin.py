"""The engine is its definition: it agrees with the naive twin on rows of every kind and on real candles."""

from __future__ import annotations

import itertools
import math

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_bars import (
    AS_OBSERVED,
    EVERY_SIGNAL,
    PARAMS,
    bar_sequences,
    bars_of,
    random_bars,
    random_trades,
    small_params,
    some_params,
)

from liquidator_core import (
    Params,
    flow,
    fold,
    ledger,
    levels_of,
    marks,
    new_signals,
    new_state,
    observed,
    rings,
    tape,
    zones_of,
)
from liquidator_core import zones as zones_kernels
from liquidator_core._jit import kernel_views
from liquidator_core.bars import is_good, remember_range, true_range
from liquidator_core.layout import BAR, BINS_PER_LOG, LONG, SHORT, SIGNAL
from liquidator_core.levels import nearest_bin
from liquidator_core.margin import liquidation_factor, liquidation_price
from liquidator_core.zones import marks_of

SIDES = (LONG, SHORT)
CLOSE = 1e-9  # relative
LOT = 2.0**-36  # of the largest cohort's mass: the coarsest lot that levels are counted in
BIN = math.log(2.0) / 1386


def close(left: float, right: float, relative: float = CLOSE) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right)) or math.isclose(left, right, rel_tol=relative)


def level_room(twin: naive.State, side: int, params: Params) -> float:
    """By which share the mass of a level may be off, given that the engine counts it in lots."""
    masses = [mass for _, mass in naive.positions_ahead(twin.cohorts, side)]
    if not masses:
        return 0.0
    return LOT * max(cohort.mass for cohort in twin.cohorts) * len(masses) / (params.level_share * sum(masses))


def is_level(got_price: float, got_usd: float, level: naive.Level | None, room: float) -> bool:
    if level is None:
        return math.isnan(got_price) and math.isnan(got_usd)
    return room > 0.01 or (
        close(got_price, level.price, CLOSE + room * 4096 * BIN) and close(got_usd, level.usd, CLOSE + 4 * room)
    )


def compare(bars: np.ndarray, params: Params) -> None:
    """Advance both over the bars: every row must agree, and after the last the marks, zones and levels."""
    record = params.to_record()
    state, out = new_state(record), new_signals(len(bars))
    fold(state, record, bars, out)
    twin = naive.State()
    for t, bar in enumerate(naive.as_dicts(bars)):
        expected = naive.step(twin, params, bar)
        assert set(expected) == set(SIGNAL.names)
        for name, value in expected.items():
            got = out[name][t].item()
            if not name.startswith("level"):
                assert close(got, value), f"row {t}: {name} is {got}, by its definition {value}"
        for side, name in ((LONG, "level_below"), (SHORT, "level_above")):
            price, usd = expected[name], expected[f"{name}_usd"]
            level = None if math.isnan(price) else naive.Level(side, price, usd, params.level_share)
            got = out[name][t].item(), out[f"{name}_usd"][t].item()
            assert is_level(*got, level, level_room(twin, side, params)), f"row {t}: {name} is {got}, not {level}"
    compare_zones(zones_of(state, record), twin)
    compare_marks(marks_of(state, record), twin)
    compare_levels(levels_of(state, record), twin, params)


def compare_levels(found: np.ndarray, twin: naive.State, params: Params) -> None:
    assert (np.diff(found["price"]) >= 0.0).all()
    levels = naive.find_levels(twin.cohorts, params)
    for side, nearest_first in ((LONG, -1), (SHORT, 1)):
        mine = found[found["side"] == side][::nearest_first]
        wanted = [level for level in levels if level.side == side]
        room = level_room(twin, side, params)
        assert len(mine) == len(wanted) or room > 1e-3
        for got, level in zip(mine, wanted, strict=False):
            assert is_level(got["price"].item(), got["usd"].item(), level, room)
            assert close(got["share"].item(), level.share, CLOSE + room)


def compare_zones(found: np.ndarray, twin: naive.State) -> None:
    assert len(found) == len(twin.zones)
    for got, zone in zip(found, twin.zones, strict=True):
        lead = zone.lead
        expected = {
            "zone_id": zone.zone_id, "birth": lead.birth, "last_time": max(mark.birth for mark in zone.members),
            "side": lead.side, "price": zone.price, "low": zone.low, "high": zone.high, "usd": zone.usd,
            "quality": zone.quality, "marks": len(zone.members), "age": zone.age, "touches": lead.touches,
            "holds": lead.holds, "ambiguous": lead.ambiguous, "unresolved": lead.unresolved,
        }  # fmt: skip
        assert set(expected) == set(found.dtype.names)
        for name, value in expected.items():
            assert close(got[name].item(), value), f"zone {zone.zone_id}: {name} is {got[name]}, not {value}"


def compare_marks(found: np.ndarray, twin: naive.State) -> None:
    assert len(found) == len(twin.marks)
    leads = {id(zone.lead) for zone in twin.zones}
    for got, mark in zip(found, twin.marks, strict=True):
        names = ("birth", "side", "price", "half_width", "usd", "atr", "trial", "broken")
        counts = ("touches", "holds", "ambiguous", "unresolved")
        expected = {name: getattr(mark, name) for name in (*names, *counts)}
        expected["birth_row"] = mark.row
        if mark.trial:
            expected |= {"trial_age": mark.trial_age, "trial_atr": mark.trial_atr}
        if not mark.broken:
            expected |= {"armed": mark.armed, "leads": int(id(mark) in leads)}
        for name, value in expected.items():
            assert close(got[name].item(), value), f"mark of row {mark.row}: {name} is {got[name]}, not {value}"


# --- the whole engine -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARAMS)
def test_rows_of_every_kind(name):
    for seed in range(20):
        bars = random_bars(
            90,
            seed,
            calm=(0.0, 0.3, 0.6, 0.9)[seed % 4],
            price=(103.7, 4.4e-6, 68_000.0)[seed % 3],
            volume=(150.0, 2e-7, 3e9)[seed % 3],
            open_interest=seed % 3 == 1,
            observed=seed % 5 == 2,
        )
        compare(bars, PARAMS[name])


@given(bars=bar_sequences(min_size=30, max_size=90), params=some_params())
def test_any_sequence(bars, params):
    compare(bars, params)


@given(
    bars=bar_sequences(min_size=60, max_size=120, kinds=("rally", "crash", "gap_up", "gap_down", "observed")),
    windows=st.fixed_dictionaries(
        {
            "ledger_bars": st.integers(2, 20),
            "flow_bars": st.integers(1, 12),
            "zone_bars": st.integers(1, 30),
            "atr_bars": st.integers(1, 2),
            "outcome_bars": st.integers(1, 12),
        }
    ),
    widths=st.fixed_dictionaries(
        {
            "zone_atr": st.floats(0.05, 3.0),
            "max_width_atr": st.floats(0.0, 8.0),
            "rearm_atr": st.floats(0.0, 1.0),
            "hold_atr": st.floats(0.0, 2.0),
            "break_atr": st.floats(0.0, 2.0),
        }
    ),
    event_mult=st.floats(0.0, 3.0),
)
@pytest.mark.slow
def test_any_params(bars, windows, widths, event_mult):
    compare(bars, Params(**windows, **widths, event_mult=event_mult, event_share=0.001))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"event_mult": 0.5, "event_share": 0.001, "zone_bars": 96, "ledger_bars": 60, "outcome_bars": 6},
        {"margin": "inverse", "margin_amount": 0.0005, "level_share": 0.02, "ledger_bars": 60, "flow_bars": 48},
    ],
)
@pytest.mark.parametrize(
    "start", [pytest.param(0.2, marks=pytest.mark.slow), 0.55, pytest.param(0.9, marks=pytest.mark.slow)]
)
def test_real_candles(real_bars, changes, start):
    params = Params(**changes)
    first = int(start * (len(real_bars) - 1000))
    bars = real_bars[first : first + params.memory + 300]
    compare(bars, params)


@pytest.mark.slow
def test_real_candles_for_longer(real_bars):
    """Five thousand hours, the wildest of the sample among them."""
    wild = int(np.argmax(real_bars["high"] / real_bars["low"] * (real_bars["low"] > 0)))
    bars = real_bars[max(0, wild - 2_500) : wild + 2_500]
    compare(bars, Params())


def test_full_buffers():
    """An event on every bar and both sides, none of them lost."""
    for changes in ({}, {"zone_bars": 64, "max_width_atr": 4.0}):
        params = small_params(event_mult=0.0, event_share=0.0, **AS_OBSERVED, **changes)
        bars = random_bars(params.memory + 40, 2, kinds=("quiet",), observed=True)
        record = params.to_record()
        state = new_state(record)
        fold(state, record, bars, new_signals(len(bars)))
        assert len(marks_of(state, record)) == 2 * params.zone_bars
        compare(bars, params)


@pytest.mark.slow
def test_full_buffers_of_default_length():
    params = Params(event_mult=0.0, event_share=0.0)
    bars = random_bars(params.memory + 30, 2, calm=1.0, observed=True)
    compare(bars, params)


def test_an_event_is_as_large_as_its_share_and_larger_than_its_multiple():
    """Before it: turnovers of 100 and flows of 10 on average."""
    params = Params(ledger_bars=1, flow_bars=4, zone_bars=9, atr_bars=1, event_mult=3.0, event_share=0.5, **AS_OBSERVED)
    for flows, usd, event in (
        ((0.0, 20.0, 0.0, 20.0), 50.0, True),
        ((0.0, 20.0, 0.0, 20.0), math.nextafter(50.0, 0.0), False),
        ((20.0, 0.0, 40.0, 20.0), 60.0, False),
        ((20.0, 0.0, 40.0, 20.0), math.nextafter(60.0, 99.0), True),
    ):
        bars = bars_of([(100.0, 101.0, 100.0, 100.0)] * 8, liq_long_usd=[0.0, 0.0, 0.0, *flows, usd], liq_short_usd=0.0)
        compare(bars, params)
        record = params.to_record()
        state = new_state(record)
        fold(state, record, bars, new_signals(len(bars)))
        assert (7 in marks_of(state, record)["birth_row"]) == event


# --- marks, worked by hand --------------------------------------------------------------------------------------------

STORY = Params(
    ledger_bars=1, flow_bars=1, zone_bars=40, atr_bars=1, outcome_bars=3, event_mult=0.0, event_share=0.0,
    zone_atr=0.5, rearm_atr=0.1, hold_atr=0.5, break_atr=0.25, **AS_OBSERVED,
)  # fmt: skip
EVENT = (100.0, 102.0, 98.0, 100.0)  # ATR 4: a mark at 100 has the band 98 to 102, and arms beyond 97.6 and 102.4
ABOVE = (103.0, 104.0, 103.0, 104.0)
BELOW = (97.0, 97.0, 96.0, 96.0)
ENTER = (104.0, 104.0, 101.0, 101.0)  # from above, ATR 3: holds at 103.5, breaks on a close below 97.25
QUIET = (101.0, 101.5, 100.5, 101.0)
FALL = (104.0, 104.0, 95.0, 95.0)  # from above and through, ATR 9: breaks on a close below 95.75


def tell(story, params=STORY, events=((0, 100.0, 1000.0),)):
    """The bars of a story, which begin with events at (row, price, usd); (signals, marks), which the twin confirms."""
    calm = params.memory
    bars = bars_of([(100.0,) * 4] * calm + list(story), volume=0.0, liq_long_usd=0.0, liq_short_usd=0.0)
    for row, price, usd in events:
        bars["liq_long_usd"][calm + row], bars["liq_long_price"][calm + row] = usd, price
    compare(bars, params)
    record = params.to_record()
    state, out = new_state(record), new_signals(len(bars))
    fold(state, record, bars, out)
    return out[calm:], marks_of(state, record)


@pytest.mark.parametrize(
    ("story", "column", "expected"),
    [
        # armed by the close beyond 102.4, touched by the low that enters from above
        ([EVENT, ABOVE, ENTER], "touch", [0, 0, 1]),
        ([EVENT, ABOVE, ENTER], "fade", [0, 0, 1]),
        # a mark is not armed by its own bar, nor within rearm_atr of its band
        ([EVENT, QUIET, QUIET], "touch", [0, 0, 0]),
        ([EVENT, (102.1, 102.3, 102.1, 102.3), ENTER], "touch", [0, 0, 0]),
        # a touch disarms
        ([EVENT, ABOVE, ENTER, QUIET], "touch", [0, 0, 1, 0]),
        # from below
        ([EVENT, BELOW, (96.0, 98.0, 96.0, 97.0)], "touch", [0, 0, -1]),
        ([EVENT, BELOW, (96.0, 98.0, 96.0, 97.0)], "fade", [0, 0, -1]),
        ([EVENT, BELOW, (96.0, 98.0, 96.0, 97.0)], "exit_long", [0, 0, 1]),
        ([EVENT, ABOVE, ENTER], "exit_short", [0, 0, 1]),
        # through the zone: touched, broken on the same bar, no entry
        ([EVENT, ABOVE, FALL], "touch", [0, 0, 1]),
        ([EVENT, ABOVE, FALL], "fade", [0, 0, 0]),
        ([EVENT, ABOVE, FALL], "broke", [0, 0, -1]),
        # an open beyond both edges is a gap, which arms on the other side
        ([EVENT, ABOVE, BELOW, (96.0, 98.0, 96.0, 97.0)], "touch", [0, 0, 0, -1]),
        # the first touch from the far side, within outcome_bars of the break
        ([EVENT, ABOVE, FALL, (95.0, 98.0, 95.0, 97.0)], "join", [0, 0, 0, -1]),
        ([EVENT, ABOVE, FALL, BELOW, BELOW, (95.0, 98.0, 95.0, 97.0)], "join", [0, 0, 0, 0, 0, -1]),
        ([EVENT, ABOVE, FALL, BELOW, BELOW, BELOW, (95.0, 98.0, 95.0, 97.0)], "join", [0, 0, 0, 0, 0, 0, 0]),
        ([EVENT, ABOVE, FALL, (95.0, 98.0, 95.0, 97.0), (95.0, 98.0, 95.0, 97.0)], "join", [0, 0, 0, -1, 0]),
    ],
)  # fmt: skip
def test_signals_of_a_story(story, column, expected):
    out, _ = tell(story)
    assert out[column].tolist() == expected


@pytest.mark.parametrize(
    ("story", "expected"),
    [
        ([EVENT, ABOVE, ENTER], {"touches": 1, "trial": 1, "trial_age": 1, "trial_atr": 3.0}),
        # the touch bar itself began above 103.5: that is no hold
        ([EVENT, ABOVE, ENTER, (101.0, 103.5, 101.0, 103.0)], {"touches": 1, "holds": 1, "trial": 0, "armed": 1}),
        ([EVENT, ABOVE, ENTER, (101.0, 103.4, 101.0, 103.0)], {"holds": 0, "trial": 1}),
        # out on both sides within one bar
        ([EVENT, ABOVE, ENTER, (101.0, 104.0, 90.0, 90.0)], {"ambiguous": 1, "holds": 0, "broken": 0, "trial": 0}),
        ([EVENT, ABOVE, ENTER, (101.0, 101.0, 97.0, 97.2)], {"broken": -1, "trial": 0}),
        ([EVENT, ABOVE, ENTER, (101.0, 101.0, 97.0, 97.25)], {"broken": 0, "trial": 1}),
        # neither within outcome_bars
        ([EVENT, ABOVE, ENTER, QUIET, QUIET], {"unresolved": 0, "trial": 1}),
        ([EVENT, ABOVE, ENTER, QUIET, QUIET, QUIET], {"unresolved": 1, "trial": 0}),
        # a touch during a trial counts but starts no other
        (
            [EVENT, ABOVE, ENTER, (101.0, 103.0, 101.0, 103.0), (103.0, 103.0, 101.5, 101.5)],
            {"touches": 2, "trial": 1, "trial_age": 3},
        ),
        # skipped rows age no trial
        ([EVENT, ABOVE, ENTER, (0.0,) * 4, (0.0,) * 4, QUIET], {"unresolved": 0, "trial": 1, "trial_age": 2}),
    ],
)
def test_marks_of_a_story(story, expected):
    _, marks = tell(story)
    assert len(marks) == 1
    assert {name: marks[name][0].item() for name in expected} == expected


def test_the_first_touch_of_a_broken_mark_ends_it():
    """Broken downwards, gapped over upwards, touched from above: a touch from below is no join any more."""
    story = [EVENT, ABOVE, FALL, (103.0, 105.0, 103.0, 105.0), (105.0, 105.0, 97.0, 97.0), (97.0, 99.0, 97.0, 97.0)]
    out, _ = tell(story)
    assert out["join"].tolist() == [0] * 6


def test_of_equal_joins_the_mark_that_broke_first_decides():
    """A at 110 breaks downwards, then B at 90 upwards, then one bar touches A from below and B from above."""
    params = Params(**{**STORY.to_dict(), "zone_atr": 0.25, "break_atr": 0.0, "outcome_bars": 9})
    story = [
        EVENT, EVENT, (115.0, 116.0, 114.0, 115.0), (115.0, 115.0, 100.0, 100.0), (85.0, 86.0, 84.0, 85.0),
        (85.0, 100.0, 85.0, 100.0), (100.0, 109.0, 91.0, 100.0),
    ]  # fmt: skip
    out, _ = tell(story, params, events=((0, 110.0, 1000.0), (1, 90.0, 1000.0)))
    assert out["broke"].tolist() == [0, 0, 0, -1, 0, 1, 0]
    assert out["join"].tolist() == [0, 0, 0, 0, 0, 0, -1]
    out, _ = tell(story, params, events=((0, 110.0, 1000.0), (1, 90.0, 1000.1)))
    assert out["join"].tolist() == [0, 0, 0, 0, 0, 0, 1]


def test_a_mark_lives_zone_bars():
    out, marks = tell([EVENT, *[ABOVE] * (STORY.zone_bars - 2), ENTER])
    assert out["touch"][-1] == 1
    assert len(marks) == 1
    out, marks = tell([EVENT, *[ABOVE] * (STORY.zone_bars - 1), ENTER])
    assert out["touch"][-1] == 0
    assert len(marks) == 0


# --- each kernel ------------------------------------------------------------------------------------------------------


def records(*arrays):
    """The record of each (1,) array in the form that kernels take."""
    return tuple(array[0] for array in kernel_views(*arrays))


def a_bar(open_=100.0, high=101.0, low=99.0, close=100.0, **other):
    return bars_of([(open_, high, low, close)], **other)


def test_good_bars():
    values = (-1.0, 0.0, 1.0, 2.0, math.nan, math.inf)
    for prices in itertools.product(values, repeat=4):
        bars = bars_of([prices])
        assert is_good(*records(bars)) == naive.is_good(naive.as_dicts(bars)[0]), prices


def test_true_range_and_its_mean():
    params = Params(ledger_bars=9, flow_bars=9, zone_bars=9, atr_bars=5)
    rng = np.random.default_rng(0)
    state = new_state(params)
    s, p = records(state, params.to_record())
    known = []
    for row in range(40):
        low, high = np.sort(rng.uniform(90, 110, 2))
        before = rng.choice([math.nan, rng.uniform(80, 120)])
        state["close"] = before
        bars = a_bar(low, high, low, high)
        state["range_at"] = row % 5
        skipped = row % 7 == 6 or 20 < row < 28
        remember_range(s, p, math.nan if skipped else true_range(s, *records(bars)))
        known.append(math.nan if skipped else naive.true_range(high, low, before))
        assert close(marks.average_true_range(s, p, row), naive.average_true_range(known, 5))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 11, 96])
def test_window_sum(length):
    rng = np.random.default_rng(length)
    values = np.zeros(256)
    history = []
    for row in range(3 * length):
        if row >= length:
            assert close(rings.window_sum(values, row % length, length), math.fsum(history[-length:]), 1e-14)
        history.append(rng.lognormal(10, 3))
        rings.remember(values, row % length, length, history[-1])


def test_observed_flow_goes_before_what_is_estimated():
    values = (math.nan, -1.0, 0.0, 3.0, math.inf)
    params = small_params(**AS_OBSERVED)
    s, p = records(new_state(params), params.to_record())
    for usd, price, swept in itertools.product(values, values, (0.0, 7.0)):
        bars = bars_of([(100.0, 110.0, 90.0, 100.0)], volume=0.0, liq_long_usd=usd, liq_long_price=price)
        estimate = flow.estimated_flow(s, p, *records(bars), LONG, 0, 0.0, 0.0, math.nan, (swept, 95.0 * swept))
        got, got_price, told = observed.observed_flow(s, p, *records(bars), LONG, 0, *estimate)
        bar = naive.as_dicts(bars)[0]
        expected_usd, expected_price = naive.forced_flow(bar, LONG, [(swept, 95.0)] if swept else [], 1.0)
        assert (got, got_price) == (expected_usd, expected_price)
        assert told == (0.0 <= usd < math.inf)


@pytest.mark.parametrize("name", ["small", "inverse", "tiers", "one leverage"])
def test_what_a_bar_opens_and_sweeps(name):
    params = PARAMS[name]
    _, p = records(new_state(params), params.to_record())
    found = 0
    for bars in np.split(random_bars(300, seed=8, calm=0.3), 300):
        bar = naive.as_dicts(bars)[0]
        if not naive.is_good(bar):
            continue
        for side in SIDES:
            parts = naive.swept_within(bar, side, 42.0, params)
            usd, usd_price = flow.swept_within(p, *records(bars), side, 42.0)
            assert close(usd, sum(part for part, _ in parts))
            assert close(usd_price, sum(part * at for part, at in parts))
            found += usd > 0
    assert found > 20


def test_a_bar_sweeps_the_share_of_its_path_that_lies_far_enough_behind():
    """Against counting: positions opened at evenly spaced prices of a fall from 110 to 100."""
    params = small_params(leverages=(25.0,), leverage_weights=(1.0,))
    _, p = records(new_state(params), params.to_record())
    entries = np.linspace(100.0, 110.0, 2_000_001)
    closed = entries * liquidation_factor(25.0, LONG, params.margin_rate)
    closed = closed[closed > 100.0]
    usd, usd_price = flow.swept_within(p, *records(bars_of([(105.0, 110.0, 100.0, 102.0)])), LONG, 8.0)
    assert close(usd, 8.0 * closed.sum() / len(entries), 1e-5)
    assert close(usd_price / usd, closed.mean(), 1e-5)


def test_the_path_of_a_bar():
    """A bar that rose was at its low first: its longs fear the wick below the open and the fall from the high."""
    params = small_params(leverages=(100.0,), leverage_weights=(1.0,))
    _, p = records(new_state(params), params.to_record())

    def flows(*prices):
        return [flow.swept_within(p, *records(bars_of([prices])), side, 1.0)[0] > 0 for side in SIDES]

    assert flows(100.0, 103.0, 100.0, 103.0) == [False, True]
    assert flows(103.0, 103.0, 100.0, 100.0) == [True, False]
    assert flows(100.0, 103.0, 100.0, 101.0) == [True, True]  # low first: up to the high, then down to the close
    assert flows(100.0, 100.4, 97.0, 100.4) == [True, True]
    assert flows(100.0, 100.2, 99.7, 100.1) == [False, False]
    assert flows(100.0, 100.0, 100.0, 100.0) == [False, False]
    # from the open to either end is too little, from one end to the other enough; a bar that closed at its open rose
    assert flows(100.0, 100.4, 99.5, 100.0) == [False, True]
    assert flows(100.0, 100.4, 99.5, 99.99) == [True, False]


@pytest.mark.parametrize("switch", [name for name in EVERY_SIGNAL if name.startswith("use_")])
def test_each_signal_alone(switch):
    numbers = {name: value for name, value in EVERY_SIGNAL.items() if not name.startswith("use_")}
    without, params = small_params(**numbers), small_params(**numbers, **{switch: True})
    bars = random_bars(400, seed=6, open_interest=True, tape=True)
    out, usual = new_signals(len(bars)), new_signals(len(bars))
    fold(new_state(params), params.to_record(), bars, out)
    fold(new_state(without), without.to_record(), bars, usual)
    twin, _ = naive.fold(bars, params)
    for name in ("long_flow_usd", "short_flow_usd"):
        assert all(close(got, row[name]) for got, row in zip(out[name].tolist(), twin, strict=True))
        more = np.nansum(out[name] > usual[name] * (1 + 1e-9))
        assert more > 20
        assert np.nansum(out[name] < usual[name] * (1 - 1e-9)) == 0


def test_signals_of_odd_values():
    """Unknown, negative, none and infinite, after rows without turnover."""
    params = small_params(**EVERY_SIGNAL)
    state = new_state(params)
    fold(state, params.to_record(), bars_of([(100.0,) * 4] * 9, volume=0.0), new_signals(9))
    s, p = records(state, params.to_record())
    odd = (math.nan, -1.0, 0.0, 3.0, math.inf)
    for usd, price, interest, before, rate in itertools.product(
        odd, odd, odd, (math.nan, 3.5), (*odd, params.funding_extreme)
    ):
        known = {"large_sell_usd": usd, "large_sell_price": price, "open_interest": interest, "funding_rate": rate}
        bars = bars_of([(100.0, 110.0, 90.0, 95.0)], **known)
        got = flow.estimated_flow(s, p, *records(bars), LONG, 9, 1.0, 0.0, before, (7.0, 7.0 * 95.0))
        bar = naive.as_dicts(bars)[0]
        parts = [(7.0, 95.0), *naive.signals_on(bar, LONG, [0.0] * 9, before, params)]
        told = naive.forced_flow(bar, LONG, parts, naive.funding_factor(bar, LONG, params))
        assert got == pytest.approx(told)


def test_events():
    params = small_params(event_mult=1.5, event_share=0.4)
    rng = np.random.default_rng(3)
    found = 0
    for row in range(200):
        state = new_state(params)
        s, p = records(state, params.to_record())
        flows, turnovers = rng.lognormal(0, 1, (2, 9))
        row = int(rng.integers(2, 10))
        for i in range(row):
            rings.remember(state["flow"][0, SHORT], i % 5, 5, flows[i % 9])
            rings.remember(state["turnover"][0], i % 5, 5, turnovers[i % 9])
        state["flow_at"] = row % 5
        before = [flows[i % 9] for i in range(row)], [turnovers[i % 9] for i in range(row)]
        usd = float(rng.choice([0.0, rng.lognormal(0.5, 1)]))
        got = bool(flow.is_event(s, p, SHORT, row, usd))
        assert got == naive.is_event(usd, *before, 1.0, params)
        found += got
    assert 20 < found < 150


def test_touch_trial_and_arm():
    """Thousands of marks, each shown one bar."""
    params = small_params()
    (p,) = records(params.to_record())
    rng = np.random.default_rng(9)
    touched = decided = 0
    for _ in range(3000):
        twin = naive.Mark(0, 0, LONG, 100 + rng.normal(), rng.uniform(0.2, 1.5), 1.0, rng.uniform(0.5, 2.0))
        twin.armed, twin.trial = (int(sign) for sign in rng.integers(-1, 2, 2))
        twin.trial_age, twin.trial_atr = int(rng.integers(0, 4)), rng.uniform(0.2, 2.0)
        state = new_state(params)
        for name in ("price", "half_width", "atr", "armed", "trial", "trial_age", "trial_atr"):
            state["marks"][name][0, 0] = getattr(twin, name)
        m = kernel_views(state["marks"][0])[0][0]
        ends = np.sort(100 + 2 * rng.normal(size=4))
        bars = a_bar(ends[rng.integers(1, 3)], ends[3], ends[0], ends[rng.integers(0, 4)])
        (b,) = records(bars)
        bar = naive.as_dicts(bars)[0]
        approach = naive.touch(twin, bar)
        assert bool(marks.is_touched(m, b)) == bool(approach)
        touched += approach != 0
        if twin.trial:
            naive.trial(twin, bar, params)
            marks.decide(m, p, b)
            decided += twin.trial == 0
        naive.arm(twin, bar, params)
        marks.arm(m, p, bar["close"])
        for name in ("armed", "trial", "trial_age", "broken", "holds", "ambiguous", "unresolved"):
            if name != "trial_age" or twin.trial:
                assert state["marks"][name][0, 0] == getattr(twin, name), name
    assert 300 < touched < 2500
    assert 300 < decided < 2500


@given(
    seed=st.integers(0, 999),
    count=st.integers(1, 22),
    max_width_atr=st.sampled_from((0.0, 0.8, 1.5, 4.0, 50.0)),
    spread=st.sampled_from((0.4, 3.0)),
    grid=st.sampled_from((0.0, 0.5)),
)
def test_cluster_and_quality(seed, count, max_width_atr, spread, grid):
    """Marks at random, on a coarse ``grid`` of prices and USD also with ties of both."""
    params = small_params(max_width_atr=max_width_atr)
    rng = np.random.default_rng(seed)
    state = new_state(params)
    s, p = records(state, params.to_record())
    twins = []
    for i in range(count):
        price, usd = 100 + spread * rng.normal(), rng.lognormal(1.0)
        if grid:
            price, usd = grid * round(price / grid), 1.0 + round(usd)
        twins.append(naive.Mark(i // 2, 1000 * (i // 2), i % 2, price, 0.25 * (atr := rng.uniform(0.5, 2)), usd, atr))
        twins[-1].half_width = params.zone_atr * atr
        state["mark_at"] = i // 2
        marks.leave_mark(s, p, i // 2, 1000 * (i // 2), i % 2, usd, price, False, atr)
        twins[-1].touches = state["marks"]["touches"][0, i] = int(rng.integers(0, 3))
    state["rows"] = row = 11
    zones_kernels.cluster(s, p)
    twin = naive.State(zones=naive.find_zones(twins, row - 1, params))
    compare_zones(zones_of(state, params.to_record()), twin)
    for price in (95.0, 99.9, 100.5, 104.0, math.nan):
        slots = zones_kernels.nearest_zones(s, price)
        nearest = naive.support_of(twin.zones, price), naive.resistance_of(twin.zones, price)
        for slot, zone in zip(slots, nearest, strict=True):
            assert (slot == -1) == (zone is None)
            assert zone is None or slot == 2 * zone.lead.row + zone.lead.side


@pytest.mark.parametrize("name", ["small", "inverse", "tiers", "one leverage"])
def test_ledger_kernels(name):
    """Cohorts open, survive, are swept and left behind in any order."""
    params = PARAMS[name]
    for seed in range(5):
        rng = np.random.default_rng(seed)
        state = new_state(params)
        s, p = records(state, params.to_record())
        cohorts: list[naive.Cohort] = []
        price = 100.0
        for row in range(200):
            state["ledger_at"] = row % (params.ledger_bars + 1)
            ledger.expire(s, p)
            cohorts = [cohort for cohort in cohorts if row <= cohort.row + params.ledger_bars]
            low, high = price * np.exp([-abs(rng.normal()) / 20, abs(rng.normal()) / 20])
            for side, got in ((LONG, ledger.sweep(s, p, LONG, low)), (SHORT, ledger.sweep(s, p, SHORT, high))):
                limits = (low, 0.0) if side == LONG else (math.inf, high)
                expected = naive.sweep(cohorts, *limits)[side]
                assert close(got[0], expected[0], 1e-13)
                assert close(got[1], expected[0] * expected[1] if expected[0] > 0 else 0.0, 1e-13)
            price *= math.exp(rng.choice([rng.normal() / 20, rng.normal() * 2], p=[0.97, 0.03]))
            if rng.random() < 0.2:
                share = rng.uniform(0.1, 1.0)
                ledger.survive(s, p, share)
                for cohort in cohorts:
                    cohort.mass *= share
            ledger.take_profit(s, p, price)
            naive.leave_behind(cohorts, price)
            mass = float(rng.choice([0.0, rng.lognormal(3, 1)], p=[0.1, 0.9]))
            ledger.open_cohort(s, p, price, math.log(price) * BINS_PER_LOG, mass)
            if mass > 0:
                cohorts.append(naive.open_cohort(row, price, mass, params))
            assert state["open_positions"].sum() == sum(len(cohort.positions) for cohort in cohorts)


@given(
    trades=st.builds(random_trades, st.integers(1, 200), st.integers(0, 999), st.sampled_from((20.0, 500.0, 5000.0))),
    changes=st.fixed_dictionaries(
        {
            "tape_ms": st.sampled_from((1000, 60_000, 3_600_000)),
            "large_trades": st.sampled_from((1, 2, 5, 20)),
            "large_mult": st.sampled_from((0.0, 1.0, 10.0)),
            "large_usd": st.sampled_from((0.0, 1000.0)),
        }
    ),
)
def test_tape(trades, changes):
    params = Params(**changes)
    expected = naive.bars_from_trades(naive.as_dicts(trades), params)
    bars = np.zeros(len(expected) + 3, BAR)
    used, made = tape.fold_trades(tape.new_tape(), params.to_record(), trades, bars)
    assert (used, made) == (len(trades), len(expected))
    for i, bar in enumerate(expected):
        for name in BAR.names:
            assert close(bars[name][i].item(), bar.get(name, math.nan)), f"{name} of bar {i}"


def test_survival():
    """Through the engine: the flow of a cohort before and after what open interest says about it."""
    rng = np.random.default_rng(0)
    params = Params(
        ledger_bars=1, flow_bars=1, zone_bars=1, atr_bars=1, leverages=(10.0,), leverage_weights=(1.0,)
    )  # memory 4
    for _ in range(50):
        before, volume = rng.uniform(10, 1000), rng.uniform(0, 100)
        after = max(before + volume * rng.uniform(-1.5, 1.5), 1e-3)
        bars = bars_of([(100.0,) * 4] * 4 + [(100.0, 100.0, 80.0, 80.0)])
        bars["volume"][3:] = volume, 0.0
        bars["open_interest"][2:4] = before, after
        out = new_signals(5)
        record = params.to_record()
        fold(new_state(record), record, bars, out)
        _, mass = naive.survival(volume, after, before)
        assert close(out["long_flow_usd"][4].item(), mass * liquidation_price(100.0, 10.0, LONG, params.margin_rate))


def test_liquidation_prices():
    for margin, leverage, rate, amount, side in itertools.product(
        ("linear", "inverse"), (2.0, 10.0, 125.0), (0.0, 0.004, 0.007), (0.0, 0.001), SIDES
    ):
        params = Params(
            margin=margin, margin_rate=rate, margin_amount=amount, leverages=(leverage,), leverage_weights=(1,)
        )
        expected = naive.liquidation_price(123.4, side, leverage, params)
        got = liquidation_price(123.4, leverage, side, rate, amount, margin == "inverse")
        assert close(got, expected, 1e-15 * 4)
        factor = liquidation_factor(leverage, side, rate, amount, margin == "inverse")
        assert params.to_record()["factor"][0, side, 0] == factor
        assert factor < 1.0 if side == LONG else factor > 1.0


def test_bins_fall_towards_liquidation():
    rng = np.random.default_rng(0)
    for price in rng.lognormal(0, 10, 500):
        for side in SIDES:
            assert nearest_bin(side, math.log(price) * BINS_PER_LOG) == naive.axis_bin(side, price) + 1
    assert naive.axis_bin(LONG, 50.0) == naive.axis_bin(LONG, 100.0) - 1386
    assert naive.axis_bin(SHORT, 200.0) == naive.axis_bin(SHORT, 100.0) - 1386
