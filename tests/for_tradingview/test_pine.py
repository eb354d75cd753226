"""The exported Pine scripts, executed on bars: every value they plot and every box they draw is the engine's."""

from __future__ import annotations

import dataclasses
import json
import re
import timeit

import golden_vectors
import numpy as np
import pytest
from made_bars import HOUR, KINDS, PARAMS, bars_of, random_bars, rounded_nearer, small_params
from pine_check import check
from pine_figures import loop_passes
from pine_run import Ran, run_pine

from liquidator_core import BAR, LEVEL, SIGNAL, ZONE, Params, fold, new_signals, new_state
from liquidator_core.alignment import alignment
from liquidator_core.layout import LONG, SCHEMA, SHORT
from liquidator_core.levels import levels_of
from liquidator_core.timeframes import to_timeframe
from liquidator_core.zones import zones_of
from liquidator_integrations.charts.palette import RESISTANCE, SUPPORT
from liquidator_integrations.for_tradingview import to_pine
from liquidator_integrations.for_tradingview.scripts import loop_steps
from liquidator_integrations.for_tradingview.text import FORMS, HISTORY, MOST_BOXES
from liquidator_integrations.frames import bars_from_frame, levels_frame, zones_frame

EVENTS = ("touch", "broke", "fade", "join")
CHART_KINDS = tuple(kind for kind in KINDS if kind not in ("observed", "observed_zero", "unpriced"))
OTHER_PARAMS = {
    "default": Params(),
    "inverse, tiers": Params(
        margin="inverse",
        margin_amount=0.002,
        margin_rate=0.006,
        leverages=(50.0, 3.0, 20.0),
        leverage_weights=(0.5, 0.2, 0.3),
        level_share=0.02,
    ),
    "short windows, cascades": Params(
        ledger_bars=48, flow_bars=64, zone_bars=60, atr_bars=20, outcome_bars=8, event_mult=2.0, use_cascades=True
    ),
    "long windows": Params(
        ledger_bars=400, flow_bars=200, zone_bars=500, event_mult=3.0, zone_atr=0.4, max_width_atr=3.0, rearm_atr=0.2
    ),
}


