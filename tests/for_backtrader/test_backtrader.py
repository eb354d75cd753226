"""Indicators and feeds in backtrader, in every mode, against a fold of the bars that a strategy saw."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
import warnings
from datetime import datetime, time, timedelta
from types import ModuleType

import backtrader as bt
import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from backtrader_runs import (
    HOUR,
    LENGTH,
    MODES,
    PARAMS,
    START,
    UTCNOW,
    TwoHoursEast,
    compare,
    folded,
    frame_of,
    kit,
    observed,
    seen_bars,
    series,
)

from liquidator_core import Params, fold, new_signals, new_state, zones_of
from liquidator_core.alignment import alignment
from liquidator_integrations.for_backtrader import (
    CandleFeed,
    LiquidationIndicator,
    LiquidationZones,
    ZoneAlignment,
    for_module,
)
from liquidator_integrations.for_backtrader import engine as engine_module
from liquidator_integrations.for_backtrader.engine import EXTRA, Engine, days_of, ms_of
from liquidator_integrations.frames import bars_from_frame

CASES = kit().cases
LIBRARIES = ("backtrader", "backtrader_next")
SHORT = pytest.mark.filterwarnings("ignore:.*fewer than Params.memory")


def run(build, mode, strategy=None, **params):
    return kit().run(build, mode, strategy or kit().Witness, **params)


LOSSY = "exactbars 1"  # of feeds that do not tick together: test_feeds_out_of_step_with_exactbars_1
MATRIX = [(case, mode) for case in CASES for mode in MODES if (case, mode) != ("sparser second", LOSSY)]


@SHORT
@pytest.mark.parametrize(("case", "mode"), MATRIX)
@pytest.mark.parametrize("library", LIBRARIES)
def test_every_mode_gives_what_a_fold_of_the_seen_bars_gives(library, case, mode):
    build, feeds = kit(library).cases[case]
    witness = kit(library).run(build, mode)
    assert len(witness.datas) == feeds
    for index in range(feeds):
        wrong, signals, expected = compare(witness, index)
        assert wrong == 0
        if case == "too short":
            assert signals == 0
        elif case == "just enough":
            assert signals == 1
        else:
            assert signals >= 30
            assert np.abs(expected["touch"]).sum() >= 3
            assert np.abs(expected["fade"]).sum() >= 3
            assert np.isfinite(expected["support"]).sum() >= 10
            assert np.isfinite(expected["level_below"]).sum() >= 10


@pytest.mark.parametrize("mode", MODES)
def test_a_step_at_every_call_fails_in_the_same_modes(mode):
    """The control: it is right where each bar comes once, and wrong where it does not."""
    control = {"indicators": (kit().Naive,)}
    assert compare(run(CASES["single"][0], mode, **control))[0] == 0
    assert compare(run(CASES["replayed"][0], mode, **control))[0] > 30
    if mode not in ("runonce, preload", "exactbars 1"):  # the one calls next() once a bar, in the other bars are lost
        witness = run(CASES["sparser second"][0], mode, **control)
        assert compare(witness)[0] == 0
        assert compare(witness, 1)[0] > 30


@UTCNOW
@pytest.mark.parametrize("library", LIBRARIES)
def test_feeds_out_of_step_with_exactbars_1(library):
    """The library fails there by itself: its own average raises, and without it bars of the slower feed are missing.

    What is left is warned of; each feed's lines are still a fold of the bars that a strategy saw of it.
    """
    parts = kit(library)
    build, feeds = parts.cases["sparser second"]

    class Average(parts.bt.Strategy):
        def __init__(self):
            self.averages = [parts.bt.ind.SMA(data, period=20) for data in self.datas]

    with pytest.raises(ValueError, match="islice"):
        parts.run(build, LOSSY, strategy=Average)
    with pytest.warns(UserWarning, match="does not tick together with the others, and with exactbars=1"):
        witness = parts.run(build, LOSSY)
    assert len(witness.seen[0]) == LENGTH
    assert len(witness.seen[1]) == PARAMS.memory < LENGTH // 3  # where its length stands still
    assert [compare(witness, index)[0] for index in range(feeds)] == [0, 0]


def test_the_replayed_bar_is_seen_before_it_is_final():
    witness = run(CASES["replayed"][0], "neither")
    assert witness.calls == LENGTH
    assert len(witness.seen[0]) <= LENGTH // 4 + 1


def test_a_changing_bar_is_taken_back():
    """The engine under random deliveries: each bar up to four times, the last one counts."""
    rng = np.random.default_rng(5)
    bars = observed(300)
    engine = Engine(PARAMS)
    expected = folded(bars)
    for row in range(len(bars)):
        drafts = [bars[rng.integers(len(bars))] for _ in range(rng.integers(4) if row % 100 > 70 else 0)]
        for at, bar in enumerate([*drafts, bars[row]]):
            (engine.replace if at else engine.append)(bar.tobytes())
        assert engine.out.tobytes() == expected[row : row + 1].tobytes()


def test_an_engine_goes_on_after_pickling():
    bars = observed(300)
    expected = folded(bars)
    engine = Engine(PARAMS)
    for row, bar in enumerate(bars):
        if row % 50 == 20:
            engine = pickle.loads(pickle.dumps(engine))
        engine.append(bar.tobytes())
        if row % 7 == 0:
            engine.replace(bars[row - 1].tobytes())
            engine.replace(bar.tobytes())
        assert engine.out.tobytes() == expected[row : row + 1].tobytes()


def test_bulk_reads_work_across_blocks(monkeypatch):
    for block in (61, 64):
        monkeypatch.setattr(engine_module, "BLOCK", block)
        for case in ("observed", "with its resampled"):
            assert compare(run(CASES[case][0], "runonce, preload"))[0] == 0


def test_extra_lines_reach_the_core():
    bars = observed()
    for name in ("liq_long_usd", "liq_short_usd", "open_interest"):
        unknown = bars.copy()
        unknown[name] = np.nan
        assert folded(unknown).tobytes() != folded(bars).tobytes()  # so that the test could fail
    for mode in ("runonce, preload", "neither"):
        witness = run(CASES["observed"][0], mode)
        seen = seen_bars(witness.data, witness.seen[0])
        assert seen.tobytes() == bars.tobytes()
        assert compare(witness)[0] == 0


def test_open_interest_of_zero_is_unknown():
    zero, unknown = series(), series()
    zero["open_interest"] = 0.0
    unknown["open_interest"] = np.nan
    outputs = []
    for bars in (zero, unknown):
        witness = run(lambda cerebro, bars=bars: cerebro.adddata(CandleFeed(dataname=bars)), "neither")
        outputs.append([row[2] for row in witness.seen[0].values()])
    np.testing.assert_array_equal(*outputs)


@pytest.mark.parametrize("mode", ["runonce, preload", "neither"])
def test_skipped_bars_are_counted_and_reported(mode, caplog):
    with caplog.at_level(logging.WARNING, "liquidator"):
        witness = run(CASES["bad bars"][0], mode, indicators=(LiquidationZones,))
    assert witness.zones[0][0].skipped == 5
    assert [record.getMessage() for record in caplog.records] == [
        f"LiquidationZones: 5 of {LENGTH} bars skipped for unusable prices"
    ]


@UTCNOW
@pytest.mark.parametrize("mode", MODES)
def test_feeds_of_which_nothing_can_be_made_are_warned_of(mode):
    with pytest.warns(UserWarning, match=r"the feed gave 60 bars, fewer than Params\.memory = 61: no signal is known"):
        run(CASES["too short"][0], mode, indicators=(LiquidationZones,))
    quiet = series()
    quiet["volume"] = np.nan
    with pytest.warns(UserWarning, match="neither volume nor observed liquidations: there are no zones"):
        run(kit().single(quiet), mode, indicators=(LiquidationZones,))


def test_observed_liquidations_need_no_volume():
    bars = observed()
    bars["volume"] = np.nan
    witness = run(kit().single(bars), "neither")
    wrong, _, expected = compare(witness)
    assert wrong == 0
    assert np.isfinite(expected["support"]).any()


def with_indicator(make, build=CASES["single"][0], mode="neither", prepare=lambda strategy: None):
    class Strategy(bt.Strategy):
        def __init__(self):
            self.made = make(self)

    return run(build, mode, strategy=Strategy).made


def test_default_params_and_alias():
    zones = with_indicator(lambda strategy: LiquidationZones(), kit().single(series(500)))
    assert zones._minperiod == Params().memory
    assert bt.Indicator._indcol["LiquidationZones"] is LiquidationZones
    from liquidator_integrations.for_backtrader import indicators

    assert issubclass(indicators.LiqZones, LiquidationZones)


def test_params_may_be_given_one_by_one():
    values = {name: getattr(PARAMS, name) for name in ("ledger_bars", "flow_bars", "zone_bars", "atr_bars")}
    zones = with_indicator(lambda strategy: LiquidationZones(strategy.data, **values))
    assert zones._params == Params(**values)
    zones = with_indicator(lambda strategy: LiquidationZones(strategy.data, zone_params=PARAMS, zone_bars=12))
    assert (zones._params.zone_bars, zones._params.flow_bars) == (12, PARAMS.flow_bars)


def test_a_subclass_picks_its_fields():
    class Ages(LiquidationIndicator):
        lines = ("resistance_age", "support_age")

    bars = series()
    for mode in ("runonce, preload", "neither"):
        ages = with_indicator(lambda strategy: Ages(strategy.data, zone_params=PARAMS), kit().single(bars), mode)
        for name in ("resistance_age", "support_age"):
            np.testing.assert_array_equal(getattr(ages.lines, name).array, folded(bars)[name])

    class Wrong(LiquidationIndicator):
        lines = ("support", "suport_age")

    with pytest.raises((TypeError, ValueError), match="LiquidationIndicator has no lines"):
        with_indicator(lambda strategy: LiquidationIndicator(strategy.data))
    with pytest.raises(TypeError, match=r"Wrong: lines must be fields of SIGNAL \(support, .*\), got 'suport_age'"):
        with_indicator(lambda strategy: Wrong(strategy.data))


def test_other_than_candles_are_refused():
    with pytest.raises(TypeError, match=r"pass self\.data, not one of its lines"):
        with_indicator(lambda strategy: LiquidationZones(strategy.data.close))
    with pytest.raises(TypeError, match=r"pass self\.data"):
        with_indicator(lambda strategy: LiquidationZones(bt.ind.SMA(strategy.data)))
    with pytest.raises(TypeError, match=r"zone_params must be liquidator_core\.Params, or a dict of .*, got 30"):
        with_indicator(lambda strategy: LiquidationZones(strategy.data, zone_params=30))
    with pytest.raises(TypeError, match="did you mean 'zone_bars'"):
        with_indicator(lambda strategy: LiquidationZones(strategy.data, zone_params={"zone_bar": 30}))
    with pytest.raises(TypeError, match=r"LiquidationZones has no parameter 'zone_bar': did you mean 'zone_bars'\?"):
        with_indicator(lambda strategy: LiquidationZones(strategy.data, zone_bar=30))
    with pytest.raises(ValueError, match=r"zone_bars must lie in \[1, 4096\]"):
        with_indicator(lambda strategy: LiquidationZones(strategy.data, zone_bars=0))


class NoVolume(bt.DataSeries):
    lines = ("datetime", "open", "high", "low", "close")


def test_a_feed_without_a_line_of_volume_is_refused():
    with pytest.raises(TypeError, match="got NoVolume without volume: zones are made of traded volume"):
        engine_module.inputs_of(NoVolume(), "LiquidationZones")


def test_a_signal_trades_without_strategy_code():
    bars = series(1000, seed=7)
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=bars))
    cerebro.add_signal(bt.SIGNAL_LONGSHORT, kit().lz.LiquidationSignal, zone_params=PARAMS)
    cerebro.addanalyzer(bt.analyzers.Transactions, _name="fills")
    fills = cerebro.run()[0].analyzers.fills.get_analysis()
    fade = folded(bars)["fade"]
    side, expected = 0, {}
    for row in np.flatnonzero(fade[:-1]):
        if fade[row] != side:
            expected[row + 1] = fade[row] * (1 if side == 0 else 2)
            side = fade[row]
    rows = {bt.num2date(day): row for row, day in enumerate(days_of(bars["time"]).tolist())}
    got = {rows[moment]: sum(fill[0] for fill in rows_) for moment, rows_ in fills.items()}
    assert got == expected
    assert len(got) >= 20


def test_missing_backtrader_says_what_to_install():
    code = "import sys; sys.modules['backtrader'] = None; import liquidator_integrations.for_backtrader"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'ImportError: this needs backtrader: pip install "liquidator-core[backtrader]"' in done.stderr


# The feed ---------------------------------------------------------------------------------------------------------


class Slow(CandleFeed):
    """The same feed, bar by bar, as backtrader does it."""

    def _is_rewritten(self):
        return True


class StockFeed(bt.feeds.PandasData):
    """backtrader's own, of the same frames."""

    params = (("openinterest", "open_interest"),)


