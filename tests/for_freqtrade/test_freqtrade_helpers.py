"""The freqtrade helpers on freqtrade's own frame: columns and their laws, stops, parameters, FreqAI, bad input."""

from __future__ import annotations

import dataclasses
import logging
from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from freqtrade.ft_types.plot_annotation_type import AnnotationTypeTA
from freqtrade.persistence import LocalTrade
from freqtrade.strategy import CategoricalParameter, DecimalParameter, IntParameter, merge_informative_pair
from freqtrade_setup import candle_frame
from loopback_exchange import coin_bars
from made_bars import small_params

from liquidator_core import SIGNAL, Params, fold, new_signals, new_state, step
from liquidator_core._jit import JIT
from liquidator_core.calls import _fold
from liquidator_core.timeframes import to_timeframe
from liquidator_core.zones import marks_of
from liquidator_integrations import sample_bars
from liquidator_integrations.for_freqtrade import (
    ZoneStrategy,
    add_alignment,
    add_features,
    add_informative_zones,
    add_targets,
    add_zones,
    entry_price,
    parameter,
    params_of,
    plot_annotations,
    plot_config,
    startup_candle_count,
    zone_stoploss,
)
from liquidator_integrations.frames import alignment_columns, marks_frame, placebo_marks, signal_columns

MEMORY = Params().memory
PAIR = {"pair": "BTC/USDT"}
LIVE = (498, 999)  # candles that a bot on Binance has: futures, spot


@pytest.fixture(scope="module")
def candles():
    return candle_frame(sample_bars()[:4000])


@pytest.fixture(scope="module")
def zones(candles):
    return add_zones(candles)


def with_agreement(dataframe: pd.DataFrame) -> pd.DataFrame:
    """What a strategy on 1h has of 4h zones: merged by freqtrade as ``@informative`` does it."""
    larger = to_timeframe(as_bars(dataframe), "4h")
    if len(larger) == 0:
        return dataframe
    informative = add_informative_zones(candle_frame(larger), small_params())
    merged = merge_informative_pair(dataframe, informative, "1h", "4h", ffill=True)
    return add_alignment(add_zones(merged, small_params()), ["4h"])


def as_bars(dataframe: pd.DataFrame) -> np.ndarray:
    bars = sample_bars()
    return bars[np.isin(bars["time"], dataframe["date"].to_numpy("M8[ms]").astype(np.int64))]


MAKERS = {
    "zones": add_zones,
    "informative zones": add_informative_zones,
    "features": add_features,
}


# Columns ----------------------------------------------------------------------------------------------------------


def test_columns_are_the_core_s_signal_to_the_bit(candles, zones):
    record = Params().to_record()
    out = new_signals(len(candles))
    fold(new_state(record), record, sample_bars()[:4000], out)
    assert list(zones) == [*candles, *(f"lz_{name}" for name in SIGNAL.names)]
    for name in SIGNAL.names:
        assert zones[f"lz_{name}"].dtype == SIGNAL[name]
        assert zones[f"lz_{name}"].to_numpy().tobytes() == out[name].tobytes()
    assert (zones["lz_fade"] != 0).sum() > 100


@pytest.mark.parametrize("make", [*MAKERS.values(), add_targets], ids=[*MAKERS, "targets"])
def test_the_frame_given_is_not_changed(candles, make):
    given = candles.iloc[:800].copy()
    made = make(given)
    pd.testing.assert_frame_equal(given, candles.iloc[:800])
    pd.testing.assert_frame_equal(made[list(given)], given)
    assert made.index.equals(given.index)
    assert {kind.kind for kind in made.dtypes} <= {"f", "i", "M"}