def engine(bars: np.ndarray, params: Params, beside: tuple[str, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """(rows, state) of the engine, fed with what a chart has and the columns named."""
    seen = bars.copy()
    for name in set(bars.dtype.names) - {"time", "open", "high", "low", "close", "volume", *beside}:
        seen[name] = np.nan
    record = params.to_record()
    state, rows = new_state(record), new_signals(len(bars))
    fold(state, record, seen, rows)
    return rows, state


def assert_equals_engine(ran: Ran, rows: np.ndarray, warm: np.ndarray, of_levels: float = 1e-9) -> None:
    """Every plot of a SIGNAL field equals the engine's column; na where it has nothing to say."""
    assert ran.error == ""
    for name in SIGNAL.names:
        plotted, expected = ran.plots[name], rows[name].astype(float)
        expected[~warm] = np.nan
        assert len(plotted) == len(expected)
        tolerance = of_levels if name.startswith("level") else 1e-9
        same = np.isclose(plotted, expected, rtol=tolerance, atol=0.0, equal_nan=True)
        assert same.all(), f"{name}: row {np.argmin(same)}: {plotted[~same][0]} for {expected[~same][0]}"


def warm_rows(bars: np.ndarray, params: Params) -> np.ndarray:
    good = (bars["low"] > 0) & (bars["high"] < np.inf) & (bars["low"] <= bars["high"])
    for name in ("open", "close"):
        good &= (bars["low"] <= bars[name]) & (bars[name] <= bars["high"])
    return good & (np.arange(len(bars)) >= params.memory - 1)


def with_input(source: str, name: str, value: str) -> str:
    """The script as if a user had changed an input."""
    changed, count = re.subn(rf"({name} = input\.\w+\()[^,]+", rf"\g<1>{value}", source)
    assert count == 1
    return changed


def scaled(bars: np.ndarray, factor: float) -> np.ndarray:
    bars = bars.copy()
    for name in ("open", "high", "low", "close"):
        bars[name] *= factor
    return bars


@pytest.fixture(scope="module")
def bars(real_bars) -> np.ndarray:
    """The crash of March 2020 and seven weeks around it."""
    return real_bars[3500:4700]


@pytest.fixture(scope="module")
def live(bars) -> Ran:
    return run_pine(to_pine(), bars)


# The live script ----------------------------------------------------------------------------------------------------


def test_every_plot_equals_the_engine(bars, live):
    rows, _ = engine(bars, Params())
    assert_equals_engine(live, rows, warm_rows(bars, Params()))
    assert all((rows[name] != 0).sum() > 10 for name in EVENTS)


def test_boxes_are_the_zones_and_lines_the_levels(bars, live):
    _, state = engine(bars, Params())
    zones, levels = zones_of(state, Params()), levels_of(state, Params())
    assert len(zones) > 3
    drawn = sorted((box["bottom"], box["top"], box["left"]) for box in live.boxes)
    assert drawn == sorted(zip(zones["low"], zones["high"], zones["birth"], strict=True))
    assert len(levels) > 0
    prices = sorted(line["y1"] for line in live.lines)
    np.testing.assert_allclose(prices, np.sort(levels["price"]), rtol=1e-9)
    labels = [label["text"] for label in live.labels]
    assert labels[0] == f"medium {zones['quality'][0]:.0f}, touched {zones['touches'][0]}"
    assert labels[-1].endswith("M USD")
    assert dict(live.table)["Params"] == Params().digest


def test_alerts_are_json_on_the_rows_of_events(bars, live):
    rows, _ = engine(bars, Params())
    times = {int(time) for name in EVENTS for time in bars["time"][rows[name] != 0]}
    messages = [json.loads(alert) for alert in live.alerts]
    assert {one["time"] for one in messages if not one["formed"]} <= times
    assert times <= {one["time"] for one in messages}
    at = {int(time): row for time, row in zip(bars["time"], rows, strict=True)}
    for one in messages:
        assert one["params"] == Params().digest
        assert one["fade"] == at[one["time"]]["fade"]
        assert one["long_flow_usd"] == pytest.approx(float(at[one["time"]]["long_flow_usd"]), rel=1e-9)


def test_alert_conditions_are_the_events(bars):
    """PyneCore leaves alertcondition out, so each condition is plotted in its place."""
    plotted, count = re.subn(r'alertcondition\((.+?), "([^"]+)", .*\)', r'plot(\1 ? 1 : 0, "\2")', to_pine())
    assert count == 5
    ran = run_pine(plotted, bars)
    rows, state = engine(bars, Params())
    fields = {"Zone touched": "touch", "Zone broken": "broke", "Fade": "fade", "Join": "join"}
    for title, field in fields.items():
        np.testing.assert_array_equal(ran.plots[title] == 1, rows[field] != 0, err_msg=title)
    formed = bars["time"][ran.plots["Zone formed"] == 1]
    assert set(zones_of(state, Params())["birth"]) <= set(formed)
    assert 10 < len(formed) < len(bars) / 5


def test_later_bars_change_nothing(bars, live):
    shorter = run_pine(to_pine(), bars[:-177])
    for name, plotted in shorter.plots.items():
        np.testing.assert_array_equal(plotted, live.plots[name][:-177], err_msg=name)


def test_history_may_start_anywhere(bars, live):
    """Memory is finite: charts that start at different bars agree once they are warm."""
    warm = Params().memory - 1
    later = run_pine(to_pine(), bars[137:])
    for name in SIGNAL.names:
        np.testing.assert_array_equal(later.plots[name][warm:], live.plots[name][137 + warm :], err_msg=name)


def test_an_unfinished_bar_changes_nothing(bars, live):
    """The last bars come live, each with unfinished updates first."""
    ran = run_pine(to_pine(), bars, live=150)
    assert ran.error == ""
    for name, plotted in ran.plots.items():
        np.testing.assert_array_equal(plotted, live.plots[name], err_msg=name)
    assert [box["top"] for box in ran.boxes] == [box["top"] for box in live.boxes]
    assert ran.alerts == live.alerts


@pytest.mark.parametrize("name", ["small", "inverse", "every row an event"])
def test_made_bars_with_everything_that_is_wrong(name):
    """Bad rows, leaps that leave positions behind, missing and huge volumes; at so small a price that TradingView takes
    neighbouring ones as equal.
    """
    made = random_bars(600, seed=3, kinds=CHART_KINDS, price=1.234e-5)
    params = dataclasses.replace(PARAMS[name], observed="beside")
    ran = run_pine(to_pine(params), made)
    assert_equals_engine(ran, engine(made, params)[0], warm_rows(made, params))


def test_noise_is_mended_as_in_frames():
    made = random_bars(300, seed=5, kinds=("quiet", "up", "down", "rally", "crash"))
    made["high"][::3] = np.maximum(made["open"], made["close"])[::3] * (1.0 - 2.0**-53)
    made["low"][1::3] = np.minimum(made["open"], made["close"])[1::3] * (1.0 + 2.0**-52)
    mended = bars_from_frame(made)
    assert (mended["high"] > made["high"]).sum() > 50
    assert (mended["low"] < made["low"]).sum() > 50
    assert_equals_engine(
        run_pine(to_pine(PARAMS["small"]), made),
        engine(mended, PARAMS["small"])[0],
        warm_rows(mended, PARAMS["small"]),
    )


def knowing(source: str, bars: np.ndarray) -> str:
    """The script with what a chart lacks put into it: open interest, row by row."""
    values = ", ".join(map(str, np.nan_to_num(bars["open_interest"], nan=-1.0)))
    source = source.replace("float openInterest = na\n", "float openInterest = array.get(open_interest, bar_index)\n")
    return source.replace("float NEVER", f"var array<float> open_interest = array.from({values})\nfloat NEVER", 1)


@pytest.mark.parametrize(
    "name", ["default", "inverse", "other_windows", "far_cascades", "open_interest", "every_kind_of_row"]
)
def test_golden_vectors(name):
    """The first four as exported; for the others the script is given what a chart lacks."""
    folder = golden_vectors.FOLDER / name
    params, bars = golden_vectors.read_params(folder), golden_vectors.read(folder / "bars.csv", BAR)
    source = to_pine(params)
    if not np.isnan(bars["open_interest"]).all():
        source = knowing(source, bars)
    ran = run_pine(source, bars)
    rows, zones, levels = (
        golden_vectors.read(folder / f"{file}.csv", dtype)
        for file, dtype in (("rows", SIGNAL), ("zones", ZONE), ("levels", LEVEL))
    )
    assert_equals_engine(ran, rows, warm_rows(bars, params), of_levels=1e-6)
    drawn = sorted((box["bottom"], box["top"], box["left"]) for box in ran.boxes)
    expected = sorted(zip(zones["low"], zones["high"], zones["birth"], strict=True))
    np.testing.assert_allclose(np.array(drawn), np.array(expected), rtol=1e-9)
    prices = sorted(line["y1"] for line in ran.lines)
    np.testing.assert_allclose(prices, levels["price"], rtol=1e-6)


@pytest.mark.parametrize("side", [LONG, SHORT])
def test_a_position_just_beyond_the_close_is_the_nearest_level(side):
    entry, price, close = rounded_nearer(side)
    params = small_params(leverages=(10.0,), leverage_weights=(1.0,))
    turn = (entry, max(entry, close), min(entry, close), close)
    made = bars_of([(entry,) * 4] * (params.memory + 1) + [turn], volume=[0.0] * params.memory + [5.0, 0.0])
    level = run_pine(to_pine(params), made).plots["level_below" if side == LONG else "level_above"][-1]
    assert level == pytest.approx(price, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", [name for name, params in PARAMS.items() if not params.use_large_trades])
def test_made_bars_at_length(name, seed):
    made = random_bars(500, seed=100 + seed, kinds=CHART_KINDS, price=(103.7, 1.234e-5, 87_654.3)[seed])
    params = dataclasses.replace(PARAMS[name], observed="beside")
    ran = run_pine(to_pine(params), made)
    assert_equals_engine(ran, engine(made, params)[0], warm_rows(made, params))


@pytest.mark.slow
@pytest.mark.parametrize("price", [None, 1e-5, 1e5])
@pytest.mark.parametrize("name", list(OTHER_PARAMS))
def test_a_long_stretch_of_real_bars(real_bars, name, price):
    """3,500 hours, at the price they had and as if the first had been 0.00001 or 100,000."""
    params = OTHER_PARAMS[name]
    some = real_bars[2500:6000]
    some = scaled(some, 1.0 if price is None else price / some["close"][0])
    ran = run_pine(to_pine(params), some)
    rows, state = engine(some, params)
    assert_equals_engine(ran, rows, warm_rows(some, params))
    zones = zones_of(state, params)
    drawn = sorted((box["bottom"], box["top"]) for box in ran.boxes)
    np.testing.assert_allclose(drawn, sorted(zip(zones["low"], zones["high"], strict=True)), rtol=1e-9)
    lines = sorted(line["y1"] for line in ran.lines)
    np.testing.assert_allclose(lines, np.sort(levels_of(state, params)["price"]), rtol=1e-9)


@pytest.mark.slow
def test_open_interest(bars):
    """Its feed is read where it is asked for, and cohorts survive by it."""
    known = bars.copy()
    rng = np.random.default_rng(5)
    known["open_interest"] = 4 * known["volume"].mean() * np.exp(np.cumsum(rng.normal(0, 0.02, len(bars))))
    known["open_interest"] = np.round(known["open_interest"])  # PyneCore's files hold seven digits
    feed = bars_of([(value,) * 4 for value in known["open_interest"]])
    feed["time"] = bars["time"]
    params = Params(use_open_interest_drops=True, open_interest_drop=0.02)
    ran = run_pine(to_pine(params, open_interest=True), bars, security={"TEST:COINUSDT_OI": feed})
    rows, _ = engine(known, params, ("open_interest",))
    for other in (engine(bars, params)[0], engine(known, Params(), ("open_interest",))[0]):
        assert (rows["long_flow_usd"] != other["long_flow_usd"]).sum() > 100
    assert_equals_engine(ran, rows, warm_rows(bars, params))


@pytest.mark.slow
def test_alignment_knows_closed_bars_only(real_bars):
    params = small_params(zone_bars=20)
    some = real_bars[3997:4397]  # from midnight on: no partial bar
    ran = run_pine(to_pine(params, timeframes=("2h", "4h")), some, security={"120": some, "240": some})
    rows, _ = engine(some, params)
    assert_equals_engine(ran, rows, warm_rows(some, params))
    expected = {kind: np.full(len(some), np.nan) for kind in ("support", "resistance")}
    closed = {hours: to_timeframe(some, f"{hours}h") for hours in (2, 4)}
    for i in np.flatnonzero(warm_rows(some, params)):
        others = []
        for hours, higher in closed.items():
            # what had closed when the chart's bar opened
            seen = higher[higher["time"] + hours * HOUR <= some["time"][i]]
            if len(seen) >= params.memory:
                others.append(zones_of(engine(seen, params)[1], params))
        if len(others) == len(closed):
            for kind, values in expected.items():
                low, high = rows[f"{kind}_low"][i], rows[f"{kind}_high"][i]
                values[i] = alignment(low, high, others) if low == low else np.nan
    for kind, values in expected.items():
        assert {0.0, 50.0, 100.0} <= set(values)
        np.testing.assert_array_equal(ran.plots[f"{kind}_alignment"], values)


def test_loops_stay_within_what_the_header_says(real_bars):
    """Each pass of a loop is counted in the script that runs; 1,500 bars, the crash of March 2020 in them."""
    steps = loop_passes(real_bars[3500:5000], Params())
    assert 50 < steps.mean() < 1000
    assert steps.max() < loop_steps(Params())
    assert f"// loop steps a bar at most: {loop_steps(Params())}\n" in to_pine()


def test_no_volume_is_an_error_of_the_script(bars):
    silent = bars[:50].copy()
    silent["volume"] = 0.0
    assert "need volume" in run_pine(to_pine(), silent).error


def test_inputs_that_do_not_fit_together_are_an_error_of_the_script(bars):
    source = with_input(to_pine(), "weight1", "0.99")
    assert "the weights must add up to 1" in run_pine(source, bars[:5]).error


# The strategy -------------------------------------------------------------------------------------------------------


def test_the_strategy_enters_at_the_open_after_a_signal(bars, live):
    ran = run_pine(to_pine(form="strategy"), bars)
    rows, _ = engine(bars, Params())
    assert_equals_engine(ran, rows, warm_rows(bars, Params()))
    assert len(ran.trades) > 20
    for trade in ran.trades:
        signal = rows[trade["entry_bar_index"] - 1]
        entry = signal["fade"] or signal["join"]
        assert trade["sign"] == entry
        opened = bars["open"][trade["entry_bar_index"]]
        assert trade["entry_price"] == pytest.approx(opened, rel=1e-9)
        low, high = (signal[f"{'fade' if signal['fade'] else 'join'}_{edge}"] for edge in ("low", "high"))
        stop = low - (high - low) if entry > 0 else high + (high - low)
        left = rows[trade["exit_bar_index"] - 1]
        if left["exit_long" if entry > 0 else "exit_short"]:
            assert trade["exit_price"] == pytest.approx(bars["open"][trade["exit_bar_index"]], rel=1e-9)
        else:
            gap = bars["open"][trade["exit_bar_index"]]
            worst = min(stop, gap) if entry > 0 else max(stop, gap)
            assert trade["exit_price"] == pytest.approx(worst, rel=1e-9)


def test_joins_alone_have_their_own_stops(bars):
    """Also on rows that fade and join speak of at once: the stop is beyond the band of what was traded."""
    rows, _ = engine(bars, Params())
    ran = run_pine(with_input(to_pine(form="strategy"), "tradeFades", "false"), bars)
    both = 0
    for trade in ran.trades:
        signal = rows[trade["entry_bar_index"] - 1]
        assert trade["sign"] == signal["join"]
        both += int(signal["fade"] != 0)
        left = rows[trade["exit_bar_index"] - 1]
        if not left["exit_long" if trade["sign"] > 0 else "exit_short"]:
            low, high, opened = signal["join_low"], signal["join_high"], bars["open"][trade["exit_bar_index"]]
            stop = min(2 * low - high, opened) if trade["sign"] > 0 else max(2 * high - low, opened)
            assert trade["exit_price"] == pytest.approx(stop, rel=1e-9)
    assert both > 0


# The snapshot -------------------------------------------------------------------------------------------------------


def test_a_snapshot_draws_zones_and_levels_of_elsewhere(bars):
    _, state = engine(bars, Params())
    zones, levels = zones_of(state, Params()), levels_of(state, Params())
    source = to_pine(form="snapshot", zones=zones, levels=levels, symbol="BTCUSDT", as_of="2020-04-13")
    assert source == to_pine(
        form="snapshot", zones=zones_frame(bars), levels=levels_frame(bars), symbol="BTCUSDT", as_of="2020-04-13"
    )
    other = random_bars(40, seed=1)
    ran = run_pine(source, other, period="15")
    drawn = [(box["bottom"], box["top"], box["left"], box["extend"]) for box in ran.boxes]
    assert drawn == [(*edges, "r") for edges in zip(zones["low"], zones["high"], zones["birth"], strict=True)]
    assert [line["y1"] for line in ran.lines] == levels["price"].tolist()
    assert dict(ran.table)["As of"] == "2020-04-13"


def many_zones(bars: np.ndarray, count: int) -> np.ndarray:
    zones = np.repeat(zones_of(engine(bars, Params())[1], Params())[:1], count)
    zones["quality"] = np.linspace(1.0, 99.0, count)
    zones["low"] = np.linspace(100.0, 200.0, count)
    zones["high"] = zones["low"] + 0.1
    return zones


def test_of_too_many_zones_the_strongest_are_kept(bars):
    zones = many_zones(bars, 700)
    source = to_pine(form="snapshot", zones=zones[::-1])
    assert f"// Zones: {MOST_BOXES}, those of the highest quality of 700\n" in source
    ran = run_pine(source, bars[:3])
    assert sorted(box["bottom"] for box in ran.boxes) == zones["low"][-MOST_BOXES:].tolist()


# What is refused ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"form": "chart"}, "form must be one of live, snapshot, strategy, got 'chart'"),
        ({"params": Params(use_large_trades=True)}, "use_large_trades needs a tape of trades, which TradingView does"),
        ({"params": Params(use_funding=True)}, "use_funding needs funding rates"),
        (
            {"params": golden_vectors.read_params(golden_vectors.FOLDER / "every_signal"), "open_interest": True},
            "use_large_trades needs",
        ),
        ({"params": Params(use_open_interest_drops=True)}, "use_open_interest_drops needs open interest"),
        ({"params": Params(ledger_bars=4000, zone_bars=1000)}, "a memory of 5097 bars, and a script sees 5000"),
        ({"form": "snapshot"}, "a snapshot needs zones, found none"),
        ({"zones": np.zeros(1)}, "zones, levels and as_of belong to the form 'snapshot'"),
        ({"form": "snapshot", "open_interest": True}, "open_interest and timeframes belong to the live forms"),
        ({"timeframes": ("4h", "7h")}, "timeframes must be one of 1m, 3m, .* got '7h'"),
        ({"timeframes": ("1h", "4h", "1d")}, "at most two different ones, got 1h, 4h, 1d"),
        ({"symbol": "X" * 61}, "symbol must have at most 60 characters, got 61"),
        ({"form": "snapshot", "zones": np.zeros(1, ZONE)}, "zones, row 0, low: found .*0.0"),
    ],
)
def test_what_does_not_go_is_said(arguments, says):
    with pytest.raises(ValueError, match=says):
        to_pine(**arguments)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("low", np.nan, "zones, row 1, low: found .*nan.*, allowed a finite number above 0"),
        ("high", np.inf, "zones, row 1, high"),
        ("high", 1.0, "zones, row 1, high: found .*1.0.*, allowed a finite number, at least the low"),
        ("usd", np.nan, "zones, row 1, usd"),
        ("quality", 101.0, "zones, row 1, quality: found .*101.0.*, allowed from 0 to 100"),
    ],
)
def test_numbers_that_cannot_be_drawn_are_named(bars, field, value, says):
    zones = many_zones(bars, 3)
    zones[field][1] = value
    with pytest.raises(ValueError, match=says):
        to_pine(form="snapshot", zones=zones)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("touches", np.nan, "zones, row 1, touches: found .*nan.*, allowed a whole number from 0 on"),
        ("touches", 1.5, "zones, row 1, touches: found .*1.5"),
        ("touches", -1.0, "zones, row 1, touches: found .*-1.0"),
        ("zone_id", -3.0, "zones, row 1, zone_id: found .*-3.0"),
        ("zone_id", 1e300, "zones, row 1, zone_id: found .*1e\\+300"),
    ],
)
def test_whole_numbers_are_whole(bars, field, value, says):
    """Of a mapping of columns as of a frame: a column read from a file is of floats where one number was missing."""
    zones = many_zones(bars, 3)
    columns = {name: zones[name].copy() for name in ZONE.names}
    columns[field] = columns[field].astype(float)
    columns[field][1] = value
    with pytest.raises(ValueError, match=says):
        to_pine(form="snapshot", zones=columns)