def rising(data, *args, **kwargs):
    """A filter that takes away the bars that fell."""
    if data.close[0] > data.open[0]:
        return False
    data.backwards()
    return True


class Count(bt.Strategy):
    """Writes down every line of each bar, and last what the clock shows where the feed is."""

    def __init__(self):
        self.rows = []

    def next(self):
        values = [getattr(self.data.lines, name)[0] for name in self.data.getlinealiases()]
        self.rows.append((self.data.datetime[0], *values, bt.date2num(self.data.datetime.datetime())))


def rows_of(feed, mode, **settings):
    cerebro = bt.Cerebro(stdstats=False, **MODES[mode])
    cerebro.adddata(feed(**{"dataname": observed(), **settings}))
    cerebro.addstrategy(Count)
    return np.array(cerebro.run()[0].rows)


def test_days_equal_backtraders_own():
    rng = np.random.default_rng(6)
    times = np.sort(rng.integers(0, 4_102_444_800_000, 20_000))
    times[::2] -= times[::2] % 60_000
    days = days_of(times)
    epoch = datetime(1970, 1, 1)
    assert [bt.date2num(epoch + timedelta(milliseconds=int(time))) for time in times] == days.tolist()
    assert [ms_of(day) for day in days.tolist()] == times.tolist()
    assert ms_of(float("nan")) == 0


