"""The laws hold for the engine, the tape and timeframes, and the checks fail on subjects that break them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import unlawful
from hypothesis import given
from hypothesis import strategies as st
from made_bars import (
    AS_OBSERVED,
    HOUR,
    KINDS,
    PARAMS,
    START,
    bar_sequences,
    bars_of,
    random_bars,
    random_trades,
    small_params,
    some_params,
)

import liquidator_core
from liquidator_core import (
    BAR,
    LEVEL,
    SIGNAL,
    ZONE,
    Params,
    fold,
    load_state,
    new_signals,
    new_state,
    save_state,
    step,
    tape,
    timeframes,
    zones_of,
)
from liquidator_core.layout import SIZES, UNITS, state_dtype
from liquidator_core.tape import TAPE
from liquidator_core.timeframes import bar_spans, timeframe_ms, to_timeframe
from liquidator_core.zones import marks_of
from liquidator_integrations.evidence.laws import (
    check_clock,
    check_fold_is_step,
    check_later_start,
    check_laws,
    check_prefix,
    check_purity,
    check_scale,
    check_split,
    check_window,
    clocks_in,
    folded,
    same,
)

LEVELS = ("level_below", "level_below_usd", "level_above", "level_above_usd")
EVEN = tuple(kind for kind in KINDS if kind != "huge_volume")


class Engine:
    """The engine as a subject; its params are the record."""

    sources = sorted(Path(liquidator_core.__file__).parent.glob("*.py"))
    units = UNITS["SIGNAL"]

    def memory(self, params):
        return int(params["memory"][0])

    def new_state(self, params):
        return new_state(params)

    def step(self, state, params, row):
        out = new_signals(1)
        step(state, params, row, out)
        return out

    def fold(self, state, params, rows):
        out = new_signals(len(rows))
        fold(state, params, rows, out)
        return out

    def save(self, state, path):
        save_state(state, path)

    def load(self, path, params):
        return load_state(path, params)


ENGINE = Engine()
KNOWN = ({}, {"open_interest": True}, {"observed": True}, {"tape": True}, {"price": 1e-6, "volume": 1e9})


class Tape:
    """The tape as a subject: trades in, closed bars out."""

    sources = (Path(tape.__file__),)
    units = UNITS["BAR"]

    def memory(self, params):
        return None

    def new_state(self, params):
        return tape.new_tape()

    def step(self, state, params, row):
        return self.fold(state, params, row)

    def fold(self, state, params, rows):
        """In helpings of three bars: what does not fit waits for the next."""
        closed, used, made = [np.zeros(0, BAR)], 0, 3
        while used < len(rows) or made == 3:
            bars = np.zeros(3, BAR)
            more, made = tape.fold_trades(state, params, rows[used:], bars)
            used += more
            closed.append(bars[:made])
            if made < 3 and used == len(rows):
                break
        return np.concatenate(closed)

    def save(self, state, path):
        np.save(path.with_suffix(".npy"), state)

    def load(self, path, params):
        return np.load(path.with_suffix(".npy")).view(tape.TAPE)


class Timeframes:
    """A timeframe as a subject: bars in, closed higher bars out; its params are (timeframe, ms a row lasts).

    ``to_timeframe`` has no state. This one keeps what it may depend on and no more: the rows since the last bar that
    closed, and the row before them, which tells that what follows is not the beginning.
    """

    sources = (Path(timeframes.__file__),)
    units = UNITS["BAR"]

    def memory(self, params):
        return None

    def new_state(self, params):
        return {"rows": np.zeros(0, BAR), "until": np.array(-1)}

    def step(self, state, params, row):
        return self.fold(state, params, row)

    def fold(self, state, params, rows):
        timeframe, row_ms = params
        rows = np.concatenate([state["rows"], rows])
        closed = to_timeframe(rows, timeframe, row_ms)
        closed = closed[closed["time"] >= state["until"]]  # without the bar of the row before them
        if len(closed):
            _, end = bar_spans(closed["time"][-1:], timeframe)
            state["until"] = end[0]
            rows = rows[np.searchsorted(rows["time"], end[0]) - 1 :]
        state["rows"] = rows
        return closed

    def save(self, state, path):
        np.savez(path.with_suffix(".npz"), **state)

    def load(self, path, params):
        with np.load(path.with_suffix(".npz")) as saved:
            return {"rows": saved["rows"].view(BAR), "until": saved["until"]}


# --- the engine -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PARAMS)
def test_laws_on_rows_of_every_kind(name, tmp_path):
    params = PARAMS[name].to_record()
    for seed, known in enumerate(KNOWN):
        check_laws(ENGINE, params, random_bars(140, seed, **known), tmp_path)


@given(bars=bar_sequences(min_size=30), params=some_params(), cut=st.integers(0, 80))
def test_laws_on_any_sequence(tmp_path_factory, bars, params, cut):
    params = params.to_record()
    check_fold_is_step(ENGINE, params, bars)
    check_prefix(ENGINE, params, bars, cuts=[min(cut, len(bars))])
    check_window(ENGINE, params, bars)
    check_split(ENGINE, params, bars, tmp_path_factory.getbasetemp(), cuts=[min(cut, len(bars))])
    check_purity(ENGINE, params, bars)


REAL = {
    "default": Params(),
    "many events": Params(event_mult=0.5, event_share=0.001, zone_bars=96, max_width_atr=3.0),
    "inverse": Params(margin="inverse", ledger_bars=40, flow_bars=30, atr_bars=30, outcome_bars=60),
}  # fmt: skip


@pytest.mark.parametrize("name", REAL)
def test_laws_on_real_bars(real_bars, name, tmp_path):
    bars = real_bars[-4000:]
    params = REAL[name].to_record()
    check_fold_is_step(ENGINE, params, bars)
    check_prefix(ENGINE, params, bars)
    check_split(ENGINE, params, bars, tmp_path)
    check_purity(ENGINE, params, bars[:1500])
    memory = ENGINE.memory(params)
    check_window(ENGINE, params, bars, at=[int(t) for t in np.linspace(memory - 1, len(bars) - 1, 250)])


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_window_law_at_every_real_row(real_bars, name):
    check_window(ENGINE, REAL[name].to_record(), real_bars)


def test_window_law_where_an_older_mark_led_the_zone():
    """A large mark leads the zone in which a small one breaks, and has left memory when the small one is joined."""
    params = small_params(
        ledger_bars=1, flow_bars=1, zone_bars=6, atr_bars=1, outcome_bars=20, event_mult=0.0, event_share=0.0,
        zone_atr=0.5, rearm_atr=0.1, break_atr=0.1, **AS_OBSERVED,
    )  # fmt: skip
    calm, event = (100.0, 101.0, 99.0, 100.0), (100.0, 102.0, 98.0, 100.0)
    away, fall = (103.0, 104.0, 103.0, 104.0), (104.0, 104.0, 96.0, 96.0)
    story = [event, calm, calm, event, away, fall, (96.0, 97.0, 95.0, 96.0), (96.0, 97.0, 95.0, 96.0)]
    bars = bars_of([*[calm] * 12, *story, (96.0, 99.0, 96.0, 97.0)], liq_long_usd=0.0, liq_short_usd=0.0)
    bars["liq_long_usd"][[12, 15]] = 5000.0, 1000.0
    bars["liq_long_price"][[12, 15]] = 100.0
    check_window(ENGINE, params.to_record(), bars)


def test_clock(real_bars):
    check_clock(ENGINE, Params().to_record(), real_bars[:1000])


@pytest.mark.parametrize("exponent", [-40, -1, 1, 33])
def test_prices_times_a_power_of_two_scale_every_field(real_bars, exponent):
    """Bins shift by whole numbers, so that even levels agree."""
    check_scale(ENGINE, Params().to_record(), real_bars[-6000:], UNITS["BAR"], price=2.0**exponent)


@pytest.mark.parametrize("factor", [1e-12, 1 / 3, 3.7, 1e10])
def test_prices_times_any_factor_scale_every_field_and_levels_within_a_bin(real_bars, factor):
    rows = real_bars[-6000:]
    check_scale(ENGINE, Params().to_record(), rows, UNITS["BAR"], price=factor, ties=0.002, binned=LEVELS)


@pytest.mark.parametrize("factor", [1e-9, 3.3, 2.0**20, 1e6])
def test_volumes_times_any_factor_scale_usd_alone(real_bars, factor):
    check_scale(ENGINE, Params().to_record(), real_bars[-6000:], UNITS["BAR"], volume=factor)


@given(
    bars=bar_sequences(min_size=30, kinds=EVEN),
    params=some_params(),
    price=st.sampled_from((1e-9, 0.3, 1.0, 7e6)),
    volume=st.sampled_from((1e-6, 1.0, 2.7, 1e8)),
)
def test_any_sequence_scales(bars, params, price, volume):
    """Without volumes 10,000 times the usual, after which lots are too coarse for levels to agree to 1e-9."""
    check_scale(ENGINE, params.to_record(), bars, UNITS["BAR"], price=price, volume=volume, binned=LEVELS)
    check_scale(ENGINE, params.to_record(), bars, UNITS["BAR"], price=2.0**17, tolerance=1e-7)


@pytest.mark.parametrize("pause_ms", [100.0, 7000.0, 90_000.0])
def test_laws_of_the_tape(pause_ms, tmp_path):
    params = Params(large_trades=5, large_mult=3.0).to_record()
    check_laws(Tape(), params, random_trades(700, 1, pause_ms), tmp_path)
    check_scale(Tape(), params, random_trades(700, 2, pause_ms), UNITS["TRADE"], price=7.1, volume=1e-5)
    plain = Params(large_trades=1, large_mult=3.0).to_record()  # a trade is compared with the one before it alone
    check_later_start(Tape(), plain, random_trades(700, 3, pause_ms), unsettled=1)


MINUTE = HOUR // 60
HIGHER = (
    ("3m", MINUTE), ("15m", MINUTE), ("1h", 15 * MINUTE), ("1h", HOUR), ("4h", HOUR), ("1d", 4 * HOUR),
    ("3d", 8 * HOUR), ("1w", 24 * HOUR), ("1M", 24 * HOUR),
)  # fmt: skip


def spaced(bars, row_ms, seed):
    """The same bars at another spacing, from some row of a higher bar on, a tenth of the rows missing."""
    rng = np.random.default_rng(seed)
    bars = bars.copy()
    bars["time"] = START + row_ms * (int(rng.integers(40)) + np.arange(len(bars)))
    return bars[rng.random(len(bars)) > 0.1]


@pytest.mark.parametrize("known", KNOWN, ids=lambda known: ", ".join(known) or "plain")
@pytest.mark.parametrize(("timeframe", "row_ms"), HIGHER)
def test_laws_of_timeframes(timeframe, row_ms, known, tmp_path):
    subject, params = Timeframes(), (timeframe, row_ms)
    bars = spaced(random_bars(300, 1, **known), row_ms, seed=2)
    assert len(folded(subject, params, bars)) >= 8
    check_laws(subject, params, bars, tmp_path)
    check_later_start(subject, params, bars)
    check_scale(subject, params, bars, UNITS["BAR"], price=7.1, volume=1e-5)
    check_scale(subject, params, bars, UNITS["BAR"], price=2.0**-40, volume=300.0)


@given(bars=bar_sequences(min_size=2), higher=st.sampled_from(HIGHER), seed=st.integers(0, 99))
def test_laws_of_timeframes_on_any_sequence(tmp_path_factory, bars, higher, seed):
    bars = spaced(bars, higher[1], seed)
    check_laws(Timeframes(), higher, bars, tmp_path_factory.getbasetemp())
    check_later_start(Timeframes(), higher, bars)


@pytest.mark.parametrize("timeframe", ["2h", "4h", "1d", "1w", "1M"])
def test_laws_of_timeframes_on_real_bars(real_bars, timeframe, tmp_path):
    subject, params, bars = Timeframes(), (timeframe, HOUR), real_bars[:3000]
    whole = folded(subject, params, bars)
    assert len(whole) >= 3000 * HOUR // (31 * 24 * HOUR if timeframe == "1M" else timeframe_ms(timeframe)) - 1
    check_laws(subject, params, bars, tmp_path)
    check_later_start(subject, params, bars)
    for exponent in (-40, 33):  # to the bit
        scale = {"price": 2.0**exponent, "volume": 2.0**-exponent}
        check_scale(subject, params, bars, UNITS["BAR"], **scale, tolerance=0.0)


@pytest.mark.parametrize(
    "dtype", [*map(state_dtype, SIZES), TAPE, BAR, SIGNAL, ZONE, LEVEL], ids=lambda dtype: str(dtype.itemsize)
)
def test_nothing_that_is_kept_has_padding(dtype):
    """NumPy copies records field by field; what lies between them would be whatever was in memory."""
    assert dtype.itemsize == sum(dtype[name].itemsize for name in dtype.names)


def test_a_constant_price_forces_nobody_out():
    params = small_params()
    out = folded(ENGINE, params.to_record(), bars_of([(100.0,) * 4] * 60))
    warm = out[params.memory - 1 :]
    assert (warm["long_flow_usd"] == 0.0).all()
    assert (warm["short_flow_usd"] == 0.0).all()
    assert np.isnan(warm["support"]).all()
    assert np.isnan(warm["resistance"]).all()
    assert 99.0 < warm["level_below"][0] < 100.0 < warm["level_above"][0] < 101.0
    assert all(row.tobytes() == warm[0].tobytes() for row in warm)


def test_time_gaps_change_ids_only():
    bars = random_bars(200, 5, calm=0.3)
    gaps = bars.copy()
    gaps["time"] += HOUR * np.cumsum(np.random.default_rng(0).integers(0, 1000, len(bars)))
    params = PARAMS["every row an event"].to_record()
    assert same(folded(ENGINE, params, bars), folded(ENGINE, params, gaps))
    here, there = new_state(params), new_state(params)
    ENGINE.fold(here, params, bars)
    ENGINE.fold(there, params, gaps)
    ours, theirs = zones_of(here, params), zones_of(there, params)
    assert len(ours) > 2
    times = ["zone_id", "birth", "last_time"]
    others = [name for name in ours.dtype.names if name not in times]
    assert ours[others].tolist() == theirs[others].tolist()
    shift = dict(zip(bars["time"].tolist(), gaps["time"].tolist(), strict=True))
    assert [shift[birth] for birth in ours["birth"].tolist()] == theirs["birth"].tolist()


@pytest.mark.parametrize("volume", [np.nan, -5.0, np.inf, -np.inf])
def test_a_volume_that_is_none_counts_as_zero(volume):
    zero = random_bars(150, 7)
    rng = np.random.default_rng(1)
    zero["volume"][rng.random(len(zero)) < 0.4] = 0.0
    other = zero.copy()
    other["volume"][zero["volume"] == 0.0] = volume
    for params in PARAMS.values():
        out = folded(ENGINE, params.to_record(), zero)
        assert same(out, folded(ENGINE, params.to_record(), other))
        assert not np.isinf(
            [out[name] for name, unit in UNITS["SIGNAL"].items() if unit.startswith(("usd", "quote"))]
        ).any()


def test_no_volume_at_all():
    bars = random_bars(100, 3)
    bars["volume"] = np.nan
    for name in ("liq_long_usd", "liq_short_usd"):
        bars[name] = np.nan
    params = small_params()
    out = folded(ENGINE, params.to_record(), bars)[params.memory - 1 :]
    good = ~np.isnan(out["long_flow_usd"])
    assert good.any()
    assert (out["long_flow_usd"][good] == 0.0).all()
    assert np.isnan(out["level_below"]).all()


@pytest.mark.parametrize("row", range(3))
def test_a_skipped_row_is_silent_and_keeps_its_place(row):
    """Whatever else a skipped row holds, it changes nothing but the count of rows."""
    bars = random_bars(120, 11, kinds=("rally", "crash", "observed", "nan_close"), calm=0.4)
    skipped = ~(bars["close"] > 0)
    assert skipped.sum() > 5
    other = bars.copy()
    for name in ("open", "high", "low", "volume", "open_interest", "liq_long_usd", "liq_short_usd"):
        other[name][skipped] = [1e9, np.nan, -np.inf][row]
    params = small_params()
    out = folded(ENGINE, params.to_record(), bars)
    assert same(out, folded(ENGINE, params.to_record(), other))
    late = out[params.memory :][skipped[params.memory :]]
    for name in out.dtype.names:
        assert np.isnan(late[name]).all() if out.dtype[name].kind == "f" else not late[name].any()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"max_width_atr": 30.0},
        {"zone_bars": 256},
        pytest.param({"zone_bars": 257, "ledger_bars": 255}, marks=pytest.mark.slow),  # a larger state: compiled anew
    ],
)
def test_full_buffers_lose_nothing(changes):
    """An event on every bar and both sides: 2 * zone_bars marks are alive, and the zones hold all that are whole."""
    params = small_params(event_mult=0.0, event_share=0.0, **AS_OBSERVED, **changes)
    bars = random_bars(params.memory + 300, 4, kinds=("quiet",), observed=True)
    record = params.to_record()
    state = new_state(record)
    ENGINE.fold(state, record, bars)
    marks = marks_of(state, record)
    zones = zones_of(state, record)
    assert len(marks) == 2 * params.zone_bars
    assert marks["birth_row"].tolist() == [len(bars) - params.zone_bars + i // 2 for i in range(2 * params.zone_bars)]
    assert marks["side"].tolist() == [0, 1] * params.zone_bars
    assert zones["marks"].sum() == (marks["broken"] == 0).sum()
    assert zones["usd"].sum() == pytest.approx(marks["usd"][marks["broken"] == 0].sum(), rel=1e-12)
    check_window(ENGINE, record, bars, at=[len(bars) - 1, len(bars) - 2])


@pytest.mark.parametrize(
    "length", [255, 256, *(pytest.param(length, marks=pytest.mark.slow) for length in (257, 1023, 1024))]
)
def test_window_law_where_states_change_size(length):
    """Windows as long as a state's buffers, or longer by one than the next smaller."""
    for longest in ("ledger_bars", "flow_bars", "zone_bars", "atr_bars"):
        windows = {"ledger_bars": 9, "flow_bars": 9, "zone_bars": 9, "atr_bars": 3, longest: length}
        if longest == "atr_bars":
            windows["ledger_bars"] = length - 4
        params = Params(**windows, event_mult=1.0, event_share=0.0)
        bars = random_bars(params.memory + 40, length, kinds=EVEN, calm=0.8)
        check_window(ENGINE, params.to_record(), bars, at=[len(bars) - 1, len(bars) - 20])