def test_what_is_no_table_is_named(bars):
    zones, levels = many_zones(bars, 1), levels_frame(bars)
    with pytest.raises(ValueError, match="levels must have a column 'side' as zones_frame and levels_frame make it"):
        to_pine(form="snapshot", zones=zones, levels=levels.drop(columns="side"))
    with pytest.raises(ValueError, match="levels, row 0, side: found 'both', allowed long"):
        to_pine(form="snapshot", zones=zones, levels=levels.assign(side="both"))
    with pytest.raises(ValueError, match="zones must have a column 'low'"):
        to_pine(form="snapshot", zones=3)


def test_params_and_names_are_of_their_types():
    with pytest.raises(TypeError, match="params must be Params, got dict"):
        to_pine({"event_mult": 3.0})
    with pytest.raises(TypeError, match="symbol must be text, got 7"):
        to_pine(symbol=7)
    with pytest.raises(TypeError, match="symbol must be text, got None"):
        to_pine(symbol=None)
    with pytest.raises(TypeError, match="timeframes must be a sequence of names, got the text '4h'"):
        to_pine(timeframes="4h")


def test_levels_that_cannot_be_drawn_are_named(bars):
    levels = levels_of(engine(bars, Params())[1], Params())
    levels["price"][0] = np.nan
    with pytest.raises(ValueError, match="levels, row 0, price"):
        to_pine(form="snapshot", zones=many_zones(bars, 1), levels=levels)
    with pytest.raises(ValueError, match="zones must have a column 'low' as zones_frame"):
        to_pine(form="snapshot", zones=levels)


