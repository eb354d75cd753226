"""Funding, open interest, marks, order flow and liquidations: only what was known when a candle closed."""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.feather
import pyarrow.parquet
import pytest
from freqtrade.data.converter.orderflow import populate_dataframe_with_trades
from freqtrade_setup import candle_frame

from liquidator_core import TRADE, Params
from liquidator_core.tape import bars_from_trades
from liquidator_integrations import sample_bars
from liquidator_integrations.for_freqtrade import (
    add_funding_rate,
    add_liquidations,
    add_mark_price,
    add_open_interest,
    add_order_flow,
    add_zones,
    read_feed,
    read_forced_orders,
)

HOUR = 3_600_000
PAIR = "BTC/USDT:USDT"
META = {"pair": PAIR}


@pytest.fixture(scope="module")
def candles():
    return candle_frame(sample_bars()[:3000])


def dated(candles: pd.DataFrame, **columns: object) -> pd.DataFrame:
    """freqtrade's frame of another candle type, a row a candle."""
    return pd.DataFrame({"date": candles["date"], **columns})


def interest_of(candles: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(5)
    volume = candles["volume"].to_numpy()
    amount = 80_000 + np.cumsum(rng.uniform(-0.5, 0.5, len(candles)) * volume)
    return dated(candles, open_interest_amount=amount, open_interest_value=amount * candles["close"])


def funding_of(candles: pd.DataFrame) -> pd.DataFrame:
    return dated(candles, funding_rate=np.arange(len(candles)) * 1e-6).iloc[::8].reset_index(drop=True)


def orders(times_ms: list[int], sides: list[int], price: float = 100.0, size: float = 2.0) -> np.ndarray:
    out = np.zeros(len(times_ms), TRADE)
    out["time"], out["side"], out["price"], out["size"] = times_ms, sides, price, size
    return out


def some_orders(candles: pd.DataFrame) -> np.ndarray:
    """Forced orders at random moments of half of the days."""
    rng = np.random.default_rng(6)
    first = int(candles["date"].iloc[0].timestamp() * 1000)
    times = np.sort(rng.integers(0, len(candles) * HOUR, 4000))
    times = first + times[times // (24 * HOUR) % 4 < 2]
    closes = candles["close"].to_numpy()[(times - first) // HOUR]
    out = orders(times, rng.choice([-1, 1], len(times)))
    out["price"], out["size"] = closes * rng.uniform(0.99, 1.01, len(times)), rng.lognormal(0, 1, len(times))
    return out


# What was known when ----------------------------------------------------------------------------------------------


def test_open_interest_is_that_of_the_candle_s_own_close(candles):
    interest = interest_of(candles).drop(index=[100, 101])
    made = add_open_interest(candles, interest, META)["open_interest"]
    expected = interest_of(candles)["open_interest_amount"].where(~candles.index.isin([100, 101]))
    np.testing.assert_array_equal(made, expected)


def test_open_interest_changes_the_ledger(candles):
    plain, informed = add_zones(candles), add_zones(add_open_interest(candles, interest_of(candles), META))
    assert (plain["lz_long_flow_usd"] != informed["lz_long_flow_usd"]).sum() > 100


def test_funding_is_known_an_hour_after_its_date_and_kept_for_a_day(candles):
    funding = funding_of(candles).drop(index=range(10, 20))
    made = add_funding_rate(candles, funding, META)["funding_rate"]
    assert np.isnan(add_funding_rate(candles.iloc[:9], funding.iloc[1:], META)["funding_rate"].iloc[:8]).all()
    np.testing.assert_array_equal(made[:8], 0.0)
    assert made[8] == pytest.approx(8e-6)  # candle 08:00 closes at 09:00, when the row of 08:00 is known
    np.testing.assert_allclose(made[72:97], 72e-6)
    assert made[97:160].isna().all()
    assert made[160] == pytest.approx(160e-6)


def test_a_mark_of_four_hours_is_known_at_its_end(candles):
    mark = dated(candles, close=candles["close"]).iloc[::4]
    made = add_mark_price(candles, mark, META)["mark_price"]
    np.testing.assert_array_equal(made[:3], np.nan)
    np.testing.assert_array_equal(made[3:7], candles["close"][0])
    np.testing.assert_array_equal(made[7:11], candles["close"][4])


def test_liquidations_fall_into_the_candle_in_which_they_became_known(candles):
    first = int(candles["date"].iloc[0].timestamp() * 1000)
    known = [first, first + 1, first + HOUR, first + HOUR + 1, first + 3 * HOUR, first + 40 * HOUR]
    made = add_liquidations(candles, orders(known, [-1, -1, -1, 1, -1, 1]), META)
    longs, shorts = made["liq_long_usd"], made["liq_short_usd"]
    assert longs[0] == 400.0  # before the first candle opened: not of it; at its very close: of it
    assert shorts[:3].tolist() == [0.0, 200.0, 0.0]
    assert longs[2] == 200.0
    assert longs[3:27].tolist() == [0.0] * 24
    assert longs[27:39].isna().all()
    assert longs[39] == 0.0
    assert shorts[39] == 200.0
    assert made["liq_long_price"][0] == 100.0
    assert np.isnan(made["liq_long_price"][3])


def test_before_any_liquidation_is_known_none_is_observed(candles):
    made = add_liquidations(candles, orders([], []), META)
    assert made.filter(like="liq_").isna().all(axis=None)


def flow_frame(candles: pd.DataFrame, rows: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A frame whose trades freqtrade's own converter grouped, as with use_public_trades; and the trades."""
    rng = np.random.default_rng(7)
    part = candles.iloc[:rows].copy()
    first = int(part["date"].iloc[0].timestamp() * 1000)
    times = np.sort(first + rng.integers(20 * HOUR, rows * HOUR, 60 * rows))
    sizes = rng.lognormal(0, 1, len(times)) * rng.choice([1.0, 60.0], len(times), p=[0.98, 0.02])
    tape = orders(times, rng.choice([-1, 1], len(times)))
    tape["size"] = sizes
    tape["price"] = 100 + rng.normal(0, 1, len(times)).cumsum() / 50
    frame = pd.DataFrame(
        {
            "timestamp": times,
            "id": np.arange(len(times)).astype(str),
            "type": None,
            "side": np.where(tape["side"] > 0, "buy", "sell"),
            "price": tape["price"],
            "amount": sizes,
            "cost": tape["price"] * sizes,
            "date": pd.to_datetime(times, unit="ms", utc=True),
        }
    )
    limits = {"cache_size": 1000, "max_candles": 1500, "scale": 0.5, "stacked_imbalance_range": 3}
    limits |= {"imbalance_volume": 1, "imbalance_ratio": 3}
    grouped, _ = populate_dataframe_with_trades(None, {"timeframe": "1h", "orderflow": limits}, part, frame)
    return grouped, tape


def test_order_flow_is_that_of_the_tape(candles):
    frame, tape = flow_frame(candles, 60)
    made = add_order_flow(frame, metadata=META)
    bars = bars_from_trades(tape, Params(tape_ms=HOUR))
    rows = np.searchsorted(made["date"].to_numpy("M8[ms]").astype(np.int64), bars["time"])
    assert rows[0] == 20
    names = [name for name in made if name == "taker_buy" or name.startswith("large_")]
    assert made[names][:21].isna().all(axis=None)  # of row 20, the first with trades, some may be missing
    for name in names:
        np.testing.assert_array_equal(made[name][rows[1:]], bars[name][1:], err_msg=name)
    np.testing.assert_allclose(made["taker_buy"][21:], made["ask"][21:].astype(float), rtol=1e-12)
    assert (made["large_buy_usd"] > 0).sum() > 20
    last = made["large_buy_usd"].iloc[-1]
    assert last == add_order_flow(frame.iloc[30:], metadata=META)["large_buy_usd"].iloc[-1]


@pytest.mark.parametrize("each", [2, 7])
def test_order_flow_of_few_trades_is_the_same_wherever_the_frame_begins(candles, each):
    """Large trades are unknown until as many came before as they are compared with, and never guessed from fewer."""
    frame, _ = flow_frame(candles, 60)
    for row, trades in enumerate(frame["trades"]):
        if isinstance(trades, list):
            frame.at[row, "trades"] = trades[:each]
    large = [f"large_{side}_usd" for side in ("sell", "buy")]
    params = Params(large_mult=1.5)
    whole = add_order_flow(frame, params, META)[large]
    assert (whole > 0.0).sum().sum() > 5
    for first in range(21, 35):
        part = add_order_flow(frame.iloc[first:], params, META)[large]
        known = part.notna()
        assert known.iloc[1 + -(-20 // each) :].all(axis=None)
        pd.testing.assert_frame_equal(part[known], whole.loc[first:][known], check_exact=True)


FEEDS = {  # (candles of a frame, all that was known by then of the feed)
    "open interest": (add_open_interest, interest_of),
    "funding": (add_funding_rate, funding_of),
    "mark": (add_mark_price, lambda candles: dated(candles, close=candles["close"])),
    "liquidations": (add_liquidations, some_orders),
}


def known_by(feed: pd.DataFrame | np.ndarray, end: pd.Timestamp) -> pd.DataFrame | np.ndarray:
    """What of a feed a bot had when a candle closed; of an exchange's candles the open one is left out."""
    if isinstance(feed, np.ndarray):
        return feed[feed["time"] <= end.timestamp() * 1000]
    return feed[feed["date"] < end].reset_index(drop=True)


@pytest.mark.parametrize("name", FEEDS)
def test_no_row_knows_the_future_and_live_equals_batch(candles, name):
    add, make = FEEDS[name]
    feed = make(candles)
    whole = add(candles, feed, META)
    zones = add_zones(whole)
    for end in range(700, 3000, 83):
        known = known_by(feed, candles["date"][end])
        then = add(candles.iloc[:end], known, META)
        pd.testing.assert_frame_equal(then, whole.iloc[:end], check_exact=True)
        live = add_zones(add(candles.iloc[end - 498 : end].reset_index(drop=True), known, META)).tail(1)
        expected = zones.iloc[end - 1 : end].reset_index(drop=True)
        pd.testing.assert_frame_equal(live.reset_index(drop=True), expected, check_exact=True)


# Bad input --------------------------------------------------------------------------------------------------------

WRONG = {
    "no rows": (lambda feed: feed.iloc[:0], "found no rows: list it in informative_pairs"),
    "all NaN": (lambda feed: feed.assign(open_interest_amount=np.nan), "without a value in all 3000 rows"),
    "another type": (lambda feed: feed.drop(columns="open_interest_amount"), "missing column 'open_interest_amount'"),
    "unsorted": (lambda feed: feed.iloc[::-1], "goes back to"),
    "doubled": (lambda feed: feed.iloc[[0, 0, 1]], "repeats"),
    "too coarse": (lambda feed: feed.iloc[::4], "found candles of 240 min, allowed are at most"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_wrong_feed_is_refused_by_pair_and_timeframe(candles, kind):
    spoil, words = WRONG[kind]
    with pytest.raises(
        ValueError, match=rf"^BTC/USDT:USDT 1h: open interest: .*{words.removeprefix('open interest: ')}"
    ):
        add_open_interest(candles, spoil(interest_of(candles)), META)


OWN = {
    "open interest": "open_interest",
    "funding": "funding_rate",
    "mark": "mark_price",
    "liquidations": "liq_long_usd",
}


@pytest.mark.parametrize("name", FEEDS)
def test_a_feed_with_nothing_for_the_last_candle_is_told_of(candles, name, caplog):
    add, make = FEEDS[name]
    told = f"{PAIR} 1h: .*: nothing for the last candle, which closed at 2020-02-03T04:00:00 UTC: "
    ended = make(candles.iloc[:2000])
    made = add(candles, ended, META)[OWN[name]]
    assert made.iloc[:2000].notna().any()
    assert np.isnan(made.iloc[-1])
    assert re.fullmatch(told + "the last before it was known at 2019-12-2.*", caplog.messages[-1])
    assert add(candles, make(candles), META)[OWN[name]].notna().iloc[-1] or name == "liquidations"
    caplog.clear()
    later = make(candles.assign(date=candles["date"] + pd.Timedelta(days=999)))
    assert add(candles, later, META)[OWN[name]].isna().all()
    assert re.fullmatch(told + "all are later", caplog.messages[-1])


def test_dates_in_numbers_are_read_as_elsewhere(candles):
    interest = interest_of(candles)
    expected = add_open_interest(candles, interest, META)
    ms = interest["date"].to_numpy("M8[ms]").astype(np.int64)
    for dates in (ms, ms * 1000, ms / 1000.0):
        pd.testing.assert_frame_equal(add_open_interest(candles, interest.assign(date=dates), META), expected)


def test_a_feed_of_one_row_is_known_at_the_end_of_a_candle_of_the_frame(candles):
    one = candles["date"].iloc[1000:1001]
    interest = pd.DataFrame({"date": one, "open_interest_amount": 7.0})
    assert add_open_interest(candles, interest, META)["open_interest"].first_valid_index() == 1000
    assert (
        add_mark_price(candles, pd.DataFrame({"date": one, "close": 7.0}), META)["mark_price"].first_valid_index()
        == 1000
    )


def test_infinite_values_are_counted(candles, caplog):
    interest = interest_of(candles)
    interest.loc[[3, 5], "open_interest_amount"] = np.inf
    made = add_open_interest(candles, interest, META)["open_interest"]
    assert made[[3, 5]].isna().all()
    assert caplog.messages == [f"{PAIR} 1h: open interest: 2 of 3000 values are infinite and count as unknown"]


def test_order_flow_needs_trades(candles):
    with pytest.raises(ValueError, match=r"^BTC/USDT:USDT 1h: order flow: missing column 'trades': set "):
        add_order_flow(candles, metadata=META)


def test_liquidations_must_be_in_order_and_of_the_right_kind(candles):
    with pytest.raises(TypeError, match=r"^BTC/USDT:USDT 1h: liquidations: must be a .* got DataFrame"):
        add_liquidations(candles, candles, META)
    with pytest.raises(ValueError, match=r"^BTC/USDT:USDT 1h: liquidations: row 1 .*goes back"):
        add_liquidations(candles, orders([1_600_000_000_001, 1_600_000_000_000], [1, 1]), META)


def write(path, **columns):
    table = pa.table(columns)
    (pa.feather.write_feather if path.suffix == ".feather" else pa.parquet.write_table)(table, str(path))
    return path


def test_a_file_of_another_pair_is_refused(tmp_path, candles):
    funding = funding_of(candles)
    columns = {name: funding[name] for name in funding}
    right = write(tmp_path / "BTC_USDT_USDT-1h-funding_rate.feather", **columns)
    pd.testing.assert_frame_equal(read_feed(right, PAIR), funding, check_dtype=False)
    other = write(tmp_path / "ETH_USDT_USDT-1h-funding_rate.feather", **columns)
    with pytest.raises(
        ValueError, match=r"^BTC/USDT:USDT 8h: .*: found a file of ETH_USDT_USDT, allowed one of BTC/USDT:USDT$"
    ):
        read_feed(other, PAIR)
    silent = write(tmp_path / "funding.parquet", **columns)
    with pytest.raises(ValueError, match="found a file of funding, allowed one of BTC/USDT:USDT"):
        read_feed(silent, PAIR)
    said = write(tmp_path / "said.parquet", **columns, symbol=["BTCUSDT"] * len(funding))
    assert len(read_feed(said, PAIR)) == len(funding)


def test_liquidations_from_a_file(tmp_path):
    times = [1_600_000_005_000, 1_600_000_001_000]
    columns = SimpleNamespace(time=times, price=[10.0, 11.0], size=[1.0, 2.0], side=["sell", "buy"]).__dict__
    read = read_forced_orders(write(tmp_path / "BTC_USDT_USDT-liquidations.parquet", **columns), PAIR)
    assert read["time"].tolist() == sorted(times)
    assert read["side"].tolist() == [1, -1]
    with pytest.raises(ValueError, match=r"^BTC/USDT:USDT: .*found a file of ETHUSDT, allowed one of BTC/USDT:USDT"):
        read_forced_orders(write(tmp_path / "some.parquet", **columns, symbol=["ETHUSDT"] * 2), PAIR)
    with pytest.raises(ValueError, match="looks like a derivative, and nothing says what one of"):
        read_forced_orders(write(tmp_path / "contracts.parquet", **columns, pair=[PAIR] * 2), PAIR)
    sizes = {name: values for name, values in columns.items() if name != "size"} | {"base_size": [1.0, 2.0]}
    bad = write(tmp_path / "bad.parquet", **sizes | {"price": [10.0, -200.0]}, pair=[PAIR] * 2)
    with pytest.raises(ValueError, match=r"^BTC/USDT:USDT: .*bad\.parquet: row 1 .*price: found -200\.0"):
        read_forced_orders(bad, PAIR)
    with pytest.raises(ValueError, match="holds candles"):
        read_forced_orders(
            write(tmp_path / "BTC.parquet", time=times, open=[1.0] * 2, high=[1.0] * 2, low=[1.0] * 2, close=[1.0] * 2),
            "BTC",
        )