def test_a_slice_keeps_its_index(candles, zones):
    part = candles.iloc[1000:2000]
    pd.testing.assert_frame_equal(add_zones(part).iloc[MEMORY:], zones.iloc[1000 + MEMORY : 2000])


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_prefix_law_on_every_column_and_row(candles, make):
    whole = make(candles)
    for length in (480, 481, 777, 1500, 2600, 3333, 3999):
        pd.testing.assert_frame_equal(make(candles.iloc[:length]), whole.iloc[:length], check_exact=True)


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("rows", [MEMORY, *LIVE])
def test_window_law_on_every_column(candles, make, rows):
    whole = make(candles)
    events = np.flatnonzero(whole.iloc[:, -1]) + 1
    events = events[events >= rows]
    assert len(events) > 20
    for end in [*range(rows, 4000, 131), *events[:: len(events) // 20]]:
        live = make(candles.iloc[end - rows : end].reset_index(drop=True))
        first = end - rows + MEMORY - 1
        expected = whole.iloc[first:end].reset_index(drop=True)
        pd.testing.assert_frame_equal(live.iloc[MEMORY - 1 :].reset_index(drop=True), expected, check_exact=True)


def test_the_laws_on_columns_of_a_larger_timeframe(candles):
    whole = with_agreement(candles)
    assert {0.0, 100.0} == set(whole["lz_support_agreement"].dropna())
    for end in range(1200, 4000, 97):
        pd.testing.assert_frame_equal(with_agreement(candles.iloc[:end]), whole.iloc[:end], check_exact=True)
        live = with_agreement(candles.iloc[end - 498 : end].reset_index(drop=True))
        expected = whole.iloc[end - 1 : end].reset_index(drop=True)
        pd.testing.assert_frame_equal(live.tail(1).reset_index(drop=True), expected, check_exact=True)


def test_alignment_by_hand():
    nan = np.nan
    frame = pd.DataFrame({"date": pd.date_range("2020", periods=4, freq="h", tz="UTC")})
    frame["lz_support_low"], frame["lz_support_high"] = [10.0, 10.0, nan, 10.0], [11.0, 11.0, nan, 11.0]
    frame["lz_resistance_low"], frame["lz_resistance_high"] = 20.0, 21.0
    for timeframe, low, high in (("4h", [10.5, 0, 10.5, nan], [10.7, 0, 10.7, nan]), ("1d", [20.5] * 4, [22.0] * 4)):
        frame[f"lz_support_low_{timeframe}"], frame[f"lz_support_high_{timeframe}"] = low, high
        frame[f"lz_resistance_low_{timeframe}"] = frame[f"lz_resistance_high_{timeframe}"] = np.inf
    aligned = add_alignment(frame, ["4h", "1d"])
    np.testing.assert_array_equal(aligned["lz_support_agreement"], [50.0, 0.0, nan, nan])
    np.testing.assert_array_equal(aligned["lz_resistance_agreement"], [50.0, 50.0, 50.0, nan])


def test_timeframes_that_all_agree_are_a_hundred_and_no_ulp_less():
    names = [f"{hours}h" for hours in range(2, 16)]
    frame = pd.DataFrame({"date": pd.date_range("2020", periods=1, freq="h", tz="UTC")})
    edges = {f"lz_{kind}_{edge}": 1.0 for kind in ("support", "resistance") for edge in ("low", "high")}
    frame = frame.assign(**edges, **{f"{column}_{name}": 1.0 for column in edges for name in names})
    for count in range(1, len(names) + 1):
        assert add_alignment(frame, names[:count])["lz_support_agreement"].tolist() == [100.0]


def test_alignment_by_nearest_zones_is_at_most_that_by_all(candles):
    some = candles.iloc[:2600]
    nearest = with_agreement(some)
    everything = alignment_columns(as_bars(some), ["4h"], small_params())
    for kind in ("support", "resistance"):
        seen, whole = nearest[f"lz_{kind}_agreement"].to_numpy(), everything[f"{kind}_alignment"].to_numpy()
        np.testing.assert_array_equal(np.isnan(seen), np.isnan(whole))
        known = ~np.isnan(seen)
        assert (seen[known] <= whole[known]).all()
        assert 0.9 < (seen[known] == whole[known]).mean() < 1.0


def test_a_zone_that_is_gone_does_not_stay_behind_in_a_smaller_timeframe(candles):
    larger = candle_frame(to_timeframe(coin_bars("BTC"), "4h"))
    plain, filled = add_zones(larger), add_informative_zones(larger)
    gone = plain["lz_resistance"].isna() & (np.arange(len(plain)) >= MEMORY - 1)
    assert gone.sum() > 10
    assert np.isinf(filled.loc[gone, "lz_resistance"]).all()
    hours = candle_frame(coin_bars("BTC"))
    merged = merge_informative_pair(hours, filled, "1h", "4h", ffill=True).set_index("date")
    known = merged.loc[larger.loc[gone, "date"] + timedelta(hours=3), "lz_resistance_4h"]
    assert np.isinf(known).all()
    assert not filled.iloc[MEMORY - 1 :].isna().any(axis=None)


@pytest.mark.parametrize("make", [add_zones, add_informative_zones])
def test_zones_of_given_marks(make, candles, zones):
    placebo = placebo_marks(candles, None, 1)
    made = make(candles, marks=placebo)
    if make is add_zones:
        expected = signal_columns(candles, marks=placebo).add_prefix("lz_")
        pd.testing.assert_frame_equal(made[list(expected)], expected, check_exact=True)
    assert not made["lz_fade"].equals(zones["lz_fade"])
    own = make(candles, marks=marks_frame(candles))
    for name in ("lz_fade", "lz_join", "lz_touch", "lz_broke"):
        pd.testing.assert_series_equal(own[name], zones[name], check_exact=True)


def test_startup_is_the_memory_and_what_comes_on_top(candles, zones):
    assert startup_candle_count() == MEMORY == 480
    assert startup_candle_count(Params(zone_bars=96), 20) == 384 + 20
    assert zones["lz_atr"].first_valid_index() == MEMORY - 1
    assert ZoneStrategy.startup_candle_count <= LIVE[0]


def test_a_search_over_params_compiles_nothing_anew(candles):
    if not JIT:
        pytest.skip("nothing is compiled here")
    some = candles.iloc[:600]
    add_zones(some, small_params())
    add_zones(some)
    before = len(_fold.signatures)
    for event_mult in np.linspace(2, 12, 21):
        add_zones(some, Params(event_mult=event_mult, zone_bars=96 + int(event_mult)))
    assert len(_fold.signatures) == before


# Bad input --------------------------------------------------------------------------------------------------------


def spoilt(candles: pd.DataFrame, row: int, **values: float) -> pd.DataFrame:
    candles = candles.copy()
    for name, value in values.items():
        candles.loc[row, name] = value
    return candles


BAD = {
    "no volume": (lambda frame: frame.drop(columns="volume"), "missing column for volume"),
    "no rows": (lambda frame: frame.iloc[:0], "no candles"),
    "unsorted": (lambda frame: frame.iloc[::-1], "goes back to"),
    "two rows exchanged": (lambda frame: frame.iloc[[0, 2, 1, *range(3, 700)]], "row 2 "),
    "doubled": (lambda frame: frame.iloc[[0, 1, 1, *range(2, 700)]], "repeats 2019-10-01T01:00:00"),
    "volume as words": (lambda frame: frame.assign(volume="much"), "must be numbers|allowed a number"),
}


@pytest.mark.parametrize("on_bad", ["skip", "raise"])
@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("make", [add_zones, add_features, add_targets])
def test_what_is_no_series_of_candles_is_refused_by_the_pair_s_name(candles, kind, on_bad, make):
    spoil, words = BAD[kind]
    with pytest.raises((ValueError, TypeError), match=f"^BTC/USDT.*({words})") as caught:
        make(spoil(candles.iloc[:700]), metadata=PAIR, on_bad=on_bad)
    assert kind == "no rows" or str(caught.value).startswith("BTC/USDT 1h: ")


def test_a_short_frame_is_unknown_throughout(candles, caplog):
    with caplog.at_level(logging.WARNING):
        short = add_zones(candles.iloc[:479], metadata=PAIR)
    assert caplog.messages == ["BTC/USDT 1h: 479 candles are too few: a row depends on 480, so all are unknown"]
    assert (
        short[[name for name in short if name.startswith("lz_") and short[name].dtype == float]].isna().all(axis=None)
    )
    with pytest.raises(ValueError, match=r"^BTC/USDT 1h: 479 candles are too few.*startup_candle_count"):
        add_zones(candles.iloc[:479], metadata=PAIR, on_bad="raise")


def test_one_bad_candle_is_skipped_counted_and_logged(candles, zones, caplog):
    bad = spoilt(candles, 3000, low=np.nan)
    with caplog.at_level(logging.WARNING):
        made = add_zones(bad, metadata=PAIR)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("BTC/USDT 1h: 1 of 4000 candles skipped: row 3000 (")
    assert "low: found nan" in caplog.messages[0]
    pd.testing.assert_frame_equal(made.iloc[:3000], zones.iloc[:3000])
    assert made.loc[3000, "lz_fade"] == 0
    assert np.isnan(made.loc[3000, "lz_support"])
    assert made["lz_support"].iloc[3001:].notna().any()
    pd.testing.assert_frame_equal(made.iloc[3001 + MEMORY :], zones.iloc[3001 + MEMORY :])
    with pytest.raises(ValueError, match=r"^BTC/USDT 1h: row 3000 .*low: found nan"):
        add_zones(bad, metadata=PAIR, on_bad="raise")


def test_a_volume_without_a_value_is_no_volume(candles):
    some = candles.iloc[:600].assign(volume=np.nan)
    for make in (add_zones, add_features, add_targets):
        with pytest.raises(ValueError, match=r"^BTC/USDT 1h: volume: found no value in all 600 rows"):
            make(some, metadata=PAIR)
    observed = some.assign(liq_long_usd=0.0, liq_short_usd=0.0, liq_long_price=np.nan, liq_short_price=np.nan)
    assert add_zones(observed)["lz_long_flow_usd"].iloc[-1] == 0.0


@pytest.mark.parametrize("name", ["oi", "ts", "vol", "Close", "taker_buy_volume", "time"])
def test_a_strategy_s_own_columns_are_not_taken_for_candles(candles, zones, name):
    mine = candles.assign(**{name: np.linspace(-1.0, 1.0, len(candles))})
    pd.testing.assert_frame_equal(add_zones(mine)[list(zones)], zones)
    pd.testing.assert_frame_equal(add_targets(mine).drop(columns=name), add_targets(candles))


def test_an_index_that_repeats_is_kept(candles, zones):
    for index in (np.zeros(len(candles), int), np.r_[0:2000, 0:2000]):
        made = add_zones(candles.set_index(index))
        assert made.index.equals(pd.Index(index))
        pd.testing.assert_frame_equal(made.reset_index(drop=True), zones)


def test_dates_that_are_all_one_are_told_by_the_pair(candles):
    frozen = candles.assign(date=candles["date"].iloc[0])
    with pytest.raises(ValueError, match=r"^BTC/USDT: row 1 .*repeats"):
        add_zones(frozen, metadata=PAIR)


def test_features_of_a_skipped_candle_are_finite(candles):
    made = add_features(spoilt(candles, 3000, high=-1.0, volume=np.nan)).filter(like="%-").iloc[MEMORY - 1 :]
    assert np.isfinite(made).all(axis=None)


def test_a_column_that_is_there_already_is_named(zones):
    with pytest.raises(ValueError, match=r"^BTC/USDT 1h: column 'lz_support' is there already: choose another prefix"):
        add_zones(zones, metadata=PAIR)
    assert "other_support" in add_zones(zones, prefix="other_")
    assert "&-lz_hold" in add_targets(add_features(zones))


# Plots ------------------------------------------------------------------------------------------------------------


def test_plot_config_names_columns_that_are_there(zones):
    config = plot_config()
    groups = [config["main_plot"], *config["subplots"].values()]
    assert {name for group in groups for name in group} <= set(zones)
    assert not any("fill_to" in entry for entry in config["main_plot"].values())  # a fill bridges where no zone is


def test_what_lies_below_the_close_is_blue_and_what_lies_above_orange(zones):
    config = plot_config()
    of_below = [entry["color"] for name, entry in config["main_plot"].items() if "support" in name or "below" in name]
    of_below.append(config["subplots"]["forced flow"]["lz_long_flow_usd"]["color"])
    assert set(of_below) == {"#0072B2", "rgba(0, 114, 178, 0.5)"}
    drawn = plot_annotations(zones, zones["date"].iloc[3000], zones["date"].iloc[3200])
    colours = {"support": "rgba(0, 114, 178, 0.2)", "resistance": "rgba(230, 159, 0, 0.2)"}
    colours |= {"level below": "#0072B2", "level above": "#E69F00"}
    assert {one["label"]: one["color"] for one in drawn} == colours


def test_annotations_are_what_the_columns_said_then(zones):
    start, end = zones["date"].iloc[3000], zones["date"].iloc[3200]
    drawn = plot_annotations(zones, start, end)
    for one in drawn:
        AnnotationTypeTA.validate_python(one)
    boxes = [one for one in drawn if one["type"] == "area" and one["label"] == "support"]
    assert len(boxes) > 10
    dates = zones["date"]
    for row in range(3000, 3200):
        inside = [one for one in boxes if one["start"] <= dates[row] < one["end"]]
        lows = [] if np.isnan(zones.loc[row, "lz_support_low"]) else [zones.loc[row, "lz_support_low"]]
        assert [one["y_start"] for one in inside] == lows
    assert plot_annotations(zones, end + timedelta(days=999), end + timedelta(days=1000)) == []


# Stops and entries ------------------------------------------------------------------------------------------------


def trade_after(zones: pd.DataFrame, row: int, is_short: bool, leverage: float = 2.0) -> LocalTrade:
    """A trade opened some seconds after the candle of a row closed."""
    return LocalTrade(
        pair="BTC/USDT",
        open_rate=float(zones.loc[row, "close"]),
        open_date=zones.loc[row, "date"].to_pydatetime() + timedelta(hours=1, seconds=3),
        stake_amount=100.0,
        amount=1.0,
        fee_open=0.0,
        fee_close=0.0,
        is_short=is_short,
        leverage=leverage,
        timeframe=60,
        exchange="binance",
    )


@pytest.mark.parametrize("sign", [1, -1])
def test_stop_lies_beyond_the_zone_that_was_faded_and_stays(zones, sign):
    row = int(np.flatnonzero(zones["lz_fade"] == sign)[40])
    low, high = zones.loc[row, "lz_fade_low"], zones.loc[row, "lz_fade_high"]
    stop = low - 1.5 * (high - low) if sign > 0 else high + 1.5 * (high - low)
    trade = trade_after(zones, row, is_short=sign < 0)
    rate = float(zones.loc[row, "close"])
    for last in (row + 1, row + 2, row + 50):  # the candle of the entry is there, too, in a live frame
        distance = zone_stoploss(zones.iloc[:last], trade, rate, 1.5)
        assert rate * (1 - sign * distance / trade.leverage) == pytest.approx(stop, rel=1e-12)
    trade.adjust_stop_loss(rate, zone_stoploss(zones.iloc[: row + 1], trade, rate, 1.5))
    assert trade.stop_loss == pytest.approx(stop, rel=1e-6)
    beyond = stop * (1 - 0.01 * sign)
    assert 0 < zone_stoploss(zones.iloc[: row + 1], trade, beyond, 1.5) < 1e-5


def test_stop_needs_a_signal_before_the_trade(zones):
    first = int(np.flatnonzero(zones["lz_fade"] == 1)[0])
    assert zone_stoploss(zones.iloc[: first + 5], trade_after(zones, first - 1, is_short=False), 7000.0) is None
    assert zone_stoploss(zones.iloc[:0], trade_after(zones, first, is_short=False), 7000.0) is None


def test_a_signal_counts_on_the_twelve_candles_before_a_trade_live_and_in_a_backtest(zones):
    rows = np.flatnonzero(zones["lz_fade"] == 1)
    alone = rows[:-1][np.diff(rows) > 20]
    row = int(alone[alone > 2 * MEMORY][0])
    rate = float(zones.loc[row, "close"])
    for after, there in ((11, True), (12, False)):
        trade = trade_after(zones, row + after, is_short=False)
        whole = zones.iloc[: row + after + 1]
        live = add_zones(zones.iloc[row + after + 1 - LIVE[0] : row + after + 1, :6].reset_index(drop=True))
        stops = [zone_stoploss(frame, trade, rate) for frame in (whole, live)]
        assert stops[0] == stops[1]
        assert (stops[0] is not None) == there


def test_edges_that_are_none_are_refused(zones):
    trade = trade_after(zones, 3000, is_short=False)
    for edge in ("support", "suport"):
        with pytest.raises(ValueError, match=f"edge must be 'fade', 'join' or 'nearest', got '{edge}'"):
            zone_stoploss(zones, trade, 7000.0, edge=edge)
        with pytest.raises(ValueError, match=f"edge must be 'fade', 'join' or 'nearest', got '{edge}'"):
            entry_price(zones, "long", 7000.0, edge)


@pytest.mark.parametrize(("is_short", "kind"), [(False, "support"), (True, "resistance")])
def test_nearest_stop_follows_the_last_candle(zones, is_short, kind):
    row = int(zones["lz_support"].notna().to_numpy().nonzero()[0][300])
    low, high = (zones.loc[row, f"lz_{kind}_{edge}"] for edge in ("low", "high"))
    stop = high + (high - low) if is_short else low - (high - low)
    rate = float(zones.loc[row, "close"])
    distance = zone_stoploss(zones.iloc[: row + 1], trade_after(zones, row, is_short), rate, edge="nearest")
    assert rate * (1 + distance / 2.0 * (1 if is_short else -1)) == pytest.approx(stop, rel=1e-12)
    nowhere = zones.iloc[: row + 1].assign(**{f"lz_{kind}_low": np.nan, f"lz_{kind}_high": np.nan})
    assert zone_stoploss(nowhere, trade_after(zones, row, is_short), rate, edge="nearest") is None


def test_entry_waits_at_the_near_edge():
    frame = pd.DataFrame({"lz_support_low": [1.0], "lz_support_high": [2.0], "lz_fade_low": [np.nan]})
    frame = frame.assign(lz_fade_high=np.nan, lz_resistance_low=8.0, lz_resistance_high=9.0)
    assert entry_price(frame, "long", 5.0) == 2.0
    assert entry_price(frame, "long", 1.5) == 1.5
    assert entry_price(frame, "short", 5.0) == 8.0
    assert entry_price(frame, "short", 8.5) == 8.5
    assert entry_price(frame, "long", 5.0, "fade") == 5.0
    with pytest.raises(ValueError, match="'long' or 'short', got 'buy'"):
        entry_price(frame, "buy", 5.0)


# Hyperopt ---------------------------------------------------------------------------------------------------------


def test_parameters_have_the_type_default_and_range_of_their_field():
    mult = parameter("event_mult", 2, 12, space="buy", decimals=1)
    assert isinstance(mult, DecimalParameter)
    assert (mult.low, mult.high, mult.value) == (2, 12, Params().event_mult)
    bars = parameter("outcome_bars", space="buy")
    assert isinstance(bars, IntParameter)
    assert (bars.low, bars.high, bars.value) == (6, 96, Params().outcome_bars)
    margin = parameter("margin", space="buy")
    assert isinstance(margin, CategoricalParameter)
    assert margin.opt_range == ["linear", "inverse"]


SEARCHED = [spec for spec in dataclasses.fields(Params) if spec.metadata.get("search")]


@pytest.mark.parametrize("end", [0, 1], ids=["low", "high"])
def test_every_value_in_a_range_is_one_that_params_take(end):
    """Each alone, and all of them together; within what the default startup loads."""
    assert len(SEARCHED) > 15
    values = {}
    for spec in SEARCHED:
        made = parameter(spec.name, space="zones")
        made.in_space = True
        assert made.value == spec.default
        space = made.get_space(spec.name)
        values[spec.name] = (space.low, space.high)[end]
        assert values[spec.name] == spec.metadata["search"][end]
        assert Params(**{spec.name: values[spec.name]}).memory <= MEMORY
    assert Params(**values, use_cascades=True).memory <= MEMORY


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("event_mul",), "must be a field of Params with one value, got 'event_mul'"),
        (("leverages",), "with one value, got 'leverages'"),
        (("level_share", 0.01, 2.0), r"searched within \[0.01, 1\]"),
        (("event_mult", 900, 1000), "around its default"),
        (("large_usd",), "large_usd has no range that suits all: give low and high"),
        (("tape_ms", 1000), "give low and high"),
        (("zone_atr", 0.1, 1, 1), "zone_atr: decimals must keep 0.25 as it is, got 1"),
        (("open_interest_drop", 0.0005, 0.05, 3), "decimals must keep 0.0005 as it is, got 3"),
    ],
)
def test_parameters_outside_the_field_are_refused(words, says):
    field, low, high, decimals = (*words, *[None] * (4 - len(words)))
    options = {} if decimals is None else {"decimals": decimals}
    with pytest.raises(ValueError, match=says):
        parameter(field, low, high, space="buy", **options)