# The text -----------------------------------------------------------------------------------------------------------


def test_the_text_is_the_same_each_time_and_names_what_it_is():
    params = Params(event_mult=4.0)
    source = to_pine(params, symbol="BTC")
    assert source == to_pine(Params(event_mult=4.0), symbol="BTC")
    assert source != to_pine(symbol="BTC")
    header = source.splitlines()[:4]
    assert header[0] == "//@version=6"
    assert f"liquidator-core 0.1.0, schema {SCHEMA}" in header[1]
    values = re.fullmatch(rf"// Params {params.digest}: (.*)", header[2])[1]
    assert Params.from_dict(json.loads(values)) == params


def test_every_parameter_is_an_input_or_no_matter_of_charts():
    of_tapes = {"tape_ms", "large_trades", "large_mult", "large_usd", "use_large_trades"}
    of_funding = {"use_funding", "funding_extreme", "funding_raise"}
    of_feeds = {"observed", "observed_bars"}
    inputs = set(check(to_pine()).inputs)
    assert {"leverage5", "weight5", "margin"} <= inputs
    for spec in dataclasses.fields(Params):
        camel = re.sub("_(.)", lambda match: match[1].upper(), spec.name)
        listed = spec.name in {"leverages", "leverage_weights", *of_tapes, *of_funding, *of_feeds}
        assert (camel in inputs) != listed, spec.name