def test_no_rows_and_one_row():
    params = PARAMS["single rows"].to_record()
    assert len(folded(ENGINE, params, random_bars(0, 0))) == 0
    assert np.isnan(folded(ENGINE, params, random_bars(1, 0))["long_flow_usd"]).all()


def test_bars_and_params_may_be_read_only():
    params = small_params().to_record()
    bars = random_bars(50, 0)
    expected = folded(ENGINE, params, bars)
    params.flags.writeable = bars.flags.writeable = False
    assert same(ENGINE.fold(new_state(params), params, bars), expected)


# --- the checks themselves --------------------------------------------------------------------------------------------

TOY_PARAMS = small_params(flow_bars=9, zone_bars=9)
PLAIN = ("up", "down", "rally", "crash")


def toy_bars(seed=0):
    return random_bars(80, seed, kinds=PLAIN)


CHECKS = {
    "fold": lambda subject, params, folder: check_fold_is_step(subject, params, toy_bars()),
    "prefix": lambda subject, params, folder: check_prefix(subject, params, toy_bars()),
    "window": lambda subject, params, folder: check_window(subject, params, toy_bars()),
    "split": lambda subject, params, folder: check_split(subject, params, toy_bars(), folder),
    "clock": lambda subject, params, folder: check_clock(subject, params, toy_bars()),
    "purity": lambda subject, params, folder: check_purity(subject, params, random_bars(80, 0, ("no_volume", "up"))),
    "later start": lambda subject, params, folder: check_later_start(subject, params, toy_bars()),
    "scale": lambda subject, params, folder: check_scale(subject, params, toy_bars(), UNITS["BAR"], price=2.0**-9),
}