def test_params_of_a_strategy_are_the_present_values():
    class Searched(ZoneStrategy):
        event_mult = parameter("event_mult", 2, 12, space="buy")
        outcome_bars = parameter("outcome_bars", 5, 50, space="buy")

    strategy = Searched({"stake_currency": "USDT"})
    strategy.event_mult.value = 7.5
    assert params_of(strategy, zone_bars=96) == Params(event_mult=7.5, zone_bars=96)


# FreqAI -----------------------------------------------------------------------------------------------------------


def test_features_by_hand(candles, zones):
    features = add_features(candles)
    names = [name for name in features if name not in candles]
    assert all(name.startswith("%-lz_") for name in names)
    assert features[names].iloc[: MEMORY - 1].isna().all(axis=None)
    warm = features[names].iloc[MEMORY - 1 :]
    assert np.isfinite(warm).all(axis=None)
    assert (abs(warm) <= 10).all(axis=None)
    for row in range(MEMORY - 1, 4000, 53):
        signal, feature = zones.loc[row], features.loc[row]
        for place in ("support", "resistance", "level_below", "level_above"):
            there = signal[f"lz_{place}"] == signal[f"lz_{place}"]
            away = abs(signal[f"lz_{place}"] - signal["close"]) / signal["lz_atr"] if there else 10.0
            assert feature[f"%-lz_{place}_distance"] == pytest.approx(min(away, 10.0), rel=1e-12)
            assert feature[f"%-lz_has_{place}"] == there
        turnover = signal["close"] * signal["volume"]
        assert feature["%-lz_long_flow"] == pytest.approx(min(signal["lz_long_flow_usd"] / turnover, 10.0), rel=1e-12)