@pytest.mark.parametrize("form", FORMS)
def test_every_input_has_a_group_and_a_tooltip(bars, form):
    wanted = {"zones": many_zones(bars, 1)} if form == "snapshot" else {"timeframes": ("4h", "1d")}
    inputs = [line for line in to_pine(form=form, **wanted).splitlines() if "= input." in line]
    assert len(inputs) > 5
    for line in inputs:
        assert re.search(r'tooltip = "[^"]+", group = "[^"]+"[,)]', line), line


def test_inputs_do_not_fill_the_status_line():
    """TradingView shows all but colours and switches there and in the data window, unless it is told not to."""
    inputs = [line for line in to_pine(timeframes=("4h",)).splitlines() if "= input." in line]
    shown = {"int", "float", "string", "timeframe"}
    assert {re.search(r"input\.(\w+)", line)[1] for line in inputs} == shown | {"bool", "color"}
    for line in inputs:
        assert line.endswith(", display = display.none)") == (re.search(r"input\.(\w+)", line)[1] in shown), line


def test_open_interest_is_asked_of_the_plain_symbol():
    """A chart's own settings may stand in syminfo.tickerid, behind which "_OI" would be no symbol."""
    asked = [line for line in to_pine(open_interest=True).splitlines() if '"_OI"' in line]
    assert asked == ['string interestId = ticker.standard(syminfo.tickerid) + "_OI"']