LAWFUL = unlawful.MeanFlow(), unlawful.Clusters(), unlawful.FourHours()


@pytest.mark.parametrize("subject", LAWFUL, ids=lambda it: type(it).__name__)
@pytest.mark.parametrize("law", CHECKS)
def test_lawful_toys_pass(subject, law, tmp_path):
    if law == "later start" and subject.memory(TOY_PARAMS) is not None:
        pytest.skip("for subjects whose rows out are not rows in, one to one; these have the law of the window")
    CHECKS[law](subject, TOY_PARAMS, tmp_path)


@pytest.mark.parametrize(
    ("subject", "law", "reason"),
    [
        (unlawful.RunningSum(), "window", "from its memory"),
        (unlawful.GreedyClusters(), "window", "from its memory"),
        (unlawful.WallClock(), "clock", "reads a clock: time.time"),
        (unlawful.Dice(), "clock", "gave other rows"),
        (unlawful.Peek(), "prefix", "a later row changed"),
        (unlawful.SecondFormula(), "fold", "not step after step"),
        (unlawful.MutatesInput(), "purity", "rows in were changed"),
        (unlawful.MutatesParams(), "purity", "params were changed"),
        (unlawful.GlobalState(), "purity", "influence each other"),
        (unlawful.GlobalState(), "split", "split at"),
        (unlawful.Forgets(), "split", "split at"),
        (unlawful.Absolute(), "scale", "multiple at row"),
        (unlawful.Unfinished(), "prefix", "a later row changed"),
        (unlawful.Unfinished(), "fold", "not step after step"),
        (unlawful.FromTheFirstRow(), "later start", "rows from 6 on"),
        (unlawful.HalfABar(), "later start", "rows from 6 on"),
    ],
    ids=lambda it: type(it).__name__ if isinstance(it, unlawful.Toy) else None,
)
def test_unlawful_toys_fail(subject, law, reason, tmp_path):
    """Each fails the law it breaks, for the reason expected."""
    params = small_params(flow_bars=9, zone_bars=9)
    with pytest.raises(AssertionError, match=reason):
        CHECKS[law](subject, params, tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "import time",
        "from datetime import datetime",
        "import numpy as np\nx = np.random.rand()",
        "from time import perf_counter",
        "x = np.datetime64('now')",
        "import random as r",
        "start = clock.monotonic()",
        "x = np.random.default_rng(0)",
    ],
)
def test_the_clock_scan_finds_clocks(text):
    assert clocks_in(text)
    assert not clocks_in("time = bar.time\nstate['time'] = time\nring.now = ring.now + 1\nfield = 'now'")