def test_features_without_a_range_or_a_volume_are_finite(candles):
    flat = candles.iloc[:600].assign(open=7.0, high=7.0, low=7.0, close=7.0, volume=0.0)
    assert np.isfinite(add_features(flat).filter(like="%-").iloc[MEMORY - 1 :]).all(axis=None)


def test_a_target_is_what_became_of_the_mark_where_the_fade_s_zone_is_one_mark(candles):
    """One formula: the core's own marks, seen by their counts, say the same."""
    bars = sample_bars()[:4000]
    params = Params()
    record = params.to_record()
    state, signal = new_state(record), new_signals(1)
    held = add_targets(candles)["&-lz_hold"]
    open_trials: dict[int, tuple[int, int]] = {}  # zone_id -> (row of the fade, the mark's holds then)
    told = []
    for row in range(len(bars)):
        step(state, record, bars[row : row + 1], signal)
        marks = {2 * int(mark["birth"]) + int(mark["side"]): mark for mark in marks_of(state, record)}
        for key, (faded, holds) in list(open_trials.items()):
            mark = marks.get(key)
            if mark is None or mark["trial"] != 0:
                continue
            del open_trials[key]
            outcome = 0.0 if mark["broken"] else 1.0 if mark["holds"] > holds else np.nan
            told.append((faded, outcome))
        if signal["fade"][0]:
            for mark in marks.values():
                alone = mark["zone_marks"] == 1 and mark["leads"] == 1 and not mark["broken"]
                edges = (mark["price"] - mark["half_width"], mark["price"] + mark["half_width"])
                of_the_fade = edges == (signal["fade_low"][0], signal["fade_high"][0])
                if alone and of_the_fade and mark["trial"] and mark["trial_age"] == 1:
                    open_trials[2 * int(mark["birth"]) + int(mark["side"])] = (row, int(mark["holds"]))
    assert len(told) > 100
    assert {outcome for _, outcome in told} >= {0.0, 1.0}
    np.testing.assert_array_equal(held.iloc[[row for row, _ in told]], [outcome for _, outcome in told])