def test_changed_inputs_are_told():
    """The table says whether a chart still shows the parameters of the header."""
    bars = random_bars(5, seed=1)
    changed = with_input(to_pine(), "eventMult", "123.5")
    assert dict(run_pine(to_pine(), bars).table)["Params"] == Params().digest
    assert dict(run_pine(changed, bars).table)["Params"] == f"changed from {Params().digest}"


def test_limits_are_kept_with_margin():
    found = check(to_pine(timeframes=("4h", "1d"), open_interest=True))
    assert found.plots <= 48
    assert found.boxes <= 300
    assert found.tokens <= 25_000
    assert Params().memory < HISTORY / 2


def test_export_takes_less_than_fifty_ms(bars):
    zones = many_zones(bars, 300)
    for arguments in ({}, {"form": "strategy"}, {"form": "snapshot", "zones": zones}):
        assert min(timeit.repeat(lambda arguments=arguments: to_pine(**arguments), number=1, repeat=5)) < 0.05


def test_what_lies_below_the_close_is_blue_and_what_lies_above_orange(bars, live):
    _, state = engine(bars, Params())
    zones = zones_of(state, Params())
    snapshot = to_pine(form="snapshot", zones=zones, levels=levels_of(state, Params()))
    above = {zone["low"]: zone["price"] > bars["close"][-1] for zone in zones}
    assert set(above.values()) == {False, True}
    for ran in (live, run_pine(snapshot, bars)):
        assert len(ran.boxes) == len(zones)
        for box in ran.boxes:
            assert box["border_color"].startswith(RESISTANCE if above[box["bottom"]] else SUPPORT)
        for line in ran.lines:
            assert (RESISTANCE if line["y1"] > bars["close"][-1] else SUPPORT) in line["color"]