@pytest.mark.parametrize("mode", MODES)
def test_preloading_in_bulk_gives_each_bar_once(mode):
    bulk = rows_of(CandleFeed, mode)
    bars = observed()
    assert len(bulk) == LENGTH
    np.testing.assert_array_equal(bulk, rows_of(Slow, mode))
    names = ("close", "low", "high", "open", "volume", "open_interest")
    np.testing.assert_array_equal(bulk[:, 1:7], np.stack([bars[name] for name in names], axis=1))
    np.testing.assert_array_equal(bulk[:, 8:-1], np.stack([bars[name] for name in EXTRA], axis=1))


SETTINGS = {
    "dates": {"fromdate": datetime(2020, 9, 14, 3, 30), "todate": datetime(2020, 9, 20, 12)},
    "tz": {"tz": TwoHoursEast()},
    "tz and dates": {"tz": TwoHoursEast(), "fromdate": datetime(2020, 9, 15), "todate": datetime(2020, 9, 20)},
    "tzinput": {"tzinput": TwoHoursEast()},
    "tzinput and dates": {"tzinput": TwoHoursEast(), "fromdate": datetime(2020, 9, 15)},
    "a filter": {"filters": [rising]},
    "a session": {"filters": [bt.filters.SessionFilter], "sessionstart": time(9), "sessionend": time(17)},
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", SETTINGS)
def test_dates_zones_and_filters_are_those_of_a_stock_feed(name, mode):
    given = {"dataname": frame_of(series()), "timeframe": bt.TimeFrame.Minutes}
    ours, stock = (rows_of(feed, mode, **given, **SETTINGS[name]) for feed in (CandleFeed, StockFeed))
    np.testing.assert_array_equal(ours[:, :8], stock[:, :8])
    np.testing.assert_array_equal(ours[:, -1], stock[:, -1])
    plain = rows_of(StockFeed, mode, **given)
    assert len(stock) > 50
    assert stock.tobytes() != plain.tobytes()


def never(data, *args, **kwargs):
    """A filter that takes away every bar."""
    data.backwards()
    return True


@UTCNOW
@pytest.mark.parametrize("given", [{"fromdate": datetime(2030, 1, 1)}, {"filters": [never]}], ids=["dates", "filters"])
@pytest.mark.parametrize("mode", MODES)
def test_what_leaves_nothing_is_warned_of(mode, given):
    with pytest.warns(UserWarning, match="^BTC: none of its 400 bars is left by fromdate, todate and filters"):
        assert len(rows_of(CandleFeed, mode, name="BTC", **given)) == 0


def test_lookahead_is_left_room():
    cerebro = bt.Cerebro(stdstats=False, lookahead=3)
    cerebro.adddata(CandleFeed(dataname=observed()))
    cerebro.addstrategy(kit().Witness)
    witness = cerebro.run()[0]
    assert len(witness.seen[0]) == LENGTH
    assert compare(witness)[0] == 0


def test_a_cerebro_runs_twice():
    cerebro = bt.Cerebro(stdstats=False)
    cerebro.adddata(CandleFeed(dataname=observed()))
    cerebro.addstrategy(kit().Witness)
    for _ in range(2):
        witness = cerebro.run()[0]
        assert len(witness.seen[0]) == LENGTH
        assert compare(witness)[0] == 0


def test_spacing_is_found():
    expected = {
        60_000: (bt.TimeFrame.Minutes, 1),
        4 * HOUR: (bt.TimeFrame.Minutes, 240),
        24 * HOUR: (bt.TimeFrame.Days, 1),
        7 * 24 * HOUR: (bt.TimeFrame.Weeks, 1),
        10_000: (bt.TimeFrame.Seconds, 10),
        250: (bt.TimeFrame.MicroSeconds, 250_000),
    }
    for step_ms, found in expected.items():
        feed = CandleFeed(dataname=series(5, step_ms=step_ms))
        assert (feed._timeframe, feed._compression) == found
    assert CandleFeed(dataname=series(5), timeframe=bt.TimeFrame.Ticks)._timeframe == bt.TimeFrame.Ticks
    assert CandleFeed(dataname=series(1))._timeframe == bt.TimeFrame.Days


@pytest.mark.parametrize("mode", MODES)
def test_a_feed_may_be_empty(mode):
    assert run(lambda cerebro: cerebro.adddata(CandleFeed(dataname=series(0))), mode).calls == 0


@pytest.mark.parametrize("form", ["frame", "parquet", "feather", "csv"])
@pytest.mark.parametrize("mode", ["runonce, preload", "neither"])
def test_frames_and_files_give_what_their_bars_give(tmp_path, form, mode):
    frame = frame_of(observed())
    path = tmp_path / f"candles.{form}"
    if form == "parquet":
        frame.to_parquet(path)
    elif form == "feather":
        frame.reset_index().to_feather(path)
    elif form == "csv":
        frame.to_csv(path)
    dataname = frame if form == "frame" else str(path) if form == "csv" else path
    expected = rows_of(CandleFeed, mode)
    np.testing.assert_array_equal(rows_of(CandleFeed, mode, dataname=dataname), expected)
    assert compare(run(kit().single(dataname), mode))[0] == 0


@pytest.mark.parametrize("mode", ["runonce, preload", "neither"])
@pytest.mark.parametrize(
    "known",
    [(), ("open_interest",), ("funding_rate",), ("taker_buy",), ("liq_long_usd", "liq_long_price"), ("liq_short_usd",)],
)
def test_any_subset_of_data_will_do(known, mode):
    frame = frame_of(observed())[["open", "high", "low", "close", "volume", *known]]
    expected = bars_from_frame(frame)
    witness = run(kit().single(frame), mode)
    assert seen_bars(witness.data, witness.seen[0]).tobytes() == expected.tobytes()
    wrong, signals, _ = compare(witness)
    assert (wrong, signals) == (0, LENGTH - PARAMS.memory + 1)


def test_bars_may_be_stamped_with_their_close():
    bars = series()
    rows = rows_of(CandleFeed, "runonce, preload", dataname=bars, stamp="close")
    np.testing.assert_array_equal(rows[:, 0], days_of(bars["time"] + HOUR))
    with pytest.raises(ValueError, match="stamp must be 'open' or 'close', got 'end'"):
        CandleFeed(dataname=bars, stamp="end")


def test_wrong_bars_are_refused(tmp_path):
    for wrong, text in ((None, "dataname is missing"), ([1.0], r"row 0: found 1\.0"), (np.zeros(3), "got ndarray")):
        with pytest.raises(TypeError, match=text):
            CandleFeed(dataname=wrong)
    bars = series(5)
    bars["time"][3] = bars["time"][2]
    with pytest.raises(ValueError, match="times must increase, row 3 has"):
        CandleFeed(dataname=bars)
    with pytest.raises(TypeError, match="CandleFeed has no parameter 'stamps': did you mean 'stamp'"):
        CandleFeed(dataname=series(), stamps="close")
    with pytest.raises(ValueError, match="missing column for volume"):
        CandleFeed(dataname=frame_of(series()).drop(columns="volume"))
    bad = frame_of(series())
    bad.iloc[7, bad.columns.get_loc("high")] = 0.0
    with pytest.raises(ValueError, match=r"row 7.*high: found 0"):
        CandleFeed(dataname=bad)
    with pytest.raises(ValueError, match="cannot be read"):
        CandleFeed(dataname=tmp_path / "nothing.parquet")
    trades = tmp_path / "trades.parquet"
    pyarrow.parquet.write_table(pa.table({"time": [START], "price": [1.0], "size": [1.0], "side": ["buy"]}), trades)
    with pytest.raises(ValueError, match=r"trades\.parquet: holds trades, a feed needs candles"):
        CandleFeed(dataname=trades)


# Alignment --------------------------------------------------------------------------------------------------------


class Aligned(bt.Strategy):
    """Notes, for each bar of the first feed, how many of the others had closed, and what the indicator said then."""

    def __init__(self):
        self.zones = ZoneAlignment(*self.datas, zone_params=PARAMS)
        self.rows = {}

    def prenext(self):
        self.next()

    def next(self):
        row = len(self.data)
        self.rows.setdefault(row, [len(data) for data in self.datas[1:]])
        self.rows[row][len(self.datas) - 1 :] = [line[0] for line in self.zones.lines]


def expected_alignment(bars, others, counts):
    """(support, resistance) of each row, by folding every feed's bars as far as they were there."""
    record = PARAMS.to_record()
    zones = []
    for other in others:
        state = new_state(record)
        zones.append([np.zeros(0)])
        for row in range(len(other)):
            fold(state, record, other[row : row + 1], new_signals(1))
            zones[-1].append(zones_of(state, record))
    expected = []
    for row, signal in enumerate(folded(bars)):
        seen = counts[row]
        warm = row + 1 >= PARAMS.memory and all(count >= PARAMS.memory for count in seen)
        for kind in ("support", "resistance"):
            low, high = signal[f"{kind}_low"], signal[f"{kind}_high"]
            near = [of[count] for of, count in zip(zones, seen, strict=True)]
            expected.append(alignment(low, high, near) if warm and low == low else np.nan)
    return np.array(expected).reshape(-1, 2)


def resampled(bars, hours):
    """Larger bars, by hand: those that are whole."""
    rows = bars[: len(bars) // hours * hours].reshape(-1, hours)
    out = rows[:, 0].copy()
    out["high"], out["low"] = rows["high"].max(axis=1), rows["low"].min(axis=1)
    out["close"], out["open_interest"] = rows["close"][:, -1], rows["open_interest"][:, -1]
    out["volume"] = [np.add.accumulate(volume)[-1] for volume in rows["volume"]]
    return out


@pytest.mark.parametrize(
    ("how", "mode"),
    [*(("resampled", mode) for mode in MODES), *(("feeds of their own", mode) for mode in MODES if mode != LOSSY)],
)
def test_alignment_is_that_of_closed_bars(how, mode):
    start = series(1200, seed=21)
    start["time"] += -start["time"][0] % (24 * HOUR)
    others = [resampled(start, hours) for hours in (2, 4)]

    def build(cerebro):
        data = CandleFeed(dataname=start, stamp="close")
        cerebro.adddata(data)
        for hours, other in zip((2, 4), others, strict=True):
            if how == "resampled":
                cerebro.resampledata(data, timeframe=bt.TimeFrame.Minutes, compression=60 * hours)
            else:
                cerebro.adddata(CandleFeed(dataname=other, stamp="close"))

    rows = run(build, mode, strategy=Aligned).rows
    assert list(rows) == list(range(1, 1201))
    counts = [row[:2] for row in rows.values()]
    assert counts == [[row // 2, row // 4] for row in range(1, 1201)]  # a bar is there when it has closed, not before
    got = np.array([row[2:] for row in rows.values()])
    np.testing.assert_array_equal(got, expected_alignment(start, others, counts))
    assert {0.0, 50.0, 100.0} == set(got[~np.isnan(got)])


class Closes(bt.Strategy):
    """The closes of two feeds where the second has a new bar."""

    def __init__(self):
        self.zones = ZoneAlignment(*self.datas, zone_params=PARAMS)
        self.rows = {}

    def prenext(self):
        self.next()

    def next(self):
        if len(self.data1):
            self.rows.setdefault(len(self.data1), (self.data.close[0], self.data1.close[0]))


@pytest.mark.parametrize("mode", ["runonce, preload", "neither"])
def test_resampling_bars_stamped_with_their_open_sees_no_future(mode):
    def build(cerebro):
        cerebro.adddata(CandleFeed(dataname=series()))
        cerebro.resampledata(cerebro.datas[0], timeframe=bt.TimeFrame.Minutes, compression=240)

    rows = run(build, mode, strategy=Closes).rows
    assert len(rows) == LENGTH // 4 + 1  # the first and the last bar are parts
    assert all(first == second for first, second in rows.values())


def of_hours(hours, stamp):
    return lambda cerebro: cerebro.adddata(CandleFeed(dataname=resampled(series(), hours), stamp=stamp))


def from_hours(hours, stamp):
    def build(cerebro):
        base = CandleFeed(dataname=resampled(series(), hours), stamp=stamp)
        cerebro.resampledata(base, timeframe=bt.TimeFrame.Minutes, compression=480)

    return build


AHEAD = {
    "longer bars": (of_hours(1, "open"), of_hours(4, "open"), "data1: its bars are known 14,400 s"),
    "longer bars first": (of_hours(4, "open"), of_hours(1, "open"), "data0: its bars are known 14,400 s"),
    "another stamp": (of_hours(1, "close"), of_hours(4, "open"), "data1: its bars are known 14,400 s"),
    "resampled from longer bars": (of_hours(1, "open"), from_hours(4, "open"), "data1: its bars are known 14,400 s"),
    "resampled from another stamp": (of_hours(1, "close"), from_hours(1, "open"), "data1: its bars are known 3,600 s"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", AHEAD)
def test_bars_that_would_be_seen_before_they_closed_are_refused(mode, case):
    """Beside the first of four hours a bar that is stamped with its open shows their end."""
    *feeds, text = AHEAD[case]

    def build(cerebro):
        for feed in feeds:
            feed(cerebro)

    with pytest.raises(ValueError, match=rf'^ZoneAlignment of {text} .* make all with stamp="close"'):
        run(build, mode, strategy=Aligned)


def test_feeds_that_were_resampled_are_judged_by_their_origin():
    class Apart(bt.Strategy):
        def __init__(self):
            ZoneAlignment(self.data0, self.data2, zone_params=PARAMS)

    def build(cerebro):
        of_hours(1, "close")(cerebro)
        of_hours(4, "open")(cerebro)
        cerebro.resampledata(cerebro.datas[1], timeframe=bt.TimeFrame.Minutes, compression=480)

    with pytest.raises(ValueError, match=r"^ZoneAlignment of data1: its bars are known 14,400 s"):
        run(build, "neither", strategy=Apart)


@SHORT
def test_bars_of_one_length_may_be_stamped_with_their_open():
    def build(cerebro):
        of_hours(1, "open")(cerebro)
        of_hours(1, "open")(cerebro)
        from_hours(1, "open")(cerebro)

    assert len(run(build, "neither", strategy=Aligned).rows) == LENGTH


def test_alignment_of_one_feed_or_of_replayed_ones_is_refused():
    with pytest.raises(TypeError, match="ZoneAlignment needs two data feeds or more, got 1"):
        run(CASES["single"][0], "neither", strategy=Aligned)

    def build(cerebro):
        data = CandleFeed(dataname=series())
        cerebro.adddata(data)
        cerebro.replaydata(CandleFeed(dataname=series()), timeframe=bt.TimeFrame.Minutes, compression=240)

    with pytest.raises(ValueError, match="needs closed bars"):
        run(build, "neither", strategy=Aligned)


@UTCNOW
@pytest.mark.parametrize("mode", MODES)
def test_alignment_says_what_was_wrong_with_which_feed(mode, caplog):
    bad, quiet = series(), series(seed=3)
    bad["close"][7] = np.nan
    quiet["volume"] = np.nan

    def build(cerebro):
        cerebro.adddata(CandleFeed(dataname=bad, stamp="close"), name="BTC")
        cerebro.adddata(CandleFeed(dataname=quiet, stamp="close"))
        cerebro.resampledata(cerebro.datas[0], timeframe=bt.TimeFrame.Days, name="a day")

    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run(build, mode, strategy=Aligned)
    told = [str(one.message) for one in found if one.category is UserWarning]
    assert told[-2:] == [
        "ZoneAlignment of data1: the feed has neither volume nor observed liquidations: there are no zones",
        "ZoneAlignment of a day: the feed gave 17 bars, fewer than Params.memory = 61: no signal is known",
    ]
    assert "ZoneAlignment of BTC: 1 of 400 bars skipped for unusable prices" in caplog.text


# Another library --------------------------------------------------------------------------------------------------


def test_for_module():
    import backtrader_next

    ours = for_module(bt)
    assert ours.LiquidationZones is LiquidationZones
    made = for_module(backtrader_next)
    assert made is for_module(backtrader_next)
    assert made.__name__ == "liquidator_integrations.for_backtrader_next"
    assert issubclass(made.LiquidationZones, backtrader_next.Indicator)
    assert not issubclass(made.LiquidationZones, bt.Indicator)
    assert set(made.__all__) == set(ours.__all__)
    for wrong in (np, "backtrader_next", ModuleType("empty")):
        with pytest.raises(TypeError, match="library must be backtrader or a module that works like it"):
            for_module(wrong)