def outcome_by_hand(zones: pd.DataFrame, row: int, params: Params) -> float:
    """One row's target, bar by bar."""
    side = zones.loc[row, "lz_fade"]
    low, high, atr = (zones.loc[row, f"lz_{name}"] for name in ("fade_low", "fade_high", "atr"))
    for later in range(row + 1, min(row + 1 + params.outcome_bars, len(zones))):
        bar = zones.loc[later]
        if side > 0:
            held, broke = bar["high"] >= high + params.hold_atr * atr, bar["close"] < low - params.break_atr * atr
        else:
            held, broke = bar["low"] <= low - params.hold_atr * atr, bar["close"] > high + params.break_atr * atr
        if held and broke:
            return np.nan
        if held or broke:
            return float(held)
    return np.nan


def test_targets_are_the_outcome_of_fades_alone(candles, zones):
    held = add_targets(candles)["&-lz_hold"]
    outcome = add_targets(candles, classes=True)["&s-lz_outcome"]
    faded = zones["lz_fade"] != 0
    assert held[~faded].isna().all()
    expected = [outcome_by_hand(zones, row, Params()) for row in np.flatnonzero(faded)]
    np.testing.assert_array_equal(held[faded], expected)
    assert min((held == 1.0).sum(), (held == 0.0).sum()) > 20
    assert ((outcome == "hold") == (held == 1.0)).all()
    assert ((outcome == "break") == (held == 0.0)).all()
    assert (outcome.isna() == held.isna()).all()


def test_a_bad_candle_decides_no_target(candles, zones):
    """It is skipped, as by the marks: neither its prices nor its time count."""
    rows = np.flatnonzero(zones["lz_fade"].iloc[:2000])[::12]
    for row in rows:
        bad = spoilt(candles.iloc[:2000], row + 1, high=1e9, low=-1.0)
        expected = outcome_by_hand(zones.drop(index=row + 1).reset_index(drop=True), row, Params())
        np.testing.assert_equal(add_targets(bad)["&-lz_hold"][row], expected)
    assert len(rows) > 5


def test_step_by_step_gives_the_live_row(candles, zones):
    """One answer: the core's step on the candle that just closed."""
    params = Params().to_record()
    state, signal = new_state(params), new_signals(1)
    for bar in sample_bars()[:600]:
        step(state, params, np.array([bar]), signal)
    live = add_zones(candles.iloc[:600].tail(498))
    assert {name: signal[name][0] for name in SIGNAL.names if signal[name][0] == signal[name][0]} == {
        name: live[f"lz_{name}"].iloc[-1] for name in SIGNAL.names if live[f"lz_{name}"].iloc[-1:].notna().all()
    }
